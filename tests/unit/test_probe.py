from __future__ import annotations

from collections.abc import Mapping

import pytest

from controller.core.model import Json, ProbeMode, ProbeOutcome, Record
from controller.core.probe import (
    ProbeDue,
    ProbeLater,
    ProbeSpent,
    ProbeState,
    Proved,
    Refused,
    bad_record,
    probe_record,
    read_probe,
    stamp_after,
    stamp_before,
)
from tests import make

KEY = make.version().key
ADDRESS = "oracle://127.0.0.1:1521/ORCL"
NOW = make.NOW
MODES = (ProbeMode.REQUIRED, ProbeMode.ADVISORY)


def state(
    records: Mapping[str, Record], mode: ProbeMode = ProbeMode.REQUIRED, now: float = NOW
) -> ProbeState:
    return read_probe(records, KEY, ADDRESS, mode, now)


def stamped(value: Mapping[str, Json]) -> dict[str, Record]:
    return {probe_record(KEY, ADDRESS): Record(value, 1)}


def started(records: Mapping[str, Record], now: float = NOW) -> dict[str, Record]:
    return stamped(stamp_before(records, KEY, ADDRESS, now))


def tried(
    *outcomes: ProbeOutcome, records: Mapping[str, Record] | None = None
) -> dict[str, Record]:
    """Answer the records after these outcomes in turn."""
    kept = dict(records or {})
    for outcome in outcomes:
        before = stamp_before(kept, KEY, ADDRESS, NOW)
        kept = stamped(stamp_after(before, outcome, f"it said {outcome}", NOW))
    return kept


@pytest.mark.parametrize("mode", MODES)
def test_a_version_that_was_never_tried_is_tried(mode: ProbeMode) -> None:
    assert state({}, mode) == ProbeDue(1)


def test_where_probing_is_off_a_version_needs_no_proof() -> None:
    assert state({}, ProbeMode.OFF) == Proved()
    assert state(tried(ProbeOutcome.DOUBTFUL), ProbeMode.OFF) == Proved()


@pytest.mark.parametrize("mode", ProbeMode)
def test_a_bad_version_stays_bad_in_every_mode(mode: ProbeMode) -> None:
    records = {bad_record(KEY, ADDRESS): Record({"message": "ORA-01017"}, 1)}
    assert state({**tried(ProbeOutcome.ACCEPTED), **records}, mode) == Refused("ORA-01017")


def test_bad_is_said_of_one_version_at_one_address() -> None:
    records = {bad_record(KEY, ADDRESS): Record({"message": "ORA-01017"}, 1)}
    other = make.version("v2").key
    assert read_probe(records, other, ADDRESS, ProbeMode.REQUIRED, NOW) == ProbeDue(1)
    assert read_probe(records, KEY, "oracle://elsewhere:1/X", ProbeMode.REQUIRED, NOW) == ProbeDue(
        1
    )


@pytest.mark.parametrize("mode", MODES)
def test_an_accepted_login_proves_the_version(mode: ProbeMode) -> None:
    assert state(tried(ProbeOutcome.ACCEPTED), mode) == Proved()


@pytest.mark.parametrize("mode", MODES)
def test_an_accepted_login_proves_it_also_after_doubts(mode: ProbeMode) -> None:
    assert state(tried(ProbeOutcome.DOUBTFUL, ProbeOutcome.ACCEPTED), mode) == Proved()


@pytest.mark.parametrize("mode", MODES)
def test_a_refusal_stands_although_its_mark_was_never_written(mode: ProbeMode) -> None:
    assert state(tried(ProbeOutcome.REFUSED), mode) == Refused("it said refused")


def test_what_could_not_be_reached_is_tried_later_and_later() -> None:
    delays = []
    records: dict[str, Record] = {}
    for _ in range(12):
        records = tried(ProbeOutcome.UNREACHABLE, records=records)
        later = state(records)
        assert isinstance(later, ProbeLater)
        delays.append(later.at - NOW)
    assert delays == [2, 4, 8, 16, 32, 64, 128, 256, 512, 900, 900, 900]


def test_it_is_tried_again_when_its_time_has_come() -> None:
    records = tried(ProbeOutcome.UNREACHABLE)
    assert isinstance(state(records, now=NOW + 1.9), ProbeLater)
    assert state(records, now=NOW + 2.0) == ProbeDue(2)


def test_unreachable_is_never_counted_as_a_failed_login() -> None:
    records = tried(*[ProbeOutcome.UNREACHABLE] * 20)
    assert state(records, now=NOW + 900) == ProbeDue(21)


def test_two_doubtful_logins_are_all_there_is() -> None:
    once = tried(ProbeOutcome.DOUBTFUL)
    assert state(once, now=NOW + 900) == ProbeDue(2)
    twice = tried(ProbeOutcome.DOUBTFUL, records=once)
    assert state(twice, now=NOW + 1e9) == ProbeSpent("it said doubtful")


def test_what_was_not_reached_between_them_changes_no_count() -> None:
    records = tried(ProbeOutcome.DOUBTFUL, ProbeOutcome.UNREACHABLE, ProbeOutcome.DOUBTFUL)
    assert isinstance(state(records, now=NOW + 1e9), ProbeSpent)


@pytest.mark.parametrize("mode", MODES)
def test_a_login_that_was_started_and_never_finished_counts_as_failed(mode: ProbeMode) -> None:
    once = started({})
    assert state(once, mode) == ProbeDue(2)
    assert isinstance(state(started(once), mode), ProbeSpent)
    assert isinstance(state(tried(ProbeOutcome.DOUBTFUL, records=once), mode), ProbeSpent)


def test_where_it_is_advice_only_an_inconclusive_login_is_good_enough() -> None:
    assert state(tried(ProbeOutcome.UNREACHABLE), ProbeMode.ADVISORY) == Proved()
    assert state(tried(ProbeOutcome.DOUBTFUL), ProbeMode.ADVISORY) == Proved()


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("outcome", ProbeOutcome)
def test_no_history_allows_a_third_login_that_may_have_failed(
    mode: ProbeMode, outcome: ProbeOutcome
) -> None:
    records = tried(outcome, records=started(tried(ProbeOutcome.DOUBTFUL)))
    again = state(records, mode, now=NOW + 1e9)
    assert not isinstance(again, ProbeDue)


def test_a_record_of_nonsense_reads_as_never_finished() -> None:
    assert state(stamped({"attempts": "many", "at": None})) == ProbeDue(1)
