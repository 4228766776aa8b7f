"""What people said and is in force: each word's beginning and end belongs into the history."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, TypeAlias

from controller.core.accept import ACCEPT_PREFIX, UNNEEDED, in_force, used_record, why_void
from controller.core.action import Forget, Remember
from controller.core.hold import FREEZE_RECORD, SUSPEND_PREFIX
from controller.core.model import Acceptance, ConnectorManifest, DesiredTopic, Json, Record, Unknown
from controller.core.world import World

WORD_SECTION: Final = "word/"  # those whose beginning is told
_NOUNS: Final = {"freeze": "freeze", "suspend": "suspension", "accept": "acceptance"}

Entry: TypeAlias = "dict[str, Json]"
Declared: TypeAlias = "DesiredTopic | ConnectorManifest"


@dataclass(frozen=True, slots=True)
class Word:
    """One that is in force; `wmsctl` tells the beginning of what it takes down itself."""

    said: str  # freeze, suspend or accept
    subject: str  # the resource, or stage
    until: float | None = None
    risk: str = ""
    action: str = ""
    place: str | None = None  # where a manifest says it; None: by wmsctl

    @property
    def record(self) -> str:
        action = f":{self.action}" if self.action else ""
        where = "@manifest" if self.place is not None else ""
        return f"{WORD_SECTION}{self.said}:{self.subject}{action}{where}"

    def value(self) -> Entry:
        """Leave out the place: a manifest that moved says nothing new."""
        return {
            "said": self.said,
            "subject": self.subject,
            "until": self.until,
            "risk": self.risk,
            "action": self.action,
            "declared": self.place is not None,
        }


@dataclass(frozen=True, slots=True)
class Heard:
    """What is to be recorded, if anything, and then to be remembered so that it is told once."""

    entry: Entry | None
    memory: Remember | Forget


def hear(world: World) -> Iterator[Heard]:
    """Compare the words in force with those that were told."""
    if isinstance(world.stored, Unknown):
        return
    words = {word.record: word for word in find_words(world)}
    for name, word in words.items():
        known = world.records.get(name)
        if known is None or known.value != word.value():
            yield Heard(_begun(word, world), Remember(name, word.value()))
    for name, known in world.records.items():
        if name.startswith(WORD_SECTION) and name not in words and _is_judged(known, world):
            yield Heard(_over(known, world), Forget(name))


def find_words(world: World) -> Iterator[Word]:
    """List every word in force; one that was used is not: its use is told with the action."""
    for key, record in world.records.items():
        word = _taken_down(key, record)
        if word is not None:
            yield word
    for one in _declarations(world):
        if one.suspend:
            yield Word("suspend", str(one.key), place=str(one.source))
        for accept in one.accept:
            if in_force(accept, world.now) and used_record(accept.action) not in world.records:
                yield _acceptance(one, accept)


def find_void(world: World) -> Iterator[tuple[Declared, Acceptance, str]]:
    """List what manifests accept at a time that makes it no word, and why."""
    for one in _declarations(world):
        for accept in one.accept:
            why = why_void(accept, world.now)
            if why is not None:
                yield one, accept, why


def _taken_down(key: str, record: Record) -> Word | None:
    if key == FREEZE_RECORD:
        return Word("freeze", "stage", record.expires)
    if key.startswith(SUSPEND_PREFIX):
        return Word("suspend", key.removeprefix(SUSPEND_PREFIX), record.expires)
    if key.startswith(ACCEPT_PREFIX):
        subject, _, action = key.removeprefix(ACCEPT_PREFIX).rpartition(":")
        return Word("accept", subject, record.expires, str(record.value.get("risk") or ""), action)
    return None


def _declarations(world: World) -> tuple[Declared, ...]:
    revision = world.revision
    return () if revision is None else (*revision.topics, *revision.connectors)


def _acceptance(one: Declared, accept: Acceptance) -> Word:
    place = str(one.source)
    return Word("accept", str(one.key), accept.until, accept.risk, accept.action, place)


def _begun(word: Word, world: World) -> Entry | None:
    if word.place is None:
        return None
    entry: Entry = {
        "event": word.said,
        "resource": word.subject,
        "reason": f"its manifest says it ({word.place})",
        **_of_revision(world),
    }
    if word.action:
        entry |= {"risk": word.risk, "action": word.action, "until": word.until}
    return entry


def _is_judged(known: Record, world: World) -> bool:
    """Without a revision nobody can tell what the manifests still say."""
    return world.revision is not None or not known.value.get("declared")


def _over(known: Record, world: World) -> Entry | None:
    """Tell of an end that nobody else told: of what was taken back or used somebody did."""
    value, until = known.value, known.value.get("until")
    said, action = str(value.get("said")), str(value.get("action") or "")
    used = world.records.get(used_record(action)) if action else None
    unneeded = used is not None and bool(used.value.get(UNNEEDED))
    if used is not None and not unneeded:
        return None
    ran_out = isinstance(until, int | float) and until <= world.now
    outlived = unneeded or (said == "accept" and not ran_out and not value.get("declared"))
    if not (ran_out or outlived or value.get("declared")):
        return None
    entry: Entry = {
        "event": "over",
        "resource": value.get("subject"),
        "word": said,
        "reason": f"the {_NOUNS.get(said, said)} ended: {_why_over(ran_out, outlived)}",
    }
    if action:
        entry |= {"risk": value.get("risk"), "action": action}
    return entry if ran_out or outlived else {**entry, **_of_revision(world)}


def _why_over(ran_out: bool, outlived: bool) -> str:
    if outlived:
        return "what it was for is not held any more"
    return "its time is over" if ran_out else "its manifest does not say it any more"


def _of_revision(world: World) -> Entry:
    revision = world.revision
    if revision is None:
        return {}
    told: Entry = {"revision": revision.id, "commit": revision.commit}
    return told if revision.who is None else {**told, "who": revision.who}
