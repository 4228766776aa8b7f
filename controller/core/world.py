"""Everything one cycle observed, and everything it plans from that."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from controller.core.cluster import expected_cluster
from controller.core.evidence import EvidenceBook
from controller.core.lag_report import LagReport
from controller.core.model import (
    ConnectorManifest,
    DesiredTopic,
    ObservedConnector,
    ObservedDisk,
    ObservedTopic,
    Offsets,
    Records,
    Revision,
    SecretSnapshot,
    Snapshot,
    StagePolicy,
    Unknown,
)
from controller.core.progress import Progress
from controller.core.stage import Stage


def other_offsets(stage: Stage) -> tuple[str, ...]:
    """Name what shows that another named stage's worker was on a cluster."""
    return tuple(other.connect_topics["offsets"] for other in stage.other_named_stages())


@dataclass(frozen=True, slots=True)
class World:
    """One complete observation; what could not be looked at is Unknown in it."""

    stage: Stage
    revision: Revision | None  # None: there never was a good one in this process
    topics: Snapshot[ObservedTopic]
    connectors: Snapshot[ObservedConnector]
    secrets: SecretSnapshot
    disk: ObservedDisk | Unknown
    cluster_id: str | Unknown
    stored: Records | Unknown
    root: str  # of the secret files, as the worker sees it
    now: float
    prefix: str = "wms"  # of the secret paths
    broker_secret: str = "brokerString"  # noqa: S105 - a name
    offsets: Mapping[str, Offsets | Unknown] = field(default_factory=lambda: MappingProxyType({}))
    filled: Mapping[str, frozenset[str] | Unknown] = field(
        default_factory=lambda: MappingProxyType({})
    )  # of connectors that wait to be resumed without offsets: their topics that hold records
    evidence: EvidenceBook = field(default_factory=EvidenceBook)
    silent_sources: Mapping[str, str] = field(
        default_factory=lambda: MappingProxyType({})
    )  # connectors that are to be restarted and whose database does not answer: why
    preflight: bool = False  # whether databases are looked at
    not_leader: str | None = None  # why another controller of this stage acts instead
    holder: str | None = None  # this controller among several
    workers: int | Unknown | None = None  # in Connect's group; None: there is only one controller
    unseen_log: str | None = None  # why a worker's log cannot be read, so that it has no evidence
    progress: Mapping[str, Progress | Unknown] = field(
        default_factory=lambda: MappingProxyType({})
    )  # of connectors of ours that run; read once a minute, more often while one is ill
    states_since: Mapping[str, float] = field(
        default_factory=lambda: MappingProxyType({})
    )  # connector -> since when we see its states, and those of its tasks, as they are
    connect_cluster: str | None = None  # id of the cluster that the worker uses; None: not known
    # Offsets topics of other named stages that are here; None: nothing in this cycle needs them.
    neighbours: frozenset[str] | Unknown | None = None
    # Whether Connect's offsets topic holds records; None: nothing in this cycle needs to know.
    begun: bool | Unknown | None = None
    listing: frozenset[str] | None = None  # all topics of the cluster, when they were listed
    lag: LagReport = field(default_factory=LagReport)
    refusal: str | None = None  # why the newest manifests are not in force

    @property
    def records(self) -> Records:
        """What is remembered; nothing while the store cannot be read."""
        return {} if isinstance(self.stored, Unknown) else self.stored

    @property
    def declared_connectors(self) -> tuple[ConnectorManifest, ...]:
        """List what the manifests in force declare, by key; nothing while there are none."""
        found = self.revision.connectors if self.revision is not None else ()
        return tuple(sorted(found, key=lambda manifest: manifest.key))

    @property
    def declared_topics(self) -> tuple[DesiredTopic, ...]:
        found = self.revision.topics if self.revision is not None else ()
        return tuple(sorted(found, key=lambda topic: topic.key))

    @property
    def policy(self) -> StagePolicy:
        return self.revision.policy if self.revision is not None else StagePolicy()

    @property
    def observe_only(self) -> str | None:
        """Say why nothing may be written in this stage, if that is so."""
        if isinstance(self.stored, Unknown):
            return f"the state store cannot be read: {self.stored.fault.message}"
        if self.revision is None:
            return "there is no good revision of the manifests yet"
        if self.policy.observe_only:
            return "the StagePolicy says observeOnly: true"
        return None

    @property
    def wrong_brokers(self) -> str | None:
        """Say that the brokers are not those that were declared or seen first, if that is so."""
        expected = self.expected_cluster
        if isinstance(self.cluster_id, Unknown) or expected in (None, self.cluster_id):
            return None
        return (
            f"the broker string leads to cluster {self.cluster_id}, and {expected} is declared or "
            "was seen first: correct the secret, or kafkaClusterId in the StagePolicy"
        )

    @property
    def wrong_cluster(self) -> str | None:
        """Say why nothing may be written: wrong brokers, or a worker that uses others than we."""
        if self.wrong_brokers is not None or self.connect_cluster is None:
            return self.wrong_brokers
        known = self.expected_cluster if isinstance(self.cluster_id, Unknown) else self.cluster_id
        if known in (None, self.connect_cluster):
            return None
        return (
            f"Connect uses cluster {self.connect_cluster}, and the broker string leads to {known}: "
            "correct the secret, or replace the worker so that it reads it anew"
        )

    @property
    def other_stages_listed(self) -> frozenset[str]:
        """Name the offsets topics of other named stages in the newest list of topics."""
        return frozenset(other_offsets(self.stage)).intersection(self.listing or ())

    @property
    def expected_cluster(self) -> str | None:
        return expected_cluster(self.policy, self.records)

    def observed_connectors(self) -> Mapping[str, ObservedConnector]:
        """List all that were really seen, declared or not."""
        if self.connectors.fault is not None:
            return {}
        return {
            key.name: item
            for key, item in self.connectors.items.items()
            if isinstance(item, ObservedConnector)
        }
