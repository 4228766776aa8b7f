"""Whether a snapshot runs, and what waits for its end."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from controller.core.action import AlterTopic, Forget, PutConfig, Remember, Restart, Stop
from controller.core.connector_class import FILE_SOURCE
from controller.core.decision import Act, Difference, Risk, Stall, Wait
from controller.core.diff import Change
from controller.core.look import offsets_due
from controller.core.model import ABSENT, Json, Offsets, Unknown
from controller.core.plan import plan
from controller.core.snapshot_phase import (
    Phase,
    guard_snapshot,
    has_ended,
    interrupts,
    keep_phase,
    phase_of,
    snapshot_record,
)
from controller.core.world import World
from tests import make

MANIFEST = make.connector_manifest()
RUNNING = make.observed_connector()
RECORD = snapshot_record(make.NAME)
DONE = make.records({RECORD: {"at": make.NOW}})
AWAY = Unknown(make.AWAY)


def offset(**fields: Json) -> Offsets:
    return ({"partition": {"server": "wms"}, "offset": fields},)


STREAMING = offset(scn="9", snapshot_scn="7")
SNAPSHOT = offset(scn="7", snapshot="INITIAL", snapshot_completed=False)


@pytest.mark.parametrize(
    ("offsets", "ended"),
    [
        ((), False),
        (STREAMING, True),
        (SNAPSHOT, False),
        (offset(lsn=1, snapshot="INITIAL", last_snapshot_record=False), False),
        (offset(lsn=1, snapshot="INITIAL", last_snapshot_record=True), True),
        (offset(scn="7", snapshot="INITIAL", snapshot_completed=True), True),
        (offset(scn="7", snapshot=True), False),
        (offset(scn="7", snapshot=False), True),
        ((*STREAMING, *SNAPSHOT), False),
    ],
)
def test_offsets_tell_whether_a_snapshot_has_ended(offsets: Offsets, ended: bool) -> None:
    assert has_ended(offsets) is ended


@pytest.mark.parametrize(
    ("offsets", "records", "phase"),
    [
        ((), {}, Phase.RUNNING),
        (SNAPSHOT, {}, Phase.RUNNING),
        (STREAMING, {}, Phase.DONE),
        (None, {}, Phase.UNREAD),
        (AWAY, {}, AWAY),
        (None, DONE, Phase.DONE),
        (AWAY, DONE, Phase.DONE),
        ((), DONE, Phase.RUNNING),  # its offsets were reset: memory only slows down
    ],
)
def test_offsets_outrank_memory_and_unknown_is_no_end(
    offsets: Any, records: Any, phase: object
) -> None:
    assert phase_of(MANIFEST, RUNNING, offsets, records) == phase


@pytest.mark.parametrize("state", ["STOPPED", "FAILED"])
def test_a_task_that_does_not_run_takes_no_snapshot(state: str) -> None:
    seen = make.observed_connector(state=state)
    assert phase_of(MANIFEST, seen, SNAPSHOT, {}) is Phase.NONE


def test_a_snapshot_that_is_paused_comes_no_nearer_to_its_end() -> None:
    paused = make.observed_connector(state="PAUSED")
    assert phase_of(MANIFEST, paused, SNAPSHOT, {}) is Phase.PAUSED
    assert phase_of(MANIFEST, paused, STREAMING, {}) is Phase.DONE
    drift = replace(PUT, difference=Difference.DRIFT)
    held = guard_snapshot(drift, Phase.PAUSED, protected=True)
    assert isinstance(held, Stall)
    assert held.held is not None
    assert held.held.risk is Risk.SNAPSHOT
    assert guard_snapshot(drift, Phase.RUNNING, protected=True) is drift


def test_what_is_absent_or_captures_nothing_takes_no_snapshot() -> None:
    lines = make.connector_manifest(connector_class=FILE_SOURCE)
    assert phase_of(MANIFEST, ABSENT, (), {}) is Phase.NONE
    assert phase_of(lines, RUNNING, (), {}) is Phase.NONE


def kept(offsets: Offsets | Unknown, records: Any, *seen: Any) -> list[Any]:
    return list(keep_phase(make.snapshot(*seen), {make.NAME: offsets}, records, make.NOW))


def test_the_end_of_a_snapshot_is_remembered_once_and_forgotten_with_its_offsets() -> None:
    assert kept(STREAMING, {}, RUNNING) == [Remember(RECORD, {"at": make.NOW})]
    assert kept(STREAMING, DONE, RUNNING) == []
    assert kept(SNAPSHOT, DONE, RUNNING) == [Forget(RECORD)]
    assert kept((), DONE, RUNNING) == [Forget(RECORD)]
    assert kept(AWAY, DONE, RUNNING) == []


@pytest.mark.parametrize("seen", [(), (make.observed_connector(state="STOPPED"),)])
def test_the_end_of_a_snapshot_is_forgotten_where_its_offsets_may_be_lost_unseen(
    seen: Any,
) -> None:
    assert kept(STREAMING, DONE, *seen) == [Forget(RECORD)]
    assert kept(STREAMING, {}, *seen) == []


def test_a_connect_that_is_away_lets_no_end_of_a_snapshot_be_forgotten() -> None:
    assert list(keep_phase(make.snapshot(fault=make.AWAY), {}, DONE, make.NOW)) == []


def test_a_paused_task_keeps_the_end_of_its_snapshot() -> None:
    assert kept(STREAMING, DONE, make.observed_connector(state="PAUSED")) == []


PUT = Act(
    (PutConfig(make.NAME, {}),),
    "Update",
    "poll.interval.ms of connector oracle differs",
    (Change("poll.interval.ms", "1", "2"),),
    risk=Risk.RESTART,
)


def test_only_what_starts_the_task_anew_interrupts_a_snapshot() -> None:
    assert interrupts(PUT)
    assert interrupts(replace(PUT, actions=(Restart(make.NAME, only_failed=True),)))
    assert not interrupts(replace(PUT, actions=(Stop(make.NAME),)))  # a person's brake
    assert not interrupts(replace(PUT, actions=(AlterTopic("t", {}),)))


def test_a_commit_while_a_snapshot_runs_needs_a_person_on_named_stages_only() -> None:
    held = guard_snapshot(PUT, Phase.RUNNING, protected=True)
    assert isinstance(held, Stall)
    assert held.reason == "AcceptanceRequired"
    assert held.held is not None
    assert held.held.risk is Risk.SNAPSHOT
    assert "begins again" in held.message
    branch = guard_snapshot(PUT, Phase.RUNNING, protected=False)
    assert isinstance(branch, Act)
    assert branch.risk is Risk.SNAPSHOT


def test_a_commit_that_is_held_anyway_keeps_its_greater_risk() -> None:
    lossy = replace(PUT, risk=Risk.DATA_LOSS, consequence="changes may be skipped")
    stall = Stall("AcceptanceRequired", "errors.tolerance: changes may be skipped", PUT.diff, lossy)
    held = guard_snapshot(stall, Phase.RUNNING, protected=True)
    assert isinstance(held, Stall)
    assert held.held is not None
    assert held.held.risk is Risk.DATA_LOSS
    assert "begins again" in held.held.consequence
    assert "changes may be skipped" in held.held.consequence


@pytest.mark.parametrize("phase", [Phase.NONE, Phase.DONE])
def test_without_a_snapshot_a_commit_is_what_it_is(phase: Phase) -> None:
    assert guard_snapshot(PUT, phase, protected=True) is PUT


@pytest.mark.parametrize(
    ("phase", "reason"), [(Phase.UNREAD, "OffsetsUnread"), (AWAY, "Unreachable")]
)
def test_a_commit_waits_until_the_offsets_were_read(phase: Any, reason: str) -> None:
    held = guard_snapshot(PUT, phase, protected=False)
    assert isinstance(held, Wait)
    assert (held.reason, held.held) == (reason, PUT)


@pytest.mark.parametrize("difference", [Difference.ROTATION, Difference.DRIFT, Difference.FAILURE])
def test_rotations_and_drift_get_no_risk_from_it(difference: Difference) -> None:
    act = replace(PUT, difference=difference)
    assert guard_snapshot(act, Phase.RUNNING, protected=True) is act


# --- the whole plan ---------------------------------------------------------------------------

DRIFTED = make.observed_connector({**make.rendered(), "poll.interval.ms": "1"})


def stage(observed: Any = DRIFTED, *, remembered: bool = False, **changes: Any) -> World:
    known = make.memory()
    if not remembered:
        del known[RECORD]
    return make.world(connectors=make.snapshot(observed), stored=known, **changes)


def reason_of(world: World) -> str:
    (found,) = (s.decision.reason for s in plan(world).steps if str(s.key) == "connector/oracle")
    return found


def test_drift_waits_while_a_snapshot_runs_and_is_repaired_after_it() -> None:
    assert reason_of(stage(offsets={make.NAME: SNAPSHOT})) == "SnapshotRunning"
    assert reason_of(stage(offsets={make.NAME: ()})) == "SnapshotRunning"
    assert reason_of(stage(offsets={make.NAME: STREAMING})) == "Repair"


def test_a_rotation_does_not_wait_for_a_snapshot() -> None:
    rotated = make.secret(make.version("v2"))
    proof: dict[str, Json] = {"attempts": 1, "failures": 0, "at": make.NOW, "outcome": "accepted"}
    known = make.memory(**{"stamp/probe:wms/main/dbInfo/v2@oracle://127.0.0.1:1521/ORCL": proof})
    del known[RECORD]
    world = make.world(
        stored=known,
        secrets={"dbInfo": rotated, "brokerString": make.broker_secret()},
        disk=make.disk(make.version().key, make.version("v2").key),
        offsets={make.NAME: SNAPSHOT},
    )
    assert reason_of(world) == "Rotate"


def test_offsets_are_asked_for_only_where_they_matter() -> None:
    stopped = make.observed_connector(state="STOPPED")
    assert offsets_due(stage(RUNNING)) == ()  # as declared: a quiet cycle asks nothing
    assert offsets_due(stage(DRIFTED, remembered=True)) == ()
    assert offsets_due(stage(DRIFTED)) == (make.NAME,)
    assert offsets_due(stage(stopped, remembered=True)) == (make.NAME,)
    assert offsets_due(replace(stage(DRIFTED), revision=None)) == ()


def test_what_begins_a_new_snapshot_forgets_the_end_of_the_old_one() -> None:
    wider = make.connector_manifest({"table.include.list": "APP.ORDERS,APP.LINES"}, generation="c2")
    branch = make.BRANCH
    world = make.world(
        stage=branch,
        revision=make.revision((), (wider,)),
        stored={**make.memory(), "birth/stage": {"stage": branch.name, "cluster_id": "cluster-1"}},
        connectors=make.snapshot(
            make.observed_connector({**make.rendered(), "x-wms.managed-by": branch.mark})
        ),
    )
    (act,) = (s.decision for s in plan(world).steps if str(s.key) == "connector/oracle")
    if isinstance(act, Act):
        assert Forget(RECORD) in act.actions
    else:
        pytest.fail(f"{act.reason}: {act.message}")


def test_one_that_others_made_anew_runs_a_snapshot_though_the_old_one_had_ended() -> None:
    """Gone in one cycle, back without offsets in the next: a repair must not bounce it."""
    gone = plan(make.world(connectors=make.snapshot()))
    forgotten = {m.key for m in gone.memory if isinstance(m, Forget)}
    assert RECORD in forgotten
    left = {k: v for k, v in make.memory().items() if k not in forgotten}
    back = make.world(connectors=make.snapshot(DRIFTED), stored=left, offsets={make.NAME: SNAPSHOT})
    assert offsets_due(back) == (make.NAME,)
    assert reason_of(back) == "SnapshotRunning"
