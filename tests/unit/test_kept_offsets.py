"""The newest offsets of each connector are kept, bounded, and only when they moved."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from controller.adapters.state_file import StateFile
from controller.core.faults import Fault
from controller.core.model import Json, Unknown
from controller.core.progress import Progress
from controller.kept_offsets import MOST, OffsetsKeeper, kept_offsets
from tests import make
from tests.fakes.clock import FakeClock


def store(folder: Path) -> StateFile:
    return StateFile(folder / "state.json", clock=FakeClock())


def seen(scn: int, at: float = make.NOW) -> dict[str, Any]:
    entry: dict[str, Json] = {"partition": {"server": "wms"}, "offset": {"scn": str(scn)}}
    return {"progress": {make.NAME: Progress((entry,), at, at)}}


def scns(kept: StateFile) -> list[str]:
    return [one["offsets"][0]["offset"]["scn"] for one in kept_offsets(kept).get(make.NAME, [])]


def test_what_moved_is_kept_once_in_the_form_that_restore_takes(tmp_path: Path) -> None:
    kept = store(tmp_path)
    keeper = OffsetsKeeper(kept)
    for scn in (1, 1, 2):
        assert keeper.follow(make.world(**seen(scn))) is None
    assert scns(kept) == ["1", "2"]
    (first, _) = kept_offsets(kept)[make.NAME]
    assert (first["stage"], first["clusterId"], first["connector"]) == (
        "main",
        "cluster-1",
        make.NAME,
    )


def test_the_newest_are_kept_and_another_process_goes_on_with_them(tmp_path: Path) -> None:
    kept = store(tmp_path)
    keeper = OffsetsKeeper(kept)
    for scn in range(MOST + 5):
        keeper.follow(make.world(**seen(scn)))
    OffsetsKeeper(kept).follow(make.world(**seen(9_999)))
    assert len(scns(kept)) == MOST
    assert scns(kept)[-2:] == [str(MOST + 4), "9999"]


def test_a_standby_and_an_unknown_cluster_keep_nothing(tmp_path: Path) -> None:
    kept = store(tmp_path)
    keeper = OffsetsKeeper(kept)
    keeper.follow(make.world(**seen(1), not_leader="another one acts"))
    keeper.follow(make.world(**seen(1), cluster_id=Unknown(Fault("Away", "no broker"))))
    assert scns(kept) == []


def test_what_could_not_be_written_is_written_with_the_next_cycle(tmp_path: Path) -> None:
    folder = tmp_path / "state"
    keeper = OffsetsKeeper(store(folder))
    folder.write_text("in the way")
    assert keeper.follow(make.world(**seen(1))) is not None
    folder.unlink()
    assert keeper.follow(make.world(**seen(1))) is None
    assert scns(store(folder)) == ["1"]
