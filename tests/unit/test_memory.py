from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from controller.core.accept import action_id
from controller.core.action import Remember
from controller.core.decision import Stall
from controller.core.diff import hash_config
from controller.core.model import (
    Acceptance,
    LostTopics,
    ObservedTask,
    RunState,
    TopicClass,
    Unknown,
)
from controller.core.plan import plan
from controller.core.track import Track, track_record
from tests import make

AWAY = Unknown(make.AWAY)
DRIFTED = make.observed_connector(make.rendered(poll_interval_ms="1"))
TRACK = track_record(make.connector_manifest().key)
BIRTH = "birth/stage"


def kept(**changes: Any) -> dict[str, Any]:
    """What a cycle tells the store; None is what it takes away."""
    found = plan(make.world(**changes)).memory
    return {m.key: m.value if isinstance(m, Remember) else None for m in found}


def without(*names: str) -> dict[str, Any]:
    return {key: value for key, value in make.memory().items() if key not in names}


def test_what_is_known_already_is_not_written_again() -> None:
    assert kept() == {}


def test_a_first_converged_cycle_writes_the_birth_record_with_the_cluster() -> None:
    assert kept(stored=without(BIRTH)) == {
        BIRTH: {"stage": "main", "cluster_id": "cluster-1", "at": make.NOW}
    }


@pytest.mark.parametrize(
    "changes",
    [
        {"connectors": make.snapshot(DRIFTED)},
        {"topics": make.snapshot()},
        {"cluster_id": AWAY},
        {"revision": make.revision()},
        {"revision": None},
    ],
    ids=["drift", "no topic", "no cluster", "nothing declared", "no revision"],
)
def test_there_is_no_birth_before_all_is_as_declared(changes: Any) -> None:
    assert BIRTH not in kept(stored=without(BIRTH), **changes)


FIRST = "cluster/first"


def test_the_cluster_is_remembered_as_soon_as_a_connector_of_ours_runs_on_it() -> None:
    stalled = make.snapshot(make.observed_topic(partitions=9))
    world: dict[str, Any] = {"topics": stalled, "connect_cluster": "cluster-1"}
    found = kept(stored=without(BIRTH), **world)
    assert BIRTH not in found
    assert found[FIRST] == {"cluster_id": "cluster-1", "at": make.NOW}
    known = {**without(BIRTH), FIRST: found[FIRST]}
    assert FIRST not in kept(stored=known, **world)
    moved = make.world(stored=known, cluster_id="cluster-2", connect_cluster="cluster-2")
    assert moved.wrong_cluster is not None
    assert "was seen first" in moved.wrong_cluster


@pytest.mark.parametrize(
    "changes",
    [
        {"cluster_id": AWAY},
        {"connect_cluster": None},
        {"connect_cluster": "another"},
        {"connectors": make.snapshot()},
        {"connectors": make.snapshot(make.observed_connector(state="STOPPED"))},
        {"connectors": make.snapshot(make.observed_connector({"x-wms.managed-by": "another"}))},
        {"stored": make.memory()},
    ],
    ids=["unknown", "not asked", "two", "nothing there", "never ran", "not ours", "born"],
)
def test_a_cluster_is_not_remembered_before_it_is_surely_ours(changes: Any) -> None:
    usual: dict[str, Any] = {"stored": without(BIRTH), "connect_cluster": "cluster-1"}
    assert FIRST not in kept(**{**usual, **changes})


def test_an_unreadable_store_is_told_nothing() -> None:
    assert kept(stored=AWAY) == {}


def test_what_converged_is_applied_with_the_versions_it_was_rendered_from() -> None:
    found = kept(stored=without("applied/connector/oracle", f"applied/{make.topic().key}"))
    assert found == {
        "applied/connector/oracle": {"generation": "c1", "versions": ["wms/main/dbInfo/v1"]},
        f"applied/{make.topic().key}": {"generation": "t1"},
    }


def test_what_differs_is_not_applied() -> None:
    seen = make.snapshot(DRIFTED)
    assert "applied/connector/oracle" not in kept(
        stored=without("applied/connector/oracle"), connectors=seen
    )


def test_the_id_of_a_topic_that_was_seen_is_remembered_and_not_lost_with_the_topic() -> None:
    name = f"topicId/{make.topic().name}"
    assert kept(stored=without(name))[name] == {"id": f"id-of-{make.topic().name}"}
    assert name not in kept(topics=make.snapshot())


def test_the_versions_that_a_config_names_are_remembered_as_they_change() -> None:
    seen = make.snapshot(make.observed_connector(make.rendered("v2")))
    record = f"delivered/{make.NAME}"
    assert kept(connectors=seen)[record] == {"wms/main/dbInfo/v2": ["password", "user"]}


def test_versions_of_a_connector_that_is_gone_are_forgotten_so_that_no_file_comes_back() -> None:
    record = f"delivered/{make.NAME}"
    assert kept(connectors=make.snapshot())[record] is None
    assert record not in kept(connectors=make.snapshot(fault=make.AWAY))


@pytest.mark.parametrize(
    ("state", "forgotten"),
    [("RUNNING", True), ("PAUSED", True), ("FAILED", True), ("STOPPED", False), ("PENDING", False)],
)
def test_stopped_by_us_is_forgotten_when_it_is_seen_not_stopped(
    state: str, forgotten: bool
) -> None:
    stored = make.memory(**{"stamp/stopped:oracle": {"by": "create"}})
    seen = make.snapshot(make.observed_connector(state=state))
    assert ("stamp/stopped:oracle" in kept(stored=stored, connectors=seen)) is forgotten


def test_stopped_by_us_stays_while_stopped_is_declared() -> None:
    manifest = make.connector_manifest(run_state=RunState.STOPPED)
    stored = make.memory(**{"stamp/stopped:oracle": {"by": "stop"}})
    found = kept(stored=stored, revision=make.revision((make.topic(),), (manifest,)))
    assert "stamp/stopped:oracle" not in found


RELEASE = "intent/release:oracle"
FAILED = make.snapshot(
    replace(make.observed_connector(), tasks=(ObservedTask(0, "FAILED", "127.0.0.1:8083"),))
)


def test_a_release_ends_no_stop_that_comes_after_its_connector_was_seen_to_run() -> None:
    said: dict[str, Any] = {RELEASE: {"who": "ann"}}
    assert kept(stored=make.memory() | said)[RELEASE] is None
    idle = make.revision((make.topic(),), (make.connector_manifest(suspend=True),))
    failed = kept(stored=make.memory() | said, connectors=FAILED, revision=idle)
    assert failed[RELEASE] == {"who": "ann", "ranSince": True}
    later: dict[str, Any] = {RELEASE: {"who": "ann", "ranSince": True}}
    assert RELEASE not in kept(stored=make.memory() | later, connectors=FAILED)
    streaming = {make.NAME: ({"partition": {}, "offset": {"scn": "1"}},)}
    stopped = make.snapshot(make.observed_connector(state="STOPPED"))
    for word, reason in ((said, "Repair"), (later, "StoppedByHand")):
        stored = make.memory() | word
        assert held(stored, connectors=stopped, offsets=streaming)["connector/oracle"] == reason


def test_a_refusal_of_another_config_is_forgotten() -> None:
    refusal: dict[str, Any] = {"stamp/refusal:oracle": {"config": "another", "at": 0.0}}
    assert kept(stored=make.memory() | refusal)["stamp/refusal:oracle"] is None


def test_a_refusal_is_forgotten_once_its_config_is_in_force() -> None:
    refusal = {"stamp/refusal:oracle": {"config": hash_config(make.rendered()), "at": 0.0}}
    assert kept(stored=make.memory() | refusal)["stamp/refusal:oracle"] is None
    drifted = kept(stored=make.memory() | refusal, connectors=make.snapshot(DRIFTED))
    assert "stamp/refusal:oracle" not in drifted


def test_a_track_ends_with_a_converged_observation_and_not_before() -> None:
    value: dict[str, Any] = {name: getattr(Track("c1", writes=2), name) for name in Track.__slots__}
    stored = make.memory() | {TRACK: value}
    assert kept(stored=stored)[TRACK] is None
    assert TRACK not in kept(stored=stored, connectors=make.snapshot(DRIFTED))
    assert TRACK not in kept(stored=stored, connectors=make.snapshot(fault=make.AWAY))


# --- lost memory ----------------------------------------------------------------------------


def held(stored: Any, **changes: Any) -> dict[str, str]:
    found = plan(make.world(stored=stored, **changes)).steps
    return {str(step.key): step.decision.reason for step in found}


LOST: dict[str, Any] = {}  # a store that knows nothing of this stage


def test_with_memory_lost_an_absent_topic_of_our_connector_was_there_once() -> None:
    needs = frozenset({make.topic().key})
    declared = make.revision((make.topic(),), (make.connector_manifest(needs=needs),))
    reasons = held(LOST, revision=declared, topics=make.snapshot())
    assert reasons[str(make.topic().key)] == "TopicLost"


@pytest.mark.parametrize(
    ("begun", "reason"),
    [
        (False, "Create"),
        (True, "TopicLost"),
        (AWAY, "BeginningUnknown"),
        (None, "BeginningUnknown"),
    ],
)
@pytest.mark.parametrize(
    "connectors",
    [make.snapshot(fault=make.AWAY), make.snapshot()],
    ids=["Connect is away", "no connector"],
)
def test_without_memory_connect_s_offsets_tell_whether_a_missing_topic_was_there_once(
    connectors: Any, begun: Any, reason: str
) -> None:
    reasons = held(LOST, topics=make.snapshot(), connectors=connectors, begun=begun)
    assert reasons[str(make.topic().key)] == reason


def test_what_was_lost_with_the_memory_is_not_made_again_whatever_the_policy_says() -> None:
    declared = make.revision((make.topic(),), (), lost_topics=LostTopics.RECREATE)
    reasons = held(LOST, revision=declared, topics=make.snapshot(), begun=True)
    assert reasons[str(make.topic().key)] == "TopicLost"


def test_a_manifest_s_word_for_what_is_missing_is_void_when_the_memory_of_its_use_was_lost() -> (
    None
):
    lost = plan(make.world(stored=LOST, topics=make.snapshot(), begun=True))
    step = next(step for step in lost.steps if step.key == make.topic().key)
    assert isinstance(step.decision, Stall)
    assert step.decision.held is not None
    word = Acceptance("data-loss", action_id(step.key, step.decision.held), make.NOW + 60)
    declared = make.revision((make.topic(accept=(word,)),), (make.connector_manifest(),))
    topic = str(make.topic().key)
    assert held(LOST, revision=declared, topics=make.snapshot(), begun=True)[topic] == "TopicLost"
    assert held(make.memory(), revision=declared, topics=make.snapshot())[topic] == "Create"


def test_on_a_branch_what_is_missing_is_created_whatever_was_there() -> None:
    reasons = held(LOST, stage=make.BRANCH, topics=make.snapshot(), begun=None)
    assert reasons[str(make.topic().key)] == "Create"


def test_that_a_stage_had_not_begun_is_remembered_with_its_cluster() -> None:
    beginning: dict[str, Any] = {
        "beginning/stage": {"cluster_id": "cluster-1", "at": make.NOW},
    }
    nothing: dict[str, Any] = {"topics": make.snapshot(), "connectors": make.snapshot()}
    assert kept(stored=LOST, begun=False, **nothing) == beginning
    for changes in ({"begun": True}, {"begun": AWAY}, {"begun": False, "cluster_id": AWAY}):
        assert "beginning/stage" not in kept(stored=LOST, **nothing, **changes)
    later = held(beginning, begun=None, **nothing)
    assert later[str(make.topic().key)] == "Create"
    elsewhere = held(beginning, begun=None, cluster_id="cluster-2", **nothing)
    assert elsewhere[str(make.topic().key)] == "BeginningUnknown"


# --- schema history --------------------------------------------------------------------------

HISTORY = make.topic("wms.schema-changes", topic_class=TopicClass.SCHEMA_HISTORY, partitions=1)


@pytest.mark.parametrize(
    ("config", "offsets", "reason"),
    [
        ({}, {}, "TopicLost"),
        ({}, {make.NAME: ({"partition": {}, "offset": {"scn": "1"}},)}, "TopicLost"),
        ({}, {make.NAME: AWAY}, "TopicLost"),
        ({}, {make.NAME: ()}, "Create"),
        ({"schema.history.internal.kafka.topic": "another"}, {}, "Create"),
    ],
    ids=["offsets unread", "offsets", "offsets unknown", "no offsets", "of another history"],
)
def test_the_history_of_a_connector_that_came_anywhere_is_never_made_again(
    config: Any, offsets: Any, reason: str
) -> None:
    seen = make.snapshot(make.observed_connector({**make.rendered(), **config}))
    declared = make.revision((HISTORY,), (make.connector_manifest(),))
    topics = make.snapshot()
    changes = {"revision": declared, "topics": topics, "connectors": seen, "offsets": offsets}
    assert held(make.memory(), **changes)[str(HISTORY.key)] == reason


def test_with_memory_lost_a_difference_is_drift_and_a_stop_is_a_person_s() -> None:
    proofs = {k: v for k, v in make.memory().items() if k.startswith("stamp/probe")}
    streaming = {make.NAME: ({"partition": {}, "offset": {"scn": "1"}},)}
    drifted = held(proofs, connectors=make.snapshot(DRIFTED), offsets=streaming)
    assert drifted["connector/oracle"] == "Repair"
    stopped = make.snapshot(make.observed_connector(state="STOPPED"))
    assert held(proofs, connectors=stopped)["connector/oracle"] == "StoppedByHand"


def test_a_connector_with_another_mark_does_not_tell_that_memory_was_lost() -> None:
    foreign = {**make.rendered(), "x-wms.managed-by": "wms-connector-val"}
    seen = make.snapshot(make.observed_connector(foreign))
    assert held(LOST, connectors=seen, topics=make.snapshot())["connector/oracle"] == "OtherMark"


def test_the_birth_is_remembered_last() -> None:
    first = {k: v for k, v in make.memory().items() if k.startswith("stamp/")}
    memory = plan(make.world(stored=first, connectors=make.snapshot())).memory
    assert "birth/stage" not in [action.key for action in memory]
    adopted = make.memory()
    del adopted["birth/stage"], adopted[f"topicId/{make.topic().name}"]
    keys = [action.key for action in plan(make.world(stored=adopted)).memory]
    assert keys[-1] == "birth/stage"
    assert f"topicId/{make.topic().name}" in keys
