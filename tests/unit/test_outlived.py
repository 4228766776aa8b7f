"""A word for what was held is taken back once that is held no more, and no other word is."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from controller.core.accept import accept_record, used_record
from controller.core.action import Remember
from controller.core.decision import Stall
from controller.core.model import Acceptance, Json, Unknown
from controller.core.outlived import held_action, held_record
from controller.core.plan import plan
from controller.core.world import World
from tests import make

Values = dict[str, Mapping[str, Json] | None]
KEY, CONNECTOR = make.topic().key, make.connector_manifest().key
GONE: Mapping[str, Any] = {"topics": make.snapshot()}
DANGER: Mapping[str, Any] = {
    "revision": make.revision(
        (make.topic(),), (make.connector_manifest({"errors.tolerance": "all"}),)
    )
}


def kept(world: World) -> Values:
    """What a cycle tells the store of words and what they are for; None is what it takes away."""
    sections = ("held/", "intent/accept:", "stamp/accepted:")
    found = [m for m in plan(world).memory if m.key.startswith(sections)]
    return {m.key: m.value if isinstance(m, Remember) else None for m in found}


def held(world: World, key: Any = KEY) -> str:
    decision = next(step.decision for step in plan(world).steps if step.key == key)
    assert isinstance(decision, Stall)
    found = held_action(key, decision)
    assert found is not None
    return found


LOST = held(make.world(**GONE))
TOLERANT = held(make.world(**DANGER), CONNECTOR)
SEEN: Mapping[str, Mapping[str, Json]] = {held_record(KEY): {"action": LOST}}
ACCEPTED: Mapping[str, Mapping[str, Json]] = {
    accept_record(KEY, LOST): {"risk": "data-loss", "who": "ann", "at": make.NOW - 60}
}
WORD = Acceptance("data-loss", LOST, make.NOW + 86_400)
DECLARED = make.revision((make.topic(accept=(WORD,)),), (make.connector_manifest(),))


def test_what_is_held_for_a_word_is_remembered_once() -> None:
    assert kept(make.world(**GONE)) == {held_record(KEY): {"action": LOST}}
    assert kept(make.world(stored=make.memory(**SEEN), **GONE)) == {}
    assert kept(make.world(**DANGER)) == {held_record(CONNECTOR): {"action": TOLERANT}}


def test_on_a_branch_nothing_is_held_and_nothing_remembered() -> None:
    assert kept(make.world(stage=make.BRANCH, **GONE)) == {}


def test_a_word_for_a_lost_topic_ends_when_the_topic_is_there_again() -> None:
    stored = make.memory(**SEEN, **ACCEPTED)
    assert kept(make.world(stored=stored)) == {accept_record(KEY, LOST): None}
    later = make.world(stored=make.memory(**SEEN), **GONE)
    assert held(later) == LOST, "held again for a new word"


def test_a_manifest_s_word_for_it_is_spent_as_if_it_had_been_used() -> None:
    spent = kept(make.world(stored=make.memory(**SEEN), revision=DECLARED))
    value = spent[used_record(LOST)]
    assert value is not None
    assert (value["risk"], value["unneeded"]) == ("data-loss", True)
    stored = make.memory(**SEEN, **{used_record(LOST): value})
    assert kept(make.world(stored=stored, revision=DECLARED)) == {}
    assert held(make.world(stored=stored, revision=DECLARED, **GONE)) == LOST


def test_a_word_ends_when_something_else_is_held_instead() -> None:
    few = make.snapshot(make.observed_topic(partitions=1))
    found = kept(make.world(stored=make.memory(**SEEN, **ACCEPTED), topics=few))
    other = held(make.world(topics=few))
    assert found == {accept_record(KEY, LOST): None, held_record(KEY): {"action": other}}


@pytest.mark.parametrize(
    "topics",
    [
        make.snapshot(fault=make.AWAY),
        make.snapshot(make.observed_topic(config={"retention.ms": "7"})),
    ],
    ids=["not seen", "about to be altered"],
)
def test_a_word_stays_while_it_is_not_sure_that_it_is_over(topics: Any) -> None:
    assert kept(make.world(stored=make.memory(**SEEN, **ACCEPTED), topics=topics)) == {}


def test_a_word_said_ahead_of_a_commit_is_left_alone() -> None:
    assert kept(make.world(stored=make.memory(**ACCEPTED))) == {}
    assert kept(make.world(revision=DECLARED)) == {}


def test_a_word_stays_while_a_person_s_stop_hides_what_it_is_for() -> None:
    stored: dict[str, Any] = {
        held_record(CONNECTOR): {"action": TOLERANT},
        accept_record(CONNECTOR, TOLERANT): {"risk": "data-loss", "who": "ann"},
    }
    stopped = make.snapshot(make.observed_connector(state="STOPPED"))
    world = make.world(stored=make.memory(**stored), connectors=stopped, **DANGER)
    assert kept(world) == {}


def test_an_unreadable_store_is_told_nothing_of_it() -> None:
    assert kept(make.world(stored=Unknown(make.AWAY), **GONE)) == {}
