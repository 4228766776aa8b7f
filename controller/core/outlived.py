"""A person's word must not outlive what it was said of: it would let the next accident happen.

    held/{key}   the action of a resource that was held for a word last

A word for an action that was not held yet, said ahead of a commit, is left until its time is over.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final, TypeAlias

from controller.core.accept import (
    ACCEPTABLE,
    KEPT_SECONDS,
    LONGEST_SECONDS,
    UNNEEDED,
    USED_PREFIX,
    accept_record,
    action_id,
    in_force,
    used_record,
)
from controller.core.action import Forget, Remember
from controller.core.decision import Converged, Decision, Stall, Wait
from controller.core.model import ConnectorManifest, DesiredTopic, Json, ResourceKey
from controller.core.world import World

HELD_SECTION: Final = "held/"
Declared: TypeAlias = "DesiredTopic | ConnectorManifest"


def held_record(key: ResourceKey) -> str:
    return f"{HELD_SECTION}{key}"


def held_action(key: ResourceKey, decision: Decision) -> str | None:
    """Name what a word would let happen, or did and something else holds back."""
    act = decision.held if isinstance(decision, Stall | Wait) else None
    if act is None or act.risk not in ACCEPTABLE:
        return None
    stamps = (a.key for a in act.actions if isinstance(a, Remember))
    used = (key.removeprefix(USED_PREFIX) for key in stamps if key.startswith(USED_PREFIX))
    return next(used, None) or action_id(key, act)


def keep_held(
    world: World, decisions: Mapping[ResourceKey, Decision]
) -> Iterator[Remember | Forget]:
    """Remember what is held, and take back the words for what is not held any more."""
    if not world.stage.named:
        return
    declared: tuple[Declared, ...] = (*world.declared_topics, *world.declared_connectors)
    for one in declared:
        decision = decisions[one.key]
        held, last = held_action(one.key, decision), _last_held(one.key, world)
        if last is not None and last != held and _is_judged(decision, held):
            yield from _take_back(one, last, world)
        if held not in (None, last):
            until = world.now + LONGEST_SECONDS
            yield Remember(held_record(one.key), {"action": held}, expires=until)


def _last_held(key: ResourceKey, world: World) -> str | None:
    known = world.records.get(held_record(key))
    action = known.value.get("action") if known is not None else None
    return action if isinstance(action, str) else None


def _is_judged(decision: Decision, held: str | None) -> bool:
    """Whether it is sure that something held before is held no more: all is well, or else held."""
    return isinstance(decision, Converged) or (isinstance(decision, Stall) and held is not None)


def _take_back(one: Declared, action: str, world: World) -> Iterator[Remember | Forget]:
    word, used = accept_record(one.key, action), used_record(action)
    if word in world.records:
        yield Forget(word)
    said = (w for w in one.accept if w.action == action and in_force(w, world.now))
    declared = next(said, None)
    if declared is not None and used not in world.records:
        value: dict[str, Json] = {
            "resource": str(one.key),
            "risk": declared.risk,
            "at": world.now,
            "said": None,
            UNNEEDED: True,
        }
        yield Remember(used, value, expires=world.now + KEPT_SECONDS)
