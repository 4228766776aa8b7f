from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from controller.core.action import ProbeLogin, PutConfig, RemoveSecretFiles
from controller.core.decision import Act, Converged, Decision, Stall, Wait
from controller.core.diff import hash_config
from controller.core.model import (
    ABSENT,
    ProbeMode,
    Snapshot,
    Unknown,
    VersionKey,
    connector_key,
    topic_key,
)
from controller.core.plan import Plan, actions_of, plan
from controller.core.probe import bad_record, probe_record
from controller.core.track import Track, track_record
from tests import make

AWAY = Unknown(make.AWAY)
ADDRESS = "oracle://127.0.0.1:1521/ORCL"
OLD, NEW = make.version("v1"), make.version("v2")
ACCEPTED: dict[str, Any] = {"attempts": 1, "failures": 0, "outcome": "accepted"}
ROTATED = {"dbInfo": make.secret(NEW, OLD), "brokerString": make.broker_secret()}
BOTH = make.disk(OLD.key, NEW.key)
NEEDS = frozenset({make.topic().key})
NEEDY = make.revision((make.topic(),), (make.connector_manifest(needs=NEEDS),))


def planned(**changes: Any) -> Plan:
    return plan(make.world(**changes))


def decision_of(of: Plan, key: str) -> Decision:
    (found,) = [step.decision for step in of.steps if str(step.key) == key]
    return found


def reason_of(of: Plan, key: str = f"connector/{make.NAME}") -> str:
    return decision_of(of, key).reason


def required(*topics: Any, **policy: Any) -> Any:
    return make.revision(
        topics or (make.topic(),), (make.connector_manifest(),), probe=ProbeMode.REQUIRED, **policy
    )


def proved(*versions: Any) -> dict[str, Any]:
    return {probe_record(version.key, ADDRESS): ACCEPTED for version in versions}


def tracked(track: Track) -> dict[str, Any]:
    value = {name: getattr(track, name) for name in Track.__slots__}
    return make.memory() | {track_record(connector_key(make.NAME)): value}


def test_when_all_is_as_declared_nothing_is_done_and_nothing_remembered() -> None:
    quiet = planned()
    assert quiet.converged
    assert make.writes(quiet) == []
    assert quiet.memory == ()
    assert quiet.requeue_after is None


def test_the_order_is_files_then_logins_then_topics_then_connectors_each_by_name() -> None:
    topics = (make.topic("wms.b"), make.topic("wms.a"))
    steps = planned(revision=required(*topics)).steps
    assert [str(step.key) for step in steps] == [
        "secret/brokerString",
        "secret/dbInfo",
        "worker/ready",
        "login/oracle",
        "topic/wms.a",
        "topic/wms.b",
        "connector/oracle",
    ]


@pytest.mark.parametrize(
    "changes",
    [
        {"topics": make.snapshot(fault=make.AWAY), "connectors": make.snapshot(fault=make.AWAY)},
        {"secrets": {"dbInfo": AWAY, "brokerString": AWAY}},
        {"disk": AWAY},
        {
            "topics": Snapshot({make.topic().key: AWAY}),
            "connectors": Snapshot({connector_key(make.NAME): AWAY}),
        },
        {"stored": AWAY},
    ],
    ids=["no listing", "no secrets", "no disk", "no items", "no store"],
)
def test_the_unknown_never_acts(changes: Any) -> None:
    assert make.writes(planned(**changes)) == []


def test_one_unknown_resource_does_not_stop_the_care_of_the_others() -> None:
    away = planned(
        connectors=make.snapshot(fault=make.AWAY),
        topics=make.snapshot(make.observed_topic(config={"retention.ms": "1"})),
    )
    assert make.writes(away) == ["AlterTopic"]


def test_without_a_good_revision_only_files_are_written() -> None:
    assert make.writes(planned(revision=None, disk=make.disk())) == ["Remember", "WriteSecretFiles"]


def test_an_unreadable_store_writes_files_and_nothing_else() -> None:
    seen = make.snapshot(make.observed_topic(config={}))
    found = planned(stored=AWAY, disk=make.disk(), topics=seen, connectors=make.snapshot())
    assert make.writes(found) == ["WriteSecretFiles"]
    assert reason_of(found, f"topic/{make.topic().name}") == "ObserveOnly"


def test_a_frozen_stage_still_delivers_files() -> None:
    stored = make.memory(**{"intent/freeze": {"reason": "exercise"}})
    found = planned(stored=stored, disk=make.disk(), connectors=make.snapshot())
    assert make.writes(found) == ["WriteSecretFiles"]
    assert reason_of(found) == "Frozen"


# --- needs ----------------------------------------------------------------------------------


@pytest.mark.parametrize("topics", [make.snapshot(), make.snapshot(fault=make.AWAY)])
def test_a_connector_is_not_created_before_its_topics_are_seen(topics: Any) -> None:
    found = planned(revision=NEEDY, topics=topics, connectors=make.snapshot(), stored={"x": {}})
    assert "CreateConnector" not in make.writes(found)


def test_a_connector_is_not_created_before_its_files_are_seen() -> None:
    found = planned(disk=make.disk(), connectors=make.snapshot())
    assert make.writes(found) == ["WriteSecretFiles"]
    assert reason_of(found) == "NeedsMissing"


def test_a_config_waits_for_a_field_that_its_version_does_not_have_on_disk_yet() -> None:
    token = make.version("v1", fields={"token": "t0ken-value"})
    manifest = make.connector_manifest({"a.token": "${secret:dbInfo:token}"}, generation="c2")
    found = planned(
        revision=make.revision((make.topic(),), (manifest,)),
        secrets={"dbInfo": make.secret(token), "brokerString": make.broker_secret()},
    )
    assert make.writes(found) == ["WriteSecretFiles"]
    assert reason_of(found) == "NeedsMissing"


def test_a_needed_topic_must_be_there_but_not_be_as_declared() -> None:
    drifted = make.snapshot(make.observed_topic(partitions=7))
    found = planned(revision=NEEDY, topics=drifted, connectors=make.snapshot())
    assert make.writes(found) == ["Remember", "CreateConnector"]


# --- logins and rotation --------------------------------------------------------------------


def test_a_new_version_is_tried_before_the_connector_gets_it() -> None:
    first = planned(revision=required(), secrets=ROTATED, disk=BOTH)
    assert make.writes(first) == ["Remember", "ProbeLogin"]
    then = planned(
        revision=required(),
        secrets=ROTATED,
        disk=BOTH,
        stored=make.memory() | proved(NEW),
    )
    assert make.writes(then) == ["PutConfig"]
    assert reason_of(then) == "Rotate"


def test_a_refused_password_is_tried_no_more_and_the_old_one_stays() -> None:
    stored = make.memory() | {bad_record(NEW.key, ADDRESS): {"message": "ORA-01017"}}
    found = planned(revision=required(), secrets=ROTATED, disk=BOTH, stored=stored)
    assert make.writes(found) == []
    assert decision_of(found, f"connector/{make.NAME}") == Converged()
    assert isinstance(decision_of(found, "login/oracle"), Stall)


@pytest.mark.parametrize("about", ["oracle", "dbInfo"])
def test_a_person_may_ask_for_another_try(about: str) -> None:
    bad = bad_record(NEW.key, ADDRESS)
    stored = make.memory() | {bad: {"message": "m"}, f"intent/probe:{about}": {"who": "ada"}}
    found = planned(revision=required(), secrets=ROTATED, disk=BOTH, stored=stored)
    assert set(make.writes(found)) == {"Forget"}
    assert reason_of(found, "login/oracle") == "ProbeAgain"


def test_a_login_in_use_is_not_tried() -> None:
    unproved = {k: v for k, v in make.memory().items() if not k.startswith("stamp/probe")}
    assert make.writes(planned(revision=required(), stored=unproved)) == []


def test_no_login_is_tried_while_the_connectors_are_unknown() -> None:
    found = planned(
        revision=required(),
        secrets=ROTATED,
        disk=BOTH,
        connectors=make.snapshot(fault=make.AWAY),
    )
    assert make.writes(found) == []


def test_no_login_is_tried_while_its_connector_is_unknown() -> None:
    unknown: Snapshot[Any] = Snapshot({connector_key(make.NAME): AWAY})
    found = planned(revision=required(), secrets=ROTATED, disk=BOTH, connectors=unknown)
    assert make.writes(found) == []


def test_a_login_that_may_have_failed_twice_is_told_from_a_refused_one() -> None:
    spent = {"attempts": 2, "failures": 2, "outcome": "doubtful", "message": "m"}
    stored = make.memory() | {probe_record(NEW.key, ADDRESS): spent}
    found = planned(revision=required(), secrets=ROTATED, disk=BOTH, stored=stored)
    assert reason_of(found, "login/oracle") == "LoginDoubtful"


def test_a_rotation_is_not_held_for_flapping_but_drift_is() -> None:
    track = Track("c1", writes=3, flaps=1, flapping_until=make.NOW + 60)
    stored = tracked(track) | proved(NEW)
    assert make.writes(planned(secrets=ROTATED, disk=BOTH, stored=stored)) == ["PutConfig"]
    drifted = make.snapshot(make.observed_connector({**make.rendered(), "extra": "1"}))
    found = planned(connectors=drifted, stored=stored)
    assert reason_of(found) == "Flapping"
    assert found.requeue_after == 60


def test_a_new_generation_ends_flapping() -> None:
    track = Track("an older one", writes=3, flaps=1, flapping_until=make.NOW + 60)
    drifted = make.snapshot(make.observed_connector({**make.rendered(), "extra": "1"}))
    assert make.writes(planned(connectors=drifted, stored=tracked(track))) == ["PutConfig"]


# --- a refused write ------------------------------------------------------------------------


def refused(config: dict[str, str], **more: Any) -> dict[str, Any]:
    return {"stamp/refusal:oracle": {"config": hash_config(config), "at": make.NOW, **more}}


DRIFTED = make.snapshot(make.observed_connector({**make.rendered(), "extra": "1"}))


def test_a_refused_config_is_asked_about_before_it_is_sent_again() -> None:
    found = planned(connectors=DRIFTED, stored=make.memory() | refused(make.rendered()))
    assert make.writes(found) == ["Remember", "ProbeLogin"]
    told = refused(make.rendered(), probe="accepted")
    assert make.writes(planned(connectors=DRIFTED, stored=make.memory() | told)) == [
        "ValidateConfig"
    ]


def test_a_refusal_costs_no_login_of_a_version_that_the_config_does_not_name() -> None:
    stored = make.memory() | refused(make.rendered())
    stored |= {bad_record(NEW.key, ADDRESS): {"message": "ORA-01017"}}
    found = planned(
        connectors=DRIFTED, stored=stored, revision=required(), secrets=ROTATED, disk=BOTH
    )
    tried = [action for action in actions_of(found) if isinstance(action, ProbeLogin)]
    assert [action.version for action in tried] == [make.version().key]


def test_a_refusal_is_not_asked_about_while_a_new_version_is_about_to_be_proved() -> None:
    stored = make.memory() | refused(make.rendered())
    found = planned(
        connectors=DRIFTED, stored=stored, revision=required(), secrets=ROTATED, disk=BOTH
    )
    tried = [action for action in actions_of(found) if isinstance(action, ProbeLogin)]
    assert [action.version for action in tried] == [NEW.key]
    assert make.writes(found) == ["Remember", "ProbeLogin"]


def test_a_config_that_changed_since_is_sent() -> None:
    found = planned(connectors=DRIFTED, stored=make.memory() | refused({"another": "config"}))
    assert any(isinstance(action, PutConfig) for action in actions_of(found))


# --- orphans --------------------------------------------------------------------------------


def test_an_orphan_is_reported_and_never_written_to() -> None:
    orphan = make.observed_connector(name="old", state="FAILED")
    foreign = make.observed_connector({"name": "x"}, name="x")
    found = planned(
        connectors=make.snapshot(make.observed_connector(), orphan, foreign),
        listing={"wms.gone": "id", make.topic().name: "id", "their.topic": "id"},
    )
    assert found.orphans == (connector_key("old"), topic_key("wms.gone"))
    assert make.writes(found) == []


def test_files_of_an_orphan_are_not_taken_from_it() -> None:
    oldest = VersionKey("wms/main/dbInfo", "v0")
    orphan = make.observed_connector(make.rendered("v0"), name="old")
    stored = make.memory(**{f"stamp/unused:{oldest}": {"since": 0.0}})
    found = planned(
        connectors=make.snapshot(make.observed_connector(), orphan),
        disk=make.disk(OLD.key, oldest),
        stored=stored,
    )
    assert not any(isinstance(action, RemoveSecretFiles) for action in actions_of(found))


def test_without_a_revision_nothing_is_an_orphan() -> None:
    assert planned(revision=None).orphans == ()


# --- what a plan tells ----------------------------------------------------------------------


def test_what_is_held_back_is_among_the_changes_and_not_among_the_actions() -> None:
    kept_more = make.snapshot(make.observed_topic(config={"retention.ms": "2000"}))
    found = planned(topics=kept_more)
    assert make.writes(found) == []
    ((step, act),) = found.changes()
    assert isinstance(step.decision, Stall)
    assert [make.kind(action) for action in act.actions] == ["AlterTopic"]


def test_the_soonest_wait_tells_when_to_look_again() -> None:
    pending = make.snapshot(make.observed_connector(state="PENDING"))
    found = planned(connectors=pending)
    assert isinstance(decision_of(found, "connector/oracle"), Wait)
    assert found.requeue_after == 1.0


def test_every_declared_resource_has_conditions() -> None:
    assert set(planned().conditions) == {make.topic().key, connector_key(make.NAME)}


def test_a_lost_secret_leaves_the_connector_alone_and_still_claims_its_name() -> None:
    found = planned(secrets={"dbInfo": ABSENT, "brokerString": make.broker_secret()})
    assert make.writes(found) == []
    assert reason_of(found) == "SecretMissing"
    assert found.orphans == ()


def test_planning_twice_plans_the_same() -> None:
    world = make.world(connectors=DRIFTED)
    assert plan(world) == plan(replace(world))
    assert isinstance(decision_of(plan(world), "connector/oracle"), Act)
