"""The manifests of this repository say what they are meant to say."""

from __future__ import annotations

import pytest

from controller.core.model import ProbeMode, Revision, RunState, TopicClass
from controller.core.stage import Stage
from tests.manifest_texts import BRANCH, MAIN, read, real_manifests, warnings

TABLES = (
    "MMDL.PLAN_BASE_WVR_TBL",
    "MMDL.PLAN_WVR_RVSN_TBL",
    "WMS.PLAN_BASE_WVR_TBL",
    "WMS.PLAN_WVR_RVSN_TBL",
)
NAMED = ["main", "val", "production"]


def revision(stage: str, overlay: str = "") -> Revision:
    parsed = Stage.parse(stage)
    return read(real_manifests(), parsed, overlay or parsed.default_overlay).revision


@pytest.mark.parametrize("stage", [*NAMED, "feat-demo"])
def test_every_stage_captures_the_four_tables_from_oracle(stage: str) -> None:
    (one,) = revision(stage).connectors
    config = {key: str(value) for key, value in one.config.items()}
    assert one.name == "wms-oracle-cdc"
    assert one.connector_class == "io.debezium.connector.oracle.OracleConnector"
    assert one.run_state is RunState.RUNNING
    assert one.tables == TABLES
    assert config["tasks.max"] == "1"
    assert config["snapshot.mode"] == "initial"
    assert int(config["heartbeat.interval.ms"]) > 0
    assert one.history_topic == Stage.parse(stage).schema_history_topic
    assert config["topic.prefix"] == Stage.parse(stage).topic_prefix


@pytest.mark.parametrize("stage", NAMED)
def test_named_stages_keep_three_copies_two_of_them_in_sync(stage: str) -> None:
    for topic in revision(stage).topics:
        assert topic.replication_factor == 3, topic.name
        assert topic.config["min.insync.replicas"] == "2", topic.name


def test_every_topic_of_connector_and_worker_is_declared() -> None:
    declared = {topic.name: topic.topic_class for topic in revision("main").topics}
    assert declared == {
        **{f"wms.{table}": TopicClass.DATA for table in TABLES},
        "wms": TopicClass.SCHEMA_CHANGE,
        "wms.schema-changes": TopicClass.SCHEMA_HISTORY,
        "__debezium-heartbeat.wms": TopicClass.HEARTBEAT,
        "mgmt.connect.wms-connector-main.config": TopicClass.CONNECT_INTERNAL,
        "mgmt.connect.wms-connector-main.offsets": TopicClass.CONNECT_INTERNAL,
        "mgmt.connect.wms-connector-main.status": TopicClass.CONNECT_INTERNAL,
    }


@pytest.mark.parametrize("stage", [*NAMED, "feat-demo"])
def test_a_silent_listener_holds_a_write_for_ten_seconds_only(stage: str) -> None:
    (one,) = revision(stage).connectors
    assert int(str(one.config["connection.validation.timeout.ms"])) <= 10_000
    assert int(str(one.config["driver.oracle.net.CONNECT_TIMEOUT"])) < 10_000
    read_timeout = int(str(one.config["driver.oracle.jdbc.ReadTimeout"]))
    assert read_timeout > int(str(one.config["database.query.timeout.ms"]))


@pytest.mark.parametrize("stage", [*NAMED, "feat-demo"])
def test_the_only_thing_to_be_warned_of_is_the_cluster_that_is_not_known_yet(stage: str) -> None:
    parsed = Stage.parse(stage)
    found = warnings(real_manifests(), parsed, parsed.default_overlay)
    assert [one.split(": ")[1] for one in found] == ["spec.kafkaClusterId"] * parsed.named


def test_production_takes_its_login_from_nowhere_else() -> None:
    assert revision("production").policy.forbid_fallback == {"dbInfo"}


@pytest.mark.parametrize("stage", NAMED)
def test_named_stages_use_no_login_that_is_not_proved(stage: str) -> None:
    assert revision(stage).policy.probe is ProbeMode.REQUIRED


@pytest.mark.parametrize("stage", [MAIN, BRANCH])
def test_the_local_overlay_captures_the_same_tables_from_postgresql(stage: Stage) -> None:
    found = revision(stage.name, "local")
    (one,) = found.connectors
    assert one.name == "wms-postgres-cdc"
    assert one.connector_class == "io.debezium.connector.postgresql.PostgresConnector"
    assert one.tables == TABLES
    assert str(one.config["slot.name"]) == f"wms_{stage.identifier}"
    assert {topic.replication_factor for topic in found.topics} == {1}
    assert {topic.config["min.insync.replicas"] for topic in found.topics} == {"1"}
    assert found.policy.interval <= 2
    assert warnings(real_manifests(), stage, "local") == []


def test_stages_on_one_database_share_no_slot_and_no_flush_table() -> None:
    slots = {
        str(revision(stage, "local").connectors[0].config["slot.name"])
        for stage in ("main", "val", "feat-a", "feat-b")
    }
    tables = {
        str(revision(stage).connectors[0].config["log.mining.flush.table.name"])
        for stage in ("main", "val", "feat-a", "feat-b")
    }
    assert len(slots) == len(tables) == 4


def test_no_two_stages_on_one_cluster_write_to_one_topic_unless_both_are_named() -> None:
    first, second = revision("feat-a"), revision("feat-b")
    named = revision("main")
    sets = [{topic.name for topic in one.topics} for one in (first, second, named)]
    assert not sets[0] & sets[1]
    assert not sets[0] & sets[2]
