from __future__ import annotations

import json
import threading
from collections.abc import Sequence
from typing import Any

import pytest
from prometheus_client import CollectorRegistry

from controller.core.cloudwatch import PUBLISHED, PULSE
from controller.core.lag import Lag
from controller.core.lag_report import LagReport
from controller.telemetry.cloudwatch import (
    CALL_BYTES,
    CALL_METRICS,
    LINE_BYTES,
    LINE_METRICS,
    CloudWatch,
    Datum,
    Teller,
    emf_lines,
    put_calls,
)
from controller.telemetry.metrics import PrometheusRecorder

AT = 1_700_000_000.0
DONE = 5.0


class Told:
    """A recorder, and what CloudWatch is told of it."""

    def __init__(self) -> None:
        self.recorder = PrometheusRecorder(CollectorRegistry())
        self.leads = True
        self.teller = Teller(self.recorder.registry, lambda: AT, leads=lambda: self.leads)

    def cycle(self, *conditions: tuple[str, str, str], **lags: float) -> None:
        self.recorder.cycle_started(AT)
        for name, condition, status in conditions:
            self.recorder.condition_set("connector", name, condition, status, "Any")
        found = {n: Lag(s, "", heartbeat_age=s / 2) for n, s in lags.items()}
        report = LagReport(found, redo_left={n: 1e5 - s for n, s in lags.items()})
        self.recorder.lag_set(report, lags.keys())
        self.recorder.observation_set({"connect": True}, 0, AT - 30)
        self.recorder.restarts_set(3, dict.fromkeys(lags, (0, 0.0)))
        self.recorder.cycle_ended("ok", 0.1, AT)

    def values(self) -> dict[tuple[str, str | None], float]:
        return {(one.metric.name, one.connector): one.value for one in self.teller.tell()}


@pytest.fixture
def told() -> Told:
    return Told()


ALL = (("a", "Synced", "True"), ("a", "Ready", "True"), ("a", "Healthy", "True"))


def test_everything_that_alarms_may_watch_is_told_and_nothing_else(told: Told) -> None:
    told.cycle(*ALL, a=4.0)
    stage = {name for name, connector in told.values() if connector is None}
    assert stage == {one.name for one in PUBLISHED}


def test_exactly_the_metrics_of_a_connector_are_told_by_connector(told: Told) -> None:
    told.cycle(*ALL, a=4.0)
    mine = {name for name, connector in told.values() if connector == "a"}
    assert mine == {one.name for one in PUBLISHED if one.per_connector}


def test_the_stage_is_as_bad_as_its_worst_connector(told: Told) -> None:
    told.cycle(("a", "Ready", "True"), ("b", "Ready", "False"), a=4.0, b=400.0)
    values = told.values()
    assert values["Lag", None] == 400.0
    assert values["Lag", "a"] == 4.0
    assert values["HeartbeatAge", None] == 200.0
    assert (values["NotReady", None], values["NotReady", "a"], values["NotReady", "b"]) == (1, 0, 1)
    assert (values["RedoLeft", None], values["RedoLeft", "a"]) == (1e5 - 400.0, 1e5 - 4.0)


def test_one_that_is_suspended_is_told_and_rings_no_alarm_of_the_stage(told: Told) -> None:
    told.cycle(("a", "Ready", "False"), ("b", "Ready", "False"), a=900.0, b=40.0)
    told.recorder.suspended_set({("connector", "a"): True, ("topic", "b"): True})
    values = told.values()
    assert (values["Lag", None], values["Lag", "a"], values["HeartbeatAge", None]) == (40, 900, 20)
    assert (values["NotReady", None], values["NotReady", "a"]) == (1, 1)
    told.recorder.suspended_set({("connector", "a"): True, ("connector", "b"): True})
    values = told.values()
    assert (values["Lag", None], values["NotReady", None], values["NotReady", "b"]) == (0, 0, 1)


def test_a_lag_that_is_not_known_is_not_told(told: Told) -> None:
    told.cycle(*ALL)
    assert not [name for name, _ in told.values() if name in {"Lag", "HeartbeatAge"}]


def test_what_is_counted_is_told_once(told: Told) -> None:
    told.cycle(*ALL)
    told.cycle(*ALL)
    told.recorder.fault_seen("connect", "WorkerUnreachable")
    values = told.values()
    assert (values["Pulse", None], values["Faults", None]) == (2, 1)
    told.cycle(*ALL)
    values = told.values()
    assert (values["Pulse", None], values["Faults", None]) == (1, 0)


def test_ages_are_those_of_now(told: Told) -> None:
    told.cycle(*ALL)
    told.recorder.refusal_set(AT - 90)
    told.recorder.idle_set({"Frozen": 70.0, "Stalled": 900.0})
    values = told.values()
    assert values["ObservationAge", None] == 30
    assert values["RevisionStaleAge", None] == 90
    assert values["NotActingAge", None] == 70


def test_one_that_stands_by_tells_of_itself_only(told: Told) -> None:
    told.leads = False
    told.cycle(*ALL, a=4.0)
    told.recorder.idle_set({"NotLeader": 900.0})
    told.recorder.active_set(False)
    assert told.values() == {("Pulse", None): 1, ("ActiveController", None): 0}


def test_one_that_leads_is_active_and_its_rival_does_not_ring(told: Told) -> None:
    told.cycle(*ALL, a=4.0)
    told.recorder.active_set(True)
    told.recorder.idle_set({"NotLeader": 900.0})
    values = told.values()
    assert (values["ActiveController", None], values["NotActingAge", None]) == (1, 0)


def test_what_one_counted_while_it_stood_by_is_not_told_when_it_leads(told: Told) -> None:
    told.leads = False
    told.recorder.fault_seen("connect", "WorkerUnreachable")
    told.cycle(*ALL, a=1.0)
    told.recorder.restarts_set(0, {"a": (2, AT)})
    told.values()
    told.leads = True
    values = told.values()
    assert (values["Faults", None], values["Restarts", "a"]) == (0, 0)


def test_a_history_that_cannot_be_written_is_a_way_of_not_acting(told: Told) -> None:
    told.cycle(*ALL)
    told.recorder.idle_set({"NoHistory": 80.0})
    assert told.values()["NotActingAge", None] == 80


def test_what_waits_for_a_person_is_told_by_how_long_it_does(told: Told) -> None:
    told.cycle(*ALL)
    assert told.values()["HeldAge", None] == 0
    told.recorder.idle_set({"Stalled": 900.0, "Contended": 5000.0})
    assert told.values()["HeldAge", None] == 900


@pytest.mark.parametrize(("reason", "quiet", "now"), [
    ("LoginRefused", False, 1),
    ("LoginRefused", True, 0),
    ("OffsetScnGone", False, 1),
    ("OffsetScnGone", True, 1),
    ("SourceUnreachable", False, 0),
])  # fmt: skip
def test_what_no_waiting_heals_is_told_apart_from_what_may_heal(
    told: Told, reason: str, quiet: bool, now: int
) -> None:
    told.cycle(a=4.0)
    told.recorder.condition_set("connector", "a", "Healthy", "False", reason)
    told.recorder.suspended_set({("connector", "a"): quiet})
    values = told.values()
    assert values["NotHealthyNow", None] == now
    rings_later = 1 if not now and not quiet else 0
    assert (values["NotHealthy", None], values["NotHealthy", "a"]) == (rings_later, 1)


def test_restarts_are_told_and_that_they_did_not_help(told: Told) -> None:
    told.cycle(*ALL, a=1.0)
    told.recorder.restarts_set(0, {"a": (2, AT)})
    values = told.values()
    assert (values["Restarts", "a"], values["RestartsSpent", None]) == (2, 0)
    told.recorder.condition_set("connector", "a", "Stalled", "True", "RestartsSpent")
    values = told.values()
    assert (values["Restarts", "a"], values["RestartsSpent", "a"]) == (0, 1)
    assert values["RestartsSpent", None] == 1


def test_a_line_is_what_cloudwatch_takes_for_metrics(told: Told) -> None:
    told.cycle(*ALL, a=4.0)
    lines = [json.loads(line) for line in emf_lines("main", told.teller.tell(), AT)]
    assert len(lines) == 2
    for line in lines:
        assert line["_aws"]["Timestamp"] == AT * 1000
        (directive,) = line["_aws"]["CloudWatchMetrics"]
        assert directive["Namespace"] == "WmsConnector"
        (dimensions,) = directive["Dimensions"]
        assert all(isinstance(line[name], str) for name in dimensions)
        for one in directive["Metrics"]:
            assert isinstance(line[one["Name"]], float | int)
            assert one["Unit"] in {"Count", "Seconds"}
    stage, connector = lines
    assert stage["Stage"] == connector["Stage"] == "main"
    assert connector["Connector"] == "a"


def many(number: int, name: str = "connector-{}") -> list[Datum]:
    return [Datum(one, 1.0, name.format(i)) for i in range(number) for one in PUBLISHED]


def test_no_line_is_longer_than_cloudwatch_reads() -> None:
    data = [Datum(PULSE, float(number), "x" * 2000) for number in range(1000)]
    for line in emf_lines("main", [*data, *many(50)], AT):
        assert "\n" not in line
        assert len(line.encode()) <= LINE_BYTES
        (directive,) = json.loads(line)["_aws"]["CloudWatchMetrics"]
        assert len(directive["Metrics"]) <= LINE_METRICS


@pytest.mark.parametrize("name", ["connector-{}", "ä" * 1000 + "{}", "{}" + "x" * 5000])
def test_no_call_is_larger_than_cloudwatch_takes(name: str) -> None:
    data = many(200, name)
    calls = list(put_calls("main", data, AT))
    assert sum(map(len, calls)) == len(data)
    for call in calls:
        assert len(call) <= CALL_METRICS
        assert len(json.dumps(call)) <= CALL_BYTES
        for one in call:
            for dimension in one["Dimensions"]:
                assert dimension["Value"].isascii()
                assert 1 <= len(dimension["Value"]) <= 1024


def test_a_cloudwatch_that_hangs_holds_nobody_and_loses_no_count(told: Told) -> None:
    hang, sent, got = threading.Event(), threading.Event(), list[Sequence[Datum]]()

    def send(data: Sequence[Datum], _at: float) -> None:
        got.append(data)
        sent.set()
        hang.wait(DONE * 6)

    publisher = CloudWatch(told.teller, send, now=lambda: AT, lost=lambda _why: None)
    publisher.start()
    told.cycle(*ALL)
    publisher.cycle_ended()
    assert sent.wait(DONE)
    sent.clear()
    for _ in range(50):
        told.cycle(*ALL)
        publisher.cycle_ended()
    hang.set()
    assert sent.wait(DONE)
    publisher.stop()
    pulses = [one.value for data in got for one in data if one.metric is PULSE]
    assert sum(pulses) == 51


def test_a_cloudwatch_that_refuses_is_counted_and_asked_again(told: Told) -> None:
    lost, refused = threading.Event(), list[str]()

    def send(_data: Sequence[Datum], _at: float) -> None:
        raise ConnectionError("away")

    def note(why: str) -> None:
        refused.append(why)
        lost.set()

    publisher = CloudWatch(told.teller, send, now=lambda: AT, lost=note)
    publisher.start()
    for _ in range(2):
        told.cycle(*ALL)
        publisher.cycle_ended()
        assert lost.wait(DONE)
        lost.clear()
    publisher.stop()
    assert refused == ["ConnectionError"] * 2


def test_a_number_that_is_none_is_not_told(told: Told) -> None:
    told.cycle(*ALL, a=float("nan"))
    line: dict[str, Any] = json.loads(next(emf_lines("main", told.teller.tell(), AT)))
    assert "Lag" not in line
