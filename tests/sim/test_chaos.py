"""Seeded months in minutes: edits, faults and crashes at random, then peace.

The claim is Eventually Stable Reconciliation: when edits and faults stop, the world becomes as
declared and stays so. A seed is replayed by `pytest tests/sim/test_chaos.py -k main-3`.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import replace
from typing import Any, ClassVar, Final

import pytest

from controller.core.action import (
    AddPartitions,
    AlterTopic,
    CreateConnector,
    CreateTopic,
    PutConfig,
    Resume,
)
from controller.core.stage import Stage
from tests.fakes.connect import REBALANCE, TimeOut
from tests.fakes.kafka import unavailable
from tests.make import MAIN, NAME
from tests.sim.judge import Judge
from tests.sim.world import (
    AWAY,
    DATA,
    HEARTBEAT,
    HISTORY,
    Broken,
    Controller,
    Effect,
    Mishap,
    SimWorld,
    seeds,
)

SEEDS: Final = seeds(5)
SEEDS_OF_ACCIDENTS: Final = (*seeds(3), 25, 44, 50, 76)  # the last four have found mistakes
DOUBTS: Final = tuple(
    m for m in Mishap if m.name not in ("REFUSED", "FORGET_BEFORE", "FORGET_AFTER")
)


class Chaos:
    """Everything that may befall a stage, drawn from one seed; `done` tells what did."""

    def __init__(self, seed: int, stage: Stage) -> None:
        self.dice = random.Random(seed)  # noqa: S311 - replays
        self.rate = self.dice.choice([0.0, 0.02, 0.1, 0.3])
        self.world = SimWorld(
            stage=stage, settle=self.dice.choice([0.0, 0.3, 1.5]), fate=self._fate
        )
        self.done: list[str] = []
        self.peace = False
        self._passwords = 0
        self._generations = 1

    def _fate(self, _effect: Effect) -> Mishap:
        if self.peace or self.dice.random() >= self.rate:
            return Mishap.OK
        return self.dice.choice(DOUBTS)

    def befall(self) -> None:
        names = sorted(self.EVENTS)
        name = self.dice.choice(names)
        self.done.append(name)
        self.EVENTS[name](self)

    def end(self) -> None:
        """Let there be peace, and nobody's hand on anything."""
        self.calm()
        if NAME in self.world.connect.world.connectors:
            self.world.edit("PUT", f"/connectors/{NAME}/resume")

    def calm(self) -> None:
        """Let there be no fault any more, and a password that works."""
        self.peace = True
        world = self.world
        world.kafka.outage = world.secrets.outage = world.store.broken = world.files.broken = None
        world.database.away = False
        world.connect_may_run = True
        world.connect.server.heal()
        world.kafka.mishaps.clear()
        self.rotate()
        world.work()

    def edit(self, method: str, target: str, body: object = None) -> None:
        if NAME in self.world.connect.world.connectors and not self.world.connect.world.down:
            self.world.edit(method, f"/connectors/{NAME}{target}", body)

    def put(self, **changes: str) -> None:
        if NAME in self.world.connect.world.connectors:
            self.edit("PUT", "/config", {**self.world.config, **changes})

    def rotate(self) -> None:
        self._passwords += 1
        self.world.rotate(f"password-number-{self._passwords}")

    def spoil(self) -> None:
        self._passwords += 1
        self.world.rotate(f"wrong-number-{self._passwords}", works=False)

    def commit(self, **config: str) -> None:
        self._generations += 1
        generation = f"c{self._generations}"
        config = {"poll.interval.ms": str(self.dice.randint(100, 900)), **config}
        self.world.commit(self.world.connector(config, generation=generation))

    def grow_retention(self) -> None:
        self.change_data(config={"retention.ms": str(self.retention + 1000)})

    def change_data(self, **changes: Any) -> None:
        self._generations += 1
        data, *others = self.world.topics
        changed = replace(data, generation=f"t{self._generations}", **changes)
        self.world.commit(topics=(changed, *others))

    @property
    def retention(self) -> int:
        return int(self.world.topics[0].config["retention.ms"])

    def alter(self, name: str, value: str) -> None:
        found = self.world.kafka.topics.get(self.world.stage.namespace + name)
        if found is not None:
            found.config["retention.ms"] = value

    def restart_everything(self) -> None:
        self.world.replace_worker()
        self.done.append("(a new process)")

    EVENTS: ClassVar[dict[str, Callable[[Any], object]]] = {
        "rotate": rotate,
        "wrong password": spoil,
        "commit": commit,
        "more retention": grow_retention,
        "config edited": lambda c: c.put(x="y"),
        "password in clear": lambda c: c.put(**{"database.password": "typed-by-hand"}),
        "paused": lambda c: c.edit("PUT", "/pause"),
        "deleted": lambda c: c.edit("DELETE", ""),
        "data retention": lambda c: c.alter(DATA, "7"),
        "history retention": lambda c: c.alter(HISTORY, "7"),
        "worker replaced": restart_everything,
        "kafka away": lambda c: setattr(c.world.kafka, "outage", unavailable()),
        "kafka back": lambda c: setattr(c.world.kafka, "outage", None),
        "secrets away": lambda c: setattr(c.world.secrets, "outage", AWAY),
        "secrets back": lambda c: setattr(c.world.secrets, "outage", None),
        "store away": lambda c: setattr(c.world.store, "broken", AWAY),
        "store back": lambda c: setattr(c.world.store, "broken", None),
        "database away": lambda c: setattr(c.world.database, "away", True),
        "database back": lambda c: setattr(c.world.database, "away", False),
        "worker away": lambda c: c.world.stop_worker(),
        "worker back": lambda c: setattr(c.world, "connect_may_run", True),
        "answers lost": lambda c: c.world.connect.server.fail("", "", TimeOut(applied=True), 2),
        "rebalance": lambda c: c.world.connect.world.rebalance(5.0),
        "rebalances": lambda c: c.world.connect.server.fail("PUT", "", REBALANCE, times=2),
    }


class Accidents(Chaos):
    """What may cost data or begin a snapshot besides, and a person who accepts now and then."""

    def __init__(self, seed: int) -> None:
        super().__init__(seed, MAIN)
        self.judge = Judge(self.world)
        self.controller = Controller(self.world)

    def agree(self) -> None:
        """Have a person say yes to all that is offered, and take off the brake."""
        report = self.controller.reconciler.report
        if report is not None:
            self.judge.accept(report)
        self.judge.release(NAME)

    def lose_topic(self) -> None:
        self.judge.lose(self.dice.choice([DATA, HISTORY, HEARTBEAT]))

    def lose_offsets(self, then: str = "stop") -> None:
        """Have somebody delete them, which Connect lets nobody do but while it is STOPPED."""
        self.edit("PUT", "/stop")
        connect = self.world.connect.world
        if not connect.down and NAME in connect.connectors:
            connect.offsets.pop(NAME, None)
        self.edit("PUT", f"/{then}")

    EVENTS: ClassVar[dict[str, Callable[[Any], object]]] = {
        **Chaos.EVENTS,
        "topic lost": lose_topic,
        "memory lost": lambda c: c.world.lose_memory(),
        "stopped": lambda c: c.edit("PUT", "/stop"),
        "offsets lost": lose_offsets,
        "offsets lost, then paused": lambda c: c.lose_offsets("pause"),
        "other tables": lambda c: c.commit(**{"table.include.list": "APP.ORDERS,APP.MORE"}),
        "errors tolerated": lambda c: c.commit(**{"errors.tolerance": "all"}),
        "less retention": lambda c: c.change_data(
            config={"retention.ms": str(c.retention // 2 + 100)}
        ),
        "more partitions": lambda c: c.change_data(partitions=c.world.topics[0].partitions + 1),
        "accepted": agree,
        "accepted too": agree,
        "released": lambda c: c.judge.release(NAME),
    }


def live_through(chaos: Chaos, controller: Controller, *, often: float, cycles: int) -> None:
    for _ in range(25):
        if chaos.dice.random() < often:
            chaos.befall()
        controller.run(chaos.dice.randint(1, cycles))
        if chaos.done and chaos.done[-1] == "(a new process)":
            controller.start()


@pytest.mark.parametrize("seed", SEEDS_OF_ACCIDENTS)
def test_through_any_accident_nothing_is_lost_that_nobody_accepted_and_a_person_ends_it(
    seed: int,
) -> None:
    chaos = Accidents(seed)
    world, controller = chaos.world, chaos.controller
    try:
        live_through(chaos, controller, often=0.7, cycles=3)
        chaos.calm()
        for _ in range(20):
            if controller.run(10, until=controller.is_settled) < 10:
                break
            chaos.agree()
        controller.settle(100)
        controller.stay_quiet(3)
        assert world.snapshots <= chaos.judge.starts
    except (AssertionError, Broken) as broken:
        raise AssertionError(f"seed {seed}: {chaos.done}: {broken}") from broken


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("stage", [MAIN, Stage("feat-demo")], ids=str)
def test_after_any_history_the_world_becomes_as_declared_and_stays_so(
    seed: int, stage: Stage
) -> None:
    chaos = Chaos(seed, stage)
    world = chaos.world
    controller = Controller(world)
    try:
        live_through(chaos, controller, often=0.6, cycles=4)
        chaos.end()
        controller.settle(200)
        controller.stay_quiet(3)
        assert world.snapshots == 1
        del world.database.failed["debezium", "typed-by-hand"]
        assert all(times <= 2 for times in world.database.failed.values()), world.database.failed
    except (AssertionError, Broken) as broken:
        raise AssertionError(f"seed {seed}: {chaos.done}: {broken}") from broken


@pytest.mark.parametrize("seed", SEEDS)
def test_two_controllers_on_one_stage_end_where_one_does(seed: int) -> None:
    chaos = Chaos(seed, MAIN)
    world = chaos.world
    both = (Controller(world, "one"), Controller(world, "two"))
    try:
        for _ in range(15):
            if chaos.dice.random() < 0.5:
                chaos.befall()
            controller = chaos.dice.choice(both)
            controller.run(chaos.dice.randint(1, 3))
        chaos.end()
        for _ in range(60):
            for controller in both:
                controller.run(1)
        for controller in both:
            controller.settle(100)
        assert world.snapshots == 1
        assert not any(world.differences())
    except (AssertionError, Broken) as broken:
        raise AssertionError(f"seed {seed}: {chaos.done}: {broken}") from broken


def test_the_judge_of_these_accidents_knows_what_costs_something() -> None:
    world = SimWorld()
    judge = Judge(world)
    Controller(world).settle()
    running = dict(world.config)
    for harmless in (
        AlterTopic(DATA, {"retention.ms": "2000"}),
        CreateTopic("wms.APP.NEW", 1, None, {}),
        PutConfig(NAME, running | {"poll.interval.ms": "7"}),
        Resume(NAME),
    ):
        judge.judge(harmless)
    judge.lose(HISTORY)
    for costly in (
        AddPartitions(DATA, 9),
        AlterTopic(DATA, {"retention.ms": "7"}),
        CreateTopic(HISTORY, 1, None, {}),
        PutConfig(NAME, running | {"table.include.list": "APP.MORE"}),
        PutConfig(NAME, running | {"errors.tolerance": "all"}),
        CreateConnector(NAME, running | {"errors.tolerance": "all"}),
    ):
        with pytest.raises(Broken):
            judge.judge(costly)
    world.connect.world.offsets.clear()
    with pytest.raises(Broken):
        judge.judge(Resume(NAME))
