"""What we say of a resource, and since when it holds."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum


class ConditionType(StrEnum):
    """The closed list; everything finer (Flapping, Suspended, TopicLost, ...) is a reason."""

    SYNCED = "Synced"
    READY = "Ready"
    HEALTHY = "Healthy"
    SECRETS_RESOLVED = "SecretsResolved"
    STALLED = "Stalled"


class Status(StrEnum):
    TRUE = "True"
    FALSE = "False"
    UNKNOWN = "Unknown"


@dataclass(frozen=True, slots=True)
class Condition:
    type: ConditionType
    status: Status
    reason: str  # a stable CamelCase word; also the metric label
    message: str
    generation: str | None  # of the manifest this was said of; None when there is none
    since: float  # seconds since the epoch at which the status became what it is


def mark(previous: Condition | None, new: Condition) -> Condition:
    """Keep `since` while the status stays, so that it tells how long this has been so.

    A new reason, message or generation does not move it: a connector that was not ready for an
    hour, for three reasons in turn, was not ready for an hour.
    """
    if previous is None or moved(previous, new):
        return new
    return replace(new, since=previous.since)


def moved(previous: Condition | None, new: Condition) -> bool:
    """Tell whether this is a transition, which is what is logged; the first word is one."""
    if previous is None:
        return True
    if previous.type != new.type:
        raise ValueError(f"{new.type} does not follow {previous.type}: they are two conditions")
    return previous.status != new.status
