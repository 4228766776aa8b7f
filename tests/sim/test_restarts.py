"""Restarts in virtual time: the schedule, the budgets, kills at every effect, refused logins."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from typing import Any, Final

import pytest

from controller.core.condition import ConditionType
from controller.core.connector_memory import release_record
from controller.core.evidence import LineCounts, LogReading, WorkerLine
from controller.core.model import ProbeMode, RunState, connector_key
from controller.core.tries import MOST, WINDOW, pause
from controller.witness import Witness
from tests.make import NAME
from tests.sim.world import CRASHES, Controller, Effect, Mishap, SimWorld, draw

PASSES: Final = (
    "org.apache.kafka.connect.errors.ConnectException: An exception occurred in the change event "
    "producer. This connector will be stopped.\n"
    "Caused by: org.postgresql.util.PSQLException: FATAL: terminating connection due to "
    "administrator command"
)
LOST: Final = (
    "io.debezium.DebeziumException: Online REDO LOG files or archive log files do not contain the "
    "offset scn 12345. Please perform a new snapshot."
)
TOO_LARGE: Final = (
    "org.apache.kafka.connect.errors.ConnectException: Unrecoverable exception from producer send "
    "callback\nCaused by: org.apache.kafka.common.errors.RecordTooLargeException: The request "
    "included a message larger than the max message size the server will accept."
)
REFUSED: Final = (
    "org.apache.kafka.connect.errors.RetriableException: Failed to start connector\n"
    "\tat io.debezium.connector.common.BaseSourceTask.startIfNeededAndPossible(X.java:1)\n"
    "Caused by: java.sql.SQLException: ORA-01017: invalid username/password; logon denied"
)
MINUTE, HOUR, DAY = 60.0, 3600.0, 86_400.0
LOOP = 10.0


class IllWorld(SimWorld):
    """A task that does what `illness` says at each start, and a worker that logs its logins."""

    def __post_init__(self) -> None:
        self.illness: str | None = None
        self.loops = False  # a refused login is tried again for ever, behind RUNNING
        self.unread: list[WorkerLine] = []
        self.told: list[WorkerLine] = []
        self.started_at: list[float] = []
        self.refused_at: float | None = None  # of the loop that goes on
        self.silent: str | None = None
        super().__post_init__()

    def _start_task(self, config: Mapping[str, str]) -> str | None:
        self.started_at.append(self.clock.time)
        if not self.loops:
            self.refused_at = None
            return self.illness
        self._try_login(config)
        return None

    def _try_login(self, config: Mapping[str, str]) -> None:
        now = self.clock.time
        self.refused_at = None if super()._start_task(config) is None else now
        if self.refused_at is not None:
            said = "Failed to start connector, will re-attempt during polling."
            logger, context = "io.debezium.connector.common.BaseSourceTask", f"[{NAME}|task-0] "
            self.unread.append(WorkerLine(now, "WARN", logger, said, REFUSED, context))

    def work(self) -> None:
        super().work()
        connector = self.connect.world.connectors.get(NAME)
        if connector is None or connector.target != "RUNNING" or not connector.tasks:
            return
        if self.refused_at is not None and self.clock.time - self.refused_at >= LOOP:
            self._try_login(connector.tasks[0].config)

    def _stream(self, name: str, config: Mapping[str, str]) -> None:
        if self.refused_at is None:
            super()._stream(name, config)

    # as a source of evidence, and as a network

    def read(self) -> LogReading:
        found, self.unread = tuple(self.unread), []
        self.told += found
        return LogReading(found, missing=False, counts=LineCounts())

    def why_silent(self, _host: str, _port: int) -> str | None:
        return self.silent

    @property
    def refused(self) -> int:
        return sum(self.database.failed.values())


class Guard(Controller):
    """A controller that reads the worker's log and looks for the database."""

    world: IllWorld

    def start(self) -> None:
        super().start()
        self.world.unread = list(self.world.told)  # a new process reads the log's last minutes
        self.observer.witness = Witness(self.world, self.world.clock)
        self.observer._reach = self.world

    def run_for(self, seconds: float) -> None:
        """Run whole cycles for so long; the longer, the rarer those without a reason."""
        until = self.world.clock.time + seconds
        step = max(5.0, seconds / (50 if seconds <= 2 * HOUR else 150))
        while self.world.clock.time < until:
            report = self.cycle()
            left = 2.0 if report is None else self.pace(report)
            self.world.clock.sleep(step if left > 10.0 else min(max(left, 0.5), step))
            self.world.work()


def settled(**changes: Any) -> tuple[IllWorld, Guard]:
    world = IllWorld(**changes)
    guard = Guard(world)
    guard.settle()
    guard.stay_quiet(2)
    world.started_at.clear()
    return world, guard


def fall_ill(world: IllWorld, trace: str = PASSES) -> float:
    """Fail the task as it runs, and at each start from now on."""
    world.illness = trace
    world.connect.world.fail_task(NAME, trace)
    return world.clock.time


def restarts(world: SimWorld) -> list[Effect]:
    return [e for e in world.effects if e.kind == "Restart"]


def stalled(guard: Guard) -> tuple[str, str]:
    """Tell what the connector's condition Stalled says."""
    report = guard.reconciler.report
    assert report is not None
    found = report.conditions[connector_key(NAME)][ConditionType.STALLED]
    return str(found.status), found.reason


def gaps(times: list[float]) -> list[float]:
    return [later - earlier for earlier, later in pairwise(times)]


# --- the schedule ---------------------------------------------------------------------------


def test_a_task_whose_session_ended_as_it_started_is_well_again_within_a_minute() -> None:
    world, guard = settled()
    began = fall_ill(world)
    world.illness = None
    guard.run_for(30)
    assert len(restarts(world)) == 1
    assert world.started_at[0] - began < MINUTE
    assert guard.is_settled()


def test_what_stays_ill_is_tried_at_once_and_then_at_growing_pauses_up_to_an_hour() -> None:
    world, guard = settled()
    began = fall_ill(world)
    guard.run_for(8 * HOUR)
    assert world.started_at[0] - began < MINUTE
    for number, gap in enumerate(gaps(world.started_at), start=1):
        assert pause(number) <= gap <= pause(number) + 4 * MINUTE
    assert max(gaps(world.started_at)) <= HOUR + 4 * MINUTE
    assert len(world.started_at) == len(restarts(world))


def test_an_outage_of_a_day_costs_a_bounded_number_of_restarts_and_heals_by_itself() -> None:
    world, guard = settled()
    fall_ill(world)
    guard.run_for(DAY)
    assert len(restarts(world)) <= 32
    world.illness = None
    guard.run_for(HOUR + 5 * MINUTE)
    assert guard.is_settled()


def test_nothing_is_restarted_while_the_database_is_away_and_at_once_when_it_is_back() -> None:
    world, guard = settled()
    world.silent = "the database does not answer"
    fall_ill(world)
    guard.run_for(DAY)
    assert not restarts(world)
    world.silent = world.illness = None
    guard.run_for(2 * MINUTE)
    assert guard.is_settled()
    assert len(restarts(world)) == 1


def test_once_it_was_well_for_longer_than_its_pause_it_begins_anew() -> None:
    world, guard = settled()
    for _ in range(3):
        before = len(restarts(world))
        began = fall_ill(world)
        world.illness = None
        guard.run_for(10 * MINUTE)
        assert len(restarts(world)) == before + 1
        assert world.started_at[-1] - began < MINUTE


def test_one_that_fails_again_soon_after_each_restart_earns_longer_pauses() -> None:
    world, guard = settled()
    for _ in range(30):
        fall_ill(world)
        world.illness = None
        guard.run_for(MINUTE)
    assert len(restarts(world)) <= 6


def test_a_data_position_that_is_lost_is_never_restarted() -> None:
    world, guard = settled()
    fall_ill(world, LOST)
    guard.run_for(DAY)
    assert not restarts(world)
    assert f"restart/{NAME}: Stall OffsetScnGone" in guard._told()
    assert stalled(guard) == ("True", "OffsetScnGone")


def test_a_record_that_is_too_large_waits_for_a_person_and_a_release_tries_it_once() -> None:
    world, guard = settled()
    fall_ill(world, TOO_LARGE)
    guard.run_for(HOUR)
    assert not restarts(world)
    assert stalled(guard)[0] == "True"
    world.store.put(release_record(NAME), {"who": "somebody"})
    guard.run_for(HOUR)
    assert len(restarts(world)) == 1
    world.illness = None
    world.store.put(release_record(NAME), {"who": "somebody"})
    guard.run_for(MINUTE)
    assert guard.is_settled()


def test_a_commit_that_does_not_change_the_task_revives_what_was_held() -> None:
    world, guard = settled()
    fall_ill(world, TOO_LARGE)
    guard.run_for(5 * MINUTE)
    world.illness = None
    world.commit(world.connector(generation="c2"))
    guard.run_for(2 * MINUTE)
    assert len(restarts(world)) == 1
    assert guard.is_settled()


def test_a_declared_pause_or_stop_is_no_failure() -> None:
    for state in (RunState.PAUSED, RunState.STOPPED):
        world, guard = settled()
        fall_ill(world)
        world.commit(world.connector(run_state=state, generation="c2"))
        guard.run_for(HOUR)
        assert len(restarts(world)) <= 1


def test_a_frozen_stage_restarts_nothing() -> None:
    world, guard = settled()
    world.store.put("intent/freeze", {"reason": "exercise"})
    fall_ill(world)
    guard.run_for(HOUR)
    assert not restarts(world)


def test_running_without_tasks_is_stopped_and_resumed() -> None:
    world, guard = settled()
    world.connect.world.connectors[NAME].tasks = []
    guard.run_for(3 * MINUTE)
    assert guard.is_settled()
    kinds = [e.kind for e in world.effects if e.system == "connect"]
    assert kinds[-2:] == ["Stop", "Resume"]


# --- the budget survives us -----------------------------------------------------------------


def assert_budget(world: IllWorld) -> None:
    times = world.started_at
    assert all(len([t for t in times if at <= t < at + WINDOW]) <= MOST for at in times)


@pytest.mark.parametrize("mishap", [*CRASHES, Mishap.LOST, Mishap.APPLIED, Mishap.CONFLICT])
def test_the_budget_holds_whatever_becomes_of_any_effect(mishap: Mishap) -> None:
    for number in draw((0, 1, 3, 5), 2):
        world, guard = settled()
        fall_ill(world)
        world.mishaps[len(world.effects) + number] = mishap
        guard.run_for(12 * MINUTE)
        assert_budget(world)
        assert len(restarts(world)) <= 6
        world.illness = None
        guard.run_for(25 * MINUTE)
        assert guard.is_settled(), (mishap, number, guard._told())


def test_a_process_that_is_killed_at_each_restart_tries_no_more_often_than_one_that_lives() -> None:
    world, guard = settled()
    fall_ill(world)
    world.fate = lambda e: Mishap.CRASH_AFTER if e.kind == "Restart" else Mishap.OK
    guard.run_for(8 * HOUR)
    assert len(restarts(world)) <= 14


def test_with_its_memory_lost_it_waits_for_the_longest_pause() -> None:
    world, guard = settled()
    began = fall_ill(world)
    world.lose_memory()
    Guard.start(guard)
    guard.run_for(2 * HOUR)
    assert world.started_at[0] - began >= HOUR


@pytest.mark.parametrize("jump", [-10 * MINUTE, 10 * MINUTE, DAY])
def test_a_clock_that_jumps_neither_stops_the_restarts_nor_makes_a_storm(jump: float) -> None:
    world, guard = settled()
    fall_ill(world)
    guard.run_for(10 * MINUTE)
    before = len(restarts(world))
    world.clock.sleep(jump)
    guard.run_for(2 * HOUR)
    assert 1 <= len(restarts(world)) - before <= 6


# --- refused logins -------------------------------------------------------------------------


def refuse(world: IllWorld) -> None:
    """Change the password in the database alone, and have the task start anew."""
    world.loops = True
    world.database.passwords["debezium"] = "another"
    world.edit("POST", f"/connectors/{NAME}/restart?includeTasks=true&onlyFailed=false")
    world.work()


def target(world: SimWorld) -> str:
    return world.connect.world.connectors[NAME].target


def test_a_refused_login_is_stopped_and_tried_once_more_and_never_again() -> None:
    world, guard = settled()
    refuse(world)
    guard.run_for(DAY)
    assert world.refused <= 2
    assert target(world) == "STOPPED"
    assert stalled(guard)[0] == "True"


def test_a_new_version_ends_it() -> None:
    world, guard = settled()
    refuse(world)
    guard.run_for(HOUR)
    world.loops = False
    world.illness = None
    world.rotate("a-good-password")
    guard.run_for(5 * MINUTE)
    assert world.refused <= 2
    assert guard.is_settled(), guard._told()


def test_a_release_allows_exactly_one_more_login() -> None:
    world, guard = settled()
    refuse(world)
    guard.run_for(HOUR)
    before = world.database.logins
    world.store.put(release_record(NAME), {"who": "somebody"})
    guard.run_for(HOUR)
    assert world.database.logins == before + 1
    assert target(world) == "STOPPED"


def test_a_release_after_the_dba_reset_the_password_resumes_it() -> None:
    world, guard = settled()
    refuse(world)
    guard.run_for(HOUR)
    world.database.passwords["debezium"] = "first-password"
    world.loops = False
    world.store.put(release_record(NAME), {"who": "somebody"})
    guard.run_for(5 * MINUTE)
    assert target(world) == "RUNNING"
    assert guard.is_settled(), guard._told()


def test_a_login_that_works_again_by_the_time_we_try_it_is_resumed() -> None:
    world, guard = settled()
    refuse(world)

    def reset(effect: Effect) -> Mishap:
        if effect.kind == "Stop":
            world.database.passwords["debezium"] = "first-password"
            world.loops = False
        return Mishap.OK

    world.fate = reset
    guard.run_for(5 * MINUTE)
    assert world.refused == 1
    assert guard.is_settled(), guard._told()


@pytest.mark.parametrize("seconds", [0.0, 2.0, 60.0])
def test_what_is_to_be_written_meanwhile_costs_no_third_login(seconds: float) -> None:
    world, guard = settled()
    refuse(world)
    guard.run_for(seconds)
    config = dict(world.connect.world.connectors[NAME].config)
    world.edit("PUT", f"/connectors/{NAME}/config", config | {"poll.interval.ms": "9"})
    by_hand = world.refused  # whose write logs in as well
    guard.run_for(HOUR)
    assert world.refused <= max(2, by_hand + 1)
    assert target(world) == "STOPPED"


@pytest.mark.parametrize("mode", [ProbeMode.ADVISORY, ProbeMode.OFF])
def test_at_most_two_logins_fail_whatever_the_policy_says(mode: ProbeMode) -> None:
    world, guard = settled()
    world.commit(probe=mode)
    guard.run_for(MINUTE)
    refuse(world)
    guard.run_for(DAY)
    assert world.refused <= 2


@pytest.mark.parametrize("mishap", CRASHES)
def test_a_kill_at_any_effect_costs_no_third_login(mishap: Mishap) -> None:
    for number in (0, 1, 2, 3, 5, 8):
        world, guard = settled()
        refuse(world)
        world.mishaps[len(world.effects) + number] = mishap
        guard.run_for(HOUR)
        assert world.refused <= 2, (mishap, number)
        assert target(world) == "STOPPED", (mishap, number)
