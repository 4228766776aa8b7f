"""Manifests in a folder, which somebody may be writing while we read.

Folders are filled in three ways: by hand, by a checkout, and by a link that is switched from one
complete folder to the next. So the folder is resolved once per read, and a read counts only when
a second one a moment later agrees with it.
"""

from __future__ import annotations

import os
import re
import stat
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Final, TypeAlias

from controller.core.faults import Fault, Unavailable
from controller.git_author import author_of
from controller.ports import Folder

MAX_FILES: Final = 500
MAX_FILE_BYTES: Final = 256 * 1024
MAX_TOTAL_BYTES: Final = 8 * 1024 * 1024

_SUFFIXES: Final = (".yaml", ".yml")  # not .json: the manifests' schema may lie beside them
_DEEPEST: Final = 10
_ENTRIES: Final = 20_000  # looked at in all, so that a wrong folder ends early
_ATTEMPTS: Final = 10
_PAUSE: Final = 0.01
_COMMIT: Final = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
_GIT_BYTES: Final = 4 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class _File:
    """What tells without reading that a file changed."""

    path: str  # below the root
    device: int
    inode: int
    size: int
    modified: int
    changed: int


@dataclass(frozen=True, slots=True)
class _Look:
    """The folder as it lies there, unread."""

    root: Path
    files: tuple[_File, ...]
    commit: str | None


_Seen: TypeAlias = "_Look | Fault | None"


class _ChangedError(Exception):
    """A file is no longer as it was a moment ago."""


class ManifestFolder:
    """`settle` seconds lie between the two reads that must agree; 0 reads once.

    The commit is that of the work tree around the folder, unless given; whether the tree is clean
    is not looked at. Its author is told only where all manifests are as that commit has them.
    """

    def __init__(
        self,
        path: Path,
        *,
        settle: float = 0.3,
        commit: str | None = None,
        author: str | None = None,
        wait: Callable[[float], object] | None = None,
    ) -> None:
        self._path = path
        self._settle = settle
        self._commit = commit
        self._author = author
        self._wait = wait or threading.Event().wait
        self._seen: _Seen = None

    def read(self) -> Folder:
        self._seen = None  # when nothing else is learned, the next look is news
        before: Mapping[str, str] | None = None
        for _ in range(_ATTEMPTS):
            look, files = self._once()
            if look is not None and (files == before or self._settle <= 0):
                self._seen = look
                return Folder(
                    MappingProxyType(files), look.commit, author=self._author_of(look, files)
                )
            before = files
            self._wait(max(self._settle, _PAUSE))
        raise Unavailable("ManifestsChanging", f"{self._path} does not stop changing")

    def _author_of(self, look: _Look, files: Mapping[str, str]) -> str | None:
        if self._author is not None or look.commit is None:
            return self._author
        return author_of(look.root, look.commit, files, _SUFFIXES)

    def changed(self) -> bool:
        now: _Seen
        try:
            now = self._scan()
        except Unavailable as fault:
            now = fault
        except _ChangedError:
            return True
        return now != self._seen

    def last_good(self) -> None:
        """A folder has no past."""

    def _once(self) -> tuple[_Look | None, dict[str, str]]:
        """Answer no look when the files changed under it; what cannot be read is news only once."""
        try:
            look = self._scan()
        except _ChangedError:
            return None, {}
        except Unavailable as fault:
            self._seen = fault
            raise
        try:
            files = {file.path: _text(look.root, file) for file in look.files}
            return (look if self._scan() == look else None), files
        except _ChangedError:
            return None, {}
        except Unavailable:
            self._seen = look
            raise

    def _scan(self) -> _Look:
        try:
            root = self._path.resolve(strict=True)
        except (FileNotFoundError, NotADirectoryError):
            raise Unavailable("ManifestsMissing", f"there is no folder {self._path}") from None
        except (OSError, RuntimeError):  # RuntimeError: links that lead in a circle
            raise Unavailable("ManifestsMissing", f"{self._path} leads nowhere") from None
        with _as_faults():
            files = tuple(sorted(_walk(root), key=lambda file: file.path))
        _bound(files)
        return _Look(root, files, self._commit or _commit(root))


@contextmanager
def _as_faults() -> Iterator[None]:
    try:
        yield
    except FileNotFoundError as error:
        raise _ChangedError from error
    except NotADirectoryError as error:
        raise Unavailable("ManifestsMissing", f"{error.filename} is no folder") from error
    except OSError as error:
        said = f"cannot read {error.filename}: {error.strerror}"
        raise Unavailable("ManifestUnreadable", said) from error


def _walk(root: Path) -> Iterator[_File]:
    waiting = [(root, 0)]
    left = _ENTRIES
    while waiting:
        folder, depth = waiting.pop()
        with os.scandir(folder) as entries:
            for entry in entries:
                left -= 1
                if left < 0:
                    raise Unavailable("ManifestsTooLarge", f"{root} holds over {_ENTRIES} entries")
                if entry.name.startswith("."):
                    continue
                if entry.is_dir():
                    if depth == _DEEPEST:
                        raise Unavailable("ManifestsTooLarge", f"{entry.path} is nested too deeply")
                    waiting.append((_inside(root, entry), depth + 1))
                elif entry.name.endswith(_SUFFIXES):
                    yield _file(root, entry)


def _file(root: Path, entry: os.DirEntry[str]) -> _File:
    _inside(root, entry)
    found = entry.stat()
    if not stat.S_ISREG(found.st_mode):
        raise Unavailable("ManifestUnreadable", f"{entry.path} is no plain file")
    path = Path(entry.path).relative_to(root).as_posix()
    if not path.isprintable():
        raise Unavailable("ManifestUnreadable", f"{path!r} is no name for a manifest")
    return _File(
        path=path,
        device=found.st_dev,
        inode=found.st_ino,
        size=found.st_size,
        modified=found.st_mtime_ns,
        changed=found.st_ctime_ns,
    )


def _inside(root: Path, entry: os.DirEntry[str]) -> Path:
    """A link may lead to another place in the folder, and nowhere else."""
    path = Path(entry.path)
    if not entry.is_symlink():
        return path
    target = path.resolve()
    if not target.is_relative_to(root):
        raise Unavailable("ManifestUnreadable", f"{path} is a link that leads out of {root}")
    if path.is_symlink() and not target.exists():
        raise Unavailable("ManifestUnreadable", f"{path} is a link that leads nowhere")
    return path


def _bound(files: tuple[_File, ...]) -> None:
    if len(files) > MAX_FILES:
        raise Unavailable("ManifestsTooLarge", f"{len(files)} files, of {MAX_FILES} at most")
    for file in files:
        if file.size > MAX_FILE_BYTES:
            raise Unavailable(
                "ManifestsTooLarge",
                f"{file.path} has {file.size} bytes, of {MAX_FILE_BYTES} at most",
            )
    total = sum(file.size for file in files)
    if total > MAX_TOTAL_BYTES:
        raise Unavailable("ManifestsTooLarge", f"{total} bytes, of {MAX_TOTAL_BYTES} at most")


def _text(root: Path, file: _File) -> str:
    with _as_faults():
        # Not blocking: what was a plain file may be a pipe by now.
        descriptor = os.open(root / file.path, os.O_RDONLY | os.O_NONBLOCK)
        with os.fdopen(descriptor, "rb") as opened:
            raw = opened.read(file.size + 1)
    if len(raw) != file.size:
        raise _ChangedError
    try:
        return raw.decode()
    except UnicodeDecodeError as error:
        raise Unavailable(
            "ManifestUnreadable", f"{file.path} is not UTF-8 from byte {error.start} on"
        ) from None


# --- the commit ---------------------------------------------------------------------------


def _commit(root: Path) -> str | None:
    """The checked-out commit by git's own files; none when in doubt, for people only."""
    try:
        for folder in (root, *root.parents):
            if (folder / ".git").exists():
                return _head(_git_directory(folder / ".git"))
    except (OSError, UnicodeError):
        return None
    return None


def _git_directory(path: Path) -> Path:
    """A linked work tree has a file there that names the directory."""
    if path.is_dir():
        return path
    return path.parent / _line(path).removeprefix("gitdir: ")


def _head(directory: Path) -> str | None:
    head = _line(directory / "HEAD")
    if not head.startswith("ref: "):
        return head if _COMMIT.fullmatch(head) else None
    name = head.removeprefix("ref: ")
    shared = directory / "commondir"
    common = directory / _line(shared) if shared.exists() else directory
    for place in (directory, common):
        if (place / name).is_file():
            commit = _line(place / name)
            return commit if _COMMIT.fullmatch(commit) else None
    return _packed(common / "packed-refs", name)


def _packed(path: Path, name: str) -> str | None:
    if not path.exists():
        return None
    with path.open("rb") as file:
        for line in file.read(_GIT_BYTES).decode().splitlines():
            commit, _, ref = line.partition(" ")
            if ref == name and _COMMIT.fullmatch(commit):
                return commit
    return None


def _line(path: Path) -> str:
    with path.open("rb") as file:
        return file.read(4096).decode().strip()
