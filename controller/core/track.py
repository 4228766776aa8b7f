"""What is remembered of one resource between cycles, and how a fault or a success changes it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final

from controller.core.action import Forget, Remember
from controller.core.backoff import Backoff
from controller.core.faults import Conflict, Denied, Fault, OutcomeUnknown, Rejected
from controller.core.model import Json, Records, ResourceKey

RETRY: Final = Backoff(base=1.0, factor=2.0, cap=120.0)
DENIED: Final = Backoff(base=30.0, factor=2.0, cap=900.0)
REJECTED_SECONDS: Final = 3600.0
FLAPPING_WRITES: Final = 3
SETTLE_SECONDS: Final = 2.0
FLAPPING: Final = Backoff(base=600.0, factor=2.0, cap=86_400.0)


@dataclass(frozen=True, slots=True)
class Track:
    """Counts since the last converged observation; an empty one is not stored."""

    generation: str = ""
    attempts: int = 0  # faults in a row
    not_before: float = 0.0  # seconds since the epoch
    reason: str = ""  # of the last fault
    message: str = ""
    stalled: bool = False  # the last fault was Rejected
    writes: int = 0
    flaps: int = 0
    flapping_until: float = 0.0
    written_at: float = 0.0  # of the last write that succeeded
    wrote: str = ""  # its signature

    @property
    def flapping(self) -> bool:
        return self.writes >= FLAPPING_WRITES


def track_record(key: ResourceKey) -> str:
    return f"track/{key}"


def read_track(records: Records, key: ResourceKey, generation: str) -> Track:
    """Answer an empty track when none is stored or its generation is another one."""
    record = records.get(track_record(key))
    if record is None or record.value.get("generation") != generation:
        return Track(generation=generation)
    return _from_json(record.value)


def after_fault(track: Track, fault: Fault, *, now: float, jitter: float) -> Track:
    """Space out what failed; a Conflict or an unknown outcome only waits for an observation."""
    attempts = track.attempts + 1
    stalled = isinstance(fault, Rejected)
    return replace(
        track,
        attempts=attempts,
        not_before=now + _delay(fault, attempts, jitter),
        reason=fault.reason,
        message=fault.message,
        stalled=stalled,
    )


def _delay(fault: Fault, attempts: int, jitter: float) -> float:
    if isinstance(fault, Rejected):
        return REJECTED_SECONDS
    if isinstance(fault, Denied):
        return DENIED.delay(attempts, jitter=jitter)
    if isinstance(fault, Conflict | OutcomeUnknown) and attempts == 1:
        return 0.0
    return fault.retry_after or RETRY.delay(attempts, jitter=jitter)


def after_write(track: Track, *, now: float, wrote: str, counted: bool = True) -> Track:
    """Count a write; the third of the same without a converged observation starts a pause."""
    well = replace(track, attempts=0, not_before=0.0, reason="", message="", stalled=False)
    if not counted:
        return well
    writes = track.writes + 1 if wrote == track.wrote else 1
    written = replace(well, writes=writes, written_at=now, wrote=wrote)
    if writes < FLAPPING_WRITES:
        return written
    pause = FLAPPING.delay(track.flaps + 1, jitter=1.0)
    return replace(written, flaps=track.flaps + 1, flapping_until=now + pause)


def keep_track(records: Records, key: ResourceKey, track: Track) -> tuple[Remember | Forget, ...]:
    """Answer what must be written so that the store says `track`; nothing when it does already."""
    name = track_record(key)
    stored = records.get(name)
    if track == Track(generation=track.generation):
        return (Forget(name),) if stored is not None else ()
    value = _to_json(track)
    return () if stored is not None and stored.value == value else (Remember(name, value),)


def _to_json(track: Track) -> dict[str, Json]:
    return {name: getattr(track, name) for name in Track.__slots__}


def _from_json(value: Mapping[str, Json]) -> Track:
    known = {name: value[name] for name in Track.__slots__ if name in value}
    return Track(**known)  # type: ignore[arg-type] # the store holds what _to_json wrote
