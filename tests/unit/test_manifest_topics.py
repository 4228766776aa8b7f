"""Topics: names in a stage, what a class implies, the policy's defaults."""

# ruff: noqa: E501 - tables of messages, each in its line
from __future__ import annotations

import pytest

from controller.core.model import TopicClass
from controller.core.stage import Stage
from tests.manifest_texts import BRANCH, MAIN, errors, policy, read, topic


def names(text: str, stage: Stage = MAIN) -> list[str]:
    return [one.name for one in read(text, stage).revision.topics]


def config_of(spec: str, defaults: str = "", name: str = "wms.x") -> dict[str, str]:
    text = topic(name, spec) + (f"---\n{policy(defaults)}" if defaults else "")
    return dict(read(text).revision.topics[0].config)


# --- names -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("spec", "main", "branch"),
    [
        ("name: wms.A.B\npartitions: 1", "wms.A.B", "feat-demo.wms.A.B"),
        ("name: wms\nclass: schemaChange", "wms", "feat-demo.wms"),
        ("name: wms.history\nclass: schemaHistory", "wms.history", "feat-demo.wms.history"),
        ("role: heartbeat", "__debezium-heartbeat.wms", "__debezium-heartbeat.feat-demo.wms"),
        (
            "role: connectConfigs",
            "mgmt.connect.wms-connector-main.config",
            "mgmt.connect.wms-connector-feat-demo.config",
        ),
        (
            "role: connectOffsets",
            "mgmt.connect.wms-connector-main.offsets",
            "mgmt.connect.wms-connector-feat-demo.offsets",
        ),
        (
            "role: connectStatus",
            "mgmt.connect.wms-connector-main.status",
            "mgmt.connect.wms-connector-feat-demo.status",
        ),
    ],
)
def test_a_branch_has_its_own_names(spec: str, main: str, branch: str) -> None:
    assert names(topic("label", spec)) == [main]
    assert names(topic("label", spec), BRANCH) == [branch]


def test_the_name_is_the_label_unless_it_is_written() -> None:
    assert names(topic("wms.A.B")) == ["wms.A.B"]


def test_the_namespace_is_added_once() -> None:
    assert names(topic("feat-demo.wms.A"), BRANCH) == ["feat-demo.wms.A"]


@pytest.mark.parametrize(
    ("name", "complaint"),
    [
        ("aws.wms.cdc.X", "must be wms or begin with wms., as everything of this system does"),
        ("wmsx.A", "must be wms or begin with wms., as everything of this system does"),
        ("other.wms.A", "must be wms or begin with wms., as everything of this system does"),
        ("mgmt.connect.x", "must be wms or begin with wms., as everything of this system does"),
        (
            "wms.a/b",
            "must be 1 to 249 of A-Z, a-z, 0-9, '.', '_' and '-', the namespace included",
        ),
        (
            "wms." + "x" * 246,
            "must be 1 to 249 of A-Z, a-z, 0-9, '.', '_' and '-', the namespace included",
        ),
        ("wms", "must be wms for class schemaChange, and for that only"),
    ],
)
def test_a_foreign_name_is_refused(name: str, complaint: str) -> None:
    assert errors(topic(name)) == [f"m.yaml:4:9: metadata.name: {complaint}"]
    spelled = topic("label", f"partitions: 3\nname: {name}")
    assert errors(spelled) == [f"m.yaml:7:3: spec.name: {complaint}"]


def test_a_name_that_fits_without_the_namespace_may_not_fit_with_it() -> None:
    longest = "wms." + "x" * 245
    assert errors(topic(longest)) == []
    assert len(errors(topic(longest), BRANCH)) == 1


def test_another_branch_cannot_be_named() -> None:
    assert errors(topic("feat-other.wms.A"), BRANCH) == [
        (
            "m.yaml:4:9: metadata.name: must be wms or begin with wms., as everything of this system "
            "does"
        )
    ]


@pytest.mark.parametrize(
    ("spec", "complaint"),
    [
        (
            "class: heartbeat",
            "4:9: spec.role: is missing: class heartbeat needs heartbeat, and no name",
        ),
        (
            "class: connectInternal",
            (
                "4:9: spec.role: is missing: class connectInternal needs connectConfigs or "
                "connectOffsets or connectStatus, and no name"
            ),
        ),
        (
            "role: heartbeat\nname: wms.x",
            "7:3: spec.name: goes not with a role, whose name is the stage's",
        ),
        (
            "role: heartbeat\nclass: data\npartitions: 1",
            "6:3: spec.role: does not go with class data: write a name instead",
        ),
        (
            "role: connectStatus\nclass: heartbeat",
            "6:3: spec.role: does not go with class heartbeat: use heartbeat",
        ),
    ],
)
def test_role_and_name_go_with_the_class(spec: str, complaint: str) -> None:
    assert errors(topic("wms.x", spec)) == [f"m.yaml:{complaint}"]


# --- what a class implies --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("spec", "topic_class", "partitions", "config"),
    [
        ("partitions: 7", TopicClass.DATA, 7, {}),
        (
            "class: schemaHistory",
            TopicClass.SCHEMA_HISTORY,
            1,
            {"cleanup.policy": "delete", "retention.ms": "-1", "retention.bytes": "-1"},
        ),
        (
            "class: schemaChange\nname: wms",
            TopicClass.SCHEMA_CHANGE,
            1,
            {"cleanup.policy": "delete"},
        ),
        (
            "role: heartbeat",
            TopicClass.HEARTBEAT,
            1,
            {"cleanup.policy": "delete", "retention.ms": "86400000"},
        ),
        ("role: connectConfigs", TopicClass.CONNECT_INTERNAL, 1, {"cleanup.policy": "compact"}),
        ("role: connectOffsets", TopicClass.CONNECT_INTERNAL, 25, {"cleanup.policy": "compact"}),
        ("role: connectStatus", TopicClass.CONNECT_INTERNAL, 5, {"cleanup.policy": "compact"}),
        (
            "role: connectOffsets\npartitions: 50",
            TopicClass.CONNECT_INTERNAL,
            50,
            {"cleanup.policy": "compact"},
        ),
    ],
)
def test_a_class_fills_in_what_it_implies(
    spec: str, topic_class: TopicClass, partitions: int, config: dict[str, str]
) -> None:
    (one,) = read(topic("wms.x", spec)).revision.topics
    assert (one.topic_class, one.partitions, dict(one.config)) == (topic_class, partitions, config)


@pytest.mark.parametrize(
    ("spec", "complaint"),
    [
        (
            "class: schemaHistory\nconfig: {cleanup.policy: compact}",
            "7:12: spec.config.cleanup.policy: is compact, and class schemaHistory requires delete",
        ),
        (
            "class: schemaHistory\nconfig: {retention.ms: 604800000}",
            "7:12: spec.config.retention.ms: is 604800000, and class schemaHistory requires -1",
        ),
        (
            "class: schemaHistory\nconfig: {retention.bytes: 1}",
            "7:12: spec.config.retention.bytes: is 1, and class schemaHistory requires -1",
        ),
        (
            "role: heartbeat\nconfig: {cleanup.policy: compact}",
            "7:12: spec.config.cleanup.policy: is compact, and class heartbeat requires delete",
        ),
        (
            "role: connectOffsets\nconfig: {cleanup.policy: delete}",
            (
                "7:12: spec.config.cleanup.policy: is delete, and class connectInternal requires "
                "compact"
            ),
        ),
        (
            "role: connectOffsets\nconfig: {cleanup.policy: 'compact,delete'}",
            (
                "7:12: spec.config.cleanup.policy: is compact,delete, and class connectInternal "
                "requires compact"
            ),
        ),
        (
            "class: schemaHistory\npartitions: 2",
            "7:3: spec.partitions: must be 1: class schemaHistory has no other",
        ),
        (
            "role: connectConfigs\npartitions: 25",
            "7:3: spec.partitions: must be 1: connectConfigs has no other",
        ),
        (
            "role: heartbeat\npartitions: 3",
            "7:3: spec.partitions: must be 1: heartbeat has no other",
        ),
        (
            "class: data",
            "4:9: spec.partitions: is missing: class data needs a number, 1 to 1000",
        ),
    ],
)
def test_what_contradicts_the_class_is_refused(spec: str, complaint: str) -> None:
    assert errors(topic("wms.x", spec)) == [f"m.yaml:{complaint}"]


# --- config ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("key", "value", "complaint"),
    [
        ("retention.sm", "1", "8:5: spec.config.retention.sm: is no config of a topic"),
        ("retention.ms", "7d", "8:5: spec.config.retention.ms: must be a whole number"),
        ("retention.ms", "-2", "8:5: spec.config.retention.ms: is negative"),
        ("segment.bytes", "-1", "8:5: spec.config.segment.bytes: is negative"),
        ("min.insync.replicas", "two", "8:5: spec.config.min.insync.replicas: must be a whole number"),
        ("cleanup.policy", "deleted", "8:5: spec.config.cleanup.policy: must be delete, compact or compact,delete"),
        ("preallocate", "yes", "8:5: spec.config.preallocate: must be true or false"),
        ("compression.type", "${secret:a:b}", "8:5: spec.config.compression.type: may not hold a reference: a topic needs no secret"),
        ("compression.type", "' lz4'", "8:23: spec.config.compression.type: begins or ends with a blank or a line break: remove it"),
        ("compression.type", '"l\\u202ez4"', "8:23: spec.config.compression.type: holds the invisible character U+202E: remove it"),
        ("compression.type", "|\n      lz4", "8:23: spec.config.compression.type: begins or ends with a blank or a line break: remove it"),
        ("'a b'", "1", "8:5: spec.config.'a b': must be a key of 1 to 249 printable ASCII characters without blanks"),
    ],
)  # fmt: skip
def test_a_wrong_topic_config_is_refused(key: str, value: str, complaint: str) -> None:
    text = topic(spec=f"partitions: 1\nconfig:\n  {key}: {value}")
    assert f"m.yaml:{complaint}" in errors(text)


def test_the_policy_fills_in_what_topics_do_not_say() -> None:
    defaults = "defaults: {replicationFactor: 3, minInsyncReplicas: 2, retentionMs: 7}"
    text = topic("wms.x", "partitions: 1") + f"---\n{policy(defaults)}"
    (one,) = read(text).revision.topics
    assert one.replication_factor == 3
    assert dict(one.config) == {"min.insync.replicas": "2", "retention.ms": "7"}


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        ("partitions: 1\nconfig: {retention.ms: 9}", "9"),
        ("partitions: 1\nconfig: {cleanup.policy: compact}", None),
        ("partitions: 1\nconfig: {cleanup.policy: 'compact,delete'}", "7"),
        ("class: schemaChange\nname: wms", "7"),
        ("class: schemaHistory", "-1"),
        ("role: heartbeat", "86400000"),
        ("role: connectOffsets", None),
    ],
)
def test_default_retention_is_for_what_expires(spec: str, expected: str | None) -> None:
    assert config_of(spec, "defaults: {retentionMs: 7}").get("retention.ms") == expected


def test_without_a_policy_the_broker_decides() -> None:
    (one,) = read(topic()).revision.topics
    assert one.replication_factor is None
    assert dict(one.config) == {}


def test_more_copies_in_sync_than_there_are_is_refused() -> None:
    text = topic("wms.x", "partitions: 1\nreplicationFactor: 1\nconfig: {min.insync.replicas: 2}")
    assert errors(text) == [
        (
            "m.yaml:7:3: spec.replicationFactor: is 1, below min.insync.replicas 2: no write would "
            "succeed"
        )
    ]


# --- claims ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("first", "second", "complaint"),
    [
        (
            "wms.a",
            "wms.a",
            "7:3: spec.name: wms.a is declared by a.yaml:4 too: keep one",
        ),
        (
            "wms.a.b",
            "wms.a_b",
            (
                "7:3: spec.name: wms.a_b collides with wms.a.b (a.yaml:4): they differ in '.', '_' or "
                "case only; rename one"
            ),
        ),
        (
            "wms.a",
            "wms.A",
            (
                "7:3: spec.name: wms.a collides with wms.A (b.yaml:4): they differ in '.', '_' or "
                "case only; rename one"
            ),
        ),
    ],
)
def test_topics_that_claim_one_name_are_refused(first: str, second: str, complaint: str) -> None:
    files = {
        "a.yaml": topic("one", f"partitions: 1\nname: {first}"),
        "b.yaml": topic("two", f"partitions: 1\nname: {second}"),
    }
    (found,) = errors(files)
    assert found.removeprefix("a.yaml:").removeprefix("b.yaml:") == complaint


def test_two_topics_of_one_role_are_refused() -> None:
    files = {"a.yaml": topic("one", "role: heartbeat"), "b.yaml": topic("two", "role: heartbeat")}
    assert errors(files) == [
        "b.yaml:4:9: metadata.name: __debezium-heartbeat.wms is declared by a.yaml:4 too: keep one"
    ]
