"""What the brokers say that this controller may do, asked now and then."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from controller.core.faults import Fault
from controller.core.model import Json
from controller.core.protection import (
    ASKING,
    describe_protection,
    identity_asked,
    named_topics,
    unprotected,
)
from controller.ports import Clock, KafkaClient

SELDOM_SECONDS: Final = 600.0
RETRY_SECONDS: Final = 60.0


class Protection:
    """Remembers the newest answer; a broker that does not answer takes it away."""

    def __init__(self, security: str, clock: Clock) -> None:
        self._security = security
        self._clock = clock
        self._due = float("-inf")
        self._deletable: tuple[str, ...] | None = None

    def look(self, line: str | None, kafka: Callable[[], KafkaClient]) -> None:
        """Ask where an identity is asked for; elsewhere there is nothing to learn."""
        if identity_asked(self._security, line) not in ASKING:
            return
        now = self._clock.monotonic()
        if now < self._due:
            return
        try:
            self._deletable = tuple(sorted(kafka().deletable(named_topics())))
            self._due = now + SELDOM_SECONDS
        except Fault:
            self._deletable = None
            self._due = now + RETRY_SECONDS

    def warning(self, line: str | None) -> str | None:
        return unprotected(self._security, line)

    def describe(self, line: str | None) -> dict[str, Json]:
        return describe_protection(self._security, line, self._deletable)
