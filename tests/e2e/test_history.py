"""The history and the offsets, as people read and use them, on the real stack."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from devstack.scene import Scene
from devstack.stack import Stack
from tests.e2e.scenes import BASE, a_scene, begin, settle

pytestmark = [pytest.mark.stack, pytest.mark.timeout(180)]
NAME = "wms-postgres-cdc"


@pytest.fixture(scope="module")
def scene(stack: Stack) -> Iterator[Scene]:
    with a_scene(stack, "e2e-past") as scene:
        begin(scene)
        yield scene


def test_a_repair_by_the_real_controller_is_told(scene: Scene) -> None:
    scene.set_topic_config(BASE, "retention.ms", "60000")
    settle(scene)
    done = scene.wmsctl("history", f"topic/{scene.topic(BASE)}", "-o", "json")
    assert done.returncode == 0, done.stderr
    acts = [e for e in json.loads(done.stdout) if e["event"] == "action"]
    assert acts[-1]["outcome"] == "done"
    assert acts[-1]["changes"] == ["~ retention.ms: 60000 -> 1209600000"]
    assert scene.stack.postgres.password not in done.stdout
    shown = [e for e in scene.status()["history"] if e["action"] == "AlterTopic"]
    assert shown[-1]["resource"] == acts[-1]["resource"]
    assert (shown[-1]["who"], shown[-1]["outcome"]) == (acts[-1]["who"], "done")


def test_offsets_are_restored_only_stopped_and_accepted(scene: Scene, tmp_path: Path) -> None:
    file = tmp_path / "offsets.json"
    scene.wait(
        lambda: json.loads(scene.wmsctl("offsets", "show", NAME).stdout)["offsets"] != [],
        "there are offsets",
    )
    assert scene.wmsctl("offsets", "export", NAME, str(file)).returncode == 0
    running = scene.wmsctl("offsets", "restore", NAME, str(file))
    assert running.returncode == 1
    assert "stop it first" in running.stderr
    word = ["--for", "1h", "--reason", "offsets"]
    assert scene.wmsctl("suspend", f"connector/{NAME}", *word).returncode == 0
    scene.worker.request("PUT", f"/connectors/{NAME}/stop")
    document = json.loads(file.read_text(encoding="utf-8"))
    document["offsets"][0]["offset"]["lsn"] -= 1
    file.write_text(json.dumps(document), encoding="utf-8")
    scene.wait(
        lambda: scene.wmsctl("offsets", "restore", NAME, str(file)).returncode == 2,
        "the plan of the restore is shown",
    )
    planned = scene.wmsctl("offsets", "restore", NAME, str(file))
    assert "older" in planned.stdout
    ident = planned.stdout.rpartition("--accept ")[2].strip()
    assert scene.wmsctl("offsets", "restore", NAME, str(file), "--accept", "0").returncode == 1
    done = scene.wmsctl("offsets", "restore", NAME, str(file), "--accept", ident)
    assert done.returncode == 0, done.stderr
    shown = json.loads(scene.wmsctl("offsets", "show", NAME).stdout)
    assert shown["offsets"] == document["offsets"]
    told = scene.wmsctl("history", f"connector/{NAME}").stdout
    assert "RestoreOffsets" in told
    assert scene.wmsctl("unsuspend", f"connector/{NAME}").returncode == 0
    scene.worker.request("PUT", f"/connectors/{NAME}/resume")
