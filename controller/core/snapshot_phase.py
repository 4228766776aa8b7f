"""Whether a connector's initial snapshot runs: a bounce of its task would begin it again.

Connect tells it by the offsets alone. They are not asked for in a quiet cycle, so the end of one is
remembered, under snapshot/{name}; what the offsets say themselves outranks the memory.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from enum import StrEnum
from typing import Final, TypeAlias

from controller.core.action import Forget, PutConfig, Remember, Restart
from controller.core.connector_class import CLASSES
from controller.core.decision import Act, Decision, Difference, Risk, Stall, Wait
from controller.core.model import (
    Absent,
    ConnectorManifest,
    Json,
    ObservedConnector,
    Offsets,
    Records,
    Snapshot,
    Unknown,
    connector_key,
)
from controller.core.risk import worst

_WORKING: Final = ("RUNNING", "PAUSED")  # a paused task keeps its snapshot
_PREFIX: Final = "snapshot/"
_NO: Final = (None, False, "", "false")
_LOST: Final = "the snapshot that runs now is given up and begins again with its first table"


class Phase(StrEnum):
    """What is known of a connector's snapshot."""

    NONE = "none"  # nothing that a bounce could interrupt
    RUNNING = "running"
    PAUSED = "paused"  # it is not at its end, and comes no nearer to it
    DONE = "done"
    UNREAD = "unread"  # its offsets were not looked at


SnapshotPhase: TypeAlias = "Phase | Unknown"


def snapshot_record(name: str) -> str:
    return f"{_PREFIX}{name}"


def phase_of(
    manifest: ConnectorManifest,
    observed: ObservedConnector | Absent | Unknown,
    offsets: Offsets | Unknown | None,
    records: Records,
) -> SnapshotPhase:
    """Judge by offsets, tasks and memory; unknown offsets are no proof of an end."""
    if not isinstance(observed, ObservedConnector) or not takes_snapshots(manifest):
        return Phase.NONE
    if not any(task.state in _WORKING for task in observed.tasks):
        return Phase.NONE
    if isinstance(offsets, tuple):
        going = Phase.PAUSED if observed.state == "PAUSED" else Phase.RUNNING
        return Phase.DONE if has_ended(offsets) else going
    if snapshot_record(manifest.name) in records:
        return Phase.DONE
    return Phase.UNREAD if offsets is None else offsets


def takes_snapshots(manifest: ConnectorManifest) -> bool:
    known = CLASSES.get(manifest.connector_class)
    return known is None or known.captures


def has_ended(offsets: Offsets) -> bool:
    """Whether there are offsets and none is of a snapshot; its last record may say it ended."""
    return bool(offsets) and not any(_in_snapshot(entry.get("offset")) for entry in offsets)


def _in_snapshot(offset: Json) -> bool:
    if not isinstance(offset, dict) or offset.get("snapshot") in _NO:
        return False
    ended = (offset.get("snapshot_completed"), offset.get("last_snapshot_record"))
    return all(flag in _NO for flag in ended)


def interrupts(act: Act) -> bool:
    """Whether it starts the task anew; a stop does not, it is what a person asks for."""
    return any(isinstance(action, PutConfig | Restart) for action in act.actions)


def guard_snapshot(decision: Decision, phase: SnapshotPhase, *, protected: bool) -> Decision:
    """Raise the risk of a new generation while a snapshot runs; on named stages hold it.

    So with a repair while it is paused: that would wait for an end that does not come.
    """
    act = decision.held if isinstance(decision, Stall) else decision
    judged = (Difference.NEW_GENERATION, *((Difference.DRIFT,) if phase is Phase.PAUSED else ()))
    if not isinstance(act, Act) or act.difference not in judged:
        return decision
    if not interrupts(act) or phase in (Phase.NONE, Phase.DONE):
        return decision
    if phase not in (Phase.RUNNING, Phase.PAUSED):
        return wait_for_phase(phase, act)
    told = "; ".join(text for text in (_LOST, act.consequence) if text)
    risky = replace(act, risk=worst((act.risk, Risk.SNAPSHOT)), consequence=told)
    if isinstance(decision, Stall):
        return replace(decision, message=f"{decision.message}; also, {_LOST}", held=risky)
    if not protected:
        return risky
    return Stall(
        "AcceptanceRequired",
        f"{act.message}: {_LOST}; a person must accept that, or wait for its end",
        act.diff,
        risky,
    )


def wait_for_phase(phase: SnapshotPhase, act: Act) -> Wait:
    """Say why an act that starts the task anew waits."""
    if isinstance(phase, Unknown):
        return Wait(phase.fault.reason, phase.fault.message, None, act.diff, act)
    if phase is Phase.UNREAD:
        return Wait(
            "OffsetsUnread", "its offsets are read before its task is bounced", 0.0, act.diff, act
        )
    message = f"a snapshot runs, which a restart of its task would begin again: {act.message}"
    return Wait("SnapshotRunning", message, None, act.diff, act)


def keep_phase(
    connectors: Snapshot[ObservedConnector],
    offsets: Mapping[str, Offsets | Unknown],
    records: Records,
    now: float,
) -> Iterator[Remember | Forget]:
    """Remember that a snapshot has ended; forget it as soon as that may be so no more.

    The offsets of one that is gone or STOPPED may be deleted unseen, and it may be back at work.
    """
    for record in sorted(records):
        name = record.removeprefix(_PREFIX)
        if name != record and _may_lose_offsets(connectors.get(connector_key(name))):
            yield Forget(record)
    for name, seen in sorted(offsets.items()):
        record = snapshot_record(name)
        idle = _may_lose_offsets(connectors.get(connector_key(name)))
        if idle or not isinstance(seen, tuple):
            continue
        if has_ended(seen) and record not in records:
            yield Remember(record, {"at": now})
        if not has_ended(seen) and record in records:
            yield Forget(record)


def _may_lose_offsets(observed: ObservedConnector | Absent | Unknown) -> bool:
    """Connect deletes and alters offsets of a STOPPED connector only; gone, it may be made anew."""
    if isinstance(observed, Unknown):
        return False
    return isinstance(observed, Absent) or observed.state == "STOPPED"
