from __future__ import annotations

import contextlib
import fcntl
import json
import stat
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest

from controller.adapters.clock import SystemClock
from controller.adapters.state_file import StateFile
from controller.core.faults import Unavailable
from controller.core.model import Json

KEY = "track/topic/wms"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state" / "state.json"


def opened(path: Path, lock_seconds: float = 5.0) -> StateFile:
    return StateFile(path, clock=SystemClock(), lock_seconds=lock_seconds, keep=10)


def test_looking_creates_nothing(path: Path) -> None:
    opened(path).load()
    opened(path).read("history", 1)
    assert not path.parent.exists()


def test_all_files_are_for_the_owner_alone(path: Path) -> None:
    opened(path).put(KEY, {})
    opened(path).append("history", {})
    modes = {file.name: stat.S_IMODE(file.stat().st_mode) for file in path.parent.iterdir()}
    assert modes == {"state.json": 0o600, "state.json.lock": 0o600, "state.history.jsonl": 0o600}
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


BAD = {
    "empty": b"",
    "cut": b'{"format": 1, "last": 1, "rec',
    "binary": b"\x00\xff",
    "list": b"[]",
    "null": b"null",
    "no format": b'{"last": 0, "records": {}}',
    "newer format": b'{"format": 2, "last": 0, "records": {}}',
    "no records": b'{"format": 1, "last": 0}',
    "record list": b'{"format": 1, "last": 0, "records": []}',
    "no revision": b'{"format": 1, "last": 0, "records": {"a/b": {"value": {}}}}',
    "bad value": b'{"format": 1, "last": 0, "records": {"a/b": {"value": 1, "revision": 1}}}',
    "bad expiry": (
        b'{"format": 1, "last": 1, "records":'
        b' {"a/b": {"value": {}, "revision": 1, "expires": "soon"}}}'
    ),
    "nan": b'{"format": 1, "last": NaN, "records": {}}',
    "deep": b"[" * 100_000,
}


@pytest.mark.parametrize("raw", BAD.values(), ids=BAD.keys())
def test_a_file_that_is_no_state_is_never_empty_and_never_written_over(
    path: Path, raw: bytes
) -> None:
    path.parent.mkdir()
    path.write_bytes(raw)
    store = opened(path)
    for use in (
        store.load,
        lambda: store.put(KEY, {}),
        lambda: store.put(KEY, {}, expected=0),
        lambda: store.delete(KEY),
    ):
        with pytest.raises(Unavailable) as caught:
            use()
        assert caught.value.reason == "StateCorrupt"
    assert path.read_bytes() == raw


def test_a_file_that_is_put_right_is_read_again(path: Path) -> None:
    store = opened(path)
    store.put(KEY, {"a": 1})
    good = path.read_bytes()
    path.write_bytes(b"")
    with pytest.raises(Unavailable):
        store.load()
    path.write_bytes(good)
    assert store.load()[KEY].value == {"a": 1}


def test_an_edit_by_hand_is_seen_even_at_the_same_size_and_time(path: Path) -> None:
    store = opened(path)
    store.put(KEY, {"a": 1})
    store.load()
    path.write_bytes(path.read_bytes().replace(b'"a": 1', b'"a": 2'))
    assert store.load()[KEY].value == {"a": 2}


def test_a_value_that_its_owner_changes_later_stays_as_it_was_put(path: Path) -> None:
    store = opened(path)
    names: list[Json] = ["one"]
    store.put(KEY, {"names": names})
    names.append("two")
    assert store.load()[KEY].value == {"names": ["one"]}


def test_a_folder_in_the_place_of_the_file_is_unavailable(path: Path) -> None:
    path.mkdir(parents=True)
    with pytest.raises(Unavailable):
        opened(path).load()


def test_a_file_in_the_place_of_the_folder_is_unavailable(path: Path) -> None:
    path.parent.write_text("x")
    with pytest.raises(Unavailable):
        opened(path).load()
    with pytest.raises(Unavailable):
        opened(path).put(KEY, {})


def test_a_lock_that_nobody_lets_go_of_is_given_up_in_time(path: Path) -> None:
    store = opened(path, lock_seconds=0.2)
    store.put(KEY, {"a": 1})
    with path.with_name("state.json.lock").open() as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        begun = time.monotonic()
        with pytest.raises(Unavailable) as caught:
            store.put(KEY, {"a": 2})
        assert caught.value.reason == "StateLocked"
        assert time.monotonic() - begun < 20
        assert store.load()[KEY].value == {"a": 1}, "looking needs no lock"
    store.put(KEY, {"a": 3})


def test_what_a_crash_left_is_gone_after_the_next_write(path: Path) -> None:
    store = opened(path)
    store.put(KEY, {})
    (path.parent / ".state.json.0123").write_text("half")
    assert set(store.load()) == {KEY}
    store.put(KEY, {})
    assert not list(path.parent.glob(".*"))


def test_a_history_line_that_a_crash_cut_off_is_left_out_and_replaced(path: Path) -> None:
    store = opened(path)
    store.append("history", {"n": 1})
    with path.with_name("state.history.jsonl").open("ab") as file:
        file.write(b'{"n": 2, "cut')
    assert [entry["n"] for entry in store.read("history", 9)] == [1]
    store.append("history", {"n": 3})
    assert [entry["n"] for entry in store.read("history", 9)] == [1, 3]


def numbers(store: StateFile) -> list[Json]:
    return [entry["n"] for entry in store.read("history", 99)]


def test_a_history_into_which_two_write_by_turns_keeps_its_bounds_and_order(path: Path) -> None:
    stores = (opened(path), opened(path))
    for n in range(57):
        stores[n % 2 if n % 5 else 0].append("history", {"n": n})
        kept = numbers(stores[0])
        assert kept == list(range(n + 1))[-len(kept) :]
        assert min(n + 1, 10) <= len(kept) <= 20
    other = opened(path)
    other.append("history", {"n": 57})
    assert numbers(stores[1])[-1] == 57


def test_what_another_process_left_half_written_is_not_built_upon(path: Path) -> None:
    store = opened(path)
    store.append("history", {"n": 1})
    with path.with_name("state.history.jsonl").open("ab") as file:
        file.write(b'{"n": 2}\n{"n": 3, "cut')
    store.append("history", {"n": 4})
    assert numbers(store) == [1, 2, 4]


def test_a_history_that_was_taken_away_begins_anew(path: Path) -> None:
    store = opened(path)
    store.append("history", {"n": 1})
    path.with_name("state.history.jsonl").unlink()
    store.append("history", {"n": 2})
    assert numbers(store) == [2]


def test_a_history_that_is_no_history_is_told(path: Path) -> None:
    path.parent.mkdir()
    path.with_name("state.history.jsonl").write_bytes(b"nonsense\n")
    with pytest.raises(Unavailable) as caught:
        opened(path).read("history", 1)
    assert caught.value.reason == "StateCorrupt"


def test_what_is_no_json_is_refused_and_leaves_the_store_as_it_was(path: Path) -> None:
    store = opened(path)
    store.put(KEY, {"a": 1})
    with pytest.raises(ValueError, match="JSON compliant"):
        store.put(KEY, {"a": float("nan")})
    with pytest.raises(TypeError):
        store.put(KEY, {"a": {1, 2}})  # type: ignore[dict-item]
    assert store.load()[KEY].value == {"a": 1}
    assert not list(path.parent.glob(".*"))


@pytest.mark.parametrize("section", ["", "../x", "a/b", "a.b"])
def test_a_history_section_is_a_plain_word(path: Path, section: str) -> None:
    with pytest.raises(ValueError, match="name"):
        opened(path).append(section, {})


RACER = textwrap.dedent(
    """
    import sys
    from pathlib import Path
    from controller.adapters.clock import SystemClock
    from controller.adapters.state_file import StateFile
    from controller.core.faults import Conflict

    path, name, times = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
    store = StateFile(path, clock=SystemClock(), lock_seconds=30)
    for number in range(times):
        store.put(f"own/{name}-{number}", {"n": number})
        store.append("history", {"by": name, "n": number})
        while True:
            found = store.load().get("shared/count")
            count = 0 if found is None else found.value["count"]
            revision = 0 if found is None else found.revision
            try:
                store.put("shared/count", {"count": count + 1}, expected=revision)
            except Conflict:
                continue
            break
    """
)


def test_processes_that_race_keep_every_write(path: Path) -> None:
    names, times = ("a", "b", "c"), 25
    racers = [
        subprocess.Popen([sys.executable, "-c", RACER, str(path), name, str(times)])
        for name in names
    ]
    assert [racer.wait(60) for racer in racers] == [0, 0, 0]
    records = opened(path).load()
    assert records["shared/count"].value == {"count": len(names) * times}
    assert sum(key.startswith("own/") for key in records) == len(names) * times
    revisions = [record.revision for record in records.values()]
    assert len(set(revisions)) == len(revisions)
    history = StateFile(path, clock=SystemClock()).read("history", 1000)
    for name in names:
        assert [entry["n"] for entry in history if entry["by"] == name] == list(range(times))


def test_a_process_killed_in_the_middle_leaves_a_store_that_reads(path: Path) -> None:
    for round_ in range(4):
        before = path.stat().st_mtime_ns if path.exists() else 0
        racer = subprocess.Popen([sys.executable, "-c", RACER, str(path), "a", "100000"])
        deadline = time.monotonic() + 30
        while not path.exists() or path.stat().st_mtime_ns == before:
            assert time.monotonic() < deadline, "it never wrote"
        with contextlib.suppress(subprocess.TimeoutExpired):
            racer.wait(0.01 * round_)
        racer.kill()
        racer.wait()
        store = opened(path)
        store.load()
        store.put(KEY, {"after": round_})
        store.append("history", {})
        store.read("history", 10)
        assert json.loads(path.read_bytes())["records"][KEY]["value"] == {"after": round_}
