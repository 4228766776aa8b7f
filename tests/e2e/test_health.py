"""Connect says RUNNING; here is what is true: the condition Healthy on the real stack."""

from __future__ import annotations

import json
import secrets
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any, Final

import pytest

from controller.core.tries import MOST
from devstack.port import free_port
from devstack.scene import CONNECTOR, Scene
from devstack.stack import Stack
from tests.e2e.ailing import ORACLE, falls_ill, is_well, oracle_at, resident
from tests.e2e.scenes import (
    CANARY,
    CONNECTOR_KEY,
    a_scene,
    begin,
    delete_topic,
    log_of,
    next_cycles,
    page,
    refused_logins,
    settle,
    wait_no_row_lost,
)

pytestmark = [pytest.mark.stack, pytest.mark.timeout(240)]
STAGE: Final = "e2e-health"
REVISIONS: Final = "wms.WMS.PLAN_WVR_RVSN_TBL"  # no other test counts its rows


@pytest.fixture(scope="module")
def played(stack: Stack) -> Iterator[Scene]:
    with a_scene(stack, STAGE) as scene:
        scene.env["WMS_KAFKA_DEADLINE"] = "3"  # so that cycles without a broker are short
        yield scene


@pytest.fixture
def scene(played: Scene) -> Scene:
    begin(played)
    is_well(played)
    return played


def tells_everywhere(scene: Scene, reason: str) -> str:
    """Everything that is said for people, once each of it says the reason."""
    told = scene.wmsctl("status")
    assert "Healthy=False" in told.stdout, told
    assert reason in told.stdout
    metrics = page(scene, "/metrics", "WMS_METRICS_PORT")[1]
    series = (
        f'wms_condition{{condition="Healthy",kind="connector",name="{CONNECTOR}",status="False"}}'
    )
    assert f"{series} 1.0" in metrics, [one for one in metrics.splitlines() if "Healthy" in one]
    moved = [
        line
        for line in log_of_all(scene)
        if line.get("event") == "condition moved" and line.get("condition") == "Healthy"
    ]
    assert "False" in [line["status"] for line in moved]
    explained = scene.wmsctl("explain", CONNECTOR)
    return "\n".join((told.stdout, told.stderr, metrics, json.dumps(moved), explained.stdout))


def log_of_all(scene: Scene) -> list[dict[str, Any]]:
    path = scene.stack.logs / f"controller-{scene.stage}.log"
    lines = path.read_text(encoding="utf-8").splitlines()
    return [json.loads(line) for line in lines if line.startswith("{")]


def first_warning(scene: Scene, since: float, text: str) -> float:
    """When the worker itself first wrote of it, read beside the code under test."""
    lines = scene.worker.evidence.read_text(encoding="utf-8").splitlines()
    moments = [
        datetime.fromisoformat(json.loads(line)["@timestamp"]).timestamp()
        for line in lines
        if f"[{CONNECTOR}|" in line and text in line
    ]
    return min(moment for moment in moments if moment >= since)


def test_a_wrong_password_behind_running_is_told_with_its_cause_and_without_a_secret(
    scene: Scene,
) -> None:
    database = scene.stack.postgres
    right = database.password
    log = log_of(scene)
    next_cycles(scene, 8)  # what a task says just after it was started may be of the one before
    since = scene.status()["at"]
    database.rotate_password(CANARY)
    try:
        database.end_sessions()
        said = falls_ill(scene, "LoginRefused")
        first = first_warning(scene, since, "password authentication failed")
        sys.stdout.write(f"told {said['since'] - first:.2f} s after the worker's first warning")
        assert "password" in said["message"]
        everything = tells_everywhere(scene, "LoginRefused")
        assert CANARY not in everything
        assert right not in everything
        assert CANARY not in json.dumps(scene.status())
        assert log.events("condition moved")
    finally:
        database.rotate_password(right)
    scene.wmsctl("release", CONNECTOR_KEY)
    scene.wait_running(120)
    is_well(scene)
    wait_no_row_lost(scene)


def test_a_database_that_is_away_is_told_and_forgotten_when_it_is_back(scene: Scene) -> None:
    refused = refused_logins(scene.stack)
    scene.stack.postgres.kill()
    try:
        said = falls_ill(scene, "DatabaseDown", "ConnectionLost", "SessionEnded")
        assert "RUNNING" in said["message"]
    finally:
        scene.stack.postgres.start()
    scene.stack.postgres.insert_waiver("WMS", "after the database was back")
    wait_no_row_lost(scene, 90)
    is_well(scene)
    assert refused_logins(scene.stack) == refused


def test_a_captured_topic_that_is_missing_is_told_behind_running(scene: Scene) -> None:
    log, refused = log_of(scene), refused_logins(scene.stack)
    assert scene.wmsctl("freeze", "--for", "10m", "--reason", "a test").returncode == 0
    try:
        scene.wait(
            lambda: (
                scene.resource(f"topic/{scene.topic(REVISIONS)}").get("reason") != "Unreachable"
            ),
            "it is frozen",
        )
        delete_topic(scene.stack, scene.topic(REVISIONS))
        said = falls_ill(scene, "TopicMissing")
        assert scene.topic(REVISIONS) in said["message"]
        assert scene.running(), "Connect still says RUNNING"
    finally:
        scene.wmsctl("unfreeze")
    scene.wait(lambda: scene.topic(REVISIONS) in scene.stack.topics(), "it is created again", 60)
    settle(scene)
    is_well(scene)
    assert log.actions("restart/") == [], "it goes on by itself once the topic is there"
    assert refused_logins(scene.stack) == refused


def test_without_a_broker_health_is_not_claimed(scene: Scene) -> None:
    log, refused = log_of(scene), refused_logins(scene.stack)
    scene.stack.broker.stop()
    try:
        said = falls_ill(scene, "KafkaUnreachable", "BrokerUnreachable", "ProducerTimeout")
        assert said["status"] in ("Unknown", "False")
        next_cycles(scene)
        assert log.actions("restart/") == [], "none is tried while Kafka is away"
    finally:
        scene.stack.broker.start()
    scene.stack.postgres.insert_waiver("WMS", "after the broker was back")
    wait_no_row_lost(scene, 90)
    settle(scene)
    is_well(scene)
    assert log.actions("restart/").count("Restart") <= MOST
    assert refused_logins(scene.stack) == refused


def test_oracle_that_is_not_there_is_told_behind_running_though_connect_has_no_trace(
    stack: Stack,
) -> None:
    with oracle_at(stack, "e2e-absent", free_port()) as scene:
        said = falls_ill(scene, "NoListener", name=ORACLE)
        assert "RUNNING" in said["message"]
        assert "ORA-12541" in said["message"]
        status = scene.worker.request("GET", f"/connectors/{ORACLE}/status")
        assert status["connector"]["state"] == "RUNNING"
        assert [task["state"] for task in status["tasks"]] == ["RUNNING"]
        assert not any(task.get("trace") for task in status["tasks"])
        explained = scene.wmsctl("explain", ORACLE, "-o", "json")
        assert json.loads(explained.stdout)["failure"] == "NoListener"
        assert CANARY not in explained.stdout + json.dumps(scene.status())


def test_a_flood_of_lines_leaves_little_in_memory_and_no_word_of_them(scene: Scene) -> None:
    record = secrets.token_hex(12)
    before = resident(scene)
    line = {
        "@timestamp": datetime.fromtimestamp(time.time(), UTC).isoformat(timespec="milliseconds"),
        "log.level": "ERROR",
        "log.logger": "io.debezium.pipeline.ErrorHandler",
        "message": f"Producer failure {record}",
        "connector.context": f"[{CONNECTOR}|task-0] ",
        "error.stack_trace": "x" * 4000,
    }
    text = (json.dumps(line) + "\n") * 250
    with scene.worker.evidence.open("a", encoding="utf-8") as out:
        for _ in range(30):  # 30 MB
            out.write(text * 4)
    next_cycles(scene, 3)
    assert resident(scene) - before < 30 * 1024, "kB"
    assert record not in json.dumps(scene.status())
    assert record not in json.dumps(log_of_all(scene))
