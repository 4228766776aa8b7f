"""What the process refuses to do: it stays up, says why, and writes nothing anywhere."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from devstack.port import free_port
from devstack.process import Child
from devstack.scene import DATA_TOPICS, Scene
from devstack.stack import Stack
from tests.e2e.scenes import (
    a_proxy,
    a_scene,
    begin,
    edit,
    end_controller,
    end_with,
    log_of,
    next_cycles,
    page,
    put_file,
    wait_no_row_lost,
)

pytestmark = [pytest.mark.stack, pytest.mark.timeout(120)]
ORACLE = "wms-oracle-cdc"
ORACLE_KEY = f"connector/{ORACLE}"
BAD = "apiVersion: wms.cdc/v1\nkind: Topic\nmetadata:\n  name: wms.X\nspec:\n  retention: soon\n"


# --- a stage or an address in doubt -----------------------------------------------------------


@contextmanager
def a_refused_process(stack: Stack, env: dict[str, str]) -> Iterator[Child]:
    child = stack.start_controller(env, name="controller-refused")
    try:
        yield child
    finally:
        if child.alive:
            stack.kill_child(child)


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"WMS_STAGE": "Main"}, "Main"),
        ({"WMS_STAGE": ""}, "stage"),
        ({"WMS_STAGE": "main "}, "main"),
        ({"WMS_STAGE": "wms"}, "wms"),
        ({"WMS_CONNECT_URL": "http://connect.example:8083"}, "loopback"),
        ({"WMS_AWS_ENDPOINT_URL": "http://192.0.2.1:4566"}, "loopback"),
        ({"WMS_STAGE": "val", "WMS_OVERLAY": "production"}, "overlay"),
    ],
)
def test_a_doubtful_stage_or_address_keeps_the_process_up_and_everything_untouched(
    stack: Stack, changed: dict[str, str], told: str
) -> None:
    worker_root = stack.folder / "refused" / "secrets"
    worker_root.mkdir(parents=True, exist_ok=True)
    state = stack.folder / "refused" / "state.json"
    env = stack.aws.environment() | {
        "WMS_STAGE": "main",
        "WMS_OVERLAY": "local",
        "WMS_CONNECT_URL": f"http://127.0.0.1:{free_port()}",
        "WMS_AWS_ENDPOINT_URL": stack.aws.url,
        "WMS_SECRETS_ROOT": str(worker_root),
        "WMS_STATE_FILE": str(state),
        "WMS_HTTP_PORT": str(free_port()),
        "WMS_METRICS_PORT": str(free_port()),
    }
    topics = stack.topics()
    scene = _Pages(env | changed)
    with a_refused_process(stack, stack_env(env | changed)) as child:
        child.wait_ready(lambda: page(scene, "/healthz")[0] == 503, 30)
        body = json.loads(page(scene, "/healthz")[1])
        assert body["reason"] == "Refused"
        assert told in body["message"]
        assert page(scene, "/readyz")[0] == 503
        assert list(worker_root.iterdir()) == []
        assert not state.exists()
        assert stack.topics() == topics
        assert end_with(child, 15, 6) == 0


class _Pages(Scene):
    """Only the addresses of the listeners."""

    def __init__(self, env: dict[str, str]) -> None:
        self.env = env


def stack_env(env: dict[str, str]) -> dict[str, str]:
    from devstack.process import base_env

    return base_env(env)


# --- no good revision yet ---------------------------------------------------------------------


def test_a_bad_first_revision_brings_only_secrets_and_ready_until_it_is_corrected(
    stack: Stack,
) -> None:
    before = stack.topics()
    with a_scene(stack, "e2e-first") as scene:
        bad = scene.manifests / "stages" / "local" / "mistake.yaml"
        put_file(bad, BAD)
        log = log_of(scene)
        scene.start()
        scene.wait((scene.worker.root / "ready").exists, "the worker is let in")
        scene.wait(scene.worker.healthy, "the worker is up", 60)
        at = scene.status()["cycle"]
        put_file(bad, f"{BAD}# still bad\n")  # wakes it: without a revision it looks every 15 s
        scene.wait(lambda: scene.status().get("cycle", 0) > at, "it looked at the worker", 40)
        assert set(log.actions()) == {"WriteSecretFiles", "WriteReady"}
        assert scene.worker.request("GET", "/connectors") == []
        assert not {scene.topic(name) for name in DATA_TOPICS} & stack.topics()
        assert "mistake.yaml:6" in scene.status()["refusedRevision"]["message"]
        assert page(scene, "/healthz")[0] == 200
        bad.unlink()
        begin(scene)
        wait_no_row_lost(scene)
        assert {scene.topic(name) for name in DATA_TOPICS} <= stack.topics() - before


# --- Oracle without a database ----------------------------------------------------------------


@pytest.fixture(scope="module")
def oracle(stack: Stack) -> Iterator[Scene]:
    """The real Oracle connector, pointed at a closed port of this machine."""
    with a_scene(stack, "e2e-oracle") as scene:
        nothing_there = {
            "host": "127.0.0.1",
            "port": str(free_port()),
            "dbname": "ORCLCDB",
            "pdb": "ORCLPDB1",
            "user": "c##dbzuser",
            "password": "an-oracle-password",
            "schema": "WMS",
        }
        stack.aws.put_secret(f"wms/{scene.stage}/dbInfo", nothing_there)
        edit(scene, "stages/local/connector.yaml", _keep_oracle)
        (scene.manifests / "stages" / "local" / "topics.yaml").unlink()
        yield scene


def _keep_oracle(documents: list[Any]) -> None:
    documents[:] = documents[:1]
    config: dict[str, Any] = {
        f"schema.history.internal.{side}.{key}": None
        for side in ("producer", "consumer")
        for key in ("sasl.mechanism", "sasl.jaas.config", "sasl.client.callback.handler.class")
    }
    for side in ("producer", "consumer"):
        config[f"schema.history.internal.{side}.security.protocol"] = "PLAINTEXT"
    documents[0]["spec"] = {"config": config}


def _set_probe(scene: Scene, mode: str) -> None:
    def change(documents: list[Any]) -> None:
        documents[0]["spec"]["probe"] = mode

    edit(scene, "stages/local/policy.yaml", change)


@pytest.mark.parametrize("probe", ["required", "advisory"])
def test_oracle_without_its_database_is_held_with_the_reason_and_nothing_is_called_healthy(
    oracle: Scene, probe: str
) -> None:
    scene = oracle
    end_controller(scene)
    _set_probe(scene, probe)
    (scene.stack.folder / f"state-{scene.stage}.json").unlink(missing_ok=True)
    with a_proxy(scene) as proxy:
        scene.start()
        scene.wait(scene.worker.healthy, "the worker is up", 60)
        scene.wait(
            lambda: "SourceUnreachable" in _reasons(scene), f"it says why: {_reasons(scene)}", 60
        )
        next_cycles(scene)
        assert scene.worker.request("GET", "/connectors") == []
        ready = scene.condition(ORACLE_KEY, "Ready")
        assert (ready["status"], ready["reason"]) == ("False", "Absent")
        assert scene.condition(ORACLE_KEY, "Synced")["status"] == "False"
        assert not scene.status()["converged"]
        told = json.dumps(scene.status())
        assert "an-oracle-password" not in told
        assert "127.0.0.1" in scene.resource(ORACLE_KEY)["message"] + told
        if probe == "required":
            assert proxy.writes == [], "nothing was sent to the worker"
        assert {scene.topic("wms"), scene.topic("wms.schema-changes")} <= scene.stack.topics()
        assert scene.topic_config("wms.schema-changes", "retention.ms") == "-1"


def _reasons(scene: Scene) -> set[str]:
    found = scene.resource(ORACLE_KEY)
    conditions = {c["reason"] for c in found.get("conditions", [])}
    return {str(found.get("reason")), *conditions}
