"""What the leader says of everything, kept where people reach it without reaching the task."""

from __future__ import annotations

import json
import threading
from collections.abc import Mapping
from typing import Any, Final
from urllib.error import URLError
from urllib.request import urlopen

from controller.bootstrap import Parts
from controller.core.faults import Fault, Unavailable
from controller.core.model import Json
from controller.ports import Clock, StateStore
from controller.telemetry.scrubbing import Scrub, scrub_deep

SECTION: Final = "status"
OFTEN_SECONDS: Final = 30.0  # at the latest; at once when something else is said
SELDOM_SECONDS: Final = 2.0  # at the earliest, so that a busy minute costs little
_OF_RESOURCE: Final = ("resource", "decision", "reason", "risk", "changes")
_WHOLE: Final = (
    "revision",
    "refusedRevision",
    "converged",
    "complete",
    "faults",
    "history",
    "containers",
)


class StatusDocument:
    """Writes the newest status into the store, when it says something new or grew old."""

    def __init__(self, store: StateStore, clock: Clock, scrub: Scrub = str) -> None:
        self._store = store
        self._clock = clock
        self._scrub = scrub
        self._at: float | None = None
        self._said = ""
        self._lock = threading.Lock()

    def offer(self, document: Mapping[str, Json]) -> Fault | None:
        """Write it if it is due; a fault is answered, and the next offer tries again."""
        with self._lock:
            now, said = self._clock.monotonic(), _gist(document)
            age = OFTEN_SECONDS if self._at is None else now - self._at
            if age < SELDOM_SECONDS or (age < OFTEN_SECONDS and said == self._said):
                return None
            try:
                self._store.publish(SECTION, scrub_deep(document, self._scrub))
            except Fault as fault:
                return fault
            self._at, self._said = now, said
            return None


def _gist(document: Mapping[str, Json]) -> str:
    """Leave out what changes with every look."""
    told = [[one.get(key) for key in _OF_RESOURCE] for one in _objects(document, "resources")]
    conditions = [
        [one.get(key) for key in ("type", "status", "reason")]
        for resource in _objects(document, "resources")
        for one in _objects(resource, "conditions")
    ]
    idle = [[one.get("reason"), one.get("resource")] for one in _objects(document, "notActing")]
    rest = [document.get(key) for key in _WHOLE]
    leads = document.get("leadership")
    leader = [leads.get("role"), leads.get("leader")] if isinstance(leads, dict) else None
    return json.dumps([told, conditions, idle, rest, leader], sort_keys=True, default=str)


def _objects(document: Mapping[str, Json], key: str) -> list[Mapping[str, Json]]:
    found = document.get(key)
    return [one for one in (found if isinstance(found, list) else []) if isinstance(one, dict)]


def read_status(parts: Parts) -> tuple[dict[str, Any], str]:
    """Answer the status and where it comes from: the process beside us, else the stage's table."""
    settings = parts.settings
    local: Fault | None = None
    if not parts.explicit_table:
        try:
            return _ask_process(parts), "process"
        except Unavailable as fault:
            local = fault
    if not settings.state_table:
        raise local or _nobody(parts)
    try:
        document = parts.store.published(SECTION)
    except Fault as fault:
        if local is None:
            raise
        said = f"{local.message}; and {fault.reason}: {fault.message}"
        raise Unavailable("NoStatus", said) from fault
    if document is None:
        raise _nobody(parts)
    return dict(document), f"table {settings.state_table}"


def _nobody(parts: Parts) -> Unavailable:
    return Unavailable(
        "NoStatus",
        f"no controller of stage {parts.stage.name} has written its status to "
        f"{parts.settings.state_table} yet: is its service running?",
    )


def _ask_process(parts: Parts) -> dict[str, Any]:
    settings = parts.settings
    url = f"http://{settings.http_host}:{settings.http_port}/status"
    try:
        with urlopen(url, timeout=settings.read_deadline) as answer:
            found: dict[str, Any] = json.load(answer)
    except (URLError, OSError, ValueError) as error:
        raise Unavailable(
            "NoStatus",
            f"no controller answers at {url} ({error}): is it running, and are WMS_HTTP_HOST and "
            "WMS_HTTP_PORT its own?",
        ) from error
    of = found.get("stage")
    if of not in (None, parts.stage.name):
        raise Unavailable("NoStatus", f"the controller at {url} is that of stage {of}")
    return found
