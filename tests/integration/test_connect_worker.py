"""What a real worker does that nobody would guess, with the Oracle plugin loaded and no Oracle."""

from __future__ import annotations

import json
import secrets
import socket
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any
from urllib.error import HTTPError

import pytest
from confluent_kafka import OFFSET_BEGINNING, Consumer, Producer, TopicPartition

from controller.adapters.connect import PENDING, ConnectRest
from controller.core.action import CreateConnector, PutConfig, Restart, Resume, Stop
from controller.core.faults import Fault, OutcomeUnknown, Rejected
from controller.core.model import (
    ABSENT,
    Absent,
    FieldError,
    ObservedConnector,
    Unknown,
    connector_key,
)
from controller.core.stage import MARK_KEY
from devstack.environment import wait_until
from devstack.java import BRIEF
from devstack.port import free_port
from devstack.stack import Stack

pytestmark = pytest.mark.stack

NUMBERS = count(1)
FILE_SOURCE = "org.apache.kafka.connect.file.FileStreamSourceConnector"
POSTGRES = "io.debezium.connector.postgresql.PostgresConnector"
ORACLE = "io.debezium.connector.oracle.OracleConnector"
INTERNAL = "mgmt.connect.wms-connector-main"
NO_VERSION = "Unable to connect (primary): Failed to resolve Oracle database version"


@dataclass
class Scene:
    """A worker, the client under test, and a name that is cleared away."""

    stack: Stack
    client: ConnectRest
    folder: Path
    name: str
    topics: set[str] = field(default_factory=set)

    def file(self, **more: str) -> dict[str, str]:
        source = self.folder / "in.txt"
        source.write_text("one\ntwo\n", encoding="utf-8")
        base = {"connector.class": FILE_SOURCE, "tasks.max": "1", "file": str(source)}
        return {**base, "topic": "connect-it", **more}

    def postgres(self, **more: str) -> dict[str, str]:
        database = self.stack.postgres
        return {
            "connector.class": POSTGRES,
            "tasks.max": "1",
            "topic.prefix": self.name,
            "database.hostname": database.host,
            "database.port": str(database.port),
            "database.user": database.user,
            "database.password": database.password,
            "database.dbname": database.dbname,
            "plugin.name": "pgoutput",
            "slot.name": self.slot,
            "publication.name": "wms",
            "publication.autocreate.mode": "disabled",
            "table.include.list": r"MMDL\.PLAN_WVR_RVSN_TBL",
            "snapshot.mode": "no_data",
            **more,
        }

    def oracle(self, **more: str) -> dict[str, str]:
        return {
            "connector.class": ORACLE,
            "tasks.max": "1",
            "topic.prefix": self.name,
            "database.hostname": "127.0.0.1",
            "database.port": str(free_port()),
            "database.user": "c##dbz",
            "database.password": "any-password",
            "database.dbname": "ORCLCDB",
            "table.include.list": r"WMS\.PLAN_BASE_WVR_TBL",
            "schema.history.internal.kafka.topic": f"{self.name}.history",
            "schema.history.internal.kafka.bootstrap.servers": self.stack.broker.bootstrap,
            **more,
        }

    @property
    def slot(self) -> str:
        return self.name.replace("-", "_")

    def see(self) -> ObservedConnector | Absent | Unknown:
        return self.client.observe([self.name]).get(connector_key(self.name))

    def seen(self) -> ObservedConnector:
        item = self.see()
        assert isinstance(item, ObservedConnector)
        return item

    def states(self) -> tuple[str, tuple[str, ...]]:
        item = self.seen()
        return item.state, tuple(task.state for task in item.tasks)

    def runs(self) -> bool:
        return wait_until(lambda: self.states() == ("RUNNING", ("RUNNING",)), 20)

    def create(self, config: Mapping[str, str]) -> None:
        self.client.apply(CreateConnector(self.name, config))
        assert wait_until(lambda: self.states() == ("STOPPED", ()), 15)

    def run(self, config: Mapping[str, str]) -> None:
        self.create(config)
        self.client.apply(Resume(self.name))
        assert self.runs()

    def inject(self, config: Mapping[str, str]) -> None:
        """As it would be, had its database been there when it was created."""
        value = json.dumps({"properties": {**config, "name": self.name}})
        producer = Producer({"bootstrap.servers": self.stack.broker.bootstrap})
        producer.produce(f"{INTERNAL}.config", key=f"connector-{self.name}", value=value)
        assert producer.flush(10) == 0
        assert wait_until(lambda: isinstance(self.see(), ObservedConnector), 15)

    def refusal(self, call: Callable[[], object]) -> str:
        with pytest.raises(Rejected) as caught:
            call()
        return caught.value.reason

    def validate(self, config: Mapping[str, str]) -> tuple[FieldError, ...]:
        plugin = config["connector.class"]
        return tuple(self.client.validate(plugin, {**config, "name": self.name}))

    def history(self, key: str) -> list[str]:
        """All states that the worker wrote under this key of its status topic."""
        topic = f"{INTERNAL}.status"
        partitions = [TopicPartition(topic, number, OFFSET_BEGINNING) for number in range(5)]
        consumer = Consumer(
            {
                "bootstrap.servers": self.stack.broker.bootstrap,
                "group.id": "never-joined",
                "enable.auto.commit": False,
                "enable.partition.eof": True,
            }
        )
        consumer.assign(partitions)
        states, ended = [], 0
        while ended < len(partitions):
            message = consumer.poll(10)
            assert message is not None
            ended += message.error() is not None
            if not message.error() and message.key() == key.encode() and message.value():
                states.append(json.loads(message.value() or b"")["state"])
        consumer.close()
        return states

    def hand(self, method: str, path: str, body: Any = None) -> tuple[int, Any]:
        try:
            return 200, self.stack.worker().request(method, path, body)
        except HTTPError as error:
            with error:
                return error.code, json.loads(error.read() or b"null")

    def clear(self) -> None:
        with suppress(Fault):
            self.client.delete(self.name)
        if wait_until(lambda: self._free_slot() == 0, 15):
            return
        raise AssertionError(f"the slot of {self.name} is still in use")

    def _free_slot(self) -> int:
        self.stack.postgres.drop_slot(self.slot)
        slots = "SELECT count(*) FROM pg_replication_slots WHERE slot_name = :name"
        return int(self.stack.postgres.query(slots, name=self.slot)[0][0])


@pytest.fixture
def scene(stack: Stack, tmp_path: Path) -> Iterator[Scene]:
    if "connect-it" not in stack.topics():
        stack.create_topics("connect-it")
    client = ConnectRest(stack.worker().url, scrub=str)
    made = Scene(stack, client, tmp_path, f"connect-it-{next(NUMBERS)}")
    yield made
    made.clear()
    client.close()


# --- configuring ----------------------------------------------------------------------------


def test_a_wrong_password_is_refused_with_a_500_and_nothing_is_written(scene: Scene) -> None:
    scene.run(scene.postgres())
    before = scene.seen()
    wrong = scene.postgres(**{"database.password": "wrong-password"})
    code, answer = scene.hand("PUT", f"/connectors/{scene.name}/config", wrong)
    assert code == 500
    assert "ConfigValueInfo.errors()" in answer["message"]
    assert (
        scene.refusal(lambda: scene.client.apply(PutConfig(scene.name, wrong))) == "ConfigRefused"
    )
    assert scene.seen() == before
    (error,) = scene.validate(wrong)
    assert error.field == "database.hostname"
    assert "password authentication failed" in error.message


def test_an_oracle_connector_cannot_be_created_without_its_database(scene: Scene) -> None:
    config, name = scene.oracle(), scene.name
    for action in (CreateConnector(name, config), PutConfig(name, config)):
        reason = scene.refusal(lambda action=action: scene.client.apply(action))  # type: ignore[misc]
        assert reason == "ConfigRefused"
    assert scene.see() == ABSENT
    assert scene.validate(config) == (FieldError("database.hostname", NO_VERSION),)


def test_no_key_can_be_changed_while_the_database_is_away(scene: Scene) -> None:
    config = scene.oracle()
    scene.inject(config)
    put = PutConfig(scene.name, {**config, "poll.interval.ms": "400"})
    assert scene.refusal(lambda: scene.client.apply(put)) == "ConfigRefused"
    assert scene.seen().config == {**config, "name": scene.name}


def test_validate_answers_entries_without_a_value(scene: Scene) -> None:
    path = f"/connector-plugins/{ORACLE}/config/validate"
    _, answer = scene.hand("PUT", path, {**scene.oracle(), "name": scene.name})
    empty = {entry["definition"]["name"] for entry in answer["configs"] if entry["value"] is None}
    assert "internal.legacy.snapshot.max.threads" in empty
    assert "database.out.server.name" in empty
    assert len(scene.validate(scene.oracle())) == 1


def test_validate_does_not_see_what_leaves_a_connector_without_tasks(scene: Scene) -> None:
    config = scene.oracle(**{"tasks.max": "2", "log.mining.strategy": "bogus"})
    assert [error.field for error in scene.validate(config)] == ["database.hostname"]
    scene.inject(config)
    assert wait_until(lambda: scene.states() == ("RUNNING", ()), 15)
    scene.client.apply(Restart(scene.name, only_failed=False))
    assert not wait_until(lambda: scene.states()[1] != (), 2), "a restart does not help"
    item = scene.seen()
    assert (item.state, item.trace) == ("RUNNING", None)


def test_a_listener_that_says_nothing_holds_us_no_longer_than_our_deadline(scene: Scene) -> None:
    name = scene.name
    with socket.create_server(("127.0.0.1", 0)) as silent:
        config = scene.oracle(
            **{
                "database.port": str(silent.getsockname()[1]),
                "connection.validation.timeout.ms": "4000",
            }
        )
        client = ConnectRest(scene.stack.worker().url, scrub=str, write_deadline=1.0)
        start = time.monotonic()
        with pytest.raises(OutcomeUnknown) as caught:
            client.apply(CreateConnector(name, config))
        assert time.monotonic() - start < 2.0
        assert caught.value.reason == "TimedOut"
        assert scene.see() == ABSENT, "the worker serves others meanwhile"
        client.close()


def test_a_put_that_changes_nothing_still_starts_the_connector_anew(scene: Scene) -> None:
    config = scene.file()
    scene.run(config)
    before = scene.history(f"status-connector-{scene.name}")
    tasks = scene.history(f"status-task-{scene.name}-0")
    scene.client.apply(PutConfig(scene.name, config))

    def started_anew() -> bool:
        states = scene.history(f"status-connector-{scene.name}")
        return states == [*before, "UNASSIGNED", "RUNNING"]

    assert wait_until(started_anew, 15, every=0.2)
    assert scene.history(f"status-task-{scene.name}-0") == tasks
    marked = {**config, MARK_KEY: "wms-connector-main"}
    scene.client.apply(PutConfig(scene.name, marked))

    def task_too() -> bool:
        return scene.history(f"status-task-{scene.name}-0") == [*tasks, "UNASSIGNED", "RUNNING"]

    assert wait_until(task_too, 15, every=0.2), "a key that no plugin knows restarts the task"
    assert scene.seen().config == {**marked, "name": scene.name}


def test_a_mark_is_kept_and_no_complaint_to_validate(scene: Scene) -> None:
    config = scene.postgres(**{MARK_KEY: "wms-connector-main"})
    assert scene.validate(config) == ()
    scene.create(config)
    assert scene.seen().config[MARK_KEY] == "wms-connector-main"


# --- secrets --------------------------------------------------------------------------------


def resolved(scene: Scene, reference: str) -> str:
    """What the worker makes of a reference, as validate shows it for a plain text."""
    path = f"/connector-plugins/{FILE_SOURCE}/config/validate"
    body = scene.file(topic=reference, name=scene.name)
    _, answer = scene.hand("PUT", path, body)
    values = {entry["definition"]["name"]: entry["value"] for entry in answer["configs"]}
    return str(values["topic"]["value"])


def test_a_reference_that_cannot_be_resolved_is_passed_on_as_its_own_text(scene: Scene) -> None:
    folder = scene.stack.worker().write_secret("wms/main/it", "v1", {"topic": "from-the-file"})
    assert resolved(scene, f"${{directory:{folder}:topic}}") == "from-the-file"
    for reference in (
        f"${{directory:{folder}:nothing}}",
        f"${{directory:{folder.parent}/v2:topic}}",
        "${directory:/etc:hostname}",
        "${nobody:here:field}",
    ):
        assert resolved(scene, reference) == reference


def test_a_missing_secret_logs_in_with_the_reference_itself(scene: Scene) -> None:
    reference = f"${{directory:{scene.stack.worker().root}/gone:user}}"
    (error,) = scene.validate(scene.postgres(**{"database.user": reference}))
    assert 'password authentication failed for user "${directory:' in error.message


def test_an_error_of_the_worker_may_quote_a_secret_in_clear(scene: Scene) -> None:
    secret = secrets.token_hex(12)
    folder = scene.stack.worker().write_secret("wms/main/it", "v3", {"password": secret})
    config = {"topic": "t", "password": f"${{directory:{folder}:password}}"}
    path = f"/connector-plugins/{FILE_SOURCE}/config/validate"
    code, answer = scene.hand("PUT", path, config)
    assert code == 500
    assert secret in answer["message"], "so no error body of the worker is passed on as it is"
    assert [error.field for error in scene.client.validate(FILE_SOURCE, config)] == ["name"]


def test_a_rotation_is_a_put_of_another_reference_and_running_tells_nothing(scene: Scene) -> None:
    with role(scene) as (user, first):
        old = secret_version(scene, "v4", user, first)
        scene.run(scene.postgres(**old))
        assert scene.seen().config["database.password"] == old["database.password"]
        second = secrets.token_hex(12)
        scene.stack.postgres.rotate_password(second, user=user)
        scene.client.apply(Restart(scene.name, only_failed=False))
        scene.stack.postgres.end_sessions(user)
        assert wait_until(lambda: sessions(scene, user) == 0, 10)
        assert scene.runs(), "with a password that the database refuses"
        assert scene.seen().tasks[0].trace is None
        scene.client.apply(Restart(scene.name, only_failed=True))
        new = secret_version(scene, "v5", user, second)
        scene.client.apply(PutConfig(scene.name, scene.postgres(**new)))
        assert wait_until(lambda: sessions(scene, user) > 0, 15)
        assert scene.runs()
        scene.clear()


@contextmanager
def role(scene: Scene) -> Iterator[tuple[str, str]]:
    """A user of this test's own, so that no other test loses its password."""
    user, password = scene.slot, secrets.token_hex(12)
    scene.stack.postgres.execute(
        f"CREATE ROLE {user} LOGIN REPLICATION PASSWORD '{password}';"
        f'GRANT USAGE ON SCHEMA "MMDL" TO {user};'
        f'GRANT SELECT ON ALL TABLES IN SCHEMA "MMDL" TO {user}'
    )
    yield user, password
    scene.stack.postgres.end_sessions(user)
    scene.stack.postgres.execute(f"DROP OWNED BY {user}; DROP ROLE {user}")


def secret_version(scene: Scene, version: str, user: str, password: str) -> dict[str, str]:
    fields = {"user": user, "password": password}
    folder = scene.stack.worker().write_secret("wms/main/it", version, fields)
    return {f"database.{name}": f"${{directory:{folder}:{name}}}" for name in fields}


def sessions(scene: Scene, user: str) -> int:
    sql = "SELECT count(*) FROM pg_stat_activity WHERE usename = :user"
    return int(scene.stack.postgres.query(sql, user=user)[0][0])


# --- observing ------------------------------------------------------------------------------


def test_running_says_nothing_about_an_oracle_that_is_not_there(scene: Scene) -> None:
    scene.inject(scene.oracle())
    assert scene.runs()
    item = scene.seen()
    assert item.tasks[0].trace is None
    assert scene.client.offsets(scene.name) == ()
    scene.client.apply(Restart(scene.name, only_failed=True))
    assert scene.runs()


def test_a_new_connector_is_left_out_of_the_listing_and_is_pending_to_us(scene: Scene) -> None:
    states = []
    for _ in range(10):
        scene.client.apply(CreateConnector(scene.name, scene.file()))
        states.append(scene.seen().state)
        assert wait_until(lambda: scene.seen().state == "STOPPED", 15)
        scene.client.delete(scene.name)
        if states[-1] == PENDING:
            return
    raise AssertionError(f"never left out: {states}")


def test_a_restart_of_the_failed_does_nothing_to_the_running(scene: Scene) -> None:
    scene.run(scene.file())
    key = f"status-task-{scene.name}-0"
    before = scene.history(key)
    scene.client.apply(Restart(scene.name, only_failed=True))
    assert not wait_until(lambda: scene.history(key) != before, 1.5, every=0.3)
    scene.client.apply(Restart(scene.name, only_failed=False))
    assert wait_until(lambda: "RESTARTING" in scene.history(key)[len(before) :], 10, every=0.2)
    assert scene.runs()


def test_a_status_is_stale_right_after_a_stop_and_right_after_a_resume(scene: Scene) -> None:
    scene.run(scene.file())
    scene.client.apply(Stop(scene.name))
    assert scene.seen().state in ("RUNNING", "STOPPED")
    assert wait_until(lambda: scene.states() == ("STOPPED", ()), 15)
    scene.client.apply(Resume(scene.name))
    assert scene.seen().state in ("RUNNING", "STOPPED")
    assert scene.runs()


def test_created_stopped_it_shows_the_offsets_of_its_predecessor_and_resumes(scene: Scene) -> None:
    config = scene.postgres(**{"heartbeat.interval.ms": "200"})
    heartbeat = f"__debezium-heartbeat.{scene.name}"
    scene.stack.create_topics(heartbeat)
    scene.run(config)
    assert wait_until(lambda: scene.client.offsets(scene.name) != (), 20, every=0.2)
    scene.client.apply(Stop(scene.name))
    assert wait_until(lambda: scene.states() == ("STOPPED", ()), 15)
    (entry,) = scene.client.offsets(scene.name)
    scene.client.delete(scene.name)
    assert scene.see() == ABSENT
    scene.create(config)
    assert scene.client.offsets(scene.name) == (entry,)
    assert entry["partition"] == {"server": scene.name}
    scene.client.apply(Resume(scene.name))
    assert scene.runs()


def test_a_booting_worker_never_says_that_a_connector_is_absent(stack: Stack) -> None:
    slow = {"WMS_CONNECT_JVM": " ".join(BRIEF)}  # so that each state of its start is seen
    worker = stack.add_worker("feat-boots", wait=False, settings=slow)
    client = ConnectRest(worker.url, scrub=str)
    try:
        items: list[Any] = []

        def absent() -> bool:
            items.append(client.observe(["any"]).get(connector_key("any")))
            return isinstance(items[-1], Absent)

        assert wait_until(absent, 60, every=0.02)
        assert worker.healthy()
        early = [item.fault.reason for item in items[:-1]]
        assert set(early) <= {"WorkerUnreachable", "WorkerStarting", "TimedOut", "ConnectionLost"}
        assert {"WorkerUnreachable", "WorkerStarting"} <= set(early)
    finally:
        client.close()
        worker.stop()


def test_requests_of_several_threads_do_not_mix(scene: Scene) -> None:
    scene.run(scene.file())
    seen: list[str] = []

    def look() -> None:
        seen.extend(scene.seen().config["name"] for _ in range(10))

    threads = [threading.Thread(target=look) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert seen == [scene.name] * 40
