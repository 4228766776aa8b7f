"""Who may write: one lease in the state store, judged by nobody's clock but one's own.

The holder counts from the start of its last renewal; another takes the lease only after it saw one
revision stand still for the whole term, so both count elapsed time and clocks need not agree.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final, TypeAlias

from controller.core.model import Json, Record

LEASE_RECORD: Final = "lease/leader"
SKEW_SECONDS: Final = 300.0  # what two clocks may differ by; a lease older than that is nobody's


@dataclass(frozen=True, slots=True)
class Terms:
    """How long a lease lasts, when it is renewed, and how much must be left for a write."""

    seconds: float = 30.0
    renew: float = 8.0
    margin: float = 16.0  # longer than any write may take


@dataclass(frozen=True, slots=True)
class Tenure:
    """What one process knows of the lease; all times are of its monotonic clock."""

    holder: str
    epoch: int = 0  # the holder's own while it is `mine`, else the newest seen
    mine: bool = False
    renewed_at: float = 0.0  # when the last renewal that succeeded was begun
    revision: int = 0  # of the record, as last seen
    seen_at: float = 0.0  # when that revision was first seen
    leader: str = ""  # who held it then


@dataclass(frozen=True, slots=True)
class Bid:
    """One conditional write; whoever is first with it holds the lease."""

    expected: int
    value: Mapping[str, Json]
    epoch: int


@dataclass(frozen=True, slots=True)
class Leave:
    """The lease is another's."""

    leader: str


Move: TypeAlias = "Bid | Leave"


def seconds_left(tenure: Tenure, terms: Terms, mono: float) -> float:
    """Tell how long the lease is surely ours."""
    return tenure.renewed_at + terms.seconds - mono if tenure.mine else 0.0


def may_write(tenure: Tenure, terms: Terms, mono: float) -> bool:
    return seconds_left(tenure, terms, mono) >= terms.margin


def renewal(tenure: Tenure, terms: Terms, now: float) -> Bid:
    """Go on with the lease that is ours, as we last saw it."""
    return _bid(tenure, terms, tenure.revision, tenure.epoch, now)


def look(
    tenure: Tenure, record: Record | None, terms: Terms, *, mono: float, now: float
) -> tuple[Tenure, Move]:
    """Judge the record as it is now: bid for it, or leave it to its holder and remember when."""
    if record is None:
        return tenure, _bid(tenure, terms, 0, tenure.epoch + 1, now)
    leader, epoch = str(record.value.get("holder") or ""), int(_number(record, "epoch"))
    if record.revision != tenure.revision:
        tenure = replace(
            tenure, revision=record.revision, seen_at=mono, leader=leader, epoch=epoch, mine=False
        )
    if leader == tenure.holder:  # a renewal whose answer was lost
        return tenure, _bid(tenure, terms, record.revision, epoch, now)
    if not leader or _stood_still(tenure, record, mono) or _is_old(record, now):
        return tenure, _bid(tenure, terms, record.revision, epoch + 1, now)
    return tenure, Leave(leader)


def won(tenure: Tenure, bid: Bid, revision: int, begun: float) -> Tenure:
    """Hold the lease from when the write was begun, not from when it was answered."""
    return replace(
        tenure,
        mine=True,
        epoch=bid.epoch,
        renewed_at=begun,
        revision=revision,
        seen_at=begun,
        leader=tenure.holder,
    )


def lost(tenure: Tenure) -> Tenure:
    """Another wrote it: look at the record before anything else."""
    return replace(tenure, mine=False, revision=0, leader="")


def released_value(tenure: Tenure) -> dict[str, Json]:
    """Keep the epoch in a lease that nobody holds, so that it only ever rises."""
    return {"holder": "", "epoch": tenure.epoch}


def _bid(tenure: Tenure, terms: Terms, expected: int, epoch: int, now: float) -> Bid:
    value: dict[str, Json] = {
        "holder": tenure.holder,
        "epoch": epoch,
        "seconds": terms.seconds,
        "at": now,
    }
    return Bid(expected, value, epoch)


def _stood_still(tenure: Tenure, record: Record, mono: float) -> bool:
    return mono - tenure.seen_at >= _number(record, "seconds")


def _is_old(record: Record, now: float) -> bool:
    return now - _number(record, "at") >= _number(record, "seconds") + SKEW_SECONDS


def _number(record: Record, name: str) -> float:
    found = record.value.get(name)
    return float(found) if isinstance(found, int | float) else 0.0
