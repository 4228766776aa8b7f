"""The whole local stack as one context manager."""

from __future__ import annotations

import shutil
import sys
import tempfile
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Final, Self, TextIO

from confluent_kafka.admin import AdminClient, NewTopic

from devstack.aws import Aws
from devstack.broker import Broker
from devstack.environment import REPOSITORY
from devstack.jars import provide
from devstack.port import free_port
from devstack.postgres import Postgres
from devstack.process import Child, Command, Nursery, base_env
from devstack.worker import Worker

RUNS: Final = REPOSITORY / "build" / "run"
_KEPT_SECONDS: Final = 24 * 3600


@dataclass(frozen=True, slots=True)
class Endpoints:
    bootstrap: str
    aws: str
    database: str
    workers: Mapping[str, str]


class Stack:
    """Broker, database, mock of AWS and one worker for each named stage; all gone when left.

    With `ready`, workers get their `ROOT/ready` at once, as tests without a controller need it.
    """

    def __init__(
        self,
        stages: tuple[str, ...] = ("main",),
        *,
        ready: bool = True,
        logs: Path | None = None,
        out: TextIO = sys.stderr,
    ) -> None:
        self._stages = stages
        self._ready = ready
        self._out = out
        self._logs = logs
        self.workers: dict[str, Worker] = {}
        self.clusters: dict[str, Broker] = {}  # beside the one that is this stack's

    def __enter__(self) -> Self:
        self._jars = provide(out=self._out)
        self.logs = self._logs or new_run_folder()
        self.folder = Path(tempfile.mkdtemp(prefix="wms-devstack-")).resolve()
        self.folder.chmod(0o711)  # the database runs as another user where we are root
        self._nursery = Nursery(self.logs)
        self._nursery.remove_at_end(self.folder)
        try:
            self._begin()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(
        self,
        _kind: type[BaseException] | None,
        _fault: BaseException | None,
        _trace: TracebackType | None,
    ) -> None:
        self.close()

    def _begin(self) -> None:
        self.broker = Broker(self._nursery, self._jars, self.folder / "broker")
        self.postgres = Postgres(self._nursery, self.folder / "postgres")
        self.aws = Aws(self._nursery, self.folder / "aws")
        parts = (self.broker, self.postgres, self.aws)
        pool = ThreadPoolExecutor(len(parts))
        try:
            starts = [pool.submit(part.start) for part in parts]
            # A worker reads its plugins for seconds before it first needs the broker.
            workers = [self.add_worker(stage, wait=False) for stage in self._stages]
            for start in starts:
                start.result()
        finally:
            pool.shutdown(wait=False)  # when one fails, the others end with the stack
        self.seed_secrets()
        if self._ready:
            for worker in workers:
                worker.wait_ready()

    def seed_secrets(self) -> None:
        """The brokers for every stage, the database for `main`, and a default for the others."""
        self.aws.put_secret("wms/default/brokerString", self.broker.bootstrap)
        self.aws.put_secret("wms/default/dbInfo", self.postgres.db_info())
        self.aws.put_secret("wms/main/dbInfo", self.postgres.db_info())

    def add_worker(
        self,
        stage: str = "main",
        *,
        name: str | None = None,
        ready: bool | None = None,
        wait: bool = True,
        settings: Mapping[str, str] | None = None,
    ) -> Worker:
        """Another worker; of the same stage it joins the same group."""
        number = sum(worker.stage == stage for worker in self.workers.values()) + 1
        name = name or f"worker-{stage}" + (f"-{number}" if number > 1 else "")
        worker = Worker(
            self._nursery,
            self._jars,
            self.folder / name,
            name=name,
            stage=stage,
            settings=settings,
        )
        self.workers[name] = worker
        is_ready = self._ready if ready is None else ready
        if is_ready:
            worker.write_ready(self.broker.bootstrap)
        worker.start(wait=wait and is_ready)
        return worker

    def add_cluster(self, name: str) -> Broker:
        """Another Kafka cluster, which nobody here is told of."""
        broker = Broker(self._nursery, self._jars, self.folder / name, name=name)
        broker.start()
        self.clusters[name] = broker
        return broker

    def worker(self, stage: str = "main") -> Worker:
        """The first worker of a stage."""
        return self.workers[f"worker-{stage}"]

    @property
    def endpoints(self) -> Endpoints:
        database = f"{self.postgres.host}:{self.postgres.port}/{self.postgres.dbname}"
        workers = {name: worker.url for name, worker in self.workers.items()}
        return Endpoints(self.broker.bootstrap, self.aws.url, database, workers)

    def admin(self, broker: Broker | None = None) -> AdminClient:
        """Its own broker's, unless another is named."""
        bootstrap = (broker or self.broker).bootstrap
        settings = {"bootstrap.servers": bootstrap, "client.id": "devstack"}
        return AdminClient(settings | {"log_level": 4})  # below, it tells of its own queues

    def create_topics(
        self, *names: str, partitions: int = 1, config: Mapping[str, str] | None = None
    ) -> None:
        """By hand, as a test does that runs without the controller."""
        topics = [NewTopic(name, partitions, 1, config=dict(config or {})) for name in names]
        client = self.admin()  # its futures end with it
        for created in client.create_topics(topics).values():
            created.result(20)

    def topics(self, broker: Broker | None = None) -> set[str]:
        return set(self.admin(broker).list_topics(timeout=10).topics)

    def controller_env(
        self,
        stage: str = "main",
        *,
        manifests: Path | None = None,
        worker: Worker | None = None,
        settings: Mapping[str, str] | None = None,
    ) -> dict[str, str]:
        """The one place where this package knows the names of the controller's settings."""
        worker = worker or self.worker(stage)
        return base_env(
            self.aws.environment()
            | {
                "WMS_STAGE": stage,
                "WMS_OVERLAY": "local",
                "WMS_MANIFESTS": str(manifests or REPOSITORY / "manifests"),
                "WMS_CONNECT_URL": worker.url,
                "WMS_AWS_ENDPOINT_URL": self.aws.url,
                "WMS_SECRETS_ROOT": str(worker.root),
                "WMS_STATE_FILE": str(self.folder / f"state-{stage}.json"),
                "WMS_KAFKA_SECURITY": "plaintext",
                "WMS_EVIDENCE_FILE": str(worker.evidence),
                "WMS_JMX_URL": f"http://127.0.0.1:{worker.jmx_port}/metrics",
                "WMS_HTTP_PORT": str(free_port()),
                "WMS_METRICS_PORT": str(free_port()),
            }
            | dict(settings or {})
        )

    def start_controller(
        self, env: Mapping[str, str], *, name: str | None = None, verb: str = "run"
    ) -> Child:
        """The controller as a process of its own; its log is `NAME.log` in the run folder."""
        argv = (sys.executable, "-m", "controller", verb)
        command = Command(argv, env, REPOSITORY)
        return self.start_child(name or f"controller-{env['WMS_STAGE']}", command)

    def start_child(self, name: str, command: Command) -> Child:
        """Anything else that must be gone when the stack is."""
        return self._nursery.start(name, command)

    def stop_child(self, child: Child, grace: float = 10.0) -> None:
        self._nursery.stop(child, grace)

    def kill_child(self, child: Child) -> None:
        self._nursery.kill(child)

    def close(self) -> None:
        self._nursery.close()
        shutil.rmtree(self.folder, ignore_errors=True)


def new_run_folder(runs: Path = RUNS) -> Path:
    """Logs outlive their run by a day."""
    runs.mkdir(parents=True, exist_ok=True)
    for path in runs.iterdir():
        if time.time() - path.stat().st_mtime > _KEPT_SECONDS:
            shutil.rmtree(path, ignore_errors=True)
    stamp = time.strftime("%Y%m%d-%H%M%S")
    return Path(tempfile.mkdtemp(prefix=f"{stamp}-", dir=runs))
