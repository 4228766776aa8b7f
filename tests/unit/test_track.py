from __future__ import annotations

from dataclasses import replace

import pytest

from controller.core.action import Forget, Remember
from controller.core.faults import (
    Conflict,
    Denied,
    Fault,
    OutcomeUnknown,
    Rejected,
    Transient,
    Unavailable,
)
from controller.core.model import Record, topic_key
from controller.core.track import (
    Track,
    after_fault,
    after_write,
    keep_track,
    read_track,
    track_record,
)

KEY = topic_key("wms")
NOW = 1_000_000.0


def stored(track: Track) -> dict[str, Record]:
    return {
        action.key: Record(action.value, 1)
        for action in keep_track({}, KEY, track)
        if isinstance(action, Remember)
    }


@pytest.mark.parametrize("fault", [Conflict("Moved", "m"), OutcomeUnknown("Lost", "m")])
def test_a_conflict_or_unknown_outcome_first_waits_for_an_observation_only(fault: Fault) -> None:
    once = after_fault(Track(), fault, now=NOW, jitter=1.0)
    twice = after_fault(once, fault, now=NOW, jitter=1.0)
    assert once.not_before == NOW
    assert twice.not_before == NOW + 2.0


@pytest.mark.parametrize(
    ("fault", "delays"),
    [
        (Transient("Busy", "m"), [1.0, 2.0, 4.0, 8.0]),
        (Unavailable("Away", "m"), [1.0, 2.0, 4.0, 8.0]),
        (Transient("Busy", "m", retry_after=7.0), [7.0, 7.0]),
        (Denied("NoAccess", "m"), [30.0, 60.0, 120.0]),
        (Rejected("Wrong", "m"), [3600.0, 3600.0]),
    ],
)
def test_each_fault_has_its_own_pace(fault: Fault, delays: list[float]) -> None:
    track = Track()
    for delay in delays:
        track = after_fault(track, fault, now=NOW, jitter=1.0)
        assert track.not_before == NOW + delay


@pytest.mark.parametrize(
    ("fault", "cap"), [(Transient("Busy", "m"), 120.0), (Denied("NoAccess", "m"), 900.0)]
)
def test_no_pace_grows_without_bound(fault: Fault, cap: float) -> None:
    track = after_fault(Track(attempts=50), fault, now=NOW, jitter=1.0)
    assert track.not_before == NOW + cap


def test_only_a_rejection_stalls_and_the_next_fault_of_another_kind_ends_that() -> None:
    rejected = after_fault(Track(), Rejected("Wrong", "no such field"), now=NOW, jitter=1.0)
    assert (rejected.stalled, rejected.reason, rejected.message) == (True, "Wrong", "no such field")
    assert not after_fault(rejected, Transient("Busy", "m"), now=NOW, jitter=1.0).stalled


def test_a_write_ends_backoff_and_stall() -> None:
    failed = after_fault(Track(), Rejected("Wrong", "m"), now=NOW, jitter=1.0)
    written = after_write(failed, now=NOW, wrote="PutConfig a")
    assert (written.attempts, written.not_before, written.reason) == (0, 0.0, "")
    assert not written.stalled
    assert written.written_at == NOW


def test_the_third_same_write_pauses_for_ten_minutes_then_twice_as_long_each_time() -> None:
    track = Track()
    pauses = []
    for _ in range(5):
        track = after_write(track, now=NOW, wrote="AlterTopic retention.ms")
        pauses.append(track.flapping_until - NOW if track.flapping else None)
    assert pauses == [None, None, 600.0, 1200.0, 2400.0]


def test_a_pause_for_flapping_is_never_longer_than_a_day() -> None:
    track = Track(writes=3, flaps=40, wrote="AlterTopic a")
    assert after_write(track, now=NOW, wrote="AlterTopic a").flapping_until == NOW + 86_400.0


def test_writes_that_differ_are_not_flapping() -> None:
    track = Track()
    for wrote in ("PutConfig a", "PutConfig b", "PutConfig a", "PutConfig b"):
        track = after_write(track, now=NOW, wrote=wrote)
        assert not track.flapping
        assert track.flapping_until == 0.0


def test_a_fault_between_two_same_writes_does_not_hide_them() -> None:
    track = Track()
    for _ in range(3):
        track = after_fault(track, Transient("Busy", "m"), now=NOW, jitter=0.0)
        track = after_write(track, now=NOW, wrote="PutConfig a")
    assert track.flapping


def test_what_is_kept_is_read_again_as_it_was() -> None:
    track = after_write(Track(generation="g1"), now=NOW, wrote="PutConfig a")
    track = after_fault(track, Rejected("Wrong", "m"), now=NOW, jitter=1.0)
    assert read_track(stored(track), KEY, "g1") == track


def test_a_new_generation_clears_stall_backoff_and_flapping() -> None:
    track = Track("g1", attempts=3, not_before=NOW, stalled=True, writes=9, flapping_until=NOW)
    assert read_track(stored(track), KEY, "g2") == Track(generation="g2")


def test_nothing_remembered_is_an_empty_track() -> None:
    assert read_track({}, KEY, "g1") == Track(generation="g1")


def test_a_record_with_more_or_less_in_it_is_still_read() -> None:
    record = Record({"generation": "g1", "attempts": 2, "from_a_later_release": True}, 1)
    track = read_track({track_record(KEY): record}, KEY, "g1")
    assert track == Track(generation="g1", attempts=2)


def test_a_track_is_put_only_when_the_store_says_something_else() -> None:
    track = Track(generation="g1", attempts=1)
    assert keep_track(stored(track), KEY, track) == ()
    (put,) = keep_track(stored(track), KEY, replace(track, attempts=2))
    assert isinstance(put, Remember)
    assert put.value["attempts"] == 2


def test_an_empty_track_is_not_stored_and_removes_what_was() -> None:
    assert keep_track({}, KEY, Track(generation="g1")) == ()
    left = keep_track(stored(Track(generation="g1", attempts=1)), KEY, Track(generation="g1"))
    assert left == (Forget(track_record(KEY)),)


def test_a_rotation_is_no_flapping_and_hides_none() -> None:
    track = Track()
    for _ in range(5):
        track = after_write(track, now=NOW, wrote="PutConfig database.password", counted=False)
    assert not track.flapping
    for _ in range(2):
        track = after_write(track, now=NOW, wrote="PutConfig a")
    track = after_write(track, now=NOW, wrote="PutConfig database.password", counted=False)
    assert after_write(track, now=NOW, wrote="PutConfig a").flapping
