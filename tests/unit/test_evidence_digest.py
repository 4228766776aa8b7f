from __future__ import annotations

import json
from collections.abc import Mapping

import pytest

from controller.core.evidence import KEEP, EvidenceBook, WorkerLine, expire, gather
from controller.core.evidence_digest import (
    LASTING_SECONDS,
    MOST_TOLD,
    RENEW_SECONDS,
    digest,
    evidence_record,
    is_due,
    read_digest,
    with_others,
)
from controller.core.model import Json, Record

NOW = 1_800_000_000.0
OURS = frozenset({"waivers"})
REFUSED = "ORA-01017: invalid username/password; logon denied"
LOST = "ORA-03113: end-of-file on communication channel"
START = (
    "org.apache.kafka.connect.errors.ConnectException: x\n"
    "\tat org.apache.kafka.connect.runtime.AbstractWorkerSourceTask.initializeAndStart(A.java:1)"
)


def line(
    text: str = REFUSED, at: float = NOW, name: str = "waivers", trace: str = ""
) -> WorkerLine:
    return WorkerLine(at, "WARN", "io.debezium.A", text, trace, f"[{name}|task-0] ")


def book(*lines: WorkerLine, ours: frozenset[str] = OURS, now: float = NOW) -> EvidenceBook:
    return gather(EvidenceBook(), lines, ours, now)


def record(told: Mapping[str, Json], at: float = NOW) -> Record:
    return Record({"connectors": dict(told), "at": at}, 1, at + LASTING_SECONDS)


def left(*lines: WorkerLine, at: float = NOW) -> dict[str, Record]:
    """Answer the records where another sidecar left these lines' evidence."""
    return {evidence_record("two"): record(digest(book(*lines, now=at)), at)}


def test_nothing_of_a_line_leaves_but_diagnosis_codes_and_classes() -> None:
    canary = "Jane-Doe-4711"
    told = book(line(f"{REFUSED} for user {canary}", trace=canary))
    assert canary not in json.dumps(digest(told))


def test_a_digest_is_read_as_it_was_written() -> None:
    told = book(line(), line("ORA-03113: x", at=NOW - 9))
    assert read_digest(json.loads(json.dumps(digest(told)))) == dict(told.connectors)


@pytest.mark.parametrize("value", [
    None, [], "x", {"waivers": 5}, {"waivers": [None, 5, {}]},
    {"waivers": [{"failure": "Nonsense", "system": "oracle", "firstSeen": 1, "lastSeen": 1}]},
    {"waivers": [{"failure": "LoginRefused", "system": "mars", "firstSeen": 1, "lastSeen": 1}]},
    {"waivers": [{"failure": "LoginRefused", "system": "oracle", "firstSeen": "1", "lastSeen": 1}]},
])  # fmt: skip
def test_what_is_no_digest_is_left_out(value: object) -> None:
    assert read_digest(value) == {}


def test_an_error_that_is_not_known_travels_with_its_code() -> None:
    odd = WorkerLine(NOW, "ERROR", "io.x.Y", "ORA-99123: 'Jane'", "", "[waivers|task-0] ")
    told = gather(EvidenceBook(), [odd], {"waivers"}, NOW)
    assert read_digest(digest(told)) == dict(told.connectors)
    assert "Jane" not in str(digest(told))


def test_a_digest_cannot_bring_in_text() -> None:
    item: dict[str, Json] = {
        "failure": "LoginRefused",
        "system": "oracle",
        "firstSeen": 1,
        "lastSeen": 2,
    }
    item |= {"logger": "<script>", "codes": ["Jane", "ORA-01017"], "classes": ["a b"]}
    (evidence,) = read_digest({"waivers": [item]})["waivers"]
    assert (evidence.logger, evidence.codes, evidence.classes) == ("", ("ORA-01017",), ())


def test_another_workers_evidence_counts_with_its_own_times_and_count() -> None:
    records = left(*(line(at=NOW - 60 + 10 * n) for n in range(3)))
    (found,) = with_others(EvidenceBook(), records, "one", OURS, NOW).of("waivers")
    assert (found.failure, found.count) == ("LoginRefused", 3)
    assert (found.first_seen, found.last_seen) == (NOW - 60, NOW - 40)
    assert found.codes == ("ORA-01017",)


def test_what_both_workers_tell_is_put_together() -> None:
    records = left(line(at=NOW - 20), line(LOST))
    both = with_others(book(line(at=NOW - 50)), records, "one", OURS, NOW).of("waivers")
    told = {one.failure: (one.first_seen, one.last_seen, one.count) for one in both}
    assert told == {"LoginRefused": (NOW - 50, NOW - 20, 2), "ConnectionLost": (NOW, NOW, 1)}


def test_our_own_record_is_not_read_back() -> None:
    own = {evidence_record("one"): record(digest(book(line())))}
    assert with_others(EvidenceBook(), own, "one", OURS, NOW).connectors == {}


def test_a_digest_about_a_connector_that_is_not_ours_says_nothing() -> None:
    told = digest(book(line(name="other"), ours=frozenset({"other"})))
    records = {evidence_record("two"): record(told)}
    assert with_others(EvidenceBook(), records, "one", OURS, NOW).connectors == {}


def test_what_the_other_worker_says_of_itself_does_not_travel() -> None:
    of_nobody = WorkerLine(NOW, "WARN", "a.B", REFUSED)
    assert digest(book(of_nobody)) == {}


def test_that_a_login_was_the_connectors_own_travels() -> None:
    (found,) = with_others(EvidenceBook(), left(line(trace=START)), "one", OURS, NOW).of("waivers")
    assert found.on_start_path


def test_another_machines_clock_makes_no_evidence_of_the_future() -> None:
    ahead = NOW + 9999
    records = left(line(at=ahead), at=ahead)
    told = with_others(EvidenceBook(), records, "one", OURS, NOW)
    assert told.of("waivers")[0].last_seen == NOW
    assert expire(told, NOW + KEEP + 1, {}).connectors == {}


def test_another_workers_evidence_ends_when_its_connector_is_seen_to_be_well() -> None:
    told = with_others(EvidenceBook(), left(line(at=NOW - 60)), "one", OURS, NOW)
    assert expire(told, NOW, {"waivers": NOW - 61}).of("waivers") != ()
    assert expire(told, NOW, {"waivers": NOW - 30}).of("waivers") == ()


def test_a_record_is_bounded_and_the_newest_stand_in_it() -> None:
    names = [f"c{number:04}" for number in range(2 * MOST_TOLD)]
    lines = [line(at=NOW - 500 + n, name=name) for n, name in enumerate(names)]
    told = digest(book(*lines, ours=frozenset(names)))
    assert list(told) == names[MOST_TOLD:]
    assert len(read_digest(told)) == MOST_TOLD


@pytest.mark.parametrize(("before", "after", "age", "due"), [
    ([], [], 0, False),
    ([], [line()], 0, True),
    ([line()], [line()], 0, False),
    ([line()], [line(), line(LOST)], 0, True),
    ([line()], [line(trace=START)], 0, True),
    ([line(LOST)], [line()], 0, True),
    ([line()], [line(), line(at=NOW - 5)], 0, False),
    ([line()], [line(), line(at=NOW - 5)], RENEW_SECONDS, True),
    ([line()], [line()], RENEW_SECONDS, False),
    ([line()], [line()], LASTING_SECONDS / 2, True),
    ([line()], [line()], -1, True),
])  # fmt: skip
def test_a_record_is_written_at_once_for_something_new_and_seldom_to_count(
    before: list[WorkerLine], after: list[WorkerLine], age: float, due: bool
) -> None:
    said = record(digest(book(*before))) if before else None
    assert is_due(said, digest(book(*after)), NOW + age) is due
