"""What is known of one failure: how to recognise it, whose it is, what helps."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class System(StrEnum):
    """Where the fault is, not who reported it."""

    ORACLE = "oracle"
    POSTGRESQL = "postgresql"
    KAFKA = "kafka"
    CONNECT = "connect"
    NETWORK = "network"
    CONFIG = "config"
    SECRET = "secret"  # noqa: S105 - a system
    SCHEMA_HISTORY = "schema-history"
    JVM = "jvm"
    UNKNOWN = "unknown"


class FailureKind(StrEnum):
    TRANSIENT = "transient"  # passes by itself
    PERMANENT = "permanent"  # until a person changes something outside the manifests
    CONFIGURATION = "configuration"  # the manifest is wrong
    IMAGE = "image"  # the worker's image, memory or disk is wrong
    DATA_POSITION = "data-position"  # the place to read on from is lost, or about to be
    CREDENTIAL = "credential"  # each further login does harm
    UNKNOWN = "unknown"


class Treatment(StrEnum):
    """What is done about it; under the name `action` wherever people read it."""

    WAIT = "wait"
    RESTART = "restart"
    HOLD = "hold"
    STOP = "stop"


class Severity(StrEnum):
    DATA = "data"  # lost or at risk
    STOPPED = "stopped"  # nothing flows until somebody acts
    DEGRADED = "degraded"  # heals
    NOISE = "noise"  # says nothing about health


class Actor(StrEnum):
    NOBODY = "nobody"
    OPERATOR = "operator"
    DBA = "dba"
    PLATFORM = "platform"


@dataclass(frozen=True, slots=True)
class Failure:
    """One known failure. It is recognised by any of `codes`, `states` and `texts`.

    A text is found in any case and across line breaks; `…` in it stands for up to 120 characters.
    Where `within` is given, one of its texts must stand somewhere in the whole trace as well.
    """

    id: str  # a stable CamelCase word: also the reason of a condition and a metric label
    system: System
    kind: FailureKind
    treatment: Treatment
    severity: Severity
    actor: Actor
    says: str  # what is wrong, for a tired person
    remedy: str  # what that person should do
    codes: frozenset[int] = frozenset()  # of ORA- and TNS- messages, the same in every language
    states: frozenset[str] = frozenset()  # PostgreSQL's SQLSTATE
    texts: tuple[str, ...] = ()
    within: tuple[str, ...] = ()
    command: str = ""  # SQL or shell, ready to paste after replacing what stands in <>
    tries: int = 0  # restarts before it is left to a person
    wrapper: bool = False  # says that something failed, not what
    silent: bool = False  # the connector runs on: that it runs does not disprove this
