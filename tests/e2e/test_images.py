"""Both images, built and run: what `make images` does and a person would look at."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys

import pytest

from devstack.environment import REPOSITORY
from devstack.images import PLUGINS, REPORT, TARGETS

SECONDS = 840


def can_build() -> bool:
    if shutil.which("docker"):
        asked = ["docker", "info"]
        if subprocess.run(asked, capture_output=True, timeout=30, check=False).returncode == 0:
            return True
    here = shutil.which("buildah") and shutil.which("debootstrap")
    return os.geteuid() == 0 and bool(here or shutil.which("apt-get"))


@pytest.mark.stack
@pytest.mark.timeout(SECONDS + 60)
def test_both_images_are_what_is_claimed_of_them() -> None:
    if not can_build():
        pytest.skip("no docker daemon answers, and buildah needs root and Debian's packages")
    REPORT.unlink(missing_ok=True)
    done = subprocess.run(
        [sys.executable, "-m", "devstack.images"],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-4000:]
    report = json.loads(REPORT.read_text())
    assert set(report["images"]) == set(TARGETS)
    for image in report["images"].values():
        assert image["refuted"] == []
        assert image["unpackedBytes"] > 0
        for claim in (
            "it runs as 10001:10001",
            "no compiler is in it",
            "no secret is in it, nor what the build was run beside",
            "no path but the volumes can be written by its user",
            "nothing but its volumes can be written while it runs",
            "it has no capability and can get none",
            "it ends by itself when it is told to",
        ):
            assert claim in image["proved"]
    assert "both plugins are loaded" in report["images"]["connect"]["proved"]
    assert "it becomes ready beside that worker" in report["images"]["controller"]["proved"]
    assert len(PLUGINS) == 2
