"""What the reconciler needs from the world, in its own words.

Every method raises a Fault and nothing else; an observation never changes anything.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from controller.core.action import (
    ConnectorAction,
    RemoveSecretFiles,
    TopicAction,
    WriteReady,
    WriteSecretFiles,
)
from controller.core.evidence import LogReading
from controller.core.guards import PermittedDeletion
from controller.core.lag import Newest
from controller.core.lag_report import LagReport
from controller.core.model import (
    FieldError,
    Json,
    Login,
    ObservedConnector,
    ObservedDisk,
    ObservedTopic,
    Offsets,
    ProbeOutcome,
    Record,
    SecretSnapshot,
    Snapshot,
    VersionKey,
)
from controller.core.preflight import Said, Subject


class ConnectClient(Protocol):
    """One Kafka Connect cluster."""

    def cluster_id(self) -> str:
        """Must answer the Kafka cluster that the worker itself uses."""
        ...

    def observe(self, names: Collection[str]) -> Snapshot[ObservedConnector]:
        """Must show every connector there is, in one call while none of `names` is missing.

        A missing one must be Absent only when `/health` and the plain list both answered 200 and
        it is still missing, else Unknown. One that exists but has no status yet is PENDING.
        """
        ...

    def offsets(self, name: str) -> Offsets:
        """Must answer () for one without offsets; entries with a null offset are left out."""
        ...

    def alter_offsets(self, name: str, offsets: Offsets | list[dict[str, Json]]) -> None:
        """Must only alter those of a STOPPED connector without a task; else Conflict `NotStopped`.

        Called for a person only.
        """
        ...

    def validate(self, connector_class: str, config: Mapping[str, str]) -> Sequence[FieldError]:
        """Must only be called when a login is wanted: Debezium opens one."""
        ...

    def apply(self, action: ConnectorAction) -> None:
        """Must send one request, once; a time-out after sending is OutcomeUnknown.

        A refused config (400, or the 500 of a null ConfigValueInfo) is Rejected `ConfigRefused`.
        """
        ...

    def delete(self, name: str) -> None:
        """Must not fault when it is already gone; teardown only."""
        ...


class KafkaClient(Protocol):
    """The topics of one Kafka cluster."""

    def cluster_id(self) -> str: ...

    def observe(self, names: Collection[str]) -> Snapshot[ObservedTopic]:
        """Must describe by name, in two calls, never create; Absent only on the broker's word."""
        ...

    def holding_records(self, partitions: Mapping[str, int]) -> frozenset[str]:
        """Must tell which of these topics (name -> partitions) hold a record, reading none."""
        ...

    def newest(self, partitions: Mapping[str, int]) -> Mapping[str, Newest]:
        """Must tell of these topics (name -> partitions) how far they reach, reading no record.

        A topic of which that cannot be told is left out.
        """
        ...

    def topic_names(self) -> frozenset[str]:
        """Must answer the names of all topics that this principal may see, in one call."""
        ...

    def list_topics(self) -> Mapping[str, str]:
        """Must answer name -> topic id of all topics that this principal may see."""
        ...

    def apply(self, action: TopicAction) -> None:
        """Must treat "exists" as Conflict and an unanswered call as OutcomeUnknown."""
        ...

    def delete_topic(self, permit: PermittedDeletion) -> None:
        """Must delete the topic with the permitted id, and not fault when it is already gone."""
        ...

    def group_members(self, group: str) -> int:
        """Must answer how many members the group has now; 0 for a group that is not there."""
        ...

    def deletable(self, names: Collection[str]) -> frozenset[str]:
        """Must answer which of these topics are there and the brokers would let us delete."""
        ...

    def close(self) -> None: ...


class SecretReader(Protocol):
    """Secrets Manager."""

    def observe(
        self, candidates: Mapping[str, tuple[str, ...]], versions: Collection[VersionKey]
    ) -> SecretSnapshot:
        """Must read each name's first existing candidate path; only "not found" leads to the next.

        `versions` are those that configs name: each is read too, and one that is gone is Absent,
        which says nothing about its secret. Must never answer part of a secret.
        """
        ...


class SecretFiles(Protocol):
    """The volume shared with the worker."""

    def observe(self) -> ObservedDisk:
        """Must show only versions whose directory is whole."""
        ...

    def apply(self, action: WriteSecretFiles | RemoveSecretFiles | WriteReady) -> None:
        """Must be atomic: a reader sees all of a version or nothing."""
        ...


class LoginProbe(Protocol):
    """A database that can be logged in to."""

    def probe(self, login: Login) -> tuple[ProbeOutcome, str]:
        """Must try exactly one login within its deadline; the text is scrubbed and for people."""
        ...


class Reach(Protocol):
    """Whether a host takes connections."""

    def why_silent(self, host: str, port: int) -> str | None:
        """Must tell why nobody answers there, within seconds and without any login."""
        ...


class SourcePreflight(Protocol):
    """A database that tells how it was prepared."""

    def look(self, login: Login, subject: Subject) -> Said:
        """Must only read, each check on its own.

        Must raise Unavailable where surely no failed login was counted, Denied where the login was
        refused, and OutcomeUnknown where nobody can tell.
        """
        ...


@dataclass(frozen=True, slots=True)
class Folder:
    """The manifests as text, complete and stable at one moment."""

    files: Mapping[str, str]  # relative path -> text
    commit: str | None = None
    sequence: int = 0  # which push it is, where there are pushes
    address: str = ""  # how its content is found again
    author: str | None = None  # of the commit, where it is known to be theirs
    pushed_by: str | None = None


class ManifestSource(Protocol):
    """Where manifests come from."""

    def read(self) -> Folder:
        """Must answer one consistent state of all files, or raise Unavailable."""
        ...

    def changed(self) -> bool:
        """Must cheaply tell whether `read` would answer something else than last time."""
        ...

    def last_good(self) -> Folder | None:
        """Must answer what was in force last, also in an earlier process, where that is known."""
        ...


class StateStore(Protocol):
    """What we remember, as records under `section/resource`."""

    def load(self) -> Mapping[str, Record]:
        """Must read all unexpired records at once; raises Unavailable when it cannot."""
        ...

    def put(
        self,
        key: str,
        value: Mapping[str, Json],
        *,
        expected: int | None = None,
        expires: float | None = None,
    ) -> int:
        """Must write only if the revision is `expected` (0: not there; None: any), or Conflict."""
        ...

    def delete(self, key: str, *, expected: int | None = None) -> None:
        """Must not fault when it is already gone."""
        ...

    def append(self, section: str, entry: Mapping[str, Json]) -> None:
        """Must keep the newest entries, bounded."""
        ...

    def read(self, section: str, limit: int) -> Sequence[Mapping[str, Json]]:
        """Must answer the newest `limit` entries, oldest first."""
        ...

    def publish(self, section: str, document: Mapping[str, Json]) -> None:
        """Must replace the section's one document, of any size; `load` does not show it."""
        ...

    def published(self, section: str) -> Mapping[str, Json] | None:
        """Must answer the newest document whole, or None when there never was one."""
        ...


class WorkerEvidence(Protocol):
    """What the worker beside us leaves of its log for us."""

    def read(self) -> LogReading:
        """Must answer at once with what is new, bounded; a Fault only if it may not be read."""
        ...


class Watch(Protocol):
    """The first sign that something changed; it decides nothing."""

    def start(self) -> None: ...

    def stop(self) -> None: ...


class Clock(Protocol):
    """Time."""

    def now(self) -> float:
        """Must answer seconds since the epoch."""
        ...

    def monotonic(self) -> float: ...


class Recorder(Protocol):
    """Metrics; must never raise."""

    def cycle_started(self, at: float) -> None: ...

    def cycle_ended(self, result: str, seconds: float, at: float) -> None: ...

    def action_applied(self, kind: str, action: str, result: str, seconds: float) -> None: ...

    def fault_seen(self, system: str, reason: str) -> None: ...

    def condition_set(
        self, kind: str, name: str, condition: str, status: str, reason: str
    ) -> None: ...

    def drift_seen(self, kind: str, name: str) -> None: ...

    def held_set(self, reasons: Mapping[str, int]) -> None: ...

    def idle_set(self, ages: Mapping[str, float]) -> None:
        """Must take the age in seconds of every reason that there is, and set the others to 0."""
        ...

    def suspended_set(self, resources: Mapping[tuple[str, str], bool]) -> None:
        """Must take every declared resource, by kind and name, and forget the others."""
        ...

    def active_set(self, active: bool) -> None:
        """Must show whether this controller is entitled to act."""
        ...

    def orphans_set(self, count: int) -> None: ...

    def restart_judged(self, reason: str, result: str) -> None: ...

    def restarts_set(self, left: int, tries: Mapping[str, tuple[int, float]]) -> None:
        """Must take, by connector, the tries since it was well and when the next is due."""
        ...

    def observation_set(self, up: Mapping[str, bool], fallbacks: int, whole: float | None) -> None:
        """Must take None for the time where not everything was seen, and keep the one before."""
        ...

    def lag_set(self, report: LagReport, running: Collection[str]) -> None:
        """Must show no number of what cannot be seen, nor of one that is not declared running."""
        ...

    def evidence_set(self, lines: Mapping[str, int]) -> None:
        """Must take what became of the worker's lines so far; the numbers only grow."""
        ...

    def revision_set(self, revision: str, commit: str | None) -> None: ...

    def refusal_set(self, since: float | None) -> None:
        """Must take None while the newest manifests are in force."""
        ...
