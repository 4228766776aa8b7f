"""Ends the process groups of a parent that has died, however it died.

A program of its own: it reads from a pipe that only the parent holds open for writing, so the end
of that pipe is the parent's end. PR_SET_PDEATHSIG would be lost when a child changes its user, and
macOS has no such thing.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

_GRACE = 3.0


def start_time(pid: int) -> str:
    """Tells a process from a later one with the same number; empty when it has ended."""
    stat = Path(f"/proc/{pid}/stat")
    if Path("/proc/self/stat").exists():
        try:
            fields = stat.read_text(encoding="utf-8").rpartition(")")[2].split()
            return "" if fields[0] == "Z" else fields[19]
        except (OSError, IndexError):
            return ""
    found = subprocess.run(
        ["/bin/ps", "-o", "lstart=", "-p", str(pid)], capture_output=True, text=True, check=False
    )
    return found.stdout.strip()


def _signal(groups: dict[int, tuple[int, str]], number: int | None) -> bool:
    """True while any of them is there; without a number, each one's own."""
    left = False
    for pid, (last, born) in groups.items():
        if start_time(pid) != born:
            continue
        left = True
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(pid, last if number is None else number)
    return left


def main() -> int:
    groups: dict[int, tuple[int, str]] = {}
    folders: list[str] = []
    for line in sys.stdin:
        verb, _, rest = line.rstrip("\n").partition(" ")
        match verb:
            case "add":
                pid, last, born = rest.split(" ", 2)
                groups[int(pid)] = (int(last), born)
            case "ended":
                groups.pop(int(rest), None)
            case "remove":
                folders.append(rest)
            case _:
                print(f"not understood: {verb}", flush=True)
    if groups:
        print(f"the parent is gone; ending {sorted(groups)}", flush=True)
    _signal(groups, None)
    deadline = time.monotonic() + _GRACE
    while time.monotonic() < deadline and _signal(groups, 0):
        time.sleep(0.05)  # noqa: TID251 - a bounded wait in a program without threads
    _signal(groups, signal.SIGKILL)
    for folder in folders:
        shutil.rmtree(folder, ignore_errors=True)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
