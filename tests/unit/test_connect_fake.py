"""What the fake worker does beyond the contract: time, faults, what the real one was seen do."""

from __future__ import annotations

import pytest

from controller.core.action import CreateConnector, PutConfig, Restart, Resume, Stop
from controller.core.faults import Conflict, OutcomeUnknown, Transient
from controller.core.model import ABSENT, ObservedConnector, Unknown, connector_key
from tests.fakes.connect import FILE_SOURCE, FakeConnect, FakeConnectWorld, Late, TimeOut

CONFIG = {"connector.class": FILE_SOURCE, "tasks.max": "1", "file": "in.txt", "topic": "t"}


@pytest.fixture
def connect() -> FakeConnect:
    """A worker whose rebalances take a second, with the connector `a` RUNNING."""
    client = FakeConnect(FakeConnectWorld(settle=1.0))
    client.world.hand("PUT", "/connectors/a/config", CONFIG)
    client.world.clock.sleep(3.0)
    return client


def seen(connect: FakeConnect, name: str = "a") -> ObservedConnector:
    item = connect.observe([name]).get(connector_key(name))
    assert isinstance(item, ObservedConnector)
    return item


def task_state(connect: FakeConnect) -> str:
    return seen(connect).tasks[0].state


def test_time_passes_only_when_somebody_waits(connect: FakeConnect) -> None:
    before = connect.world.clock.now()
    connect.observe(["a", "b"])
    assert connect.world.clock.now() == before


def test_a_late_request_is_carried_out_when_nobody_waits_for_it(connect: FakeConnect) -> None:
    connect.server.fail("PUT", "config", Late(60.0))
    with pytest.raises(OutcomeUnknown):
        connect.apply(PutConfig("a", {**CONFIG, "flag": "late"}))
    assert "flag" not in seen(connect).config
    connect.world.clock.sleep(60.0)
    assert seen(connect).config["flag"] == "late"


@pytest.mark.parametrize("applied", [True, False])
def test_a_write_that_times_out_was_applied_or_was_not(connect: FakeConnect, applied: bool) -> None:
    connect.server.fail("POST", "/connectors$", TimeOut(applied))
    with pytest.raises(OutcomeUnknown):
        connect.apply(CreateConnector("b", CONFIG))
    there = connect.observe(["b"]).get(connector_key("b"))
    assert isinstance(there, ObservedConnector) is applied
    assert (there == ABSENT) is not applied


def test_a_rebalance_refuses_writes_and_holds_up_single_reads(connect: FakeConnect) -> None:
    connect.world.rebalance(10.0)
    with pytest.raises(Conflict):
        connect.apply(PutConfig("a", CONFIG))
    with pytest.raises(Transient):
        connect.offsets("a")
    assert seen(connect).state == "RUNNING", "the listing goes on"
    connect.world.clock.sleep(10.0)
    assert connect.offsets("a") == ()


def test_an_identical_put_starts_the_connector_anew_and_no_task(connect: FakeConnect) -> None:
    connector = connect.world.connectors["a"]
    starts, tasks = connector.starts, connector.tasks[0].starts
    connect.apply(PutConfig("a", CONFIG))
    assert (connector.starts, connector.tasks[0].starts) == (starts + 1, tasks)
    connect.apply(PutConfig("a", {**CONFIG, "any.key": "1"}))
    assert (connector.starts, connector.tasks[0].starts) == (starts + 2, tasks + 1)


def test_a_restart_of_the_failed_does_nothing_to_the_running(connect: FakeConnect) -> None:
    task = connect.world.connectors["a"].tasks[0]
    connect.apply(Restart("a", only_failed=True))
    assert task.starts == 1
    connect.world.fail_task("a", "why")
    assert task_state(connect) == "FAILED"
    connect.apply(Restart("a", only_failed=True))
    assert (task.starts, task_state(connect)) == (2, "RESTARTING")
    connect.world.clock.sleep(1.0)
    assert task_state(connect) == "RUNNING"


def test_what_is_doomed_fails_at_each_start_until_it_is_absolved(connect: FakeConnect) -> None:
    connect.world.doom("a", "Caused by: why")
    connect.apply(Restart("a", only_failed=False))
    assert seen(connect).tasks[0].trace == "Caused by: why"
    connect.world.absolve("a")
    connect.apply(Restart("a", only_failed=True))
    assert seen(connect).tasks[0].trace is None


def test_a_status_follows_what_was_asked_for(connect: FakeConnect) -> None:
    connect.apply(Stop("a"))
    assert seen(connect).state == "RUNNING"
    connect.world.clock.sleep(1.0)
    assert [seen(connect).state, task_state(connect)] == ["STOPPED", "RUNNING"]
    connect.world.clock.sleep(1.0)
    assert seen(connect).tasks == ()
    connect.apply(Resume("a"))
    assert seen(connect).state == "STOPPED"
    connect.world.clock.sleep(1.0)
    assert seen(connect).state == "RUNNING"
    connect.world.clock.sleep(1.0)
    assert task_state(connect) == "RUNNING"


def test_a_worker_that_boots_starts_all_tasks_anew(connect: FakeConnect) -> None:
    connect.world.fail_task("a", "why")
    connect.world.boot(html=3.0)
    assert isinstance(connect.observe(["a"]).get(connector_key("a")), Unknown)
    connect.world.clock.sleep(5.0)
    assert task_state(connect) == "RUNNING"
