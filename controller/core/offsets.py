"""What an exported position means against the one of now, and whether it may be put back."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from controller.core.decision import Risk
from controller.core.model import Absent, Json, ObservedConnector, Offsets, Unknown
from controller.core.stage import MARK_KEY

FORMAT: Final = 1
_COUNTED: Final = ("scn", "lsn", "position")  # Oracle, PostgreSQL, the file source
_SAYS: Final[Mapping[str, tuple[Risk, str]]] = {
    "same": (Risk.NONE, "the same position: nothing changes"),
    "older": (
        Risk.SNAPSHOT,
        (
            "older: what came since is read again and its records are written twice; if the "
            "database has not kept its log from there on, the connector fails or takes a snapshot"
        ),
    ),
    "newer": (
        Risk.DATA_LOSS,
        "newer: the changes between the two are skipped and are never captured",
    ),
    "unknown": (
        Risk.DATA_LOSS,
        "which of the two is newer cannot be told: changes may be skipped and never be captured",
    ),
}


@dataclass(frozen=True, slots=True)
class Place:
    """Where offsets belong; those of another place are never restored here."""

    stage: str
    cluster: str
    connector: str


@dataclass(frozen=True, slots=True)
class Move:
    """One partition of the source: from which position to which."""

    partition: Json
    before: Json
    after: Json

    @property
    def direction(self) -> str:
        if self.before == self.after:
            return "same"
        before, after = _position(self.before), _position(self.after)
        if before is None or after is None or before[0] != after[0] or before == after:
            return "unknown"
        return "older" if after[1] < before[1] else "newer"

    @property
    def risk(self) -> Risk:
        return _SAYS[self.direction][0]

    @property
    def sentence(self) -> str:
        return _SAYS[self.direction][1]

    def lines(self) -> Iterator[str]:
        yield f"partition {_text(self.partition)}"
        yield f"  from {_text(self.before) if self.before is not None else 'no position'}"
        yield f"  to   {_text(self.after)}"
        yield f"  {self.sentence}"


def exported(place: Place, offsets: Offsets, at: str) -> dict[str, Json]:
    return {
        "format": FORMAT,
        "stage": place.stage,
        "clusterId": place.cluster,
        "connector": place.connector,
        "at": at,
        "offsets": [dict(entry) for entry in offsets],
    }


def refusals_of_file(document: Any, place: Place) -> Iterator[str]:
    """Say all that speaks against restoring this file here."""
    if not isinstance(document, dict) or document.get("format") != FORMAT:
        yield "it is no file that `wmsctl offsets export` wrote"
        return
    for field, wanted in (
        ("stage", place.stage),
        ("clusterId", place.cluster),
        ("connector", place.connector),
    ):
        if document.get(field) != wanted:
            yield f"its {field} is {document.get(field)!r}, and here it is {wanted!r}"
    entries = document.get("offsets")
    if not isinstance(entries, list) or not entries:
        yield "it has no offsets"
    elif not all(_is_entry(entry) for entry in entries):
        yield "an entry of it is no pair of partition and offset"


def _is_entry(entry: object) -> bool:
    return (
        isinstance(entry, dict)
        and set(entry) == {"partition", "offset"}
        and all(isinstance(side, dict) and side for side in entry.values())
    )


def refusals_of_connector(
    observed: ObservedConnector | Absent | Unknown | None, mark: str
) -> Iterator[str]:
    """Say why nothing may be written to it as it stands now."""
    if not isinstance(observed, ObservedConnector):
        yield "the connector is not there, or Connect does not answer"
        return
    if observed.config.get(MARK_KEY) != mark:
        yield f"it does not carry this stage's mark ({MARK_KEY}: {mark})"
    if observed.state != "STOPPED":
        yield f"it is {observed.state}: stop it first (state: stopped, or PUT .../stop)"
    elif observed.tasks:
        yield "a task of it has not ended yet: try again in a moment"


def moves_of(now: Offsets, wanted: Sequence[Mapping[str, Json]]) -> tuple[Move, ...]:
    known = {_text(entry["partition"]): entry["offset"] for entry in now}
    return tuple(
        Move(entry["partition"], known.get(_text(entry["partition"])), entry["offset"])
        for entry in wanted
    )


def restore_id(place: Place, moves: Sequence[Move]) -> str:
    """Name this very change: from these positions to those, of that connector."""
    told = [place.stage, place.cluster, place.connector]
    text = _text([*told, *([move.partition, move.before, move.after] for move in moves)])
    return hashlib.sha256(text.encode()).hexdigest()[:10]


def _position(offset: Json) -> tuple[str, int] | None:
    if not isinstance(offset, dict):
        return None
    for key in _COUNTED:
        value = offset.get(key)
        if isinstance(value, int | str) and not isinstance(value, bool) and str(value).isdecimal():
            return key, int(value)
    return None


def _text(value: Any) -> str:
    return json.dumps(value, sort_keys=True)
