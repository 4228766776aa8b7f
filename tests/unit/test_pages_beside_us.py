from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from controller.adapters.fetch import Page
from controller.adapters.jmx import JmxPage
from controller.adapters.task_metadata import TaskMetadata
from controller.core.faults import Unavailable
from controller.core.lag_report import ObservedContainer

Answer = Callable[[socket.socket], None]


@contextmanager
def served(answer: Answer) -> Iterator[str]:
    """Answer one request after another on loopback."""
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        while True:
            try:
                client, _ = listener.accept()
            except OSError:
                return
            with client:
                try:
                    client.recv(65_536)
                    answer(client)
                except OSError:
                    continue

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}/v4/abc"
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join(5)


def body(data: bytes, status: str = "200 OK") -> Answer:
    head = f"HTTP/1.1 {status}\r\nContent-Length: {len(data)}\r\n\r\n".encode()
    return lambda client: client.sendall(head + data)


def page(url: str, seconds: float = 5.0, most: int = 100_000) -> Page:
    return Page(url, seconds=seconds, most_bytes=most)


TASK = {
    "Cluster": "c",
    "Containers": [
        {
            "Name": "connect",
            "KnownStatus": "RUNNING",
            "Health": {"status": "UNHEALTHY", "statusSince": "2026-01-01T00:00:00Z"},
            "RestartCount": 2,
            "ExitCode": 137,
        },
        {"Name": "controller", "KnownStatus": "RUNNING"},
    ],
}


def test_the_task_tells_of_health_restarts_and_a_death_for_want_of_memory() -> None:
    with served(body(json.dumps(TASK).encode())) as url:
        connect, controller = TaskMetadata(page(url)).read()
    assert connect == ObservedContainer("connect", "RUNNING", "UNHEALTHY", 2, 137)
    assert connect.out_of_memory
    assert controller == ObservedContainer("controller", "RUNNING")
    assert not controller.out_of_memory


@pytest.mark.parametrize("said", [b"{}", b"[]", b"no json", b'{"Containers": 5}', b"[" * 90_000])
def test_an_answer_that_is_none_is_unavailable(said: bytes) -> None:
    with served(body(said)) as url, pytest.raises(Unavailable):
        TaskMetadata(page(url)).read()


def test_an_agent_that_is_not_there_is_unavailable() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        url = f"http://127.0.0.1:{taken.getsockname()[1]}/metrics"
    with pytest.raises(Unavailable):
        JmxPage(page(url), time.monotonic).read()


def test_a_page_that_is_too_long_or_refused_is_unavailable() -> None:
    with served(body(b"x" * 200_000)) as url, pytest.raises(Unavailable, match="more than"):
        page(url)()
    with served(body(b"", "302 Found")) as url, pytest.raises(Unavailable, match="302"):
        page(url)()


def test_one_who_dribbles_holds_us_no_longer_than_agreed() -> None:
    stop = threading.Event()

    def dribble(client: socket.socket) -> None:
        client.sendall(b"HTTP/1.1 200 OK\r\n")
        for number in range(1000):
            client.sendall(f"X-{number}: y\r\n".encode())
            if stop.wait(0.05):
                return

    with served(dribble) as url:
        start = time.monotonic()
        with pytest.raises(Unavailable):
            page(url, seconds=0.5)()
        waited = time.monotonic() - start
        stop.set()
    assert waited < 30, "fifty seconds is what it would take"


def test_a_page_is_read_into_beans() -> None:
    line = b'debezium_connected{context="streaming",plugin="oracle",server="wms"} 1.0\n'
    with served(body(line)) as url:
        beans = JmxPage(page(url), lambda: 7.0).read()
    assert beans["wms"].moment == 7.0
    assert beans["wms"].streaming == {"connected": 1.0}
