"""Parts of the world go away and come back: the process stays up and says what it cannot see."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from devstack.scene import CONNECTOR, DATA_TOPICS, Scene
from devstack.stack import Stack
from tests.e2e.scenes import (
    BASE,
    CONNECTOR_KEY,
    a_scene,
    assert_one_snapshot,
    begin,
    delete_topic,
    faults,
    log_of,
    next_cycles,
    page,
    put_config,
    set_connector_key,
    settle,
    wait_no_row_lost,
    wait_position,
)

pytestmark = [pytest.mark.stack, pytest.mark.timeout(150)]
DRIFTED = "60000"


@pytest.fixture(scope="module")
def played(stack: Stack) -> Iterator[Scene]:
    with a_scene(stack, "e2e-outage") as scene:
        scene.env["WMS_KAFKA_DEADLINE"] = "3"  # so that cycles without a broker are short
        begin(scene)
        wait_position(scene)
        yield scene


@pytest.fixture
def scene(played: Scene) -> Scene:
    begin(played)
    return played


def _repairs_topics(scene: Scene) -> bool:
    before = scene.topic_config(BASE, "retention.ms")
    scene.set_topic_config(BASE, "retention.ms", DRIFTED)
    scene.wait(lambda: scene.topic_config(BASE, "retention.ms") == before, "it is repaired")
    return True


def test_without_its_database_a_connector_is_left_as_it_is_and_rows_flow_when_it_is_back(
    scene: Scene,
) -> None:
    config, log = scene.config(), log_of(scene)
    scene.stack.postgres.stop()
    try:
        next_cycles(scene, 2)
        assert log.actions() == [], "nothing was done about a database that is away"
        assert _repairs_topics(scene)
    finally:
        scene.stack.postgres.start()
    scene.stack.postgres.insert_waiver("WMS", "after the database was back")
    wait_no_row_lost(scene)
    settle(scene)
    assert scene.config() == config
    assert_one_snapshot(scene)


def test_a_commit_waits_for_a_database_that_is_away_and_says_so(scene: Scene) -> None:
    scene.stack.postgres.stop()
    revert = set_connector_key(scene, "max.batch.size", "1024")
    try:
        scene.wait(
            lambda: scene.resource(CONNECTOR_KEY).get("reason") == "SourceUnreachable",
            "the reason is told",
        )
        assert scene.resource(CONNECTOR_KEY)["decision"] == "Wait"
        assert "max.batch.size" not in scene.config()
        assert _repairs_topics(scene)
    finally:
        scene.stack.postgres.start()
    scene.wait(lambda: scene.config().get("max.batch.size") == "1024", "it is applied", 90)
    revert()
    scene.wait(lambda: "max.batch.size" not in scene.config(), "it is taken back", 60)
    settle(scene)
    wait_no_row_lost(scene)


def test_without_a_broker_the_process_is_healthy_and_says_what_it_cannot_see(
    scene: Scene,
) -> None:
    log = log_of(scene)
    scene.stack.broker.stop()
    try:
        scene.wait(lambda: "kafka" in faults(scene), "it says that Kafka is away", 40)
        code, text = page(scene, "/healthz")
        assert code == 200, text
        topic = scene.resource(f"topic/{scene.topic(BASE)}")
        assert topic["decision"] == "Wait"
        assert scene.condition(f"topic/{scene.topic(BASE)}", "Ready")["status"] == "Unknown"
        assert not scene.status()["converged"]
    finally:
        scene.stack.broker.start()
    scene.stack.postgres.insert_waiver("WMS", "after the broker was back")
    wait_no_row_lost(scene, 90)
    settle(scene)
    assert {"CreateTopic", "CreateConnector", "PutConfig"} & set(log.actions()) == set()
    assert_one_snapshot(scene)


def test_without_connect_nothing_is_planned_for_connectors_and_topics_are_repaired(
    scene: Scene,
) -> None:
    config, log = scene.config(), log_of(scene)
    scene.worker.kill()
    try:
        scene.wait(lambda: "connect" in faults(scene), "it says that Connect is away")
        found = scene.resource(CONNECTOR_KEY)
        assert (found["decision"], found.get("diff", [])) == ("Wait", [])
        assert scene.condition(CONNECTOR_KEY, "Ready")["status"] == "Unknown"
        assert _repairs_topics(scene)
        assert page(scene, "/healthz")[0] == 200
        assert scene.wmsctl("plan").returncode == 1, "not all could be looked at"
    finally:
        scene.worker.start()
    scene.stack.postgres.insert_waiver("WMS", "after the worker was back")
    settle(scene, 90)
    assert log.actions("connector/") == []
    assert scene.config() == config
    wait_no_row_lost(scene)


def test_without_secrets_manager_the_running_config_stays(scene: Scene) -> None:
    stack, config, log = scene.stack, scene.config(), log_of(scene)
    stack.aws.stop()
    try:
        scene.wait(lambda: "secrets" in faults(scene), "it says that secrets cannot be read")
        next_cycles(scene, 2)
        assert scene.config() == config
        assert log.actions() == []
        assert scene.running()
        stack.postgres.insert_waiver("WMS", "while no secret can be read")
        wait_no_row_lost(scene)
    finally:
        stack.aws.start()  # it has forgotten everything
        stack.seed_secrets()
        stack.aws.put_secret(f"wms/{scene.stage}/dbInfo", stack.postgres.db_info())
    version = stack.aws.current_version(f"wms/{scene.stage}/dbInfo")
    scene.wait(
        lambda: version in scene.config().get("database.password", ""), "the new version is used"
    )
    settle(scene)


def test_a_secret_that_vanishes_leaves_the_connector_running_with_what_it_has(
    scene: Scene,
) -> None:
    stack, config = scene.stack, scene.config()
    path = f"wms/{scene.stage}/dbInfo"
    value = stack.postgres.db_info()
    stack.aws.delete_secret(path, at_once=False)
    try:
        scene.wait(
            lambda: (
                scene.condition(CONNECTOR_KEY, "SecretsResolved").get("status") != "True"
                or bool(faults(scene))
            ),
            "it says so",
        )
        next_cycles(scene, 2)
        assert scene.config() == config, "marked for deletion is no reason for the default secret"
        assert scene.running()
    finally:
        stack.aws.secrets_manager().restore_secret(SecretId=path)
    stack.aws.put_secret(path, value)
    settle(scene)


def test_a_corrupt_state_file_means_observe_only_until_it_is_removed(scene: Scene) -> None:
    state = scene.stack.folder / f"state-{scene.stage}.json"
    before = scene.topic_config(BASE, "retention.ms")
    garbage = b"\x00 no records \xff\n"
    state.write_bytes(garbage)
    scene.wait(
        lambda: bool(faults(scene)) and faults(scene) == {"state"}, "the state cannot be read"
    )
    log = log_of(scene)
    try:
        scene.set_topic_config(BASE, "retention.ms", DRIFTED)
        put_config(scene, poll_interval_ms=DRIFTED)
        scene.wait(
            lambda: scene.resource(CONNECTOR_KEY).get("reason") == "ObserveOnly", "it only observes"
        )
        next_cycles(scene, 2)
        assert log.actions() == []
        assert "state" in scene.resource(CONNECTOR_KEY)["message"]
        assert scene.topic_config(BASE, "retention.ms") == DRIFTED
        assert scene.config()["poll.interval.ms"] == DRIFTED
        assert state.read_bytes() == garbage, "what a person may still read is left"
    finally:
        state.unlink()
    scene.wait(lambda: scene.topic_config(BASE, "retention.ms") == before, "topics are repaired")
    scene.wait(lambda: scene.config().get("poll.interval.ms") != DRIFTED, "so is the connector")
    settle(scene)
    assert "CreateConnector" not in log.actions()
    wait_no_row_lost(scene)
    assert_one_snapshot(scene)


def test_a_deleted_topic_of_a_branch_is_made_again_and_its_tables_flow_on(scene: Scene) -> None:
    name = scene.topic("wms.WMS.PLAN_WVR_RVSN_TBL")
    delete_topic(scene.stack, name)
    scene.wait(lambda: name in scene.stack.topics(), "it is made again")
    scene.stack.postgres.insert_waiver("WMS", "after the topic was back")
    wait_no_row_lost(scene)
    settle(scene)


def test_everything_away_at_once_ends_as_declared(scene: Scene) -> None:
    stack = scene.stack
    scene.kill()
    scene.worker.kill()
    stack.postgres.kill()
    stack.broker.kill()
    scene.start()
    scene.wait(lambda: {"connect", "kafka"} <= faults(scene), "it says what is away", 60)
    assert page(scene, "/healthz")[0] == 200
    assert page(scene, "/readyz")[0] == 503
    stack.broker.start()
    scene.worker.start(wait=False)
    stack.postgres.start()
    settle(scene, 100)
    stack.postgres.insert_waiver("WMS", "after all were back")
    wait_no_row_lost(scene)
    assert_one_snapshot(scene)
    assert {scene.topic(name) for name in DATA_TOPICS} <= stack.topics()
    assert scene.worker.request("GET", "/connectors") == [CONNECTOR]
