"""How far behind the pipeline is, as the running controller tells it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, Final

import pytest

from devstack.scene import CONNECTOR, Scene
from devstack.stack import Stack
from tests.e2e.scenes import BASE, Writer, a_scene, edit, page, settle

pytestmark = [pytest.mark.stack, pytest.mark.timeout(300)]
SMALL: Final = 45.0  # seconds; a heartbeat and a look each 2 s, and a machine that is busy
DEAD: Final = 60.0
TOPIC: Final = f"e2e-lag.{BASE}"


@pytest.fixture(scope="module")
def scene(stack: Stack) -> Iterator[Scene]:
    with a_scene(stack, "e2e-lag") as played:
        edit(played, "stages/local/policy.yaml", _look_often)
        played.start()
        settle(played, 120)
        yield played


def _look_often(documents: list[Any]) -> None:
    documents[0]["spec"]["intervals"]["lag"] = "2s"
    documents[0]["spec"]["readSourceTimestamps"] = True


def lag(scene: Scene) -> dict[str, Any]:
    found: dict[str, Any] = scene.resource(f"connector/{CONNECTOR}").get("lag") or {}
    return found


def seconds(scene: Scene) -> float:
    """What the status says; a lag that nobody knows is endless."""
    found = lag(scene).get("seconds")
    return float("inf") if found is None else float(found)


def scraped(scene: Scene, series: str) -> float | None:
    _, text = page(scene, "/metrics", "WMS_METRICS_PORT")
    found = re.search(rf"^{re.escape(series)} (\S+)$", text, re.MULTILINE)
    return float(found[1]) if found else None


def test_a_quiet_pipeline_and_one_that_flows_are_close_behind(scene: Scene) -> None:
    scene.wait(lambda: seconds(scene) < SMALL, "a small lag of a quiet source", 90)
    assert "heartbeat" in lag(scene)["seen"]
    with Writer(scene.stack):
        scene.wait(
            lambda: (lag(scene)["topics"].get(TOPIC, {}).get("newestRecordAge") or 1e9) < SMALL,
            "a row's age",
            90,
        )
        assert seconds(scene) < SMALL
        scene.wait(lambda: "sourceTime" in lag(scene)["seen"], "when rows were committed", 90)
    assert scraped(scene, f'wms_lag_seen{{name="{CONNECTOR}",sign="heartbeat"}}') == 1
    assert (scraped(scene, f'wms_lag_seconds{{name="{CONNECTOR}"}}') or 0.0) < SMALL


def test_the_worker_tells_by_jmx_what_the_connector_does(scene: Scene) -> None:
    scene.wait(lambda: scraped(scene, "wms_jmx_up") == 1, "the JMX agent's page", 90)
    series = f'wms_source_connected{{name="{CONNECTOR}"}}'
    scene.wait(lambda: scraped(scene, series) == 1, "the connector's own metrics", 90)


def test_a_pipeline_whose_worker_is_dead_falls_behind_until_it_is_back(scene: Scene) -> None:
    scene.wait(lambda: seconds(scene) < SMALL, "a small lag", 90)
    scene.worker.kill()
    scene.wait(lambda: seconds(scene) > DEAD, "a lag that grows", 150)
    assert scraped(scene, "wms_jmx_up") == 0
    scene.worker.start()
    scene.wait(lambda: seconds(scene) < SMALL, "a small lag again", 150)
