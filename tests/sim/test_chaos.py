"""Seeded months in minutes: edits, faults and crashes at random, then peace.

The claim is Eventually Stable Reconciliation: when edits and faults stop, the world becomes as
declared and stays so. A seed is replayed by `SIM_SEEDS=1 pytest tests/sim/test_chaos.py -k 17`.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Final

import pytest

from controller.core.stage import Stage
from tests.fakes.connect import REBALANCE, TimeOut
from tests.fakes.kafka import unavailable
from tests.make import MAIN, NAME, topic
from tests.sim.world import AWAY, DATA, HISTORY, Broken, Controller, Effect, Mishap, SimWorld

SEEDS: Final = range(30)
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
        """Let there be peace: no fault, no edit, and nobody's hand on anything."""
        self.peace = True
        world = self.world
        world.kafka.outage = world.secrets.outage = world.store.broken = world.files.broken = None
        world.database.away = False
        world.connect_may_run = True
        world.connect.server.heal()
        world.kafka.mishaps.clear()
        self.rotate()
        world.work()
        if NAME in world.connect.world.connectors:
            world.edit("PUT", f"/connectors/{NAME}/resume")

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

    def commit(self) -> None:
        self._generations += 1
        generation = f"c{self._generations}"
        value = str(self.dice.randint(100, 900))
        self.world.commit(self.world.connector({"poll.interval.ms": value}, generation=generation))

    def grow_retention(self) -> None:
        self._generations += 1
        data, *others = self.world.topics
        retention = str(int(data.config["retention.ms"]) + 1000)
        grown = topic(
            data.name,
            generation=f"t{self._generations}",
            replication_factor=3,
            config={"retention.ms": retention},
        )
        self.world.commit(topics=(grown, *others))

    def alter(self, name: str, value: str) -> None:
        found = self.world.kafka.topics.get(self.world.stage.namespace + name)
        if found is not None:
            found.config["retention.ms"] = value

    def restart_everything(self) -> None:
        self.world.replace_worker()
        self.done.append("(a new process)")

    EVENTS: Final[dict[str, Callable[[Chaos], object]]] = {
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


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("stage", [MAIN, Stage("feat-demo")], ids=str)
def test_after_any_history_the_world_becomes_as_declared_and_stays_so(
    seed: int, stage: Stage
) -> None:
    chaos = Chaos(seed, stage)
    world = chaos.world
    controller = Controller(world)
    try:
        for _ in range(25):
            if chaos.dice.random() < 0.6:
                chaos.befall()
            controller.run(chaos.dice.randint(1, 4))
            if chaos.done and chaos.done[-1] == "(a new process)":
                controller.start()
        chaos.end()
        controller.settle(200)
        controller.stay_quiet(3)
        assert world.snapshots == 1
        del world.database.failed["debezium", "typed-by-hand"]
        assert all(times <= 2 for times in world.database.failed.values()), world.database.failed
    except (AssertionError, Broken) as broken:
        raise AssertionError(f"seed {seed}: {chaos.done}: {broken}") from broken


@pytest.mark.parametrize("seed", range(15))
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
