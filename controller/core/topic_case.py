"""What bears on the decision about each topic, gathered from the world; twin of connector_case."""

from __future__ import annotations

from controller.core.beginning import doubt_of, is_forgotten
from controller.core.decision import Decision
from controller.core.identity import HISTORY_KEY
from controller.core.memory import is_applied, memory_lost
from controller.core.model import DesiredTopic, LostTopics, TopicClass
from controller.core.topic import TopicMemory, decide_topic
from controller.core.world import World


def decide_topic_case(topic: DesiredTopic, world: World) -> Decision:
    needed_by = tuple(m.name for m in world.declared_connectors if topic.key in m.needs)
    lost = not memory_lost(world).isdisjoint(needed_by)
    forgotten = lost or is_forgotten(world)
    memory = TopicMemory(
        applied=is_applied(topic.key, topic.generation, world) or lost,
        once_there=f"topicId/{topic.name}" in world.records
        or forgotten
        or _is_history_in_use(topic, world),
        doubt=doubt_of(world),
        protected=world.stage.named,
        recreate=world.policy.lost_topics is LostTopics.RECREATE and not forgotten,
        needed_by=needed_by,
    )
    return decide_topic(topic, world.topics.get(topic.key), memory)


def _is_history_in_use(topic: DesiredTopic, world: World) -> bool:
    """Whether a connector that is there has come somewhere with it, as far as anybody knows."""
    return topic.topic_class is TopicClass.SCHEMA_HISTORY and any(
        connector.config.get(HISTORY_KEY) == topic.name and world.offsets.get(name) != ()
        for name, connector in world.observed_connectors().items()
    )
