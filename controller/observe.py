"""Observe everything once, in bulk, into one World; nothing here changes anything."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace
from typing import Protocol, TypeAlias

from controller.core.delivered import unseen_elsewhere
from controller.core.delivery import broker_line, named_versions, paths_of, secret_names
from controller.core.evidence import expire
from controller.core.evidence_digest import with_others
from controller.core.faults import Fault, Unavailable
from controller.core.look import is_to_start, neighbours_due, offsets_due
from controller.core.model import (
    ABSENT,
    Absent,
    ConnectorManifest,
    ObservedConnector,
    ObservedDisk,
    ObservedSecret,
    ObservedTopic,
    Offsets,
    Records,
    ResourceKey,
    Revision,
    SecretSnapshot,
    SecretVersion,
    Snapshot,
    TopicClass,
    Unknown,
    VersionKey,
    topic_key,
)
from controller.core.redact import Redacted
from controller.core.restart_case import sources_to_reach
from controller.core.stage import Stage
from controller.core.world import World, other_offsets
from controller.lag import LagObserver
from controller.leadership import Always, Leadership
from controller.ports import (
    Clock,
    ConnectClient,
    Folder,
    KafkaClient,
    ManifestSource,
    Reach,
    SecretFiles,
    SecretReader,
    StateStore,
    WorkerEvidence,
)
from controller.witness import (
    ProgressWatch,
    StateWatch,
    Witness,
    our_connectors,
    well_since,
)

NOT_LOOKED = Unknown(Unavailable("NotObserved", "not looked at yet"))
KafkaFactory: TypeAlias = "Callable[[str], KafkaClient]"
Loader: TypeAlias = "Callable[[Folder], Revision]"


class RefusedRevision(Protocol):
    """What a loader raises: its text names every file, line and field."""

    def __str__(self) -> str: ...


class Manifests:
    """Holds the last good revision of this process, and what is wrong with a newer one."""

    def __init__(self, source: ManifestSource, load: Loader, refusals: type[Exception]) -> None:
        self._source = source
        self._load = load
        self._refusals = refusals
        self._read = False
        self.revision: Revision | None = None
        self.in_force: Folder | None = None  # what it was read from
        self.refusal: str | None = None  # why the newest state of the folder is not in force
        self.since: float | None = None  # of the refusal

    def changed(self) -> bool:
        """Tell cheaply whether the folder has something new."""
        return not self._read or self._source.changed()

    def refresh(self, now: float) -> Revision | None:
        """Take a new revision whole, or keep the last good one and say why."""
        if not self.changed():
            return self.revision
        self._read = True  # also when it fails: the source tells when there is something else
        try:
            folder = self._source.read()
            self.revision = self._load(folder)
            self.in_force = folder
        except (Fault, self._refusals) as error:
            self._refuse(str(error), now)
            self._fall_back()
        else:
            self.refusal = self.since = None
        return self.revision

    def _fall_back(self) -> None:
        """Go on with what an earlier process had in force, when this one never had any."""
        if self.revision is not None:
            return
        try:
            folder = self._source.last_good()
            self.revision = None if folder is None else self._load(folder)
            self.in_force = folder
        except (Fault, self._refusals):
            return  # why the newest is not in force is said already

    def _refuse(self, why: str, now: float) -> None:
        if self.refusal is None:
            self.since = now
        self.refusal = why


class KafkaConnection:
    """One client for as long as the broker string stays the same."""

    def __init__(self, factory: KafkaFactory) -> None:
        self._factory = factory
        self._line: str | None = None
        self._client: KafkaClient | None = None
        self._cluster_id: str | None = None

    def to(self, line: str) -> KafkaClient:
        """Answer the client for this broker string, connecting anew when it changed."""
        if self._client is None or line != self._line:
            self.close()
            self._client = self._factory(line)
            self._line = line
        return self._client

    @property
    def client(self) -> KafkaClient | None:
        """The one there is, if any."""
        return self._client

    @property
    def line(self) -> str | None:
        """The broker string that the client was made for."""
        return self._line

    def current(self) -> KafkaClient:
        """Answer the client that the newest observation used."""
        if self._client is None:
            raise Unavailable("NotConnected", "no broker string was resolved yet")
        return self._client

    def cluster_id(self, line: str) -> str:
        """Ask once per connection."""
        client = self.to(line)
        if self._cluster_id is None:
            self._cluster_id = client.cluster_id()
        return self._cluster_id

    def close(self) -> None:
        if self._client is not None:
            self._client.close()
        self._client = self._line = self._cluster_id = None


@dataclass(frozen=True, slots=True)
class Scope:
    """What this process is, and where its things lie."""

    stage: Stage
    root: str  # of the secret files, as the worker sees it
    prefix: str = "wms"
    broker_secret: str = "brokerString"  # noqa: S105 - a name
    preflight: bool = False  # whether databases are looked at
    broker_string: str | None = None  # given by a setting instead of a secret


@dataclass(frozen=True, slots=True)
class _SecretsRead:
    at: float
    names: frozenset[str]
    versions: frozenset[VersionKey]
    snapshot: SecretSnapshot

    def serves(self, world: World, names: frozenset[str], versions: frozenset[VersionKey]) -> bool:
        fresh = world.now - self.at < world.policy.secrets_interval
        return fresh and names <= self.names and versions <= self.versions


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
        self._secrets = secrets
        self._files = files
        self._store = store
        self._clock = clock
        self._secrets_read: _SecretsRead | None = None
        self._last_known: dict[str, ObservedSecret] = {}
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
        world = replace(world, secrets=self._read_secrets(world))
        world = self._observe_kafka(world)
        world = self._observe_connect_cluster(world)
        world = replace(world, offsets=self._offsets(world))
        world = replace(world, neighbours=self._neighbours(world))
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
        self._secrets_read = None

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
        names = [m.name for m in world.revision.connectors] if world.revision else []
        try:
            snapshot = self._connect.observe(names)
        except Fault as fault:
            return Snapshot(fault=self._note("connect", fault))
        if snapshot.fault is not None:
            self._note("connect", snapshot.fault)
        return snapshot

    # --- secrets ----------------------------------------------------------------------------

    def _read_secrets(self, world: World) -> SecretSnapshot:
        names, versions = secret_names(world), named_versions(world)
        given = self._given_broker()
        names = names - frozenset(given)
        if not names:
            return given
        read = self._secrets_read
        if read is None or not read.serves(world, names, versions):
            snapshot = self._ask_secrets(world, names, versions)
            read = _SecretsRead(world.now, names, versions, snapshot)
            failed = any(system == "secrets" for system, _ in self.faults)
            self._secrets_read = None if failed else read
            self._last_known.update(
                (name, seen) for name, seen in snapshot.items() if isinstance(seen, ObservedSecret)
            )
        return {**read.snapshot, **given}

    def _ask_secrets(
        self, world: World, names: Collection[str], versions: Collection[VersionKey]
    ) -> SecretSnapshot:
        candidates = {name: paths_of(world, name) for name in sorted(names)}
        try:
            snapshot = self._secrets.observe(candidates, versions)
        except Fault as fault:
            snapshot = dict.fromkeys(names, Unknown(fault))
        return {name: self._or_last_known(name, secret) for name, secret in snapshot.items()}

    def _or_last_known(
        self, name: str, secret: ObservedSecret | Absent | Unknown
    ) -> ObservedSecret | Absent | Unknown:
        """Go on with what was read before while it cannot be read: it is what the files hold."""
        if not isinstance(secret, Unknown):
            return secret
        if ("secrets", secret.fault) not in self.faults:
            self._note("secrets", secret.fault)  # one outage is one fault, however many secrets
        return self._last_known.get(name, secret)

    def _given_broker(self) -> dict[str, ObservedSecret]:
        line, name = self.scope.broker_string, self.scope.broker_secret
        if line is None:
            return {}
        key = VersionKey(f"settings/{name}", "given")
        version = SecretVersion(key, {name: Redacted(line)})
        return {
            name: ObservedSecret(
                name, key.path, fallback=False, current=version, previous=ABSENT, named={}
            )
        }

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
        names = [topic.name for topic in world.revision.topics] if world.revision else []
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

    # --- offsets ----------------------------------------------------------------------------

    def _offsets(self, world: World) -> Mapping[str, Offsets | Unknown]:
        """Read them only where the plan of this cycle needs them."""
        return {name: self._offsets_of(name) for name in offsets_due(world)}

    def _filled(self, world: World) -> Mapping[str, frozenset[str] | Unknown]:
        """Look for records only where a resume would begin from nothing."""
        if world.revision is None:
            return {}
        started = [m for m in world.revision.connectors if is_to_start(m, world)]
        asked = [m for m in started if world.offsets.get(m.name) == ()]
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
    declared = world.revision.topics if world.revision is not None else ()
    classes = (TopicClass.DATA, TopicClass.SCHEMA_HISTORY)
    return frozenset(
        topic.key
        for topic in declared
        if topic.key in manifest.needs and topic.topic_class in classes
    )
