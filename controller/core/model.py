"""The values that desired state, observed state and memory are made of; all frozen."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType
from typing import Generic, TypeAlias, TypeVar

from controller.core.faults import Fault
from controller.core.redact import Redacted
from controller.core.reference import Template

Json: TypeAlias = "str | int | float | bool | list[Json] | dict[str, Json] | None"
T = TypeVar("T")


class Kind(StrEnum):
    """What a step is about; the order of the members is the order within a plan."""

    SECRET = "secret"  # noqa: S105 - a kind of resource
    WORKER = "worker"
    LOGIN = "login"
    TOPIC = "topic"
    CONNECTOR = "connector"
    RESTART = "restart"


@dataclass(frozen=True, slots=True, order=True)
class ResourceKey:
    """Names one resource; its text form `topic/wms` is what people type and metrics carry."""

    kind: Kind
    name: str

    def __str__(self) -> str:
        return f"{self.kind}/{self.name}"


def topic_key(name: str) -> ResourceKey:
    return ResourceKey(Kind.TOPIC, name)


def connector_key(name: str) -> ResourceKey:
    return ResourceKey(Kind.CONNECTOR, name)


def secret_key(name: str) -> ResourceKey:
    return ResourceKey(Kind.SECRET, name)


def login_key(connector: str) -> ResourceKey:
    return ResourceKey(Kind.LOGIN, connector)


def restart_key(connector: str) -> ResourceKey:
    return ResourceKey(Kind.RESTART, connector)


WORKER = ResourceKey(Kind.WORKER, "ready")


# --- absent and unknown -------------------------------------------------------------------


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


# --- desired ------------------------------------------------------------------------------


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


@dataclass(frozen=True, slots=True)
class DesiredConnector:
    """A connector whose references are rendered; no value in it is secret."""

    manifest: ConnectorManifest
    config: Mapping[str, str]
    versions: frozenset[VersionKey]  # the secret versions its config names
    fallback: frozenset[str]  # names of secrets that came from wms/default
    rendered: frozenset[VersionKey] = frozenset()  # all it was rendered from, public fields too


@dataclass(frozen=True, slots=True)
class Unresolved:
    """A connector whose secrets are not all there: it still claims its name."""

    manifest: ConnectorManifest
    reason: str
    message: str
    retry: bool = True  # False: only a person, a new version or a new generation helps


# --- secrets ------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, order=True)
class VersionKey:
    """One version of one secret, as the directory on the worker's volume names it."""

    path: str
    version_id: str

    def __str__(self) -> str:
        return f"{self.path}/{self.version_id}"


@dataclass(frozen=True, slots=True)
class SecretVersion:
    """The values of one version, by canonical field name; `problem` says why they are unusable."""

    key: VersionKey
    fields: Mapping[str, Redacted]
    problem: str | None = None


@dataclass(frozen=True, slots=True)
class ObservedSecret:
    """What Secrets Manager holds under the path in use."""

    name: str
    path: str
    fallback: bool
    current: SecretVersion
    previous: SecretVersion | Absent | Unknown
    named: Mapping[VersionKey, SecretVersion | Absent | Unknown]  # those that configs name

    def version(self, key: VersionKey) -> SecretVersion | Absent | Unknown:
        if self.current.key == key:
            return self.current
        if isinstance(self.previous, SecretVersion) and self.previous.key == key:
            return self.previous
        return self.named.get(key, ABSENT)


SecretSnapshot: TypeAlias = "Mapping[str, ObservedSecret | Absent | Unknown]"


@dataclass(frozen=True, slots=True)
class ObservedDisk:
    """What lies on the volume shared with the worker: version -> its field files."""

    versions: Mapping[VersionKey, frozenset[str]] = field(
        default_factory=lambda: MappingProxyType({})
    )
    ready: str | None = None


@dataclass(frozen=True, slots=True)
class Login:
    """One database login to be tried: enough for the probe, nothing printable that is secret."""

    system: str  # "oracle" | "postgresql"
    host: str
    port: int
    database: str
    user: Redacted
    password: Redacted
    url: Redacted | None = None

    @property
    def address(self) -> str:
        return f"{self.system}://{self.host}:{self.port}/{self.database}"


class ProbeOutcome(StrEnum):
    """What one login attempt told; the last two are inconclusive."""

    ACCEPTED = "accepted"
    REFUSED = "refused"
    UNREACHABLE = "unreachable"  # before the server answered: no failed login was counted
    DOUBTFUL = "doubtful"  # after it answered: the server may have counted a failed login


# --- observed -----------------------------------------------------------------------------


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


# --- memory -------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Record:
    """One remembered fact, under `section/resource`."""

    value: Mapping[str, Json]
    revision: int
    expires: float | None = None  # seconds since the epoch


Records: TypeAlias = "Mapping[str, Record]"


def names_of(keys: Collection[ResourceKey]) -> tuple[str, ...]:
    return tuple(sorted(key.name for key in keys))
