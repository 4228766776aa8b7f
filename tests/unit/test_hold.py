from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from controller.core.action import (
    AlterTopic,
    Forget,
    PutConfig,
    Remember,
    Restart,
    Resume,
    Stop,
)
from controller.core.decision import Act, Converged, Decision, Difference, Stall, Wait
from controller.core.diff import Change
from controller.core.hold import (
    FREEZE_RECORD,
    TEARING_DOWN_RECORD,
    Standing,
    draw,
    hold,
    keep_drift,
    suspend_record,
)
from controller.core.model import Json, Manage, connector_key, topic_key
from controller.core.pace import HOUR, drift_record, idle_record, pace_record
from controller.core.snapshot_phase import Phase
from controller.core.track import Track
from tests import make

NOW = make.NOW
KEY = topic_key("wms.APP.ORDERS")
ALTER = Act(
    (AlterTopic(KEY.name, {"retention.ms": "2"}),),
    "Update",
    "retention.ms differs",
    (Change("retention.ms", "1", "2"),),
)
PUT = Act((PutConfig("oracle", {"a": "2"}),), "Update", "a differs", (Change("a", "1", "2"),))
REPAIR = replace(PUT, reason="Repair", difference=Difference.DRIFT)
RESUME = Act((Resume("oracle"),), "Update", "oracle is STOPPED and declared running")
UNKNOWN = Wait("Unreachable", "nobody answers")
BY_HAND = Stall("StoppedByHand", "somebody stopped it")
FLAPPING = Track(writes=3, flaps=1, flapping_until=NOW + 60)
STALLED = Track(stalled=True, reason="Wrong", message="no such field", not_before=NOW + 60)
BACKOFF = Track(attempts=2, not_before=NOW + 60, reason="Busy", message="too busy")


def standing(**changes: Any) -> Standing:
    values: dict[str, Any] = {"key": KEY, "track": Track(), "now": NOW, "records": {}}
    return Standing(**{**values, **changes})


def under(*records: str) -> dict[str, Any]:
    return {"records": make.records({name: {"reason": "exercise"} for name in records})}


def test_nothing_holds_back_what_may_be_done() -> None:
    assert hold(ALTER, standing()) is ALTER


# the rows in the order of their power: a row that holds hides all below it
ROWS: list[tuple[str, Callable[[Standing], Standing]]] = [
    ("TearingDown", lambda s: replace(s, records={**s.records, **_one(TEARING_DOWN_RECORD)})),
    ("Frozen", lambda s: replace(s, records={**s.records, **_one(FREEZE_RECORD)})),
    ("ObserveOnly", lambda s: replace(s, observe_only="the store cannot be read")),
    ("WrongCluster", lambda s: replace(s, wrong_cluster="that is another cluster")),
    ("Suspended", lambda s: replace(s, records={**s.records, **_one(suspend_record(KEY))})),
    ("Wrong", lambda s: replace(s, track=_merge(s.track, STALLED))),
    ("SuspensionEnded", lambda s: replace(s, records={**s.records, **_idle("Suspended")})),
    ("Contended", lambda s: replace(s, per_hour=2, records={**s.records, **_paced(2)})),
    ("Flapping", lambda s: replace(s, track=_merge(s.track, FLAPPING))),
    ("SnapshotRunning", lambda s: replace(s, snapshot=Phase.RUNNING)),
    ("RepairDelayed", lambda s: replace(s, repair_delay=30.0)),
    ("Busy", lambda s: replace(s, track=_merge(s.track, BACKOFF))),
]


def _idle(reason: str, since: float = NOW - 9.0) -> dict[str, Any]:
    return make.records({idle_record(reason, KEY): {"since": since}})


def _paced(times: int, generation: str = "") -> dict[str, Any]:
    times_of: list[Json] = [NOW - number for number in range(times)]
    value: dict[str, Json] = {"generation": generation, "repairs": times_of, "bounces": times_of}
    return make.records({pace_record(KEY): value})


def _one(name: str) -> dict[str, Any]:
    return make.records({name: {"reason": "exercise"}})


def _merge(below: Track, above: Track) -> Track:
    """Lay one track over another: what it says itself wins."""
    own = {
        n: getattr(above, n) for n in Track.__slots__ if getattr(above, n) != getattr(Track(), n)
    }
    return replace(below, **own)


@pytest.mark.parametrize("first", range(len(ROWS)), ids=[name for name, _ in ROWS])
def test_the_first_row_that_holds_wins(first: int) -> None:
    """All rows from this one down hold; only this one is told."""
    stands = standing()
    for _, row in reversed(ROWS[first:]):
        stands = row(stands)
    held = hold(REPAIR, stands)
    assert isinstance(held, Wait | Stall)
    assert held.reason == ROWS[first][0]


@pytest.mark.parametrize(("name", "row"), ROWS, ids=[name for name, _ in ROWS])
def test_what_is_held_back_is_still_told(name: str, row: Callable[[Standing], Standing]) -> None:
    held = hold(REPAIR, row(standing()))
    assert isinstance(held, Wait | Stall), name
    assert held.diff == REPAIR.diff
    assert held.held == REPAIR


@pytest.mark.parametrize(("name", "row"), ROWS, ids=[name for name, _ in ROWS])
def test_what_is_as_declared_is_never_held(name: str, row: Callable[[Standing], Standing]) -> None:
    assert hold(Converged(), row(standing())) == Converged(), name


@pytest.mark.parametrize("decision", [UNKNOWN, BY_HAND])
@pytest.mark.parametrize("track", [STALLED, FLAPPING, BACKOFF])
def test_a_person_s_stop_and_the_unknown_outrank_stall_flapping_and_backoff(
    decision: Decision, track: Track
) -> None:
    assert hold(decision, standing(track=track)) is decision


@pytest.mark.parametrize("decision", [UNKNOWN, BY_HAND])
@pytest.mark.parametrize(
    ("stands", "reason"),
    [
        (under(TEARING_DOWN_RECORD), "TearingDown"),
        (under(FREEZE_RECORD), "Frozen"),
        ({"observe_only": "no store"}, "ObserveOnly"),
        (under(suspend_record(KEY)), "Suspended"),
    ],
)
def test_a_teardown_freeze_or_suspension_outranks_a_person_s_stop_and_the_unknown(
    decision: Decision, stands: dict[str, Any], reason: str
) -> None:
    held = hold(decision, standing(**stands))
    assert isinstance(held, Wait)
    assert held.reason == reason


def test_a_manifest_may_observe_only_or_suspend_by_itself() -> None:
    observe = hold(ALTER, standing(manage=Manage.OBSERVE))
    suspend = hold(ALTER, standing(suspended_in_manifest=True))
    assert isinstance(observe, Wait)
    assert isinstance(suspend, Wait)
    assert (observe.reason, suspend.reason) == ("ObserveOnly", "Suspended")


def test_a_suspension_is_of_one_resource() -> None:
    other = under(suspend_record(topic_key("wms.APP.OTHER")))
    assert hold(ALTER, standing(**other)) is ALTER


def test_a_hold_tells_who_until_when_and_why() -> None:
    value = {"until": "12:00", "who": "ada", "reason": "a DBA works on it"}
    held = hold(ALTER, standing(records=make.records({suspend_record(KEY): value})))
    assert isinstance(held, Wait)
    assert held.message == "suspended until 12:00 by ada: a DBA works on it"


def test_a_stall_ends_after_its_hour() -> None:
    assert isinstance(hold(ALTER, standing(track=STALLED)), Stall)
    assert hold(ALTER, standing(track=STALLED, now=NOW + 60)) is ALTER


def test_flapping_and_backoff_end_by_themselves_and_say_when() -> None:
    for track in (FLAPPING, BACKOFF):
        held = hold(ALTER, standing(track=track, now=NOW + 20))
        assert isinstance(held, Wait)
        assert held.requeue_after == 40
        assert hold(ALTER, standing(track=track, now=NOW + 60)) is ALTER


def test_a_rotation_is_never_flapping_but_a_failing_one_backs_off() -> None:
    rotation = replace(PUT, difference=Difference.ROTATION)
    assert hold(rotation, standing(track=FLAPPING)) is rotation
    held = hold(rotation, standing(track=BACKOFF))
    assert isinstance(held, Wait)
    assert held.reason == "Busy"


@pytest.mark.parametrize(
    ("track", "asked_again"),
    [
        (Track(wrote="Resume", writes=1, written_at=NOW), False),
        (Track(wrote="Resume", writes=1, written_at=NOW - 1.9), False),
        (Track(wrote="Resume", writes=1, written_at=NOW - 2.0), True),
        (Track(wrote="Stop", writes=1, written_at=NOW), True),  # declared otherwise since
        (Track(wrote="Resume", writes=1, written_at=NOW + 500.0), True),  # the clock was set back
        (Track(), True),
    ],
)
def test_a_switch_that_settles_is_not_sent_twice(track: Track, asked_again: bool) -> None:
    stands = standing(key=connector_key("oracle"), track=track)
    held = hold(RESUME, stands)
    assert (held is RESUME) is asked_again
    if not asked_again:
        assert isinstance(held, Wait)
        assert held.reason == "Settling"
        assert held.requeue_after is not None
        assert 0 < held.requeue_after < 2


def test_another_switch_than_the_one_that_settles_is_sent_at_once() -> None:
    stop = Act((Stop("oracle"),), "Update", "oracle is declared stopped")
    stands = standing(track=Track(wrote="Resume", writes=1, written_at=NOW))
    assert hold(stop, stands) is stop


def test_a_write_of_config_does_not_settle() -> None:
    track = Track(wrote=PUT.signature, writes=1, written_at=NOW)
    assert hold(PUT, standing(track=track)) is PUT


# --- pace: delay, budget, what a freeze held -------------------------------------------------


def reason(decision: Decision) -> str:
    assert isinstance(decision, Wait), decision
    return decision.reason


@pytest.mark.parametrize(
    "act",
    [
        PUT,
        replace(PUT, difference=Difference.ROTATION),
        replace(PUT, difference=Difference.FAILURE),
        replace(REPAIR, actions=(Remember("stamp/accepted:ab", {}), *REPAIR.actions)),
        replace(REPAIR, diff=(Change("cleanup.policy", "compact", "delete"),)),
    ],
    ids=["new generation", "rotation", "restart", "accepted", "the broker destroys data"],
)
def test_only_repairs_are_delayed(act: Act) -> None:
    stands = standing(repair_delay=30.0, required=frozenset({"cleanup.policy"}))
    assert hold(act, stands) is act


@pytest.mark.parametrize(
    ("since", "left"),
    [(None, 30.0), (NOW - 10, 20.0), (NOW + 999, 30.0), (float("nan"), 30.0), (NOW - 30, None)],
)
def test_the_delay_counts_from_when_drift_was_first_seen(
    since: float | None, left: float | None
) -> None:
    known: dict[str, dict[str, Json]] = {}
    if since is not None:
        known[drift_record(KEY)] = {"since": since, "generation": ""}
    held = hold(REPAIR, standing(repair_delay=30.0, records=make.records(known)))
    assert (held.requeue_after if isinstance(held, Wait) else None) == left


def test_drift_of_an_older_generation_is_another_one() -> None:
    known = make.records({drift_record(KEY): {"since": NOW - 99, "generation": "old"}})
    assert reason(hold(REPAIR, standing(repair_delay=30.0, records=known))) == "RepairDelayed"


def test_drift_is_remembered_once_and_forgotten_when_it_is_gone() -> None:
    fresh = standing(repair_delay=30.0)
    (first,) = keep_drift(hold(REPAIR, fresh), fresh)
    assert first == Remember(drift_record(KEY), {"since": NOW, "generation": ""})
    known = replace(fresh, records=make.records({first.key: {"since": NOW, "generation": ""}}))
    assert list(keep_drift(hold(REPAIR, known), known)) == []
    assert list(keep_drift(Converged(), known)) == [Forget(first.key)]
    assert list(keep_drift(BY_HAND, known)) == [Forget(first.key)]
    assert list(keep_drift(UNKNOWN, known)) == []
    assert list(keep_drift(REPAIR, standing())) == []  # without a delay there is nothing to know


def test_beyond_the_budget_what_each_side_wants_is_shown_without_secrets() -> None:
    diff = (
        Change("poll.interval.ms", "9", "500"),
        Change("database.password", "hunter2-typed-in", "${directory:/run:password}"),
        Change("x", "y", None),
    )
    stands = standing(per_hour=2, records=_paced(2))
    held = hold(replace(REPAIR, diff=diff), stands)
    assert isinstance(held, Wait)
    assert held.reason == "Contended"
    assert "poll.interval.ms is 9 by their hand and is 500 as declared" in held.message
    assert "x is y by their hand and is taken away as declared" in held.message
    assert "hunter2" not in held.message
    assert held.requeue_after == HOUR - 1


@pytest.mark.parametrize(
    ("act", "contended"),
    [
        (REPAIR, True),
        (PUT, True),  # a commit that never takes bounces the task as well
        (replace(PUT, actions=(Restart("oracle", only_failed=True),)), True),
        (RESUME, True),
        (replace(REPAIR, actions=ALTER.actions), True),
        (replace(PUT, difference=Difference.ROTATION), False),
        (ALTER, False),  # a commit to a topic bounces nothing
    ],
)
def test_every_bounce_draws_on_one_budget_and_a_rotation_is_never_refused(
    act: Act, contended: bool
) -> None:
    held = hold(act, standing(per_hour=2, records=_paced(2)))
    assert isinstance(held, Wait) is contended
    assert hold(act, standing(per_hour=3, records=_paced(2))) is act
    assert hold(act, standing(per_hour=None, records=_paced(2))) is act


def test_a_new_generation_clears_the_budget() -> None:
    stands = standing(per_hour=2, track=Track(generation="new"), records=_paced(2, "old"))
    assert hold(PUT, stands) is PUT


def test_what_we_stopped_or_created_is_started_whatever_the_budget() -> None:
    resume = replace(RESUME, difference=Difference.DRIFT)
    stands = standing(per_hour=2, repair_delay=30.0, records=_paced(2))
    assert reason(hold(resume, stands)) == "Contended"
    assert hold(resume, replace(stands, starting=True)) is resume


def test_an_act_is_stamped_before_it_happens() -> None:
    drawn = draw(REPAIR, standing(per_hour=2, records=_paced(1)))
    assert isinstance(drawn, Act)
    first, *rest = drawn.actions
    assert isinstance(first, Remember)
    assert first.key == pace_record(KEY)
    assert first.value["repairs"] == [NOW, NOW]
    assert tuple(rest) == REPAIR.actions
    assert draw(REPAIR, standing()) is REPAIR  # without a limit nothing is counted


@pytest.mark.parametrize("reason_before", ["Suspended", "Frozen"])
def test_what_a_person_held_is_shown_for_one_interval_before_it_is_written(
    reason_before: str,
) -> None:
    key = None if reason_before == "Frozen" else KEY
    before = make.records({idle_record(reason_before, key): {"since": NOW - 500}})
    for act in (REPAIR, PUT):
        held = hold(act, standing(interval=15.0, records=before))
        assert isinstance(held, Wait)
        assert (held.reason, held.requeue_after) == ("SuspensionEnded", 15.0)
        assert held.diff == act.diff
    shown = make.records({idle_record("SuspensionEnded", KEY): {"since": NOW - 10}})
    assert reason(hold(PUT, standing(interval=15.0, records=shown))) == "SuspensionEnded"
    assert hold(PUT, standing(interval=10.0, records=shown)) is PUT


@pytest.mark.parametrize("decision", [ALTER, UNKNOWN, BY_HAND])
def test_nothing_is_done_while_another_controller_leads(decision: Decision) -> None:
    held = hold(decision, standing(not_leader="another one leads"))
    assert (held.reason, held.message) == ("NotLeader", "another one leads")
    assert isinstance(held, Wait)


def test_a_connector_that_was_resumed_a_moment_ago_is_waited_for() -> None:
    guarded = Stall("SnapshotWouldStart", "it has no offsets")
    resumed = Track(wrote="Resume", written_at=NOW - 0.5)
    assert hold(guarded, standing(track=resumed)).reason == "Settling"
    long_ago = Track(wrote="Resume", written_at=NOW - 60)
    assert hold(guarded, standing(track=long_ago)) == guarded
    assert hold(BY_HAND, standing(track=resumed)) == BY_HAND
