from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from controller.core.backoff import Backoff

backoffs = st.builds(
    lambda base, factor, more: Backoff(base, factor, base + more),
    st.floats(0.001, 1e4),
    st.floats(1.01, 100),
    st.floats(0, 1e6),
)
attempts = st.integers(0, 10**9)
jitters = st.floats(0, 1)


@given(backoffs, attempts, attempts, jitters)
def test_a_later_attempt_never_waits_less(
    backoff: Backoff, one: int, other: int, jitter: float
) -> None:
    early, late = sorted((one, other))
    assert backoff.delay(early, jitter=jitter) <= backoff.delay(late, jitter=jitter)


@given(backoffs, st.integers(1, 10**400), jitters)
def test_a_delay_lies_between_half_the_base_and_the_cap(
    backoff: Backoff, attempt: int, jitter: float
) -> None:
    assert backoff.base / 2 <= backoff.delay(attempt, jitter=jitter) <= backoff.cap


@given(backoffs, st.integers(1, 100), jitters)
def test_jitter_only_spreads_the_upper_half(backoff: Backoff, attempt: int, jitter: float) -> None:
    whole = backoff.delay(attempt, jitter=1)
    assert whole / 2 <= backoff.delay(attempt, jitter=jitter) <= whole
