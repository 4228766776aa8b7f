"""When a database is looked at, and that it is never by a login that could be refused."""

from __future__ import annotations

from typing import Any

import pytest

from controller.core.action import CheckSource
from controller.core.decision import Act
from controller.core.model import Offsets, ProbeMode
from controller.core.plan import plan
from controller.core.preflight import EVERY, Said, Subject, looked, preflight_record, stamped
from controller.core.preflight_step import preflight_warnings, redo_left_of
from controller.core.progress import Progress
from tests import make


def checks(**changes: Any) -> list[CheckSource]:
    given: dict[str, Any] = {"preflight": True, **changes}
    acts = [s.decision for s in plan(make.world(**given)).steps if isinstance(s.decision, Act)]
    return [action for act in acts for action in act.actions if isinstance(action, CheckSource)]


def test_a_proved_login_is_used_for_one_look() -> None:
    (check,) = checks()
    assert check.record == preflight_record(make.NAME)
    assert check.version == make.version().key


def test_nothing_is_looked_at_where_nobody_asked_for_it() -> None:
    assert checks(preflight=False) == []


def _known(check: CheckSource, age: float, **changes: Any) -> dict[str, Any]:
    at = make.world().now - age
    value = {**stamped(None, str(check.version), at), **changes}
    return {"stored": make.memory(**{check.record: value})}


def test_a_look_is_repeated_after_a_day_and_for_a_new_version_only() -> None:
    (check,) = checks()
    assert checks(**_known(check, 60.0)) == []
    assert len(checks(**_known(check, EVERY + 1))) == 1
    assert len(checks(**_known(check, 60.0, version="wms/main/dbInfo/v0"))) == 1


def test_where_logins_are_not_probed_none_is_made_for_a_look() -> None:
    declared = make.revision((make.topic(),), (make.connector_manifest(),), probe=ProbeMode.OFF)
    assert checks(revision=declared) == []


def _looked(ago: float = 60.0, scn: int = 1_000, **answers: Any) -> dict[str, Any]:
    """Make the memory of a look that found this."""
    good: dict[str, Any] = {"oldestScn": 900, "oldestRedoHours": 10.0, "positionHours": 4.0}
    said = Said({**good, **answers}, {})
    value = looked("v", make.NOW - ago, said, Subject("oracle", offset_scn=scn))
    return {"stored": make.memory(**{preflight_record(make.NAME): value})}


def _at(scn: int) -> dict[str, Any]:
    offsets: Offsets = ({"partition": {}, "offset": {"scn": str(scn)}},)
    return {"progress": {make.NAME: Progress(offsets, make.NOW, make.NOW)}}


def test_what_is_left_of_the_redo_runs_out_while_the_position_stands() -> None:
    stands = make.world(**_looked(ago=1_800.0), **_at(1_000))
    assert redo_left_of(stands) == {make.NAME: 5.5 * 3600}
    moved = make.world(**_looked(ago=1_800.0), **_at(1_001))
    assert redo_left_of(moved) == {make.NAME: 6 * 3600}
    over = make.world(**_looked(ago=7 * 3600.0), **_at(1_000))
    assert redo_left_of(over) == {make.NAME: 0.0}


@pytest.mark.parametrize(
    "changes", [{}, _looked(ago=2 * EVERY), _looked(positionHours=None, positionRedoHours=None)]
)
def test_what_is_left_of_the_redo_is_not_told_where_nobody_knows(changes: dict[str, Any]) -> None:
    assert redo_left_of(make.world(**changes)) == {}


def test_what_was_found_long_ago_is_said_no_more() -> None:
    assert [*preflight_warnings(make.world(**_looked(logMode="NOARCHIVELOG")))]
    assert not [*preflight_warnings(make.world(**_looked(2 * EVERY, logMode="NOARCHIVELOG")))]


@pytest.mark.parametrize(("verdict", "told"), [("failing", 1), ("warning", 1), ("fine", 0)])
def test_what_is_wrong_is_a_warning_with_its_sql(verdict: str, told: int) -> None:
    (check,) = checks()
    finding = {"check": "logMode", "verdict": verdict, "message": "off", "sql": "ALTER DATABASE"}
    world = make.world(**_known(check, 60.0, findings=[finding], foundAt=make.NOW))
    warning = f"connector/{make.NAME}: the database: off; ALTER DATABASE"
    assert [*preflight_warnings(world)] == [warning] * told
