"""Two controllers of one stage in virtual time: never two writers, and somebody soon.

The law, checked at each effect on Kafka, Connect and the database: whoever causes it holds the
lease as the store says it. A process may be paused anywhere but inside a request.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import replace
from typing import Final

import pytest

from controller.core.condition import Condition, ConditionType, Status
from controller.core.evidence import LineCounts, LogReading, WorkerLine
from controller.core.idle import is_active
from controller.core.lease import LEASE_RECORD
from controller.core.model import ObservedConnector, connector_key
from controller.leadership import Leadership, Leased
from controller.ports import StateStore
from tests.fakes.files import FakeFiles
from tests.make import NAME
from tests.sim.world import AWAY, Broken, Controller, Effect, Mishap, SimWorld, seeds

OTHERS: Final = ("connect", "kafka", "database")
TERM: Final = 30.0


class Pair:
    """Two controllers and two volumes; `meanwhile` is done once, at the effect of that number."""

    def __init__(self, workers: int = 1) -> None:
        self.world = SimWorld(fate=self._fate)
        self.world.kafka.groups = {self.world.stage.connect_group: workers}
        self.acting = ""
        self.pause_at = -1
        self.meanwhile: Callable[[], object] = lambda: None
        self.writers: list[str] = []
        self.one = Controller(self.world, "one", leading=self._lease)
        self.two = Controller(self.world, "two", leading=self._lease, files=FakeFiles())

    def _lease(self, store: StateStore, name: str) -> Leadership:
        return Leased(store, self.world.clock, holder=name)

    def _fate(self, effect: Effect) -> Mishap:
        if effect.system in OTHERS:
            self.writers.append(self.acting)
            if self.leader != self.acting:
                raise Broken(f"{self.acting} did {effect} while {self.leader or 'nobody'} led")
        elif len(self.world.effects) - 1 == self.pause_at:
            self.meanwhile()
        return Mishap.OK

    @property
    def leader(self) -> str:
        record = self.world.store.records.get(LEASE_RECORD)
        return str(record.value["holder"]) if record is not None else ""

    def cycle(self, controller: Controller) -> None:
        before, self.acting = self.acting, controller.name
        try:
            controller.cycle()
        finally:
            self.acting = before

    def run(self, seconds: float, *controllers: Controller) -> None:
        """Let time pass in steps of one second, with one cycle of each every five."""
        for second in range(int(seconds)):
            if second % 5 == 0:
                for controller in controllers or (self.one, self.two):
                    self.cycle(controller)
            self.world.clock.sleep(1.0)
            self.world.work()

    def awaken(self, awake: Controller, seconds: float) -> Callable[[], object]:
        """Let the other one run, while the one whose effect this is stands still."""

        def run() -> None:
            if self.acting != awake.name:
                self.run(seconds, awake)

        return run

    def settle(self, *controllers: Controller) -> None:
        for _ in range(60):
            self.run(5, *controllers)
            if not any(self.world.differences()):
                return
        raise AssertionError(list(self.world.differences()))

    def drift(self) -> None:
        self.world.edit("PUT", f"/connectors/{NAME}/config", {**self.world.config, "x": "y"})

    def active(self) -> list[str]:
        """Name those that were entitled to act in their newest cycle."""
        reports = {one.name: one.reconciler.report for one in (self.one, self.two)}
        return [name for name, report in reports.items() if report and is_active(report.world)]

    def files_of(self, controller: Controller) -> set[str]:
        return {str(version) for version in controller.files.versions}


def test_one_of_two_acts_and_the_other_only_fills_its_own_volume() -> None:
    pair = Pair()
    pair.settle()
    assert set(pair.writers) == {"one"}
    pair.run(30)
    assert pair.files_of(pair.two) == pair.files_of(pair.one) != set()
    reasons = {s.decision.reason for s in pair.two.reconciler.report.plan.steps}  # type: ignore[union-attr]
    assert "NotLeader" not in reasons, "nothing is held while all is as declared"
    pair.drift()
    pair.cycle(pair.two)
    report = pair.two.reconciler.report
    assert report is not None
    assert "NotLeader" in {step.decision.reason for step in report.plan.steps}
    assert "x" in pair.world.config


def test_when_the_leader_is_killed_the_other_leads_within_two_terms() -> None:
    pair = Pair()
    pair.settle()
    pair.drift()
    pair.run(2 * TERM, pair.two)
    assert pair.leader == "two"
    assert "x" not in pair.world.config or not list(pair.world.differences())
    pair.settle(pair.two)


def test_a_leader_that_ends_in_order_is_followed_at_once() -> None:
    pair = Pair()
    pair.settle()
    pair.drift()
    pair.one.reconciler.say_goodbye()
    pair.run(10, pair.two)
    assert pair.leader == "two"
    assert not any(key.startswith("sidecar/one") for key in pair.world.store.records)


class Log:
    """One worker's own log."""

    def __init__(self) -> None:
        self.lines: list[WorkerLine] = []

    def read(self) -> LogReading:
        found, self.lines = tuple(self.lines), []
        return LogReading(found, missing=False, counts=LineCounts())


def healthy(controller: Controller) -> Condition:
    report = controller.reconciler.report
    assert report is not None
    return report.conditions[connector_key(NAME)][ConditionType.HEALTHY]


def test_what_a_worker_beside_the_one_that_stands_by_wrote_is_known_to_the_leader() -> None:
    pair = Pair(workers=2)
    logs = (Log(), Log())
    for controller, log in zip((pair.one, pair.two), logs, strict=True):
        controller.evidence = log
        controller.start()
    pair.settle()
    pair.run(10)
    pair.world.streaming = False
    since = pair.world.clock.now()
    text = "ORA-01017: invalid username/password; logon denied"
    for _ in range(3):
        logs[1].lines.append(
            WorkerLine(pair.world.clock.now(), "WARN", "a.B", text, context=f"[{NAME}|task-0] ")
        )
        pair.run(10)
    pair.run(10)
    assert pair.leader == "one"
    ill = healthy(pair.one)
    assert (ill.status, ill.reason) == (Status.FALSE, "LoginRefused")
    (found,) = pair.one.reconciler.report.world.evidence.of(NAME)  # type: ignore[union-attr]
    assert (found.first_seen, found.last_seen, found.count) == (since, since + 20, 3)
    pair.world.streaming = True
    pair.run(90)
    assert healthy(pair.one).status is Status.TRUE
    assert "evidence/two" not in pair.world.store.records


def test_a_log_that_another_worker_does_not_show_is_said_not_to_be_seen() -> None:
    pair = Pair(workers=2)
    pair.one.evidence = Log()
    pair.one.start()
    pair.settle()
    pair.run(30)
    assert "not seen: the worker's log (that of two: no file" in healthy(pair.one).message


def test_the_epoch_rises_with_each_leader() -> None:
    pair = Pair()
    pair.settle()
    epochs = [pair.world.store.records[LEASE_RECORD].value["epoch"]]
    for ending, next_one in ((pair.one, pair.two), (pair.two, pair.one)):
        ending.reconciler.say_goodbye()
        ending.start()
        pair.run(20, next_one)
        epochs.append(pair.world.store.records[LEASE_RECORD].value["epoch"])
    assert epochs == [1, 2, 3]


def test_without_the_store_nobody_writes_and_afterwards_somebody_does() -> None:
    pair = Pair()
    pair.settle()
    pair.world.store.broken = AWAY
    pair.drift()
    before = len(pair.writers)
    pair.run(4 * TERM)
    assert len(pair.writers) == before
    assert pair.active() == []
    pair.world.store.broken = None
    pair.settle()
    assert pair.active() == [pair.leader]


def effects_of(work: Callable[[Pair], object]) -> range:
    """Number every other effect, the even or the odd ones."""
    pair = Pair()
    pair.settle()
    start = len(pair.world.effects)
    work(pair)
    pair.settle()
    return range(start + random.randrange(2), len(pair.world.effects), 2)  # noqa: S311 - no secret


WORK: dict[str, Callable[[Pair], object]] = {
    "drift": lambda pair: pair.drift(),
    "rotation": lambda pair: pair.world.rotate("second-password"),
    "deletion": lambda pair: pair.world.edit("DELETE", f"/connectors/{NAME}"),
}


@pytest.mark.parametrize("work", WORK)
def test_a_leader_paused_anywhere_and_resumed_writes_nothing_under_its_follower(work: str) -> None:
    for number in effects_of(WORK[work]):
        pair = Pair()
        pair.settle()
        pair.pause_at = number
        pair.meanwhile = lambda pair=pair: pair.run(3 * TERM, pair.two)  # type: ignore[misc]
        WORK[work](pair)
        try:
            pair.settle()
        except (AssertionError, Broken) as broken:
            raise AssertionError(f"{work}, paused at effect {number}: {broken}") from broken
        assert pair.world.snapshots == 1


def test_a_leader_paused_while_it_looks_around_writes_nothing_afterwards() -> None:
    pair = Pair()
    pair.settle()
    looked = pair.world.secrets.observe

    def slowly(*arguments: object) -> object:
        pair.world.secrets.observe = looked  # type: ignore[method-assign]
        pair.run(3 * TERM, pair.two)
        pair.drift()
        return looked(*arguments)  # type: ignore[arg-type]

    pair.world.clock.sleep(120)  # until the secrets are read again
    pair.world.secrets.observe = slowly  # type: ignore[assignment,method-assign]
    pair.cycle(pair.one)
    assert pair.leader == "two"
    assert "x" in pair.world.config, "the one that was paused left it alone"
    pair.settle()


# --- secrets that every worker must have ---------------------------------------------------------


def test_a_new_version_is_written_into_the_config_once_every_sidecar_delivered_it() -> None:
    pair = Pair(workers=2)
    pair.settle()
    before = dict(pair.world.config)
    pair.world.rotate("second-password")
    pair.run(150, pair.one)
    assert pair.world.config == before, "two's worker would have read literal text"
    pair.settle()
    assert pair.world.config != before
    assert pair.files_of(pair.two) == pair.files_of(pair.one)


def test_a_live_worker_whose_sidecar_says_nothing_holds_the_write() -> None:
    pair = Pair(workers=1)
    pair.settle()
    pair.world.kafka.groups = {pair.world.stage.connect_group: 3}
    pair.world.rotate("second-password")
    before = dict(pair.world.config)
    pair.run(150)
    assert pair.world.config == before
    report = pair.one.reconciler.report
    assert report is not None
    [held] = [s.decision for s in report.plan.steps if s.decision.reason == "NotDelivered"]
    assert "3 workers live and 2 sidecars" in held.message
    pair.world.kafka.groups = {pair.world.stage.connect_group: 2}
    pair.settle()


def test_a_rotation_drawn_from_what_waits_for_a_person_is_held_by_a_silent_sidecar_too() -> None:
    pair = Pair(workers=1)
    pair.settle()
    pair.world.kafka.groups = {pair.world.stage.connect_group: 3}
    pair.world.commit(pair.world.connector({"snapshot.mode": "always"}, generation="c2"))
    pair.world.rotate("second-password")
    before = dict(pair.world.config)
    pair.run(150)
    assert pair.world.config == before, "the third worker would have read literal text"
    pair.world.kafka.groups = {pair.world.stage.connect_group: 2}
    pair.run(30)
    assert pair.world.config["database.password"] != before["database.password"]
    assert pair.world.config.get("snapshot.mode") == before.get("snapshot.mode")


def test_what_needs_no_new_version_is_not_held_by_a_silent_sidecar() -> None:
    pair = Pair(workers=1)
    pair.settle()
    pair.world.kafka.groups = {pair.world.stage.connect_group: 3}
    pair.drift()
    pair.settle()


# --- at random -----------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", seeds(6))
def test_whatever_happens_to_two_controllers_there_is_one_writer_and_an_end(seed: int) -> None:
    dice = random.Random(seed)  # noqa: S311 - replays
    pair = Pair(workers=2)
    pair.settle()
    for _ in range(15):
        event = dice.choice(["one", "two", "both", "restart", "store", "drift", "rotate", "pause"])
        if event in ("one", "two"):
            pair.run(dice.choice([5, 20, 60]), getattr(pair, event))
        elif event == "both":
            pair.run(dice.choice([5, 20, 60]))
        elif event == "restart":
            dice.choice([pair.one, pair.two]).start()
        elif event == "store":
            pair.world.store.broken = dice.choice([None, AWAY])
        elif event == "drift":
            pair.drift()
        elif event == "rotate":
            pair.world.rotate(f"password-number-{dice.randrange(10**6)}")
        else:
            pair.pause_at = len(pair.world.effects) + dice.randrange(12)
            asleep = dice.choice([pair.one, pair.two])
            awake = pair.two if asleep is pair.one else pair.one
            pair.meanwhile = pair.awaken(awake, dice.choice([10, 100]))
    pair.world.store.broken = None
    pair.pause_at = -1
    pair.settle()
    assert pair.world.snapshots == 1


def test_an_observed_connector_is_what_the_worker_has() -> None:
    """The law above is worth something only while the fake is really written to."""
    pair = Pair()
    pair.settle()
    report = pair.one.reconciler.report
    assert report is not None
    seen = report.world.observed_connectors()[NAME]
    assert isinstance(seen, ObservedConnector)
    assert replace(seen).config == pair.world.config
    assert pair.writers
