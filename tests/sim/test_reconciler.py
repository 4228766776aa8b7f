"""The whole controller on fake systems in virtual time; what is asserted is what became of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from controller.core.accept import accept_record
from controller.core.faults import Denied
from controller.core.hold import suspend_record
from controller.core.model import Json, ProbeMode, RunState, connector_key, topic_key
from controller.core.outlived import held_action
from controller.core.stage import Stage
from tests.fakes.connect import REBALANCE, Say, TimeOut
from tests.fakes.kafka import unavailable
from tests.make import NAME, topic
from tests.sim.world import AWAY, DATA, HISTORY, Controller, Mishap, SimWorld


def settled(**changes: object) -> tuple[SimWorld, Controller]:
    world = SimWorld(**changes)  # type: ignore[arg-type]
    controller = Controller(world)
    controller.settle()
    controller.stay_quiet(2)
    return world, controller


def kinds(world: SimWorld, since: int = 0) -> list[str]:
    """Name the effects on Kafka and Connect."""
    return [e.kind for e in world.effects[since:] if e.system in ("kafka", "connect")]


def test_a_new_stage_becomes_as_declared_and_stays_so() -> None:
    world = SimWorld()
    controller = Controller(world)
    controller.settle()
    controller.stay_quiet()
    assert world.snapshots == 1


def test_so_does_an_ephemeral_one() -> None:
    world, _ = settled(stage=Stage("feat-demo"))
    assert f"feat-demo.{DATA}" in world.kafka.topics


# --- drift by hand ----------------------------------------------------------------------------

EDITS: dict[str, Callable[[SimWorld], object]] = {
    "config": lambda w: w.edit("PUT", f"/connectors/{NAME}/config", {**w.config, "x": "y"}),
    "a key taken away": lambda w: w.edit(
        "PUT",
        f"/connectors/{NAME}/config",
        {k: v for k, v in w.config.items() if k != "database.port"},
    ),
    "pause": lambda w: w.edit("PUT", f"/connectors/{NAME}/pause"),
    "deletion": lambda w: w.edit("DELETE", f"/connectors/{NAME}"),
    "less retention": lambda w: w.kafka.topics[DATA].config.update({"retention.ms": "7"}),
    "history expires": lambda w: w.kafka.topics[HISTORY].config.update({"retention.ms": "7"}),
    "a file lost": lambda w: w.files.versions.clear(),
    "ready lost": lambda w: setattr(w.files, "ready", None),
    "memory lost": lambda w: w.lose_memory(),
    "worker replaced": lambda w: w.replace_worker(),
}


@pytest.mark.parametrize("edit", EDITS)
@pytest.mark.parametrize("settle", [0.0, 0.4])
def test_what_is_changed_by_hand_is_put_right_and_costs_no_snapshot(
    edit: str, settle: float
) -> None:
    world, controller = settled(settle=settle)
    EDITS[edit](world)
    controller.settle()
    controller.stay_quiet()
    assert world.snapshots == 1
    assert not world.database.failed


def test_a_replaced_worker_gets_its_secrets_before_it_starts() -> None:
    world, _ = settled()
    world.replace_worker()
    Controller(world).settle()
    assert not world.database.failed


def test_a_connector_that_somebody_stopped_stays_stopped_until_somebody_resumes_it() -> None:
    world, controller = settled()
    world.edit("PUT", f"/connectors/{NAME}/stop")
    world.edit("PUT", f"/connectors/{NAME}/config", {**world.config, "x": "y"})
    controller.run(100)
    assert world.connect.world.connectors[NAME].target == "STOPPED"
    assert "x" in world.config
    world.edit("PUT", f"/connectors/{NAME}/resume")
    controller.settle()
    controller.stay_quiet()


@pytest.mark.parametrize("again", [False, True], ids=["paused", "created again as paused"])
def test_one_that_was_paused_when_its_offsets_were_gone_begins_no_snapshot(again: bool) -> None:
    world, controller = settled()
    config = dict(world.config)
    world.edit("PUT", f"/connectors/{NAME}/stop")
    world.edit("DELETE", f"/connectors/{NAME}/offsets")
    if again:
        world.edit("DELETE", f"/connectors/{NAME}")
        body = {"name": NAME, "config": config, "initial_state": "PAUSED"}
        world.edit("POST", "/connectors", body)
    else:
        world.edit("PUT", f"/connectors/{NAME}/pause")
    controller.run(30)
    assert world.snapshots == 1
    assert world.connect.world.connectors[NAME].target == "PAUSED"


def create_again(world: SimWorld, *, emptied: str, offsets: bool) -> None:
    """Take the connector away, what one topic held with it, and its offsets as well if told so."""
    world.edit("PUT", f"/connectors/{NAME}/stop")
    if not offsets:
        world.edit("DELETE", f"/connectors/{NAME}/offsets")
    world.edit("DELETE", f"/connectors/{NAME}")
    world.kafka.topics[emptied].records = 0


def test_a_full_schema_history_alone_keeps_one_without_offsets_from_a_snapshot() -> None:
    world, controller = settled()
    create_again(world, emptied=DATA, offsets=False)
    controller.run(20)
    assert world.connect.world.connectors[NAME].target == "STOPPED"
    assert world.snapshots == 1


def test_one_with_offsets_is_not_resumed_over_an_empty_schema_history() -> None:
    world, controller = settled()
    create_again(world, emptied=HISTORY, offsets=True)
    controller.run(20)
    assert world.connect.world.connectors[NAME].target == "STOPPED"
    world.kafka.topics[HISTORY].records = 9
    controller.settle()


def test_on_an_ephemeral_stage_it_is_resumed() -> None:
    world, controller = settled(stage=Stage("feat-demo"))
    world.edit("PUT", f"/connectors/{NAME}/stop")
    controller.settle()


def test_more_retention_by_hand_is_told_and_left_on_a_named_stage() -> None:
    world, controller = settled()
    world.kafka.topics[DATA].config["retention.ms"] = "99999"
    controller.run(30)
    assert world.kafka.topics[DATA].config["retention.ms"] == "99999"


def test_a_lost_topic_is_not_made_again_on_a_named_stage() -> None:
    world, controller = settled()
    world.kafka.drop(DATA)
    controller.run(30)
    assert DATA not in world.kafka.topics


def test_a_topic_that_was_lost_together_with_the_memory_is_not_made_again() -> None:
    world, controller = settled()
    world.kafka.drop(DATA)
    world.lose_memory()
    controller.run(100)
    assert DATA not in world.kafka.topics


def test_a_word_for_a_lost_topic_is_not_good_for_its_next_loss() -> None:
    world, controller = settled()
    world.kafka.drop(DATA)
    controller.run(5)
    report = controller.reconciler.report
    assert report is not None
    step = next(step for step in report.plan.steps if step.key == topic_key(DATA))
    action = held_action(step.key, step.decision)
    assert action is not None
    record = accept_record(step.key, action)
    world.kafka.make(DATA, 3, replication_factor=3, config={"retention.ms": "1000"})
    word: dict[str, Json] = {"risk": "data-loss", "who": "ann", "at": world.clock.now()}
    world.store.put(record, word, expires=world.clock.now() + 7 * 86_400)
    controller.settle()
    controller.stay_quiet(3)
    world.kafka.drop(DATA)
    controller.run(10)
    assert DATA not in world.kafka.topics


@pytest.mark.parametrize("name", [DATA, HISTORY])
def test_nor_when_the_worker_is_away_meanwhile(name: str) -> None:
    world, controller = settled()
    world.stop_worker()
    world.kafka.drop(name)
    world.lose_memory()
    controller.run(30)
    world.connect_may_run = True
    controller.run(60)
    assert name not in world.kafka.topics
    assert world.snapshots == 1


def test_the_history_of_a_connector_that_runs_is_not_made_again_though_its_id_is_unknown() -> None:
    world, controller = settled()
    world.kafka.drop(HISTORY)
    del world.store.records[f"topicId/{HISTORY}"]
    controller.run(30)
    assert HISTORY not in world.kafka.topics


def test_a_topic_declared_before_all_was_as_declared_once_is_no_lost_one() -> None:
    world = SimWorld()
    world.kafka.make(DATA, 9, replication_factor=3, config={"retention.ms": "1000"})
    controller = Controller(world)
    controller.run(30)
    assert world.snapshots == 1
    assert "birth/stage" not in world.store.records
    new = topic("wms.APP.NEW", replication_factor=3)
    world.commit(topics=(*world.topics, new))
    controller.run(10)
    assert new.name in world.kafka.topics


def test_a_rival_who_writes_the_same_field_again_and_again_is_answered_less_and_less() -> None:
    world, controller = settled()
    before = len(world.effects)
    hours = 2
    start = world.clock.time
    while world.clock.time < start + hours * 3600:
        world.kafka.topics[DATA].config["retention.ms"] = "7"
        world.connect.world.commit(NAME, {"a": 1}, {"b": 1})
        report = controller.cycle()
        world.clock.sleep(controller.pace(report))
    writes = kinds(world, before)
    assert len(writes) <= 6, writes


# --- rotations --------------------------------------------------------------------------------


def test_a_rotated_password_reaches_the_connector_and_the_old_files_go_later() -> None:
    world, controller = settled()
    first = set(world.files.versions)
    world.rotate("second-password")
    controller.settle()
    world.rotate("third-password")
    controller.settle()
    assert first & set(world.files.versions)
    controller.run(60)
    assert not first & set(world.files.versions) - {
        k for k in world.files.versions if "broker" in k.path
    }
    controller.stay_quiet()
    assert not any("password" in key[1] for key in world.database.failed)


@pytest.mark.parametrize("mode", [ProbeMode.REQUIRED, ProbeMode.ADVISORY])
def test_a_wrong_password_never_reaches_the_connector(mode: ProbeMode) -> None:
    world = SimWorld()
    world.commit(probe=mode)
    controller = Controller(world)
    controller.settle()
    good = dict(world.config)
    world.rotate("wrong-password", works=False)
    controller.run(300)  # more than an hour
    assert world.config == good
    assert world.database.failed.total() == 1
    world.rotate("right-password")
    controller.settle()
    controller.stay_quiet()


def test_a_wrong_password_for_a_new_stage_creates_nothing() -> None:
    world = SimWorld()
    world.rotate("wrong-password", works=False)
    world.database.passwords.clear()
    controller = Controller(world)
    controller.run(200)
    assert not world.connect.world.connectors
    assert world.database.failed.total() == 1
    world.rotate("right-password")
    controller.settle()


def test_a_database_that_is_away_is_tried_with_patience_and_nothing_is_counted() -> None:
    world = SimWorld()
    world.database.away = True
    controller = Controller(world)
    controller.run(200)
    assert not world.connect.world.connectors
    world.database.away = False
    controller.settle(200)
    controller.stay_quiet()


def test_a_database_that_answers_without_a_verdict_is_logged_in_to_twice_at_most() -> None:
    world = SimWorld()
    world.database.mute = True
    controller = Controller(world)
    controller.run(600)  # more than two hours
    assert world.database.failed.total() == 2
    world.database.mute = False
    world.rotate("second-password")
    controller.settle()


def test_a_crash_in_a_login_counts_as_a_failed_one() -> None:
    world = SimWorld()
    world.fate = lambda e: Mishap.CRASH_AFTER if e.kind == "Probe" else Mishap.OK
    Controller(world).run(100)
    assert world.database.logins == 2


# --- refused configs --------------------------------------------------------------------------


def test_a_refused_config_is_explained_by_one_probe_and_one_validation_in_an_hour() -> None:
    world, controller = settled()
    good = dict(world.config)
    bad = world.connector({"poll.interval.ms": "nonsense"}, generation="c2")
    before, logins = len(world.effects), world.database.logins
    world.commit(bad)
    start = world.clock.time
    while world.clock.time < start + 3000:
        controller.run(1)
    assert world.config == good
    assert kinds(world, before) == ["PutConfig", "Validate"]
    assert world.database.logins - logins <= 3
    world.commit(world.connector(generation="c3"))
    controller.settle()
    controller.stay_quiet()


def test_what_was_accepted_since_its_refusal_is_repaired_like_anything_else() -> None:
    world, controller = settled()
    world.connect.server.fail("PUT", f"/connectors/{NAME}/config", _refuse(), times=1)
    world.edit("PUT", f"/connectors/{NAME}/config", {**world.config, "x": "y"})
    controller.settle()
    controller.stay_quiet()
    world.edit("PUT", f"/connectors/{NAME}/config", {**world.config, "x": "y"})
    controller.settle()


def _refuse() -> Say:
    return Say(400, "Connector configuration is invalid and contains the following 1 error(s):\nx")


# --- outages ----------------------------------------------------------------------------------

OUTAGES: dict[str, tuple[Callable[[SimWorld], None], Callable[[SimWorld], None]]] = {
    "kafka": (
        lambda w: setattr(w.kafka, "outage", unavailable()),
        lambda w: setattr(w.kafka, "outage", None),
    ),
    "connect": (
        lambda w: w.stop_worker(),
        lambda w: setattr(w, "connect_may_run", True),
    ),
    "secrets": (
        lambda w: setattr(w.secrets, "outage", AWAY),
        lambda w: setattr(w.secrets, "outage", None),
    ),
    "store": (
        lambda w: setattr(w.store, "broken", AWAY),
        lambda w: setattr(w.store, "broken", None),
    ),
    "files": (
        lambda w: setattr(w.files, "broken", Denied("Denied", "made to fail")),
        lambda w: setattr(w.files, "broken", None),
    ),
    "database": (
        lambda w: setattr(w.database, "away", True),
        lambda w: setattr(w.database, "away", False),
    ),
}


@pytest.mark.parametrize("system", OUTAGES)
def test_an_outage_changes_nothing_and_calls_no_more_than_health(system: str) -> None:
    world, controller = settled()
    begin, end = OUTAGES[system]
    begin(world)
    before, start = len(world.effects), world.clock.time
    cycles = 0
    while world.clock.time < start + 1800:
        controller.run(1)
        cycles += 1
    assert kinds(world, before) == []
    assert cycles <= 1.1 * 1800 / 13.5
    end(world)
    controller.settle(10)
    controller.stay_quiet()
    assert world.snapshots == 1


@pytest.mark.parametrize("system", OUTAGES)
def test_a_stage_that_starts_in_an_outage_waits_and_then_becomes_as_declared(system: str) -> None:
    world = SimWorld()
    begin, end = OUTAGES[system]
    begin(world)
    controller = Controller(world)
    start, cycles = world.clock.time, 0
    while world.clock.time < start + 1800:
        controller.run(1)
        cycles += 1
    assert cycles <= 1.2 * 1800 / 13.5 + 30
    end(world)
    controller.settle(100)
    controller.stay_quiet()
    assert world.snapshots == 1
    assert not world.database.failed


def test_an_unreadable_volume_on_a_new_task_is_tried_at_the_usual_pace() -> None:
    world, controller = settled()
    world.replace_worker()
    world.fate = lambda e: Mishap.DENIED if e.system == "files" else Mishap.OK
    start, cycles = world.clock.time, 0
    while world.clock.time < start + 3600 and cycles < 1000:
        controller.run(1)
        cycles += 1
    assert cycles <= 1.2 * 3600 / 13.5
    world.fate = lambda _e: Mishap.OK
    controller.settle()
    controller.stay_quiet()
    assert not world.database.failed


def test_a_store_that_can_be_read_and_not_written_spins_nobody() -> None:
    world, controller = settled()
    world.fate = lambda e: Mishap.BUSY if e.system == "store" else Mishap.OK
    start, cycles = world.clock.time, 0
    while world.clock.time < start + 3600 and cycles < 1000:
        world.kafka.topics[DATA].config["retention.ms"] = "7"
        world.edit("DELETE", f"/connectors/{NAME}")
        controller.run(1)
        cycles += 1
    assert cycles <= 1.2 * 3600 / 13.5
    world.fate = lambda _e: Mishap.OK
    controller.settle()


# --- suspended --------------------------------------------------------------------------------


def test_what_is_suspended_is_left_alone_and_taken_up_again() -> None:
    world, controller = settled()
    world.store.put(
        suspend_record(connector_key(NAME)), {"reason": "test"}, expires=world.clock.now() + 600
    )
    world.edit("PUT", f"/connectors/{NAME}/config", {**world.config, "x": "y"})
    controller.run(10)
    assert "x" in world.config
    controller.run(60)
    controller.settle()


def test_declared_stopped_and_running_again() -> None:
    world, controller = settled()
    world.commit(world.connector(generation="c2", run_state=RunState.STOPPED))
    controller.settle()
    controller.stay_quiet()
    world.commit(world.connector(generation="c3"))
    controller.settle()
    controller.stay_quiet()
    assert world.snapshots == 1


def test_a_restart_that_a_rebalance_refuses_is_not_forgotten() -> None:
    world, controller = settled()
    world.files.versions.clear()
    world.connect.world._start(NAME, tasks=True)
    world.work()
    assert any(world.differences())
    world.connect.server.fail("POST", "/restart", REBALANCE, times=3)
    controller.settle()
    controller.stay_quiet()


def test_a_create_whose_answer_was_lost_is_not_made_twice() -> None:
    world = SimWorld()
    world.connect.server.fail("POST", "/connectors", TimeOut(applied=True))
    controller = Controller(world)
    controller.settle()
    controller.stay_quiet()
    assert world.snapshots == 1


def test_removing_a_manifest_deletes_nothing() -> None:
    world, controller = settled()
    world.commit(topics=world.topics[1:])
    world.manifest = replace(world.manifest, needs=frozenset(t.key for t in world.topics))
    controller.run(30)
    assert DATA in world.kafka.topics
    controller.stay_quiet()


# --- mistakes of this program -----------------------------------------------------------------


def test_a_mistake_in_one_action_does_not_end_the_care_of_the_others() -> None:
    world, controller = settled()
    world.kafka.topics[DATA].config["retention.ms"] = "7"
    world.edit("PUT", f"/connectors/{NAME}/config", {**world.config, "x": "y"})
    world.fate = lambda e: Mishap.BUG if e.kind == "AlterTopic" else Mishap.OK
    start, before, cycles = world.clock.time, len(world.effects), 0
    while world.clock.time < start + 3600:
        controller.run(1)
        cycles += 1
    assert "x" not in world.config
    assert kinds(world, before).count("AlterTopic") < 40
    assert cycles < 400
    assert any("action crashed" in line for line in world.lines)
    world.fate = lambda _e: Mishap.OK
    controller.settle()
    controller.stay_quiet()


# --- logins in doubt --------------------------------------------------------------------------


def test_a_login_in_doubt_is_not_used_again_for_a_new_config() -> None:
    world, controller = settled()
    good = dict(world.config)
    world.database.mute = True
    world.commit(world.connector({"poll.interval.ms": "1"}, generation="c2"))
    controller.run(30)
    tried = world.database.logins
    for number in range(3, 6):
        world.commit(world.connector({"poll.interval.ms": "1"}, generation=f"c{number}"))
        controller.run(100)
    assert world.database.logins == tried
    assert world.config == good
    world.database.mute = False
    world.rotate("second-password")
    controller.settle()
    controller.stay_quiet()


# --- what is printed --------------------------------------------------------------------------


def test_nothing_that_is_printed_holds_a_password() -> None:
    world = SimWorld(listening=True, settle=0.3)
    passwords = ["first-password", "wrong-password", "second-password", "third-password"]
    controller = Controller(world)
    controller.settle()
    world.rotate(passwords[1], works=False)
    controller.run(5)
    world.rotate(passwords[2])
    world.edit("PUT", f"/connectors/{NAME}/config", {**world.config, "x": "y"})
    controller.settle()
    world.database.mute = True
    world.rotate(passwords[3], works=False)
    world.edit("DELETE", f"/connectors/{NAME}")
    controller.run(20)
    printed = "\n".join(world.lines)
    assert len(world.lines) > 50
    assert not [word for word in passwords if word in printed]
    stored = repr(world.store.records)
    assert not [word for word in passwords if word in stored]


def test_a_new_field_of_a_secret_is_on_disk_before_a_config_names_it() -> None:
    world, controller = settled()
    world.fate = lambda e: Mishap.DENIED if e.kind == "WriteSecretFiles" else Mishap.OK
    world.commit(
        world.connector({"a.role": "${secret:dbInfo:user}-${secret:token}"}, generation="c2")
    )
    world.secrets.put(world.path("token"), "a-token-value")
    controller.run(20)
    assert "a.role" not in world.config
    world.fate = lambda _e: Mishap.OK
    controller.run(10)
    assert "a.role" in world.config
    controller.stay_quiet()
