"""What the worker's log adds to the observation of a connector.

Connect's REST API says RUNNING of a connector that tries again for ever; the worker's log says why.
Kept is what each diagnosis was, since when, how often: no line, no row, no statement. Of an error
that is not known here its codes and classes are kept for a person, and nothing acts on it. A line
speaks of a connector by the worker's own word only, `connector.context`, or the client id of its
producer; what stands elsewhere in it may be anybody's text. Evidence is never obeyed: it alone is
no ground for an action that cannot be undone.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Final, TypeAlias

from controller.core.failure import Diagnosis, Failure, Severity, System, diagnose, known

LOOK_BACK: Final = 600.0  # seconds; what is older when it is first read tells of another life
KEEP: Final = 6 * 3600.0  # seconds after the last line; a loop writes one each ten seconds
MOST: Final = 16  # diagnoses of one connector
MOST_CODES: Final = 5  # of errors that are not known here, the newest
APART: Final = 1.0  # seconds; the lines that one try leaves are one occurrence

_CONTEXT: Final = re.compile(r"\[(?P<name>.+)\|(?:worker|task-\d+(?:\|offsets)?)\]\s*")
_CLIENT: Final = re.compile(
    r"\[Producer clientId=connector-producer-(?P<name>[^\],]+)-\d+(?:, transactionalId=[^\]]*)?\]"
)
_THREAD: Final = re.compile(r"kafka-producer-network-thread \| connector-producer-(?P<name>.+)-\d+")
LINE_RESULTS: Final = (
    "recognised",
    "unrecognised",
    "foreign",
    "stale",
    "malformed",
    "tooLong",
    "belowLevel",
    "skipped",
)
LOGGER: Final = re.compile(r"[\w.$-]{1,200}")
_START: Final = re.compile(
    r"^\s{0,8}at (?:app//)?(?:io\.debezium\.connector\.common\.BaseSourceTask\.start\w{0,40}"
    r"|org\.apache\.kafka\.connect\.runtime\."
    r"(?:AbstractWorkerSourceTask\.initializeAndStart|WorkerConnector\.doStart))\(",
    re.MULTILINE,
)


@dataclass(frozen=True, slots=True)
class WorkerLine:
    """A line at WARN or worse of the worker's log, capped and scrubbed."""

    at: float  # seconds since the epoch, by the worker's clock
    level: str
    logger: str
    message: str
    trace: str = ""  # with the exception's class and message before the stack
    context: str = ""  # connector.context
    thread: str = ""

    @property
    def text(self) -> str:
        return f"{self.message}\n{self.trace}" if self.trace else self.message


@dataclass(frozen=True, slots=True)
class LineCounts:
    """How the lines so far fared; they only grow."""

    read: int = 0
    malformed: int = 0
    too_long: int = 0
    below_level: int = 0
    skipped_bytes: int = 0
    skipped_lines: int = 0
    rotations: int = 0


@dataclass(frozen=True, slots=True)
class LogReading:
    """The lines since the last reading; `missing` says that there is no file to read."""

    lines: tuple[WorkerLine, ...]
    missing: bool
    counts: LineCounts


@dataclass(frozen=True, slots=True)
class Evidence:
    """One diagnosis that lines led to; all of it may leave the worker's machine."""

    failure: str
    system: System
    first_seen: float
    last_seen: float
    count: int  # occurrences at least a second apart
    logger: str
    codes: tuple[str, ...] = ()
    classes: tuple[str, ...] = ()
    on_start_path: bool = False

    @property
    def row(self) -> Failure | None:
        return known(self.failure, self.system)


Found: TypeAlias = tuple[Evidence, ...]


@dataclass(frozen=True, slots=True)
class EvidenceBook:
    """What workers' logs told, by connector of ours, and beside it of our own worker itself."""

    connectors: Mapping[str, Found] = field(default_factory=lambda: MappingProxyType({}))
    worker: Found = ()  # shown, and never held against a connector
    recognised: int = 0
    unrecognised: int = 0  # lines of ours that no known failure fits
    foreign: int = 0  # lines of connectors that are not ours
    stale: int = 0
    counts: LineCounts = field(default_factory=LineCounts)

    def of(self, connector: str) -> Found:
        return self.connectors.get(connector, ())

    @property
    def lines(self) -> Mapping[str, int]:
        """Count the lines since this process began, by what became of each."""
        numbers = (
            self.recognised,
            self.unrecognised,
            self.foreign,
            self.stale,
            self.counts.malformed,
            self.counts.too_long,
            self.counts.below_level,
            self.counts.skipped_lines,
        )
        return dict(zip(LINE_RESULTS, numbers, strict=True))


def connector_of(line: WorkerLine) -> str | None:
    """Name the connector that the worker says this line is about."""
    for pattern, text in ((_CONTEXT, line.context), (_THREAD, line.thread)):
        match = pattern.fullmatch(text)
        if match:
            return match["name"]
    match = _CLIENT.match(line.message)
    return match["name"] if match else None


def is_from_start(trace: str) -> bool:
    """Whether a task or connector threw this while it started, so that its login is its own."""
    return _START.search(trace) is not None


def gather(
    book: EvidenceBook, lines: Iterable[WorkerLine], ours: Collection[str], now: float
) -> EvidenceBook:
    """Add lines; the same lines in one call or in many give the same book."""
    for line in lines:
        name = connector_of(line)
        if line.at < now - LOOK_BACK:
            book = replace(book, stale=book.stale + 1)
        elif name is not None and name not in ours:
            book = replace(book, foreign=book.foreign + 1)
        else:
            book = _take(book, name, line, now)
    return book


def expire(book: EvidenceBook, now: float, well: Mapping[str, float]) -> EvidenceBook:
    """Forget what is over: not seen for long, or before its connector was seen to be well.

    `well` says of a connector when it last got on: an offset that moved, an event, a heartbeat.
    What a connector suffers in silence stays, since it gets on all the same.
    """
    connectors = {
        name: tuple(e for e in found if _lasts(e, now, well.get(name)))
        for name, found in book.connectors.items()
    }
    return replace(
        book,
        connectors=MappingProxyType({name: found for name, found in connectors.items() if found}),
        worker=tuple(e for e in book.worker if _lasts(e, now, None)),
    )


def telling(found: Found) -> Evidence | None:
    """Choose what to say of a connector: the gravest cause, the newest of them; noise is none."""
    speaking = [e for e in found if e.row is not None and e.row.severity is not Severity.NOISE]
    return max(speaking, key=_weight, default=None)


def merge(one: Mapping[str, Found], other: Mapping[str, Found]) -> Mapping[str, Found]:
    """Put the evidence of several workers together: of each diagnosis first, last and count."""
    names = sorted({*one, *other})
    return MappingProxyType(
        {name: _merged(one.get(name, ()), other.get(name, ())) for name in names}
    )


# --- within ---------------------------------------------------------------------------------

_ERRORS: Final = frozenset({"ERROR", "FATAL"})


def _take(book: EvidenceBook, name: str | None, line: WorkerLine, now: float) -> EvidenceBook:
    """Add a line about a connector of ours, or about the worker itself where it names none."""
    diagnosis = diagnose(line.text)
    if diagnosis.known:
        book = replace(book, recognised=book.recognised + 1)
    else:
        book = replace(book, unrecognised=book.unrecognised + 1)
        if name is None or line.level not in _ERRORS:
            return book
    if name is None:
        return replace(book, worker=_add(book.worker, line, diagnosis, now))
    found = {**book.connectors, name: _add(book.of(name), line, diagnosis, now)}
    return replace(book, connectors=MappingProxyType(found))


_GRAVITY: Final = {Severity.DATA: 3, Severity.STOPPED: 2, Severity.DEGRADED: 1, Severity.NOISE: 0}


def _weight(evidence: Evidence) -> tuple[bool, bool, int, float]:
    """Weigh what keeps it from running above what it runs on with."""
    row = evidence.row
    if row is None:
        return (False, False, 0, evidence.last_seen)
    return (not row.wrapper, not row.silent, _GRAVITY[row.severity], evidence.last_seen)


def _lasts(evidence: Evidence, now: float, well: float | None) -> bool:
    if evidence.last_seen < now - KEEP:
        return False
    if well is None or evidence.last_seen > well:
        return True
    return evidence.row is not None and evidence.row.silent


def _add(found: Found, line: WorkerLine, diagnosis: Diagnosis, now: float) -> Found:
    at = min(line.at, now)  # a clock that runs ahead must not make evidence that outlives us
    new = Evidence(
        failure=diagnosis.failure.id,
        system=diagnosis.system,
        first_seen=at,
        last_seen=at,
        count=1,
        logger=line.logger if LOGGER.fullmatch(line.logger) else "",
        codes=diagnosis.codes,
        classes=diagnosis.classes,
        on_start_path=bool(line.context) and is_from_start(line.trace),
    )
    for position, old in enumerate(found):
        if _same(old, new):
            return (*found[:position], _joined(old, new), *found[position + 1 :])
    return tuple(sorted((*found, new), key=lambda e: e.last_seen)[-MOST:])


def _same(one: Evidence, other: Evidence) -> bool:
    return (one.failure, one.system) == (other.failure, other.system)


def _joined(old: Evidence, new: Evidence) -> Evidence:
    another = abs(new.last_seen - old.last_seen) >= APART
    return replace(
        old,
        first_seen=min(old.first_seen, new.first_seen),
        last_seen=max(old.last_seen, new.last_seen),
        count=old.count + (new.count if another else 0),
        codes=_together(old, old.codes, new.codes),
        classes=_together(old, old.classes, new.classes),
        on_start_path=old.on_start_path or new.on_start_path,
    )


def _together(old: Evidence, before: tuple[str, ...], after: tuple[str, ...]) -> tuple[str, ...]:
    """Keep a known failure's first; what is not known may be another each time."""
    if old.row is not None:
        return before or after
    return (*(one for one in before if one not in after), *after)[-MOST_CODES:]


def _merged(one: Found, other: Found) -> Found:
    merged = list(one)
    for new in other:
        for position, old in enumerate(merged):
            if _same(old, new):
                merged[position] = replace(_joined(old, new), count=old.count + new.count)
                break
        else:
            merged.append(new)
    return tuple(sorted(merged, key=lambda e: e.last_seen)[-MOST:])
