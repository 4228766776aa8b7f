"""Offsets are put back by the leader, asked through the store by a person who reaches no worker."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import replace
from typing import Any

import pytest

from controller.core.connector_memory import restore_record
from controller.core.faults import Conflict, Unavailable
from controller.core.hold import FREEZE_RECORD
from controller.core.model import Json, RunState
from controller.core.offsets import Place, exported
from controller.description import describe
from controller.journal import Journal
from controller.restore_by_table import Asking
from tests.make import BRANCH, MAIN, NAME
from tests.sim.world import CLUSTER, Controller, Effect, Mishap, SimWorld

ANN = "arn:aws:sts::123456789012:assumed-role/operator/ann"


class Case:
    """A stage that runs, a person at a table, and a leader that turns while the person waits."""

    def __init__(self, world: SimWorld) -> None:
        self.world = world
        self.controller = Controller(world)
        self.controller.settle()
        self.before = self.offsets()

    def offsets(self) -> Any:
        kept = self.world.connect.world.offsets[NAME]
        return {partition: offset["scn"] for partition, offset in kept.items()}

    def stop(self, *, by_hand: bool = False) -> None:
        if by_hand:
            self.world.edit("PUT", f"/connectors/{NAME}/stop")
        else:
            self.declare(RunState.STOPPED)
        self.controller.run(4)

    def declare(self, state: RunState) -> None:
        generation = f"{self.world.manifest.generation}-{state}"
        self.world.commit(replace(self.world.manifest, run_state=state, generation=generation))

    def asking(self, leader: Callable[[], object] | None = None) -> Asking:
        world = self.world

        def turn(seconds: float) -> None:
            world.clock.sleep(seconds)
            (leader or (lambda: self.controller.run(1)))()

        journal = Journal(world.store, world.clock, ANN)
        return Asking(
            world.store,
            world.clock,
            journal,
            {"who": ANN},
            NAME,
            status=self.status,
            pause=turn,
            patience=8.0,
        )

    def status(self) -> Mapping[str, Any]:
        report = self.controller.reconciler.report
        return {} if report is None else describe(report, None, None)

    def document(self, scn: int = 5, **changes: Any) -> dict[str, Json]:
        place = Place(self.world.stage.name, CLUSTER, NAME)
        prefix = self.world.stage.topic_prefix
        entry: dict[str, Json] = {"partition": {"server": prefix}, "offset": {"scn": str(scn)}}
        return {**exported(place, (entry,), "2026-11-24T20:00:00+00:00"), **changes}

    def state(self) -> str:
        return self.world.connect.world.connectors[NAME].target


@pytest.fixture(params=[MAIN, BRANCH], ids=str)
def case(request: pytest.FixtureRequest) -> Case:
    return Case(SimWorld(stage=request.param))


def scns(case: Case) -> set[str]:
    return set(case.offsets().values())


def test_what_a_person_asks_and_accepts_the_leader_writes_once_and_records(case: Case) -> None:
    case.stop()
    case.asking().ask(case.document(), "the step went wrong")
    case.controller.run(5)
    assert scns(case) != {"5"}, "nobody has accepted it"
    answer = case.asking().ask(case.document(), "the step went wrong")
    assert (answer.risk, answer.reason) == ("snapshot", "AcceptanceRequired")
    assert "older: what came since is read again" in answer.consequence
    event = case.asking().accept(answer, "the step went wrong")
    assert scns(case) == {"5"}
    assert (event["action"], event["outcome"], event["who"]) == ("RestoreOffsets", "done", ANN)
    assert event["risk"] == "snapshot"
    assert f"accepted by {ANN}" in str(event["why"])
    assert case.state() == "STOPPED"
    assert restore_record(NAME) not in case.world.store.load()
    assert sum(one.kind == "RestoreOffsets" for one in case.world.effects) == 1


def test_one_that_runs_is_not_touched_and_the_asking_is_over(case: Case) -> None:
    answer = case.asking().ask(case.document(), "")
    assert (answer.action, answer.reason) == (None, "NotStopped")
    assert "stop it first" in answer.message
    assert case.world.store.load().get(restore_record(NAME)) is None
    assert scns(case) != {"5"}
    assert case.state() == "RUNNING"


@pytest.mark.parametrize(
    "changes", [{"stage": "val"}, {"clusterId": "elsewhere"}, {"connector": "x"}, {"offsets": []}]
)
def test_what_was_exported_elsewhere_is_refused(changes: dict[str, Any]) -> None:
    case = Case(SimWorld())
    case.stop()
    answer = case.asking().ask(case.document(**changes), "")
    assert (answer.action, answer.reason) == (None, "RestoreRefused")
    assert restore_record(NAME) not in case.world.store.load()


def test_the_word_for_one_move_is_no_word_for_another(case: Case) -> None:
    case.stop()
    first = case.asking().ask(case.document(5), "")
    with pytest.raises(Conflict, match="offsets cancel"):
        case.asking().ask(case.document(6), "")
    assert case.asking().cancel()
    second = case.asking().ask(case.document(6), "")
    assert first.action != second.action
    with pytest.raises(Unavailable, match="no leader has answered"):
        case.asking().accept(first, "")
    assert scns(case) not in ({"5"}, {"6"})


def test_what_is_asked_for_keeps_it_from_being_resumed_until_it_is_done(case: Case) -> None:
    case.stop()
    answer = case.asking().ask(case.document(), "")
    case.declare(RunState.RUNNING)
    case.controller.run(4)
    assert case.state() == "STOPPED"
    case.asking().accept(answer, "")
    restored = case.world.snapshots
    case.controller.settle()
    assert case.state() == "RUNNING"
    assert case.world.snapshots == restored, "it went on from its offsets"


def test_an_asking_that_is_taken_back_changes_nothing(case: Case) -> None:
    case.stop()
    case.asking().ask(case.document(), "")
    assert case.asking().cancel()
    assert not case.asking().cancel()
    case.declare(RunState.RUNNING)
    case.controller.settle()
    assert scns(case) != {"5"}
    assert case.state() == "RUNNING"


def test_one_that_a_person_stopped_stays_stopped_after_it() -> None:
    case = Case(SimWorld())
    case.stop(by_hand=True)
    answer = case.asking().ask(case.document(), "")
    assert case.asking().accept(answer, "")["outcome"] == "done"
    case.controller.run(4)
    assert (scns(case), case.state()) == ({"5"}, "STOPPED")


def test_nothing_is_put_back_in_a_stage_that_is_left_alone(case: Case) -> None:
    case.stop()
    answer = case.asking().ask(case.document(), "")
    case.world.store.put(FREEZE_RECORD, {"who": "bob", "reason": "patching"})
    with pytest.raises(Unavailable):
        case.asking().accept(answer, "")
    assert scns(case) != {"5"}


def test_a_word_is_taken_back_with_what_it_was_said_of(case: Case) -> None:
    case.stop()
    answer = case.asking().ask(case.document(), "")
    case.world.store.put(FREEZE_RECORD, {"who": "bob", "reason": "patching"})
    with pytest.raises(Unavailable):
        case.asking().accept(answer, "")
    assert case.asking().cancel()
    case.world.store.delete(FREEZE_RECORD)
    assert case.asking().ask(case.document(), "").action == answer.action
    case.controller.run(4)
    assert scns(case) != {"5"}


def test_offsets_that_are_there_already_are_not_written(case: Case) -> None:
    case.stop()
    (scn,) = scns(case)
    assert case.asking().ask(case.document(int(scn)), "").done
    assert all(one.kind != "RestoreOffsets" for one in case.world.effects)


@pytest.mark.parametrize("mishap", list(Mishap))
def test_whatever_befalls_the_write_it_is_done_at_most_as_accepted(mishap: Mishap) -> None:
    world = SimWorld()
    case = Case(world)
    case.stop()
    answer = case.asking().ask(case.document(), "")
    fates = iter([mishap])

    def fate(effect: Effect) -> Mishap:
        mine = effect.kind == "RestoreOffsets"
        return next(fates, Mishap.OK) if mine else Mishap.OK

    world.fate = fate
    with suppress(Unavailable):  # who crashed between tells no end
        case.asking().accept(answer, "")
    case.controller.run(4)
    assert scns(case) in ({"5"}, set(case.before.values()))
    assert case.state() == "STOPPED"
    assert sum(one.kind == "RestoreOffsets" for one in world.effects) == 1, "one word is for once"


def test_without_a_leader_the_asking_is_not_lost_and_says_so(case: Case) -> None:
    case.stop()
    with pytest.raises(Unavailable, match="no leader has answered"):
        case.asking(leader=lambda: None).ask(case.document(), "")
    assert restore_record(NAME) in case.world.store.load()
