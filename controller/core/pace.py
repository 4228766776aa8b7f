"""How often and how soon: repairs per hour, bounces of one task, and the delay before a repair.

    drift/{key}          since when the resource differs from a generation already applied
    pace/{key}           when it was repaired and when its task was bounced within the last hour
    idle/{reason}/{key}  since when nothing is done for this reason; `stage` for all resources

All are put into the store, so that a new process neither starts the delay again nor gets a new
budget. A new generation begins both anew. Every act that bounces a task draws on one budget, also
a rotation and a restart, though a rotation is never refused by it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from controller.core.accept import USED_PREFIX
from controller.core.action import Forget, PutConfig, Remember, Restart, Resume, Stop, is_own
from controller.core.decision import Act, Difference
from controller.core.diff import Change, redact_value
from controller.core.model import Json, Records, ResourceKey

HOUR: Final = 3600.0
IDLE_SECTION: Final = "idle/"
MOST_SHOWN: Final = 6  # changes in one sentence
MOST_TEXT: Final = 100  # characters of one value
_ENDING: Final = (PutConfig, Restart, Stop)
_BOUNCING: Final = (*_ENDING, Resume)


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


def ends_task(act: Act) -> bool:
    """Whether a task that runs is told to stop; a resume begins where none is."""
    return any(isinstance(action, _ENDING) for action in act.actions)


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


def give_back(key: ResourceKey, before: Records, now: Records) -> tuple[Remember | Forget, ...]:
    """Take back what was stamped for an act that surely changed nothing."""
    name = pace_record(key)
    old, new = before.get(name), now.get(name)
    if new is None or (old is not None and old.value == new.value):
        return ()
    return (Forget(name),) if old is None else (Remember(name, old.value, expires=old.expires),)


def is_accepted(act: Act) -> bool:
    """Whether a person accepted this very act, which outranks the pace."""
    return any(isinstance(a, Remember) and a.key.startswith(USED_PREFIX) for a in act.actions)


def spent(act: Act, pace: Pace, limit: int) -> tuple[float, ...]:
    """Answer the times that leave no room in the hour for this act; () when there is room."""
    if is_repair(act) and len(pace.repairs) >= limit:
        return pace.repairs[-limit:]
    if bounces_task(act) and len(pace.bounces) >= limit:
        return pace.bounces[-limit:]
    return ()


def explain_spent(act: Act, pace: Pace, limit: int) -> str:
    """Say how often it was, and of a repair what each side wants."""
    if not is_repair(act) or len(pace.repairs) < limit:
        return (
            f"its task was bounced {len(pace.bounces)} times within an hour, by repairs, commits, "
            f"rotations and restarts together. {_sides(act)}"
        )
    return (
        f"repaired {len(pace.repairs)} times within an hour and different again: somebody else "
        f"writes it too. {_sides(act)}"
    )


def _sides(act: Act) -> str:
    if not is_repair(act) or not act.diff:
        return act.message
    more = f"; and {len(act.diff) - MOST_SHOWN} more" if len(act.diff) > MOST_SHOWN else ""
    return "; ".join(_side(change) for change in act.diff[:MOST_SHOWN]) + more


def _side(change: Change) -> str:
    """Print what the other side wants and what the manifest wants."""
    theirs, ours = (
        "is taken away" if side is None else f"is {redact_value(change.field, side)[:MOST_TEXT]}"
        for side in (change.before, change.after)
    )
    return f"{change.field} {theirs} by their hand and {ours} as declared"


def drift_since(records: Records, key: ResourceKey, generation: str, now: float) -> float | None:
    """Answer when the drift of this generation was first seen, if it is remembered."""
    record = records.get(drift_record(key))
    if record is None or record.value.get("generation") != generation:
        return None
    return _past(record.value.get("since"), now)


def idle_record(reason: str, key: ResourceKey | None) -> str:
    return f"{IDLE_SECTION}{reason}/{'stage' if key is None else key}"


def idle_since(records: Records, reason: str, key: ResourceKey | None, now: float) -> float | None:
    """Answer since when this reason is remembered for not acting."""
    record = records.get(idle_record(reason, key))
    return None if record is None else _past(record.value.get("since"), now)


def _past(since: Json, now: float) -> float | None:
    """Answer a time; one that lies ahead is of a clock that was put back, and is none."""
    return float(since) if isinstance(since, int | float) and since <= now else None


def was_held(records: Records, key: ResourceKey) -> bool:
    """Whether a person held it back when it was last looked at."""
    suspended = idle_record("Suspended", key) in records
    return suspended or idle_record("Frozen", None) in records


def _times(value: Mapping[str, Json], name: str, now: float) -> tuple[float, ...]:
    """Answer the times within the hour; one that lies ahead is of a clock that was put back."""
    listed = value.get(name)
    times = listed if isinstance(listed, list) else []
    found = (float(t) for t in times if isinstance(t, int | float) and not isinstance(t, bool))
    return tuple(sorted(min(time, now) for time in found if time > now - HOUR))
