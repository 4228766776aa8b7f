"""Failures outside us, sorted by who must act on them.

    Fault(reason, message)
      Transient       back off, try again
      Conflict        someone moved first (409 rebalance, topic exists): observe before retrying
      OutcomeUnknown  the call may have been applied: observe before anything else
      Unavailable     the system did not answer: leave all its resources alone this cycle
      Denied          a person must fix access: slow retry, alert
      Rejected        the manifest is wrong: stall until its generation changes, or an hour passed

They are siblings on purpose: `except Transient` must never catch a Conflict, because only a
Transient may be tried again without looking at the world first.

Adapters raise these and nothing else, with the original chained as cause. Any other exception is
our own bug.
"""

from __future__ import annotations


class Fault(Exception):
    """A classified failure; `message` is already scrubbed of secrets when it gets here."""

    def __init__(self, reason: str, message: str, *, retry_after: float | None = None) -> None:
        super().__init__(reason, message)
        self.reason = reason  # a stable CamelCase word; also the metric label
        self.message = message
        self.retry_after = retry_after  # seconds, when the system itself named them

    def __eq__(self, other: object) -> bool:
        """Compare what a reader sees, so that values which hold a fault can be compared."""
        if not isinstance(other, Fault):
            return NotImplemented
        return self._identity() == other._identity()

    def __hash__(self) -> int:
        return hash(self._identity())

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.reason!r}, {self.message!r})"

    def __str__(self) -> str:
        return f"{self.reason}: {self.message}"

    def _identity(self) -> tuple[type[Fault], str, str]:
        return type(self), self.reason, self.message


class Transient(Fault):
    """Passes by itself: back off, then try again."""


class Conflict(Fault):
    """Someone moved first: observe before retrying."""


class OutcomeUnknown(Fault):
    """Sent, but not known whether applied: observe before anything else."""


class Unavailable(Fault):
    """The system did not answer, so nothing is known of any of its resources this cycle."""


class Denied(Fault):
    """Access is missing, which only a person can change."""


class Rejected(Fault):
    """What was asked for is wrong, and stays wrong until the manifest changes."""
