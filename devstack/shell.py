"""Commands of the machine itself: whether they answer, what they print, how they are installed."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from devstack.environment import StackError, variables

SHORT_SECONDS: Final = 300.0


def answers(argv: Sequence[str]) -> bool:
    try:
        done = subprocess.run(argv, capture_output=True, timeout=20, check=False)
    except (OSError, subprocess.SubprocessError):
        return False
    return done.returncode == 0


def call(
    argv: Sequence[str],
    seconds: float,
    env: Mapping[str, str] | None = None,
    log: Path | None = None,
) -> str:
    """Answer what it prints; raise with the end of its output when it fails."""
    try:
        done = subprocess.run(
            argv,
            env=dict(env) if env is not None else None,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=seconds,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise StackError(f"{' '.join(argv[:3])} ... took more than {seconds:.0f} s") from None
    if log is not None:
        log.write_text(done.stdout + done.stderr, encoding="utf-8")
    if done.returncode != 0:
        tail = "\n".join((done.stdout + done.stderr).splitlines()[-25:])
        where = f" (all of it: {log})" if log else ""
        raise StackError(f"{' '.join(argv[:4])} ... failed with {done.returncode}{where}:\n{tail}")
    return done.stdout


@contextmanager
def stream(argv: Sequence[str]) -> Iterator[Any]:
    """Give what it prints as it comes; raise at the end when it failed."""
    with subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        yield process.stdout
        process.communicate()
    if process.returncode != 0:
        raise StackError(f"{' '.join(argv[:3])} ... failed with {process.returncode}")


def require(*names: str) -> None:
    """Install by apt-get those of Debian's packages whose command of the same name is missing."""
    missing = [name for name in names if shutil.which(name) is None]
    if not missing:
        return
    wanted = " and ".join(missing)
    if os.geteuid() != 0 or shutil.which("apt-get") is None:
        raise StackError(f"{wanted} cannot be installed by apt-get here: install by hand, as root")
    print(f"images: installing {wanted} with apt-get", file=sys.stderr, flush=True)
    env = variables() | {"DEBIAN_FRONTEND": "noninteractive"}
    call(("apt-get", "update", "--quiet=2"), SHORT_SECONDS, env)
    install = ("apt-get", "install", "--quiet=2", "--yes", "--no-install-recommends", *missing)
    call(install, SHORT_SECONDS, env)
