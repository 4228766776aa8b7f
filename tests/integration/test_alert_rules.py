from __future__ import annotations

import subprocess

import pytest

from dashboards.__main__ import FOLDER
from devstack.promtool import find_promtool, needed


def test_promtool_sees_every_rule_ring_and_stay_silent() -> None:
    promtool = find_promtool()
    if promtool is None and not needed():
        pytest.skip("no promtool: `make test` gets it where there is apt-get")
    assert promtool is not None
    for arguments in (["check", "rules", "rules.yml"], ["test", "rules", "rules_test.yml"]):
        done = subprocess.run(
            [promtool, *arguments],
            cwd=FOLDER / "prometheus",
            capture_output=True,
            text=True,
            timeout=240,  # 12 s of CPU, on a machine that others use too
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
