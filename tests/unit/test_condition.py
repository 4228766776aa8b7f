from __future__ import annotations

from dataclasses import replace

import pytest

from controller.core.condition import Condition, ConditionType, Status, mark, moved

READY = Condition(ConditionType.READY, Status.TRUE, "Running", "1 of 1 tasks runs", "a1", 100.0)


def test_the_list_of_types_is_closed() -> None:
    assert {str(kind) for kind in ConditionType} == {
        "Synced",
        "Ready",
        "Healthy",
        "SecretsResolved",
        "Stalled",
    }
    assert {str(status) for status in Status} == {"True", "False", "Unknown"}


def test_a_first_word_stands_as_it_is() -> None:
    assert mark(None, READY) == READY
    assert moved(None, READY)


@pytest.mark.parametrize(
    "later",
    [
        READY,
        replace(READY, reason="Restarted"),
        replace(READY, message="2 of 2 tasks run"),
        replace(READY, generation="b2"),
        replace(READY, generation=None, reason="Adopted", message="found running"),
    ],
)
def test_since_stays_while_the_status_stays_and_the_rest_is_new(later: Condition) -> None:
    later = replace(later, since=200.0)
    assert mark(READY, later) == replace(later, since=100.0)
    assert not moved(READY, later)


@pytest.mark.parametrize("before", list(Status))
@pytest.mark.parametrize("after", list(Status))
def test_since_moves_exactly_when_the_status_moves(before: Status, after: Status) -> None:
    previous = replace(READY, status=before)
    new = replace(READY, status=after, since=200.0)
    assert mark(previous, new).since == (100.0 if before is after else 200.0)
    assert moved(previous, new) == (before is not after)


def test_an_outage_told_three_ways_began_once() -> None:
    down = replace(READY, status=Status.FALSE, reason="Failed", since=200.0)
    later = mark(down, replace(down, reason="Restarting", since=300.0))
    latest = mark(later, replace(down, reason="Unassigned", since=400.0))
    assert (latest.since, latest.reason) == (200.0, "Unassigned")


def test_a_status_read_back_from_text_is_the_same_status() -> None:
    assert not moved(READY, replace(READY, status=Status("True")))


def test_two_types_are_two_conditions() -> None:
    with pytest.raises(ValueError, match="Synced does not follow Ready"):
        mark(READY, replace(READY, type=ConditionType.SYNCED))
