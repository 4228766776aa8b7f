"""The process ended at bad moments: nothing is undone, nothing is done twice, all converges."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Iterator

import pytest

from devstack.environment import wait_until
from devstack.scene import CONNECTOR, DATA_TOPICS, Scene
from devstack.stack import Stack
from tests.e2e.scenes import (
    BASE,
    LogView,
    a_proxy,
    a_scene,
    assert_one_snapshot,
    begin,
    delete_topic,
    end_with,
    kill_right_after,
    log_of,
    put_config,
    refused_logins,
    set_connector_key,
    settle,
    wait_no_row_lost,
    wait_position,
)

pytestmark = [pytest.mark.stack, pytest.mark.timeout(150)]
FIRST_WRITES = (
    "WriteSecretFiles",
    "WriteReady",
    "CreateTopic",
    "ProbeLogin",
    "CreateConnector",
    "Resume",
)
EXIT_SECONDS = 6.0  # 1.5 s for the action in flight; the rest is a busy machine's
DRIFTED = "60000"


@pytest.fixture(scope="module")
def played(stack: Stack) -> Iterator[Scene]:
    with a_scene(stack, "e2e-ends") as scene:
        begin(scene)
        wait_position(scene)
        yield scene


@pytest.fixture
def scene(played: Scene) -> Scene:
    begin(played)
    return played


def test_a_first_start_killed_after_every_kind_of_write_ends_as_declared(stack: Stack) -> None:
    failed = refused_logins(stack)
    with a_scene(stack, "e2e-kill") as scene:
        ever = log_of(scene)
        for action in FIRST_WRITES:
            if action not in ever.actions():  # else the kill before this one came late
                kill_right_after(scene, action, scene.start)
            if action == "WriteReady":
                _end_gently_among_the_topics(scene)
        log = log_of(scene)
        begin(scene)
        assert {scene.topic(name) for name in DATA_TOPICS} <= stack.topics()
        wait_no_row_lost(scene)
        assert_one_snapshot(scene)
        assert not {"CreateConnector", "CreateTopic", "ProbeLogin"} & set(log.actions())
    assert refused_logins(stack) == failed


def _end_gently_among_the_topics(scene: Scene) -> None:
    """SIGTERM between the writes of a cycle: the next does not start."""
    log = log_of(scene)
    scene.start()
    assert wait_until(lambda: "CreateTopic" in log.actions(), 60, every=0.002)
    _assert_ends_well(scene)


def _lower_retention(scene: Scene) -> None:
    scene.set_topic_config(BASE, "retention.ms", DRIFTED)


def _delete_topic(scene: Scene) -> None:
    delete_topic(scene.stack, scene.topic("wms.MMDL.PLAN_WVR_RVSN_TBL"))


def _change_config(scene: Scene) -> None:
    put_config(scene, poll_interval_ms=DRIFTED)


def _pause(scene: Scene) -> None:
    scene.worker.request("PUT", f"/connectors/{CONNECTOR}/pause")


def _delete_connector(scene: Scene) -> None:
    scene.worker.request("DELETE", f"/connectors/{CONNECTOR}")


def _rotate(scene: Scene) -> None:
    stack = scene.stack
    password = f"rotated-at-{time.monotonic_ns()}"
    stack.postgres.rotate_password(password)
    stack.aws.rotate_secret(f"wms/{scene.stage}/dbInfo", {"password": password})


@pytest.mark.parametrize(
    ("disturb", "action"),
    [
        (_lower_retention, "AlterTopic"),
        (_delete_topic, "CreateTopic"),
        (_change_config, "PutConfig"),
        (_pause, "Resume"),
        (_delete_connector, "CreateConnector"),
        (_delete_connector, "Resume"),
        (_rotate, "WriteSecretFiles"),
        (_rotate, "ProbeLogin"),
        (_rotate, "PutConfig"),
    ],
)
def test_a_repair_that_is_killed_right_after_its_write_is_finished_by_the_next_process(
    scene: Scene, disturb: Callable[[Scene], None], action: str
) -> None:
    failed = refused_logins(scene.stack)
    kill_right_after(scene, action, lambda: disturb(scene))
    log = log_of(scene)
    begin(scene)
    assert scene.config().get("poll.interval.ms") != DRIFTED
    assert scene.topic_config(BASE, "retention.ms") != DRIFTED
    assert log.actions().count(action) <= (1 if action == "ProbeLogin" else 0), "done twice"
    scene.stack.postgres.insert_waiver("WMS", f"after a kill at {action}")
    wait_no_row_lost(scene)
    assert_one_snapshot(scene)
    if disturb is not _rotate:  # the task that still has the old password tries it as it pleases
        assert refused_logins(scene.stack) == failed


def test_sigterm_while_a_write_is_in_flight_ends_soon_and_undoes_nothing(scene: Scene) -> None:
    config = scene.config()
    scene.stop()
    with a_proxy(scene) as proxy:
        begin(scene)
        proxy.withhold_answer = frozenset({"PUT"})
        put_config(scene, poll_interval_ms=DRIFTED)
        assert proxy.held.wait(20), "the repair reached the worker and is not answered"
        _assert_ends_well(scene)
    assert scene.config() == config, "what was written stays"
    log = log_of(scene)
    begin(scene)
    assert log.actions("connector/") == [], "the next start sees that it was applied"


@pytest.mark.parametrize("method", ["GET", "PUT"])
def test_sigterm_while_a_call_hangs_ends_soon(scene: Scene, method: str) -> None:
    scene.stop()
    with a_proxy(scene) as proxy:
        begin(scene)
        proxy.swallow = frozenset({method})
        put_config(scene, poll_interval_ms=DRIFTED)
        assert proxy.held.wait(20), "a call hangs"
        _assert_ends_well(scene)
    assert scene.state() == "RUNNING"
    begin(scene)
    assert scene.config().get("poll.interval.ms") != DRIFTED


def test_a_stopped_process_takes_its_sign_of_life_with_it(scene: Scene) -> None:
    scene.stop()
    done = scene.wmsctl("apply", "--timeout", "60")
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_second_signal_ends_the_process_at_once(scene: Scene) -> None:
    scene.stop()
    with a_proxy(scene) as proxy:
        begin(scene)
        proxy.swallow = frozenset({"GET"})
        assert proxy.held.wait(20)
        child = scene.controller
        assert child is not None
        child.signal(signal.SIGTERM)
        child.signal(signal.SIGINT)
        assert child.wait(EXIT_SECONDS) is not None


def test_a_commit_that_arrives_while_no_controller_runs_is_applied_at_its_start(
    scene: Scene,
) -> None:
    scene.kill()
    revert = set_connector_key(scene, "max.batch.size", "1024")
    begin(scene)
    assert scene.config()["max.batch.size"] == "1024"
    revert()
    scene.wait(lambda: "max.batch.size" not in scene.config(), "it is gone")
    settle(scene)


def _assert_ends_well(scene: Scene) -> None:
    log: LogView = log_of(scene)
    child = scene.controller
    assert child is not None
    assert end_with(child, signal.SIGTERM, EXIT_SECONDS) == 0
    assert len(log.events("stopped")) == 1
