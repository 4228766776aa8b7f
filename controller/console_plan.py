"""How a plan is shown to people; it may be our own, or come from the leader's status."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, TypeAlias

Told: TypeAlias = "Mapping[str, Any]"


def plan_lines(data: Told) -> Iterator[str]:
    """Print a plan as people know it from Terraform: symbols, changes, one line that counts."""
    revision = data["revision"]
    named = f"revision {revision}" if revision is not None else "no good revision"
    yield f"stage {data['stage']}, {named}"
    yield ""
    for step in data["steps"]:
        yield from _step_lines(step)
    for key in data["orphans"]:
        yield f"  ? {key}: ours, and declared by no manifest; it is left alone"
    yield _count_line(data)


def _step_lines(step: Told) -> Iterator[str]:
    if step["decision"] == "Converged":
        return
    act = step.get("act")
    if act is None:
        yield f"  ! {step['resource']}: {step['reason']}: {step['message']}"
        yield ""
        return
    held = step["decision"] != "Act"
    note = f" (held: {step['reason']})" if held else ""
    told = f"{act['reason']}, {step['difference']}, risk {step['risk']}{note}"
    yield f"  {_symbol(step)} {step['resource']}: {told}"
    if held:
        yield f"      {step['message']}"
    yield from _changes(step["changes"])
    if not step["changes"]:
        yield f"      {act['message']}"
    if step["consequence"]:
        yield f"      -> {step['consequence']}"
    yield ""


def _changes(changes: Sequence[Told]) -> Iterator[str]:
    for change in changes:
        before, after = change["before"], change["after"]
        if before is None:
            yield f"      + {change['field']}: {after}"
        elif after is None:
            yield f"      - {change['field']}: {before} -> (removed)"
        else:
            yield f"      ~ {change['field']}: {before} -> {after}"


def _symbol(step: Told) -> str:
    if step["ownSide"]:
        return "."
    return "+" if step["act"]["reason"] == "Create" else "~"


def _count_line(data: Told) -> str:
    create, change, held = data["create"], data["change"], data["held"]
    if create or change:
        tail = f" {held} of them held back." if held else ""
        return f"Plan: {create} to create, {change} to change, 0 to delete.{tail}"
    waiting = sum(step["decision"] in ("Wait", "Stall") for step in data["steps"])
    if waiting:
        return f"No changes planned; {waiting} waiting or stalled."
    return "No changes. Kafka and Connect are as declared."
