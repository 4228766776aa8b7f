"""What the manifests of a stage say."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from controller.core.model.key import ResourceKey
from controller.core.reference import Template


class TopicClass(StrEnum):
    DATA = "data"
    SCHEMA_HISTORY = "schemaHistory"
    SCHEMA_CHANGE = "schemaChange"
    HEARTBEAT = "heartbeat"
    CONNECT_INTERNAL = "connectInternal"


class RunState(StrEnum):
    RUNNING = "running"
    PAUSED = "paused"
    STOPPED = "stopped"


class Manage(StrEnum):
    RECONCILE = "reconcile"
    OBSERVE = "observe"


class ProbeMode(StrEnum):
    """How much a new login must be proved before a connector may use it."""

    REQUIRED = "required"
    ADVISORY = "advisory"
    OFF = "off"


@dataclass(frozen=True, slots=True)
class Source:
    """Where a manifest was written, for messages."""

    file: str
    line: int

    def __str__(self) -> str:
        return f"{self.file}:{self.line}"


@dataclass(frozen=True, slots=True)
class Acceptance:
    """A word in a manifest that one held action is wanted; no part of a generation."""

    risk: str
    action: str  # its id, as `plan` prints it
    until: float  # seconds since the epoch; the end of the day that was written


@dataclass(frozen=True, slots=True)
class DesiredTopic:
    """A topic as the manifests want it, its name already in the stage's namespace."""

    key: ResourceKey
    generation: str
    topic_class: TopicClass
    partitions: int
    replication_factor: int | None  # None: the broker's default
    config: Mapping[str, str]
    manage: Manage
    suspend: bool
    source: Source
    accept: tuple[Acceptance, ...] = ()

    @property
    def name(self) -> str:
        return self.key.name


@dataclass(frozen=True, slots=True)
class ConnectorManifest:
    """A connector after overlay and naming, its secret references still unresolved."""

    key: ResourceKey
    generation: str
    connector_class: str
    run_state: RunState
    topic_prefix: str
    tables: tuple[str, ...]
    history_topic: str | None
    config: Mapping[str, Template]  # whole config to be, mark and name included
    ignore: frozenset[str]
    needs: frozenset[ResourceKey]  # topics that must be there before it may run
    manage: Manage
    suspend: bool
    source: Source
    accept: tuple[Acceptance, ...] = ()

    @property
    def name(self) -> str:
        return self.key.name


class LostTopics(StrEnum):
    """What becomes of a data or heartbeat topic that was there and is gone."""

    HOLD = "hold"
    RECREATE = "recreate"


@dataclass(frozen=True, slots=True)
class StagePolicy:
    """The rules one overlay sets for its whole stage; durations in seconds."""

    interval: float = 15.0
    secrets_interval: float = 60.0
    listing_interval: float = 60.0
    probe: ProbeMode = ProbeMode.ADVISORY
    forbid_fallback: frozenset[str] = frozenset()
    observe_only: bool = False
    kafka_cluster_id: str | None = None
    repair_delay: float = 0.0  # before drift is written back
    repairs_per_hour: int | None = None  # of one resource, and bounces of one task; None: no limit
    lost_topics: LostTopics = LostTopics.HOLD
    lag_interval: float = 60.0
    read_source_timestamps: bool = False  # of each captured topic's newest row
    shared_cluster: bool = False  # another named stage's topics are known to be here
    allowed_sql: frozenset[str] = frozenset()  # texts that a connector may run on its database


@dataclass(frozen=True, slots=True)
class Warning_:  # noqa: N801 - Warning is taken by Python
    """Something legal in a manifest that a person should look at."""

    source: Source
    field: str
    message: str


@dataclass(frozen=True, slots=True)
class Revision:
    """All manifests of a stage as loaded at one moment, named by their content hash."""

    id: str
    commit: str | None
    policy: StagePolicy
    topics: tuple[DesiredTopic, ...]
    connectors: tuple[ConnectorManifest, ...]
    warnings: tuple[Warning_, ...] = ()
    author: str | None = None  # of the commit
    pushed_by: str | None = None

    @property
    def who(self) -> str | None:
        """Name the person behind it, as far as it is known."""
        return self.author or self.pushed_by

    def secret_names(self) -> frozenset[str]:
        return frozenset(
            part.name
            for connector in self.connectors
            for template in connector.config.values()
            for part in template.secrets()
        )
