from __future__ import annotations

from datetime import UTC, datetime


def timestamp(at: float) -> str:
    """Write a time as ISO 8601 in UTC, to the second."""
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="seconds")
