"""What became of a teardown, as people read it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from controller.core.guards import ConnectorDeletionRequest
from controller.core.model import connector_key, topic_key
from controller.core.teardown import Left, TopicDeletions


@dataclass(frozen=True)
class Teardown:
    """What became of a teardown; of a dry run, what it would delete."""

    deleted: tuple[str, ...] = ()
    left: tuple[Left, ...] = ()
    by_hand: tuple[str, ...] = ()
    failures: tuple[str, ...] = ()

    @property
    def ok(self) -> bool:
        return not self.failures


def teardown_lines(report: Teardown, stage: str, done: str) -> Iterator[str]:
    """Tell what became of it; `done` is the verb for what was, or would be, deleted."""
    yield from (f"{done} {name}" for name in report.deleted)
    yield from (f"left {name}: {why}" for name, why in report.left)
    if report.by_hand:
        yield "what only a person can remove, in the source database:"
    yield from (f"  {line}" for line in report.by_hand)
    yield from (f"failed: {failure}" for failure in report.failures)
    if not report.deleted and report.ok:
        yield f"nothing of stage {stage} is left to delete"


def resource_names(
    connectors: Iterable[ConnectorDeletionRequest], topics: TopicDeletions
) -> list[str]:
    """Name what is to be deleted, connectors first."""
    return [
        *(str(connector_key(request.name)) for request in connectors),
        *(str(topic_key(request.name)) for request in topics.requests),
    ]


def is_listed(resource: str, listed: Mapping[str, str]) -> bool:
    return any(str(topic_key(name)) == resource for name in listed)
