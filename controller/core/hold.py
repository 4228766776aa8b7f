"""Who wins: one table of what holds a step back, the first row that holds."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Final, TypeAlias

from controller.core.action import Forget, Remember
from controller.core.decision import (
    STOP_LOGINS,
    Act,
    Converged,
    Decision,
    Difference,
    Risk,
    Stall,
    Wait,
)
from controller.core.model import Json, Kind, Manage, Record, Records, ResourceKey
from controller.core.pace import (
    HOUR,
    drift_record,
    drift_since,
    explain_spent,
    idle_since,
    is_accepted,
    is_repair,
    read_pace,
    spent,
    stamp,
    was_held,
)
from controller.core.snapshot_phase import (
    Phase,
    SnapshotPhase,
    interrupts,
    snapshot_record,
    wait_for_phase,
)
from controller.core.track import SETTLE_SECONDS, Track


@dataclass(frozen=True, slots=True)
class Standing:
    """What bears on whether a step may be taken now."""

    key: ResourceKey
    track: Track
    now: float
    records: Records
    observe_only: str | None = None  # why nothing may be written in this stage
    not_leader: str | None = None  # why another controller acts instead
    wrong_cluster: str | None = None  # why nothing may be written to these brokers
    manage: Manage = Manage.RECONCILE
    suspended_in_manifest: bool = False
    interval: float = 15.0
    repair_delay: float = 0.0
    per_hour: int | None = None  # repairs, and bounces of a task; None: no limit
    required: frozenset[str] = frozenset()  # fields whose repair never waits: data is being lost
    snapshot: SnapshotPhase = Phase.NONE
    starting: bool = False  # we stopped or created it, and it was not seen running since


Hold: TypeAlias = "Wait | Stall | None"


def suspend_record(key: ResourceKey) -> str:
    return f"{SUSPEND_PREFIX}{key}"


_SWITCHES: Final = frozenset({"Resume", "Pause", "Stop"})
SUSPEND_PREFIX: Final = "intent/suspend:"
FREEZE_RECORD: Final = "intent/freeze"
TEARING_DOWN_RECORD: Final = "tearingDown/stage"


def hold(decision: Decision, standing: Standing) -> Decision:
    """Answer the decision, or the reason of the first row that holds it back."""
    if isinstance(decision, Converged):
        return decision
    held = hold_always(decision, standing)
    if held is not None:
        return held
    if not isinstance(decision, Act):
        return decision  # stopped by hand, unknown, stalled: decided where it was observed
    later = (row(decision, standing) for row in BEFORE_ACTING)
    return next((held for held in later if held is not None), decision)


def hold_always(decision: Decision, standing: Standing) -> Hold:
    """Answer what holds back whatever its pace is; that also ends an act that has begun."""
    rows = (row(decision, standing) for row in ALWAYS)
    return next((held for held in rows if held is not None), None)


def draw(decision: Decision, standing: Standing) -> Decision:
    """Put first what is to be remembered of an act: its time, and a snapshot that it begins."""
    if not isinstance(decision, Act):
        return decision
    now, first = standing.now, list[Remember | Forget]()
    if standing.per_hour is not None:
        pace = read_pace(standing.records, standing.key, standing.track.generation, now)
        first += stamp(decision, pace, now, standing.per_hour)
    snapshot = snapshot_record(standing.key.name)
    if decision.risk is Risk.SNAPSHOT and snapshot in standing.records:
        first.append(Forget(snapshot))
    return replace(decision, actions=(*first, *decision.actions)) if first else decision


def keep_drift(decision: Decision, standing: Standing) -> Iterator[Remember | Forget]:
    """Remember since when there is drift, and forget it when there is none."""
    name, generation = drift_record(standing.key), standing.track.generation
    if isinstance(decision, Converged) or _is_undone(decision):
        if name in standing.records:
            yield Forget(name)
        return
    act = decision if isinstance(decision, Act) else decision.held
    known = drift_since(standing.records, standing.key, generation, standing.now) is not None
    if act is not None and is_repair(act) and standing.repair_delay > 0 and not known:
        yield Remember(name, {"since": standing.now, "generation": generation})


def _is_undone(decision: Decision) -> bool:
    """Whether something else is wrong now, and no drift is left."""
    return isinstance(decision, Stall) and decision.held is None and not decision.diff


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


def _not_leader(decision: Decision, standing: Standing) -> Hold:
    if standing.not_leader is None:
        return None
    return _held(decision, "NotLeader", standing.not_leader)


def _frozen(decision: Decision, standing: Standing) -> Hold:
    record = standing.records.get(FREEZE_RECORD)
    if record is None:
        return None
    return _held(decision, "Frozen", told("the stage is frozen", record))


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
        return _held(decision, "Suspended", told("suspended", record))
    if standing.suspended_in_manifest:
        return _held(decision, "Suspended", "its manifest says suspend: true")
    return None


def told(what: str, record: Record) -> str:
    """Say who asked for it, until when and why."""
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


def _suspension_ended(decision: Act, standing: Standing) -> Hold:
    """Show for one interval what is about to be written; people may have forgotten by now."""
    since = idle_since(standing.records, "SuspensionEnded", standing.key, standing.now)
    if since is None:
        if not was_held(standing.records, standing.key):
            return None
        since = standing.now
    left = since + standing.interval - standing.now
    if left <= 0:
        return None
    message = f"it is no longer left alone; shown for {standing.interval:g} s before anything is "
    return _held(decision, "SuspensionEnded", f"{message}written: {decision.message}", left)


def _contended(decision: Act, standing: Standing) -> Hold:
    """Leave it to people when two sides write by turns, each after a look at the other's."""
    limit = standing.per_hour
    if limit is None or _is_urgent(decision, standing) or _is_start(decision, standing):
        return None
    pace = read_pace(standing.records, standing.key, standing.track.generation, standing.now)
    times = spent(decision, pace, limit)
    if not times:
        return None
    message = explain_spent(decision, pace, limit)
    return _held(decision, "Contended", message, times[0] + HOUR - standing.now)


def _is_urgent(decision: Act, standing: Standing) -> bool:
    """Whether pace is no matter: credentials, a person's word, or a broker that destroys data."""
    if decision.difference is Difference.ROTATION or is_accepted(decision):
        return True
    if decision.reason == STOP_LOGINS:
        return True
    return any(change.field in standing.required for change in decision.diff)


def _is_start(decision: Act, standing: Standing) -> bool:
    """Whether it ends what we began: a connector that we stopped or created is resumed."""
    return standing.starting and decision.signature in _SWITCHES


def _snapshot_running(decision: Act, standing: Standing) -> Hold:
    # Of a commit it is the risk, and what failed takes no snapshot.
    exempt = (Difference.ROTATION, Difference.NEW_GENERATION, Difference.FAILURE)
    if decision.difference in exempt or not interrupts(decision):
        return None
    if standing.snapshot in (Phase.NONE, Phase.DONE, Phase.PAUSED):  # paused it is a risk, too
        return None
    return wait_for_phase(standing.snapshot, decision)


def _delayed(decision: Act, standing: Standing) -> Hold:
    """Give people the time to see drift, and to finish what they do, before it is undone."""
    if not is_repair(decision) or _is_urgent(decision, standing) or _is_start(decision, standing):
        return None
    generation, now = standing.track.generation, standing.now
    since = drift_since(standing.records, standing.key, generation, now)
    since = now if since is None else since
    left = since + standing.repair_delay - standing.now
    if left <= 0:
        return None
    message = f"repaired {standing.repair_delay:g} s after it was first seen: {decision.message}"
    return _held(decision, "RepairDelayed", message, left)


def _flapping(decision: Act, standing: Standing) -> Hold:
    track = standing.track
    if decision.difference in (Difference.ROTATION, Difference.FAILURE) or not track.flapping:
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
    _not_leader,
    _frozen,
    _observe_only,
    _wrong_cluster,
    _suspended,
    _resuming,
)
BEFORE_ACTING: Final[tuple[RowBeforeActing, ...]] = (
    _stalled,
    _suspension_ended,
    _contended,
    _flapping,
    _snapshot_running,
    _delayed,
    _settling,
    _backoff,
)
OWN_KINDS: Final = (Kind.SECRET, Kind.WORKER)  # files are never held: no worker could start
