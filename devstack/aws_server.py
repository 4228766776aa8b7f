"""`python -m devstack.aws_server PORT`: the mock of AWS over HTTP, one request after the other.

DynamoDB writes under a condition whole. The mock looks and then writes, and its threads may take
turns between: two writers would both be told that they won.
"""

from __future__ import annotations

import io
import signal
import sys
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from moto.moto_server.werkzeug_app import (
    DomainDispatcherApplication,
    MotoRequestHandler,
    create_backend_app,
)
from werkzeug.serving import BaseWSGIServer, make_server

from devstack.port import LOOPBACK

_Application = Callable[[dict[str, Any], Any], Iterable[bytes]]


def main(arguments: list[str]) -> None:
    server = _make_server(int(arguments[0]))
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: sys.exit(0))
    server.serve_forever()


@contextmanager
def serve_aws() -> Iterator[str]:
    """Give the address of a mock in this process, whose memory all mocks of the process share."""
    server = _make_server(0)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://{LOOPBACK}:{server.port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def _make_server(port: int) -> BaseWSGIServer:
    application = _one_at_a_time(DomainDispatcherApplication(create_backend_app))
    handler = MotoRequestHandler
    return make_server(LOOPBACK, port, application, threaded=True, request_handler=handler)


def _one_at_a_time(application: _Application) -> _Application:
    turn = threading.Lock()

    def answer(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        length = int(environ.get("CONTENT_LENGTH") or 0)
        if length:  # who is paused in the midst of sending keeps nobody else waiting
            environ["wsgi.input"] = io.BytesIO(environ["wsgi.input"].read(length))
        with turn:
            return application(environ, start_response)

    return answer


if __name__ == "__main__":
    main(sys.argv[1:])
