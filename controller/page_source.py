"""What the status page shows on a person's machine: the newest document, and how old it is."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any, Final

from controller.bootstrap import Parts
from controller.core.faults import Fault
from controller.status_document import read_status
from controller.telemetry.http import Health, StatusServer
from controller.verify import STALE_SECONDS

SELDOM_SECONDS: Final = 2.0  # between two reads, however many browsers ask


class PageSource:
    """Reads the status again when somebody asks, and keeps the last one while it cannot."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._lock = threading.Lock()
        self._document: dict[str, Any] = {"stage": parts.stage.name, "cycle": 0}
        self._source = ""
        self._fault: Fault | None = None
        self._read_at: float | None = None

    def told(self) -> str:
        """Say where it comes from, or why it does not come yet."""
        self.status()
        if self._fault is not None:
            return f"which cannot be read now ({self._fault.message})"
        return f"from {self._source}"

    def status(self) -> dict[str, Any]:
        with self._lock:
            self._refresh()
            return self._marked()

    def health(self) -> Health:
        """Answer for the reading alone; the page says how the controller is."""
        with self._lock:
            self._refresh()
            if self._fault is not None:
                return Health(False, self._fault.reason, self._fault.message)
            return Health(True, "Read", f"the status comes from {self._source}")

    def _refresh(self) -> None:
        now = self._parts.clock.monotonic()
        if self._read_at is not None and now - self._read_at < SELDOM_SECONDS:
            return
        try:
            self._document, self._source = read_status(self._parts)
            self._fault = None
        except Fault as fault:
            self._fault = fault
        self._read_at = self._parts.clock.monotonic()

    def _marked(self) -> dict[str, Any]:
        """Call nothing complete that nobody looks after any more."""
        troubles = [*self._troubles()]
        if not troubles:
            return self._document
        faults = [*(self._document.get("faults") or ()), *troubles]
        return {**self._document, "complete": False, "faults": faults}

    def _troubles(self) -> list[dict[str, str]]:
        fault, at = self._fault, self._document.get("at")
        found = []
        if fault is not None:
            found.append({"system": "status", "reason": fault.reason, "message": fault.message})
        age = self._parts.clock.now() - at if isinstance(at, int | float) else 0.0
        if age > STALE_SECONDS:
            said = f"no leader has written for {age:.0f} s: is the service running?"
            found.append({"system": "status", "reason": "StatusStale", "message": said})
        return found


def page_server(
    source: PageSource, host: str, port: int, scrub: Callable[[str], str]
) -> StatusServer:
    """Make the controller's own listener, with another source behind it."""
    return StatusServer(
        host, port, health=source.health, ready=source.health, status=source.status, scrub=scrub
    )
