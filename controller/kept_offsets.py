"""The newest offsets that were seen of each connector, kept in the store for `offsets restore`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from controller.core.faults import Fault
from controller.core.model import Json
from controller.core.offsets import Place, exported
from controller.core.progress import Progress
from controller.core.world import World
from controller.ports import StateStore
from controller.timestamp import timestamp

SECTION: Final = "offsets"
MOST: Final = 100  # of each connector; one a minute while data flows


class OffsetsKeeper:
    """Adds what is new to the document in the store; a fault is tried again with the next cycle."""

    def __init__(self, store: StateStore) -> None:
        self._store = store
        self._document: dict[str, list[Json]] | None = None  # None: not read yet
        self._unwritten = False

    def follow(self, world: World) -> Fault | None:
        """Keep what this cycle saw; a standby keeps nothing, or two would write one document."""
        if world.not_leader is not None:
            return None
        seen = {n: p for n, p in world.progress.items() if isinstance(p, Progress) and p.offsets}
        if not seen or not isinstance(world.cluster_id, str):
            return None
        try:
            document = self._read()
            for name, progress in seen.items():
                place = Place(world.stage.name, world.cluster_id, name)
                self._add(document, place, progress)
            self._write(document)
        except Fault as fault:
            return fault
        return None

    def _read(self) -> dict[str, list[Json]]:
        if self._document is None:
            self._document = {name: list(kept) for name, kept in kept_offsets(self._store).items()}
        return self._document

    def _add(self, document: dict[str, list[Json]], place: Place, progress: Progress) -> None:
        kept = document.setdefault(place.connector, [])
        entry = exported(place, progress.offsets, timestamp(progress.read_at))
        if kept and _offsets(kept[-1]) == entry["offsets"]:
            return
        kept.append(entry)
        del kept[:-MOST]
        self._unwritten = True

    def _write(self, document: Mapping[str, list[Json]]) -> None:
        if self._unwritten:
            self._store.publish(SECTION, {name: list(kept) for name, kept in document.items()})
            self._unwritten = False


def kept_offsets(store: StateStore) -> Mapping[str, list[Any]]:
    """Read what is kept, oldest first, each as `offsets export` writes it."""
    document = store.published(SECTION) or {}
    return {name: kept for name, kept in document.items() if isinstance(kept, list)}


def _offsets(entry: Json) -> Json:
    return entry.get("offsets") if isinstance(entry, dict) else None
