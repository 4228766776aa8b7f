"""One cycle: observe, plan, apply; one report."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Final

from controller.apply import Applier, Outcome
from controller.core.action import ProbeLogin
from controller.core.condition import Condition, ConditionType, Told, after_telling, is_news, mark
from controller.core.faults import Fault
from controller.core.history import origin_of
from controller.core.hold import TEARING_DOWN_RECORD
from controller.core.idle import Idle, ending, ends_soon
from controller.core.model import Json, ResourceKey, Unknown
from controller.core.owner import OWNER_RECORD, Owner
from controller.core.plan import Plan, plan
from controller.core.words import hear
from controller.core.world import World
from controller.cycle_metrics import record_cycle
from controller.cycle_report import CycleReport
from controller.journal import NO_HISTORY, Journal
from controller.leadership import Always, Leadership
from controller.log_lines import Log
from controller.observe import Observer
from controller.ports import Clock, Recorder, StateStore
from controller.sidecar import SidecarRecord

ALIVE_RECORD: Final = "alive/controller"
ENFORCED_RECORD: Final = "manifests/enforced"


@dataclass(slots=True)
class _Memory:
    """What this process keeps between cycles besides the store."""

    number: int = 0
    conditions: dict[ResourceKey, dict[ConditionType, Condition]] = field(default_factory=dict)
    told: dict[tuple[ResourceKey, ConditionType], Told] = field(default_factory=dict)
    alive_until: float = 0.0
    tearing_down: bool = False
    idle: dict[tuple[str, ResourceKey | None], float] = field(default_factory=dict)
    unrecorded_since: float | None = None
    ending: frozenset[tuple[str, float]] = frozenset()  # what was said to end soon, and when


class Reconciler:
    """Runs cycles; knows the systems by their ports only."""

    def __init__(
        self,
        *,
        observer: Observer,
        applier: Applier,
        store: StateStore,
        clock: Clock,
        recorder: Recorder,
        log: Log,
        identity: Mapping[str, Json],
        leadership: Leadership | None = None,
        journal: Journal | None = None,
        owner: Owner | None = None,
    ) -> None:
        self._observer = observer
        self._applier = applier
        self._store = store
        self._clock = clock
        self._recorder = recorder
        self._log = log
        self._identity = identity
        self._leadership: Leadership = leadership or Always()
        self._journal = journal
        self._owner = owner
        self._sidecar = SidecarRecord(store)
        self._memory = _Memory()
        self.report: CycleReport | None = None  # the newest

    def run_cycle(self, stopping: Callable[[], bool]) -> CycleReport:
        """Observe, plan and apply once; a fault of a system is a value in the report."""
        start = self._clock.monotonic()
        self._memory.number += 1
        world = self._observer.observe()
        planned = plan(world)
        self._keep_alive(world)
        faults_of_history = self._follow_revision(world)
        outcomes = self._applier.apply(planned, stopping, origin_of(world))
        faults = [*self._observer.faults, *faults_of_history]
        if not stopping():
            kept = self._applier.keep(planned)
            faults += [("state", kept)] if kept is not None else []
            self._keep_enforced(world)
            self._keep_owner(world)
        if any(_asks_secrets_again(outcome) for outcome in outcomes):
            self._observer.forget_secrets()
        conditions = self._mark(planned, world)
        report = CycleReport(
            self._memory.number,
            world,
            planned,
            outcomes,
            conditions,
            tuple(faults),
            self._clock.monotonic() - start,
            (*self._age(planned), *self._unrecorded(outcomes, world.now)),
        )
        record_cycle(report, self._recorder, self._observer.manifests.since)
        self._tell(report)
        self._tell_ends(report)
        self.report = report
        return report

    def say_goodbye(self) -> None:
        """Take our own signs of life out of the store, and let another lead at once."""
        self._sidecar.forget()
        try:
            if self._memory.alive_until:
                self._store.delete(ALIVE_RECORD)
        except Fault:
            pass  # it expires by itself
        self._leadership.release()

    # --- sign of life -----------------------------------------------------------------------

    def _keep_alive(self, world: World) -> None:
        """Renew the alive record at half its time, and at once to acknowledge a teardown."""
        witness = self._observer.witness
        self._sidecar.keep(world, witness.book, witness.unseen)
        if world.not_leader is not None:
            self._memory.alive_until = 0.0  # the record is the leader's
            return
        tearing_down = TEARING_DOWN_RECORD in world.records
        lasting = 3 * world.policy.interval + 30.0
        due = world.now > self._memory.alive_until - lasting / 2
        if isinstance(world.stored, Unknown):
            return
        if not due and tearing_down == self._memory.tearing_down:
            return
        value: dict[str, Json] = {**self._identity, "at": world.now, "tearing_down": tearing_down}
        try:
            self._store.put(ALIVE_RECORD, value, expires=world.now + lasting)
        except Fault:
            return  # the next cycle tries again
        self._memory.alive_until = world.now + lasting
        self._memory.tearing_down = tearing_down

    def _keep_enforced(self, world: World) -> None:
        """Remember which push is in force, so that no later process takes an older one."""
        folder = self._observer.manifests.in_force
        if folder is None or not folder.sequence or world.not_leader is not None:
            return
        value: dict[str, Json] = {
            "sequence": folder.sequence,
            "revision": folder.address,
            "commit": folder.commit,
            "author": folder.author,
            "pushedBy": folder.pushed_by,
        }
        record = world.records.get(ENFORCED_RECORD)
        if isinstance(world.stored, Unknown) or (record is not None and record.value == value):
            return
        expected = record.revision if record is not None else 0
        try:
            self._store.put(ENFORCED_RECORD, value, expected=expected)
        except Fault:
            return  # the next cycle tries again

    def _keep_owner(self, world: World) -> None:
        """Remember whose stage this is, once: no other branch's teardown ends it."""
        known = OWNER_RECORD in world.records or TEARING_DOWN_RECORD in world.records
        unseen = isinstance(world.stored, Unknown) or world.not_leader is not None
        if self._owner is None or known or unseen:
            return
        try:
            self._store.put(OWNER_RECORD, self._owner.value(), expected=0)
        except Fault:
            return  # the next cycle tries again

    # --- conditions -------------------------------------------------------------------------

    def _mark(
        self, planned: Plan, world: World
    ) -> Mapping[ResourceKey, Mapping[ConditionType, Condition]]:
        before = self._memory.conditions
        news: list[tuple[ResourceKey, Condition]] = []
        told: dict[tuple[ResourceKey, ConditionType], Told] = {}
        after: dict[ResourceKey, dict[ConditionType, Condition]] = {}
        for key, conditions in planned.conditions.items():
            old = before.get(key, {})
            after[key] = {c.type: mark(old.get(c.type), c) for c in conditions}
            for condition in conditions:
                said = self._memory.told.get((key, condition.type))
                new = is_news(said, condition, world.now)
                if new:
                    self._tell_condition(key, condition)
                    news.append((key, condition))
                if new or said is None:  # what is well when it is first seen needs no line
                    said = after_telling(said, condition, world.now)
                told[key, condition.type] = said
        self._memory.conditions, self._memory.told = after, told
        if self._journal is not None and world.not_leader is None:
            self._journal.moved(news)  # what cannot be written is in the log
        return after

    def _follow_revision(self, world: World) -> list[tuple[str, Fault]]:
        if self._journal is None or world.not_leader is not None:
            return []
        faults = (self._journal.follow(origin_of(world)), self._journal.hear(hear(world)))
        return [("history", fault) for fault in faults if fault is not None]

    def _unrecorded(self, outcomes: tuple[Outcome, ...], now: float) -> Iterator[Idle]:
        """Show what was held as it could not be recorded, since the first time in a row."""
        held = [one for one in outcomes if one.held is not None and one.held.reason == NO_HISTORY]
        if not held:
            self._memory.unrecorded_since = None
            return
        since = self._memory.unrecorded_since or now
        self._memory.unrecorded_since = since
        for one in held:
            message = "" if one.held is None else one.held.message
            yield Idle(NO_HISTORY, one.step.key, since, message)

    def _tell_condition(self, key: ResourceKey, condition: Condition) -> None:
        self._log.info(
            "condition moved",
            resource=str(key),
            condition=str(condition.type),
            status=str(condition.status),
            reason=condition.reason,
            message=condition.message,
        )

    def _age(self, planned: Plan) -> tuple[Idle, ...]:
        """Keep since when, also of what the store could not remember, as its own absence."""
        before = self._memory.idle
        aged = tuple(
            replace(one, since=min(one.since, before.get((one.reason, one.key), one.since)))
            for one in planned.idle
        )
        self._memory.idle = {(one.reason, one.key): one.since for one in aged}
        return aged

    def _tell_ends(self, report: CycleReport) -> None:
        """Say once that a suspension or a freeze ends soon."""
        soon = [one for one in report.idle if ends_soon(one, report.world.now)]
        for one in soon:
            if (one.subject, one.until or 0.0) not in self._memory.ending:
                self._log.warning("ends soon", resource=one.subject, message=ending(one))
        self._memory.ending = frozenset((one.subject, one.until or 0.0) for one in soon)

    # --- log --------------------------------------------------------------------------------

    def _tell(self, report: CycleReport) -> None:
        steps = report.plan.steps
        revision = report.world.revision
        counts = Counter(type(step.decision).__name__.lower() for step in steps)
        self._log.info(
            "cycle",
            number=report.number,
            result=report.result,
            seconds=round(report.seconds, 3),
            revision=revision.id if revision is not None else None,
            converged=counts["converged"],
            acting=counts["act"],
            waiting=counts["wait"],
            stalled=counts["stall"],
            faults=[f"{system}: {fault.reason}" for system, fault in report.faults],
        )


def _asks_secrets_again(outcome: Outcome) -> bool:
    """A refused write or login may be old news: the secret may have a new version already."""
    return any(
        isinstance(one.action, ProbeLogin) or one.fault is not None for one in outcome.applied
    )
