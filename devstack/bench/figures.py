"""The arithmetic of the benchmark, and its table."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any


@dataclass(frozen=True, slots=True)
class Figure:
    """One measured thing; `target` is what it should not exceed."""

    what: str
    value: float
    unit: str
    target: float | None = None
    note: str = ""

    @property
    def met(self) -> bool | None:
        return None if self.target is None else self.value <= self.target

    def data(self) -> dict[str, Any]:
        return {
            "what": self.what,
            "value": round(self.value, 4),
            "unit": self.unit,
            "target": self.target,
            "met": self.met,
            "note": self.note,
        }


def ratio(ours: Sequence[float], theirs: Sequence[float]) -> float:
    """The ratio of the medians of two samples that were taken in turn."""
    return median(ours) / median(theirs)


def table(figures: Iterable[Figure]) -> list[str]:
    """Markdown rows."""
    rows = ["| what | measured | target | |", "|---|---|---|---|"]
    for figure in figures:
        target = "" if figure.target is None else f"<= {figure.target:g} {figure.unit}"
        verdict = {None: "", True: "met", False: "missed"}[figure.met]
        note = f"{verdict}; {figure.note}".strip("; ")
        rows.append(f"| {figure.what} | {figure.value:.3g} {figure.unit} | {target} | {note} |")
    return rows


def replace_between(text: str, marker: str, lines: Sequence[str]) -> str:
    """Put lines between `<!-- marker -->` and `<!-- /marker -->`."""
    begin, end = f"<!-- {marker} -->", f"<!-- /{marker} -->"
    head, _, rest = text.partition(begin)
    _, found, tail = rest.partition(end)
    if not found:
        raise ValueError(f"the text has no {begin} ... {end}")
    return "\n".join([head + begin, "", *lines, "", end + tail])


def summary(samples: Mapping[str, Sequence[float]]) -> dict[str, dict[str, float]]:
    return {
        name: {"min": min(values), "median": median(values), "max": max(values), "n": len(values)}
        for name, values in samples.items()
    }
