"""A branch stage on the real stack, beside `main` on the same cluster and database."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from controller.adapters.clock import SystemClock
from controller.adapters.connect import ConnectRest
from controller.adapters.kafka import KafkaAdmin
from controller.adapters.kafka_security import KafkaSecurity, client_config
from controller.adapters.state_file import StateFile
from controller.core.hold import TEARING_DOWN_RECORD
from controller.core.memory import BIRTH_RECORD
from controller.core.stage import MARK_KEY, Stage
from controller.teardown import run_teardown
from controller.teardown_report import Teardown
from devstack.environment import wait_until
from devstack.stack import Stack
from devstack.worker import Worker

pytestmark = pytest.mark.stack
NUMBERS = count(1)
TABLES = ("WMS.PLAN_BASE_WVR_TBL", "MMDL.PLAN_WVR_RVSN_TBL")


@dataclass
class Branch:
    """One branch stage: its worker, its topics, and the clients that a teardown gets."""

    stack: Stack
    stage: Stage
    worker: Worker
    connect: ConnectRest
    kafka: KafkaAdmin
    store: StateFile
    said: list[str] = field(default_factory=list)

    @property
    def slot(self) -> str:
        return f"wms_{self.stage.identifier}"

    @property
    def own(self) -> set[str]:
        """All topics on the broker that are this stage's."""
        prefix = f"{self.stage.topic_prefix}."
        exact = {
            self.stage.topic_prefix,
            self.stage.heartbeat_topic,
            *self.stage.connect_topics.values(),
        }
        return {name for name in self.stack.topics() if name in exact or name.startswith(prefix)}

    def declare_topics(self) -> None:
        prefix = self.stage.topic_prefix
        data = (f"{prefix}.{table}" for table in TABLES)
        self.stack.create_topics(prefix, *data, self.stage.heartbeat_topic)

    def create_connector(self) -> None:
        postgres = self.stack.postgres
        folder = self.worker.write_secret("wms/default/dbInfo", "v1", postgres.db_info())
        config = {
            "connector.class": "io.debezium.connector.postgresql.PostgresConnector",
            "database.hostname": postgres.host,
            "database.port": str(postgres.port),
            "database.dbname": postgres.dbname,
            "database.user": f"${{directory:{folder}:user}}",
            "database.password": f"${{directory:{folder}:password}}",
            "topic.prefix": self.stage.topic_prefix,
            "plugin.name": "pgoutput",
            "slot.name": self.slot,
            "publication.name": "wms",
            "publication.autocreate.mode": "disabled",
            "table.include.list": ",".join(TABLES),
            "heartbeat.interval.ms": "500",
            MARK_KEY: self.stage.mark,
        }
        self.worker.request("PUT", "/connectors/wms-cdc/config", config)
        self.worker.wait_running("wms-cdc")
        assert wait_until(lambda: bool(self.slots()), 20)

    def slots(self) -> list[str]:
        rows = self.stack.postgres.query(
            "SELECT slot_name FROM pg_replication_slots WHERE slot_name = :slot", slot=self.slot
        )
        return [str(row[0]) for row in rows]

    def tear_down(self, *, dry_run: bool = False, **changed: Any) -> Teardown:
        given: dict[str, Any] = {
            "stage": self.stage,
            "confirm": self.stage.name,
            "dry_run": dry_run,
            "connect": self.connect,
            "kafka": self.kafka,
            "store": self.store,
            "clock": SystemClock(),
            "wait": lambda seconds: threading.Event().wait(seconds),
            "interval": 1.0,
            "say": self.said.append,
            "manifests": None,
        }
        return run_teardown(**{**given, **changed})


@contextmanager
def a_branch(stack: Stack, stage: Stage, worker: Worker, folder: Path) -> Iterator[Branch]:
    config = client_config(stack.broker.bootstrap, KafkaSecurity(), "teardown", scrub=str)
    branch = Branch(
        stack,
        stage,
        worker,
        ConnectRest(worker.url, scrub=str),
        KafkaAdmin(config, scrub=str),
        StateFile(folder / "state.json", clock=SystemClock()),
    )
    cluster = branch.kafka.cluster_id()
    branch.store.put(BIRTH_RECORD, {"stage": stage.name, "cluster_id": cluster})
    branch.declare_topics()
    try:
        yield branch
    finally:
        branch.connect.close()
        branch.kafka.close()


@pytest.fixture
def branch(stack: Stack, tmp_path: Path) -> Iterator[Branch]:
    """Complete, with a worker and a running connector."""
    number = next(NUMBERS)
    stage = Stage("feat-teardown" if number == 1 else f"feat-teardown-{number}")
    worker = stack.add_worker(stage.name)
    with a_branch(stack, stage, worker, tmp_path) as branch:
        branch.create_connector()
        yield branch
    worker.kill()
    stack.postgres.end_sessions()
    stack.postgres.drop_slot(branch.slot)


def test_a_branch_stage_goes_and_takes_nothing_of_its_neighbours(branch: Branch) -> None:
    neighbours = ("wms.neighbour", f"{branch.stage}.other", f"{branch.stage}.wmsx.T")
    branch.stack.create_topics(*neighbours)
    before = {
        name: topic_id
        for name, topic_id in branch.kafka.list_topics().items()
        if name not in branch.own
    }
    own = branch.own
    assert len(own) == 7

    rehearsed = branch.tear_down(dry_run=True, confirm=None)
    assert set(rehearsed.deleted) == {"connector/wms-cdc", *(f"topic/{name}" for name in own)}
    assert branch.own == own
    assert TEARING_DOWN_RECORD not in branch.store.load()
    branch.worker.wait_running("wms-cdc")

    first = branch.tear_down()
    assert first.deleted == ("connector/wms-cdc",)
    assert "Stop the service" in first.failures[0]
    assert branch.worker.request("GET", "/connectors") == []
    assert branch.own == own

    branch.worker.stop()
    last = branch.tear_down()
    assert last.ok, last.failures
    assert branch.own == set()
    assert branch.store.load() == {}
    assert set(last.deleted) == {f"topic/{name}" for name in own}
    assert {f"topic/{name}" for name in neighbours[1:]} <= {name for name, _ in last.left}
    assert branch.kafka.list_topics() == before

    assert branch.slots() == [branch.slot]
    [statement] = last.by_hand
    branch.stack.postgres.query(statement)
    assert branch.slots() == []


def test_a_killed_worker_is_waited_for_until_its_group_is_empty(branch: Branch) -> None:
    branch.worker.kill()
    assert branch.kafka.group_members(branch.stage.connect_group) == 1
    report = branch.tear_down()
    assert report.ok, report.failures
    assert branch.own == set()
    assert branch.stack.worker().healthy()


def test_the_connect_of_another_stage_is_noticed_and_nothing_is_touched(
    stack: Stack, tmp_path: Path
) -> None:
    main = stack.worker()
    config = {
        "name": "lines-of-main",
        "connector.class": "org.apache.kafka.connect.file.FileStreamSourceConnector",
        "topic": "wms.lines",
        "topic.prefix": "wms",
        "file": str(tmp_path / "lines"),
        MARK_KEY: Stage("main").mark,
    }
    body = {"name": config["name"], "config": config, "initial_state": "STOPPED"}
    main.request("POST", "/connectors", body)
    listing = "/connectors?expand=status"
    assert wait_until(lambda: "lines-of-main" in main.request("GET", listing), 20)
    try:
        with a_branch(stack, Stage("feat-misled"), main, tmp_path) as branch:
            own, records = branch.own, branch.store.load()
            report = branch.tear_down()
            assert any("is this the right Connect?" in failure for failure in report.failures)
            assert "lines-of-main" in main.request("GET", "/connectors")
            assert branch.own == own
            assert branch.store.load() == records
    finally:
        main.request("DELETE", "/connectors/lines-of-main")
