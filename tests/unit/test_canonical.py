from __future__ import annotations

import pytest

from controller.core.canonical import canonical, is_masked
from controller.core.diff import diff_config

ORACLE = "io.debezium.connector.oracle.OracleConnector"
POSTGRES = "io.debezium.connector.postgresql.PostgresConnector"
FILE = "org.apache.kafka.connect.file.FileStreamSourceConnector"
JSON = "org.apache.kafka.connect.json.JsonConverter"


def alike(key: str, desired: str, observed: str) -> bool:
    return not diff_config({key: desired}, {key: observed}, canonical=canonical)


@pytest.mark.parametrize(
    ("key", "desired", "observed"),
    [
        ("connector.class", ORACLE, "OracleConnector"),
        ("connector.class", ORACLE, "Oracle"),
        ("connector.class", "Postgres", POSTGRES),
        ("connector.class", FILE, "FileStreamSource"),
        ("connector.class", "FileStreamSourceConnector", "FileStreamSource"),
        ("key.converter", JSON, "JsonConverter"),
        ("value.converter", "Json", JSON),
        ("include.schema.changes", "true", "True"),
        ("tombstones.on.delete", "FALSE", "false"),
        ("table.include.list", r"WMS\.A,WMS\.B", r"WMS\.B,WMS\.A"),
        ("table.include.list", r"WMS\.A, WMS\.B", r" WMS\.A,WMS\.B,"),
        ("table.include.list", "WMS.A,WMS.A", "WMS.A"),
        ("column.exclude.list", r"W\.T\.A,W\.T\.B", r"W\.T\.B,W\.T\.A"),
        ("signal.enabled.channels", "source,kafka", "kafka, source"),
        ("transforms", "unwrap,route", "unwrap, route"),
    ],
)
def test_what_connect_reads_alike_is_no_difference(key: str, desired: str, observed: str) -> None:
    assert alike(key, desired, observed)


@pytest.mark.parametrize(
    ("key", "desired", "observed"),
    [
        ("connector.class", ORACLE, POSTGRES),
        ("connector.class", ORACLE, "oracle"),  # Connect looks classes up to the letter
        ("connector.class", "org.example.OracleConnector", ORACLE),
        ("transforms.route.type", "Oracle", ORACLE),
        ("table.include.list", r"WMS\.A,WMS\.B", r"WMS\.A"),
        ("table.include.list", "WMS.A", "wms.a"),
        ("table.include.list", r"a\,b,c", r"b,a\,c"),  # an escaped comma parts nothing
        ("transforms", "unwrap,route", "route,unwrap"),
        ("topic.creation.groups", "a,b", "b,a"),
        ("message.key.columns", "T:A,B", "T:B,A"),
        ("topic", "True", "true"),
        ("database.user", "TRUE", "true"),
        ("poll.interval.ms", "500", "0500"),
        ("snapshot.mode", "initial", " initial"),
        ("heartbeat.action.query", "SELECT 1", "select 1"),
    ],
)
def test_what_connect_may_read_otherwise_is_a_difference(
    key: str, desired: str, observed: str
) -> None:
    assert not alike(key, desired, observed)


@pytest.mark.parametrize("mask", ["********", "***", "[hidden]"])
def test_a_mask_that_someone_put_back_is_a_difference(mask: str) -> None:
    reference = "${directory:/run/wms-secrets/wms/main/dbInfo/v1:password}"
    assert not alike("database.password", reference, mask)
    assert is_masked(mask)
    assert not is_masked(reference)


@pytest.mark.parametrize("value", ["", "*", "a***", "*** ", "hidden"])
def test_a_text_that_only_looks_like_a_mask_is_none(value: str) -> None:
    assert not is_masked(value)


def test_a_name_that_a_patch_corrupted_is_a_difference() -> None:
    changes = diff_config({"name": "wms-oracle-cdc"}, {"name": "zz"}, canonical=canonical)
    assert [change.field for change in changes] == ["name"]


def test_the_canonical_spelling_is_its_own() -> None:
    texts = {
        "connector.class": "Oracle",
        "table.include.list": r"b, a\,c ,a",
        "transforms": " b ,a",
        "flag": "TRUE",
    }
    for key, value in texts.items():
        once = canonical(key, value)
        assert canonical(key, once) == once
