"""Two revisions of the manifests, compared without asking any system."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from controller.core.diff import Change, Diff, diff_config, redact_value
from controller.core.model import ConnectorManifest, DesiredTopic, Json, ResourceKey, Revision
from controller.ports import Folder
from controller.settings import BadSetting


@dataclass(frozen=True, slots=True)
class Comparison:
    """One resource that two revisions do not declare alike."""

    key: ResourceKey
    symbol: str
    diff: Diff

    def lines(self) -> Iterator[str]:
        yield f"  {self.symbol} {self.key}"
        for change in self.diff:
            before, after = _shown(change)
            yield f"      {change.symbol} {change.field}: {before} -> {after}"

    def data(self) -> Json:
        changes: list[Json] = []
        for change in self.diff:
            before, after = _shown(change)
            changes.append({"field": change.field, "before": before, "after": after})
        return {"resource": str(self.key), "symbol": self.symbol, "changes": changes}


def _shown(change: Change) -> tuple[str | None, str | None]:
    before, after = (
        None if side is None else redact_value(change.field, side)
        for side in (change.before, change.after)
    )
    return before, after


def compare(before: Revision, after: Revision) -> tuple[Comparison, ...]:
    """List what differs, by name; what is declared no more would be left as an orphan."""
    old, new = _fields(before), _fields(after)
    found = []
    for key in sorted(set(old) | set(new)):
        diff = diff_config(new.get(key, {}), old.get(key, {}))
        if diff:
            symbol = "+" if key not in old else "-" if key not in new else "~"
            found.append(Comparison(key, symbol, diff))
    return tuple(found)


def _fields(revision: Revision) -> Mapping[ResourceKey, Mapping[str, str]]:
    topics = {topic.key: _topic_fields(topic) for topic in revision.topics}
    return topics | {
        connector.key: _connector_fields(connector) for connector in revision.connectors
    }


def _topic_fields(topic: DesiredTopic) -> Mapping[str, str]:
    head = {"partitions": str(topic.partitions), "class": str(topic.topic_class)}
    if topic.replication_factor is not None:
        head["replicationFactor"] = str(topic.replication_factor)
    return head | dict(topic.config)


def _connector_fields(connector: ConnectorManifest) -> Mapping[str, str]:
    config = {key: str(template) for key, template in connector.config.items()}
    return {"state": str(connector.run_state), **config}


def files_at(folder: Path, commit: str) -> Folder:
    """Read the manifests as they were in a commit of the git work tree they lie in."""
    if commit.startswith("-"):
        raise BadSetting(f"{commit} names no commit")
    names = _git(folder, "ls-tree", "-r", "--name-only", commit, ".").splitlines()
    wanted = [name for name in names if name.endswith((".yaml", ".yml"))]
    return Folder({name: _git(folder, "show", f"{commit}:./{name}") for name in wanted}, commit)


def _git(folder: Path, *arguments: str) -> str:
    try:
        done = subprocess.run(  # noqa: S603 - the program is fixed, arguments are no options
            ["git", "-C", str(folder), *arguments],  # noqa: S607
            capture_output=True,
            text=True,
            check=True,
            timeout=30,
        )
    except (OSError, subprocess.SubprocessError) as error:
        told = getattr(error, "stderr", "") or error
        raise BadSetting(f"git cannot read the manifests in {folder}: {told}".strip()) from error
    return done.stdout
