"""The watch on a real worker's status topic, and on brokers that are late, guarded or restarted."""

from __future__ import annotations

import queue
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from confluent_kafka import Producer
from confluent_kafka.admin import NewTopic

from controller.adapters.connect_watch import ConnectStatusWatch
from controller.adapters.kafka_security import KafkaSecurity, SecurityKind, client_config
from controller.core.redact import Redacted
from devstack.environment import wait_until
from devstack.stack import Stack
from tests.guarded_broker import ALLOWED, PASSWORD, USER, GuardedBroker, guarded_broker

pytestmark = pytest.mark.stack

NAME = "watched"


class Bell:
    """Keeps when it was rung, and for whom."""

    def __init__(self) -> None:
        self._rings: queue.Queue[tuple[str, float]] = queue.Queue()

    def ring(self, name: str) -> None:
        self._rings.put((name, time.monotonic()))

    def wait(self, seconds: float) -> tuple[str, float] | None:
        try:
            return self._rings.get(timeout=seconds)
        except queue.Empty:
            return None

    def silence(self, quiet: float = 0.5) -> None:
        while self.wait(quiet) is not None:
            pass


@contextmanager
def watching(
    config: Callable[[], dict[str, Any] | None], topic: str, bell: Bell, retry_seconds: float = 0.5
) -> Iterator[ConnectStatusWatch]:
    watch = ConnectStatusWatch(
        config,
        topic,
        interesting=lambda name: name == NAME,
        wake=bell.ring,
        scrub=str,
        retry_seconds=retry_seconds,
    )
    watch.start()
    try:
        yield watch
    finally:
        start = time.monotonic()
        watch.stop()
        assert time.monotonic() - start < 1


def plain(bootstrap: str) -> Callable[[], dict[str, Any]]:
    return lambda: client_config(bootstrap, KafkaSecurity(), "test", scrub=str)


# --- a real worker --------------------------------------------------------------------------


def source_config(number: int = 0) -> dict[str, str]:
    return {
        "connector.class": "org.apache.kafka.connect.file.FileStreamSourceConnector",
        "tasks.max": "1",
        "file": "/dev/null",
        "topic": NAME,
        "x-test.number": str(number),
    }


def test_each_change_that_somebody_makes_by_rest_wakes(stack: Stack) -> None:
    worker, bell, path = stack.worker(), Bell(), f"/connectors/{NAME}"
    topic = f"mgmt.connect.wms-connector-{worker.stage}.status"
    changes: dict[str, Callable[[], object]] = {
        "put": lambda: worker.request("PUT", f"{path}/config", source_config(1)),
        "pause": lambda: worker.request("PUT", f"{path}/pause"),
        "resume": lambda: worker.request("PUT", f"{path}/resume"),
        "restart": lambda: worker.request("POST", f"{path}/restart?includeTasks=true"),
        "stop": lambda: worker.request("PUT", f"{path}/stop"),
        "delete": lambda: worker.request("DELETE", path),
    }
    seconds = {}
    with watching(plain(stack.broker.bootstrap), topic, bell) as watch:
        assert wait_until(lambda: watch.following, 20)
        worker.request("PUT", f"{path}/config", source_config())
        worker.wait_running(NAME)
        for change, make in changes.items():
            bell.silence()
            start = time.monotonic()
            make()
            rung = bell.wait(5)
            assert rung is not None, f"nobody was woken by {change}"
            assert rung[0] == NAME
            seconds[change] = round(rung[1] - start, 3)
    assert max(seconds.values()) < 3, seconds  # 0.1 s on two idle cores


def test_a_connector_of_somebody_else_wakes_nobody(stack: Stack) -> None:
    worker, bell = stack.worker(), Bell()
    topic = f"mgmt.connect.wms-connector-{worker.stage}.status"
    with watching(plain(stack.broker.bootstrap), topic, bell) as watch:
        assert wait_until(lambda: watch.following, 20)
        worker.request("PUT", "/connectors/other/config", source_config())
        worker.wait_running("other")
        worker.request("DELETE", "/connectors/other")
        assert bell.wait(1) is None


# --- brokers --------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GuardedBroker]:
    with guarded_broker(tmp_path_factory.mktemp("guarded")) as broker:
        yield broker


def make_topic(broker: GuardedBroker, name: str) -> str:
    hand = broker.hand()
    hand.create_topics([NewTopic(name, 5, 1, config={"cleanup.policy": "compact"})])[name].result(9)
    return name


def write(broker: GuardedBroker, topic: str, key: str, value: bytes = b"{}") -> None:
    producer = Producer({"bootstrap.servers": broker.plain, "client.id": "worker"})
    producer.produce(topic, value, key)
    assert producer.flush(10) == 0


def scram(broker: GuardedBroker) -> Callable[[], dict[str, Any]]:
    security = KafkaSecurity(SecurityKind.SCRAM, Redacted(USER), Redacted(PASSWORD), str(broker.ca))
    return lambda: client_config(broker.scram, security, "test", scrub=str)


def test_what_was_written_before_wakes_nobody_and_what_comes_does(guarded: GuardedBroker) -> None:
    topic, bell = make_topic(guarded, "status.end"), Bell()
    write(guarded, topic, f"status-connector-{NAME}")
    with watching(plain(guarded.plain), topic, bell) as watch:
        assert wait_until(lambda: watch.following, 20)
        assert bell.wait(0.5) is None
        write(guarded, topic, f"status-task-{NAME}-0", b"not json \xff")
        assert bell.wait(5) is not None


def test_a_topic_that_is_not_there_yet_is_waited_for_and_not_made(guarded: GuardedBroker) -> None:
    topic, bell, hand = "status.late", Bell(), guarded.hand()
    with watching(plain(guarded.plain), topic, bell) as watch:
        assert wait_until(lambda: watch.trouble is not None, 10)
        assert not wait_until(lambda: watch.following, 2)
        assert topic not in hand.list_topics(timeout=5).topics
        make_topic(guarded, topic)
        assert wait_until(lambda: watch.following, 20)
        assert watch.trouble is None
        write(guarded, topic, f"status-connector-{NAME}")
        assert bell.wait(5) is not None


def test_it_needs_no_right_on_any_group(guarded: GuardedBroker) -> None:
    topic, bell = make_topic(guarded, f"{ALLOWED}status"), Bell()
    with watching(scram(guarded), topic, bell) as watch:
        assert wait_until(lambda: watch.following, 20)
        write(guarded, topic, f"status-connector-{NAME}")
        assert bell.wait(5) is not None
    groups = guarded.hand().list_consumer_groups(request_timeout=5).result()
    assert groups.valid == []


def test_without_the_right_to_read_it_tries_again_and_says_why(guarded: GuardedBroker) -> None:
    topic, bell = make_topic(guarded, "status.foreign"), Bell()
    with watching(scram(guarded), topic, bell) as watch:
        assert wait_until(lambda: watch.trouble is not None, 20)
        assert "authorization" in str(watch.trouble)
        assert not watch.following


def test_it_goes_on_after_the_broker_was_restarted(guarded: GuardedBroker) -> None:
    topic, bell = make_topic(guarded, "status.restart"), Bell()
    with watching(plain(guarded.plain), topic, bell) as watch:
        assert wait_until(lambda: watch.following, 20)
        guarded.broker.stop()
        guarded.broker.start()
        write(guarded, topic, f"status-connector-{NAME}")
        assert bell.wait(20) is not None


def test_it_stops_within_a_second_while_the_broker_is_away(guarded: GuardedBroker) -> None:
    topic, bell = make_topic(guarded, "status.away"), Bell()
    with watching(plain(guarded.plain), topic, bell) as watch:
        assert wait_until(lambda: watch.following, 20)
        guarded.broker.stop()
    guarded.broker.start()


def test_it_follows_a_topic_that_was_made_again(guarded: GuardedBroker) -> None:
    topic, bell, hand = make_topic(guarded, "status.again"), Bell(), guarded.hand()
    with watching(plain(guarded.plain), topic, bell) as watch:
        assert wait_until(lambda: watch.following, 20)
        hand.delete_topics([topic])[topic].result(9)
        assert wait_until(lambda: topic not in hand.list_topics(timeout=5).topics, 10)
        make_topic(guarded, topic)

        def rung() -> bool:
            write(guarded, topic, f"status-connector-{NAME}")
            return bell.wait(1) is not None

        assert wait_until(rung, 60)


def test_other_brokers_are_followed_when_the_address_changes(
    guarded: GuardedBroker, stack: Stack
) -> None:
    topic, bell = make_topic(guarded, "status.moved"), Bell()
    stack.create_topics(topic, partitions=5)
    addresses = [stack.broker.bootstrap]

    def config() -> dict[str, Any]:
        return client_config(addresses[-1], KafkaSecurity(), "test", scrub=str)

    with watching(config, topic, bell) as watch:
        assert wait_until(lambda: watch.following, 20)
        addresses.append(guarded.plain)

        def rung() -> bool:
            write(guarded, topic, f"status-connector-{NAME}")
            return bell.wait(1) is not None

        assert wait_until(rung, 30)


def test_brokers_that_are_not_known_yet_are_waited_for(guarded: GuardedBroker) -> None:
    topic, bell = make_topic(guarded, "status.unknown"), Bell()
    answers = iter([None, None])

    def config() -> dict[str, Any] | None:
        return next(answers, client_config(guarded.plain, KafkaSecurity(), "test", scrub=str))

    with watching(config, topic, bell) as watch:
        assert wait_until(lambda: watch.following, 20)
