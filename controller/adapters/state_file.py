"""The state store as one JSON file, and one file of lines per history section beside it.

Files are only ever replaced or appended to under a lock that lasts as long as the write. A file
that cannot be read is never taken for an empty one, and never written over.
"""

from __future__ import annotations

import fcntl
import json
import math
import os
import re
import threading
import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final, NoReturn

from controller.core.faults import Conflict, Fault, Unavailable
from controller.core.model import Json, Record
from controller.ports import Clock

_FORMAT: Final = 1
_FILE_MODE: Final = 0o600
_DIRECTORY_MODE: Final = 0o700
_KEY: Final = re.compile(r"[A-Za-z][A-Za-z0-9]*/[^\x00-\x1f\x7f]+")
_SECTION: Final = re.compile(r"[A-Za-z][A-Za-z0-9]*")
_RETRY: Final = 0.01


@dataclass(frozen=True, slots=True)
class _Content:
    """The whole file; `last` is the newest revision ever given out, so that none comes again."""

    records: Mapping[str, Record]
    last: int


@dataclass(frozen=True, slots=True)
class _Left:
    """A history as we left it."""

    inode: int
    time: int
    size: int
    lines: int


_ENCODER: Final = json.JSONEncoder(allow_nan=False)
_EMPTY: Final = _Content(MappingProxyType({}), 0)


class StateFile:
    """Keeps `keep` entries per history section at least, and twice as many at most."""

    def __init__(
        self, path: Path, *, clock: Clock, lock_seconds: float = 5.0, keep: int = 1000
    ) -> None:
        self._path = path
        self._clock = clock
        self._lock_seconds = lock_seconds
        self._keep = keep
        self._known: tuple[bytes, _Content] = (b"", _EMPTY)
        self._left: dict[Path, _Left] = {}  # histories; reading all at each append is slow
        self._lines_of: dict[str, tuple[Record, str]] = {}  # encoding all at each put is slow

    # --- records ---

    def load(self) -> Mapping[str, Record]:
        with self._faults("read"):
            content = self._read()
        now = self._clock.now()
        living = {key: record for key, record in content.records.items() if _lives(record, now)}
        return MappingProxyType(living)

    def put(
        self,
        key: str,
        value: Mapping[str, Json],
        *,
        expected: int | None = None,
        expires: float | None = None,
    ) -> int:
        _insist(_KEY, key)
        kept = json.loads(_text(dict(value)))  # a copy, as a reader of the file would get it
        with self._faults("write"), self._locked():
            content = self._living()
            self._compare(key, content.records.get(key), expected)
            revision = content.last + 1
            record = Record(MappingProxyType(kept), revision, expires)
            self._write(_Content({**content.records, key: record}, revision))
            return revision

    def delete(self, key: str, *, expected: int | None = None) -> None:
        with self._faults("write"), self._locked():
            content = self._living()
            found = content.records.get(key)
            if found is None:
                return
            self._compare(key, found, expected)
            rest = {name: record for name, record in content.records.items() if name != key}
            self._write(replace(content, records=rest))

    @staticmethod
    def _compare(key: str, found: Record | None, expected: int | None) -> None:
        revision = 0 if found is None else found.revision
        if expected is not None and revision != expected:
            raise Conflict(
                "StateChanged", f"{key} is at revision {revision}, not {expected}; look again"
            )

    def _living(self) -> _Content:
        """What is expired counts as gone, and goes with the next write."""
        content, now = self._read(), self._clock.now()
        living = {key: record for key, record in content.records.items() if _lives(record, now)}
        return replace(content, records=living)

    def _read(self) -> _Content:
        try:
            raw = self._path.read_bytes()
        except FileNotFoundError:
            return _EMPTY
        known, content = self._known
        if raw != known or not raw:
            content = self._parse(raw)
            self._known = (raw, content)
        return content

    def _parse(self, raw: bytes) -> _Content:
        try:
            document = json.loads(raw, parse_constant=_refuse)
            if document["format"] != _FORMAT:
                raise self._corrupt(self._path, f"format {document['format']!r} is not known here")
            records = {key: _record(item) for key, item in document["records"].items()}
            newest = max((record.revision for record in records.values()), default=0)
            return _Content(MappingProxyType(records), max(int(document["last"]), newest))
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
            raise self._corrupt(self._path, f"it is no state ({type(error).__name__})") from error

    def _write(self, content: _Content) -> None:
        """Put one record on each line, for people with grep."""
        lines = {key: self._line(key, record) for key, record in content.records.items()}
        head = f'{{"format": {_FORMAT}, "last": {content.last}, "records": {{\n'
        raw = (head + ",\n".join(text for _, text in lines.values()) + "\n}}\n").encode()
        self._replace(self._path, raw)
        self._lines_of = lines
        self._known = (raw, replace(content, records=MappingProxyType(dict(content.records))))

    def _line(self, key: str, record: Record) -> tuple[Record, str]:
        known = self._lines_of.get(key)
        if known is not None and known[0] is record:
            return known
        return record, f"{_text(key)}: {_text(_document(record))}"

    # --- history ---

    def append(self, section: str, entry: Mapping[str, Json]) -> None:
        line = _text(dict(entry)).encode() + b"\n"
        with self._faults("write"), self._locked():
            path = self._history(section)
            size, count = self._size_of(path)
            if count >= 2 * self._keep:
                kept = self._lines(path)[-self._keep + 1 :]
                self._replace(path, b"".join([*kept, line]))
                count = len(kept)
            else:
                self._extend(path, size, line)
            self._left[path] = _Left(*_sight(path), count + 1)

    def read(self, section: str, limit: int) -> Sequence[Mapping[str, Json]]:
        with self._faults("read"):
            path = self._history(section)
            lines = self._lines(path)[-limit:] if limit > 0 else []
            return tuple(self._entry(path, line) for line in lines)

    def _size_of(self, path: Path) -> tuple[int, int]:
        """Answer the bytes and the number of its lines; read it only if another wrote since."""
        left = self._left.get(path)
        if (
            left is not None
            and path.exists()
            and _sight(path) == (left.inode, left.time, left.size)
        ):
            return left.size, left.lines
        lines = self._lines(path)
        return sum(len(line) for line in lines), len(lines)

    def _history(self, section: str) -> Path:
        _insist(_SECTION, section)
        return self._path.with_name(f"{self._path.stem}.{section}.jsonl")

    @staticmethod
    def _lines(path: Path) -> list[bytes]:
        """Leave out a last line without its end: a crash cut it off while it was written."""
        try:
            lines = path.read_bytes().splitlines(keepends=True)
        except FileNotFoundError:
            return []
        return lines[:-1] if lines and not lines[-1].endswith(b"\n") else lines

    def _entry(self, path: Path, line: bytes) -> Mapping[str, Json]:
        try:
            entry: dict[str, Json] = json.loads(line, parse_constant=_refuse)
            return MappingProxyType(entry)
        except (ValueError, TypeError, RecursionError) as error:
            raise self._corrupt(path, "a line in it is no JSON object") from error

    def _extend(self, path: Path, end: int, line: bytes) -> None:
        self._make_folder()
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT, _FILE_MODE), "wb") as file:
            file.truncate(end)
            file.seek(end)
            file.write(line)
            file.flush()
            os.fsync(file.fileno())

    # --- documents ---

    def publish(self, section: str, document: Mapping[str, Json]) -> None:
        _insist(_SECTION, section)
        raw = _text(dict(document)).encode() + b"\n"
        with self._faults("write"), self._locked():
            self._replace(self._document_path(section), raw)

    def published(self, section: str) -> Mapping[str, Json] | None:
        _insist(_SECTION, section)
        path = self._document_path(section)
        with self._faults("read"):
            try:
                raw = path.read_bytes()
            except FileNotFoundError:
                return None
        return self._entry(path, raw)

    def _document_path(self, section: str) -> Path:
        return self._path.with_name(f"{self._path.stem}.{section}.json")

    # --- files ---

    def _replace(self, path: Path, raw: bytes) -> None:
        self._make_folder()
        self._sweep()
        draft = path.with_name(f".{self._path.name}.{uuid.uuid4().hex}")
        try:
            descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, _FILE_MODE)
            with os.fdopen(descriptor, "wb") as file:
                file.write(raw)
                file.flush()
                os.fsync(file.fileno())
            draft.replace(path)
        except BaseException:
            draft.unlink(missing_ok=True)
            raise
        _flush_directory(path.parent)

    def _sweep(self) -> None:
        """Under the lock nobody else has a draft, so one that is there was left by a crash."""
        for leftover in self._path.parent.glob(f".{self._path.name}.*"):
            leftover.unlink(missing_ok=True)

    def _make_folder(self) -> None:
        self._path.parent.mkdir(mode=_DIRECTORY_MODE, parents=True, exist_ok=True)

    @contextmanager
    def _locked(self) -> Iterator[None]:
        self._make_folder()
        lock = os.open(
            self._path.with_name(f"{self._path.name}.lock"), os.O_RDWR | os.O_CREAT, 0o600
        )
        try:
            self._take(lock)
            yield
        finally:
            os.close(lock)  # which also lets go of it

    def _take(self, lock: int) -> None:
        deadline = time.monotonic() + self._lock_seconds
        pause = threading.Event()
        while True:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if time.monotonic() >= deadline:
                    raise Unavailable(
                        "StateLocked",
                        f"{self._path} was locked by another process for {self._lock_seconds:g} s",
                    ) from None
                pause.wait(_RETRY)
            else:
                return

    @contextmanager
    def _faults(self, verb: str) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            said = f"cannot {verb} {error.filename or self._path}: {error.strerror}"
            raise Unavailable("StateUnavailable", said) from error

    @staticmethod
    def _corrupt(path: Path, why: str) -> Fault:
        advice = "restore it, or move it away, after which all memory counts as lost"
        return Unavailable("StateCorrupt", f"{path}: {why}; {advice}")


def _insist(pattern: re.Pattern[str], text: str) -> None:
    if pattern.fullmatch(text) is None:
        raise ValueError(f"{text!r} does not name state: want {pattern.pattern}")


def _sight(path: Path) -> tuple[int, int, int]:
    seen = path.stat()
    return seen.st_ino, seen.st_mtime_ns, seen.st_size


def _lives(record: Record, now: float) -> bool:
    return record.expires is None or record.expires > now


def _document(record: Record) -> dict[str, Any]:
    shown: dict[str, Any] = {"revision": record.revision, "value": dict(record.value)}
    return shown if record.expires is None else {**shown, "expires": record.expires}


def _text(value: Any) -> str:
    return _ENCODER.encode(value)


def _record(item: Any) -> Record:
    value, revision, expires = item["value"], item["revision"], item.get("expires")
    if not isinstance(value, dict) or type(revision) is not int or revision < 1:
        raise ValueError("no record")
    if expires is not None and not (type(expires) in {int, float} and math.isfinite(expires)):
        raise ValueError("no time")
    return Record(MappingProxyType(value), revision, expires)


def _refuse(_constant: str) -> NoReturn:
    raise ValueError("NaN and Infinity are no JSON")


def _flush_directory(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
