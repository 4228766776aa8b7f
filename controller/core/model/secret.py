"""Secrets, the files they become, and the logins they hold."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType
from typing import TypeAlias

from controller.core.model.observed import ABSENT, Absent, Unknown
from controller.core.redact import Redacted


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
