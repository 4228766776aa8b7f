from __future__ import annotations

import pytest

from controller.core.evidence import (
    KEEP,
    LOOK_BACK,
    MOST,
    MOST_CODES,
    EvidenceBook,
    WorkerLine,
    connector_of,
    expire,
    gather,
    merge,
    telling,
)
from controller.core.failure import FAILURES, System

NOW = 1_800_000_000.0
OURS = frozenset({"waivers"})
REFUSED = "ORA-01017: invalid username/password; logon denied"


def line(
    message: str = REFUSED, at: float = NOW, context: str = "[waivers|task-0] ", **more: str
) -> WorkerLine:
    return WorkerLine(at, "WARN", "io.debezium.pipeline.ErrorHandler", message, "", context, **more)


def book(*lines: WorkerLine, now: float = NOW) -> EvidenceBook:
    return gather(EvidenceBook(), lines, OURS, now)


@pytest.mark.parametrize(("context", "message", "thread", "expected"), [
    ("[waivers|task-0] ", "", "", "waivers"),
    ("[waivers|worker] ", "", "", "waivers"),
    ("[waivers|task-12|offsets] ", "", "", "waivers"),
    ("[a|b|task-0] ", "", "", "a|b"),
    ("", "[Producer clientId=connector-producer-waivers-0] Got error", "", "waivers"),
    ("", "[Producer clientId=connector-producer-my-waivers-12] Got error", "", "my-waivers"),
    ("", "[Producer clientId=connector-producer-waivers-0, transactionalId=t] Got", "", "waivers"),
    ("", "WorkerSourceTask{id=x-0} failed to send record",
     "kafka-producer-network-thread | connector-producer-waivers-0", "waivers"),
    ("", "no word of any", "", None),
    ("", "quoted: [Producer clientId=connector-producer-waivers-0] Got error", "", None),
    ("", "[Producer clientId=mgmt.connect.main-offsets] Got error", "", None),
    ("", "connector.context=[waivers|task-0] ", "", None),
    ("[waivers|task-0] and more", "", "", None),
    ("waivers", "", "", None),
])  # fmt: skip
def test_a_line_is_of_the_connector_that_the_worker_names(
    context: str, message: str, thread: str, expected: str | None
) -> None:
    assert connector_of(line(message, context=context, thread=thread)) == expected


def test_a_task_that_is_told_to_stop_during_its_snapshot_has_not_failed() -> None:
    """As Debezium 3.6.1 says it when a config is written meanwhile."""
    cut = "java.lang.InterruptedException: Interrupted while snapshotting table WMS.PLAN"
    said = (
        f"Error during snapshot\njava.util.concurrent.ExecutionException: {cut}\nCaused by: {cut}",
        "Snapshot was interrupted before completion",
        "Snapshot was not completed successfully , it will be re-executed upon connector restart",
        f"Producer failure\nio.debezium.DebeziumException: {cut}\nCaused by: {cut}",
    )
    assert telling(book(*map(line, said)).of("waivers")) is None


def test_lines_of_one_diagnosis_are_kept_as_first_last_and_count() -> None:
    found = book(*(line(at=NOW + n * 10) for n in range(-5, 1))).of("waivers")
    assert len(found) == 1
    assert (found[0].failure, found[0].count) == ("LoginRefused", 6)
    assert (found[0].first_seen, found[0].last_seen) == (NOW - 50, NOW)
    assert found[0].codes == ("ORA-01017",)


def test_the_lines_that_one_try_leaves_count_once() -> None:
    assert book(*(line(at=NOW - 1 + n / 10) for n in range(5))).of("waivers")[0].count == 1


ODD = "io.debezium.DebeziumException: failed\nCaused by: java.sql.SQLException: ORA-99123: row "


def error(message: str, at: float = NOW, context: str = "[waivers|task-0] ") -> WorkerLine:
    return WorkerLine(at, "ERROR", "io.debezium.pipeline.ErrorHandler", message, "", context)


def test_an_error_that_is_not_known_is_kept_with_its_codes_and_classes_only() -> None:
    told = book(error(f"{ODD} 'Jane Doe'"), error(f"{ODD} 'John'", at=NOW - 20.0))
    (found,) = told.of("waivers")
    assert (found.failure, found.count, found.codes) == ("unknown", 2, ("ORA-99123",))
    assert "java.sql.SQLException" in found.classes
    assert "Jane" not in repr(told)
    assert told.lines["unrecognised"] == 2


def test_of_many_errors_that_are_not_known_the_newest_codes_are_kept() -> None:
    lines = [error(ODD.replace("99123", f"9912{n}"), at=NOW - 90.0 + n) for n in range(8)]
    (found,) = book(*lines).of("waivers")
    assert found.codes == tuple(f"ORA-9912{n}" for n in range(8 - MOST_CODES, 8))


def test_an_error_that_is_not_known_never_speaks_and_a_warning_or_a_strangers_is_not_kept() -> None:
    assert telling(book(error(ODD)).of("waivers")) is None
    assert telling(book(error(ODD), line()).of("waivers")) is not None
    told = book(line(ODD), error(ODD, context=""), error(ODD, context="[other|task-0] "))
    assert (dict(told.connectors), told.worker) == ({}, ())
    assert (told.lines["unrecognised"], told.lines["foreign"]) == (2, 1)


def test_every_line_is_counted_once() -> None:
    told = book(line(), line("nothing is known of this"), line(at=NOW - LOOK_BACK - 1))
    assert {name: n for name, n in told.lines.items() if n} == {
        "recognised": 1,
        "unrecognised": 1,
        "stale": 1,
    }


def test_a_line_of_a_stranger_or_of_nobody_says_nothing_of_ours() -> None:
    told = book(line(context="[other|task-0] "), line(context=""))
    assert told.of("waivers") == ()
    assert told.foreign == 1
    assert [e.failure for e in told.worker] == ["LoginRefused"]


def test_a_row_that_names_a_connector_of_ours_is_not_believed() -> None:
    forged = f"bad row: [waivers|task-0] {REFUSED}"
    assert book(line(forged, context="[other|task-0] ")).connectors == {}


def test_what_no_failure_fits_is_counted_and_not_kept() -> None:
    told = book(line("a column got a default value"))
    assert told.of("waivers") == ()
    assert told.unrecognised == 1


def test_what_was_written_long_before_we_came_is_of_another_life() -> None:
    told = book(line(at=NOW - LOOK_BACK - 1))
    assert told.of("waivers") == ()
    assert told.stale == 1


def test_a_clock_that_runs_ahead_makes_no_evidence_of_the_future() -> None:
    assert book(line(at=NOW + 9999)).of("waivers")[0].last_seen == NOW


def test_evidence_ends_when_its_connector_is_seen_to_be_well() -> None:
    told = book(line(at=NOW - 60))
    assert expire(told, NOW, {"waivers": NOW - 61}).of("waivers") != ()
    assert expire(told, NOW, {"other": NOW}).of("waivers") != ()
    assert expire(told, NOW, {"waivers": NOW - 30}).of("waivers") == ()


def test_evidence_ends_by_itself_when_nothing_is_written_any_more() -> None:
    told = book(line())
    assert expire(told, NOW + KEEP - 1, {}).of("waivers") != ()
    assert expire(told, NOW + KEEP + 1, {}).of("waivers") == ()


def test_what_a_connector_suffers_in_silence_outlives_its_being_well() -> None:
    silent = "table 'X' not configured with supplemental logging \"(ALL) COLUMNS\""
    told = expire(book(line(silent)), NOW + 60, {"waivers": NOW + 50})
    assert [e.failure for e in told.of("waivers")] == ["ColumnsNotLogged"]


def test_a_cause_speaks_before_its_wrapper_and_noise_never() -> None:
    wrapper = line("Going to restart connector after 10 sec. after a retriable exception")
    noise = line("Graceful stop of task waivers-0 failed.")
    cause = line(REFUSED, at=NOW - 5)
    speaks = telling(book(cause, wrapper, noise).of("waivers"))
    assert speaks is not None
    assert speaks.failure == "LoginRefused"
    alone = telling(book(wrapper, noise).of("waivers"))
    assert alone is not None
    assert alone.failure == "TryingAgain"
    assert telling(book(noise).of("waivers")) is None
    assert telling(()) is None


def test_a_grave_cause_speaks_before_a_newer_lesser_one() -> None:
    lost = line("None of the log files contain offset SCN: 1", at=NOW - 300)
    dropped = line("ORA-03113: end-of-file on communication channel")
    speaks = telling(book(lost, dropped).of("waivers"))
    assert speaks is not None
    assert speaks.failure == "OffsetScnNotFound"


def test_the_kinds_kept_of_one_connector_are_bounded() -> None:
    texts = sorted({row.texts[0] for row in FAILURES if row.texts})
    told = book(*(line(text.replace("…", " x ")) for text in texts))
    assert len(told.of("waivers")) == MOST


def test_the_evidence_of_two_workers_is_put_together() -> None:
    one = book(line(at=NOW - 50)).connectors
    other = book(line(at=NOW - 20), line("ORA-03113: x")).connectors
    refused, dropped = sorted(merge(one, other)["waivers"], key=lambda e: e.failure, reverse=True)
    assert (refused.failure, refused.system, refused.count) == ("LoginRefused", System.ORACLE, 2)
    assert (refused.first_seen, refused.last_seen) == (NOW - 50, NOW - 20)
    assert dropped.failure == "ConnectionLost"


def test_the_same_lines_in_many_calls_give_the_same_book() -> None:
    lines = [line(text, at=NOW - 60 + n) for n, text in enumerate([REFUSED, "ORA-03113", "?"] * 5)]
    told = EvidenceBook()
    for one in lines:
        told = gather(told, [one], OURS, NOW)
    assert told == book(*lines)
