"""What is said about a key of a config."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TypeAlias


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing to say about a key; what is not refused is a warning."""

    key: str
    message: str
    refused: bool = True


Config: TypeAlias = Mapping[str, str]
Findings: TypeAlias = "Iterator[Finding]"
