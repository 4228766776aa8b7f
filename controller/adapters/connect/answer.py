"""What an answer of Connect means.

Connect says the same status for opposite things, so the status alone decides nothing: a 404 may be
a worker that is still booting, a 500 may be a refused config, and a request that timed out may be
carried out a minute later. The table `_MEANINGS` is all that is known of it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

from controller.core.faults import (
    Conflict,
    Denied,
    Fault,
    OutcomeUnknown,
    Rejected,
    Transient,
    Unavailable,
)

Scrub: TypeAlias = "Callable[[str], str]"
_HEALTH: Final = ("starting", "unhealthy")  # what /health says with a 503 or a 500
TOLD: Final = 600  # characters of a foreign message that are worth passing on


@dataclass(frozen=True, slots=True)
class Answer:
    """One answer of the worker; `whole` is false when its body broke off."""

    status: int
    body: bytes
    whole: bool = True

    @property
    def good(self) -> bool:
        return 200 <= self.status < 300

    def document(self) -> Any:
        """Answer the JSON, or None for anything else, also for nesting meant to hurt."""
        try:
            return json.loads(self.body) if self.whole else None
        except (ValueError, RecursionError):
            return None

    def told(self) -> str | None:
        """Answer Connect's own sentence; None when Jetty speaks, as it does while a worker boots.

        Jetty's page is JSON with a message too, for a client that asks for JSON.
        """
        document = self.document()
        if not isinstance(document, dict):
            return None
        by_connect = "error_code" in document or document.get("status") in _HEALTH
        message = document.get("message")
        return message if by_connect and isinstance(message, str) else None


@dataclass(frozen=True, slots=True)
class _Meaning:
    statuses: tuple[int, ...]
    says: str  # a regular expression, found anywhere in the message
    read: type[Fault]
    write: type[Fault]
    reason: str
    advice: str
    retry_after: float | None


def _means(
    statuses: int | tuple[int, ...],
    says: str,
    fault: type[Fault],
    reason: str,
    advice: str = "",
    *,
    read: type[Fault] | None = None,
    retry_after: float | None = None,
) -> _Meaning:
    several = (statuses,) if isinstance(statuses, int) else statuses
    return _Meaning(several, says, read or fault, fault, reason, advice, retry_after)


_BUSY: Final = "the worker's one thread was busy; it may still carry this out"
_GONE: Final = "the worker that must carry this out has just gone"
_MALFORMED: Final = (
    'contains no connector type|"connectorConfig" is null|Unrecognized field'
    "|Cannot (construct|deserialize)|Unexpected character"
)
_NOTHING: Final = "nothing was written"
_OLD: Final = "an endpoint is missing: Kafka Connect 3.9 or newer is needed at this address"
_PLUGIN: Final = "its plugin is not on the worker"
_QUEUED: Final = "the worker could not write to Kafka in time; what it queued may be written yet"

# The first row that fits. Seen on Connect 4.3 with Debezium 3.6, unless a comment says otherwise.
_MEANINGS: Final = (
    _means(400, "^Connector configuration is invalid", Rejected, "ConfigRefused", _NOTHING),
    _means((400, 500), _MALFORMED, Rejected, "MalformedRequest"),
    _means((400, 500), "Failed to find any class", Rejected, "UnknownClass", _PLUGIN),
    _means(400, "STOPPED state", Conflict, "NotStopped"),
    _means(400, "doesn't match connector name", Rejected, "NameMismatch"),
    _means(400, "^$", Rejected, "MalformedRequest", read=Unavailable),  # Jetty's own word
    _means(400, "", Rejected, "ConfigRefused", _NOTHING, read=Unavailable),
    _means((401, 403), "", Denied, "AccessDenied"),  # of a proxy or an extension: Connect has none
    _means((404, 405), "^HTTP 40", Unavailable, "UnsupportedConnect", _OLD),
    _means(404, "", Conflict, "NotFound"),
    _means(409, "already exists", Conflict, "AlreadyExists"),
    _means(409, "", Conflict, "Rebalancing", retry_after=1.0),
    _means(500, "ConfigValueInfo.*is null", Rejected, "ConfigRefused", _NOTHING),
    _means(500, "rebalance is expected", Conflict, "Rebalancing", read=Transient, retry_after=1.0),
    _means(500, "^Request timed out", OutcomeUnknown, "WorkerBusy", _BUSY, read=Unavailable),
    _means(500, "^Error writing|restart request", OutcomeUnknown, "KafkaUnavailable", _QUEUED),
    _means(
        500,
        "IO Error trying to forward.*Connect(ion refused|Exception)",
        Unavailable,
        "LeaderUnreachable",
        _GONE,
        retry_after=10.0,
    ),
    _means(500, "trying to forward", OutcomeUnknown, "LeaderUnreachable", read=Unavailable),
    _means(500, "unable to handle this request", Unavailable, "WorkerUnhealthy"),
    _means(503, "", Unavailable, "WorkerStarting"),
)
_OTHERWISE: Final = _means(0, "", OutcomeUnknown, "UnexpectedAnswer", read=Unavailable)
_RESOLVED: Final = re.compile(r"Connector config \{.*\}", re.DOTALL)  # with its secrets in clear


def read_fault(what: str, answer: Answer, *, write: bool, scrub: Scrub) -> Fault:
    """Answer what a refusal means; `what` is the call, for people."""
    told = answer.told()
    if told is None and answer.status == 404:
        return Unavailable(
            "WorkerStarting", f"{what}: the worker is booting (404 of its web server)"
        )
    meaning = _meaning(answer.status, told or "")
    kind = meaning.write if write else meaning.read
    text = _RESOLVED.sub("Connector config {...}", told) if told else "no message"
    parts = (f"{what} answered {answer.status}: {cut(scrub(text), TOLD)}", meaning.advice)
    return kind(
        meaning.reason, "; ".join(part for part in parts if part), retry_after=meaning.retry_after
    )


def _meaning(status: int, told: str) -> _Meaning:
    for row in _MEANINGS:
        if status in row.statuses and re.search(row.says, told, re.DOTALL):
            return row
    return _OTHERWISE


def cut(text: str, length: int) -> str:
    """One line, no longer than `length`."""
    line = " ".join(text.split())
    return line if len(line) <= length else f"{line[: length - 4]} ..."
