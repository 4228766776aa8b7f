from __future__ import annotations

import math

import pytest

from controller.core.backoff import Backoff


@pytest.mark.parametrize(
    ("attempt", "jitter", "seconds"),
    [
        (-1, 1.0, 0.0),
        (0, 1.0, 0.0),
        (1, 1.0, 2.0),
        (1, 0.0, 1.0),
        (1, 0.5, 1.5),
        (2, 1.0, 6.0),
        (3, 1.0, 18.0),
        (4, 1.0, 20.0),
        (4, 0.0, 10.0),
        (10**6, 1.0, 20.0),
        (10**400, 1.0, 20.0),
    ],
)
def test_delays_grow_by_the_factor_up_to_the_cap(
    attempt: int, jitter: float, seconds: float
) -> None:
    assert Backoff(base=2, factor=3, cap=20).delay(attempt, jitter=jitter) == seconds


def test_a_growth_beyond_all_floats_is_the_cap() -> None:
    assert Backoff(base=1, factor=1e300, cap=20).delay(3, jitter=1) == 20.0


def test_a_factor_of_one_waits_the_same_for_ever() -> None:
    assert Backoff(base=2, factor=1, cap=20).delay(10**400, jitter=1) == 2.0


@pytest.mark.parametrize(
    ("base", "factor", "cap"),
    [(0, 2, 10), (-1, 2, 10), (11, 2, 10), (1, 0.5, 10), (math.nan, 2, 10), (1, math.nan, 10)],
)
def test_a_backoff_that_could_not_grow_is_refused(base: float, factor: float, cap: float) -> None:
    with pytest.raises(ValueError, match="a backoff needs"):
        Backoff(base, factor, cap)


@pytest.mark.parametrize("jitter", [-0.1, 1.1, math.nan])
def test_jitter_beyond_its_range_is_refused(jitter: float) -> None:
    with pytest.raises(ValueError, match="jitter is from 0 to 1"):
        Backoff(1, 2, 10).delay(1, jitter=jitter)
