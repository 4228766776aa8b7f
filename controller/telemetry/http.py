"""The listeners: the status page, /healthz, /readyz and /status on one, /metrics on another.

A client is a guest: it has so many bytes and seconds for its one request, and whoever has been here
longest goes first when there are too many.
"""

from __future__ import annotations

import errno
import io
import json
import socket
import threading
from collections.abc import Callable, Collection, Mapping
from contextlib import suppress
from dataclasses import dataclass
from http import HTTPStatus
from http.client import HTTPException
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import ip_address
from socketserver import TCPServer
from time import monotonic
from typing import Any, Final, cast
from urllib.parse import urlsplit

from controller.telemetry.page import POLICY, page_files
from controller.telemetry.scrubbing import Scrub, scrub_deep

SECONDS: Final = 5.0  # for one connection, from its first byte to our last
CONNECTIONS: Final = 16  # at a time
THREADS: Final = 2 * CONNECTIONS  # with those that were hung up on and have not noticed yet
REQUEST_BYTES: Final = 16_384  # request line and headers together
POLL_SECONDS: Final = 0.1
LINGER_SECONDS: Final = 0.1


@dataclass(frozen=True, slots=True)
class Health:
    """An answer with its reason."""

    good: bool
    reason: str
    message: str


@dataclass(frozen=True, slots=True)
class Answer:
    """What a path says."""

    code: int
    content_type: str
    body: bytes
    allow: str = ""  # the methods, where another one was used


class ListenFault(Exception):
    """The port cannot be had; the process goes on without this listener."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(reason, message)
        self.reason = reason
        self.message = message

    def __str__(self) -> str:
        return self.message


Page = Callable[[], Answer]


class Listener:
    """One HTTP listener on daemon threads; answers GET and HEAD of the pages it was given.

    `hosts` are further names it may be called by; None: any. A name that is not ours comes from a
    page in somebody's browser whose address was pointed here (DNS rebinding).
    """

    what = "pages"

    def __init__(
        self, host: str, port: int, pages: Mapping[str, Page], hosts: Collection[str] | None = ()
    ) -> None:
        self._address = (host, port)
        names = None if hosts is None else {"localhost", host.lower(), *map(str.lower, hosts)}
        self._site = _Site(pages, names)
        self._server: _Server | None = None

    @property
    def port(self) -> int:
        """The port it really listens on."""
        return self._server.server_port if self._server is not None else self._address[1]

    def start(self) -> None:
        """Listen; raises ListenFault, which says what to do."""
        try:
            self._server = _Server(self._address, self._site)
        except (OSError, OverflowError) as error:
            raise _explain(self.what, self._address, error) from error
        threading.Thread(
            target=self._server.serve_forever,
            args=(POLL_SECONDS,),
            name=f"http-{self.what}",
            daemon=True,
        ).start()

    def stop(self) -> None:
        """Hang up on everybody; does nothing when it was not started."""
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
            self._server.hang_up_on_all()
            self._server = None


class StatusServer(Listener):
    """Tells how the process is; nothing in it is secret."""

    what = "status"

    def __init__(
        self,
        host: str,
        port: int,
        *,
        health: Callable[[], Health],
        ready: Callable[[], Health],
        status: Callable[[], Mapping[str, Any]],
        scrub: Scrub = str,
        hosts: Collection[str] = (),
    ) -> None:
        pages: dict[str, Page] = {
            **(_page() if _is_loopback(host) else {}),
            "/healthz": lambda: _health(health(), scrub),
            "/readyz": lambda: _health(ready(), scrub),
            "/status": lambda: _json(200, status(), scrub),
        }
        super().__init__(host, port, pages, hosts)


class MetricsServer(Listener):
    """Serves one registry to Prometheus; beyond loopback a scrape may come by any name."""

    what = "metrics"

    def __init__(self, host: str, port: int, registry: Any) -> None:
        hosts = () if _is_loopback(host) else None
        super().__init__(host, port, {"/metrics": lambda: _metrics(registry)}, hosts)


def _explain(what: str, address: tuple[str, int], error: Exception) -> ListenFault:
    number = error.errno if isinstance(error, OSError) else None
    if number == errno.EADDRINUSE:
        reason, advice = "PortInUse", "end what has the port, or choose another (0: a free one)"
    elif number == errno.EACCES:
        reason, advice = "PortDenied", "choose a port above 1023 (0: a free one)"
    elif isinstance(error, OverflowError):
        reason, advice = "PortInvalid", "choose one of 0 to 65535 (0: a free one)"
    else:
        reason, advice = "HostInvalid", "choose an address of this machine, as 127.0.0.1"
    said = error.strerror if isinstance(error, OSError) else str(error)
    host, port = address
    return ListenFault(reason, f"cannot serve {what} on {host}:{port} ({said}): {advice}")


# --- what is answered -------------------------------------------------------------------------


class _Site:
    def __init__(self, pages: Mapping[str, Page], names: Collection[str] | None) -> None:
        self._pages = pages
        self._names = names

    def answer(self, method: str, path: str, hosts: Collection[str]) -> Answer:
        if not self._is_ours(hosts):
            return _json(
                421,
                {"error": "the Host header is no name of this listener: use its IP address"},
            )
        if method not in ("GET", "HEAD"):
            return _json(405, {"error": "only GET and HEAD"}, allow="GET, HEAD")
        page = self._pages.get(path.split("?", 1)[0])
        if page is None:
            return _json(404, {"error": "no such page", "pages": sorted(self._pages)})
        try:
            return page()
        except Exception as error:  # noqa: BLE001 - our own bug; its text may hold anything
            return _json(500, {"error": f"the page could not be made: {type(error).__name__}"})

    def _is_ours(self, hosts: Collection[str]) -> bool:
        """Let pass who names nobody: browsers always do, probes by hand do not."""
        if self._names is None or not hosts:
            return True
        if len(hosts) > 1:
            return False
        try:
            name = urlsplit(f"//{next(iter(hosts))}").hostname or ""
        except ValueError:
            return False
        return name in self._names or _is_ip(name)


def _is_ip(name: str) -> bool:
    try:
        ip_address(name)
    except ValueError:
        return False
    return True


def _is_loopback(host: str) -> bool:
    return host == "localhost" or (_is_ip(host) and ip_address(host).is_loopback)


def _health(health: Health, scrub: Scrub) -> Answer:
    code = 200 if health.good else 503
    told = {"ok": health.good, "reason": health.reason, "message": health.message}
    return _json(code, told, scrub)


def _json(code: int, data: Mapping[str, Any], scrub: Scrub = str, *, allow: str = "") -> Answer:
    text = json.dumps(scrub_deep(data, scrub), indent=2, ensure_ascii=False)
    body = f"{text}\n".encode(errors="backslashreplace")  # half a surrogate, as JSON writes it
    return Answer(code, "application/json; charset=utf-8", body, allow)


def _page() -> dict[str, Page]:
    """Serve the status page; it is for whoever sits on this machine, so on loopback only."""
    return {path: _file(*found) for path, found in page_files().items()}


def _file(content_type: str, body: bytes) -> Page:
    return lambda: Answer(200, content_type, body)


def _metrics(registry: Any) -> Answer:
    from controller.telemetry.metrics import CONTENT_TYPE, render

    return Answer(200, CONTENT_TYPE, render(registry))


# --- connections ------------------------------------------------------------------------------


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    allow_reuse_port = False  # two processes on one port would each answer half of the questions
    request_queue_size = THREADS

    def __init__(self, address: tuple[str, int], site: _Site) -> None:
        self._open: dict[socket.socket, float] = {}  # since when, the oldest first
        self._busy = 0
        self._lock = threading.Lock()
        self.address_family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
        super().__init__(address, _handler(site))

    def server_bind(self) -> None:
        """Leave out the look-up of our own name, which can hang where there is no DNS."""
        TCPServer.server_bind(self)
        self.server_name, self.server_port = self.socket.getsockname()[:2]

    def process_request(self, request: Any, client_address: Any) -> None:
        with self._lock:
            if self._busy >= THREADS:
                self.close_request(request)
                return
            if len(self._open) >= CONNECTIONS:
                _hang_up(next(iter(self._open)))
                del self._open[next(iter(self._open))]
            self._open[request] = monotonic()
            self._busy += 1
        try:
            super().process_request(request, client_address)
        except RuntimeError:  # no thread to be had
            self._forget(request)
            self.close_request(request)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._forget(request)

    def shutdown_request(self, request: Any) -> None:
        """Take what the client still sends for a moment, or it would lose our answer."""
        with suppress(OSError):
            request.shutdown(socket.SHUT_WR)
            request.settimeout(LINGER_SECONDS)
            for _ in range(16):
                if not request.recv(65_536):
                    break
        self.close_request(request)

    def service_actions(self) -> None:
        """Hang up on who is too slow, however busy they look."""
        limit = monotonic() - SECONDS
        with self._lock:
            late = [request for request, since in self._open.items() if since < limit]
        for request in late:
            _hang_up(request)

    def hang_up_on_all(self) -> None:
        with self._lock:
            everybody = list(self._open)
        for request in everybody:
            _hang_up(request)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing: a client that hangs up is no news."""

    def _forget(self, request: socket.socket) -> None:
        with self._lock:
            self._open.pop(request, None)
            self._busy -= 1


def _hang_up(request: socket.socket) -> None:
    with suppress(OSError):
        request.shutdown(socket.SHUT_RDWR)


class _TooLarge(HTTPException):
    """More bytes than a request may have."""


class _Bounded(io.BufferedReader):
    """Reads lines until a request's bytes are used up."""

    def __init__(self, raw: io.RawIOBase) -> None:
        super().__init__(raw)
        self._left = REQUEST_BYTES

    def readline(self, _size: int | None = -1, /) -> bytes:
        line = super().readline(self._left + 1)
        self._left -= len(line)
        if self._left < 0:
            raise _TooLarge
        return line


def _handler(site: _Site) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        timeout = SECONDS
        rbufsize = 0  # _Bounded has the buffer
        server_version = "wms-connector"
        sys_version = ""

        def setup(self) -> None:
            super().setup()
            self.rfile = _Bounded(cast("io.RawIOBase", self.rfile))

        def handle_one_request(self) -> None:
            self.close_connection = True
            self.requestline = self.request_version = self.command = ""
            try:
                self.raw_requestline = self.rfile.readline()
                if self.raw_requestline and self.parse_request():
                    hosts = self.headers.get_all("Host", [])
                    self._send(site.answer(self.command, self.path, hosts))
            except _TooLarge:
                self.send_error(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE)

        def send_error(
            self, code: int, message: str | None = None, explain: str | None = None
        ) -> None:
            """Answer without the client's own words, which the default would repeat."""
            del message, explain
            self.request_version = "HTTP/1.0"  # whatever it said, it gets a whole answer
            self._send(_json(code, {"error": HTTPStatus(code).phrase.lower()}))

        def _send(self, answer: Answer) -> None:
            self.send_response(answer.code)
            self.send_header("Content-Type", answer.content_type)
            self.send_header("Content-Length", str(len(answer.body)))
            self.send_header("Cache-Control", "no-store")
            self.send_header("X-Content-Type-Options", "nosniff")
            self.send_header("Content-Security-Policy", POLICY)
            self.send_header("Referrer-Policy", "no-referrer")
            if answer.allow:
                self.send_header("Allow", answer.allow)
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(answer.body)

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - its name there
            """Say nothing: probes come every few seconds."""

    return Handler
