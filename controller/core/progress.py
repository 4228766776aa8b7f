"""How far a connector has come, by its committed offsets; no row is read for that."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final, TypeAlias

from controller.core.model import Json, Offsets, Unknown

Position: TypeAlias = "tuple[tuple[str, int], ...]"  # what it counts -> how far, sorted

OFTEN, SELDOM = 5.0, 60.0  # seconds between two readings of what is ill, of what is well
_NUMBER: Final = re.compile(r"\d{1,30}")
# Of each redo thread one entry: SCN, thread, and after them the transactions that were written.
_COMMIT_SCN: Final = re.compile(r"(\d{1,30}):(\d{1,9})(?::[\w-]*)*")
_COUNTED: Final = (
    "scn",  # Oracle; a number that no float holds
    "snapshot_scn",
    "lsn",  # PostgreSQL
    "lsn_proc",
    "lsn_commit",
    "ts_usec",
    "ts_ms",
    "ts_sec",
    "pos",
    "transaction_id",
    "event_serial_no",
)


@dataclass(frozen=True, slots=True)
class Progress:
    """What the newest reading showed, and when one last differed from the one before it."""

    offsets: Offsets
    read_at: float  # seconds since the epoch
    first_at: float  # of the first reading since it moved, or since we look
    moved_at: float | None = None  # None: not yet, as far as we saw


def advance(before: Progress | None, offsets: Offsets, now: float) -> Progress:
    """Take a new reading."""
    if before is None:
        return Progress(offsets, now, now)
    if positions(before.offsets) == positions(offsets):
        return Progress(offsets, now, before.first_at, before.moved_at)
    return Progress(offsets, now, now, now)


def positions(offsets: Offsets) -> Mapping[str, Position]:
    """Answer how far each source partition has come, in integers."""
    return {_partition(entry): tuple(sorted(_counts(entry.get("offset")))) for entry in offsets}


def resume_scn(offsets: Offsets) -> int | None:
    """Answer the SCN that an Oracle connector goes on from.

    Not that of its newest commits: a redo thread that is closed keeps its last one for ever.
    """
    found = (dict(_counts(entry.get("offset"))).get("scn") for entry in offsets)
    return min((scn for scn in found if scn is not None), default=None)


def _partition(entry: Mapping[str, Json]) -> str:
    partition = entry.get("partition")
    if not isinstance(partition, dict):
        return ""
    return ",".join(f"{key}={partition[key]}" for key in sorted(partition))


def _counts(offset: Json) -> Iterator[tuple[str, int]]:
    if not isinstance(offset, dict):
        return
    for name in _COUNTED:
        number = _integer(offset.get(name))
        if number is not None:
            yield name, number
    commits = offset.get("commit_scn")
    if isinstance(commits, str):
        for entry in commits[:10_000].split(","):
            match = _COMMIT_SCN.fullmatch(entry.strip())
            if match:
                yield f"commit_scn.{int(match[2])}", int(match[1])
            elif (plain := _integer(entry.strip())) is not None:
                yield "commit_scn.0", plain


def _integer(value: Json) -> int | None:
    if isinstance(value, bool):
        return None
    if isinstance(value, int):
        return value
    if isinstance(value, str) and _NUMBER.fullmatch(value):
        return int(value)
    return None


# --- whether it is well again -----------------------------------------------------------------

SLACK: Final = 15.0  # seconds; a loop tries again each ten, so a later move is not of before it
QUIET: Final = 60.0  # seconds without a line of it are the end of a loop
_WAITS: Final = ("retriable.restart.connector.wait.ms", "errors.retry.delay.max.ms")


def well_at(progress: Progress | Unknown | None, config: Mapping[str, str]) -> float | None:
    """Tell before when everything that its worker said of one that runs is over.

    Its offsets moved some time after the line; or it stays quiet for several of its own pauses, and
    the worker is able to answer for its offsets.
    """
    if not isinstance(progress, Progress):
        return None
    waits = [number / 1000 for key in _WAITS if (number := _integer(config.get(key))) is not None]
    quiet = max(QUIET, *(3 * wait for wait in waits)) if waits else QUIET
    moved = progress.moved_at
    return max(progress.read_at - quiet, moved - SLACK if moved is not None else 0.0)
