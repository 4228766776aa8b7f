"""What is remembered."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeAlias

Json: TypeAlias = "str | int | float | bool | list[Json] | dict[str, Json] | None"


@dataclass(frozen=True, slots=True)
class Record:
    """One remembered fact, under `section/resource`."""

    value: Mapping[str, Json]
    revision: int
    expires: float | None = None  # seconds since the epoch


Records: TypeAlias = "Mapping[str, Record]"
