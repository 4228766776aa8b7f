"""The metadata endpoint (version 4) of the ECS task that we are part of."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, Final

from controller.core.faults import Unavailable
from controller.core.lag_report import ObservedContainer

SECONDS: Final = 2.0
MOST_BYTES: Final = 1024 * 1024
_MOST_CONTAINERS: Final = 32


class TaskMetadata:
    """Reads `/task`; what is missing from the answer is missing from ours."""

    def __init__(self, fetch: Callable[[], bytes]) -> None:
        self._fetch = fetch

    def read(self) -> tuple[ObservedContainer, ...]:
        try:
            answer = json.loads(self._fetch())
            containers = answer["Containers"][:_MOST_CONTAINERS]
            return tuple(_container(one) for one in containers if "Name" in one)
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            raise Unavailable("TaskMetadataUnreadable", "its answer has no containers") from error


def _container(found: dict[str, Any]) -> ObservedContainer:
    health = found.get("Health")
    code = found.get("ExitCode")
    return ObservedContainer(
        name=str(found["Name"])[:255],
        status=str(found.get("KnownStatus", "")),
        health=str(health.get("status", "UNKNOWN")) if isinstance(health, dict) else None,
        restarts=int(found.get("RestartCount") or 0),
        exit_code=int(code) if code is not None else None,
    )
