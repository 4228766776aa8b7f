"""Structured log lines, scrubbed of every secret this process has seen.

What comes by the standard library's logging, by `warnings` and by an exception that nobody caught
takes the same way out.
"""

from __future__ import annotations

import logging
import sys
import threading
from collections.abc import MutableMapping
from contextlib import suppress
from types import TracebackType
from typing import Any, Final, TextIO

import structlog

from controller.telemetry.scrubbing import Scrub, scrub_deep

# Below WARNING the clients of other systems print what they send and get.
_CHATTY: Final = ("botocore", "boto3", "s3transfer", "urllib3", "httpx", "httpcore")
_CAUTIOUS: Final = ("confluent_kafka", "librdkafka")
_FIRST: Final = ("timestamp", "level", "event")
_MULTILINE: Final = frozenset({"exception", "stack"})

Line = MutableMapping[str, Any]


def configure(*, json: bool, level: str, scrub: Scrub, stream: TextIO | None = None) -> None:
    """Set up the one way out; no setting makes another system's client talk below INFO."""
    number = logging.getLevelNamesMapping().get(level.upper())
    chosen = number or logging.INFO
    lines = Lines(stream or sys.stderr)
    shared = (
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
        Scrubbing(scrub),
        _order,
    )
    last = _rendering(json=json)
    structlog.configure(
        processors=[*shared, *last],
        wrapper_class=structlog.make_filtering_bound_logger(chosen),
        logger_factory=lambda *_: lines,
        cache_logger_on_first_use=False,
    )
    formatter = structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=(structlog.stdlib.add_logger_name, *shared),
        processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *last],
    )
    _route_standard_logging(_Foreign(lines, formatter), max(chosen, logging.INFO))
    _route_uncaught()
    if not number:
        get_log().warning("log level unknown", given=level, used="INFO")


def get_log() -> Any:
    return structlog.get_logger()


def _rendering(*, json: bool) -> tuple[Any, ...]:
    if json:
        return (structlog.processors.JSONRenderer(),)
    # The plain formatter, for the default one shows local variables.
    plain = structlog.dev.plain_traceback
    return (_escape, structlog.dev.ConsoleRenderer(colors=False, exception_formatter=plain))


def _route_standard_logging(handler: logging.Handler, level: int) -> None:
    handler.setLevel(level)  # holds also for a logger that somebody lowers later
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)
    for name in _CHATTY:
        logging.getLogger(name).setLevel(max(level, logging.WARNING))
    for name in _CAUTIOUS:
        logging.getLogger(name).setLevel(level)
    logging.captureWarnings(capture=True)


def _route_uncaught() -> None:
    """Python's own hooks would print the exception as it is."""

    def say(
        kind: type[BaseException],
        value: BaseException | None,
        trace: TracebackType | None,
        where: str,
    ) -> None:
        if issubclass(kind, Exception) and value is not None:
            get_log().error("uncaught exception", where=where, exc_info=(kind, value, trace))

    sys.excepthook = lambda kind, value, trace: say(kind, value, trace, "main")
    threading.excepthook = lambda told: say(
        told.exc_type,
        told.exc_value,
        told.exc_traceback,
        told.thread.name if told.thread else "thread",
    )
    sys.unraisablehook = lambda told: say(
        told.exc_type, told.exc_value, told.exc_traceback, told.err_msg or "finalizer"
    )


class Lines:
    """Writes whole lines; a stream that is gone costs the line and nothing more."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._lock = threading.Lock()

    def write(self, text: str) -> None:
        with self._lock, suppress(OSError, ValueError):
            try:
                self._put(text)
            except UnicodeError:  # a terminal in ASCII
                self._put(text.encode("ascii", "backslashreplace").decode())

    def _put(self, text: str) -> None:
        self._stream.write(f"{text}\n")
        self._stream.flush()

    msg = debug = info = warning = error = critical = exception = log = write


class _Foreign(logging.Handler):
    """Lets the lines of other packages out the same way."""

    def __init__(self, lines: Lines, formatter: logging.Formatter) -> None:
        super().__init__()
        self._lines = lines
        self.setFormatter(formatter)

    def emit(self, record: logging.LogRecord) -> None:
        try:
            self._lines.write(self.format(record))
        except Exception:  # noqa: BLE001 - such as a message that does not fit its arguments
            get_log().warning("line lost", logger=record.name)


class Scrubbing:
    """Replaces secrets in every text of a line, however deep."""

    def __init__(self, scrub: Scrub) -> None:
        self._scrub = scrub

    def __call__(self, _logger: Any, _method: str, line: Line) -> Line:
        return {
            key: value if key == "_record" else scrub_deep(value, self._scrub)
            for key, value in line.items()
        }


def _order(_logger: Any, _method: str, line: Line) -> Line:
    first = {key: line[key] for key in _FIRST if key in line}
    return {**first, **line}


def _escape(_logger: Any, _method: str, line: Line) -> Line:
    """Keep a foreign text from moving the cursor or looking like a line of ours."""
    return {
        key: _visible(value, keep="\n\t" if key in _MULTILINE else "")
        if isinstance(value, str)
        else value
        for key, value in line.items()
    }


def _visible(text: str, keep: str) -> str:
    return "".join(
        each if each.isprintable() or each in keep else each.encode("unicode_escape").decode()
        for each in text
    )
