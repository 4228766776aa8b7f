"""What breaks behind a connector on the real stack: told with its cause, left or healed as told.

Each says how often anything was restarted and how often anybody logged in.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Final, Self

import pytest

from devstack.environment import wait_until
from devstack.port import free_port
from devstack.scene import CONNECTOR, Scene, offered_action
from devstack.stack import Stack
from tests.e2e.ailing import ORACLE, falls_ill, health, is_well, oracle_at, resident
from tests.e2e.scenes import (
    CANARY,
    LogView,
    Relay,
    a_scene,
    begin,
    delete_topic,
    edit,
    log_of,
    next_cycles,
    refused_logins,
    settle,
    wait_no_row_lost,
    wait_position,
)
from tests.fakes.oracle import RefusingOracle

pytestmark = [pytest.mark.stack, pytest.mark.timeout(300)]
HEARTBEAT: Final = "__debezium-heartbeat.wms"
STATUS: Final = "mgmt.connect.wms-connector-main.status"


# --- around the stage ---------------------------------------------------------------------------


class Metadata:
    """The page on which ECS tells of the containers of a task."""

    def __init__(self) -> None:
        self.connect: dict[str, Any] = {"KnownStatus": "RUNNING"}
        page = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                body = json.dumps({"Containers": [{"Name": "connect", **page.connect}]}).encode()
                self.send_response(200)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture(scope="module")
def stack() -> Iterator[Stack]:
    """A stack of these tests' own: stage main is there once, and its topics are deleted."""
    with Stack((), ready=False) as running:
        yield running


@pytest.fixture(scope="module")
def relay(stack: Stack) -> Iterator[Relay]:
    with Relay(stack.postgres.port) as relay:
        yield relay


@pytest.fixture(scope="module")
def metadata() -> Iterator[Metadata]:
    with Metadata() as page:
        yield page


@pytest.fixture(scope="module")
def played(stack: Stack, relay: Relay, metadata: Metadata) -> Iterator[Scene]:
    with a_scene(stack, "main") as scene:
        login = stack.postgres.db_info() | {"port": str(relay.port)}
        stack.aws.put_secret("wms/main/dbInfo", login)
        scene.env |= {"WMS_TASK_METADATA_URL": metadata.url, "WMS_CLOUDWATCH": "off"}
        yield scene


@pytest.fixture
def scene(played: Scene) -> Scene:
    if played.controller is None:
        played.start()
        played.wait_running(120)  # of all that starts here, the worker takes longest
        wait_position(played)  # whichever test is first, it meets no snapshot
    begin(played)
    return played


@pytest.fixture
def log(scene: Scene) -> LogView:
    return log_of(scene)


# --- what is asked ------------------------------------------------------------------------------


def step(scene: Scene, name: str = CONNECTOR) -> dict[str, Any]:
    return scene.resource(f"restart/{name}")


def accept_again(scene: Scene, topic: str) -> None:
    """Have a lost topic made again, by the id that the status prints."""
    name = f"topic/{topic}"
    scene.wait(lambda: scene.resource(name).get("reason") == "TopicLost", f"{topic} is missed")
    action = offered_action(str(scene.resource(name)["message"]))
    assert action is not None
    words = (
        "accept",
        name,
        "data-loss",
        "--action",
        action,
        "--for",
        "10m",
        "--reason",
        "a test",
    )
    done = scene.wmsctl(*words)
    assert done.returncode == 0, done.stderr


def flows_again(scene: Scene) -> None:
    scene.stack.postgres.insert_waiver("WMS", "after it")
    wait_no_row_lost(scene, 90)
    settle(scene, 90)


# --- the table of failures ----------------------------------------------------------------------


def test_a_record_that_a_transform_refuses_is_held_for_a_person_until_the_manifest_is_right(
    scene: Scene, log: LogView
) -> None:
    refused = refused_logins(scene.stack)
    revert = _copy_the_operation_to_a_header(scene)  # which no tombstone has
    try:
        scene.wait(lambda: "transforms" in scene.config(), "the commit is in force", 60)
        settle(scene)
        row = scene.stack.postgres.insert_revision("WMS")
        scene.stack.postgres.execute(
            f'DELETE FROM "WMS"."PLAN_WVR_RVSN_TBL" WHERE "RVSN_ID" = {row}'
        )
        # A heartbeat may come before the tombstone: of that the transform says no more than a null.
        said = falls_ill(scene, "TransformFailed", "RecordRefused")
        assert "Connect says task 0 FAILED" in said["message"]
        assert "the manifest" in said["message"]
        scene.wait(lambda: step(scene).get("decision") == "Stall", "it is held")
        next_cycles(scene, 5)
        assert log.actions("restart/") == [], "the same record would fail again"
    finally:
        revert()
    flows_again(scene)
    assert log.actions("restart/") == []
    assert refused_logins(scene.stack) == refused


def _copy_the_operation_to_a_header(scene: Scene) -> Callable[[], None]:
    kind = "org.apache.kafka.connect.transforms.HeaderFrom$Value"
    copy = {"type": kind, "fields": "op", "headers": "op", "operation": "copy"}

    def change(documents: list[Any]) -> None:
        config = next(d for d in documents if d["metadata"]["name"] == CONNECTOR)["spec"]["config"]
        config |= {"transforms": "copy"} | {f"transforms.copy.{k}": v for k, v in copy.items()}

    return edit(scene, "stages/local/connector.yaml", change)


def test_a_missing_heartbeat_topic_stands_all_tables_still_and_no_restart_is_wasted_on_it(
    scene: Scene, log: LogView
) -> None:
    delete_topic(scene.stack, HEARTBEAT)
    said = falls_ill(scene, "TopicMissing")
    assert HEARTBEAT in said["message"]
    assert "all tables of the connector stand still" in said["message"]
    assert scene.running(), "Connect still says RUNNING"
    next_cycles(scene, 3)
    accept_again(scene, HEARTBEAT)
    flows_again(scene)
    assert log.actions("connector/") + log.actions("restart/") == []


def _hangs_at_start(scene: Scene, relay: Relay) -> bool:
    """Hold the session of a start; it may be another one that was held, of a look or a probe."""
    held, relay.mute = relay.held, True
    try:
        for verb in ("stop", "resume"):
            scene.worker.request("PUT", f"/connectors/{CONNECTOR}/{verb}")
        scene.wait(lambda: relay.held > held, "a session is held")
    finally:
        relay.mute = False
    return not wait_until(lambda: bool(scene.task_states()), 10)


def test_a_start_that_hangs_behind_running_without_a_task_is_reached_by_one_stop_and_resume(
    scene: Scene, log: LogView, relay: Relay
) -> None:
    refused = refused_logins(scene.stack)
    assert any(_hangs_at_start(scene, relay) for _ in range(3))
    scene.wait(lambda: health(scene).get("reason") == "Starting", "it may be a start yet")
    said = falls_ill(scene, "NoTasks", seconds=120)
    assert "there is no task" in said["message"]
    flows_again(scene)
    is_well(scene)
    assert log.actions("restart/") == ["Stop"]
    assert log.actions("connector/") == ["Resume"]
    assert refused_logins(scene.stack) == refused


def test_a_worker_that_is_killed_or_out_of_memory_is_told_so_and_nothing_is_restarted_for_it(
    scene: Scene, log: LogView, metadata: Metadata
) -> None:
    worker, refused = scene.worker, refused_logins(scene.stack)
    worker.kill()
    said = falls_ill(scene, "WorkerUnreachable", "WorkerStarting")
    assert said["status"] == "Unknown"
    worker.start(wait=False, settings={"WMS_CONNECT_HEAP": "-Xmx8m"})
    code = worker.child.wait(60)
    metadata.connect = {"KnownStatus": "STOPPED", "ExitCode": code, "RestartCount": 1}
    try:
        said = falls_ill(scene, "OutOfMemory")
        assert said["status"] == "False"
        assert f"ended with {code}" in said["message"]
        scene.stack.postgres.insert_waiver("WMS", "while there is no worker")
    finally:
        worker.kill()
        worker.start(wait=False)
        metadata.connect = {"KnownStatus": "RUNNING", "ExitCode": code, "RestartCount": 2}
    flows_again(scene)
    is_well(scene)
    assert log.actions("connector/") + log.actions("restart/") == []
    assert refused_logins(scene.stack) == refused


def test_a_deleted_internal_topic_floods_the_log_and_not_our_memory(
    scene: Scene, log: LogView
) -> None:
    before = resident(scene)
    delete_topic(scene.stack, STATUS)
    scene.wait(
        lambda: scene.resource(f"topic/{STATUS}").get("reason") == "TopicLost", "it is missed"
    )
    scene.stack.postgres.insert_waiver("WMS", "while the topic is gone")
    wait_no_row_lost(scene)
    next_cycles(scene, 5)
    assert STATUS in scene.worker.evidence.read_text(encoding="utf-8"), "the worker names it"
    assert scene.running(), "rows flow on"
    assert resident(scene) - before < 40 * 1024, "kB"
    scene.worker.kill()
    accept_again(scene, STATUS)
    scene.worker.start(wait=False)
    flows_again(scene)
    assert log.actions("restart/") == []


def test_oracle_that_refuses_a_login_hears_of_at_most_two_and_of_one_more_when_a_person_says_so(
    stack: Stack,
) -> None:
    port = free_port()
    with oracle_at(stack, "e2e-refused", port) as scene:
        said = falls_ill(scene, "NoListener", name=ORACLE)
        assert "ORA-12541" in said["message"]
        log = log_of(scene)
        with RefusingOracle(port) as oracle:
            said = falls_ill(scene, "LoginRefused", name=ORACLE)
            scene.wait(lambda: _stands(scene), "it is stopped")
            scene.wait(lambda: "ProbeLogin" in log.actions("login/"), "its login is tried once")
            next_cycles(scene, 12)  # a loop would try again
            assert oracle.logins <= 2, "its two, the worker's and ours"
            assert _stands(scene)
            assert scene.wmsctl("release", f"connector/{ORACLE}").returncode == 0
            before = oracle.logins
            assert wait_until(lambda: oracle.logins > before, 30)
            next_cycles(scene, 5)
            assert oracle.logins == before + 1
            assert _stands(scene)
        assert health(scene, ORACLE)["reason"] == "LoginRefused"
        assert CANARY not in json.dumps(scene.status())


def _stands(scene: Scene) -> bool:
    status = scene.worker.request("GET", f"/connectors/{ORACLE}/status")
    return bool(status["connector"]["state"] == "STOPPED")
