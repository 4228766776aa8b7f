from __future__ import annotations

from dataclasses import replace

import pytest

from controller.core.condition import (
    AGAIN_SECONDS,
    Condition,
    ConditionType,
    Status,
    Told,
    after_telling,
    is_news,
    mark,
    moved,
)

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


# --- what is told -------------------------------------------------------------------------


DOWN = replace(READY, status=Status.FALSE, reason="Failed")


def tell(*said: tuple[float, Condition]) -> list[tuple[float, str]]:
    """Say these, each at its time; answer which of them were told."""
    told: Told | None = None
    lines = []
    for now, condition in said:
        if is_news(told, condition, now):
            lines.append((now, f"{condition.status} {condition.reason}"))
            told = after_telling(told, condition, now)
        elif told is None:
            told = after_telling(told, condition, now)
    return lines


def because(reason: str) -> Condition:
    return replace(DOWN, reason=reason)


def test_another_reason_for_the_same_status_is_told_and_another_message_is_not() -> None:
    later = replace(DOWN, message="5 of 9 tasks run", generation="b2", since=9.0)
    assert tell((0, DOWN), (1, later), (2, because("Unassigned"))) == [
        (0, "False Failed"),
        (2, "False Unassigned"),
    ]


def test_what_is_well_when_it_is_first_seen_is_not_told_and_another_reason_then_is() -> None:
    assert tell((0, READY), (1, replace(READY, reason="Paused"))) == [(1, "True Paused")]


def test_reasons_that_take_turns_for_a_day_are_told_a_few_times_an_hour() -> None:
    turns = [(15.0 * n, because("Timeout" if n % 2 else "Refused")) for n in range(24 * 240)]
    assert len(tell(*turns)) <= 2 * (86_400 / AGAIN_SECONDS + 1)


def test_the_reason_that_stays_is_told_in_the_end() -> None:
    stays = [(30.0 + 15 * n, because("Refused")) for n in range(60)]
    told = tell((0, because("Refused")), (15, because("Timeout")), *stays)
    assert [line for _, line in told] == ["False Refused", "False Timeout", "False Refused"]
    assert told[-1][0] >= AGAIN_SECONDS


def test_a_status_that_moves_is_always_told() -> None:
    turns = [(float(n), DOWN if n % 2 else READY) for n in range(1, 9)]
    assert len(tell(*turns)) == 8


def test_a_clock_that_was_set_back_silences_no_reason() -> None:
    said = ((9e9, because("Refused")), (9e9, because("Timeout")), (0.0, because("Refused")))
    assert [line for _, line in tell(*said)][-1] == "False Refused"
