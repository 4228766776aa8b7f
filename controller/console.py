"""How states and errors are shown to people and to scripts."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from enum import StrEnum
from typing import Any

from controller.core.model import Json
from controller.timestamp import timestamp


class Output(StrEnum):
    """Forms of output; `table` is for people."""

    TABLE = "table"
    JSON = "json"
    YAML = "yaml"


def print_data(data: Json, output: Output) -> None:
    """Print one document, keys in their order."""
    if output is Output.YAML:
        import yaml

        print(yaml.safe_dump(data, sort_keys=False, allow_unicode=True), end="")
    else:
        print(json.dumps(data, indent=2, ensure_ascii=False))


def fail(message: str) -> None:
    """Tell what is wrong, and what to do, on standard error."""
    print(f"wmsctl: {message}", file=sys.stderr)


# --- the status -------------------------------------------------------------------------------


def print_status(data: Mapping[str, Any]) -> None:
    """Print the state of everything; with colours and a table only on a terminal."""
    for line in _stage_lines(data):
        print(line)
    resources: list[Mapping[str, Any]] = data.get("resources") or []
    if sys.stdout.isatty():
        _print_table(resources)
    else:
        for resource in resources:
            print("\t".join(_status_row(resource)))
    for resource in resources:
        for line in _resource_lines(resource):
            print(line)
    for orphan in data.get("orphans") or []:
        print(f"orphan: {orphan}")
    for warning in data.get("warnings") or []:
        print(f"warning: {warning}")


def _stage_lines(data: Mapping[str, Any]) -> Iterator[str]:
    yield f"stage {data['stage']}, cycle {data.get('cycle')}, {_revision_text(data)}"
    refused = data.get("refusedRevision")
    if refused:
        yield f"a newer revision is refused:\n{refused['message']}"
    for fault in data.get("faults") or []:
        yield f"fault in {fault['system']}: {fault['reason']}: {fault['message']}"
    for container in data.get("containers") or []:
        if container.get("trouble"):
            yield f"container {container['name']}: {container['trouble']}"
    for idle in data.get("notActing") or []:
        yield _idle_text(idle)


def _idle_text(idle: Mapping[str, Any]) -> str:
    since = timestamp(idle["since"])
    subject = idle["resource"] or "the whole stage"
    return f"not acting on {subject} since {since}: {idle['reason']}: {idle['message']}"


def _resource_lines(resource: Mapping[str, Any]) -> Iterator[str]:
    """Say in full what is not well; what the table has said already is not said again."""
    key = resource["resource"]
    for condition in resource.get("conditions") or []:
        if not _is_well(condition) and condition["message"] != resource["message"]:
            said = (
                f"{condition['type']}={condition['status']} since {timestamp(condition['since'])}"
            )
            yield f"{key} {said}: {condition['reason']}: {condition['message']}"
    lag, restarts = resource.get("lag"), resource.get("restarts")
    if lag:
        yield f"{key} lag {_lag_text(lag)}: {lag['message']}"
    if restarts:
        yield f"{key} {restarts['failure']}: {restarts['message']}"


def _is_well(condition: Mapping[str, Any]) -> bool:
    wanted = "False" if condition["type"] == "Stalled" else "True"
    return bool(condition["status"] == wanted)


def _lag_text(lag: Mapping[str, Any] | None) -> str:
    if not lag:
        return ""
    return "unknown" if lag["seconds"] is None else f"{lag['seconds']:.1f} s"


def _revision_text(data: Mapping[str, Any]) -> str:
    revision = data.get("revision")
    return f"revision {revision['id']}" if revision else "no good revision"


def _status_row(resource: Mapping[str, Any]) -> tuple[str, str, str, str]:
    conditions = {c["type"]: c["status"] for c in resource.get("conditions") or []}
    told = " ".join(f"{name}={status}" for name, status in sorted(conditions.items()))
    return resource["resource"], resource["reason"], told, resource["message"]


def _style(resource: Mapping[str, Any]) -> str:
    """Paint red what does not run or waits for a person, yellow what is not known to be well."""
    conditions = resource.get("conditions") or []
    ill = {c["type"] for c in conditions if not _is_well(c) and c["status"] != "Unknown"}
    if ill & {"Ready", "Healthy", "Stalled"}:
        return "red"
    well = resource["reason"] == "InSync" and all(map(_is_well, conditions))
    return "green" if well else "yellow"


def _print_table(resources: Sequence[Mapping[str, Any]]) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False)
    for title in ("RESOURCE", "REASON", "CONDITIONS", "LAG", "MESSAGE"):
        table.add_column(title, overflow="fold")
    for resource in resources:
        name, reason, told, message = _status_row(resource)
        lag = _lag_text(resource.get("lag"))
        table.add_row(name, Text(reason, _style(resource)), told, lag, Text(message))
    Console().print(table)
