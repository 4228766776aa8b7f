"""What is claimed of an image's files, each claim with what contradicts it."""

from __future__ import annotations

import re
import tarfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import IO, Final

USER: Final = 10001
VOLUMES: Final = frozenset({"/run/wms-secrets", "/run/wms-evidence", "/tmp"})  # noqa: S108
_SEEN: Final = 5  # contradictions told of one claim

_PROGRAM_FOLDERS: Final = frozenset({"bin", "sbin"})
_COMPILERS: Final = re.compile(
    r"(.*-)?(cc|c89|c99|gcc|g\+\+|c\+\+|cpp|clang|clang\+\+|tcc|as|ld|ld\.(bfd|gold|lld)|gold|collect2|cc1)(-[\d.]+)?"
    r"|make|gmake|cmake|ninja|javac|rustc|cargo|go|ghc|gfortran|nasm|yasm"
)
_INSTALLERS: Final = re.compile(
    r"apt(-.*)?|dpkg(-.*)?|aptitude|yum|dnf|microdnf|rpm|apk|pip[\d.]*|pipx|uv|conda|npm|npx|yarn|gem"
    r"|snap|easy_install.*"
)
_INSTALLER_PACKAGES: Final = frozenset({"pip", "setuptools", "ensurepip", "jgo"})
_LEFTOVERS: Final = ("var/lib/apt/lists/", "var/cache/apt/", "root/.cache/", "build/", "tools/")
_SECRET_NAMES: Final = re.compile(
    r"\.env(\..*)?|\.netrc|\.pypirc|\.npmrc|\.git-credentials|id_(rsa|dsa|ecdsa|ed25519)"
    r"|credentials|pip\.conf|settings\.xml|.*\.(jks|p12|pfx|key)"
)
_SECRETS: Final = re.compile(
    rb"-----BEGIN (?:[A-Z]+ )*PRIVATE KEY-----\s*[A-Za-z0-9+/]{40}"
    rb"|\b(?:AKIA|ASIA)(?![A-Z0-9]{9}EXAMPLE)[A-Z0-9]{16}\b"
    rb"|\bgh[pousr]_[A-Za-z0-9]{36}\b"
)
_PROGRAM: Final = b"\x7fELF"  # libraries of cryptography hold keys to test themselves with
_BLOCK: Final = 1 << 20
_OVERLAP: Final = 512


@dataclass(slots=True)
class Findings:
    """What contradicts each claim; an empty list is the proof."""

    compilers: list[str] = field(default_factory=list)
    installers: list[str] = field(default_factory=list)
    secrets: list[str] = field(default_factory=list)
    writable: list[str] = field(default_factory=list)
    privileged: list[str] = field(default_factory=list)
    unowned_volumes: list[str] = field(default_factory=list)
    files: int = 0
    size: int = 0

    def claims(self) -> Iterator[tuple[str, list[str]]]:
        yield "no compiler is in it", self.compilers
        yield "nothing that installs packages is in it", self.installers
        yield "no secret is in it, nor what the build was run beside", self.secrets
        yield "no path but the volumes can be written by its user", self.writable
        yield "no file changes user or group", self.privileged
        yield f"its volumes belong to {USER}", self.unowned_volumes


def inspect(stream: IO[bytes], canary: bytes, *, declared: Iterable[str] = VOLUMES) -> Findings:
    """Read a whole image as a tar; `canary` stood in a file beside the sources at its build."""
    found = Findings()
    volumes = {path.lstrip("/") for path in declared}
    missing = set(volumes)
    with tarfile.open(fileobj=stream, mode="r|") as archive:
        for member in archive:
            path = member.name.removeprefix("./").strip("/")
            if not path or path == "." or path.split("/")[0] in ("proc", "sys", "dev"):
                continue
            missing.discard(path)
            _judge_name(path, member, found)
            _judge_rights(path, member, volumes, found)
            if member.isreg():
                found.files += 1
                found.size += member.size
                _judge_content(path, archive.extractfile(member), canary, found)
    found.unowned_volumes += [f"/{path} is missing" for path in sorted(missing)]
    return found


def _judge_name(path: str, member: tarfile.TarInfo, found: Findings) -> None:
    where = PurePosixPath(path)
    if not member.isdir() and where.parent.name in _PROGRAM_FOLDERS:
        if _COMPILERS.fullmatch(where.name):
            found.compilers.append(f"/{path}")
        if _INSTALLERS.fullmatch(where.name):
            found.installers.append(f"/{path}")
    if member.isdir() and where.name in _INSTALLER_PACKAGES and "python" in path:
        found.installers.append(f"/{path}")
    if not member.isdir() and path.startswith(_LEFTOVERS):
        found.installers.append(f"/{path}")
    if member.isreg() and _SECRET_NAMES.fullmatch(where.name):
        found.secrets.append(f"/{path} by its name")


def _judge_rights(path: str, member: tarfile.TarInfo, volumes: set[str], found: Findings) -> None:
    if path in volumes:
        if (member.uid, member.gid) != (USER, USER):
            found.unowned_volumes.append(f"/{path} belongs to {member.uid}:{member.gid}")
        return
    if member.issym() or any(path.startswith(f"{volume}/") for volume in volumes):
        return
    mode = member.mode
    own = (member.uid == USER and mode & 0o200) or (member.gid == USER and mode & 0o020)
    if own or mode & 0o002 or member.uid == USER:  # an owner can give himself the right
        found.writable.append(f"/{path} ({mode:o}, {member.uid}:{member.gid})")
    if not member.isdir() and mode & 0o6000:
        found.privileged.append(f"/{path} ({mode:o})")


def _judge_content(path: str, content: IO[bytes] | None, canary: bytes, found: Findings) -> None:
    if content is None:
        return
    kept = b""
    program = False
    while block := content.read(_BLOCK):
        program = program or (not kept and block.startswith(_PROGRAM))
        seen = kept + block
        if canary in seen:
            found.secrets.append(f"/{path} holds what stood in a file beside the sources")
            return
        if not program and _SECRETS.search(seen):
            found.secrets.append(f"/{path} holds a key")
            return
        kept = seen[-_OVERLAP:]


def shorten(contradictions: list[str]) -> str:
    more = len(contradictions) - _SEEN
    return ", ".join(contradictions[:_SEEN]) + (f" and {more} more" if more > 0 else "")
