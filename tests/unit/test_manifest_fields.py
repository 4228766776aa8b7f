"""Head and fields of a document: each mistake with its place and what to do about it."""

# ruff: noqa: E501 - tables of messages, each in its line
from __future__ import annotations

import json

import jsonschema  # type: ignore[import-untyped]
import pytest
import yaml

from controller.core.model import LostTopics, Manage, ProbeMode, RunState
from controller.manifest import schema
from tests.manifest_texts import (
    BRANCH,
    FILE_SOURCE,
    MAIN,
    POSTGRES,
    REPOSITORY,
    errors,
    policy,
    read,
    real_manifests,
    topic,
    warnings,
)

TOPIC_FIELDS = "class, name, role, partitions, replicationFactor, config, manage, suspend, accept"


@pytest.mark.parametrize(
    ("old", "new", "complaint"),
    [
        ("apiVersion: wms.cdc/v1\n", "", "1:1: apiVersion: is missing"),
        ("cdc/v1", "cdc/v2", "1:13: apiVersion: must be wms.cdc/v1"),
        (
            "kind: Topic",
            "kind: Topci",
            "2:7: kind: must be one of Connector, Topic, StagePolicy; did you mean Topic?",
        ),
        ("kind: Topic", "kind: [Topic]", "2:7: kind: must be one text"),
        ("metadata:\n  name: wms.WMS.T\n", "", "1:1: metadata: must be a map with a name"),
        ("  name: wms.WMS.T", "  name:", "4:8: metadata.name: must be one text"),
        (
            "  name: wms.WMS.T",
            "  name: wms.WMS.T\n  labels: {a: b}",
            "5:3: metadata.labels: is no field of metadata, which has a name only",
        ),
        (
            "spec:\n",
            "status: {}\nspec:\n",
            "5:1: status: is no field of a manifest, which has apiVersion, kind, metadata, spec",
        ),
        (
            "spec:\n  partitions: 3\n",
            "",
            "1:1: spec: is missing: give it fields, or in an overlay null to remove",
        ),
        ("spec:\n  partitions: 3", "spec: [3]", "5:7: spec: must be a map of fields"),
        (
            "spec:\n  partitions: 3",
            "spec: null",
            "4:9: spec: is null, and there is nothing to remove: give it fields",
        ),
    ],
)
def test_a_wrong_head_is_told(old: str, new: str, complaint: str) -> None:
    assert errors(topic().replace(old, new)) == [f"m.yaml:{complaint}"]


@pytest.mark.parametrize(
    ("spec", "complaint"),
    [
        (
            "partition: 3",
            (
                f"6:3: spec.partition: is no field here, where {TOPIC_FIELDS} are known; "
                "did you mean partitions?"
            ),
        ),
        ("partitions: three", "6:15: spec.partitions: must be a whole number, such as 3"),
        ("partitions: 1e3", "6:15: spec.partitions: must be a whole number, such as 3"),
        ("partitions: 3.0", "6:15: spec.partitions: must be a whole number, such as 3"),
        ("partitions: [3]", "6:15: spec.partitions: must be a whole number, such as 3"),
        ("partitions: 0", "6:15: spec.partitions: must be at least 1 and at most 1000"),
        ("partitions: 100000", "6:15: spec.partitions: must be at least 1 and at most 1000"),
        ("partitions: 3\nsuspend: yes", "7:12: spec.suspend: must be true or false"),
        ("partitions: 3\nsuspend: True", "7:12: spec.suspend: must be true or false"),
        ("partitions: 3\nmanage: watch", "7:11: spec.manage: must be reconcile or observe"),
        ("partitions: 3\nconfig: [a]", "7:11: spec.config: must be a map of fields"),
        (
            "partitions: 3\nconfig:\n  segment.ms: [1, 2]",
            "8:17: spec.config.segment.ms: must be one text; a list is written a,b,c",
        ),
        (
            "class: date\npartitions: 3",
            (
                "6:10: spec.class: must be data, schemaHistory, schemaChange, heartbeat or "
                "connectInternal; did you mean data?"
            ),
        ),
        (
            "role: beat",
            "6:9: spec.role: must be heartbeat, connectConfigs, connectOffsets or connectStatus",
        ),
    ],
)
def test_a_wrong_field_of_a_topic_is_told(spec: str, complaint: str) -> None:
    assert errors(topic(spec=spec)) == [f"m.yaml:{complaint}"]


@pytest.mark.parametrize(
    ("spec", "complaint"),
    [
        (
            "intervals: {cycle: 15}",
            "6:22: spec.intervals.cycle: must be a number with its unit: 500ms, 15s, 1m or 1h",
        ),
        (
            "intervals: {cycle: 500ms}",
            "6:22: spec.intervals.cycle: must be 1s to 600s",
        ),
        ("intervals: {cycle: 1h}", "6:22: spec.intervals.cycle: must be 1s to 600s"),
        (
            "intervals: {sycle: 1s}",
            "6:15: spec.intervals.sycle: is no field here, where cycle, secrets, listing, lag are known; did you mean cycle?",
        ),
        ("intervals: 15s", "6:14: spec.intervals: must be a map of fields"),
        ("probe: always", "6:10: spec.probe: must be required, advisory or off"),
        ("forbidFallback: dbInfo", "6:19: spec.forbidFallback: must be a list"),
        ("forbidFallback: [a/b]", "6:20: spec.forbidFallback[0]: must be the name of a secret"),
        (
            "kafkaClusterId: 'a b'",
            "6:3: spec.kafkaClusterId: must be the id that the cluster answers",
        ),
        (
            "defaults: {replicationFactor: 99}",
            "6:33: spec.defaults.replicationFactor: must be at least 1 and at most 15",
        ),
    ],
)
def test_a_wrong_field_of_a_policy_is_told(spec: str, complaint: str) -> None:
    assert errors(policy(spec)) == [f"m.yaml:{complaint}"]


def test_the_value_of_a_config_key_is_never_quoted() -> None:
    text = POSTGRES.replace(
        "database.password: ${secret:dbInfo:password}", "database.password: {hunter2: hunter2}"
    )
    text += topic("wms.x", "config: {a: [hunter2]}")
    assert not any("hunter2" in complaint for complaint in errors(text))
    text = POSTGRES.replace("${secret:dbInfo:password}", "${hunter2")
    assert errors(text) == [
        (
            "m.yaml:13:24: spec.config.database.password: holds a ${ that is no reference of ours: "
            "write ${secret:NAME:FIELD}"
        )
    ]


def test_a_policy_is_read_with_its_units() -> None:
    spec = (
        "intervals: {cycle: 2500ms, secrets: 2m, listing: 1h}\nprobe: off\n"
        "forbidFallback: [dbInfo]\nobserveOnly: true\nkafkaClusterId: MkU3OEVBNTcwNTJENDM2Qk"
    )
    found = read(policy(spec)).revision.policy
    assert (found.interval, found.secrets_interval, found.listing_interval) == (2.5, 120, 3600)
    assert found.probe is ProbeMode.OFF
    assert found.forbid_fallback == frozenset({"dbInfo"})
    assert found.observe_only
    assert found.kafka_cluster_id == "MkU3OEVBNTcwNTJENDM2Qk"


def test_a_login_must_be_proved_on_named_stages_unless_said_otherwise() -> None:
    assert read(topic()).revision.policy.probe is ProbeMode.REQUIRED
    assert read(topic(), BRANCH).revision.policy.probe is ProbeMode.ADVISORY
    assert read(policy("observeOnly: false"), BRANCH).revision.policy.probe is ProbeMode.ADVISORY


def test_drift_waits_half_a_minute_on_named_stages_and_not_at_all_on_branches() -> None:
    for text in (topic(), policy("observeOnly: false"), policy("repair: {}")):
        named, branch = read(text).revision.policy, read(text, BRANCH).revision.policy
        assert (named.repair_delay, named.repairs_per_hour) == (30.0, 6)
        assert (branch.repair_delay, branch.repairs_per_hour) == (0.0, 1000)


def test_a_policy_may_say_when_drift_is_repaired_and_what_becomes_of_lost_topics() -> None:
    found = read(policy("repair: {delay: 5m, perHour: 3}\nlostTopics: recreate")).revision.policy
    assert (found.repair_delay, found.repairs_per_hour) == (300.0, 3)
    assert found.lost_topics is LostTopics.RECREATE
    assert read(topic()).revision.policy.lost_topics is LostTopics.HOLD
    assert errors(policy("repair: {delay: 2h, perHour: 0}")) == [
        "m.yaml:6:19: spec.repair.delay: must be 0s to 3600s",
        "m.yaml:6:32: spec.repair.perHour: must be at least 1 and at most 1000",
    ]


def test_a_stage_has_one_policy() -> None:
    text = policy("observeOnly: true", "a") + "---\n" + policy("observeOnly: false", "b")
    assert errors(text) == [
        "m.yaml:11:9: metadata.name: is a second StagePolicy beside that of m.yaml:4: keep one"
    ]


def test_a_named_stage_without_a_cluster_id_is_warned_of() -> None:
    flat = {"m.yaml": policy("observeOnly: false")}
    assert warnings(flat, MAIN, "main") == [
        (
            "m.yaml:6: spec.kafkaClusterId: is not declared: whatever cluster answers first would be "
            "written to"
        )
    ]
    assert warnings({"m.yaml": topic()}, MAIN, "main")[0].startswith("stages/main:1: spec.kafka")
    assert warnings(flat, MAIN, "local") == []
    assert warnings(flat, BRANCH, "ephemeral") == []
    assert warnings({"m.yaml": policy("kafkaClusterId: abc")}, MAIN, "main") == []


def test_fields_of_a_connector_are_read() -> None:
    text = POSTGRES.replace(
        "  tables:",
        "  state: paused\n  manage: observe\n  suspend: true\n  ignore: [b, a]\n  tables:",
    )
    (one,) = read(text).revision.connectors
    assert one.run_state is RunState.PAUSED
    assert one.manage is Manage.OBSERVE
    assert one.suspend
    assert one.ignore == {"a", "b"}
    (lines,) = read(FILE_SOURCE).revision.connectors
    assert lines.run_state is RunState.RUNNING
    assert not lines.suspend


# --- schema ----------------------------------------------------------------------------------


def test_the_committed_schema_is_the_one_of_the_models() -> None:
    committed = (REPOSITORY / "manifests" / "schema.json").read_text(encoding="utf-8")
    assert committed == json.dumps(schema(), indent=2) + "\n"


def test_every_manifest_names_the_schema_for_editors() -> None:
    for path, text in real_manifests().items():
        if path.endswith(".yaml"):
            up = "../" * path.count("/")
            assert text.startswith(f"# yaml-language-server: $schema={up}schema.json\n"), path


def test_the_real_manifests_are_valid_by_the_schema() -> None:
    validator = jsonschema.Draft202012Validator(schema())
    for path, text in real_manifests().items():
        if path.endswith(".yaml"):
            for document in yaml.safe_load_all(text):
                assert list(validator.iter_errors(document)) == [], path


@pytest.mark.parametrize(
    "spec",
    ["partition: 3", "partitions: three", "partitions: 0", "config: [a]", "role: beat"],
)
def test_the_schema_refuses_what_is_refused(spec: str) -> None:
    validator = jsonschema.Draft202012Validator(schema())
    assert not validator.is_valid(yaml.safe_load(topic(spec=spec)))
    assert validator.is_valid(yaml.safe_load(topic(spec="partitions: null\nconfig: {a: 1}")))


def test_the_schema_knows_exactly_the_fields_that_are_read() -> None:
    definitions = schema()["$defs"]
    assert set(definitions["TopicSpec"]["properties"]) == set(TOPIC_FIELDS.split(", "))
    assert definitions["TopicSpec"]["additionalProperties"] is False
    assert "required" not in definitions["ConnectorSpec"]


def test_the_reference_lists_every_field() -> None:
    text = (REPOSITORY / "manifests" / "README.md").read_text(encoding="utf-8")
    for name, definition in schema()["$defs"].items():
        for field in definition.get("properties", {}):
            assert f"`{field}`" in text, f"{name}.{field}"
