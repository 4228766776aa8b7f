from __future__ import annotations

import json

import pytest

from controller.core.excerpt import SHOWN, last_cause, masked
from controller.core.explain import explain_text, explanation_data, explanation_lines

REFUSED = (
    "org.apache.kafka.connect.errors.RetriableException: Failed to resolve "
    "Oracle database version\n"
    "\tat io.debezium.connector.oracle.OracleConnection.resolve(OracleConnection.java:166)\n"
    "Caused by: java.sql.SQLException: ORA-01017: invalid username/password; logon denied\n"
    "\tat oracle.jdbc.driver.T4CTTIoer11.processError(T4CTTIoer11.java:702)\n"
)


def test_an_explanation_answers_every_question() -> None:
    data = explanation_data(explain_text(REFUSED))
    assert data["failure"] == "LoginRefused"
    assert data["system"] == "oracle"
    assert data["kind"] == "credential"
    assert data["action"] == "stop"
    assert data["restartHelps"] is False
    assert data["actor"] == "operator"
    assert str(data["matched"]).startswith("Caused by: java.sql.SQLException: ORA-01017")
    assert str(data["cause"]).startswith("java.sql.SQLException: ORA-01017")
    assert "SELECT" in str(data["command"])
    assert data["codes"] == ["ORA-01017"]


def test_a_person_reads_first_what_it_is_and_then_what_to_do() -> None:
    lines = explanation_lines(explain_text(REFUSED))
    assert lines[0] == "LoginRefused"
    assert "refused the user name or the password" in lines[1]
    text = "\n".join(lines)
    assert "restart helps  no" in text
    assert "wmsctl release" in text
    assert "Stops the connector" in text


@pytest.mark.parametrize("text", ["", " \n", "null", "{}"])
def test_nothing_to_explain_is_an_answer(text: str) -> None:
    data = explanation_data(explain_text(text))
    assert data["failure"] == "unknown"
    assert data["action"] == "hold"
    assert data["actor"] == "nobody"
    assert data["matched"] == ""
    assert "no text" in explanation_lines(explain_text(text))[1]


def test_an_unknown_failure_is_shown_as_unknown_with_its_cause() -> None:
    data = explanation_data(explain_text("a.b.CException: x\nCaused by: d.EException: the cause"))
    assert data["failure"] == "unknown"
    assert data["cause"] == "d.EException: the cause"
    assert data["action"] == "hold"
    assert data["restartHelps"] is False


def test_known_secrets_are_scrubbed_before_anything_is_said() -> None:
    explanation = explain_text(
        "ORA-01017: tiger9 is wrong", lambda text: text.replace("tiger9", "***")
    )
    assert "tiger9" not in json.dumps(explanation_data(explanation))


@pytest.mark.parametrize(("text", "expected"), [
    ("a.BException: x\n\tat a.B.c(D.java:1)\nCaused by: c.DException: y\nCaused by: e.FError: z",
     "e.FError: z"),
    ("a.BException: x at a.B.c(D.java:1) Caused by: c.DException: y at a.B.c(D.java:1)",
     "c.DException: y"),
    ("ERROR something\na.BException: x\n\tat a.B.c(D.java:1)", "a.BException: x"),
    ("only words", "only words"),
    ("a.BException: x\nCaused by: org.postgresql.ut", "org.postgresql.ut"),
    ("a.BException: x\nCaused by:", ""),
    ("\n\n", ""),
])  # fmt: skip
def test_the_last_cause_is_found(text: str, expected: str) -> None:
    assert last_cause(text) == expected


@pytest.mark.parametrize(("line", "expected"), [
    ('role "jane" does not exist', 'role "***" does not exist'),
    ("Rolle »jane« existiert nicht", "Rolle »***« existiert nicht"),
    ("le rôle « jane » n'existe pas", "le rôle «***» n'existe pas"),
    ("can't find it", "can't find it"),
    ("it's 'quoted' isn't it", "it's '***' isn't it"),
    ("an open 'quote and its rest", "an open '***"),
    ("name 'O''Brien' here", "name '***' here"),
    ("The 'database.port' value 'abc' is invalid", "The 'database.port' value '***' is invalid"),
    ('Missing required configuration "topic.creation.default.partitions" which',
     'Missing required configuration "topic.creation.default.partitions" which'),
    ('mail "jane.doe" is taken', 'mail "***" is taken'),
    ("Key (id)=(77) already exists.", "Key (***"),
    ("Failing row contains (1, Jane, 1970-01-01).", "Failing row contains (***"),
    ("value Struct{ID=1,NAME=Jane}", "value Struct{***"),
    ("SQL = select name from t where a = 5", "SQL =***"),
    ("insert into T values (1, 2)", "insert into T values (***"),
    ("jdbc:postgresql://cdc:pw@host/db", "jdbc:postgresql://***@host/db"),
    ("key AKIAIOSFODNN7EXAMPLE here", "key *** here"),
])  # fmt: skip
def test_what_is_quoted_and_rows_are_masked(line: str, expected: str) -> None:
    assert masked(line) == expected


def test_a_long_line_is_cut() -> None:
    shown = masked("word " * 1000)
    assert len(shown) == SHOWN
    assert shown.endswith("...")


def test_the_matched_line_of_a_flattened_trace_is_what_stands_around_the_match() -> None:
    flat = "x " * 3000 + "ORA-01017: no " + "y " * 3000
    assert "ORA-01017" in str(explanation_data(explain_text(flat))["matched"])


def test_each_way_of_treating_is_said_in_words() -> None:
    said = {
        str(explanation_data(explain_text(text))["does"])
        for text in ("ORA-01017", "ORA-03113", "ORA-00942", "ORA-01000", "${directory:/x:y}")
    }
    assert len(said) == 5
    assert all(sentence.endswith(".") for sentence in said)
