from __future__ import annotations

from typing import Any

import pytest

from controller.console import print_status


def status(**more: Any) -> dict[str, Any]:
    return {"stage": "main", "cycle": 7, "revision": {"id": "r1"}, "resources": [], **more}


def container(trouble: str) -> dict[str, Any]:
    return {"name": "connect", "status": "RUNNING", "restarts": 2, "trouble": trouble}


def test_a_container_in_trouble_is_told_of(capsys: pytest.CaptureFixture[str]) -> None:
    print_status(status(containers=[container("started again 2 time(s)")]))
    assert "container connect: started again 2 time(s)" in capsys.readouterr().out.splitlines()


def test_a_container_that_is_well_is_not(capsys: pytest.CaptureFixture[str]) -> None:
    print_status(status(containers=[container("")]))
    assert "container" not in capsys.readouterr().out


def test_a_status_that_an_older_controller_left_is_shown(
    capsys: pytest.CaptureFixture[str],
) -> None:
    print_status(status(containers=[{"name": "connect"}]))
    assert capsys.readouterr().out == "stage main, cycle 7, revision r1\n"
