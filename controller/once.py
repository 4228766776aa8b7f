"""One stage applied once: cycles until all is as declared, or nothing more can be done."""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Mapping
from itertools import count
from typing import Final

from controller.apply import Applied
from controller.bootstrap import Parts
from controller.core.action import is_own
from controller.core.backoff import Backoff
from controller.core.decision import Converged, Stall, Wait
from controller.core.lag_report import LagReport
from controller.core.model import Kind
from controller.core.step import Step
from controller.cycle_report import CycleReport
from controller.reconciler import Reconciler
from controller.this_process import identity

PAUSES: Final = Backoff(base=0.05, factor=1.5, cap=1.0)


class Once:
    """Runs cycles without a loop and tells each action in a line."""

    def __init__(self, parts: Parts, say: Callable[[str], None]) -> None:
        self._say = say
        self._clock = parts.clock
        self._observer = parts.observer
        self._reconciler = Reconciler(
            observer=parts.observer,
            applier=parts.applier(telling=lambda _step, _action: None, told=self._told),
            store=parts.store,
            clock=parts.clock,
            recorder=Unrecorded(),
            log=Unlogged(),
            identity={**identity(), "once": True},
            leadership=parts.leadership,
            journal=parts.journal,
            owner=parts.owner,
        )

    def run(self, timeout: float) -> CycleReport:
        """Answer the last report; one that is not converged says what is in the way."""
        end = self._clock.monotonic() + timeout
        pause = threading.Event()
        try:
            for number in count(1):
                report = self.cycle()
                if _is_over(report) or self._clock.monotonic() >= end:
                    break
                self._observer.focus_topics(_unsettled(report))
                pause.wait(PAUSES.delay(number, jitter=0.0))
        finally:
            self._reconciler.say_goodbye()
        return report

    def cycle(self) -> CycleReport:
        """Run a single one."""
        return self._reconciler.run_cycle(lambda: False)

    def _told(self, step: Step, applied: Applied) -> None:
        if applied.fault is not None:
            self._say(f"  {step.key}: {type(applied.action).__name__}: {applied.fault}")
        elif not is_own(applied.action):
            self._say(f"  {step.key}: {type(applied.action).__name__} ({applied.seconds:.2f} s)")


def _unsettled(report: CycleReport) -> tuple[str, ...]:
    """Name the topics that are not as declared yet: the others were seen a moment ago."""
    steps = (step for step in report.plan.steps if step.key.kind is Kind.TOPIC)
    return tuple(step.key.name for step in steps if not isinstance(step.decision, Converged))


def _is_over(report: CycleReport) -> bool:
    if report.acted:
        return False
    return all(
        isinstance(step.decision, Converged | Stall) or _is_held(step) for step in report.plan.steps
    )


def _is_held(step: Step) -> bool:
    """Whether a person or a rule holds it, which no further cycle changes."""
    return isinstance(step.decision, Wait) and step.decision.reason in _LASTING


_LASTING: Final = frozenset(
    {"Suspended", "Frozen", "ObserveOnly", "TearingDown", "Flapping", "Contended"}
)


class Unrecorded:
    """A recorder for a process whose metrics nobody scrapes."""

    def cycle_started(self, at: float) -> None: ...

    def cycle_ended(self, result: str, seconds: float, at: float) -> None: ...

    def action_applied(self, kind: str, action: str, result: str, seconds: float) -> None: ...

    def fault_seen(self, system: str, reason: str) -> None: ...

    def condition_set(
        self, kind: str, name: str, condition: str, status: str, reason: str
    ) -> None: ...

    def drift_seen(self, kind: str, name: str) -> None: ...

    def held_set(self, reasons: Mapping[str, int]) -> None: ...

    def idle_set(self, ages: Mapping[str, float]) -> None: ...

    def suspended_set(self, resources: Mapping[tuple[str, str], bool]) -> None: ...

    def active_set(self, active: bool) -> None: ...

    def orphans_set(self, count: int) -> None: ...

    def restart_judged(self, reason: str, result: str) -> None: ...

    def restarts_set(self, left: int, tries: Mapping[str, tuple[int, float]]) -> None: ...

    def observation_set(
        self, up: Mapping[str, bool], fallbacks: int, whole: float | None
    ) -> None: ...

    def lag_set(self, report: LagReport, running: Collection[str]) -> None: ...

    def evidence_set(self, lines: Mapping[str, int]) -> None: ...

    def revision_set(self, revision: str, commit: str | None) -> None: ...

    def refusal_set(self, since: float | None) -> None: ...


class Unlogged:
    """A log for a process that tells people directly."""

    def info(self, event: str, **keys: object) -> None: ...

    def warning(self, event: str, **keys: object) -> None: ...

    def exception(self, event: str, **keys: object) -> None: ...
