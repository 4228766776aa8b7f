"""Who wrote the commit that a folder's manifests are of, by git's word; none when in doubt."""

from __future__ import annotations

import hashlib
import re
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Final

_COMMIT: Final = re.compile(r"[0-9a-f]{7,64}")
_AUTHOR: Final = re.compile(r"^author ([^\n]*) <([^<>\n]*)> \d+ [+-]\d{4}$", re.MULTILINE)
_BLOB: Final = re.compile(r"\d{6} blob ([0-9a-f]{40}|[0-9a-f]{64})\t(.+)", re.DOTALL)
_SECONDS: Final = 5.0
_LONGEST: Final = 200


def author_of(
    folder: Path, commit: str, files: Mapping[str, str], suffixes: tuple[str, ...]
) -> str | None:
    """Answer `NAME <EMAIL>`, where the files are what that commit has of these suffixes.

    What somebody edited and did not commit is nobody's by git, and least of all that author's.
    """
    if _COMMIT.fullmatch(commit) is None:
        return None
    listed = _git(folder, "ls-tree", "-r", "-z", commit)
    if listed is None or not _are_same(listed.split("\0"), files, suffixes):
        return None
    found = _AUTHOR.search((_git(folder, "cat-file", "commit", commit) or "").partition("\n\n")[0])
    if found is None:
        return None
    author = f"{found[1]} <{found[2]}>"[:_LONGEST]
    return author if author.isprintable() else None


def _are_same(listed: list[str], files: Mapping[str, str], suffixes: tuple[str, ...]) -> bool:
    committed = {found[2]: found[1] for found in map(_BLOB.fullmatch, listed) if found is not None}
    wanted = {path: blob for path, blob in committed.items() if _is_read(path, suffixes)}
    return wanted.keys() == files.keys() and all(
        _blob(text, len(wanted[path])) == wanted[path] for path, text in files.items()
    )


def _is_read(path: str, suffixes: tuple[str, ...]) -> bool:
    hidden = any(part.startswith(".") for part in path.split("/"))
    return path.endswith(suffixes) and not hidden


def _blob(text: str, digits: int) -> str:
    """Name a text as git does, in a repository whose names have so many digits."""
    raw = text.encode()
    whole = b"blob %d\0%b" % (len(raw), raw)
    if digits == hashlib.sha256().digest_size * 2:
        return hashlib.sha256(whole).hexdigest()
    return hashlib.sha1(whole, usedforsecurity=False).hexdigest()


def _git(folder: Path, *arguments: str) -> str | None:
    try:
        done = subprocess.run(  # noqa: S603 - the program is fixed, arguments are no options
            ["git", "-C", str(folder), *arguments],  # noqa: S607
            capture_output=True,
            stdin=subprocess.DEVNULL,
            check=True,
            timeout=_SECONDS,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.decode(errors="replace")
