"""What each class of topic implies, as tables."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final

from controller.core.model import TopicClass
from controller.core.stage import Stage

DAY_MS: Final = 24 * 60 * 60 * 1000
MOST_PARTITIONS: Final = 1_000  # a slip of the finger must not eat the cluster's quota


@dataclass(frozen=True, slots=True)
class ClassRules:
    """`required` may not be contradicted, `usual` is filled in where nothing is written."""

    required: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    usual: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    partitions: int | None = None  # the only number allowed
    retention: bool = False  # the stage's default retention applies


RULES: Final[Mapping[TopicClass, ClassRules]] = {
    TopicClass.DATA: ClassRules(retention=True),
    # Read from its first record at every start of the connector: nothing in it may ever expire.
    TopicClass.SCHEMA_HISTORY: ClassRules(
        required={"cleanup.policy": "delete", "retention.bytes": "-1", "retention.ms": "-1"},
        partitions=1,
    ),
    TopicClass.SCHEMA_CHANGE: ClassRules(
        required={"cleanup.policy": "delete"}, partitions=1, retention=True
    ),
    TopicClass.HEARTBEAT: ClassRules(
        required={"cleanup.policy": "delete"},
        usual={"retention.ms": str(DAY_MS)},
        partitions=1,
    ),
    TopicClass.CONNECT_INTERNAL: ClassRules(required={"cleanup.policy": "compact"}),
}


def required_fields(topic_class: TopicClass) -> frozenset[str]:
    """Name what a history or internal topic must have, or the broker destroys what is in it."""
    if topic_class not in (TopicClass.SCHEMA_HISTORY, TopicClass.CONNECT_INTERNAL):
        return frozenset()
    return frozenset(RULES[topic_class].required)


@dataclass(frozen=True, slots=True)
class Role:
    """A topic whose name belongs to the stage; whoever declares it cannot choose it."""

    topic_class: TopicClass
    partitions: int
    fixed: bool  # no other number of partitions works


ROLES: Final[Mapping[str, Role]] = {
    "heartbeat": Role(TopicClass.HEARTBEAT, 1, fixed=True),
    # The worker refuses to start when its config topic has more than one partition.
    "connectConfigs": Role(TopicClass.CONNECT_INTERNAL, 1, fixed=True),
    "connectOffsets": Role(TopicClass.CONNECT_INTERNAL, 25, fixed=False),
    "connectStatus": Role(TopicClass.CONNECT_INTERNAL, 5, fixed=False),
}


def role_topic(role: str, stage: Stage) -> str:
    """Name the topic that a role stands for."""
    if role == "heartbeat":
        return stage.heartbeat_topic
    part = {"connectConfigs": "config", "connectOffsets": "offsets", "connectStatus": "status"}
    return stage.connect_topics[part[role]]


def contradictions(
    topic_class: TopicClass, config: Mapping[str, str]
) -> Iterator[tuple[str, str, str]]:
    """Find what a class requires otherwise: key, what is written, what must be."""
    for key, needed in RULES[topic_class].required.items():
        written = config.get(key, needed)
        if written != needed:
            yield key, written, needed


def implied(topic_class: TopicClass, config: Mapping[str, str]) -> Mapping[str, str]:
    """Fill in what the class implies and nobody wrote."""
    rules = RULES[topic_class]
    return {**rules.usual, **rules.required, **config}
