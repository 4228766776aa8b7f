"""Text of a failure -> Diagnosis: what it is, whose it is, what helps.

The whole text is read, not its top line, which most often is a wrapper. There is no pattern that
could take long: the table holds numbers and plain texts, and hostile text costs as much as other.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from controller.core import excerpt
from controller.core.failures import (
    FAILURES,
    Actor,
    Failure,
    FailureKind,
    Severity,
    System,
    Treatment,
)

__all__ = [
    "FAILURES",
    "LOGIN_REFUSED",
    "POSITION_LOST",
    "UNKNOWN",
    "Actor",
    "Diagnosis",
    "Failure",
    "FailureKind",
    "Severity",
    "System",
    "Treatment",
    "diagnose",
    "known",
]

UNKNOWN: Final = Failure(
    "unknown", System.UNKNOWN, FailureKind.UNKNOWN, Treatment.HOLD, Severity.STOPPED,
    Actor.OPERATOR,
    "This failure is not known here.",
    "Read the trace and the worker's log around its time. If it is clear what it is, please add it "
    "to the table of known failures.",
)  # fmt: skip
NOTHING: Final = Failure(
    "unknown", System.UNKNOWN, FailureKind.UNKNOWN, Treatment.HOLD, Severity.NOISE, Actor.NOBODY,
    "There is no text to explain.",
    "Look at the worker's log: a connector that tries again for ever has no trace.",
)  # fmt: skip

_REACH: Final = 120  # how many characters a `…` may stand for
_CODE: Final = re.compile(r"(?i)\b(?:ora|tns)[- ]0{0,4}(\d{1,5})\b")
# The driver's own ways of giving Oracle's code without its prefix.
_BARE_CODE: Final = re.compile(
    r"(?i)\b(?:error\s?:\s?(\d{3,5}), position|\(error:\s?(\d{3,5})\)"
    r"|(?:vendor ?code|error ?code)\s?[:=]?\s?(\d{3,5})\b)"
)
_STATE: Final = re.compile(
    r"(?i:\bsql ?state|\bsqlcode)\W{1,4}([0-9A-Z]{5})\b"
    r"|\b(?:FATAL|ERROR|PANIC|FEHLER|ERREUR|ERRO|ОШИБКА|ВАЖНО)\W{1,4}([0-9A-Z]{5})(?=:)"
    r"|\b([0-9][0-9A-Z]P[0-9]{2})\b"
)
_STATEMENT: Final = re.compile(
    r"(?i)\b(?:insert into|update|delete from|values|select|failed to parse)\b"
)
_LITERAL: Final = re.compile(r"'[^'\n]*'")
_POSTGRESQL: Final = ("org.postgresql", "psqlexception", "postgres", "pgjdbc")
_ORACLE: Final = ("oracle", "ora-", "dpy-", "logminer")
_KAFKA: Final = ("org.apache.kafka.common.errors.", "org.apache.kafka.clients.")

_WRAPPING: Final = tuple(
    piece for row in FAILURES if row.wrapper for text in row.texts for piece in text.split("…")[:1]
)
# These codes stand around another, which then is the one that matters.
_AROUND: Final = frozenset({604, 6512, 2063, 4045})

# Said around a transient cause, these tell whether the task still tries or has given up.
_GAVE_UP: Final = (
    "this connector will be stopped",
    "until manually restarted",
    "tolerance exceeded in error handler",
    "unrecoverable exception",
    "couldn't get timestamp utils",
    "unable to get last available log position",
    "retries has been attempted",
)
_TRIES_AGAIN: Final = (
    "this connector will be restarted",
    "will re-attempt during polling",
    "after a retriable exception",
    "will retry operation",
    "connect.errors.retriableexception",
    "retries will be attempted",
)


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """What a text was taken for; the strings of it are masked, so that they may travel."""

    failure: Failure
    system: System
    treatment: Treatment
    restart_helps: bool
    matched: str  # the line that was recognised
    cause: str  # the innermost one, as the trace names it
    codes: tuple[str, ...] = ()  # ORA-01017, SQLSTATE 28P01
    classes: tuple[str, ...] = ()  # of the exceptions, outermost first

    @property
    def known(self) -> bool:
        return self.failure.id != UNKNOWN.id

    @property
    def kind(self) -> FailureKind:
        return self.failure.kind


def known(identity: str, system: System | None = None) -> Failure | None:
    """Find a failure by its id; two systems may have one of the same id, meaning the same."""
    return _BY_ID.get((identity, system)) or _BY_ID.get((identity, None))


@functools.lru_cache(maxsize=64)
def diagnose(text: str) -> Diagnosis:
    """Recognise the cause in a trace, a log line or the body of an answer."""
    whole = excerpt.clean(text)
    if whole.strip().lower() in _EMPTY:
        return Diagnosis(NOTHING, System.UNKNOWN, NOTHING.treatment, False, "", "")
    main = _read(_without_suppressed(whole))
    found = _first(main)
    if found is None or found[0].wrapper:  # an exception on the way out may know more
        reading = _read(whole)
        found, main = _better(found, main, _first(reading), reading)
    if found and found[0].wrapper and found[0].kind is FailureKind.UNKNOWN and _has_cause(whole):
        found = None  # it names a cause, and that one is not known here
    return _diagnosis(found, main, whole)


def _has_cause(whole: str) -> bool:
    """Whether the innermost cause is there, uncut, and more than the wrapper's own words."""
    cause = excerpt.last_cause(whole)
    said = _lower(cause)
    named = "caused by:" in _lower(whole) and bool(excerpt.classes(cause))
    return named and not any(text in said for text in _WRAPPING)


_EMPTY: Final = frozenset({"", "null", "none", "nil", "undefined", "{}", "[]", '""', "''", "-"})

# What no waiting heals, so that a person is told at once.
LOGIN_REFUSED: Final = frozenset(
    row.id
    for row in FAILURES
    if row.kind is FailureKind.CREDENTIAL and row.severity is Severity.STOPPED
)
POSITION_LOST: Final = frozenset(
    row.id for row in FAILURES if row.kind is FailureKind.DATA_POSITION
)


# --- reading ------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Reading:
    """A text prepared once for all rows; positions are the same in all of its forms."""

    shown: str
    plain: str  # lower case, on one line, without stack frames and literals of statements
    context: str  # the same, with stack frames
    codes: Mapping[int, int]  # ORA code -> position
    states: Mapping[str, int]


def _read(text: str) -> _Reading:
    literals = _without_literals(text)
    heads = excerpt.without_frames(literals)
    codes = dict(_codes(heads))
    # Oracle has SQLSTATEs too, of other meanings.
    states = {} if codes else dict(_states(heads))
    flat = _lower(heads).replace("\n", " ").replace("\t", " ")
    return _Reading(text, flat, _lower(literals), codes, states)


def _codes(text: str) -> Iterator[tuple[int, int]]:
    seen: set[int] = set()
    patterns = [_CODE, _BARE_CODE] if "oracle" in text.lower() or "ORA-" in text else [_CODE]
    for pattern in patterns:
        for match in pattern.finditer(text):
            code = int(next(group for group in match.groups() if group))
            if code not in seen:
                seen.add(code)
                yield code, match.start()


def _states(text: str) -> Iterator[tuple[str, int]]:
    seen: set[str] = set()
    for match in _STATE.finditer(text):
        state = next(group for group in match.groups() if group)
        if state not in seen and any(character.isdigit() for character in state):
            seen.add(state)
            yield state, match.start()


def _lower(text: str) -> str:
    """Lower the case and keep every position: this one letter alone would become two."""
    return text.replace("İ", "i").lower()


def _without_literals(text: str) -> str:
    """Blank what statements quote: a row may well hold the text of an error."""
    if "'" not in text:
        return text
    return "\n".join(
        _LITERAL.sub(lambda match: " " * len(match[0]), line) if _STATEMENT.search(line) else line
        for line in text.split("\n")
    )


def _without_suppressed(text: str) -> str:
    """Drop what failed while closing after the failure: it is an effect, and often louder."""
    if "Suppressed:" not in text:
        return text
    kept: list[str] = []
    depth: int | None = None
    for line in text.split("\n"):
        indent = len(line) - len(line.lstrip())
        if depth is not None and (indent < depth or (depth == 0 and line.startswith("Caused by"))):
            depth = None
        if depth is None and line.lstrip().startswith("Suppressed:"):
            depth = indent
        if depth is None:
            kept.append(line)
    return "\n".join(kept)


# --- recognising --------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Row:
    """A failure with its texts cut at the gaps."""

    failure: Failure
    texts: tuple[tuple[str, ...], ...]
    foreign: tuple[tuple[str, ...], ...]  # with letters that are not ASCII
    within: tuple[tuple[str, ...], ...]


def _row(failure: Failure) -> _Row:
    texts, within = _pieces(failure.texts), _pieces(failure.within)
    plain = tuple(pieces for pieces in texts if "".join(pieces).isascii())
    return _Row(failure, plain, tuple(p for p in texts if p not in plain), within)


def _pieces(texts: tuple[str, ...]) -> tuple[tuple[str, ...], ...]:
    return tuple(tuple(text.split("…")) for text in texts)


_ROWS: Final = tuple(_row(failure) for failure in FAILURES)
_BY_ID: Final[Mapping[tuple[str, System | None], Failure]] = MappingProxyType(
    {(row.id, row.system): row for row in reversed(FAILURES)}
    | {(row.id, None): row for row in reversed(FAILURES)}
)


def _first(reading: _Reading) -> tuple[Failure, int] | None:
    for row in _ROWS:
        position = _position(row, reading)
        if position >= 0 and _in_context(row, reading):
            return row.failure, position
    return None


def _position(row: _Row, reading: _Reading) -> int:
    nested = reading.codes.keys() - _AROUND
    for code, position in reading.codes.items():
        if code in row.failure.codes and not (code in _AROUND and nested):
            return position
    for state, position in reading.states.items():
        if state in row.failure.states:
            return position
    for pieces in row.texts if reading.plain.isascii() else (*row.texts, *row.foreign):
        position = _find(reading.plain, pieces)
        if position >= 0:
            return position
    return -1


def _in_context(row: _Row, reading: _Reading) -> bool:
    return not row.within or any(_find(reading.context, pieces) >= 0 for pieces in row.within)


def _find(text: str, pieces: tuple[str, ...]) -> int:
    """Find the pieces one after the other, each within reach of the one before."""
    first, *rest = pieces
    start = text.find(first)
    while start >= 0 and rest:
        end = start + len(first)
        for piece in rest:
            at = text.find(piece, end, end + _REACH + len(piece))
            if at < 0:
                break
            end = at + len(piece)
        else:
            return start
        start = text.find(first, start + 1)
    return start


def _better(
    main: tuple[Failure, int] | None,
    main_reading: _Reading,
    other: tuple[Failure, int] | None,
    other_reading: _Reading,
) -> tuple[tuple[Failure, int] | None, _Reading]:
    if other is not None and (main is None or not other[0].wrapper):
        return other, other_reading
    return main, main_reading


# --- the answer ---------------------------------------------------------------------------


def _diagnosis(found: tuple[Failure, int] | None, reading: _Reading, whole: str) -> Diagnosis:
    failure, position = found or (UNKNOWN, -1)
    treatment = _treatment(failure, reading.plain)
    return Diagnosis(
        failure=failure,
        system=_system(failure, reading),
        treatment=treatment,
        restart_helps=treatment is Treatment.RESTART,
        matched=excerpt.shown(reading.shown, position) if position >= 0 else "",
        cause=excerpt.masked(excerpt.last_cause(whole)),
        codes=_named(reading),
        classes=excerpt.classes(whole),
    )


def _treatment(failure: Failure, plain: str) -> Treatment:
    """A cause that passes is waited for, unless the task will not try again by itself."""
    if failure.kind is not FailureKind.TRANSIENT:
        return failure.treatment
    if any(text in plain for text in _GAVE_UP):
        return Treatment.RESTART
    if any(text in plain for text in _TRIES_AGAIN):
        return Treatment.WAIT
    return failure.treatment


def _system(failure: Failure, reading: _Reading) -> System:
    """Two databases share some sentences of Debezium; an unknown error may still name its own."""
    context = reading.context
    if reading.codes:
        database = System.ORACLE
    elif any(text in context for text in _POSTGRESQL) and not any(t in context for t in _ORACLE):
        database = System.POSTGRESQL
    elif any(text in context for text in _ORACLE):
        database = System.ORACLE
    else:
        database = failure.system
    if failure.system in {System.ORACLE, System.POSTGRESQL}:
        return database if database is not System.UNKNOWN else failure.system
    if failure.wrapper and failure.system is System.UNKNOWN and reading.codes:
        return System.ORACLE
    if failure is UNKNOWN and (reading.codes or reading.states or "psqlexception" in context):
        return database if reading.codes else System.POSTGRESQL
    if failure is UNKNOWN and any(text in reading.plain for text in _KAFKA):
        return System.KAFKA
    return failure.system


def _named(reading: _Reading) -> tuple[str, ...]:
    oracle = tuple(f"ORA-{code:05d}" for code in list(reading.codes)[:8])
    return oracle + tuple(f"SQLSTATE {state}" for state in list(reading.states)[:4])
