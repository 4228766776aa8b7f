"""Who holds the lease, from what one process saw by its own clock."""

from __future__ import annotations

from typing import Any

from controller.core.lease import (
    SKEW_SECONDS,
    Bid,
    Leave,
    Tenure,
    Terms,
    look,
    lost,
    may_write,
    released_value,
    renewal,
    seconds_left,
    won,
)
from controller.core.model import Record

TERMS = Terms(seconds=30.0, renew=8.0, margin=16.0)
NOW = 1_800_000_000.0
ME = Tenure("me")


def held(by: str, revision: int = 7, at: float = NOW, epoch: int = 3) -> Record:
    value: dict[str, Any] = {"holder": by, "epoch": epoch, "seconds": 30.0, "at": at}
    return Record(value, revision)


def judge(tenure: Tenure, record: Record | None, mono: float, now: float = NOW) -> Any:
    return look(tenure, record, TERMS, mono=mono, now=now)


def test_a_lease_that_nobody_ever_had_is_bid_for() -> None:
    _, move = judge(ME, None, 0.0)
    assert isinstance(move, Bid)
    assert (move.expected, move.epoch, move.value["holder"]) == (0, 1, "me")


def test_a_lease_that_was_let_go_is_bid_for_with_a_higher_epoch() -> None:
    record = Record(released_value(Tenure("other", epoch=3)), 9)
    _, move = judge(ME, record, 0.0)
    assert isinstance(move, Bid)
    assert (move.expected, move.epoch) == (9, 4)


def test_anothers_lease_is_left_until_it_stood_still_for_its_whole_term() -> None:
    tenure, move = judge(ME, held("other"), 100.0)
    assert move == Leave("other")
    tenure, move = judge(tenure, held("other"), 129.9)
    assert move == Leave("other")
    _, move = judge(tenure, held("other"), 130.0)
    assert isinstance(move, Bid)
    assert (move.expected, move.epoch) == (7, 4)


def test_a_renewal_begins_the_waiting_anew() -> None:
    tenure, _ = judge(ME, held("other", revision=7), 100.0)
    tenure, _ = judge(tenure, held("other", revision=8), 125.0)
    _, move = judge(tenure, held("other", revision=8), 154.0)
    assert move == Leave("other")


def test_a_clock_that_is_wrong_by_minutes_takes_no_lease_early() -> None:
    for skew in (-SKEW_SECONDS, SKEW_SECONDS):
        _, move = judge(ME, held("other"), 100.0, NOW + skew)
        assert move == Leave("other")


def test_a_lease_from_before_a_long_outage_is_nobodys() -> None:
    _, move = judge(ME, held("other"), 0.0, NOW + SKEW_SECONDS + 30.0)
    assert isinstance(move, Bid)


def test_our_own_write_whose_answer_was_lost_is_renewed_in_the_same_epoch() -> None:
    _, move = judge(ME, held("me", epoch=5), 0.0)
    assert isinstance(move, Bid)
    assert (move.expected, move.epoch) == (7, 5)


def test_time_is_counted_from_when_the_renewal_was_begun() -> None:
    mine = won(ME, Bid(0, {}, 1), revision=1, begun=50.0)
    assert seconds_left(mine, TERMS, 60.0) == 20.0
    assert may_write(mine, TERMS, 64.0)
    assert not may_write(mine, TERMS, 64.1)
    assert not may_write(lost(mine), TERMS, 50.0)


def test_a_renewal_goes_on_from_the_revision_that_was_written() -> None:
    mine = won(ME, Bid(0, {}, 4), revision=12, begun=50.0)
    bid = renewal(mine, TERMS, NOW)
    assert (bid.expected, bid.epoch) == (12, 4)


def test_no_other_can_hold_the_lease_while_the_holder_may_write() -> None:
    """The margin of the two counts: the follower first sees it after it was written."""
    mine = won(ME, Bid(0, {}, 1), revision=7, begun=100.0)
    other, _ = judge(Tenure("other"), held("me"), 100.0)
    moments = [100.0 + tenth / 10 for tenth in range(600)]
    for mono in moments:
        _, move = judge(other, held("me"), mono)
        assert not (may_write(mine, TERMS, mono) and isinstance(move, Bid))
