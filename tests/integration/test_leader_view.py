"""`wmsctl plan`, `explain` and `page` on a machine that reaches the stage's table and no more."""

from __future__ import annotations

import json
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest

from controller import cli
from controller.adapters.clock import SystemClock
from controller.adapters.state_dynamodb import StateTable
from controller.description import describe
from controller.status_document import StatusDocument
from controller.telemetry.page import POLICY, page_files
from devstack.port import free_port
from tests.make import NAME
from tests.sim.world import DATA, Controller, SimWorld
from tests.tables import aws_client, stage_store

TABLE = "wms-connector-main-state"
REPOSITORY = Path(__file__).parents[2]


@pytest.fixture
def store(aws_url: str, monkeypatch: pytest.MonkeyPatch) -> StateTable:
    """The table of stage main as its stack makes it, and a machine that has nothing else."""
    monkeypatch.setenv("WMS_CONNECT_URL", f"http://127.0.0.1:{free_port()}")
    return stage_store(aws_url, "main", monkeypatch)


@cache
def leader(trouble: str) -> dict[str, Any]:
    """Answer the status of a controller that has settled, and then met some trouble."""
    world = SimWorld()
    controller = Controller(world)
    controller.settle()
    if trouble == "drift":
        world.kafka.topics[DATA].config["retention.ms"] = "7"
    if trouble == "login":
        text = "Caused by: java.sql.SQLException: ORA-01017: invalid username/password"
        world.connect.world.fail_task(NAME, text)
    if trouble == "blind":
        world.connect.world.down = True
    controller.run(1)
    report = controller.reconciler.report
    assert report is not None
    return dict(describe(report, None, None))


def published(store: StateTable, trouble: str = "", **changes: Any) -> dict[str, Any]:
    document = {**leader(trouble), "at": time.time(), **changes}
    assert StatusDocument(store, SystemClock()).offer(document) is None
    return document


def told(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    code = cli.main([*arguments])
    captured = capsys.readouterr()
    return code, captured.out, captured.err


# --- plan -------------------------------------------------------------------------------------


def test_a_plan_without_changes_is_the_leaders_and_says_so(
    store: StateTable, capsys: pytest.CaptureFixture[str]
) -> None:
    document = published(store)
    code, out, err = told(capsys, "plan")
    assert (code, err) == (0, "")
    first, *rest = out.splitlines()
    assert "the leader's view" in first
    assert re.search(rf"from table {TABLE}, written \d+ s ago", first)
    assert f"revision {document['revision']['id']}" in first
    assert rest[-1] == "No changes. Kafka and Connect are as declared."


def test_changes_of_the_leaders_plan_end_with_2(
    store: StateTable, capsys: pytest.CaptureFixture[str]
) -> None:
    published(store, "drift")
    code, out, _ = told(capsys, "plan")
    assert code == 2
    assert f"topic/{DATA}" in out
    assert "~ retention.ms: 7 -> 1000" in out
    code, out, _ = told(capsys, "plan", "-o", "json")
    data = json.loads(out)
    assert (code, data["change"], data["leader"]["source"]) == (2, 1, f"table {TABLE}")
    [step] = [one for one in data["steps"] if one["decision"] != "Converged"]
    assert step["risk"]
    assert step["act"]["reason"]


@pytest.mark.parametrize(
    ("trouble", "changes", "said"),
    [
        ("blind", {}, "the leader could not look at connect"),
        ("", {"at": 1.7e9}, "is the service running?"),
        ("", {"refusedRevision": {"message": "no such field", "since": 1.0}}, "no such field"),
        ("", {"plan": None}, "older than this wmsctl"),
        ("", {"at": None}, "says of no cycle yet"),
    ],
)
def test_what_the_leader_does_not_know_for_sure_ends_with_1(
    store: StateTable,
    capsys: pytest.CaptureFixture[str],
    trouble: str,
    changes: dict[str, Any],
    said: str,
) -> None:
    published(store, trouble, **changes)
    code, _, err = told(capsys, "plan")
    assert code == 1
    assert said in err


def test_without_a_status_both_reasons_are_given(
    store: StateTable, capsys: pytest.CaptureFixture[str]
) -> None:
    assert store.published("status") is None
    code, out, err = told(capsys, "plan")
    assert (code, out) == (1, "")
    assert "Connect does not answer at http://127.0.0.1:" in err
    assert "is its service running?" in err


def test_manifests_that_were_named_are_never_answered_with_the_leaders(
    store: StateTable, capsys: pytest.CaptureFixture[str]
) -> None:
    published(store)
    code, out, _ = told(capsys, "plan", "-m", str(REPOSITORY / "manifests"))
    assert code == 1
    assert "leader" not in out


# --- explain ----------------------------------------------------------------------------------


def test_a_connector_is_explained_by_the_leaders_diagnosis(
    store: StateTable, capsys: pytest.CaptureFixture[str]
) -> None:
    published(store, "login")
    code, out, _ = told(capsys, "explain", NAME)
    assert code == 0
    assert out.startswith("Connect is out of reach from here, so this is the leader's view")
    assert "task 0 FAILED" in out
    assert "LoginRefused" in out
    assert "ORA-01017" in out
    code, out, _ = told(capsys, "explain", NAME, "-o", "json")
    data = json.loads(out)
    assert (code, data["failure"], data["source"]) == (0, "LoginRefused", "trace")
    assert data["leader"]["source"] == f"table {TABLE}"


@pytest.mark.parametrize(
    ("trouble", "name", "said"),
    [("", "nobody", "names no connector/nobody"), ("blind", NAME, "did not see connector/")],
)
def test_what_the_leader_did_not_see_is_not_explained(
    store: StateTable,
    capsys: pytest.CaptureFixture[str],
    trouble: str,
    name: str,
    said: str,
) -> None:
    published(store, trouble)
    code, out, err = told(capsys, "explain", name)
    assert (code, out) == (1, "")
    assert said in err


# --- page -------------------------------------------------------------------------------------


@pytest.fixture
def page(store: StateTable) -> Iterator[tuple[subprocess.Popen[str], str]]:
    published(store)
    process = subprocess.Popen(
        [sys.executable, "-m", "controller", "page"],
        cwd=REPOSITORY,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    line = process.stdout.readline()
    assert f"from table {TABLE}" in line
    found = re.search(r"http://127\.0\.0\.1:\d+/", line)
    assert found is not None
    yield process, found[0]
    process.kill()
    process.wait()
    process.stdout.close()


def get(url: str, **headers: str) -> tuple[int, Any, bytes]:
    try:
        with urlopen(Request(url, headers=headers), timeout=10) as answer:
            return answer.status, answer.headers, answer.read()
    except HTTPError as error:
        with error:
            return error.code, error.headers, error.read()


def test_the_page_is_the_controllers_own_and_follows_the_table_until_ctrl_c(
    store: StateTable, page: tuple[subprocess.Popen[str], str]
) -> None:
    process, url = page
    for path, (kind, body) in page_files().items():
        code, headers, found = get(url + path.removeprefix("/"))
        assert (code, headers["Content-Type"], found) == (200, kind, body)
        assert headers["Content-Security-Policy"] == POLICY
        assert headers["X-Content-Type-Options"] == "nosniff"
    assert get(url + "status", Host="evil.example")[0] == 421
    assert get(url + "healthz")[0] == 200
    assert json.loads(get(url + "status")[2])["stage"] == "main"
    published(store, cycle=4711)
    deadline = time.monotonic() + 60
    while json.loads(get(url + "status")[2])["cycle"] != 4711:
        assert time.monotonic() < deadline, "the page does not follow the table"
    process.send_signal(signal.SIGINT)
    assert process.wait(timeout=60) == 0


def test_a_port_that_is_taken_is_said_and_ends_with_1(
    store: StateTable, capsys: pytest.CaptureFixture[str]
) -> None:
    published(store)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        code, _, err = told(capsys, "page", "--port", str(taken.getsockname()[1]))
    assert code == 1
    assert "end what has the port" in err


def test_a_page_of_a_status_that_nobody_renews_says_so(
    store: StateTable, aws_url: str, page: tuple[subprocess.Popen[str], str]
) -> None:
    _, url = page
    published(store, at=1.7e9)
    deadline = time.monotonic() + 60
    while json.loads(get(url + "status")[2])["complete"]:
        assert time.monotonic() < deadline, "what is old passes for new"
    found = json.loads(get(url + "status")[2])
    assert [one["reason"] for one in found["faults"]] == ["StatusStale"]
    aws_client("dynamodb", aws_url).delete_table(TableName=TABLE)
    while get(url + "healthz")[0] == 200:
        assert time.monotonic() < deadline, "nobody is told that the table is gone"
    found = json.loads(get(url + "status")[2])
    assert found["resources"], "the last one is still shown"
    assert "NoStatus" in {one["reason"] for one in found["faults"]}
