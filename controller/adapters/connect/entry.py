"""Connect's JSON as our values; whatever is not of the documented form is Malformed."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from controller.adapters.connect.answer import TOLD, Scrub, cut
from controller.core.model import (
    FieldError,
    ObservedConnector,
    ObservedTask,
    Offsets,
    connector_key,
)

_TRACE_HEAD: Final = 6000
_TRACE_TAIL: Final = 2000


class Malformed(ValueError):
    """An entry that is not of the form Connect documents."""


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise Malformed(f"a text was expected, not {type(value).__name__}")
    return value


def _mapping(value: object) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise Malformed(f"an object was expected, not {type(value).__name__}")
    return value


def _list(value: object) -> list[Any]:
    if not isinstance(value, list):
        raise Malformed(f"a list was expected, not {type(value).__name__}")
    return value


def read_config(value: object) -> dict[str, str]:
    return {key: _text(text) for key, text in _mapping(value).items()}


def read_connector(name: str, entry: object, scrub: Scrub) -> ObservedConnector:
    info, status = (_mapping(_mapping(entry).get(part)) for part in ("info", "status"))
    own = _mapping(status.get("connector"))
    tasks = (_task(task, scrub) for task in _list(status.get("tasks")))
    return ObservedConnector(
        connector_key(name),
        read_config(info.get("config")),
        _text(own.get("state")),
        tuple(sorted(tasks, key=lambda task: task.id)),
        _trace(own.get("trace"), scrub),
        str(own.get("worker_id") or ""),
        str(info.get("type") or "unknown"),
    )


def _task(entry: object, scrub: Scrub) -> ObservedTask:
    task = _mapping(entry)
    number = task.get("id")
    if not isinstance(number, int):
        raise Malformed("a task has no number")
    state, worker = _text(task.get("state")), str(task.get("worker_id") or "")
    return ObservedTask(number, state, worker, _trace(task.get("trace"), scrub))


def _trace(value: object, scrub: Scrub) -> str | None:
    """Keep both ends: the outermost exception is first and its root cause last."""
    if not isinstance(value, str) or not value:
        return None
    text = scrub(value)
    if len(text) <= _TRACE_HEAD + _TRACE_TAIL:
        return text
    return f"{text[:_TRACE_HEAD]}\n...\n{text[-_TRACE_TAIL:]}"


def read_field_errors(document: object, scrub: Scrub) -> Iterator[FieldError]:
    for config in _list(_mapping(document).get("configs")):
        value = _mapping(config).get("value")
        if value is None:  # deprecated keys of Debezium come back without one
            continue
        entry = _mapping(value)
        for error in _list(entry.get("errors") or []):
            yield FieldError(_text(entry.get("name")), cut(scrub(_text(error)), TOLD))


def read_offsets(document: object) -> Offsets:
    """Leave out those without an offset: Connect shows them for a while after a reset."""
    entries = (_mapping(entry) for entry in _list(_mapping(document).get("offsets")))
    return tuple(entry for entry in entries if entry.get("offset") is not None)


def read_names(document: object) -> list[str]:
    return [_text(name) for name in _list(document)]


def read_listing(document: object) -> dict[str, Any]:
    if isinstance(document, list):  # `expand` means nothing to it
        raise Malformed("names only, no states; Kafka Connect 3.9 or newer is needed")
    return _mapping(document)


def read_cluster_id(document: object) -> str:
    return _text(_mapping(document).get("kafka_cluster_id"))


def read_health(document: object) -> None:
    """Faults come with other statuses; anything but Connect's own word is another program."""
    if _mapping(document).get("status") != "healthy":
        raise Malformed("a worker that is not healthy answered 200")
