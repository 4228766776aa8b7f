"""Whether a stage was at work before the store knew of it: what is missing then was lost.

    beginning/stage   on which cluster the stage was seen before any connector of it got anywhere

Connect's own offsets tell it, by the topic that holds them: they need no memory, and no worker.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from controller.core.action import Remember
from controller.core.decision import Wait
from controller.core.memory import BIRTH_RECORD, memory_lost
from controller.core.model import ObservedConnector, ResourceKey, Unknown
from controller.core.world import World

BEGINNING_RECORD: Final = "beginning/stage"


def beginning_due(world: World) -> bool:
    """Whether the store cannot tell what was there once; on a branch it does not matter."""
    if isinstance(world.stored, Unknown) or world.revision is None or not world.stage.named:
        return False
    known = world.records.get(BEGINNING_RECORD)
    here = known is not None and known.value.get("cluster_id") == world.cluster_id
    return BIRTH_RECORD not in world.records and not here


def is_forgotten(world: World) -> bool:
    """Whether the stage was at work, and the store does not know it."""
    return beginning_due(world) and world.begun is True


def doubt_of(world: World) -> Wait | None:
    """Answer why nobody can tell yet whether something missing was there once."""
    if not beginning_due(world) or isinstance(world.begun, bool):
        return None
    topic = world.stage.connect_topics["offsets"]
    why = world.begun.fault.message if isinstance(world.begun, Unknown) else "not looked at yet"
    return Wait(
        "BeginningUnknown",
        "the store knows nothing of this stage, and whether it was at work before cannot be seen "
        f"in {topic}: {why}",
    )


def voids_words(key: ResourceKey, world: World) -> bool:
    """Whether a manifest's word may be one that was used before the memory was lost."""
    if memory_lost(world):
        return True
    if not beginning_due(world) or world.begun is False:
        return False
    return not isinstance(world.connectors.get(key), ObservedConnector)  # its mark tells of itself


def keep_beginning(world: World) -> Iterator[Remember]:
    """Remember that the stage had not begun: later no one can see that any more."""
    fresh = beginning_due(world) and world.begun is False and not memory_lost(world)
    if fresh and isinstance(world.cluster_id, str) and world.wrong_cluster is None:
        yield Remember(BEGINNING_RECORD, {"cluster_id": world.cluster_id, "at": world.now})
