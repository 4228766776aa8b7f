"""Where a secret may lie, how a config names one of its versions, and which version is used."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass

from controller.core.model import ObservedSecret, SecretVersion, VersionKey
from controller.core.probe import ProbeState, Proved, Refused
from controller.core.stage import Stage

_BEGINS = "${directory:"
_DIRECTORY = re.compile(
    r"\$\{directory:(?P<root>/[^:}]*?)/(?P<path>[^:}]+)/(?P<version>[^/:}]+):(?P<field>[^}]+)\}"
)


def candidates(
    stage: Stage, name: str, *, prefix: str = "wms", forbid_fallback: Collection[str] = ()
) -> tuple[str, ...]:
    """List the paths to look under, the stage's own first."""
    paths = stage.secret_paths(name, prefix)
    return paths[:1] if name in forbid_fallback else tuple(paths)


def directory_reference(root: str, version: VersionKey, field: str) -> str:
    """Write the reference that Kafka's DirectoryConfigProvider resolves on the worker (KIP-297)."""
    return f"${{directory:{root}/{version}:{field}}}"


def named_fields(config: Mapping[str, str], root: str) -> Mapping[VersionKey, frozenset[str]]:
    """Find the versions that an observed config names under our root, with the fields it reads."""
    found: dict[VersionKey, set[str]] = defaultdict(set)
    for value in config.values():
        if _BEGINS not in value:  # most of them, each cycle
            continue
        for match in _DIRECTORY.finditer(value):
            whole = f"{match['root']}/{match['path']}"
            if whole.startswith(f"{root}/"):
                path = whole.removeprefix(f"{root}/")
                found[VersionKey(path, match["version"])].add(match["field"])
    return {version: frozenset(fields) for version, fields in found.items()}


def without_versions(value: str) -> str:
    """Name the fields of secrets that a value refers to, whichever versions they are of."""
    return _DIRECTORY.sub(r"${directory:\g<root>/\g<path>:\g<field>}", value)


@dataclass(frozen=True, slots=True)
class Choice:
    """The version to render, and what is known of the current one when that is another."""

    version: SecretVersion | None
    current: SecretVersion
    state: ProbeState

    @property
    def is_current(self) -> bool:
        return self.version is not None and self.version.key == self.current.key


def choose(
    secret: ObservedSecret,
    named: Collection[VersionKey],
    state_of: Callable[[SecretVersion], ProbeState],
) -> Choice:
    """Take AWSCURRENT once it is proved or already in use; else what the observed config names.

    A version known to be bad is never taken.
    """
    current = secret.current
    state = _state(current, state_of)
    in_use = current.key in named and not isinstance(state, Refused)
    if isinstance(state, Proved) or in_use:
        return Choice(current, current, state)
    for key in sorted(set(named) - {current.key}):
        version = secret.version(key)
        if not isinstance(version, SecretVersion):
            continue
        if not isinstance(_state(version, state_of), Refused):
            return Choice(version, current, state)
    return Choice(None, current, state)


def _state(version: SecretVersion, state_of: Callable[[SecretVersion], ProbeState]) -> ProbeState:
    return Refused(version.problem) if version.problem else state_of(version)
