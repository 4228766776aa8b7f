from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from controller.core.action import Remember, Restart, Stop
from controller.core.ailment import Ailment, AilmentSource
from controller.core.decision import Act, Converged, Decision, Stall, Wait
from controller.core.failure import Failure, Treatment, known
from controller.core.model import ObservedTask
from controller.core.restart import Case, decide_restart
from controller.core.restart_memory import LOST_COUNT, keep_tries
from controller.core.tries import (
    MOST,
    WINDOW,
    Tries,
    pause,
    put_tries,
    read_tries,
    restarts_record,
    tried_lately,
    utc,
)
from tests import make

NOW = make.NOW
HOUR = 3600.0


def row(identity: str) -> Failure:
    found = known(identity)
    assert found is not None
    return found


def ailment(identity: str, source: AilmentSource = AilmentSource.TRACE, **changes: Any) -> Ailment:
    found = row(identity)
    values: dict[str, Any] = {
        "failure": found.id,
        "system": found.system,
        "kind": found.kind,
        "treatment": found.treatment,
        "restart_helps": found.treatment is Treatment.RESTART,
        "cause": found.says,
        "since": NOW - 30,
        "last": NOW,
        "count": 1,
        "source": source,
        "on_start_path": True,
    }
    return Ailment(**{**values, **changes})


def case(identity: str | None, *states: str, **changes: Any) -> Case:
    """Make the case of a connector that Connect says is RUNNING, with tasks in these states."""
    tasks = tuple(ObservedTask(n, state, "w") for n, state in enumerate(states))
    source = AilmentSource.TRACE if "FAILED" in states else AilmentSource.EVIDENCE
    values: dict[str, Any] = {
        "name": make.NAME,
        "generation": "c1",
        "observed": replace(make.observed_connector(), tasks=tasks),
        "now": NOW,
        "ailment": None if identity is None else ailment(identity, source),
        "tries": Tries(since=NOW - 100, generation="c1"),
        "stop": Act((Stop(make.NAME),), "StopLogins", "refused"),
    }
    return Case(**{**values, **changes})


def tried(count: int, ago: float) -> Tries:
    return Tries("SessionEnded", NOW - HOUR, count, (NOW - ago,), generation="c1")


def way(decision: Decision) -> object:
    assert isinstance(decision, Act), decision
    return decision.actions[-1]


def test_pauses_grow_up_to_an_hour() -> None:
    minutes = [pause(count) / 60 for count in range(10)]
    assert minutes == [0, 2, 6, 12, 20, 30, 42, 56, 60, 60]


@pytest.mark.parametrize("identity", ["SessionEnded", "ConnectionLost", "KafkaTimeout"])
def test_what_passes_by_itself_and_has_failed_is_restarted(identity: str) -> None:
    assert way(decide_restart(case(identity, "FAILED"))) == Restart(make.NAME, only_failed=True)


@pytest.mark.parametrize("identity", ["SessionEnded", "DatabaseUnreachable", "TopicMissing"])
def test_what_still_tries_by_itself_is_left_alone(identity: str) -> None:
    assert isinstance(decide_restart(case(identity, "RUNNING")), Converged)


@pytest.mark.parametrize(("first", "newest", "in_snapshot", "restarted"), [
    (30, 0, False, False), (400, 0, False, True), (HOUR, HOUR - 60, False, True),
    (30, 0, True, False), (400, 0, True, True), (HOUR, HOUR - 60, True, False),
])  # fmt: skip
@pytest.mark.parametrize("identity", ["SnapshotFailed", "FlushFailed", "StoppedLate"])
def test_what_may_be_over_is_restarted_once_it_lasts_and_in_a_snapshot_while_it_is_said(
    identity: str, first: float, newest: float, *, in_snapshot: bool, restarted: bool
) -> None:
    """A restart throws away the snapshot that a task which tries again has begun meanwhile."""
    told = ailment(identity, AilmentSource.EVIDENCE, since=NOW - first, last=NOW - newest)
    found = decide_restart(case(None, "RUNNING", ailment=told, in_snapshot=in_snapshot))
    assert isinstance(found, Act) is (restarted and not told.noise)
    assert isinstance(found, Act) or told.noise or "may be over" in found.message


def test_a_loop_that_must_read_its_secrets_again_is_reached_behind_running() -> None:
    loop = case("SecretUnresolved", "RUNNING")
    assert way(decide_restart(loop)) == Restart(make.NAME, only_failed=False)


def test_that_is_done_once() -> None:
    again = case("SecretUnresolved", "RUNNING", tries=tried(1, HOUR))
    assert decide_restart(again).reason == "RestartsSpent"


def test_a_connector_without_tasks_is_stopped_to_be_resumed() -> None:
    assert way(decide_restart(case(None))) == Stop(make.NAME)


def test_only_after_the_time_that_a_rebalance_takes() -> None:
    fresh = case(None, tries=Tries(since=NOW - 30, generation="c1"))
    assert decide_restart(fresh).reason == "JustFailed"


def test_one_that_was_well_in_between_gets_that_time_anew() -> None:
    healed = replace(tried(1, HOUR), well_since=NOW - 60)
    again = case(None, tries=healed)
    assert decide_restart(again).reason == "JustFailed"
    (told,) = keep_tries(again, lost=False)
    assert isinstance(told, Remember)
    assert (told.value["since"], told.value["count"], told.value["wellSince"]) == (NOW, 1, None)


def test_one_that_was_well_under_the_new_generation_is_not_revived_when_that_fails() -> None:
    healed = replace(tried(1, HOUR), generation="c0", well_since=NOW - 60)
    failed = case("TransformFailed", "FAILED", tries=healed)
    assert isinstance(decide_restart(failed), Stall)
    (told,) = keep_tries(failed, lost=False)
    assert isinstance(told, Remember)
    assert told.value["generation"] == "c1"


@pytest.mark.parametrize(
    "identity", ["SlotMissing", "HistoryLost", "OffsetScnGone", "RecordTooLarge", "PluginMissing"]
)
def test_what_no_restart_helps_waits_for_a_person_with_the_remedy(identity: str) -> None:
    decision = decide_restart(case(identity, "FAILED"))
    assert isinstance(decision, Stall)
    assert decision.reason == identity
    assert row(identity).remedy in decision.message


def test_an_unknown_failure_waits_for_a_person() -> None:
    assert isinstance(decide_restart(case(None, "FAILED")), Stall)


@pytest.mark.parametrize("states", [("RUNNING",), ("FAILED",), ()])
def test_a_refused_login_is_stopped_whatever_connect_shows(states: tuple[str, ...]) -> None:
    assert decide_restart(case("LoginRefused", *states)).reason == "StopLogins"


def test_but_not_for_a_line_that_is_not_of_its_start() -> None:
    elsewhere = ailment("LoginRefused", AilmentSource.EVIDENCE, on_start_path=False)
    assert isinstance(decide_restart(case(None, "RUNNING", ailment=elsewhere)), Converged)


@pytest.mark.parametrize("state", ["PAUSED", "UNASSIGNED", "RESTARTING"])
def test_what_moves_is_not_ill(state: str) -> None:
    assert isinstance(decide_restart(case(None, state)), Converged)


def test_the_next_try_waits_for_its_pause() -> None:
    decision = decide_restart(case("SessionEnded", "FAILED", tries=tried(2, 100)))
    assert isinstance(decision, Wait)
    assert (decision.reason, decision.requeue_after) == ("RestartLater", pause(2) - 100)
    assert utc(NOW - 100 + pause(2)) in decision.message


def test_a_person_may_cut_it_short() -> None:
    asked = case("SessionEnded", "FAILED", tries=tried(2, 100), released=True)
    assert way(decide_restart(asked)) == Restart(make.NAME, only_failed=True)


def test_the_cluster_has_one_budget() -> None:
    lately = tuple(NOW - ago for ago in (200.0, 100.0, 50.0))
    decision = decide_restart(case("SessionEnded", "FAILED", lately=lately))
    assert isinstance(decision, Wait)
    assert (decision.reason, decision.requeue_after) == ("RestartBudget", WINDOW - 200)


def test_nothing_is_restarted_while_what_it_needs_is_away() -> None:
    away = case("SessionEnded", "FAILED", unreachable=("SourceUnreachable", "nobody answers"))
    assert decide_restart(away).reason == "SourceUnreachable"


def test_a_new_generation_revives_what_was_held() -> None:
    committed = case("RecordTooLarge", "FAILED", generation="c2")
    assert way(decide_restart(committed)) == Restart(make.NAME, only_failed=True)


# --- memory ---------------------------------------------------------------------------------


def test_what_is_remembered_reads_back() -> None:
    tries = Tries("SessionEnded", NOW - 90, 2, (NOW - 60, NOW - 5), NOW - 1, "pending", "c1")
    kept = put_tries(make.NAME, tries, NOW)
    assert read_tries(make.records({kept.key: kept.value}), make.NAME, NOW) == tries


@pytest.mark.parametrize(
    "value", [{}, {"times": "x", "count": "y"}, {"times": [None], "count": -3}]
)
def test_a_damaged_record_reads_as_something(value: dict[str, Any]) -> None:
    assert read_tries(make.records({restarts_record("x"): value}), "x", NOW) is not None


def test_the_budget_is_counted_over_all_connectors() -> None:
    kept = [put_tries(n, Tries(times=(NOW - 10, NOW - WINDOW - 1)), NOW) for n in ("a", "b")]
    records = make.records({one.key: one.value for one in kept})
    assert tried_lately(records, NOW) == (NOW - 10, NOW - 10)
    assert len(tried_lately(records, NOW)) < MOST


def test_a_lost_memory_counts_as_the_longest_row_of_tries() -> None:
    (kept,) = keep_tries(case("SessionEnded", "FAILED", tries=None), lost=True)
    tries = read_tries(make.records({kept.key: getattr(kept, "value", {})}), make.NAME, NOW)
    assert tries is not None
    assert (tries.count, tries.next_at) == (LOST_COUNT, NOW + HOUR)


def test_a_restart_is_judged_by_what_is_seen_after_it() -> None:
    pending = replace(tried(1, 60), outcome="pending")
    for states, outcome in (("FAILED",), "unhealed"), (("RUNNING",), "healed"):
        identity = "SessionEnded" if states == ("FAILED",) else None
        (kept,) = keep_tries(case(identity, *states, tries=pending), lost=False)
        assert getattr(kept, "value", {})["outcome"] == outcome


def test_a_record_of_the_future_is_brought_back_so_that_its_pause_ends() -> None:
    kept = put_tries(make.NAME, Tries(since=NOW, count=1, times=(NOW,)), NOW)
    before = NOW - 24 * HOUR  # the clock was put back
    tries = read_tries(make.records({kept.key: kept.value}), make.NAME, before)
    (corrected,) = keep_tries(case("SessionEnded", "FAILED", tries=tries, now=before), lost=False)
    later = make.records({corrected.key: getattr(corrected, "value", {})})
    again = read_tries(later, make.NAME, before + 300)
    assert again is not None
    assert again.next_at == before + pause(1)
