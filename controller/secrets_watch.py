"""The secrets, read once an interval."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from controller.core.delivery import named_versions, paths_of, secret_names
from controller.core.faults import Fault
from controller.core.model import (
    ABSENT,
    Absent,
    ObservedSecret,
    SecretSnapshot,
    SecretVersion,
    Unknown,
    VersionKey,
)
from controller.core.redact import Redacted
from controller.core.world import World
from controller.ports import SecretReader


@dataclass(frozen=True, slots=True)
class _SecretsRead:
    at: float
    names: frozenset[str]
    versions: frozenset[VersionKey]
    snapshot: SecretSnapshot

    def serves(self, world: World, names: frozenset[str], versions: frozenset[VersionKey]) -> bool:
        fresh = world.now - self.at < world.policy.secrets_interval
        return fresh and names <= self.names and versions <= self.versions


class SecretsWatch:
    """Reads secrets once an interval, and goes on with what it read while they cannot be read."""

    def __init__(self, reader: SecretReader, broker_secret: str, broker_string: str | None) -> None:
        self._reader = reader
        self._given = _given_broker(broker_secret, broker_string)
        self._read: _SecretsRead | None = None
        self._last_known: dict[str, ObservedSecret] = {}
        self.faults: list[Fault] = []  # of the newest observation

    def forget(self) -> None:
        """Read them again in the next observation."""
        self._read = None

    def observe(self, world: World) -> SecretSnapshot:
        self.faults = []
        names, versions = secret_names(world) - frozenset(self._given), named_versions(world)
        if not names:
            return self._given
        read = self._read
        if read is None or not read.serves(world, names, versions):
            snapshot = self._ask(world, names, versions)
            read = _SecretsRead(world.now, names, versions, snapshot)
            self._read = None if self.faults else read
            self._last_known.update(
                (name, seen) for name, seen in snapshot.items() if isinstance(seen, ObservedSecret)
            )
        return {**read.snapshot, **self._given}

    def _ask(
        self, world: World, names: Collection[str], versions: Collection[VersionKey]
    ) -> SecretSnapshot:
        candidates = {name: paths_of(world, name) for name in sorted(names)}
        try:
            snapshot = self._reader.observe(candidates, versions)
        except Fault as fault:
            snapshot = dict.fromkeys(names, Unknown(fault))
        return {name: self._or_last_known(name, secret) for name, secret in snapshot.items()}

    def _or_last_known(
        self, name: str, secret: ObservedSecret | Absent | Unknown
    ) -> ObservedSecret | Absent | Unknown:
        """Go on with what was read before while it cannot be read: it is what the files hold."""
        if not isinstance(secret, Unknown):
            return secret
        if secret.fault not in self.faults:
            self.faults.append(secret.fault)  # one outage is one fault, however many secrets
        return self._last_known.get(name, secret)


def _given_broker(name: str, line: str | None) -> dict[str, ObservedSecret]:
    """Answer as a secret what a setting gives instead of one."""
    if line is None:
        return {}
    key = VersionKey(f"settings/{name}", "given")
    version = SecretVersion(key, {name: Redacted(line)})
    return {
        name: ObservedSecret(
            name, key.path, fallback=False, current=version, previous=ABSENT, named={}
        )
    }
