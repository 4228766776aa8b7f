"""Not acting is never silent: what is told, and since when."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from controller.core.action import Forget, Remember
from controller.core.hold import FREEZE_RECORD, TEARING_DOWN_RECORD, suspend_record
from controller.core.idle import (
    IDLE_REASONS,
    LEFT_ALONE,
    Idle,
    ending,
    ends_soon,
    is_active,
    is_suspended,
)
from controller.core.model import Json, Manage, Record, Unknown, connector_key
from controller.core.pace import idle_record, pace_record
from controller.core.plan import plan
from controller.core.probe import probe_record
from controller.core.world import World
from tests import make

NOW = make.NOW
KEY = connector_key(make.NAME)
DRIFTED = make.observed_connector({**make.rendered(), "poll.interval.ms": "1"})
SPENT: dict[str, Json] = {"generation": "c1", "repairs": [NOW - 9, NOW - 8], "bounces": []}


def stored(**more: Mapping[str, Json]) -> dict[str, Any]:
    return {"stored": make.memory(**more)}


def declared(**changes: Any) -> World:
    manifest = make.connector_manifest(**changes)
    return make.world(revision=make.revision((make.topic(),), (manifest,)))


def policy(**changes: Any) -> Any:
    return make.revision((make.topic(),), (make.connector_manifest(),), **changes)


CONTENDED = make.world(
    revision=policy(repairs_per_hour=2),
    connectors=make.snapshot(DRIFTED),
    **stored(**{pace_record(KEY): SPENT}),
)
NEW = make.version("v2")
PROVED: dict[str, Json] = {"attempts": 1, "failures": 0, "outcome": "accepted"}
NOT_DELIVERED = make.world(
    workers=2,
    secrets={"dbInfo": make.secret(NEW, make.version("v1")), "brokerString": make.broker_secret()},
    disk=make.disk(make.version("v1").key, NEW.key),
    **stored(**{probe_record(NEW.key, "oracle://127.0.0.1:1521/ORCL"): PROVED}),
)
CASES: list[tuple[str, World, str | None]] = [
    ("NotLeader", make.world(not_leader="another leads"), None),
    ("Frozen", make.world(**stored(**{FREEZE_RECORD: {"reason": "audit"}})), None),
    ("Suspended", make.world(**stored(**{suspend_record(KEY): {"reason": "dba"}})), str(KEY)),
    ("Suspended", declared(suspend=True), str(KEY)),
    ("ObserveOnly", declared(manage=Manage.OBSERVE), str(KEY)),
    ("ObserveOnly", make.world(revision=policy(observe_only=True)), None),
    ("ObserveOnly", make.world(revision=None), None),
    ("StaleRevision", make.world(refusal="m.yaml:1: no"), None),
    ("NoStateStore", make.world(stored=Unknown(make.AWAY)), None),
    ("Contended", CONTENDED, str(KEY)),
    ("NotDelivered", NOT_DELIVERED, str(KEY)),
    ("Stalled", make.world(topics=make.snapshot()), f"topic/{make.topic().name}"),
    (
        "SuspensionEnded",
        make.world(
            connectors=make.snapshot(DRIFTED),
            **stored(**{idle_record("Suspended", KEY): {"since": NOW - 60}}),
        ),
        str(KEY),
    ),
]


@pytest.mark.parametrize(("reason", "world", "resource"), CASES)
def test_each_reason_for_not_acting_is_told_with_its_subject(
    reason: str, world: World, resource: str | None
) -> None:
    found = [one for one in plan(world).idle if one.reason == reason]
    assert [None if one.key is None else str(one.key) for one in found] == [resource]
    assert found[0].message
    assert found[0].since == NOW


def test_every_reason_has_a_case() -> None:
    seen_while_acting = {"NoHistory"}
    assert {reason for reason, _, _ in CASES} == set(IDLE_REASONS) - seen_while_acting


def test_a_stage_as_declared_is_idle_for_no_reason() -> None:
    assert plan(make.world()).idle == ()


def remembered(world: World) -> World:
    """Look a minute later, with what was remembered meanwhile."""
    records = dict(world.records)
    for action in plan(world).memory:
        if isinstance(action, Forget):
            records.pop(action.key, None)
        else:
            records[action.key] = Record(action.value, 1, action.expires)
    return replace(world, stored=records, now=world.now + 60)


# without a store, and before the first manifests, nothing is put; the last is over by then
LASTING = [
    (reason, world)
    for reason, world, _ in CASES
    if reason not in ("NoStateStore", "SuspensionEnded") and world.revision is not None
]


@pytest.mark.parametrize(("reason", "world"), LASTING)
def test_it_is_told_since_when_also_by_a_process_that_begins_later(
    reason: str, world: World
) -> None:
    assert [one.since for one in plan(remembered(world)).idle if one.reason == reason] == [NOW]


def test_a_time_ahead_is_of_a_clock_that_was_put_back_and_is_remembered_anew() -> None:
    ahead = {FREEZE_RECORD: {"reason": "audit"}, idle_record("Frozen", None): {"since": NOW + 99}}
    planned = plan(make.world(**stored(**ahead)))  # type: ignore[arg-type]
    assert [one.since for one in planned.idle] == [NOW]
    assert Remember(idle_record("Frozen", None), {"since": NOW}) in planned.memory


def test_what_is_remembered_is_put_once_and_forgotten_when_it_is_over() -> None:
    frozen = make.world(**stored(**{FREEZE_RECORD: {"reason": "audit"}}))
    assert Remember(idle_record("Frozen", None), {"since": NOW}) in plan(frozen).memory
    later = remembered(frozen)
    assert [a for a in plan(later).memory if a.key.startswith("idle/")] == []
    thawed = {k: r for k, r in later.records.items() if k != FREEZE_RECORD}
    memory = plan(replace(later, stored=thawed)).memory
    assert Forget(idle_record("Frozen", None)) in memory


@pytest.mark.parametrize(("left", "soon"), [(901.0, False), (900.0, True), (1.0, True)])
def test_a_quarter_of_an_hour_before_it_ends_it_says_so(left: float, soon: bool) -> None:
    idle = Idle("Suspended", KEY, NOW, "suspended by ada: exercise", NOW + left)
    assert ends_soon(idle, NOW) is soon
    assert "suspended by ada" in ending(idle)


def test_what_has_no_end_never_ends_soon() -> None:
    assert not ends_soon(Idle("Suspended", KEY, NOW, "its manifest says suspend: true"), NOW)


FROZEN = stored(**{FREEZE_RECORD: {"reason": "audit"}})
TEARING_DOWN = stored(**{TEARING_DOWN_RECORD: {"by": "jane"}})


@pytest.mark.parametrize(("world", "active"), [
    (make.world(), True),
    (declared(suspend=True), True),
    (declared(manage=Manage.OBSERVE), True),
    (make.world(refusal="m.yaml:1: no"), True),
    (make.world(not_leader="another leads"), False),
    (make.world(stored=Unknown(make.AWAY)), False),
    (make.world(revision=None), False),
    (make.world(**FROZEN), True),
    (make.world(not_leader="nobody leads", **FROZEN), True),
    (make.world(not_leader="nobody leads", **TEARING_DOWN), True),
    (make.world(revision=policy(observe_only=True)), True),
    (make.world(not_leader="nobody leads", revision=policy(observe_only=True)), True),
])  # fmt: skip
def test_one_is_active_unless_a_fault_or_another_keeps_it_from_acting(
    world: World, active: bool
) -> None:
    assert is_active(world) is active


@pytest.mark.parametrize(("world", "connector", "topic"), [
    (make.world(), False, False),
    (declared(suspend=True), True, False),
    (make.world(**stored(**{suspend_record(KEY): {"reason": "dba"}})), True, False),
    (make.world(**FROZEN), True, True),
    (declared(manage=Manage.OBSERVE), False, False),
    (make.world(not_leader="another leads"), False, False),
])  # fmt: skip
def test_a_person_s_word_leaves_alone_what_it_is_about(
    world: World, connector: bool, topic: bool
) -> None:
    idle = plan(world).idle
    assert is_suspended(KEY, idle) is connector
    assert is_suspended(make.topic().key, idle) is topic


def test_standing_by_is_no_reason_that_rings_by_its_age() -> None:
    assert set(LEFT_ALONE) < set(IDLE_REASONS)
    assert "NotLeader" not in LEFT_ALONE
