"""Writes the history into the state store; it never undoes and never repeats anything."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import islice
from math import inf
from typing import Final

from controller.core.action import Forget, Remember
from controller.core.condition import Condition
from controller.core.decision import Act
from controller.core.faults import Fault
from controller.core.history import (
    CONDITIONS,
    HISTORY,
    Origin,
    before_entry,
    bounded,
    conditions_entry,
    is_recorded,
    revision_entry,
    summary,
    timeline,
)
from controller.core.model import Json, ResourceKey
from controller.core.words import Heard
from controller.ports import Clock, StateStore
from controller.timestamp import timestamp

NO_HISTORY: Final = "NoHistory"
RECENT: Final = 20  # events that are told without being asked for
LOOK_SECONDS: Final = 60.0  # between two looks for what others wrote
_MOST_HEARD: Final = 50  # words of one cycle; the next goes on
_SEARCHED: Final = 200  # entries, for the revision that was last in force
_KEPT: Final = 3 * RECENT  # entries: most events have two, and another may have written between


class Journal:
    """One process's own hand in the history; `who` is told in each record."""

    def __init__(
        self,
        store: StateStore,
        clock: Clock,
        who: str,
        *,
        scrub: Callable[[str], str] = lambda text: text,
    ) -> None:
        self._store = store
        self._clock = clock
        self._who = who
        self._scrub = scrub
        self._revision: str | None = None  # the last that was recorded
        self._looked = False
        self._recent: tuple[Mapping[str, Json], ...] = ()  # replaced whole: other threads read it
        self._look_due = -inf

    def tell(self, entry: Mapping[str, Json]) -> str:
        """Append one record and answer its id; raises the store's Fault."""
        made = uuid.uuid4().hex[:12]
        self._append(HISTORY, {"id": made, **entry})
        return made

    def begin(self, key: ResourceKey, act: Act, origin: Origin) -> str | None:
        """Record an act before it; None where nothing in it is to be recorded."""
        if not any(is_recorded(action) for action in act.actions):
            return None
        return self.tell(before_entry(key, act, origin))

    def end(self, begun: str | None, done: Sequence[str], fault: Fault | None, of: int) -> None:
        """Record how it ended; what cannot be written stays an unknown outcome."""
        if begun is None:
            return
        outcome = "done" if len(done) == of else "stopped between"
        entry: dict[str, Json] = {"event": "ended", "of": begun, "done": ", ".join(done)}
        if fault is not None:
            outcome = type(fault).__name__
            entry["fault"] = f"{fault.reason}: {fault.message}"
        try:
            self.tell({**entry, "outcome": outcome})
        except Fault:
            return

    def follow(self, origin: Origin) -> Fault | None:
        """Record that another revision is in force, once."""
        if origin.revision is None or origin.revision == self._revision:
            return None
        try:
            if not self._looked:
                self._revision, self._looked = self._last_revision(), True
            if origin.revision != self._revision:
                self.tell(revision_entry(origin, self._revision))
        except Fault as fault:
            return fault
        self._revision = origin.revision
        return None

    def look(self) -> Fault | None:
        """Read once a minute what people and other controllers wrote; keep the newest."""
        if self._clock.monotonic() < self._look_due:
            return None
        self._look_due = self._clock.monotonic() + LOOK_SECONDS
        try:
            self._recent = tuple(self._store.read(HISTORY, _KEPT))
        except Fault as fault:
            return fault
        return None

    def recent(self) -> list[Json]:
        """Tell the newest events, oldest first, from what this process has in mind."""
        return [summary(event) for event in timeline(self._recent, limit=RECENT)]

    def hear(self, heard: Iterable[Heard]) -> Fault | None:
        """Record what people's words began and ended, each once; the first fault ends it."""
        try:
            for one in islice(heard, _MOST_HEARD):
                if one.entry is not None:
                    self.tell({**one.entry, **_until(one.entry)})
                self._remember(one.memory)
        except Fault as fault:
            return fault
        return None

    def _remember(self, action: Remember | Forget) -> None:
        if isinstance(action, Remember):
            self._store.put(action.key, action.value, expires=action.expires)
        else:
            self._store.delete(action.key)

    def moved(self, conditions: Sequence[tuple[ResourceKey, Condition]]) -> Fault | None:
        """Record which conditions changed in this cycle; nothing where none did."""
        if not conditions:
            return None
        try:
            self._append(CONDITIONS, conditions_entry(conditions))
        except Fault as fault:
            return fault
        return None

    def _last_revision(self) -> str | None:
        for entry in reversed(self._store.read(HISTORY, _SEARCHED)):
            revision = entry.get("revision")
            if isinstance(revision, str):
                return revision
        return None

    def _append(self, section: str, entry: Mapping[str, Json]) -> None:
        process = {"process": self._who} if entry.get("who") else {}
        made = {"at": self._clock.now(), "who": self._who, **process, **entry}
        told = bounded(made, self._scrub)
        entry = told if isinstance(told, dict) else {}
        self._store.append(section, entry)
        if section == HISTORY:
            self._recent = (*self._recent, entry)[-_KEPT:]


def _until(entry: Mapping[str, Json]) -> dict[str, Json]:
    """Write the end as people who say it by `wmsctl` do."""
    until = entry.get("until")
    if not isinstance(until, int | float):
        return {}
    return {"until": timestamp(until)}
