"""`wmsctl` in a process of its own that need not import anything.

A person's word costs a second of imports, and the tests say a hundred. The server from which such
processes are forked imports once and never runs a command itself.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from multiprocessing import get_context
from pathlib import Path
from typing import Final

_CONTEXT: Final = get_context("forkserver")
_CONTEXT.set_forkserver_preload(
    [
        "boto3",
        "confluent_kafka",
        "httpx",
        "controller.bootstrap",
        "controller.cli",
        "tests.e2e.verbs",
    ]
)


def run_verb(
    arguments: Sequence[str], env: Mapping[str, str], cwd: Path, seconds: float
) -> subprocess.CompletedProcess[str]:
    """Run one command of `wmsctl` to its end, as `subprocess.run` does."""
    with tempfile.TemporaryDirectory() as name:
        streams = (Path(name) / "out", Path(name) / "err")
        process = _CONTEXT.Process(target=_run, args=(arguments, dict(env), cwd, streams))
        process.start()
        process.join(seconds)
        if process.exitcode is None:
            process.kill()
            raise subprocess.TimeoutExpired(arguments, seconds)
        out, err = (path.read_text(encoding="utf-8") for path in streams)
        return subprocess.CompletedProcess(arguments, process.exitcode, out, err)


def _run(
    arguments: Sequence[str], env: Mapping[str, str], cwd: Path, streams: Sequence[Path]
) -> None:
    from controller.cli import main

    os.environ.clear()  # noqa: TID251 - what a new process is given
    os.environ.update(env)  # noqa: TID251
    os.chdir(cwd)
    for number, path in enumerate(streams, start=1):
        with path.open("wb") as file:
            os.dup2(file.fileno(), number)
    sys.argv = ["wmsctl", *arguments]
    raise SystemExit(main())
