"""What the metrics are told of one cycle."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import replace

from controller.apply import Applied, Outcome
from controller.core.action import is_own
from controller.core.decision import Act, Difference, Stall, Wait
from controller.core.idle import is_active, is_suspended
from controller.core.model import Kind, RunState, Unknown
from controller.core.plan import Plan
from controller.core.preflight_step import redo_left_of
from controller.core.restart_case import restart_counts
from controller.core.restart_memory import verdicts
from controller.core.world import World
from controller.cycle_report import CycleReport
from controller.ports import Recorder


def record_cycle(report: CycleReport, recorder: Recorder, stale_since: float | None) -> None:
    """Tell the metrics of one cycle; `stale_since` is when the newest manifests were refused."""
    for system, fault in report.faults:
        recorder.fault_seen(system, fault.reason)
    for key, conditions in report.conditions.items():
        for condition in conditions.values():
            named = key.kind, key.name, str(condition.type)
            recorder.condition_set(*named, str(condition.status), condition.reason)
    for outcome in report.outcomes:
        _record_outcome(recorder, outcome)
    recorder.held_set(held_reasons(report.plan))
    recorder.idle_set(idle_ages(report))
    recorder.suspended_set(
        {(key.kind, key.name): is_suspended(key, report.idle) for key in report.conditions}
    )
    recorder.active_set(is_active(report.world))
    recorder.observation_set(
        _answered(report.world),
        sum(getattr(one, "fallback", False) for one in report.world.secrets.values()),
        report.world.now if report.complete else None,
    )
    lag = replace(report.world.lag, redo_left=redo_left_of(report.world))
    recorder.lag_set(lag, _running(report.world))
    recorder.evidence_set(report.world.evidence.lines)
    recorder.orphans_set(len(report.plan.orphans))
    for failure, result in verdicts(report.world.records, report.plan.memory):
        recorder.restart_judged(failure, result)
    recorder.restarts_set(*restart_counts(report.world))
    recorder.refusal_set(stale_since)
    revision = report.world.revision
    if revision is not None:
        recorder.revision_set(revision.id, revision.commit)


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
    declared = world.declared_connectors
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
