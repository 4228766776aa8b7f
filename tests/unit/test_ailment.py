from __future__ import annotations

from dataclasses import replace

import pytest

from controller.core.ailment import Ailment, AilmentSource, ailment_of
from controller.core.evidence import EvidenceBook, Found, WorkerLine, gather
from controller.core.failure import Treatment
from controller.core.model import ObservedConnector, ObservedTask
from tests import make

REFUSED = "ORA-01017: invalid username/password; logon denied"
WRAPPER = "An exception occurred in the change event producer. This connector will be stopped."
START = "\tat io.debezium.connector.common.BaseSourceTask.start(BaseSourceTask.java:285)"
AGAIN = (
    "\tat io.debezium.connector.common.BaseSourceTask.startIfNeededAndPossible(BaseSourceTask."
    "java:486)"
)
STREAM = "\tat io.debezium.connector.oracle.logminer.Source.execute(Source.java:9)"


def found(text: str, stack: str = "", *, at: float = make.NOW - 10, context: bool = True) -> Found:
    where = f"[{make.NAME}|task-0] " if context else ""
    said = f"[Producer clientId=connector-producer-{make.NAME}-0] {text}"
    line = WorkerLine(at, "WARN", "a.B", text if context else said, stack, where)
    return gather(EvidenceBook(), [line], {make.NAME}, make.NOW).of(make.NAME)


def seen(trace: str | None, task: str = "FAILED", state: str = "RUNNING") -> ObservedConnector:
    return replace(make.observed_connector(state=state), tasks=(ObservedTask(0, task, "w", trace),))


def of(observed: ObservedConnector, evidence: Found = (), before: Ailment | None = None) -> Ailment:
    ailment = ailment_of(observed, evidence, make.NOW, before)
    assert ailment is not None
    return ailment


def test_one_that_runs_and_of_which_nothing_is_told_has_none() -> None:
    assert ailment_of(make.observed_connector(), (), make.NOW) is None


def test_a_trace_is_believed_before_the_log() -> None:
    ailment = of(seen("ORA-01292: no log file has been specified"), found(REFUSED))
    assert ailment.source is AilmentSource.TRACE
    assert ailment.failure != "LoginRefused"


@pytest.mark.parametrize("trace", [WRAPPER, "nobody knows this", None, ""])
def test_the_log_tells_what_a_trace_does_not(trace: str | None) -> None:
    ailment = of(seen(trace), found(REFUSED))
    assert (ailment.source, ailment.failure) == (AilmentSource.EVIDENCE, "LoginRefused")


@pytest.mark.parametrize("trace", ["nobody knows this", None])
def test_what_nobody_knows_is_unknown_and_held(trace: str | None) -> None:
    ailment = of(seen(trace))
    assert (ailment.failure, ailment.treatment) == ("unknown", Treatment.HOLD)
    assert not ailment.restart_helps


def test_the_first_trace_that_tells_a_cause_is_taken() -> None:
    two = replace(
        make.observed_connector(),
        tasks=(ObservedTask(0, "FAILED", "w", WRAPPER), ObservedTask(1, "FAILED", "w", REFUSED)),
    )
    assert of(two).failure == "LoginRefused"


def test_the_trace_of_a_task_that_runs_again_is_not_read() -> None:
    assert ailment_of(seen(REFUSED, task="RUNNING"), (), make.NOW) is None


def test_a_trace_is_as_old_as_its_first_sight_and_as_old_as_the_log_of_it() -> None:
    first = replace(of(seen(REFUSED)), since=make.NOW - 300)
    assert of(seen(REFUSED), before=first).since == make.NOW - 300
    other = replace(first, failure="AccountLocked")
    assert of(seen(REFUSED), before=other).since == make.NOW
    assert of(seen(REFUSED), found(REFUSED)).since == make.NOW - 10


@pytest.mark.parametrize(
    ("stack", "context", "expected"),
    [(START, True, True), (AGAIN, True, True), (STREAM, True, False), (START, False, False)],
)
def test_a_login_is_a_connectors_own_when_it_was_thrown_while_it_started(
    stack: str, context: bool, expected: bool
) -> None:
    evidence = found(REFUSED, stack, context=context)
    assert of(make.observed_connector(), evidence).on_start_path is expected


def test_a_stack_that_a_row_quotes_is_not_the_start_path() -> None:
    quoted = f"{REFUSED} in value '{START.strip()}'"
    assert not of(make.observed_connector(), found(quoted, STREAM)).on_start_path


def test_the_trace_tells_the_start_path_too() -> None:
    assert of(seen(f"{REFUSED}\n{START}")).on_start_path
    assert not of(seen(f"{REFUSED}\n{STREAM}")).on_start_path
