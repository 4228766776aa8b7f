"""Structured log lines, scrubbed of every secret this process has seen."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable, MutableMapping
from typing import Any, Final, TextIO

import structlog

from controller.core.redact import Redacted

_CHATTY: Final = ("botocore", "boto3", "urllib3", "httpx", "httpcore")
Scrub = Callable[[str], str]


def configure(*, json: bool, level: str, scrub: Scrub, stream: TextIO | None = None) -> None:
    """Set up once; the clients of other systems say WARNING and worse: below, they print values."""
    number = logging.getLevelNamesMapping().get(level.upper(), logging.INFO)
    target = stream or sys.stderr
    shared = (
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
        Scrubbing(scrub),
    )
    renderer: Any = (
        structlog.processors.JSONRenderer() if json else structlog.dev.ConsoleRenderer(colors=False)
    )
    structlog.configure(
        processors=[*shared, renderer],
        wrapper_class=structlog.make_filtering_bound_logger(number),
        logger_factory=structlog.PrintLoggerFactory(target),
        cache_logger_on_first_use=False,
    )
    handler = logging.StreamHandler(target)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(foreign_pre_chain=shared, processor=renderer)
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(number)
    logging.getLogger("confluent_kafka").setLevel(max(number, logging.INFO))
    for name in _CHATTY:
        logging.getLogger(name).setLevel(max(number, logging.WARNING))


def get_log() -> Any:
    return structlog.get_logger()


class Scrubbing:
    """Replaces secrets in every text of a line, however deep."""

    def __init__(self, scrub: Scrub) -> None:
        self._scrub = scrub

    def __call__(
        self, _logger: Any, _method: str, line: MutableMapping[str, Any]
    ) -> MutableMapping[str, Any]:
        return {key: self._clean(value) for key, value in line.items()}

    def _clean(self, value: Any) -> Any:
        if isinstance(value, str):
            return self._scrub(value)
        if isinstance(value, Redacted):
            return str(value)
        if isinstance(value, dict):
            return {self._scrub(str(key)): self._clean(inner) for key, inner in value.items()}
        if isinstance(value, list | tuple | set | frozenset):
            return [self._clean(inner) for inner in value]
        if value is None or isinstance(value, int | float | bool):
            return value
        return self._scrub(str(value))
