"""Desired against observed, field by field."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import TypeAlias

from controller.core.redact import is_sensitive


@dataclass(frozen=True, slots=True)
class Change:
    """One field; None means that the side does not have it."""

    field: str
    before: str | None
    after: str | None

    @property
    def symbol(self) -> str:
        if self.before is None:
            return "+"
        return "-" if self.after is None else "~"


Diff: TypeAlias = "tuple[Change, ...]"
Canon: TypeAlias = "Callable[[str, str], str]"


def hash_config(config: Mapping[str, str]) -> str:
    """Name a config by its content; references are text, so no secret is in it."""
    return hashlib.sha256(json.dumps(dict(config), sort_keys=True).encode()).hexdigest()[:16]


def same(_key: str, value: str) -> str:
    return value


def diff_config(
    desired: Mapping[str, str],
    observed: Mapping[str, str],
    *,
    ignore: Collection[str] = (),
    only_desired: bool = False,
    canonical: Canon = same,
) -> Diff:
    """Compare after `canonical(key, value)`; with `only_desired` extra keys are not ours."""
    keys = set(desired) if only_desired else set(desired) | set(observed)
    changes = (
        Change(key, observed.get(key), desired.get(key)) for key in sorted(keys - set(ignore))
    )
    return tuple(change for change in changes if _differs(change, canonical))


def _differs(change: Change, canonical: Canon) -> bool:
    if change.before is None or change.after is None:
        return change.before is not change.after
    return canonical(change.field, change.before) != canonical(change.field, change.after)


def diff_lines(diff: Diff) -> Iterator[str]:
    """Print changes; what a sensitive key held before may be a password written in clear."""
    for change in diff:
        before, after = (
            None if side is None else redact_value(change.field, side)
            for side in (change.before, change.after)
        )
        yield f"{change.symbol} {change.field}: {before} -> {after}"


def redact_value(key: str, value: str) -> str:
    """Mask what stands under a sensitive key, unless it is nothing but a reference."""
    if is_sensitive(key) and not (value.startswith("${") and value.endswith("}")):
        return "***"
    return value
