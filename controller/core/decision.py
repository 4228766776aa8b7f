"""What is to be done about one resource, and why."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final, TypeAlias

from controller.core.action import Action, is_own
from controller.core.diff import Diff


class Risk(StrEnum):
    """The worst an action may cost; members in rising order."""

    NONE = "none"
    RESTART = "restart"
    ORDERING = "ordering"
    SNAPSHOT = "snapshot"
    DATA_LOSS = "data-loss"


class Difference(StrEnum):
    """Where a difference came from."""

    NEW_GENERATION = "new-generation"
    DRIFT = "drift"
    ROTATION = "rotation"
    WORD = "word"  # none in what is declared: a person asked for it
    FAILURE = "failure"  # none in what is declared: a task that fails is restarted


STOP_LOGINS: Final = "StopLogins"  # reason of an act that nothing but a person holds back


@dataclass(frozen=True, slots=True)
class Converged:
    reason: str = "InSync"
    message: str = "as declared"


@dataclass(frozen=True, slots=True)
class Act:
    """Actions in order, stopped at the first fault."""

    actions: tuple[Action, ...]
    reason: str
    message: str
    diff: Diff = ()
    difference: Difference = Difference.NEW_GENERATION
    risk: Risk = Risk.NONE
    consequence: str = ""  # what the change means for the data, in a sentence

    @property
    def signature(self) -> str:
        """Name the write: what it does to which fields; "" when it changes no other system."""
        writes = [type(action).__name__ for action in self.actions if not is_own(action)]
        return " ".join([*writes, *(change.field for change in self.diff)]) if writes else ""


@dataclass(frozen=True, slots=True)
class Wait:
    """Nothing now; looked at again after so many seconds at the latest."""

    reason: str
    message: str
    requeue_after: float | None = None
    diff: Diff = ()
    held: Act | None = None  # what would be done, were it not held back


@dataclass(frozen=True, slots=True)
class Stall:
    """Nothing until a person, a new generation or a new secret version changes the case."""

    reason: str
    message: str
    diff: Diff = ()
    held: Act | None = None


Decision: TypeAlias = "Converged | Act | Wait | Stall"
