from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from controller.core.evidence import LineCounts, LogReading, WorkerLine, telling
from controller.core.faults import Denied, Fault
from controller.core.model import ObservedTask, Offsets, Unknown
from controller.core.progress import OFTEN, SELDOM, Progress
from controller.witness import NOT_GIVEN, ProgressWatch, StateWatch, Witness, well_since
from tests import make

REFUSED = "ORA-01017: invalid username/password; logon denied"
LOST = "ORA-03113: end-of-file on communication channel"


@dataclass
class Clock:
    at: float = make.NOW

    def now(self) -> float:
        return self.at

    def monotonic(self) -> float:
        return self.at


@dataclass
class Log:
    """The worker's file, as a test writes it."""

    lines: list[WorkerLine] = field(default_factory=list)
    missing: bool = False
    fault: Fault | None = None

    def write(self, text: str, name: str = make.NAME, at: float = make.NOW) -> None:
        self.lines.append(WorkerLine(at, "WARN", "a.B", text, context=f"[{name}|task-0] "))

    def read(self) -> LogReading:
        if self.fault is not None:
            raise self.fault
        found, self.lines = tuple(self.lines), []
        return LogReading(found, self.missing, LineCounts())


def watched(log: Log) -> Witness:
    witness = Witness(log, Clock())
    witness.observe([make.NAME], {})
    return witness


def test_the_first_word_of_a_connector_of_ours_is_news_until_a_cycle_took_it() -> None:
    log = Log()
    witness = watched(log)
    assert not witness.has_news()
    log.write(REFUSED)
    assert witness.has_news()
    assert witness.has_news(), "still, since no cycle saw it"
    found = telling(witness.observe([make.NAME], {}).of(make.NAME))
    assert found is not None
    assert found.failure == "LoginRefused"
    assert not witness.has_news()


def test_the_same_again_and_again_wakes_nobody_and_something_graver_does() -> None:
    log = Log()
    witness = watched(log)
    log.write(LOST)
    witness.observe([make.NAME], {})
    for second in range(50):
        log.write(LOST, at=make.NOW + second)
        assert not witness.has_news()
    log.write(REFUSED)
    assert witness.has_news()


def test_a_login_that_is_refused_again_is_news_each_time() -> None:
    log = Log()
    witness = watched(log)
    log.write(REFUSED, at=make.NOW - 9)
    witness.observe([make.NAME], {})
    assert not witness.has_news()
    log.write(REFUSED)
    assert witness.has_news()


def test_what_it_says_of_others_and_of_itself_is_no_news() -> None:
    log = Log()
    witness = watched(log)
    log.write(REFUSED, name="somebody-elses")
    log.lines.append(WorkerLine(make.NOW, "ERROR", "a.B", REFUSED))
    assert not witness.has_news()
    assert witness.book.connectors == {}


def test_a_log_that_is_not_given_missing_or_forbidden_is_said() -> None:
    assert Witness(None, Clock()).unseen == NOT_GIVEN
    log = Log(missing=True)
    witness = watched(log)
    assert "no file" in str(witness.unseen)
    log.missing, log.fault = False, Denied("EvidenceUnreadable", "the worker's log: forbidden")
    assert not witness.has_news()
    assert witness.unseen == "the worker's log: forbidden"
    assert witness.fault is not None
    log.fault = None
    witness.observe([make.NAME], {})
    assert not witness.unseen
    assert not witness.fault


def test_evidence_is_over_once_its_connector_was_well_later() -> None:
    log = Log()
    witness = watched(log)
    log.write(REFUSED)
    assert witness.observe([make.NAME], {make.NAME: make.NOW - 1}).of(make.NAME)
    assert not witness.observe([make.NAME], {make.NAME: make.NOW}).of(make.NAME)


@dataclass
class Connect:
    answer: Offsets | Fault = ()
    asked: int = 0

    def offsets(self, _name: str) -> Offsets:
        self.asked += 1
        if isinstance(self.answer, Fault):
            raise self.answer
        return self.answer


def at(seconds: float, **changes: Any) -> Any:
    return make.world(now=make.NOW + seconds, **changes)


def read(watch: ProgressWatch, seconds: float, *ill: str, **changes: Any) -> Mapping[str, Any]:
    return watch.observe(at(seconds, **changes), ill)


def test_offsets_are_asked_for_once_a_minute_and_more_often_of_what_is_ill() -> None:
    connect = Connect()
    watch = ProgressWatch(connect)  # type: ignore[arg-type]
    for second in range(0, int(SELDOM) + 1, 5):
        read(watch, second)
    assert connect.asked == 2
    read(watch, SELDOM + OFTEN, make.NAME)
    assert connect.asked == 3


def test_what_a_cycle_read_for_its_plan_is_not_asked_for_again() -> None:
    connect = Connect()
    watch = ProgressWatch(connect)  # type: ignore[arg-type]
    seen: Offsets = ({"partition": {"server": "wms"}, "offset": {"scn": "7"}},)
    found = read(watch, 0, offsets={make.NAME: seen})
    assert connect.asked == 0
    assert found[make.NAME] == Progress(seen, make.NOW, make.NOW)


def test_a_reading_that_failed_is_unknown_and_forgets_nothing() -> None:
    connect = Connect(({"partition": {}, "offset": {"scn": "7"}},))
    watch = ProgressWatch(connect)  # type: ignore[arg-type]
    read(watch, 0)
    connect.answer = make.AWAY
    assert isinstance(read(watch, 60)[make.NAME], Unknown)
    connect.answer = ({"partition": {}, "offset": {"scn": "8"}},)
    assert read(watch, 120)[make.NAME].moved_at == make.NOW + 120


def test_offsets_of_what_does_not_run_are_not_asked_for() -> None:
    connect = Connect()
    stands = make.snapshot(make.observed_connector(state="STOPPED"))
    assert read(ProgressWatch(connect), 0, connectors=stands) == {}  # type: ignore[arg-type]
    assert connect.asked == 0


def test_the_age_of_a_state_begins_anew_with_each_change_of_it() -> None:
    watch = StateWatch()
    failed = replace(make.observed_connector(), tasks=(ObservedTask(0, "FAILED", "w"),))
    assert watch.observe(at(0)) == {make.NAME: make.NOW}
    assert watch.observe(at(30)) == {make.NAME: make.NOW}
    assert watch.observe(at(60, connectors=make.snapshot(failed))) == {make.NAME: make.NOW + 60}
    away = make.snapshot(fault=make.AWAY)
    assert watch.observe(at(90, connectors=away)) == {make.NAME: make.NOW + 60}


def test_only_what_runs_with_all_its_tasks_can_be_shown_to_be_well() -> None:
    progress = {make.NAME: Progress((), make.NOW, make.NOW)}
    assert make.NAME in well_since(at(0, progress=progress))
    for state in ("STOPPED", "FAILED"):
        other = make.snapshot(make.observed_connector(state=state))
        assert well_since(at(0, progress=progress, connectors=other)) == {}
