from __future__ import annotations

from typing import Any

import pytest

from controller.core.action import Action, AddPartitions, AlterTopic, CreateTopic
from controller.core.decision import Act, Converged, Decision, Difference, Risk, Stall, Wait
from controller.core.diff import Change
from controller.core.model import ABSENT, TopicClass, Unknown
from controller.core.topic import TopicMemory, decide_topic, diff_topic
from tests import make

NAME = make.topic().name
NEW = TopicMemory()
APPLIED = TopicMemory(applied=True, once_there=True)
BRANCH = TopicMemory(applied=True, once_there=True, protected=False)


def acted(decision: Decision) -> Act:
    assert isinstance(decision, Act)
    return decision


def stalled(decision: Decision) -> Stall:
    assert isinstance(decision, Stall)
    return decision


def decided(memory: TopicMemory = NEW, *, seen: dict[str, Any], **wanted: Any) -> Decision:
    return decide_topic(make.topic(**wanted), make.observed_topic(**seen), memory)


@pytest.mark.parametrize("memory", [NEW, APPLIED, BRANCH])
def test_what_could_not_be_looked_at_is_left_alone(memory: TopicMemory) -> None:
    decision = decide_topic(make.topic(), Unknown(make.AWAY), memory)
    assert decision == Wait("Unreachable", "nobody answers")


def test_a_topic_that_is_as_declared_needs_nothing() -> None:
    assert decided(seen={}) == Converged()


def test_keys_that_the_manifest_does_not_name_are_not_ours() -> None:
    assert decided(seen={"config": {"retention.ms": "1000", "segment.ms": "5"}}) == Converged()


def test_a_replication_factor_that_is_not_declared_is_the_broker_s() -> None:
    assert diff_topic(make.topic(), make.observed_topic(replication_factor=7)) == ()


@pytest.mark.parametrize(
    "memory", [NEW, TopicMemory(applied=True), TopicMemory(once_there=True, protected=False)]
)
def test_a_topic_that_never_was_there_is_created_and_on_a_branch_a_lost_one_too(
    memory: TopicMemory,
) -> None:
    act = acted(decide_topic(make.topic(replication_factor=2), ABSENT, memory))
    assert act.actions == (CreateTopic(NAME, 3, 2, {"retention.ms": "1000"}),)
    assert act.risk is Risk.NONE


@pytest.mark.parametrize("topic_class", TopicClass)
def test_a_topic_that_was_there_and_is_gone_is_not_created_again(topic_class: TopicClass) -> None:
    stall = stalled(decide_topic(make.topic(topic_class=topic_class), ABSENT, APPLIED))
    assert stall.reason == "TopicLost"
    assert stall.held is not None
    assert stall.held.actions == (CreateTopic(NAME, 3, None, {"retention.ms": "1000"}),)


@pytest.mark.parametrize("kept", [TopicClass.DATA, TopicClass.HEARTBEAT])
def test_the_page_says_that_every_table_stands_still_behind_running(kept: TopicClass) -> None:
    memory = TopicMemory(once_there=True, needed_by=("oracle",))
    told = stalled(decide_topic(make.topic(topic_class=kept), ABSENT, memory)).message
    assert "all tables of oracle stand still behind RUNNING" in told
    assert "archive logs" in told


LOST = TopicMemory(applied=True, once_there=True, recreate=True)


@pytest.mark.parametrize("kept", [TopicClass.DATA, TopicClass.HEARTBEAT])
def test_a_lost_topic_is_made_again_where_the_policy_says_so_and_its_risk_is_told(
    kept: TopicClass,
) -> None:
    act = acted(decide_topic(make.topic(topic_class=kept), ABSENT, LOST))
    assert act.risk is Risk.DATA_LOSS
    assert act.difference is Difference.DRIFT
    assert [type(action) for action in act.actions] == [CreateTopic]


@pytest.mark.parametrize(
    "never", [TopicClass.SCHEMA_HISTORY, TopicClass.SCHEMA_CHANGE, TopicClass.CONNECT_INTERNAL]
)
def test_a_lost_history_is_held_whatever_the_policy_says(never: TopicClass) -> None:
    stall = stalled(decide_topic(make.topic(topic_class=never, partitions=1), ABSENT, LOST))
    assert stall.reason == "TopicLost"
    assert "RUNNING" not in stall.message


@pytest.mark.parametrize(
    ("memory", "difference", "reason"),
    [(NEW, Difference.NEW_GENERATION, "Update"), (APPLIED, Difference.DRIFT, "Repair")],
)
def test_a_difference_is_drift_once_its_generation_was_applied(
    memory: TopicMemory, difference: Difference, reason: str
) -> None:
    act = acted(decided(memory, seen={"config": {"retention.ms": "500"}}))
    assert (act.difference, act.reason) == (difference, reason)
    assert act.actions == (AlterTopic(NAME, {"retention.ms": "1000"}),)
    assert act.diff == (Change("retention.ms", "500", "1000"),)


def test_only_the_keys_that_differ_are_written() -> None:
    wanted = {"retention.ms": "1000", "compression.type": "zstd"}
    act = acted(decided(seen={"config": {"retention.ms": "1000"}}, config=wanted))
    assert act.actions == (AlterTopic(NAME, {"compression.type": "zstd"}),)


def test_a_commit_that_keeps_less_needs_a_person() -> None:
    stall = stalled(decided(seen={"config": {"retention.ms": "2000"}}))
    assert stall.reason == "AcceptanceRequired"
    assert "lose records" in stall.message
    assert stall.held is not None
    assert stall.held.risk is Risk.DATA_LOSS
    assert stall.held.actions == (AlterTopic(NAME, {"retention.ms": "1000"}),)


def test_drift_that_keeps_more_is_reported_and_not_undone() -> None:
    assert stalled(decided(APPLIED, seen={"config": {"retention.ms": "2000"}})).reason == (
        "MoreProtective"
    )


def test_another_cleanup_policy_by_hand_is_never_called_one_that_keeps_more() -> None:
    wanted, seen = {"cleanup.policy": "delete"}, {"config": {"cleanup.policy": "compact"}}
    stall = stalled(decided(APPLIED, seen=seen, config=wanted))
    assert stall.reason == "AcceptanceRequired"
    assert "was changed by hand" in stall.message
    assert "keeps more" not in stall.message
    committed = stalled(decided(NEW, seen=seen, config=wanted))
    assert "by hand" not in committed.message


def test_more_partitions_by_hand_are_never_called_something_that_keeps_more() -> None:
    seen = {"partitions": 2, "config": {"retention.ms": "2000"}}
    stall = stalled(decided(APPLIED, seen=seen))
    assert (stall.reason, "keeps more" in stall.message) == ("AcceptanceRequired", False)


def test_on_a_branch_nothing_needs_a_person() -> None:
    act = acted(decided(BRANCH, seen={"config": {"retention.ms": "2000"}}, partitions=4))
    assert act.actions == (AlterTopic(NAME, {"retention.ms": "1000"}), AddPartitions(NAME, 4))
    assert act.risk is Risk.DATA_LOSS


@pytest.mark.parametrize("memory", [NEW, APPLIED])
def test_more_partitions_need_a_person_since_keys_move(memory: TopicMemory) -> None:
    stall = stalled(decided(memory, seen={}, partitions=4))
    assert stall.reason == "AcceptanceRequired"
    assert stall.held is not None
    assert stall.held.risk is Risk.ORDERING
    assert stall.held.actions == (AddPartitions(NAME, 4),)


@pytest.mark.parametrize(
    ("wanted", "told"),
    [
        ({"partitions": 2}, "never taken away"),
        ({"replication_factor": 2}, "reassigning"),
        ({"partitions": 4, "topic_class": TopicClass.SCHEMA_HISTORY}, "never added to a history"),
        ({"partitions": 4, "topic_class": TopicClass.CONNECT_INTERNAL}, "never added to a history"),
    ],
)
@pytest.mark.parametrize("memory", [NEW, APPLIED, BRANCH])
def test_what_no_call_can_do_is_told_and_never_held_for_acceptance(
    wanted: dict[str, Any], told: str, memory: TopicMemory
) -> None:
    stall = stalled(decided(memory, seen={}, **wanted))
    assert (stall.reason, stall.held) == ("Unsupported", None)
    assert told in stall.message


def test_what_is_harmless_is_done_while_the_rest_waits_for_a_person() -> None:
    wanted = {"retention.ms": "1000", "compression.type": "zstd"}
    seen = {"config": {"retention.ms": "2000"}, "partitions": 5}
    act = acted(decided(seen=seen, config=wanted))
    assert act.actions == (AlterTopic(NAME, {"compression.type": "zstd"}),)
    assert act.risk is Risk.NONE


@pytest.mark.parametrize(
    ("topic_class", "config"),
    [
        (TopicClass.SCHEMA_HISTORY, {"cleanup.policy": "delete", "retention.ms": "-1"}),
        (TopicClass.CONNECT_INTERNAL, {"cleanup.policy": "compact"}),
    ],
)
@pytest.mark.parametrize("memory", [NEW, APPLIED])
def test_what_a_history_requires_is_restored_at_once_whatever_it_was(
    topic_class: TopicClass, config: dict[str, str], memory: TopicMemory
) -> None:
    seen = {"config": {"cleanup.policy": "compact,delete", "retention.ms": "1"}}
    decision = decided(memory, seen=seen, topic_class=topic_class, config=config)
    actions: tuple[Action, ...] = acted(decision).actions
    assert actions == (AlterTopic(NAME, config),)


@pytest.mark.parametrize("topic_class", [TopicClass.SCHEMA_HISTORY, TopicClass.CONNECT_INTERNAL])
@pytest.mark.parametrize(
    ("memory", "reason"), [(NEW, "AcceptanceRequired"), (APPLIED, "MoreProtective")]
)
def test_fewer_copies_of_a_history_or_an_internal_topic_need_a_person(
    topic_class: TopicClass, memory: TopicMemory, reason: str
) -> None:
    fewer = {"min.insync.replicas": "1"}
    seen = {"config": {"min.insync.replicas": "2"}}
    held = stalled(decided(memory, seen=seen, topic_class=topic_class, config=fewer))
    assert (held.reason, held.held and held.held.risk) == (reason, Risk.DATA_LOSS)
