"""When a database is looked at, and that it is never by a login that could be refused."""

from __future__ import annotations

from typing import Any

import pytest

from controller.core.action import CheckSource
from controller.core.decision import Act
from controller.core.model import ProbeMode
from controller.core.plan import plan
from controller.core.preflight import EVERY, preflight_record, stamped
from controller.core.preflight_step import preflight_warnings
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


@pytest.mark.parametrize(("verdict", "told"), [("failing", 1), ("warning", 1), ("fine", 0)])
def test_what_is_wrong_is_a_warning_with_its_sql(verdict: str, told: int) -> None:
    (check,) = checks()
    finding = {"check": "logMode", "verdict": verdict, "message": "off", "sql": "ALTER DATABASE"}
    world = make.world(**_known(check, 60.0, findings=[finding]))
    warning = f"connector/{make.NAME}: the database: off; ALTER DATABASE"
    assert [*preflight_warnings(world)] == [warning] * told
