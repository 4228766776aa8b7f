"""Looks at the database in virtual time: what they cost, and what stays known between them."""

from __future__ import annotations

from typing import Any, Final

import pytest

from controller.core.preflight import EVERY, SOON, Verdict, preflight_record, read_findings
from tests.make import NAME
from tests.sim.world import CRASHES, Controller, Effect, Mishap, SimWorld

GOOD: Final[dict[str, Any]] = {
    "logMode": "ARCHIVELOG",
    "supplementalLogging": "YES",
    "supplementalLogging APP.ORDERS": 1,
    "oldestScn": 1_000,
    "oldestRedoHours": 100.0,
    "positionHours": 0.1,
    "oldestTransactionHours": None,
    "passwordDays": None,
}


def running(**answers: Any) -> tuple[SimWorld, Controller]:
    world = SimWorld()
    world.database.answers = {**GOOD, **answers}
    controller = Controller(world, preflight=world.database)
    controller.settle()
    controller.run(20)
    return world, controller


def wait(world: SimWorld, controller: Controller, seconds: float) -> None:
    world.clock.sleep(seconds)
    controller.run(20)


def looks(world: SimWorld) -> int:
    return sum(effect.kind == "Preflight" for effect in world.effects)


def told(world: SimWorld) -> dict[str, Verdict]:
    record = world.store.records[preflight_record(NAME)]
    return {finding.check: finding.verdict for finding in read_findings(record.value)}


def test_a_database_is_looked_at_once_and_again_after_a_day() -> None:
    world, controller = running()
    assert looks(world) == 1
    assert set(told(world).values()) <= {Verdict.FINE, Verdict.UNSEEN}
    wait(world, controller, EVERY / 2)
    assert looks(world) == 1
    wait(world, controller, EVERY / 2)
    assert looks(world) == 2


def test_what_was_wrong_stays_known_while_the_database_is_away_and_is_asked_again_in_an_hour() -> (
    None
):
    world, controller = running(logMode="NOARCHIVELOG")
    world.database.away = True
    for seen in (1, 2, 3):
        assert looks(world) == seen
        wait(world, controller, SOON)
        assert told(world)["logMode"] is Verdict.FAILING
    world.database.away = False
    world.database.answers = GOOD
    wait(world, controller, SOON)
    assert told(world)["logMode"] is Verdict.FINE


def test_a_login_that_the_database_refuses_now_is_not_tried_by_a_second_look() -> None:
    world, controller = running()
    world.database.allow("debezium", "changed-behind-our-back")
    for _ in range(3):
        wait(world, controller, EVERY)
    assert sum(world.database.failed.values()) == 1
    assert looks(world) == 2
    world.rotate("third-password")
    controller.run(20)
    assert looks(world) == 3
    assert sum(world.database.failed.values()) == 1


@pytest.mark.parametrize("mishap", [*CRASHES, Mishap.LOST, Mishap.BUG])
def test_a_look_that_never_ended_is_not_repeated_at_once(mishap: Mishap) -> None:
    world = SimWorld()
    world.database.answers = GOOD

    def fate(effect: Effect) -> Mishap:
        return mishap if effect.kind == "Preflight" and looks(world) == 1 else Mishap.OK

    world.fate = fate
    controller = Controller(world, preflight=world.database)
    controller.settle()
    wait(world, controller, SOON)
    assert looks(world) == 1
    wait(world, controller, EVERY)
    assert looks(world) == 2
