"""Rivals, freezes and snapshots in virtual time: how soon and how often something is written."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from controller.core.decision import Stall, Wait
from controller.core.history import HISTORY as HISTORY_SECTION
from controller.core.history import timeline
from controller.core.hold import FREEZE_RECORD, TEARING_DOWN_RECORD, suspend_record
from controller.core.model import LostTopics, connector_key, topic_key
from controller.core.pace import read_pace
from controller.cycle_report import CycleReport
from controller.description import describe
from tests.fakes.connect import REBALANCE
from tests.make import NAME
from tests.sim.judge import Judge
from tests.sim.world import (
    AWAY,
    DATA,
    HEARTBEAT,
    HISTORY,
    Controller,
    Effect,
    Mishap,
    SimWorld,
    seeds,
)

KEY = connector_key(NAME)
PACE = {"repair_delay": 30.0, "repairs_per_hour": 6}
HOUR = 3600.0


def settled(**policy: Any) -> tuple[SimWorld, Controller]:
    world = SimWorld()
    world.commit(**{**PACE, **policy})
    controller = Controller(world)
    controller.settle()
    world.clock.sleep(HOUR)  # the first start has drawn on the budget
    controller.stay_quiet(2)
    return world, controller


def rewrite(world: SimWorld, value: str = "theirs") -> None:
    """Have somebody's script write its own value."""
    assert world.edit("PUT", f"/connectors/{NAME}/config", {**world.config, "x": value}) == 200


def newest(controller: Controller) -> CycleReport:
    report = controller.reconciler.report
    assert report is not None
    return report


def reason_of(controller: Controller, key: Any = KEY) -> str:
    (found,) = (s.decision.reason for s in newest(controller).plan.steps if s.key == key)
    return found


def run_for(world: SimWorld, controller: Controller, seconds: float) -> None:
    end = world.clock.time + seconds
    while world.clock.time < end:
        controller.run(1)


def writes(world: SimWorld, kind: str = "PutConfig") -> int:
    return sum(effect.kind == kind for effect in world.effects)


# --- delay ------------------------------------------------------------------------------------


def test_drift_is_shown_at_once_and_repaired_half_a_minute_later() -> None:
    world, controller = settled()
    rewrite(world)
    seen = world.clock.time
    controller.run(1)
    assert reason_of(controller) == "RepairDelayed"
    (told,) = (s for s in newest(controller).plan.steps if s.key == KEY)
    assert isinstance(told.decision, Wait)
    assert [change.field for change in told.decision.diff] == ["x"]
    controller.run(60, until=lambda: "x" not in world.config)
    assert 30.0 <= world.clock.time - seen < 50.0
    controller.stay_quiet(2)


def test_a_new_process_does_not_begin_the_delay_anew() -> None:
    world, _ = settled()
    rewrite(world)
    seen = world.clock.time
    while "x" in world.config and world.clock.time < seen + 300:
        Controller(world).run(1)
        world.clock.sleep(1.0)
    assert 30.0 <= world.clock.time - seen < 50.0


def test_drift_that_went_and_came_back_is_delayed_anew() -> None:
    world, controller = settled()
    rewrite(world)
    run_for(world, controller, 20.0)
    mine = {key: value for key, value in world.config.items() if key != "x"}
    world.edit("PUT", f"/connectors/{NAME}/config", mine)
    run_for(world, controller, 30.0)
    rewrite(world)
    again = world.clock.time
    controller.run(60, until=lambda: "x" not in world.config)
    assert world.clock.time - again >= 30.0


def test_a_deleted_connector_is_drift_too() -> None:
    world, controller = settled()
    world.edit("DELETE", f"/connectors/{NAME}")
    gone = world.clock.time
    controller.run(60, until=lambda: NAME in world.connect.world.connectors)
    assert 30.0 <= world.clock.time - gone < 50.0
    controller.settle()
    assert world.snapshots == 1


def test_neither_a_rotation_nor_a_commit_is_delayed() -> None:
    world, controller = settled()
    world.rotate("second-password")
    controller.settle()
    at = world.clock.time
    world.commit(world.connector({"poll.interval.ms": "9"}, generation="c2"))
    controller.settle()
    assert world.clock.time - at < 30.0


def test_a_history_that_would_expire_is_restored_at_once_and_always() -> None:
    world, controller = settled()
    for _ in range(10):
        world.kafka.topics[HISTORY].config["retention.ms"] = "7"
        controller.run(2)
        assert world.kafka.topics[HISTORY].config["retention.ms"] == "-1"


# --- budget -----------------------------------------------------------------------------------


def test_a_rival_that_writes_after_each_look_at_a_converged_world_ends_in_contended() -> None:
    world, controller = settled()
    end = world.clock.time + HOUR / 2
    while world.clock.time < end:
        rewrite(world)
        controller.run(30, until=lambda: controller.is_settled() or _contended(controller))
        if _contended(controller):
            break
    assert writes(world) == 6
    run_for(world, controller, 900.0)
    assert writes(world) == 6
    assert world.config["x"] == "theirs"
    (idle,) = (one for one in newest(controller).idle if one.reason == "Contended")
    assert "x is theirs by their hand and is taken away as declared" in idle.message
    assert newest(controller).world.now - idle.since > 800.0


def _contended(controller: Controller) -> bool:
    return controller.reconciler.report is not None and reason_of(controller) == "Contended"


def contended() -> tuple[SimWorld, Controller]:
    world, controller = settled(repair_delay=0.0)
    for _ in range(6):
        rewrite(world)
        controller.run(30, until=controller.is_settled)
        assert "x" not in world.config
        controller.run(2)
    rewrite(world)
    controller.run(2)
    assert _contended(controller)
    return world, controller


def test_a_rotation_is_never_refused_by_the_budget() -> None:
    world, controller = contended()
    version = world.rotate("second-password")  # the rival's key is still there, and stays
    controller.run(5)
    assert version in str(world.config)
    assert world.config["x"] == "theirs"
    assert _contended(controller)
    assert not world.database.failed


def test_a_commit_ends_contended() -> None:
    world, controller = contended()
    world.commit(world.connector(generation="c2"))
    controller.settle()
    assert "x" not in world.config


def test_contended_ends_when_the_oldest_repair_is_an_hour_old() -> None:
    world, controller = contended()
    run_for(world, controller, HOUR + 60.0)
    assert "x" not in world.config


def test_a_new_process_has_no_new_budget() -> None:
    world, _ = contended()
    before = writes(world)
    for _ in range(5):
        Controller(world).run(3)
    assert writes(world) == before


def test_what_faults_without_writing_costs_no_budget() -> None:
    world, controller = settled()
    world.connect.server.fail("PUT", f"/connectors/{NAME}/config", REBALANCE, times=20)
    world.commit(world.connector({"poll.interval.ms": "9"}, generation="c2"))
    run_for(world, controller, HOUR)
    assert not _contended(controller)
    controller.settle()


def test_topics_have_a_budget_of_their_own() -> None:
    world, controller = settled(repair_delay=0.0)
    seen: Counter[str] = Counter()
    for _ in range(10):
        world.kafka.topics[DATA].config["retention.ms"] = "7"
        controller.run(4)
        seen[reason_of(controller, topic_key(DATA))] += 1
    assert writes(world, "AlterTopic") == 6
    assert seen["Contended"] == 4


Edit = Callable[[SimWorld], object]
EDITS: dict[str, Edit] = {
    "config": rewrite,
    "pause": lambda w: w.edit("PUT", f"/connectors/{NAME}/pause"),
    "delete": lambda w: w.edit("DELETE", f"/connectors/{NAME}"),
    "retention": lambda w: w.kafka.topics[DATA].config.update({"retention.ms": "7"}),
    "wait": lambda _w: None,
}
ACTS = ("PutConfig", "CreateConnector", "Pause", "AlterTopic")


@given(
    edits=st.lists(
        st.tuples(st.sampled_from(sorted(EDITS)), st.floats(min_value=0.0, max_value=400.0)),
        min_size=5,
        max_size=40,
    ),
    budget=st.integers(min_value=1, max_value=6),
)
@settings(max_examples=len(seeds(6)), deadline=None)
def test_whatever_a_rival_does_no_hour_has_more_repairs_than_the_budget(
    edits: list[tuple[str, float]], budget: int
) -> None:
    world, controller = settled(repair_delay=5.0, repairs_per_hour=budget)
    times: dict[str, list[float]] = {"connector": [], "topic": []}

    def note(effect: Effect) -> Mishap:
        if effect.kind in ACTS:
            times["topic" if effect.system == "kafka" else "connector"].append(world.clock.time)
        return Mishap.OK

    world.fate = note
    for name, gap in edits:
        if name == "retention" or NAME in world.connect.world.connectors:
            EDITS[name](world)
        run_for(world, controller, gap)
    for found in times.values():
        for number, first in enumerate(found):
            within = [time for time in found[number:] if time < first + HOUR]
            assert len(within) <= budget


# --- snapshots --------------------------------------------------------------------------------


def snapshotting() -> tuple[SimWorld, Controller]:
    """A connector whose snapshot was begun a moment ago, and that nobody was seen to end."""
    world, controller = settled(repair_delay=0.0)
    world.store.records.pop(f"snapshot/{NAME}", None)
    world.streaming = False
    begin_snapshot(world)
    return world, controller


def begin_snapshot(world: SimWorld) -> None:
    world.connect.world.commit(NAME, {"server": "wms"}, {"scn": "1", "snapshot": "INITIAL"})


def end_snapshot(world: SimWorld) -> None:
    world.connect.world.commit(NAME, {"server": "wms"}, {"scn": "2"})


def test_drift_waits_for_the_end_of_a_snapshot() -> None:
    world, controller = snapshotting()
    rewrite(world)
    run_for(world, controller, 600.0)
    assert reason_of(controller) == "SnapshotRunning"
    assert writes(world) == 0
    end_snapshot(world)
    controller.settle()
    assert f"snapshot/{NAME}" in world.store.records


def test_drift_beside_a_snapshot_that_is_paused_waits_for_a_person_and_not_for_its_end() -> None:
    world, controller = snapshotting()
    rewrite(world)
    world.edit("PUT", f"/connectors/{NAME}/pause")
    run_for(world, controller, 120.0)
    (held,) = (s.decision for s in newest(controller).plan.steps if s.key == KEY)
    assert isinstance(held, Stall)
    assert held.held is not None
    assert "the snapshot that runs now is given up" in held.held.consequence
    assert writes(world) == 0
    Judge(world).accept(newest(controller))
    world.streaming = True
    controller.settle()


def test_a_rotation_does_not_wait_for_it() -> None:
    world, controller = snapshotting()
    world.rotate("second-password")
    controller.settle()


@pytest.mark.parametrize("waiting", ["a delay", "a snapshot"])
def test_new_credentials_do_not_wait_with_the_drift_beside_them(waiting: str) -> None:
    world, controller = snapshotting() if waiting == "a snapshot" else settled(repair_delay=HOUR)
    rewrite(world)
    controller.run(1)
    version = world.rotate("second-password")
    run_for(world, controller, 120.0)
    assert version in str(world.config)
    assert world.config["x"] == "theirs"
    assert writes(world) == 1


def test_a_commit_is_held_until_it_is_accepted_or_the_snapshot_has_ended() -> None:
    world, controller = snapshotting()
    world.commit(world.connector({"poll.interval.ms": "9"}, generation="c2"))
    run_for(world, controller, 120.0)
    (held,) = (s.decision for s in newest(controller).plan.steps if s.key == KEY)
    assert isinstance(held, Stall)
    assert held.reason == "AcceptanceRequired"
    assert writes(world) == 0
    end_snapshot(world)
    controller.settle()


# --- suspension and freeze --------------------------------------------------------------------

HELD = {"freeze": FREEZE_RECORD, "suspension": suspend_record(KEY)}


def leave_word(world: SimWorld, record: str, seconds: float) -> None:
    ends = world.clock.time + seconds
    world.store.put(record, {"who": "ada", "reason": "audit", "until": "noon"}, expires=ends)


@pytest.mark.parametrize("what", HELD)
def test_before_it_ends_it_says_so_once_in_the_log_and_always_in_the_status(what: str) -> None:
    world, controller = settled()
    leave_word(world, HELD[what], HOUR)
    run_for(world, controller, HOUR - 960.0)
    assert not _warned(world)
    run_for(world, controller, 120.0)
    assert _warned(world) == 1
    warnings = describe(newest(controller), None, None)["warnings"]
    assert isinstance(warnings, list)
    (told,) = warnings
    assert "ends within 15 minutes" in str(told)
    assert "audit" in str(told)


def _warned(world: SimWorld) -> int:
    return sum(line.startswith("ends soon ") for line in world.lines)


@pytest.mark.parametrize("what", HELD)
@pytest.mark.parametrize("early", [True, False])
def test_after_it_the_difference_is_shown_for_one_interval_before_it_is_written(
    what: str, early: bool
) -> None:
    world, controller = settled(repair_delay=0.0)
    leave_word(world, HELD[what], 600.0)
    rewrite(world)
    run_for(world, controller, 300.0)
    assert writes(world) == 0
    if early:
        del world.store.records[HELD[what]]
    else:
        world.clock.sleep(330.0)
    over = world.clock.time
    controller.run(1)
    assert reason_of(controller) == "SuspensionEnded"
    (shown,) = (s.decision for s in newest(controller).plan.steps if s.key == KEY)
    assert isinstance(shown, Wait)
    assert [change.field for change in shown.diff] == ["x"]
    controller.run(20, until=lambda: "x" not in world.config)
    assert world.clock.time - over >= 15.0
    controller.settle()
    controller.stay_quiet(2)
    rewrite(world)
    controller.settle()  # later drift is not shown first


def test_what_ended_while_nobody_looked_is_shown_first_too() -> None:
    world, controller = settled(repair_delay=0.0)
    leave_word(world, FREEZE_RECORD, 600.0)
    rewrite(world)
    controller.run(3)
    world.clock.sleep(3600.0)
    again = Controller(world)
    again.run(1)
    assert reason_of(again) == "SuspensionEnded"
    assert writes(world) == 0


def test_a_freeze_is_heard_between_the_plan_and_each_action() -> None:
    world, controller = settled(repair_delay=0.0)
    rewrite(world)
    world.kafka.topics[DATA].config["retention.ms"] = "7"

    def freeze(effect: Effect) -> Mishap:
        if effect.kind == "AlterTopic":  # the plan is made, and its first action under way
            leave_word(world, FREEZE_RECORD, 600.0)
        return Mishap.OK

    world.fate = freeze
    controller.run(3)
    assert world.kafka.topics[DATA].config["retention.ms"] == "1000"
    assert world.config["x"] == "theirs"
    assert writes(world) == 0


def paused_and_rewritten() -> tuple[SimWorld, Controller]:
    """What one act puts right by two calls: the config, then the run state."""
    world, controller = settled(repair_delay=0.0)
    assert world.edit("PUT", f"/connectors/{NAME}/pause") == 202
    rewrite(world)
    return world, controller


def last_outcome(world: SimWorld) -> dict[str, Any]:
    told = [one for one in timeline(world.store.read(HISTORY_SECTION, 100)) if "done" in one]
    return told[-1]


def happening(world: SimWorld, kind: str, what: str, do: Callable[[], object]) -> None:
    """Have somebody do it while the effect of that name is under way."""

    def fate(effect: Effect) -> Mishap:
        if effect.kind == kind and effect.what.startswith(what):
            do()
        return Mishap.OK

    world.fate = fate


WORDS = {**HELD, "teardown": TEARING_DOWN_RECORD}


@pytest.mark.parametrize("what", WORDS)
def test_a_word_is_heard_between_two_actions_of_one_act(what: str) -> None:
    world, controller = paused_and_rewritten()
    happening(world, "PutConfig", NAME, lambda: leave_word(world, WORDS[what], 600.0))
    controller.run(3)
    assert "x" not in world.config
    assert world.connect.world.connectors[NAME].target == "PAUSED"
    told = last_outcome(world)
    assert (told["action"], told["done"]) == ("PutConfig, Resume", "PutConfig")
    assert told["outcome"] == "stopped between"


def test_without_a_word_between_both_actions_are_done_at_once() -> None:
    world, controller = paused_and_rewritten()
    controller.settle()
    assert (writes(world), writes(world, "Resume")) == (1, 2), "of which one began it all"
    assert last_outcome(world)["done"] == "PutConfig, Resume"


def test_a_store_that_cannot_be_read_between_two_actions_ends_the_act() -> None:
    world, controller = paused_and_rewritten()
    happening(world, "PutConfig", NAME, lambda: setattr(world.store, "broken", AWAY))
    controller.run(3)
    assert writes(world, "Resume") == 1, "the one that began it all"
    assert world.connect.world.connectors[NAME].target == "PAUSED"
    world.store.broken = None
    controller.settle()


def test_a_word_that_comes_once_the_act_is_stamped_holds_it_and_costs_no_budget() -> None:
    world, controller = settled(repair_delay=0.0)
    rewrite(world)
    before = read_pace(world.store.load(), KEY, "c1", world.clock.time)
    happening(world, "put", "pace/", lambda: leave_word(world, FREEZE_RECORD, 600.0))
    controller.run(3)
    assert writes(world) == 0
    assert read_pace(world.store.load(), KEY, "c1", world.clock.time) == before


# --- lost topics ------------------------------------------------------------------------------


@pytest.mark.parametrize("name", [DATA, HEARTBEAT])
def test_a_lost_topic_is_made_again_where_the_policy_says_so_after_its_delay(name: str) -> None:
    world, controller = settled(lost_topics=LostTopics.RECREATE)
    world.kafka.drop(name)
    gone = world.clock.time
    controller.run(60, until=lambda: name in world.kafka.topics)
    assert 30.0 <= world.clock.time - gone < 50.0
    controller.settle()


def test_a_lost_history_is_not() -> None:
    world, controller = settled(lost_topics=LostTopics.RECREATE)
    world.kafka.drop(HISTORY)
    run_for(world, controller, 600.0)
    assert HISTORY not in world.kafka.topics
    assert reason_of(controller, topic_key(HISTORY)) == "TopicLost"


# --- not acting is visible --------------------------------------------------------------------


def test_an_age_goes_on_while_the_store_is_away_and_after_a_restart() -> None:
    world, controller = settled()
    leave_word(world, FREEZE_RECORD, 9 * HOUR)
    controller.run(1)
    began = world.clock.time - 15.0
    run_for(world, controller, 600.0)
    world.store.broken = AWAY
    controller.run(2)
    assert [one.reason for one in newest(controller).idle] == ["NoStateStore"]
    run_for(world, controller, 300.0)
    (away,) = newest(controller).idle
    assert newest(controller).world.now - away.since >= 300.0
    world.store.broken = None
    again = Controller(world)
    again.run(1)
    (frozen,) = newest(again).idle
    assert frozen.reason == "Frozen"
    assert frozen.since <= began + 15.0


def test_a_refused_revision_is_told_with_its_age() -> None:
    world, controller = settled()

    def refuse(_folder: object) -> Any:
        raise ValueError("m.yaml:1: no")

    controller.manifests._load = refuse
    world.commit()
    run_for(world, controller, 120.0)
    (stale,) = newest(controller).idle
    assert stale.reason == "StaleRevision"
    assert newest(controller).world.now - stale.since >= 100.0


def test_an_outage_of_secrets_manager_is_one_fault_a_cycle() -> None:
    world, controller = settled()
    world.secrets.outage = AWAY
    world.clock.sleep(120.0)
    controller.run(1)
    assert [system for system, _ in newest(controller).faults] == ["secrets"]
