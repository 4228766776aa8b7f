"""What to do about one topic; the twin of connector.py."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final

from controller.core.action import Action, AddPartitions, AlterTopic, CreateTopic
from controller.core.decision import Act, Converged, Decision, Difference, Risk, Stall, Wait
from controller.core.diff import Change, Diff, diff_config
from controller.core.model import Absent, DesiredTopic, ObservedTopic, TopicClass, Unknown
from controller.core.risk import LIMITS, consequence, risk_of_topic, worst

_ONE_ORDER: Final = (TopicClass.SCHEMA_HISTORY, TopicClass.CONNECT_INTERNAL)
_RECREATED: Final = (TopicClass.DATA, TopicClass.HEARTBEAT)  # where the StagePolicy says so


@dataclass(frozen=True, slots=True)
class TopicMemory:
    """What is remembered of a topic: whether it once was there, and what was applied."""

    applied: bool = False  # this generation was converged before
    once_there: bool = False
    doubt: Wait | None = None  # why it cannot be told whether it once was there
    protected: bool = True  # a named stage: what may cost data needs a person
    recreate: bool = False  # the StagePolicy wants a lost one made again
    needed_by: tuple[str, ...] = ()  # connectors


def decide_topic(
    desired: DesiredTopic, observed: ObservedTopic | Absent | Unknown, memory: TopicMemory
) -> Decision:
    if isinstance(observed, Unknown):
        return Wait(observed.fault.reason, observed.fault.message)
    if isinstance(observed, Absent):
        return _create(desired, memory)
    diff = diff_topic(desired, observed)
    if not diff:
        return Converged()
    difference = Difference.DRIFT if memory.applied else Difference.NEW_GENERATION
    unsupported = [change for change in diff if _unsupported(change, desired.topic_class)]
    harmful = [
        c
        for c in diff
        if c not in unsupported and _risk(desired, c, observed.inherited) is not Risk.NONE
    ]
    if not memory.protected:
        harmful = []
    todo = tuple(c for c in diff if c not in unsupported and c not in harmful)
    if todo:
        return _alter(desired, todo, difference, observed.inherited)
    if harmful:
        return _hold(desired, tuple(harmful), difference, observed.inherited)
    return Stall("Unsupported", _explain_unsupported(unsupported[0]), diff=diff)


def diff_topic(desired: DesiredTopic, observed: ObservedTopic) -> Diff:
    """Compare partitions, replication factor and the keys the manifest names, no others."""
    changes = list(diff_config(desired.config, observed.config, only_desired=True))
    if desired.partitions != observed.partitions:
        changes.append(Change("partitions", str(observed.partitions), str(desired.partitions)))
    wanted = desired.replication_factor
    if wanted is not None and wanted != observed.replication_factor:
        changes.append(Change("replicationFactor", str(observed.replication_factor), str(wanted)))
    return tuple(changes)


def _create(desired: DesiredTopic, memory: TopicMemory) -> Decision:
    create = Act(
        (
            CreateTopic(
                desired.name, desired.partitions, desired.replication_factor, desired.config
            ),
        ),
        "Create",
        f"topic {desired.name} is not there",
        difference=Difference.DRIFT if memory.applied else Difference.NEW_GENERATION,
    )
    if not memory.protected:
        return create
    if not memory.once_there:
        return create if memory.doubt is None else replace(memory.doubt, held=create)
    lost = replace(create, risk=Risk.DATA_LOSS, consequence="what was in it is gone for good")
    if memory.recreate and desired.topic_class in _RECREATED:
        return replace(lost, message=f"{_tell_lost(desired, memory)}; lostTopics says recreate")
    return Stall("TopicLost", f"{_tell_lost(desired, memory)}: find out who deleted it", held=lost)


def _tell_lost(desired: DesiredTopic, memory: TopicMemory) -> str:
    told = (
        f"topic {desired.name} was there and is gone; created again it would be empty, and "
        "consumers and offsets would not know"
    )
    if desired.topic_class not in _RECREATED:
        return told
    which = f"of {', '.join(memory.needed_by)} " if memory.needed_by else "of its connector "
    return (
        f"{told}. Meanwhile all tables {which}stand still behind RUNNING, and the database's "
        "archive logs must reach back to this moment when it goes on"
    )


def _alter(
    desired: DesiredTopic, diff: Diff, difference: Difference, inherited: Mapping[str, str]
) -> Act:
    actions: list[Action] = []
    config = {c.field: c.after for c in diff if c.field != "partitions" and c.after is not None}
    if config:
        actions.append(AlterTopic(desired.name, config))
    if any(c.field == "partitions" for c in diff):
        actions.append(AddPartitions(desired.name, desired.partitions))
    risk = worst(_risk(desired, change, inherited) for change in diff)
    reason = "Repair" if difference is Difference.DRIFT else "Update"
    message = f"{', '.join(c.field for c in diff)} of topic {desired.name} differs"
    told = consequence((c.field for c in diff), risk) if risk is not Risk.NONE else ""
    return Act(tuple(actions), reason, message, diff, difference, risk, told)


def _hold(
    desired: DesiredTopic, diff: Diff, difference: Difference, inherited: Mapping[str, str]
) -> Stall:
    held = _alter(desired, diff, difference, inherited)
    fields = ", ".join(change.field for change in diff)
    keeps_more = all(change.field in LIMITS for change in diff)
    if difference is Difference.DRIFT and not keeps_more:
        return Stall(
            "AcceptanceRequired",
            f"{fields} of topic {desired.name} was changed by hand, and is left: set back, "
            f"{held.consequence}; declare what is there, or accept that",
            diff,
            held,
        )
    if difference is Difference.DRIFT:
        return Stall(
            "MoreProtective",
            f"{fields} of topic {desired.name} was changed by hand to something that keeps more; "
            f"it is left, since {held.consequence}: declare it, or set it back by hand",
            diff,
            held,
        )
    return Stall(
        "AcceptanceRequired",
        f"{fields} of topic {desired.name}: {held.consequence}; a person must accept that",
        diff,
        held,
    )


def _unsupported(change: Change, topic_class: TopicClass) -> bool:
    if change.field == "replicationFactor":
        return True
    if change.field != "partitions":
        return False
    return topic_class in _ONE_ORDER or int(change.after or 0) < int(change.before or 0)


def _explain_unsupported(change: Change) -> str:
    if change.field == "replicationFactor":
        return (
            f"the topic has {change.before} replicas and the manifest says {change.after}: that is "
            "changed by reassigning partitions, which is not done here"
        )
    return (
        f"the topic has {change.before} partitions and the manifest says {change.after}: "
        "partitions are never taken away, and never added to a history or an internal topic; "
        "declare what is there"
    )


def _risk(desired: DesiredTopic, change: Change, inherited: Mapping[str, str]) -> Risk:
    if change.field == "partitions":
        return Risk.ORDERING
    return risk_of_topic(change, desired.topic_class, inherited)
