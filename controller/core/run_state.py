"""What brings a connector to the run state that is declared, and what must be so before."""

from __future__ import annotations

from controller.core.action import Action, Pause, Remember, Resume, Stop
from controller.core.connector_memory import ConnectorMemory, stopped_record
from controller.core.decision import Act, Difference, Risk, Stall, Wait
from controller.core.identity import guard_shared
from controller.core.model import (
    ConnectorManifest,
    ObservedConnector,
    RunState,
    Unknown,
    topic_key,
)
from controller.core.snapshot_phase import has_ended
from controller.core.surroundings import Surroundings


def is_to_stop(manifest: ConnectorManifest, observed: ObservedConnector) -> bool:
    wanted = manifest.run_state is RunState.STOPPED
    return wanted and observed.state not in ("STOPPED", "PENDING")


def stop_connector(
    manifest: ConnectorManifest, observed: ObservedConnector, memory: ConnectorMemory
) -> Act:
    name = manifest.name
    return Act(
        (Remember(stopped_record(name), {"by": "stop"}), Stop(name)),
        "Repair" if memory.applied else "Update",
        f"connector {name} is {observed.state} and declared {manifest.run_state}",
        difference=Difference.DRIFT if memory.applied else Difference.NEW_GENERATION,
    )


def switch_state(
    manifest: ConnectorManifest,
    observed: ObservedConnector,
    memory: ConnectorMemory,
    around: Surroundings,
) -> tuple[Action, ...] | Wait | Stall:
    """Answer what brings the run state to what is declared; () when it is."""
    wanted, name = manifest.run_state, manifest.name
    if observed.state == "PENDING":
        return Wait("Pending", f"connector {name} has no status yet", 1.0)
    if wanted is RunState.STOPPED:
        return ()  # stopped before anything else
    if observed.state == "STOPPED":
        return _start(manifest, memory, around)
    if wanted is RunState.PAUSED:
        return () if observed.state == "PAUSED" else (Pause(name),)
    if observed.state != "PAUSED":
        return ()
    # Its offsets may have gone before the pause; a snapshot goes on where it was paused.
    return _guard_start(manifest, (Resume(name),), around, keeps_snapshot=True)


def _start(
    manifest: ConnectorManifest, memory: ConnectorMemory, around: Surroundings
) -> tuple[Action, ...] | Wait | Stall:
    name = manifest.name
    if around.protected and not memory.stopped_by_us:
        return Stall(
            "StoppedByHand",
            f"somebody stopped connector {name}; it stays so until somebody resumes it "
            f"(PUT /connectors/{name}/resume) or says `wmsctl release connector/{name}`",
        )
    if around.hold_resume is not None:
        return around.hold_resume
    start: Action = Resume(name) if manifest.run_state is RunState.RUNNING else Pause(name)
    return _guard_start(manifest, (*around.before_resume, start), around)


def _guard_start(
    manifest: ConnectorManifest,
    starts: tuple[Action, ...],
    around: Surroundings,
    *,
    keeps_snapshot: bool = False,
) -> tuple[Action, ...] | Wait | Stall:
    name = manifest.name
    if around.missing:
        return Wait("NeedsMissing", f"waits for {', '.join(around.missing)}")
    if around.offsets is None:
        return Wait("OffsetsUnread", "its offsets are read before it is resumed", 0.0)
    if isinstance(around.offsets, Unknown):
        return Wait(around.offsets.fault.reason, around.offsets.fault.message)
    if not around.protected:
        return starts
    if around.offsets and (keeps_snapshot or has_ended(around.offsets)):
        return _guard_history(manifest, starts, around.filled)
    why = "its snapshot had not ended" if around.offsets else "it has no offsets"
    shared = guard_shared(name, around.neighbours)
    return shared or _guard_snapshot(name, starts, around.filled, why)


def _unread(filled: frozenset[str] | Unknown | None) -> Wait | None:
    if filled is None:
        return Wait("TopicsUnread", "its topics are looked at before it is resumed", 0.0)
    if isinstance(filled, Unknown):
        return Wait(filled.fault.reason, filled.fault.message)
    return None


def _guard_snapshot(
    name: str, starts: tuple[Action, ...], filled: frozenset[str] | Unknown | None, why: str
) -> tuple[Action, ...] | Wait | Stall:
    """Resume what begins with a snapshot only while its topics are empty."""
    if not isinstance(filled, frozenset):
        return _unread(filled) or starts
    if not filled:
        return starts
    held = Act(
        starts,
        "Resume",
        f"connector {name} is to start and {why}",
        risk=Risk.SNAPSHOT,
        consequence="it reads all tables again, and consumers get every row a second time",
    )
    return Stall(
        "SnapshotWouldStart",
        f"connector {name} is to start, {why}, and {', '.join(sorted(filled))} hold records: "
        f"resumed, {held.consequence}",
        held=held,
    )


def _guard_history(
    manifest: ConnectorManifest,
    starts: tuple[Action, ...],
    filled: frozenset[str] | Unknown | None,
) -> tuple[Action, ...] | Wait | Stall:
    """Resume what has offsets only while its history holds what they were reached with."""
    name, history = manifest.name, manifest.history_topic
    if history is None or topic_key(history) not in manifest.needs:
        return starts
    if not isinstance(filled, frozenset):
        return _unread(filled) or starts
    if history in filled:
        return starts
    held = Act(
        starts,
        "Resume",
        f"schema history {history} of connector {name} is empty",
        risk=Risk.DATA_LOSS,
        consequence="it fails, or builds the history from the tables as they are now, and reads "
        "what was written before an ALTER TABLE with columns that it did not have",
    )
    return Stall(
        "HistoryEmpty",
        f"connector {name} has offsets, and its schema history {history} holds no record: "
        f"resumed, {held.consequence}",
        held=held,
    )
