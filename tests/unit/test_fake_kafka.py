"""The mishaps of the fake, which no real broker can be asked to have."""

from __future__ import annotations

import pytest

from controller.core.action import CreateTopic
from controller.core.faults import Denied, Fault, OutcomeUnknown, Rejected, Transient, Unavailable
from controller.core.model import ABSENT, ObservedTopic, Unknown, topic_key
from tests.fakes.kafka import FakeKafka, Mishap, unavailable

ACTION = CreateTopic("wms", 1, 1, {})
KEY = topic_key("wms")


@pytest.mark.parametrize(
    ("mishap", "fault", "done"),
    [
        (Mishap.LOST_BEFORE, OutcomeUnknown, False),
        (Mishap.LOST_AFTER, OutcomeUnknown, True),
        (Mishap.REFUSED, Rejected, False),
        (Mishap.BUSY, Transient, False),
        (Mishap.DENIED, Denied, False),
        (Unavailable("KafkaUnavailable", "as you like"), Unavailable, False),
    ],
)
def test_a_mishap_happens_to_one_write(
    mishap: Mishap | Fault, fault: type[Fault], done: bool
) -> None:
    fake = FakeKafka()
    fake.mishaps.append(mishap)
    with pytest.raises(fault):
        fake.apply(ACTION)
    assert (fake.observe(["wms"]).get(KEY) != ABSENT) is done
    assert fake.writes == ([ACTION] if done else [])
    fake.topics.clear()
    fake.apply(ACTION)
    assert isinstance(fake.observe(["wms"]).get(KEY), ObservedTopic)


def test_waiting_in_vain_takes_time() -> None:
    waited: list[float] = []
    fake = FakeKafka(elapse=waited.append)
    fake.outage = unavailable()
    with pytest.raises(Unavailable):
        fake.observe(["wms"])
    with pytest.raises(OutcomeUnknown):
        fake.apply(ACTION)
    assert waited == [5.0, 15.0]


def test_a_denied_topic_is_unknown_unlisted_and_not_to_be_written() -> None:
    fake = FakeKafka()
    fake.make("wms")
    fake.denied.add("wms")
    assert isinstance(fake.observe(["wms"]).get(KEY), Unknown)
    assert fake.list_topics() == {}
    with pytest.raises(Denied):
        fake.apply(ACTION)


def test_a_topic_that_lags_is_absent_for_a_while() -> None:
    fake = FakeKafka()
    fake.lag = 2
    fake.apply(ACTION)
    seen = [fake.observe(["wms"]).get(KEY) == ABSENT for _ in range(3)]
    assert seen == [True, True, False]
