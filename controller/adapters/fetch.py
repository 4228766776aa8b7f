"""One GET of a page beside us, limited as a whole in bytes and in seconds."""

from __future__ import annotations

import http.client
import socket
import threading
from contextlib import suppress
from urllib.parse import urlsplit

from controller.core.faults import Unavailable


class Page:
    """Asks the same address again and again; never follows a redirect."""

    def __init__(self, url: str, *, seconds: float, most_bytes: int) -> None:
        parts = urlsplit(url)
        if parts.scheme != "http" or not parts.hostname:
            raise ValueError(f"{url!r} is no http:// address")
        self._host, self._port = parts.hostname, parts.port or 80
        self._path = parts.path or "/"
        self._seconds = seconds
        self._most_bytes = most_bytes

    def __call__(self) -> bytes:
        """Answer the whole body, or raise Unavailable."""
        connection = http.client.HTTPConnection(self._host, self._port, timeout=self._seconds)
        # A time-out of a socket is for each read: one who dribbles would hold us for ever.
        late = threading.Event()
        timer = threading.Timer(self._seconds, _hang_up, (connection, late))
        timer.daemon = True
        timer.start()
        try:
            connection.request("GET", self._path)
            answer = connection.getresponse()
            if answer.status != http.client.OK:
                raise Unavailable("PageUnavailable", f"it answered {answer.status}")
            body = answer.read(self._most_bytes + 1)
        except (OSError, http.client.HTTPException, AttributeError) as error:
            # AttributeError: http.client's own, where the socket went away below it.
            raise Unavailable("PageUnavailable", f"no answer ({type(error).__name__})") from error
        finally:
            timer.cancel()
            connection.close()
        if late.is_set():  # http.client takes a connection that ends for the end of the headers
            raise Unavailable("PageUnavailable", f"no whole answer within {self._seconds:g} s")
        if len(body) > self._most_bytes:
            raise Unavailable("PageUnavailable", f"it has more than {self._most_bytes} bytes")
        return body


def _hang_up(connection: http.client.HTTPConnection, late: threading.Event) -> None:
    late.set()
    with suppress(OSError, AttributeError):
        connection.sock.shutdown(socket.SHUT_RDWR)
