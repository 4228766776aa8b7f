from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parent.parent
_FIRST_PAUSE, _LAST_PAUSE, _RARER = 0.05, 0.4, 1.2


class StackError(Exception):
    """The local stack cannot do what was asked; the message tells a person what to do next."""


def variables() -> dict[str, str]:
    """The one place of this package that reads the process's environment."""
    return dict(os.environ)  # noqa: TID251


def inherited() -> dict[str, str]:
    """What children inherit: nothing that could steer a client or a JVM behind the stack's back."""
    steering = ("WMS_", "AWS_", "CONNECT_", "KAFKA_", "PG", "JAVA_TOOL_OPTIONS", "JDK_JAVA_OPTIONS")
    dropped = (*steering, "PYTHONDONTWRITEBYTECODE")  # each start would compile it all again
    return {name: value for name, value in variables().items() if not name.startswith(dropped)}


def wait_until(claim: Callable[[], bool], seconds: float, every: float | None = None) -> bool:
    """False when the claim did not hold within the time.

    Unless `every` says otherwise, it looks less and less often: each look is work for whoever is
    asked, and a machine that is asked twenty times a second gets to the rest later.
    """
    deadline = time.monotonic() + seconds
    pause, waiting = _FIRST_PAUSE if every is None else every, threading.Event()
    while not claim():
        if time.monotonic() >= deadline:
            return False
        waiting.wait(pause)
        if every is None:
            pause = min(pause * _RARER, _LAST_PAUSE)
    return True
