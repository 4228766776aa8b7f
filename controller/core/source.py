"""What a connector's offsets belong to: the database, the slot and the tables that it read last.

Remembered while it reads: deleted and created again it finds the same offsets, whatever it is told
to read then.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterator, Mapping
from typing import Final

from controller.core.action import Action, Remember
from controller.core.canonical import canonical
from controller.core.danger import CHANGED, MOVED, danger_of_change
from controller.core.decision import Act, Risk, Stall
from controller.core.diff import Change, Diff
from controller.core.identity import explain_tables
from controller.core.model import DesiredConnector, Json, ObservedConnector, Records
from controller.core.risk import TABLES
from controller.core.secret_path import without_versions

IMMUTABLE: Final = (
    "connector.class",
    "topic.prefix",
    "schema.history.internal.kafka.topic",
    "database.dbname",
    "database.pdb.name",
)
FIELDS: Final = frozenset({*IMMUTABLE, *CHANGED, *TABLES})


def source_record(name: str) -> str:
    return f"source/{name}"


def source_of(config: Mapping[str, str]) -> dict[str, Json]:
    """Tell what is remembered of a config; what is unset is told, too."""
    return {"fields": {key: _told(key, config.get(key)) for key in sorted(FIELDS)}}


def _told(key: str, value: str | None) -> str | None:
    if value is None:
        return None
    text = without_versions(canonical(key, value))
    if key.endswith(".url"):  # somebody may have written a password into it
        return f"sha256:{hashlib.sha256(text.encode()).hexdigest()[:16]}"
    return text


def is_reading(observed: ObservedConnector) -> bool:
    working = any(task.state == "RUNNING" for task in observed.tasks)
    return working and observed.state == "RUNNING"


def remember_source(name: str, diff: Diff, config: Mapping[str, str]) -> tuple[Remember, ...]:
    """Keep what a person accepts to be read from now on, so that it is asked once."""
    if not any(change.field in FIELDS for change in diff):
        return ()
    return (Remember(source_record(name), source_of(config)),)


def moved_source(
    name: str, config: Mapping[str, str], ignore: Collection[str], records: Records
) -> Diff:
    """List what its offsets do not belong to; nothing where that is not remembered."""
    record = records.get(source_record(name))
    before = record.value.get("fields") if record is not None else None
    if not isinstance(before, dict):
        return ()
    known = sorted(FIELDS.intersection(before).difference(ignore))
    changes = (Change(key, _text(before[key]), _told(key, config.get(key))) for key in known)
    moved = (change for change in changes if change.before != change.after)
    return tuple(Change(c.field, c.before, config.get(c.field)) for c in moved if _matters(c))


def _text(value: Json) -> str | None:
    return None if value is None else str(value)


def _matters(change: Change) -> bool:
    told = danger_of_change(change.field, change.before, change.after)
    return told is not None or change.field not in CHANGED


def hold_moved(desired: DesiredConnector, starts: tuple[Action, ...], moved: Diff) -> Stall:
    """Hold what would go on from offsets that belong to something else."""
    name = desired.manifest.name
    losses = tuple(_losses(moved))
    tables = _explain_tables(moved, desired)
    held = Act(
        (*starts, *remember_source(name, moved, desired.config)),
        "Resume",
        f"the offsets of connector {name} are those of another source",
        moved,
        risk=Risk.DATA_LOSS if losses else Risk.SNAPSHOT,
        consequence="; ".join(losses or ("the new tables may lack what is there already",)),
    )
    if not losses:
        told = f"since its offsets were written: {tables}; a person must accept that"
        return Stall("TablesChanged", told, moved, held)
    fields = ", ".join(change.field for change in moved)
    told = (
        f"{fields}: {held.message}, and it would go on from there: {held.consequence}; a person "
        f"must accept that, or delete them (DELETE /connectors/{name}/offsets)"
    )
    return Stall("AcceptanceRequired", f"{told}. Also, {tables}" if tables else told, moved, held)


def _losses(moved: Diff) -> Iterator[str]:
    sentences = (
        danger_of_change(change.field, change.before, change.after) or MOVED
        for change in moved
        if change.field not in TABLES
    )
    return iter(dict.fromkeys(sentences))


def _explain_tables(moved: Diff, desired: DesiredConnector) -> str:
    tables = tuple(change for change in moved if change.field in TABLES)
    return explain_tables(tables, desired.config, drift=False) if tables else ""
