"""What a real broker tells of a topic's newest record, and what the record itself tells."""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import count
from typing import Any

import pytest
from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient, NewTopic

from controller.adapters.kafka import KafkaAdmin
from controller.adapters.kafka_security import KafkaSecurity, client_config
from controller.adapters.topic_tail import TopicTail
from controller.core.faults import Unavailable
from controller.core.lag import Newest, Place
from devstack.environment import wait_until
from devstack.port import free_port
from tests.guarded_broker import GuardedBroker, guarded_broker

pytestmark = pytest.mark.stack
NUMBERS = count(1)
AT = 1_700_000_000_000


class Broker:
    """A hand that writes, and the two clients under test."""

    def __init__(self, bootstrap: str) -> None:
        self.hand = AdminClient({"bootstrap.servers": bootstrap})
        self.producer = Producer({"bootstrap.servers": bootstrap})
        config = client_config(bootstrap, KafkaSecurity(), "test", scrub=str)
        self.client = KafkaAdmin(config, scrub=str)
        self.tail = TopicTail(config, scrub=str, seconds=30)

    def topic(self, partitions: int = 1) -> str:
        name = f"lag-{next(NUMBERS)}"
        self.hand.create_topics([NewTopic(name, partitions, 1)])[name].result(15)
        # The first answers after a creation are of brokers that the news has not reached, and the
        # client under test remembers such an answer for a while.
        assert wait_until(lambda: self._has_leaders(name, partitions), 30)
        assert wait_until(lambda: self._is_led(name, partitions), 30)
        return name

    def _has_leaders(self, name: str, partitions: int) -> bool:
        found = self.hand.list_topics(name, timeout=10).topics[name].partitions
        return len(found) == partitions and all(one.leader >= 0 for one in found.values())

    def _is_led(self, name: str, partitions: int) -> bool:
        try:
            return name in self.client.newest({name: partitions})
        except Unavailable:
            return False

    def write(self, name: str, at: int, value: Any = None, partition: int = 0) -> None:
        raw = None if value is None else json.dumps(value).encode()
        self.producer.produce(name, raw, partition=partition, timestamp=at)
        assert self.producer.flush(15) == 0

    def newest(self, name: str, partitions: int = 1) -> Newest:
        return self.client.newest({name: partitions})[name]

    def source_time(self, name: str, place: Place | None) -> tuple[float, float] | None:
        assert place is not None
        found = self.tail.source_times({name: place})
        return (found[name].committed, found[name].written) if name in found else None


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GuardedBroker]:
    with guarded_broker(tmp_path_factory.mktemp("lag")) as broker:
        yield broker


@pytest.fixture(scope="module")
def broker(guarded: GuardedBroker) -> Iterator[Broker]:
    made = Broker(guarded.plain)
    yield made
    made.client.close()
    made.tail.close()


def row(committed: int) -> dict[str, Any]:
    return {"before": None, "after": {"ID": 1}, "source": {"ts_ms": committed, "scn": "5"}}


def test_an_empty_topic_has_no_newest_record(broker: Broker) -> None:
    assert broker.newest(broker.topic(3), 3) == Newest(0)


def test_the_newest_record_is_found_across_partitions_and_out_of_order(broker: Broker) -> None:
    name = broker.topic(2)
    broker.write(name, AT + 5000, row(1), partition=0)
    broker.write(name, AT + 9000, row(2), partition=1)
    broker.write(name, AT + 1000, row(3), partition=1)
    assert broker.newest(name, 2) == Newest(3, AT / 1000 + 9, Place(1, 0))


def test_a_topic_that_is_not_there_is_left_out(broker: Broker) -> None:
    name = broker.topic()
    broker.write(name, AT, row(1))
    found = broker.client.newest({name: 1, "nowhere": 1})
    assert set(found) == {name}


def test_the_newest_row_tells_when_it_was_committed_with_a_schema_and_without(
    broker: Broker,
) -> None:
    plain, wrapped = broker.topic(), broker.topic()
    broker.write(plain, AT, row(AT - 7000))
    broker.write(wrapped, AT, {"schema": {"type": "struct"}, "payload": row(AT - 9000)})
    for name, late in ((plain, 7), (wrapped, 9)):
        place = broker.newest(name).place
        assert broker.source_time(name, place) == (AT / 1000 - late, AT / 1000)


def test_a_deletion_tells_by_the_record_before_its_tombstone(broker: Broker) -> None:
    name = broker.topic()
    broker.write(name, AT, row(AT - 7000))
    broker.write(name, AT + 1)
    assert broker.source_time(name, broker.newest(name).place) == (AT / 1000 - 7, AT / 1000)


@pytest.mark.parametrize("value", [None, "text", {"source": "x"}, {"source": {"ts_ms": True}}])
def test_a_record_that_tells_nothing_is_left_out(broker: Broker, value: Any) -> None:
    name = broker.topic()
    broker.write(name, AT, value)
    assert broker.source_time(name, broker.newest(name).place) is None


def test_it_reads_again_where_there_is_a_newer_row(broker: Broker) -> None:
    name = broker.topic()
    for late in (7, 8):
        broker.write(name, AT + late, row(AT - late * 1000))
        found = broker.source_time(name, broker.newest(name).place)
        assert found is not None
        assert found[0] == AT / 1000 - late


def test_no_group_is_left_behind(broker: Broker) -> None:
    name = broker.topic()
    broker.write(name, AT, row(1))
    broker.source_time(name, broker.newest(name).place)
    groups = broker.hand.list_consumer_groups().result(15)
    assert [one.group_id for one in groups.valid] == []


def test_without_a_broker_nothing_is_told_in_time() -> None:
    config = client_config(f"127.0.0.1:{free_port()}", KafkaSecurity(), "test", scrub=str)
    tail = TopicTail(config, scrub=str, seconds=1)
    client = KafkaAdmin(config, scrub=str, read_seconds=1)
    try:
        assert tail.source_times({"t": Place(0, 0)}) == {}
        with pytest.raises(Unavailable):
            client.newest({"t": 1})
    finally:
        tail.close()
        client.close()
