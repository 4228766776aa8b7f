"""The conditions that follow from a decision and an observation."""

from __future__ import annotations

from typing import Final, assert_never

from controller.core.condition import Condition, ConditionType, Status
from controller.core.decision import Act, Converged, Decision, Stall, Wait
from controller.core.health import Verdict
from controller.core.model import (
    Absent,
    ConnectorManifest,
    DesiredTopic,
    ObservedConnector,
    ObservedTopic,
    RunState,
    Unknown,
    Unresolved,
)
from controller.core.resolve import Resolution

Observed = ObservedTopic | ObservedConnector | Absent | Unknown
_WANTED: Final = {
    RunState.RUNNING: "RUNNING",
    RunState.PAUSED: "PAUSED",
    RunState.STOPPED: "STOPPED",
}


def conditions_of_topic(
    topic: DesiredTopic, decision: Decision, observed: Observed, now: float
) -> tuple[Condition, ...]:
    """Judge a topic: Synced, Ready (it is there), Stalled."""
    verdicts = (*_common(decision, observed), (ConditionType.READY, *_present(observed)))
    return _conditions(verdicts, topic.generation, now)


def conditions_of_connector(
    manifest: ConnectorManifest,
    decision: Decision,
    observed: Observed,
    resolution: Resolution,
    health: Verdict,
    *,
    now: float,
    beside: tuple[Decision, ...] = (),
) -> tuple[Condition, ...]:
    """Judge a connector: Synced, Ready (as declared), Healthy, SecretsResolved, Stalled.

    `beside` are the decisions on its restart and its login, which may wait for a person, too.
    """
    verdicts = (
        *_common(decision, observed, *beside),
        (ConditionType.READY, *_ready(manifest, observed)),
        (ConditionType.HEALTHY, *health),
        (ConditionType.SECRETS_RESOLVED, *_resolved(resolution)),
    )
    return _conditions(verdicts, manifest.generation, now)


def _conditions(
    verdicts: tuple[tuple[ConditionType, Status, str, str], ...], generation: str, now: float
) -> tuple[Condition, ...]:
    return tuple(
        Condition(kind, status, reason, message, generation, now)
        for kind, status, reason, message in verdicts
    )


def _common(
    decision: Decision, observed: Observed, *beside: Decision
) -> tuple[tuple[ConditionType, Status, str, str], ...]:
    return (
        (ConditionType.SYNCED, *_synced(decision, observed)),
        (ConditionType.STALLED, *_stalled(decision, *beside)),
    )


def _synced(decision: Decision, observed: Observed) -> tuple[Status, str, str]:
    if isinstance(observed, Unknown):
        return Status.UNKNOWN, observed.fault.reason, observed.fault.message
    match decision:
        case Converged():
            return Status.TRUE, decision.reason, decision.message
        case Act() | Wait() | Stall():
            return Status.FALSE, decision.reason, decision.message
        case _:
            assert_never(decision)


def _stalled(*decisions: Decision) -> tuple[Status, str, str]:
    for decision in decisions:
        if isinstance(decision, Stall):
            return Status.TRUE, decision.reason, decision.message
    return Status.FALSE, "NotStalled", "nothing waits for a person"


def _present(observed: Observed) -> tuple[Status, str, str]:
    if isinstance(observed, Unknown):
        return Status.UNKNOWN, observed.fault.reason, observed.fault.message
    if isinstance(observed, Absent):
        return Status.FALSE, "Absent", "it is not there"
    return Status.TRUE, "Present", "it is there"


def _ready(manifest: ConnectorManifest, observed: Observed) -> tuple[Status, str, str]:
    if not isinstance(observed, ObservedConnector):
        return _present(observed)
    wanted = _WANTED[manifest.run_state]
    if observed.state != wanted:
        return Status.FALSE, f"Connector{observed.state.title()}", f"Connect says {observed.state}"
    if wanted != "RUNNING":
        return Status.TRUE, wanted.title(), f"{wanted} as declared"
    failed = [task for task in observed.tasks if task.state != "RUNNING"]
    if failed:
        return (
            Status.FALSE,
            f"Task{failed[0].state.title()}",
            f"task {failed[0].id} is {failed[0].state}",
        )
    if not observed.tasks:
        return Status.FALSE, "NoTasks", "RUNNING without any task"
    return Status.TRUE, "Running", f"RUNNING with {len(observed.tasks)} task(s)"


def _resolved(resolution: Resolution) -> tuple[Status, str, str]:
    if isinstance(resolution.desired, Unresolved):
        return Status.FALSE, resolution.desired.reason, resolution.desired.message
    if resolution.behind is not None:
        return Status.FALSE, *resolution.behind
    if resolution.desired.fallback:
        names = ", ".join(sorted(resolution.desired.fallback))
        return Status.TRUE, "Fallback", f"the default secret stands in for {names}"
    return Status.TRUE, "Resolved", "all references are resolved"
