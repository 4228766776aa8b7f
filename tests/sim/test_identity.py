"""The whole controller where the cluster is not the one it should be, or not its alone."""

from __future__ import annotations

import pytest

from controller.core.action import CreateTopic
from controller.core.model import WORKER, ResourceKey, connector_key
from controller.core.owner import OWNER_RECORD, Owner
from controller.core.stage import Stage
from tests.make import NAME
from tests.sim.world import DATA, Controller, SimWorld

CONNECTOR = connector_key(NAME)
VAL_OFFSETS = "mgmt.connect.wms-connector-val.offsets"


def a_neighbour(world: SimWorld) -> None:
    world.kafka.apply(CreateTopic(VAL_OFFSETS, 1, 1, {}))


def reason(controller: Controller, key: ResourceKey = CONNECTOR) -> str:
    report = controller.cycle()
    assert report is not None
    return next(s.decision.reason for s in report.plan.steps if s.key == key)


def test_beside_another_named_stage_a_new_connector_is_created_and_not_started() -> None:
    world = SimWorld()
    a_neighbour(world)
    controller = Controller(world)
    controller.run(20)
    assert world.connect.world.connectors[NAME].target == "STOPPED"
    assert world.snapshots == 0
    assert reason(controller) == "ClusterShared"


@pytest.mark.parametrize("stage", ["feat-demo"])
def test_a_branch_has_names_of_its_own_and_starts_beside_anybody(stage: str) -> None:
    world = SimWorld(stage=Stage(stage))
    a_neighbour(world)
    Controller(world).settle()
    assert world.snapshots == 1


def test_one_with_offsets_goes_on_and_the_neighbour_is_shown() -> None:
    world = SimWorld()
    controller = Controller(world)
    controller.settle()
    a_neighbour(world)
    controller.run(20)
    assert world.connect.world.connectors[NAME].target == "RUNNING"
    assert reason(controller) == "ClusterShared"


def test_a_worker_that_came_back_on_another_cluster_is_written_nothing() -> None:
    world = SimWorld()
    controller = Controller(world)
    controller.settle()
    world.stop_worker()
    controller.run(2)
    world.connect.world.cluster_id = "another-cluster"
    world.connect_may_run, world.connect.world.down = True, False
    world.edit("PUT", f"/connectors/{NAME}/config", {**world.config, "x": "y"})
    world.kafka.topics[DATA].config["retention.ms"] = "7"
    controller.run(20)
    assert "x" in world.config
    assert world.kafka.topics[DATA].config["retention.ms"] == "7"
    assert reason(controller) == "WrongCluster"


def test_a_commit_that_declares_another_cluster_is_told_at_once_until_it_is_undone() -> None:
    world = SimWorld()
    controller = Controller(world)
    controller.settle()
    world.commit(kafka_cluster_id="AnotherClusterEntirely")
    controller.run(2)
    assert reason(controller, WORKER) == "WrongCluster"
    assert not controller.is_settled()
    world.commit(kafka_cluster_id=None)
    controller.settle()
    controller.stay_quiet()


def test_a_stage_that_never_was_as_declared_is_bound_to_the_cluster_that_it_runs_on() -> None:
    world = SimWorld()
    world.kafka.apply(CreateTopic(DATA, 9, 1, {}))  # more partitions than are declared, for good
    Controller(world).run(20)
    assert world.snapshots == 1
    assert "birth/stage" not in world.store.records
    world.kafka.id = world.connect.world.cluster_id = "another-cluster"
    world.edit("PUT", f"/connectors/{NAME}/config", {**world.config, "x": "y"})
    moved = Controller(world)
    moved.run(20)
    assert reason(moved) == "WrongCluster"
    assert "x" in world.config


def test_made_anew_for_another_database_it_does_not_go_on_from_the_old_offsets() -> None:
    world = SimWorld()
    Controller(world).settle()
    world.edit("DELETE", f"/connectors/{NAME}")
    world.secrets.put(
        world.path("dbInfo"),
        '{"host": "127.0.0.2", "port": "1521", "dbname": "ORCL", "user": "debezium", '
        '"password": "first-password"}',
    )
    controller = Controller(world)
    controller.run(20)
    assert world.config["database.hostname"] == "127.0.0.2"
    assert world.connect.world.connectors[NAME].target == "STOPPED"
    assert reason(controller) == "AcceptanceRequired"
    assert world.snapshots == 1


def test_whose_stage_it_is_is_written_in_the_first_cycle_and_never_again() -> None:
    world = SimWorld()
    world.connect_may_run = False
    mine = Owner("o/r", "feat-demo")
    Controller(world, owner=mine).run(2)
    assert world.store.load()[OWNER_RECORD].value == mine.value()
    Controller(world, "two", owner=Owner("o/r", "feat_demo")).run(2)
    assert world.store.load()[OWNER_RECORD].value == mine.value()
    assert sum(one.what == OWNER_RECORD for one in world.effects) == 1
