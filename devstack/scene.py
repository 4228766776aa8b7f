"""A stage at work on the local stack: worker, controller, manifests, and questions to it."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Final
from urllib.error import URLError
from urllib.request import urlopen

from confluent_kafka.admin import (
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
    ResourceType,
)
from pg8000.native import Error

from devstack.environment import REPOSITORY, StackError, wait_until
from devstack.process import Child
from devstack.rows import Row, read_rows
from devstack.stack import Stack
from devstack.worker import Worker

CONNECTOR: Final = "wms-postgres-cdc"
_OFFER: Final = re.compile(r"To accept exactly this: action ([0-9a-f]{10})")
DATA_TOPICS: Final = tuple(
    f"wms.{schema}.{table}"
    for schema in ("MMDL", "WMS")
    for table in ("PLAN_BASE_WVR_TBL", "PLAN_WVR_RVSN_TBL")
)


def offered_action(message: str) -> str | None:
    """Answer the id by which a person may accept what a message says is held."""
    found = _OFFER.search(message)
    return None if found is None else found[1]


class Scene:
    """One stage with its own worker and controller process, on a copy of the manifests."""

    def __init__(self, stack: Stack, stage: str, worker: Worker) -> None:
        self.stack = stack
        self.stage = stage
        self.worker = worker
        self.manifests = stack.folder / f"manifests-{stage}"
        shutil.copytree(REPOSITORY / "manifests", self.manifests)
        self.env = stack.controller_env(stage, manifests=self.manifests, worker=worker)
        self.controller: Child | None = None

    @property
    def namespace(self) -> str:
        return "" if self.stage in ("main", "val", "production") else f"{self.stage}."

    def topic(self, name: str) -> str:
        return f"{self.namespace}{name}"

    def start(self) -> Child:
        self.controller = self.stack.start_controller(self.env)
        return self.controller

    def stop(self) -> None:
        if self.controller is not None:
            self.stack.stop_child(self.controller)

    def kill(self) -> None:
        if self.controller is not None:
            self.stack.kill_child(self.controller)

    def wmsctl(self, *arguments: str, seconds: float = 60.0) -> subprocess.CompletedProcess[str]:
        """One command of a person, with this stage's settings."""
        return subprocess.run(
            [sys.executable, "-m", "controller", *arguments],
            env=self.env,
            cwd=REPOSITORY,
            capture_output=True,
            text=True,
            timeout=seconds,
            check=False,
        )

    # --- what can be seen -------------------------------------------------------------------

    def status(self) -> dict[str, Any]:
        """What `/status` says; {} while nobody listens."""
        url = f"http://127.0.0.1:{self.env['WMS_HTTP_PORT']}/status"
        try:
            with urlopen(url, timeout=5) as answer:
                found: dict[str, Any] = json.load(answer)
                return found
        except (URLError, OSError, ValueError):
            return {}

    def resource(self, name: str) -> dict[str, Any]:
        found = (r for r in self.status().get("resources", []) if r["resource"] == name)
        return next(found, {})

    def condition(self, name: str, kind: str) -> dict[str, Any]:
        """One condition of a resource, as `/status` shows it."""
        found = (c for c in self.resource(name).get("conditions", []) if c["type"] == kind)
        return next(found, {})

    def _of_connector(self, part: str) -> dict[str, Any]:
        """What Connect answers about the connector; {} while it answers nothing."""
        try:
            found: dict[str, Any] = self.worker.request("GET", f"/connectors/{CONNECTOR}/{part}")
        except (URLError, OSError):
            return {}
        return found

    def config(self) -> dict[str, str]:
        """The connector's config; {} while it is not there."""
        return self._of_connector("config")

    def state(self) -> str:
        """What Connect says of the connector; "" while it says nothing."""
        said = self._of_connector("status")
        return str(said["connector"]["state"]) if said else ""

    def task_states(self) -> list[str]:
        """What Connect says of its tasks; [] while it says nothing."""
        return [task["state"] for task in self._of_connector("status").get("tasks", [])]

    def task_traces(self) -> str:
        return "\n".join(
            task.get("trace", "") for task in self._of_connector("status").get("tasks", [])
        )

    def running(self) -> bool:
        said = self._of_connector("status")
        tasks = [task["state"] for task in said.get("tasks", [])]
        return tasks == ["RUNNING"] and said["connector"]["state"] == "RUNNING"

    def has_position(self) -> bool:
        """Whether the connector committed a position that is past its snapshot."""
        found = [entry["offset"] for entry in self._of_connector("offsets").get("offsets", [])]
        return bool(found) and not any(offset.get("snapshot") for offset in found)

    def misses_topic(self) -> bool:
        """Whether the worker's log told of a topic that its producer waits for."""
        evidence = self.resource(f"connector/{CONNECTOR}").get("evidence", [])
        return "TopicMissing" in [one["failure"] for one in evidence]

    def fail_as_it_starts(self) -> bool:
        """End the task's sessions while it starts, which is more than it can bear.

        One that is ended while it reads its slot tries to make it anew, and fails of that: such a
        failure waits for a person, and is not the one that is wanted here.
        """
        path = f"/connectors/{CONNECTOR}"

        def failed() -> bool:
            with suppress(Error, OSError):
                self.stack.postgres.end_sessions()
            return "FAILED" in self.task_states()

        for _ in range(20):
            with suppress(URLError, OSError):
                self.worker.request("POST", f"{path}/restart?includeTasks=true&onlyFailed=false")
            if wait_until(failed, 5, every=0.01) and "already exists" not in self.task_traces():
                return True
        return False

    def rows(self, topic: str, count: int, seconds: float = 20.0) -> list[Row]:
        """Read a topic from its beginning until it holds so many rows."""
        return read_rows(
            self.stack.broker.bootstrap,
            self.topic(topic),
            until=lambda rows: len(rows) >= count,
            seconds=seconds,
        )

    def topic_config(self, topic: str, key: str) -> str | None:
        resource = ConfigResource(ResourceType.TOPIC, self.topic(topic))
        client = self.stack.admin()
        found = client.describe_configs([resource])[resource].result(10)
        return str(found[key].value) if key in found else None

    def set_topic_config(self, topic: str, key: str, value: str) -> None:
        """As a person does who means well."""
        entry = ConfigEntry(key, value, incremental_operation=AlterConfigOpType.SET)
        resource = ConfigResource(
            ResourceType.TOPIC, self.topic(topic), incremental_configs=[entry]
        )
        client = self.stack.admin()
        client.incremental_alter_configs([resource])[resource].result(10)

    # --- waiting ----------------------------------------------------------------------------

    def wait(
        self,
        claim: Callable[[], bool],
        what: str,
        seconds: float = 30.0,
        *,
        every: float | None = None,
    ) -> float:
        """How long it took until the claim held; a StackError says what it waited for."""
        start = time.monotonic()
        if not wait_until(claim, seconds, every):
            raise StackError(f"after {seconds:.0f} s still not so: {what}\n{self.tell()}")
        return time.monotonic() - start

    def wait_running(self, seconds: float = 40.0) -> float:
        return self.wait(self.running, f"{CONNECTOR} of {self.stage} runs", seconds)

    def wait_converged(self, seconds: float = 40.0) -> float:
        return self.wait(
            lambda: bool(self.status().get("converged")), f"{self.stage} is as declared", seconds
        )

    def tell(self) -> str:
        """How things stand, by Connect and by the controller, for whoever waited in vain."""
        tail = self.controller.tail() if self.controller is not None else "no controller"
        status = self.status()
        told = [
            f"{found['resource']}: {found['decision']} {found['reason']}: {found['message']}"
            for found in status.get("resources", [])
            if found["decision"] != "Converged"
        ]
        head = {key: status.get(key) for key in ("cycle", "converged", "notActing", "faults")}
        return "\n".join((tail, f"Connect: {self._of_connector('status')}", f"{head}", *told))
