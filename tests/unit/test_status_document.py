from __future__ import annotations

from typing import Any

import pytest

from controller.status_document import OFTEN_SECONDS, SECTION, SELDOM_SECONDS, StatusDocument
from tests.fakes.clock import FakeClock
from tests.fakes.state import FakeState


def document(**more: Any) -> dict[str, Any]:
    resource = {
        "resource": "connector/a",
        "decision": "Converged",
        "reason": "InSync",
        "message": "as declared",
        "conditions": [{"type": "Healthy", "status": "True", "reason": "Running", "message": "m"}],
        "lag": {"seconds": 1.0, "trend": [1.0]},
    }
    leadership = {"role": "leader", "leader": "one", "left": 28.5}
    base = {"at": 1.0, "cycle": 1, "resources": [resource], "leadership": leadership}
    return {**base, "history": [], "containers": [], "notActing": [], **more}


ANOTHER: dict[str, dict[str, Any]] = {
    "a decision": {"resources": [{"resource": "connector/a", "decision": "Act"}]},
    "an action": {"history": [{"action": "Stop", "outcome": "done"}]},
    "a container": {"containers": [{"name": "connect", "trouble": "its health check fails"}]},
    "a freeze": {"notActing": [{"reason": "Frozen", "resource": None}]},
    "a leader": {"leadership": {"role": "leader", "leader": "two", "left": 28.5}},
}
THE_SAME: dict[str, dict[str, Any]] = {
    "a cycle": {"cycle": 2, "at": 16.0},
    "a renewed lease": {"leadership": {"role": "leader", "leader": "one", "left": 13.4}},
    "a lag": {
        "resources": [{**document()["resources"][0], "lag": {"seconds": 2.0, "trend": [1.0, 2.0]}}]
    },
}


def offered(later: dict[str, Any], after: float) -> dict[str, Any] | None:
    """Offer one document and then another, and answer what is there to be read."""
    clock = FakeClock()
    store = FakeState(clock)
    status = StatusDocument(store, clock)
    assert status.offer(document()) is None
    clock.advance(after)
    assert status.offer(document(**later)) is None
    return store.documents.get(SECTION)


@pytest.mark.parametrize("news", ANOTHER)
def test_what_is_new_is_there_at_once(news: str) -> None:
    assert offered(ANOTHER[news], SELDOM_SECONDS) == document(**ANOTHER[news])


@pytest.mark.parametrize("news", THE_SAME)
def test_what_changes_with_every_look_is_there_with_the_next(news: str) -> None:
    assert offered(THE_SAME[news], SELDOM_SECONDS) == document()
    assert offered(THE_SAME[news], OFTEN_SECONDS) == document(**THE_SAME[news])
