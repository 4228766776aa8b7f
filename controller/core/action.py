"""Every effect this process can have, as values; deleting a topic is in none but the last union."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeAlias

from controller.core.guards import PermittedConnectorDeletion, PermittedDeletion
from controller.core.model import Json, Login, VersionKey
from controller.core.preflight import Subject
from controller.core.redact import Redacted

# --- our own side ---------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Remember:
    """Put one record into the state store, before the action that it is about."""

    key: str  # section/resource
    value: Mapping[str, Json]
    expires: float | None = None


@dataclass(frozen=True, slots=True)
class Forget:
    """Remove one record from the state store."""

    key: str


@dataclass(frozen=True, slots=True)
class WriteSecretFiles:
    version: VersionKey
    fields: Mapping[str, Redacted]


@dataclass(frozen=True, slots=True)
class RemoveSecretFiles:
    version: VersionKey


@dataclass(frozen=True, slots=True)
class WriteReady:
    """Let the worker start: the line is the broker string it is to use."""

    line: str


@dataclass(frozen=True, slots=True)
class ProbeLogin:
    """Try one login; the outcome is remembered, also with the refused write that asked for it."""

    version: VersionKey
    login: Login
    refusal: str = ""  # the record of the refused write


@dataclass(frozen=True, slots=True)
class ValidateConfig:
    """Ask the worker what it has against a config it refused; remembered under `record`."""

    name: str
    connector_class: str
    config: Mapping[str, str]
    record: str


@dataclass(frozen=True, slots=True)
class CheckSource:
    """Read what the database must offer; remembered under `record`."""

    version: VersionKey
    login: Login
    subject: Subject
    record: str


# --- topics ---------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class CreateTopic:
    name: str
    partitions: int
    replication_factor: int | None
    config: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class AddPartitions:
    name: str
    total: int


@dataclass(frozen=True, slots=True)
class AlterTopic:
    """Set these keys incrementally (KIP-339); all others stay as they are."""

    name: str
    config: Mapping[str, str]


# --- connectors -----------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class CreateConnector:
    """Create it STOPPED (KIP-980); the digest names the desired config it carries."""

    name: str
    config: Mapping[str, str]
    digest: str = ""


@dataclass(frozen=True, slots=True)
class PutConfig:
    """Write the whole config; the digest names the desired config it carries."""

    name: str
    config: Mapping[str, str]
    digest: str = ""


@dataclass(frozen=True, slots=True)
class Resume:
    name: str


@dataclass(frozen=True, slots=True)
class Pause:
    name: str


@dataclass(frozen=True, slots=True)
class Stop:
    name: str


@dataclass(frozen=True, slots=True)
class Restart:
    """Restart connector and tasks (KIP-745); without `only_failed` RUNNING tasks too."""

    name: str
    only_failed: bool


@dataclass(frozen=True, slots=True)
class RestoreOffsets:
    """Write offsets of a STOPPED connector that a person accepted, named from and to by `moves`."""

    name: str
    offsets: tuple[Mapping[str, Json], ...]
    moves: str
    who: str


# --- teardown of an ephemeral stage ---------------------------------------------------------


@dataclass(frozen=True, slots=True)
class DeleteConnector:
    """Delete what every guard permitted: this stage's mark and prefix, on an ephemeral stage."""

    permit: PermittedConnectorDeletion


@dataclass(frozen=True, slots=True)
class DeleteTopic:
    """Delete what every guard permitted; a permit for a named stage cannot be made."""

    permit: PermittedDeletion


OwnAction: TypeAlias = (
    "Remember | Forget | WriteSecretFiles | RemoveSecretFiles | WriteReady | ProbeLogin"
    " | ValidateConfig | CheckSource"
)
TopicAction: TypeAlias = "CreateTopic | AddPartitions | AlterTopic"
ConnectorAction: TypeAlias = (
    "CreateConnector | PutConfig | Resume | Pause | Stop | Restart | RestoreOffsets"
)
Action: TypeAlias = "OwnAction | TopicAction | ConnectorAction"
TeardownAction: TypeAlias = "DeleteConnector | DeleteTopic | Remember | Forget"

_OWN = (
    Remember,
    Forget,
    WriteSecretFiles,
    RemoveSecretFiles,
    WriteReady,
    ProbeLogin,
    ValidateConfig,
    CheckSource,
)


def is_own(action: Action) -> bool:
    """Whether it changes neither Kafka nor Connect."""
    return isinstance(action, _OWN)
