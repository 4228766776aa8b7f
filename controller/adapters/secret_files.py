"""The volume shared with the worker: ROOT/{secret path}/{VersionId}/{field}, and ROOT/ready.

A version's directory is built beside its place and renamed into it, so whatever has a version's
name is whole. Names that begin with a dot are drafts while we work, and leftovers after a crash;
but for the mark, which tells a version without any field from an empty part of a path.
"""

from __future__ import annotations

import errno
import os
import shutil
import stat
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import MappingProxyType
from typing import Final, assert_never

from controller.core.action import RemoveSecretFiles, WriteReady, WriteSecretFiles
from controller.core.faults import Denied, Fault, Rejected, Unavailable
from controller.core.model import ObservedDisk, VersionKey
from controller.core.redact import Redacted
from controller.core.secret_fields import is_field_name, is_path_part

_DIRECTORY_MODE: Final = 0o750
_FILE_MODE: Final = 0o640
_READY: Final = "ready"
_READY_BYTES: Final = 8192
_DRAFT: Final = "."
_MARK: Final = ".whole"
_DEEPEST: Final = 8  # parts of a secret's path
_DENIED: Final = frozenset({errno.EACCES, errno.EPERM, errno.EROFS})
_FULL: Final = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})


class SecretVolume:
    """One writer per volume; `group` is the id that the worker reads the files by."""

    def __init__(self, root: Path, *, group: int | None = None) -> None:
        self._root = root
        self._group = group
        self._swept = False

    def observe(self) -> ObservedDisk:
        with self._faults("read"):
            self._insist_on_root()
            versions = dict(_versions(self._root, (), _DEEPEST + 1))
            return ObservedDisk(MappingProxyType(versions), self._ready())

    def apply(self, action: WriteSecretFiles | RemoveSecretFiles | WriteReady) -> None:
        with self._faults("write"):
            self._insist_on_root()
            self._sweep()
            match action:
                case WriteSecretFiles(version, fields):
                    self._write(version, fields)
                case RemoveSecretFiles(version):
                    self._remove(self._place(version))
                case WriteReady(line):
                    self._write_ready(line)
                case _:
                    assert_never(action)

    def _insist_on_root(self) -> None:
        if not self._root.is_dir():
            raise Unavailable(
                "SecretVolumeMissing",
                f"{self._root} is no directory; mount the volume that the worker shares",
            )

    def _place(self, version: VersionKey) -> Path:
        parts = (*version.path.split("/"), version.version_id)
        if len(parts) > _DEEPEST + 1 or not all(is_path_part(part) for part in parts):
            raise Rejected("SecretPathInvalid", f"{str(version)!r} cannot be a directory")
        if parts[0] == _READY:
            raise Rejected("SecretPathInvalid", f"a secret's path cannot begin with {_READY!r}")
        return self._root.joinpath(*parts)

    # --- writing ---

    def _write(self, version: VersionKey, fields: Mapping[str, Redacted]) -> None:
        place = self._place(version)
        for field in fields:
            if not is_field_name(field):
                raise Rejected("SecretPathInvalid", f"{field!r} cannot be the name of a file")
        self._make_parents(place.parent)
        draft = self._beside(place)
        draft.mkdir(mode=0o700)
        try:
            for field, value in fields.items():
                self._write_file(draft / field, value.reveal())
            self._write_file(draft / _MARK, "")
            self._open_to_group(draft, _DIRECTORY_MODE)
            _flush_directory(draft)
            self._remove(place)
            draft.rename(place)
            _flush_directory(place.parent)
        except BaseException:
            shutil.rmtree(draft, ignore_errors=True)
            raise

    def _write_ready(self, line: str) -> None:
        if not line or not line.isprintable():
            raise Rejected("ReadyInvalid", "what the worker is to read has to be one line of text")
        place = self._root / _READY
        draft = self._beside(place)
        try:
            self._write_file(draft, line + "\n")
            draft.replace(place)
            _flush_directory(self._root)
        except BaseException:
            draft.unlink(missing_ok=True)
            raise

    def _write_file(self, path: Path, text: str) -> None:
        # No newline is added: DirectoryConfigProvider hands the whole file on.
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(text.encode())
            file.flush()
            os.fsync(file.fileno())
        self._open_to_group(path, _FILE_MODE)

    def _make_parents(self, directory: Path) -> None:
        path = self._root
        for part in directory.relative_to(self._root).parts:
            path /= part
            self._make_directory(path)

    def _make_directory(self, path: Path) -> None:
        try:
            path.mkdir(mode=0o700)
        except FileExistsError:
            if not _is_directory(path):
                raise Unavailable(
                    "SecretVolumeForeign", f"{path} is in the way; remove it"
                ) from None
            return
        self._open_to_group(path, _DIRECTORY_MODE)
        _flush_directory(path.parent)

    def _open_to_group(self, path: Path, mode: int) -> None:
        if self._group is not None:
            os.chown(path, -1, self._group)
        path.chmod(mode)  # after the group, and in spite of the umask

    # --- removing ---

    def _remove(self, place: Path) -> None:
        aside = self._beside(place)
        try:
            place.rename(aside)
        except (FileNotFoundError, NotADirectoryError):
            return
        _flush_directory(place.parent)
        _delete(aside)

    def _sweep(self) -> None:
        """Delete what a crash left, once: nobody else works here."""
        if self._swept:
            return
        for leftover in _leftovers(self._root, _DEEPEST + 1):
            _delete(leftover)
        self._swept = True

    @staticmethod
    def _beside(place: Path) -> Path:
        return place.with_name(f"{_DRAFT}{place.name[:64]}.{uuid.uuid4().hex}")

    # --- reading ---

    def _ready(self) -> str | None:
        try:
            descriptor = os.open(self._root / _READY, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
        except FileNotFoundError:
            return None
        with os.fdopen(descriptor, "rb") as file:
            line = file.read(_READY_BYTES).decode(errors="replace")
        return line.removesuffix("\n")

    @contextmanager
    def _faults(self, verb: str) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise self._fault(verb, error) from error

    def _fault(self, verb: str, error: OSError) -> Fault:
        said = f"cannot {verb} {error.filename or self._root}: {error.strerror}"
        if error.errno in _DENIED:
            who = f"user {os.geteuid()}, group {os.getegid()}"
            return Denied("SecretVolumeDenied", f"{said}; give {who} access to {self._root}")
        if error.errno in _FULL:
            return Unavailable("SecretVolumeFull", f"{said}; make room on {self._root}")
        return Unavailable("SecretVolumeFailed", said)


def _versions(
    directory: Path, parts: tuple[str, ...], depth: int
) -> Iterator[tuple[VersionKey, frozenset[str]]]:
    """Whatever is not ours is passed over."""
    entries = _entries(directory)
    files = frozenset(entry.name for entry in entries if entry.is_file(follow_symlinks=False))
    if _MARK in files and len(parts) >= 2:
        fields = frozenset(name for name in files if is_field_name(name))
        yield VersionKey("/".join(parts[:-1]), parts[-1]), fields
    elif depth > 0:
        for entry in entries:
            if is_path_part(entry.name) and entry.is_dir(follow_symlinks=False):
                yield from _versions(Path(entry.path), (*parts, entry.name), depth - 1)


def _leftovers(directory: Path, depth: int) -> Iterator[Path]:
    for entry in _entries(directory):
        if entry.name.startswith(_DRAFT):
            if entry.name != _MARK:
                yield Path(entry.path)
        elif depth > 0 and entry.is_dir(follow_symlinks=False):
            yield from _leftovers(Path(entry.path), depth - 1)


def _entries(directory: Path) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(directory) as entries:
            return sorted(entries, key=lambda entry: entry.name)
    except FileNotFoundError:
        return []  # removed while we looked


def _is_directory(path: Path) -> bool:
    return stat.S_ISDIR(path.lstat().st_mode)


def _delete(path: Path) -> None:
    if _is_directory(path):
        shutil.rmtree(path)
    else:
        path.unlink()


def _flush_directory(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
