"""The worker's WARN-and-worse lines, read from the file it shares with us as they are written.

The file is untrusted: it is another process's, it may be torn, huge, replaced or missing, and its
lines may hold anything. Each reading is bounded in bytes and lines; what is dropped is counted.
"""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Final

from controller.core.evidence import LineCounts, LogReading, WorkerLine
from controller.core.excerpt import cap
from controller.core.faults import Denied, Unavailable

LOOK_BACK: Final = 256 * 1024  # bytes read of what was there before us
BUDGET: Final = 1024 * 1024  # bytes of one reading; more are skipped, the newest are read
LONGEST: Final = 128 * 1024  # bytes of one line
MOST_LINES: Final = 200  # of one reading; a doomed worker writes thousands a second
ROTATED: Final = 2  # how many rolled files the worker keeps
_MEMORY: Final = 64  # bytes before our place, to notice that a file of the same name is another
_LEVELS: Final = frozenset({"WARN", "ERROR", "FATAL"})


@dataclass(slots=True)
class _Open:
    """A file we have begun, and the place up to which it was read."""

    descriptor: int
    identity: tuple[int, int]
    offset: int
    tail: bytes = b""  # the bytes just before the offset
    partial: bytes = b""  # a line whose end is not written yet
    discarding: bool = False  # inside a line that is too long


@dataclass(slots=True)
class WorkerLog:
    """Follows one evidence file across rotation, truncation and replacement."""

    path: Path
    scrub: Callable[[str], str]
    _file: _Open | None = None
    _begun: bool = False
    _counts: LineCounts = field(default_factory=LineCounts)

    def read(self) -> LogReading:
        """Must answer at once with what is new; a Fault only if the file may not be read."""
        try:
            raw = list(self._new_lines())
            self._count(skipped_lines=max(0, len(raw) - MOST_LINES))
        except PermissionError as error:
            raise Denied("EvidenceUnreadable", f"the worker's log: {error.strerror}") from error
        except OSError as error:
            raise Unavailable(
                "EvidenceUnreadable", f"the worker's log: {error.strerror}"
            ) from error
        lines = tuple(line for item in raw[-MOST_LINES:] if (line := self._parsed(item)))
        return LogReading(lines, self._file is None, self._counts)

    def close(self) -> None:
        if self._file is not None:
            with suppress(OSError):
                os.close(self._file.descriptor)
            self._file = None

    # --- bytes ------------------------------------------------------------------------------

    def _new_lines(self) -> Iterator[bytes]:
        current = _identity(self.path)
        if self._file is not None and self._file.identity != current:
            yield from self._rest_of_the_old()
        if self._file is None and current is not None:
            self._file = self._opened(self.path, from_start=self._begun)
            self._begun = True
        if self._file is not None:
            yield from self._advance(self._file)

    def _rest_of_the_old(self) -> Iterator[bytes]:
        """Finish the file that was rolled away, and read those rolled away since, oldest first."""
        old = self._file
        if old is None:
            return
        self._count(rotations=1)
        written = os.fstat(old.descriptor).st_mtime_ns
        yield from self._advance(old)
        for path in self._rolled_after(old.identity, written):
            file = self._opened(path, from_start=True)
            if file is not None:
                try:
                    yield from self._advance(file)
                finally:
                    os.close(file.descriptor)
        self.close()

    def _rolled_after(self, old: tuple[int, int], written: int) -> list[Path]:
        later: list[tuple[int, Path]] = []
        for number in range(1, ROTATED + 1):
            path = self.path.with_name(f"{self.path.name}.{number}")
            with suppress(OSError):
                status = path.lstat()
                if (status.st_dev, status.st_ino) != old and status.st_mtime_ns > written:
                    later.append((status.st_mtime_ns, path))
        return [path for _, path in sorted(later)]

    def _opened(self, path: Path, *, from_start: bool) -> _Open | None:
        try:
            # Neither a link out of the folder nor a pipe that would block is followed.
            descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        except FileNotFoundError:
            return None
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            os.close(descriptor)
            raise Unavailable("EvidenceUnreadable", "the worker's log: not a regular file")
        start = 0 if from_start else max(0, status.st_size - LOOK_BACK)
        return _Open(descriptor, (status.st_dev, status.st_ino), start, discarding=start > 0)

    def _advance(self, file: _Open) -> Iterator[bytes]:
        size = os.fstat(file.descriptor).st_size
        if size < file.offset or not _unchanged(file):
            file.offset, file.tail, file.partial, file.discarding = 0, b"", b"", False
            self._count(rotations=1)
        if size - file.offset > BUDGET:
            self._count(skipped_bytes=size - BUDGET - file.offset)
            file.offset, file.partial, file.discarding = size - BUDGET, b"", True
        chunk = os.pread(file.descriptor, min(size - file.offset, BUDGET), file.offset)
        if not chunk:
            return
        file.offset += len(chunk)
        file.tail = (file.tail + chunk)[-_MEMORY:]
        yield from self._split(file, chunk)

    def _split(self, file: _Open, chunk: bytes) -> Iterator[bytes]:
        *whole, rest = (file.partial + chunk).split(b"\n")
        for line in whole:
            if file.discarding:
                file.discarding = False
            elif len(line) > LONGEST:
                self._count(too_long=1)
            elif line.strip():
                yield line
        if len(rest) > LONGEST and not file.discarding:
            self._count(too_long=1)
            file.discarding = True
        file.partial = b"" if file.discarding else rest

    # --- lines ------------------------------------------------------------------------------

    def _parsed(self, raw: bytes) -> WorkerLine | None:
        try:
            value = json.loads(raw.decode(errors="replace"))
            line = self._line(value) if isinstance(value, dict) else None
        except (ValueError, RecursionError, OverflowError):
            line = None
        if line is None:
            self._count(malformed=1)
            return None
        if line.level not in _LEVELS:
            self._count(below_level=1)
            return None
        self._count(read=1)
        return line

    def _line(self, value: dict[str, object]) -> WorkerLine | None:
        at, level = _epoch(value.get("@timestamp")), value.get("log.level")
        if at is None or not isinstance(level, str):
            return None
        kind, said = _text(value, "error.type"), _text(value, "error.message")
        stack = _text(value, "error.stack_trace")
        head = "" if stack.startswith(kind) and kind else f"{kind}: {said}\n".lstrip(": ")
        return WorkerLine(
            at=at,
            level=level,
            logger=_text(value, "log.logger")[:200],
            message=self.scrub(cap(_text(value, "message"))),
            trace=self.scrub(cap(f"{head}{stack}".strip())),
            context=_text(value, "connector.context")[:300],
            thread=_text(value, "process.thread.name")[:300],
        )

    def _count(self, **more: int) -> None:
        grown = {name: getattr(self._counts, name) + number for name, number in more.items()}
        self._counts = replace(self._counts, **grown)


def _identity(path: Path) -> tuple[int, int] | None:
    try:
        status = path.lstat()
    except FileNotFoundError:
        return None
    return status.st_dev, status.st_ino


def _unchanged(file: _Open) -> bool:
    """Whether what we read last is still there: a file truncated and written again differs."""
    if not file.tail:
        return True
    start = file.offset - len(file.tail)
    return os.pread(file.descriptor, len(file.tail), start) == file.tail


def _text(value: dict[str, object], key: str) -> str:
    found = value.get(key)
    return found if isinstance(found, str) else ""


def _epoch(value: object) -> float | None:
    if not isinstance(value, str) or len(value) > 40:
        return None
    try:
        moment = datetime.fromisoformat(value)
    except ValueError:
        return None
    return moment.timestamp() if moment.tzinfo is not None else None
