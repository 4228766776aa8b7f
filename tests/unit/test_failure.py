from __future__ import annotations

import json
import time
from collections import Counter
from itertools import product
from pathlib import Path
from typing import Any

import pytest

from controller.core.excerpt import LIMIT
from controller.core.failure import (
    FAILURES,
    UNKNOWN,
    Actor,
    Failure,
    FailureKind,
    Severity,
    System,
    Treatment,
    diagnose,
    known,
)

SAMPLES = [
    json.loads(line)
    for line in (Path(__file__).parents[1] / "data" / "failures.jsonl")
    .read_text(encoding="utf-8")
    .splitlines()
]


def name(sample: dict[str, str]) -> str:
    return f"{sample['failure']}-{SAMPLES.index(sample)}"


@pytest.mark.parametrize("sample", SAMPLES, ids=name)
def test_a_text_is_recognised_by_what_it_means(sample: dict[str, Any]) -> None:
    diagnosis = diagnose(sample["text"])
    assert diagnosis.failure.id == sample["failure"]
    assert diagnosis.treatment == sample["action"]
    assert diagnosis.restart_helps == sample["restartHelps"]
    assert diagnosis.system == sample.get("system", diagnosis.system)


def test_every_known_failure_has_a_sample_that_no_earlier_one_takes() -> None:
    seen = {(d.failure.id, d.failure.system) for d in (diagnose(s["text"]) for s in SAMPLES)}
    assert {(row.id, row.system) for row in FAILURES} <= seen


@pytest.mark.parametrize("row", FAILURES, ids=lambda row: f"{row.id}-{row.system}")
def test_a_row_says_what_a_person_needs(row: Failure) -> None:
    for text in (row.says, row.remedy):
        assert text.endswith((".", ":"))
        assert text[0].isupper()
    assert row.texts or row.codes or row.states
    assert row.id.isalnum()
    assert row.id[0].isupper()
    assert row.id != UNKNOWN.id
    assert (row.treatment is Treatment.RESTART) == (row.tries > 0)


def test_texts_are_written_as_they_are_looked_for() -> None:
    for row in FAILURES:
        for text in (*row.texts, *row.within):
            assert text == text.lower(), text
            assert all(len(piece) > 1 for piece in text.split("…")), text


def test_rows_of_one_id_ask_for_the_same_treatment_unless_their_system_differs() -> None:
    asked: dict[tuple[str, System], set[tuple[object, ...]]] = {}
    for row in FAILURES:
        asked.setdefault((row.id, row.system), set()).add((row.kind, row.treatment))
    assert [key for key, values in asked.items() if len(values) > 1] == []


@pytest.mark.parametrize("row", FAILURES, ids=lambda row: f"{row.id}-{row.system}")
def test_lost_data_is_never_restarted_and_a_refused_login_never_tried_again(row: Failure) -> None:
    if row.kind is FailureKind.DATA_POSITION:
        assert row.treatment is Treatment.HOLD
    if row.kind is FailureKind.CREDENTIAL:
        assert row.treatment in {Treatment.STOP, Treatment.HOLD, Treatment.WAIT}


def test_a_code_means_the_same_in_every_spelling() -> None:
    for text in ("ORA-01017: x", "ora-1017", "ORA‑01017: x", "TNS-01017", "(ORA-01017)"):  # noqa: RUF001
        assert diagnose(text).failure.id == "LoginRefused", text
    assert not diagnose("KORA-01017 or ORA-010170 or ORA-1").known


@pytest.mark.parametrize(("around", "expected"), [
    ("{} This connector will be stopped.", Treatment.RESTART),
    ("{} This connector will be restarted.", Treatment.WAIT),
    ("{} failed to poll records from SourceTask. Will retry operation.", Treatment.WAIT),
    ("{}", Treatment.WAIT),
    ("{} This connector will be restarted. ... This connector will be stopped.",
     Treatment.RESTART),
])  # fmt: skip
def test_a_cause_that_passes_is_restarted_only_where_the_task_has_given_up(
    around: str, expected: Treatment
) -> None:
    assert diagnose(around.format("ORA-03113: end-of-file")).treatment is expected


def test_what_does_not_pass_is_not_restarted_whatever_the_wrapper_says() -> None:
    for wrapper in ("This connector will be stopped.", "This connector will be restarted."):
        for cause, treatment in (
            ("ORA-01017: x", Treatment.STOP),
            ("None of the log files contain offset SCN: 1", Treatment.HOLD),
            ("ORA-00942: x", Treatment.HOLD),
        ):
            assert diagnose(f"{wrapper}\nCaused by: {cause}").treatment is treatment


def test_head_and_tail_of_an_endless_text_are_read() -> None:
    filler = "\tat io.debezium.Some.method(Some.java:1)\n" * (2 * LIMIT // 40)
    assert diagnose(f"{filler}Caused by: ORA-01017: x").failure.id == "LoginRefused"
    assert diagnose(f"ORA-01017: x\n{filler}").failure.id == "LoginRefused"


def test_a_cause_in_a_stack_frame_is_none() -> None:
    assert not diagnose("x.Y: z\n\tat a.OutOfMemoryError.b(C.java:1)").known


def test_what_a_statement_quotes_is_not_its_error() -> None:
    row = "insert into T values ('ORA-01017: invalid username/password', 'OutOfMemoryError')"
    assert diagnose(f"Failed to parse DML: {row}").failure.id == "DmlNotUnderstood"
    assert not diagnose(row).known


def test_two_failures_of_one_id_are_told_apart_by_their_system() -> None:
    oracle = known("LoginRefused", System.ORACLE)
    postgresql = known("LoginRefused", System.POSTGRESQL)
    assert oracle is not None
    assert postgresql is not None
    assert (oracle.system, postgresql.system) == (System.ORACLE, System.POSTGRESQL)
    assert known("LoginRefused") is not None
    assert known("NoSuchThing") is None


def test_codes_and_classes_of_a_chain_are_told() -> None:
    diagnosis = diagnose(
        "org.apache.kafka.connect.errors.ConnectException: x\n"
        "Caused by: java.sql.SQLException: ORA-00604: y\nORA-1555: z"
    )
    assert diagnosis.codes == ("ORA-00604", "ORA-01555")
    assert diagnosis.classes == (
        "org.apache.kafka.connect.errors.ConnectException",
        "java.sql.SQLException",
    )


HOSTILE = [
    "ORA-01017 ", "'", '"', "Caused by: ", "password=", "datenbank ", "rolle ", "org.a.b.",
    "at a.b(", "//a:", "Suppressed:\n", "slot ", "insert into ' ", "[", '{"a":', "\\n", "x" * 99,
    "…", "ö", "İ", "org.A", "replication slot", "passwd:a@", "\x1b[", "\r", "\u202e", "«", "sql=",
    "topic-partition ", "the 'a' value ", "expiring ", "ORA-", "error: 1", "SQLSTATE ", '\\"',
]  # fmt: skip


@pytest.mark.parametrize("piece", HOSTILE, ids=repr)
def test_hostile_text_takes_no_longer_than_other(piece: str) -> None:
    text = (piece * LIMIT)[:LIMIT]
    spent = []
    for _ in range(2):  # the better of two: another process may have had the processor
        before = time.process_time()
        diagnose(text)
        spent.append(time.process_time() - before)
    assert min(spent) < 0.3


def test_the_words_of_the_answer_are_closed() -> None:
    assert {str(action) for action in Treatment} == {"wait", "restart", "hold", "stop"}
    assert {str(actor) for actor in Actor} == {"nobody", "operator", "dba", "platform"}
    assert {str(s) for s in Severity} == {"data", "stopped", "degraded", "noise"}


def test_the_same_text_is_recognised_under_every_wrapper() -> None:
    """Each wrapper alone is known, and never hides the cause under it."""
    wrappers = [row for row in FAILURES if row.wrapper]
    causes = {"ORA-28000: x": "AccountLocked", "RecordTooLargeException": "RecordTooLarge"}
    for wrapper, (cause, expected) in product(wrappers, causes.items()):
        text = f"{wrapper.texts[0].replace('…', ' x ')}\nCaused by: {cause}"
        assert diagnose(text).failure.id == expected


def test_each_failure_of_the_samples_is_spoken_of_in_several_ways() -> None:
    counted = Counter(sample["failure"] for sample in SAMPLES)
    assert counted["LoginRefused"] >= 12  # the one that locks accounts, in many languages
