from __future__ import annotations

import pytest

from controller.core.cluster import FIRST_SEEN_RECORD
from controller.core.faults import Transient
from controller.core.guards import DeletionRequest
from controller.core.hold import TEARING_DOWN_RECORD
from controller.core.memory import BIRTH_RECORD
from controller.core.model import (
    ABSENT,
    Absent,
    Json,
    ObservedConnector,
    Record,
    Snapshot,
    Unknown,
    connector_key,
    topic_key,
)
from controller.core.owner import OWNER_RECORD, Owner
from controller.core.stage import MARK_KEY, NAMED, Stage
from controller.core.teardown import (
    acknowledged,
    by_hand,
    came_back,
    expected_topics,
    find_connectors,
    find_topics,
    is_whole,
    mark_value,
    refuse_place,
    refuse_teardown,
    remembered_sql,
)

FEAT = Stage("feat-demo")
POSTGRES = "io.debezium.connector.postgresql.PostgresConnector"
ORACLE = "io.debezium.connector.oracle.OracleConnector"


def observed(*connectors: ObservedConnector) -> Snapshot[ObservedConnector]:
    return Snapshot({connector.key: connector for connector in connectors})


def connector(name: str, mark: str | None, prefix: str | None) -> ObservedConnector:
    config = {MARK_KEY: mark, "topic.prefix": prefix}
    known = {key: value for key, value in config.items() if value is not None}
    return ObservedConnector(connector_key(name), known, "RUNNING")


OURS = connector("wms-oracle-cdc", FEAT.mark, FEAT.topic_prefix)


# --- who may be torn down -------------------------------------------------------------------


@pytest.mark.parametrize("name", NAMED)
def test_a_named_stage_is_refused_also_when_it_is_confirmed(name: str) -> None:
    refused = refuse_teardown(Stage(name), name)
    assert refused == (f"{name} is a named stage: nothing of a named stage is ever deleted.",)


@pytest.mark.parametrize("text", ["", "Main", "main\n", "wms", "mgmt", "a" * 32, "feat.demo"])
def test_a_stage_that_no_constructor_has_seen_is_refused(text: str) -> None:
    stage = object.__new__(Stage)
    object.__setattr__(stage, "name", text)
    assert refuse_teardown(stage, text)


@pytest.mark.parametrize("confirm", [None, "", "main", "feat-demo ", "FEAT-DEMO", "yes"])
def test_it_is_asked_for_by_the_exact_name_of_the_stage(confirm: str | None) -> None:
    [refusal] = refuse_teardown(FEAT, confirm)
    assert "confirm it with the stage's own name, 'feat-demo'" in refusal
    assert refuse_teardown(FEAT, "feat-demo") == ()


# --- the right place ------------------------------------------------------------------------


FEAT_HYPHEN, FEAT_UNDERSCORE = Owner("o/r", "feat-demo"), Owner("o/r", "feat_demo")


@pytest.mark.parametrize(
    ("born", "connect", "declared", "told"),
    [
        ({"stage": "feat-demo", "cluster_id": "A"}, "A", "A", ()),
        ({}, None, None, ()),
        ({"stage": "main", "cluster_id": "A"}, "A", "A", ("that of stage main",)),
        ({"cluster_id": "B"}, "A", "A", ("has been seen on cluster B",)),
        ({}, "B", "A", ("Connect itself uses cluster B",)),
        ({}, "A", "B", ("StagePolicy declares cluster B",)),
        ({"cluster_id": "B"}, "C", None, ("seen on cluster B", "itself uses cluster C")),
    ],
)
def test_all_systems_must_be_of_one_stage_and_one_cluster(
    born: dict[str, Json], connect: str | None, declared: str | None, told: tuple[str, ...]
) -> None:
    records = {BIRTH_RECORD: Record(born, 1)} if born else {}
    refused = refuse_place(
        FEAT, records, cluster_id="A", connect_cluster_id=connect, declared=declared
    )
    assert len(refused) == len(told)
    assert all(part in sentence for part, sentence in zip(told, refused, strict=True))


def test_a_stage_that_never_was_as_declared_is_known_by_the_cluster_that_it_ran_on() -> None:
    records = {FIRST_SEEN_RECORD: Record({"cluster_id": "B"}, 1)}
    (refused,) = refuse_place(FEAT, records, cluster_id="A", connect_cluster_id="A", declared=None)
    assert "has been seen on cluster B" in refused


@pytest.mark.parametrize(
    ("known", "mine", "told"),
    [
        (None, None, None),
        (None, FEAT_UNDERSCORE, None),
        (FEAT_HYPHEN, FEAT_HYPHEN, None),
        (FEAT_HYPHEN, FEAT_UNDERSCORE, "belongs to branch feat-demo of o/r, and this is branch"),
        (FEAT_HYPHEN, Owner("o/fork", "feat-demo"), "and this is branch feat-demo of o/fork"),
        (FEAT_HYPHEN, None, "whose this is was not said"),
    ],
)
def test_a_stage_that_another_branch_owns_is_refused(
    known: Owner | None, mine: Owner | None, told: str | None
) -> None:
    records = {OWNER_RECORD: Record(known.value(), 1)} if known is not None else {}
    refused = refuse_place(
        FEAT, records, cluster_id="A", connect_cluster_id="A", declared=None, owner=mine
    )
    assert len(refused) == (told is not None)
    assert all(str(told) in sentence for sentence in refused)


# --- connectors -----------------------------------------------------------------------------


def test_a_connector_with_our_mark_and_prefix_is_to_be_deleted() -> None:
    found = find_connectors(FEAT, "feat-demo", observed(OURS))
    assert [request.name for request in found.requests] == ["wms-oracle-cdc"]
    assert found.refusals == ()


@pytest.mark.parametrize(
    ("foreign", "told"),
    [
        (connector("x", "wms-connector-main", "wms"), "does not carry the mark"),
        (connector("x", None, "feat-demo.wms"), "does not carry the mark"),
        (connector("x", "wms-connector-feat-demo", "wms"), "does not write under the topic prefix"),
        (connector("x", "wms-connector-feat-demo", None), "does not write under the topic prefix"),
    ],
)
def test_one_foreign_connector_spares_them_all(foreign: ObservedConnector, told: str) -> None:
    found = find_connectors(FEAT, "feat-demo", observed(OURS, foreign))
    assert found.requests == ()
    assert told in " ".join(found.refusals)


def test_one_unreadable_connector_spares_them_all() -> None:
    items: dict[str, ObservedConnector | Absent | Unknown] = {
        "wms-oracle-cdc": OURS,
        "other": Unknown(Transient("NoStatus", "no status")),
        "gone": ABSENT,
    }
    snapshot = Snapshot({connector_key(name): item for name, item in items.items()})
    found = find_connectors(FEAT, "feat-demo", snapshot)
    assert found.requests == ()
    [refusal] = found.refusals
    assert refusal.startswith("Connector 'other' could not be read: NoStatus: no status.")


# --- topics ---------------------------------------------------------------------------------

OWN = (
    "feat-demo.wms.MMDL.PLAN_WVR_RVSN_TBL",
    "feat-demo.wms.WMS.PLAN_BASE_WVR_TBL",
    "feat-demo.wms.schema-changes",
    "feat-demo.wms",
    "__debezium-heartbeat.feat-demo.wms",
    "mgmt.connect.wms-connector-feat-demo.config",
    "mgmt.connect.wms-connector-feat-demo.offsets",
    "mgmt.connect.wms-connector-feat-demo.status",
)
FOREIGN = (
    "wms.WMS.PLAN_BASE_WVR_TBL",
    "wms.schema-changes",
    "__debezium-heartbeat.wms",
    "mgmt.connect.wms-connector-main.config",
    "feat-demo-2.wms",
    "feat-demo-2.wms.WMS.T",
    "feat.demo.wms",
    "__consumer_offsets",
    "aws.something",
)
NEAR = (
    "feat-demo.other",
    "feat-demo.wmsx",
    "__debezium-heartbeat.feat-demo.wmsx",
    "mgmt.connect.wms-connector-feat-demo.configs",
)


def listing(*names: str) -> dict[str, str]:
    return {name: f"id-{name}" for name in names}


def names(requests: tuple[DeletionRequest, ...]) -> tuple[str, ...]:
    return tuple(request.name for request in requests)


def test_exactly_the_stages_own_topics_are_taken_and_what_connect_remembers_last() -> None:
    listed = listing(*reversed(OWN), *FOREIGN)
    found = find_topics(FEAT, "feat-demo", planned=listed, listed=listed, whole=True, cap=100)
    assert names(found.requests) == OWN
    assert (found.refusals, found.left) == ((), ())


def test_topics_that_only_look_like_the_stages_are_left_and_told() -> None:
    listed = listing(*OWN, *FOREIGN, *NEAR)
    found = find_topics(FEAT, "feat-demo", planned=listed, listed=listed, whole=True, cap=100)
    assert names(found.requests) == OWN
    assert {name for name, _ in found.left} == {f"topic/{name}" for name in NEAR}
    assert all(
        "is not one of the names that stage 'feat-demo' owns" in why for _, why in found.left
    )


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"whole": False}, "list of topics is not complete"),
        ({"cap": len(OWN) - 1}, "more topics than its cap allows"),
        ({"planned": {**listing(*OWN), OWN[0]: "another"}}, "somebody created it again"),
        ({"planned": listing(*OWN[1:])}, "has no known id"),
        ({"listed": {**listing(*OWN), OWN[0]: ""}}, "has no known id"),
        ({"confirm": "main"}, "not asked for by name"),
    ],
)
def test_one_violated_guard_spares_all_topics(changed: dict[str, object], told: str) -> None:
    given: dict[str, object] = {
        "stage": FEAT,
        "confirm": "feat-demo",
        "planned": listing(*OWN),
        "listed": listing(*OWN),
        "whole": True,
        "cap": 100,
    }
    found = find_topics(**{**given, **changed})  # type: ignore[arg-type]
    assert found.requests == ()
    assert told in " ".join(found.refusals)


def test_an_incomplete_listing_is_refused_also_when_it_shows_nothing_of_ours() -> None:
    found = find_topics(FEAT, "feat-demo", planned={}, listed={}, whole=False, cap=100)
    assert "not complete" in " ".join(found.refusals)


def test_nothing_there_is_nothing_to_refuse() -> None:
    found = find_topics(FEAT, "feat-demo", planned={}, listed={}, whole=True, cap=100)
    assert (found.requests, found.refusals, found.left) == ((), (), ())


def test_a_listing_is_whole_only_when_all_it_lacks_is_surely_not_there() -> None:
    missing = expected_topics(FEAT, None)
    assert missing == set(OWN[2:])
    assert is_whole(missing, Snapshot())
    denied = Unknown(Transient("KafkaDenied", "not authorized"))
    assert not is_whole(missing, Snapshot({topic_key("feat-demo.wms"): denied}))
    assert not is_whole(missing, Snapshot(fault=Transient("KafkaBusy", "busy")))


def test_a_topic_that_is_back_is_told_from_one_that_is_still_there() -> None:
    listed = listing(*OWN)
    found = find_topics(FEAT, "feat-demo", planned=listed, listed=listed, whole=True, cap=100)
    new = "feat-demo.wms.NEW.T"
    again = {OWN[0]: "new-id", OWN[1]: listed[OWN[1]], **listing(new, *FOREIGN, *NEAR)}
    told = came_back(FEAT, found.requests, again)
    assert len(told) == 3
    assert told[0].startswith(f"Topic {OWN[0]} was created again")
    assert told[1].startswith(f"Topic {new} was created again")
    assert told[2] == f"Topic {OWN[1]} is still there: run the teardown again."


# --- the mark -------------------------------------------------------------------------------


def alive(revision: int, *, tearing_down: bool) -> Record:
    return Record({"tearing_down": tearing_down}, revision, expires=100.0)


@pytest.mark.parametrize(
    ("now", "before", "marked_before", "answer"),
    [
        (None, None, False, True),  # no controller
        (None, alive(1, tearing_down=False), False, True),  # it is gone meanwhile
        (alive(1, tearing_down=False), alive(1, tearing_down=False), False, False),
        (alive(2, tearing_down=False), alive(1, tearing_down=False), False, False),
        (alive(2, tearing_down=True), alive(1, tearing_down=False), False, True),
        (alive(1, tearing_down=True), alive(1, tearing_down=True), False, False),  # an old word
        (alive(2, tearing_down=True), alive(1, tearing_down=True), False, True),
        (alive(1, tearing_down=True), alive(1, tearing_down=True), True, True),
        (alive(1, tearing_down=True), None, False, True),
    ],
)
def test_a_controller_has_acknowledged_when_its_new_sign_of_life_says_so(
    now: Record | None, before: Record | None, marked_before: bool, answer: bool
) -> None:
    assert acknowledged(now, before, marked_before=marked_before) is answer


def test_the_mark_keeps_the_sql_for_a_rerun() -> None:
    records = {TEARING_DOWN_RECORD: Record(mark_value(7.0, ["DROP TABLE X;"]), 1)}
    assert remembered_sql(records) == ("DROP TABLE X;",)
    assert remembered_sql({}) == ()
    assert remembered_sql({TEARING_DOWN_RECORD: Record({"byHand": ["a;", 7, None]}, 1)}) == ("a;",)


# --- what only a person can remove ----------------------------------------------------------


@pytest.mark.parametrize(
    ("config", "sql"),
    [
        (
            {
                "connector.class": POSTGRES,
                "slot.name": "wms_feat_demo",
                "plugin.name": "pgoutput",
                "publication.name": "wms_feat_demo",
                "database.dbname": "wms",
            },
            (
                "SELECT pg_drop_replication_slot('wms_feat_demo');  -- connector c, database wms",
                "DROP PUBLICATION IF EXISTS wms_feat_demo;  -- connector c, database wms",
            ),
        ),
        (
            {
                "connector.class": POSTGRES,
                "slot.name": "feat_demo",
                "publication.name": "Feat_Demo",
            },
            (
                "SELECT pg_drop_replication_slot('feat_demo');  -- connector c",
                'DROP PUBLICATION IF EXISTS "Feat_Demo";  -- connector c',
            ),
        ),
        (
            {
                "connector.class": "OracleConnector",
                "log.mining.flush.table.name": "LOG_MINING_FLUSH_feat_demo",
                "database.dbname": "CDB",
                "database.pdb.name": "PDB1",
            },
            ("DROP TABLE LOG_MINING_FLUSH_feat_demo;  -- connector c, database PDB1",),
        ),
        ({"connector.class": ORACLE, "log.mining.read.only": "true"}, ()),
        ({"connector.class": "org.apache.kafka.connect.file.FileStreamSourceConnector"}, ()),
    ],
)
def test_the_sql_names_what_the_connector_left_in_its_database(
    config: dict[str, str], sql: tuple[str, ...]
) -> None:
    found = by_hand(FEAT, {"c": config})
    assert found.sql == sql
    assert found.doubtful == ()


@pytest.mark.parametrize(
    ("config", "kept"),
    [
        ({"connector.class": ORACLE}, "table LOG_MINING_FLUSH"),
        ({"connector.class": POSTGRES}, "replication slot debezium"),
        ({"connector.class": POSTGRES, "slot.name": "wms_feat_demo_2x"}, None),
        ({"connector.class": POSTGRES, "slot.name": "xfeat_demo"}, "replication slot xfeat_demo"),
        ({"connector.class": POSTGRES, "slot.name": "wms_main"}, "replication slot wms_main"),
        (
            {"connector.class": POSTGRES, "slot.name": "feat_demo'; DROP TABLE x; --"},
            "replication slot feat_demo'; DROP TABLE x; --",
        ),
        (
            {"connector.class": POSTGRES, "slot.name": "feat_demo\n"},
            "replication slot feat_demo\\n",
        ),
        ({"connector.class": ORACLE, "log.mining.flush.table.name": "${secret:a:b}"}, "table ${"),
    ],
)
def test_no_sql_is_given_for_what_may_be_another_stages_or_is_not_plain(
    config: dict[str, str], kept: str | None
) -> None:
    found = by_hand(FEAT, {"c": config})
    if kept is None:
        assert len(found.sql) == 1
        return
    assert found.sql == ()
    [(what, why)] = found.doubtful
    assert what.startswith(kept)
    assert why.endswith("(of connector/c)")


def test_a_connector_name_cannot_break_out_of_the_comment() -> None:
    config = {"connector.class": POSTGRES, "slot.name": "feat_demo"}
    [line] = by_hand(FEAT, {"c\nDROP TABLE x;": config}).sql
    assert "\n" not in line
