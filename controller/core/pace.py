"""How often and how soon: repairs per hour, bounces of one task, and the delay before a repair.

    drift/{key}  since when the resource differs from a generation already applied
    pace/{key}   when it was repaired and when its task was bounced within the last hour

Both are put into the store, so that a new process neither starts the delay again nor gets a new
budget. A new generation begins both anew. Every act that bounces a task draws on one budget, also
a rotation and a restart, though a rotation is never refused by it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from controller.core.action import PutConfig, Remember, Restart, Resume, Stop, is_own
from controller.core.decision import Act, Difference
from controller.core.model import Json, Records, ResourceKey

HOUR: Final = 3600.0
_BOUNCING: Final = (PutConfig, Restart, Resume, Stop)


@dataclass(frozen=True, slots=True)
class Pace:
    """What was done to one generation of a resource within the last hour, oldest first."""

    key: ResourceKey
    generation: str
    repairs: tuple[float, ...] = ()
    bounces: tuple[float, ...] = ()


def pace_record(key: ResourceKey) -> str:
    return f"pace/{key}"


def drift_record(key: ResourceKey) -> str:
    return f"drift/{key}"


def read_pace(records: Records, key: ResourceKey, generation: str, now: float) -> Pace:
    """Answer an empty pace for a generation that nothing was done for yet."""
    record = records.get(pace_record(key))
    if record is None or record.value.get("generation") != generation:
        return Pace(key, generation)
    value = record.value
    return Pace(key, generation, _times(value, "repairs", now), _times(value, "bounces", now))


def bounces(records: Records, key: ResourceKey, now: float) -> tuple[float, ...]:
    """Tell when a connector's task was bounced within the last hour, whatever the generation."""
    record = records.get(pace_record(key))
    return () if record is None else _times(record.value, "bounces", now)


def bounces_task(act: Act) -> bool:
    """Whether it stops or starts a task; once for all its actions together."""
    return any(isinstance(action, _BOUNCING) for action in act.actions)


def is_repair(act: Act) -> bool:
    """Whether it undoes what somebody changed on a generation already applied."""
    return act.difference is Difference.DRIFT and not all(is_own(a) for a in act.actions)


def stamp(act: Act, pace: Pace, now: float, limit: int) -> tuple[Remember, ...]:
    """Answer what is remembered before the act, so that a crash in it counts too."""
    repair, bounce = is_repair(act), bounces_task(act)
    if not repair and not bounce:
        return ()
    value: dict[str, Json] = {
        "generation": pace.generation,
        "repairs": [*pace.repairs, *((now,) if repair else ())][-limit:],
        "bounces": [*pace.bounces, *((now,) if bounce else ())][-limit:],
    }
    return (Remember(pace_record(pace.key), value, expires=now + HOUR),)


def _times(value: Mapping[str, Json], name: str, now: float) -> tuple[float, ...]:
    """Answer the times within the hour; one that lies ahead is of a clock that was put back."""
    listed = value.get(name)
    times = listed if isinstance(listed, list) else []
    found = (float(t) for t in times if isinstance(t, int | float) and not isinstance(t, bool))
    return tuple(sorted(min(time, now) for time in found if time > now - HOUR))
