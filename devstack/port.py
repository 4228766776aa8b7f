from __future__ import annotations

import random
import socket
from typing import Final

from devstack.environment import StackError

LOOPBACK: Final = "127.0.0.1"
# Below the ranges that systems take outgoing ports from, so that a port closed for an outage
# can be had again.
_FIRST: Final = 20_000
_LAST: Final = 32_000
_TRIES: Final = 200


def free_port() -> int:
    for _ in range(_TRIES):
        port = random.SystemRandom().randint(_FIRST, _LAST)
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((LOOPBACK, port))
            except OSError:
                continue
            return port
    raise StackError(f"no free port between {_FIRST} and {_LAST}")


def listens(port: int) -> bool:
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex((LOOPBACK, port)) == 0
