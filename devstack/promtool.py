"""Prometheus' own tool, which tries the alert rules: from the PATH, else from Debian's package."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from devstack.environment import variables
from devstack.jars import cache_folder

NAME: Final = "promtool"
PACKAGE: Final = "prometheus"
_SECONDS: Final = 120.0


def find_promtool(cache: Path | None = None, path: str | None = None) -> Path | None:
    """Answer None where `make test` could not get it either."""
    found = shutil.which(NAME, path=path)
    kept = _kept(cache)
    if found is not None:
        return Path(found)
    return kept if kept.exists() else None


def provide_promtool(cache: Path | None = None, path: str | None = None) -> Path | None:
    """Unpack it into the cache without root; what goes wrong costs the tests of the rules only."""
    found = find_promtool(cache, path)
    if found is not None:
        return found
    apt, dpkg = shutil.which("apt-get", path=path), shutil.which("dpkg", path=path)
    if apt is None or dpkg is None:
        return None
    kept = _kept(cache)
    kept.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="part-", dir=kept.parent) as folder:
        part = Path(folder)
        for commands in _ways(apt, dpkg, part):
            if all(_works(command, part) for command in commands):
                (part / "root" / "usr" / "bin" / NAME).replace(kept)
                return kept
    return None


def needed() -> bool:
    """Whether its absence is a failure, as where a change is checked before it is merged."""
    return bool(variables().get("WMS_NEED_PROMTOOL"))


def _kept(cache: Path | None) -> Path:
    return (cache or cache_folder()) / "tools" / NAME


def _ways(apt: str, dpkg: str, part: Path) -> Iterator[tuple[list[str], ...]]:
    """List two: by the package lists that are here, and by lists of our own."""
    unpack = [dpkg, "--extract", PACKAGE + ".deb", "root"]
    (part / "lists" / "partial").mkdir(parents=True)
    own = ["-o", f"Dir::State::Lists={part / 'lists'}", "-o", f"Dir::Cache={part / 'cache'}"]
    for more in ([], own):
        update = [[apt, *more, "--quiet", "update"]] if more else []
        yield (*update, [apt, *more, "--quiet", "download", PACKAGE], unpack)


def _works(command: list[str], folder: Path) -> bool:
    for package in folder.glob(f"{PACKAGE}_*.deb"):
        package.replace(folder / f"{PACKAGE}.deb")
    try:
        done = subprocess.run(
            command, cwd=folder, capture_output=True, timeout=_SECONDS, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return False
    return done.returncode == 0
