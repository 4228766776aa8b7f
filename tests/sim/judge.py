"""A person who reads and accepts, and a judge of all that is sent, by the world's own truth."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from controller.core.accept import ACCEPTABLE, accept_record, action_id, used_record
from controller.core.action import (
    Action,
    AddPartitions,
    AlterTopic,
    ConnectorAction,
    CreateConnector,
    CreateTopic,
    PutConfig,
    Resume,
    TopicAction,
)
from controller.core.connector_memory import release_record
from controller.core.decision import Act, Stall
from controller.core.model import Json, ResourceKey, connector_key, topic_key
from controller.cycle_report import CycleReport
from tests.sim.world import Broken, SimWorld

HOUR: Final = 3600.0


@dataclass(eq=False, slots=True)
class Word:
    """One acceptance, and what it was shown to do."""

    key: ResourceKey
    id: str
    at: float
    kinds: frozenset[type[Action]]
    spent: set[type[Action]] = field(default_factory=set)


class Judge:
    """Breaks the run at the first call that costs something and that nobody accepted."""

    def __init__(self, world: SimWorld) -> None:
        self.world = world
        self.lost: set[str] = set()  # topics that once were, and held something
        self.starts = 0  # of a connector that had no offsets
        self._words: list[Word] = []
        world.judge = self.judge

    def lose(self, topic: str) -> None:
        there = self.world.kafka.topics.get(topic)
        if there is not None:
            self.world.kafka.drop(topic)
            self.lost |= {topic} if there.records else set()

    # --- a person -----------------------------------------------------------------------------

    def accept(self, report: CycleReport) -> None:
        """Accept all that this report offers, if the store can be reached."""
        for step in report.plan.steps if self.world.store.broken is None else ():
            held = step.decision.held if isinstance(step.decision, Stall) else None
            if held is not None and held.risk in ACCEPTABLE:
                self._say(step.key, held)

    def _say(self, key: ResourceKey, held: Act) -> None:
        now, name = self.world.clock.time, action_id(key, held)
        value: dict[str, Json] = {"risk": str(held.risk), "who": "ann", "at": now}
        self.world.store.put(accept_record(key, name), value, expires=now + HOUR)
        self._words.append(Word(key, name, now, frozenset(type(a) for a in held.actions)))

    def release(self, connector: str) -> None:
        if self.world.store.broken is not None:
            return
        value: dict[str, Json] = {"who": "ann", "reason": "released"}
        expires = self.world.clock.time + 24 * HOUR
        self.world.store.put(release_record(connector), value, expires=expires)

    # --- the judge ----------------------------------------------------------------------------

    def judge(self, action: TopicAction | ConnectorAction) -> None:
        if isinstance(action, Resume) and not self._offsets(action.name):
            self.starts += 1
        if self._costs(action) and not self._is_accepted(action):
            raise Broken(f"nobody accepted {action}")

    def _is_accepted(self, action: TopicAction | ConnectorAction) -> bool:
        """Whether a word for it was stamped as used, which was not used for another call."""
        kind = type(action)
        is_topic = isinstance(action, CreateTopic | AddPartitions | AlterTopic)
        key = topic_key(action.name) if is_topic else connector_key(action.name)
        for word in self._words:
            used = self.world.store.records.get(used_record(word.id))
            if used is None or used.value.get("said") != word.at or word.key != key:
                continue
            if kind in word.kinds - word.spent:
                word.spent.add(kind)
                return True
        return False

    def _costs(self, action: TopicAction | ConnectorAction) -> bool:
        match action:
            case AddPartitions():
                return True
            case CreateTopic():
                return action.name in self.lost
            case AlterTopic():
                return _keeps_less(self.world.kafka.topics[action.name].config, action.config)
            case Resume():
                return not self._offsets(action.name) and self._holds_records()
            case CreateConnector():
                return action.config.get("errors.tolerance") == "all"
            case PutConfig():
                return self._changes_what_is_read(action)
            case _:
                return False

    def _offsets(self, name: str) -> bool:
        return any(self.world.connect.world.offsets.get(name, {}).values())

    def _holds_records(self) -> bool:
        topics = self.world.kafka.topics
        return any(one.name in topics and topics[one.name].records for one in self.world.topics[:2])

    def _changes_what_is_read(self, put: PutConfig) -> bool:
        seen = self.world.connect.world.connectors.get(put.name)
        if seen is None:
            return False
        tables = seen.config.get("table.include.list") != put.config.get("table.include.list")
        tolerance = put.config.get("errors.tolerance", "none")
        tolerates = tolerance == "all" != seen.config.get("errors.tolerance", "none")
        return tolerates or (tables and self._offsets(put.name))


def _keeps_less(before: Mapping[str, str], after: Mapping[str, str]) -> bool:
    old = int(before.get("retention.ms", "604800000"))
    new = int(after.get("retention.ms", old))
    return new != -1 and (old == -1 or new < old)
