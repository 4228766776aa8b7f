from __future__ import annotations

from dataclasses import replace

import pytest

from controller.core.accept import (
    accept_record,
    action_id,
    apply_consent,
    used_record,
)
from controller.core.action import AlterTopic, CreateTopic, Forget, Remember
from controller.core.decision import Act, Converged, Risk, Stall, Wait
from controller.core.diff import Change
from controller.core.model import Acceptance, Record, topic_key

KEY = topic_key("wms.WMS.T")
DAY = 86_400.0
NOW = 1_800_000_000.0
ACT = Act(
    (AlterTopic("wms.WMS.T", {"retention.ms": "1000"}),),
    "Update",
    "retention.ms differs",
    (Change("retention.ms", "2000", "1000"),),
    risk=Risk.DATA_LOSS,
)
HELD = Stall("AcceptanceRequired", "it may cost records", ACT.diff, ACT)
ID = action_id(KEY, ACT)
WORD = Acceptance("data-loss", ID, NOW + DAY)


def test_without_a_word_it_stays_held_and_says_what_to_accept() -> None:
    decision = apply_consent(KEY, HELD, (), {}, NOW)
    assert isinstance(decision, Stall)
    assert ID in decision.message


def test_a_word_in_the_manifest_lets_it_act_and_stamps_its_use_first() -> None:
    decision = apply_consent(KEY, HELD, (WORD,), {}, NOW)
    assert isinstance(decision, Act)
    assert isinstance(decision.actions[0], Remember)
    assert decision.actions[0].key == used_record(ID)
    assert decision.actions[1:] == ACT.actions


def test_a_word_in_the_store_is_consumed() -> None:
    records = {accept_record(KEY, ID): Record({"risk": "data-loss", "who": "ann"}, 1)}
    decision = apply_consent(KEY, HELD, (), records, NOW)
    assert isinstance(decision, Act)
    assert Forget(accept_record(KEY, ID)) in decision.actions
    assert "ann" in decision.message


@pytest.mark.parametrize(
    ("word", "why"),
    [
        (replace(WORD, until=NOW - 1), "it has expired"),
        (replace(WORD, until=NOW + 9 * DAY), "it lasts longer than seven days"),
        (replace(WORD, risk="snapshot"), "it is for another risk"),
        (replace(WORD, action="0123456789"), "it is for another action"),
    ],
)
def test_a_word_that_is_not_in_force_accepts_nothing(word: Acceptance, why: str) -> None:
    assert isinstance(apply_consent(KEY, HELD, (word,), {}, NOW), Stall), why


def test_a_word_for_another_risk_is_answered_with_the_right_one() -> None:
    record = Record({"risk": "snapshot", "who": "ann"}, 1)
    by_hand = apply_consent(KEY, HELD, (), {accept_record(KEY, ID): record}, NOW)
    declared = apply_consent(KEY, HELD, (replace(WORD, risk="snapshot"),), {}, NOW)
    for decision in (by_hand, declared):
        assert isinstance(decision, Stall)
        assert "accepted for snapshot, but its risk is data-loss" in decision.message


@pytest.mark.parametrize(
    ("until", "used", "lost", "why"),
    [
        (NOW - 1, False, False, "its day is over"),
        (NOW + 9 * DAY, False, False, "it reaches more than seven days ahead"),
        (NOW + DAY, True, False, "that was used, and one word is for once"),
        (NOW + DAY, False, True, "the memory is lost, which would know if that was used"),
    ],
)
def test_whoever_accepted_it_in_the_manifest_is_told_why_it_is_held_all_the_same(
    until: float, used: bool, lost: bool, why: str
) -> None:
    records = {used_record(ID): Record({"at": NOW}, 1)} if used else {}
    word = replace(WORD, until=until)
    other = replace(WORD, action="0123456789")
    decision = apply_consent(KEY, HELD, (other, word), records, NOW, memory_lost=lost)
    assert isinstance(decision, Stall)
    assert decision.message.endswith(f"; its manifest accepts it, but {why}")
    alone = apply_consent(KEY, HELD, (other,), records, NOW, memory_lost=lost)
    assert "its manifest" not in alone.message


def test_a_used_word_accepts_nothing_again() -> None:
    records = {used_record(ID): Record({"at": NOW}, 1)}
    assert isinstance(apply_consent(KEY, HELD, (WORD,), records, NOW), Stall)


@pytest.mark.parametrize(
    ("said", "used", "holds"),
    [
        ({"at": NOW - 9}, {"said": NOW - 9}, True),
        ({}, {"said": NOW - 9}, True),
        ({"at": NOW - 1}, {"said": NOW - 9}, False),
        ({"at": NOW - 60}, {"said": NOW - 9}, False),  # on a machine whose clock is behind
        ({"at": NOW - 60}, {"said": None}, False),  # a manifest's word was used
    ],
)
def test_what_was_accepted_and_used_is_accepted_again_by_a_new_word_only(
    said: dict[str, float], used: dict[str, float | None], holds: bool
) -> None:
    records = {
        used_record(ID): Record({"at": NOW, **used}, 1),
        accept_record(KEY, ID): Record({"risk": "data-loss", "who": "ann", **said}, 1),
    }
    decision = apply_consent(KEY, HELD, (WORD,), records, NOW + 2)
    assert isinstance(decision, Stall) is holds
    if isinstance(decision, Act):
        stamp, word = decision.actions[:2]
        assert isinstance(stamp, Remember)
        assert stamp.value["at"] == NOW + 2, "a new use, which consumes the word"
        assert stamp.value["said"] == said["at"]
        assert word == Forget(accept_record(KEY, ID))


def test_when_memory_was_lost_a_manifests_word_is_void() -> None:
    decision = apply_consent(KEY, HELD, (WORD,), {}, NOW, memory_lost=True)
    assert isinstance(decision, Stall)


def test_what_is_not_held_for_its_risk_is_left_as_it_is() -> None:
    for decision in (Converged(), Wait("Backoff", "later", held=ACT), Stall("Rejected", "no")):
        assert apply_consent(KEY, decision, (WORD,), {}, NOW) is decision
    mild = replace(HELD, held=replace(ACT, risk=Risk.RESTART))
    assert apply_consent(KEY, mild, (WORD,), {}, NOW) is mild


def test_the_id_names_the_resource_and_the_values_and_not_the_way_there() -> None:
    other = replace(ACT, diff=(Change("retention.ms", "9000", "1000"),))
    assert action_id(KEY, other) == ID
    assert action_id(topic_key("wms.WMS.U"), ACT) != ID
    assert action_id(KEY, replace(ACT, diff=(Change("retention.ms", "2000", "500"),))) != ID
    one = Act((CreateTopic("t", 1, None, {}),), "Create", "")
    two = Act((CreateTopic("t", 2, None, {}),), "Create", "")
    assert action_id(KEY, one) != action_id(KEY, two)
