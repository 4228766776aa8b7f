"""What the end-to-end tests share: a stage at work, and questions to the world around it."""

from __future__ import annotations

import http.client
import json
import re
import socket
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any, Final, Self
from urllib.error import HTTPError, URLError
from urllib.parse import urlsplit
from urllib.request import urlopen

import pg8000.native
import yaml
from confluent_kafka import OFFSET_BEGINNING, Consumer, TopicPartition
from confluent_kafka.admin import ConfigResource, ConfigSource, ResourceType

from devstack.environment import REPOSITORY, wait_until
from devstack.process import Child
from devstack.rows import read_rows
from devstack.scene import CONNECTOR, Scene
from devstack.stack import Stack
from tests.e2e.verbs import run_verb

CANARY: Final = "canary-Pw-4711-do-not-print"
BASE: Final = "wms.WMS.PLAN_BASE_WVR_TBL"
BASE_TABLES: Final = ("MMDL", "WMS")  # the schemas whose PLAN_BASE_WVR_TBL a Writer writes
CONNECTOR_KEY: Final = f"connector/{CONNECTOR}"
# A Debezium task that is told to stop may open its connections once more, with the password that
# it was started with; after a rotation in the database that is the old one.
OF_A_STOPPING_TASK: Final = 2
_REFUSED_LOGIN: Final = re.compile(rb"FATAL:\s+password authentication failed")


class Played(Scene):
    """A stage whose person is quick."""

    def wmsctl(self, *arguments: str, seconds: float = 60.0) -> CompletedProcess[str]:
        return run_verb(arguments, self.env, REPOSITORY, seconds)


def set_up(stack: Stack, stage: str) -> Scene:
    """A stage with a worker that waits for `ready`; both end with the stack."""
    stack.aws.put_secret("wms/default/brokerString", stack.broker.bootstrap)
    stack.aws.put_secret(f"wms/{stage}/dbInfo", stack.postgres.db_info())
    worker = stack.add_worker(stage, ready=False, wait=False)
    scene = Played(stack, stage, worker)
    edit(scene, "stages/local/policy.yaml", _hurry)
    return scene


@contextmanager
def a_scene(
    stack: Stack, stage: str, *, overlay_extra: Mapping[str, str] | None = None
) -> Iterator[Scene]:
    """A stage on a stack that goes on; worker, controller and slot end with it."""
    scene = set_up(stack, stage)
    for name, text in (overlay_extra or {}).items():
        (scene.manifests / "stages" / "local" / name).write_text(text, encoding="utf-8")
    try:
        yield scene
    finally:
        end_controller(scene)
        for other in [w for w in stack.workers.values() if w.stage == stage]:
            other.kill()
        slot = f"wms_{stage.replace('-', '_')}"
        with suppress(pg8000.native.Error, OSError):
            wait_until(lambda: not slot_is_active(stack, slot), 10)
            stack.postgres.drop_slot(slot)
    assert_no_secret(scene)


def assert_no_secret(scene: Scene) -> None:
    """Look through all that controllers of this stack, this stage's too, wrote and remembered."""
    left = [*scene.stack.logs.glob("controller-*.log"), Path(scene.env["WMS_STATE_FILE"])]
    texts = {path: path.read_text(encoding="utf-8") for path in left if path.exists()}
    assert texts
    for path, text in texts.items():
        for secret in (CANARY, scene.stack.postgres.password):
            assert secret not in text, f"a secret in {path}"


def _hurry(documents: list[Any]) -> None:
    documents[0]["spec"]["intervals"] = {"cycle": "1s", "secrets": "2s", "listing": "1s"}


def end_controller(scene: Scene) -> None:
    if scene.controller is not None and scene.controller.alive:
        scene.kill()


def slot_is_active(stack: Stack, slot: str) -> bool:
    rows = stack.postgres.query(
        "SELECT 1 FROM pg_replication_slots WHERE slot_name = :slot AND active", slot=slot
    )
    return bool(rows)


# --- the process ------------------------------------------------------------------------------


def begin(scene: Scene) -> None:
    """Start the controller unless it runs; return when all is as declared."""
    if scene.controller is None or not scene.controller.alive:
        scene.start()
        scene.wait_running(60)
        scene.wait_converged(60)
    elif not (scene.running() and scene.status().get("converged")):
        settle(scene)


def settle(scene: Scene, seconds: float = 60.0) -> None:
    """Return when the connector runs and a cycle that began from now on found no difference."""
    scene.wait_running(seconds)
    at = int(scene.status().get("cycle", 0))
    settled = wait_until(
        lambda: bool((s := scene.status()).get("converged")) and s["cycle"] > at + 1, seconds
    )
    assert settled, f"after {seconds:.0f} s still not as declared:\n{scene.tell()}"


def next_cycles(scene: Scene, count: int = 2, seconds: float = 60.0) -> None:
    """Return when so many whole cycles were run: the time for the controller to do wrong."""
    at = int(scene.status().get("cycle", 0))
    scene.wait(
        lambda: int(scene.status().get("cycle", 0)) > at + count, f"{count} more cycles", seconds
    )


def end_with(child: Child, number: int, seconds: float) -> int | None:
    """The exit code after a signal, or nothing when it took longer."""
    child.signal(number)
    return child.wait(seconds)


def page(scene: Scene, path: str, port: str = "WMS_HTTP_PORT") -> tuple[int, str]:
    """Code and body of one page of the listeners; code 0 while nobody listens."""
    try:
        with urlopen(f"http://127.0.0.1:{scene.env[port]}{path}", timeout=5) as answer:
            return answer.status, answer.read().decode()
    except HTTPError as error:
        with error:
            return error.code, error.read().decode()
    except (URLError, OSError):
        return 0, ""


def faults(scene: Scene) -> set[str]:
    """The systems that the newest cycle could not look at."""
    return {fault["system"] for fault in scene.status().get("faults", [])}


class LogView:
    """The controller's log from now on, line by line."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._from = path.stat().st_size if path.exists() else 0

    def events(self, event: str) -> list[dict[str, Any]]:
        if not self._path.exists():
            return []
        with self._path.open("rb") as log:
            log.seek(self._from)
            whole = log.read().rpartition(b"\n")[0]
        found = (json.loads(line) for line in whole.splitlines() if line.startswith(b"{"))
        return [line for line in found if line.get("event") == event]

    def actions(self, kind: str = "") -> list[str]:
        """Names of the actions on a kind of resource (all kinds without one), in order."""
        lines = self.events("action")
        return [line["action"] for line in lines if line["resource"].startswith(kind)]


def log_of(scene: Scene) -> LogView:
    return LogView(scene.stack.logs / f"controller-{scene.stage}.log")


def kill_right_after(scene: Scene, action: str, start: Callable[[], object]) -> None:
    """Kill -9 the controller the moment its log tells of this action."""
    log = log_of(scene)
    start()
    assert wait_until(lambda: action in log.actions(), 60, every=0.002), (
        f"{action} was never done: {log.actions()}"
    )
    scene.kill()


# --- manifests --------------------------------------------------------------------------------


def edit(scene: Scene, file: str, change: Callable[[list[Any]], None]) -> Callable[[], None]:
    """Change the documents of one manifest file as a commit does; what is returned reverts it."""
    path = scene.manifests / file
    before = path.read_text(encoding="utf-8")
    documents = list(yaml.safe_load_all(before))
    change(documents)
    put_file(path, yaml.safe_dump_all(documents, sort_keys=False))
    return lambda: put_file(path, before)


def put_file(path: Path, text: str) -> None:
    part = path.with_suffix(".part")
    part.write_text(text, encoding="utf-8")
    part.replace(path)


def set_connector_key(scene: Scene, key: str, value: str) -> Callable[[], None]:
    def change(documents: list[Any]) -> None:
        found = next(d for d in documents if d["metadata"]["name"] == CONNECTOR)
        found["spec"]["config"][key] = value

    return edit(scene, "stages/local/connector.yaml", change)


# --- the database and its rows ----------------------------------------------------------------


def refused_logins(stack: Stack) -> int:
    """How many logins the database refused so far, whoever tried."""
    return len(_REFUSED_LOGIN.findall((stack.logs / "postgres.log").read_bytes()))


def keys_in_table(stack: Stack, schema: str) -> set[int]:
    rows = stack.postgres.query(f'SELECT "WVR_ID" FROM "{schema}"."PLAN_BASE_WVR_TBL"')
    return {int(row[0]) for row in rows}


def keys_in_topic(scene: Scene, schema: str, operations: str = "rc") -> list[int]:
    topic = scene.topic(f"wms.{schema}.PLAN_BASE_WVR_TBL")
    rows = read_rows(scene.stack.broker.bootstrap, topic)
    return [int(row.key["WVR_ID"]) for row in rows if row.operation in operations]


def lost_rows(scene: Scene) -> dict[str, set[int]]:
    """Primary keys that the tables hold and the topics do not."""
    found = {
        schema: keys_in_table(scene.stack, schema) - set(keys_in_topic(scene, schema))
        for schema in BASE_TABLES
    }
    return {schema: keys for schema, keys in found.items() if keys}


def wait_no_row_lost(scene: Scene, seconds: float = 60.0) -> None:
    scene.wait(lambda: not lost_rows(scene), "every row of the tables is in its topic", seconds)


def wait_position(scene: Scene) -> None:
    """Return when the snapshot is over and a position after it is committed.

    What ends the task before that has it read all tables again, and rightly so.
    """
    scene.stack.postgres.insert_waiver("WMS", "one after the snapshot")
    scene.wait(scene.has_position, "its position is committed", 90)


def assert_one_snapshot(scene: Scene) -> None:
    for schema in BASE_TABLES:
        read = keys_in_topic(scene, schema, "r")
        assert len(read) == len(set(read)), f"{schema} was snapshotted more than once"


class Writer:
    """Inserts rows all the time, also while the database is away: then it tries again."""

    def __init__(self, stack: Stack) -> None:
        self._stack = stack
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self.count = 0

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join(30)

    def _run(self) -> None:
        while not self._stop.wait(0.1):
            with suppress(pg8000.native.Error, OSError):
                schema = BASE_TABLES[self.count % len(BASE_TABLES)]
                self._stack.postgres.insert_waiver(schema, f"row {self.count}")
                self.count += 1


class Relay:
    """Stands before the database; while mute it takes calls, and those are never answered."""

    def __init__(self, port: int) -> None:
        self._target = ("127.0.0.1", port)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._held: list[socket.socket] = []
        self.port = int(self._listener.getsockname()[1])
        self.mute = False

    @property
    def held(self) -> int:
        return len(self._held)

    def __enter__(self) -> Self:
        threading.Thread(target=self._listen, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        for one in (self._listener, *self._held):
            one.close()

    def _listen(self) -> None:
        with suppress(OSError):  # closed
            while True:
                client, _ = self._listener.accept()
                serve = self._hold if self.mute else self._forward
                threading.Thread(target=serve, args=(client,), daemon=True).start()

    def _hold(self, client: socket.socket) -> None:
        if client.recv(8):  # it asks for TLS; one that only looks who listens asks nothing
            client.sendall(b"N")
            self._held.append(client)

    def _forward(self, client: socket.socket) -> None:
        with client, suppress(OSError), socket.create_connection(self._target) as server:
            back = threading.Thread(target=_pump, args=(server, client), daemon=True)
            back.start()
            _pump(client, server)
            back.join()


def _pump(source: socket.socket, target: socket.socket) -> None:
    with suppress(OSError):
        while data := source.recv(65_536):
            target.sendall(data)
    for one in (source, target):
        with suppress(OSError):
            one.shutdown(socket.SHUT_RDWR)


# --- between the controller and Connect -------------------------------------------------------


@dataclass
class Proxy:
    """Passes requests on to a worker; remembers them, and can hold answers or requests back."""

    target: str
    requests: list[tuple[str, str]] = field(default_factory=list)
    withhold_answer: frozenset[str] = frozenset()  # methods: applied, and never answered
    swallow: frozenset[str] = frozenset()  # methods: neither passed on nor answered
    held: threading.Event = field(default_factory=threading.Event)  # something is held back
    release: threading.Event = field(default_factory=threading.Event)

    @property
    def writes(self) -> list[tuple[str, str]]:
        return [(method, path) for method, path in self.requests if method != "GET"]

    def answer(self, handler: BaseHTTPRequestHandler) -> None:
        method, path = handler.command, handler.path
        self.requests.append((method, path))
        length = int(handler.headers.get("Content-Length") or 0)
        body = handler.rfile.read(length) if length else None
        if method in self.swallow:
            self._hold(handler)
            return
        code, kind, text = self._ask(method, path, body)
        if method in self.withhold_answer:
            self._hold(handler)
            return
        handler.send_response(code)
        handler.send_header("Content-Type", kind)
        handler.send_header("Content-Length", str(len(text)))
        handler.end_headers()
        handler.wfile.write(text)

    def _hold(self, handler: BaseHTTPRequestHandler) -> None:
        self.held.set()
        self.release.wait(60)
        handler.close_connection = True

    def _ask(self, method: str, path: str, body: bytes | None) -> tuple[int, str, bytes]:
        address = urlsplit(self.target)
        connection = http.client.HTTPConnection(str(address.hostname), address.port, timeout=60)
        try:
            headers = {"Content-Type": "application/json"} if body is not None else {}
            connection.request(method, path, body, headers)
            answer = connection.getresponse()
            kind = answer.getheader("Content-Type") or "application/json"
            return answer.status, kind, answer.read()
        except OSError:
            return 502, "text/plain", b"nobody there"
        finally:
            connection.close()


@contextmanager
def a_proxy(scene: Scene) -> Iterator[Proxy]:
    """The controller reaches Connect through it from its next start on."""
    proxy = Proxy(scene.worker.url)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            with suppress(OSError):
                proxy.answer(self)

        do_POST = do_PUT = do_DELETE = do_PATCH = do_GET  # noqa: N815 - their names there

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - its name there
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    before = scene.env["WMS_CONNECT_URL"]
    scene.env["WMS_CONNECT_URL"] = f"http://127.0.0.1:{server.server_port}"
    try:
        yield proxy
    finally:
        scene.env["WMS_CONNECT_URL"] = before
        proxy.release.set()
        server.shutdown()
        thread.join(10)
        server.server_close()


# --- Connect ----------------------------------------------------------------------------------


def put_config(scene: Scene, **changed: str) -> None:
    """As somebody does by REST who knows better; underscores stand for dots."""
    config = scene.config() | {key.replace("_", "."): value for key, value in changed.items()}
    scene.worker.request("PUT", f"/connectors/{CONNECTOR}/config", config)


def delete_topic(stack: Stack, name: str) -> None:
    """As somebody does by mistake; returns when it is gone."""
    client = stack.admin()  # its futures end with it
    client.delete_topics([name])[name].result(20)
    assert wait_until(lambda: name not in stack.topics(), 20)


def own_settings(stack: Stack, topic: str) -> dict[str, str]:
    """What was set on the topic itself, so that a person can make it again as it was."""
    resource = ConfigResource(ResourceType.TOPIC, topic)
    client = stack.admin()
    found = client.describe_configs([resource])[resource].result(10)
    set_here = int(ConfigSource.DYNAMIC_TOPIC_CONFIG.value)
    return {k: str(e.value) for k, e in found.items() if int(e.source) == set_here}


def read_raw(bootstrap: str, topic: str) -> list[bytes]:
    """Keys and values of a topic as bytes, from its beginning to its end."""
    consumer = Consumer(
        {
            "bootstrap.servers": bootstrap,
            "client.id": "e2e-raw",
            "group.id": "e2e-raw",  # never joined
            "enable.auto.commit": False,
            "enable.partition.eof": True,
            "allow.auto.create.topics": False,
        }
    )
    try:
        numbers = consumer.list_topics(topic, timeout=10).topics[topic].partitions
        consumer.assign([TopicPartition(topic, n, OFFSET_BEGINNING) for n in numbers])
        found: list[bytes] = []
        ended: set[int] = set()
        for _ in range(10_000):
            if len(ended) == len(numbers):
                break
            message = consumer.poll(1.0)
            if message is None:
                continue
            if message.error() is not None:
                ended.add(message.partition() or 0)
                continue
            found += [part for part in (message.key(), message.value()) if isinstance(part, bytes)]
        return found
    finally:
        consumer.close()
