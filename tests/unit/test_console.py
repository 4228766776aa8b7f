from __future__ import annotations

from typing import Any

import pytest

from controller.console import _style, print_status


def status(**more: Any) -> dict[str, Any]:
    return {"stage": "main", "cycle": 7, "revision": {"id": "r1"}, "resources": [], **more}


def condition(kind: str, status: str, reason: str, message: str) -> dict[str, Any]:
    return {"type": kind, "status": status, "reason": reason, "message": message, "since": 0.0}


def connector(*conditions: dict[str, Any], **more: Any) -> dict[str, Any]:
    told = {"resource": "connector/x", "reason": "InSync", "message": "as declared"}
    return {**told, "conditions": list(conditions), **more}


ILL = (
    condition("Ready", "False", "TaskFailed", "task 0 is FAILED"),
    condition("SecretsResolved", "False", "SecretMissing", "no secret dbInfo"),
    condition("Stalled", "True", "OffsetScnGone", "a person decides"),
    condition("Healthy", "Unknown", "NotSeen", "nobody could look"),
)


@pytest.mark.parametrize("told", ILL, ids=lambda one: one["type"])
def test_every_condition_that_is_not_well_is_told_with_its_reason_and_sentence(
    told: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    print_status(status(resources=[connector(told)]))
    line = f"connector/x {told['type']}={told['status']} since 1970-01-01T00:00:00+00:00: "
    assert f"{line}{told['reason']}: {told['message']}" in capsys.readouterr().out.splitlines()


def test_what_is_well_and_what_the_row_says_already_is_not_told_again(
    capsys: pytest.CaptureFixture[str],
) -> None:
    well = condition("Stalled", "False", "NotStalled", "nothing waits for a person")
    same = condition("Synced", "False", "Create", "it is not there")
    print_status(status(resources=[connector(well, same, message="it is not there")]))
    assert len(capsys.readouterr().out.splitlines()) == 2


def test_lag_restarts_and_warnings_are_told(capsys: pytest.CaptureFixture[str]) -> None:
    lag = {"seconds": 3.21, "message": "from heartbeats"}
    restarts = {"failure": "NoListener", "message": "restarted once"}
    seen = status(resources=[connector(lag=lag, restarts=restarts)], warnings=["ALTER DATABASE"])
    print_status(seen)
    lines = capsys.readouterr().out.splitlines()
    assert lines[-3:] == [
        "connector/x lag 3.2 s: from heartbeats",
        "connector/x NoListener: restarted once",
        "warning: ALTER DATABASE",
    ]


def test_a_lag_that_is_not_known_is_no_number(capsys: pytest.CaptureFixture[str]) -> None:
    print_status(status(resources=[connector(lag={"seconds": None, "message": "no heartbeat"})]))
    assert "connector/x lag unknown: no heartbeat" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("told", "style"),
    [
        (connector(), "green"),
        (connector(condition("Healthy", "True", "Running", "")), "green"),
        (connector(condition("Ready", "False", "NoTasks", "")), "red"),
        (connector(condition("Healthy", "False", "LoginRefused", "")), "red"),
        (connector(condition("Stalled", "True", "TopicLost", "")), "red"),
        (connector(condition("Healthy", "Unknown", "NotSeen", "")), "yellow"),
        (connector(reason="Create"), "yellow"),
    ],
)
def test_only_what_is_well_in_all_is_green(told: dict[str, Any], style: str) -> None:
    assert _style(told) == style


def container(trouble: str) -> dict[str, Any]:
    return {"name": "connect", "status": "RUNNING", "restarts": 2, "trouble": trouble}


def test_a_container_in_trouble_is_told_of(capsys: pytest.CaptureFixture[str]) -> None:
    print_status(status(containers=[container("started again 2 time(s)")]))
    assert "container connect: started again 2 time(s)" in capsys.readouterr().out.splitlines()


def test_a_container_that_is_well_is_not(capsys: pytest.CaptureFixture[str]) -> None:
    print_status(status(containers=[container("")]))
    assert "container" not in capsys.readouterr().out


def test_a_status_that_an_older_controller_left_is_shown(
    capsys: pytest.CaptureFixture[str],
) -> None:
    print_status(status(containers=[{"name": "connect"}]))
    assert capsys.readouterr().out == "stage main, cycle 7, revision r1\n"
