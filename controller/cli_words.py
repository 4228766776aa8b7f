"""What a person tells the controller: leave it alone, go on, this risk is wanted, try again.

What lets the controller act is recorded first, as its own actions are; a brake is pulled first.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Annotated

import typer

from controller.bootstrap import Parts
from controller.cli_options import (
    FAULT,
    FINE,
    StageOption,
    parse_duration,
    parts_for_people,
    resource_key,
)
from controller.console import fail
from controller.core.accept import ACCEPTABLE, ACTION_ID, accept_record
from controller.core.connector_memory import release_record
from controller.core.faults import Fault
from controller.core.hold import FREEZE_RECORD, suspend_record
from controller.core.login_step import probe_intent_record
from controller.core.model import Json, Kind
from controller.journal import Journal
from controller.this_process import identity
from controller.timestamp import timestamp


def suspend(
    name: Annotated[str, typer.Argument(help="connector/x or topic/x")],
    duration: Annotated[str, typer.Option("--for", help="such as 30m, 2h, 1d")],
    reason: Annotated[str, typer.Option(help="why; people will read it")],
    stage: StageOption = None,
) -> int:
    """Ask the controller to leave one resource alone for a while."""
    key = resource_key(name)
    parts, seconds = parts_for_people(stage), parse_duration(duration)
    until = _pull_brake(parts, suspend_record(key), seconds, reason)
    print(f"{key} is left alone until {until}; `wmsctl unsuspend {key}` ends it earlier")
    return FINE


def unsuspend(
    name: Annotated[str, typer.Argument(help="connector/x or topic/x")], stage: StageOption = None
) -> int:
    """End a suspension."""
    key = resource_key(name)
    if not _take_back(parts_for_people(stage), suspend_record(key)):
        fail(f"{key} is not suspended")
        return FAULT
    print(f"{key} is looked after again")
    return FINE


def freeze(
    duration: Annotated[str, typer.Option("--for", help="such as 30m, 2h, 1d")],
    reason: Annotated[str, typer.Option(help="why; people will read it")],
    stage: StageOption = None,
) -> int:
    """Ask the controller to leave the whole stage alone for a while."""
    parts = parts_for_people(stage)
    until = _pull_brake(parts, FREEZE_RECORD, parse_duration(duration), reason)
    print(
        f"stage {parts.stage.name} is left alone until {until}; `wmsctl unfreeze` ends it earlier"
    )
    return FINE


def unfreeze(stage: StageOption = None) -> int:
    """End a freeze."""
    parts = parts_for_people(stage)
    if not _take_back(parts, FREEZE_RECORD):
        fail(f"stage {parts.stage.name} is not frozen")
        return FAULT
    print(f"stage {parts.stage.name} is looked after again")
    return FINE


def release(
    name: Annotated[str, typer.Argument(help="connector/x")], stage: StageOption = None
) -> int:
    """Let the controller resume a connector that a person stopped."""
    key = resource_key(name)
    if key.kind is not Kind.CONNECTOR:
        raise typer.BadParameter(f"{name!r} is no connector")
    parts, record = parts_for_people(stage), release_record(key.name)
    value, ends = _word(parts, 86_400.0, "released")
    _journal(parts).tell(_entry(record, value))
    parts.store.put(record, value, expires=ends)
    print(f"{key} is resumed in the next cycle, as far as its guards allow; see `wmsctl status`")
    return FINE


def _pull_brake(parts: Parts, record: str, seconds: float, reason: str) -> str:
    """Answer until when it holds; what holds the controller back needs no record to do so."""
    value, ends = _word(parts, seconds, reason)
    parts.store.put(record, value, expires=ends)
    try:
        _journal(parts).tell(_entry(record, value))
    except Fault as fault:
        fail(f"it is in force, but could not be recorded: {fault.message}")
    return str(value["until"])


def _word(parts: Parts, seconds: float, reason: str) -> tuple[dict[str, Json], float]:
    """Tell what is kept of a word, and when it ends."""
    ends = time.time() + seconds
    value: dict[str, Json] = {**identity(), "who": parts.who, "reason": reason}
    return {**value, "until": timestamp(ends)}, ends


def _entry(record: str, value: Mapping[str, Json]) -> dict[str, Json]:
    return {**_subject(record), "reason": value["reason"], "until": value["until"]}


def _subject(record: str) -> dict[str, Json]:
    said, _, resource = record.removeprefix("intent/").partition(":")
    if said == "release":
        resource = f"{Kind.CONNECTOR}/{resource}"
    return {"event": said, "resource": resource or "stage"}


def _journal(parts: Parts) -> Journal:
    return parts.journal_of(parts.who)


def _take_back(parts: Parts, record: str) -> bool:
    if record not in parts.store.load():
        return False
    subject = _subject(record)
    _journal(parts).tell({**subject, "event": f"un{subject['event']}"})
    parts.store.delete(record)
    return True


def accept(
    name: Annotated[str, typer.Argument(help="connector/x or topic/x")],
    risk: Annotated[str, typer.Argument(help="ordering, snapshot or data-loss")],
    action: Annotated[str, typer.Option(help="id of the held action, as `plan` prints it")],
    duration: Annotated[str, typer.Option("--for", help="such as 30m, 2h, 1d; 7d at most")],
    reason: Annotated[str, typer.Option(help="why; people will read it")],
    stage: StageOption = None,
) -> int:
    """Say that one held action is wanted in spite of its risk; it is used once."""
    key = resource_key(name)
    seconds = parse_duration(duration)
    if risk not in [str(one) for one in ACCEPTABLE]:
        raise typer.BadParameter(f"{risk!r} is no risk: ordering, snapshot or data-loss")
    if not ACTION_ID.fullmatch(action):
        raise typer.BadParameter(f"{action!r} is no id of an action: ten of 0-9 and a-f")
    if seconds > 7 * 86_400:
        raise typer.BadParameter("a word lasts seven days at most")
    parts = parts_for_people(stage)
    now = time.time()
    who: dict[str, Json] = {**identity(), "who": parts.who}
    value: dict[str, Json] = {**who, "risk": risk, "reason": reason, "at": now}
    ends = now + seconds
    until = timestamp(ends)
    told: dict[str, Json] = {"event": "accept", "resource": str(key), "action": action}
    _journal(parts).tell({**told, "risk": risk, "reason": reason, "until": until})
    parts.store.put(accept_record(key, action), value, expires=ends)
    print(f"action {action} of {key} is accepted for {duration}; see `wmsctl status`")
    return FINE


def probe(
    name: Annotated[str, typer.Argument(help="the connector, or the secret of its login")],
    stage: StageOption = None,
) -> int:
    """Let the controller try a login again that was refused or doubtful."""
    parts = parts_for_people(stage)
    name = name.removeprefix("connector/").removeprefix("secret/")
    value: dict[str, Json] = {**identity(), "who": parts.who}
    _journal(parts).tell({"event": "probe", "resource": name})
    parts.store.put(probe_intent_record(name), value, expires=time.time() + 3600)
    print(f"the login of {name} is tried once more in the next cycle; see `wmsctl status`")
    return FINE
