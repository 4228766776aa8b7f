"""HTTP in which one deadline ends a call as a whole; httpx limits each read and write by itself."""

from __future__ import annotations

import ssl
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any, Final

import httpcore

from controller.adapters.connect.client_library import httpx

_KEEPALIVE: Final = 20.0  # Connect's own idle limit is 30 s; ours must end first
_HTTPCORE: Final = (
    httpcore.TimeoutException,
    httpcore.NetworkError,
    httpcore.ProtocolError,
    httpcore.UnsupportedProtocol,
)
NOT_SENT: Final = (
    httpx.ConnectError,
    httpx.ConnectTimeout,
    httpx.PoolTimeout,
    httpx.UnsupportedProtocol,
    httpx.LocalProtocolError,
)


class _Stream(httpcore.NetworkStream):
    """Takes every time-out as the moment at which the whole call ends."""

    def __init__(self, inner: httpcore.NetworkStream, monotonic: Callable[[], float]) -> None:
        self._inner = inner
        self._monotonic = monotonic

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return self._inner.read(max_bytes, self._left(timeout, httpcore.ReadTimeout))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._inner.write(buffer, self._left(timeout, httpcore.WriteTimeout))

    def close(self) -> None:
        self._inner.close()

    def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,
    ) -> httpcore.NetworkStream:
        left = self._left(timeout, httpcore.ConnectTimeout)
        secured = self._inner.start_tls(ssl_context, server_hostname, left)
        return _Stream(secured, self._monotonic)

    def get_extra_info(self, info: str) -> Any:
        return self._inner.get_extra_info(info)

    def _left(self, deadline: float | None, late: type[httpcore.TimeoutException]) -> float:
        left = (deadline or 0.0) - self._monotonic()
        if left <= 0:
            raise late("the deadline passed")
        return left


class _Backend(httpcore.SyncBackend):
    def __init__(self, monotonic: Callable[[], float]) -> None:
        self._monotonic = monotonic

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.NetworkStream:
        left = max((timeout or 0.0) - self._monotonic(), 0.001)
        inner = super().connect_tcp(host, port, left, local_address, socket_options)
        return _Stream(inner, self._monotonic)


@contextmanager
def _as_httpx() -> Iterator[None]:
    """Both libraries name their exceptions alike; ours are httpx's."""
    try:
        yield
    except _HTTPCORE as error:
        kind: type[httpx.TransportError] = getattr(httpx, type(error).__name__)
        raise kind(str(error)) from error


class _Body(httpx.SyncByteStream):
    def __init__(self, parts: Iterable[bytes]) -> None:
        self._parts = parts

    def __iter__(self) -> Iterator[bytes]:
        with _as_httpx():
            yield from self._parts

    def close(self) -> None:
        close = getattr(self._parts, "close", None)
        if close is not None:
            close()


class DeadlineTransport(httpx.BaseTransport):
    """httpx limits each read and write by itself; here one moment ends the call as a whole.

    It is given as the extension `deadline`, in the terms of `monotonic`. Resolving a host's name is
    not covered: the worker is on loopback, or has its address in the container's hosts file.
    """

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._pool = httpcore.ConnectionPool(
            max_connections=4, keepalive_expiry=_KEEPALIVE, network_backend=_Backend(monotonic)
        )

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        deadline: float = request.extensions["deadline"]
        limits = dict.fromkeys(("connect", "read", "write"), deadline)
        limits["pool"] = max(deadline - self._monotonic(), 0.001)
        url = request.url
        inner = httpcore.Request(
            request.method,
            httpcore.URL(
                scheme=url.raw_scheme, host=url.raw_host, port=url.port, target=url.raw_path
            ),
            headers=request.headers.raw,
            content=request.read(),
            extensions={"timeout": limits},
        )
        with _as_httpx():
            answer = self._pool.handle_request(inner)
        assert isinstance(answer.stream, Iterable)  # noqa: S101 - the pool is a synchronous one
        return httpx.Response(answer.status, headers=answer.headers, stream=_Body(answer.stream))

    def close(self) -> None:
        self._pool.close()
