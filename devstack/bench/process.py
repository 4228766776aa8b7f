"""Processes, timed from outside."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from devstack.bench.figures import NotMeasured
from devstack.environment import REPOSITORY

WMSCTL: Final = str(Path(sys.executable).with_name("wmsctl"))


@dataclass(frozen=True, slots=True)
class Command:
    """One command line, with the exit code that it must end with."""

    argv: Sequence[str]
    env: Mapping[str, str]
    code: int = 0


@dataclass(slots=True)
class Runs:
    """What several runs of one command took, in seconds."""

    wall: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)


def run(command: Command, runs: Runs | None = None) -> str:
    """Run to the end; user and system time are the kernel's own account of this child."""
    with tempfile.TemporaryFile() as said:
        start = time.perf_counter()
        process = subprocess.Popen(
            command.argv,
            env=dict(command.env),
            cwd=REPOSITORY,
            stdin=subprocess.DEVNULL,
            stdout=said,
            stderr=subprocess.STDOUT,
        )
        _, status, used = os.wait4(process.pid, 0)
        wall = time.perf_counter() - start
        process.returncode = os.waitstatus_to_exitcode(status)
        said.seek(0)
        text = said.read().decode(errors="replace")
    if process.returncode != command.code:
        line = " ".join(command.argv)
        raise NotMeasured(f"{line} ended with {process.returncode}:\n{text[-4000:]}")
    if runs is not None:
        runs.wall.append(wall)
        runs.cpu.append(used.ru_utime + used.ru_stime)
    return text


def alternate(
    ours: Command, theirs: Command, times: int, before: Callable[[], None] = lambda: None
) -> tuple[Runs, Runs]:
    """A B A B ...: whatever else the machine does, it does to both."""
    mine, other = Runs(), Runs()
    for command in (ours, theirs):  # not measured: the first finds nothing in any cache
        before()
        run(command)
    for _ in range(times):
        for command, runs in ((ours, mine), (theirs, other)):
            before()
            run(command, runs)
    return mine, other


def resident(pid: int) -> float:
    """MB that a living process holds in memory."""
    told = subprocess.run(
        ["ps", "-o", "rss=", "-p", str(pid)], capture_output=True, text=True, check=True
    )
    return int(told.stdout) * 1024 / 1e6
