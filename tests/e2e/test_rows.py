"""Rows while the world shakes: whatever is in the table is in its topic in the end."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Final

import pytest

from devstack.scene import CONNECTOR, Scene
from devstack.stack import Stack
from devstack.worker import Worker
from tests.e2e.scenes import (
    BASE,
    OF_A_STOPPING_TASK,
    Writer,
    a_scene,
    assert_one_snapshot,
    begin,
    log_of,
    put_config,
    refused_logins,
    settle,
    wait_no_row_lost,
    wait_position,
)

pytestmark = [pytest.mark.stack, pytest.mark.timeout(180)]
SEED: Final = 20_261_124
ROWS_BETWEEN: Final = 8


@pytest.fixture(scope="module")
def played(stack: Stack) -> Iterator[Scene]:
    with a_scene(stack, "e2e-rows") as scene:
        begin(scene)
        wait_position(scene)
        yield scene


@pytest.fixture
def scene(played: Scene) -> Scene:
    begin(played)
    return played


# --- disturbances -----------------------------------------------------------------------------


def _pause(scene: Scene) -> None:
    scene.worker.request("PUT", f"/connectors/{CONNECTOR}/pause")


def _stop(scene: Scene) -> None:
    scene.worker.request("PUT", f"/connectors/{CONNECTOR}/stop")


def _delete(scene: Scene) -> None:
    scene.worker.request("DELETE", f"/connectors/{CONNECTOR}")


def _restart(scene: Scene) -> None:
    scene.worker.request("POST", f"/connectors/{CONNECTOR}/restart?includeTasks=true")


def _change_config(scene: Scene) -> None:
    put_config(scene, poll_interval_ms="60000", max_batch_size="7")


def _lower_retention(scene: Scene) -> None:
    scene.set_topic_config(BASE, "retention.ms", "3600000")


def _end_sessions(scene: Scene) -> None:
    scene.stack.postgres.end_sessions()


def _rotate(scene: Scene) -> None:
    password = f"rotated-at-{time.monotonic_ns()}"
    scene.stack.postgres.rotate_password(password)
    scene.stack.aws.rotate_secret(f"wms/{scene.stage}/dbInfo", {"password": password})


def _kill_worker(scene: Scene) -> None:
    scene.worker.kill()
    scene.worker.start(wait=False)


def _kill_controller(scene: Scene) -> None:
    scene.kill()
    scene.start()


def _crash_database(scene: Scene) -> None:
    scene.stack.postgres.kill()
    scene.stack.postgres.start()


def _crash_broker(scene: Scene) -> None:
    scene.stack.broker.kill()
    scene.stack.broker.start()


DISTURBANCES: Final[tuple[Callable[[Scene], None], ...]] = (
    _pause,
    _stop,
    _delete,
    _restart,
    _change_config,
    _lower_retention,
    _end_sessions,
    _rotate,
    _kill_worker,
    _kill_controller,
    _crash_database,
    _crash_broker,
)
BY_REST: Final = frozenset({_pause, _stop, _delete, _restart, _change_config})


def test_no_row_is_lost_over_any_order_of_disturbances(scene: Scene) -> None:
    order = random.Random(SEED).sample(DISTURBANCES, len(DISTURBANCES))  # noqa: S311 - no secret
    with Writer(scene.stack) as writer:
        for disturb in order:
            written = writer.count
            scene.wait(
                lambda since=written: writer.count >= since + ROWS_BETWEEN,  # type: ignore[misc]
                "rows are written all the while",
            )
            if disturb in BY_REST:  # nobody can ask a connector that does not run
                scene.wait_running(90)
            disturb(scene)
        written = writer.count
        scene.wait(lambda: writer.count >= written + ROWS_BETWEEN, "rows are still written")
    settle(scene, 120)
    wait_no_row_lost(scene, 90)
    assert_one_snapshot(scene)
    assert writer.count > ROWS_BETWEEN * len(DISTURBANCES)


def test_a_replaced_worker_with_an_empty_secrets_folder_runs_on_and_no_login_fails(
    scene: Scene,
) -> None:
    stack = scene.stack
    failed, config, log = refused_logins(stack), scene.config(), log_of(scene)
    version = stack.aws.current_version(f"wms/{scene.stage}/dbInfo")
    with Writer(stack):
        scene.worker.replace()
        scene.wait((scene.worker.root / "ready").exists, "the new worker is let in")
        settle(scene, 90)
    assert (scene.worker.root / "wms" / scene.stage / "dbInfo" / version / "password").exists()
    assert {"WriteSecretFiles", "WriteReady"} <= set(log.actions())
    assert scene.config() == config
    wait_no_row_lost(scene)
    assert refused_logins(stack) == failed


def test_a_worker_replaced_right_after_a_rotation_gets_the_version_that_its_config_names(
    scene: Scene,
) -> None:
    stack, failed = scene.stack, refused_logins(scene.stack)
    stack.aws.rotate_secret(f"wms/{scene.stage}/dbInfo", {"password": "not-the-password-yet"})
    config = scene.config()
    try:
        scene.wait(lambda: refused_logins(stack) == failed + 1, "the new version is tried once")
        scene.worker.replace()
        scene.wait((scene.worker.root / "ready").exists, "the new worker is let in")
        scene.wait_running(90)
        assert scene.config() == config
        stack.postgres.insert_waiver("WMS", "after the replacement")
        wait_no_row_lost(scene)
        assert refused_logins(stack) == failed + 1
    finally:
        right = {"password": stack.postgres.password}
        stack.aws.rotate_secret(f"wms/{scene.stage}/dbInfo", right)
    settle(scene)


def test_a_connector_outlives_the_worker_that_carries_its_task(stack: Stack) -> None:
    """Two workers in one group; the controller is the survivor's."""
    with a_scene(stack, "e2e-pair") as scene:
        begin(scene)
        second = stack.add_worker(
            scene.stage,
            ready=True,
            settings={"WMS_SECRETS_ROOT": str(scene.worker.root)},
        )
        scene.wait_running(60)
        carrier, survivor = _carrier(scene, second)
        if survivor is second:
            scene.stop()
            scene.worker = second
            scene.env["WMS_CONNECT_URL"] = second.url
            scene.start()
        failed = refused_logins(stack)
        with Writer(stack) as writer:
            carrier.kill()
            written = writer.count
            scene.wait(lambda: writer.count >= written + ROWS_BETWEEN, "rows are written")
            scene.wait(
                lambda: _place(scene) == _address(survivor) and scene.running(),
                "the task moves to the survivor",
                90,
            )
        settle(scene, 90)
        wait_no_row_lost(scene)
        assert_one_snapshot(scene)
        put_config(scene, poll_interval_ms="60000")
        scene.wait(lambda: scene.config().get("poll.interval.ms") != "60000", "it is repaired", 60)
        settle(scene)
        assert refused_logins(stack) <= failed + OF_A_STOPPING_TASK


def _carrier(scene: Scene, second: Worker) -> tuple[Worker, Worker]:
    """The worker that carries the task, and the other one."""
    scene.wait(lambda: bool(_place(scene)), "the task is somewhere")
    workers: Mapping[str, Worker] = {_address(w): w for w in (scene.worker, second)}
    carrier = workers[_place(scene)]
    return carrier, second if carrier is scene.worker else scene.worker


def _place(scene: Scene) -> str:
    try:
        status = scene.worker.request("GET", f"/connectors/{CONNECTOR}/status")
    except OSError:
        return ""
    return str(status["tasks"][0]["worker_id"]) if status["tasks"] else ""


def _address(worker: Worker) -> str:
    return worker.url.removeprefix("http://")
