from __future__ import annotations

import faulthandler
import gc
from collections.abc import Iterator
from typing import Final

import pytest
from hypothesis import settings

from devstack.stack import Stack

# Each run draws others; `pytest tests/property --hypothesis-profile=deep` draws many at once.
settings.register_profile("brief", max_examples=30, deadline=None)  # a busy machine breaks no law
settings.register_profile("deep", max_examples=1500, deadline=None)
settings.load_profile("brief")

LONGEST_RUN: Final = 2700.0  # seconds; a run that hangs tells where instead of being cut off


def pytest_sessionstart(session: pytest.Session) -> None:
    """Bound the process that hands tests to others; each of those bounds its own tests."""
    config = session.config
    if config.getoption("numprocesses", None) and not hasattr(config, "workerinput"):
        faulthandler.dump_traceback_later(LONGEST_RUN, exit=True)


# Long files first, so that no process ends with a long one alone; without a stack what needs none.
_ORDER: Final = ("e2e", "sim", "infra", "integration", "contract")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: [folder not in item.path.parts for folder in _ORDER])


def pytest_collection_finish() -> None:
    """What is loaded by now stays: no collector need look through it again and again."""
    gc.freeze()


def pytest_sessionfinish() -> None:
    faulthandler.cancel_dump_traceback_later()


@pytest.fixture(scope="session")
def stack() -> Iterator[Stack]:
    """One local stack, with a worker for stage `main`, for all tests of this process."""
    with Stack(("main",)) as running:
        yield running


@pytest.fixture(scope="session")
def aws_server() -> Iterator[str]:
    """One AWS mock server in this process, for what needs no worker."""
    from devstack.aws_server import serve_aws

    with serve_aws() as url:
        yield url


@pytest.fixture
def aws_credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    """Credentials that are good for a mock only."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "test")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")


@pytest.fixture
def aws_url(aws_server: str, aws_credentials: None) -> str:  # noqa: ARG001
    """The mock's address, and credentials to go there with."""
    return aws_server
