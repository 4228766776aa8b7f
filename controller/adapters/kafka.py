"""The topics of one Kafka cluster, through librdkafka's admin client."""

from __future__ import annotations

import gc
import threading
import time
import warnings
from collections.abc import Callable, Collection, Hashable, Iterator, Mapping
from concurrent.futures import Future, wait
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any, Final, TypeAlias, TypeVar, assert_never

from confluent_kafka import KafkaError, KafkaException, TopicCollection, TopicPartition
from confluent_kafka.admin import (
    AclOperation,
    AdminClient,
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
    ConfigSource,
    NewPartitions,
    NewTopic,
    OffsetSpec,
    ResourceType,
    TopicDescription,
)
from tenacity import Retrying, retry_if_exception_type, stop_before_delay, wait_random_exponential

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
from controller.core.redact import Redacted
from controller.core.risk import RISKY

READ_SECONDS: Final = 5.0
WRITE_SECONDS: Final = 15.0

Scrub: TypeAlias = Callable[[str], str]
Futures: TypeAlias = "Mapping[K, Future[Any]]"
K = TypeVar("K", bound=Hashable)
T = TypeVar("T")

_BUSY: Final = "KafkaBusy"
_DENIED: Final = "KafkaDenied"
_GONE: Final = "TopicGone"
_LOGIN: Final = "KafkaLoginRefused"
_PARTITIONS: Final = "InvalidPartitions"
_SETTLE_SECONDS: Final = 1.0
_SETTLE_PAUSE: Final = 0.02
_POLL: Final = 0.1  # how often callbacks (log, error, token) are served while waiting
_SLACK: Final = 1.0  # librdkafka keeps the time; this is for when it does not

# Sorted by code and not by KafkaError.retriable(), which says no to most of what passes by itself.
_TABLE: Final = (
    (Denied, _DENIED, "TOPIC_AUTHORIZATION_FAILED CLUSTER_AUTHORIZATION_FAILED"),
    (Denied, _DENIED, "GROUP_AUTHORIZATION_FAILED DELEGATION_TOKEN_AUTHORIZATION_FAILED"),
    (Denied, _DENIED, "TOPIC_DELETION_DISABLED"),
    (Denied, _LOGIN, "SASL_AUTHENTICATION_FAILED UNSUPPORTED_SASL_MECHANISM ILLEGAL_SASL_STATE"),
    (Denied, _LOGIN, "_AUTHENTICATION _SSL"),
    (Conflict, "TopicExists", "TOPIC_ALREADY_EXISTS"),
    (Conflict, _GONE, "UNKNOWN_TOPIC_OR_PART UNKNOWN_TOPIC_ID"),
    (Rejected, "PolicyViolation", "POLICY_VIOLATION"),
    (Rejected, "InvalidTopicConfig", "INVALID_CONFIG"),
    (Rejected, "InvalidReplicationFactor", "INVALID_REPLICATION_FACTOR INVALID_REPLICA_ASSIGNMENT"),
    (Rejected, _PARTITIONS, "INVALID_PARTITIONS"),
    (Rejected, "InvalidTopicName", "TOPIC_EXCEPTION"),
    (Rejected, "InvalidRequest", "INVALID_REQUEST"),
    (Rejected, "UnsupportedByBroker", "UNSUPPORTED_VERSION _UNSUPPORTED_FEATURE"),
    (Transient, _BUSY, "NOT_CONTROLLER STALE_CTRL_EPOCH UNKNOWN_CONTROLLER_ID STALE_BROKER_EPOCH"),
    (Transient, _BUSY, "LEADER_NOT_AVAILABLE NOT_LEADER_FOR_PARTITION BROKER_NOT_AVAILABLE"),
    (Transient, _BUSY, "COORDINATOR_LOAD_IN_PROGRESS COORDINATOR_NOT_AVAILABLE NOT_COORDINATOR"),
    (Transient, _BUSY, "THROTTLING_QUOTA_EXCEEDED REASSIGNMENT_IN_PROGRESS REBOOTSTRAP_REQUIRED"),
)
# What a read may try again at once, though a write that met it may have been applied.
_PASSING: Final = (
    "NETWORK_EXCEPTION REQUEST_TIMED_OUT KAFKA_STORAGE_ERROR UNKNOWN _TRANSPORT _PARTIAL _RETRY"
)


def _code(name: str) -> int:
    return int(getattr(KafkaError, name))  # librdkafka's own codes begin with an underscore


_BY_CODE: Final = {
    _code(name): (kind, reason) for kind, reason, names in _TABLE for name in names.split()
}
_PASSING_CODES: Final = frozenset(map(_code, _PASSING.split()))
_DYNAMIC: Final[Any] = ConfigSource.DYNAMIC_TOPIC_CONFIG.value  # entries carry the bare number


@dataclass(frozen=True, slots=True)
class _Config:
    own: Mapping[str, str]
    inherited: Mapping[str, str]  # of the keys that bear on risk


class KafkaAdmin:
    """One librdkafka client, made at the first use and again after `close`."""

    def __init__(
        self,
        config: Mapping[str, Any],
        *,
        scrub: Scrub,
        read_seconds: float = READ_SECONDS,
        write_seconds: float = WRITE_SECONDS,
        on_request: Callable[[str], None] = lambda _name: None,
    ) -> None:
        self._config = config
        self._scrub = scrub
        self._read_seconds = read_seconds
        self._write_seconds = write_seconds
        self._on_request = on_request
        self._client: AdminClient | None = None
        self._cluster_id: str | None = None
        self._trouble: KafkaError | None = None  # the last word about a connection since an answer

    # --- reads ------------------------------------------------------------------------------

    def cluster_id(self) -> str:
        """Ask once per connection."""
        if self._cluster_id is None:
            self._cluster_id = self._read(self._ask_cluster_id)
        return self._cluster_id

    def observe(self, names: Collection[str]) -> Snapshot[ObservedTopic]:
        """Describe topics, then the configs of those that are there: two requests, however many."""
        wanted = sorted(set(names))
        if not wanted:
            return Snapshot()
        return self._read(lambda left: self._observe(wanted, left))

    def topic_names(self) -> frozenset[str]:
        """Ask for names alone: describing every topic of a cluster for its id costs a second."""
        return self._read(
            lambda left: frozenset(
                self._blocking(
                    "list_topics", lambda client: client.list_topics(timeout=left)
                ).topics
            )
        )

    def list_topics(self) -> Mapping[str, str]:
        """Answer only when every listed topic could be described or is gone meanwhile."""
        return self._read(self._list_topics)

    def holding_records(self, partitions: Mapping[str, int]) -> frozenset[str]:
        """Compare the first offset of each partition with the one after its last: two requests."""
        if not partitions:
            return frozenset()
        return self._read(lambda left: self._holding_records(partitions, left))

    def newest(self, partitions: Mapping[str, int]) -> Mapping[str, Newest]:
        """Ask for the end and for the newest timestamp of each partition: two requests."""
        if not partitions:
            return {}
        return self._read(lambda left: self._newest(partitions, left))

    def group_members(self, group: str) -> int:
        """Ask by name first: a listing leaves out the groups that this principal may not see."""
        return self._read(lambda left: self._group_members(group, left))

    def deletable(self, names: Collection[str]) -> frozenset[str]:
        """Ask for the operations that the brokers would let us do; one that hides lets nothing."""
        wanted = sorted(set(names))
        return self._read(lambda left: self._deletable(wanted, left))

    # --- writes -----------------------------------------------------------------------------

    def apply(self, action: TopicAction) -> None:
        """Return when the brokers show what they agreed to, or a moment later all the same."""
        match action:
            case CreateTopic():
                self._create(action)
                self._settle(lambda: self._shown(action.name) is not None)
            case AddPartitions():
                self._add_partitions(action)
                self._settle(lambda: (self._shown(action.name) or 0) >= action.total)
            case AlterTopic():
                self._alter(action)
                self._settle(lambda: self._shows(action))
            case _:
                assert_never(action)

    def delete_topic(self, permit: PermittedDeletion) -> None:
        """Read the id right before: a topic that was created again is somebody else's."""
        name, expected = permit.name, permit.request.observed_topic_id
        described = self._read(lambda left: self._describe([name], left))[name]
        if isinstance(described, Fault):
            if described.reason == _GONE:
                return
            raise described
        if _id_text(described) != expected:
            raise Conflict("TopicReplaced", f"{name} is not the topic that was listed")
        try:
            self._write(
                "delete_topics",
                lambda client, left: client.delete_topics(
                    [name], operation_timeout=left, request_timeout=left
                ),
            )
        except Conflict as fault:
            if fault.reason != _GONE:
                raise

    def close(self) -> None:
        """Let go of the connection; the next call makes a new one."""
        if self._client is None:
            return
        self._client = self._cluster_id = self._trouble = None
        # Its threads end with the last reference, and an old fault's traceback may hold one.
        gc.collect()

    # --- reading ----------------------------------------------------------------------------

    def _read(self, ask: Callable[[float], T]) -> T:
        """Try what passes by itself again, within one deadline for all."""
        end = time.monotonic() + self._read_seconds
        try:
            for attempt in Retrying(
                retry=retry_if_exception_type(Transient),
                stop=stop_before_delay(self._read_seconds),
                wait=wait_random_exponential(multiplier=0.1, max=1),
                reraise=True,
            ):
                with attempt:
                    self._connected()
                    return ask(_left(end))
        except Transient as fault:
            raise Unavailable("KafkaUnavailable", self._with_trouble(fault.message)) from fault
        raise AssertionError("unreachable: tenacity answers or raises")

    def _ask_cluster_id(self, left: float) -> str:
        future = self._request(
            "describe_cluster", lambda client: client.describe_cluster(request_timeout=left)
        )
        answer = self._answers({"": future}, left)[""]
        if isinstance(answer, Fault):
            raise answer
        return str(answer.cluster_id)

    def _observe(self, names: list[str], left: float) -> Snapshot[ObservedTopic]:
        end = time.monotonic() + left
        described = self._describe(names, left)
        found = [name for name, topic in described.items() if not isinstance(topic, Fault)]
        configs = self._configs(found, _left(end)) if found else {}
        return Snapshot(
            {
                topic_key(name): _observed(name, topic, configs.get(name))
                for name, topic in described.items()
            }
        )

    def _describe(self, names: list[str], left: float) -> dict[str, TopicDescription | Fault]:
        futures = self._request(
            "describe_topics",
            lambda client: client.describe_topics(TopicCollection(names), request_timeout=left),
        )
        return self._answers(futures, left)

    def _deletable(self, names: list[str], left: float) -> frozenset[str]:
        futures = self._request(
            "describe_topics",
            lambda client: client.describe_topics(
                TopicCollection(names), include_authorized_operations=True, request_timeout=left
            ),
        )
        found = set()
        for name, topic in self._answers(futures, left).items():
            if isinstance(topic, Fault):
                if topic.reason not in (_DENIED, _GONE):
                    raise topic
            elif topic.authorized_operations is None:
                raise Unavailable("RightsUnknown", "the brokers do not say what they would let us")
            elif AclOperation.DELETE in topic.authorized_operations:
                found.add(name)
        return frozenset(found)

    def _configs(self, names: list[str], left: float) -> dict[str, _Config | Fault]:
        with _collector_paused():
            futures = self._request(
                "describe_configs",
                lambda client: client.describe_configs(
                    [ConfigResource(ResourceType.TOPIC, name) for name in names],
                    request_timeout=left,
                ),
            )
            answers = self._answers(futures, left)
            return {
                resource.name: entries if isinstance(entries, Fault) else _config(entries)
                for resource, entries in answers.items()
            }

    def _list_topics(self, left: float) -> dict[str, str]:
        end = time.monotonic() + left
        listed = self._blocking("list_topics", lambda client: client.list_topics(timeout=left))
        if not listed.topics:
            return {}
        described = self._describe(sorted(listed.topics), _left(end))
        ids = {}
        for name, topic in described.items():
            if not isinstance(topic, Fault):
                ids[name] = _id_text(topic)
            elif topic.reason != _GONE:
                raise topic
        return ids

    def _holding_records(self, partitions: Mapping[str, int], left: float) -> frozenset[str]:
        end = time.monotonic() + left
        places = _places(partitions)
        first = self._offsets(places, OffsetSpec.earliest(), _left(end))  # type: ignore[no-untyped-call]
        after = self._offsets(places, OffsetSpec.latest(), _left(end))  # type: ignore[no-untyped-call]
        return frozenset(
            topic for topic, number in after if after[topic, number] > first[topic, number]
        )

    def _newest(self, partitions: Mapping[str, int], left: float) -> dict[str, Newest]:
        until = time.monotonic() + left
        places = _places(partitions)
        ends = self._listed(places, OffsetSpec.latest(), _left(until))  # type: ignore[no-untyped-call]
        latest = self._listed(places, OffsetSpec.max_timestamp(), _left(until))  # type: ignore[no-untyped-call]
        found: dict[str, Newest] = {}
        for name, total in partitions.items():
            end = [ends.get((name, number)) for number in range(total)]
            top = [latest.get((name, number)) for number in range(total)]
            if not any(one is None for one in (*end, *top)):
                found[name] = _newest_of(end, top)
        return found

    def _listed(
        self, places: list[TopicPartition], spec: OffsetSpec, left: float
    ) -> dict[tuple[str, int], Any]:
        futures = self._request(
            "list_offsets",
            lambda client: client.list_offsets(dict.fromkeys(places, spec), request_timeout=left),
        )
        answers = self._answers(futures, left)
        return {
            (place.topic, place.partition): None if isinstance(answer, Fault) else answer
            for place, answer in answers.items()
        }

    def _offsets(
        self, places: list[TopicPartition], spec: OffsetSpec, left: float
    ) -> dict[tuple[str, int], int]:
        futures = self._request(
            "list_offsets",
            lambda client: client.list_offsets(dict.fromkeys(places, spec), request_timeout=left),
        )
        answers = self._answers(futures, left)
        for answer in answers.values():
            if isinstance(answer, Fault):
                raise answer
        return {(place.topic, place.partition): a.offset for place, a in answers.items()}

    def _group_members(self, group: str, left: float) -> int:
        end = time.monotonic() + left
        futures = self._request(
            "describe_consumer_groups",
            lambda client: client.describe_consumer_groups([group], request_timeout=left),
        )
        self._serve(futures.values(), left)
        error = self._outcome(futures[group])
        if isinstance(error, KafkaError):
            if error.code() == KafkaError.GROUP_ID_NOT_FOUND:
                return 0
            if error.code() != _code("_INVALID_ARG"):
                raise self._read_fault(error)
            # It is there, and not of consumers: Connect's own groups have the type "connect".
            return self._members_listed(group, _left(end))
        return len(error.members)

    def _members_listed(self, group: str, left: float) -> int:
        def ask(client: AdminClient) -> Any:
            with warnings.catch_warnings():
                # Deprecated in favour of calls that know consumer groups only.
                warnings.simplefilter("ignore", DeprecationWarning)
                return client.list_groups(group, timeout=left)

        listed = [one for one in self._blocking("list_groups", ask) if one.id == group]
        if not listed:
            raise Transient("GroupUnsettled", f"group {group} is there, but no broker lists it")
        return len(listed[0].members)

    # --- writing ----------------------------------------------------------------------------

    def _create(self, action: CreateTopic) -> None:
        topic = NewTopic(
            action.name,
            num_partitions=action.partitions,
            replication_factor=-1
            if action.replication_factor is None
            else action.replication_factor,
            config=dict(action.config),
        )
        self._write(
            "create_topics",
            lambda client, left: client.create_topics(
                [topic], operation_timeout=left, request_timeout=left
            ),
        )

    def _add_partitions(self, action: AddPartitions) -> None:
        wanted = NewPartitions(action.name, action.total)
        try:
            self._write(
                "create_partitions",
                lambda client, left: client.create_partitions(
                    [wanted], operation_timeout=left, request_timeout=left
                ),
            )
        except Rejected as fault:
            if fault.reason == _PARTITIONS:  # it has as many or more by now
                raise Conflict("PartitionsMoved", fault.message) from fault
            raise

    def _alter(self, action: AlterTopic) -> None:
        entries = [
            ConfigEntry(name, value, incremental_operation=AlterConfigOpType.SET)
            for name, value in action.config.items()
        ]
        topic = ConfigResource(ResourceType.TOPIC, action.name, incremental_configs=entries)
        self._write(
            "incremental_alter_configs",
            lambda client, left: client.incremental_alter_configs([topic], request_timeout=left),
        )

    def _settle(self, shown: Callable[[], bool]) -> None:
        """Wait for the metadata to come round: one read in ten right after a write is stale."""
        end = time.monotonic() + _SETTLE_SECONDS
        pause = threading.Event()
        with suppress(Fault):  # the write is done, whatever becomes of looking at it
            while not shown() and time.monotonic() < end:
                pause.wait(_SETTLE_PAUSE)

    def _shown(self, name: str) -> int | None:
        topic = self._describe([name], _SETTLE_SECONDS)[name]
        return None if isinstance(topic, Fault) else len(topic.partitions)

    def _shows(self, action: AlterTopic) -> bool:
        config = self._configs([action.name], _SETTLE_SECONDS)[action.name]
        return not isinstance(config, Fault) and action.config.items() <= config.own.items()

    def _write(self, name: str, send: Callable[[AdminClient, float], Futures[Any]]) -> None:
        left = self._write_seconds
        futures = self._request(name, lambda client: send(client, left))
        self._serve(futures.values(), left)
        for future in futures.values():
            error = self._outcome(future)
            if isinstance(error, KafkaError):
                raise self._write_fault(error)

    # --- one request ------------------------------------------------------------------------

    def _request(self, name: str, call: Callable[[AdminClient], T]) -> T:
        client = self._connected()
        self._on_request(name)
        return call(client)

    def _blocking(self, name: str, call: Callable[[AdminClient], T]) -> T:
        client = self._connected()
        self._on_request(name)
        try:
            answer = call(client)
        except KafkaException as raised:
            client.poll(0)
            raise self._read_fault(_error_of(raised)) from raised
        self._trouble = None
        return answer

    def _answers(self, futures: Futures[K], left: float) -> dict[K, Any]:
        """Sort each answer; raise when not a single one says anything of what was asked for."""
        self._serve(futures.values(), left)
        answers: dict[K, Any] = {}
        for key, future in futures.items():
            answer = self._outcome(future)
            answers[key] = self._read_fault(answer) if isinstance(answer, KafkaError) else answer
        if answers and all(_says_nothing(answer) for answer in answers.values()):
            raise next(iter(answers.values()))
        return answers

    def _outcome(self, future: Future[Any]) -> Any:
        """Answer the result, or the KafkaError that came instead."""
        if not future.done():
            return KafkaError(_code("_TIMED_OUT"), "no answer in time")
        raised = future.exception()
        if raised is None:
            self._trouble = None
            return future.result()
        if isinstance(raised, KafkaException):
            return _error_of(raised)
        raise raised

    def _serve(self, futures: Collection[Future[Any]], left: float) -> None:
        """Wait, and serve librdkafka's callbacks meanwhile: unserved ones pile up in memory."""
        client = self._connected()
        end = time.monotonic() + left + _SLACK
        for future in futures:  # one by one: to wait for a thousand at once costs more each time
            while not future.done() and time.monotonic() < end:
                wait((future,), timeout=_POLL)
                client.poll(0)
        client.poll(0)

    def _connected(self) -> AdminClient:
        if self._client is None:
            self._client = self._connect()
        return self._client

    def _connect(self) -> AdminClient:
        settings: dict[str, Any] = {
            name: value.reveal() if isinstance(value, Redacted) else value
            for name, value in self._config.items()
        }
        if "oauth_cb" in settings:
            self._try_token(settings["oauth_cb"])
        settings["error_cb"] = self._note_trouble
        try:
            return AdminClient(settings)
        except KafkaException as raised:
            text = self._scrub(_error_of(raised).str())
            raise Denied("KafkaSettings", f"the Kafka client cannot be set up: {text}") from raised

    def _try_token(self, token: Callable[[str], object]) -> None:
        """Fail at once: a client whose first token fails blocks for ten seconds."""
        try:
            token("")
        except Exception as error:
            text = self._scrub(f"{type(error).__name__}: {error}")
            raise Denied(_LOGIN, f"no token for the brokers: {text}") from error

    def _note_trouble(self, error: KafkaError) -> None:
        if error.code() != _code("_ALL_BROKERS_DOWN") or self._trouble is None:
            self._trouble = error

    # --- faults -----------------------------------------------------------------------------

    def _read_fault(self, error: KafkaError) -> Fault:
        code = error.code()
        if code in _BY_CODE:
            kind, reason = _BY_CODE[code]
            return kind(reason, self._scrub(error.str()))
        if code in _PASSING_CODES:
            return Transient(_BUSY, self._scrub(error.str()))
        return self._unavailable(error)

    def _unavailable(self, error: KafkaError) -> Fault:
        """Tell a login that is refused from brokers that are away: both end as a time-out."""
        text = self._with_trouble(self._scrub(error.str()))
        sorted_as = None if self._trouble is None else _BY_CODE.get(self._trouble.code())
        # On a busy machine a refused certificate comes under the code of a broken connection.
        refused = sorted_as == (Denied, _LOGIN) or "certificate verify failed" in text
        # MSK refuses more than a few new connections a second in the words of a refused login.
        if refused and "Too many connects" not in text:
            return Denied(_LOGIN, text)
        return Unavailable("KafkaUnavailable", text)

    def _with_trouble(self, text: str) -> str:
        return text if self._trouble is None else f"{text}; {self._scrub(self._trouble.str())}"

    def _write_fault(self, error: KafkaError) -> Fault:
        code = error.code()
        if code in _BY_CODE:
            kind, reason = _BY_CODE[code]
            return kind(reason, self._scrub(error.str()))
        return OutcomeUnknown("KafkaOutcomeUnknown", self._scrub(error.str()))


# --- values ---------------------------------------------------------------------------------


def _places(partitions: Mapping[str, int]) -> list[TopicPartition]:
    return [
        TopicPartition(name, number)
        for name, total in sorted(partitions.items())
        for number in range(total)
    ]


def _newest_of(ends: list[Any], latest: list[Any]) -> Newest:
    end = sum(one.offset for one in ends)
    timed = [
        (one.timestamp, number, one.offset)
        for number, one in enumerate(latest)
        if one.timestamp >= 0 and one.offset >= 0
    ]
    if not timed:
        return Newest(end)
    timestamp, partition, offset = max(timed)
    return Newest(end, timestamp / 1000, Place(partition, offset))


def _left(end: float) -> float:
    return max(0.1, end - time.monotonic())


def _error_of(raised: KafkaException) -> KafkaError:
    error = raised.args[0]
    return error if isinstance(error, KafkaError) else KafkaError(_code("_FAIL"), str(error))


def _says_nothing(answer: object) -> bool:
    if isinstance(answer, Denied):
        return answer.reason == _LOGIN
    return isinstance(answer, Transient | Unavailable)


def _id_text(topic: TopicDescription) -> str:
    """In the form that Kafka's own tools print."""
    return str(topic.topic_id).replace("+", "-").replace("/", "_")


def _config(entries: Mapping[str, ConfigEntry]) -> _Config:
    """Part what the topic sets from what it inherits from the broker or from Kafka's defaults."""
    own = {entry.name: entry.value or "" for entry in entries.values() if entry.source == _DYNAMIC}
    others = (entries[name] for name in RISKY if name in entries and name not in own)
    return _Config(own, {entry.name: entry.value for entry in others if entry.value})


def _observed(
    name: str, topic: TopicDescription | Fault, config: _Config | Fault | None
) -> ObservedTopic | Absent | Unknown:
    if isinstance(topic, Fault):
        return ABSENT if topic.reason == _GONE else Unknown(topic)
    if isinstance(config, Fault):
        return Unknown(_unsettled(name) if config.reason == _GONE else config)
    if config is None or not topic.partitions:
        return Unknown(_unsettled(name))
    return ObservedTopic(
        key=topic_key(name),
        topic_id=_id_text(topic),
        partitions=len(topic.partitions),
        replication_factor=min(len(partition.replicas) for partition in topic.partitions),
        config=config.own,
        inherited=config.inherited,
    )


def _unsettled(name: str) -> Fault:
    return Transient("TopicUnsettled", f"{name} is being created or deleted just now")


@contextmanager
def _collector_paused() -> Iterator[None]:
    """A thousand configs are a hundred thousand objects: looking through them costs a third."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()
