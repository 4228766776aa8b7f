"""Who wins: one table of what holds a step back, the first row that holds."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final, TypeAlias

from controller.core.decision import Act, Converged, Decision, Difference, Stall, Wait
from controller.core.model import Json, Kind, Manage, Record, Records, ResourceKey
from controller.core.track import SETTLE_SECONDS, Track


@dataclass(frozen=True, slots=True)
class Standing:
    """What bears on whether a step may be taken now."""

    key: ResourceKey
    track: Track
    now: float
    records: Records
    observe_only: str | None = None  # why nothing may be written in this stage
    wrong_cluster: str | None = None  # why nothing may be written to these brokers
    manage: Manage = Manage.RECONCILE
    suspended_in_manifest: bool = False


Hold: TypeAlias = "Wait | Stall | None"


def suspend_record(key: ResourceKey) -> str:
    return f"intent/suspend:{key}"


_SWITCHES: Final = frozenset({"Resume", "Pause", "Stop"})
FREEZE_RECORD: Final = "intent/freeze"
TEARING_DOWN_RECORD: Final = "tearingDown/stage"


def hold(decision: Decision, standing: Standing) -> Decision:
    """Answer the decision, or the reason of the first row that holds it back."""
    if isinstance(decision, Converged):
        return decision
    for row in ALWAYS:
        held = row(decision, standing)
        if held is not None:
            return held
    if not isinstance(decision, Act):
        return decision  # stopped by hand, unknown, stalled: decided where it was observed
    later = (row(decision, standing) for row in BEFORE_ACTING)
    return next((held for held in later if held is not None), decision)


def _held(decision: Decision, reason: str, message: str, left: float | None = None) -> Wait:
    if isinstance(decision, Act):
        return Wait(reason, message, left, decision.diff, decision)
    diff = () if isinstance(decision, Converged) else decision.diff
    inner = None if isinstance(decision, Converged) else decision.held
    return Wait(reason, message, left, diff, inner)


def _resuming(decision: Decision, standing: Standing) -> Hold:
    """A connector that we resumed a moment ago may still be shown STOPPED, with its first rows."""
    track = standing.track
    guarded = isinstance(decision, Stall) and decision.reason == "SnapshotWouldStart"
    left = track.written_at + SETTLE_SECONDS - standing.now
    if not guarded or track.wrote != "Resume" or not 0 < left <= SETTLE_SECONDS:
        return None
    return Wait("Settling", "resumed a moment ago; waits to see it", left / 4)


def _tearing_down(decision: Decision, standing: Standing) -> Hold:
    if TEARING_DOWN_RECORD not in standing.records:
        return None
    return _held(decision, "TearingDown", "the stage is being torn down")


def _frozen(decision: Decision, standing: Standing) -> Hold:
    record = standing.records.get(FREEZE_RECORD)
    if record is None:
        return None
    return _held(decision, "Frozen", _told("the stage is frozen", record))


def _observe_only(decision: Decision, standing: Standing) -> Hold:
    if standing.observe_only is not None:
        return _held(decision, "ObserveOnly", standing.observe_only)
    if standing.manage is Manage.OBSERVE:
        return _held(decision, "ObserveOnly", "its manifest says manage: observe")
    return None


def _wrong_cluster(decision: Decision, standing: Standing) -> Hold:
    if standing.wrong_cluster is None:
        return None
    held = _held(decision, "WrongCluster", standing.wrong_cluster)
    return Stall(held.reason, held.message, held.diff, held.held)


def _suspended(decision: Decision, standing: Standing) -> Hold:
    record = standing.records.get(suspend_record(standing.key))
    if record is not None:
        return _held(decision, "Suspended", _told("suspended", record))
    if standing.suspended_in_manifest:
        return _held(decision, "Suspended", "its manifest says suspend: true")
    return None


def _told(what: str, record: Record) -> str:
    value: Mapping[str, Json] = record.value
    until = value.get("until")
    who = value.get("who")
    parts = [what]
    if until:
        parts.append(f"until {until}")
    if who:
        parts.append(f"by {who}")
    return f"{' '.join(parts)}: {value.get('reason') or 'no reason given'}"


def _stalled(decision: Act, standing: Standing) -> Hold:
    track = standing.track
    if not track.stalled or standing.now >= track.not_before:
        return None
    return Stall(track.reason, track.message, decision.diff, decision)


def _flapping(decision: Act, standing: Standing) -> Hold:
    track = standing.track
    if decision.difference is Difference.ROTATION or not track.flapping:
        return None
    left = track.flapping_until - standing.now
    if left <= 0:
        return None
    return _held(
        decision,
        "Flapping",
        f"written {track.writes} times and different again each time: somebody else writes it too",
        left,
    )


def _settling(decision: Act, standing: Standing) -> Hold:
    """Connect answers a change of run state at once and shows it later; it is not asked twice."""
    track, write = standing.track, decision.signature
    left = track.written_at + SETTLE_SECONDS - standing.now
    if write != track.wrote or write not in _SWITCHES or not 0 < left <= SETTLE_SECONDS:
        return None
    return _held(decision, "Settling", "asked for a moment ago; waits to see it", left / 4)


def _backoff(decision: Act, standing: Standing) -> Hold:
    left = standing.track.not_before - standing.now
    if left <= 0:
        return None
    return _held(decision, standing.track.reason or "Backoff", standing.track.message, left)


Row: TypeAlias = "Callable[[Decision, Standing], Hold]"
RowBeforeActing: TypeAlias = "Callable[[Act, Standing], Hold]"
ALWAYS: Final[tuple[Row, ...]] = (
    _tearing_down,
    _frozen,
    _observe_only,
    _wrong_cluster,
    _suspended,
    _resuming,
)
BEFORE_ACTING: Final[tuple[RowBeforeActing, ...]] = (
    _stalled,
    _flapping,
    _settling,
    _backoff,
)
OWN_KINDS: Final = (Kind.SECRET, Kind.WORKER)  # files are never held: no worker could start
