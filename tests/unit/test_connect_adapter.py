"""The Connect adapter against a fake worker with faults, and against sockets that misbehave."""

from __future__ import annotations

import json
import re
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from controller.adapters.connect import ConnectRest
from controller.adapters.connect.answer import Answer, read_fault
from controller.core.action import (
    ConnectorAction,
    CreateConnector,
    Pause,
    PutConfig,
    Restart,
    Resume,
    Stop,
)
from controller.core.faults import (
    Conflict,
    Denied,
    Fault,
    OutcomeUnknown,
    Rejected,
    Transient,
    Unavailable,
)
from controller.core.model import ABSENT, ObservedConnector, Unknown, connector_key
from controller.core.redact import Scrubber
from tests.fakes.connect import (
    FILE_SOURCE,
    HTML,
    NULL_VALUE,
    REBALANCE,
    REBALANCE_EXPECTED,
    REQUEST_TIMED_OUT,
    FakeConnect,
    FakeConnectWorld,
    Late,
    Lose,
    Refuse,
    Say,
    SayText,
    Slow,
    TimeOut,
)

CONFIG = {"connector.class": FILE_SOURCE, "tasks.max": "1", "file": "in.txt", "topic": "t"}
WRITES: list[tuple[ConnectorAction, str, str]] = [
    (CreateConnector("b", CONFIG), "POST", "/connectors"),
    (PutConfig("a", {**CONFIG, "flag": "1"}), "PUT", "/connectors/a/config"),
    (Resume("a"), "PUT", "/connectors/a/resume"),
    (Pause("a"), "PUT", "/connectors/a/pause"),
    (Stop("a"), "PUT", "/connectors/a/stop"),
    (
        Restart("a", only_failed=True),
        "POST",
        "/connectors/a/restart?includeTasks=true&onlyFailed=true",
    ),
    (
        Restart("a", only_failed=False),
        "POST",
        "/connectors/a/restart?includeTasks=true&onlyFailed=false",
    ),
]


@pytest.fixture
def connect() -> Iterator[FakeConnect]:
    """A fake worker with the connector `a`, RUNNING."""
    client = FakeConnect()
    client.world.hand("PUT", "/connectors/a/config", CONFIG)
    yield client
    client.close()


def fault_of(call: Callable[[], object]) -> Fault:
    with pytest.raises(Fault) as caught:
        call()
    return caught.value


def seen(client: ConnectRest, name: str) -> Any:
    return client.observe([name]).get(connector_key(name))


# --- what the answers mean ------------------------------------------------------------------

MEANINGS = [
    (400, "Connector configuration is invalid and contains ...", Rejected, "ConfigRefused"),
    (
        400,
        "Connector name configuration (b) doesn't match connector name",
        Rejected,
        "NameMismatch",
    ),
    (400, "Connectors must be in the STOPPED state before ...", Conflict, "NotStopped"),
    (400, "Failed to find any class that implements Connector", Rejected, "UnknownClass"),
    (401, "no", Denied, "AccessDenied"),
    (403, "no", Denied, "AccessDenied"),
    (404, None, Unavailable, "WorkerStarting"),
    (404, "HTTP 404 Not Found", Unavailable, "UnsupportedConnect"),
    (404, "Connector a not found", Conflict, "NotFound"),
    (404, "Unknown connector: a", Conflict, "NotFound"),
    (405, "HTTP 405 Method Not Allowed", Unavailable, "UnsupportedConnect"),
    (409, "Connector a already exists", Conflict, "AlreadyExists"),
    (409, "... due to stale configuration (typically caused by ...)", Conflict, "Rebalancing"),
    (409, "... no known leader URL, likely because a rebalance ...", Conflict, "Rebalancing"),
    (409, "... conflicting operation (e.g. worker rebalance)", Conflict, "Rebalancing"),
    (500, NULL_VALUE, Rejected, "ConfigRefused"),
    (500, "...BadRequestException: Failed to find any class ...", Rejected, "UnknownClass"),
    (500, 'Unrecognized field "initial_state" ...', Rejected, "MalformedRequest"),
    (500, REQUEST_TIMED_OUT, OutcomeUnknown, "WorkerBusy"),
    (500, "Error writing connector configuration to Kafka", OutcomeUnknown, "KafkaUnavailable"),
    (500, "Error writing target state to Kafka", OutcomeUnknown, "KafkaUnavailable"),
    (500, REBALANCE_EXPECTED, Conflict, "Rebalancing"),
    (
        500,
        "IO Error trying to forward REST request: java.net.ConnectException: Connection refused",
        Unavailable,
        "LeaderUnreachable",
    ),
    (500, "IO Error trying to forward REST request: timeout", OutcomeUnknown, "LeaderUnreachable"),
    (500, "java.lang.IllegalStateException", OutcomeUnknown, "UnexpectedAnswer"),
    (502, None, OutcomeUnknown, "UnexpectedAnswer"),
    (503, "Worker is still starting up.", Unavailable, "WorkerStarting"),
    (302, None, OutcomeUnknown, "UnexpectedAnswer"),
]


@pytest.mark.parametrize(("status", "message", "kind", "reason"), MEANINGS)
def test_a_refused_write_is_read_by_its_meaning(
    connect: FakeConnect, status: int, message: str | None, kind: type[Fault], reason: str
) -> None:
    connect.server.fail("PUT", "config", Say(status, message))
    fault = fault_of(lambda: connect.apply(PutConfig("a", CONFIG)))
    assert (type(fault), fault.reason) == (kind, reason)
    assert "PUT /connectors/a/config" in fault.message


@pytest.mark.parametrize(
    ("status", "message", "kind", "reason"),
    [
        (404, None, Unavailable, "WorkerStarting"),
        (404, "Connector a not found", Conflict, "NotFound"),
        (500, REQUEST_TIMED_OUT, Unavailable, "WorkerBusy"),
        (500, REBALANCE_EXPECTED, Transient, "Rebalancing"),
        (500, "anything else", Unavailable, "UnexpectedAnswer"),
        (400, None, Unavailable, "MalformedRequest"),
        (400, "Connector configuration is invalid", Rejected, "ConfigRefused"),
        (403, "no", Denied, "AccessDenied"),
    ],
)
def test_a_refused_read_never_says_that_something_may_have_changed(
    connect: FakeConnect, status: int, message: str | None, kind: type[Fault], reason: str
) -> None:
    connect.server.fail("GET", "offsets", Say(status, message), times=99)
    fault = fault_of(lambda: connect.offsets("a"))
    assert (type(fault), fault.reason) == (kind, reason)


@pytest.mark.parametrize("body", ["", HTML, '{"message":"Not Found","url":"u","status":"404"}'])
def test_a_booting_worker_has_not_deleted_anything(connect: FakeConnect, body: str) -> None:
    connect.server.fail("DELETE", "", SayText(body, 404))
    assert fault_of(lambda: connect.delete("a")).reason == "WorkerStarting"
    assert "a" in connect.world.connectors


@pytest.mark.parametrize(
    ("status", "word", "reason"),
    [(503, "starting", "WorkerStarting"), (500, "unhealthy", "WorkerUnhealthy")],
)
def test_the_health_of_a_worker_is_told_in_its_own_form(
    connect: FakeConnect, status: int, word: str, reason: str
) -> None:
    message = "Worker was unable to handle this request and may be unable to handle other requests."
    body = json.dumps({"status": word, "message": message})
    connect.server.fail("GET", "^/health$", SayText(body, status))
    fault = seen(connect, "b").fault
    assert fault.reason == reason
    assert message in fault.message


def test_what_a_rebalance_holds_up_names_when_to_come_again(connect: FakeConnect) -> None:
    connect.server.fail("PUT", "config", REBALANCE)
    assert fault_of(lambda: connect.apply(PutConfig("a", CONFIG))).retry_after == 1.0


def test_an_error_text_is_scrubbed_cut_and_without_the_resolved_config() -> None:
    scrubber = Scrubber(["hunter2-secret"])
    told = (
        "Connector config {database.password=other-secret, a={b}, c=d} contains no connector type "
        "hunter2-secret \n" + "x" * 5000
    )
    body = json.dumps({"error_code": 500, "message": told}).encode()
    fault = read_fault("PUT /x", Answer(500, body), write=True, scrub=scrubber.scrub)
    assert "secret" not in fault.message
    assert "\n" not in fault.message
    assert len(fault.message) < 700


def test_a_secret_is_gone_from_whatever_a_worker_says() -> None:
    secret = "hunter2-secret"
    connect = FakeConnect(scrub=Scrubber([secret]).scrub)
    connect.world.hand("PUT", "/connectors/a/config", CONFIG)
    connect.world.fail_task("a", f"FATAL: no {secret} here\nCaused by: {secret}")
    connect.world.fail_connector("a", f"{secret}!")
    assert secret not in repr(connect.observe(["a"]))
    connect.server.fail("PUT", "validate", SayText(json.dumps(validation("f", secret))))
    assert secret not in repr(connect.validate(FILE_SOURCE, CONFIG))
    connect.server.fail("", "", Say(500, f"{secret} is wrong"), times=9)
    for call in (
        lambda: connect.apply(Stop("a")),
        lambda: connect.offsets("a"),
        lambda: connect.validate(FILE_SOURCE, CONFIG),
        connect.cluster_id,
    ):
        assert secret not in repr(fault_of(call))


def validation(field: str, *errors: str) -> dict[str, Any]:
    value = {"name": field, "value": None, "errors": list(errors), "visible": True}
    empty = {"definition": {"name": "deprecated"}, "value": None}
    return {"configs": [empty, {"definition": {"name": field}, "value": value}]}


# --- writing --------------------------------------------------------------------------------


@pytest.mark.parametrize(("action", "method", "target"), WRITES)
def test_an_action_is_one_request(
    connect: FakeConnect, action: ConnectorAction, method: str, target: str
) -> None:
    connect.apply(action)
    assert connect.server.log == [(method, target)]
    assert connect.requests == 1


@pytest.mark.parametrize(("action", "method", "target"), WRITES)
@pytest.mark.parametrize(
    ("behaviour", "kind", "reason"),
    [
        (Refuse(), Unavailable, "WorkerUnreachable"),
        (TimeOut(applied=True), OutcomeUnknown, "TimedOut"),
        (TimeOut(applied=False), OutcomeUnknown, "TimedOut"),
        (Lose(applied=True), OutcomeUnknown, "ConnectionLost"),
        (Late(30.0), OutcomeUnknown, "TimedOut"),
        (REBALANCE, Conflict, "Rebalancing"),
        (Say(500, REQUEST_TIMED_OUT, applied=True), OutcomeUnknown, "WorkerBusy"),
    ],
)
def test_a_write_that_goes_wrong_is_never_sent_again(  # noqa: PLR0917
    connect: FakeConnect,
    action: ConnectorAction,
    method: str,
    target: str,
    behaviour: Any,
    kind: type[Fault],
    reason: str,
) -> None:
    connect.server.fail(method, re.escape(target), behaviour, times=9)
    fault = fault_of(lambda: connect.apply(action))
    assert (type(fault), fault.reason) == (kind, reason)
    assert connect.requests == 1


def test_a_write_has_its_own_deadline(connect: FakeConnect) -> None:
    connect.server.fail("PUT", "config", Slow(14.9))
    connect.apply(PutConfig("a", CONFIG))
    connect.server.fail("PUT", "config", Slow(15.1))
    start = connect.world.clock.now()
    assert fault_of(lambda: connect.apply(PutConfig("a", CONFIG))).reason == "TimedOut"
    assert connect.world.clock.now() - start == pytest.approx(15.0)


def test_a_put_names_the_connector_it_is_for(connect: FakeConnect) -> None:
    connect.apply(PutConfig("a", {**CONFIG, "name": "zz"}))
    assert connect.world.connectors["a"].config["name"] == "a"


def test_a_login_that_got_no_answer_may_have_happened(connect: FakeConnect) -> None:
    connect.server.fail("PUT", "validate", TimeOut(applied=True))
    assert isinstance(fault_of(lambda: connect.validate(FILE_SOURCE, CONFIG)), OutcomeUnknown)
    assert connect.requests == 1


def test_validate_always_sends_the_class(connect: FakeConnect) -> None:
    assert connect.validate(FILE_SOURCE, {"topic": "t", "name": "a"}) == ()


def test_validate_passes_over_entries_without_a_value(connect: FakeConnect) -> None:
    connect.server.fail("PUT", "validate", SayText(json.dumps(validation("topic", "bad", "sad"))))
    errors = connect.validate(FILE_SOURCE, CONFIG)
    assert [(error.field, error.message) for error in errors] == [
        ("topic", "bad"),
        ("topic", "sad"),
    ]


# --- observing ------------------------------------------------------------------------------

EVERYTHING = [
    Refuse(),
    TimeOut(applied=False),
    Lose(applied=False),
    Slow(6.0),
    Say(404),
    Say(500, "anything"),
    Say(503, "Worker is still starting up."),
    Say(401, "no"),
    Say(302),
    SayText(HTML),
    SayText(""),
    SayText('"text"'),
    SayText("null"),
    SayText("[]"),
    SayText("[" * 100_000),
    SayText('{"a":' * 5_000),
    SayText("{}" + " " * 2_000_000),
]


@pytest.mark.parametrize("behaviour", EVERYTHING)
def test_a_listing_that_fails_leaves_everything_unknown(
    connect: FakeConnect, behaviour: Any
) -> None:
    connect.server.fail("GET", "expand", behaviour, times=9)
    snapshot = connect.observe(["a", "b"])
    assert snapshot.fault is not None
    assert not snapshot.complete
    assert isinstance(snapshot.get(connector_key("b")), Unknown)


@pytest.mark.parametrize("path", ["^/health$", "^/connectors$"])
@pytest.mark.parametrize("behaviour", [b for b in EVERYTHING if b != SayText("[]")])
def test_nothing_is_absent_while_a_second_look_fails(
    connect: FakeConnect, path: str, behaviour: Any
) -> None:
    connect.server.fail("GET", path, behaviour, times=9)
    assert isinstance(seen(connect, "b"), Unknown)
    assert isinstance(seen(connect, "a"), ObservedConnector), "what was seen stays seen"


def test_nothing_is_absent_while_a_worker_boots(connect: FakeConnect) -> None:
    connect.world.boot(html=3.0, hollow=2.0)
    html = seen(connect, "b")
    connect.world.clock.sleep(3.5)
    connect.server.fail("GET", "expand", SayText("{}"))  # as if its listing came first
    hollow = seen(connect, "a")
    connect.world.clock.sleep(2.0)
    assert [item.fault.reason for item in (html, hollow)] == ["WorkerStarting", "WorkerStarting"]
    assert seen(connect, "b") == ABSENT
    assert seen(connect, "a").state == "RUNNING"


def test_one_that_the_listing_leaves_out_is_pending(connect: FakeConnect) -> None:
    connect.server.fail("GET", "expand", SayText("{}"))
    item = seen(connect, "a")
    assert (item.state, item.config) == ("PENDING", {**CONFIG, "name": "a"})


@pytest.mark.parametrize(
    "behaviour", [Say(404), Say(404, "Connector a not found"), Slow(6.0), SayText('{"a": 1}')]
)
def test_a_pending_one_whose_config_cannot_be_read_is_unknown(
    connect: FakeConnect, behaviour: Any
) -> None:
    connect.server.fail("GET", "expand", SayText("{}"))
    connect.server.fail("GET", "/connectors/a/config", behaviour, times=9)
    assert isinstance(seen(connect, "a"), Unknown)


def test_pending_ones_share_one_bound_in_number_and_time(connect: FakeConnect) -> None:
    names = [f"p{number:02}" for number in range(15)]
    for name in names:
        connect.world.hand("PUT", f"/connectors/{name}/config", CONFIG)
    connect.server.fail("GET", "expand", SayText("{}"), times=2)
    assert ABSENT not in connect.observe(names).items.values()
    read = [target for _, target in connect.server.log if target.endswith("/config")]
    assert len(read) == 10
    connect.server.fail("GET", "/config$", Slow(3.0), times=99)
    start = connect.world.clock.now()
    snapshot = connect.observe(names)
    assert connect.world.clock.now() - start <= 6.0
    items = [snapshot.get(connector_key(name)) for name in names]
    assert [type(item) for item in items[:2]] == [ObservedConnector, Unknown]
    assert ABSENT not in items


ENTRY: dict[str, Any] = {
    "info": {"name": "b", "config": {"name": "b"}, "tasks": [], "type": "source"},
    "status": {
        "name": "b",
        "connector": {"state": "RUNNING", "worker_id": "w"},
        "tasks": [{"id": 1, "state": "FAILED", "worker_id": "w", "trace": "why"}],
        "type": "source",
    },
}


def without(*path: str) -> dict[str, Any]:
    copy = json.loads(json.dumps(ENTRY))
    place = copy
    for part in path[:-1]:
        place = place[part]
    del place[path[-1]]
    return dict(copy)


def with_(value: Any, *path: str) -> dict[str, Any]:
    copy = json.loads(json.dumps(ENTRY))
    place = copy
    for part in path[:-1]:
        place = place[part]
    place[path[-1]] = value
    return dict(copy)


@pytest.mark.parametrize(
    "entry",
    [
        {},
        None,
        [],
        "text",
        without("info"),
        without("status"),
        without("info", "config"),
        without("status", "connector"),
        without("status", "connector", "state"),
        without("status", "tasks"),
        with_({"key": 1}, "info", "config"),
        with_({"key": None}, "info", "config"),
        with_([], "info", "config"),
        with_([{"state": "RUNNING"}], "status", "tasks"),
        with_([{"id": 0}], "status", "tasks"),
        with_([None], "status", "tasks"),
        with_(None, "status", "connector", "state"),
    ],
)
def test_one_malformed_entry_is_unknown_and_spoils_no_other(
    connect: FakeConnect, entry: Any
) -> None:
    listing = json.dumps({"b": entry, "c": ENTRY})
    connect.server.fail("GET", "expand", SayText(listing))
    snapshot = connect.observe(["b", "c"])
    assert snapshot.fault is None
    assert isinstance(snapshot.get(connector_key("b")), Unknown)
    assert isinstance(snapshot.get(connector_key("c")), ObservedConnector)
    assert not snapshot.complete


def test_a_long_trace_keeps_its_outermost_and_its_root_cause(connect: FakeConnect) -> None:
    connect.world.fail_task("a", "Outer: failed\n" + "\tat x\n" * 100_000 + "Caused by: ORA-1")
    (task,) = seen(connect, "a").tasks
    assert task.trace.startswith("Outer: failed")
    assert task.trace.endswith("Caused by: ORA-1")
    assert len(task.trace) < 8_100


def test_a_worker_that_knows_no_health_is_too_old(connect: FakeConnect) -> None:
    connect.server.fail("GET", "^/health$", Say(404, "HTTP 404 Not Found"))
    fault = seen(connect, "b").fault
    assert (type(fault), fault.reason) == (Unavailable, "UnsupportedConnect")
    assert "3.9" in fault.message


def test_a_read_that_a_rebalance_holds_up_is_tried_again_within_its_deadline(
    connect: FakeConnect,
) -> None:
    connect.server.fail("GET", "offsets", Say(500, REBALANCE_EXPECTED), times=2)
    assert connect.offsets("a") == ()
    assert connect.requests == 3
    connect.server.fail("GET", "offsets", Say(500, REBALANCE_EXPECTED), times=99)
    start = connect.world.clock.now()
    assert isinstance(fault_of(lambda: connect.offsets("a")), Transient)
    assert connect.world.clock.now() - start < 5.0


def test_offsets_that_are_null_are_left_out(connect: FakeConnect) -> None:
    connect.world.commit("a", {"server": "x"}, None)
    connect.world.commit("a", {"server": "wms"}, {"scn": "1"})
    assert connect.offsets("a") == ({"partition": {"server": "wms"}, "offset": {"scn": "1"}},)


@pytest.mark.parametrize("text", ["[]", "{}", '{"offsets": [1]}', '{"offsets": {}}', HTML])
def test_offsets_that_cannot_be_read_are_never_none(connect: FakeConnect, text: str) -> None:
    connect.server.fail("GET", "offsets", SayText(text))
    assert isinstance(fault_of(lambda: connect.offsets("a")), Unavailable)


def test_every_request_is_told(connect: FakeConnect) -> None:
    told: list[tuple[str, str]] = []
    world = connect.world
    client = ConnectRest(
        "http://worker",
        scrub=str,
        transport=connect.server,
        monotonic=world.clock.now,
        on_request=lambda method, path: told.append((method, path)),
    )
    client.observe(["a"])
    client.apply(Stop("a"))
    client.close()
    assert told == [
        ("GET", "/connectors?expand=info&expand=status"),
        ("PUT", "/connectors/a/stop"),
    ]


# --- sockets that misbehave -----------------------------------------------------------------


@contextmanager
def listener(serve: Callable[[socket.socket, threading.Event], None]) -> Iterator[str]:
    """Serve each connection in turn until the test is over."""
    done = threading.Event()
    server = socket.create_server(("127.0.0.1", 0))
    server.settimeout(0.05)

    def run() -> None:
        while not done.is_set():
            try:
                peer, _ = server.accept()
            except TimeoutError:
                continue
            with peer:
                peer.settimeout(1.0)
                try:
                    serve(peer, done)
                except OSError:
                    continue

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.getsockname()[1]}"
    finally:
        done.set()
        thread.join(10)
        server.close()


HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"


def drip(peer: socket.socket, done: threading.Event, text: bytes) -> None:
    for _ in range(10_000):
        if done.wait(0.02):
            return
        peer.sendall(text)


def silent(peer: socket.socket, done: threading.Event) -> None:
    peer.recv(65536)
    done.wait(10)


def drips_status(peer: socket.socket, done: threading.Event) -> None:
    peer.recv(65536)
    peer.sendall(b"HTTP/1.1 200 OK\r\nX-Padding: ")
    drip(peer, done, b"x")


def drips_body(peer: socket.socket, done: threading.Event) -> None:
    peer.recv(65536)
    peer.sendall(HEAD + b"Content-Length: 100000\r\n\r\n")
    drip(peer, done, b" ")


def floods(peer: socket.socket, done: threading.Event) -> None:
    peer.recv(65536)
    peer.sendall(HEAD + b"\r\n")
    for _ in range(10_000):
        if done.is_set():
            return
        peer.sendall(b" " * 65536)


def breaks_off(peer: socket.socket, _done: threading.Event) -> None:
    peer.recv(65536)
    peer.sendall(HEAD + b"Content-Length: 100\r\n\r\n{}")


def closes(peer: socket.socket, _done: threading.Event) -> None:
    peer.recv(65536)


def babbles(peer: socket.socket, _done: threading.Event) -> None:
    peer.recv(65536)
    peer.sendall(b"220 smtp.example ESMTP\r\n")


@pytest.mark.parametrize(
    "serve", [silent, drips_status, drips_body, floods, breaks_off, closes, babbles]
)
def test_no_peer_holds_a_read_beyond_its_deadline(
    serve: Callable[[socket.socket, threading.Event], None],
) -> None:
    with listener(serve) as url:
        client = ConnectRest(url, scrub=str, read_deadline=0.4, max_bytes=1_000_000)
        start = time.monotonic()
        fault = client.observe(["a"]).fault
        elapsed = time.monotonic() - start
        client.close()
    assert isinstance(fault, Unavailable)
    assert elapsed < 8


@pytest.mark.parametrize(
    ("serve", "reason"),
    [
        (silent, "TimedOut"),
        (drips_status, "TimedOut"),
        (closes, "ConnectionLost"),
        (babbles, "ConnectionLost"),
    ],
)
def test_a_write_without_an_answer_may_have_been_applied(
    serve: Callable[[socket.socket, threading.Event], None], reason: str
) -> None:
    with listener(serve) as url:
        client = ConnectRest(url, scrub=str, write_deadline=0.4)
        fault = fault_of(lambda: client.apply(Stop("a")))
        client.close()
    assert (type(fault), fault.reason) == (OutcomeUnknown, reason)


@pytest.mark.parametrize("serve", [drips_body, breaks_off])
def test_a_write_that_was_accepted_stands_though_its_answer_breaks_off(
    serve: Callable[[socket.socket, threading.Event], None],
) -> None:
    with listener(serve) as url:
        client = ConnectRest(url, scrub=str, write_deadline=0.4)
        client.apply(Stop("a"))
        client.close()


def test_where_nobody_listens_nothing_was_sent() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    client = ConnectRest(f"http://127.0.0.1:{port}", scrub=str)
    assert fault_of(lambda: client.apply(Stop("a"))).reason == "WorkerUnreachable"
    fault = client.observe([]).fault
    assert isinstance(fault, Unavailable)
    assert fault.message.startswith("GET /connectors?expand=info&expand=status could not be sent:")
    client.close()


def test_one_connection_serves_all_calls() -> None:
    accepted = []

    def serve(peer: socket.socket, done: threading.Event) -> None:
        accepted.append(peer)
        for _ in range(100):
            if done.is_set() or not peer.recv(65536):
                return
            peer.sendall(HEAD + b"Content-Length: 2\r\n\r\n{}")

    with listener(serve) as url:
        client = ConnectRest(url, scrub=str, read_deadline=2.0)
        for _ in range(5):
            assert client.observe([]).complete
        client.close()
    assert len(accepted) == 1


def test_no_proxy_of_the_environment_gets_to_see_a_config(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked = []

    def proxy(peer: socket.socket, _done: threading.Event) -> None:
        asked.append(peer.recv(65536))

    with listener(proxy) as url, listener(closes) as worker:
        monkeypatch.setenv("HTTP_PROXY", url)
        monkeypatch.setenv("ALL_PROXY", url)
        client = ConnectRest(worker, scrub=str, write_deadline=0.4)
        fault_of(lambda: client.apply(PutConfig("a", CONFIG)))
        client.close()
    assert asked == []


def test_a_worker_may_take_long_to_start_and_lose_nothing() -> None:
    world = FakeConnectWorld(settle=0.5)
    connect = FakeConnect(world)
    connect.apply(CreateConnector("a", CONFIG))
    connect.apply(Resume("a"))
    world.down = True
    assert connect.observe(["a"]).fault is not None
    world.boot(html=3.0)
    world.clock.sleep(4.0)
    assert seen(connect, "a").state == "RUNNING"
