"""Whether a connector gets anywhere: Connect's RUNNING alone says nothing about it.

Asked are, in this order: what Connect itself calls failed, what it leaves without a task, topics
that its producer waits for, what the worker's log tells of it, whether its offsets move, and
whether heartbeats come. What could not be seen is said, and is never taken for good news.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, TypeAlias

from controller.core.ailment import Ailment
from controller.core.condition import Status
from controller.core.connector_class import ORACLE
from controller.core.connector_memory import stopped_record
from controller.core.explain import who_acts
from controller.core.failure import Actor, Failure, known
from controller.core.lag_report import WORKER
from controller.core.login_stop import read_stop
from controller.core.model import Absent, ConnectorManifest, ObservedConnector, RunState, Unknown
from controller.core.preflight import Finding
from controller.core.preflight_step import findings_of
from controller.core.progress import Progress
from controller.core.restart_case import ailment_in, bounced_until, idle_until
from controller.core.silence import heartbeat_interval, silent_for
from controller.core.snapshot_phase import has_ended
from controller.core.tries import read_tries, utc
from controller.core.world import World

Verdict: TypeAlias = "tuple[Status, str, str]"

# What a worker does within its scheduled.rebalance.max.delay.ms (Kafka's default is 300 s) is no
# failure yet; a start is over much sooner.
UNASSIGNED_LIMIT: Final = 330.0
START_LIMIT: Final = 60.0
FROZEN_LIMIT: Final = 900.0  # seconds without a move of an offset that heartbeats would move
MOVED_LATELY: Final = 600.0  # seconds for which a move stands in for a log that is not seen
HEARTBEAT_QUERY_KEY: Final = "heartbeat.action.query"
_WANTED: Final = {RunState.PAUSED: "PAUSED", RunState.STOPPED: "STOPPED"}


def judge_health(
    manifest: ConnectorManifest, observed: ObservedConnector | Absent | Unknown, world: World
) -> Verdict:
    """Answer the condition Healthy as status, reason and a sentence to act on."""
    if isinstance(observed, Unknown):
        return _unseen(observed, world)
    if isinstance(observed, Absent):
        return Status.FALSE, "Absent", "it is not there, so nothing flows"
    return _Patient(manifest, observed, world).verdict()


@dataclass(frozen=True, slots=True)
class _Patient:
    """One connector that is there, and all that was seen."""

    manifest: ConnectorManifest
    observed: ObservedConnector
    world: World

    @property
    def name(self) -> str:
        return self.manifest.name

    @property
    def ailment(self) -> Ailment | None:
        tries = read_tries(self.world.records, self.name, self.world.now)
        found = ailment_in(self.observed, tries, self.world)
        return None if found is None or found.noise else found

    def verdict(self) -> Verdict:
        told = (
            self._standing()
            or self._failed()
            or self._without_task()
            or self._by_the_log()
            or self._without_topic()
            or self._started_anew()
            or self._frozen()
            or self._without_kafka()
            or self._silent()
            or self._in_danger()
        )
        return told or self._running()

    # --- what Connect says ------------------------------------------------------------------

    def _standing(self) -> Verdict | None:
        state = self.observed.state
        if state not in ("STOPPED", "PAUSED"):
            return None
        stop = read_stop(self.world.records, self.name)
        if stop is not None and state == "STOPPED":
            return _ill(stop.failure, _tell_stop(stop.failure, stop.at))
        if _WANTED.get(self.manifest.run_state) == state:
            return Status.TRUE, state.title(), f"{state} as declared"
        if state == "STOPPED" and stopped_record(self.name) in self.world.records:
            return Status.UNKNOWN, "Starting", "not resumed yet"
        wanted = self.manifest.run_state
        return _ill(state.title(), f"Connect says {state}, declared is {wanted}: nothing flows")

    def _failed(self) -> Verdict | None:
        failed = [task for task in self.observed.tasks if task.state == "FAILED"]
        if self.observed.state != "FAILED" and not failed:
            return None
        who = f"task {failed[0].id}" if failed else "the connector"
        ailment = self.ailment
        if ailment is None or ailment.failure == "unknown":
            reason = "TaskFailed" if failed else "ConnectorFailed"
            row = None if ailment is None else ailment.row
            return _ill(reason, f"Connect says {who} FAILED. {_advise(row)}")
        said = f"Connect says {who} FAILED: {ailment.cause} {_advise(ailment.row)}"
        return _ill(ailment.failure, said)

    def _without_task(self) -> Verdict | None:
        """Judge what is neither running nor failed, once it is so for longer than it may be."""
        found = next(self._idle_parts(), None)
        if found is None:
            return None
        reason, said, limit = found
        ailment = self._fresh_ailment()
        if ailment is not None and ailment.last > idle_until(self.observed, self.world):
            return _ill(ailment.failure, f"{said}: {self._tell(ailment)}")
        since = self._idle_since()
        if self.world.now - since < limit:
            return Status.UNKNOWN, "Starting", f"{said} since {utc(since)}, which may be a start"
        return _ill(
            reason,
            f"{said} since {utc(since)}, so nothing flows. Read the worker's log around that time; "
            "a stop and a resume start its tasks anew",
        )

    def _idle_since(self) -> float:
        """Count over our own tries to start it: each of them begins a state anew."""
        since = self.world.states_since.get(self.name, self.world.now)
        tries = read_tries(self.world.records, self.name, self.world.now)
        ill = tries is not None and tries.well_since is None
        return min(since, tries.since) if tries is not None and ill else since

    def _idle_parts(self) -> Iterator[tuple[str, str, float]]:
        state = self.observed.state
        if state != "RUNNING":
            limit = UNASSIGNED_LIMIT if state == "UNASSIGNED" else START_LIMIT
            yield f"Connector{state.title()}", f"Connect says {state}", limit
        elif not self.observed.tasks:
            yield "NoTasks", "Connect says RUNNING, and there is no task", START_LIMIT
        for task in self.observed.tasks:
            if task.state != "RUNNING":
                limit = UNASSIGNED_LIMIT if task.state == "UNASSIGNED" else START_LIMIT
                said = f"Connect says RUNNING, and task {task.id} is {task.state}"
                yield f"Task{task.state.title()}", said, limit

    # --- what stands behind RUNNING -----------------------------------------------------------

    def _without_topic(self) -> Verdict | None:
        gone = self._gone()
        if not gone:
            return None
        return _ill(
            "TopicMissing",
            f"RUNNING, but {_list(gone)} is not there: its producer waits for it for ever, and all "
            "tables of the connector stand still. It goes on by itself once the topic is there: "
            f"see the step topic/{gone[0]}",
        )

    def _gone(self) -> list[str]:
        keys = sorted(self.manifest.needs)
        return [key.name for key in keys if isinstance(self.world.topics.get(key), Absent)]

    def _by_the_log(self) -> Verdict | None:
        fresh = self._fresh_ailment()
        if fresh is None or (fresh.failure == "TopicMissing" and self._gone()):
            return None  # the broker knows which topic
        flows = " and data may flow" if fresh.row.silent else ""
        return _ill(fresh.failure, f"RUNNING{flows}, but {self._tell(fresh)}")

    def _started_anew(self) -> Verdict | None:
        ailment = self.ailment
        if ailment is None or self._fresh_ailment() is not None:
            return None
        until = min(self._bounced_until(), self.world.now)
        said = f"started anew at {utc(until)} after {ailment.failure}; not shown to be well yet"
        return Status.UNKNOWN, "Starting", said

    def _fresh_ailment(self) -> Ailment | None:
        """Leave out what the worker said of a task that was ended since."""
        ailment = self.ailment
        if ailment is None or (ailment.last <= self._bounced_until() and not ailment.row.silent):
            return None
        return ailment

    def _bounced_until(self) -> float:
        tries = read_tries(self.world.records, self.name, self.world.now)
        return bounced_until(self.manifest, tries, self.world)

    def _tell(self, ailment: Ailment) -> str:
        tries = "once" if ailment.count == 1 else f"{ailment.count} times"
        head = f"{ailment.failure} since {utc(ailment.since)}, seen {tries}"
        beside = self._unknown_beside() if ailment.row.wrapper else ""
        return f"{head}: {ailment.cause}{beside} {_advise(ailment.row)}"

    def _unknown_beside(self) -> str:
        """Name what the log has beside words that tell no cause, though it is not known here."""
        found = self.world.evidence.of(self.name)
        told = [text for e in found if e.row is None for text in e.codes or e.classes]
        return f" Beside it the worker's log has {', '.join(told)}." if told else ""

    def _frozen(self) -> Verdict | None:
        seen = self.world.progress.get(self.name)
        if not isinstance(seen, Progress) or not has_ended(seen.offsets):
            return None
        still = seen.read_at - seen.first_at
        if still < FROZEN_LIMIT or not self._must_move():
            return None
        return _ill(
            "OffsetsFrozen",
            f"RUNNING, but its offsets stand still since {utc(seen.first_at)}; heartbeats would "
            "move them. Look for a transaction in the source that is open as long, then at the "
            "worker's log; a restart of the task is safe",
        )

    def _without_kafka(self) -> Verdict | None:
        fault = self.world.topics.fault
        if fault is None:
            return None
        said = f"RUNNING, but Kafka does not answer us, so nothing is known: {fault.message}"
        return Status.UNKNOWN, "KafkaUnreachable", said

    def _silent(self) -> Verdict | None:
        silent = silent_for(self.observed, self.world)
        if silent is None:
            return None
        return _ill(
            "HeartbeatSilent",
            f"RUNNING, but neither a heartbeat nor a row has come since "
            f"{utc(self.world.now - silent)}: it captures nothing. Look at the worker's log around "
            "that time; a restart of the task is safe",
        )

    def _in_danger(self) -> Verdict | None:
        """Tell what was found wrong in the database though the connector still gets on."""
        found, at = findings_of(self.name, self.world)
        if not found or not found[0].fails:
            return None
        return _ill(found[0].reason, f"RUNNING, but {_tell_finding(found[0], at)}")

    def _must_move(self) -> bool:
        """Whether heartbeats move the offset of a source in which nobody writes."""
        if not heartbeat_interval(self.observed):
            return False
        if HEARTBEAT_QUERY_KEY in self.observed.config:
            return True
        return self.manifest.connector_class == ORACLE  # whose SCN never stands still

    def _running(self) -> Verdict:
        unseen = list(self._unseen())
        tasks = f"RUNNING with {len(self.observed.tasks)} task(s)"
        seen = self.world.progress.get(self.name)
        moved = seen.moved_at if isinstance(seen, Progress) else None
        said = tasks if moved is None else f"{tasks}, offsets moved at {utc(moved)}"
        if unseen:
            said = f"{said}; not seen: {'; '.join(unseen)}"
        lately = moved is not None and self.world.now - moved <= MOVED_LATELY
        if self.world.unseen_log is not None and not lately:
            return Status.UNKNOWN, "NotSeen", f"{said}. RUNNING alone is no proof of health"
        found, at = findings_of(self.name, self.world)
        if found:
            return Status.TRUE, found[0].reason, f"{said}; {_tell_finding(found[0], at)}"
        return Status.TRUE, "Running", said

    def _unseen(self) -> Iterator[str]:
        if self.world.unseen_log is not None:
            yield f"the worker's log ({self.world.unseen_log})"
        seen = self.world.progress.get(self.name)
        if isinstance(seen, Unknown):
            yield f"its offsets ({seen.fault.message})"
        keys = sorted(self.manifest.needs)
        if any(isinstance(self.world.topics.get(key), Unknown) for key in keys):
            yield "its topics (Kafka does not answer)"


def _unseen(observed: Unknown, world: World) -> Verdict:
    """The task's metadata may know why Connect does not answer."""
    said = f"Connect could not be looked at: {observed.fault.message}"
    row = known("OutOfMemory")
    ended = [one for one in world.lag.containers if one.name == WORKER and one.out_of_memory]
    if row is None or not ended:
        return Status.UNKNOWN, observed.fault.reason, said
    return _ill(row.id, f"{said}. {row.says} Its container {ended[0].trouble}. {_advise(row)}")


def _ill(reason: str, message: str) -> Verdict:
    return Status.FALSE, reason, message


def _tell_stop(failure: str, at: float) -> str:
    row = known(failure)
    says = "" if row is None else f" {row.says}"
    return (
        f"stopped by the controller at {utc(at)} after {failure}, so that no further login is "
        f"tried.{says} {_advise(row)}"
    )


def _tell_finding(finding: Finding, at: float) -> str:
    asked = who_acts(Actor.DBA)
    return f"the database, looked at {utc(at)}: {finding.message}. {finding.sql} ({asked})"


def _advise(row: Failure | None) -> str:
    if row is None:
        return "Read the worker's log around its time."
    return f"{row.remedy} ({who_acts(row.actor)})"


def _list(names: list[str]) -> str:
    shown = ", ".join(names[:3])
    return f"topic {shown}" if len(names) <= 3 else f"topic {shown} and {len(names) - 3} more"
