"""Two controllers of one stage on the real stack, with state and manifests on the AWS mock.

Both write one volume, since a config names its path and the worker here has one. The lease is
short, so that a kill costs seconds.
"""

from __future__ import annotations

import json
import signal
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.error import URLError
from urllib.request import urlopen

import pytest

from devstack.environment import wait_until
from devstack.port import free_port
from devstack.process import Child
from devstack.scene import CONNECTOR, Scene
from devstack.stack import Stack
from tests.e2e.scenes import BASE, LogView, a_scene, put_config
from tests.tables import aws_client, make_bucket, make_table

pytestmark = [pytest.mark.stack, pytest.mark.timeout(300)]
SHORT = dict.fromkeys(("WMS_WRITE_DEADLINE", "WMS_KAFKA_DEADLINE", "WMS_PROBE_DEADLINE"), "4")
OWN_SIDE = ("secret/", "worker/")


@dataclass
class Sidecar:
    """One controller process, and what it says."""

    stack: Stack
    name: str
    env: Mapping[str, str]
    child: Child | None = None

    def start(self) -> None:
        self.child = self.stack.start_controller(self.env, name=self.name)

    def signal(self, number: int) -> None:
        assert self.child is not None
        self.child.signal(number)

    def status(self) -> dict[str, Any]:
        url = f"http://127.0.0.1:{self.env['WMS_HTTP_PORT']}/status"
        try:
            with urlopen(url, timeout=5) as answer:
                found: dict[str, Any] = json.load(answer)
                return found
        except (URLError, OSError, ValueError):
            return {}

    @property
    def leads(self) -> bool:
        return bool(self.status().get("leadership", {}).get("role") == "leader")

    @property
    def log(self) -> LogView:
        return LogView(self.stack.logs / f"{self.name}.log")


@dataclass
class Pair:
    scene: Scene
    one: Sidecar
    two: Sidecar

    def leader(self) -> Sidecar:
        """Wait until exactly one leads; answer it."""
        found: list[Sidecar] = []

        def one_leads() -> bool:
            found[:] = [each for each in (self.one, self.two) if each.leads]
            return len(found) == 1

        assert wait_until(one_leads, 90), "nobody leads, or both do"
        return found[0]

    def other(self, than: Sidecar) -> Sidecar:
        return self.two if than is self.one else self.one

    def wait_running(self) -> None:
        self.scene.wait_running(90)


@pytest.fixture(scope="module")
def pair(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    table, bucket = make_table(stack.aws.url), make_bucket(stack.aws.url)
    with a_scene(stack, "e2e-lead") as scene:
        scene.env |= SHORT | {
            "WMS_STATE_TABLE": table,
            "WMS_MANIFESTS_S3": f"s3://{bucket}/manifests/",
        }
        folder = scene.env["WMS_MANIFESTS"]
        done = scene.wmsctl("manifests", "push", "-m", folder, "--reason", "first")
        assert done.returncode == 0, done.stderr
        scene.env["WMS_MANIFESTS"] = str(tmp_path_factory.mktemp("nothing"))
        second = scene.env | {
            "WMS_HTTP_PORT": str(free_port()),
            "WMS_METRICS_PORT": str(free_port()),
        }
        one = Sidecar(stack, "controller-lead-1", scene.env)
        two = Sidecar(stack, "controller-lead-2", second)
        one.start()
        two.start()
        try:
            yield Pair(scene, one, two)
        finally:
            for each in (one, two):
                if each.child is not None and each.child.alive:
                    each.signal(signal.SIGCONT)
                    stack.kill_child(each.child)


@pytest.fixture
def at_work(pair: Pair) -> Pair:
    """Both live, one leads, all is as declared."""
    for each in (pair.one, pair.two):
        if each.child is None or not each.child.alive:
            each.start()
    pair.leader()
    pair.wait_running()
    assert wait_until(lambda: bool(pair.leader().status().get("converged")), 90)
    assert wait_until(lambda: pair.other(pair.leader()).status().get("cycle", 0) > 0, 60)
    return pair


def drifted(pair: Pair) -> bool:
    return pair.scene.config().get("poll.interval.ms") == "60000"


def actions_on_the_world(log: LogView) -> list[str]:
    lines = log.events("action")
    return [line["action"] for line in lines if not line["resource"].startswith(OWN_SIDE)]


def test_manifests_from_s3_and_state_in_a_table_are_enough_to_run_a_stage(at_work: Pair) -> None:
    records = aws_client("dynamodb", at_work.scene.stack.aws.url).scan(
        TableName=at_work.scene.env["WMS_STATE_TABLE"]
    )["Items"]
    keys = {item["sk"]["S"] for item in records if item["pk"]["S"] == "record"}
    assert {"birth/stage", "lease/leader", "manifests/enforced"} <= keys
    assert any(key.startswith("sidecar/") for key in keys)
    assert at_work.scene.topic(BASE) in at_work.scene.stack.topics()


def test_the_deploy_is_verified_and_steered_through_the_table(at_work: Pair) -> None:
    scene = at_work.scene
    nobody = f"http://127.0.0.1:{free_port()}"
    outside = {**scene.env, "WMS_HTTP_PORT": str(free_port()), "WMS_CONNECT_URL": nobody}
    inside, scene.env = scene.env, outside
    try:
        status = scene.wmsctl("status")
        assert "from table" in status.stdout, status.stderr
        verified = scene.wmsctl("verify", "--timeout", "90", "--within", "600", seconds=150)
        assert verified.returncode == 0, verified.stdout + verified.stderr
        frozen = scene.wmsctl("freeze", "--for", "10m", "--reason", "a look around")
        assert frozen.returncode == 0, frozen.stderr
        put_config(scene, poll_interval_ms="60000")
        assert wait_until(lambda: "Frozen" in scene.wmsctl("status").stdout, 60, every=1.0)
        assert drifted(at_work)
        planned = scene.wmsctl("plan")
        assert planned.returncode == 2, planned.stdout + planned.stderr
        assert "the leader's view: from table" in planned.stdout
        assert "(held: Frozen)" in planned.stdout
        assert "poll.interval.ms: 60000 -> " in planned.stdout
        explained = scene.wmsctl("explain", CONNECTOR)
        assert "RUNNING; task 0 RUNNING" in explained.stdout, explained.stderr
        assert scene.wmsctl("unfreeze").returncode == 0
        assert wait_until(lambda: not drifted(at_work), 90)
    finally:
        scene.env = inside


def test_a_leader_killed_is_followed_and_drift_is_put_right(at_work: Pair) -> None:
    leader = at_work.leader()
    assert leader.child is not None
    at_work.scene.stack.kill_child(leader.child)
    put_config(at_work.scene, poll_interval_ms="60000")
    assert wait_until(lambda: not drifted(at_work), 120)
    assert at_work.leader() is at_work.other(leader)


def test_a_leader_paused_and_resumed_writes_nothing_under_its_follower(at_work: Pair) -> None:
    leader = at_work.leader()
    follower = at_work.other(leader)
    log = leader.log
    leader.signal(signal.SIGSTOP)
    try:
        put_config(at_work.scene, poll_interval_ms="60000")
        assert wait_until(lambda: not drifted(at_work), 120)
        assert follower.leads
    finally:
        leader.signal(signal.SIGCONT)
    assert wait_until(lambda: bool(leader.status()) and not leader.leads, 60)
    cycle = leader.status()["cycle"]
    assert wait_until(lambda: leader.status().get("cycle", 0) > cycle + 2, 60)
    assert actions_on_the_world(log) == []
    assert follower.leads


def test_a_leader_that_ends_in_order_hands_over_at_once(at_work: Pair) -> None:
    leader = at_work.leader()
    follower = at_work.other(leader)
    assert leader.child is not None
    leader.signal(signal.SIGTERM)
    assert leader.child.wait(15) == 0
    assert wait_until(lambda: follower.leads, 60)


def test_a_rotation_is_taken_over_by_the_follower_of_a_leader_killed_in_the_midst_of_it(
    at_work: Pair,
) -> None:
    scene, leader = at_work.scene, at_work.leader()
    log = leader.log
    password = f"rotated-at-{time.monotonic_ns()}"
    scene.stack.postgres.rotate_password(password)
    version = scene.stack.aws.rotate_secret(f"wms/{scene.stage}/dbInfo", {"password": password})
    assert wait_until(lambda: bool(log.events("acting")), 60, every=0.01)
    assert leader.child is not None
    scene.stack.kill_child(leader.child)
    assert wait_until(lambda: version in scene.config().get("database.password", ""), 120)
    root = Path(scene.env["WMS_SECRETS_ROOT"])
    assert (root / f"wms/{scene.stage}/dbInfo" / version / "password").is_file()
    at_work.wait_running()


def changed(scene: Scene, folder: Path, file: str, before: str, after: str) -> Path:
    """Copy the stage's manifests with one thing changed."""
    for source in scene.manifests.rglob("*.yaml"):
        target = folder / source.relative_to(scene.manifests)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(source.read_text(encoding="utf-8"), encoding="utf-8")
    text = (folder / file).read_text(encoding="utf-8")
    assert before in text
    (folder / file).write_text(text.replace(before, after), encoding="utf-8")
    return folder


def test_a_pushed_change_and_its_rollback_are_in_force_without_a_restart(
    at_work: Pair, tmp_path: Path
) -> None:
    scene = at_work.scene
    changed(scene, tmp_path, "stages/local/policy.yaml", "cycle: 1s", "cycle: 2s")
    before = at_work.leader().status()["revision"]["id"]
    pushed = scene.wmsctl("manifests", "push", "-m", str(tmp_path), "-o", "json")
    assert pushed.returncode == 0, pushed.stderr
    after = json.loads(pushed.stdout)["revision"]
    assert after != before
    assert wait_until(lambda: at_work.leader().status()["revision"]["id"] == after, 60)
    assert scene.wmsctl("manifests", "rollback").returncode == 0
    assert wait_until(lambda: at_work.leader().status()["revision"]["id"] == before, 60)


def test_offsets_are_put_back_by_the_leader_for_whom_connect_is_out_of_reach(
    at_work: Pair, tmp_path: Path
) -> None:
    scene, file = at_work.scene, tmp_path / "offsets.json"
    driver = "  class: io.debezium.connector.postgresql.PostgresConnector\n"
    changed(scene, tmp_path, "stages/local/connector.yaml", driver, f"{driver}  state: stopped\n")
    nobody = f"http://127.0.0.1:{free_port()}"
    outside = {**scene.env, "WMS_HTTP_PORT": str(free_port()), "WMS_CONNECT_URL": nobody}
    inside, scene.env = scene.env, outside
    restore = ["offsets", "restore", CONNECTOR, str(file), "--reason", "the step went wrong"]
    try:
        export = ("offsets", "export", CONNECTOR, str(file))
        assert wait_until(lambda: scene.wmsctl(*export).returncode == 0, 90, every=2.0)
        running = scene.wmsctl(*restore, seconds=120)
        assert running.returncode == 1, running.stdout
        assert "stop it first" in running.stderr
        pushed = scene.wmsctl("manifests", "push", "-m", str(tmp_path))
        assert pushed.returncode == 0, pushed.stderr
        assert wait_until(lambda: scene.state() == "STOPPED", 60)
        document = json.loads(file.read_text(encoding="utf-8"))
        document["offsets"][0]["offset"]["lsn"] -= 1
        file.write_text(json.dumps(document), encoding="utf-8")
        asked = scene.wmsctl(*restore, seconds=120)
        assert asked.returncode == 2, asked.stderr
        ident = asked.stdout.rpartition("--accept ")[2].strip()
        done = scene.wmsctl(*restore, "--accept", ident, seconds=120)
        assert done.returncode == 0, done.stderr
    finally:
        scene.env = inside
    now = scene.worker.request("GET", f"/connectors/{CONNECTOR}/offsets")["offsets"]
    assert now == document["offsets"]
    assert "accepted as " + ident in scene.wmsctl("history", CONNECTOR).stdout
    assert scene.wmsctl("manifests", "rollback").returncode == 0
    at_work.wait_running()
