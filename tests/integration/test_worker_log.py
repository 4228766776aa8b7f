"""The evidence file as a worker leaves it: torn, rolled, truncated, hostile; and the real one."""

from __future__ import annotations

import json
import os
import secrets
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pytest
from confluent_kafka import Producer

from controller.adapters.worker_log import BUDGET, LONGEST, LOOK_BACK, MOST_LINES, WorkerLog
from controller.core.evidence import Evidence, EvidenceBook, gather, telling
from controller.core.faults import Fault, Unavailable
from controller.core.redact import MASK, Scrubber
from devstack.environment import wait_until
from devstack.port import free_port
from devstack.stack import Stack

NAME = "waivers"
CONFIGS = "mgmt.connect.wms-connector-main.config"


def entry(message: str = "Producer failure", *, level: str = "WARN", **more: str) -> str:
    now = (
        datetime.fromtimestamp(time.time(), UTC)
        .isoformat(timespec="milliseconds")
        .replace("+00:00", "Z")
    )
    line = {
        "@timestamp": now,
        "ecs.version": "1.2.0",
        "log.level": level,
        "message": message,
        "process.thread.name": "task-thread-waivers-0",
        "log.logger": "io.debezium.pipeline.ErrorHandler",
        "connector.context": f"[{NAME}|task-0] ",
        **{key.replace("__", "."): value for key, value in more.items()},
    }
    return json.dumps(line) + "\n"


@dataclass
class File:
    path: Path

    def append(self, text: str) -> None:
        with self.path.open("a", encoding="utf-8") as file:
            file.write(text)

    def roll(self) -> None:
        """Roll as the worker does, which numbers the newest highest and keeps two."""
        first, second = (self.path.with_name(f"{self.path.name}.{n}") for n in (1, 2))
        if first.exists() and second.exists():
            first.unlink()
            second.rename(first)
        self.path.rename(second if first.exists() else first)


@pytest.fixture
def file(tmp_path: Path) -> File:
    return File(tmp_path / "worker.json")


@pytest.fixture
def log(file: File) -> Iterator[WorkerLog]:
    follower = WorkerLog(file.path, Scrubber(["hunter2hunter2"]).scrub)
    yield follower
    follower.close()


def messages(log: WorkerLog) -> list[str]:
    return [line.message for line in log.read().lines]


def test_a_missing_file_is_said_and_read_from_its_first_line_once_it_is_there(
    file: File, log: WorkerLog
) -> None:
    assert log.read().missing
    file.append(entry("one"))
    reading = log.read()
    assert [line.message for line in reading.lines] == ["one"]
    assert not reading.missing


def test_each_line_is_read_once(file: File, log: WorkerLog) -> None:
    file.append(entry("one") + entry("two"))
    assert messages(log) == ["one", "two"]
    file.append(entry("three"))
    assert messages(log) == ["three"]
    assert messages(log) == []


def test_a_line_is_read_when_its_end_is_written(file: File, log: WorkerLog) -> None:
    whole = entry("grüße")
    file.append(entry("first"))
    assert messages(log) == ["first"]
    raw = whole.encode()
    for part in (raw[:40], raw[40:200], raw[200:]):
        assert messages(log) == []
        with file.path.open("ab") as out:
            out.write(part)
    assert messages(log) == ["grüße"]


def test_no_line_is_lost_when_the_file_is_rolled_between_readings(
    file: File, log: WorkerLog
) -> None:
    file.append(entry("one"))
    assert messages(log) == ["one"]
    file.append(entry("two"))
    file.roll()
    file.append(entry("three"))
    assert messages(log) == ["two", "three"]


def test_lines_of_files_rolled_twice_between_readings_are_read_in_order(
    file: File, log: WorkerLog
) -> None:
    file.append(entry("one"))
    assert messages(log) == ["one"]
    for name in ("two", "three"):
        file.append(entry(name))
        wait_until(lambda: False, 0.02)  # so that the files were written at different times
        file.roll()
    file.append(entry("four"))
    assert messages(log) == ["two", "three", "four"]


def test_many_rollings_leave_no_descriptor_open(file: File, log: WorkerLog) -> None:
    before = len(list(Path("/proc/self/fd").iterdir()))
    for number in range(30):
        file.append(entry(str(number)))
        assert messages(log)[-1] == str(number)
        file.roll()
    assert len(list(Path("/proc/self/fd").iterdir())) <= before + 1


def test_a_truncated_file_is_read_from_its_start(file: File, log: WorkerLog) -> None:
    file.append(entry("a long line that was there before"))
    assert len(messages(log)) == 1
    file.path.write_text(entry("short"), encoding="utf-8")
    assert messages(log) == ["short"]


def test_a_file_truncated_and_grown_past_our_place_is_noticed(file: File, log: WorkerLog) -> None:
    file.append(entry("before"))
    assert messages(log) == ["before"]
    file.path.write_text(entry("after") + entry("more") * 3, encoding="utf-8")
    assert messages(log) == ["after", "more", "more", "more"]


def test_only_the_end_of_what_was_there_before_us_is_read(file: File, log: WorkerLog) -> None:
    line = entry("x" * 1000)
    file.append(line * (2 * LOOK_BACK // len(line)) + entry("last"))
    read = log.read().lines
    assert read[-1].message == "last"
    assert len(read) * len(line) <= LOOK_BACK
    assert log.read().counts.malformed == 0  # the line it began within is not one


def test_a_flood_is_skipped_and_counted_and_its_end_is_read(file: File, log: WorkerLog) -> None:
    file.append(entry("first"))
    log.read()
    line = entry("y" * 1000)
    file.append(line * (3 * BUDGET // len(line)) + entry("last"))
    reading = log.read()
    assert reading.lines[-1].message == "last"
    assert len(reading.lines) <= MOST_LINES
    assert reading.counts.skipped_bytes > BUDGET
    assert reading.counts.skipped_lines > 0


def test_a_huge_line_is_dropped_and_the_next_is_read(file: File, log: WorkerLog) -> None:
    file.append(entry("first"))
    log.read()
    file.append(entry("z" * (2 * LONGEST)) + entry("next"))
    assert messages(log) == ["next"]
    with file.path.open("ab") as out:  # one that comes in pieces, its end last
        out.write(b"{" * LONGEST)
        out.flush()
        log.read()
        out.write(b"{" * LONGEST)
        out.flush()
        assert messages(log) == []
        out.write(b"\n" + entry("after").encode())
    assert messages(log) == ["after"]
    assert log.read().counts.too_long == 2


@pytest.mark.parametrize(
    "line",
    [
        b"not json",
        b"[]",
        b"null",
        b"1e999999",
        b'{"@timestamp":"yesterday","log.level":"WARN"}',
        b'{"@timestamp":"2026-01-01T00:00:00","log.level":"WARN"}',  # of which zone?
        b'{"@timestamp":1,"log.level":"WARN"}',
        b'{"@timestamp":"2026-01-01T00:00:00Z"}',
        b'{"log.level":"WARN"}',
        b"[" * 100_000,
        b"\xff\xfe\x00{",
        b'{"@timestamp":"9999-12-31T23:59:59-23:59","log.level":"WARN","message":'
        + b"1" * 5000
        + b"}",
    ],
)
def test_a_malformed_line_is_counted_and_the_next_is_read(
    line: bytes, file: File, log: WorkerLog
) -> None:
    file.path.write_bytes(line + b"\n" + entry("next").encode())
    reading = log.read()
    assert [read.message for read in reading.lines][-1:] == ["next"]
    assert reading.counts.malformed + reading.counts.read == 2


def test_a_line_below_warn_is_counted_and_dropped(file: File, log: WorkerLog) -> None:
    file.append(entry("hello", level="INFO") + entry("oh", level="ERROR"))
    reading = log.read()
    assert [line.message for line in reading.lines] == ["oh"]
    assert reading.counts.below_level == 1


def test_a_secret_is_scrubbed_from_message_and_trace(file: File, log: WorkerLog) -> None:
    file.append(entry("hunter2hunter2", error__message="x hunter2hunter2", error__type="E"))
    (line,) = log.read().lines
    assert "hunter2" not in line.text
    assert MASK in line.message
    assert MASK in line.trace


def test_values_of_other_types_than_text_are_left_out(file: File, log: WorkerLog) -> None:
    whole = json.loads(entry("m"))
    whole |= {"message": {"a": 1}, "connector.context": 5, "error.stack_trace": ["x"]}
    file.append(json.dumps(whole) + "\n")
    (line,) = log.read().lines
    assert (line.message, line.context, line.trace) == ("", "", "")


@pytest.mark.parametrize(
    "make", [lambda p: p.mkdir(), os.mkfifo, lambda p: p.symlink_to("/dev/zero")]
)
def test_what_is_no_plain_file_is_refused_and_does_not_block(make: object, file: File) -> None:
    assert callable(make)
    make(file.path)
    with pytest.raises(Fault):
        WorkerLog(file.path, str).read()


def test_a_file_that_vanishes_is_missing_and_may_come_back(file: File, log: WorkerLog) -> None:
    file.append(entry("one"))
    log.read()
    file.path.unlink()
    assert log.read().missing
    file.append(entry("two"))
    assert messages(log) == ["two"]


def test_a_refused_file_is_read_again_when_it_is_a_plain_one(file: File, log: WorkerLog) -> None:
    file.path.mkdir()
    with pytest.raises(Unavailable):
        log.read()
    file.path.rmdir()
    file.append(entry("now"))
    assert messages(log) == ["now"]


WRITER = """
import sys
line = sys.argv[2].encode()
with open(sys.argv[1], "ab", buffering=0) as out:
    while True:
        for byte in range(0, len(line), 50):
            out.write(line[byte:byte + 50])
"""


def test_a_writer_killed_within_a_line_costs_that_line_only(file: File, log: WorkerLog) -> None:
    writer = subprocess.Popen([sys.executable, "-c", WRITER, str(file.path), entry("torn")])
    try:
        assert wait_until(lambda: bool(messages(log)), 10.0)
    finally:
        writer.send_signal(signal.SIGKILL)
        writer.wait(10)
    log.read()
    file.append("\n" + entry("of the next worker"))
    while not (read := messages(log)):  # the flood may need one reading more
        pass
    assert read[-1] == "of the next worker"
    assert log.read().counts.malformed <= 1


# --- on the real worker -------------------------------------------------------------------------


@dataclass
class Scene:
    """A connector on the real worker, which reads its password from the shared volume."""

    stack: Stack
    log: WorkerLog
    book: EvidenceBook
    name: str

    def request(self, method: str, path: str, body: object = None) -> object:
        return self.stack.worker().request(method, path, body)

    def look(self) -> Evidence | None:
        lines = self.log.read().lines
        self.book = gather(self.book, lines, {self.name}, time.time())
        return telling(self.book.of(self.name))

    def sees(self, failure: str) -> bool:
        evidence = self.look()
        return evidence is not None and evidence.failure == failure

    def first_warning(self) -> float:
        """When the worker itself first wrote of this connector, read beside the code under test."""
        lines = self.log.path.read_text(encoding="utf-8").splitlines()
        moments = [
            datetime.fromisoformat(json.loads(line)["@timestamp"]).timestamp()
            for line in lines
            if f"[{self.name}|" in line
        ]
        return min(moments)

    def seen_within(self, seconds: float, *failures: str) -> None:
        assert wait_until(lambda: any(map(self.sees, failures)), 40.0), self.book
        assert time.time() - self.first_warning() < seconds

    def state(self) -> str:
        status = self.request("GET", f"/connectors/{self.name}/status")
        assert isinstance(status, dict)
        return str(status["tasks"][0]["state"])


@pytest.fixture
def scene(stack: Stack) -> Iterator[Scene]:
    name = f"evidence-{secrets.token_hex(3)}"
    log = WorkerLog(stack.worker().evidence, str)
    log.read()  # what other tests left
    topics = (f"{name}.MMDL.PLAN_WVR_RVSN_TBL", f"__debezium-heartbeat.{name}")
    stack.create_topics(*topics)
    running = Scene(stack, log, EvidenceBook(), name)
    database = stack.postgres
    folder = stack.worker().write_secret(f"wms/main/{name}", "v1", database.db_info())
    config = {
        "connector.class": "io.debezium.connector.postgresql.PostgresConnector",
        "tasks.max": "1",
        "topic.prefix": name,
        "database.hostname": database.host,
        "database.port": str(database.port),
        "database.user": f"${{directory:{folder}:user}}",
        "database.password": f"${{directory:{folder}:password}}",
        "database.dbname": database.dbname,
        "plugin.name": "pgoutput",
        "slot.name": name.replace("-", "_"),
        "publication.name": "wms",
        "publication.autocreate.mode": "disabled",
        "table.include.list": r"MMDL\.PLAN_WVR_RVSN_TBL",
        "snapshot.mode": "no_data",
        "heartbeat.interval.ms": "500",
        "retriable.restart.connector.wait.ms": "1000",
    }
    running.request("PUT", f"/connectors/{name}/config", config)
    stack.worker().wait_running(name)
    try:
        yield running
    finally:
        with suppress(Exception):
            running.request("DELETE", f"/connectors/{name}")
        with suppress(Exception):
            database.drop_slot(name.replace("-", "_"))
        log.close()


@pytest.mark.stack
def test_a_wrong_password_behind_running_is_seen_within_two_seconds(scene: Scene) -> None:
    database = scene.stack.postgres
    right = database.password
    database.rotate_password(secrets.token_hex(8))
    try:
        database.end_sessions()
        scene.seen_within(2.0, "LoginRefused", "SessionEnded")
        assert wait_until(lambda: scene.sees("LoginRefused"), 10.0), scene.book
        assert scene.state() == "RUNNING"
    finally:
        database.rotate_password(right)


@pytest.mark.stack
def test_a_stopped_database_behind_running_is_seen_within_two_seconds(scene: Scene) -> None:
    database = scene.stack.postgres
    database.kill()
    try:
        scene.seen_within(2.0, "DatabaseDown", "ConnectionLost")
        assert wait_until(lambda: scene.sees("DatabaseDown"), 10.0), scene.book
        assert scene.state() == "RUNNING"
    finally:
        database.start()


@pytest.mark.stack
def test_a_missing_topic_is_seen_by_the_client_id_of_the_producer(scene: Scene) -> None:
    admin = scene.stack.admin()
    topic = f"__debezium-heartbeat.{scene.name}"
    for future in admin.delete_topics([topic]).values():
        future.result(10)
    try:
        assert wait_until(lambda: scene.sees("TopicMissing"), 30.0), scene.book
        assert scene.state() == "RUNNING"
    finally:
        scene.stack.create_topics(topic)


@pytest.mark.stack
def test_an_oracle_that_nobody_answers_for_is_seen_by_its_code(scene: Scene) -> None:
    oracle = Scene(scene.stack, scene.log, EvidenceBook(), f"{scene.name}-oracle")
    config = {
        "name": oracle.name,
        "connector.class": "io.debezium.connector.oracle.OracleConnector",
        "tasks.max": "1",
        "topic.prefix": oracle.name,
        "database.hostname": "127.0.0.1",
        "database.port": str(free_port()),
        "database.user": "c##dbz",
        "database.password": "never-sent",
        "database.dbname": "ORCLCDB",
        "schema.history.internal.kafka.topic": f"{oracle.name}.history",
        "schema.history.internal.kafka.bootstrap.servers": scene.stack.broker.bootstrap,
        "retriable.restart.connector.wait.ms": "1000",
    }
    # Connect refuses a connector whose database is away; this is one that had its database once.
    producer = Producer({"bootstrap.servers": scene.stack.broker.bootstrap})
    value = json.dumps({"properties": config})
    producer.produce(CONFIGS, key=f"connector-{oracle.name}", value=value)
    assert producer.flush(10) == 0
    try:
        oracle.seen_within(2.0, "NoListener")
        assert wait_until(lambda: counted(oracle) >= 3, 20.0), oracle.book
        evidence = oracle.look()
        assert evidence is not None
        assert "ORA-12541" in evidence.codes
        assert oracle.state() == "RUNNING"
    finally:
        oracle.request("DELETE", f"/connectors/{oracle.name}")


def counted(scene: Scene) -> int:
    evidence = scene.look()
    return evidence.count if evidence else 0
