"""A rival and a freeze on the real stack: what is shown, what is written, what goes on."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from devstack.scene import Scene
from devstack.stack import Stack
from tests.e2e.scenes import (
    CONNECTOR_KEY,
    a_scene,
    begin,
    edit,
    log_of,
    next_cycles,
    page,
    put_config,
    set_connector_key,
    settle,
)

pytestmark = [pytest.mark.stack, pytest.mark.timeout(240)]
KEY = "poll.interval.ms"


@pytest.fixture(scope="module")
def played(stack: Stack) -> Iterator[Scene]:
    with a_scene(stack, "e2e-pace") as scene:
        pace(scene, delay="0s", per_hour=1000)
        yield scene


@pytest.fixture
def scene(played: Scene) -> Scene:
    begin(played)
    return played


def pace(scene: Scene, *, delay: str, per_hour: int) -> None:
    def change(documents: list[Any]) -> None:
        documents[0]["spec"]["repair"] = {"delay": delay, "perHour": per_hour}

    edit(scene, "stages/local/policy.yaml", change)


def reason(scene: Scene) -> str:
    return str(scene.resource(CONNECTOR_KEY).get("reason"))


def test_drift_is_shown_first_and_repaired_when_its_delay_is_over(scene: Scene) -> None:
    pace(scene, delay="5s", per_hour=1000)
    next_cycles(scene)
    before = log_of(scene)
    put_config(scene, poll_interval_ms="60000")
    scene.wait(lambda: reason(scene) == "RepairDelayed", "it is shown")
    assert any(KEY in line for line in scene.resource(CONNECTOR_KEY)["diff"])
    scene.wait(lambda: scene.config().get(KEY) != "60000", "it is repaired", 60)
    settle(scene)
    assert before.actions("connector/").count("PutConfig") == 1
    pace(scene, delay="0s", per_hour=1000)


def test_a_rival_ends_in_contended_and_new_credentials_and_a_commit_go_on(scene: Scene) -> None:
    pace(scene, delay="0s", per_hour=3)
    next_cycles(scene)
    for number in range(3):
        if reason(scene) == "Contended":
            break
        put_config(scene, poll_interval_ms=str(60_000 + number))
        scene.wait(
            lambda: KEY not in scene.config() or reason(scene) == "Contended",
            "it is repaired, or left",
            60,
        )
        if reason(scene) != "Contended":
            settle(scene)
    put_config(scene, poll_interval_ms="77777")
    scene.wait(lambda: reason(scene) == "Contended", "nothing is written any more", 60)
    next_cycles(scene, 3)
    assert scene.config()[KEY] == "77777"
    assert "77777" in scene.resource(CONNECTOR_KEY)["message"]
    idle = [one for one in scene.status()["notActing"] if one["reason"] == "Contended"]
    assert [one["resource"] for one in idle] == [CONNECTOR_KEY]
    _, told = page(scene, "/metrics", "WMS_METRICS_PORT")
    assert 'wms_not_acting_seconds{reason="Frozen"} 0.0' in told
    assert 'wms_not_acting_seconds{reason="Contended"} 0.0' not in told

    named = scene.config()["database.password"]
    password = scene.stack.postgres.password  # the same in a new version is a rotation, too
    scene.stack.aws.rotate_secret(f"wms/{scene.stage}/dbInfo", {"password": password})
    scene.wait(lambda: scene.config()["database.password"] != named, "new credentials go on", 90)
    assert scene.config()[KEY] == "77777"

    revert = set_connector_key(scene, "max.batch.size", "1024")
    try:
        scene.wait(lambda: scene.config().get(KEY) != "77777", "a commit ends it", 60)
        settle(scene)
    finally:
        revert()
        pace(scene, delay="0s", per_hour=1000)
    settle(scene)


def test_what_a_freeze_held_is_shown_before_it_is_written(scene: Scene) -> None:
    done = scene.wmsctl("freeze", "--for", "1h", "--reason", "audit")
    assert done.returncode == 0, done.stderr
    put_config(scene, poll_interval_ms="60000")
    scene.wait(lambda: reason(scene) == "Frozen", "it is held")
    assert scene.config()[KEY] == "60000"
    (idle,) = (one for one in scene.status()["notActing"] if one["reason"] == "Frozen")
    assert "audit" in idle["message"]
    assert "not acting on the whole stage" in scene.wmsctl("status").stdout

    def slower(documents: list[Any]) -> None:
        documents[0]["spec"]["intervals"]["cycle"] = "8s"

    revert = edit(scene, "stages/local/policy.yaml", slower)
    try:
        next_cycles(scene, 1)
        assert scene.wmsctl("unfreeze").returncode == 0
        scene.wait(lambda: reason(scene) == "SuspensionEnded", "it is shown first", 60)
        assert scene.config()[KEY] == "60000"
        scene.wait(lambda: scene.config().get(KEY) != "60000", "then it is repaired", 60)
    finally:
        revert()
    settle(scene)
