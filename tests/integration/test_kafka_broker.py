"""The Kafka adapter against brokers that guard, make topics by themselves, and go away."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from confluent_kafka.admin import NewTopic

from controller.adapters.kafka import KafkaAdmin
from controller.adapters.kafka_security import KafkaSecurity, SecurityKind, client_config
from controller.core.action import AddPartitions, AlterTopic, CreateTopic
from controller.core.faults import Conflict, Denied, OutcomeUnknown, Unavailable
from controller.core.model import ABSENT, ObservedTopic, Unknown, topic_key
from controller.core.redact import Redacted
from devstack.environment import wait_until
from devstack.stack import Stack
from tests.guarded_broker import (
    ALLOWED,
    PASSWORD,
    SHOWN,
    USER,
    GuardedBroker,
    guarded_broker,
    unsigned_token,
)

pytestmark = pytest.mark.stack


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GuardedBroker]:
    with guarded_broker(tmp_path_factory.mktemp("guarded")) as broker:
        yield broker


def plain(broker: GuardedBroker, seconds: float = 5) -> KafkaAdmin:
    config = client_config(broker.plain, KafkaSecurity(), "test", scrub=str)
    return KafkaAdmin(config, scrub=str, read_seconds=seconds, write_seconds=seconds)


def scram(broker: GuardedBroker, password: str = PASSWORD) -> KafkaAdmin:
    security = KafkaSecurity(SecurityKind.SCRAM, Redacted(USER), Redacted(password), str(broker.ca))
    config = client_config(broker.scram, security, "test", scrub=str)
    return KafkaAdmin(config, scrub=str, read_seconds=3)


def tls(broker: GuardedBroker, ca: Path | None) -> KafkaAdmin:
    security = KafkaSecurity(SecurityKind.TLS, ca_location=str(ca) if ca else None)
    config = client_config(broker.tls, security, "test", scrub=str)
    return KafkaAdmin(config, scrub=str, read_seconds=3)


def iam(broker: GuardedBroker, sign: Callable[[str], tuple[str, int]]) -> KafkaAdmin:
    security = KafkaSecurity(SecurityKind.IAM, ca_location=str(broker.ca), region="eu-central-1")
    config = client_config(broker.iam, security, "test", scrub=str, sign=sign)
    return KafkaAdmin(config, scrub=str, read_seconds=5)


def make(broker: GuardedBroker, name: str) -> str:
    hand = broker.hand()  # its futures end with it
    hand.create_topics([NewTopic(name, 1, 1)])[name].result(15)
    assert wait_until(lambda: name in hand.list_topics(timeout=5).topics, 40)
    return name


# --- a broker that makes whatever is mentioned ----------------------------------------------


def test_this_broker_makes_a_topic_that_an_incautious_client_mentions(
    guarded: GuardedBroker,
) -> None:
    hand = guarded.hand()
    assert wait_until(
        lambda: hand.list_topics("mentioned", timeout=5).topics["mentioned"].error is None, 40
    )
    assert "mentioned" in plain(guarded).list_topics()


def test_nothing_that_we_ask_makes_a_topic(guarded: GuardedBroker) -> None:
    client = plain(guarded)
    names = [f"never.{number}" for number in range(20)]
    for _ in range(3):
        snapshot = client.observe(names)
        assert all(snapshot.get(topic_key(name)) == ABSENT for name in names)
    for action in (AlterTopic("never.1", {"retention.ms": "1"}), AddPartitions("never.2", 4)):
        with pytest.raises(Conflict, match="TopicGone"):
            client.apply(action)
    assert not set(names) & set(client.list_topics())


# --- logins ---------------------------------------------------------------------------------


def test_over_tls_the_same_cluster_answers(guarded: GuardedBroker) -> None:
    assert tls(guarded, guarded.ca).cluster_id() == plain(guarded).cluster_id()


def test_a_broker_with_a_certificate_of_nobody_is_denied(guarded: GuardedBroker) -> None:
    with pytest.raises(Denied, match="certificate"):
        tls(guarded, None).cluster_id()


def test_with_scram_the_same_cluster_answers(guarded: GuardedBroker) -> None:
    assert scram(guarded).cluster_id() == plain(guarded).cluster_id()


def test_a_wrong_password_is_denied_and_not_unavailable(guarded: GuardedBroker) -> None:
    with pytest.raises(Denied, match="KafkaLoginRefused") as denied:
        scram(guarded, "wrong-password-1").observe(["wms"])
    assert "invalid credentials" in denied.value.message
    assert "wrong-password-1" not in denied.value.message


def test_with_a_token_the_same_cluster_answers(guarded: GuardedBroker) -> None:
    client = iam(guarded, lambda _region: unsigned_token(USER, 900))
    assert client.cluster_id() == plain(guarded).cluster_id()


def test_a_token_that_the_broker_refuses_is_denied(guarded: GuardedBroker) -> None:
    def sign(_region: str) -> tuple[str, int]:
        return "not.a.token", int(time.time() * 1000) + 900_000

    with pytest.raises(Denied, match="KafkaLoginRefused"):
        iam(guarded, sign).cluster_id()


def test_a_token_is_renewed_by_the_calls_of_a_cycle(guarded: GuardedBroker) -> None:
    signed: list[float] = []

    def sign(_region: str) -> tuple[str, int]:
        signed.append(time.monotonic())
        return unsigned_token(USER, 5)

    client = iam(guarded, sign)
    client.cluster_id()
    first = len(signed)

    def cycle() -> bool:
        client.observe([f"{ALLOWED}x"])
        return len(signed) > first

    assert wait_until(cycle, 15, every=0.5)


# --- permissions ----------------------------------------------------------------------------


def test_a_topic_out_of_our_rights_is_unknown_and_spoils_no_other(guarded: GuardedBroker) -> None:
    allowed, foreign = make(guarded, f"{ALLOWED}a"), make(guarded, "foreign.a")
    snapshot = scram(guarded).observe([allowed, foreign, f"{ALLOWED}none", "foreign.none"])
    assert isinstance(snapshot.get(topic_key(allowed)), ObservedTopic)
    assert snapshot.get(topic_key(f"{ALLOWED}none")) == ABSENT
    for name in (foreign, "foreign.none"):  # there or not: who may not look cannot say "absent"
        observed = snapshot.get(topic_key(name))
        assert isinstance(observed, Unknown)
        assert isinstance(observed.fault, Denied)
    assert not snapshot.complete


def test_the_list_shows_only_what_we_may_see(guarded: GuardedBroker) -> None:
    allowed, foreign = make(guarded, f"{ALLOWED}listed"), make(guarded, "foreign.listed")
    listed = scram(guarded).list_topics()
    assert allowed in listed
    assert foreign not in listed


def test_writes_out_of_our_rights_are_denied_and_change_nothing(guarded: GuardedBroker) -> None:
    foreign = make(guarded, "foreign.write")
    client = scram(guarded)
    for action in (
        CreateTopic("foreign.new", 1, 1, {}),
        AlterTopic(foreign, {"retention.ms": "1"}),
        AddPartitions(foreign, 2),
    ):
        with pytest.raises(Denied):
            client.apply(action)
    seen = plain(guarded).observe([foreign, "foreign.new"])
    topic = seen.get(topic_key(foreign))
    assert isinstance(topic, ObservedTopic)
    assert (topic.config, topic.partitions) == ({}, 1)
    assert seen.get(topic_key("foreign.new")) == ABSENT


def test_what_the_brokers_would_let_us_delete_is_their_own_word(guarded: GuardedBroker) -> None:
    allowed, foreign, shown = (make(guarded, f"{p}deletable") for p in (ALLOWED, "foreign.", SHOWN))
    names = [allowed, foreign, shown, f"{ALLOWED}none", "foreign.none"]
    assert scram(guarded).deletable(names) == {allowed}
    assert plain(guarded).deletable(names) == {allowed, foreign, shown}
    assert {allowed, foreign, shown} <= set(plain(guarded).list_topics())
    with pytest.raises(Denied):
        scram(guarded, "wrong-password-1").deletable(names)


def test_a_group_that_we_may_not_see_is_not_taken_for_empty(guarded: GuardedBroker) -> None:
    with pytest.raises(Denied):
        scram(guarded).group_members("mgmt.connect.wms-connector-main")


# --- reading what was just written ----------------------------------------------------------


def test_what_was_just_written_is_what_is_observed_next(guarded: GuardedBroker) -> None:
    client = plain(guarded)
    for number in range(30):
        name = f"settling.{number}"
        client.apply(CreateTopic(name, 1, 1, {"retention.ms": "7"}))
        created = client.observe([name]).get(topic_key(name))
        client.apply(AlterTopic(name, {"retention.ms": "8"}))
        altered = client.observe([name]).get(topic_key(name))
        client.apply(AddPartitions(name, 2))
        grown = client.observe([name]).get(topic_key(name))
        assert isinstance(created, ObservedTopic)
        assert isinstance(altered, ObservedTopic)
        assert isinstance(grown, ObservedTopic)
        assert altered.config == {"retention.ms": "8"}
        assert grown.partitions == 2


# --- bulk and outages -----------------------------------------------------------------------


def test_a_thousand_topics_are_observed_in_two_requests(guarded: GuardedBroker) -> None:
    names = [f"bulk.{number}" for number in range(1000)]
    hand = guarded.hand()
    for created in hand.create_topics([NewTopic(name, 1, 1) for name in names]).values():
        created.result(60)
    assert wait_until(lambda: set(names) <= set(hand.list_topics(timeout=5).topics), 20)
    requests: list[str] = []
    config = client_config(guarded.plain, KafkaSecurity(), "test", scrub=str)
    client = KafkaAdmin(config, scrub=str, on_request=requests.append, read_seconds=60.0)
    client.observe(names)
    requests.clear()
    snapshot = client.observe(names)
    assert requests == ["describe_topics", "describe_configs"]
    assert all(isinstance(snapshot.get(topic_key(name)), ObservedTopic) for name in names)
    for deleted in hand.delete_topics(names).values():
        deleted.result(60)
    # Until then the broker is slow to show what the next test makes.
    assert wait_until(lambda: not set(names) & set(hand.list_topics(timeout=5).topics), 60)


def test_topics_made_and_dropped_while_we_look_are_never_taken_for_something_else(
    guarded: GuardedBroker,
) -> None:
    name, stop = "restless", threading.Event()
    hand = guarded.hand()

    def churn() -> None:
        while not stop.is_set():
            hand.create_topics([NewTopic(name, 2, 1, config={"retention.ms": "5"})])[name].result(9)
            hand.delete_topics([name])[name].result(9)

    churning = threading.Thread(target=churn)
    churning.start()
    client = plain(guarded)
    try:
        for _ in range(100):
            observed = client.observe([name]).get(topic_key(name))
            if isinstance(observed, ObservedTopic):
                assert (observed.partitions, observed.config) == (2, {"retention.ms": "5"})
            else:
                assert observed == ABSENT or isinstance(observed, Unknown)
    finally:
        stop.set()
        churning.join(20)


def test_a_broker_that_comes_back_is_used_again_by_the_same_client(
    guarded: GuardedBroker,
) -> None:
    name = make(guarded, "outlives.the.broker")
    client = plain(guarded, seconds=1)
    before = client.observe([name])
    guarded.broker.stop()
    with pytest.raises(Unavailable):
        client.observe([name])
    with pytest.raises(OutcomeUnknown):
        client.apply(AlterTopic(name, {"retention.ms": "1"}))
    guarded.broker.start()

    def again() -> bool:
        try:
            return client.observe([name]) == before
        except Unavailable:
            return False

    assert wait_until(again, 20)


def test_the_members_of_connects_group_are_counted_until_the_worker_is_gone(stack: Stack) -> None:
    worker = stack.add_worker("feat-group")
    config = client_config(stack.broker.bootstrap, KafkaSecurity(), "test", scrub=str)
    client = KafkaAdmin(config, scrub=str)
    group = "mgmt.connect.wms-connector-feat-group"
    try:
        assert client.group_members(group) == 1
    finally:
        worker.stop()
    assert wait_until(lambda: client.group_members(group) == 0, 60, every=0.5)
