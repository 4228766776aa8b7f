"""What people say by `wmsctl` is in the history, with who, until when and why."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from controller.adapters.clock import SystemClock
from controller.adapters.state_file import StateFile
from controller.cli import main


@pytest.fixture(autouse=True)
def _a_store_of_its_own(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("WMS_STAGE", "main")
    monkeypatch.setenv("WMS_STATE_FILE", str(tmp_path / "state.json"))


def told(capsys: pytest.CaptureFixture[str], *more: str) -> list[dict[str, Any]]:
    capsys.readouterr()
    assert main(["history", *more, "-o", "json"]) == 0
    found: list[dict[str, Any]] = json.loads(capsys.readouterr().out)
    return found


def test_a_freeze_and_its_end_are_told_in_order(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["freeze", "--for", "1h", "--reason", "the database moves"]) == 0
    assert main(["unfreeze"]) == 0
    begun, ended = told(capsys)
    assert (begun["event"], begun["resource"]) == ("freeze", "stage")
    assert begun["reason"] == "the database moves"
    assert "@" in begun["who"]
    assert ended["event"] == "unfreeze"


def test_an_acceptance_tells_which_action_and_for_how_long(
    capsys: pytest.CaptureFixture[str],
) -> None:
    word = ["--action", "0123456789", "--for", "2h", "--reason", "agreed"]
    assert main(["accept", "topic/wms.A.B", "data-loss", *word]) == 0
    (entry,) = told(capsys, "wms.A.B")
    assert (entry["risk"], entry["action"]) == ("data-loss", "0123456789")
    assert entry["until"]
    assert told(capsys, "connector/other") == []


@pytest.mark.parametrize("action", ["0123456789, risk data-loss", "a1", ""])
def test_what_is_no_id_of_an_action_is_refused_and_nothing_is_kept(
    action: str, capsys: pytest.CaptureFixture[str]
) -> None:
    word = ["--action", action, "--for", "2h", "--reason", "agreed"]
    assert main(["accept", "topic/wms.A.B", "data-loss", *word]) == 1
    assert "is no id of an action" in capsys.readouterr().err
    assert told(capsys) == []


def test_the_table_without_a_terminal_is_one_plain_line_for_each(
    capsys: pytest.CaptureFixture[str],
) -> None:
    main(["suspend", "connector/wms", "--for", "1h", "--reason", "we look at it"])
    main(["release", "connector/wms"])
    capsys.readouterr()
    assert main(["history", "connector/wms", "--limit", "1"]) == 0
    assert main(["history", "connector/wms", "--since", "1h"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split("\t")[3].split(" ")[0] for line in lines] == [
        "release",
        "suspend",
        "release",
    ]
    assert "\x1b" not in "".join(lines)


def test_since_that_is_no_time_is_wrong_usage(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["history", "--since", "yesterday"]) == 1
    assert "write 2h" in capsys.readouterr().err


BRAKES = {
    "suspend": ["suspend", "connector/wms", "--for", "1h", "--reason", "we look at it"],
    "freeze": ["freeze", "--for", "1h", "--reason", "the database moves"],
}
LETS_GO = {
    "unsuspend": ["unsuspend", "connector/wms"],
    "unfreeze": ["unfreeze"],
    "release": ["release", "connector/wms"],
    "probe": ["probe", "wms"],
}


def kept(tmp_path: Path) -> dict[str, Any]:
    """Read what people's words have left in the store."""
    place = tmp_path / "state.json"
    records = StateFile(place, clock=SystemClock()).load() if place.exists() else {}
    return {key: record for key, record in records.items() if key.startswith("intent/")}


def lose_history(tmp_path: Path) -> None:
    (tmp_path / "state.history.jsonl").mkdir()


@pytest.mark.parametrize("verb", LETS_GO)
def test_what_lets_the_controller_go_on_is_not_said_when_it_cannot_be_recorded(
    verb: str, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    for brake in BRAKES.values():
        assert main(brake) == 0
    (tmp_path / "state.history.jsonl").unlink()
    before = kept(tmp_path)
    lose_history(tmp_path)
    capsys.readouterr()
    assert main(LETS_GO[verb]) == 1
    told = capsys.readouterr()
    assert "StateUnavailable" in told.err
    assert not told.out
    assert kept(tmp_path) == before


@pytest.mark.parametrize("verb", BRAKES)
def test_a_brake_is_pulled_though_it_cannot_be_recorded(
    verb: str, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    lose_history(tmp_path)
    assert main(BRAKES[verb]) == 0
    assert "could not be recorded" in capsys.readouterr().err
    assert len(kept(tmp_path)) == 1
