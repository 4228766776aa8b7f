"""One Kafka cluster in memory; the contract tests hold it to what a real broker does."""

from __future__ import annotations

import re
from collections import Counter, deque
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from itertools import count
from typing import Final, TypeAlias, assert_never

from controller.core.action import AddPartitions, AlterTopic, CreateTopic, TopicAction
from controller.core.faults import (
    Conflict,
    Denied,
    Fault,
    OutcomeUnknown,
    Rejected,
    Transient,
    Unavailable,
)
from controller.core.guards import PermittedDeletion
from controller.core.lag import Newest, Place
from controller.core.model import ABSENT, Absent, ObservedTopic, Snapshot, Unknown, topic_key

_NAME: Final = re.compile(r"[a-zA-Z0-9._-]{1,249}", re.ASCII)
_NUMBER: Final = re.compile(r"-?[0-9]+")
_FRACTION: Final = re.compile(r"[01](\.[0-9]+)?")
_POLICY: Final = re.compile(r"(delete|compact)(,(delete|compact))*")
_WORD: Final = re.compile(r"[A-Za-z0-9.]+")
_VALUES: Final = {
    "cleanup.policy": _POLICY,
    "compression.type": _WORD,
    "delete.retention.ms": _NUMBER,
    "file.delete.delay.ms": _NUMBER,
    "max.compaction.lag.ms": _NUMBER,
    "max.message.bytes": _NUMBER,
    "message.timestamp.type": _WORD,
    "min.cleanable.dirty.ratio": _FRACTION,
    "min.compaction.lag.ms": _NUMBER,
    "min.insync.replicas": _NUMBER,
    "retention.bytes": _NUMBER,
    "retention.ms": _NUMBER,
    "segment.bytes": _NUMBER,
    "segment.ms": _NUMBER,
    "unclean.leader.election.enable": re.compile("true|false"),
}
_WRITE_SECONDS: Final = 15.0
_READ_SECONDS: Final = 5.0


class Mishap(StrEnum):
    """What may become of a write, besides being done or refused on its merits."""

    LOST_BEFORE = "the request is lost, the caller waits in vain"
    LOST_AFTER = "the answer is lost, the broker did it"
    REFUSED = "a policy of the broker refuses it"
    BUSY = "the controller of the cluster moves"
    DENIED = "the permission was taken away"


Write: TypeAlias = "TopicAction | PermittedDeletion"


@dataclass
class FakeTopic:
    topic_id: str
    partitions: int
    replication_factor: int
    config: dict[str, str] = field(default_factory=dict)
    records: int = 0
    written_at: float | None = None  # the newest of them
    settled: bool = True  # False: its config cannot be read yet
    hidden: int = 0  # so many observations still call it absent


class FakeKafka:
    """Break it with `outage` (everything), `denied` (one topic) or `mishaps` (the next writes).

    With `lag`, the next observations still call a topic absent that was just created, as brokers do
    that the news has not reached.
    """

    def __init__(
        self,
        cluster_id: str = "fake-kafka-cluster-0001",
        *,
        brokers: int = 3,
        elapse: Callable[[float], None] = lambda _seconds: None,
    ) -> None:
        self.id = cluster_id
        self.brokers = brokers
        self.topics: dict[str, FakeTopic] = {}
        self.groups: dict[str, int] = {}
        self.outage: Fault | None = None
        self.denied: set[str] = set()
        self.mishaps: deque[Mishap | Fault | None] = deque()  # one per write; None: as usual
        self.requests: Counter[str] = Counter()
        self.writes: list[Write] = []  # those that changed the world, oldest first
        self.lag = 0
        self.closed = False
        self._elapse = elapse
        self._ids = count(1)

    # --- what a person does -----------------------------------------------------------------

    def make(
        self,
        name: str,
        partitions: int = 1,
        *,
        replication_factor: int = 1,
        config: Mapping[str, str] | None = None,
        records: int = 0,
    ) -> FakeTopic:
        """Create a topic, or create it again with a new id and nothing in it."""
        topic_id = f"fakeTopicId{next(self._ids):011d}"
        topic = FakeTopic(topic_id, partitions, replication_factor, dict(config or {}), records)
        self.topics[name] = topic
        return topic

    def drop(self, name: str) -> None:
        del self.topics[name]

    # --- KafkaClient: reads -----------------------------------------------------------------

    def cluster_id(self) -> str:
        self._ask("describe_cluster")
        return self.id

    def observe(self, names: Collection[str]) -> Snapshot[ObservedTopic]:
        wanted = sorted(set(names))
        if not wanted:
            return Snapshot()
        self._ask("describe_topics")
        observed = {topic_key(name): self._observed(name) for name in wanted}
        if any(isinstance(one, ObservedTopic) for one in observed.values()):
            self._ask("describe_configs")
        return Snapshot(observed)

    def holding_records(self, partitions: Mapping[str, int]) -> frozenset[str]:
        if not partitions:
            return frozenset()
        self._ask("list_offsets")
        for name in partitions:
            if name in self.denied:
                raise _denied(name)
        return frozenset(
            name for name in partitions if name in self.topics and self.topics[name].records > 0
        )

    def newest(self, partitions: Mapping[str, int]) -> Mapping[str, Newest]:
        if not partitions:
            return {}
        self._ask("list_offsets")
        self._ask("list_offsets")
        return {
            name: Newest(
                self.topics[name].records,
                self.topics[name].written_at,
                Place(0, self.topics[name].records - 1) if self.topics[name].records else None,
            )
            for name in partitions
            if name in self.topics and name not in self.denied
        }

    def topic_names(self) -> frozenset[str]:
        self._ask("list_topics")
        return frozenset(name for name in self.topics if name not in self.denied)

    def list_topics(self) -> Mapping[str, str]:
        self._ask("list_topics")
        return {
            name: topic.topic_id
            for name, topic in sorted(self.topics.items())
            if name not in self.denied
        }

    def group_members(self, group: str) -> int:
        self._ask("describe_consumer_groups")
        return self.groups.get(group, 0)

    def deletable(self, names: Collection[str]) -> frozenset[str]:
        """As brokers that guard nothing but what is denied."""
        self._ask("describe_topics")
        return frozenset(names) & self.topics.keys() - self.denied

    def _observed(self, name: str) -> ObservedTopic | Absent | Unknown:
        if name in self.denied:
            return Unknown(_denied(name))
        topic = self.topics.get(name)
        if topic is None:
            return ABSENT
        if topic.hidden > 0:
            topic.hidden -= 1
            return ABSENT
        if not topic.settled:
            return Unknown(Transient("TopicUnsettled", f"{name} is being created just now"))
        return ObservedTopic(
            key=topic_key(name),
            topic_id=topic.topic_id,
            partitions=topic.partitions,
            replication_factor=topic.replication_factor,
            config=dict(topic.config),
        )

    # --- KafkaClient: writes ----------------------------------------------------------------

    def apply(self, action: TopicAction) -> None:
        match action:
            case CreateTopic():
                self._write(action, lambda: self._create(action))
            case AddPartitions():
                self._write(action, lambda: self._add_partitions(action))
            case AlterTopic():
                self._write(action, lambda: self._alter(action))
            case _:
                assert_never(action)

    def delete_topic(self, permit: PermittedDeletion) -> None:
        self._ask("describe_topics")
        topic = self.topics.get(permit.name)
        if topic is None:
            return
        if topic.topic_id != permit.request.observed_topic_id:
            raise Conflict("TopicReplaced", f"{permit.name} is not the topic that was listed")
        self._write(permit, lambda: self.drop(permit.name))

    def close(self) -> None:
        self.closed = True

    def _write(self, write: Write, change: Callable[[], None]) -> None:
        self.requests[type(write).__name__] += 1
        mishap = self.mishaps.popleft() if self.mishaps else None
        if self.outage is not None or mishap is Mishap.LOST_BEFORE:
            self._elapse(_WRITE_SECONDS)
            raise _lost()
        if isinstance(mishap, Fault):
            raise mishap
        if mishap is Mishap.DENIED or write.name in self.denied:
            raise _denied(write.name)
        if mishap is Mishap.REFUSED:
            raise Rejected("PolicyViolation", f"{write.name}: a policy of the broker says no")
        if mishap is Mishap.BUSY:
            raise Transient("KafkaBusy", "this is not the controller of the cluster")
        change()
        self.writes.append(write)
        if mishap is Mishap.LOST_AFTER:
            self._elapse(_WRITE_SECONDS)
            raise _lost()

    def _create(self, action: CreateTopic) -> None:
        if not _NAME.fullmatch(action.name) or action.name in {".", ".."}:
            raise Rejected("InvalidTopicName", f"{action.name!r} is not a topic name")
        if action.name in self.topics:
            raise Conflict("TopicExists", f"{action.name} already exists")
        if any(_metric_name(name) == _metric_name(action.name) for name in self.topics):
            raise Rejected("InvalidTopicName", f"{action.name} collides with an existing topic")
        if action.partitions < 1:
            raise Rejected("InvalidPartitions", "a topic has at least one partition")
        factor = 1 if action.replication_factor is None else action.replication_factor
        if not 0 < factor <= self.brokers:
            raise Rejected("InvalidReplicationFactor", f"only {self.brokers} broker(s) are there")
        _check(action.config)
        made = self.make(
            action.name, action.partitions, replication_factor=factor, config=action.config
        )
        made.hidden = self.lag

    def _add_partitions(self, action: AddPartitions) -> None:
        topic = self._existing(action.name)
        if action.total <= topic.partitions:
            raise Conflict("PartitionsMoved", f"already {topic.partitions} partition(s)")
        topic.partitions = action.total

    def _alter(self, action: AlterTopic) -> None:
        topic = self._existing(action.name)
        _check(action.config)
        topic.config.update(action.config)

    def _existing(self, name: str) -> FakeTopic:
        if name not in self.topics:
            raise Conflict("TopicGone", f"{name} does not exist")
        return self.topics[name]

    def _ask(self, request: str) -> None:
        self.requests[request] += 1
        if self.outage is not None:
            self._elapse(_READ_SECONDS)
            raise self.outage


def unavailable() -> Fault:
    """The outage that a cluster out of reach is."""
    return Unavailable("KafkaUnavailable", "no broker answers")


def _lost() -> Fault:
    return OutcomeUnknown("KafkaOutcomeUnknown", "no answer in time")


def _denied(name: str) -> Fault:
    return Denied("KafkaDenied", f"{name}: not authorized")


def _metric_name(name: str) -> str:
    """Kafka's metrics cannot tell `.` from `_`, so it refuses the second of two such names."""
    return name.replace(".", "_")


def _check(config: Mapping[str, str]) -> None:
    for key, value in config.items():
        if key not in _VALUES:
            raise Rejected("InvalidTopicConfig", f"unknown topic config name: {key}")
        if not _VALUES[key].fullmatch(value):
            raise Rejected("InvalidTopicConfig", f"invalid value {value} for {key}")
