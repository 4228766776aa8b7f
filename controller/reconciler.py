"""One cycle: observe, plan, apply; one report."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final, Protocol

from controller.apply import CRASHED, Applied, Applier, Outcome
from controller.core.action import Action, Forget, ProbeLogin, Remember, is_own
from controller.core.condition import Condition, ConditionType, Status, mark, moved
from controller.core.decision import Act, Converged, Difference, Stall, Wait
from controller.core.diff import diff_lines
from controller.core.evidence import Evidence
from controller.core.examination import ailment_data, tell_state
from controller.core.faults import Fault
from controller.core.history import origin_of
from controller.core.hold import TEARING_DOWN_RECORD
from controller.core.idle import Idle, ending, ends_soon
from controller.core.lag_report import describe_container, describe_lag
from controller.core.model import (
    Json,
    Kind,
    ObservedConnector,
    ObservedSecret,
    ResourceKey,
    RunState,
    Unknown,
)
from controller.core.plan import Plan, plan
from controller.core.plan_report import plan_counts, step_data
from controller.core.preflight_step import preflight_warnings
from controller.core.redact import short
from controller.core.restart_case import ailment_in, restart_counts, restart_status
from controller.core.restart_memory import verdicts
from controller.core.secret_fields import PUBLIC_FIELDS
from controller.core.step import Step
from controller.core.tries import read_tries
from controller.core.words import hear
from controller.core.world import World
from controller.journal import NO_HISTORY, Journal
from controller.leadership import Always, Leadership
from controller.observe import Observer
from controller.ports import Clock, Recorder, StateStore
from controller.sidecar import SidecarRecord

ALIVE_RECORD: Final = "alive/controller"
ENFORCED_RECORD: Final = "manifests/enforced"


class Log(Protocol):
    """Structured log lines: a constant phrase, everything variable a key."""

    def info(self, event: str, **keys: Any) -> Any: ...

    def warning(self, event: str, **keys: Any) -> Any: ...

    def exception(self, event: str, **keys: Any) -> Any: ...


@dataclass(frozen=True, slots=True)
class CycleReport:
    """What one cycle saw, planned and did."""

    number: int
    world: World
    plan: Plan
    outcomes: tuple[Outcome, ...]
    conditions: Mapping[ResourceKey, Mapping[ConditionType, Condition]]
    faults: tuple[tuple[str, Fault], ...]
    seconds: float
    idle: tuple[Idle, ...] = ()  # why something is not done, each since it is so

    @property
    def acted(self) -> bool:
        """Whether something moved, so that there is more to see at once."""
        return any(outcome.moved for outcome in self.outcomes)

    @property
    def complete(self) -> bool:
        """Whether every system was really looked at."""
        unknown = (self.world.stored, self.world.disk, self.world.cluster_id)
        return (
            self.world.revision is not None
            and self.world.topics.complete
            and self.world.connectors.complete
            and not any(isinstance(seen, Unknown) for seen in unknown)
            and not any(isinstance(s, Unknown) for s in self.world.secrets.values())
        )

    @property
    def result(self) -> str:
        return "faulted" if self.faults or any(o.fault for o in self.outcomes) else "ok"


@dataclass(slots=True)
class _Memory:
    """What this process keeps between cycles besides the store."""

    number: int = 0
    conditions: dict[ResourceKey, dict[ConditionType, Condition]] = field(default_factory=dict)
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
        self._record(report)
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

    # --- conditions -------------------------------------------------------------------------

    def _mark(
        self, planned: Plan, world: World
    ) -> Mapping[ResourceKey, Mapping[ConditionType, Condition]]:
        before = self._memory.conditions
        news: list[tuple[ResourceKey, Condition]] = []
        after: dict[ResourceKey, dict[ConditionType, Condition]] = {}
        for key, conditions in planned.conditions.items():
            old = before.get(key, {})
            after[key] = {c.type: mark(old.get(c.type), c) for c in conditions}
            for condition in conditions:
                if _is_news(old.get(condition.type), condition):
                    self._tell_condition(key, condition)
                    news.append((key, condition))
        self._memory.conditions = after
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

    # --- metrics and logs -------------------------------------------------------------------

    def _record(self, report: CycleReport) -> None:
        recorder = self._recorder
        for system, fault in report.faults:
            recorder.fault_seen(system, fault.reason)
        for key, conditions in report.conditions.items():
            for condition in conditions.values():
                recorder.condition_set(
                    key.kind, key.name, str(condition.type), str(condition.status)
                )
        for outcome in report.outcomes:
            _record_outcome(recorder, outcome)
        recorder.held_set(held_reasons(report.plan))
        recorder.idle_set(idle_ages(report))
        recorder.observation_set(
            _answered(report.world),
            sum(getattr(one, "fallback", False) for one in report.world.secrets.values()),
            report.world.now if report.complete else None,
        )
        recorder.lag_set(report.world.lag, _running(report.world))
        recorder.orphans_set(len(report.plan.orphans))
        for failure, result in verdicts(report.world.records, report.plan.memory):
            recorder.restart_judged(failure, result)
        recorder.restarts_set(*restart_counts(report.world))
        recorder.refusal_set(self._observer.manifests.since)
        revision = report.world.revision
        if revision is not None:
            recorder.revision_set(revision.id, revision.commit)

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


def _is_news(old: Condition | None, new: Condition) -> bool:
    """A transition is; and what is not well when we first see it."""
    if old is not None:
        return moved(old, new)
    well = Status.FALSE if new.type is ConditionType.STALLED else Status.TRUE
    return new.status is not well


def _asks_secrets_again(outcome: Outcome) -> bool:
    """A refused write or login may be old news: the secret may have a new version already."""
    return any(
        isinstance(one.action, ProbeLogin) or one.fault is not None for one in outcome.applied
    )


def _record_outcome(recorder: Recorder, outcome: Outcome) -> None:
    for one in outcome.applied:
        action = type(one.action).__name__
        recorder.action_applied(one.key.kind, action, one.result, one.seconds)
        if one.fault is not None:
            recorder.fault_seen(_system(one), one.fault.reason)
    act = outcome.step.decision
    if isinstance(act, Act) and act.difference is Difference.DRIFT and outcome.applied:
        recorder.drift_seen(outcome.step.key.kind, outcome.step.key.name)


def _system(applied: Applied) -> str:
    if is_own(applied.action):
        return "own"
    return "kafka" if applied.key.kind is Kind.TOPIC else "connect"


def _answered(world: World) -> Mapping[str, bool]:
    secrets = world.secrets.values()
    return {
        "connect": world.connectors.fault is None,
        "kafka": world.topics.fault is None,
        "secrets": not any(isinstance(one, Unknown) for one in secrets),
    }


def _running(world: World) -> frozenset[str]:
    declared = world.revision.connectors if world.revision is not None else ()
    return frozenset(one.name for one in declared if one.run_state is RunState.RUNNING)


def held_reasons(planned: Plan) -> Mapping[str, int]:
    """Count the steps that are held or stalled, by reason."""
    return Counter(
        step.decision.reason for step in planned.steps if isinstance(step.decision, Wait | Stall)
    )


def idle_ages(report: CycleReport) -> Mapping[str, float]:
    """Tell for each reason for not acting how old its oldest case is, in seconds."""
    now, ages = report.world.now, dict[str, float]()
    for one in report.idle:
        ages[one.reason] = max(ages.get(one.reason, 0.0), now - one.since)
    return ages


def action_lines(log: Log) -> Callable[[Step, Applied], None]:
    """Make the teller that logs one line per action, after it."""

    def tell(step: Step, applied: Applied) -> None:
        if isinstance(applied.action, Remember | Forget) and applied.fault is None:
            return
        decision = step.decision
        act = decision if isinstance(decision, Act) else None
        say = log.info if applied.fault is None else log.warning
        if applied.fault is not None and applied.fault.reason == CRASHED:
            log.warning("action crashed", exc_info=applied.fault.__cause__)
        say(
            "action",
            resource=str(step.key),
            action=type(applied.action).__name__,
            result=applied.result,
            seconds=round(applied.seconds, 3),
            why=act.reason if act else None,
            difference=str(act.difference) if act else None,
            risk=str(act.risk) if act else None,
            diff=list(diff_lines(act.diff)) if act and not is_own(applied.action) else [],
            fault=str(applied.fault) if applied.fault else None,
        )

    return tell


def acting_lines(log: Log) -> Callable[[Step, Action], None]:
    """Make the teller that logs a line before each action: a crash in it leaves a trace."""

    def tell(step: Step, action: Action) -> None:
        if isinstance(action, Remember | Forget):
            return
        decision = step.decision
        act = decision if isinstance(decision, Act) else None
        log.info(
            "acting",
            resource=str(step.key),
            action=type(action).__name__,
            why=act.message if act else None,
        )

    return tell


def describe(report: CycleReport, refusal: str | None, since: float | None) -> dict[str, Json]:
    """Tell the state of everything as JSON, for `/status` and `wmsctl status`."""
    world, revision = report.world, report.world.revision
    resources: list[Json] = [_describe_step(step, report) for step in report.plan.steps]
    return {
        "stage": world.stage.name,
        "at": world.now,
        "cycle": report.number,
        "complete": report.complete,
        "converged": report.plan.converged,
        "revision": None if revision is None else {"id": revision.id, "commit": revision.commit},
        "refusedRevision": None if refusal is None else {"message": refusal, "since": since},
        "resources": resources,
        "notActing": [_describe_idle(one) for one in report.idle],
        "plan": plan_counts(report.plan),
        "orphans": [str(key) for key in report.plan.orphans],
        "warnings": [*ending_soon(report), *warnings_of(world)],
        "faults": [
            {"system": s, "reason": f.reason, "message": f.message} for s, f in report.faults
        ],
        "secrets": _describe_secrets(world),
        "containers": [*map(describe_container, world.lag.containers)],
    }


def ending_soon(report: CycleReport) -> Iterator[str]:
    """Tell which suspensions, and whether the freeze, will be over in a moment."""
    yield from (ending(one) for one in report.idle if ends_soon(one, report.world.now))


def _describe_idle(one: Idle) -> Json:
    return {
        "reason": one.reason,
        "resource": None if one.key is None else str(one.key),
        "since": one.since,
        "until": one.until,
        "message": one.message,
    }


def warnings_of(world: World) -> Iterator[str]:
    """Tell what works and should still be looked at."""
    if world.revision is not None:
        for warning in world.revision.warnings:
            yield f"{warning.source}: {warning.field}: {warning.message}"
    yield from preflight_warnings(world)
    for name, secret in sorted(world.secrets.items()):
        if isinstance(secret, ObservedSecret):
            yield from _short_fields(name, secret)


def _short_fields(name: str, secret: ObservedSecret) -> Iterator[str]:
    for key, value in sorted(secret.current.fields.items()):
        if key not in PUBLIC_FIELDS and short(value.reveal()):
            yield (
                f"secret/{name}: {key} has fewer than 6 characters, so it cannot be masked where "
                "other systems print it"
            )


def _describe_step(step: Step, report: CycleReport) -> Json:
    decision = step.decision
    conditions = report.conditions.get(step.key, {})
    found: dict[str, Json] = {
        **step_data(step),
        "generation": step.generation,
        "conditions": [
            {
                "type": str(c.type),
                "status": str(c.status),
                "reason": c.reason,
                "message": c.message,
                "since": c.since,
            }
            for c in conditions.values()
        ],
    }
    if step.key.kind is Kind.CONNECTOR:
        found |= _describe_patient(step.key, report.world)
        found["restarts"] = restart_status(step.key.name, report.world)
        found["evidence"] = [*map(_describe_evidence, report.world.evidence.of(step.key.name))]
    if step.key.kind is Kind.CONNECTOR and step.key.name in report.world.lag.lags:
        lag = report.world.lag
        found["lag"] = describe_lag(lag.lags[step.key.name], lag.trends.get(step.key.name, ()))
    if not isinstance(decision, Converged):
        found["diff"] = list[Json](diff_lines(decision.diff))
    return found


def _describe_patient(key: ResourceKey, world: World) -> dict[str, Json]:
    """Leave what `explain` needs where nobody reaches Connect or the worker's log."""
    seen = world.connectors.get(key)
    found: dict[str, Json] = {"state": None, "ailment": None, "unseenLog": world.unseen_log}
    if isinstance(seen, ObservedConnector):
        tries = read_tries(world.records, key.name, world.now)
        ailment = ailment_in(seen, tries, world)
        found |= {
            "state": tell_state(seen),
            "ailment": None if ailment is None else ailment_data(ailment),
        }
    return found


def _describe_evidence(one: Evidence) -> Json:
    row = one.row
    return {
        "failure": one.failure,
        "since": one.first_seen,
        "last": one.last_seen,
        "count": one.count,
        "codes": list(one.codes),
        "message": row.says if row is not None else "",
    }


def _describe_secrets(world: World) -> Json:
    found: dict[str, Json] = {}
    for name, secret in sorted(world.secrets.items()):
        seen = secret if isinstance(secret, ObservedSecret) else None
        found[name] = {
            "path": seen.path if seen else None,
            "fallback": bool(seen and seen.fallback),
            "version": seen.current.key.version_id if seen else None,
        }
    return found
