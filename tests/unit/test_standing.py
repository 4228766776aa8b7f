from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from controller.core.condition import Condition, ConditionType, Status
from controller.core.decision import Act, Converged, Decision, Stall, Wait
from controller.core.model import ABSENT, ObservedTask, RunState, Unknown, Unresolved
from controller.core.resolve import Resolution
from controller.core.standing import conditions_of_connector, conditions_of_topic
from tests import make

AWAY = Unknown(make.AWAY)
RESOLVED = Resolution(make.desired_connector())
HEALTH = (Status.TRUE, "Running", "RUNNING with 1 task(s)")


def told(conditions: tuple[Condition, ...], kind: ConditionType) -> tuple[Status, str]:
    (found,) = [condition for condition in conditions if condition.type is kind]
    return found.status, found.reason


def of_connector(
    observed: Any = None,
    decision: Decision | None = None,
    resolution: Resolution = RESOLVED,
    run_state: RunState = RunState.RUNNING,
    beside: tuple[Decision, ...] = (),
) -> tuple[Condition, ...]:
    return conditions_of_connector(
        make.connector_manifest(run_state=run_state),
        decision or Converged(),
        observed or make.observed_connector(),
        resolution,
        HEALTH,
        now=make.NOW,
        beside=beside,
    )


@pytest.mark.parametrize(
    ("decision", "synced", "stalled"),
    [
        (Converged(), (Status.TRUE, "InSync"), (Status.FALSE, "NotStalled")),
        (Act((), "Update", "m"), (Status.FALSE, "Update"), (Status.FALSE, "NotStalled")),
        (Wait("Frozen", "m"), (Status.FALSE, "Frozen"), (Status.FALSE, "NotStalled")),
        (Stall("TopicLost", "m"), (Status.FALSE, "TopicLost"), (Status.TRUE, "TopicLost")),
    ],
)
def test_synced_and_stalled_follow_the_decision(
    decision: Decision, synced: tuple[Status, str], stalled: tuple[Status, str]
) -> None:
    topic = conditions_of_topic(make.topic(), decision, make.observed_topic(), make.NOW)
    for conditions in (topic, of_connector(decision=decision)):
        assert told(conditions, ConditionType.SYNCED) == synced
        assert told(conditions, ConditionType.STALLED) == stalled


@pytest.mark.parametrize(
    ("decision", "beside", "stalled"),
    [
        (Converged(), (Stall("OffsetScnGone", "m"),), (Status.TRUE, "OffsetScnGone")),
        (Converged(), (Wait("JustFailed", "m"), Converged()), (Status.FALSE, "NotStalled")),
        (Converged(), (Converged(), Stall("LoginRefused", "m")), (Status.TRUE, "LoginRefused")),
        (Stall("TablesChanged", "m"), (Stall("unknown", "m"),), (Status.TRUE, "TablesChanged")),
    ],
)
def test_a_connector_is_stalled_too_by_its_restart_or_its_login_that_waits_for_a_person(
    decision: Decision, beside: tuple[Decision, ...], stalled: tuple[Status, str]
) -> None:
    conditions = of_connector(decision=decision, beside=beside)
    assert told(conditions, ConditionType.STALLED) == stalled


def test_what_could_not_be_looked_at_is_unknown_and_not_false() -> None:
    waits = Wait("Unreachable", "m")
    topic = conditions_of_topic(make.topic(), waits, AWAY, make.NOW)
    for conditions in (topic, of_connector(AWAY, waits)):
        assert told(conditions, ConditionType.SYNCED) == (Status.UNKNOWN, "Unreachable")
        assert told(conditions, ConditionType.READY) == (Status.UNKNOWN, "Unreachable")


@pytest.mark.parametrize(
    ("observed", "ready"),
    [(ABSENT, (Status.FALSE, "Absent")), (make.observed_topic(), (Status.TRUE, "Present"))],
)
def test_a_topic_is_ready_when_it_is_there(observed: Any, ready: tuple[Status, str]) -> None:
    conditions = conditions_of_topic(make.topic(), Converged(), observed, make.NOW)
    assert told(conditions, ConditionType.READY) == ready


@pytest.mark.parametrize(
    ("wanted", "state", "ready"),
    [
        (RunState.RUNNING, "RUNNING", (Status.TRUE, "Running")),
        (RunState.RUNNING, "FAILED", (Status.FALSE, "ConnectorFailed")),
        (RunState.RUNNING, "STOPPED", (Status.FALSE, "ConnectorStopped")),
        (RunState.PAUSED, "PAUSED", (Status.TRUE, "Paused")),
        (RunState.STOPPED, "STOPPED", (Status.TRUE, "Stopped")),
        (RunState.STOPPED, "RUNNING", (Status.FALSE, "ConnectorRunning")),
    ],
)
def test_a_connector_is_ready_in_the_state_that_is_declared(
    wanted: RunState, state: str, ready: tuple[Status, str]
) -> None:
    conditions = of_connector(make.observed_connector(state=state), run_state=wanted)
    assert told(conditions, ConditionType.READY) == ready


@pytest.mark.parametrize(
    ("tasks", "reason"),
    [
        ((), "NoTasks"),
        ((ObservedTask(0, "RUNNING", "w"), ObservedTask(1, "FAILED", "w")), "TaskFailed"),
        ((ObservedTask(0, "UNASSIGNED", "w"),), "TaskUnassigned"),
    ],
)
def test_running_without_all_its_tasks_is_not_ready(
    tasks: tuple[ObservedTask, ...], reason: str
) -> None:
    conditions = of_connector(replace(make.observed_connector(), tasks=tasks))
    assert told(conditions, ConditionType.READY) == (Status.FALSE, reason)


@pytest.mark.parametrize(
    ("resolution", "resolved"),
    [
        (RESOLVED, (Status.TRUE, "Resolved")),
        (
            Resolution(replace(make.desired_connector(), fallback=frozenset({"dbInfo"}))),
            (Status.TRUE, "Fallback"),
        ),
        (
            Resolution(make.desired_connector(), behind=("LoginRefused", "m")),
            (Status.FALSE, "LoginRefused"),
        ),
        (
            Resolution(Unresolved(make.connector_manifest(), "SecretMissing", "m")),
            (Status.FALSE, "SecretMissing"),
        ),
    ],
)
def test_secrets_are_resolved_unless_one_is_missing_or_an_older_version_stands_in(
    resolution: Resolution, resolved: tuple[Status, str]
) -> None:
    conditions = of_connector(resolution=resolution)
    assert told(conditions, ConditionType.SECRETS_RESOLVED) == resolved


def test_every_condition_carries_the_generation_it_is_about() -> None:
    assert {(c.generation, c.since) for c in of_connector()} == {("c1", make.NOW)}
