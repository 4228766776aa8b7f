from __future__ import annotations

import pytest

from controller.core.model import Json, Offsets, Unknown
from controller.core.progress import QUIET, SLACK, Progress, advance, resume_scn, well_at
from tests import make

NOW = make.NOW


def oracle(**offset: Json) -> Offsets:
    return ({"partition": {"server": "wms"}, "offset": dict(offset)},)


def test_a_number_beyond_what_floats_hold_still_moves() -> None:
    before = advance(None, oracle(scn="9007199254740993"), NOW)
    after = advance(before, oracle(scn="9007199254740992"), NOW + 60)
    assert after.moved_at == NOW + 60
    assert resume_scn(after.offsets) == 9007199254740992


def test_each_redo_thread_moves_by_itself() -> None:
    one = oracle(scn="100", commit_scn="110:1:tx-a,95:2:tx-b")
    moved = advance(advance(None, one, NOW), oracle(scn="100", commit_scn="110:1,96:2"), NOW + 60)
    assert moved.moved_at == NOW + 60


def test_a_redo_thread_that_is_closed_does_not_hold_the_position_back() -> None:
    assert resume_scn(oracle(scn="100", commit_scn="110:1:tx-a,5:2:tx-b")) == 100


def test_the_order_of_threads_and_other_fields_are_no_move() -> None:
    one = advance(None, oracle(scn="100", commit_scn="110:1:,95:2:"), NOW)
    same = advance(one, oracle(scn=100, commit_scn="95:2:,110:1:", txId="x"), NOW + 60)
    assert (same.moved_at, same.first_at, same.read_at) == (None, NOW, NOW + 60)


def test_postgresql_moves_by_its_log_position() -> None:
    before = advance(None, oracle(lsn=23456789, txId=7), NOW)
    assert advance(before, oracle(lsn=23456790, txId=7), NOW + 1).moved_at == NOW + 1


@pytest.mark.parametrize(
    "offset", [None, [], "text", {"scn": None}, {"scn": True}, {"scn": "1e9"}, {"commit_scn": 5}]
)
def test_what_is_no_position_counts_nothing(offset: Json) -> None:
    assert resume_scn(({"partition": {"server": "x"}, "offset": offset},)) is None


def test_a_later_move_or_a_long_quiet_says_that_it_is_well() -> None:
    quiet = Progress((), NOW, NOW - 600)
    assert well_at(quiet, {}) == NOW - QUIET
    moved = Progress((), NOW, NOW - 1, NOW - 1)
    assert well_at(moved, {}) == NOW - 1 - SLACK


def test_a_connector_that_tries_seldom_must_be_quiet_for_longer() -> None:
    config = {"retriable.restart.connector.wait.ms": "60000"}
    assert well_at(Progress((), NOW, NOW), config) == NOW - 180


@pytest.mark.parametrize("seen", [None, Unknown(make.AWAY)])
def test_offsets_that_were_not_read_prove_nothing(seen: Unknown | None) -> None:
    assert well_at(seen, {}) is None
