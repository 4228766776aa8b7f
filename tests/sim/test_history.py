"""What the history tells of the whole controller's doings, and what is not done without it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from controller.core.accept import action_id
from controller.core.decision import Stall
from controller.core.faults import Unavailable
from controller.core.history import CONDITIONS, HISTORY, event_text, timeline
from controller.core.hold import FREEZE_RECORD
from controller.core.model import Acceptance
from controller.core.stage import Stage
from tests.sim.world import DATA, Controller, Mishap, SimWorld

FULL = Unavailable("StateUnavailable", "no space is left")
RETENTION = "retention.ms"


def settled(stage: str = "main") -> tuple[SimWorld, Controller]:
    world = SimWorld(stage=Stage.parse(stage))
    controller = Controller(world)
    controller.settle()
    return world, controller


def events(world: SimWorld, **wanted: Any) -> list[dict[str, Any]]:
    store = world.store
    told = timeline(store.read(HISTORY, 1000), store.read(CONDITIONS, 1000))
    return [one for one in told if all(one.get(key) == value for key, value in wanted.items())]


def drift(world: SimWorld, value: str = "7") -> str:
    name = world.stage.namespace + DATA
    world.kafka.topics[name].config[RETENTION] = value
    return name


def test_every_write_to_kafka_and_connect_is_told_with_its_end() -> None:
    world, _ = settled()
    told = events(world, event="action")
    done = [name for one in told for name in str(one["done"]).split(", ")]
    for action in ("CreateTopic", "CreateConnector", "Resume", "ProbeLogin"):
        assert action in done, f"{action} is in the world and not in the history: {done}"
    assert {one["outcome"] for one in told} == {"done"}
    assert {one["cluster"] for one in told if one["action"] == "Resume"} == {"the-cluster"}
    assert all(one["who"] == "controller one" and one["revision"] for one in told)


def test_a_repair_is_told_with_what_was_and_what_is() -> None:
    world, controller = settled()
    name = drift(world)
    controller.settle()
    (repair,) = [one for one in events(world, resource=f"topic/{name}") if one.get("changes")][-1:]
    assert repair["action"] == "AlterTopic"
    (line,) = repair["changes"]
    assert line.startswith(f"~ {RETENTION}: 7 -> ")
    assert world.kafka.topics[name].config[RETENTION] == line.rpartition(" ")[2]


def test_no_password_gets_into_the_history() -> None:
    world, controller = settled()
    world.rotate("second-password")
    controller.settle()
    assert events(world, event="action", difference="rotation")
    for secret in ("first-password", "second-password"):
        assert secret not in str(world.store.history)


def test_a_cycle_with_nothing_to_do_appends_nothing() -> None:
    world, controller = settled()
    controller.stay_quiet()
    before = {section: len(entries) for section, entries in world.store.history.items()}
    controller.stay_quiet()
    assert {section: len(e) for section, e in world.store.history.items()} == before


def test_nothing_is_written_on_a_named_stage_when_it_cannot_be_recorded() -> None:
    world, controller = settled()
    world.store.unwritable = FULL
    name, effects = drift(world), len(world.effects)
    for _ in range(5):
        world.clock.time += 60
        report = controller.cycle()
    assert report is not None
    assert world.kafka.topics[name].config[RETENTION] == "7"
    assert not [e for e in world.effects[effects:] if e.system in ("kafka", "connect")]
    (idle,) = [one for one in report.idle if one.reason == "NoHistory"]
    assert str(idle.key) == f"topic/{name}"
    assert "no space is left" in idle.message
    world.store.unwritable = None
    controller.settle()
    assert world.kafka.topics[name].config[RETENTION] != "7"


def test_what_was_held_for_its_record_has_cost_no_budget() -> None:
    world, controller = settled()
    drift(world)
    world.clock.time += 60
    controller.cycle()  # the drift is seen; its delay runs
    world.store.unwritable = FULL
    before = {k: r.value for k, r in world.store.records.items() if k.startswith("pace/")}
    for _ in range(20):
        world.clock.time += 60
        controller.cycle()
    after = {k: r.value for k, r in world.store.records.items() if k.startswith("pace/")}
    assert after == before


def test_an_ephemeral_stage_goes_on_without_a_history() -> None:
    world, controller = settled("feat-x")
    world.store.unwritable = FULL
    name = drift(world)
    controller.settle()
    assert world.kafka.topics[name].config[RETENTION] != "7"


@pytest.mark.parametrize("mishap", [Mishap.CRASH_BEFORE, Mishap.CRASH_AFTER])
def test_an_action_in_which_the_process_ended_has_an_unknown_outcome(mishap: Mishap) -> None:
    world, controller = settled()
    drift(world)
    hit: list[str] = []

    def once(effect: Any) -> Mishap:
        if effect.system != "kafka" or hit:
            return Mishap.OK
        hit.append(str(effect))
        return mishap

    world.fate = once
    controller.settle(100)
    assert hit
    unknown = events(world, event="action", outcome="unknown")
    assert [one["action"] for one in unknown] == ["AlterTopic"]


def test_a_refused_action_is_told_with_its_fault() -> None:
    world, controller = settled()
    name = drift(world)
    world.fate = lambda e: Mishap.DENIED if e.system == "kafka" else Mishap.OK
    for _ in range(4):
        world.clock.time += 60
        controller.cycle()
    refused = events(world, event="action", resource=f"topic/{name}", outcome="Denied")
    assert refused
    assert all(one["fault"] for one in refused)


def test_a_revision_is_told_once_and_not_again_by_the_next_process() -> None:
    world, controller = settled()
    world.commit(world.connector(generation="c2"))
    controller.settle()
    count = len(events(world, event="revision"))
    assert count == 2
    Controller(world, "two").settle()
    assert len(events(world, event="revision")) == count


def test_conditions_that_change_stand_in_the_same_timeline() -> None:
    world, controller = settled()
    world.edit("PUT", f"/connectors/{world.manifest.name}/pause")
    for _ in range(3):
        world.clock.time += 20
        controller.cycle()
    moved = events(world, event="condition", resource=str(world.manifest.key))
    assert {one["condition"] for one in moved} & {"Ready", "Synced"}


def test_another_reason_is_logged_and_in_the_timeline_once() -> None:
    world, controller = settled()
    name = world.manifest.name
    world.store.put(FREEZE_RECORD, {"reason": "night"}, expires=world.clock.time + 900_000)
    lines = len(world.lines)
    for change in ("pause", "stop", "pause", "stop", "pause", "stop"):
        world.edit("PUT", f"/connectors/{name}/{change}")
        world.clock.time += 20
        controller.cycle()
    ready = events(world, event="condition", resource=f"connector/{name}", condition="Ready")
    told = [one["reason"] for one in ready if one["status"] == "False"]
    assert told[-2:] == ["ConnectorPaused", "ConnectorStopped"]
    logged = [line for line in world.lines[lines:] if line.startswith("condition moved")]
    assert sum("'Ready'" in line for line in logged) == 2


ALICE = "Alice <alice@localhost>"


def test_what_a_commit_asks_for_is_its_authors_and_a_repair_the_controllers() -> None:
    world, controller = settled()
    world.author = ALICE
    world.commit(world.connector({"poll.interval.ms": "900"}, generation="c2"))
    controller.settle()
    (change,) = events(world, event="revision", who=ALICE)
    assert change["author"] == ALICE
    asked = events(world, event="action", difference="new-generation", who=ALICE)
    assert "PutConfig" in [name for one in asked for name in str(one["done"]).split(", ")]
    assert {one["process"] for one in [change, *asked]} == {"controller one"}
    drift(world)
    controller.settle()
    world.rotate("second-password")
    controller.settle()
    for difference in ("drift", "rotation"):
        told = events(world, event="action", difference=difference)
        assert {one["who"] for one in told} == {"controller one"}, difference


def test_a_suspension_in_a_manifest_is_told_when_it_is_taken_and_when_it_is_dropped() -> None:
    world, controller = settled()
    world.author = ALICE
    world.commit(world.connector(generation="c2", suspend=True))
    for _ in range(3):
        controller.cycle()
    Controller(world, "two").cycle()
    (begun,) = events(world, event="suspend")
    assert (begun["resource"], begun["who"]) == (str(world.manifest.key), ALICE)
    world.author = "Bob <bob@localhost>"
    world.commit(world.connector(generation="c2"))
    controller.settle()
    controller.stay_quiet()
    (ended,) = events(world, event="over")
    assert (ended["word"], ended["who"]) == ("suspend", "Bob <bob@localhost>")
    order = [one["event"] for one in events(world) if one["event"] in ("suspend", "over")]
    assert order == ["suspend", "over"]


def test_an_acceptance_in_a_manifest_is_told_before_the_action_that_uses_it() -> None:
    world, controller = settled()
    name = world.stage.namespace + DATA
    longer = replace(world.topics[0], generation="t2", partitions=4)
    world.commit(topics=(longer, *world.topics[1:]))
    report = controller.cycle()
    assert report is not None
    decision = report.plan.steps[[s.key for s in report.plan.steps].index(longer.key)].decision
    assert isinstance(decision, Stall)
    assert decision.held is not None
    action = action_id(longer.key, decision.held)
    word = Acceptance("ordering", action, world.clock.time + 86_400)
    world.author = ALICE
    world.commit(topics=(replace(longer, accept=(word,)), *world.topics[1:]))
    controller.settle()
    controller.stay_quiet()
    told = events(world, resource=f"topic/{name}")
    (accepted,) = [one for one in told if one["event"] == "accept"]
    assert (accepted["who"], accepted["action"]) == (ALICE, word.action)
    assert accepted["until"].endswith("+00:00")
    (used,) = [one for one in told if one.get("accepted") == word.action]
    assert told.index(accepted) < told.index(used)
    world.clock.time += 2 * 86_400
    controller.run(3)
    assert not events(world, event="over"), "what was used is over since then"


def test_what_was_accepted_is_told_with_its_risk_in_words_in_the_log_and_the_history() -> None:
    world, controller = settled()
    grown = replace(world.topics[0], generation="t2", partitions=4)
    world.commit(topics=(grown, *world.topics[1:]))
    report = controller.cycle()
    assert report is not None
    (held,) = [s.decision.held for s in report.plan.steps if isinstance(s.decision, Stall)]
    assert held is not None
    word = Acceptance("ordering", action_id(grown.key, held), world.clock.time + 86_400)
    lines = len(world.lines)
    world.commit(topics=(replace(grown, accept=(word,)), *world.topics[1:]))
    controller.settle()
    sentence = "their order is lost"
    assert sentence in held.consequence
    (used,) = events(world, event="action", accepted=word.action)
    assert sentence in used["consequence"]
    assert f"risk ordering: {held.consequence})" in event_text(used)
    for phrase in ("acting {", "action {"):
        (line,) = [one for one in world.lines[lines:] if "AddPart" in one and phrase in one]
        assert sentence in line, line
        assert "'risk': 'ordering'" in line


def test_a_freeze_that_nobody_ends_is_told_to_have_ended() -> None:
    world, controller = settled()
    until = world.clock.time + 600
    world.store.put(FREEZE_RECORD, {"reason": "night", "who": "ann"}, expires=until)
    controller.run(3)
    world.clock.time = until + 1
    controller.run(3)
    (ended,) = events(world, event="over")
    assert (ended["resource"], ended["word"], ended["who"]) == ("stage", "freeze", "controller one")
    controller.stay_quiet()


def test_a_word_that_could_not_be_recorded_is_recorded_later() -> None:
    world, controller = settled()
    world.store.unwritable = FULL
    world.commit(world.connector(generation="c2", suspend=True))
    report = controller.cycle()
    assert report is not None
    assert [system for system, _ in report.faults if system == "history"]
    world.store.unwritable = None
    controller.run(2)
    assert len(events(world, event="suspend")) == 1
