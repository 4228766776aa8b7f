"""Connectors: the config that is sent, names in a stage, what is needed, who claims what."""

# ruff: noqa: E501 - tables of messages, each in its line
from __future__ import annotations

import pytest

from controller.core.stage import MARK_KEY, Stage
from tests.manifest_texts import (
    BRANCH,
    FILE_SOURCE,
    MAIN,
    POSTGRES,
    errors,
    read,
    real_manifests,
    topic,
    warnings,
)

ORACLE = real_manifests()["base/connector.yaml"]
TOPICS = real_manifests()["base/topics.yaml"]
ORACLE_CLASS = "io.debezium.connector.oracle.OracleConnector"


def config_of(text: str, stage: Stage = MAIN) -> dict[str, str]:
    (one,) = read(text, stage).revision.connectors
    return {key: str(value) for key, value in one.config.items()}


def with_key(line: str) -> str:
    """The connector with one more key, in line 9 at column 5."""
    return POSTGRES.replace("  config:\n", f"  config:\n    {line}\n")


# --- the whole config ------------------------------------------------------------------------


def test_the_whole_config_is_made_of_fields_and_keys() -> None:
    config = config_of(POSTGRES)
    assert config == {
        "name": "cdc",
        "connector.class": "io.debezium.connector.postgresql.PostgresConnector",
        "tasks.max": "1",
        "topic.prefix": "wms",
        "table.include.list": r"WMS\.T",
        MARK_KEY: "wms-connector-main",
        "database.hostname": "${secret:dbInfo:host}",
        "database.port": "${secret:dbInfo:port}",
        "database.dbname": "${secret:dbInfo:dbname}",
        "database.user": "${secret:dbInfo:user}",
        "database.password": "${secret:dbInfo:password}",
        "plugin.name": "pgoutput",
        "slot.name": "wms_main",
        "snapshot.mode": "initial",
        "heartbeat.interval.ms": "1000",
    }


def test_a_branch_has_its_own_prefix_mark_slot_and_history() -> None:
    config = config_of(POSTGRES, BRANCH)
    assert config["topic.prefix"] == "feat-demo.wms"
    assert config[MARK_KEY] == "wms-connector-feat-demo"
    assert config["slot.name"] == "wms_feat_demo"
    (oracle,) = read({"c.yaml": ORACLE, "t.yaml": TOPICS}, BRANCH, "ephemeral").revision.connectors
    assert oracle.history_topic == "feat-demo.wms.schema-changes"
    assert str(oracle.config["log.mining.flush.table.name"]) == "LOG_MINING_FLUSH_FEAT_DEMO"


def test_tables_are_written_sorted_as_patterns_that_fit_nothing_else() -> None:
    text = ORACLE.replace("- MMDL.PLAN_BASE_WVR_TBL", "- WMS.A$B#C") + "---\n" + TOPICS
    text += "---\n" + topic("wms.WMS.A_B_C")
    assert config_of(text)["table.include.list"] == (
        r"MMDL\.PLAN_WVR_RVSN_TBL,WMS\.A\$B#C,WMS\.PLAN_BASE_WVR_TBL,WMS\.PLAN_WVR_RVSN_TBL"
    )


def test_lists_without_an_order_are_written_sorted_and_others_as_they_are() -> None:
    assert config_of(with_key("column.exclude.list: b,c,a"))["column.exclude.list"] == "a,b,c"
    text = with_key("transforms: b,a\n    transforms.b.type: T\n    transforms.a.type: T").replace(
        "type: T", "type: org.apache.kafka.connect.transforms.DropHeaders"
    )
    assert config_of(text)["transforms"] == "b,a"


def test_a_connector_without_tables_has_no_prefix() -> None:
    config = config_of(FILE_SOURCE)
    assert config == {
        "name": "lines",
        "connector.class": "org.apache.kafka.connect.file.FileStreamSourceConnector",
        "tasks.max": "1",
        MARK_KEY: "wms-connector-main",
        "file": "/data/lines",
        "topic": "wms.lines",
    }
    assert config_of(FILE_SOURCE, BRANCH)["topic"] == "feat-demo.wms.lines"


# --- fields ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("old", "new", "complaint"),
    [
        ("  name: cdc", "  name: ../admin", "4:9: metadata.name: must be 1 to 128 of A-Z, a-z, 0-9, '.', '_' and '-', a letter or digit first"),
        ("  name: cdc", '  name: "a\\nb"', "4:9: metadata.name: must be 1 to 128 of A-Z, a-z, 0-9, '.', '_' and '-', a letter or digit first"),
        ("postgresql.PostgresConnector", "postgresql.PostgressConnector", "6:3: spec.class: is not allowed: use one of io.debezium.connector.oracle.OracleConnector, io.debezium.connector.postgresql.PostgresConnector, org.apache.kafka.connect.file.FileStreamSourceConnector; did you mean io.debezium.connector.postgresql.PostgresConnector?"),
        ("  tables:", "  tasksMax: 2\n  tables:", "7:3: spec.tasksMax: must be 1: with more the connector runs without any task"),
        ("  tables:", "  topicPrefix: wmsx\n  tables:", "7:3: spec.topicPrefix: must be wms: the namespace of the stage is added to it"),
        ("  tables:", "  topicPrefix: feat-demo.wms\n  tables:", "7:3: spec.topicPrefix: must be wms: the namespace of the stage is added to it"),
        ("  tables: [WMS.T]\n", "", "4:9: spec.tables: is empty: name one table at least"),
        ("[WMS.T]", "[]", "7:3: spec.tables: is empty: name one table at least"),
        ("[WMS.T]", "[WMS.T, T]", "7:19: spec.tables[1]: must be SCHEMA.TABLE, without quotes or patterns"),
        ("[WMS.T]", "[WMS.T, 'WMS\\.T']", "7:19: spec.tables[1]: must be SCHEMA.TABLE, without quotes or patterns"),
        ("[WMS.T]", "[WMS.T, WMS.T]", "7:19: spec.tables[1]: is there twice"),
        ("  tables:", "  ignore: [a, topic.prefix]\n  tables:", "7:15: spec.ignore[1]: may not be ignored: it says which connector this is and what it captures"),
        ("  tables:", "  ignore: [x-wms.managed-by]\n  tables:", "7:12: spec.ignore[0]: may not be ignored: it says which connector this is and what it captures"),
        ("  tables:", "  ignore: ['a b']\n  tables:", "7:12: spec.ignore[0]: must be a config key"),
        ("  tables:", "  class_: x\n  tables:", "7:3: spec.class_: is no field here, where class, tasksMax, state, topicPrefix, tables, config, ignore, manage, suspend, accept are known; did you mean class?"),
    ],
)  # fmt: skip
def test_a_wrong_field_is_told(old: str, new: str, complaint: str) -> None:
    assert f"m.yaml:{complaint}" in errors(POSTGRES.replace(old, new, 1))


def test_lower_case_tables_of_oracle_are_refused() -> None:
    text = ORACLE.replace("- MMDL.PLAN_BASE_WVR_TBL", "- mmdl.Plan_Base_Wvr_Tbl")
    line = text[: text.index("- mmdl")].count("\n") + 1
    assert errors({"c.yaml": text, "t.yaml": TOPICS})[0] == (
        f"c.yaml:{line}:7: spec.tables[0]: must be upper case, as Oracle's identifiers are: "
        "MMDL.PLAN_BASE_WVR_TBL"
    )


def test_a_class_is_required() -> None:
    text = FILE_SOURCE.replace(
        "  class: org.apache.kafka.connect.file.FileStreamSourceConnector\n", ""
    )
    assert errors(text) == ["m.yaml:6:3: spec.class: is missing, and there is no default"]


def test_connectors_that_read_the_workers_files_are_for_loopback_only() -> None:
    assert errors(FILE_SOURCE, MAIN, "main") == [
        "m.yaml:6:3: spec.class: is allowed in overlay local only: it reads files of the worker"
    ]


@pytest.mark.parametrize("field", ["topicPrefix: wms", "tables: [A.B]"])
def test_tables_go_not_with_a_connector_that_captures_none(field: str) -> None:
    text = FILE_SOURCE.replace("  config:", f"  {field}\n  config:")
    name = field.split(":", maxsplit=1)[0]
    assert errors(text) == [f"m.yaml:7:3: spec.{name}: goes not with this class"]


# --- references ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        ("schema.name.adjustment.mode: ${file:/etc/passwd:x}", "9:34: spec.config.schema.name.adjustment.mode: '${file:/etc/passwd:x}' is not a reference that is resolved here: use ${secret:NAME:FIELD}, ${secret:NAME:FIELD?} or ${secret:NAME}"),
        ("schema.name.adjustment.mode: ${secret:a/b:c}", "9:34: spec.config.schema.name.adjustment.mode: '${secret:a/b:c}' is not a reference that is resolved here: use ${secret:NAME:FIELD}, ${secret:NAME:FIELD?} or ${secret:NAME}"),
        ("heartbeat.action.query: ${stage}", "9:29: spec.config.heartbeat.action.query: may not hold ${stage}, which is for log.mining.flush.table.name, publication.name, slot.name only"),
        ("publication.name: ${stagename}", "9:23: spec.config.publication.name: '${stagename}' is not a reference that is resolved here: use ${secret:NAME:FIELD}, ${secret:NAME:FIELD?} or ${secret:NAME}"),
    ],
)  # fmt: skip
def test_any_other_reference_is_refused_with_its_place(line: str, complaint: str) -> None:
    assert errors(with_key(line)) == [f"m.yaml:{complaint}"]


def test_the_secrets_that_are_named_are_known() -> None:
    revision = read({"c.yaml": ORACLE, "t.yaml": TOPICS}, MAIN, "main").revision
    assert revision.secret_names() == {"dbInfo", "brokerString"}


# --- needs -----------------------------------------------------------------------------------


def test_a_connector_needs_every_topic_it_writes_to() -> None:
    (one,) = read({"c.yaml": ORACLE, "t.yaml": TOPICS}, BRANCH, "ephemeral").revision.connectors
    assert {key.name for key in one.needs} == {
        "feat-demo.wms",
        "feat-demo.wms.schema-changes",
        "__debezium-heartbeat.feat-demo.wms",
        "feat-demo.wms.MMDL.PLAN_BASE_WVR_TBL",
        "feat-demo.wms.MMDL.PLAN_WVR_RVSN_TBL",
        "feat-demo.wms.WMS.PLAN_BASE_WVR_TBL",
        "feat-demo.wms.WMS.PLAN_WVR_RVSN_TBL",
    }


@pytest.mark.parametrize(
    ("name", "complaint"),
    [
        ("wms.WMS.PLAN_BASE_WVR_TBL", "spec.tables[2]: needs the Topic wms.WMS.PLAN_BASE_WVR_TBL of class data, as its rows go there; declare it; did you mean wms.MMDL.PLAN_BASE_WVR_TBL?"),
        ("wms", "spec.config.include.schema.changes: needs the Topic wms of class schemaChange, as include.schema.changes is on unless it is false; declare it"),
        ("wms.schema-changes", "spec.config.schema.history.internal.kafka.topic: needs the Topic wms.schema-changes of class schemaHistory, as the key names it; declare it"),
        ("heartbeat", "spec.config.heartbeat.interval.ms: needs the Topic __debezium-heartbeat.wms of class heartbeat, as heartbeats are on; declare it"),
    ],
)  # fmt: skip
def test_a_topic_that_is_needed_and_not_declared_is_told(name: str, complaint: str) -> None:
    documents = TOPICS.split("---\n")
    kept = [one for one in documents if f"\n  name: {name}\n" not in one]
    assert len(kept) == len(documents) - 1
    (found,) = errors({"c.yaml": ORACLE, "t.yaml": "---\n".join(kept)}, MAIN, "main")
    assert found.split(": ", 1)[1] == complaint


def test_a_history_of_another_class_is_no_history() -> None:
    text = TOPICS.replace("class: schemaHistory", "class: data\n  partitions: 1")
    (found,) = errors({"c.yaml": ORACLE, "t.yaml": text}, MAIN, "main")
    assert found.endswith("as the key names it; it is declared with class data")


def test_without_heartbeats_and_schema_changes_their_topics_are_not_needed() -> None:
    text = ORACLE.replace("heartbeat.interval.ms: 30000", "heartbeat.interval.ms: 0").replace(
        "include.schema.changes: true", "include.schema.changes: false"
    )
    documents = TOPICS.split("---\n")
    kept = [one for one in documents if "schemaChange" not in one and "role: heart" not in one]
    assert errors({"c.yaml": text, "t.yaml": "---\n".join(kept)}, MAIN, "main") == []


def test_what_is_declared_is_not_called_missing_when_it_could_not_be_read() -> None:
    text = POSTGRES.replace("partitions: 3", "partitions: x")
    assert errors(text) == ["m.yaml:24:15: spec.partitions: must be a whole number, such as 3"]


def test_transaction_marks_need_a_topic() -> None:
    text = with_key("provide.transaction.metadata: true")
    assert errors(text) == [
        (
            "m.yaml:9:5: spec.config.provide.transaction.metadata: needs the Topic wms.transaction of "
            "class data, as transaction marks go there; declare it"
        )
    ]
    declared = text + "---\n" + topic("wms.transaction", "partitions: 1")
    assert "topic/wms.transaction" in {
        str(key) for key in read(declared).revision.connectors[0].needs
    }


def test_the_table_of_signals_must_be_captured() -> None:
    assert errors(with_key("signal.data.collection: wms.WMS.SIGNALS")) == [
        (
            "m.yaml:9:5: spec.config.signal.data.collection: is not among spec.tables, so that no "
            "signal would be seen: add it there"
        )
    ]
    assert errors(with_key("signal.data.collection: wms.WMS.T")) == []


def test_topics_that_nobody_writes_are_warned_of() -> None:
    assert warnings(POSTGRES + "---\n" + topic("wms.WMS.TT")) == [
        (
            "m.yaml:36: metadata.name: no connector writes to wms.WMS.TT: is a table missing, or "
            "misspelled?"
        )
    ]
    many = POSTGRES + "".join("---\n" + topic(f"wms.WMS.T{n}") for n in range(50))
    assert len(warnings(many)) == 6
    assert warnings(topic("wms.WMS.TT")) == []


def test_a_file_source_needs_its_topic_where_one_is_declared() -> None:
    assert read(FILE_SOURCE).revision.connectors[0].needs == frozenset()
    both = read(FILE_SOURCE + "---\n" + topic("wms.lines")).revision
    assert {str(key) for key in both.connectors[0].needs} == {"topic/wms.lines"}


# --- claims ----------------------------------------------------------------------------------


def test_two_connectors_in_one_prefix_are_refused() -> None:
    files = {"a.yaml": POSTGRES, "b.yaml": POSTGRES.split("---")[0].replace(": cdc", ": cdc2")}
    assert errors(files) == [
        (
            "b.yaml:4:9: spec.topicPrefix: is the prefix of cdc (a.yaml:4) too: two connectors in one "
            "prefix overwrite each other's offsets"
        )
    ]


def test_two_connectors_with_one_history_are_refused() -> None:
    other = ORACLE.replace("name: wms-oracle-cdc", "name: z")
    found = errors({"a.yaml": ORACLE, "b.yaml": other, "t.yaml": TOPICS}, MAIN, "main")
    assert any(
        "b.yaml" in one
        and "schema.history.internal.kafka.topic: is the history of wms-oracle-cdc (a.yaml:" in one
        for one in found
    )


def test_connectors_that_differ_in_case_only_are_refused() -> None:
    other = FILE_SOURCE.replace("name: lines", "name: Lines")
    (found,) = errors({"a.yaml": FILE_SOURCE, "b.yaml": other})
    assert "differs from" in found
    assert found.endswith("in case only: rename one")


# --- generation ------------------------------------------------------------------------------


def generations(text: str, stage: Stage = MAIN) -> tuple[str, ...]:
    revision = read(text, stage).revision
    return (
        *(one.generation for one in revision.connectors),
        *(one.generation for one in revision.topics),
    )


def test_form_and_pauses_are_no_part_of_the_generation() -> None:
    changed = (
        POSTGRES.replace("tables: [WMS.T]", "tables:\n    - WMS.T")
        .replace("  tables:", "  suspend: true\n  topicPrefix: wms\n  tasksMax: 1\n  tables:")
        .replace("partitions: 3", "suspend: true\n  partitions: 3 # three")
        .replace("snapshot.mode: initial", "snapshot.mode: 'initial'")
    )
    assert generations(changed) == generations(POSTGRES)
    assert read(changed).revision.id != read(POSTGRES).revision.id


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("snapshot.mode: initial", "snapshot.mode: no_data"),
        ("heartbeat.interval.ms: 1000", "heartbeat.interval.ms: 2000"),
        ("  tables:", "  state: stopped\n  tables:"),
        ("  tables:", "  manage: observe\n  tables:"),
        ("  tables:", "  ignore: [a]\n  tables:"),
    ],
)
def test_every_other_change_is_a_new_generation_of_that_manifest_alone(old: str, new: str) -> None:
    before, after = generations(POSTGRES), generations(POSTGRES.replace(old, new))
    assert before[0] != after[0]
    assert before[1:] == after[1:]


def test_a_generation_is_twelve_hex_digits() -> None:
    assert all(len(one) == 12 and int(one, 16) >= 0 for one in generations(POSTGRES))
