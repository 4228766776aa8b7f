"""Everything one cycle observed, and everything it plans from that."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from controller.core.model import (
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
from controller.core.stage import Stage


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
    listing: Mapping[str, str] | None = None  # all topics of the cluster, when they were listed

    @property
    def records(self) -> Records:
        """What is remembered; nothing while the store cannot be read."""
        return {} if isinstance(self.stored, Unknown) else self.stored

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

    def observed_connectors(self) -> Mapping[str, ObservedConnector]:
        """List all that were really seen, declared or not."""
        if self.connectors.fault is not None:
            return {}
        return {
            key.name: item
            for key, item in self.connectors.items.items()
            if isinstance(item, ObservedConnector)
        }
