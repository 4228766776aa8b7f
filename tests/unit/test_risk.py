from __future__ import annotations

import pytest

from controller.core.decision import Risk
from controller.core.diff import Change
from controller.core.model import TopicClass
from controller.core.risk import (
    consequence,
    risk_of_connector,
    risk_of_topic,
    tell_connector,
    worst,
)

WEEK = "604800000"


def test_the_worst_of_several_risks_counts() -> None:
    assert worst([]) is Risk.NONE
    assert worst([Risk.RESTART, Risk.DATA_LOSS, Risk.SNAPSHOT]) is Risk.DATA_LOSS
    assert list(Risk) == ["none", "restart", "ordering", "snapshot", "data-loss"]


@pytest.mark.parametrize(
    ("key", "before", "after", "risk"),
    [
        ("retention.ms", "2000", "1000", Risk.DATA_LOSS),
        ("retention.ms", "1000", "2000", Risk.NONE),
        ("retention.ms", "1000", "-1", Risk.NONE),
        ("retention.ms", "-1", "1000", Risk.DATA_LOSS),
        ("retention.ms", None, "1000", Risk.DATA_LOSS),  # shorter than what brokers keep unasked
        ("retention.ms", None, WEEK, Risk.NONE),
        ("retention.ms", None, "-1", Risk.NONE),
        ("retention.ms", "a week", "1000", Risk.DATA_LOSS),
        ("retention.bytes", "2000", "1000", Risk.DATA_LOSS),
        ("retention.bytes", None, "1000", Risk.DATA_LOSS),  # unset is no limit
        ("retention.bytes", None, "-1", Risk.NONE),
        ("min.insync.replicas", "2", "1", Risk.DATA_LOSS),
        ("min.insync.replicas", "1", "2", Risk.NONE),
        ("min.insync.replicas", None, "2", Risk.NONE),
        ("min.insync.replicas", None, "1", Risk.DATA_LOSS),
        ("cleanup.policy", "compact", "delete", Risk.DATA_LOSS),
        ("cleanup.policy", "delete", "compact", Risk.DATA_LOSS),
        ("cleanup.policy", None, "compact", Risk.DATA_LOSS),  # unset is delete
        ("cleanup.policy", None, "delete", Risk.NONE),
        ("compression.type", "lz4", "zstd", Risk.NONE),
    ],
)
def test_a_topic_key_that_keeps_less_may_lose_data(
    key: str, before: str | None, after: str, risk: Risk
) -> None:
    assert risk_of_topic(Change(key, before, after), TopicClass.DATA) is risk


@pytest.mark.parametrize(
    ("key", "inherited", "after", "risk"),
    [
        ("min.insync.replicas", "1", "1", Risk.NONE),
        ("min.insync.replicas", "2", "1", Risk.DATA_LOSS),
        ("retention.ms", "1000", "2000", Risk.NONE),
        ("retention.ms", "-1", WEEK, Risk.DATA_LOSS),
        ("retention.bytes", "1000", "1000", Risk.NONE),
        ("cleanup.policy", "compact", "delete", Risk.DATA_LOSS),
        ("cleanup.policy", "compact", "compact", Risk.NONE),
    ],
)
def test_what_is_unset_is_judged_by_what_the_broker_does_instead(
    key: str, inherited: str, after: str, risk: Risk
) -> None:
    change = Change(key, None, after)
    assert risk_of_topic(change, TopicClass.DATA, {key: inherited}) is risk


@pytest.mark.parametrize("topic_class", [TopicClass.SCHEMA_HISTORY, TopicClass.CONNECT_INTERNAL])
@pytest.mark.parametrize(
    "change",
    [Change("cleanup.policy", "compact", "delete"), Change("retention.ms", "1000", "-1")],
)
def test_restoring_what_history_and_internal_topics_require_is_no_risk(
    topic_class: TopicClass, change: Change
) -> None:
    assert risk_of_topic(change, topic_class) is Risk.NONE


@pytest.mark.parametrize("topic_class", [TopicClass.SCHEMA_HISTORY, TopicClass.CONNECT_INTERNAL])
def test_history_and_internal_topics_are_guarded_in_what_their_class_does_not_require(
    topic_class: TopicClass,
) -> None:
    fewer_copies = Change("min.insync.replicas", "2", "1")
    assert risk_of_topic(fewer_copies, topic_class) is Risk.DATA_LOSS
    assert risk_of_topic(Change("min.insync.replicas", "1", "2"), topic_class) is Risk.NONE


@pytest.mark.parametrize(
    ("key", "before", "after", "risk"),
    [
        ("poll.interval.ms", "500", "100", Risk.RESTART),
        ("database.password", "a", "b", Risk.RESTART),
        ("table.include.list", "A", "A,B", Risk.SNAPSHOT),
        ("table.exclude.list", None, "A", Risk.SNAPSHOT),
        ("schema.include.list", "A", None, Risk.SNAPSHOT),
        ("snapshot.mode", "initial", "always", Risk.SNAPSHOT),
        ("snapshot.mode", "initial", "when_needed", Risk.SNAPSHOT),
        ("snapshot.mode", "always", "no_data", Risk.RESTART),
        ("database.hostname", "a", "b", Risk.DATA_LOSS),
        ("database.url", None, "b", Risk.DATA_LOSS),
        ("errors.tolerance", None, "all", Risk.DATA_LOSS),
        ("errors.tolerance", "all", None, Risk.RESTART),
        ("skipped.operations", "none", "t,d", Risk.DATA_LOSS),
        ("log.mining.transaction.retention.ms", None, "1000", Risk.DATA_LOSS),
        ("log.mining.username.exclude.list", None, "BATCH", Risk.DATA_LOSS),
        ("log.mining.username.include.list", "A,B", "A", Risk.DATA_LOSS),
        ("log.mining.username.exclude.list", "BATCH", None, Risk.RESTART),
        ("log.mining.clientid.exclude.list", None, "batch", Risk.DATA_LOSS),
        ("log.mining.clientid.include.list", None, "app", Risk.DATA_LOSS),
        ("message.prefix.exclude.list", None, "audit", Risk.DATA_LOSS),
        ("message.prefix.include.list", None, "audit", Risk.DATA_LOSS),
        ("slot.drop.on.stop", None, "true", Risk.DATA_LOSS),
        ("slot.drop.on.stop", "true", "false", Risk.RESTART),
        ("offset.mismatch.strategy", None, "trust_slot", Risk.DATA_LOSS),
        ("offset.mismatch.strategy", None, "trust_offset", Risk.RESTART),
        ("slot.name", "a", "b", Risk.DATA_LOSS),
        ("slot.name", None, "debezium", Risk.RESTART),  # Debezium's default
        ("publication.name", "a", "b", Risk.DATA_LOSS),
        ("publication.name", "dbz_publication", None, Risk.RESTART),
        ("database.connection.adapter", "logminer", "xstream", Risk.DATA_LOSS),
        ("database.connection.adapter", None, "logminer", Risk.RESTART),
        ("rac.nodes", "a", "b", Risk.DATA_LOSS),
    ],
)
def test_a_connector_key_costs_a_restart_at_least(
    key: str, before: str | None, after: str | None, risk: Risk
) -> None:
    assert risk_of_connector(Change(key, before, after)) is risk


def test_what_a_mode_is_made_of_costs_as_much_as_the_mode_while_that_is_in_force() -> None:
    part = "snapshot.mode.configuration.based.snapshot.data"
    change = Change(part, "false", "true")
    based = {"snapshot.mode": "configuration_based", part: "true"}
    assert risk_of_connector(change, based) is Risk.SNAPSHOT
    assert risk_of_connector(change, {**based, "snapshot.mode": "initial"}) is Risk.RESTART


@pytest.mark.parametrize("risk", [risk for risk in Risk if risk is not Risk.NONE])
def test_every_risk_has_a_sentence_for_a_person(risk: Risk) -> None:
    assert consequence(["poll.interval.ms"], risk)


def test_the_sentence_of_a_known_field_is_its_own() -> None:
    told = consequence(["retention.ms", "cleanup.policy"], Risk.DATA_LOSS)
    assert "further behind than the new retention" in told
    assert "the old policy kept" in told


def test_what_is_told_stands_beside_the_fields_and_does_not_name_them_again() -> None:
    moved = (Change("database.hostname", "db-1", "db-2"), Change("errors.tolerance", None, "all"))
    told = tell_connector(moved, {"database.hostname": "db-2", "errors.tolerance": "all"})
    assert "another database is read from then on" in told
    slot = (Change("slot.name", "a", "b"),)
    assert "another slot begins" in tell_connector(slot, {"slot.name": "b"})
    assert "changes are lost silently" in told
    assert not [change.field for change in moved if change.field in told]
