"""Every effect of every piece of work meets every fate, and the end is the same.

Each run draws one effect in twelve, and `--hypothesis-profile=deep` takes all of them. A failure
tells the work, the number of the effect, and its fate.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import pytest

from controller.core.stage import Stage
from tests.make import MAIN, NAME, topic
from tests.sim.world import DATA, LOSSES, Broken, Controller, Mishap, SimWorld, draw

CLOSELY = 40  # cycles
REFUSED = 3600.0  # seconds for which a refusal is kept


WORK: dict[str, Callable[[SimWorld], object]] = {
    "rotation": lambda w: w.rotate("second-password"),
    "deletion": lambda w: w.edit("DELETE", f"/connectors/{NAME}"),
    "drift": lambda w: w.edit("PUT", f"/connectors/{NAME}/config", {**w.config, "x": "y"}),
    "new generation": lambda w: w.commit(
        w.connector({"poll.interval.ms": "500"}, generation="c2"),
        (topic(DATA, generation="t2", config={"retention.ms": "2000"}), *w.topics[1:]),
    ),
    "worker replaced": lambda w: w.replace_worker(),
    "files lost": lambda w: w.files.versions.clear(),
    "wrong and right password": lambda w: (
        w.rotate("wrong-password", works=False),
        w.rotate("right-password"),
    ),
}


def begin(work: str, stage: Stage) -> tuple[SimWorld, Controller]:
    world = SimWorld(stage=stage)
    controller = Controller(world)
    if work != "start":
        controller.settle()
        controller.run(4)
        WORK[work](world)
    return world, controller


@cache
def count_effects(work: str, stage: Stage) -> int:
    """Count the effects of a piece of work that nothing befalls."""
    world, controller = begin(work, stage)
    before = len(world.effects)
    controller.settle()
    controller.run(3)
    return len(world.effects) - before


def draw_effects(work: str, stage: Stage) -> list[int]:
    count = count_effects(work, stage)
    return draw(range(count), 1 + count // 12)


def run_until_settled(controller: Controller) -> None:
    """Run cycle by cycle, and once more when what was refused is tried again."""
    controller.run(1)
    if controller.run(CLOSELY, until=controller.is_settled) == CLOSELY:
        controller.world.clock.sleep(REFUSED)
        controller.run(CLOSELY, until=controller.is_settled)


@pytest.mark.parametrize("work", ["start", *WORK])
@pytest.mark.parametrize("mishap", [m for m in Mishap if m not in (Mishap.OK, *LOSSES)])
def test_whatever_becomes_of_one_effect_the_world_becomes_as_declared_and_stays_so(
    work: str, mishap: Mishap
) -> None:
    for number in draw_effects(work, MAIN):
        world, controller = begin(work, MAIN)
        world.mishaps = {len(world.effects) + number: mishap}
        try:
            run_until_settled(controller)
            controller.stay_quiet(3)
            assert world.snapshots == 1
            assert world.database.failed.total() <= 1
        except (AssertionError, Broken) as broken:
            raise AssertionError(f"{work}, effect {number}, {mishap}: {broken}") from broken


@pytest.mark.parametrize("work", ["start", *WORK])
@pytest.mark.parametrize("mishap", LOSSES)
def test_an_ephemeral_stage_that_forgets_everything_at_any_effect_becomes_as_declared(
    work: str, mishap: Mishap
) -> None:
    stage = Stage("feat-demo")
    for number in draw_effects(work, stage):
        world, controller = begin(work, stage)
        world.mishaps = {len(world.effects) + number: mishap}
        try:
            run_until_settled(controller)
            controller.stay_quiet(3)
            assert world.snapshots == 1
        except (AssertionError, Broken) as broken:
            raise AssertionError(f"{work}, effect {number}, {mishap}: {broken}") from broken


@pytest.mark.parametrize("work", ["start", *WORK])
@pytest.mark.parametrize("mishap", LOSSES)
def test_a_named_stage_that_forgets_everything_becomes_as_declared_or_waits_for_a_person(
    work: str, mishap: Mishap
) -> None:
    for number in draw_effects(work, MAIN):
        world, controller = begin(work, MAIN)
        world.mishaps = {len(world.effects) + number: mishap}
        try:
            run_until_settled(controller)
            assert world.snapshots <= 1
            if any(world.differences()):
                assert world.connect.world.connectors[NAME].target == "STOPPED"
                world.edit("PUT", f"/connectors/{NAME}/resume")
            controller.settle()
            controller.stay_quiet(3)
        except (AssertionError, Broken) as broken:
            raise AssertionError(f"{work}, effect {number}, {mishap}: {broken}") from broken
