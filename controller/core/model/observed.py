"""What was seen, what is not there, and what could not be looked at."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Generic, TypeAlias, TypeVar

from controller.core.faults import Fault
from controller.core.model.key import ResourceKey
from controller.core.model.record import Json

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Absent:
    """We looked and it is not there."""


@dataclass(frozen=True, slots=True)
class Unknown:
    """We could not look; nothing may be planned on this."""

    fault: Fault


ABSENT = Absent()


@dataclass(frozen=True, slots=True)
class Snapshot(Generic[T]):
    """One bulk observation; a failed one answers Unknown to everything it was asked for."""

    items: Mapping[ResourceKey, T | Absent | Unknown] = field(
        default_factory=lambda: MappingProxyType({})
    )
    fault: Fault | None = None

    def get(self, key: ResourceKey) -> T | Absent | Unknown:
        if self.fault is not None:
            return Unknown(self.fault)
        return self.items.get(key, ABSENT)

    @property
    def complete(self) -> bool:
        """Whether every item was really looked at."""
        return self.fault is None and not any(isinstance(i, Unknown) for i in self.items.values())


@dataclass(frozen=True, slots=True)
class ObservedTopic:
    """A topic as the broker describes it; config holds dynamic overrides only."""

    key: ResourceKey
    topic_id: str
    partitions: int
    replication_factor: int
    config: Mapping[str, str]
    inherited: Mapping[str, str] = field(
        default_factory=lambda: MappingProxyType({})
    )  # what holds where config says nothing, of the keys that bear on risk


@dataclass(frozen=True, slots=True)
class ObservedTask:
    id: int
    state: str  # RUNNING | PAUSED | FAILED | UNASSIGNED | RESTARTING
    worker_id: str
    trace: str | None = None


@dataclass(frozen=True, slots=True)
class ObservedConnector:
    """A connector as one expanded listing shows it; state is Connect's own word."""

    key: ResourceKey
    config: Mapping[str, str]
    state: str  # RUNNING | PAUSED | STOPPED | FAILED | UNASSIGNED | RESTARTING | PENDING
    tasks: tuple[ObservedTask, ...] = ()
    trace: str | None = None
    worker_id: str = ""
    type: str = "source"


Offsets: TypeAlias = "tuple[Mapping[str, Json], ...]"  # entries of GET /connectors/{n}/offsets


@dataclass(frozen=True, slots=True)
class FieldError:
    """One complaint of Connect's validate endpoint."""

    field: str
    message: str
