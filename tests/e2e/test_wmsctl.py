"""The commands that people and pipelines type, on the real stack."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator

import pytest
import yaml

from devstack.scene import Scene
from devstack.stack import Stack
from tests.e2e.scenes import (
    BASE,
    CONNECTOR_KEY,
    a_scene,
    begin,
    log_of,
    next_cycles,
    put_config,
    put_file,
    set_connector_key,
    settle,
)

pytestmark = [pytest.mark.stack, pytest.mark.timeout(120)]
DRIFTED = "60000"


@pytest.fixture(scope="module")
def played(stack: Stack) -> Iterator[Scene]:
    with a_scene(stack, "e2e-ctl") as scene:
        yield scene


@pytest.fixture
def scene(played: Scene) -> Scene:
    """A stage with its controller at work and nothing to do."""
    begin(played)
    return played


@pytest.fixture
def alone(played: Scene) -> Scene:
    """A stage in order, with no controller."""
    begin(played)
    played.stop()
    return played


def test_plan_ends_with_0_in_sync_2_with_a_change_and_1_without_sight(alone: Scene) -> None:
    assert alone.wmsctl("plan").returncode == 0
    alone.set_topic_config(BASE, "retention.ms", DRIFTED)
    changed = Scene.wmsctl(alone, "plan")  # as a person types it, in an interpreter of its own
    assert changed.returncode == 2, changed.stdout + changed.stderr
    assert f"~ topic/{alone.topic(BASE)}" in changed.stdout
    assert "retention.ms: 60000 -> 1209600000" in changed.stdout
    assert "Plan: 0 to create, 1 to change, 0 to delete." in changed.stdout
    alone.env["WMS_CONNECT_URL"], url = "http://127.0.0.1:9", alone.env["WMS_CONNECT_URL"]
    try:
        blind = alone.wmsctl("plan")
    finally:
        alone.env["WMS_CONNECT_URL"] = url
    assert blind.returncode == 1
    assert "connect could not be looked at" in blind.stderr


def test_plan_changes_nothing_and_logs_in_nowhere(alone: Scene) -> None:
    state = alone.stack.folder / f"state-{alone.stage}.json"
    put_config(alone, poll_interval_ms=DRIFTED)
    alone.wait_running()
    before = (state.read_bytes(), alone.config(), _logins(alone))
    assert alone.wmsctl("plan").returncode == 2
    assert (state.read_bytes(), alone.config(), _logins(alone)) == before


def _logins(scene: Scene) -> int:
    log = (scene.stack.logs / "postgres.log").read_bytes()
    return log.count(b"application_name=wms-connector-controller")


def test_plan_as_json_is_json_and_holds_no_secret(alone: Scene) -> None:
    password = alone.stack.postgres.password
    alone.worker.request("DELETE", "/connectors/wms-postgres-cdc")
    alone.wait(lambda: not alone.config(), "the connector is gone")
    done = alone.wmsctl("plan", "-o", "json")
    assert done.returncode == 2, done.stderr
    data = json.loads(done.stdout)
    assert any(step["resource"] == CONNECTOR_KEY for step in data["steps"])
    assert password not in done.stdout + done.stderr
    as_yaml = alone.wmsctl("plan", "-o", "yaml")
    assert [s["resource"] for s in yaml.safe_load(as_yaml.stdout)["steps"]] == [
        s["resource"] for s in data["steps"]
    ]


def test_plan_and_run_do_the_same(alone: Scene) -> None:
    alone.set_topic_config(BASE, "retention.ms", DRIFTED)
    put_config(alone, poll_interval_ms=DRIFTED)
    alone.wait_running()
    planned = json.loads(alone.wmsctl("plan", "-o", "json").stdout)
    acting = {step["resource"] for step in planned["steps"] if step["decision"] == "Act"}
    log = log_of(alone)
    begin(alone)
    done = {line["resource"] for line in log.events("action")}
    assert acting == done == {f"topic/{alone.topic(BASE)}", CONNECTOR_KEY}


def test_apply_refuses_where_a_controller_runs_and_converges_where_none_does(
    scene: Scene,
) -> None:
    refused = scene.wmsctl("apply")
    assert refused.returncode == 1
    assert "a controller runs this stage" in refused.stderr
    scene.stop()
    scene.set_topic_config(BASE, "retention.ms", DRIFTED)
    scene.worker.request("DELETE", "/connectors/wms-postgres-cdc")
    scene.wait(lambda: not scene.config(), "the connector is gone")
    done = scene.wmsctl("apply", "--timeout", "60", seconds=90)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "All is as declared." in done.stdout
    assert scene.running()
    assert scene.topic_config(BASE, "retention.ms") != DRIFTED
    assert scene.wmsctl("plan").returncode == 0


def test_apply_ends_with_1_and_names_where_only_a_person_can_help(alone: Scene) -> None:
    revert = set_connector_key(alone, "database.dbname", "another")
    try:
        done = alone.wmsctl("apply", "--timeout", "20", seconds=60)
    finally:
        revert()
    assert done.returncode == 1
    assert f"{CONNECTOR_KEY}: " in done.stderr
    assert alone.config()["database.dbname"] != "another"


def test_suspend_holds_a_repair_and_unsuspend_lets_it_happen(scene: Scene) -> None:
    key = f"topic/{scene.topic(BASE)}"
    done = scene.wmsctl("suspend", key, "--for", "1h", "--reason", "we look at it")
    assert done.returncode == 0, done.stderr
    scene.set_topic_config(BASE, "retention.ms", DRIFTED)
    scene.wait(lambda: scene.resource(key).get("reason") == "Suspended", "it is held")
    next_cycles(scene)
    assert scene.topic_config(BASE, "retention.ms") == DRIFTED
    assert "we look at it" in scene.resource(key)["message"]
    assert scene.wmsctl("plan").returncode == 2, "a held change is a change"
    put_config(scene, poll_interval_ms=DRIFTED)
    scene.wait(lambda: scene.config().get("poll.interval.ms") != DRIFTED, "others are looked after")
    scene.kill()
    scene.start()
    scene.wait(lambda: scene.resource(key).get("reason") == "Suspended", "it outlives the process")
    assert scene.wmsctl("unsuspend", key).returncode == 0
    scene.wait(lambda: scene.topic_config(BASE, "retention.ms") != DRIFTED, "it is repaired")
    settle(scene)
    assert scene.wmsctl("unsuspend", key).returncode == 1, "it is not suspended any more"


def test_a_suspension_ends_by_itself(scene: Scene) -> None:
    done = scene.wmsctl("suspend", CONNECTOR_KEY, "--for", "4s", "--reason", "a short while")
    assert done.returncode == 0, done.stderr
    put_config(scene, poll_interval_ms=DRIFTED)
    scene.wait(lambda: scene.config().get("poll.interval.ms") != DRIFTED, "it is repaired")
    settle(scene)


def test_status_shows_every_resource_and_says_where_no_controller_answers(scene: Scene) -> None:
    scene.wait_converged()
    shown = scene.wmsctl("status")
    assert shown.returncode == 0, shown.stderr
    assert CONNECTOR_KEY in shown.stdout
    data = json.loads(scene.wmsctl("status", "-o", "json").stdout)
    assert data["stage"] == scene.stage
    assert data["converged"] is True
    scene.stop()
    silent = scene.wmsctl("status")
    assert silent.returncode == 1
    assert "no controller answers" in silent.stderr


def test_render_reads_back_to_the_same_revision(played: Scene) -> None:
    rendered = played.wmsctl("render")
    assert rendered.returncode == 0, rendered.stderr
    assert played.stack.postgres.password not in rendered.stdout
    flat = played.stack.folder / "rendered"
    flat.mkdir(exist_ok=True)
    put_file(flat / "all.yaml", rendered.stdout)
    again = played.wmsctl("render", "--manifests", str(flat))
    assert again.stdout == rendered.stdout, again.stderr
    first = json.loads(played.wmsctl("validate", "-o", "json").stdout)
    second = json.loads(played.wmsctl("validate", "-o", "json", "-m", str(flat)).stdout)
    assert first["revision"] == second["revision"]


def test_validate_names_file_line_and_field_and_needs_no_network(played: Scene) -> None:
    assert played.wmsctl("validate").returncode == 0
    bad = played.manifests / "stages" / "local" / "mistake.yaml"
    put_file(bad, "apiVersion: wms.cdc/v1\nkind: Topik\nmetadata:\n  name: x\n")
    try:
        done = played.wmsctl("validate")
    finally:
        bad.unlink()
    assert done.returncode == 1
    assert "stages/local/mistake.yaml:2" in done.stderr


def test_plan_against_a_commit_compares_offline(played: Scene) -> None:
    def git(*arguments: str) -> None:
        who = ("-c", "user.name=nobody", "-c", "user.email=nobody@localhost")
        subprocess.run(
            ["git", "-C", str(played.manifests), *who, *arguments],
            check=True,
            capture_output=True,
            timeout=30,
        )

    git("init", "-q")
    git("add", ".")
    git("commit", "-q", "-m", "first")
    assert played.wmsctl("plan", "--against", "HEAD").returncode == 0
    revert = set_connector_key(played, "max.batch.size", "1024")
    try:
        done = played.wmsctl("plan", "--against", "HEAD")
    finally:
        revert()
    assert done.returncode == 2, done.stderr
    assert f"~ {CONNECTOR_KEY}" in done.stdout
    assert "+ max.batch.size: None -> 1024" in done.stdout
    missing = played.wmsctl("plan", "--against", "no-such-commit")
    assert missing.returncode == 1
    assert "git cannot read" in missing.stderr


def test_wrong_usage_ends_with_1(played: Scene) -> None:
    for arguments in (
        ("suspend", "banana", "--for", "1h", "--reason", "x"),
        ("suspend", CONNECTOR_KEY, "--for", "soon", "--reason", "x"),
        ("plan", "--no-such-option"),
        ("no-such-command",),
    ):
        done = played.wmsctl(*arguments)
        assert done.returncode == 1, arguments
        assert done.stderr, arguments
