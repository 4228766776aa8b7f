"""What tests of health share: what is told of an ill connector, and Oracle's own plugin."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import yaml
from confluent_kafka import Producer

from devstack.environment import wait_until
from devstack.scene import CONNECTOR, Scene
from devstack.stack import Stack
from tests.e2e.scenes import CANARY, a_scene, delete_topic, edit, end_controller

ORACLE: Final = "wms-oracle-cdc"
_QUICK: Final = {"cycle": "1s", "secrets": "1s", "listing": "1s"}


def health(scene: Scene, name: str = CONNECTOR) -> dict[str, Any]:
    return scene.condition(f"connector/{name}", "Healthy")


def is_well(scene: Scene, seconds: float = 120.0) -> None:
    scene.wait(lambda: health(scene).get("status") == "True", "it is healthy", seconds)


def falls_ill(scene: Scene, *reasons: str, name: str = CONNECTOR, seconds: float = 60.0) -> Any:
    """Return the condition once it is not True for one of these reasons."""

    def ill() -> bool:
        found = health(scene, name)
        return found.get("status") != "True" and found.get("reason") in reasons

    if not wait_until(ill, seconds):
        raise AssertionError(f"{health(scene, name)} is not {reasons}")
    return health(scene, name)


def resident(scene: Scene) -> int:
    """Read how many kB of memory its controller holds."""
    controller = scene.controller
    assert controller is not None
    status = Path(f"/proc/{controller.pid}/status").read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) for line in status if line.startswith("VmRSS"))


@contextmanager
def oracle_at(stack: Stack, stage: str, port: int) -> Iterator[Scene]:
    """A stage with Oracle's own manifest, and a connector that had its database once."""
    with a_scene(stack, stage) as scene:
        login = {"host": "127.0.0.1", "port": str(port), "dbname": "ORCLCDB"}
        login |= {"user": "c##dbz", "password": CANARY}
        stack.aws.put_secret(f"wms/{stage}/dbInfo", login)
        # Its topics want three brokers; these are there before the controller asks for them.
        scene.env["WMS_OVERLAY"] = "ephemeral"
        edit(scene, "stages/ephemeral/policy.yaml", _as_on_a_named_stage)
        for name in ("PLAN_BASE_WVR_TBL", "PLAN_WVR_RVSN_TBL"):
            stack.create_topics(*(f"{stage}.wms.{schema}.{name}" for schema in ("MMDL", "WMS")))
        stack.create_topics(f"__debezium-heartbeat.{stage}.wms", f"{stage}.wms")
        stack.create_topics(f"{stage}.wms.schema-changes")
        scene.start()
        as_created = _as_created(scene, login)
        scene.wait(lambda: _is_there(scene, as_created), "its worker runs", 90)
        scene.wait(lambda: bool(_differences(scene)), "it is seen", 60)
        _is_there(scene, as_created | _differences(scene))
        scene.wait(lambda: not _differences(scene), "it is as declared", 60)
        try:
            yield scene
        finally:
            end_controller(scene)
            for topic in stack.topics():
                if topic.startswith((f"{stage}.", f"__debezium-heartbeat.{stage}.")):
                    delete_topic(stack, topic)


def _as_on_a_named_stage(documents: list[Any]) -> None:
    documents[0]["spec"] |= {"probe": "required", "intervals": _QUICK}


def _as_created(scene: Scene, login: Mapping[str, str]) -> dict[str, str]:
    prefix, secret = f"{scene.stage}.wms", f"wms/{scene.stage}/dbInfo"
    folder = f"{scene.worker.root}/{secret}/{scene.stack.aws.current_version(secret)}"
    return {
        "name": ORACLE,
        "connector.class": "io.debezium.connector.oracle.OracleConnector",
        "x-wms.managed-by": f"wms-connector-{scene.stage}",
        "topic.prefix": prefix,
        "database.hostname": login["host"],
        "database.port": login["port"],
        "database.user": f"${{directory:{folder}:user}}",
        "database.password": f"${{directory:{folder}:password}}",
        "database.dbname": login["dbname"],
        "schema.history.internal.kafka.topic": f"{prefix}.schema-changes",
        **_hidden(scene),
    }


def _hidden(scene: Scene) -> dict[str, str]:
    """What is declared and no status shows, so that it cannot be read there."""
    file = scene.manifests / "base" / "connector.yaml"
    config = yaml.safe_load(file.read_text(encoding="utf-8"))["spec"]["config"]
    return {key: value for key, value in config.items() if key.endswith("jaas.config")}


def _is_there(scene: Scene, config: Mapping[str, str]) -> bool:
    """Have a connector as it would be, had its database been there when it was created."""
    try:
        scene.worker.request("GET", "/connectors")
    except OSError:
        return False
    producer = Producer({"bootstrap.servers": scene.stack.broker.bootstrap})
    topic = f"mgmt.connect.wms-connector-{scene.stage}.config"
    value = json.dumps({"properties": config})
    producer.produce(topic, key=f"connector-{ORACLE}", value=value)
    return producer.flush(10) == 0


def _differences(scene: Scene) -> dict[str, str]:
    """What is declared otherwise, as the status shows it."""
    found = scene.resource(f"connector/{ORACLE}")
    return {one["field"]: str(one["after"]) for one in found.get("changes", ())}
