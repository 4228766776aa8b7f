"""What every state store must do, whatever holds the records."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeAlias

import pytest

from controller.adapters.state_dynamodb import StateTable, client_factory
from controller.adapters.state_file import StateFile
from controller.core.faults import Conflict
from controller.core.model import Json
from controller.ports import StateStore
from tests.fakes.clock import FakeClock
from tests.fakes.state import FakeState
from tests.tables import make_table

Open: TypeAlias = "Callable[[], StateStore]"  # another process's view of the same store

KEY = "track/connector/wms-oracle-cdc"
KEEP = 20


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture(params=["file", "table", "fake"])
def opened(request: pytest.FixtureRequest, tmp_path: Path, clock: FakeClock) -> Iterator[Open]:
    """A store is held to this contract by adding it here."""
    if request.param == "file":
        yield lambda: StateFile(tmp_path / "state.json", clock=clock, keep=KEEP)
    elif request.param == "table":
        url = request.getfixturevalue("aws_url")
        table = make_table(url)
        client = client_factory(region="us-east-1", endpoint_url=url)
        yield lambda: StateTable(table, client, clock=clock, keep=KEEP)
    else:
        memory = FakeState(clock, keep=KEEP)
        yield lambda: memory


@pytest.fixture
def store(opened: Open) -> StateStore:
    return opened()


def values(store: StateStore) -> dict[str, dict[str, Json]]:
    return {key: dict(record.value) for key, record in store.load().items()}


def test_a_new_store_is_empty(store: StateStore) -> None:
    assert values(store) == {}
    assert list(store.read("history", 10)) == []


def test_a_record_comes_back_as_it_was_put(store: StateStore, opened: Open) -> None:
    value: dict[str, Json] = {
        "text": "a\n\u4e16\u0000",
        "number": 3,
        "real": 1.5,
        "no": None,
        "yes": True,
        "list": [1, {"deep": []}],
        "": {},
    }
    store.put(KEY, value)
    store.put("birth/stage", {})
    assert values(opened()) == {KEY: value, "birth/stage": {}}


def test_each_put_gives_a_higher_revision_which_load_shows(store: StateStore) -> None:
    first = store.put(KEY, {"a": 1})
    assert first > 0
    assert store.load()[KEY].revision == first
    second = store.put(KEY, {"a": 1})
    assert second > first
    assert store.load()[KEY].revision == second


def test_a_put_replaces_the_whole_record_and_no_other(store: StateStore) -> None:
    store.put(KEY, {"a": 1})
    store.put("track/topic/wms", {"b": 2})
    store.put(KEY, {"c": 3})
    assert values(store) == {KEY: {"c": 3}, "track/topic/wms": {"b": 2}}


def test_a_put_on_the_expected_revision_succeeds_once(store: StateStore, opened: Open) -> None:
    revision = store.put(KEY, {"by": "first"}, expected=0)
    opened().put(KEY, {"by": "second"}, expected=revision)
    with pytest.raises(Conflict):
        store.put(KEY, {"by": "late"}, expected=revision)
    with pytest.raises(Conflict):
        store.put(KEY, {"by": "late"}, expected=0)
    assert values(store) == {KEY: {"by": "second"}}


def test_a_put_that_expects_a_record_where_there_is_none_conflicts(store: StateStore) -> None:
    with pytest.raises(Conflict):
        store.put(KEY, {}, expected=1)
    assert values(store) == {}


def test_a_revision_never_comes_again_for_a_record_that_was_deleted(store: StateStore) -> None:
    old = store.put(KEY, {"life": 1})
    store.delete(KEY)
    assert store.put(KEY, {"life": 2}, expected=0) != old
    with pytest.raises(Conflict):
        store.put(KEY, {"life": 1}, expected=old)
    assert values(store) == {KEY: {"life": 2}}


def test_deleting_takes_one_record(store: StateStore, opened: Open) -> None:
    store.put(KEY, {})
    store.put("birth/stage", {})
    opened().delete(KEY)
    assert values(store) == {"birth/stage": {}}


def test_deleting_what_is_gone_is_no_fault(store: StateStore) -> None:
    store.delete(KEY)
    store.delete(KEY, expected=3)
    assert values(store) == {}


def test_deleting_another_revision_than_expected_conflicts(store: StateStore) -> None:
    revision = store.put(KEY, {})
    with pytest.raises(Conflict):
        store.delete(KEY, expected=revision + 1)
    assert KEY in store.load()
    store.delete(KEY, expected=revision)
    assert values(store) == {}


def test_an_expired_record_is_gone_in_every_way(store: StateStore, clock: FakeClock) -> None:
    revision = store.put(KEY, {"a": 1}, expires=clock.now() + 60)
    assert store.load()[KEY].expires == clock.now() + 60
    clock.advance(59)
    assert KEY in store.load()
    clock.advance(1)
    assert values(store) == {}
    with pytest.raises(Conflict):
        store.put(KEY, {"a": 2}, expected=revision)
    store.delete(KEY, expected=revision + 7)
    assert store.put(KEY, {"a": 3}, expected=0) > revision


def test_a_put_without_expiry_lifts_an_earlier_one(store: StateStore, clock: FakeClock) -> None:
    store.put(KEY, {}, expires=clock.now() + 60)
    store.put(KEY, {})
    clock.advance(61)
    assert KEY in store.load()


def test_what_was_loaded_does_not_change_under_its_reader(store: StateStore) -> None:
    store.put(KEY, {"a": 1})
    before = store.load()
    store.put(KEY, {"a": 2})
    store.put("birth/stage", {})
    assert {key: dict(record.value) for key, record in before.items()} == {KEY: {"a": 1}}


@pytest.mark.parametrize("bad", ["", "nosection"])
def test_a_key_without_a_section_is_a_bug_of_the_caller(store: StateStore, bad: str) -> None:
    with pytest.raises(ValueError, match="name"):
        store.put(bad, {})


def test_history_is_read_newest_entries_oldest_first(store: StateStore, opened: Open) -> None:
    for number in range(5):
        store.append("history", {"n": number})
    store.append("probes", {"n": "other"})
    assert [entry["n"] for entry in opened().read("history", 3)] == [2, 3, 4]
    assert [entry["n"] for entry in store.read("history", 100)] == [0, 1, 2, 3, 4]
    assert list(store.read("history", 0)) == []
    assert values(store) == {}, "history is no record"


def test_history_is_bounded_and_keeps_the_newest(store: StateStore) -> None:
    for number in range(5 * KEEP):
        store.append("history", {"n": number})
    kept = [entry["n"] for entry in store.read("history", 10 * KEEP)]
    assert KEEP <= len(kept) <= 2 * KEEP
    assert kept == list(range(5 * KEEP))[-len(kept) :]


def test_a_document_comes_back_whole_and_the_newest_replaces_it(
    store: StateStore, opened: Open
) -> None:
    assert store.published("status") is None
    store.publish("status", {"n": 1, "text": "\u4e16"})
    assert opened().published("status") == {"n": 1, "text": "\u4e16"}
    store.publish("status", {"n": 2})
    assert store.published("status") == {"n": 2}
    assert values(store) == {}, "a document is no record"
    assert list(store.read("status", 9)) == [], "and no history"


def test_a_document_may_be_far_larger_than_a_record(store: StateStore, opened: Open) -> None:
    dice = random.Random(7)  # noqa: S311 - text that no compression makes small
    large: dict[str, Json] = {"text": dice.randbytes(600_000).hex()}
    store.publish("status", large)
    assert opened().published("status") == large
