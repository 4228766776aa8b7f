"""What one cycle saw, planned and did."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from controller.apply import Outcome
from controller.core.condition import Condition, ConditionType
from controller.core.faults import Fault
from controller.core.idle import Idle, ending, ends_soon
from controller.core.model import ResourceKey, Unknown
from controller.core.plan import Plan
from controller.core.world import World


@dataclass(frozen=True, slots=True)
class CycleReport:
    """What one cycle saw, planned and did."""

    number: int
    world: World
    plan: Plan
    outcomes: tuple[Outcome, ...]
    conditions: Mapping[ResourceKey, Mapping[ConditionType, Condition]]
    faults: tuple[tuple[str, Fault], ...]
    seconds: float
    idle: tuple[Idle, ...] = ()  # why something is not done, each since it is so

    @property
    def acted(self) -> bool:
        """Whether something moved, so that there is more to see at once."""
        return any(outcome.moved for outcome in self.outcomes)

    @property
    def complete(self) -> bool:
        """Whether every system was really looked at."""
        unknown = (self.world.stored, self.world.disk, self.world.cluster_id)
        return (
            self.world.revision is not None
            and self.world.topics.complete
            and self.world.connectors.complete
            and not any(isinstance(seen, Unknown) for seen in unknown)
            and not any(isinstance(s, Unknown) for s in self.world.secrets.values())
        )

    @property
    def result(self) -> str:
        return "faulted" if self.faults or any(o.fault for o in self.outcomes) else "ok"


def ending_soon(report: CycleReport) -> Iterator[str]:
    """Tell which suspensions, and whether the freeze, will be over in a moment."""
    yield from (ending(one) for one in report.idle if ends_soon(one, report.world.now))
