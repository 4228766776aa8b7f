"""Laws of the plan, over worlds of which every part may be missing, unknown or changed."""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from hypothesis import given
from hypothesis import strategies as st

from controller.core.action import (
    Action,
    AddPartitions,
    AlterTopic,
    CreateConnector,
    CreateTopic,
    Forget,
    Pause,
    ProbeLogin,
    PutConfig,
    Remember,
    RemoveSecretFiles,
    Restart,
    Resume,
    Stop,
    ValidateConfig,
    WriteReady,
    WriteSecretFiles,
    is_own,
)
from controller.core.connector_memory import restart_record, stopped_record
from controller.core.decision import Act, Risk
from controller.core.diff import hash_config
from controller.core.hold import FREEZE_RECORD, TEARING_DOWN_RECORD, suspend_record
from controller.core.model import (
    ABSENT,
    Json,
    Kind,
    Manage,
    ObservedConnector,
    ObservedDisk,
    ObservedSecret,
    ProbeMode,
    Record,
    RunState,
    SecretVersion,
    Snapshot,
    TopicClass,
    Unknown,
    VersionKey,
    connector_key,
    topic_key,
)
from controller.core.plan import Plan, actions_of, plan
from controller.core.probe import Proved, bad_record, probe_record, read_probe
from controller.core.secret_path import named_fields
from controller.core.step import Step
from controller.core.track import Track, track_record
from controller.core.world import World
from tests import make

AWAY: Final = Unknown(make.AWAY)
SECRETS: Final = ("first-password", "second-password", "typed-in-the-clear")
V1: Final = make.version("v1")
V2: Final = make.version("v2", fields={"password": SECRETS[1], "host": "127.0.0.2"})
PARTIAL: Final = make.version("v3", fields={"password": None})
BROKEN: Final = make.version("v4", problem="holds no JSON object")
HISTORY: Final = "wms.schema-changes"
DATA: Final = make.topic().name
TOPIC_ACTIONS: Final = (CreateTopic, AddPartitions, AlterTopic)
CONNECTOR_ACTIONS: Final = (CreateConnector, PutConfig, Resume, Pause, Stop, Restart)
COSTLY: Final = (Risk.ORDERING, Risk.SNAPSHOT, Risk.DATA_LOSS)

history = make.topic(
    HISTORY,
    topic_class=TopicClass.SCHEMA_HISTORY,
    partitions=1,
    config={"cleanup.policy": "delete", "retention.ms": "-1"},
)
EDITS: Final[tuple[Mapping[str, str | None], ...]] = (
    {},
    {"extra": "1"},
    {"table.include.list": "APP.OTHER"},
    {"database.password": SECRETS[2]},
    {"database.hostname": "127.0.0.9"},
    {"snapshot.mode": "always"},
    {"x-wms.managed-by": None},
    {"x-wms.managed-by": "wms-connector-val"},
    {"topic.prefix": "other"},
    {"table.include.list": None},
)
STATES: Final = ("RUNNING", "PAUSED", "STOPPED", "FAILED", "UNASSIGNED", "PENDING")


def mostly(draw: st.DrawFn, usual: Any, *rare: Any, one_in: int = 8) -> Any:
    """Draw the usual value, and one of the rare ones seldom enough that several things go well."""
    if draw(st.integers(1, one_in)) < one_in:
        return usual
    return draw(st.sampled_from(rare))


def edited(config: Mapping[str, str], edit: Mapping[str, str | None]) -> dict[str, str]:
    return {k: v for k, v in {**config, **edit}.items() if v is not None}


@st.composite
def observed_topics(draw: st.DrawFn) -> Snapshot[Any]:
    if mostly(draw, False, True):
        return Snapshot(fault=make.AWAY)
    items: dict[Any, Any] = {}
    for name in (DATA, HISTORY):
        retention = draw(st.sampled_from(["1000", "7", "99999999999", "-1", None]))
        config = {"cleanup.policy": draw(st.sampled_from(["delete", "compact"]))}
        if retention is not None:
            config["retention.ms"] = retention
        seen = make.observed_topic(name, partitions=draw(st.sampled_from([1, 3, 5])), config=config)
        items[topic_key(name)] = mostly(draw, seen, ABSENT, AWAY)
    return Snapshot(items)


@st.composite
def observed_connectors(draw: st.DrawFn) -> Snapshot[Any]:
    if mostly(draw, False, True):
        return Snapshot(fault=make.AWAY)
    edit = mostly(draw, {}, *EDITS, one_in=2)
    config = edited(make.rendered(draw(st.sampled_from(["v1", "v2"]))), edit)
    seen = make.observed_connector(config, mostly(draw, "RUNNING", *STATES, one_in=3))
    ours = mostly(draw, seen, ABSENT, ABSENT, AWAY, one_in=4)
    items: dict[Any, Any] = {connector_key(make.NAME): ours}
    if mostly(draw, False, True):
        rival = {**make.rendered(), "name": "rival", "x-wms.managed-by": make.MAIN.mark}
        items[connector_key("rival")] = make.observed_connector(rival, "RUNNING", "rival")
    return Snapshot(items)


@st.composite
def secrets(draw: st.DrawFn) -> dict[str, Any]:
    versions: list[SecretVersion] = [V1, V2, PARTIAL, BROKEN]
    current = mostly(draw, draw(st.sampled_from([V1, V2])), PARTIAL, BROKEN)
    older = [v for v in versions if v is not current]
    previous = mostly(draw, older[0], ABSENT, AWAY, *older[1:])
    named: dict[VersionKey, Any] = {
        v.key: mostly(draw, v, ABSENT, AWAY) for v in versions if v is not current
    }
    fallback = draw(st.booleans())
    login = ObservedSecret("dbInfo", current.key.path, fallback, current, previous, named)
    return {
        "dbInfo": mostly(draw, login, ABSENT, AWAY),
        "brokerString": mostly(draw, make.broker_secret(), ABSENT, AWAY),
    }


@st.composite
def disks(draw: st.DrawFn) -> ObservedDisk | Unknown:
    if mostly(draw, False, True):
        return AWAY
    both, some = frozenset({"user", "password"}), frozenset({"user"})
    keys = [v.key for v in (V1, V2, PARTIAL) if mostly(draw, True, False)]
    ready = mostly(draw, make.BROKERS, None, "127.0.0.1:1")
    return ObservedDisk({key: mostly(draw, both, some) for key in keys}, ready)


@st.composite
def stores(draw: st.DrawFn, now: float = make.NOW) -> dict[str, Mapping[str, Json]] | Unknown:
    if mostly(draw, False, True, one_in=12):
        return AWAY
    more: dict[str, Mapping[str, Json]] = {f"topicId/{HISTORY}": {"id": "x"}}
    address = "oracle://127.0.0.1:1521/ORCL"
    second = "oracle://127.0.0.2:1521/ORCL"
    for found, at in ((V1, address), (V2, second), (V2, address)):
        outcome = mostly(draw, "accepted", "refused", "unreachable", "doubtful", None, one_in=3)
        failures = draw(st.sampled_from([0, 1, 2]))
        stamp: Mapping[str, Json] = {
            "attempts": 1,
            "failures": failures,
            "at": now - draw(st.sampled_from([0.0, 10_000.0])),
            "outcome": outcome,
            "message": "m",
        }
        if mostly(draw, True, False, one_in=3):
            more[probe_record(found.key, at)] = stamp
        if mostly(draw, False, True):
            more[bad_record(found.key, at)] = {"message": "refused"}
    track = Track("c1", writes=3, flapping_until=now + 60, attempts=1, not_before=now + 5)
    if mostly(draw, False, True):
        more[track_record(connector_key(make.NAME))] = {
            name: getattr(track, name) for name in Track.__slots__
        }
    more[stopped_record(make.NAME)] = {"by": "create"}
    more[restart_record(make.NAME)] = {"version": "v"}
    refused = draw(st.sampled_from([make.rendered("v1"), make.rendered("v2")]))
    explained: tuple[Json, ...] = (None, [], [["snapshot.mode", "m"]], [["database.user", "m"]])
    errors = draw(st.sampled_from(explained))
    refusal: Mapping[str, Json] = {
        "config": hash_config(refused),
        "at": now,
        "times": 1,
        "probe": draw(st.sampled_from([None, "accepted", "unreachable", "doubtful"])),
        "errors": errors,
    }
    if mostly(draw, False, True, one_in=3):
        more[f"stamp/refusal:{make.NAME}"] = refusal
    for record in (
        FREEZE_RECORD,
        TEARING_DOWN_RECORD,
        suspend_record(connector_key(make.NAME)),
        f"intent/probe:{make.NAME}",
    ):
        if mostly(draw, False, True, one_in=20):
            more[record] = {"reason": "r"}
    whole = make.memory(**more)
    dropped = draw(st.frozensets(st.sampled_from(sorted(whole)), max_size=3))
    fresh = mostly(draw, False, True, one_in=3)  # no topic was ever seen
    gone = {f"topicId/{DATA}", f"topicId/{HISTORY}"} if fresh else set[str]()
    return {key: value for key, value in whole.items() if key not in {*dropped, *gone}}


@st.composite
def worlds(draw: st.DrawFn, /, **fixed: Any) -> World:
    needs = frozenset({topic_key(DATA), topic_key(HISTORY)})
    manifest = make.connector_manifest(
        needs=needs,
        generation=draw(st.sampled_from(["c1", "c1", "c2"])),
        run_state=mostly(draw, RunState.RUNNING, RunState.PAUSED, RunState.STOPPED, one_in=4),
        manage=mostly(draw, Manage.RECONCILE, Manage.OBSERVE, one_in=20),
        suspend=mostly(draw, False, True, one_in=20),
    )
    policy = {
        "probe": draw(st.sampled_from(ProbeMode)),
        "observe_only": mostly(draw, False, True, one_in=20),
    }
    revision = make.revision((make.topic(), history), (manifest,), **policy)
    offset = ({"partition": {}, "offset": {"scn": "1"}},)
    values: dict[str, Any] = {
        "revision": mostly(draw, revision, None, one_in=20),
        "topics": draw(observed_topics()),
        "connectors": draw(observed_connectors()),
        "secrets": draw(secrets()),
        "disk": draw(disks()),
        "stored": draw(stores()),
        "cluster_id": mostly(draw, "cluster-1", "cluster-2", AWAY),
        "offsets": mostly(draw, {make.NAME: offset}, {}, {make.NAME: ()}, one_in=3),
        "filled": draw(st.sampled_from([{}, {make.NAME: frozenset[str]()}, {make.NAME: AWAY}])),
        "listing": draw(st.sampled_from([None, {DATA: "i", "wms.APP.OLD": "i"}])),
        **fixed,
    }
    return make.world(**values)


def steps_with(planned: Plan, kinds: tuple[type[Action], ...]) -> list[Step]:
    return [
        step
        for step in planned.steps
        if isinstance(step.decision, Act)
        and any(isinstance(a, kinds) for a in step.decision.actions)
    ]


@given(worlds())
def test_what_is_unknown_is_never_acted_on(world: World) -> None:
    planned = plan(world)
    for step in steps_with(planned, TOPIC_ACTIONS):
        assert not isinstance(world.topics.get(step.key), Unknown)
    for step in steps_with(planned, (*CONNECTOR_ACTIONS, ValidateConfig)):
        assert not isinstance(world.connectors.get(step.key), Unknown)
    for step in steps_with(planned, (ProbeLogin,)):
        assert not isinstance(world.connectors.get(connector_key(step.key.name)), Unknown)
    actions = actions_of(planned)
    if isinstance(world.disk, Unknown):
        files = (WriteSecretFiles, RemoveSecretFiles, WriteReady, CreateConnector)
        assert not any(isinstance(action, files) for action in actions)
    if isinstance(world.secrets["dbInfo"], Unknown):
        logins = (PutConfig, CreateConnector, ProbeLogin, WriteSecretFiles)
        named = [a for a in actions if isinstance(a, logins)]
        assert not any("dbInfo" in repr(action) for action in named)


@given(worlds(stored=AWAY))
def test_without_a_store_nothing_but_files_is_written(world: World) -> None:
    kinds = (WriteSecretFiles, WriteReady)
    assert all(isinstance(action, kinds) for action in actions_of(plan(world)))
    assert plan(world).memory == ()


@given(worlds())
def test_without_a_revision_nothing_but_own_things_is_written(world: World) -> None:
    planned = plan(replace(world, revision=None))
    assert all(is_own(action) for action in actions_of(planned))
    assert not any(isinstance(action, ProbeLogin) for action in actions_of(planned))


@given(worlds())
def test_a_named_stage_takes_no_costly_step_that_nobody_accepted(world: World) -> None:
    for step in plan(world).steps:
        if isinstance(step.decision, Act):
            assert step.decision.risk not in COSTLY


@given(worlds())
def test_no_config_names_a_version_that_is_not_there_or_neither_proved_nor_in_use(
    world: World,
) -> None:
    for action in actions_of(plan(world)):
        if not isinstance(action, PutConfig | CreateConnector):
            continue
        seen = world.observed_connectors().get(action.name)
        used = named_fields(seen.config, world.root) if seen is not None else {}
        assert isinstance(world.disk, ObservedDisk)
        host = action.config["database.hostname"]
        for version, fields in named_fields(action.config, world.root).items():
            assert fields <= world.disk.versions[version]
            address = f"oracle://{host}:1521/ORCL"
            mode = world.policy.probe
            state = read_probe(world.records, version, address, mode, world.now)
            assert isinstance(state, Proved) or version in used


@given(worlds())
def test_nothing_is_ever_lowered_on_a_topic(world: World) -> None:
    for action in actions_of(plan(world)):
        assert not isinstance(action, AddPartitions), "partitions need a person here"
        if isinstance(action, AlterTopic) and action.name == DATA:
            seen = world.topics.get(topic_key(DATA))
            before = seen.config.get("retention.ms", "604800000")  # type: ignore[union-attr]
            after = int(action.config.get("retention.ms", before))
            assert before != "-1"
            assert after >= int(before)


@given(worlds())
def test_a_connector_with_another_mark_is_never_written_to(world: World) -> None:
    theirs = {
        key: replace(seen, config={**seen.config, "x-wms.managed-by": "wms-connector-val"})
        for key, seen in world.connectors.items.items()
        if isinstance(seen, ObservedConnector)
    }
    items = {**world.connectors.items, **theirs}
    planned = plan(replace(world, connectors=replace(world.connectors, items=items)))
    assert not [step for step in steps_with(planned, CONNECTOR_ACTIONS) if step.key in theirs]


@given(worlds(), st.sampled_from(["unreachable", "doubtful", None]), st.integers(0, 3))
def test_a_login_is_stamped_before_it_is_tried_and_never_after_two_that_may_have_failed(
    world: World, outcome: str | None, failures: int
) -> None:
    stamp_of: Mapping[str, Json] = {"failures": failures, "attempts": 3, "outcome": outcome}
    stored = {
        key: Record(stamp_of, 1) if key.startswith("stamp/probe") else record
        for key, record in world.records.items()
    }
    world = replace(world, stored=stored)
    for step in steps_with(plan(world), (ProbeLogin,)):
        assert isinstance(step.decision, Act)
        stamp, probe = step.decision.actions
        assert isinstance(stamp, Remember)
        assert isinstance(probe, ProbeLogin)
        assert stamp.key == probe_record(probe.version, probe.login.address)
        before = world.records.get(stamp.key)
        assert before is None or int(str(before.value["failures"])) < 2
        assert bad_record(probe.version, probe.login.address) not in world.records


@given(worlds(), st.randoms(use_true_random=False))
def test_a_plan_does_not_depend_on_the_order_of_anything(world: World, dice: random.Random) -> None:
    def mixed(items: Mapping[Any, Any]) -> dict[Any, Any]:
        pairs = list(items.items())
        dice.shuffle(pairs)
        return dict(pairs)

    def shuffled(items: tuple[Any, ...]) -> tuple[Any, ...]:
        return tuple(dice.sample(items, len(items)))

    revision = world.revision
    if revision is not None:
        revision = replace(
            revision,
            topics=shuffled(revision.topics),
            connectors=shuffled(revision.connectors),
        )
    other = replace(
        world,
        revision=revision,
        topics=replace(world.topics, items=mixed(world.topics.items)),
        connectors=replace(world.connectors, items=mixed(world.connectors.items)),
        secrets=mixed(world.secrets),
        stored=AWAY if isinstance(world.stored, Unknown) else mixed(world.stored),
        disk=world.disk
        if isinstance(world.disk, Unknown)
        else replace(world.disk, versions=mixed(world.disk.versions)),
    )
    assert plan(other) == plan(world)


@given(worlds())
def test_no_text_of_a_world_or_a_plan_holds_the_value_of_a_secret(world: World) -> None:
    planned = plan(world)
    printed = f"{planned!r} {planned} {world.secrets!r} {actions_of(planned)!r}"
    assert not [word for word in SECRETS[:2] if word in printed]
    stored = repr([action for action in planned.memory if isinstance(action, Remember)])
    assert not [word for word in SECRETS if word in stored]


@given(worlds())
def test_steps_come_in_order_and_each_resource_has_one(world: World) -> None:
    steps = plan(world).steps
    order = [Kind.SECRET, Kind.WORKER, Kind.LOGIN, Kind.TOPIC, Kind.CONNECTOR, Kind.RESTART]
    places = [(order.index(step.key.kind), step.key.name) for step in steps]
    assert places == sorted(set(places))


# --- what follows when a plan is applied ------------------------------------------------------


@dataclass
class Applied:
    """The world after actions, as far as a plan can see it."""

    world: World

    def records(self) -> dict[str, Record]:
        return dict(self.world.records)

    def take(self, action: Action) -> None:
        world = self.world
        match action:
            case Remember(key, value):
                self.world = replace(world, stored={**self.records(), key: Record(value, 1)})
            case Forget(key):
                stored = {k: v for k, v in self.records().items() if k != key}
                self.world = replace(world, stored=stored)
            case WriteSecretFiles(version, fields):
                assert isinstance(world.disk, ObservedDisk)
                versions = {**world.disk.versions, version: frozenset(fields)}
                self.world = replace(world, disk=replace(world.disk, versions=versions))
            case RemoveSecretFiles(version):
                assert isinstance(world.disk, ObservedDisk)
                versions = {k: v for k, v in world.disk.versions.items() if k != version}
                self.world = replace(world, disk=replace(world.disk, versions=versions))
            case WriteReady(line):
                assert isinstance(world.disk, ObservedDisk)
                self.world = replace(world, disk=replace(world.disk, ready=line))
            case ProbeLogin(version, login, refusal):
                accepted: Mapping[str, Json] = {
                    "attempts": 1,
                    "failures": 0,
                    "outcome": "accepted",
                }
                self.take(Remember(probe_record(version, login.address), accepted))
                if refusal:
                    old = world.records[refusal].value
                    self.take(Remember(refusal, {**old, "probe": "accepted"}))
            case ValidateConfig():
                old = world.records[action.record].value
                self.take(Remember(action.record, {**old, "errors": []}))
            case CreateTopic() | AddPartitions() | AlterTopic():
                self._take_topic(action)
            case _:
                self._take_connector(action)

    def _take_topic(self, action: CreateTopic | AddPartitions | AlterTopic) -> None:
        key = topic_key(action.name)
        seen: Any = self.world.topics.get(key)
        match action:
            case CreateTopic(name, partitions, _, config):
                seen = make.observed_topic(name, partitions=partitions, config=dict(config))
            case AddPartitions(_, total):
                seen = replace(seen, partitions=total)
            case AlterTopic(_, config):
                seen = replace(seen, config={**seen.config, **config})
        items = {**self.world.topics.items, key: seen}
        self.world = replace(self.world, topics=Snapshot(items))

    def _take_connector(self, action: Any) -> None:
        key = connector_key(action.name)
        seen: Any = self.world.connectors.get(key)
        match action:
            case CreateConnector():
                seen = make.observed_connector(action.config, "STOPPED", action.name)
            case PutConfig():
                seen = replace(seen, config=dict(action.config))
            case Resume():
                seen = make.observed_connector(seen.config, "RUNNING", action.name)
            case Pause():
                seen = make.observed_connector(seen.config, "PAUSED", action.name)
            case Stop():
                seen = make.observed_connector(seen.config, "STOPPED", action.name)
        items = {**self.world.connectors.items, key: seen}
        self.world = replace(self.world, connectors=Snapshot(items))

    def cycle(self, most: int | None = None) -> int:
        """Plan, apply at most so many actions, keep the memory; answer how many were due."""
        planned = plan(self.world)
        actions = actions_of(planned)
        for action in actions[:most]:
            self.take(action)
        if most is None:
            for record in planned.memory:
                self.take(record)
        later = self.world.now + 20.0
        self.world = replace(self.world, now=later)
        return len(actions) + len(planned.memory)


@given(worlds(), st.lists(st.integers(0, 6), max_size=4))
def test_applied_and_broken_off_anywhere_plans_become_quiet(
    world: World, breaks: list[int]
) -> None:
    now = Applied(world)
    for most in breaks:
        now.cycle(most)
    for _ in range(60):  # as long as ten minutes, after which files that nobody names go
        if now.cycle() == 0 and _ > 40:
            break
    assert now.cycle() == 0, (actions_of(plan(now.world)), plan(now.world).memory)


@given(
    worlds(
        revision=make.revision((make.topic(), history), (make.connector_manifest(),)),
        cluster_id="cluster-1",
        stored=make.memory(),
        connectors=make.snapshot(),
        offsets={make.NAME: ()},
        filled={make.NAME: frozenset()},
        neighbours=frozenset(),
        secrets={"dbInfo": make.secret(V2, V1), "brokerString": make.broker_secret()},
        topics=make.snapshot(
            make.observed_topic(),
            make.observed_topic(HISTORY, partitions=1, config=dict(history.config)),
        ),
    ),
    st.integers(0, 20),
)
def test_a_connector_that_is_gone_comes_back_running_wherever_it_was_broken_off(
    world: World, most: int
) -> None:
    if isinstance(world.disk, Unknown):
        world = replace(world, disk=make.disk())
    now = Applied(world)
    now.cycle(most)
    for _ in range(8):
        now.cycle()
    seen = now.world.observed_connectors()[make.NAME]
    assert seen.state == "RUNNING"
    assert "v2:password" in seen.config["database.password"]
    assert plan(now.world).converged
