"""Delays between attempts, as values: who waits, and on what clock, is decided elsewhere."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

_MANY: Final = 1_000_000


@dataclass(frozen=True, slots=True)
class Backoff:
    """Delays that grow by a factor up to a cap; all in seconds."""

    base: float
    factor: float
    cap: float

    def __post_init__(self) -> None:
        if not (0 < self.base <= self.cap and self.factor >= 1):
            raise ValueError(
                "a backoff needs 0 < base <= cap and factor >= 1, "
                f"got base {self.base}, factor {self.factor}, cap {self.cap}",
            )

    def delay(self, attempt: int, *, jitter: float) -> float:
        """Wait so long after this many failures in a row; none after none.

        Jitter from 0 to 1 spreads the delay over its upper half, so that those who failed
        together do not come back together, and nobody comes back at once.
        """
        if not 0 <= jitter <= 1:
            raise ValueError(f"jitter is from 0 to 1, got {jitter}")
        if attempt < 1:
            return 0.0
        return self._whole(attempt) * (1 + jitter) / 2

    def _whole(self, attempt: int) -> float:
        # In floats, and never beyond what one can count: whole numbers would grow without bound.
        try:
            grown = float(self.base) * float(self.factor) ** min(attempt - 1, _MANY)
        except OverflowError:
            return self.cap
        return min(grown, self.cap)
