"""Failures on the real worker: what is restarted, what is stopped, what waits for a person."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.error import URLError

import pg8000.native
import pytest

from controller.adapters.clock import SystemClock
from controller.adapters.state_file import StateFile
from controller.core.failure import FailureKind, known
from devstack.environment import wait_until
from devstack.scene import CONNECTOR, Scene
from devstack.stack import Stack
from tests.e2e.scenes import (
    OF_A_STOPPING_TASK,
    a_scene,
    begin,
    log_of,
    next_cycles,
    refused_logins,
    settle,
    wait_no_row_lost,
    wait_position,
)

pytestmark = [pytest.mark.stack, pytest.mark.timeout(300)]
SECRET = "wms/e2e-again/dbInfo"
SLOT = "wms_e2e_slot"


@pytest.fixture(scope="module")
def played(stack: Stack) -> Iterator[Scene]:
    with a_scene(stack, "e2e-again") as scene:
        yield scene


@pytest.fixture
def scene(played: Scene) -> Scene:
    begin(played)
    return played


def restart(scene: Scene) -> None:
    """As somebody does by REST."""
    path = f"/connectors/{CONNECTOR}/restart?includeTasks=true&onlyFailed=false"
    scene.worker.request("POST", path)


def step(scene: Scene) -> dict[str, Any]:
    return scene.resource(f"restart/{CONNECTOR}")


def test_a_task_that_failed_as_its_session_ended_is_restarted_and_heals(scene: Scene) -> None:
    log = log_of(scene)
    wait_position(scene)  # a start that ends before it has one finds its own slot in the way
    scene.kill()  # a restart in the midst of it would fail too, and earn a long pause
    _forget_tries(scene)
    assert scene.fail_as_it_starts()
    scene.start()
    scene.wait_running(90)
    settle(scene, 90)
    assert log.actions("restart/").count("Restart") >= 1
    wait_no_row_lost(scene)


def _forget_tries(scene: Scene) -> None:
    """As after days in which all was well: what the tests before cost has earned a pause."""
    store = StateFile(Path(scene.env["WMS_STATE_FILE"]), clock=SystemClock())
    store.delete(f"restart/{CONNECTOR}")


def test_a_database_that_stops_and_starts_costs_no_storm_of_restarts(scene: Scene) -> None:
    log = log_of(scene)
    scene.stack.postgres.stop()
    try:
        next_cycles(scene, 8)
    finally:
        scene.stack.postgres.start()
    scene.wait_running(180)
    scene.stack.postgres.insert_waiver("WMS", "after the outage")
    wait_no_row_lost(scene, 90)
    assert log.actions("restart/").count("Restart") <= 2


def test_a_password_changed_without_the_secret_is_stopped_after_at_most_two_logins(
    scene: Scene,
) -> None:
    stack = scene.stack
    settle(scene, 90)
    before = refused_logins(stack)
    stack.postgres.rotate_password("changed-by-the-dba")
    stack.postgres.end_sessions()
    with suppress(URLError, OSError):
        restart(scene)
    scene.wait(lambda: scene.state() == "STOPPED", "it is stopped", 60)
    next_cycles(scene, 25, 180)  # a loop would try again twice
    assert refused_logins(stack) - before <= 2 + OF_A_STOPPING_TASK
    assert scene.state() == "STOPPED"
    stack.aws.rotate_secret(SECRET, {"password": "changed-by-the-dba"})
    scene.wait_running(90)
    settle(scene, 90)
    wait_no_row_lost(scene)


def test_a_slot_that_was_dropped_is_held_for_a_person(stack: Stack) -> None:
    with a_scene(stack, "e2e-slot") as scene:  # what it does to its stage is for good
        begin(scene)
        wait_position(scene)  # without one it would make its slot again and read everything
        log = log_of(scene)
        _drop_the_slot(scene)
        _assert_held_for_a_person(scene)
        assert "Restart" not in log.actions("restart/")


def _drop_the_slot(scene: Scene) -> None:
    postgres = scene.stack.postgres
    its_reader = "SELECT pg_terminate_backend(active_pid) FROM pg_replication_slots"

    def dropped() -> bool:
        with suppress(pg8000.native.Error, OSError):
            postgres.query(f"{its_reader} WHERE slot_name = :slot", slot=SLOT)
            postgres.drop_slot(SLOT)
        rows = postgres.query(
            "SELECT 1 FROM pg_replication_slots WHERE slot_name = :slot", slot=SLOT
        )
        return not rows

    assert wait_until(dropped, 30, every=0.01)


def _assert_held_for_a_person(scene: Scene) -> None:
    scene.wait(lambda: "FAILED" in scene.task_states(), "the task fails", 90)
    scene.wait(lambda: step(scene).get("decision") == "Stall", "it is held", 60)
    next_cycles(scene, 5)
    held = known(step(scene)["reason"])
    assert held is not None
    assert held.kind is FailureKind.DATA_POSITION
    assert "release" in step(scene)["message"]
