"""`wmsctl offsets`: see, keep and put back how far a connector has read."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from threading import Event
from typing import Annotated, Any

import typer

from controller.bootstrap import Parts, build, build_for_people
from controller.cli_options import parts_for_people
from controller.console import fail
from controller.core.cluster import first_seen, refusals_of_cluster
from controller.core.decision import Risk
from controller.core.faults import Fault
from controller.core.hold import TEARING_DOWN_RECORD
from controller.core.memory import BIRTH_RECORD
from controller.core.model import Json, connector_key
from controller.core.offsets import (
    Move,
    Place,
    exported,
    moves_of,
    refusals_of_connector,
    refusals_of_file,
    restore_id,
)
from controller.core.risk import worst
from controller.journal import Journal
from controller.kept_offsets import kept_offsets
from controller.leader_view import is_silent
from controller.restore_by_table import Asking
from controller.settings import BadSetting, read_settings
from controller.status_document import read_status
from controller.this_process import identity
from controller.timestamp import timestamp

FINE, FAULT, CHANGES = 0, 1, 2

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    rich_markup_mode=None,
    help="How far a connector has read: see it, keep it, put it back.",
)

NameArgument = Annotated[str, typer.Argument(help="the connector's name")]
StageOption = Annotated[str | None, typer.Option("--stage", "-s", help="WMS_STAGE")]


@app.command()
def show(name: NameArgument, stage: StageOption = None) -> int:
    """Print the offsets of now; without Connect, the newest that are kept."""
    print(json.dumps(_now(_reach(name, stage)), indent=2))
    return FINE


@app.command()
def export(
    name: NameArgument,
    file: Annotated[Path | None, typer.Argument(help="a new file; else standard output")] = None,
    stage: StageOption = None,
    kept: Annotated[
        int, typer.Option(min=0, help="one that `kept` lists, by its number; 0 is now")
    ] = 0,
) -> int:
    """Write the offsets of now, or kept ones, with where and when, for `restore`."""
    reach = _reach(name, stage)
    document = _now(reach) if kept == 0 else _numbered(reach, kept)
    if file is None:
        print(json.dumps(document, indent=2))
        return FINE
    _write(file, document)
    print(f"the offsets of {reach.connector} are in {file}")
    return FINE


@app.command("export-all")
def export_all(
    folder: Annotated[Path, typer.Argument(help="a new folder, one file for each connector")],
    stage: StageOption = None,
) -> int:
    """Write the newest kept offsets of every connector: what a deploy keeps before a step."""
    parts = parts_for_people(stage)
    documents = {name: kept[-1] for name, kept in kept_offsets(parts.store).items() if kept}
    if not documents and BIRTH_RECORD in parts.store.load():
        raise BadSetting(f"no offsets of stage {parts.stage.name} are kept, though it has run")
    _make(folder)
    for name, document in sorted(documents.items()):
        _write(folder / f"{name}.json", document)
        print(f"the offsets of {name}, of {document['at']}, are in {folder / name}.json")
    if not documents:
        print(f"stage {parts.stage.name} has never run: there are no offsets to keep")
    return FINE


@app.command("kept")
def list_kept(name: NameArgument, stage: StageOption = None) -> int:
    """List the offsets that were seen lately, the newest last and numbered 1."""
    found = _kept(_reach(name, stage))
    for number, entry in zip(range(len(found), 0, -1), found, strict=True):
        print(f"{number}\t{entry.get('at')}\t{json.dumps(entry.get('offsets'))}")
    return FINE


def _numbered(reach: _Reach, number: int) -> dict[str, Any]:
    found = _kept(reach)
    if number > len(found):
        raise BadSetting(f"{len(found)} are kept: `wmsctl offsets kept` numbers them")
    return found[-number]


def _kept(reach: _Reach) -> list[dict[str, Any]]:
    found = [one for one in kept_offsets(reach.parts.store).get(reach.connector, []) if one]
    if not found:
        raise BadSetting(
            f"no offsets of {reach.connector} are kept: the controller keeps those that it sees, "
            "one a minute at most"
        )
    return found


def _now(reach: _Reach) -> dict[str, Any]:
    """Ask Connect; from where it is out of reach, take what the leader kept last, and say so."""
    parts = reach.parts
    if not reach.by_table:
        at = timestamp(parts.clock.now())
        return exported(reach.place(), parts.connect.offsets(reach.connector), at)
    newest = _kept(reach)[-1]
    fail(
        "Connect is out of reach from here, so these are the newest offsets that the leader kept, "
        f"of {newest['at']}"
    )
    return newest


@app.command()
def restore(
    name: NameArgument,
    file: Annotated[Path, typer.Argument(help="what `export` wrote")],
    accept: Annotated[str | None, typer.Option(help="the id that this command prints")] = None,
    reason: Annotated[str, typer.Option(help="why; people will read it")] = "",
    stage: StageOption = None,
) -> int:
    """Put exported offsets back; the connector must be STOPPED, and a person must accept it."""
    reach, document = _reach(name, stage), _read(file)
    if reach.by_table:
        return _ask(reach, file, document, accept, reason)
    parts, place = reach.parts, reach.place()
    refusals = [*refusals_of_file(document, place), *_refusals_here(parts, place)]
    if refusals:
        return _refuse(file, refusals)
    moves = moves_of(parts.connect.offsets(place.connector), document["offsets"])
    ident, risk = restore_id(place, moves), worst(move.risk for move in moves)
    for move in moves:
        print("\n".join(move.lines()))
    if all(move.direction == "same" for move in moves):
        print("The offsets are these already.")
        return FINE
    print(f"risk {risk}; to accept exactly this: --accept {ident}")
    if not _accepted(place, accept, ident):
        return CHANGES if accept is None else FAULT
    return _restore(parts, place, moves, ident, risk, reason)


@app.command()
def cancel(name: NameArgument, stage: StageOption = None) -> int:
    """Take back what `restore` asked of the leader and nobody has accepted yet."""
    connector = name.removeprefix("connector/")
    if not _asking(parts_for_people(stage), connector).cancel():
        fail(f"nobody asked that offsets of {connector} be put back")
        return FAULT
    print(f"the offsets of {connector} stay as they are")
    return FINE


def _refuse(file: Path, refusals: Iterable[str]) -> int:
    for refusal in refusals:
        fail(f"{file}: {refusal}" if refusal.startswith("it") else refusal)
    return FAULT


def _ask(reach: _Reach, file: Path, document: Any, accept: str | None, reason: str) -> int:
    """Ask the leader for what nobody can do from here; it refuses what it would refuse there."""
    parts, name = reach.parts, reach.connector
    place = Place(parts.stage.name, _born_on(parts, document), name)
    refusals = list(refusals_of_file(document, place))
    if refusals:
        return _refuse(file, refusals)
    fail("Connect is out of reach from here, so the leader is asked")
    asking = _asking(parts, name)
    answer = asking.ask(document, reason)
    if answer.done:
        print("The offsets are these already.")
        return FINE
    if answer.action is None:
        fail(f"{answer.reason}: {answer.message}")
        return FAULT
    for change in answer.changes:
        print(f"{change['field']}\n  from {change['before']}\n  to   {change['after']}")
    print(answer.consequence)
    print(f"risk {answer.risk}; to accept exactly this: --accept {answer.action}")
    if not _accepted(place, accept, answer.action):
        return CHANGES if accept is None else FAULT
    return _tell_end(name, asking.accept(answer, reason))


def _tell_end(name: str, event: Mapping[str, Any]) -> int:
    if event.get("outcome") != "done":
        fail(f"{event.get('outcome')}: {event.get('fault')}; see `wmsctl history {name}`")
        return FAULT
    print(f"the offsets of {name} are restored by the leader; it is still STOPPED")
    return FINE


def _born_on(parts: Parts, document: Any) -> str:
    """Answer the cluster of the birth record; before there is one the leader alone can tell."""
    given = document.get("clusterId") if isinstance(document, dict) else None
    return first_seen(parts.store.load()) or str(given)


def _asking(parts: Parts, connector: str) -> Asking:
    return Asking(
        parts.store,
        parts.clock,
        parts.journal_of(parts.who),
        {**identity(), "who": parts.who},
        connector,
        status=lambda: _status(parts),
        pause=lambda seconds: Event().wait(seconds),
    )


def _status(parts: Parts) -> Mapping[str, Any]:
    """Read what the leader left; what cannot be read now may be in a moment."""
    try:
        return read_status(parts)[0]
    except Fault:
        return {}


def _restore(
    parts: Parts, place: Place, moves: tuple[Move, ...], ident: str, risk: Risk, reason: str
) -> int:
    """Record it, write it once, and record how it ended."""
    journal = Journal(parts.store, parts.clock, parts.who, scrub=parts.scrubber.scrub)
    changes: list[Json] = [line for move in moves for line in move.lines()]
    begun = journal.tell(
        {
            "event": "begun",
            "resource": str(connector_key(place.connector)),
            "action": "RestoreOffsets",
            "cluster": place.cluster,
            "risk": str(risk),
            "accepted": ident,
            "reason": reason or "no reason given",
            "changes": changes,
        }
    )
    entries = [{"partition": move.partition, "offset": move.after} for move in moves]
    try:
        parts.connect.alter_offsets(place.connector, entries)
    except Fault as fault:
        journal.end(begun, (), fault, 1)
        raise
    journal.end(begun, ("RestoreOffsets",), None, 1)
    print(f"the offsets of {place.connector} are restored; it is still STOPPED")
    return FINE


def _accepted(place: Place, accept: str | None, ident: str) -> bool:
    if accept is not None:
        if accept != ident:
            fail(f"--accept {accept} is for something else: what would be done now is {ident}")
        return accept == ident
    if not sys.stdin.isatty():
        return False
    typed: str = typer.prompt(f"type {place.connector} to restore its offsets")
    return typed == place.connector


def _refusals_here(parts: Parts, place: Place) -> list[str]:
    records = parts.store.load()
    found = list(refusals_of_cluster(place.cluster, parts.revision_if_good(), records))
    if TEARING_DOWN_RECORD in records:
        found.append("the stage is being torn down")
    observed = parts.connect.observe([place.connector]).get(connector_key(place.connector))
    return [*found, *refusals_of_connector(observed, parts.stage.mark)]


@dataclass(frozen=True, slots=True)
class _Reach:
    """One connector, and how it is reached from here."""

    parts: Parts
    connector: str
    by_table: bool  # Connect is out of reach

    def place(self) -> Place:
        return Place(self.parts.stage.name, self.parts.connect.cluster_id(), self.connector)


def _reach(name: str, stage: str | None) -> _Reach:
    settings, connector = read_settings(stage=stage), name.removeprefix("connector/")
    people = build_for_people(settings)
    if people.settings.state_table and is_silent(settings.connect_url):
        return _Reach(people, connector, by_table=True)
    return _Reach(build(settings, settle=0.0), connector, by_table=False)


def _make(folder: Path) -> None:
    try:
        folder.mkdir(parents=True)
    except OSError as error:
        raise BadSetting(f"{folder} cannot be made: {error.strerror}") from error


def _write(file: Path, document: Mapping[str, Any]) -> None:
    try:
        with file.open("x", encoding="utf-8") as out:
            out.write(json.dumps(document, indent=2) + "\n")
    except OSError as error:
        raise BadSetting(f"{file} cannot be written: {error.strerror}") from error


def _read(file: Path) -> Any:
    try:
        return json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise BadSetting(f"{file} cannot be read: {error}") from error
