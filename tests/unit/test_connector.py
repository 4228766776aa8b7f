from __future__ import annotations

from typing import Any

import pytest

from controller.core.action import (
    Action,
    CreateConnector,
    Forget,
    Pause,
    PutConfig,
    Remember,
    Restart,
    Resume,
    Stop,
)
from controller.core.connector import decide_connector
from controller.core.connector_memory import ConnectorMemory, restart_record, stopped_record
from controller.core.decision import Act, Converged, Decision, Difference, Risk, Stall, Wait
from controller.core.diff import hash_config
from controller.core.model import ABSENT, DesiredConnector, RunState, Unknown, Unresolved, topic_key
from controller.core.surroundings import Surroundings, rivals_of
from tests import make

NAME = make.NAME
V1, V2 = make.version("v1").key, make.version("v2").key
APPLIED = ConnectorMemory(known=True, applied=True, applied_versions=frozenset({V1}))
OURS = ConnectorMemory(known=True, stopped_by_us=True)
OFFSETS = ({"partition": {"server": "wms"}, "offset": {"scn": "1"}},)


def decided(
    desired: DesiredConnector | Unresolved | None = None,
    observed: Any = None,
    memory: ConnectorMemory = APPLIED,
    **around: Any,
) -> Decision:
    values: dict[str, Any] = {"mark": make.MAIN.mark, "protected": True, "offsets": OFFSETS}
    return decide_connector(
        desired or make.desired_connector(),
        observed or make.observed_connector(),
        memory,
        Surroundings(**{**values, **around}),
    )


def act(decision: Decision) -> Act:
    assert isinstance(decision, Act)
    return decision


def stall(decision: Decision) -> Stall:
    assert isinstance(decision, Stall)
    return decision


def wait(decision: Decision) -> Wait:
    assert isinstance(decision, Wait)
    return decision


def stopped() -> Any:
    return make.observed_connector(state="STOPPED")


def test_what_could_not_be_looked_at_is_left_alone() -> None:
    assert decided(observed=Unknown(make.AWAY)) == Wait("Unreachable", "nobody answers")


def test_a_connector_that_is_as_declared_needs_nothing() -> None:
    assert decided() == Converged()


# --- creating -------------------------------------------------------------------------------


def test_a_connector_is_created_and_remembered_as_stopped_by_us_first() -> None:
    stamp, create = act(decided(observed=ABSENT)).actions
    assert stamp == Remember(stopped_record(NAME), {"by": "create"})
    assert create == CreateConnector(NAME, make.rendered(), hash_config(make.rendered()))


def test_what_it_needs_is_waited_for_before_it_is_created() -> None:
    decision = wait(decided(observed=ABSENT, missing=("topic/wms", "secret/x/v1")))
    assert decision.reason == "NeedsMissing"
    assert "topic/wms, secret/x/v1" in decision.message


@pytest.mark.parametrize("protected", [True, False])
@pytest.mark.parametrize("dangers", [{}, {"errors_tolerance": "all"}])
def test_no_connector_is_created_beside_one_with_its_prefix_and_nobody_can_accept_that(
    protected: bool, dangers: Any
) -> None:
    desired = make.desired_connector(**dangers)
    decision = stall(decided(desired, ABSENT, rivals=("old",), protected=protected))
    assert (decision.reason, decision.held) == ("PrefixInUse", None)


def test_rivals_share_the_prefix_or_the_history_and_are_never_the_connector_itself() -> None:
    others: list[dict[str, str]] = [
        {"topic.prefix": "wms"},
        {"schema.history.internal.kafka.topic": "wms.schema-changes"},
        {"topic.prefix": "other"},
    ]
    seen = {n: make.observed_connector(c, name=n) for n, c in zip("abc", others, strict=True)}
    seen[NAME] = make.observed_connector()
    assert rivals_of(make.connector_manifest(), seen) == ("a", "b")
    bare = make.connector_manifest(topic_prefix="", history_topic=None)
    assert rivals_of(bare, seen) == ()


@pytest.mark.parametrize("observed", [ABSENT, make.observed_connector()])
@pytest.mark.parametrize("retry", [True, False])
def test_without_its_secrets_nothing_is_written(observed: Any, retry: bool) -> None:
    missing = Unresolved(make.connector_manifest(), "SecretMissing", "m", retry)
    decision = decided(missing, observed)
    assert decision == (Wait if retry else Stall)("SecretMissing", "m")


# --- whose it is ----------------------------------------------------------------------------


@pytest.mark.parametrize("protected", [True, False])
def test_a_connector_with_another_mark_is_never_written_to(protected: bool) -> None:
    foreign = {**make.rendered(), "x-wms.managed-by": "wms-connector-val"}
    decision = decided(observed=make.observed_connector(foreign), protected=protected)
    assert stall(decision).reason == "OtherMark"


@pytest.mark.parametrize(
    ("memory", "protected", "taken"),
    [
        (ConnectorMemory(), True, False),
        (ConnectorMemory(), False, True),
        (APPLIED, True, True),
    ],
)
def test_a_connector_without_mark_is_taken_over_only_where_it_is_known_or_a_branch_s(
    memory: ConnectorMemory, protected: bool, taken: bool
) -> None:
    bare = {k: v for k, v in make.rendered().items() if k != "x-wms.managed-by"}
    decision = decided(observed=make.observed_connector(bare), memory=memory, protected=protected)
    assert isinstance(decision, Act) is taken
    assert taken or stall(decision).reason == "Unadopted"


@pytest.mark.parametrize(
    "field",
    [
        "connector.class",
        "topic.prefix",
        "schema.history.internal.kafka.topic",
        "database.dbname",
        "database.pdb.name",
    ],
)
@pytest.mark.parametrize("protected", [True, False])
def test_what_offsets_belong_to_never_changes(field: str, protected: bool) -> None:
    seen = {**make.rendered(), field: "another"}
    decision = stall(decided(observed=make.observed_connector(seen), protected=protected))
    assert (decision.reason, decision.held) == ("ImmutableField", None)
    assert field in decision.message


# --- three kinds of difference --------------------------------------------------------------

EXTRA = {**make.rendered(), "poll.interval.ms": "1"}


@pytest.mark.parametrize(
    ("desired", "seen", "memory", "difference", "reason"),
    [
        (None, EXTRA, ConnectorMemory(known=True), Difference.NEW_GENERATION, "Update"),
        (None, EXTRA, APPLIED, Difference.DRIFT, "Repair"),
        (make.desired_connector(version_id="v2"), None, APPLIED, Difference.ROTATION, "Rotate"),
        (make.desired_connector(version_id="v2"), EXTRA, APPLIED, Difference.DRIFT, "Repair"),
        (None, make.rendered("v0"), APPLIED, Difference.DRIFT, "Repair"),
        (
            make.desired_connector(version_id="v2"),
            None,
            ConnectorMemory(known=True),
            Difference.NEW_GENERATION,
            "Update",
        ),
    ],
    ids=["new", "drift", "rotation", "rotation and drift", "secret set by hand", "new and rotated"],
)
def test_a_difference_comes_from_a_commit_a_hand_or_a_new_secret_version(
    desired: Any, seen: Any, memory: ConnectorMemory, difference: Difference, reason: str
) -> None:
    decision = act(decided(desired, make.observed_connector(seen), memory))
    assert (decision.difference, decision.reason) == (difference, reason)
    assert decision.risk is Risk.RESTART
    assert isinstance(decision.actions[0], PutConfig)


def test_a_new_public_field_of_a_secret_is_a_rotation_that_a_person_must_accept() -> None:
    desired = make.desired_connector(version_id="v2", database_hostname="127.0.0.2")
    decision = stall(decided(desired))
    assert decision.reason == "AcceptanceRequired"
    assert decision.held is not None
    assert decision.held.difference is Difference.ROTATION
    assert decision.held.risk is Risk.DATA_LOSS
    assert act(decided(desired, protected=False)).difference is Difference.ROTATION


def test_other_tables_need_a_person_on_a_named_stage_only() -> None:
    desired = make.desired_connector()
    seen = make.observed_connector({**make.rendered(), "table.include.list": "APP.OLD"})
    held = stall(decided(desired, seen)).held
    assert held is not None
    assert held.risk is Risk.SNAPSHOT
    assert isinstance(decided(desired, seen, protected=False), Act)


def test_ignored_keys_are_left_as_they_were_found() -> None:
    manifest = make.connector_manifest(ignore=frozenset({"tuned", "poll.interval.ms"}))
    seen = {**make.rendered(), "tuned": "by hand", "extra": "1"}
    (put,) = act(decided(make.desired_connector(manifest), make.observed_connector(seen))).actions
    assert isinstance(put, PutConfig)
    assert put.config == {**make.rendered(), "tuned": "by hand"}


def test_no_write_names_a_version_that_is_not_on_disk() -> None:
    decision = wait(decided(make.desired_connector(version_id="v2"), missing=(f"secret/{V2}",)))
    assert decision.reason == "NeedsMissing"
    assert decision.held is not None


def test_a_missing_topic_does_not_keep_a_running_connector_from_its_config() -> None:
    decision = decided(observed=make.observed_connector(EXTRA), missing=("topic/wms",))
    assert isinstance(decision, Act)


# --- run state ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("wanted", "state", "actions"),
    [
        (RunState.RUNNING, "PAUSED", (Resume(NAME),)),
        (RunState.RUNNING, "STOPPED", (Resume(NAME),)),
        (RunState.RUNNING, "FAILED", ()),
        (RunState.PAUSED, "RUNNING", (Pause(NAME),)),
        (RunState.PAUSED, "STOPPED", (Pause(NAME),)),
        (RunState.PAUSED, "PAUSED", ()),
        (
            RunState.STOPPED,
            "RUNNING",
            (Remember(stopped_record(NAME), {"by": "stop"}), Stop(NAME)),
        ),
        (RunState.STOPPED, "STOPPED", ()),
    ],
)
def test_the_run_state_becomes_what_is_declared(
    wanted: RunState, state: str, actions: tuple[Action, ...]
) -> None:
    desired = make.desired_connector(make.connector_manifest(run_state=wanted))
    decision = decided(desired, make.observed_connector(state=state), OURS)
    assert (decision.actions if isinstance(decision, Act) else ()) == actions


def test_a_connector_without_status_is_looked_at_again_soon() -> None:
    assert wait(decided(observed=make.observed_connector(state="PENDING"))).reason == "Pending"


@pytest.mark.parametrize("seen", [None, EXTRA])
def test_somebody_s_stop_stays_and_nothing_is_written_meanwhile(seen: Any) -> None:
    observed = make.observed_connector(seen, state="STOPPED")
    decision = stall(decided(observed=observed))
    assert (decision.reason, bool(decision.diff)) == ("StoppedByHand", seen is not None)


def test_on_a_branch_a_stop_is_drift() -> None:
    decision = act(decided(observed=stopped(), protected=False))
    assert (decision.actions, decision.difference) == ((Resume(NAME),), Difference.DRIFT)


@pytest.mark.parametrize("state", ["STOPPED", "PAUSED"])
@pytest.mark.parametrize(
    ("around", "reason"),
    [
        ({"missing": ("topic/wms",)}, "NeedsMissing"),
        ({"offsets": None}, "OffsetsUnread"),
        ({"offsets": Unknown(make.AWAY)}, "Unreachable"),
        ({"offsets": (), "filled": None}, "TopicsUnread"),
        ({"offsets": (), "filled": Unknown(make.AWAY)}, "Unreachable"),
    ],
)
def test_a_connector_of_ours_is_resumed_only_after_all_was_looked_at(
    around: dict[str, Any], reason: str, state: str
) -> None:
    seen = make.observed_connector(state=state)
    assert wait(decided(observed=seen, memory=OURS, **around)).reason == reason


@pytest.mark.parametrize("state", ["STOPPED", "PAUSED"])
def test_without_offsets_it_is_resumed_only_into_empty_topics(state: str) -> None:
    seen = make.observed_connector(state=state)
    empty = decided(observed=seen, memory=OURS, offsets=(), filled=frozenset())
    assert act(empty).actions == (Resume(NAME),)
    filled = decided(observed=seen, memory=OURS, offsets=(), filled=frozenset({"wms"}))
    assert stall(filled).reason == "SnapshotWouldStart"


def test_a_start_in_the_midst_of_a_snapshot_begins_it_again_and_is_held() -> None:
    midst = ({"partition": {"server": "wms"}, "offset": {"scn": "1", "snapshot": "INITIAL"}},)
    around: dict[str, Any] = {"memory": OURS, "offsets": midst, "filled": frozenset({"wms"})}
    stopped = stall(decided(observed=make.observed_connector(state="STOPPED"), **around))
    assert stopped.reason == "SnapshotWouldStart"
    assert "its snapshot had not ended" in stopped.message
    assert stopped.held is not None
    assert stopped.held.risk is Risk.SNAPSHOT
    paused = decided(observed=make.observed_connector(state="PAUSED"), **around)
    assert act(paused).actions == (Resume(NAME),)  # a paused task keeps its snapshot


@pytest.mark.parametrize("state", ["STOPPED", "PAUSED"])
def test_without_offsets_it_is_resumed_only_where_no_other_stage_is(state: str) -> None:
    seen = make.observed_connector(state=state)
    decision = decided(
        observed=seen,
        memory=OURS,
        offsets=(),
        filled=frozenset(),
        neighbours=frozenset({"mgmt.connect.wms-connector-val.offsets"}),
    )
    assert stall(decision).reason == "ClusterShared"


HISTORY = "wms.schema-changes"
WITH_HISTORY = make.desired_connector(
    make.connector_manifest(needs=frozenset({topic_key(HISTORY)}))
)


@pytest.mark.parametrize("state", ["STOPPED", "PAUSED"])
def test_with_offsets_it_is_resumed_only_with_a_schema_history_that_holds_something(
    state: str,
) -> None:
    seen = make.observed_connector(state=state)
    unread = decided(WITH_HISTORY, seen, OURS, filled=None)
    assert wait(unread).reason == "TopicsUnread"
    full = decided(WITH_HISTORY, seen, OURS, filled=frozenset({HISTORY}))
    assert act(full).actions == (Resume(NAME),)
    empty = stall(decided(WITH_HISTORY, seen, OURS, filled=frozenset({"wms.APP.ORDERS"})))
    assert empty.reason == "HistoryEmpty"
    assert empty.held is not None
    assert (empty.held.risk, empty.held.actions) == (Risk.DATA_LOSS, (Resume(NAME),))
    assert isinstance(decided(WITH_HISTORY, seen, OURS, protected=False), Act)


@pytest.mark.parametrize("state", ["RUNNING", "FAILED"])
def test_tasks_that_missed_their_files_are_restarted_and_that_is_due_no_more(state: str) -> None:
    memory = ConnectorMemory(known=True, applied=True, restart_due=True)
    decision = decided(observed=make.observed_connector(state=state), memory=memory)
    assert set(act(decision).actions) == {
        Forget(restart_record(NAME)),
        Restart(NAME, only_failed=False),
    }


STOPPED = make.connector_manifest(run_state=RunState.STOPPED)


@pytest.mark.parametrize(
    "desired",
    [
        make.desired_connector(STOPPED),
        make.desired_connector(STOPPED, poll="1"),
        make.desired_connector(STOPPED, table_include_list="APP.OTHER"),
        make.desired_connector(STOPPED, "v2"),
        Unresolved(STOPPED, "SecretMissing", "m"),
    ],
)
def test_a_declared_stop_comes_before_all_else_and_waits_for_nothing(
    desired: DesiredConnector | Unresolved,
) -> None:
    found = act(decided(desired, missing=("secret/x", "topic/y")))
    assert found.actions == (Remember(stopped_record(NAME), {"by": "stop"}), Stop(NAME))


def test_the_connector_of_another_stage_is_not_stopped_either() -> None:
    theirs = make.observed_connector({**make.rendered(), "x-wms.managed-by": "wms-connector-val"})
    assert stall(decided(make.desired_connector(STOPPED), theirs)).reason == "OtherMark"


def test_what_we_stopped_is_not_resumed_while_something_holds_it() -> None:
    held = Stall("LoginRefused", "the database said no")
    assert decided(observed=stopped(), memory=OURS, hold_resume=held) == held
