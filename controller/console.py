"""How states and errors are shown to people and to scripts."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping
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
    rows = [_status_row(resource) for resource in data.get("resources") or []]
    if sys.stdout.isatty():
        _print_table(rows)
    else:
        for row in rows:
            print("\t".join(row))
    for resource in data.get("resources") or []:
        for line in _health_lines(resource):
            print(line)
    for orphan in data.get("orphans") or []:
        print(f"orphan: {orphan}")


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


def _health_lines(resource: Mapping[str, Any]) -> Iterator[str]:
    """Say in full what Connect's RUNNING does not."""
    for condition in resource.get("conditions") or []:
        if condition["type"] == "Healthy" and condition["status"] != "True":
            since = timestamp(condition["since"])
            said = f"Healthy={condition['status']} since {since}: {condition['reason']}"
            yield f"{resource['resource']} {said}: {condition['message']}"


def _revision_text(data: Mapping[str, Any]) -> str:
    revision = data.get("revision")
    return f"revision {revision['id']}" if revision else "no good revision"


def _status_row(resource: Mapping[str, Any]) -> tuple[str, str, str, str]:
    conditions = {c["type"]: c["status"] for c in resource.get("conditions") or []}
    told = " ".join(f"{name}={status}" for name, status in sorted(conditions.items()))
    return resource["resource"], resource["reason"], told, resource["message"]


def _print_table(rows: list[tuple[str, str, str, str]]) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False)
    for title in ("RESOURCE", "REASON", "CONDITIONS", "MESSAGE"):
        table.add_column(title, overflow="fold")
    for name, reason, told, message in rows:
        well = reason == "InSync" and "Healthy=False" not in told
        style = "green" if well else "yellow"
        table.add_row(name, Text(reason, style), told, Text(message))
    Console().print(table)
