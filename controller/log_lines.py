"""The lines that are logged before and after each action."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

from controller.apply import Applied
from controller.core.action import Action, Forget, Remember, is_own
from controller.core.decision import Act
from controller.core.diff import diff_lines
from controller.core.fault_reason import CRASHED
from controller.core.step import Step


class Log(Protocol):
    """Structured log lines: a constant phrase, everything variable a key."""

    def info(self, event: str, **keys: Any) -> Any: ...

    def warning(self, event: str, **keys: Any) -> Any: ...

    def exception(self, event: str, **keys: Any) -> Any: ...


def action_lines(log: Log) -> Callable[[Step, Applied], None]:
    """Make the teller that logs one line per action, after it."""

    def tell(step: Step, applied: Applied) -> None:
        if isinstance(applied.action, Remember | Forget) and applied.fault is None:
            return
        decision = step.decision
        act = decision if isinstance(decision, Act) else None
        say = log.info if applied.fault is None else log.warning
        if applied.fault is not None and applied.fault.reason == CRASHED:
            log.warning("action crashed", exc_info=applied.fault.__cause__)
        say(
            "action",
            resource=str(step.key),
            action=type(applied.action).__name__,
            result=applied.result,
            seconds=round(applied.seconds, 3),
            why=act.reason if act else None,
            difference=str(act.difference) if act else None,
            risk=str(act.risk) if act else None,
            consequence=act.consequence if act else None,
            diff=list(diff_lines(act.diff)) if act and not is_own(applied.action) else [],
            fault=str(applied.fault) if applied.fault else None,
        )

    return tell


def acting_lines(log: Log) -> Callable[[Step, Action], None]:
    """Make the teller that logs a line before each action: a crash in it leaves a trace."""

    def tell(step: Step, action: Action) -> None:
        if isinstance(action, Remember | Forget):
            return
        decision = step.decision
        act = decision if isinstance(decision, Act) else None
        log.info(
            "acting",
            resource=str(step.key),
            action=type(action).__name__,
            why=act.message if act else None,
            risk=str(act.risk) if act else None,
            consequence=act.consequence if act else None,
        )

    return tell
