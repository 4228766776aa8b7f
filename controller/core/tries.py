"""What was tried with a connector that failed, and when it may be tried again.

    restart/{connector}  what was tried since it was last well; put before each try

The first try comes at once, the next after 2, 6, 12, 20, ... minutes, at most an hour; it begins
anew once the connector was well for longer than the pause it had earned. All connectors of a
Connect cluster together get `MOST` tries in `WINDOW` seconds: their records are the budget, so a
process that is killed at any moment has counted what it may have done.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

from controller.core.action import Remember
from controller.core.model import Json, Record, Records

MINUTE: Final = 60.0
LONGEST: Final = 60  # minutes between two tries
MOST, WINDOW = 3, 300.0  # tries of one Connect cluster in so many seconds
KEPT: Final = 7 * 86_400.0
PENDING: Final = "pending"


@dataclass(frozen=True, slots=True)
class Tries:
    """What was tried with one connector since it was last well."""

    failure: str = ""
    since: float = 0.0  # when it was first seen ill
    count: int = 0
    times: tuple[float, ...] = ()  # of the newest tries, oldest first
    well_since: float | None = None
    outcome: str = ""  # of the newest try
    generation: str = ""  # in force when it was first seen ill, or at the newest try
    ahead: bool = False  # the record tells of the future: the clock was put back

    @property
    def next_at(self) -> float:
        """Answer before when it is not tried again."""
        return self.times[-1] + pause(self.count) if self.times else 0.0


def pause(count: int) -> float:
    """Answer how many seconds pass after so many tries in a row."""
    return min(count * count + count, LONGEST) * MINUTE


def restarts_record(name: str) -> str:
    return f"restart/{name}"


def read_tries(records: Records, name: str, now: float) -> Tries | None:
    """Answer None for a connector that was well when last seen."""
    record = records.get(restarts_record(name))
    return None if record is None else _tries(record, now)


def tried_lately(records: Records, now: float) -> tuple[float, ...]:
    """Tell when anything of this Connect cluster was restarted within the window."""
    found = (_tries(r, now) for key, r in records.items() if key.startswith("restart/"))
    return tuple(sorted(t for tries in found for t in tries.times if t > now - WINDOW))


def put_tries(name: str, tries: Tries, now: float) -> Remember:
    value: dict[str, Json] = {
        "failure": tries.failure,
        "since": tries.since,
        "count": tries.count,
        "times": [*tries.times[-MOST:]],
        "wellSince": tries.well_since,
        "outcome": tries.outcome,
        "generation": tries.generation,
    }
    return Remember(restarts_record(name), value, expires=now + KEPT)


def _tries(record: Record, now: float) -> Tries:
    """Read a record; a time that lies ahead is of a clock that was put back."""
    value = record.value
    listed = value.get("times")
    times = [_time(t, now) for t in _listed(listed)]
    well = value.get("wellSince")
    return Tries(
        failure=str(value.get("failure") or ""),
        since=_time(value.get("since"), now),
        count=max(0, int(_number(value.get("count")))),
        times=tuple(sorted(times)),
        well_since=None if well is None else _time(well, now),
        outcome=str(value.get("outcome") or ""),
        generation=str(value.get("generation") or ""),
        ahead=any(_number(t) > now for t in (value.get("since"), well, *_listed(listed))),
    )


def _listed(value: Json) -> list[Json]:
    return value if isinstance(value, list) else []


def _number(value: Json) -> float:
    return float(value) if isinstance(value, int | float) else 0.0


def _time(value: Json, now: float) -> float:
    return min(_number(value), now)


def try_resume(records: Records, name: str, failure: str, generation: str, now: float) -> Remember:
    """Count the resume of a connector that we stopped; to be put before it."""
    tries = read_tries(records, name, now) or Tries(since=now)
    return put_tries(name, once_more(tries, failure, generation, now), now)


def once_more(tries: Tries, failure: str, generation: str, now: float) -> Tries:
    return replace(
        tries,
        failure=failure,
        count=tries.count + 1,
        times=(*tries.times, now),
        well_since=None,
        outcome=PENDING,
        generation=generation,
    )


def times(count: int) -> str:
    return "restarted once" if count == 1 else f"restarted {count} times"


def tell_tries(tries: Tries) -> str:
    if not tries.count:
        return f"ill since {utc(tries.since)}, not restarted"
    told = f"{times(tries.count)}, last at {utc(tries.times[-1])}" if tries.times else ""
    if tries.well_since is not None:
        return f"{told}; well since {utc(tries.well_since)}"
    return f"{told}, next not before {utc(tries.next_at)}"


def utc(at: float) -> str:
    """Write the time of the day, to the second."""
    second = int(at) % 86_400
    return f"{second // 3600:02}:{second // 60 % 60:02}:{second % 60:02} UTC"
