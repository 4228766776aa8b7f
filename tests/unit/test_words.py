"""When a person's word begins and ends, and what of that the history is told."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

import pytest

from controller.core.accept import accept_record, used_record
from controller.core.action import Forget, Remember
from controller.core.hold import FREEZE_RECORD, suspend_record
from controller.core.model import Acceptance, Record, Unknown
from controller.core.words import WORD_SECTION, Heard, hear
from controller.core.world import World
from controller.description import warnings_of
from tests.make import AWAY, NOW, connector_manifest, revision, topic, world

DAY = 86_400.0
ALICE = "Alice <alice@localhost>"
WORD = Acceptance("data-loss", "0123456789", NOW + DAY)
TOPIC = topic()
SUSPENDED = topic(suspend=True)
ACCEPTED = topic(accept=(WORD,))


def seen(*topics: Any, records: Mapping[str, Record] | None = None, now: float = NOW) -> World:
    taken = replace(revision(topics, (connector_manifest(),)), author=ALICE)
    return replace(world(), revision=taken, stored=records or {}, now=now)


def taken_down(*records: tuple[str, float], **value: Any) -> dict[str, Record]:
    return {key: Record(value, 1, expires=until) for key, until in records}


def heard(world: World) -> tuple[list[dict[str, Any]], dict[str, Record]]:
    """Hear all, and answer what is told and what the store then holds."""
    told: list[Heard] = list(hear(world))
    records = dict(world.records)
    for one in told:
        if isinstance(one.memory, Remember):
            records[one.memory.key] = Record(one.memory.value, 1)
        elif isinstance(one.memory, Forget):
            del records[one.memory.key]
    return [dict(one.entry) for one in told if one.entry is not None], records


def known(*topics: Any, records: Mapping[str, Record] | None = None) -> dict[str, Record]:
    return heard(seen(*topics, records=records))[1]


def events(told: Iterable[Mapping[str, Any]]) -> list[tuple[Any, ...]]:
    return [(one["event"], one["resource"], one.get("who")) for one in told]


def test_a_suspension_in_a_manifest_is_its_authors_and_is_told_once() -> None:
    told, records = heard(seen(SUSPENDED))
    assert events(told) == [("suspend", f"topic/{TOPIC.name}", ALICE)]
    assert "topics.yaml:1" in told[0]["reason"]
    assert heard(seen(SUSPENDED, records=records)) == ([], records)


def test_an_acceptance_in_a_manifest_tells_its_risk_action_and_end() -> None:
    told, _ = heard(seen(ACCEPTED))
    assert events(told) == [("accept", f"topic/{TOPIC.name}", ALICE)]
    assert (told[0]["risk"], told[0]["action"]) == ("data-loss", "0123456789")
    assert told[0]["until"] == WORD.until


@pytest.mark.parametrize("declared", [SUSPENDED, ACCEPTED])
def test_what_a_manifest_does_not_say_any_more_is_ended_by_its_author(declared: Any) -> None:
    told, records = heard(seen(TOPIC, records=known(declared)))
    assert events(told) == [("over", f"topic/{TOPIC.name}", ALICE)]
    assert "does not say it any more" in told[0]["reason"]
    assert not records


def test_a_manifest_that_is_removed_ends_its_words() -> None:
    assert [one["event"] for one in heard(seen(records=known(SUSPENDED)))[0]] == ["over"]


def test_without_any_revision_no_word_of_a_manifest_ends() -> None:
    before = known(SUSPENDED)
    without = replace(seen(records=before), revision=None)
    assert heard(without) == ([], before)


def test_an_acceptance_that_outlived_what_it_was_for_ends_by_nobodys_hand() -> None:
    by_hand = taken_down((accept_record(TOPIC.key, WORD.action), NOW + DAY), risk="data-loss")
    after = {k: v for k, v in known(TOPIC, records=by_hand).items() if k not in by_hand}
    told, _ = heard(seen(TOPIC, records=after))
    spent = {used_record(WORD.action): Record({"unneeded": True}, 1)}
    declared, _ = heard(seen(ACCEPTED, records={**known(ACCEPTED), **spent}))
    for told_of in (told, declared):
        assert events(told_of) == [("over", f"topic/{TOPIC.name}", None)]
        assert "not held any more" in told_of[0]["reason"]


def test_an_acceptance_whose_day_is_over_ends_by_nobodys_hand() -> None:
    told, records = heard(seen(ACCEPTED, records=known(ACCEPTED), now=WORD.until + 1))
    assert events(told) == [("over", f"topic/{TOPIC.name}", None)]
    assert "its time is over" in told[0]["reason"]
    assert not records


def test_an_acceptance_that_is_not_in_force_is_not_told() -> None:
    late = topic(accept=(replace(WORD, until=NOW - 1), replace(WORD, until=NOW + 30 * DAY)))
    assert heard(seen(late)) == ([], {})


def test_an_acceptance_that_is_not_in_force_is_a_warning() -> None:
    late, early = replace(WORD, until=NOW - 1), replace(WORD, until=NOW + 30 * DAY)
    one = topic(accept=(late, WORD, early))
    warnings = list(warnings_of(seen(one)))
    assert [text.partition(": spec.accept: ")[0] for text in warnings] == [str(one.source)] * 2
    assert "0123456789 (data-loss) until 1970-01-12T13:46:39+00:00 is not in force" in warnings[0]
    assert warnings[0].endswith("its day is over")
    assert warnings[1].endswith("it reaches more than seven days ahead")
    assert not list(warnings_of(seen(ACCEPTED)))


def test_a_new_day_of_the_same_acceptance_is_a_new_word() -> None:
    longer = topic(accept=(replace(WORD, until=NOW + 2 * DAY),))
    told, records = heard(seen(longer, records=known(ACCEPTED)))
    assert [(one["event"], one["until"]) for one in told] == [("accept", NOW + 2 * DAY)]
    assert heard(seen(longer, records=records))[0] == []


def test_an_acceptance_that_was_used_ends_in_silence() -> None:
    used = {used_record(WORD.action): Record({}, 1)}
    told, records = heard(seen(ACCEPTED, records={**known(ACCEPTED), **used}))
    assert told == []
    assert list(records) == list(used)


BY_HAND = {
    "freeze": (FREEZE_RECORD, "stage"),
    "suspend": (suspend_record(TOPIC.key), str(TOPIC.key)),
    "accept": (accept_record(TOPIC.key, "a1"), str(TOPIC.key)),
}


@pytest.mark.parametrize(("said", "where"), BY_HAND.items())
def test_what_was_said_by_command_is_not_told_twice_and_its_end_once(
    said: str, where: tuple[str, str]
) -> None:
    record, subject = where
    told, records = heard(seen(records=taken_down((record, NOW + 60), risk="snapshot")))
    assert told == []
    del records[record]
    told, records = heard(seen(records=records, now=NOW + 61))
    assert events(told) == [("over", subject, None)]
    assert told[0]["word"] == said
    assert not records


@pytest.mark.parametrize(
    "record", [record for said, (record, _) in BY_HAND.items() if said != "accept"]
)
def test_what_was_taken_back_by_command_was_told_by_that(record: str) -> None:
    records = known(records=taken_down((record, NOW + 60)))
    del records[record]
    assert heard(seen(records=records, now=NOW + 30)) == ([], {})


def test_a_suspension_that_is_asked_for_again_ends_when_the_new_one_does() -> None:
    record = suspend_record(TOPIC.key)
    records = known(records=taken_down((record, NOW + 60)))
    records |= taken_down((record, NOW + 600))
    records = heard(seen(records=records, now=NOW + 30))[1]
    assert heard(seen(records=records, now=NOW + 90))[0] == []


def test_a_suspension_by_command_and_one_in_the_manifest_are_two() -> None:
    records = taken_down((suspend_record(TOPIC.key), NOW + 60))
    told, records = heard(seen(SUSPENDED, records=records))
    assert [one["event"] for one in told] == ["suspend"]
    assert sum(name.startswith(WORD_SECTION) for name in records) == 2


def test_a_store_that_cannot_be_read_ends_and_begins_nothing() -> None:
    assert list(hear(replace(seen(SUSPENDED), stored=Unknown(AWAY)))) == []


def test_a_manifest_that_moved_to_another_line_says_nothing_new() -> None:
    moved = replace(SUSPENDED, source=replace(SUSPENDED.source, line=7))
    assert heard(seen(moved, records=known(SUSPENDED)))[0] == []
