"""What is wrong with a revision: all of it at once, each with its place."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, Protocol

from controller.core.model import Source, Warning_

_MOST: Final = 200  # a hostile file could hold a mistake per character
_MOST_SUGGESTIONS: Final = 20  # each costs a comparison with every known word


class Place(Protocol):
    """Anything that knows where it was written; line and column count from 1."""

    @property
    def file(self) -> str: ...
    @property
    def line(self) -> int: ...
    @property
    def column(self) -> int: ...


@dataclass(frozen=True, slots=True)
class Spot:
    """A place that no node stands for."""

    file: str
    line: int = 1
    column: int = 1


WHOLE: Final = Spot(".")  # the set of files itself


@dataclass(frozen=True, slots=True, order=True)
class ManifestError:
    """One mistake; the message says what to do about it."""

    file: str
    line: int
    column: int
    field: str
    message: str

    def __str__(self) -> str:
        field = f"{self.field}: " if self.field else ""
        return f"{self.file}:{self.line}:{self.column}: {field}{self.message}"


class ManifestErrors(ValueError):  # it carries errors
    """A revision that cannot be loaded; of very many errors the first ones."""

    def __init__(self, errors: Iterable[ManifestError]) -> None:
        self.errors = tuple(sorted(set(errors)))
        super().__init__(self.errors)

    def __str__(self) -> str:
        return "\n".join(map(str, self.errors))


class Report:
    """Collects while reading goes on, so that a person sees everything in one run."""

    def __init__(self) -> None:
        self.errors: list[ManifestError] = []
        self.warnings: list[Warning_] = []
        self.count = 0  # of errors, those over the limit included
        self._suggestions = _MOST_SUGGESTIONS

    @property
    def full(self) -> bool:
        return self.count > _MOST

    def error(self, place: Place, field: str, message: str) -> None:
        self.count += 1
        if self.count == _MOST:
            message += " (further errors are not shown)"
        if self.count <= _MOST:
            self.errors.append(ManifestError(place.file, place.line, place.column, field, message))

    def warning(self, place: Place, field: str, message: str) -> None:
        if len(self.warnings) < _MOST:
            self.warnings.append(Warning_(Source(place.file, place.line), field, message))

    def near(self, word: str, known: Iterable[str]) -> str:
        """Answer `; did you mean X?`, or nothing when no known word is near."""
        self._suggestions -= 1
        if self._suggestions < 0:
            return ""
        from difflib import get_close_matches  # read only when there is a mistake

        found = get_close_matches(word[:100], list(known), n=1, cutoff=0.75)
        return f"; did you mean {found[0]}?" if found else ""

    def raise_errors(self) -> None:
        if self.errors:
            raise ManifestErrors(self.errors)
