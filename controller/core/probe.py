"""When a database login is tried, and what its outcomes add up to.

A wrong password locks an account after some failed logins, and since Debezium 3.5 a connector with
one tries every ten seconds. So a version is tried before a connector gets it, at most
`FAILED_LOGINS` times, and a refusal is kept until a person or a new version ends it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, TypeAlias

from controller.core.backoff import Backoff
from controller.core.model import Json, ProbeMode, ProbeOutcome, Records, VersionKey

FAILED_LOGINS: Final = 2
REPEAT: Final = Backoff(base=2.0, factor=2.0, cap=900.0)


@dataclass(frozen=True, slots=True)
class Proved:
    """The version may be used."""


@dataclass(frozen=True, slots=True)
class Refused:
    """The database said no; only a new version or a person changes that."""

    message: str


@dataclass(frozen=True, slots=True)
class ProbeDue:
    """It is time to try, the so-manieth attempt."""

    attempt: int


@dataclass(frozen=True, slots=True)
class ProbeLater:
    """Inconclusive so far; tried again at `at`."""

    at: float
    outcome: ProbeOutcome
    message: str


@dataclass(frozen=True, slots=True)
class ProbeSpent:
    """Two logins may have failed; a third is a person's decision."""

    message: str


ProbeState: TypeAlias = "Proved | Refused | ProbeDue | ProbeLater | ProbeSpent"


def probe_record(version: VersionKey, address: str) -> str:
    return f"stamp/probe:{version}@{address}"


def bad_record(version: VersionKey, address: str) -> str:
    return f"badVersion/{version}@{address}"


def read_probe(
    records: Records, version: VersionKey, address: str, mode: ProbeMode, now: float
) -> ProbeState:
    """Answer what is known of a version's login at an address, and whether to try it now."""
    bad = records.get(bad_record(version, address))
    if bad is not None:
        return Refused(str(bad.value.get("message", "")))
    if mode is ProbeMode.OFF:
        return Proved()
    stamp = records.get(probe_record(version, address))
    if stamp is None:
        return ProbeDue(1)
    return _judge(stamp.value, mode, now)


def _judge(value: Mapping[str, Json], mode: ProbeMode, now: float) -> ProbeState:
    stamp = _Stamp.read(value)
    if stamp.outcome is ProbeOutcome.ACCEPTED:
        return Proved()
    if stamp.outcome is ProbeOutcome.REFUSED:  # the mark that says so may never have been written
        return Refused(stamp.message)
    if stamp.failures >= FAILED_LOGINS:
        return ProbeSpent(stamp.message)
    if stamp.outcome is None:  # stamped and never finished: it counted as a failed login
        return ProbeDue(stamp.attempts + 1)
    if mode is ProbeMode.ADVISORY:
        return Proved()
    at = stamp.at + REPEAT.delay(stamp.attempts, jitter=1.0)
    if now >= at:
        return ProbeDue(stamp.attempts + 1)
    return ProbeLater(at, stamp.outcome, stamp.message)


def stamp_before(
    records: Records, version: VersionKey, address: str, now: float
) -> dict[str, Json]:
    """Answer the record to be put before a login: a crash leaves it counted as failed."""
    stored = records.get(probe_record(version, address))
    before = _Stamp.read(stored.value if stored else {})
    return {
        "attempts": before.attempts + 1,
        "failures": before.failures + 1,
        "at": now,
        "outcome": None,
        "message": "a login was started and its outcome never recorded",
    }


def stamp_after(
    before: Mapping[str, Json], outcome: ProbeOutcome, message: str, now: float
) -> dict[str, Json]:
    """Answer the record to be put after it: what surely was no failed login is not counted."""
    counted = outcome in (ProbeOutcome.REFUSED, ProbeOutcome.DOUBTFUL)
    failures = _number(before.get("failures"))
    return {
        **before,
        "failures": int(failures if counted else failures - 1),
        "at": now,
        "outcome": str(outcome),
        "message": message,
    }


def count_worker(
    records: Records, version: VersionKey, address: str, *, tried: int, message: str, now: float
) -> dict[str, Json]:
    """Answer the record of a login that the worker was refused so many times; it proves nothing."""
    stored = records.get(probe_record(version, address))
    before = _Stamp.read(stored.value if stored else {})
    return {
        "attempts": before.attempts,
        "failures": before.failures + tried,
        "at": now,
        "outcome": None,
        "message": f"the worker was refused: {message}",
    }


def count_look(before: Mapping[str, Json]) -> dict[str, Json]:
    """Answer the record of a proved login that was refused when the database was looked at.

    It counts as a failed one. What uses the version may go on; no look is tried with it again.
    """
    return {**before, "failures": int(_number(before.get("failures"))) + 1, "lookRefused": True}


def look_refused(records: Records, version: VersionKey, address: str) -> bool:
    stamp = records.get(probe_record(version, address))
    return stamp is not None and bool(stamp.value.get("lookRefused"))


@dataclass(frozen=True, slots=True)
class _Stamp:
    attempts: int
    failures: int
    at: float
    outcome: ProbeOutcome | None
    message: str

    @classmethod
    def read(cls, value: Mapping[str, Json]) -> _Stamp:
        outcome = value.get("outcome")
        return cls(
            attempts=int(_number(value.get("attempts"))),
            failures=int(_number(value.get("failures"))),
            at=_number(value.get("at")),
            outcome=ProbeOutcome(str(outcome)) if outcome else None,
            message=str(value.get("message") or ""),
        )


def _number(value: Json) -> float:
    return float(value) if isinstance(value, int | float) else 0.0
