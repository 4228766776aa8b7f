"""How long a connector has given no sign of life, of all that it would give while it captures.

Heartbeats come while no table changes. They may not during a snapshot, whose rows are signs too.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from controller.core.lag import Lag, Sign
from controller.core.model import ObservedConnector
from controller.core.progress import Progress
from controller.core.snapshot_phase import has_ended
from controller.core.world import World

SILENT_LIMIT: Final = 600.0  # seconds
_BEATS_MISSED: Final = 3.0
_HEARTBEAT_KEY: Final = "heartbeat.interval.ms"


def heartbeat_interval(observed: ObservedConnector) -> float:
    """Answer it in seconds; 0 for one that writes none."""
    told = observed.config.get(_HEARTBEAT_KEY, "0")
    return int(told) / 1000 if told.isascii() and told.isdigit() else 0.0


def silent_for(observed: ObservedConnector, world: World) -> float | None:
    """Tell for how many seconds nothing came, once that is longer than it may be."""
    name, every = observed.key.name, heartbeat_interval(observed)
    lag, seen = world.lag.lags.get(name), world.progress.get(name)
    if lag is None or not every or not lag.seen & {Sign.HEARTBEAT, Sign.RECORDS}:
        return None  # nobody looked, or nothing is to be seen
    if isinstance(seen, Progress) and seen.offsets and not has_ended(seen.offsets):
        return None  # a snapshot, of which a table may take long to answer
    silent = min(_ages(name, lag, world), default=0.0)
    return silent if silent >= max(SILENT_LIMIT, _BEATS_MISSED * every) else None


def _ages(name: str, lag: Lag, world: World) -> Iterator[float]:
    """List how old each sign is; a task that was started lately is one."""
    yield world.now - world.states_since.get(name, world.now)
    seen = world.progress.get(name)
    if isinstance(seen, Progress) and seen.moved_at is not None:
        yield world.now - seen.moved_at
    ages = (lag.heartbeat_age, *(topic.age for topic in lag.topics.values()))
    yield from (age for age in ages if age is not None)
