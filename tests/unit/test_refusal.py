from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from controller.core.action import Forget, ProbeLogin, Remember, ValidateConfig
from controller.core.decision import Act, Decision, Stall, Wait
from controller.core.diff import hash_config
from controller.core.model import FieldError, Login, ProbeMode, ProbeOutcome, Record
from controller.core.probe import ProbeSpent, Proved, probe_record
from controller.core.redact import Redacted
from controller.core.refusal import (
    Refusal,
    decide_refused,
    forget_refusal,
    login_digest,
    probed,
    read_refusal,
    refusal_record,
    refused,
    validated,
)
from controller.core.resolve import LoginNeed
from tests import make

NOW = make.NOW
CONFIG = make.rendered()
NEED = LoginNeed(
    make.version().key,
    Login("oracle", "127.0.0.1", 1521, "ORCL", Redacted("debezium"), Redacted("secret-word")),
    Proved(),
)
FRESH = Refusal(hash_config(CONFIG), NOW)
RECORD = refusal_record(make.NAME)
CONNECTION = (FieldError("database.hostname", "Unable to connect"),)
FIELD = (FieldError("snapshot.mode", "no such mode"),)


def decided(
    refusal: Refusal, login: LoginNeed | None = NEED, now: float = NOW, **changes: Any
) -> Decision | None:
    values: dict[str, Any] = {"records": {}, "mode": ProbeMode.REQUIRED, **changes}
    return decide_refused(make.connector_manifest(), CONFIG, refusal, login, now=now, **values)


def act(decision: Decision | None) -> Act:
    assert isinstance(decision, Act)
    return decision


def test_first_the_login_is_tried_once_and_counted_before_it_is_tried() -> None:
    stamp, probe = act(decided(FRESH)).actions
    assert isinstance(stamp, Remember)
    assert stamp.key == probe_record(NEED.version, NEED.login.address)
    assert (stamp.value["attempts"], stamp.value["failures"]) == (1, 1)
    assert probe == ProbeLogin(NEED.version, NEED.login, RECORD)


@pytest.mark.parametrize("outcome", [ProbeOutcome.ACCEPTED, ProbeOutcome.DOUBTFUL])
def test_then_the_worker_is_asked_once_which_field(outcome: ProbeOutcome) -> None:
    (ask,) = act(decided(replace(FRESH, probe=outcome))).actions
    assert ask == ValidateConfig(make.NAME, make.ORACLE, CONFIG, RECORD)


@pytest.mark.parametrize(("login", "mode"), [(None, ProbeMode.REQUIRED), (NEED, ProbeMode.OFF)])
def test_without_a_login_to_try_the_worker_is_asked_at_once(
    login: LoginNeed | None, mode: ProbeMode
) -> None:
    (ask,) = act(decided(FRESH, login, mode=mode)).actions
    assert isinstance(ask, ValidateConfig)


def test_a_third_login_that_may_fail_is_never_tried() -> None:
    stall = decided(FRESH, replace(NEED, state=ProbeSpent("twice in doubt")))
    assert isinstance(stall, Stall)
    assert stall.reason == "LoginDoubtful"


def test_a_source_that_is_away_is_waited_for_and_then_the_config_is_sent_again() -> None:
    away = replace(FRESH, probe=ProbeOutcome.UNREACHABLE, probe_message="refused at 127.0.0.1")
    assert decided(away) == Wait("SourceUnreachable", "refused at 127.0.0.1", 5.0)
    assert decided(away, now=NOW + 5) is None
    assert decided(replace(away, times=3)) == Wait(
        "SourceUnreachable", "refused at 127.0.0.1", 20.0
    )


def test_a_field_that_is_wrong_is_told_for_an_hour() -> None:
    told = replace(FRESH, probe=ProbeOutcome.ACCEPTED, errors=FIELD)
    assert decided(told) == Stall("ConfigRejected", "the worker says: snapshot.mode: no such mode")
    assert isinstance(decided(told, now=NOW + 3599), Stall)
    assert decided(told, now=NOW + 3600) is None


def test_connection_errors_behind_a_login_in_doubt_stop_every_login_until_a_person_speaks() -> None:
    told = replace(FRESH, probe=ProbeOutcome.DOUBTFUL, errors=CONNECTION)
    stall = decided(told, now=NOW + 1e9)
    assert isinstance(stall, Stall)
    assert stall.reason == "LoginDoubtful"
    assert "wmsctl probe" in stall.message


@pytest.mark.parametrize(
    ("probe", "errors"),
    [
        (ProbeOutcome.ACCEPTED, CONNECTION),
        (ProbeOutcome.DOUBTFUL, CONNECTION + FIELD),
    ],
)
def test_anything_else_is_a_rejection(probe: ProbeOutcome, errors: tuple[FieldError, ...]) -> None:
    stall = decided(replace(FRESH, probe=probe, errors=errors))
    assert isinstance(stall, Stall)
    assert stall.reason == "ConfigRejected"


def test_a_config_without_fault_is_sent_again_a_little_later() -> None:
    told = replace(FRESH, probe=ProbeOutcome.ACCEPTED, errors=())
    assert decided(told) == Wait("ConfigRefused", "refused once, valid when asked", 5.0)
    assert decided(told, now=NOW + 5) is None


def test_what_was_found_out_is_remembered_about_this_very_config() -> None:
    value = refused({}, hash_config(CONFIG), NOW)
    value = validated(probed(value, ProbeOutcome.ACCEPTED, "m"), FIELD)
    records = {RECORD: Record(value, 1)}
    assert read_refusal(records, make.NAME, CONFIG) == Refusal(
        hash_config(CONFIG), NOW, 1, ProbeOutcome.ACCEPTED, "m", FIELD
    )
    assert read_refusal(records, make.NAME, make.rendered("v2")) is None
    assert read_refusal({}, make.NAME, CONFIG) is None


def test_the_same_config_refused_again_is_counted_and_asked_about_anew() -> None:
    digest = hash_config(CONFIG)
    value = probed(refused({}, digest, NOW), ProbeOutcome.UNREACHABLE, "m")
    assert refused(value, digest, NOW + 5) == {
        "config": digest,
        "login": "",
        "at": NOW + 5,
        "times": 2,
    }
    assert refused(value, "another", NOW + 5)["times"] == 1


def test_only_what_is_remembered_is_forgotten() -> None:
    assert forget_refusal({}, make.NAME) == ()
    assert forget_refusal({RECORD: Record({}, 1)}, make.NAME) == (Forget(RECORD),)


@pytest.mark.parametrize(
    ("errors", "outcome", "login", "kept"),
    [
        (CONNECTION, ProbeOutcome.DOUBTFUL, CONFIG, True),
        (CONNECTION, ProbeOutcome.DOUBTFUL, make.rendered("v2"), False),
        (CONNECTION, ProbeOutcome.ACCEPTED, CONFIG, False),
        (FIELD, ProbeOutcome.DOUBTFUL, CONFIG, False),
    ],
)
def test_only_a_login_in_doubt_outlives_a_new_config_with_the_same_login(
    errors: tuple[FieldError, ...],
    outcome: ProbeOutcome,
    login: dict[str, str],
    *,
    kept: bool,
) -> None:
    value = refused({}, hash_config(CONFIG), NOW, login=login_digest(login))
    value = validated(probed(value, outcome, "m"), errors)
    found = read_refusal({RECORD: Record(value, 1)}, make.NAME, {**CONFIG, "poll": "1"})
    assert (found is not None) is kept
