from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from controller.core.lag import Followed, Newest, follow, measure

MOMENTS = st.floats(0, 1e7)
STAMPS = st.none() | st.floats(0, 4e9)
LOOKS = st.lists(
    st.tuples(st.integers(0, 50), STAMPS, st.floats(0, 4e9), st.floats(0, 3600)),
    min_size=1,
    max_size=12,
)
Look = tuple[int, float | None, float, float]


def looked(looks: list[Look]) -> list[Followed]:
    """Each look: more records, a timestamp, what our clock says, seconds since the last look."""
    found: list[Followed] = []
    end, moment = 0, 0.0
    for more, stamp, now, apart in looks:
        end, moment = end + more, moment + apart
        before = found[-1] if found else None
        found.append(follow(before, Newest(end, stamp), now=now, moment=moment))
    return found


@given(LOOKS)
def test_no_clock_makes_a_topic_older_or_younger_than_the_looks_showed(looks: list[Look]) -> None:
    found = looked(looks)
    for before, after in pairwise(found):
        if after.end == before.end:
            assert after.written == before.written
        else:
            assert after.written is not None
            assert before.seen <= after.written <= after.seen


@given(LOOKS, st.floats(0, 1e6), st.none() | st.floats(0, 1e6))
def test_a_pipeline_that_is_dead_falls_behind_by_each_second(
    looks: list[Look], later: float, delay: float | None
) -> None:
    last = looked(looks)[-1]
    rows = Followed(last.end, last.seen, last.written, delay)
    one, two = (
        measure(moment=last.seen + wait, heartbeat=last, topics={"t": rows}).seconds
        for wait in (0.0, later)
    )
    if one is None or two is None:
        assert last.written is None
    else:
        assert abs((two - one) - later) < 1e-3


@given(MOMENTS, MOMENTS, MOMENTS, st.none() | st.floats(0, 1e6))
def test_a_lag_is_never_negative_and_never_less_than_the_silence(
    moment: float, beat: float, row: float, delay: float | None
) -> None:
    heartbeat, rows = Followed(1, beat, beat), Followed(1, row, row, delay)
    found = measure(moment=moment, heartbeat=heartbeat, topics={"t": rows})
    assert found.seconds is not None
    assert found.seconds >= max(0.0, moment - max(beat, row))
    assert found.seconds <= max(0.0, moment - max(beat, row)) + (delay or 0.0)


@given(MOMENTS, MOMENTS, st.floats(0, 1e6), st.floats(0, 1e6))
def test_a_newer_heartbeat_never_makes_the_lag_longer(
    beat: float, row: float, delay: float, newer: float
) -> None:
    rows = Followed(1, row, row, delay)
    moment = max(beat + newer, row)
    old, new = (
        measure(moment=moment, heartbeat=Followed(1, at, at), topics={"t": rows}).seconds
        for at in (beat, beat + newer)
    )
    assert old is not None
    assert new is not None
    assert new <= old + 1e-3
