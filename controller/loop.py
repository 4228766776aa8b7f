"""Pace: when the next cycle starts, and what wakes it earlier."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Final

from controller.cycle_report import CycleReport
from controller.log_lines import Log
from controller.ports import Clock

POLL_SECONDS: Final = 0.5
SOONEST_SECONDS: Final = 0.2
BURST: Final = 5
TOKENS_PER_SECOND: Final = 1.0


class Wake:
    """Makes the next cycle come sooner; carries no truth, and many wakes are one."""

    def __init__(self) -> None:
        self._event = threading.Event()

    def __call__(self, _why: str = "") -> None:
        self._event.set()

    def wait(self, seconds: float) -> bool:
        return self._event.wait(seconds)

    def take(self) -> None:
        self._event.clear()


class Tokens:
    """A token is spent for each cycle that starts early, so that no storm of wakes spins us."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._left = float(BURST)
        self._at = clock.monotonic()

    def until_next(self) -> float:
        """Tell in how many seconds a token is there."""
        self._refill()
        return max(0.0, (1.0 - self._left) / TOKENS_PER_SECOND)

    def spend(self) -> None:
        self._refill()
        self._left = max(0.0, self._left - 1.0)

    def _refill(self) -> None:
        now = self._clock.monotonic()
        self._left = min(float(BURST), self._left + (now - self._at) * TOKENS_PER_SECOND)
        self._at = now


class Loop:
    """Runs one cycle after another until it is told to stop."""

    def __init__(
        self,
        *,
        cycle: Callable[[Callable[[], bool]], CycleReport],
        changed: Callable[[], bool],
        wake: Wake,
        stop: threading.Event,
        clock: Clock,
        jitter: Callable[[], float],
        log: Log,
        started: Callable[[float], None],
        ended: Callable[[str, float, float], None],
    ) -> None:
        self._cycle = cycle
        self._changed = changed
        self._wake = wake
        self._stop = stop
        self._clock = clock
        self._jitter = jitter
        self._log = log
        self._started = started
        self._ended = ended
        self._tokens = Tokens(clock)
        self.pulse = clock.monotonic()  # when the loop last turned
        self.interval = 15.0

    def run(self) -> None:
        """Run until stopped; a bug in a cycle is logged and counted, and the next tries again."""
        while not self._stop.is_set():
            self.pulse = self._clock.monotonic()
            self._wake.take()
            report = self._run_one()
            self._wait(self._next(report))

    def _run_one(self) -> CycleReport | None:
        start, at = self._clock.monotonic(), self._clock.now()
        self._started(at)
        result, report = "crashed", None
        try:
            report = self._cycle(self._stop.is_set)
            result = report.result
        except Exception:  # noqa: BLE001 - our own bug; one bad cycle must not end the care
            self._log.exception("cycle crashed")
        finally:
            self._ended(result, self._clock.monotonic() - start, self._clock.now())
        return report

    def _next(self, report: CycleReport | None) -> float:
        """Tell when to look again: at once after acting, else after the interval, with jitter."""
        if report is None:
            return self.interval
        self.interval = report.world.policy.interval
        paced = self.interval * (0.8 + 0.2 * self._jitter())  # the interval is what it is at most
        requeue = report.plan.requeue_after
        if report.acted or requeue == 0.0:
            return SOONEST_SECONDS
        return paced if requeue is None else min(paced, max(requeue, SOONEST_SECONDS))

    def _wait(self, seconds: float) -> None:
        """Wait in slices; a wake or a changed folder ends it as soon as there is a token."""
        until = self._clock.monotonic() + seconds
        if seconds < self.interval / 2:
            until = max(until, self._clock.monotonic() + self._tokens.until_next())
            self._tokens.spend()
        while not self._stop.is_set():
            left = until - self._clock.monotonic()
            if left <= 0:
                return
            woken = self._wake.wait(min(left, POLL_SECONDS))
            self.pulse = self._clock.monotonic()
            if woken or self._has_news():
                self._stop.wait(self._tokens.until_next())
                self._tokens.spend()
                return

    def _has_news(self) -> bool:
        try:
            return self._changed()
        except Exception:  # noqa: BLE001 - our own bug; the next cycle meets it too, and tells it
            return False


def watch_pulse(
    loop: Loop, *, stop: threading.Event, clock: Clock, budget: float, grace: float = 60.0
) -> bool:
    """Block until stopped (True), or until the loop has not turned for too long (False).

    A process that exits within its first minute is never restarted by ECS, hence the grace.
    """
    born = clock.monotonic()
    while not stop.wait(1.0):
        now = clock.monotonic()
        if now - born > grace and now - loop.pulse > 3 * loop.interval + budget:
            return False
    return True
