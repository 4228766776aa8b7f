from __future__ import annotations

from collections.abc import Iterator

import pytest

from devstack.stack import Stack


@pytest.fixture(scope="session")
def stack() -> Iterator[Stack]:
    """One local stack, with a worker for stage `main`, for all tests of this process."""
    with Stack(("main",)) as running:
        yield running
