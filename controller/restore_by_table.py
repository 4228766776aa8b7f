"""Asking the leader, through the stage's table, to put offsets back."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, TypeVar

from controller.core.accept import accept_record
from controller.core.connector_memory import restore_record
from controller.core.faults import Conflict, Unavailable
from controller.core.history import HISTORY, UNKNOWN_OUTCOME, timeline
from controller.core.model import Json, restore_key
from controller.core.restore import asked_id
from controller.journal import Journal
from controller.ports import Clock, StateStore
from controller.timestamp import timestamp

T = TypeVar("T")

ANSWER_SECONDS: Final = 90.0  # a cycle, and the status that tells of it
LASTING: Final = 3600.0  # an asking, and an acceptance of it
_SEARCHED: Final = 60  # entries of the history
_FINAL: Final = ("NotStopped", "Frozen", "Suspended", "ObserveOnly", "TearingDown")


@dataclass(frozen=True, slots=True)
class Answer:
    """What the leader says of an asking; without an action there is nothing to accept."""

    reason: str
    message: str
    action: str | None = None
    risk: str = ""
    consequence: str = ""
    changes: tuple[Mapping[str, Any], ...] = ()

    @property
    def done(self) -> bool:
        return self.reason == "Restored"


@dataclass(frozen=True)
class Asking:
    """One person who asks for one connector; the leader alone writes to Connect."""

    store: StateStore
    clock: Clock
    journal: Journal
    who: Mapping[str, Json]
    connector: str
    status: Callable[[], Mapping[str, Any]]  # the leader's, as it is now
    pause: Callable[[float], object]
    patience: float = ANSWER_SECONDS

    def ask(self, document: Mapping[str, Json], reason: str) -> Answer:
        """Leave the asking in the table and wait for what the leader says; refused, it is over."""
        asked = self._asked(document) or self._leave(document, reason)
        answer = self._wait(lambda: self._answer(asked_id(asked)))
        if answer.action is None and not answer.done:
            self.cancel()
        return answer

    def accept(self, answer: Answer, reason: str) -> Mapping[str, Json]:
        """Accept what the leader said, and wait for the end; answers its event of the history."""
        now, key = self.clock.now(), restore_key(self.connector)
        action, until = str(answer.action), now + LASTING
        word: dict[str, Json] = {"risk": answer.risk, "reason": reason}
        told: dict[str, Json] = {"event": "accept", "resource": str(key), "action": action}
        self.journal.tell({**told, **word, "until": timestamp(until)})
        value: dict[str, Json] = {**self.who, **word, "at": now}
        self.store.put(accept_record(key, action), value, expires=until)
        return self._wait(lambda: self._outcome(action, now))

    def cancel(self) -> bool:
        """Take the asking back, and tell whether there was one."""
        record, records = restore_record(self.connector), self.store.load()
        if record not in records:
            return False
        self._tell("unrestore", "not asked for any more")
        words = accept_record(restore_key(self.connector), "")
        for name in (record, *(one for one in records if one.startswith(words))):
            self.store.delete(name)  # no word outlives what it was said of
        return True

    # --- parts --------------------------------------------------------------------------------

    def _asked(self, document: Mapping[str, Json]) -> Mapping[str, Json] | None:
        """Find this very asking; another one must be taken back first."""
        found = self.store.load().get(restore_record(self.connector))
        if found is None:
            return None
        if found.value.get("document") != document:
            raise Conflict(
                "RestoreAsked",
                f"{found.value.get('who')} asked for other offsets of {self.connector}: "
                f"`wmsctl offsets cancel {self.connector}` first",
            )
        return found.value

    def _leave(self, document: Mapping[str, Json], reason: str) -> Mapping[str, Json]:
        now = self.clock.now()
        value: dict[str, Json] = {
            **self.who,
            "reason": reason or "no reason given",
            "at": now,
            "document": dict(document),
        }
        self._tell("restore", reason, until=timestamp(now + LASTING))
        self.store.put(restore_record(self.connector), value, expires=now + LASTING)
        return value

    def _tell(self, event: str, reason: str, **more: Json) -> None:
        resource = str(restore_key(self.connector))
        self.journal.tell({"event": event, "resource": resource, "reason": reason, **more})

    def _wait(self, look: Callable[[], T | None]) -> T:
        end = self.clock.monotonic() + self.patience
        while (found := look()) is None:
            if self.clock.monotonic() >= end:
                raise Unavailable(
                    "NoAnswer",
                    f"no leader has answered within {self.patience:.0f} s: see `wmsctl status`; "
                    f"the asking holds for an hour, `wmsctl offsets cancel {self.connector}` "
                    "takes it back",
                )
            self.pause(1.0)
        return found

    def _answer(self, asked: str) -> Answer | None:
        if restore_record(self.connector) not in self.store.load():
            return Answer("Restored", "it has these offsets already")
        key = str(restore_key(self.connector))
        for step in self.status().get("resources") or ():
            if step.get("resource") == key and step.get("generation") == asked:
                return _read(step)
        return None

    def _outcome(self, action: str, since: float) -> Mapping[str, Json] | None:
        for event in timeline(self.store.read(HISTORY, _SEARCHED)):
            at = event.get("at")
            late = isinstance(at, int | float) and at >= since
            mine = event.get("event") == "action" and event.get("accepted") == action
            if mine and late and event.get("outcome") != UNKNOWN_OUTCOME:
                return event
        return None


def _read(step: Mapping[str, Any]) -> Answer | None:
    """Take what is said for good; what only waits for the next look is none."""
    reason, message = str(step["reason"]), str(step["message"])
    if step["decision"] != "Stall" and reason not in _FINAL:
        return None
    act = step.get("act") or {}
    if step["decision"] != "Stall" or act.get("action") is None:
        return Answer(reason, message)
    return Answer(
        reason,
        message,
        str(act["action"]),
        str(step["risk"]),
        str(step["consequence"]),
        tuple(step["changes"]),
    )
