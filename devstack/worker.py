from __future__ import annotations

import json
import shutil
import urllib.request
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from devstack.environment import REPOSITORY, StackError, wait_until
from devstack.jars import Jars
from devstack.java import brief_options, java_home
from devstack.port import LOOPBACK, free_port
from devstack.process import Child, Command, Nursery, base_env

ENTRYPOINT: Final = REPOSITORY / "connect" / "entrypoint.sh"
_SECONDS: Final = 90.0
_MEMORY: Final = "-Xms128m -Xmx768m"


class Worker:
    """One Connect worker, started by the image's own entrypoint, with secrets of its own."""

    def __init__(
        self,
        nursery: Nursery,
        jars: Jars,
        folder: Path,
        *,
        name: str,
        stage: str,
        settings: Mapping[str, str] | None = None,
    ) -> None:
        self._nursery = nursery
        self._jars = jars
        self._folder = folder
        self._settings = dict(settings or {})
        self._child: Child | None = None
        self.name = name
        self.stage = stage
        self.port = free_port()
        self.jmx_port = free_port()
        self.root = folder / "secrets"
        self.evidence = folder / "evidence" / "worker.json"
        for path in (self.root, self.evidence.parent):
            path.mkdir(parents=True)

    @property
    def url(self) -> str:
        return f"http://{LOOPBACK}:{self.port}"

    @property
    def child(self) -> Child:
        if self._child is None:
            raise StackError(f"{self.name} is stopped")
        return self._child

    @property
    def alive(self) -> bool:
        return self._child is not None and self._child.alive

    def start(self, *, wait: bool = True, settings: Mapping[str, str] | None = None) -> None:
        """Without `wait` it may go on waiting for `ROOT/ready`, which the controller writes."""
        if self.alive:
            return
        argv, env = (str(ENTRYPOINT),), self._env() | dict(settings or {})
        self._child = self._nursery.start(self.name, Command(argv, env, self._folder))
        if wait:
            self.wait_ready()

    def wait_ready(self, seconds: float = _SECONDS) -> None:
        """Return when `/health` says that the worker has joined its group."""
        self.child.wait_ready(self.healthy, seconds, what="healthy")

    def healthy(self) -> bool:
        try:
            return bool(self.request("GET", "/health")["status"] == "healthy")
        except (OSError, ValueError, KeyError, TypeError):
            return False

    def stop(self, grace: float = 15.0) -> None:
        """SIGTERM, then SIGKILL after the grace time."""
        if self._child is not None:
            self._nursery.stop(self._child, grace)
            self._child = None

    def kill(self) -> None:
        if self._child is not None:
            self._nursery.kill(self._child)
            self._child = None

    def replace(self) -> None:
        """As ECS does: the old one stops, a new one has an empty secrets folder and no `ready`."""
        self.stop()
        shutil.rmtree(self.root)
        self.root.mkdir()
        self.start(wait=False)

    def write_ready(self, bootstrap: str) -> None:
        """What the controller does when the secrets are on disk."""
        part = self.root / ".ready.part"
        part.write_text(f"{bootstrap}\n", encoding="utf-8")
        part.replace(self.root / "ready")

    def write_secret(self, path: str, version: str, fields: Mapping[str, str]) -> Path:
        """What the controller does for one secret version; the folder a reference names."""
        folder = self.root / path / version
        folder.mkdir(parents=True, exist_ok=True)
        for field, value in fields.items():
            (folder / field).write_text(value, encoding="utf-8")
        return folder

    def request(self, method: str, path: str, body: Any = None, seconds: float = 30.0) -> Any:
        """One plain REST call, for demos and tests; raises `HTTPError` on 4xx and 5xx."""
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.url + path, data, method=method)
        request.add_header("Content-Type", "application/json")
        with urllib.request.urlopen(request, timeout=seconds) as answer:
            text = answer.read()
        return json.loads(text) if text else None

    def wait_running(self, connector: str, seconds: float = 30.0) -> None:
        """Return when the connector and its one task say RUNNING."""
        if not wait_until(lambda: self._runs(connector), seconds, every=0.1):
            raise StackError(f"{connector} is not RUNNING after {seconds:.0f} s")

    def _runs(self, connector: str) -> bool:
        try:
            status = self.request("GET", f"/connectors/{connector}/status")
        except OSError:
            return False
        states = [status["connector"]["state"], *(task["state"] for task in status["tasks"])]
        return len(states) == 2 and set(states) == {"RUNNING"}

    def _env(self) -> dict[str, str]:
        return base_env(
            {
                "JAVA_HOME": str(java_home()),
                "WMS_STAGE": self.stage,
                "WMS_SECRETS_ROOT": str(self.root),
                "WMS_KAFKA_SECURITY": "plaintext",
                "WMS_CONNECT_PORT": str(self.port),
                "WMS_CONNECT_REPLICATION": "1",
                "WMS_CONNECT_FLUSH_MS": "1000",
                "WMS_CONNECT_REBALANCE_DELAY_MS": "2000",
                "WMS_CONNECT_LIBS": str(self._jars.worker),
                "WMS_CONNECT_AGENTS": str(self._jars.agent),
                "WMS_CONNECT_PLUGINS": ",".join(str(path) for path in self._jars.plugins),
                "WMS_CONNECT_EVIDENCE": str(self.evidence),
                "WMS_CONNECT_METRICS": f"{LOOPBACK}:{self.jmx_port}",
                "WMS_CONNECT_WORK": str(self._folder),
                "WMS_CONNECT_HEAP": _MEMORY,
                "WMS_CONNECT_JVM": " ".join(brief_options("worker", self._jars)),
            }
            | self._settings
        )
