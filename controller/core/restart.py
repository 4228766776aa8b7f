"""When what failed is started again, and how; when it is left to a person."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from controller.core.action import Action, Forget, Remember, Restart, Stop
from controller.core.ailment import Ailment
from controller.core.connector_memory import release_record, stopped_record
from controller.core.decision import Act, Converged, Decision, Difference, Risk, Stall, Wait
from controller.core.failure import FAILURES, Failure, FailureKind, Treatment
from controller.core.model import Json, ObservedConnector
from controller.core.risk import consequence
from controller.core.tries import MOST, WINDOW, Tries, once_more, put_tries, times, utc

NEWS_AFTER: Final = 1.0  # seconds; two looks agree, so that no moment of a start counts
NO_TASKS_AFTER: Final = 60.0  # seconds; a rebalance leaves a connector without tasks for a while
LOOPS_AFTER: Final = 300.0  # seconds; what passes by itself gets the time for it
NO_TASKS: Final = "NoTasks"
QUIET: Final = "NotFailed"
SPENT: Final = "RestartsSpent"
_MOVING: Final = ("UNASSIGNED", "RESTARTING", "PENDING")


class Symptom(StrEnum):
    """What Connect and the worker's log show; it decides how a restart reaches it."""

    WELL = "well"
    MOVING = "moving"  # starting, paused, stopped: neither well nor ill
    FAILED = "failed"
    NO_TASKS = "no-tasks"  # RUNNING with `tasks: []`: skipped by every restart
    LOOPING = "looping"  # RUNNING, and it fails again and again


# --- one connector ------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Case:
    """All that bears on whether one connector is restarted."""

    name: str
    generation: str
    observed: ObservedConnector
    now: float
    ailment: Ailment | None = None
    tries: Tries | None = None
    bounced: float = 0.0  # when we last started or stopped its task; older evidence is over
    lately: tuple[float, ...] = ()  # tries of the whole Connect cluster within the window
    unreachable: tuple[str, str] | None = None  # reason and message: a start would fail again
    busy: str | None = None  # why its config comes first
    released: bool = False  # a person wants it tried once more
    in_snapshot: bool = False  # or not known to be past it
    stop: Act | None = None  # how its logins are stopped

    @property
    def symptom(self) -> Symptom:
        states = [task.state for task in self.observed.tasks]
        if self.observed.state == "FAILED" or (
            self.observed.state in ("RUNNING", *_MOVING) and "FAILED" in states
        ):
            return Symptom.FAILED
        if self.observed.state != "RUNNING":
            return Symptom.MOVING
        if not states:
            return Symptom.NO_TASKS
        if any(state != "RUNNING" for state in states):
            return Symptom.MOVING
        return Symptom.LOOPING if self._loops() else Symptom.WELL

    def _loops(self) -> bool:
        ailment = self.ailment
        return ailment is not None and not ailment.row.silent and not ailment.noise

    @property
    def failure(self) -> Failure | None:
        return None if self.ailment is None else self.ailment.row

    @property
    def ill_before(self) -> Tries | None:
        """What was well in between begins anew, however often it was tried before."""
        return None if self.tries is None or self.tries.well_since is not None else self.tries

    @property
    def ill_since(self) -> float:
        return self.now if self.ill_before is None else self.ill_before.since

    @property
    def failure_id(self) -> str:
        if self.ailment is not None:
            return self.ailment.row.id
        return NO_TASKS if self.symptom is Symptom.NO_TASKS else "unknown"


def decide_restart(case: Case) -> Decision:
    symptom = case.symptom
    if symptom in (Symptom.WELL, Symptom.MOVING):
        return Converged(QUIET, "nothing of it has failed")
    treatment = treat(case)
    if treatment is Treatment.STOP:
        return case.stop or Stall(case.failure_id, explain_held(case))
    if case.busy is not None:
        return Wait("ConfigFirst", case.busy)
    if treatment is Treatment.RESTART:
        return _restart(case, _limit(case))
    if symptom is not Symptom.FAILED:
        return Converged("NotRestarted", _tell_left(case))
    if case.released or _changed_since(case):
        return _restart(case, None)
    return Stall(case.failure_id, explain_held(case))


def _tell_left(case: Case) -> str:
    if case.ailment is None or case.ailment.treatment is not Treatment.RESTART:
        return "a restart would not help"
    return f"it may be over; restarted once it has lasted {LOOPS_AFTER / 60:.0f} minutes"


def treat(case: Case) -> Treatment:
    """Choose by kind and by what is seen: what failed for good does not pass by itself."""
    ailment, symptom = case.ailment, case.symptom
    if ailment is None:
        return Treatment.RESTART if symptom is Symptom.NO_TASKS else Treatment.HOLD
    transient = ailment.row.kind is FailureKind.TRANSIENT
    may_pass = transient or ailment.row.kind is FailureKind.UNKNOWN
    if ailment.row.kind is FailureKind.DATA_POSITION:
        return Treatment.HOLD
    if ailment.treatment is Treatment.STOP:
        stops = ailment.on_start_path or symptom is Symptom.FAILED
        return Treatment.STOP if stops else Treatment.HOLD
    if symptom is Symptom.LOOPING and may_pass:
        # In a snapshot nothing else tells that it is over, and a restart throws the snapshot away.
        until = ailment.last if case.in_snapshot else case.now
        lasting = until - ailment.since >= LOOPS_AFTER
        helps = ailment.treatment is Treatment.RESTART
        return Treatment.RESTART if lasting and helps else Treatment.WAIT
    if symptom is Symptom.LOOPING:
        return ailment.treatment
    return Treatment.RESTART if transient else ailment.treatment


def _limit(case: Case) -> int | None:
    """Answer how many tries it gets; what passes by itself gets one each hour for ever."""
    row = case.failure
    if row is None or row.kind is FailureKind.TRANSIENT:
        return None
    return max(1, row.tries)


def _changed_since(case: Case) -> bool:
    """A good config does not revive a task whose own config stayed the same."""
    tries = case.ill_before
    return tries is not None and tries.generation != case.generation


def _restart(case: Case, limit: int | None) -> Decision:
    tries = case.tries or Tries(since=case.now)
    asked = case.released or (_changed_since(case) and tries.count > 0)
    if limit is not None and tries.count >= limit and not asked:
        return Stall(SPENT, _explain_spent(case, tries))
    held = _too_soon(case) or _out_of_reach(case) or _paced(case, tries, asked=asked)
    return held or _act(case, tries)


def _too_soon(case: Case) -> Wait | None:
    """Look twice before the first try, and give a start the time to show what came of it."""
    if case.symptom is Symptom.LOOPING:
        return None
    needed = NO_TASKS_AFTER if case.symptom is Symptom.NO_TASKS else NEWS_AFTER
    left = max(case.ill_since, case.bounced) + needed - case.now
    if case.tries is not None and left <= 0:
        return None
    return Wait(
        "JustFailed", f"{_tell(case)}; looked at once more before", max(0.1, min(left, needed))
    )


def _out_of_reach(case: Case) -> Wait | None:
    if case.unreachable is None:
        return None
    reason, message = case.unreachable
    return Wait(reason, f"{_tell(case)}; not restarted while {message}")


def _paced(case: Case, tries: Tries, *, asked: bool) -> Wait | None:
    left = tries.next_at - case.now
    if left > 0 and not asked:
        message = f"{_tell(case)}; {times(tries.count)}, next not before {utc(tries.next_at)}"
        return Wait("RestartLater", message, left)
    if len(case.lately) < MOST:
        return None
    until = case.lately[-MOST] + WINDOW
    message = f"{len(case.lately)} restarts of this Connect cluster in {WINDOW / 60:.0f} minutes"
    return Wait(
        "RestartBudget", f"{_tell(case)}; {message}, next at {utc(until)}", until - case.now
    )


def _act(case: Case, tries: Tries) -> Act:
    name = case.name
    tried = once_more(tries, case.failure_id, case.generation, case.now)
    first: tuple[Action, ...] = (put_tries(name, tried, case.now),)
    if case.released:
        first = (*first, Forget(release_record(name)))
    return Act(
        (*first, *_way(case)),
        "Restart",
        f"{_tell(case)}; try {tried.count}",
        difference=Difference.FAILURE,
        risk=Risk.RESTART,
        consequence=consequence((), Risk.RESTART),
    )


def _way(case: Case) -> tuple[Action, ...]:
    """Choose the call that reaches it; it is resumed, after the usual looks, when it stands."""
    if case.symptom is Symptom.NO_TASKS:
        stamp: dict[str, Json] = {"by": "restart", "at": case.now}
        return Remember(stopped_record(case.name), stamp), Stop(case.name)
    return (Restart(case.name, only_failed=case.symptom is Symptom.FAILED),)


# --- sentences ------------------------------------------------------------------------------

_SEEN: Final[Mapping[Symptom, str]] = {
    Symptom.FAILED: "Connect says FAILED",
    Symptom.NO_TASKS: "Connect says RUNNING, and there is no task",
    Symptom.LOOPING: "Connect says RUNNING, and it fails again and again",
}


def _tell(case: Case) -> str:
    return f"{_SEEN[case.symptom]} ({case.failure_id})"


def explain_held(case: Case) -> str:
    """Say what is true, and what a person should do about it."""
    row = case.failure
    if row is None:
        return f"{_tell(case)}: read the worker's log, then `wmsctl release connector/{case.name}`"
    command = f" Command: {row.command}" if row.command else ""
    return (
        f"{_SEEN[case.symptom]}; what is true: {row.says} {row.remedy}{command} After that: "
        f"`wmsctl release connector/{case.name}`"
    )


def _explain_spent(case: Case, tries: Tries) -> str:
    return f"{times(tries.count).capitalize()} without effect. {explain_held(case)}"


def restartable() -> tuple[str, ...]:
    """List the failures after which a restart may be tried, for labels."""
    return tuple(sorted({NO_TASKS, "unknown", *(row.id for row in FAILURES)}))
