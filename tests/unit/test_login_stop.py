"""What is done about a login that the worker was refused, as tables of rules."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import pytest

from controller.core.action import Forget, Remember, Stop
from controller.core.connector_memory import release_record, stopped_record
from controller.core.decision import Act, Difference, Risk, Stall, Wait
from controller.core.failure import Failure, known
from controller.core.login_stop import (
    LoginStop,
    concerns,
    hold_resume,
    probe_again,
    read_stop,
    stop_logins,
)
from controller.core.model import (
    ABSENT,
    Json,
    Login,
    ObservedConnector,
    ObservedTask,
    ProbeMode,
    ProbeOutcome,
    Record,
    Unknown,
    VersionKey,
)
from controller.core.probe import (
    FAILED_LOGINS,
    ProbeDue,
    ProbeLater,
    ProbeSpent,
    ProbeState,
    Proved,
    Refused,
    bad_record,
    probe_record,
    read_probe,
)
from controller.core.redact import Redacted
from controller.core.refusal import refusal_record
from controller.core.resolve import LoginNeed
from tests import make

NAME = make.NAME
NOW = make.NOW
KEY = make.version().key
ANOTHER = VersionKey(KEY.path, "another-version")
ADDRESS = "oracle://127.0.0.1:1521/ORCL"
TASK = ObservedTask(0, "RUNNING", "w")


def refused() -> Failure:
    found = known("LoginRefused")
    assert found is not None
    return found


def need(
    state: ProbeState | None = None, version: VersionKey = KEY, database: str = "ORCL"
) -> LoginNeed:
    user, password = Redacted("debezium"), Redacted("a-password")
    login = Login("oracle", "127.0.0.1", 1521, database, user, password)
    return LoginNeed(version, login, state or ProbeDue(1))


def stopped(**changes: str) -> LoginStop:
    made = LoginStop(str(KEY), ADDRESS, "c1", "LoginRefused", NOW - 60)
    return replace(made, **changes)  # type: ignore[arg-type]


def stop(used: LoginNeed | None, tried: int = 1, **records: Record) -> Act:
    return stop_logins(NAME, "c1", refused(), used, records, tried=tried, now=NOW)


def remembered(act: Act) -> dict[str, Record]:
    return {a.key: Record(a.value, 1) for a in act.actions if isinstance(a, Remember)}


# --- stopping it --------------------------------------------------------------------------------


@pytest.mark.parametrize("used", [None, need()])
def test_all_is_remembered_before_the_one_call_that_stops_it(used: LoginNeed | None) -> None:
    *memory, last = stop(used).actions
    assert last == Stop(NAME)
    assert memory
    assert all(isinstance(action, Remember) for action in memory)


def test_the_stop_may_be_done_at_once_and_says_what_it_costs() -> None:
    act = stop(need())
    assert (act.difference, act.risk) == (Difference.FAILURE, Risk.RESTART)
    assert "LoginRefused" in act.message
    assert act.consequence == "nothing flows until a login works"


@pytest.mark.parametrize(("used", "version", "address"), [
    (need(), str(KEY), ADDRESS),
    (need(version=ANOTHER), str(ANOTHER), ADDRESS),
    (None, "", ""),
])  # fmt: skip
def test_what_is_remembered_of_a_stop_is_read_back(
    used: LoginNeed | None, version: str, address: str
) -> None:
    assert read_stop(remembered(stop(used)), NAME) == LoginStop(
        version, address, "c1", "LoginRefused", NOW
    )


@pytest.mark.parametrize("value", [
    None,
    {},
    {"by": "controller", "at": NOW},
    {"by": "somebody"},
])  # fmt: skip
def test_another_reason_for_a_stop_is_none_of_a_login(value: Mapping[str, Json] | None) -> None:
    records = {} if value is None else {stopped_record(NAME): Record(value, 1)}
    assert read_stop(records, NAME) is None


def test_a_stop_that_is_remembered_badly_is_still_one() -> None:
    records = {stopped_record(NAME): Record({"by": "login", "at": "yesterday"}, 1)}
    assert read_stop(records, NAME) == LoginStop("", "", "", "", 0.0)


@pytest.mark.parametrize(("tried", "failures", "later"), [
    (1, 0, ProbeDue(1)),
    (1, 1, ProbeSpent),
    (2, 0, ProbeSpent),
    (9, 0, ProbeSpent),
])  # fmt: skip
def test_the_workers_tries_are_counted_with_our_own(
    tried: int, failures: int, later: object
) -> None:
    stamp = probe_record(KEY, ADDRESS)
    before = {stamp: Record({"attempts": 0, "failures": failures, "outcome": None}, 1)}
    after = remembered(stop(need(), tried, **before))
    found = read_probe(after, KEY, ADDRESS, ProbeMode.REQUIRED, NOW)
    assert found == later or type(found) is later
    assert after[stamp].value["failures"] == failures + tried


def test_the_workers_word_alone_proves_no_version_bad() -> None:
    after = remembered(stop(need(), FAILED_LOGINS))
    assert bad_record(KEY, ADDRESS) not in after
    assert not isinstance(read_probe(after, KEY, ADDRESS, ProbeMode.REQUIRED, NOW), Refused)


def test_a_login_in_no_secret_is_counted_nowhere() -> None:
    assert list(remembered(stop(None))) == [stopped_record(NAME)]


def test_no_password_is_remembered_or_said() -> None:
    assert "a-password" not in str(stop(need()))


# --- trying it again ----------------------------------------------------------------------------


def observed(state: str, *tasks: ObservedTask) -> ObservedConnector:
    return replace(make.observed_connector(state=state), tasks=tasks)


STANDS = observed("STOPPED")
RUNS = observed("RUNNING", TASK)
ENDS = observed("STOPPED", TASK)
PAUSED = observed("PAUSED", TASK)


@pytest.mark.parametrize(("there", "reason"), [
    (STANDS, None),
    (RUNS, "Stopping"),
    (PAUSED, "Stopping"),
    (ENDS, "Stopping"),
    (ABSENT, "Stopping"),
    (Unknown(make.AWAY), "Stopping"),
])  # fmt: skip
def test_no_login_is_tried_beside_a_task_that_may_still_try_one(
    there: object, reason: str | None
) -> None:
    found = probe_again(NAME, need(ProbeDue(1)), there, {})
    assert (found.reason if found else None) == reason
    assert found is None or isinstance(found, Wait)


@pytest.mark.parametrize("state", [
    Proved(),
    Refused("ORA-01017"),
    ProbeSpent("two failed"),
    ProbeLater(NOW + 9, ProbeOutcome.UNREACHABLE, "no listener"),
])  # fmt: skip
@pytest.mark.parametrize("there", [STANDS, RUNS])
def test_what_is_not_due_is_left_to_the_usual_rules(state: ProbeState, there: object) -> None:
    assert probe_again(NAME, need(state), there, {}) is None


def released(*more: str) -> dict[str, Record]:
    return {key: Record({}, 1) for key in (release_record(NAME), *more)}


@pytest.mark.parametrize("state", [Refused("no"), ProbeSpent("two"), ProbeDue(1), Proved()])
def test_a_release_allows_exactly_one_more_login(state: ProbeState) -> None:
    records = released(bad_record(KEY, ADDRESS), refusal_record(NAME))
    act = probe_again(NAME, need(state), RUNS, records)
    assert isinstance(act, Act)
    after = {**records, **remembered(act)}
    for action in act.actions:
        if isinstance(action, Forget):
            del after[action.key]
    assert read_probe(after, KEY, ADDRESS, ProbeMode.REQUIRED, NOW) == ProbeDue(1)
    assert after[probe_record(KEY, ADDRESS)].value["failures"] == FAILED_LOGINS - 1
    assert release_record(NAME) not in after, "a word is used once"


def test_a_release_forgets_only_what_is_there() -> None:
    act = probe_again(NAME, need(), STANDS, released())
    assert isinstance(act, Act)
    assert [a.key for a in act.actions if isinstance(a, Forget)] == [release_record(NAME)]


def test_a_release_of_another_connector_allows_nothing() -> None:
    records = {release_record("another"): Record({}, 1)}
    assert probe_again(NAME, need(ProbeSpent("two")), STANDS, records) is None


# --- resuming it --------------------------------------------------------------------------------


@pytest.mark.parametrize(("used", "same"), [
    (need(), True),
    (need(Proved()), True),
    (need(version=ANOTHER), False),
    (need(database="OTHER"), False),
])  # fmt: skip
def test_a_stop_concerns_its_own_version_and_address_only(used: LoginNeed, same: bool) -> None:
    assert concerns(stopped(), used) is same


@pytest.mark.parametrize(("state", "kind", "reason"), [
    (Proved(), None, None),
    (ProbeDue(1), Wait, "LoginUnproved"),
    (ProbeLater(NOW + 9, ProbeOutcome.UNREACHABLE, "no listener"), Wait, "SourceUnreachable"),
    (ProbeSpent("two failed"), Stall, "LoginDoubtful"),
    (Refused("ORA-01017"), Stall, "LoginRefused"),
])  # fmt: skip
@pytest.mark.parametrize("mode", [ProbeMode.REQUIRED, ProbeMode.ADVISORY])
@pytest.mark.parametrize("word", [True, False])
def test_only_a_login_of_ours_that_worked_resumes_it(
    state: ProbeState,
    kind: type[Wait | Stall] | None,
    reason: str | None,
    mode: ProbeMode,
    word: bool,
) -> None:
    found = hold_resume(stopped(), need(state), "c1", mode, released=word)
    assert (type(found) if found else None, found.reason if found else None) == (kind, reason)


def test_another_login_is_proved_elsewhere_and_does_not_hold() -> None:
    used = need(ProbeDue(1), version=ANOTHER)
    assert hold_resume(stopped(), used, "c1", ProbeMode.REQUIRED, released=False) is None


@pytest.mark.parametrize(("generation", "word", "held"), [
    ("c1", False, True),
    ("c1", True, False),
    ("c2", False, False),
])  # fmt: skip
def test_a_login_in_no_secret_waits_for_a_person_or_another_manifest(
    generation: str, word: bool, held: bool
) -> None:
    stop = stopped(version="", address="")
    found = hold_resume(stop, None, generation, ProbeMode.REQUIRED, released=word)
    assert isinstance(found, Stall) is held
    assert found is None or found.reason == "LoginRefused"


@pytest.mark.parametrize(("word", "held"), [(False, True), (True, False)])
def test_where_no_login_is_ever_probed_a_person_decides(word: bool, held: bool) -> None:
    found = hold_resume(stopped(), need(Proved()), "c1", ProbeMode.OFF, released=word)
    assert isinstance(found, Stall) is held


@pytest.mark.parametrize(("stop", "used", "mode"), [
    (stopped(version=""), None, ProbeMode.REQUIRED),
    (stopped(), need(), ProbeMode.OFF),
    (stopped(), need(ProbeSpent("two failed")), ProbeMode.REQUIRED),
    (stopped(), need(Refused("ORA-01017")), ProbeMode.REQUIRED),
])  # fmt: skip
def test_whoever_is_held_is_told_both_ways_out(
    stop: LoginStop, used: LoginNeed | None, mode: ProbeMode
) -> None:
    found = hold_resume(stop, used, "c1", mode, released=False)
    assert found is not None
    assert "a new version of the secret" in found.message
    assert "wmsctl release" in found.message
