"""Observe everything once, in bulk, into one World; nothing here changes anything."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace

from controller.core.beginning import beginning_due
from controller.core.delivered import unseen_elsewhere
from controller.core.delivery import broker_line
from controller.core.evidence import expire
from controller.core.evidence_digest import with_others
from controller.core.faults import Fault, Unavailable
from controller.core.look import is_to_start, neighbours_due, offsets_due
from controller.core.model import (
    Absent,
    ConnectorManifest,
    ObservedConnector,
    ObservedDisk,
    ObservedTopic,
    Offsets,
    Records,
    ResourceKey,
    SecretSnapshot,
    Snapshot,
    TopicClass,
    Unknown,
    topic_key,
)
from controller.core.restart_case import sources_to_reach
from controller.core.stage import Stage
from controller.core.world import World, other_offsets
from controller.kafka_connection import KafkaConnection, KafkaFactory
from controller.lag import LagObserver
from controller.leadership import Always, Leadership
from controller.manifests_in_force import Manifests
from controller.ports import (
    Clock,
    ConnectClient,
    Reach,
    SecretFiles,
    SecretReader,
    StateStore,
    WorkerEvidence,
)
from controller.secrets_watch import SecretsWatch
from controller.witness import ProgressWatch, StateWatch, Witness, our_connectors, well_since

NOT_LOOKED = Unknown(Unavailable("NotObserved", "not looked at yet"))


@dataclass(frozen=True, slots=True)
class Scope:
    """What this process is, and where its things lie."""

    stage: Stage
    root: str  # of the secret files, as the worker sees it
    prefix: str = "wms"
    broker_secret: str = "brokerString"  # noqa: S105 - a name
    preflight: bool = False  # whether databases are looked at
    broker_string: str | None = None  # given by a setting instead of a secret


class Observer:
    """Looks at every system once a cycle; a system that fails is Unknown and spoils no other."""

    def __init__(
        self,
        scope: Scope,
        *,
        manifests: Manifests,
        connect: ConnectClient,
        kafka: KafkaFactory,
        secrets: SecretReader,
        files: SecretFiles,
        store: StateStore,
        clock: Clock,
        leadership: Leadership | None = None,
        reach: Reach | None = None,
        evidence: WorkerEvidence | None = None,
    ) -> None:
        self._reach = reach
        self.witness = Witness(evidence, clock)
        self._progress = ProgressWatch(connect)
        self._states = StateWatch()
        self._ill: frozenset[str] = frozenset()  # connectors with evidence, in the last cycle
        self.scope = scope
        self._leadership: Leadership = leadership or Always()
        self.manifests = manifests
        self.kafka = KafkaConnection(kafka)
        self._connect = connect
        self._secrets_watch = SecretsWatch(secrets, scope.broker_secret, scope.broker_string)
        self._files = files
        self._store = store
        self._clock = clock
        self._focus: frozenset[str] | None = None
        self._topics_seen: dict[ResourceKey, ObservedTopic | Absent | Unknown] = {}
        self._listed_at: float | None = None
        self._listing: frozenset[str] | None = None
        self._connect_cluster: tuple[str | None, str] | None = None  # broker string, id
        self.lag: LagObserver | None = None  # of a process that stays; one that ends needs none
        self.faults: list[tuple[str, Fault]] = []  # of the newest observation, by system

    def observe(self) -> World:
        """Look at everything; raises nothing that a system did."""
        self.faults = []
        now = self._clock.now()
        stored = self._records()
        world = World(
            stage=self.scope.stage,
            revision=self.manifests.refresh(now),
            topics=Snapshot(fault=NOT_LOOKED.fault),
            connectors=Snapshot(fault=NOT_LOOKED.fault),
            secrets={},
            disk=self._disk(),
            cluster_id=NOT_LOOKED,
            stored=stored,
            root=self.scope.root,
            now=now,
            preflight=self.scope.preflight,
            not_leader=self._leadership.why_not(),
            holder=self._leadership.place,
            prefix=self.scope.prefix,
            broker_secret=self.scope.broker_secret,
        )
        world = replace(world, refusal=self.manifests.refusal)
        world = replace(world, connectors=self._connectors(world))
        world = replace(world, secrets=self._secrets(world))
        world = self._observe_kafka(world)
        world = self._observe_connect_cluster(world)
        world = replace(world, offsets=self._offsets(world))
        world = replace(world, neighbours=self._neighbours(world), begun=self._begun(world))
        if self.lag is not None:
            world = replace(world, lag=self.lag.observe(world, self.kafka.client, self.kafka.line))
        world = self._watched(world)
        world = replace(world, silent_sources=self._silent_sources(world))
        return replace(world, filled=self._filled(world))

    def _watched(self, world: World) -> World:
        """Add what is followed over time; a reading of the log that failed is a fault too."""
        world = replace(world, progress=self._progress.observe(world, self._ill))
        well = well_since(world)
        book = self.witness.observe(our_connectors(world), well)
        if self.witness.fault is not None:
            self._note("files", self.witness.fault)
        world = self._with_other_workers(replace(world, evidence=book), well)
        self._ill = frozenset(world.evidence.connectors)
        return replace(world, states_since=self._states.observe(world))

    def _with_other_workers(self, world: World, well: Mapping[str, float]) -> World:
        """Add what the other sidecars left about their workers' logs, where there are others."""
        unseen = self.witness.unseen
        if world.holder is None:
            return replace(world, unseen_log=unseen)
        records, own = world.records, world.holder
        told = with_others(world.evidence, records, own, our_connectors(world), world.now)
        interval = world.policy.interval
        elsewhere = unseen_elsewhere(records, own, interval=interval, now=world.now)
        return replace(
            world, evidence=expire(told, world.now, well), unseen_log=unseen or elsewhere
        )

    def focus_topics(self, names: Collection[str]) -> None:
        """Look again at these topics only; for a process that ends in a moment."""
        self._focus = frozenset(names)

    def forget_secrets(self) -> None:
        """Read them again in the next observation."""
        self._secrets_watch.forget()

    def _note(self, system: str, fault: Fault) -> Fault:
        self.faults.append((system, fault))
        return fault

    def _records(self) -> Records | Unknown:
        try:
            return self._store.load()
        except Fault as fault:
            return Unknown(self._note("state", fault))

    def _disk(self) -> ObservedDisk | Unknown:
        try:
            return self._files.observe()
        except Fault as fault:
            return Unknown(self._note("files", fault))

    def _connectors(self, world: World) -> Snapshot[ObservedConnector]:
        names = [manifest.name for manifest in world.declared_connectors]
        try:
            snapshot = self._connect.observe(names)
        except Fault as fault:
            return Snapshot(fault=self._note("connect", fault))
        if snapshot.fault is not None:
            self._note("connect", snapshot.fault)
        return snapshot

    def _secrets(self, world: World) -> SecretSnapshot:
        snapshot = self._secrets_watch.observe(world)
        for fault in self._secrets_watch.faults:
            self._note("secrets", fault)
        return snapshot

    # --- kafka ------------------------------------------------------------------------------

    def _observe_kafka(self, world: World) -> World:
        line = broker_line(world)
        if not isinstance(line, str):
            fault = Unavailable(line.reason, line.message)
            return replace(world, topics=Snapshot(fault=fault), cluster_id=Unknown(fault))
        topics = self._topics(world, line)
        if topics.fault is not None:  # a second and a third call would only wait as long again
            return replace(world, topics=topics, cluster_id=Unknown(topics.fault))
        return replace(
            world,
            topics=topics,
            cluster_id=self._cluster_id(line),
            workers=self._workers(world, line),
            listing=self._list_topics(world, line),
        )

    def _topics(self, world: World, line: str) -> Snapshot[ObservedTopic]:
        names = [topic.name for topic in world.declared_topics]
        seen = self._topics_seen if self._focus is not None else {}
        asked = [n for n in names if topic_key(n) not in seen or n in (self._focus or ())]
        if not asked:
            return Snapshot(dict(seen))
        try:
            snapshot = self.kafka.to(line).observe(asked)
        except Fault as fault:
            return Snapshot(fault=self._note("kafka", fault))
        if snapshot.fault is not None:
            self._note("kafka", snapshot.fault)
            return snapshot
        self._topics_seen = {**seen, **snapshot.items}
        return Snapshot(self._topics_seen)

    def _cluster_id(self, line: str) -> str | Unknown:
        try:
            return self.kafka.cluster_id(line)
        except Fault as fault:
            return Unknown(self._note("kafka", fault))

    def _workers(self, world: World, line: str) -> int | Unknown | None:
        """Count the live workers, where each has a sidecar that must have delivered its files."""
        if world.holder is None:
            return None
        try:
            return self.kafka.to(line).group_members(world.stage.connect_group)
        except Fault as fault:
            return Unknown(self._note("kafka", fault))

    def _list_topics(self, world: World, line: str) -> frozenset[str] | None:
        """List all topics at times only: it is for orphans, which can wait."""
        last = self._listed_at
        if last is not None and world.now - last < world.policy.listing_interval:
            return self._listing
        try:
            self._listing = self.kafka.to(line).topic_names()
            self._listed_at = world.now
        except Fault as fault:
            self._note("kafka", fault)
        return self._listing

    def _observe_connect_cluster(self, world: World) -> World:
        """Ask the worker again once it was away or the broker string changed; else it is the same.

        Where it answers everything but this, nothing is written to it.
        """
        if world.connectors.fault is not None:
            self._connect_cluster = None
            return world
        line, known = self.kafka.line, self._connect_cluster
        try:
            if known is None or known[0] != line:
                known = line, self._connect.cluster_id()
        except Fault as fault:
            self._connect_cluster = None
            return replace(world, connectors=Snapshot(fault=self._note("connect", fault)))
        self._connect_cluster = known
        return replace(world, connect_cluster=known[1])

    def _neighbours(self, world: World) -> frozenset[str] | Unknown | None:
        """Look, by name, for other named stages' workers only where it is about to matter."""
        line = self.kafka.line
        if not neighbours_due(world):
            return None
        if line is None:
            return NOT_LOOKED
        try:
            seen = self.kafka.to(line).observe(other_offsets(world.stage))
        except Fault as fault:
            return Unknown(self._note("kafka", fault))
        doubtful = next((i for i in seen.items.values() if isinstance(i, Unknown)), None)
        there = {k.name for k, item in seen.items.items() if isinstance(item, ObservedTopic)}
        if seen.fault is not None:
            return Unknown(seen.fault)
        return frozenset(there) if there or doubtful is None else doubtful

    def _begun(self, world: World) -> bool | Unknown | None:
        """Ask Connect's own topic whether a stage that the store does not know was at work."""
        if not beginning_due(world):
            return None
        line, name = self.kafka.line, world.stage.connect_topics["offsets"]
        if line is None or world.topics.fault is not None:
            return Unknown(world.topics.fault) if world.topics.fault is not None else NOT_LOOKED
        try:
            seen = self.kafka.to(line).observe([name]).get(topic_key(name))
            if not isinstance(seen, ObservedTopic):
                return seen if isinstance(seen, Unknown) else False
            return bool(self.kafka.to(line).holding_records({name: seen.partitions}))
        except Fault as fault:
            return Unknown(self._note("kafka", fault))

    # --- offsets ----------------------------------------------------------------------------

    def _offsets(self, world: World) -> Mapping[str, Offsets | Unknown]:
        """Read them only where the plan of this cycle needs them."""
        return {name: self._offsets_of(name) for name in offsets_due(world)}

    def _filled(self, world: World) -> Mapping[str, frozenset[str] | Unknown]:
        """Look for records only where a resume begins from nothing, or goes on with a history."""
        if world.revision is None:
            return {}
        started = [m for m in world.revision.connectors if is_to_start(m, world)]
        asked = [m for m in started if isinstance(world.offsets.get(m.name), tuple)]
        return {manifest.name: self._filled_of(manifest, world) for manifest in asked}

    def _filled_of(self, manifest: ConnectorManifest, world: World) -> frozenset[str] | Unknown:
        line = self.kafka.line
        topics = (world.topics.get(key) for key in guarded_topics(manifest, world))
        partitions = {t.key.name: t.partitions for t in topics if isinstance(t, ObservedTopic)}
        if line is None:
            return NOT_LOOKED
        try:
            return self.kafka.to(line).holding_records(partitions)
        except Fault as fault:
            return Unknown(self._note("kafka", fault))

    def _silent_sources(self, world: World) -> Mapping[str, str]:
        """Look for a database only before its connector is started again: it would fail again."""
        found: dict[str, str] = {}
        for name, (host, port) in sources_to_reach(world).items():
            why = self._reach.why_silent(host, port) if self._reach is not None else None
            if why is not None:
                found[name] = why
        return found

    def _offsets_of(self, name: str) -> Offsets | Unknown:
        try:
            return self._connect.offsets(name)
        except Fault as fault:
            return Unknown(self._note("connect", fault))


def guarded_topics(manifest: ConnectorManifest, world: World) -> frozenset[ResourceKey]:
    """Name the connector's topics in which a second snapshot would be a flood."""
    declared = world.declared_topics
    classes = (TopicClass.DATA, TopicClass.SCHEMA_HISTORY)
    return frozenset(
        topic.key
        for topic in declared
        if topic.key in manifest.needs and topic.topic_class in classes
    )
