"""What a restored position means, and which files and connectors are refused."""

from __future__ import annotations

from typing import Any

import pytest

from controller.core.decision import Risk
from controller.core.model import ABSENT, Json, ObservedConnector, ObservedTask, connector_key
from controller.core.offsets import (
    Move,
    Place,
    exported,
    moves_of,
    refusals_of_connector,
    refusals_of_file,
    restore_id,
)
from controller.core.stage import MARK_KEY

HERE = Place("main", "cluster-1", "wms")
PARTITION: dict[str, Json] = {"server": "wms"}
MARK = "wms-connector-main"


@pytest.mark.parametrize(
    ("before", "after", "direction", "risk"),
    [
        ({"scn": "200"}, {"scn": "99"}, "older", Risk.SNAPSHOT),
        ({"scn": "99"}, {"scn": "200"}, "newer", Risk.DATA_LOSS),
        ({"scn": "9" * 25}, {"scn": "9" * 24 + "8"}, "older", Risk.SNAPSHOT),
        ({"lsn": 5}, {"lsn": 5}, "same", Risk.NONE),
        ({"lsn": 5}, {"lsn": 5, "txId": 7}, "unknown", Risk.DATA_LOSS),
        ({"lsn": 5}, {"scn": "4"}, "unknown", Risk.DATA_LOSS),
        ({"gtids": "a"}, {"gtids": "b"}, "unknown", Risk.DATA_LOSS),
        (None, {"scn": "4"}, "unknown", Risk.DATA_LOSS),
    ],
)
def test_a_move_has_the_risk_of_its_direction(
    before: Json, after: Json, direction: str, risk: Risk
) -> None:
    move = Move(PARTITION, before, after)
    assert (move.direction, move.risk) == (direction, risk)


def a_file(**changes: Any) -> dict[str, Any]:
    entry: dict[str, Json] = {"partition": PARTITION, "offset": {"scn": "7"}}
    return {**exported(HERE, (entry,), "2026-11-24T20:00:00+00:00"), **changes}


def test_a_file_of_here_is_not_refused() -> None:
    assert list(refusals_of_file(a_file(), HERE)) == []


@pytest.mark.parametrize(
    "changes",
    [
        {"stage": "val"},
        {"clusterId": "cluster-2"},
        {"connector": "other"},
        {"format": 2},
        {"offsets": []},
        {"offsets": [{"partition": PARTITION, "offset": None}]},
        {"offsets": [{"partition": PARTITION}]},
    ],
)
def test_a_file_of_elsewhere_or_without_a_position_is_refused(changes: dict[str, Any]) -> None:
    assert list(refusals_of_file(a_file(**changes), HERE))


@pytest.mark.parametrize(
    ("state", "mark", "tasks", "fine"),
    [
        ("STOPPED", MARK, (), True),
        ("RUNNING", MARK, (), False),
        ("PAUSED", MARK, (), False),
        ("STOPPED", MARK, (ObservedTask(0, "RUNNING", "w"),), False),
        ("STOPPED", "wms-connector-val", (), False),
        ("STOPPED", "", (), False),
    ],
)
def test_only_a_stopped_connector_of_this_stage_may_be_moved(
    state: str, mark: str, tasks: tuple[ObservedTask, ...], fine: bool
) -> None:
    seen = ObservedConnector(connector_key("wms"), {MARK_KEY: mark}, state, tasks=tasks)
    assert (list(refusals_of_connector(seen, MARK)) == []) is fine


def test_one_that_is_not_there_is_refused() -> None:
    assert list(refusals_of_connector(ABSENT, MARK))


def test_the_id_is_of_this_very_change() -> None:
    wanted: list[dict[str, Json]] = [{"partition": PARTITION, "offset": {"scn": "7"}}]
    now: dict[str, Json] = {"partition": PARTITION, "offset": {"scn": "9"}}
    later: dict[str, Json] = {"partition": PARTITION, "offset": {"scn": "10"}}
    assert restore_id(HERE, moves_of((now,), wanted)) == restore_id(HERE, moves_of((now,), wanted))
    assert restore_id(HERE, moves_of((now,), wanted)) != restore_id(
        HERE, moves_of((later,), wanted)
    )
