"""How far behind the pipeline is, as the running controller tells it."""

from __future__ import annotations

import re
import struct
import zipfile
from collections.abc import Iterator
from typing import Any, Final
from urllib.request import urlopen

import pytest

from dashboards import catalog
from devstack.environment import wait_until
from devstack.jars import cache_folder
from devstack.scene import CONNECTOR, Scene
from devstack.stack import Stack
from tests.e2e.scenes import BASE, Writer, a_scene, edit, page, settle

pytestmark = [pytest.mark.stack, pytest.mark.timeout(300)]
SMALL: Final = 45.0  # seconds; a heartbeat and a look each 2 s, and a machine that is busy
DEAD: Final = 50.0
IDLE: Final = 50.0
ORACLE_PLUGIN: Final = "debezium-connector-oracle"
HISTOGRAM: Final = ("bucket", "sum", "count")
TOPIC: Final = f"e2e-lag.{BASE}"


@pytest.fixture(scope="module")
def scene(stack: Stack) -> Iterator[Scene]:
    with a_scene(stack, "e2e-lag") as played:
        edit(played, "stages/local/policy.yaml", _look_often)
        played.start()
        settle(played, 120)
        yield played


@pytest.fixture(scope="module", autouse=True)
def told(scene: Scene) -> set[str]:
    """Every series while the worker lives that read the snapshot: its rows count for no other."""
    found = set[str]()

    def snapshot_is_told() -> bool:
        with urlopen(scene.env["WMS_JMX_URL"], timeout=10) as answer:
            found.update(_families(answer.read().decode()))
        return catalog.debezium("RowsScanned") in found

    scene.wait(lambda: scraped(scene, "wms_jmx_up") == 1, "the JMX agent's page", 90)
    scene.wait(snapshot_is_told, "the rows that the snapshot read", 90)
    return found | _families(page(scene, "/metrics", "WMS_METRICS_PORT")[1])


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


def test_a_pipeline_that_idles_stays_close_behind_all_the_while(scene: Scene) -> None:
    scene.wait(lambda: seconds(scene) < SMALL, "a small lag of a quiet source", 90)
    looked: set[float] = set()

    def far_behind() -> bool:
        looked.add(scene.status()["at"])
        return seconds(scene) >= SMALL

    assert not wait_until(far_behind, IDLE, every=1.0), lag(scene)
    assert len(looked) > 10, "it was looked at again and again"


def test_every_series_that_a_panel_or_a_rule_names_is_there(told: set[str]) -> None:
    """Ours and the worker's by a scrape; what only Oracle's connector has, by its own beans."""
    common, oracles = _attributes("debezium-connector-common"), _attributes(ORACLE_PLUGIN)
    named = catalog.all_series() - {catalog.TARGET}
    assert named - told - {catalog.debezium(one) for one in oracles - common} == set()
    assert common
    assert catalog.source_task("source-record-poll-total") in told


def _families(text: str) -> set[str]:
    """Name what a page shows or declares; a family without a value yet is declared all the same."""
    declared = re.findall(r"^# TYPE (\S+) (\S+)$", text, re.MULTILINE)
    parts = {f"{name}_{end}" for name, kind in declared if kind == "histogram" for end in HISTOGRAM}
    return {*re.findall(r"^(\w+)[ {]", text, re.MULTILINE), *(name for name, _ in declared), *parts}


def _attributes(jar: str) -> set[str]:
    """Find the catalog's attributes among the getters of a jar's beans, by their exact names."""
    beans = b"".join(_bean_classes(jar))
    wanted = {one: [f"{verb}{one}".encode() for verb in ("get", "is")] for one in catalog.DEBEZIUM}
    return {
        attribute
        for attribute, getters in wanted.items()
        if any(struct.pack(">H", len(name)) + name in beans for name in getters)
    }


def _bean_classes(jar: str) -> Iterator[bytes]:
    path = next(iter(sorted(cache_folder().glob(f"layout-*/plugin/**/{jar}-*.jar"))))
    with zipfile.ZipFile(path) as archive:
        names = [name for name in archive.namelist() if name.endswith("MXBean.class")]
        yield from (archive.read(name) for name in names)


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
