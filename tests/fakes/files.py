"""The volume shared with the worker, in memory."""

from __future__ import annotations

from typing import assert_never

from controller.core.action import RemoveSecretFiles, WriteReady, WriteSecretFiles
from controller.core.faults import Fault
from controller.core.model import ObservedDisk, VersionKey


class FakeFiles:
    """Break it with `broken`; `versions` holds what a worker would read."""

    def __init__(self) -> None:
        self.versions: dict[VersionKey, dict[str, str]] = {}
        self.ready: str | None = None
        self.broken: Fault | None = None

    def observe(self) -> ObservedDisk:
        self._enter()
        versions = {key: frozenset(fields) for key, fields in self.versions.items()}
        return ObservedDisk(versions, self.ready)

    def apply(self, action: WriteSecretFiles | RemoveSecretFiles | WriteReady) -> None:
        self._enter()
        match action:
            case WriteSecretFiles(version, fields):
                self.versions[version] = {name: text.reveal() for name, text in fields.items()}
            case RemoveSecretFiles(version):
                self.versions.pop(version, None)
            case WriteReady(line):
                self.ready = line
            case _:
                assert_never(action)

    def wipe(self) -> None:
        """Be the empty volume of a new ECS task."""
        self.versions.clear()
        self.ready = None

    def _enter(self) -> None:
        if self.broken is not None:
            raise self.broken
