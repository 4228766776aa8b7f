"""What each sidecar leaves in the store about its own worker: its volume, and its log."""

from __future__ import annotations

from controller.core.delivered import (
    LASTING_SECONDS,
    fresh_seconds,
    sidecar_record,
    sidecar_value,
)
from controller.core.evidence import EvidenceBook
from controller.core.evidence_digest import LASTING_SECONDS as EVIDENCE_LASTS
from controller.core.evidence_digest import digest, evidence_record, is_due
from controller.core.faults import Fault
from controller.core.model import Json, ObservedDisk, Unknown
from controller.core.world import World
from controller.ports import StateStore


class SidecarRecord:
    """Renewed when something in it changed and while it is fresh; not kept by one that is alone."""

    def __init__(self, store: StateStore) -> None:
        self._store = store
        self._holder: str | None = None
        self._said: Json = None
        self._at = 0.0

    def keep(self, world: World, book: EvidenceBook, unseen: str | None) -> None:
        """Tell of our own worker only: `book` is its log's, and `unseen` why there is none."""
        if world.holder is None or isinstance(world.stored, Unknown):
            return
        self._keep_volume(world, world.holder, unseen)
        try:
            self._keep_evidence(world, world.holder, book)
        except Fault:
            return  # the next cycle tries again; until then the leader sees less than there is

    def _keep_volume(self, world: World, holder: str, unseen: str | None) -> None:
        if not isinstance(world.disk, ObservedDisk):
            return
        value = sidecar_value(world.disk, world.now, unseen)
        said: Json = [value["versions"], value["log"]]
        due = world.now >= self._at + fresh_seconds(world.policy.interval) / 2
        if not due and said == self._said:
            return
        try:
            self._store.put(sidecar_record(holder), value, expires=world.now + LASTING_SECONDS)
        except Fault:
            return  # the next cycle tries again; until then it says less than there is
        self._holder, self._said, self._at = holder, said, world.now

    def _keep_evidence(self, world: World, holder: str, book: EvidenceBook) -> None:
        key, told = evidence_record(holder), digest(book)
        record = world.records.get(key)
        if record is not None and not told:
            self._store.delete(key)
        elif is_due(record, told, world.now):
            value: dict[str, Json] = {"connectors": told, "at": world.now}
            self._store.put(key, value, expires=world.now + EVIDENCE_LASTS)

    def forget(self) -> None:
        if self._holder is None:
            return
        try:
            self._store.delete(sidecar_record(self._holder))
            self._store.delete(evidence_record(self._holder))
        except Fault:
            return  # they expire by themselves
