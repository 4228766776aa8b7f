"""Whether a database host takes connections; no login, not a byte is sent."""

from __future__ import annotations

import socket


class TcpReach:
    """Opens one connection and closes it again."""

    def __init__(self, seconds: float = 2.0) -> None:
        self._seconds = seconds

    def why_silent(self, host: str, port: int) -> str | None:
        try:
            with socket.create_connection((host, port), timeout=self._seconds):
                return None
        except OSError as error:
            kind = "no answer" if isinstance(error, TimeoutError) else type(error).__name__
            return f"the database does not answer at {host}:{port} ({kind})"
