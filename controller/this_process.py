"""What differs between two processes: who runs them, and chance."""

from __future__ import annotations

import getpass
import random
import socket
import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from controller.core.model import Json


def on_this_machine() -> str:
    me = identity()
    return f"{me['user']}@{me['host']}"


def identity() -> dict[str, Json]:
    """Tell who this process is, for the alive record and for records that people leave."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError):  # a container's uid without a name
        user = "unknown"
    return {"host": socket.gethostname(), "user": user, "thread": threading.current_thread().name}


def jitter() -> float:
    return random.random()  # noqa: S311 - spreads load, guards nothing
