"""How plans, states and errors are shown to people and to scripts."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

from controller.core.action import CreateConnector, CreateTopic, is_own
from controller.core.decision import Act, Converged, Stall, Wait
from controller.core.diff import Change, redact_value
from controller.core.history import changes_of
from controller.core.model import Json
from controller.core.plan import Plan
from controller.core.step import Step
from controller.core.world import World


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


# --- the plan ---------------------------------------------------------------------------------


def plan_lines(plan: Plan, world: World) -> Iterator[str]:
    """Print a plan as people know it from Terraform: symbols, changes, one line that counts."""
    revision = world.revision
    named = f"revision {revision.id}" if revision is not None else "no good revision"
    yield f"stage {world.stage.name}, {named}"
    yield ""
    for step in plan.steps:
        yield from _step_lines(step)
    for key in plan.orphans:
        yield f"  ? {key}: ours, and declared by no manifest; it is left alone"
    yield count_line(plan)


def _step_lines(step: Step) -> Iterator[str]:
    decision = step.decision
    if isinstance(decision, Converged):
        return
    act = decision if isinstance(decision, Act) else decision.held
    if act is None:
        yield f"  ! {step.key}: {decision.reason}: {decision.message}"
        yield ""
        return
    note = "" if isinstance(decision, Act) else f" (held: {decision.reason})"
    yield f"  {_symbol(act)} {step.key}: {act.reason}, {act.difference}, risk {act.risk}{note}"
    if not isinstance(decision, Act):
        yield f"      {decision.message}"
    for change in changes_of(act):
        yield f"      {change.symbol} {change.field}: {_sides(change)}"
    if not act.diff and not any(isinstance(a, CreateTopic | CreateConnector) for a in act.actions):
        yield f"      {act.message}"
    if act.consequence:
        yield f"      -> {act.consequence}"
    yield ""


def _sides(change: Change) -> str:
    after = None if change.after is None else redact_value(change.field, change.after)
    if change.before is None:
        return str(after)
    before = redact_value(change.field, change.before)
    return f"{before} -> {after if after is not None else '(removed)'}"


def _symbol(act: Act) -> str:
    if all(is_own(action) for action in act.actions):
        return "."
    return "+" if act.reason == "Create" else "~"


def count_line(plan: Plan) -> str:
    """Count what would change Kafka or Connect; own-side steps are not counted."""
    changes = list(plan.changes())
    held = sum(not isinstance(step.decision, Act) for step, _ in changes)
    create = sum(act.reason == "Create" for _, act in changes)
    if not changes:
        waiting = [s for s in plan.steps if isinstance(s.decision, Wait | Stall)]
        tail = f" {len(waiting)} waiting or stalled." if waiting else ""
        return (
            f"No changes. Kafka and Connect are as declared.{tail}"
            if not waiting
            else (f"No changes planned;{tail}")
        )
    tail = f" {held} of them held back." if held else ""
    return f"Plan: {create} to create, {len(changes) - create} to change, 0 to delete.{tail}"


def plan_data(plan: Plan, world: World) -> Json:
    """Tell a plan as data: every step, the changes with their risk, the count."""
    revision = world.revision
    steps: list[Json] = [_step_data(step) for step in plan.steps]
    changes = list(plan.changes())
    return {
        "stage": world.stage.name,
        "revision": None if revision is None else revision.id,
        "commit": None if revision is None else revision.commit,
        "steps": steps,
        "orphans": [str(key) for key in plan.orphans],
        "create": sum(act.reason == "Create" for _, act in changes),
        "change": sum(act.reason != "Create" for _, act in changes),
        "held": sum(not isinstance(step.decision, Act) for step, _ in changes),
    }


def _step_data(step: Step) -> Json:
    decision = step.decision
    found: dict[str, Json] = {
        "resource": str(step.key),
        "decision": type(decision).__name__,
        "reason": decision.reason,
        "message": decision.message,
    }
    act = decision if isinstance(decision, Act) else getattr(decision, "held", None)
    if isinstance(act, Act):
        found |= {
            "difference": str(act.difference),
            "risk": str(act.risk),
            "consequence": act.consequence,
            "actions": [type(action).__name__ for action in act.actions],
            "ownSide": all(is_own(action) for action in act.actions),
            "changes": [_change_data(change) for change in changes_of(act)],
        }
    return found


def _change_data(change: Change) -> Json:
    return {
        "field": change.field,
        "before": None if change.before is None else redact_value(change.field, change.before),
        "after": None if change.after is None else redact_value(change.field, change.after),
    }


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
    since = datetime.fromtimestamp(idle["since"], UTC).isoformat(timespec="seconds")
    subject = idle["resource"] or "the whole stage"
    return f"not acting on {subject} since {since}: {idle['reason']}: {idle['message']}"


def _health_lines(resource: Mapping[str, Any]) -> Iterator[str]:
    """Say in full what Connect's RUNNING does not."""
    for condition in resource.get("conditions") or []:
        if condition["type"] == "Healthy" and condition["status"] != "True":
            since = datetime.fromtimestamp(condition["since"], UTC).isoformat(timespec="seconds")
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
