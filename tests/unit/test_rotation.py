"""What goes on although the rest of a difference has to wait: new credentials."""

from __future__ import annotations

from dataclasses import replace

import pytest

from controller.core.action import PutConfig, Resume
from controller.core.decision import Act, Decision, Difference, Risk, Stall, Wait
from controller.core.diff import diff_config
from controller.core.rotation import rotation_in
from tests import make

DESIRED = make.desired_connector(version_id="v2")
THEIRS = {**make.rendered("v1"), "x": "theirs"}


def held(theirs: dict[str, str], reason: str = "Contended") -> Wait:
    diff = diff_config(DESIRED.config, theirs)
    put = Act((PutConfig(make.NAME, DESIRED.config),), "Repair", "differs", diff)
    return Wait(reason, "somebody else writes it too", None, diff, put)


def found(decision: Decision, theirs: dict[str, str] = THEIRS) -> Act | None:
    return rotation_in(decision, DESIRED, make.observed_connector(theirs), make.ROOT)


@pytest.mark.parametrize(
    "reason",
    ["Contended", "RepairDelayed", "SnapshotRunning", "Flapping", "OffsetsUnread"],
)
def test_only_the_credentials_are_written_and_the_rest_stays_as_it_is(reason: str) -> None:
    act = found(held(THEIRS, reason))
    assert act is not None
    (put,) = act.actions
    assert isinstance(put, PutConfig)
    assert put.config == {**make.rendered("v2"), "x": "theirs"}
    assert [change.field for change in act.diff] == ["database.password", "database.user"]
    assert (act.difference, act.risk) == (Difference.ROTATION, Risk.RESTART)


def test_nor_do_they_wait_for_the_acceptance_of_something_else() -> None:
    wait = held(THEIRS)
    assert found(Stall("AcceptanceRequired", "a person must accept that", wait.diff, wait.held))


@pytest.mark.parametrize("reason", ["Frozen", "Suspended", "ObserveOnly", "Unadopted", "Backoff"])
def test_what_people_hold_and_what_fails_holds_them_too(reason: str) -> None:
    assert found(held(THEIRS, reason)) is None


def test_without_a_newer_version_there_is_nothing_to_write() -> None:
    theirs = {**make.rendered("v2"), "x": "theirs"}
    assert found(held(theirs), theirs) is None


def test_a_password_typed_in_by_hand_is_drift() -> None:
    theirs = {**make.rendered("v2"), "database.password": "typed", "x": "theirs"}
    assert found(held(theirs), theirs) is None


def test_credentials_never_go_without_the_host_of_their_version() -> None:
    theirs = {**THEIRS, "database.hostname": "127.0.0.9"}
    assert found(held(theirs), theirs) is None


def test_only_a_write_of_config_has_credentials_in_it() -> None:
    wait = held(THEIRS)
    assert wait.held is not None
    assert found(replace(wait, held=replace(wait.held, actions=(Resume(make.NAME),)))) is None
    assert found(replace(wait, held=None)) is None
