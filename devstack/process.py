"""Child processes that are gone when their parent is gone."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from devstack import reaper
from devstack.environment import StackError, inherited, wait_until

# The child starts only once its number is written down, so that no child can be missed.
_GATE: Final = 'read -r _ || exit 1; exec "$@" </dev/null'
_TAIL: Final = 25


@dataclass(frozen=True, slots=True)
class Command:
    argv: Sequence[str]
    env: Mapping[str, str]
    cwd: Path
    user: int | None = None
    gentle: int = signal.SIGTERM
    last: int = signal.SIGKILL  # for what is thrown away: ends at once, and takes its own children


class Child:
    """One running process, the leader of a session of its own."""

    def __init__(
        self, name: str, process: subprocess.Popen[bytes], log: Path, command: Command
    ) -> None:
        self.name = name
        self.log = log
        self._process = process
        self._gentle = command.gentle
        self._last = command.last

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def returncode(self) -> int | None:
        return self._process.poll()

    @property
    def alive(self) -> bool:
        return self.returncode is None

    def tail(self, lines: int = _TAIL) -> str:
        with contextlib.suppress(OSError):
            text = self.log.read_bytes()[-20_000:].decode(errors="replace")
            return "\n".join(text.splitlines()[-lines:])
        return ""

    def wait_ready(self, claim: Callable[[], bool], seconds: float, what: str = "ready") -> None:
        """Raise, with the log's end, when the process ends or the claim does not hold in time."""
        held = wait_until(lambda: not self.alive or claim(), seconds)
        if held and self.alive:
            return
        how = f"not {what} after {seconds:.0f} s" if self.alive else f"ended with {self.returncode}"
        raise StackError(f"{self.name}: {how}. The end of {self.log}:\n{self.tail()}")

    def wait(self, seconds: float) -> int | None:
        """The exit code, or nothing when it still runs."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            return self._process.wait(seconds)
        return None

    def signal(self, number: int) -> None:
        if self.alive:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.pid, number)

    def stop(self, grace: float = 10.0) -> None:
        """Ask, wait, insist: a worker whose internal topic is gone does not obey SIGTERM."""
        self.signal(self._gentle)
        if self.wait(grace) is None:
            self.kill()

    def kill(self) -> None:
        """End at once, as a crash would."""
        self.signal(self._last)
        if self.wait(5) is None:
            self.signal(signal.SIGKILL)
            self.wait(5)


class Nursery:
    """Starts children and ends them all when left; a reaper does it if we cannot.

    Leaving is no graceful stop: whoever wants one asks for it before.
    """

    def __init__(self, logs: Path) -> None:
        self._logs = logs
        self._children: list[Child] = []
        self._guard = threading.Lock()
        self._closed = False
        logs.mkdir(parents=True, exist_ok=True)
        with (logs / "reaper.log").open("ab") as log:
            self._reaper = subprocess.Popen(
                [sys.executable, "-I", reaper.__file__],
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        _kind: type[BaseException] | None,
        _fault: BaseException | None,
        _trace: TracebackType | None,
    ) -> None:
        self.close()

    def start(self, name: str, command: Command) -> Child:
        if self._closed:
            raise StackError(f"{name} is not started: the stack is being ended")
        log = self._logs / f"{name}.log"
        with log.open("ab") as output:
            process = subprocess.Popen(
                ["/bin/sh", "-c", _GATE, name, *command.argv],
                stdin=subprocess.PIPE,
                stdout=output,
                stderr=subprocess.STDOUT,
                env=dict(command.env),
                cwd=command.cwd,
                start_new_session=True,
                user=command.user,
                group=command.user,
                extra_groups=None if command.user is None else [],
            )
        child = Child(name, process, log, command)
        with self._guard:
            self._children.append(child)
            born = reaper.start_time(process.pid)
            self._tell(f"add {process.pid} {int(command.last)} {born}")
        if process.stdin is not None:
            with contextlib.suppress(BrokenPipeError):
                process.stdin.write(b"go\n")
                process.stdin.close()
        return child

    def run(self, name: str, command: Command, seconds: float) -> None:
        """Run to the end; raise with the end of the log when it fails or takes too long."""
        child = self.start(name, command)
        code = child.wait(seconds)
        if code is None:
            child.kill()
        self.forget(child)
        if code != 0:
            raise StackError(f"{name} failed ({code}). The end of {child.log}:\n{child.tail()}")

    def forget(self, child: Child) -> None:
        """A child that has ended, once or again: its number may soon be somebody else's."""
        with self._guard:
            if child in self._children:
                self._children.remove(child)
                self._tell(f"ended {child.pid}")

    def stop(self, child: Child, grace: float = 10.0) -> None:
        child.stop(grace)
        self.forget(child)

    def kill(self, child: Child) -> None:
        child.kill()
        self.forget(child)

    def remove_at_end(self, folder: Path) -> None:
        """A throw-away folder; the reaper removes it when all children have ended."""
        self._tell(f"remove {folder}")

    def close(self) -> None:
        with self._guard:
            self._closed = True
            children = list(self._children)
        with ThreadPoolExecutor(max(1, len(children))) as pool:
            list(pool.map(self.kill, children))
        if self._reaper.stdin is not None:
            with contextlib.suppress(BrokenPipeError):
                self._reaper.stdin.close()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._reaper.wait(15)

    def _tell(self, line: str) -> None:
        if self._reaper.stdin is None:
            return
        try:
            self._reaper.stdin.write(f"{line}\n".encode())
            self._reaper.stdin.flush()
        except BrokenPipeError as error:
            raise StackError("the reaper is gone: no child is started without it") from error


def base_env(extra: Mapping[str, str] | None = None) -> dict[str, str]:
    return inherited() | dict(extra or {})
