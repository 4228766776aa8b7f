"""Arithmetic of the measurements, and the table they are shown in."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from statistics import median
from typing import Any, Final, TypeAlias

Samples: TypeAlias = Sequence[float]

BEGIN: Final = "<!-- measured: begin -->"
END: Final = "<!-- measured: end -->"


class NotMeasured(Exception):
    """A measurement that failed or means nothing; the message says which."""


def middle(samples: Samples) -> float:
    if not samples:
        raise NotMeasured("no sample was taken")
    return median(samples)


def ratio(ours: Samples, theirs: Samples) -> float:
    """Divide the medians, not pair by pair: one slow pair must not move it."""
    below = middle(theirs)
    if below <= 0:
        raise NotMeasured("what is compared with took no time at all")
    return middle(ours) / below


def told(samples: Samples, unit: str = "s", digits: int = 2) -> str:
    """Median, with the range in brackets when there is one."""
    text = f"{middle(samples):.{digits}f}"
    if min(samples) != max(samples):
        text += f" ({min(samples):.{digits}f}-{max(samples):.{digits}f})"
    return f"{text} {unit}".strip()


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table; `met` is None where no target was set."""

    what: str
    ours: str
    script: str = ""
    ratio: str = ""
    target: str = ""
    met: bool | None = None

    @property
    def cells(self) -> tuple[str, ...]:
        verdict = {None: "", True: "met", False: "**missed**"}[self.met]
        return (self.what, self.ours, self.script, self.ratio, self.target, verdict)


class Ledger:
    """All rows in their order, and every sample behind them."""

    def __init__(self) -> None:
        self.rows: list[Row] = []
        self.samples: dict[str, list[float]] = {}

    def compare(self, what: str, ours: Samples, script: Samples, most: float) -> Row:
        """Hold the ratio of the medians against the largest one that is fine."""
        times = ratio(ours, script)
        self._keep(f"{what}, ours", ours)
        self._keep(f"{what}, script", script)
        return self._add(
            Row(
                what,
                told(ours),
                told(script),
                f"{times:.2f}",
                f"<= {most:g} x",
                round(times, 2) <= most,
            )
        )

    def limit(self, what: str, ours: Samples, most: float, unit: str = "s") -> Row:
        """Hold the median against a bound of its own."""
        self._keep(what, ours)
        fine = middle(ours) <= most
        return self._add(Row(what, told(ours, unit), target=f"<= {most:g} {unit}", met=fine))

    def exactly(self, what: str, ours: Samples, wanted: float) -> Row:
        """Every single sample must be this."""
        self._keep(what, ours)
        fine = all(one == wanted for one in ours)
        return self._add(Row(what, told(ours, "", 0), target=f"{wanted:g}", met=fine))

    def note(self, what: str, ours: Samples, unit: str = "s", digits: int = 2) -> Row:
        """No target: it is good to know."""
        self._keep(what, ours)
        return self._add(Row(what, told(ours, unit, digits)))

    @property
    def missed(self) -> tuple[str, ...]:
        return tuple(row.what for row in self.rows if row.met is False)

    def document(self, machine: dict[str, Any]) -> dict[str, Any]:
        """Every sample too, so that others can do their own arithmetic."""
        return {
            "machine": machine,
            "rows": [asdict(row) for row in self.rows],
            "samples": self.samples,
        }

    def _keep(self, name: str, samples: Samples) -> None:
        self.samples[name] = [round(one, 5) for one in samples]

    def _add(self, row: Row) -> Row:
        self.rows.append(row)
        return row


HEAD: Final = ("measured: median (range)", "ours", "script", "ratio", "target", "")


def table(rows: Sequence[Row]) -> str:
    """Markdown that also reads well as it stands."""
    lines = [HEAD, *(row.cells for row in rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(HEAD))]
    rule = "|".join("-" * (width + 2) for width in widths)
    head, *rest = (_line(line, widths) for line in lines)
    return "\n".join([head, f"|{rule}|", *rest])


def _line(cells: Sequence[str], widths: Sequence[int]) -> str:
    padded = (cell.ljust(width) for cell, width in zip(cells, widths, strict=True))
    return f"| {' | '.join(padded)} |"


def insert(page: str, text: str) -> str:
    """Put a text between the two markers of a page, in place of what was there."""
    before, begin, rest = page.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise NotMeasured(f"the page lacks {BEGIN} or {END}")
    return f"{before}{BEGIN}\n\n{text}\n\n{END}{after}"
