"""What each sidecar leaves in the store about its own worker's volume."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from controller.core.delivered import sidecar_record, sidecar_value
from controller.core.faults import Fault
from controller.core.model import Json, ObservedDisk, Unknown
from controller.core.world import World
from controller.ports import StateStore

LASTING_INTERVALS: Final = 3.0  # a sidecar that missed so many cycles says nothing any more


class SidecarRecord:
    """Renewed when the volume changed and before it expires; not kept where there is one only."""

    def __init__(self, store: StateStore) -> None:
        self._store = store
        self._holder: str | None = None
        self._said: Mapping[str, Json] | None = None
        self._until = 0.0

    def keep(self, world: World) -> None:
        if world.holder is None or isinstance(world.stored, Unknown):
            return
        if not isinstance(world.disk, ObservedDisk):
            return
        value = sidecar_value(world.disk)
        lasting = LASTING_INTERVALS * world.policy.interval + 15.0
        if value == self._said and world.now < self._until - lasting / 2:
            return
        try:
            self._store.put(sidecar_record(world.holder), value, expires=world.now + lasting)
        except Fault:
            return  # the next cycle tries again; until then it says less than there is
        self._holder, self._said, self._until = world.holder, value, world.now + lasting

    def forget(self) -> None:
        if self._holder is None:
            return
        try:
            self._store.delete(sidecar_record(self._holder))
        except Fault:
            return  # it expires by itself
