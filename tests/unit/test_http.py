from __future__ import annotations

import json
import re
import socket
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from http.client import HTTPConnection, HTTPResponse
from time import monotonic
from typing import Any

import pytest
from prometheus_client import CollectorRegistry

from controller.core.redact import Redacted, Scrubber
from controller.telemetry import http
from controller.telemetry.http import (
    CONNECTIONS,
    Health,
    Listener,
    ListenFault,
    MetricsServer,
    StatusServer,
)
from controller.telemetry.metrics import PrometheusRecorder

GOOD = Health(True, "Pulse", "the loop turned 0.1 s ago")
BAD = Health(False, "NotObserved", "kafka: no answer")
HOST = "127.0.0.1"


@contextmanager
def listening(listener: Listener) -> Iterator[Listener]:
    listener.start()
    try:
        yield listener
    finally:
        listener.stop()


def status_server(**over: Any) -> StatusServer:
    given: dict[str, Any] = {"health": lambda: GOOD, "ready": lambda: BAD, "status": dict, **over}
    return StatusServer(HOST, 0, **given)


@pytest.fixture(scope="module")
def server() -> Iterator[Listener]:
    with listening(status_server(status=lambda: {"stage": "main", "name": "Größe"})) as started:
        yield started


def ask(
    listener: Listener, path: str, method: str = "GET", **headers: str
) -> tuple[HTTPResponse, bytes]:
    connection = HTTPConnection(HOST, listener.port, timeout=10)
    try:
        connection.request(method, path, headers=headers)
        response = connection.getresponse()
        return response, response.read()
    finally:
        connection.close()


def say(listener: Listener, raw: bytes) -> bytes:
    """Send bytes as they are, and read until the listener hangs up."""
    with socket.create_connection((HOST, listener.port), timeout=10) as talk:
        talk.sendall(raw)
        parts = iter(lambda: talk.recv(65_536), b"")
        return b"".join(parts)


# --- pages ------------------------------------------------------------------------------------


def test_health_is_200_and_not_ready_is_503_both_with_the_reason(server: Listener) -> None:
    response, body = ask(server, "/healthz")
    assert response.status == 200
    assert json.loads(body) == {"ok": True, "reason": "Pulse", "message": GOOD.message}
    response, body = ask(server, "/readyz")
    assert response.status == 503
    assert json.loads(body)["message"] == "kafka: no answer"


def test_status_is_json_that_nobody_keeps(server: Listener) -> None:
    response, body = ask(server, "/status?pretty")
    assert response.status == 200
    assert response.headers["Content-Type"] == "application/json; charset=utf-8"
    assert response.headers["Cache-Control"] == "no-store"
    assert json.loads(body) == {"stage": "main", "name": "Größe"}


def test_head_is_get_without_the_body(server: Listener) -> None:
    get, body = ask(server, "/status")
    head, nothing = ask(server, "/status", "HEAD")
    assert (head.status, nothing) == (200, b"")
    assert head.headers["Content-Length"] == get.headers["Content-Length"] == str(len(body))


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS", "PATCH", "TRACE", "BREW"])
def test_any_other_method_is_405(server: Listener, method: str) -> None:
    response, body = ask(server, "/status", method)
    assert response.status == 405
    assert response.headers["Allow"] == "GET, HEAD"
    assert json.loads(body) == {"error": "only GET and HEAD"}


@pytest.mark.parametrize("path", ["/metrics", "/status/", "/../status", "/__init__.py"])
def test_an_unknown_path_is_404_with_those_there_are(server: Listener, path: str) -> None:
    response, body = ask(server, path)
    assert response.status == 404
    assert json.loads(body)["pages"] == [
        "/",
        "/healthz",
        "/index.html",
        "/page.css",
        "/page.js",
        "/readyz",
        "/status",
    ]


def test_no_secret_leaves_by_the_status_page() -> None:
    scrubber = Scrubber(["hunter2-Geheimnis"])
    said = {"a": [{"b": "jdbc:hunter2-Geheimnis"}], "c": Redacted("never-remembered")}
    bad = Health(False, "Fault", "refused hunter2-Geheimnis")
    with listening(
        status_server(status=lambda: said, ready=lambda: bad, scrub=scrubber.scrub)
    ) as server:
        assert json.loads(ask(server, "/status")[1]) == {"a": [{"b": "jdbc:***"}], "c": "***"}
        assert json.loads(ask(server, "/readyz")[1])["message"] == "refused ***"


def test_a_bug_of_a_page_is_500_without_its_text_and_the_listener_lives_on() -> None:
    def broken() -> dict[str, Any]:
        raise RuntimeError("hunter2")

    with listening(status_server(status=broken)) as server:
        response, body = ask(server, "/status")
        assert response.status == 500
        assert json.loads(body) == {"error": "the page could not be made: RuntimeError"}
        assert ask(server, "/healthz")[0].status == 200


def test_a_text_that_is_no_unicode_is_still_json() -> None:
    odd = {"name": "half \udc80", "age": float("nan")}
    with listening(status_server(status=lambda: odd)) as server:
        assert json.loads(ask(server, "/status")[1]) == {"name": "half \udc80", "age": "nan"}


def test_metrics_are_on_a_listener_of_their_own() -> None:
    registry = CollectorRegistry()
    PrometheusRecorder(registry).cycle_ended("ok", 0.2, 100.0)
    with listening(MetricsServer(HOST, 0, registry)) as server:
        response, body = ask(server, "/metrics")
        assert response.headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"
        assert b'wms_cycles_total{result="ok"} 1.0\n' in body
        assert ask(server, "/status")[0].status == 404


# --- who may ask ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "host",
    ["localhost", "LOCALHOST:1", "127.0.0.1:8080", "[::1]:8080", "10.0.0.7", "status.internal"],
)
def test_an_address_or_a_name_of_ours_may_be_asked(host: str) -> None:
    with listening(status_server(hosts=["Status.internal"])) as server:
        assert ask(server, "/healthz", Host=host)[0].status == 200


@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "evil.example:8080",
        "127.0.0.1.evil.example",
        "localhost.evil.example",
        "user@evil.example",
        "[::1",
        "127.0.0.1, evil.example",
    ],
)
def test_a_name_that_is_not_ours_gets_nothing(server: Listener, host: str) -> None:
    response, body = ask(server, "/status", Host=host)
    assert response.status == 421
    assert b"main" not in body


def test_two_host_headers_get_nothing(server: Listener) -> None:
    said = say(server, b"GET /status HTTP/1.1\r\nHost: 127.0.0.1\r\nHost: evil.example\r\n\r\n")
    assert said.startswith(b"HTTP/1.0 421 ")


def test_a_probe_by_hand_needs_no_host(server: Listener) -> None:
    assert say(server, b"GET /healthz HTTP/1.0\r\n\r\n").startswith(b"HTTP/1.0 200 ")


def test_beyond_loopback_metrics_may_be_scraped_by_name_and_status_may_not() -> None:
    metrics = MetricsServer("0.0.0.0", 0, CollectorRegistry())
    status = StatusServer("0.0.0.0", 0, health=lambda: GOOD, ready=lambda: GOOD, status=dict)
    with listening(metrics), listening(status):
        assert ask(metrics, "/metrics", Host="controller.internal")[0].status == 200
        assert ask(status, "/status", Host="controller.internal")[0].status == 421
        assert ask(status, "/")[0].status == 404
    loopback = MetricsServer(HOST, 0, CollectorRegistry())
    with listening(loopback):
        assert ask(loopback, "/metrics", Host="evil.example")[0].status == 421


# --- bad guests -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("raw", "code"),
    [
        (b"GET /" + b"a" * 100_000 + b" HTTP/1.1\r\n\r\n", b"431"),
        (b"GET / HTTP/1.1\r\nX: " + b"a" * 100_000 + b"\r\n\r\n", b"431"),
        (b"GET / HTTP/1.1\r\n" + b"X: a\r\n" * 3_000 + b"\r\n", b"431"),
        (b"GET / HTTP/1.1\r\n" + b"X: a\r\n" * 150 + b"\r\n", b"431"),
        (b"\x16\x03\x01\x02\x00\x01\r\n\r\n", b"400"),
        (b"<script> HTTP/1.1 x\r\n\r\n", b"400"),
        (b"GET / HTTP/3.0\r\n\r\n", b"505"),
    ],
    ids=["line", "header", "headers", "many", "tls", "words", "version"],
)
def test_what_is_no_request_is_refused_in_our_own_words(
    server: Listener, raw: bytes, code: bytes
) -> None:
    said = say(server, raw)
    assert code in said.split(b"\r\n", 1)[0]
    assert b"script>" not in said
    assert b'{\n  "error": ' in said
    assert ask(server, "/healthz")[0].status == 200


def test_clients_that_say_nothing_keep_nobody_waiting(server: Listener) -> None:
    with ExitStack() as stack:
        for _ in range(3 * CONNECTIONS):
            stack.enter_context(socket.create_connection((HOST, server.port), timeout=10))
        start = monotonic()
        assert ask(server, "/healthz")[0].status == 200
        assert monotonic() - start < http.SECONDS / 2


def test_one_that_trickles_is_hung_up_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http, "SECONDS", 0.5)
    pause = threading.Event()
    with (
        listening(status_server()) as server,
        socket.create_connection((HOST, server.port), timeout=10) as talk,
    ):
        talk.sendall(b"GET /healthz HTTP/1.1\r\n")
        for _ in range(600):  # a byte more often than any time-out between two bytes
            try:
                talk.sendall(b"X")
            except OSError:
                break
            pause.wait(0.05)
        else:
            pytest.fail("it trickled for thirty seconds")


def test_one_that_does_not_read_is_hung_up_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http, "SECONDS", 0.5)
    large = {"text": "x" * 30_000_000}
    with (
        listening(status_server(status=lambda: large)) as server,
        socket.create_connection((HOST, server.port), timeout=10) as talk,
    ):
        talk.sendall(b"GET /status HTTP/1.0\r\n\r\n")
        threading.Event().wait(1.5)
        got = 0
        with suppress(ConnectionError):
            while part := talk.recv(1_000_000):
                got += len(part)
        assert got < 30_000_000


def test_there_is_a_limit_to_threads_even_when_a_page_hangs() -> None:
    free = threading.Event()

    def hang() -> dict[str, Any]:
        free.wait(30)
        return {}

    before = threading.active_count()
    with listening(status_server(status=hang)) as server, ExitStack() as stack:
        for _ in range(4 * CONNECTIONS):
            talk = stack.enter_context(socket.create_connection((HOST, server.port), timeout=10))
            try:
                talk.sendall(b"GET /status HTTP/1.0\r\n\r\n")
            except OSError:
                continue  # refused already
        threading.Event().wait(0.5)
        assert threading.active_count() - before <= http.THREADS + 1
        free.set()


def test_many_askers_are_all_answered(server: Listener) -> None:
    good: list[bool] = []

    def ask_often() -> None:
        good.extend(ask(server, "/status")[0].status == 200 for _ in range(25))

    threads = [threading.Thread(target=ask_often) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert len(good) == 200
    assert all(good)


# --- starting and stopping --------------------------------------------------------------------


def test_a_port_in_use_is_a_fault_that_says_what_to_do(server: Listener) -> None:
    second = StatusServer(HOST, server.port, health=lambda: GOOD, ready=lambda: GOOD, status=dict)
    with pytest.raises(ListenFault) as told:
        second.start()
    assert told.value.reason == "PortInUse"
    assert str(told.value) == (
        f"cannot serve status on 127.0.0.1:{server.port} (Address already in use): "
        "end what has the port, or choose another (0: a free one)"
    )
    second.stop()
    assert ask(server, "/healthz")[0].status == 200


@pytest.mark.parametrize(
    ("host", "port", "reason"),
    [
        (HOST, 70_000, "PortInvalid"),
        ("192.0.2.1", 0, "HostInvalid"),
        ("no such host", 0, "HostInvalid"),
    ],
)
def test_an_address_that_cannot_be_had_is_a_fault(host: str, port: int, reason: str) -> None:
    with pytest.raises(ListenFault) as told:
        MetricsServer(host, port, CollectorRegistry()).start()
    assert told.value.reason == reason


def test_port_zero_is_a_free_one_and_is_told() -> None:
    with listening(status_server()) as one, listening(status_server()) as other:
        assert 0 not in (one.port, other.port)
        assert one.port != other.port


def test_it_listens_on_ipv6() -> None:
    with socket.socket(socket.AF_INET6) as trial:
        try:
            trial.bind(("::1", 0))
        except OSError:
            pytest.skip("this machine has no IPv6")
    server = StatusServer("::1", 0, health=lambda: GOOD, ready=lambda: GOOD, status=dict)
    with listening(server):
        connection = HTTPConnection("::1", server.port, timeout=10)
        connection.request("GET", "/healthz")
        assert connection.getresponse().status == 200
        connection.close()


def test_stop_is_quick_though_somebody_is_connected_and_frees_the_port() -> None:
    server = status_server()
    server.start()
    port = server.port
    with socket.create_connection((HOST, port), timeout=10) as idle:
        start = monotonic()
        server.stop()
        assert monotonic() - start < http.SECONDS / 2
        with suppress(ConnectionResetError):  # it may not even have been accepted yet
            assert idle.recv(1) == b""
    again = StatusServer(HOST, port, health=lambda: GOOD, ready=lambda: GOOD, status=dict)
    with listening(again):
        assert ask(again, "/healthz")[0].status == 200
    server.stop()


def test_the_status_page_comes_with_a_policy_that_lets_nothing_else_run(server: Listener) -> None:
    for path in ("/", "/page.css", "/page.js"):
        response, body = ask(server, path)
        assert response.status == 200
        assert body
        assert response.headers["Content-Security-Policy"].startswith("default-src 'none';")
        assert "unsafe" not in response.headers["Content-Security-Policy"]


def test_the_status_page_names_no_other_address_and_sets_no_markup(server: Listener) -> None:
    text = "".join(ask(server, path)[1].decode() for path in ("/", "/page.css", "/page.js"))
    assert "https:" not in text
    assert not re.findall(r"innerHTML|outerHTML|insertAdjacent|document\.write|eval\(", text)
    assert re.findall(r"http:[^\"]+", text) == ["http://www.w3.org/2000/svg"]
