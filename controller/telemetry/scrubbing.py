"""Secrets taken out of a value, however deep in it they are."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from math import isfinite
from typing import Any, Final

from controller.core.redact import MASK, Redacted

DEEPEST: Final = 12  # a value that holds itself would never end

Scrub = Callable[[str], str]


def scrub_deep(value: Any, scrub: Scrub, depth: int = DEEPEST) -> Any:
    """Answer the value made of what JSON knows, every text in it scrubbed; raises nothing."""
    if isinstance(value, float):
        return value if isfinite(value) else str(value)  # JSON has no NaN
    if value is None or isinstance(value, bool | int):
        return value
    if isinstance(value, Redacted):
        return MASK
    if isinstance(value, Mapping | list | tuple | set | frozenset):
        return _scrub_inner(value, scrub, depth - 1) if depth else "..."
    return scrub(_text(value))


def _scrub_inner(value: Any, scrub: Scrub, depth: int) -> Any:
    if isinstance(value, Mapping):
        return {scrub(_text(key)): scrub_deep(inner, scrub, depth) for key, inner in value.items()}
    return [scrub_deep(inner, scrub, depth) for inner in value]


def _text(value: Any) -> str:
    if isinstance(value, bytes | bytearray):
        return value.decode(errors="replace")
    try:
        return str(value)
    except Exception:  # noqa: BLE001 - whatever a foreign class does, the line is still written
        return f"<{type(value).__name__}>"
