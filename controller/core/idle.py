"""Why something is not done although it could be, and since when: not acting is never silent."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final, TypeAlias

from controller.core.action import Forget, Remember
from controller.core.decision import Decision, Stall, Wait
from controller.core.hold import FREEZE_RECORD, TEARING_DOWN_RECORD, suspend_record, told
from controller.core.model import (
    ConnectorManifest,
    DesiredTopic,
    Manage,
    Records,
    ResourceKey,
    Unknown,
)
from controller.core.pace import IDLE_SECTION, idle_record, idle_since
from controller.core.world import World

SOON_SECONDS: Final = 900.0  # so long before its end a suspension or a freeze says so
IDLE_REASONS: Final = (
    "NotLeader",
    "Frozen",
    "Suspended",
    "SuspensionEnded",
    "ObserveOnly",
    "Contended",
    "NotDelivered",
    "Stalled",
    "StaleRevision",
    "NoStateStore",
    "NoHistory",
)
# Those with an alarm on their age: to stand by is none, and the others have alarms of their own.
LEFT_ALONE: Final = (
    "Frozen",
    "Suspended",
    "ObserveOnly",
    "Contended",
    "NotDelivered",
    "NoStateStore",
    "NoHistory",
)
_FROM_DECISIONS: Final = ("Contended", "NotDelivered", "SuspensionEnded")


@dataclass(frozen=True, slots=True)
class Idle:
    """One reason for not acting, of one resource or (None) of the whole stage."""

    reason: str  # one of IDLE_REASONS
    key: ResourceKey | None
    since: float  # seconds since the epoch
    message: str
    until: float | None = None  # when it ends by itself

    @property
    def subject(self) -> str:
        return "stage" if self.key is None else str(self.key)


def find_idle(world: World, decisions: Iterable[tuple[ResourceKey, Decision]]) -> tuple[Idle, ...]:
    """List all there is, the stage's own first, each since it was first seen."""
    found = (*_of_stage(world), *_of_manifests(world), *_of_decisions(decisions))
    every = [
        Idle(reason, key, _since(world, reason, key), message, until)
        for reason, key, message, until in found
    ]
    return tuple({(one.reason, one.key): one for one in every}.values())


def is_active(world: World) -> bool:
    """Whether this controller is entitled to act, or a person's own word is why it is not."""
    asked = any(record in world.records for record in (FREEZE_RECORD, TEARING_DOWN_RECORD))
    if asked or world.policy.observe_only:
        return True
    return world.not_leader is None and world.observe_only is None


def is_suspended(key: ResourceKey, idle: Iterable[Idle]) -> bool:
    """Whether a person's word leaves this resource alone: its own, or one for all of the stage."""
    return any((one.reason, one.key) in (("Suspended", key), ("Frozen", None)) for one in idle)


_Found: TypeAlias = "tuple[str, ResourceKey | None, str, float | None]"


def _of_stage(world: World) -> Iterator[_Found]:
    if world.not_leader is not None:
        yield "NotLeader", None, world.not_leader, None
    freeze = world.records.get(FREEZE_RECORD)
    if freeze is not None:
        yield "Frozen", None, told("the stage is frozen", freeze), freeze.expires
    if isinstance(world.stored, Unknown):
        why = f"the state store cannot be read: {world.stored.fault.message}"
        yield "NoStateStore", None, why, None
    if world.revision is None:
        yield "ObserveOnly", None, "there is no good revision of the manifests yet", None
    elif world.policy.observe_only:
        yield "ObserveOnly", None, "the StagePolicy says observeOnly: true", None
    if world.refusal is not None:
        why = "the newest manifests are refused, and the last good ones stay in force"
        yield "StaleRevision", None, why, None


def _of_manifests(world: World) -> Iterator[_Found]:
    if world.revision is None:
        return
    manifests: list[DesiredTopic | ConnectorManifest] = [*world.revision.topics]
    manifests += world.revision.connectors
    for one in sorted(manifests, key=lambda manifest: manifest.key):
        record = world.records.get(suspend_record(one.key))
        if record is not None:
            yield "Suspended", one.key, told("suspended", record), record.expires
        elif one.suspend:
            yield "Suspended", one.key, "its manifest says suspend: true", None
        if one.manage is Manage.OBSERVE:
            yield "ObserveOnly", one.key, "its manifest says manage: observe", None


def _of_decisions(decisions: Iterable[tuple[ResourceKey, Decision]]) -> Iterator[_Found]:
    for key, decision in decisions:
        if isinstance(decision, Stall):
            yield "Stalled", key, f"{decision.reason}: {decision.message}", None
        elif isinstance(decision, Wait) and decision.reason in _FROM_DECISIONS:
            yield decision.reason, key, decision.message, None


def _since(world: World, reason: str, key: ResourceKey | None) -> float:
    since = idle_since(world.records, reason, key, world.now)
    return world.now if since is None else since


def keep_idle(found: Iterable[Idle], records: Records) -> Iterator[Remember | Forget]:
    """Remember what is new and forget what is over, so that its age outlives this process."""
    wanted = {idle_record(one.reason, one.key): one for one in found}
    for name, one in wanted.items():
        if idle_since(records, one.reason, one.key, one.since) is None:
            yield Remember(name, {"since": one.since})
    for name in sorted(records):
        if name.startswith(IDLE_SECTION) and name not in wanted:
            yield Forget(name)


def ends_soon(idle: Idle, now: float) -> bool:
    """Whether people should hear now that it ends by itself."""
    return idle.until is not None and idle.until - now <= SOON_SECONDS


def ending(idle: Idle) -> str:
    """Say when it ends, in words that stay the same until it does."""
    who = "the freeze of the stage" if idle.key is None else f"the suspension of {idle.key}"
    minutes = SOON_SECONDS / 60
    return (
        f"{who} ends within {minutes:.0f} minutes ({idle.message}); what differs is then shown for "
        "one interval, and repaired. Extend it by asking for it again"
    )
