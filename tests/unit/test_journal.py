from __future__ import annotations

from typing import Any

import pytest

from controller.core.action import PutConfig
from controller.core.decision import Act
from controller.core.diff import Change
from controller.core.faults import Unavailable
from controller.core.history import HISTORY, Origin, summary
from controller.core.model import Json, connector_key
from controller.journal import LOOK_SECONDS, RECENT, Journal
from tests.fakes.clock import FakeClock as Clock
from tests.fakes.state import FakeState
from tests.make import NAME

AWAY = Unavailable("StateUnavailable", "the table does not answer")
ORIGIN = Origin(must_record=True, revision="r1", commit="c1", cluster="k1")
KEY = connector_key(NAME)
ACT = Act((PutConfig(NAME, {}),), "Drift", "somebody changed it")


class Store(FakeState):
    def __init__(self, clock: Clock) -> None:
        super().__init__(clock)
        self.reads = 0

    def read(self, section: str, limit: int) -> Any:
        self.reads += 1
        return super().read(section, limit)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def store(clock: Clock) -> Store:
    return Store(clock)


def journal(store: Store, clock: Clock, who: str = "controller one") -> Journal:
    made = Journal(store, clock, who)
    assert made.look() is None
    return made


def events(one: Journal) -> list[dict[str, Json]]:
    return [event for event in one.recent() if isinstance(event, dict)]


def repair(one: Journal, act: Act = ACT) -> None:
    one.end(one.begin(KEY, act, ORIGIN), ["PutConfig"], None, 1)


def test_what_was_done_is_told_with_who_why_and_outcome(store: Store, clock: Clock) -> None:
    one = journal(store, clock)
    repair(one)
    (event,) = events(one)
    assert event == {
        "at": clock.now(),
        "action": "PutConfig",
        "resource": str(KEY),
        "who": "controller one",
        "reason": ACT.reason,
        "why": ACT.message,
        "outcome": "done",
    }


def test_what_has_not_ended_has_no_outcome_yet(store: Store, clock: Clock) -> None:
    one = journal(store, clock)
    one.begin(KEY, ACT, ORIGIN)
    assert [event["outcome"] for event in events(one)] == ["unknown"]


def test_our_own_doings_are_told_without_reading_the_store(store: Store, clock: Clock) -> None:
    one = journal(store, clock)
    before = store.reads
    for _ in range(5):
        repair(one)
        one.look()
        assert len(events(one)) > 0
    assert store.reads == before
    assert len(events(one)) == 5


def test_what_others_wrote_is_told_a_minute_later_at_most(store: Store, clock: Clock) -> None:
    one = journal(store, clock)
    repair(one)
    Journal(store, clock, "arn:aws:iam::1:user/jane").tell(
        {"event": "suspend", "resource": str(KEY), "reason": "we look at it"}
    )
    clock.advance(LOOK_SECONDS)
    assert one.look() is None
    done, said = events(one)
    assert done["action"] == "PutConfig"
    assert (said["action"], said["reason"]) == ("suspend", "we look at it")
    assert said["who"] == "arn:aws:iam::1:user/jane"
    assert store.reads == 2


def test_a_new_process_tells_what_an_earlier_one_did(store: Store, clock: Clock) -> None:
    repair(journal(store, clock))
    assert len(events(journal(store, clock, "controller two"))) == 1


def test_only_the_newest_are_told_and_kept(store: Store, clock: Clock) -> None:
    one = journal(store, clock)
    for number in range(5 * RECENT):
        clock.advance(1)
        one.tell({"event": "release", "resource": f"connector/c{number}"})
    told = [event["resource"] for event in events(one)]
    assert told == [f"connector/c{number}" for number in range(4 * RECENT, 5 * RECENT)]
    assert len(one._recent) <= 3 * RECENT


def test_a_store_that_is_away_leaves_what_was_told(store: Store, clock: Clock) -> None:
    one = journal(store, clock)
    repair(one)
    clock.advance(LOOK_SECONDS)
    store.broken = AWAY
    assert one.look() is AWAY
    assert one.look() is None, "it is asked again a minute later, not at once"
    assert len(events(one)) == 1


def test_conditions_that_moved_do_not_push_out_what_was_done(store: Store, clock: Clock) -> None:
    one = journal(store, clock)
    store.append("conditions", {"moved": [{"resource": "connector/x"}]})
    repair(one)
    assert len(events(one)) == 1


@pytest.mark.parametrize(("event", "action", "reason"), [
    ({"event": "revision", "changes": ["~ revision: a -> b"]}, "revision", "~ revision: a -> b"),
    ({"event": "accept", "action": "0123", "risk": "snapshot", "reason": "ok"}, "accept", "ok"),
    ({"event": "unfreeze"}, "unfreeze", ""),
    ({"event": "action", "action": "Stop", "reason": "StopLogins"}, "Stop", "StopLogins"),
])  # fmt: skip
def test_an_event_is_told_by_what_it_is(event: dict[str, Json], action: str, reason: str) -> None:
    told = summary(event)
    assert (told["action"], told["resource"], told["reason"]) == (action, "stage", reason)


def test_a_value_that_is_masked_in_the_history_is_not_in_the_summary(
    store: Store, clock: Clock
) -> None:
    change = Change("database.password", "old-password", "new-password")
    one = journal(store, clock)
    repair(one, Act(ACT.actions, "Drift", "differs", diff=(change,)))
    for secret in ("old-password", "new-password"):
        assert secret not in str(one.recent())
        assert secret not in str(store.history[HISTORY])
