"""What each sidecar leaves in the store about its own worker's volume."""

from __future__ import annotations

from controller.core.delivered import (
    LASTING_SECONDS,
    fresh_seconds,
    sidecar_record,
    sidecar_value,
)
from controller.core.faults import Fault
from controller.core.model import Json, ObservedDisk, Unknown
from controller.core.world import World
from controller.ports import StateStore


class SidecarRecord:
    """Renewed when the volume changed and while it is fresh; not kept where there is one only."""

    def __init__(self, store: StateStore) -> None:
        self._store = store
        self._holder: str | None = None
        self._said: Json = None
        self._at = 0.0

    def keep(self, world: World) -> None:
        if world.holder is None or isinstance(world.stored, Unknown):
            return
        if not isinstance(world.disk, ObservedDisk):
            return
        value = sidecar_value(world.disk, world.now)
        due = world.now >= self._at + fresh_seconds(world.policy.interval) / 2
        if not due and value["versions"] == self._said:
            return
        try:
            self._store.put(
                sidecar_record(world.holder), value, expires=world.now + LASTING_SECONDS
            )
        except Fault:
            return  # the next cycle tries again; until then it says less than there is
        self._holder, self._said, self._at = world.holder, value["versions"], world.now

    def forget(self) -> None:
        if self._holder is None:
            return
        try:
            self._store.delete(sidecar_record(self._holder))
        except Fault:
            return  # it expires by itself
