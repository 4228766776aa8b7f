"""What `make images` proved of both images; it runs this last, and `make test` leaves it out."""

from __future__ import annotations

import json

import pytest

from devstack.images import PLUGINS, REPORT, TARGETS

CLAIMS = (
    "it runs as 10001:10001",
    "no compiler is in it",
    "no secret is in it, nor what the build was run beside",
    "no path but the volumes can be written by its user",
    "nothing but its volumes can be written while it runs",
    "it has no capability and can get none",
    "it ends by itself when it is told to",
)
OF_ONE = {
    "connect": "both plugins are loaded",
    "controller": "it becomes ready beside that worker",
}


@pytest.mark.parametrize("target", sorted(TARGETS))
def test_each_image_is_what_is_claimed_of_it(target: str) -> None:
    if not REPORT.exists():
        pytest.skip("`make images` writes what is read here")
    image = json.loads(REPORT.read_text())["images"][target]
    assert image["refuted"] == []
    assert image["unpackedBytes"] > 0
    assert {*CLAIMS, OF_ONE[target]} <= set(image["proved"])


def test_both_plugins_are_asked_for() -> None:
    assert len(PLUGINS) == 2
