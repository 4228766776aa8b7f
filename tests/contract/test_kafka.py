"""What every KafkaClient must do: asked of the fake and of a real broker alike."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import count

import pytest
from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient, NewTopic

from controller.adapters.kafka import KafkaAdmin
from controller.adapters.kafka_security import KafkaSecurity, client_config
from controller.core.action import AddPartitions, AlterTopic, CreateTopic
from controller.core.faults import Conflict, Rejected
from controller.core.guards import DeletionRequest, PermittedDeletion
from controller.core.model import ABSENT, ObservedTopic, topic_key
from controller.core.stage import Stage
from controller.ports import KafkaClient
from devstack.environment import wait_until
from devstack.stack import Stack as LocalStack
from tests.fakes.kafka import FakeKafka

NUMBERS = count(1)
STAGE = Stage("feat-contract")


@dataclass(frozen=True)
class Cluster:
    """A client under test, and a hand that changes the same cluster by other means."""

    client: KafkaClient
    make: Callable[[str, int, Mapping[str, str]], None]
    drop: Callable[[str], None]
    write: Callable[[str], None]  # one record
    group: Callable[[], str]  # a group of Connect's, with one member

    def observe(self, name: str) -> ObservedTopic:
        topic = self.client.observe([name]).get(topic_key(name))
        assert isinstance(topic, ObservedTopic)
        return topic

    def absent(self, name: str) -> bool:
        return self.client.observe([name]).get(topic_key(name)) == ABSENT


def fake_cluster() -> Cluster:
    fake = FakeKafka(brokers=1)

    def make(name: str, partitions: int, config: Mapping[str, str]) -> None:
        fake.make(name, partitions, config=config)

    def group() -> str:
        fake.groups["mgmt.connect.wms-connector-main"] = 1
        return "mgmt.connect.wms-connector-main"

    def write(name: str) -> None:
        fake.topics[name].records += 1

    return Cluster(fake, make, fake.drop, write, group)


def real_cluster(stack: LocalStack) -> Cluster:
    hand = AdminClient({"bootstrap.servers": stack.broker.bootstrap, "client.id": "hand"})
    config = client_config(stack.broker.bootstrap, KafkaSecurity(), "contract", scrub=str)
    client = KafkaAdmin(config, scrub=str)

    def make(name: str, partitions: int, config: Mapping[str, str]) -> None:
        topic = NewTopic(name, partitions, 1, config=dict(config))
        hand.create_topics([topic])[name].result(15)
        assert wait_until(lambda: name in client.list_topics(), 10)

    def drop(name: str) -> None:
        hand.delete_topics([name])[name].result(15)
        assert wait_until(lambda: name not in client.list_topics(), 10)

    def group() -> str:
        return f"mgmt.connect.wms-connector-{stack.worker().stage}"

    def write(name: str) -> None:
        producer = Producer({"bootstrap.servers": stack.broker.bootstrap, "client.id": "hand"})
        producer.produce(name, b"a record")
        assert producer.flush(10) == 0

    return Cluster(client, make, drop, write, group)


@pytest.fixture(params=["fake", pytest.param("real", marks=pytest.mark.stack)])
def cluster(request: pytest.FixtureRequest) -> Iterator[Cluster]:
    made = (
        fake_cluster()
        if request.param == "fake"
        else real_cluster(request.getfixturevalue("stack"))
    )
    yield made
    made.client.close()


@pytest.fixture
def name() -> str:
    return f"{STAGE.topic_prefix}.contract.{next(NUMBERS)}"


def permit(name: str, topic_id: str) -> PermittedDeletion:
    return PermittedDeletion(
        DeletionRequest(
            stage=STAGE,
            name=name,
            topic_id=topic_id,
            observed_topic_id=topic_id,
            listing_complete=True,
            to_delete=1,
            cap=10,
            confirmed=STAGE.name,
        )
    )


def test_a_created_topic_is_observed_as_it_was_asked_for(cluster: Cluster, name: str) -> None:
    cluster.client.apply(CreateTopic(name, 3, 1, {"retention.ms": "1000"}))
    topic = cluster.observe(name)
    assert (topic.partitions, topic.replication_factor) == (3, 1)
    assert topic.config == {"retention.ms": "1000"}
    assert topic.topic_id


def test_without_a_replication_factor_the_brokers_default_holds(
    cluster: Cluster, name: str
) -> None:
    cluster.client.apply(CreateTopic(name, 1, None, {}))
    assert cluster.observe(name).replication_factor == 1


def test_a_topic_that_nobody_made_is_absent_however_often_it_is_asked_for(
    cluster: Cluster, name: str
) -> None:
    assert cluster.absent(name)
    assert cluster.absent(name)
    assert name not in cluster.client.list_topics()


def test_what_a_topic_only_inherits_is_not_in_its_config(cluster: Cluster, name: str) -> None:
    cluster.make(name, 1, {})
    assert cluster.observe(name).config == {}


def test_topics_that_are_there_and_not_there_are_told_apart_in_one_observation(
    cluster: Cluster, name: str
) -> None:
    cluster.make(name, 1, {})
    snapshot = cluster.client.observe([name, f"{name}.other", name])
    assert snapshot.complete
    assert isinstance(snapshot.get(topic_key(name)), ObservedTopic)
    assert snapshot.get(topic_key(f"{name}.other")) == ABSENT


def test_observing_nothing_is_complete(cluster: Cluster) -> None:
    assert cluster.client.observe([]).complete


def test_creating_what_is_there_is_a_conflict_and_changes_nothing(
    cluster: Cluster, name: str
) -> None:
    cluster.make(name, 2, {"retention.ms": "7"})
    before = cluster.observe(name)
    with pytest.raises(Conflict, match="TopicExists"):
        cluster.client.apply(CreateTopic(name, 1, 1, {}))
    assert cluster.observe(name) == before


@pytest.mark.parametrize(
    ("asked", "reason"),
    [
        (CreateTopic("", 0, 1, {}), "InvalidPartitions"),
        (CreateTopic("", 1, 4, {}), "InvalidReplicationFactor"),
        (CreateTopic("", 1, 0, {}), "InvalidReplicationFactor"),
        (CreateTopic("", 1, 1, {"retention.ms": "soon"}), "InvalidTopicConfig"),
        (CreateTopic("", 1, 1, {"cleanup.policy": "burn"}), "InvalidTopicConfig"),
        (CreateTopic("", 1, 1, {"no.such.key": "1"}), "InvalidTopicConfig"),
    ],
)
def test_a_topic_that_cannot_be_is_rejected_with_a_reason(
    cluster: Cluster, name: str, asked: CreateTopic, reason: str
) -> None:
    with pytest.raises(Rejected) as refused:
        cluster.client.apply(replace(asked, name=name))
    assert refused.value.reason == reason
    assert refused.value.message
    assert cluster.absent(name)


def test_a_name_that_is_none_is_rejected(cluster: Cluster) -> None:
    with pytest.raises(Rejected, match="InvalidTopicName"):
        cluster.client.apply(CreateTopic("no name", 1, 1, {}))


def test_a_name_that_metrics_cannot_tell_from_another_is_rejected(
    cluster: Cluster, name: str
) -> None:
    cluster.make(name, 1, {})
    with pytest.raises(Rejected, match="InvalidTopicName"):
        cluster.client.apply(CreateTopic(name.replace(".", "_"), 1, 1, {}))


def test_altering_sets_the_named_keys_and_leaves_the_others(cluster: Cluster, name: str) -> None:
    cluster.make(name, 1, {"retention.ms": "1000", "segment.ms": "2000"})
    cluster.client.apply(AlterTopic(name, {"retention.ms": "-1", "cleanup.policy": "compact"}))
    assert cluster.observe(name).config == {
        "retention.ms": "-1",
        "segment.ms": "2000",
        "cleanup.policy": "compact",
    }


def test_altering_is_all_or_nothing(cluster: Cluster, name: str) -> None:
    cluster.make(name, 1, {"retention.ms": "1000"})
    with pytest.raises(Rejected, match="InvalidTopicConfig"):
        cluster.client.apply(AlterTopic(name, {"retention.ms": "2000", "cleanup.policy": "burn"}))
    assert cluster.observe(name).config == {"retention.ms": "1000"}


def test_altering_what_is_not_there_is_a_conflict_and_makes_nothing(
    cluster: Cluster, name: str
) -> None:
    with pytest.raises(Conflict, match="TopicGone"):
        cluster.client.apply(AlterTopic(name, {"retention.ms": "1"}))
    assert cluster.absent(name)


def test_partitions_are_added(cluster: Cluster, name: str) -> None:
    cluster.make(name, 1, {})
    cluster.client.apply(AddPartitions(name, 3))
    assert cluster.observe(name).partitions == 3


@pytest.mark.parametrize("total", [1, 2])
def test_partitions_never_get_fewer(cluster: Cluster, name: str, total: int) -> None:
    cluster.make(name, 2, {})
    with pytest.raises(Conflict, match="PartitionsMoved"):
        cluster.client.apply(AddPartitions(name, total))
    assert cluster.observe(name).partitions == 2


def test_adding_partitions_to_what_is_not_there_is_a_conflict(cluster: Cluster, name: str) -> None:
    with pytest.raises(Conflict, match="TopicGone"):
        cluster.client.apply(AddPartitions(name, 3))


def test_the_list_of_topics_gives_the_same_ids_as_the_observation(
    cluster: Cluster, name: str
) -> None:
    cluster.make(name, 1, {})
    assert cluster.client.list_topics()[name] == cluster.observe(name).topic_id
    assert name in cluster.client.topic_names()


def test_a_permitted_topic_is_deleted(cluster: Cluster, name: str) -> None:
    cluster.make(name, 1, {})
    cluster.client.delete_topic(permit(name, cluster.observe(name).topic_id))
    assert wait_until(lambda: cluster.absent(name), 10)


def test_deleting_what_is_gone_is_fine(cluster: Cluster, name: str) -> None:
    cluster.make(name, 1, {})
    given = permit(name, cluster.observe(name).topic_id)
    cluster.drop(name)
    cluster.client.delete_topic(given)


def test_a_topic_that_was_created_again_is_another_one_and_stays(
    cluster: Cluster, name: str
) -> None:
    cluster.make(name, 1, {})
    given = permit(name, cluster.observe(name).topic_id)
    cluster.drop(name)
    cluster.make(name, 1, {})
    with pytest.raises(Conflict, match="TopicReplaced"):
        cluster.client.delete_topic(given)
    assert not cluster.absent(name)


def test_topics_that_hold_a_record_are_told_from_empty_ones(cluster: Cluster, name: str) -> None:
    empty = f"{name}.empty"
    cluster.make(name, 3, {})
    cluster.make(empty, 2, {})
    cluster.write(name)
    found = cluster.client.holding_records({name: 3, empty: 2})
    assert found == {name}
    assert cluster.client.holding_records({}) == frozenset()


def test_brokers_that_guard_nothing_let_every_topic_that_is_there_be_deleted(
    cluster: Cluster, name: str
) -> None:
    cluster.make(name, 1, {})
    assert cluster.client.deletable([name, f"{name}.none"]) == {name}
    assert not cluster.absent(name)


def test_the_cluster_says_who_it_is_and_says_it_again_after_closing(cluster: Cluster) -> None:
    first = cluster.client.cluster_id()
    assert first
    cluster.client.close()
    assert cluster.client.cluster_id() == first


def test_the_members_of_a_group_of_connect_are_counted(cluster: Cluster) -> None:
    assert cluster.client.group_members(cluster.group()) == 1


def test_a_group_that_is_not_there_has_no_members(cluster: Cluster) -> None:
    assert cluster.client.group_members("mgmt.connect.wms-connector-nowhere") == 0
