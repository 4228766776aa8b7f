from __future__ import annotations

from collections.abc import Mapping

import pytest

from controller.core.debezium_bean import Bean
from controller.core.faults import Unavailable
from controller.core.lag import Place, Sign, SourceTime
from controller.core.lag_report import (
    LagReport,
    ObservedContainer,
    describe_container,
    describe_lag,
)
from controller.core.lag_values import lag_values
from controller.core.model import TopicClass, topic_key
from controller.core.world import World
from controller.lag import TREND_POINTS, LagObserver
from tests.fakes.kafka import FakeKafka, unavailable
from tests.make import BROKERS, NAME, connector_manifest, observed_topic, revision, snapshot, topic
from tests.make import world as make_world

ROWS = "wms.APP.ORDERS"
BEATS = "__debezium-heartbeat.wms"
EPOCH = 1_700_000_000.0


class Clock:
    def __init__(self) -> None:
        self.passed = 0.0

    def now(self) -> float:
        return EPOCH + self.passed

    def monotonic(self) -> float:
        return self.passed


class Tail:
    def __init__(self) -> None:
        self.asked: list[Mapping[str, Place]] = []
        self.late = 0.0

    def source_times(self, places: Mapping[str, Place]) -> Mapping[str, SourceTime]:
        self.asked.append(places)
        return {name: SourceTime(EPOCH - self.late, EPOCH) for name in places}

    def close(self) -> None: ...


class Stage:
    """A connector with one table and its heartbeats, observed as cycles do."""

    def __init__(self, **policy: object) -> None:
        self.clock = Clock()
        self.kafka = FakeKafka()
        self.kafka.make(ROWS, 3)
        self.kafka.make(BEATS)
        self.tail = Tail()
        self.beans: Mapping[str, Bean] | None = None
        self.observer = LagObserver(
            self.clock, tail=lambda _line: self.tail, beans=self, containers=Containers()
        )
        beats = topic(BEATS, topic_class=TopicClass.HEARTBEAT, partitions=1)
        needs = frozenset({topic_key(ROWS), topic_key(BEATS)})
        self.world: World = make_world(
            revision=revision((topic(), beats), (connector_manifest(needs=needs),), **policy),
            topics=snapshot(observed_topic(), observed_topic(BEATS, partitions=1)),
        )

    def read(self) -> Mapping[str, Bean]:
        if self.beans is None:
            raise Unavailable("PageUnavailable", "no agent")
        return self.beans

    def write(self, name: str) -> None:
        self.kafka.topics[name].records += 1
        self.kafka.topics[name].written_at = self.clock.now()

    def cycle(self) -> LagReport:
        return self.observer.observe(self.world, self.kafka, BROKERS)

    def after(self, seconds: float) -> LagReport:
        self.clock.passed += seconds
        return self.cycle()

    def lag(self, report: LagReport) -> float | None:
        return report.lags[NAME].seconds


class Containers:
    def read(self) -> tuple[ObservedContainer, ...]:
        return (ObservedContainer("connect", "RUNNING", "HEALTHY", 1),)


def test_between_two_looks_nothing_is_asked_and_the_number_stays() -> None:
    stage = Stage()
    stage.write(BEATS)
    assert stage.lag(stage.cycle()) == 0.0
    asked = dict(stage.kafka.requests)
    for _ in range(3):
        assert stage.lag(stage.after(15)) == 0.0
    assert dict(stage.kafka.requests) == asked
    assert stage.lag(stage.after(15)) == 60.0
    assert dict(stage.kafka.requests) != asked


def test_a_look_that_fails_makes_what_was_known_older() -> None:
    stage = Stage()
    stage.write(BEATS)
    stage.cycle()
    stage.kafka.outage = unavailable()
    assert stage.lag(stage.after(60)) == 60.0
    assert stage.lag(stage.after(15)) == 75.0
    stage.kafka.outage = None
    stage.write(BEATS)
    assert stage.lag(stage.after(15)) == 15.0


def test_rows_are_read_only_where_the_policy_says_so_and_only_when_there_is_a_new_one() -> None:
    stage = Stage()
    stage.write(ROWS)
    stage.cycle()
    assert stage.tail.asked == []
    stage = Stage(read_source_timestamps=True)
    stage.write(BEATS)
    stage.write(ROWS)
    stage.tail.late = 90.0
    assert stage.lag(stage.cycle()) == 90.0
    stage.after(60)
    assert stage.tail.asked == [{ROWS: Place(0, 0)}]


def test_a_missing_agent_is_not_seen_and_one_that_is_there_explains() -> None:
    stage = Stage()
    report = stage.cycle()
    assert not report.jmx_up
    assert Sign.JMX not in report.lags[NAME].seen
    stage.beans = {
        "wms": Bean({"millisecondsbehindsource": 500.0, "millisecondssincelastevent": 0.0})
    }
    report = stage.after(60)
    assert report.jmx_up
    assert Sign.JMX in report.lags[NAME].seen


def test_no_number_stands_for_what_is_not_seen() -> None:
    stage = Stage()
    values = dict(lag_values(stage.cycle(), {NAME}))
    assert ("wms_lag_seconds", (NAME,)) not in values
    assert values["wms_lag_seen", (NAME, "heartbeat")] == 0.0
    stage.write(BEATS)
    values = dict(lag_values(stage.after(60), {NAME}))
    assert values["wms_lag_seconds", (NAME,)] == 60.0
    assert values["wms_lag_seen", (NAME, "heartbeat")] == 1.0
    assert values["wms_container_restarts", ("connect",)] == 1.0


def test_what_is_declared_stopped_has_no_number_that_an_alarm_watches() -> None:
    stage = Stage()
    stage.write(BEATS)
    values = dict(lag_values(stage.cycle(), ()))
    assert ("wms_lag_seconds", (NAME,)) not in values


def test_a_lag_has_a_number_for_each_minute_of_the_last_hour() -> None:
    stage = Stage()
    stage.write(BEATS)
    report = stage.cycle()
    assert report.trends[NAME] == (0.0,)
    for _ in range(4):
        report = stage.after(15)
    assert report.trends[NAME] == (0.0, 60.0)
    for _ in range(2 * TREND_POINTS):
        report = stage.after(60)
    assert len(report.trends[NAME]) == TREND_POINTS
    assert report.trends[NAME][-1] == stage.lag(report)


def test_what_is_not_seen_has_no_number_in_the_trend() -> None:
    assert Stage().cycle().trends[NAME] == ()


def test_the_trend_of_what_is_declared_no_more_is_forgotten() -> None:
    stage = Stage()
    stage.write(BEATS)
    stage.cycle()
    stage.world = make_world(revision=revision((topic(),), ()), topics=snapshot(observed_topic()))
    assert stage.after(60).trends == {}


def test_the_status_has_the_trend_beside_the_number() -> None:
    stage = Stage()
    stage.write(BEATS)
    stage.cycle()
    report = stage.after(60)
    told = describe_lag(report.lags[NAME], report.trends[NAME])
    assert isinstance(told, dict)
    assert (told["seconds"], told["trend"]) == (60.0, [0.0, 60.0])


@pytest.mark.parametrize(("container", "trouble"), [
    (ObservedContainer("connect", "RUNNING", "HEALTHY"), ""),
    (ObservedContainer("connect", "STOPPED", exit_code=0), ""),
    (ObservedContainer("connect", "RUNNING", "UNKNOWN"), ""),
    (ObservedContainer("connect", "RUNNING", "UNHEALTHY"), "its health check fails"),
    (ObservedContainer("connect", "RUNNING", "HEALTHY", 2), "started again 2 time(s)"),
    (ObservedContainer("connect", "STOPPED", exit_code=1), "ended with 1"),
    (ObservedContainer("connect", "RUNNING", None, 1, 137),
     "started again 1 time(s), ended with 137 (SIGKILL), most often for want of memory"),
    (ObservedContainer("connect", "STOPPED", exit_code=3), "ended with 3: its heap was full"),
    (ObservedContainer("controller", "STOPPED", exit_code=3), "ended with 3"),
])  # fmt: skip
def test_a_container_is_told_of_when_a_person_should_hear_of_it(
    container: ObservedContainer, trouble: str
) -> None:
    told = describe_container(container)
    assert isinstance(told, dict)
    memory = any(word in trouble for word in ("memory", "heap"))
    assert (told["trouble"], told["outOfMemory"]) == (trouble, memory)
