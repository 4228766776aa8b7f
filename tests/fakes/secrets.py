"""Secrets Manager as the reconciler sees it, in memory; the adapter's contract holds for it too."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from itertools import count

from controller.core.faults import Denied, Fault
from controller.core.model import (
    ABSENT,
    Absent,
    ObservedSecret,
    SecretSnapshot,
    SecretVersion,
    Unknown,
    VersionKey,
)
from controller.core.secret_fields import parse_fields


@dataclass
class _Secret:
    versions: dict[str, str] = field(default_factory=dict)
    current: str | None = None
    previous: str | None = None
    marked: bool = False


class FakeSecrets:
    """Break it with `outage` (everything) or `broken` (one path)."""

    def __init__(self) -> None:
        self.secrets: dict[str, _Secret] = {}
        self.broken: dict[str, Fault] = {}
        self.outage: Fault | None = None
        self.observations = 0
        self._ids = count(1)

    # --- what a person does ---

    def put(self, path: str, text: str) -> str:
        secret = self.secrets.setdefault(path, _Secret())
        version_id = f"00000000-0000-4000-8000-{next(self._ids):012d}"
        secret.versions[version_id] = text
        self._promote(secret, version_id)
        return version_id

    def move_current(self, path: str, version_id: str) -> None:
        self._promote(self.secrets[path], version_id)

    def forget_version(self, path: str, version_id: str) -> None:
        """Drop a version as Secrets Manager does with those that carry no stage."""
        del self.secrets[path].versions[version_id]

    def mark_for_deletion(self, path: str) -> None:
        self.secrets[path].marked = True

    def delete(self, path: str) -> None:
        del self.secrets[path]

    @staticmethod
    def _promote(secret: _Secret, version_id: str) -> None:
        if secret.current != version_id:
            secret.current, secret.previous = version_id, secret.current

    # --- SecretReader ---

    def observe(
        self, candidates: Mapping[str, tuple[str, ...]], versions: Collection[VersionKey]
    ) -> SecretSnapshot:
        self.observations += 1
        return {name: self._observed(name, paths, versions) for name, paths in candidates.items()}

    def _observed(
        self, name: str, paths: tuple[str, ...], versions: Collection[VersionKey]
    ) -> ObservedSecret | Absent | Unknown:
        if self.outage is not None:
            return Unknown(self.outage)
        for position, path in enumerate(paths):
            if path in self.broken:
                return Unknown(self.broken[path])
            secret = self.secrets.get(path)
            if secret is None:
                continue
            if secret.marked:
                return Unknown(Denied("SecretMarkedForDeletion", f"{path} is marked for deletion"))
            current = self._version(name, path, secret.current)
            if not isinstance(current, SecretVersion):
                return Unknown(Denied("SecretWithoutValue", f"{path} holds no value"))
            wanted = [key for key in versions if key.path in paths]
            return ObservedSecret(
                name=name,
                path=path,
                fallback=position > 0,
                current=current,
                previous=self._version(name, path, secret.previous),
                named={key: self._version(name, key.path, key.version_id) for key in wanted},
            )
        return ABSENT

    def _version(
        self, name: str, path: str, version_id: str | None
    ) -> SecretVersion | Absent | Unknown:
        if path in self.broken:
            return Unknown(self.broken[path])
        secret = self.secrets.get(path)
        if secret is None or version_id is None or version_id not in secret.versions:
            return ABSENT
        parsed = parse_fields(name, secret.versions[version_id])
        return SecretVersion(VersionKey(path, version_id), parsed.fields, parsed.problem)
