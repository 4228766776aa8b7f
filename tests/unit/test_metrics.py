from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest
from prometheus_client import CollectorRegistry
from prometheus_client.parser import text_string_to_metric_families

from controller.core.metric import ACTION_RESULTS, METRICS
from controller.ports import Recorder
from controller.telemetry.metrics import PrometheusRecorder, render


class Scraped:
    """A recorder, and what Prometheus reads of it."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.recorder = PrometheusRecorder(self.registry)

    def samples(self) -> Iterator[tuple[str, dict[str, str], float]]:
        for family in text_string_to_metric_families(render(self.registry).decode()):
            for sample in family.samples:
                yield sample.name, sample.labels, sample.value

    def value(self, name: str, /, **labels: str) -> float | None:
        found = [v for n, had, v in self.samples() if n == name and had == labels]
        assert len(found) <= 1
        return found[0] if found else None

    def all(self, name: str) -> dict[tuple[str, ...], float]:
        return {tuple(had.values()): v for n, had, v in self.samples() if n == name}

    def cycle(self, *conditions: tuple[str, str, str, str, str], result: str = "ok") -> None:
        self.recorder.cycle_started(100.0)
        for condition in conditions:
            self.recorder.condition_set(*condition)
        self.recorder.cycle_ended(result, 0.3, 100.3)


@pytest.fixture
def scraped() -> Scraped:
    return Scraped()


READY = ("connector", "c", "Ready", "True", "Running")
SYNCED = ("topic", "t", "Synced", "True", "InSync")


def test_it_is_the_recorder_that_the_reconciler_needs(scraped: Scraped) -> None:
    recorder: Recorder = scraped.recorder
    recorder.orphans_set(2)
    assert scraped.value("wms_orphans") == 2


def test_every_family_is_declared_from_the_start(scraped: Scraped) -> None:
    text = render(scraped.registry).decode()
    for family in METRICS:
        assert f"# TYPE {family.name} {family.kind}\n" in text


def test_every_known_label_value_is_there_at_zero_from_the_start(scraped: Scraped) -> None:
    found = {(name, tuple(sorted(had.items()))): value for name, had, value in scraped.samples()}
    for family in METRICS:
        name = f"{family.name}_count" if family.buckets else family.name
        for values in family.values:
            labels = dict(zip(family.labels, values, strict=True))
            assert found[name, tuple(sorted(labels.items()))] == 0


def test_no_series_tells_when_another_was_born(scraped: Scraped) -> None:
    scraped.cycle(READY)
    assert not [name for name, _, _ in scraped.samples() if name.endswith("_created")]


def test_the_cycle_in_progress_has_a_start_and_none_has_zero(scraped: Scraped) -> None:
    scraped.recorder.cycle_started(1_700_000_000.5)
    assert scraped.value("wms_cycle_in_progress_start_time_seconds") == 1_700_000_000.5
    scraped.recorder.cycle_ended("ok", 0.3, 1_700_000_001.0)
    assert scraped.value("wms_cycle_in_progress_start_time_seconds") == 0


@pytest.mark.parametrize(("result", "success"), [("ok", 100.3), ("faulted", 0), ("crashed", 0)])
def test_only_a_cycle_without_a_fault_is_a_success(
    scraped: Scraped, result: str, success: float
) -> None:
    scraped.cycle(result=result)
    assert scraped.value("wms_cycles_total", result=result) == 1
    assert scraped.value("wms_last_success_timestamp_seconds") == success
    assert scraped.value("wms_cycle_seconds_sum") == 0.3


def test_exactly_one_status_of_a_condition_holds(scraped: Scraped) -> None:
    for status in ("True", "Unknown", "False"):
        scraped.cycle(("connector", "c", "Ready", status, "Any"))
        held = {
            had["status"]: value
            for name, had, value in scraped.samples()
            if name == "wms_condition"
        }
        assert held == {each: float(each == status) for each in ("True", "False", "Unknown")}


def test_a_condition_has_one_reason_and_the_newest(scraped: Scraped) -> None:
    for reason in ("LoginRefused", "LoginRefused", "Starting", "Running", "half \udc80"):
        scraped.cycle(("connector", "c", "Healthy", "False", reason))
        shown = scraped.all("wms_condition_reason")
        told = reason.replace("\udc80", "?")
        assert shown == {("Healthy", "connector", "c", told): 1}


def test_a_resource_that_is_gone_leaves_no_series(scraped: Scraped) -> None:
    scraped.cycle(READY, SYNCED)
    scraped.recorder.drift_seen("topic", "t")
    scraped.cycle(READY)
    names = {had["name"] for _, had, _ in scraped.samples() if "name" in had}
    assert names == {"c"}


def test_one_that_comes_back_is_there_again(scraped: Scraped) -> None:
    for conditions in ((READY,), (), (READY,)):
        scraped.cycle(*conditions)
    labels = {"kind": "connector", "name": "c", "condition": "Ready", "status": "True"}
    assert scraped.value("wms_condition", **labels) == 1
    assert scraped.value("wms_drift_total", kind="connector", name="c") == 0


def test_a_cycle_that_crashed_takes_nothing_away(scraped: Scraped) -> None:
    scraped.cycle(READY)
    scraped.cycle(result="crashed")
    assert len(scraped.all("wms_condition")) == 3


def test_drift_is_there_at_zero_before_the_first(scraped: Scraped) -> None:
    scraped.cycle(SYNCED)
    assert scraped.value("wms_drift_total", kind="topic", name="t") == 0
    scraped.recorder.drift_seen("topic", "t")
    assert scraped.value("wms_drift_total", kind="topic", name="t") == 1


def test_actions_are_counted_by_how_they_ended_and_timed(scraped: Scraped) -> None:
    for result in ACTION_RESULTS:
        scraped.recorder.action_applied("connector", "PutConfig", result, 0.4)
    for result in ACTION_RESULTS:
        labels = {"kind": "connector", "action": "PutConfig", "result": result}
        assert scraped.value("wms_actions_total", **labels) == 1
    buckets = "wms_action_seconds_bucket"
    assert scraped.value(buckets, action="PutConfig", le="0.25") == 0
    assert scraped.value(buckets, action="PutConfig", le="0.5") == len(ACTION_RESULTS)


def test_faults_are_counted_by_system_and_reason(scraped: Scraped) -> None:
    scraped.recorder.fault_seen("connect", "WorkerUnreachable")
    scraped.recorder.fault_seen("connect", "WorkerUnreachable")
    labels = {"system": "connect", "reason": "WorkerUnreachable"}
    assert scraped.value("wms_faults_total", **labels) == 2


def test_a_reason_that_holds_nothing_any_more_is_zero_and_stays(scraped: Scraped) -> None:
    scraped.recorder.held_set({"Suspended": 2, "SecretMissing": 1})
    assert scraped.value("wms_held", reason="Suspended") == 2
    assert scraped.value("wms_held", reason="SecretMissing") == 1
    scraped.recorder.held_set({})
    assert scraped.value("wms_held", reason="Suspended") == 0
    assert scraped.value("wms_held", reason="SecretMissing") == 0


def test_of_each_resource_it_is_shown_whether_it_is_left_alone(scraped: Scraped) -> None:
    scraped.recorder.suspended_set({("connector", "c"): True, ("topic", "t"): False})
    assert scraped.all("wms_suspended") == {("connector", "c"): 1, ("topic", "t"): 0}
    scraped.recorder.suspended_set({("connector", "c"): False})
    assert scraped.all("wms_suspended") == {("connector", "c"): 0}


def test_one_revision_is_in_force(scraped: Scraped) -> None:
    scraped.recorder.revision_set("abc123", None)
    scraped.recorder.revision_set("def456", "0badcafe")
    scraped.recorder.revision_set("def456", "0badcafe")
    assert scraped.value("wms_revision_info", revision="def456", commit="0badcafe") == 1
    assert len(scraped.all("wms_revision_info")) == 1


def test_refused_manifests_are_stale_since_then_until_a_good_one(scraped: Scraped) -> None:
    scraped.recorder.refusal_set(1_700_000_000.0)
    assert scraped.value("wms_revision_stale") == 1
    assert scraped.value("wms_revision_stale_since_timestamp_seconds") == 1_700_000_000.0
    scraped.recorder.refusal_set(None)
    assert scraped.value("wms_revision_stale") == 0
    assert scraped.value("wms_revision_stale_since_timestamp_seconds") == 0


def test_requests_are_counted_by_system(scraped: Scraped) -> None:
    scraped.recorder.request_sent("kafka")
    assert scraped.value("wms_requests_total", system="kafka") == 1
    assert scraped.value("wms_requests_total", system="connect") == 0


def test_the_pulse_is_asked_for_at_each_scrape(scraped: Scraped) -> None:
    assert scraped.value("wms_pulse_timestamp_seconds") == 0
    pulses = iter([100.0, 115.0])
    scraped.recorder.follow_pulse(lambda: next(pulses))
    assert scraped.value("wms_pulse_timestamp_seconds") == 100
    assert scraped.value("wms_pulse_timestamp_seconds") == 115
    assert scraped.value("wms_pulse_timestamp_seconds") == 0, "a pulse that fails spoils no scrape"
    assert scraped.value("wms_recorder_failures_total")


def test_what_cannot_be_recorded_is_counted_and_raises_nothing(scraped: Scraped) -> None:
    scraped.recorder.orphans_set("many")  # type: ignore[arg-type]
    scraped.recorder.cycle_ended("ok", "long", 1.0)  # type: ignore[arg-type]
    assert scraped.value("wms_recorder_failures_total") == 2


@pytest.mark.parametrize("text", ['a"b\\c\nd', "Größe", "half \udc80"])
def test_no_commit_spoils_the_scrape(scraped: Scraped, text: str) -> None:
    scraped.recorder.revision_set("abc", text)
    assert list(scraped.all("wms_revision_info").values()) == [1]


def test_two_recorders_know_nothing_of_each_other() -> None:
    one, other = Scraped(), Scraped()
    one.recorder.orphans_set(3)
    assert other.value("wms_orphans") == 0


def test_a_scrape_during_a_cycle_never_misses_the_revision_nor_what_is_held(
    scraped: Scraped,
) -> None:
    scraped.recorder.revision_set("r0", None)
    over = threading.Event()

    def work() -> None:
        for number in range(2_000):
            scraped.recorder.revision_set(f"r{number}", None)
            scraped.recorder.held_set({"Suspended": 1})
        over.set()

    scraped.recorder.held_set({"Suspended": 1})
    thread = threading.Thread(target=work)
    thread.start()
    while not over.is_set():
        text = render(scraped.registry)
        assert b"\nwms_revision_info{" in text
        assert b'\nwms_held{reason="Suspended"} 1.0\n' in text
    thread.join(10)


def test_lines_of_the_worker_are_counted_once_each(scraped: Scraped) -> None:
    scraped.recorder.evidence_set({"recognised": 3, "foreign": 1})
    scraped.recorder.evidence_set({"recognised": 5, "foreign": 1})
    assert scraped.value("wms_evidence_lines_total", result="recognised") == 5
    assert scraped.value("wms_evidence_lines_total", result="foreign") == 1
    assert scraped.value("wms_evidence_lines_total", result="malformed") == 0
