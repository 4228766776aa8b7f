"""What we say of a resource, and since when it holds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final

AGAIN_SECONDS: Final = 600.0  # before a reason that was told is told again


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
    """Tell whether the status is another, or the first."""
    if previous is None:
        return True
    if previous.type != new.type:
        raise ValueError(f"{new.type} does not follow {previous.type}: they are two conditions")
    return previous.status != new.status


@dataclass(frozen=True, slots=True)
class Told:
    """What was last said of a condition, and when each reason for its status was."""

    status: Status
    reason: str
    at: Mapping[str, float]


def is_news(told: Told | None, new: Condition, now: float) -> bool:
    """Tell whether this is a transition to be told: another status, or another reason for it.

    Reasons that take turns are told once in a while and not at each turn; the one that stays is
    told in the end. A message is none: it changes with every number in it.
    """
    if told is None:
        well = Status.FALSE if new.type is ConditionType.STALLED else Status.TRUE
        return new.status is not well
    if new.status is not told.status:
        return True
    return new.reason != told.reason and not _is_recent(told.at.get(new.reason), now)


def after_telling(told: Told | None, new: Condition, now: float) -> Told:
    before = told.at if told is not None and told.status is new.status else {}
    recent = {reason: at for reason, at in before.items() if _is_recent(at, now)}
    return Told(new.status, new.reason, {**recent, new.reason: now})


def _is_recent(at: float | None, now: float) -> bool:
    return at is not None and 0 <= now - at < AGAIN_SECONDS
