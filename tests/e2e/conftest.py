from __future__ import annotations

from collections.abc import Iterator

import pytest

from devstack.stack import Stack


@pytest.fixture(scope="package")
def stack() -> Iterator[Stack]:
    """A local stack of these tests' own, without any worker: they stop and start its parts."""
    with Stack((), ready=False) as running:
        yield running
