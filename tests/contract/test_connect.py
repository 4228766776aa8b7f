"""What every ConnectClient must do: asked of the fake and of a real worker alike."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any
from urllib.error import HTTPError

import pytest

from controller.adapters.connect import ConnectRest
from controller.core.action import (
    ConnectorAction,
    CreateConnector,
    Pause,
    PutConfig,
    Restart,
    Resume,
    Stop,
)
from controller.core.faults import Conflict, Fault, Rejected
from controller.core.model import ABSENT, Absent, Json, ObservedConnector, Unknown, connector_key
from controller.core.stage import MARK_KEY
from controller.ports import ConnectClient
from devstack.environment import wait_until
from devstack.stack import Stack
from tests.fakes.connect import FILE_SOURCE, POSTGRES, FakeConnect, FakeConnectWorld

NUMBERS = count(1)
TOPIC = "connect-contract"
LOGIN_REFUSED = ("database.hostname", "FATAL: password authentication failed")
POSTGRES_CONFIG = {
    "connector.class": POSTGRES,
    "tasks.max": "1",
    "topic.prefix": TOPIC,
    "database.hostname": "127.0.0.1",
    "database.user": "nobody",
    "database.password": "wrong-password",
    "database.dbname": "wms",
    "plugin.name": "pgoutput",
}


@dataclass(frozen=True)
class Worker:
    """A client under test, and a hand that speaks to the same worker without it."""

    client: ConnectClient
    hand: Callable[[str, str, Any], tuple[int, Any]]
    requests: Callable[[], int]
    offset: Callable[[str], None]  # let the connector have an offset
    file: str
    database: int  # the port of one; it refuses `nobody`

    def config(self, **more: str) -> dict[str, str]:
        base = {"connector.class": FILE_SOURCE, "tasks.max": "1", "topic": TOPIC}
        return {**base, "file": self.file, **more}

    def observe(self, name: str) -> ObservedConnector | Absent | Unknown:
        return self.client.observe([name]).get(connector_key(name))

    def observed(self, name: str) -> ObservedConnector:
        item = self.observe(name)
        assert isinstance(item, ObservedConnector)
        return item

    def shows(self, name: str, state: str, *tasks: str) -> bool:
        def claim() -> bool:
            item = self.observed(name)
            return (item.state, tuple(task.state for task in item.tasks)) == (state, tasks)

        return wait_until(claim, 15)

    def create(self, **more: str) -> str:
        """A name that is there and STOPPED."""
        name = new_name()
        self.client.apply(CreateConnector(name, self.config(**more)))
        assert self.shows(name, "STOPPED")
        return name

    def running(self) -> str:
        name = self.create()
        self.client.apply(Resume(name))
        assert self.shows(name, "RUNNING", "RUNNING")
        return name


def new_name() -> str:
    return f"contract-{next(NUMBERS)}"


def fake_worker() -> Worker:
    def login(config: Mapping[str, str]) -> list[tuple[str, str]]:
        return [LOGIN_REFUSED] if config["database.user"] == "nobody" else []

    client = FakeConnect(FakeConnectWorld(settle=0.25, validator=login))
    world = client.world

    def hand(method: str, target: str, body: Any) -> tuple[int, Any]:
        reply = world.hand(method, target, body)
        return reply.status, reply.body

    def offset(name: str) -> None:
        world.commit(name, {"filename": "in.txt"}, {"position": 4})

    def pass_time(*_: str) -> None:
        world.clock.sleep(0.1)  # a request takes time

    client._on_request = pass_time
    return Worker(client, hand, lambda: client.requests, offset, "in.txt", 1)


def real_worker(stack: Stack, folder: Path) -> Worker:
    if TOPIC not in stack.topics():
        stack.create_topics(TOPIC)
    file = folder / "in.txt"
    file.write_text("one\ntwo\n", encoding="utf-8")
    client = ConnectRest(stack.worker().url, scrub=str)

    def hand(method: str, target: str, body: Any) -> tuple[int, Any]:
        try:
            return 200, stack.worker().request(method, target, body)
        except HTTPError as error:
            with error:
                return error.code, json.loads(error.read() or b"null")

    def offset(name: str) -> None:
        assert wait_until(lambda: client.offsets(name) != (), 15)

    return Worker(client, hand, lambda: client.requests, offset, str(file), stack.postgres.port)


@pytest.fixture(params=["fake", pytest.param("real", marks=pytest.mark.stack)])
def worker(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Worker]:
    if request.param == "fake":
        made = fake_worker()
    else:
        made = real_worker(request.getfixturevalue("stack"), tmp_path)
    yield made
    for key in made.client.observe([]).items:
        if key.name.startswith("contract-"):
            made.client.delete(key.name)
    if isinstance(made.client, ConnectRest):
        made.client.close()


class TestObserving:
    def test_the_cluster_has_an_id(self, worker: Worker) -> None:
        assert worker.client.cluster_id() == worker.client.cluster_id() != ""

    def test_a_name_that_nobody_created_is_absent(self, worker: Worker) -> None:
        assert worker.observe(new_name()) == ABSENT

    def test_all_connectors_are_shown_and_not_only_those_asked_for(self, worker: Worker) -> None:
        name = worker.create()
        assert connector_key(name) in worker.client.observe([]).items

    def test_one_request_is_enough_while_nothing_is_missing(self, worker: Worker) -> None:
        name, before = worker.create(), worker.requests()
        worker.client.observe([])
        worker.client.observe([name])
        assert worker.requests() - before == 2
        worker.client.observe([name, new_name()])
        assert worker.requests() - before == 2 + 3  # listing, health, plain list

    def test_a_new_connector_is_pending_and_never_absent(self, worker: Worker) -> None:
        name, states = new_name(), []
        worker.client.apply(CreateConnector(name, worker.config()))
        for _ in range(200):
            item = worker.observed(name)
            assert item.config["topic"] == TOPIC
            states.append(item.state)
            if states[-1] == "STOPPED":
                break
        assert set(states) <= {"PENDING", "STOPPED"}
        assert states[-1] == "STOPPED"

    def test_what_somebody_deleted_is_absent(self, worker: Worker) -> None:
        name = worker.create()
        assert worker.hand("DELETE", f"/connectors/{name}", None)[0] < 300
        assert worker.observe(name) == ABSENT

    def test_a_name_that_a_patch_corrupted_shows_in_the_config(self, worker: Worker) -> None:
        name = worker.create()
        worker.hand("PATCH", f"/connectors/{name}/config", {"name": "zz"})
        assert worker.observed(name).config["name"] == "zz"
        worker.client.apply(PutConfig(name, worker.config()))
        assert worker.observed(name).config["name"] == name


class TestCreating:
    def test_it_is_created_stopped_and_as_sent(self, worker: Worker) -> None:
        name = worker.create(**{MARK_KEY: "wms-connector-main", "flag": "true"})
        item = worker.observed(name)
        assert item.state == "STOPPED"
        assert item.tasks == ()
        marked = worker.config(**{MARK_KEY: "wms-connector-main", "flag": "true"})
        assert item.config == {**marked, "name": name}

    def test_a_second_one_of_the_name_is_a_conflict(self, worker: Worker) -> None:
        name = worker.create()
        with pytest.raises(Conflict) as caught:
            worker.client.apply(CreateConnector(name, worker.config(flag="other")))
        assert caught.value.reason == "AlreadyExists"
        assert "flag" not in worker.observed(name).config

    def test_a_name_may_hold_what_a_url_may_not(self, worker: Worker) -> None:
        name = f"{new_name()} é?#+&"
        worker.client.apply(CreateConnector(name, worker.config()))
        assert worker.shows(name, "STOPPED")
        worker.client.delete(name)
        assert worker.observe(name) == ABSENT

    @pytest.mark.parametrize("name", ["contract-%41", "contract/a", "contract\\a", ".", "..", ""])
    def test_a_name_that_no_path_can_hold_is_refused(self, worker: Worker, name: str) -> None:
        assert refusal(worker, CreateConnector(name, worker.config())) == "UnusableName"
        with pytest.raises(Rejected):
            worker.client.delete(name)

    def test_a_config_that_is_refused_writes_nothing(self, worker: Worker) -> None:
        name, config = new_name(), worker.config()
        del config["topic"]
        for action in (CreateConnector(name, config), PutConfig(name, config)):
            assert refusal(worker, action) == "ConfigRefused"
        assert worker.observe(name) == ABSENT

    def test_a_refused_login_refuses_the_config(self, worker: Worker) -> None:
        name = new_name()
        config = {**POSTGRES_CONFIG, "database.port": str(worker.database)}
        for action in (CreateConnector(name, config), PutConfig(name, config)):
            assert refusal(worker, action) == "ConfigRefused"
        assert worker.observe(name) == ABSENT

    def test_a_class_without_plugin_is_told_as_such(self, worker: Worker) -> None:
        config = worker.config(**{"connector.class": "org.example.Nope"})
        for action in (CreateConnector(new_name(), config), PutConfig(new_name(), config)):
            assert refusal(worker, action) == "UnknownClass"
        with pytest.raises(Rejected) as caught:
            worker.client.validate("org.example.Nope", config)
        assert caught.value.reason == "UnknownClass"


def refusal(worker: Worker, action: ConnectorAction) -> str:
    with pytest.raises(Rejected) as caught:
        worker.client.apply(action)
    return caught.value.reason


class TestConfiguring:
    def test_a_put_replaces_the_whole_config(self, worker: Worker) -> None:
        name = worker.create(one="1", two="2")
        worker.client.apply(PutConfig(name, worker.config(two="3")))
        assert worker.observed(name).config == {**worker.config(two="3"), "name": name}

    def test_a_put_leaves_a_stopped_connector_stopped(self, worker: Worker) -> None:
        name = worker.create()
        worker.client.apply(PutConfig(name, worker.config(flag="true")))
        assert worker.shows(name, "STOPPED")

    def test_a_put_of_what_was_deleted_creates_it_running(self, worker: Worker) -> None:
        name = worker.create()
        worker.client.delete(name)
        worker.client.apply(PutConfig(name, worker.config()))
        assert worker.shows(name, "RUNNING", "RUNNING")

    def test_validate_names_the_field(self, worker: Worker) -> None:
        config = {**worker.config(), "name": "x"}
        assert worker.client.validate(FILE_SOURCE, config) == ()
        del config["topic"]
        (error,) = worker.client.validate(FILE_SOURCE, config)
        assert error.field == "topic"
        assert "required" in error.message

    def test_validate_tells_of_a_refused_login_at_the_host(self, worker: Worker) -> None:
        config = {**POSTGRES_CONFIG, "name": "x", "database.port": str(worker.database)}
        (error,) = worker.client.validate(POSTGRES, config)
        assert error.field == "database.hostname"
        assert "authentication failed" in error.message


class TestRunning:
    def test_it_resumes_pauses_and_stops(self, worker: Worker) -> None:
        name = worker.running()
        worker.client.apply(Pause(name))
        assert worker.shows(name, "PAUSED", "PAUSED")
        worker.client.apply(Resume(name))
        assert worker.shows(name, "RUNNING", "RUNNING")
        worker.client.apply(Stop(name))
        assert worker.shows(name, "STOPPED")

    def test_each_of_these_may_be_said_twice(self, worker: Worker) -> None:
        name = worker.running()
        for action in (Resume(name), Pause(name), Pause(name), Stop(name), Stop(name)):
            worker.client.apply(action)
        assert worker.shows(name, "STOPPED")

    def test_restarted_it_runs_again(self, worker: Worker) -> None:
        name = worker.running()
        for only_failed in (True, False):
            worker.client.apply(Restart(name, only_failed=only_failed))
            assert worker.shows(name, "RUNNING", "RUNNING")

    def test_a_restart_does_not_start_what_is_stopped(self, worker: Worker) -> None:
        name = worker.create()
        worker.client.apply(Restart(name, only_failed=False))
        assert worker.shows(name, "STOPPED")

    @pytest.mark.parametrize("make", [Pause, Resume, Stop, lambda name: Restart(name, True)])
    def test_what_is_not_there_is_a_conflict(
        self, worker: Worker, make: Callable[[str], ConnectorAction]
    ) -> None:
        with pytest.raises(Conflict) as caught:
            worker.client.apply(make(new_name()))
        assert caught.value.reason == "NotFound"


class TestOffsetsAndDeleting:
    def test_a_new_connector_has_no_offsets(self, worker: Worker) -> None:
        assert worker.client.offsets(worker.create(file=f"{worker.file}.other")) == ()

    def test_offsets_of_what_is_not_there_are_a_fault_and_not_none(self, worker: Worker) -> None:
        with pytest.raises(Fault):
            worker.client.offsets(new_name())

    def test_offsets_survive_their_connector(self, worker: Worker) -> None:
        name = worker.running()
        worker.offset(name)
        (entry,) = worker.client.offsets(name)
        worker.client.delete(name)
        worker.client.apply(CreateConnector(name, worker.config()))
        assert worker.client.offsets(name) == (entry,)
        assert worker.shows(name, "STOPPED")

    def test_offsets_that_were_reset_are_left_out(self, worker: Worker) -> None:
        name = worker.running()
        worker.offset(name)
        worker.client.apply(Stop(name))
        assert worker.shows(name, "STOPPED")

        def reset() -> bool:  # not as long as a task is left
            return worker.hand("DELETE", f"/connectors/{name}/offsets", None)[0] == 200

        assert wait_until(reset, 10)
        assert worker.client.offsets(name) == ()

    def test_offsets_that_were_altered_are_the_offsets(self, worker: Worker) -> None:
        name = worker.running()
        worker.offset(name)
        worker.client.apply(Stop(name))
        assert worker.shows(name, "STOPPED")
        (entry,) = worker.client.offsets(name)
        older: dict[str, Json] = {"partition": entry["partition"], "offset": {"position": 1}}

        def altered() -> bool:  # not as long as a task is left
            try:
                worker.client.alter_offsets(name, [older])
            except Conflict:
                return False
            return True

        assert wait_until(altered, 15)
        assert wait_until(lambda: worker.client.offsets(name) == (older,), 15)

    def test_offsets_of_a_running_connector_cannot_be_altered(self, worker: Worker) -> None:
        name = worker.running()
        worker.offset(name)
        (entry,) = worker.client.offsets(name)
        with pytest.raises(Conflict) as caught:
            worker.client.alter_offsets(name, [dict(entry)])
        assert caught.value.reason == "NotStopped"

    def test_deleting_what_is_gone_is_no_fault(self, worker: Worker) -> None:
        name = worker.create()
        worker.client.delete(name)
        worker.client.delete(name)
        assert worker.observe(name) == ABSENT


FILE = {"connector.class": "FileStreamSource", "tasks.max": "1", "file": "in", "topic": TOPIC}
INVALID = "Connector configuration is invalid and contains the following 1 error(s):\n"
SPOKEN = [
    ("GET", "/nope", None, 404, "HTTP 404 Not Found"),
    ("GET", "/connectors/nope", None, 404, "Connector nope not found"),
    ("GET", "/connectors/nope/status", None, 404, "No status found for connector nope"),
    ("GET", "/connectors/nope/config", None, 404, "Connector nope not found"),
    ("GET", "/connectors/nope/offsets", None, 404, "Connector nope not found"),
    ("DELETE", "/connectors/nope", None, 404, "Connector nope not found"),
    ("PUT", "/connectors/nope/stop", None, 404, "Unknown connector nope"),
    ("PUT", "/connectors/nope/pause", None, 404, "Unknown connector nope"),
    ("POST", "/connectors/nope/restart", None, 404, "Unknown connector: nope"),
    ("POST", "/connectors/nope/tasks/0/restart", None, 404, "Unknown connector: nope"),
    ("PATCH", "/connectors/nope/config", {"a": "b"}, 404, "Connector nope not found"),
    ("DELETE", "/connectors/nope/offsets", None, 404, "Connector nope not found"),
    ("POST", "/connectors", {"name": "a"}, 500, '"connectorConfig" is null'),
    ("POST", "/connectors", {"config": FILE}, 400, "String may not be empty"),
    (
        "POST",
        "/connectors",
        {"name": "a", "config": FILE, "initial_state": "bogus"},
        500,
        "Cannot construct instance of",
    ),
    (
        "POST",
        "/connectors",
        {"name": "a", "config": FILE, "extra": 1},
        500,
        'Unrecognized field "extra"',
    ),
    (
        "POST",
        "/connectors",
        {"name": "a", "config": {**FILE, "x": {"y": 1}}},
        500,
        "Cannot deserialize value of type `java.lang.String`",
    ),
    (
        "POST",
        "/connectors",
        {"name": "a", "config": {**FILE, "name": "b"}},
        400,
        "Connector name configuration (b) doesn't match connector name in the URL (a)",
    ),
    ("PUT", "/connectors/a/config", {**FILE, "x": None}, 400, f"{INVALID}Null value can not"),
    ("PUT", "/connectors/a/config", {"topic": "t"}, 400, "contains no connector type"),
    (
        "PUT",
        "/connector-plugins/FileStreamSource/config/validate",
        {"topic": "t"},
        500,
        "Connector config {topic=t} contains no connector type",
    ),
    (
        "PUT",
        "/connector-plugins/OracleConnector/config/validate",
        FILE,
        400,
        "does not match request type OracleConnector",
    ),
]


@pytest.mark.parametrize(("method", "target", "body", "status", "says"), SPOKEN)
def test_the_worker_speaks_these_very_words(  # noqa: PLR0917
    worker: Worker, method: str, target: str, body: Any, status: int, says: str
) -> None:
    code, answer = worker.hand(method, target, body)
    assert code == status
    assert says in answer["message"]
    assert answer["error_code"] == status


def test_values_become_strings_and_the_name_is_trimmed(worker: Worker) -> None:
    name = new_name()
    config = {**worker.config(), "number": 7, "flag": True}
    worker.hand("POST", "/connectors", {"name": f" {name} ", "config": config})
    item = worker.observed(name)
    assert item.config == {**worker.config(number="7", flag="true"), "name": name}


def test_offsets_of_what_is_not_stopped_cannot_be_touched(worker: Worker) -> None:
    name = worker.running()
    code, answer = worker.hand("DELETE", f"/connectors/{name}/offsets", None)
    assert code == 400
    assert "must be in the STOPPED state" in answer["message"]


def test_a_task_of_what_is_stopped_cannot_be_restarted_and_the_text_misleads(
    worker: Worker,
) -> None:
    name = worker.running()
    worker.client.apply(Stop(name))
    assert worker.shows(name, "STOPPED")
    code, answer = worker.hand("POST", f"/connectors/{name}/tasks/0/restart", None)
    assert code == 409
    assert "no known leader URL" in answer["message"]
