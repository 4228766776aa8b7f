"""The listeners: /healthz, /readyz and /status on one, /metrics on another."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Final

SOCKET_SECONDS: Final = 5.0
CONNECTIONS: Final = 16


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


class ListenFault(Exception):
    """The port cannot be had; the process goes on without a listener."""


Page = Callable[[], Answer]


class Listener:
    """One HTTP listener on daemon threads; answers GET and HEAD of the pages it was given."""

    def __init__(self, host: str, port: int, pages: Mapping[str, Page]) -> None:
        self._address = (host, port)
        self._pages = pages
        self._server: ThreadingHTTPServer | None = None

    @property
    def port(self) -> int:
        """The port it really listens on."""
        return self._server.server_port if self._server is not None else self._address[1]

    def start(self) -> None:
        host, port = self._address
        try:
            self._server = _Server(self._address, _handler(self._pages))
        except OSError as error:
            raise ListenFault(
                f"cannot listen on {host}:{port} ({error.strerror}): end what has the port, or "
                "choose another one"
            ) from error
        thread = threading.Thread(target=self._server.serve_forever, args=(0.1,), daemon=True)
        thread.start()

    def stop(self) -> None:
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
            self._server = None


class StatusServer(Listener):
    """Tells how the process is; nothing in it is secret."""

    def __init__(
        self,
        host: str,
        port: int,
        *,
        health: Callable[[], Health],
        ready: Callable[[], Health],
        status: Callable[[], Mapping[str, Any]],
    ) -> None:
        pages: dict[str, Page] = {
            "/healthz": lambda: _health(health()),
            "/readyz": lambda: _health(ready()),
            "/status": lambda: _json(200, status()),
        }
        super().__init__(host, port, pages)


class MetricsServer(Listener):
    """Serves one registry to Prometheus."""

    def __init__(self, host: str, port: int, registry: Any) -> None:
        super().__init__(host, port, {"/metrics": lambda: _metrics(registry)})


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = CONNECTIONS

    def __init__(self, address: tuple[str, int], handler: type[BaseHTTPRequestHandler]) -> None:
        self._places = threading.BoundedSemaphore(CONNECTIONS)
        super().__init__(address, handler)

    def process_request(self, request: Any, client_address: Any) -> None:
        if not self._places.acquire(blocking=False):
            self.shutdown_request(request)
            return
        super().process_request(request, client_address)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._places.release()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing: a client that hangs up is no news."""


def _handler(pages: Mapping[str, Page]) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        timeout = SOCKET_SECONDS
        server_version = "wms-connector"
        sys_version = ""

        def do_GET(self) -> None:
            self._answer(with_body=True)

        def do_HEAD(self) -> None:
            self._answer(with_body=False)

        def _answer(self, *, with_body: bool) -> None:
            answer = _answer_for(pages, self.path)
            self.send_response(answer.code)
            self.send_header("Content-Type", answer.content_type)
            self.send_header("Content-Length", str(len(answer.body)))
            self.send_header("Cache-Control", "no-store")
            self.end_headers()
            if with_body:
                self.wfile.write(answer.body)

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - its name there
            """Say nothing: probes come every few seconds."""

    return Handler


def _answer_for(pages: Mapping[str, Page], path: str) -> Answer:
    page = pages.get(path.split("?", 1)[0])
    if page is None:
        return _json(404, {"error": "no such page", "pages": sorted(pages)})
    try:
        return page()
    except Exception:  # noqa: BLE001 - our own bug must not end the listener, nor show its insides
        return _json(500, {"error": "the page could not be made"})


def _health(health: Health) -> Answer:
    code = 200 if health.good else 503
    return _json(code, {"ok": health.good, "reason": health.reason, "message": health.message})


def _json(code: int, data: Mapping[str, Any]) -> Answer:
    body = json.dumps(data, indent=2, ensure_ascii=False, default=str).encode()
    return Answer(code, "application/json; charset=utf-8", body)


def _metrics(registry: Any) -> Answer:
    from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

    return Answer(200, CONTENT_TYPE_LATEST, generate_latest(registry))
