"""Offsets outlive a connector: made anew it must not go on from those of another source."""

from __future__ import annotations

from typing import Any

import pytest

from controller.core.accept import accept_record, action_id
from controller.core.action import CreateConnector, PutConfig, Remember, Resume
from controller.core.connector_memory import stopped_record
from controller.core.decision import Act, Decision, Risk, Stall
from controller.core.model import ObservedConnector, ObservedTask, connector_key
from controller.core.plan import plan
from controller.core.source import moved_source, source_of, source_record
from tests import make

KEY = connector_key(make.NAME)
RECORD = source_record(make.NAME)
OFFSETS = ({"partition": {"server": "wms"}, "offset": {"scn": "1"}},)
TABLES = "table.include.list"


def read_before(**fields: str | None) -> dict[str, Any]:
    """What is remembered of a connector that we created anew, and that read something else."""
    config = {k: v for k, v in {**make.rendered(), **fields}.items() if v is not None}
    known = make.memory(**{stopped_record(make.NAME): {"by": "create"}})
    return {**known, RECORD: source_of(config)}


def decided(stored: Any, **changes: Any) -> Decision:
    usual: dict[str, Any] = {
        "connectors": make.snapshot(make.observed_connector(state="STOPPED")),
        "offsets": {make.NAME: OFFSETS},
        "neighbours": frozenset(),
        "filled": {make.NAME: frozenset()},
    }
    found = plan(make.world(stored=stored, **{**usual, **changes}))
    (decision,) = [step.decision for step in found.steps if step.key == KEY]
    return decision


def held(stored: Any, **changes: Any) -> Stall:
    decision = decided(stored, **changes)
    assert isinstance(decision, Stall), decision
    return decision


def done(decision: Decision) -> list[type]:
    assert isinstance(decision, Act), decision
    kinds = (PutConfig, Resume, CreateConnector)
    return [type(action) for action in decision.actions if isinstance(action, kinds)]


@pytest.mark.parametrize(
    ("field", "told"),
    [
        ("database.hostname", "another database is read"),
        ("database.dbname", "another database is read"),
        ("connector.class", "another database is read"),
        ("database.pdb.name", "another database is read"),
        ("slot.name", "another slot begins"),
    ],
)
def test_made_anew_for_another_source_it_does_not_go_on_from_the_old_offsets(
    field: str, told: str
) -> None:
    stall = held(read_before(**{field: "another"}))
    assert stall.reason == "AcceptanceRequired"
    assert stall.held is not None
    assert stall.held.risk is Risk.DATA_LOSS
    assert field in stall.message
    assert told in stall.message
    assert f"DELETE /connectors/{make.NAME}/offsets" in stall.message


def test_made_anew_for_other_tables_it_waits_as_if_they_had_been_changed() -> None:
    stall = held(read_before(**{TABLES: "APP.OTHER"}))
    assert stall.reason == "TablesChanged"
    assert stall.held is not None
    assert stall.held.risk is Risk.SNAPSHOT
    assert "captures in addition APP.ORDERS and leaves out APP.OTHER" in stall.message
    both = held(read_before(**{TABLES: "APP.OTHER", "database.port": "9"}))
    assert both.held is not None
    assert both.held.risk is Risk.DATA_LOSS
    assert "captures in addition APP.ORDERS" in both.message


def test_what_was_accepted_is_done_and_not_asked_again() -> None:
    stored = read_before(**{"database.hostname": "another"})
    stall = held(stored)
    assert stall.held is not None
    word = {accept_record(KEY, action_id(KEY, stall.held)): {"risk": "data-loss", "who": "ann"}}
    act = decided({**stored, **word})
    assert done(act) == [Resume]
    assert isinstance(act, Act)
    assert act.actions[-1] == Remember(RECORD, source_of(make.rendered()))
    assert done(decided({**stored, RECORD: source_of(make.rendered())})) == [Resume]
    moved_on = make.rendered(database_hostname="127.0.0.9")
    elsewhere = make.secret(make.version(fields={"host": "127.0.0.9"}))
    again = decided(
        {**stored, **word},
        connectors=make.snapshot(make.observed_connector(moved_on, "STOPPED")),
        secrets={"dbInfo": elsewhere, "brokerString": make.broker_secret()},
    )
    assert isinstance(again, Stall), "a word for one host is none for the next"


def test_it_goes_on_where_nothing_moved_or_nothing_is_known_or_nothing_was_read() -> None:
    assert done(decided(read_before())) == [Resume]
    moved = read_before(**{"database.hostname": "another"})
    without = {key: value for key, value in moved.items() if key != RECORD}
    assert done(decided(without)) == [Resume], "a version before this one remembered nothing"
    assert done(decided({**moved, RECORD: {"fields": "all"}})) == [Resume]
    assert done(decided(moved, offsets={make.NAME: ()})) == [Resume]


def test_what_a_write_changes_is_asked_once_and_where_it_is_written() -> None:
    stored = read_before(**{"database.hostname": "another"})
    old = make.observed_connector({**make.rendered(), "database.hostname": "another"}, "STOPPED")
    stall = held(stored, connectors=make.snapshot(old))
    assert stall.reason == "AcceptanceRequired"
    assert stall.held is not None
    kinds = [type(action) for action in stall.held.actions]
    assert kinds == [PutConfig, Remember, Resume]


def test_a_field_that_an_older_version_did_not_remember_tells_nothing() -> None:
    fields = source_of(make.rendered())["fields"]
    assert isinstance(fields, dict)
    some = {key: value for key, value in fields.items() if key != "database.hostname"}
    records = make.records({RECORD: {"fields": some}})
    changed = make.rendered(database_hostname="another")
    assert moved_source(make.NAME, changed, frozenset(), records) == ()


def test_a_spelling_a_default_or_a_new_version_of_a_secret_moves_nothing() -> None:
    before = {
        **make.rendered(),
        TABLES: "A.B,C.D",
        "database.dbname": f"${{directory:{make.ROOT}/wms/main/dbInfo/v1:sid}}",
    }
    after = {
        **before,
        TABLES: " C.D, A.B",
        "database.dbname": f"${{directory:{make.ROOT}/wms/main/dbInfo/v2:sid}}",
        "database.connection.adapter": "logminer",
    }
    records = make.records({RECORD: source_of(before)})
    assert moved_source(make.NAME, after, frozenset(), records) == ()
    ignored = frozenset({"database.port"})
    moved = {**after, "database.port": "9"}
    assert moved_source(make.NAME, moved, ignored, records) == ()


def test_nothing_that_stands_in_a_url_is_remembered() -> None:
    url = "jdbc:oracle:thin:hunter2/hunter2@127.0.0.1"
    assert "hunter2" not in str(source_of({"database.url": url}))
    records = make.records({RECORD: source_of({"database.url": url})})
    (change,) = moved_source(make.NAME, {"database.url": "other"}, frozenset(), records)
    assert (change.field, change.after) == ("database.url", "other")


# --- what is remembered ---------------------------------------------------------------------


def remembered(observed: ObservedConnector) -> bool:
    found = plan(make.world(connectors=make.snapshot(observed))).memory
    return RECORD in [action.key for action in found]


def test_it_is_followed_while_a_task_reads_and_kept_when_none_does() -> None:
    elsewhere = make.rendered(database_hostname="another")
    assert remembered(make.observed_connector(elsewhere))
    assert not remembered(make.observed_connector())
    for state in ("STOPPED", "PAUSED", "FAILED"):
        assert not remembered(make.observed_connector(elsewhere, state))
    failed = (ObservedTask(0, "FAILED", "127.0.0.1:8083"),)
    assert not remembered(ObservedConnector(KEY, elsewhere, "RUNNING", failed))
    assert not remembered(make.observed_connector({**elsewhere, "x-wms.managed-by": "other"}))
    gone = plan(make.world(connectors=make.snapshot())).memory
    assert RECORD not in [action.key for action in gone]
