from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.core.secret_fields import PUBLIC_FIELDS, is_path_part, parse_fields

DB_INFO = {
    "ip": "db.internal",
    "port": 1521,
    "db": "ORCLCDB",
    "username": "cdc_reader",
    "password": "s3cret-Pa55",
    "schema": "WMS",
    "pdb": "PDB1",
    "url": "jdbc:oracle:thin:@//db.internal:1521/ORCLCDB",
}


def values(name: str, text: str) -> dict[str, str]:
    parsed = parse_fields(name, text)
    assert parsed.problem is None
    return {field: value.reveal() for field, value in parsed.fields.items()}


def problem(name: str, text: str) -> str:
    parsed = parse_fields(name, text)
    assert parsed.problem is not None
    assert not parsed.fields, "never part of a secret"
    return parsed.problem


def test_aliases_are_read_under_their_canonical_names() -> None:
    assert values("dbInfo", json.dumps(DB_INFO)) == {
        "host": "db.internal",
        "port": "1521",
        "dbname": "ORCLCDB",
        "user": "cdc_reader",
        "password": "s3cret-Pa55",
        "schema": "WMS",
        "pdb": "PDB1",
        "url": "jdbc:oracle:thin:@//db.internal:1521/ORCLCDB",
    }


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("b1:9098,b2:9098", "b1:9098,b2:9098"),
        ("b1:9098, b2:9098\n", "b1:9098,b2:9098"),
        ('{"brokerString": "b1:9098"}', "b1:9098"),
        ("[::1]:9092", "[::1]:9092"),
    ],
)
def test_a_bare_text_is_one_field_under_the_name_of_the_secret(text: str, expected: str) -> None:
    assert values("brokerString", text) == {"brokerString": expected}


@pytest.mark.parametrize("bad", ["b1", "b1:", "b1:0", "b1:70000", "b1:9098,", "b1:9098;b2:9098"])
def test_a_broker_string_that_no_client_could_use_is_a_problem(bad: str) -> None:
    assert "brokerString" in problem("brokerString", bad)


@pytest.mark.parametrize(
    ("first", "second"), [("ip", "host"), ("db", "dbname"), ("username", "user")]
)
def test_conflicting_aliases_are_refused_by_both_keys_and_without_values(
    first: str, second: str
) -> None:
    said = problem("dbInfo", json.dumps({first: "value-one", second: "value-two"}))
    assert repr(first) in said
    assert repr(second) in said
    assert "value-" not in said


def test_aliases_that_agree_are_no_conflict() -> None:
    assert values("dbInfo", '{"ip": "h", "host": "h"}') == {"host": "h"}


def test_a_key_given_twice_with_different_values_is_refused() -> None:
    assert "twice" in problem("dbInfo", '{"password": "one-one", "password": "two-two"}')


def test_keys_that_differ_in_case_only_are_refused() -> None:
    assert "case" in problem("dbInfo", '{"user": "a", "User": "b"}')


def test_numbers_stay_as_they_were_written() -> None:
    text = '{"port": 1521, "password": 12345678901234567890123, "ratio": 1.50, "on": true}'
    assert values("dbInfo", text) == {
        "port": "1521",
        "password": "12345678901234567890123",
        "ratio": "1.50",
        "on": "true",
    }


@pytest.mark.parametrize("nothing", ['"pdb": null', '"pdb": ""'])
def test_null_and_empty_count_as_not_there(nothing: str) -> None:
    assert values("dbInfo", f'{{"user": "u", {nothing}}}') == {"user": "u"}


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("", "no value"),
        ("\n", "no value"),
        ("{}", "no value"),
        ('{"user": "u"', "no JSON"),
        ('{"user": {"a": "b"}}', "nested"),
        ('{"user": ["b"]}', "nested"),
        ('{"user": NaN}', "NaN"),
        ('{"a": ' + "[" * 60_000, "deep"),
        ('{"a b": "c"}', "'a b'"),
        ('{"../x": "c"}', "'../x'"),
        ('{"": "c"}', "''"),
        ('{"user": "\\ud800"}', "user"),
        ('{"user": "a\\u0000b"}', "user"),
        ('{"host": "a\\nb"}', "host"),
        ('{"host": "${directory:/etc:passwd}"}', "host"),
        ('{"port": "0"}', "port"),
        ('{"port": "65536"}', "port"),
        ('{"port": "1521x"}', "port"),
        ('{"port": "\u0661"}', "port"),
    ],
)
def test_what_cannot_be_read_with_certainty_is_a_problem_that_names_the_key(
    text: str, word: str
) -> None:
    assert word in problem("dbInfo", text)


def test_a_password_keeps_every_character() -> None:
    password = " a\tb\n'\"\\${x} \u00e9\u4e16"
    assert values("dbInfo", json.dumps({"password": password})) == {"password": password}


@given(st.dictionaries(st.text(max_size=8), st.text(min_size=6), min_size=1), st.text())
def test_no_problem_and_no_repr_tells_a_value(document: dict[str, str], tail: str) -> None:
    marked = {key: f"hidden-{value}" for key, value in document.items()}
    parsed = parse_fields("dbInfo", json.dumps(marked) + tail)
    assert "hidden-" not in repr(parsed)


@given(st.text())
def test_any_text_is_either_fields_or_a_problem(text: str) -> None:
    parsed = parse_fields("dbInfo", text)
    assert (parsed.problem is None) == bool(parsed.fields)


@pytest.mark.parametrize("bad", ["", ".", "..", ".hidden", "a/b", "a\n", "-x", "a b", "x" * 129])
def test_a_path_part_is_one_plain_file_name(bad: str) -> None:
    assert not is_path_part(bad)
    assert is_path_part("5e2c1f0a-77b1-4f0e-9d6a-1f2e3d4c5b6a")


def test_no_field_that_opens_a_door_is_public() -> None:
    assert not PUBLIC_FIELDS & {"user", "password", "url"}
