"""The pre-flight's judgement: what is fine, what loses data, what nobody granted."""

from __future__ import annotations

from typing import Any

import pytest

from controller.core.preflight import (
    EVERY,
    SOON,
    UNREACHABLE,
    Said,
    Subject,
    Verdict,
    due,
    judge,
    looked,
    read_findings,
    redo_left,
    stamped,
)

FINE, WARNING, FAILING, UNSEEN = Verdict
TABLE = "WMS.PLAN_BASE_WVR_TBL"
ORACLE = Subject("oracle", (TABLE,), user="C##DBZ", offset_scn=1_000)
POSTGRESQL = Subject("postgresql", (TABLE,), slot="wms_main", publication="wms", started=True)
GOOD: dict[str, Any] = {
    "logMode": "ARCHIVELOG",
    "supplementalLogging": "YES",
    f"supplementalLogging {TABLE}": 1.0,
    "oldestScn": 900,
    "oldestRedoHours": 72.0,
    "positionHours": 0.2,
    "positionRedoHours": 1.5,
    "oldestTransactionHours": None,
    "passwordDays": None,
}
GOOD_POSTGRESQL: dict[str, Any] = {
    "walLevel": "logical",
    "slot": True,
    "retainedWalBytes": 1024.0,
    "publication": True,
}


def verdicts(answers: dict[str, Any], subject: Subject) -> dict[str, Verdict]:
    return {f.check: f.verdict for f in judge(Said(answers, {}), subject)}


@pytest.mark.parametrize(
    ("good", "subject"), [(GOOD, ORACLE), (GOOD_POSTGRESQL, POSTGRESQL)], ids=["oracle", "pg"]
)
def test_a_prepared_database_is_fine_in_every_check(good: dict[str, Any], subject: Subject) -> None:
    assert set(verdicts(good, subject).values()) == {FINE}


@pytest.mark.parametrize(
    ("check", "answer", "verdict"),
    [
        ("logMode", "NOARCHIVELOG", FAILING),
        ("supplementalLogging", "NO", FAILING),
        (f"supplementalLogging {TABLE}", 0.0, FAILING),
        ("oldestScn", 1_001, FAILING),
        ("oldestRedoHours", 3.0, WARNING),
        ("oldestTransactionHours", 5.0, WARNING),
        ("oldestTransactionHours", 0.5, FINE),
        ("passwordDays", 3.0, WARNING),
        ("passwordDays", 90.0, FINE),
    ],
)
def test_oracle_is_judged(check: str, answer: object, verdict: Verdict) -> None:
    found = verdicts({**GOOD, check: answer}, ORACLE)
    assert found[check.replace("oldestRedoHours", "oldestScn")] is verdict


@pytest.mark.parametrize(
    ("check", "answer", "verdict"),
    [
        ("walLevel", "replica", FAILING),
        ("slot", False, WARNING),
        ("retainedWalBytes", 2.0**40, WARNING),
        ("publication", False, WARNING),
    ],
)
def test_postgresql_is_judged(check: str, answer: object, verdict: Verdict) -> None:
    assert verdicts({**GOOD_POSTGRESQL, check: answer}, POSTGRESQL)[check] is verdict


def test_what_the_first_start_makes_is_not_missed_before_it() -> None:
    new = Subject("postgresql", (TABLE,), slot="wms_main", publication="wms")
    found = verdicts({**GOOD_POSTGRESQL, "slot": False, "publication": False}, new)
    assert (found["slot"], found["publication"]) == (FINE, FINE)


def test_what_was_not_granted_is_unseen_and_names_the_grant() -> None:
    said = Said({}, {"logMode": "ORA-00942"})
    found = {f.check: f for f in judge(said, ORACLE)}
    assert {f.verdict for f in found.values()} == {UNSEEN}
    assert found["logMode"].message == "not seen: ORA-00942"
    assert "GRANT SELECT" in found["logMode"].sql


def test_what_is_wrong_comes_with_the_sql_for_the_dba() -> None:
    bad: dict[str, Any] = {
        **dict.fromkeys(GOOD, 0.0),
        "logMode": "NOARCHIVELOG",
        "supplementalLogging": "NO",
    }
    wrong = [f for f in judge(Said(bad, {}), ORACLE) if f.verdict in (FAILING, WARNING)]
    assert len(wrong) >= 4
    assert all(finding.sql for finding in wrong)


def test_of_a_position_that_is_not_known_nothing_is_said() -> None:
    unknown = Subject("oracle", (TABLE,))
    assert verdicts({**GOOD, "oldestScn": 10**15}, unknown)["oldestScn"] is UNSEEN


def test_a_table_is_logged_where_the_whole_database_is() -> None:
    check = f"supplementalLogging {TABLE}"
    whole = {**GOOD, check: 0, "supplementalLoggingAll": "YES"}
    assert verdicts(whole, ORACLE)[check] is FINE
    assert verdicts({**whole, "supplementalLoggingAll": "NO"}, ORACLE)[check] is FAILING


def test_one_scn_beyond_what_floats_hold_decides() -> None:
    at = Subject("oracle", (TABLE,), offset_scn=2**53)
    assert verdicts({**GOOD, "oldestScn": 2**53 + 1}, at)["oldestScn"] is FAILING
    assert verdicts({**GOOD, "oldestScn": 2**53}, at)["oldestScn"] is FINE


@pytest.mark.parametrize(
    ("answers", "left"),
    [
        ({"oldestRedoHours": 13.0, "positionHours": 11.0}, 2.0),
        ({"oldestRedoHours": 13.0, "positionHours": None, "positionRedoHours": 12.0}, 1.0),
        ({"oldestRedoHours": 13.0, "positionHours": -0.001}, 13.0),  # Oracle's times are coarse
        ({"oldestRedoHours": 13.0, "positionHours": 13.5}, 0.0),
        ({"oldestScn": 1_001}, 0.0),
        ({"positionHours": None, "positionRedoHours": None}, None),
        ({"oldestRedoHours": None}, None),
    ],
)
def test_what_is_left_is_the_redo_behind_the_position(
    answers: dict[str, Any], left: float | None
) -> None:
    assert redo_left(Said({**GOOD, **answers}, {}), ORACLE) == left


def test_a_position_that_is_soon_lost_is_a_warning_that_says_when() -> None:
    said = Said({**GOOD, "oldestRedoHours": 13.0, "positionHours": 11.0}, {})
    (finding,) = [f for f in judge(said, ORACLE) if f.check == "oldestScn"]
    assert finding.verdict is WARNING
    assert "will lose its position in about 2.0 hours" in finding.message


@pytest.mark.parametrize(
    ("value", "wanted"),
    [
        (None, True),
        ({"version": "v1", "at": 1_000.0}, False),
        ({"version": "v0", "at": 1_000.0}, True),
        ({"version": "v1", "at": 1_000.0 - EVERY}, True),
        ({"version": "v1", "at": 9_999.0}, True),  # a clock that went back
        ({"version": "v1", "at": "then"}, True),
    ],
)
def test_it_is_due_once_for_a_secret_version_and_each_day(value: Any, wanted: bool) -> None:
    assert due(value, "v1", 1_000.5) is wanted


def test_what_was_found_reads_back_and_what_is_foreign_is_left_out() -> None:
    said = Said({**GOOD, "logMode": "NOARCHIVELOG"}, {})
    assert read_findings(looked("v1", 5.0, said, ORACLE)) == judge(said, ORACLE)
    assert read_findings({"findings": [1, {"verdict": "odd"}, None]}) == ()
    assert read_findings(None) == ()


@pytest.mark.parametrize("outcome", ["started", UNREACHABLE])
def test_a_look_that_was_not_answered_leaves_what_the_last_one_found(outcome: str) -> None:
    before = looked("v1", 5.0, Said({"logMode": "NOARCHIVELOG"}, {}), ORACLE)
    after = stamped(before, "v2", 90_000.0, outcome)
    assert read_findings(after) == read_findings(before)
    assert FAILING in {finding.verdict for finding in read_findings(after)}


@pytest.mark.parametrize(
    ("answers", "outcome", "pause"),
    [
        ({}, None, EVERY),
        ({"passwordDays": 3.0}, None, EVERY),
        ({"logMode": "NOARCHIVELOG"}, None, SOON),  # seen to be mended within the hour
        ({"oldestRedoHours": 5.0}, None, SOON),
        ({}, UNREACHABLE, SOON),
        ({"logMode": "NOARCHIVELOG"}, "started", EVERY),  # whatever became of that login
    ],
)
def test_it_is_looked_again_soon_for_what_is_urgent_or_was_not_answered(
    answers: dict[str, Any], outcome: str | None, pause: float
) -> None:
    kept = looked("v1", 1_000.0, Said({**GOOD, **answers}, {}), ORACLE)
    kept = kept if outcome is None else stamped(kept, "v1", 1_000.0, outcome)
    assert not due(kept, "v1", 999.0 + pause)
    assert due(kept, "v1", 1_000.0 + pause)
