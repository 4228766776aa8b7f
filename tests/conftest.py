from __future__ import annotations

import faulthandler
import gc
from collections.abc import Iterator
from typing import Any, Final

import pytest
from hypothesis import settings
from xdist.scheduler import LoadFileScheduling

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


# Each process that gets one of these starts a stack: no more than two do.
_TOGETHER: Final = (
    (
        "tests/contract/test_connect.py",
        "tests/contract/test_kafka.py",
        "tests/integration/test_connect_watch.py",
        "tests/integration/test_kafka_broker.py",
    ),
    (
        "tests/integration/test_connect_worker.py",
        "tests/integration/test_teardown.py",
        "tests/integration/test_teardown_on_destroy.py",
        "tests/integration/test_worker_log.py",
    ),
)
_STACKED: Final = {file: files[0] for files in _TOGETHER for file in files}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What takes long comes first, so that no process ends with it alone."""
    sizes = {path: path.stat().st_size for path in {item.path for item in items}}
    items.sort(key=lambda item: (_rank(item), -sizes[item.path]))


def _rank(item: pytest.Item) -> int:
    if "e2e" in item.path.parts:
        return 0
    return 1 if item.nodeid.partition("::")[0] in _STACKED else 2


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: object) -> Any:
    if config.getoption("dist") != "loadfile":
        return None
    scheduler = LoadFileScheduling(config, log)
    scheduler._split_scope = _scope_of
    return scheduler


def _scope_of(test: str) -> str:
    """Answer which tests a process takes at once: those of a file, or of several."""
    file = test.partition("::")[0]
    return _STACKED.get(file, file)


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
