"""Laws of risk: what nobody accepted is not done, a word reaches no further, and forgetting it all
only makes more careful. What costs something is judged here anew, from actions and observation."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any, Final

from hypothesis import given
from hypothesis import strategies as st

from controller.core.accept import ACCEPTABLE, accept_record, action_id, used_record
from controller.core.action import (
    Action,
    AddPartitions,
    AlterTopic,
    CreateConnector,
    CreateTopic,
    PutConfig,
    Resume,
    is_own,
)
from controller.core.connector_memory import stopped_record
from controller.core.decision import Act, Decision, Stall
from controller.core.model import (
    ABSENT,
    Absent,
    Acceptance,
    Json,
    ObservedConnector,
    ObservedTopic,
    Offsets,
    Record,
    ResourceKey,
    Snapshot,
    Unknown,
    connector_key,
    topic_key,
)
from controller.core.plan import actions_of, plan
from controller.core.reference import parse_template
from controller.core.source import IMMUTABLE, source_of, source_record
from controller.core.stage import MARK_KEY
from controller.core.step import Step
from controller.core.world import World
from tests import make
from tests.property.test_plan import AWAY, DATA, HISTORY, V1, V2, worlds

FULL: Final = {make.NAME: frozenset({DATA})}
WHOLE: Final = {make.NAME: frozenset({DATA, HISTORY})}
ALONE: Final[Snapshot[Any]] = Snapshot(
    {connector_key(make.NAME): ABSENT}
)  # nobody is there, or a rival only
RIVAL: Final[Snapshot[Any]] = Snapshot(
    {
        connector_key(make.NAME): ABSENT,
        connector_key("rival"): make.observed_connector(
            {**make.rendered(), "name": "rival"}, name="rival"
        ),
    }
)
STREAMING: Final[Offsets] = ({"partition": {}, "offset": {"scn": "1"}},)
HOST: Final = "database.hostname"
ELSEWHERE: Final = source_of({**make.rendered(), HOST: "127.0.0.77"})
NEW_TABLES: Final = "APP.ORDERS,APP.NEW"
TOLERANCE: Final = "errors.tolerance"
COSTLY_KEYS: Final = (
    TOLERANCE,
    "table.include.list",
    HOST,
    "database.port",
    "database.url",
)


CALM: Final[Mapping[str, Any]] = {  # or too much is in the way of what could be done
    "cluster_id": "cluster-1",
    "stored": make.memory(),
    "secrets": {"dbInfo": make.secret(), "brokerString": make.broker_secret()},
    "disk": make.disk(V1.key, V2.key),
}


@st.composite
def risky_worlds(draw: st.DrawFn) -> World:
    """Worlds as ever, in which there often is something to lose."""
    world = draw(st.one_of(worlds(), worlds(**CALM)))
    changes: dict[str, Any] = {
        "connectors": draw(st.sampled_from([world.connectors, ALONE, RIVAL])),
        "filled": draw(st.sampled_from([world.filled, FULL, WHOLE])),
        "begun": draw(st.sampled_from([None, AWAY, True])),
        "neighbours": draw(st.sampled_from([None, frozenset[str](), frozenset({"other"})])),
        "connect_cluster": draw(st.sampled_from([None, "cluster-1", "cluster-1", "cluster-2"])),
    }
    world = replace(world, **changes)
    if draw(st.booleans()) and not isinstance(world.stored, Unknown):
        world = with_records(world, {source_record(make.NAME): ELSEWHERE})
    return _tolerant(world) if draw(st.booleans()) else world


def _tolerant(world: World) -> World:
    """Declare what drops records, so that a connector is not simply created."""
    if world.revision is None:
        return world
    template = parse_template("all")
    connectors = tuple(
        replace(one, config={**one.config, TOLERANCE: template})
        for one in world.revision.connectors
    )
    return replace(world, revision=replace(world.revision, connectors=connectors))


def costs(world: World) -> Iterator[tuple[ResourceKey, Action]]:
    """Find the actions of a plan that may lose data or order, or begin a snapshot."""
    for step in plan(world).steps:
        if isinstance(step.decision, Act):
            for action in step.decision.actions:
                if _costs(action, step.key, world):
                    yield step.key, action


def _costs(action: Action, key: ResourceKey, world: World) -> bool:
    match action:
        case AddPartitions():
            return True
        case AlterTopic():
            return key.name == DATA and _lowers(action, world)
        case CreateTopic():
            return f"topicId/{action.name}" in world.records
        case Resume():
            again = world.offsets.get(action.name) == () and bool(world.filled.get(action.name))
            return again or _goes_on_elsewhere(action, world)
        case PutConfig():
            return _changes_what_is_read(action, world)
        case CreateConnector():
            return action.config.get(TOLERANCE) == "all"
        case _:
            return False


def _goes_on_elsewhere(resume: Resume, world: World) -> bool:
    record = world.records.get(source_record(resume.name))
    fields = record.value.get("fields") if record is not None else None
    offsets = world.offsets.get(resume.name)
    if not isinstance(fields, dict) or not isinstance(offsets, tuple) or not offsets:
        return False
    host = world.observed_connectors()[resume.name].config.get(HOST)
    return HOST in fields and fields[HOST] != host


def _lowers(action: AlterTopic, world: World) -> bool:
    seen = world.topics.get(topic_key(action.name))
    assert isinstance(seen, ObservedTopic)
    if seen.config.get("cleanup.policy") != action.config.get("cleanup.policy", "delete"):
        return "cleanup.policy" in action.config
    before = seen.config.get("retention.ms", "604800000")
    after = action.config.get("retention.ms", before)
    return after != "-1" and (before == "-1" or int(after) < int(before))


def _changes_what_is_read(put: PutConfig, world: World) -> bool:
    seen = world.observed_connectors()[put.name]
    fresh = seen.state == "STOPPED" and world.offsets.get(put.name) == ()
    keys = [key for key in COSTLY_KEYS if not (fresh and key == "table.include.list")]
    changed = any(seen.config.get(key) != put.config.get(key) for key in keys)
    mode = put.config.get("snapshot.mode") == "always" != seen.config.get("snapshot.mode")
    foreign = MARK_KEY not in seen.config and f"applied/connector/{put.name}" not in world.records
    return changed or mode or (foreign and stopped_record(put.name) not in world.records)


def held_of(world: World) -> dict[ResourceKey, Act]:
    return {
        step.key: step.decision.held
        for step in plan(world).steps
        if isinstance(step.decision, Stall)
        and step.decision.held is not None
        and step.decision.held.risk in ACCEPTABLE
    }


def with_records(world: World, more: Mapping[str, Mapping[str, Json]]) -> World:
    return replace(world, stored={**world.records, **make.records(more)})


def word(key: ResourceKey, act: Act, **changes: Any) -> dict[str, Mapping[str, Json]]:
    value = {"risk": str(act.risk), "who": "ann", **changes}
    return {accept_record(key, action_id(key, act)): value}


def foreign(decision: Decision) -> tuple[Action, ...]:
    found = decision.actions if isinstance(decision, Act) else ()
    return tuple(action for action in found if not is_own(action))


def by_key(steps: tuple[Step, ...]) -> dict[ResourceKey, tuple[Action, ...]]:
    return {step.key: foreign(step.decision) for step in steps}


@given(risky_worlds())
def test_what_costs_something_is_never_done_unasked(world: World) -> None:
    assert list(costs(world)) == []


@given(risky_worlds(), st.data())
def test_a_word_lets_that_one_action_happen_and_no_other(world: World, data: st.DataObject) -> None:
    held = held_of(world)
    if not held:
        return
    key = data.draw(st.sampled_from(sorted(held)))
    before = by_key(plan(world).steps)
    after = by_key(plan(with_records(world, word(key, held[key]))).steps)
    others = {other: actions for other, actions in after.items() if other != key}
    assert others == {other: actions for other, actions in before.items() if other != key}
    wanted = tuple(action for action in held[key].actions if not is_own(action))
    assert after[key] in ((), before[key], wanted)


@given(risky_worlds(), st.sampled_from(["risk", "id", "used", "key"]))
def test_a_word_for_anything_else_changes_nothing(world: World, wrong: str) -> None:
    before = by_key(plan(world).steps)
    for key, act in held_of(world).items():
        name = action_id(key, act)
        wrongs: dict[str, dict[str, Mapping[str, Json]]] = {
            "risk": word(key, act, risk="restart"),
            "id": {accept_record(key, name[::-1] + "0"): {"risk": str(act.risk)}},
            "used": {**word(key, act), used_record(name): {"at": 1.0}},
            "key": {accept_record(topic_key("other"), name): {"risk": str(act.risk)}},
        }
        assert by_key(plan(with_records(world, wrongs[wrong])).steps) == before


@given(risky_worlds())
def test_what_is_never_done_is_not_done_though_everything_held_was_accepted(world: World) -> None:
    records: dict[str, Mapping[str, Json]] = {}
    for key, act in held_of(world).items():
        records.update(word(key, act))
    told = with_records(world, records)
    wrong = world.wrong_cluster is not None
    for action in actions_of(plan(told)):
        if wrong:
            assert is_own(action)
        if isinstance(action, PutConfig):
            seen = world.observed_connectors()[action.name]
            assert seen.config.get(MARK_KEY) in (None, world.stage.mark)
            for field in IMMUTABLE:
                assert seen.config.get(field) == action.config.get(field)
        if isinstance(action, CreateConnector):
            assert set(world.observed_connectors()) == set()


@given(risky_worlds())
def test_forgetting_it_all_only_makes_more_careful(world: World) -> None:
    word_of_all = tuple(
        Acceptance(str(act.risk), action_id(key, act), world.now + 60)
        for key, act in held_of(world).items()
    )
    forgotten = _accepting(replace(world, stored={}), word_of_all)
    theirs = world.observed_connectors().get(make.NAME)
    unmarked = theirs is not None and theirs.config.get(MARK_KEY) is None
    for _, action in costs(forgotten):
        assert isinstance(action, PutConfig), action
        assert unmarked, "a takeover, which no store knew of"
    for action in actions_of(plan(forgotten)):
        assert not isinstance(action, CreateTopic), "it may have been there once"
        if isinstance(action, Resume):
            assert theirs is not None
            assert theirs.state != "STOPPED", "a person's, perhaps"


def _accepting(world: World, words: tuple[Acceptance, ...]) -> World:
    revision = world.revision
    if revision is None:
        return world
    topics = tuple(replace(topic, accept=words) for topic in revision.topics)
    connectors = tuple(replace(one, accept=words) for one in revision.connectors)
    return replace(world, revision=replace(revision, topics=topics, connectors=connectors))


JUNK: Final[tuple[Mapping[str, Json], ...]] = (
    {},
    {"at": "yesterday", "generation": 7, "risk": None, "versions": "all", "since": "now"},
    {"generation": "c1", "until": "never", "id": 3, "attempts": "many", "repairs": {"a": 1}},
)


@given(risky_worlds(), st.data())
def test_memory_that_holds_nonsense_permits_nothing_more(world: World, data: st.DataObject) -> None:
    names = [
        name for name in sorted(world.records) if not name.startswith(("track/", "stamp/probe"))
    ]
    if not names:
        return
    bad = data.draw(st.frozensets(st.sampled_from(names), min_size=1, max_size=4))
    junk = {name: data.draw(st.sampled_from(JUNK)) for name in sorted(bad)}
    stored = {**world.records, **{name: Record(value, 1) for name, value in junk.items()}}
    assert list(costs(replace(world, stored=stored))) == []


def test_the_judge_of_these_laws_knows_what_costs_something() -> None:
    seen = make.observed_topic(config={"retention.ms": "99999", "cleanup.policy": "delete"})
    world = make.world(
        topics=make.snapshot(seen),
        filled=FULL,
        offsets={make.NAME: ()},
        connectors=make.snapshot(make.observed_connector(state="STOPPED")),
    )
    tables = {**make.rendered(), "table.include.list": NEW_TABLES}
    running = replace(world, offsets={})
    absent = replace(world, topics=make.snapshot())
    elsewhere = with_records(
        replace(world, offsets={make.NAME: STREAMING}), {source_record(make.NAME): ELSEWHERE}
    )
    assert isinstance(absent.topics.get(topic_key(DATA)), Absent)
    assert isinstance(world.observed_connectors()[make.NAME], ObservedConnector)
    for action, where in (
        (AddPartitions(DATA, 9), world),
        (AlterTopic(DATA, {"retention.ms": "1000"}), world),
        (AlterTopic(DATA, {"cleanup.policy": "compact"}), world),
        (CreateTopic(DATA, 3, None, {}), absent),
        (Resume(make.NAME), world),
        (Resume(make.NAME), elsewhere),
        (PutConfig(make.NAME, tables, "h"), running),
        (CreateConnector(make.NAME, {"errors.tolerance": "all"}, "h"), world),
    ):
        assert _costs(action, topic_key(DATA), where), action
