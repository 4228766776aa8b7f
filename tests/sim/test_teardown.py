"""The whole teardown on fake systems in virtual time; what is asserted is what is left of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from controller.core.faults import Conflict, Denied, Fault, OutcomeUnknown, Unavailable
from controller.core.guards import own_name
from controller.core.history import HISTORY, timeline
from controller.core.hold import TEARING_DOWN_RECORD
from controller.core.memory import BIRTH_RECORD
from controller.core.model import (
    ConnectorManifest,
    Json,
    Manage,
    Revision,
    RunState,
    Source,
    StagePolicy,
    connector_key,
)
from controller.core.owner import OWNER_RECORD, Owner
from controller.core.reference import parse_template
from controller.core.stage import MARK_KEY, NAMED, RefusedStage, Stage
from controller.journal import Journal
from controller.reconciler import ALIVE_RECORD
from controller.teardown import run_teardown
from controller.teardown_report import Teardown
from tests.fakes.connect import (
    POSTGRES,
    REBALANCE,
    Clock,
    FakeConnect,
    FakeConnectWorld,
    Say,
    TimeOut,
)
from tests.fakes.kafka import FakeKafka, Mishap, unavailable
from tests.fakes.state import FakeState

FEAT = Stage("feat-demo")
CLUSTER = "the-cluster"
INTERVAL = 15.0
OURS = (
    "feat-demo.wms",
    "feat-demo.wms.schema-changes",
    "feat-demo.wms.WMS.PLAN_BASE_WVR_TBL",
    "feat-demo.wms.MMDL.PLAN_BASE_WVR_TBL",
    "__debezium-heartbeat.feat-demo.wms",
    *FEAT.connect_topics.values(),
)
THEIRS = (
    "wms",
    "wms.schema-changes",
    "wms.WMS.PLAN_BASE_WVR_TBL",
    "__debezium-heartbeat.wms",
    *Stage("main").connect_topics.values(),
    "feat-demo-2.wms.WMS.PLAN_BASE_WVR_TBL",
    "feat-demo.other",
    "aws.neighbour",
    "__consumer_offsets",
)
SLOT = "SELECT pg_drop_replication_slot('wms_feat_demo');"


class Time(Clock):
    """The clock of the fake worker, for the others too."""

    def monotonic(self) -> float:
        return self.time


@dataclass
class World:
    """A stage `feat-demo` beside others; `every` is called each time that time passes."""

    stage: Stage = FEAT
    clock: Time = field(default_factory=lambda: Time(1000.0))
    manifests: Revision | None = None
    every: Callable[[], None] = lambda: None
    said: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.connect = FakeConnect(FakeConnectWorld(clock=self.clock, cluster_id=CLUSTER))
        self.kafka = FakeKafka(CLUSTER)
        self.store = FakeState(self.clock)
        self.store.put(BIRTH_RECORD, {"stage": self.stage.name, "cluster_id": CLUSTER, "at": 1.0})
        self.store.put("applied/connector/wms-cdc", {"generation": "g"})
        self.store.put("topicId/feat-demo.wms", {"id": "x"})
        self.store.put("track/connector/wms-cdc", {"writes": 1})
        for name in (*OURS, *THEIRS):
            self.kafka.make(name, records=7)

    # what there is

    def add_connector(self, name: str = "wms-cdc", **changed: str | None) -> None:
        config = {
            "connector.class": POSTGRES,
            "topic.prefix": self.stage.topic_prefix,
            "database.hostname": "127.0.0.1",
            "database.user": "wms",
            "database.dbname": "wms",
            "slot.name": "wms_feat_demo",
            MARK_KEY: self.stage.mark,
        }
        given = {key.replace("_", "."): value for key, value in changed.items()}
        given = {MARK_KEY if key == "mark" else key: value for key, value in given.items()}
        merged = {key: value for key, value in {**config, **given}.items() if value is not None}
        reply = self.connect.world.hand("POST", "/connectors", {"name": name, "config": merged})
        assert reply.status == 201, reply

    def start_worker(self) -> None:
        self.connect.world.down = False
        self.kafka.groups[self.stage.connect_group] = 1

    def stop_worker(self) -> None:
        self.connect.world.down = True
        self.kafka.groups.pop(self.stage.connect_group, None)

    def show_life(self, *, tearing_down: bool, lasting: float = 75.0) -> None:
        value: dict[str, Json] = {"at": self.clock.now(), "tearing_down": tearing_down}
        self.store.put(ALIVE_RECORD, value, expires=self.clock.now() + lasting)

    # what is done

    def wait(self, seconds: float) -> None:
        assert seconds >= 0
        self.clock.sleep(seconds)
        self.every()

    def tear_down(self, *, dry_run: bool = False, **changed: Any) -> Teardown:
        given: dict[str, Any] = {
            "stage": self.stage,
            "confirm": self.stage.name,
            "dry_run": dry_run,
            "connect": self.connect,
            "kafka": self.kafka,
            "store": self.store,
            "clock": self.clock,
            "wait": self.wait,
            "interval": INTERVAL,
            "say": self.said.append,
            "manifests": self.manifests,
            "journal": Journal(self.store, self.clock, "ann@laptop"),
        }
        return run_teardown(**{**given, **changed})

    # what became of it

    @property
    def state(self) -> tuple[object, ...]:
        ids = {name: topic.topic_id for name, topic in self.kafka.topics.items()}
        return ids, set(self.connect.world.connectors), dict(self.store.records)

    @property
    def topics(self) -> set[str]:
        return set(self.kafka.topics)

    def is_gone(self) -> bool:
        return self.topics == set(THEIRS) and not self.store.records


@pytest.fixture
def world() -> World:
    """A stage whose service was stopped."""
    world = World()
    world.add_connector()
    world.stop_worker()
    return world


# --- the plain way --------------------------------------------------------------------------


def test_exactly_the_stages_own_topics_and_records_are_gone(world: World) -> None:
    before = {name: world.kafka.topics[name].topic_id for name in THEIRS}
    report = world.tear_down()
    assert report.ok, report.failures
    assert world.is_gone()
    assert {name: topic.topic_id for name, topic in world.kafka.topics.items()} == before
    assert set(report.deleted) == {f"topic/{name}" for name in OURS}
    assert [name for name, _ in report.left] == ["topic/feat-demo.other"]


def test_a_second_run_finds_nothing_and_is_content(world: World) -> None:
    assert world.tear_down().ok
    before = world.state
    report = world.tear_down()
    assert (report.ok, report.deleted) == (True, ())
    assert world.state == before
    assert "nothing of stage feat-demo is left to delete" in world.said


def test_a_living_worker_loses_its_connectors_and_keeps_its_topics_until_it_is_stopped() -> None:
    world = World()
    world.add_connector()
    world.add_connector("wms-second")
    world.start_worker()
    world.connect.server.fail("DELETE", "/connectors/wms-second", REBALANCE, times=2)
    report = world.tear_down()
    assert not world.connect.world.connectors
    assert set(report.deleted) == {"connector/wms-cdc", "connector/wms-second"}
    assert "Stop the service wms-connector-feat-demo first" in report.failures[0]
    assert world.topics == {*OURS, *THEIRS}
    assert TEARING_DOWN_RECORD in world.store.records

    world.stop_worker()
    again = world.tear_down()
    assert again.ok
    assert world.is_gone()
    assert again.by_hand == report.by_hand, "what the deleted connectors left is still told"
    assert again.by_hand[0].startswith(SLOT)


def test_a_connector_that_has_no_status_yet_is_not_overlooked() -> None:
    world = World()
    world.start_worker()
    world.connect.world.settle = 1000.0
    world.add_connector()
    assert world.tear_down().deleted == ("connector/wms-cdc",)
    assert not world.connect.world.connectors


def test_a_deletion_whose_answer_was_lost_is_looked_at_again() -> None:
    world = World()
    world.add_connector()
    world.start_worker()
    world.connect.server.fail("DELETE", "/connectors/wms-cdc", TimeOut(applied=True))
    report = world.tear_down()
    assert report.deleted == ("connector/wms-cdc",)


def test_a_worker_that_does_not_let_go_is_to_be_stopped() -> None:
    world = World()
    world.add_connector()
    world.start_worker()
    world.connect.server.fail("DELETE", "/connectors", REBALANCE, times=10_000)
    report = world.tear_down()
    assert "Connect does not let go" in report.failures[0]
    assert world.topics == {*OURS, *THEIRS}
    world.stop_worker()
    assert world.tear_down().ok
    assert world.is_gone()


def test_a_killed_worker_is_waited_for_until_its_group_has_forgotten_it(world: World) -> None:
    world.kafka.groups[FEAT.connect_group] = 1

    def forget() -> None:
        if world.clock.now() > 1010:
            world.kafka.groups.clear()

    world.every = forget
    assert world.tear_down().ok
    assert world.is_gone()


def test_a_worker_that_nobody_answers_for_keeps_the_topics(world: World) -> None:
    world.kafka.groups[FEAT.connect_group] = 2
    report = world.tear_down()
    assert report.failures[0].startswith("2 worker(s) of the stage still run")
    assert world.topics == {*OURS, *THEIRS}


# --- a dry run ------------------------------------------------------------------------------


@pytest.mark.parametrize("confirm", [None, "feat-demo", "main"])
def test_a_dry_run_lists_what_a_run_deletes_and_touches_nothing(confirm: str | None) -> None:
    world = World()
    world.add_connector()
    before = world.state
    rehearsed = world.tear_down(dry_run=True, confirm=confirm)
    assert world.state == before
    assert world.kafka.writes == []
    assert {method for method, _ in world.connect.server.log} == {"GET"}
    performed = world.tear_down()
    assert performed.ok
    assert rehearsed == performed


def test_a_dry_run_tells_that_the_service_is_to_be_stopped() -> None:
    world = World()
    world.add_connector()
    world.start_worker()
    report = world.tear_down(dry_run=True)
    assert report.ok
    assert any("Stop the service wms-connector-feat-demo first" in line for line in world.said)


# --- what is told afterwards -----------------------------------------------------------------


def test_a_teardown_is_in_the_history_with_all_that_it_was_about_and_its_end(world: World) -> None:
    assert world.tear_down().ok
    (told,) = timeline(world.store.read(HISTORY, 99))
    assert (told["action"], told["who"], told["risk"]) == ("Teardown", "ann@laptop", "data-loss")
    assert {str(line).removeprefix("- topic/") for line in _list(told["changes"])} == set(OURS)
    assert told["outcome"] == "done"
    assert "feat-demo" in str(told["why"])


def test_a_teardown_that_was_stopped_between_tells_why(world: World) -> None:
    world.kafka.groups[FEAT.connect_group] = 1
    assert not world.tear_down().ok
    (told,) = timeline(world.store.read(HISTORY, 99))
    assert told["outcome"] == "stopped between"
    assert "worker(s) of the stage still run" in str(told["fault"])


def test_what_is_refused_and_what_is_only_listed_is_not_in_the_history(world: World) -> None:
    world.tear_down(dry_run=True)
    world.tear_down(confirm="another")
    assert not world.store.history


def test_a_teardown_that_cannot_be_recorded_says_so_and_goes_on(world: World) -> None:
    world.store.unwritable = Unavailable("StateUnavailable", "no space is left")
    assert world.tear_down().ok
    assert world.is_gone()
    assert [line for line in world.said if "could not be recorded: no space is left" in line]


def _list(value: Any) -> list[Any]:
    assert isinstance(value, list)
    return value


# --- what is refused ------------------------------------------------------------------------


class Untouchable:
    """A system that must not even be looked at."""

    def __getattr__(self, name: str) -> Any:
        raise AssertionError(f"touched: {name}")


def refused(stage: Stage, confirm: str | None, *, dry_run: bool) -> Teardown:
    said: list[str] = []
    away: Any = Untouchable()
    report = run_teardown(
        stage=stage,
        confirm=confirm,
        dry_run=dry_run,
        connect=away,
        kafka=away,
        store=away,
        clock=away,
        wait=lambda _seconds: None,
        interval=INTERVAL,
        say=said.append,
        manifests=None,
    )
    assert said
    return report


@pytest.mark.parametrize("dry_run", [False, True])
@pytest.mark.parametrize("name", NAMED)
def test_a_named_stage_is_refused_before_anything_is_looked_at(name: str, dry_run: bool) -> None:
    report = refused(Stage(name), name, dry_run=dry_run)
    assert report.failures == (
        f"{name} is a named stage: nothing of a named stage is ever deleted.",
    )


@dataclass(frozen=True, slots=True)
class Liar(Stage):
    """A stage that calls itself ephemeral, whatever its name."""

    @property
    def named(self) -> bool:
        return False


def test_a_named_stage_that_calls_itself_ephemeral_is_refused() -> None:
    assert not refused(Liar("production"), "production", dry_run=False).ok


@pytest.mark.parametrize("confirm", [None, "", "main", "feat-demo\n"])
def test_a_run_that_is_not_asked_for_by_name_is_refused(confirm: str | None) -> None:
    assert not refused(FEAT, confirm, dry_run=False).ok


def change_nothing(world: World, told: str, **changed: Any) -> None:
    before = world.state
    report = world.tear_down(**changed)
    assert told in " ".join(report.failures)
    assert report.deleted == ()
    assert world.state == before


def test_another_stages_connector_means_the_wrong_connect_and_nothing_is_touched() -> None:
    world = World()
    world.add_connector()
    world.add_connector("wms-main", mark="wms-connector-main", topic_prefix="wms")
    change_nothing(world, "is this the right Connect?")


def test_a_foreign_connector_that_appears_while_the_controller_is_waited_for_saves_ours() -> None:
    world = World()
    world.add_connector()
    world.show_life(tearing_down=False)

    def cycle() -> None:
        if "wms-main" not in world.connect.world.connectors:
            world.add_connector("wms-main", mark="wms-connector-main", topic_prefix="wms")
        world.show_life(tearing_down=True)

    world.every = cycle
    report = world.tear_down()
    assert "is this the right Connect?" in " ".join(report.failures)
    assert set(world.connect.world.connectors) == {"wms-cdc", "wms-main"}
    assert world.topics == {*OURS, *THEIRS}


def test_our_mark_over_a_foreign_prefix_is_refused() -> None:
    world = World()
    world.add_connector(topic_prefix="wms")
    change_nothing(world, "does not write under the topic prefix")


def test_a_connector_without_a_mark_is_refused() -> None:
    world = World()
    world.add_connector(mark=None)
    change_nothing(world, "does not carry the mark")


def test_another_cluster_is_refused(world: World) -> None:
    world.kafka.id = "another-cluster"
    change_nothing(world, "has been seen on cluster the-cluster")


def test_the_connect_of_another_cluster_is_refused() -> None:
    world = World()
    world.connect.world.cluster_id = "another-cluster"
    change_nothing(world, "Connect itself uses cluster another-cluster")


def test_another_stages_memory_is_refused(world: World) -> None:
    world.store.put(BIRTH_RECORD, {"stage": "main", "cluster_id": CLUSTER})
    change_nothing(world, "state store is that of stage main")


def test_a_cap_is_kept(world: World) -> None:
    change_nothing(world, "more topics than its cap allows", cap=len(OURS) - 1)
    assert world.tear_down(cap=len(OURS)).ok


def test_a_topic_that_may_not_be_seen_spares_them_all(world: World) -> None:
    world.kafka.denied.add("feat-demo.wms.schema-changes")
    change_nothing(world, "list of topics is not complete")


def test_brokers_that_are_away_spare_everything(world: World) -> None:
    world.kafka.outage = unavailable()
    change_nothing(world, "no broker answers")


def test_a_store_that_is_away_spares_everything(world: World) -> None:
    world.store.broken = Unavailable("StateUnavailable", "no store")
    change_nothing(world, "no store")


def test_a_connect_that_answers_and_does_not_tell_is_no_dead_one(world: World) -> None:
    world.connect.world.down = False
    world.connect.server.fail("GET", "/connectors", Say(401, "who are you"), times=10_000)
    change_nothing(world, "Connect answers, but does not tell its connectors")


# --- the controller -------------------------------------------------------------------------


def test_a_controller_that_acknowledges_is_waited_for(world: World) -> None:
    world.show_life(tearing_down=False)
    seen: list[set[str]] = []

    def cycle() -> None:
        if world.clock.now() == 1005:
            seen.append(world.topics)
            world.show_life(tearing_down=TEARING_DOWN_RECORD in world.store.records, lasting=6)

    world.every = cycle
    assert world.tear_down().ok
    assert seen == [{*OURS, *THEIRS}]
    assert world.is_gone()


def test_a_controller_that_was_killed_is_waited_for_until_its_sign_of_life_expires(
    world: World,
) -> None:
    world.show_life(tearing_down=False)
    assert world.tear_down().ok
    assert 1075 <= world.clock.now() < 1110
    assert world.is_gone()


def test_a_controller_that_never_acknowledges_keeps_everything(world: World) -> None:
    world.show_life(tearing_down=False)
    world.every = lambda: world.show_life(tearing_down=False)
    report = world.tear_down()
    assert "does not acknowledge the teardown" in report.failures[0]
    assert world.topics == {*OURS, *THEIRS}
    assert world.clock.now() <= 1000 + 3 * INTERVAL + 36


def test_an_acknowledgement_of_an_earlier_teardown_is_none_of_this_one(world: World) -> None:
    world.show_life(tearing_down=True)
    stale = world.store.records[ALIVE_RECORD]
    world.every = lambda: world.store.records.__setitem__(ALIVE_RECORD, stale)
    report = world.tear_down()
    assert report.ok
    assert world.clock.now() >= 1075, "it was waited for until it expired"


def test_a_controller_that_lives_on_keeps_the_mark_and_with_it_its_hands_still(
    world: World,
) -> None:
    def cycle() -> None:
        world.show_life(tearing_down=TEARING_DOWN_RECORD in world.store.records)

    cycle()
    world.every = cycle
    report = world.tear_down()
    assert "controller still runs" in report.failures[0]
    assert world.topics == set(THEIRS)
    assert {TEARING_DOWN_RECORD, BIRTH_RECORD} <= set(world.store.records)

    world.every = lambda: None
    world.store.delete(ALIVE_RECORD)  # SIGTERM: it says goodbye
    assert world.tear_down().ok
    assert world.is_gone()


# --- what comes back ------------------------------------------------------------------------


def test_a_topic_that_comes_back_is_a_failure_and_a_rerun_ends_it(world: World) -> None:
    table = "feat-demo.wms.WMS.PLAN_BASE_WVR_TBL"

    def produce() -> None:
        if table not in world.topics:
            world.kafka.make(table)

    world.every = produce
    report = world.tear_down()
    assert [table in failure for failure in report.failures] == [True]
    assert f"topic/{table}" not in report.deleted
    assert set(world.store.records) > {TEARING_DOWN_RECORD}, "the stage stays marked"

    world.every = lambda: None
    assert world.tear_down().ok
    assert world.is_gone()


def test_a_worker_that_was_started_again_is_a_failure(world: World) -> None:
    world.every = world.start_worker
    report = world.tear_down()
    assert "still run" in report.failures[-1]
    assert TEARING_DOWN_RECORD in world.store.records


class ReplacingKafka(FakeKafka):
    """Between two listings somebody creates a topic again."""

    def __init__(self, replaced: str, at: int) -> None:
        super().__init__(CLUSTER)
        self._replaced, self._at = replaced, at
        self._listings = 0

    def list_topics(self) -> Mapping[str, str]:
        listed = super().list_topics()
        self._listings += 1
        if self._listings == self._at:
            self.make(self._replaced, records=1)
        return listed


@pytest.mark.parametrize("at", [2, 3])
def test_a_topic_that_was_created_again_meanwhile_is_not_deleted(at: int) -> None:
    table = "feat-demo.wms.WMS.PLAN_BASE_WVR_TBL"
    world = World()
    world.kafka = ReplacingKafka(table, at)
    for name in (*OURS, *THEIRS):
        world.kafka.make(name)
    report = world.tear_down()
    assert not report.ok
    assert world.kafka.topics[table].records == 1
    assert world.tear_down().ok, "a rerun knows the new one"
    assert world.is_gone()


# --- half-done runs -------------------------------------------------------------------------


@pytest.mark.parametrize("mishap", [*Mishap, Conflict("Moved", "x"), Denied("KafkaDenied", "x")])
def test_a_deletion_that_goes_wrong_is_finished_by_a_rerun(
    world: World, mishap: Mishap | Fault
) -> None:
    world.kafka.mishaps.extend([None, mishap])
    first = world.tear_down()
    assert first.ok is (mishap is Mishap.LOST_AFTER)
    assert set(THEIRS) <= world.topics
    assert world.tear_down().ok
    assert world.is_gone()


def test_brokers_that_go_away_end_the_run_at_once(world: World) -> None:
    world.kafka.mishaps.extend([None, unavailable()])
    report = world.tear_down()
    assert "no broker answers" in report.failures[-1]
    assert len(world.topics) == len(OURS) + len(THEIRS) - 1
    assert world.tear_down().ok
    assert world.is_gone()


class Fuse:
    """Lets so many calls of all systems through, then faults once, before or after the call."""

    def __init__(self, calls: int, *, after: bool) -> None:
        self.left = calls
        self.after = after

    def wrap(self, system: object) -> Any:
        return _Fused(system, self)

    def blown(self) -> bool:
        self.left -= 1
        return self.left == 0


class _Fused:
    def __init__(self, system: object, fuse: Fuse) -> None:
        self._system = system
        self._fuse = fuse

    def __getattr__(self, name: str) -> Any:
        def call(*given: Any, **named: Any) -> Any:
            blown = self._fuse.blown()
            if blown and not self._fuse.after:
                raise Unavailable("Fuse", "before")
            answer = getattr(self._system, name)(*given, **named)
            if blown:
                raise OutcomeUnknown("Fuse", "after")
            return answer

        return call


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("living", [False, True])
def test_a_run_that_broke_off_anywhere_is_finished_by_a_rerun(living: bool, after: bool) -> None:
    for calls in range(1, 200):
        world = World()
        world.add_connector()
        if living:
            world.start_worker()
        else:
            world.stop_worker()
        fuse = Fuse(calls, after=after)
        world.tear_down(
            connect=fuse.wrap(world.connect),
            kafka=fuse.wrap(world.kafka),
            store=fuse.wrap(world.store),
        )
        assert set(THEIRS) <= world.topics
        if world.topics == set(THEIRS) and world.store.records:
            assert TEARING_DOWN_RECORD in world.store.records, "it goes last"
        world.stop_worker()
        last = world.tear_down()
        assert last.ok, (calls, last.failures)
        assert world.is_gone()
        if fuse.left > 0:
            assert calls > 10
            return
    raise AssertionError("a run makes no more than 200 calls")


# --- the SQL --------------------------------------------------------------------------------


def test_with_a_dead_worker_the_sql_comes_from_the_manifests(world: World) -> None:
    key = connector_key("wms-cdc")
    config = {
        "connector.class": POSTGRES,
        "slot.name": "wms_feat_demo",
        "database.password": "${secret:dbInfo:password}",
    }
    manifest = ConnectorManifest(
        key=key,
        generation="g",
        connector_class=POSTGRES,
        run_state=RunState.RUNNING,
        topic_prefix="feat-demo.wms",
        tables=(),
        history_topic=None,
        config={name: parse_template(value) for name, value in config.items()},
        ignore=frozenset(),
        needs=frozenset(),
        manage=Manage.RECONCILE,
        suspend=False,
        source=Source("base/connector.yaml", 1),
    )
    world.manifests = Revision("r", None, StagePolicy(), (), (manifest,))
    report = world.tear_down()
    assert report.by_hand == (f"{SLOT}  -- connector wms-cdc",)


# --- any names whatsoever -------------------------------------------------------------------

WORDS = st.sampled_from(
    ["a", "a-b", "ab", "wms", "WMS", "T", "schema-changes", "config", "offsets", "status", "main"]
)
HEADS = st.sampled_from(
    ["", "__debezium-heartbeat.", "mgmt.connect.wms-connector-", "a.", "a-b.", "a.wms", "wms."]
)
TOPICS = st.one_of(
    st.builds("{}{}".format, HEADS, st.lists(WORDS, max_size=4).map(".".join)),
    st.text(alphabet="ab.-_wmsWMS\n*", max_size=24),
    st.sampled_from(["a", "a-b"]).flatmap(
        lambda name: st.sampled_from(
            [*Stage(name).connect_topics.values(), Stage(name).heartbeat_topic]
        )
    ),
)


@settings(max_examples=150)
@given(
    st.sampled_from([Stage("a"), Stage("a-b"), Stage("ab")]),
    st.dictionaries(TOPICS, st.sampled_from(["", "one", "two"]), max_size=12),
    st.booleans(),
)
def test_whatever_the_listing_says_no_other_stages_topic_is_touched(
    stage: Stage, listed: Mapping[str, str], shuffled: bool
) -> None:
    world = World(stage=stage)
    world.kafka = ListingKafka(listed, shuffled=shuffled)
    world.stop_worker()
    world.tear_down()
    gone = set(listed) - set(world.kafka.topics)
    assert all(own_name(stage, name) for name in gone)
    for name in gone:
        assert not any(own_name(other, name) for other in others(stage))
    if not any(own_name(stage, name) for name, topic_id in listed.items() if not topic_id):
        assert not any(own_name(stage, name) for name in world.kafka.topics) or shuffled


class ListingKafka(FakeKafka):
    """A broker whose listing may give every topic the id of another."""

    def __init__(self, listed: Mapping[str, str], *, shuffled: bool) -> None:
        super().__init__(CLUSTER)
        self._shuffled = shuffled
        for name, topic_id in listed.items():
            self.make(name).topic_id = topic_id

    def list_topics(self) -> Mapping[str, str]:
        listed = super().list_topics()
        if not self._shuffled:
            return listed
        return dict(zip(listed, reversed([*listed.values()]), strict=True))


def others(stage: Stage) -> list[Stage]:
    found = []
    for name in (*NAMED, "a", "a-b", "ab", "a-b-a", "b", "a-wms"):
        try:
            found.append(Stage(name))
        except RefusedStage:
            continue
    return [other for other in found if other != stage]


# --- whose stage it is --------------------------------------------------------------------------


def test_the_teardown_of_another_branch_touches_nothing_and_that_of_its_own_leaves_nothing(
    world: World,
) -> None:
    mine, other = Owner("o/r", "feat-demo"), Owner("o/r", "feat_demo")
    world.store.put(OWNER_RECORD, mine.value())
    before = world.state
    for owner in (other, None):
        report = world.tear_down(owner=owner)
        assert not report.ok
        assert any("belongs to branch feat-demo of o/r" in text for text in report.failures)
        assert world.state[:2] == before[:2]
        assert OWNER_RECORD in world.store.records
        assert TEARING_DOWN_RECORD not in world.store.records
    assert world.tear_down(owner=mine).ok
    assert world.is_gone()
