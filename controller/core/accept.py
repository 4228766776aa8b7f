"""A person's word, limited in time, that one held action is wanted in spite of its risk."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Final

from controller.core.action import (
    Action,
    CreateConnector,
    CreateTopic,
    Forget,
    Remember,
    RestoreOffsets,
)
from controller.core.danger import Danger, find_dangers
from controller.core.decision import Act, Decision, Risk, Stall
from controller.core.model import Acceptance, Json, Record, Records, ResourceKey

ACTION_ID: Final = re.compile(r"[0-9a-f]{10}")  # what `action_id` answers
LONGEST_SECONDS: Final = 8 * 86_400.0  # seven days ahead, to the end of that day
KEPT_SECONDS: Final = 90 * 86_400.0  # for as long a used acceptance stays used
USED_PREFIX: Final = "stamp/accepted:"
UNNEEDED: Final = "unneeded"  # of a manifest's word that is spent: what it was for is held no more
ACCEPT_PREFIX: Final = "intent/accept:"
_USED: Final = "that was used, and one word is for once"
_FORGOTTEN: Final = "the memory is lost, which would know if that was used"
ACCEPTABLE: Final = (Risk.ORDERING, Risk.SNAPSHOT, Risk.DATA_LOSS)


def accept_record(key: ResourceKey, action_id: str) -> str:
    return f"{ACCEPT_PREFIX}{key}:{action_id}"


def used_record(action_id: str) -> str:
    return f"{USED_PREFIX}{action_id}"


def action_id(key: ResourceKey, act: Act) -> str:
    """Name a held action by what it does: resource, kind, fields and after-values."""
    fields = [[change.field, change.after] for change in act.diff]
    names = [type(action).__name__ for action in act.actions if not isinstance(action, Remember)]
    text = json.dumps([str(key), names, fields, _content(act.actions)])
    return hashlib.sha256(text.encode()).hexdigest()[:10]


def _content(actions: Iterable[Action]) -> Json:
    """Tell apart what is created, which has no diff: a connector by what is dangerous in it."""
    topics: list[Json] = [
        [action.name, action.partitions, dict(sorted(action.config.items()))]
        for action in actions
        if isinstance(action, CreateTopic)
    ]
    dangers: list[Json] = [
        [action.name, danger.key, action.config[danger.key], *_parts(danger, action.config)]
        for action in actions
        if isinstance(action, CreateConnector)
        for danger in find_dangers(action.config)
    ]
    moves: list[Json] = [
        [action.name, action.moves] for action in actions if isinstance(action, RestoreOffsets)
    ]
    return [*topics, *dangers, *moves]


def _parts(danger: Danger, config: Mapping[str, str]) -> Iterator[Json]:
    for key, value in sorted(config.items()):
        if key != danger.key and danger.concerns(key):
            yield [key, value]


@dataclass(frozen=True, slots=True)
class Consent:
    """An acceptance that is in force, and the record to be consumed with it, if it has one."""

    id: str
    who: str
    record: str | None
    said: Json = None  # when, by the clock of whoever said it


def consent_to(
    key: ResourceKey,
    act: Act,
    declared: Iterable[Acceptance],
    records: Records,
    now: float,
    *,
    memory_lost: bool,
) -> Consent | None:
    """Find a person's word for this very action; a used, expired or too long one is none."""
    name = action_id(key, act)
    used = records.get(used_record(name))
    stored = records.get(accept_record(key, name))
    if stored is not None and stored.value.get("risk") == str(act.risk) and _is_new(stored, used):
        who, record = str(stored.value.get("who") or "somebody"), accept_record(key, name)
        return Consent(name, who, record, stored.value.get("at"))
    if used is not None or memory_lost:  # the store may have known that it was used
        return None
    for word in declared:
        if word.action == name and word.risk == str(act.risk) and in_force(word, now):
            return Consent(name, "the manifest", None)
    return None


def _is_new(word: Record, used: Record | None) -> bool:
    """Whether it is not the word that was used: the same accident may come twice.

    Two machines' clocks say nothing of what came first, so the use keeps which word it was.
    """
    if used is None:
        return True
    said = word.value.get("at")
    return isinstance(said, int | float) and said != used.value.get("said")


def in_force(word: Acceptance, now: float) -> bool:
    return why_void(word, now) is None


def why_void(word: Acceptance, now: float) -> str | None:
    """Say why the time of a manifest's word makes it none."""
    if word.until < now:
        return "its day is over"
    if word.until > now + LONGEST_SECONDS:
        return "it reaches more than seven days ahead"
    return None


def apply_consent(
    key: ResourceKey,
    decision: Decision,
    declared: Iterable[Acceptance],
    records: Records,
    now: float,
    *,
    memory_lost: bool = False,
) -> Decision:
    """Turn a stall that was accepted into its action; its use is stamped first and consumes it."""
    if not isinstance(decision, Stall) or decision.held is None:
        return decision
    act = decision.held
    if act.risk not in ACCEPTABLE:
        return decision
    consent = consent_to(key, act, declared, records, now, memory_lost=memory_lost)
    if consent is None:
        told = _tell_held(key, act, declared, records, now)
        return replace(decision, message=f"{decision.message}. {told}")
    stamp: Mapping[str, Json] = {
        "resource": str(key),
        "risk": str(act.risk),
        "at": now,
        "said": consent.said,
    }
    first: tuple[Action, ...] = (
        Remember(used_record(consent.id), stamp, expires=now + KEPT_SECONDS),
        *((Forget(consent.record),) if consent.record else ()),
    )
    return replace(
        act,
        actions=(*first, *act.actions),
        message=f"{act.message}; accepted by {consent.who}",
    )


def _tell_held(
    key: ResourceKey, act: Act, declared: Iterable[Acceptance], records: Records, now: float
) -> str:
    """Tell what to accept, and whoever did so in vain why."""
    name, stored = action_id(key, act), records.get(accept_record(key, action_id(key, act)))
    words = [word for word in declared if word.action == name]
    said = [word.risk for word in words]
    said += [str(stored.value.get("risk"))] if stored is not None else []
    told = f"To accept exactly this: action {name}, risk {act.risk}"
    ours = [word for word in words if word.risk == str(act.risk)]
    void = _tell_void(ours, now, used=used_record(name) in records)
    return f"{told}{_tell_other_risk(said, act.risk)}{void}"


def _tell_other_risk(said: Iterable[str], risk: Risk) -> str:
    """Tell whoever accepted it for another risk why it is held all the same."""
    others = [other for other in said if other != str(risk)]
    return f"; it was accepted for {others[0]}, but its risk is {risk}" if others else ""


def _tell_void(words: Collection[Acceptance], now: float, *, used: bool) -> str:
    """Tell whoever accepted this very action in its manifest why that is not enough."""
    if not words:
        return ""
    latest = max(words, key=lambda word: word.until)
    why = why_void(latest, now) or (_USED if used else _FORGOTTEN)
    return f"; its manifest accepts it, but {why}"
