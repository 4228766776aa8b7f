from __future__ import annotations

from dataclasses import replace
from typing import Any

from controller.core.decision import Converged, Decision
from controller.core.evidence import EvidenceBook, WorkerLine, gather
from controller.core.failure import Treatment
from controller.core.model import Json, ObservedTask
from controller.core.restart import Case, decide_restart, treat
from controller.core.restart_case import case_of
from tests import make

REFUSED = "ORA-01017: invalid username/password; logon denied"
GONE = "Received invalid metadata error: org.apache.kafka.common.errors.UnknownTopicIdException: x"
START = "\tat io.debezium.connector.common.BaseSourceTask.start(BaseSourceTask.java:285)"
HOUR = 3600.0


def said(text: str, ago: float) -> EvidenceBook:
    line = WorkerLine(make.NOW - ago, "WARN", "io.x.Y", text, START, f"[{make.NAME}|task-0] ")
    return gather(EvidenceBook(), [line], {make.NAME}, make.NOW)


def case(*states: str, since: float = HOUR, bounced: float = HOUR, **changes: Any) -> Case:
    """Make the case of a connector that is RUNNING, with tasks in these states for so long.

    `bounced` seconds ago the controller started it anew.
    """
    tasks = tuple(ObservedTask(n, state, "w") for n, state in enumerate(states))
    seen = replace(make.observed_connector(), tasks=tasks)
    ill: dict[str, Json] = {"failure": "NoTasks", "since": make.NOW - HOUR}
    begun: dict[str, Json] = {"at": make.NOW - bounced, "began": True}
    world = make.world(
        connectors=make.snapshot(seen),
        states_since={make.NAME: make.NOW - since},
        stored=make.memory(**{f"restart/{make.NAME}": ill, f"stamp/bounced:{make.NAME}": begun}),
        **changes,
    )
    found = case_of(make.connector_manifest(), Converged("InSync", ""), world, ())
    assert found is not None
    return found


def reason(found: Case) -> tuple[str, str]:
    decision: Decision = decide_restart(found)
    return type(decision).__name__, decision.reason


def test_what_was_said_of_a_task_that_is_gone_keeps_no_connector_without_one() -> None:
    for text in (REFUSED, GONE, "nobody knows this"):
        assert reason(case(since=70, evidence=said(text, ago=90))) == ("Act", "Restart")


def test_what_is_said_since_it_has_none_does() -> None:
    assert treat(case(since=70, evidence=said(REFUSED, ago=60))) is Treatment.STOP
    assert reason(case(since=70, evidence=said(GONE, ago=60))) == ("Converged", "NotRestarted")


def test_until_it_would_have_been_said_again() -> None:
    assert reason(case(evidence=said(GONE, ago=119))) == ("Converged", "NotRestarted")
    assert reason(case(evidence=said(GONE, ago=121))) == ("Act", "Restart")


def test_a_controller_that_has_just_begun_listens_for_as_long_as_it_may_take() -> None:
    assert reason(case(since=0, evidence=said(GONE, ago=30))) == ("Wait", "JustFailed")


def test_what_has_failed_is_explained_by_what_was_said_before_it_did() -> None:
    found = case("FAILED", since=70, evidence=said(REFUSED, ago=90))
    assert found.failure is not None
    assert found.failure.id == "LoginRefused"


def test_what_an_ended_task_said_stops_no_connector_that_was_just_resumed() -> None:
    refused = said(REFUSED, ago=3)
    assert treat(case(since=60, bounced=1, evidence=refused)) is Treatment.RESTART
    assert treat(case(since=60, bounced=30, evidence=refused)) is Treatment.STOP
