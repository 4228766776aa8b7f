"""Laws of pace, over memories that may hold anything."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from controller.core.action import AlterTopic, PutConfig, Remember, Restart, Resume, Stop
from controller.core.decision import Act, Difference, Wait
from controller.core.diff import Change
from controller.core.hold import Standing, draw, hold, keep_drift
from controller.core.model import Record, connector_key
from controller.core.pace import (
    HOUR,
    bounces,
    drift_record,
    give_back,
    idle_record,
    pace_record,
    read_pace,
)
from controller.core.plan import plan
from controller.core.snapshot_phase import Phase, snapshot_record
from controller.core.track import Track
from tests import make

KEY = connector_key(make.NAME)
NOW = make.NOW
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda below: st.lists(below, max_size=3) | st.dictionaries(st.text(max_size=8), below),
    max_leaves=6,
)
TIMES = st.lists(st.floats(NOW - 2 * HOUR, NOW + HOUR) | JSON, max_size=9) | JSON
ACTIONS = st.sampled_from(
    [
        PutConfig(make.NAME, {"a": "1"}),
        Restart(make.NAME, only_failed=True),
        Resume(make.NAME),
        Stop(make.NAME),
        AlterTopic("t", {}),
    ]
)
ACTS = st.builds(
    Act,
    actions=st.tuples(ACTIONS),
    reason=st.just("Repair"),
    message=st.just("a differs"),
    diff=st.just((Change("a", "2", "1"),)),
    difference=st.sampled_from(Difference),
)


@st.composite
def memories(draw_: st.DrawFn) -> Mapping[str, Record]:
    generation = st.sampled_from(["c1", "c0"]) | JSON
    value = {
        pace_record(KEY): st.fixed_dictionaries(
            {}, optional={"generation": generation, "repairs": TIMES, "bounces": TIMES}
        ),
        drift_record(KEY): st.fixed_dictionaries(
            {}, optional={"generation": generation, "since": st.floats(NOW - 90, NOW) | JSON}
        ),
    }
    names = draw_(st.sets(st.sampled_from(sorted(value))))
    found: dict[str, Any] = {name: draw_(value[name]) for name in names}
    return {name: Record(one, 1) for name, one in found.items()}


def standing(records: Mapping[str, Record], **changes: Any) -> Standing:
    values: dict[str, Any] = {
        "key": KEY,
        "track": Track(generation="c1"),
        "now": NOW,
        "records": records,
        "repair_delay": 30.0,
        "per_hour": 6,
    }
    return Standing(**{**values, **changes})


@given(memories(), ACTS)
def test_pace_never_holds_a_rotation_and_never_delays_what_is_no_repair(
    records: Mapping[str, Record], act: Act
) -> None:
    rotation = replace(act, difference=Difference.ROTATION)
    assert hold(rotation, standing(records, snapshot=Phase.RUNNING)) is rotation
    held = hold(act, standing(records))
    if act.difference is not Difference.DRIFT and isinstance(held, Wait):
        assert held.reason == "Contended"


@given(memories(), ACTS, st.integers(1, 8))
def test_what_is_let_through_had_room_and_was_seen_long_enough(
    records: Mapping[str, Record], act: Act, limit: int
) -> None:
    stands = standing(records, per_hour=limit)
    if hold(act, stands) is not act or act.difference is Difference.ROTATION:
        return
    pace = read_pace(records, KEY, "c1", NOW)
    if act.difference is Difference.DRIFT:
        assert len(pace.repairs) < limit
        since = records[drift_record(KEY)].value["since"]
        assert isinstance(since, int | float)
        assert since <= NOW - 30.0
    if not isinstance(act.actions[0], AlterTopic):
        assert len(pace.bounces) < limit


@given(memories(), ACTS, st.integers(1, 8))
def test_each_act_that_is_drawn_counts_once_and_can_be_given_back(
    records: Mapping[str, Record], act: Act, limit: int
) -> None:
    drawn = draw(act, standing(records, per_hour=limit))
    assert isinstance(drawn, Act)
    stamps = [a for a in drawn.actions if isinstance(a, Remember)]
    after = dict(records) | {a.key: Record(a.value, 2, a.expires) for a in stamps}
    before, now = (read_pace(r, KEY, "c1", NOW) for r in (records, after))
    bounced = not isinstance(act.actions[0], AlterTopic)
    assert len(now.bounces) == min(limit, len(before.bounces) + bounced) or not stamps
    assert len(bounces(after, KEY, NOW)) >= len(now.bounces)
    for action in give_back(KEY, records, after):
        if isinstance(action, Remember):
            after[action.key] = Record(action.value, 3, action.expires)
        else:
            del after[action.key]
    assert {k: r.value for k, r in after.items()} == {k: r.value for k, r in records.items()}


@given(memories(), ACTS)
def test_drift_that_is_remembered_stays_remembered_until_it_is_gone(
    records: Mapping[str, Record], act: Act
) -> None:
    stands = standing(records)
    puts = [a for a in keep_drift(hold(act, stands), stands) if isinstance(a, Remember)]
    after = dict(records) | {a.key: Record(a.value, 2) for a in puts}
    again = standing(after, now=NOW + 1.0)
    assert list(keep_drift(hold(act, again), again)) == []


@given(
    st.dictionaries(
        st.sampled_from(
            [
                pace_record(KEY),
                drift_record(KEY),
                snapshot_record(make.NAME),
                idle_record("Frozen", None),
                idle_record("SuspensionEnded", KEY),
                idle_record("Contended", KEY),
                "idle/of an older program",
            ]
        ),
        st.dictionaries(st.sampled_from(["since", "generation", "at", "repairs"]), JSON),
    )
)
def test_no_memory_makes_the_plan_fail(more: dict[str, Any]) -> None:
    drifted = make.observed_connector({**make.rendered(), "a": "2"})
    policy = make.revision(
        (make.topic(),), (make.connector_manifest(),), repair_delay=30.0, repairs_per_hour=6
    )
    world = make.world(
        revision=policy, connectors=make.snapshot(drifted), stored=make.memory(**more)
    )
    planned = plan(world)
    assert any(step.key == KEY for step in planned.steps)
