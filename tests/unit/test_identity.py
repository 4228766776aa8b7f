"""Whose a connector is, what it captures, and who else is on its cluster."""

from __future__ import annotations

from typing import Any

import pytest

from controller.core.accept import accept_record, action_id
from controller.core.action import CreateConnector, PutConfig, Resume
from controller.core.connector_memory import stopped_record
from controller.core.decision import Act, Decision, Risk, Stall, Wait
from controller.core.model import Unknown, connector_key
from controller.core.plan import Plan, plan
from controller.core.world import other_offsets
from tests import make

KEY = connector_key(make.NAME)
TABLES = "table.include.list"
VAL_OFFSETS = "mgmt.connect.wms-connector-val.offsets"
OFFSETS = ({"partition": {"server": "wms"}, "offset": {"scn": "1"}},)
STOPPED: dict[str, Any] = {
    "connectors": make.snapshot(make.observed_connector(state="STOPPED")),
    "stored": make.memory(**{stopped_record(make.NAME): {"by": "create"}}),
    "filled": {make.NAME: frozenset()},
}


def decided(**changes: Any) -> Decision:
    return decision_of(plan(make.world(**changes)))


def decision_of(found: Plan) -> Decision:
    (decision,) = [step.decision for step in found.steps if step.key == KEY]
    return decision


def stalled(**changes: Any) -> Stall:
    decision = decided(**changes)
    assert isinstance(decision, Stall), decision
    return decision


def with_config(**config: str) -> Any:
    return make.snapshot(make.observed_connector({**make.rendered(), **config}))


def accepted(stall: Stall, risk: Risk, **changes: Any) -> Decision:
    """Decide again, now that a person has accepted what was held."""
    assert stall.held is not None
    word = {accept_record(KEY, action_id(KEY, stall.held)): {"risk": str(risk), "who": "ann"}}
    stored = changes.pop("stored", make.memory())
    return decided(stored={**stored, **word}, **changes)


def done(decision: Decision) -> list[type]:
    assert isinstance(decision, Act), decision
    return [
        type(action)
        for action in decision.actions
        if type(action) in (PutConfig, Resume, CreateConnector)
    ]


# --- who else is here -----------------------------------------------------------------------


def test_beside_another_named_stage_nothing_is_started_from_the_beginning() -> None:
    world = {**STOPPED, "offsets": {make.NAME: ()}, "neighbours": frozenset({VAL_OFFSETS})}
    held = stalled(**world)
    assert held.reason == "ClusterShared"
    assert VAL_OFFSETS in held.message
    assert held.held is None, "no word of a person makes two writers of one history right"


def test_alone_on_its_cluster_it_is_started() -> None:
    world = {**STOPPED, "offsets": {make.NAME: ()}, "neighbours": frozenset()}
    assert done(decided(**world)) == [Resume]


def test_it_is_not_started_before_somebody_looked_for_other_stages() -> None:
    asked = decided(**STOPPED, offsets={make.NAME: ()})
    assert isinstance(asked, Wait)
    assert asked.reason == "NeighboursUnread"
    denied = decided(**STOPPED, offsets={make.NAME: ()}, neighbours=Unknown(make.AWAY))
    assert isinstance(denied, Wait)
    assert denied.reason == "Unreachable"
    assert "could not be seen" in denied.message


def test_a_policy_that_shares_the_cluster_needs_no_look() -> None:
    shared = make.revision((make.topic(),), (make.connector_manifest(),), shared_cluster=True)
    assert done(decided(**STOPPED, offsets={make.NAME: ()}, revision=shared)) == [Resume]


def test_with_offsets_it_goes_on_and_the_neighbour_is_shown() -> None:
    assert done(decided(**STOPPED, offsets={make.NAME: OFFSETS})) == [Resume]
    shown = decided(listing=frozenset({VAL_OFFSETS}))
    assert shown.reason == "ClusterShared"
    branch = {"wms-connector-feat": "x", "mgmt.connect.wms-connector-feat.offsets": "y"}
    assert decided(listing=frozenset(branch)).reason == "InSync"


def test_only_the_other_named_stages_are_neighbours() -> None:
    assert VAL_OFFSETS in other_offsets(make.MAIN)
    assert make.MAIN.connect_topics["offsets"] not in other_offsets(make.MAIN)


def test_what_never_ran_may_get_the_history_of_its_own() -> None:
    own = "wms.schema-changes.main"
    manifest = make.connector_manifest(
        {"schema.history.internal.kafka.topic": own}, history_topic=own, generation="c2"
    )
    shared = make.revision((make.topic(),), (manifest,), shared_cluster=True)
    fresh = {**STOPPED, "revision": shared, "offsets": {make.NAME: ()}}
    assert done(decided(**fresh)) == [PutConfig, Resume]
    ran = {**fresh, "offsets": {make.NAME: OFFSETS}}
    assert stalled(**ran).reason == "ImmutableField"
    moved = make.snapshot(
        make.observed_connector({**make.rendered(), "database.dbname": "OTHER"}, "STOPPED")
    )
    assert stalled(**fresh | {"connectors": moved}).reason == "ImmutableField"
    by_hand = {**fresh, "stored": make.memory()}
    assert stalled(**by_hand).reason == "ImmutableField"


# --- the cluster itself ---------------------------------------------------------------------


@pytest.mark.parametrize(
    "changes",
    [
        {"cluster_id": "another"},
        {"connect_cluster": "another"},
        {"connect_cluster": "another", "cluster_id": Unknown(make.AWAY)},
    ],
)
def test_nothing_is_written_where_cluster_and_worker_are_not_those_of_the_stage(
    changes: dict[str, Any],
) -> None:
    drifted = make.snapshot(make.observed_topic(config={"retention.ms": "1"}))
    found = plan(make.world(connectors=make.snapshot(), topics=drifted, **changes))
    assert make.writes(found) == []
    assert decision_of(found).reason == "WrongCluster"


def test_a_worker_of_the_same_cluster_is_written_to() -> None:
    missing = make.snapshot()
    assert done(decided(connectors=missing, connect_cluster="cluster-1")) == [CreateConnector]


# --- what it captures -----------------------------------------------------------------------


def test_more_tables_wait_for_a_person_who_is_told_how_it_is_done() -> None:
    manifest = make.connector_manifest({TABLES: "APP.ORDERS,APP.NEW"}, generation="c2")
    world = {"revision": make.revision((make.topic(),), (manifest,))}
    held = stalled(**world)
    assert held.reason == "TablesChanged"
    assert "captures in addition APP.NEW" in held.message
    assert "schema history" in held.message
    assert "incremental snapshot" in held.message
    assert held.held is not None
    assert held.held.risk is Risk.SNAPSHOT
    assert done(accepted(held, Risk.SNAPSHOT, **world)) == [PutConfig]


def test_a_history_of_captured_tables_only_is_told_apart() -> None:
    only = "schema.history.internal.store.only.captured.tables.ddl"
    manifest = make.connector_manifest(
        {TABLES: "APP.ORDERS,APP.NEW", only: "true"}, generation="c2"
    )
    held = stalled(
        revision=make.revision((make.topic(),), (manifest,)),
        connectors=with_config(**{only: "true"}),
    )
    assert f"{only} is true" in held.message


def test_tables_changed_by_hand_are_left_and_shown() -> None:
    held = stalled(connectors=with_config(**{TABLES: "APP.ORDERS,APP.MORE"}))
    assert held.reason == "TablesChanged"
    assert "leaves out APP.MORE" in held.message
    assert "by hand" in held.message


def test_without_offsets_other_tables_are_no_risk() -> None:
    manifest = make.connector_manifest({TABLES: "APP.ORDERS,APP.NEW"}, generation="c2")
    world = {
        **STOPPED,
        "revision": make.revision((make.topic(),), (manifest,)),
        "offsets": {make.NAME: ()},
        "neighbours": frozenset(),
    }
    assert done(decided(**world)) == [PutConfig, Resume]


# --- whose it is ----------------------------------------------------------------------------


def unmarked(**config: str) -> Any:
    kept = {k: v for k, v in make.rendered().items() if k != "x-wms.managed-by"}
    return make.snapshot(make.observed_connector({**kept, **config}))


def forgotten() -> dict[str, Any]:
    return {k: v for k, v in make.memory().items() if k != f"applied/connector/{make.NAME}"}


def test_one_without_our_mark_is_taken_over_when_that_was_accepted() -> None:
    world = {"connectors": unmarked(poll_interval="1"), "stored": forgotten()}
    held = stalled(**world)
    assert held.reason == "Unadopted"
    assert held.held is not None
    assert held.held.risk is Risk.SNAPSHOT
    assert done(accepted(held, Risk.SNAPSHOT, **world)) == [PutConfig]
    assert isinstance(accepted(held, Risk.RESTART, **world), Stall)


def test_one_without_our_mark_of_another_database_is_never_taken_over() -> None:
    world = {"connectors": unmarked(**{"database.dbname": "OTHER"}), "stored": forgotten()}
    held = stalled(**world)
    assert held.reason == "ImmutableField"
    assert held.held is None


def test_one_without_our_mark_waits_for_the_files_that_it_would_name() -> None:
    held = stalled(connectors=unmarked(), stored=forgotten(), disk=make.disk())
    assert held.reason == "Unadopted"
    assert held.held is None


# --- dangerous settings ---------------------------------------------------------------------


def test_what_loses_changes_is_not_created_before_it_was_accepted() -> None:
    manifest = make.connector_manifest({"errors.tolerance": "all"})
    world = {"connectors": make.snapshot(), "revision": make.revision((), (manifest,))}
    held = stalled(**world)
    assert held.reason == "AcceptanceRequired"
    assert "errors.tolerance (all): changes are lost silently" in held.message
    assert held.held is not None
    assert held.held.risk is Risk.DATA_LOSS
    assert done(accepted(held, Risk.DATA_LOSS, **world)) == [CreateConnector]


def test_accepting_one_dangerous_setting_accepts_no_other() -> None:
    def world(**config: str) -> dict[str, Any]:
        manifest = make.connector_manifest(config)
        return {"connectors": make.snapshot(), "revision": make.revision((), (manifest,))}

    one = stalled(**world(**{"errors.tolerance": "all"}))
    other = world(**{"errors.tolerance": "all", "skipped.operations": "d"})
    assert isinstance(accepted(one, Risk.DATA_LOSS, **other), Stall)


def test_what_was_accepted_of_a_mode_is_all_that_the_mode_is_made_of() -> None:
    def world(data: str) -> dict[str, Any]:
        part = "snapshot.mode.configuration.based.snapshot.data"
        config = {"snapshot.mode": "configuration_based", part: data}
        declared = make.revision((), (make.connector_manifest(config),))
        return {"connectors": make.snapshot(), "revision": declared}

    quiet = stalled(**world("false"))
    assert done(accepted(quiet, Risk.SNAPSHOT, **world("false"))) == [CreateConnector]
    assert isinstance(accepted(quiet, Risk.SNAPSHOT, **world("true")), Stall)


def test_an_absent_connector_of_an_honest_config_is_created() -> None:
    assert done(decided(connectors=make.snapshot())) == [CreateConnector]
