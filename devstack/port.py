from __future__ import annotations

import itertools
import os
import socket
from typing import Final

from devstack.environment import StackError

LOOPBACK: Final = "127.0.0.1"
# Below the ranges that systems take outgoing ports from, so that a port closed for an outage
# can be had again.
_FIRST: Final = 20_000
_SHARES: Final = 24
_SHARE: Final = 500  # ports
_asked: Final = itertools.count()


def free_port() -> int:
    """Return a port that no process beside this one is given, and this one not again for long.

    It is listened on much later, when a controller starts or an outage ends: to look whether
    it is free is not enough. Processes that start one after the other have other shares.
    """
    first = _FIRST + os.getpid() % _SHARES * _SHARE
    for asked in itertools.islice(_asked, _SHARE):
        port = first + asked % _SHARE
        if _is_free(port):
            return port
    raise StackError(f"no free port between {first} and {first + _SHARE - 1}")


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError:
            return False
    return True


def listens(port: int) -> bool:
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex((LOOPBACK, port)) == 0
