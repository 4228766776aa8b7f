"""How often and how soon a repair may be made."""

from __future__ import annotations

from dataclasses import replace

from controller.core.action import AlterTopic, PutConfig, Remember, Restart, Stop
from controller.core.decision import Act, Difference
from controller.core.model import Json, Record, connector_key
from controller.core.pace import HOUR, Pace, bounces, pace_record, read_pace, stamp

KEY = connector_key("oracle")
NOW = 1_000_000.0
PUT = Act((PutConfig("oracle", {}),), "Repair", "x differs", difference=Difference.DRIFT)


def stored(act: Act, pace: Pace, at: float, limit: int = 6) -> dict[str, Record]:
    (remember,) = stamp(act, pace, at, limit)
    assert isinstance(remember, Remember)
    return {remember.key: Record(remember.value, 1, remember.expires)}


def test_a_repair_that_bounces_the_task_counts_as_both() -> None:
    records = stored(PUT, Pace(KEY, "g1"), NOW)
    assert read_pace(records, KEY, "g1", NOW + 1) == Pace(KEY, "g1", (NOW,), (NOW,))
    assert bounces(records, KEY, NOW + 1) == (NOW,)


def test_a_rotation_and_a_restart_draw_on_the_bounces_and_are_no_repairs() -> None:
    for act in (
        replace(PUT, difference=Difference.ROTATION),
        Act((Restart("oracle", True),), "Restart", "failed", difference=Difference.FAILURE),
    ):
        pace = read_pace(stored(act, Pace(KEY, "g1"), NOW), KEY, "g1", NOW)
        assert (pace.repairs, pace.bounces) == ((), (NOW,))


def test_a_topic_has_repairs_and_no_bounces() -> None:
    act = Act((AlterTopic("t", {}),), "Repair", "x differs", difference=Difference.DRIFT)
    pace = read_pace(stored(act, Pace(KEY, "g1"), NOW), KEY, "g1", NOW)
    assert (pace.repairs, pace.bounces) == ((NOW,), ())


def test_what_only_remembers_is_not_stamped() -> None:
    act = Act((Remember("a/b", {}),), "x", "y", difference=Difference.DRIFT)
    assert stamp(act, Pace(KEY, "g1"), NOW, 6) == ()


def test_stopping_and_writing_in_one_act_is_one_bounce() -> None:
    act = replace(PUT, actions=(Stop("oracle"), *PUT.actions))
    assert bounces(stored(act, Pace(KEY, "g1"), NOW), KEY, NOW) == (NOW,)


def test_what_is_older_than_an_hour_is_forgotten() -> None:
    records = stored(PUT, Pace(KEY, "g1"), NOW)
    assert bounces(records, KEY, NOW + HOUR - 1) == (NOW,)
    assert bounces(records, KEY, NOW + HOUR) == ()


def test_a_new_generation_begins_anew() -> None:
    records = stored(PUT, Pace(KEY, "g1"), NOW)
    assert read_pace(records, KEY, "g2", NOW) == Pace(KEY, "g2")


def test_no_more_times_are_kept_than_the_budget_has() -> None:
    pace = Pace(KEY, "g1", tuple(NOW - n for n in (4, 3, 2)), ())
    kept = read_pace(stored(PUT, pace, NOW, limit=3), KEY, "g1", NOW)
    assert kept.repairs == (NOW - 3, NOW - 2, NOW)


def test_times_ahead_count_as_now_and_nonsense_as_nothing() -> None:
    value: dict[str, Json] = {
        "generation": "g1",
        "repairs": [NOW + 9_999, "x", True, None],
        "bounces": "no list",
    }
    records = {pace_record(KEY): Record(value, 1)}
    assert read_pace(records, KEY, "g1", NOW) == Pace(KEY, "g1", (NOW,), ())
