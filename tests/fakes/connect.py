"""A Kafka Connect 4.3 worker in memory: its REST answers, its surprises, and faults on demand.

    FakeConnectWorld    connectors, tasks and offsets, driven by requests and by a virtual clock
    FakeConnectServer   HTTP in front of a world; `fail` says which requests go wrong, and how
    FakeConnect         the real adapter in front of such a server: a ConnectClient for simulations

What it answers was compared with a real worker; tests/contract runs the same tests against both.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, TypeAlias
from urllib.parse import parse_qs, quote, unquote, urlsplit

import httpx

from controller.adapters.connect import ConnectRest

FILE_SOURCE: Final = "org.apache.kafka.connect.file.FileStreamSourceConnector"
POSTGRES: Final = "io.debezium.connector.postgresql.PostgresConnector"
ORACLE: Final = "io.debezium.connector.oracle.OracleConnector"
WORKER: Final = "127.0.0.1:8083"

REBALANCING: Final = (
    "Cannot complete request momentarily due to stale configuration (typically caused by a "
    "concurrent config change)"
)
REBALANCE_EXPECTED: Final = "Request cannot be completed because a rebalance is expected"
NULL_VALUE: Final = (
    'Cannot invoke "org.apache.kafka.connect.runtime.rest.entities.ConfigValueInfo.errors()" '
    "because the return value of "
    '"org.apache.kafka.connect.runtime.rest.entities.ConfigInfo.configValue()" is null'
)
REQUEST_TIMED_OUT: Final = (
    "Request timed out. The worker is currently stopping 1 and 1 tasks, which began at 2026-01-01"
)
HTML: Final = "<html><body><h2>HTTP ERROR 404 Not Found</h2></body></html>"
_NO_LEADER: Final = (
    "Cannot complete request momentarily due to no known leader URL, likely because a rebalance "
    "was underway."
)
_NOT_STOPPED: Final = (
    "Connectors must be in the STOPPED state before their offsets can be modified. This can be "
    "done for the specified connector by issuing a 'PUT' request to the '/connectors/{}/stop' "
    "endpoint"
)
_INVALID: Final = (
    "Connector configuration is invalid and contains the following {} error(s):\n{}\nYou can also "
    "find the above list of errors at the endpoint "
    "`/connector-plugins/{{connectorType}}/config/validate`"
)
_REQUIRED: Final[Mapping[str, tuple[str, ...]]] = {
    FILE_SOURCE: ("topic",),
    POSTGRES: ("topic.prefix", "database.hostname", "database.user", "database.dbname"),
    ORACLE: ("topic.prefix", "database.hostname", "database.user", "database.dbname"),
}
_VERSIONS: Final = {FILE_SOURCE: "4.3.1", POSTGRES: "3.6.1.Final", ORACLE: "3.6.1.Final"}
_DEPRECATED: Final = "internal.legacy.snapshot.max.threads"  # has no value in a validate answer

Complaint: TypeAlias = "tuple[str, str]"  # field, message
Validator: TypeAlias = "Callable[[Mapping[str, str]], Sequence[Complaint]]"


class Clock:
    """Time that passes only when somebody waits."""

    def __init__(self, start: float = 0.0) -> None:
        self.time = start

    def now(self) -> float:
        return self.time

    def sleep(self, seconds: float) -> None:
        self.time += seconds


# --- the world ----------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Reply:
    status: int
    body: Any = None
    location: str | None = None

    @property
    def text(self) -> str:
        return "" if self.body is None else json.dumps(self.body)


def page(status: int, method: str, target: str) -> Reply:
    """Jetty's own page: JSON to whom asks for JSON, and nothing to some methods."""
    told = {400: "Bad Request", 404: "Not Found"}.get(status, "Error")
    body = {"message": told, "url": f"http://{WORKER}{target}", "status": str(status)}
    return Reply(status, body if method in ("GET", "POST") else None)


@dataclass(slots=True)
class Task:
    config: dict[str, str]
    shown_at: float
    trace: str | None = None
    restarting_until: float = 0.0
    starts: int = 1


@dataclass(slots=True)
class Connector:
    """One connector; what its status shows follows `settle` later."""

    config: dict[str, str]
    target: str  # RUNNING | PAUSED | STOPPED, as asked for
    visible_at: float  # until then it has no status
    before: str = ""  # the target that is still shown
    switched_at: float = 0.0
    restarting_until: float = 0.0
    trace: str | None = None
    starts: int = 0
    tasks: list[Task] = field(default_factory=list)
    leftover: list[Task] = field(default_factory=list)  # still shown after a stop


class Refusal(Exception):
    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.reply = Reply(status, {"error_code": status, "message": message})


class FakeConnectWorld:
    """A Connect cluster of one worker; `settle` is how long its rebalances take."""

    def __init__(
        self,
        *,
        clock: Clock | None = None,
        settle: float = 0.0,
        cluster_id: str = "fake-cluster",
        validator: Validator | None = None,
    ) -> None:
        self.clock = clock or Clock()
        self.settle = settle
        self.cluster_id = cluster_id
        self.validator = validator
        self.connectors: dict[str, Connector] = {}
        self.offsets: dict[str, dict[str, Any]] = {}  # survive their connector
        self.logins = 0  # validations that got as far as the database
        self.down = False
        self._html_until = self._hollow_until = self._rebalance_until = float("-inf")
        self._dooms: dict[str, str] = {}
        self._later: list[tuple[float, str, str, str]] = []

    # what a test or a simulation does to it

    def boot(self, html: float = 3.0, hollow: float = 0.0) -> None:
        """Start the worker anew: 404 pages, then `/health` 503 over an empty list, then itself."""
        self.down = False
        self._html_until = self.clock.now() + html
        self._hollow_until = self._html_until + hollow
        for name, connector in self.connectors.items():
            self._start(name, tasks=bool(connector.tasks))

    def rebalance(self, seconds: float) -> None:
        self._rebalance_until = self.clock.now() + seconds

    def doom(self, name: str, trace: str) -> None:
        """Make every start of the connector's tasks fail from now on."""
        self._dooms[name] = trace

    def absolve(self, name: str) -> None:
        self._dooms.pop(name, None)

    def fail_task(self, name: str, trace: str, task: int = 0) -> None:
        self.connectors[name].tasks[task].trace = trace

    def fail_connector(self, name: str, trace: str) -> None:
        self.connectors[name].trace = trace

    def commit(self, name: str, partition: Mapping[str, Any], offset: Any) -> None:
        self.offsets.setdefault(name, {})[json.dumps(partition, sort_keys=True)] = offset

    def hand(self, method: str, target: str, body: Any = None) -> Reply:
        """Somebody's request, past all faults; time-consuming ones are done when it returns."""
        return self.handle(method, target, "" if body is None else json.dumps(body))

    def later(self, seconds: float, method: str, target: str, body: str) -> None:
        """Carry a request out when nobody waits for it any more."""
        self._later.append((self.clock.now() + seconds, method, target, body))

    # what it answers

    def handle(self, method: str, target: str, body: str = "") -> Reply:
        now = self.clock.now()
        if now < self._html_until:
            return page(404, method, target)
        self._catch_up(now)
        url = urlsplit(target)
        if re.search("%(25|2F|5C)", url.path):
            return page(400, method, target)
        path = [unquote(part) for part in url.path.strip("/").split("/")]
        if now < self._hollow_until:
            return self._hollow(path)
        try:
            return self._route(method, path, parse_qs(url.query), body)
        except Refusal as refusal:
            return refusal.reply

    def _catch_up(self, now: float) -> None:
        due = [late for late in self._later if late[0] <= now]
        self._later = [late for late in self._later if late[0] > now]
        for _, method, target, body in due:
            self.handle(method, target, body)

    @staticmethod
    def _hollow(path: list[str]) -> Reply:
        if path == ["connectors"]:
            return Reply(200, [])
        message = "Worker is still starting up."
        return Reply(503, {"status": "starting", "message": message})

    def _route(self, method: str, path: list[str], query: dict[str, list[str]], body: str) -> Reply:
        match method, path:
            case "GET", [""]:
                commit = "0" * 16
                version = {"version": "4.3.1", "commit": commit}
                return Reply(200, {**version, "kafka_cluster_id": self.cluster_id})
            case "GET", ["health"]:
                message = "Worker has completed startup and is ready to handle requests."
                return Reply(200, {"status": "healthy", "message": message})
            case "GET", ["connectors"]:
                return Reply(200, self._list(query.get("expand", [])))
            case "POST", ["connectors"]:
                return self._create(_document(body))
            case "PUT", ["connector-plugins", plugin, "config", "validate"]:
                return self._validate(plugin, _strings(_document(body)))
            case _, ["connectors", name, *rest] if name:
                return self._route_connector(method, name, rest, query, body)
        raise Refusal(404, "HTTP 404 Not Found")

    def _route_connector(
        self, method: str, name: str, rest: list[str], query: dict[str, list[str]], body: str
    ) -> Reply:
        if method == "GET":
            return Reply(200, self._get(name, rest))
        match method, rest:
            case "PUT", ["pause" | "resume" | "stop" as verb]:
                return self._switch(name, verb)
            case "POST", ["restart"]:
                return self._restart(name, query)
            case "POST", ["tasks", number, "restart"] if number.isdecimal():
                return self._restart_task(name, int(number))
            case _, ["offsets"]:
                return self._write_offsets(method, name, body)
        return self._configure(method, name, rest, body)

    def _configure(self, method: str, name: str, rest: list[str], body: str) -> Reply:
        match method, rest:
            case "PUT", ["config"]:
                return self._put(name, _strings(_document(body)))
            case "PATCH", ["config"]:
                return self._patch(name, _document(body))
            case "DELETE", []:
                self._known(name)
                del self.connectors[name]
                return Reply(204)
        raise Refusal(404, "HTTP 404 Not Found")

    def _get(self, name: str, rest: list[str]) -> Any:
        match rest:
            case ["status"]:
                return self._status(name)
            case ["topics"]:
                return {name: {"topics": []}}
        connector = self._known(name, reading=True)
        match rest:
            case []:
                return self._info(connector)
            case ["config"]:
                return dict(connector.config)
            case ["tasks"]:
                return self._tasks(name, connector)
            case ["offsets"]:
                return self._offsets(name)
        raise Refusal(404, "HTTP 404 Not Found")

    # --- reading

    def _known(
        self, name: str, missing: str = "Connector {} not found", *, reading: bool = False
    ) -> Connector:
        """All that the one thread of the worker does: not during a rebalance."""
        if self.clock.now() < self._rebalance_until:
            raise Refusal(500, REBALANCE_EXPECTED) if reading else Refusal(409, REBALANCING)
        if name not in self.connectors:
            raise Refusal(404, missing.format(name))
        return self.connectors[name]

    def _list(self, expand: list[str]) -> Any:
        if not expand:
            return list(self.connectors)
        return {name: entry for name in self.connectors for entry in self._expanded(name, expand)}

    def _expanded(self, name: str, expand: list[str]) -> Iterator[dict[str, Any]]:
        entry: dict[str, Any] = {}
        if "info" in expand:
            entry["info"] = self._info(self.connectors[name])
        if "status" in expand:
            try:
                entry["status"] = self._status(name)
            except Refusal:
                return  # left out altogether
        yield entry

    @staticmethod
    def _info(connector: Connector) -> dict[str, Any]:
        name = connector.config["name"]
        tasks = [{"connector": name, "task": number} for number in range(len(connector.tasks))]
        return {"name": name, "config": dict(connector.config), "tasks": tasks, "type": "source"}

    def _status(self, name: str) -> dict[str, Any]:
        connector, now = self.connectors.get(name), self.clock.now()
        if connector is None or now < connector.visible_at:
            raise Refusal(404, f"No status found for connector {name}")
        state = "RESTARTING" if now < connector.restarting_until else self._target(connector)
        own = _state("FAILED" if connector.trace else state, connector.trace, connector.config)
        tasks = [
            {"id": number, **self._task_status(task, connector)}
            for number, task in self._shown(connector)
        ]
        return {"name": name, "connector": own, "tasks": tasks, "type": "source"}

    def _target(self, connector: Connector) -> str:
        stale = self.clock.now() < connector.switched_at + self.settle
        return connector.before if stale and connector.before else connector.target

    def _shown(self, connector: Connector) -> Iterator[tuple[int, Task]]:
        now = self.clock.now()
        if connector.target == "STOPPED":
            if now < connector.switched_at + 2 * self.settle:
                yield from enumerate(connector.leftover)
            return
        yield from (entry for entry in enumerate(connector.tasks) if now >= entry[1].shown_at)

    def _task_status(self, task: Task, connector: Connector) -> dict[str, Any]:
        target = "PAUSED" if self._target(connector) == "PAUSED" else "RUNNING"
        state = "RESTARTING" if self.clock.now() < task.restarting_until else target
        return _state("FAILED" if task.trace else state, task.trace, connector.config)

    @staticmethod
    def _tasks(name: str, connector: Connector) -> list[dict[str, Any]]:
        return [
            {"id": {"connector": name, "task": number}, "config": dict(task.config)}
            for number, task in enumerate(connector.tasks)
        ]

    def _offsets(self, name: str) -> dict[str, Any]:
        entries = self.offsets.get(name, {}).items()
        return {"offsets": [{"partition": json.loads(p), "offset": o} for p, o in entries]}

    # --- configuring

    def _create(self, document: dict[str, Any]) -> Reply:
        for unknown in sorted(set(document) - {"name", "config", "initial_state"}):
            raise Refusal(500, f'Unrecognized field "{unknown}" (class ...CreateConnectorRequest)')
        state = str(document.get("initial_state", "RUNNING")).upper()
        if state not in ("RUNNING", "PAUSED", "STOPPED"):
            raise Refusal(500, f"Cannot construct instance of `...InitialState`: {state}")
        if document.get("config") is None:
            raise Refusal(
                500,
                'Cannot invoke "java.util.Map.get(Object)" because "connectorConfig" is null',
            )
        name = str(document.get("name") or "").strip()
        config = self._acceptable(name, _strings(document["config"]))
        if self.clock.now() < self._rebalance_until:
            raise Refusal(409, REBALANCING)
        if name in self.connectors:
            raise Refusal(409, f"Connector {name} already exists")
        return self._new(name, config, state)

    def _new(self, name: str, config: dict[str, str], state: str) -> Reply:
        connector = Connector(config, state, self.clock.now() + self.settle)
        self.connectors[name] = connector
        self._start(name, tasks=state == "RUNNING")
        info = {**self._info(connector), "tasks": []}
        return Reply(201, info, location=f"http://{WORKER}/connectors/{quote(name)}")

    def _put(self, name: str, config: dict[str, str | None]) -> Reply:
        accepted = self._acceptable(name, config)
        if self.clock.now() < self._rebalance_until:
            raise Refusal(409, REBALANCING)
        if name not in self.connectors:
            return self._new(name, accepted, "RUNNING")
        return self._replace(name, accepted)

    def _patch(self, name: str, patch: dict[str, Any]) -> Reply:
        connector = self._known(name)
        merged = {**connector.config, **{key: _string(v) for key, v in patch.items()}}
        config = {key: value for key, value in merged.items() if value is not None}
        stored = config["name"]  # taken as it comes: this corrupts the stored name
        accepted = self._acceptable(name, {**config, "name": name})
        return self._replace(name, {**accepted, "name": stored})

    def _replace(self, name: str, config: dict[str, str]) -> Reply:
        """Even an identical config starts the connector anew; tasks only when theirs differs."""
        connector = self.connectors[name]
        changed = config != connector.config
        connector.config = config
        self._start(name, tasks=changed)
        return Reply(200, self._info(connector))

    def _acceptable(self, name: str, config: Mapping[str, str | None]) -> dict[str, str]:
        if not name:
            raise Refusal(
                400,
                _invalid(
                    [("name", "Invalid value  for configuration name: String may not be empty")]
                ),
            )
        if config.get("name", name) != name:
            raise Refusal(
                400,
                f"Connector name configuration ({config['name']}) doesn't match connector name in "
                f"the URL ({name})",
            )
        cls = _class(config)
        if not cls:
            raise Refusal(400, f"Connector config {_java(config)} contains no connector type")
        if cls not in _REQUIRED:
            raise Refusal(
                400,
                "Failed to find any class that implements Connector and which name matches "
                f"{cls}, available connectors are: ...",
            )
        complaints = self._complaints({**config, "name": name})
        if complaints and cls != FILE_SOURCE:
            raise Refusal(500, NULL_VALUE)
        if complaints:
            raise Refusal(400, _invalid(complaints))
        return {**{key: str(value) for key, value in config.items()}, "name": name}

    def _complaints(self, config: Mapping[str, str | None]) -> list[Complaint]:
        nulls = [key for key, value in config.items() if value is None]
        if nulls:
            return [(nulls[0], "Null value can not be supplied as the configuration value.")]
        given = {key: str(value) for key, value in config.items()}
        complaints = [
            (key, f'Missing required configuration "{key}" which has no default value.')
            for key in _REQUIRED[_class(config)]
            if key not in given
        ]
        if complaints or _class(config) == FILE_SOURCE:
            return complaints
        self.logins += 1
        return list(self.validator(given)) if self.validator is not None else []

    def _validate(self, plugin: str, config: dict[str, str | None]) -> Reply:
        cls = _class(config)
        if not cls:
            told = f"Connector config {_java(config)} contains no connector type"
            raise Refusal(500, f"org.apache.kafka.connect...BadRequestException: {told}")
        if cls not in _REQUIRED:
            raise Refusal(
                500,
                "...BadRequestException: Failed to find any class that implements Connector and "
                f"which name matches {cls}",
            )
        if _class({"connector.class": plugin}) != cls:
            raise Refusal(
                400, f"Included connector type {cls} does not match request type {plugin}"
            )
        complaints = self._complaints(config)
        fields = sorted({*config, *(key for key, _ in complaints)} | set(_REQUIRED[cls]))
        configs = [_config_info(key, complaints) for key in fields]
        if cls != FILE_SOURCE:
            configs.append({"definition": {"name": _DEPRECATED}, "value": None})
        count = len(complaints)
        return Reply(200, {"name": cls, "error_count": count, "groups": [], "configs": configs})

    # --- running

    def _start(self, name: str, *, tasks: bool) -> None:
        connector = self.connectors[name]
        connector.starts += 1
        connector.trace = None
        if not tasks or connector.target == "STOPPED":
            return
        if connector.tasks:
            self._restart_one(name, connector.tasks[0], shown=False)
        else:
            shown_at = self.clock.now() + 2 * self.settle  # one rebalance more
            task = Task(dict(connector.config), shown_at, self._dooms.get(name))
            connector.tasks = [task]

    def _switch(self, name: str, verb: str) -> Reply:
        connector = self._known(name, "Unknown connector {}")
        before = self._target(connector)
        connector.before, connector.switched_at = before, self.clock.now()
        connector.target = {"pause": "PAUSED", "resume": "RUNNING", "stop": "STOPPED"}[verb]
        if verb == "stop":
            connector.leftover, connector.tasks = connector.tasks or connector.leftover, []
            connector.trace = None
            return Reply(204)
        if verb == "resume" and not connector.tasks:
            self._start(name, tasks=True)
        return Reply(202)

    def _restart(self, name: str, query: dict[str, list[str]]) -> Reply:
        connector = self._known(name, "Unknown connector: {}")
        include, only_failed = (
            query.get(key, ["false"])[0] == "true" for key in ("includeTasks", "onlyFailed")
        )
        if connector.trace or not only_failed:
            connector.trace = None
            connector.starts += 1
            connector.restarting_until = self.clock.now() + self.settle
        if include and connector.target != "STOPPED":
            for task in connector.tasks:
                if task.trace or not only_failed:
                    self._restart_one(name, task)
        if not include and not only_failed:
            return Reply(204)
        return Reply(202, self._status(name))

    def _restart_task(self, name: str, number: int) -> Reply:
        connector = self._known(name, "Unknown connector: {}")
        if connector.target == "STOPPED" and number < len(connector.leftover):
            raise Refusal(409, _NO_LEADER)
        if number >= len(connector.tasks):
            raise Refusal(404, f"Unknown task: {name}-{number}")
        self._restart_one(name, connector.tasks[number])
        return Reply(204)

    def _restart_one(self, name: str, task: Task, *, shown: bool = True) -> None:
        task.trace = self._dooms.get(name)
        task.config = dict(self.connectors[name].config)
        task.starts += 1
        task.restarting_until = self.clock.now() + self.settle if shown else 0.0

    def _write_offsets(self, method: str, name: str, body: str) -> Reply:
        if self._known(name).target != "STOPPED":
            raise Refusal(400, _NOT_STOPPED.format(name))
        done = "The offsets for this connector have been {} successfully"
        if method == "DELETE":
            self.offsets[name] = dict.fromkeys(self.offsets.get(name, {}))  # null for a while
            return Reply(200, {"message": done.format("reset")})
        entries = _document(body).get("offsets")
        if method != "PATCH" or not entries:
            told = "Partitions / offsets need to be provided for an alter offsets request"
            raise Refusal(400, told)
        for entry in entries:
            self.commit(name, entry["partition"], entry["offset"])
        return Reply(200, {"message": done.format("altered")})


def _state(state: str, trace: str | None, config: Mapping[str, str]) -> dict[str, Any]:
    shown = {"state": state, "worker_id": WORKER, "version": _VERSIONS[_class(config)]}
    return {**shown, "trace": trace} if trace else shown


def _class(config: Mapping[str, str | None]) -> str:
    given = config.get("connector.class") or ""
    for cls in _REQUIRED:
        simple = cls.rpartition(".")[2]
        if given in (cls, simple, simple.removesuffix("Connector")):
            return cls
    return given


def _java(config: Mapping[str, str | None]) -> str:
    return "{" + ", ".join(f"{key}={value}" for key, value in config.items()) + "}"


def _invalid(complaints: Sequence[Complaint]) -> str:
    told = "\n".join(text for _, text in complaints)
    return _INVALID.format(len(complaints), told)


def _config_info(key: str, complaints: Sequence[Complaint]) -> dict[str, Any]:
    errors = [text for field_, text in complaints if field_ == key]
    value = {"name": key, "value": None, "recommended_values": [], "errors": errors}
    return {"definition": {"name": key}, "value": {**value, "visible": True}}


def _document(body: str) -> dict[str, Any]:
    try:
        document = json.loads(body)
    except ValueError:
        raise Refusal(500, "Unexpected character: was expecting a JSON value") from None
    if not isinstance(document, dict):
        raise Refusal(500, "Cannot deserialize value of type `...`")
    return document


def _strings(document: Any) -> dict[str, str | None]:
    if not isinstance(document, dict):
        raise Refusal(500, "Cannot construct instance of `java.util.LinkedHashMap`")
    return {key: _string(value) for key, value in document.items()}


def _string(value: Any) -> str | None:
    if isinstance(value, dict | list):
        raise Refusal(500, "Cannot deserialize value of type `java.lang.String`")
    if isinstance(value, bool):
        return "true" if value else "false"
    return None if value is None else str(value)


# --- HTTP in front of it ------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Refuse:
    """Nothing listens."""


@dataclass(frozen=True, slots=True)
class TimeOut:
    """No answer comes; the request was carried out before, or never."""

    applied: bool


@dataclass(frozen=True, slots=True)
class Lose:
    """The connection ends instead of an answer."""

    applied: bool


@dataclass(frozen=True, slots=True)
class Say:
    """An answer of this status; without a message it is Jetty's and not Connect's."""

    status: int
    message: str | None = None
    applied: bool = False


@dataclass(frozen=True, slots=True)
class SayText:
    """An answer that is no JSON, or some other JSON."""

    text: str
    status: int = 200


@dataclass(frozen=True, slots=True)
class Slow:
    """The answer comes after so many seconds, if the client waits that long."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Late:
    """No answer comes, and the request is carried out so many seconds later."""

    seconds: float


Behaviour: TypeAlias = "Refuse | TimeOut | Lose | Say | SayText | Slow | Late"
REBALANCE: Final = Say(409, REBALANCING)


@dataclass(slots=True)
class _Rule:
    method: str
    path: re.Pattern[str]
    behaviour: Behaviour
    left: int


class FakeConnectServer(httpx.BaseTransport):
    """Serves one world over httpx; `log` has every request that arrived, as (method, target)."""

    def __init__(self, world: FakeConnectWorld) -> None:
        self.world = world
        self.log: list[tuple[str, str]] = []
        self._rules: list[_Rule] = []

    def fail(self, method: str, path: str, behaviour: Behaviour, times: int = 1) -> None:
        """Let the next `times` requests of this method ("" is any) and path go wrong."""
        self._rules.append(_Rule(method, re.compile(path), behaviour, times))

    def heal(self) -> None:
        self._rules.clear()

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        target = request.url.raw_path.decode()
        behaviour = self._behaviour(request.method, target)
        if self.world.down or isinstance(behaviour, Refuse):
            raise httpx.ConnectError("[Errno 111] Connection refused")
        self.log.append((request.method, target))
        return self._behave(request, target, request.read().decode(), behaviour)

    def _behaviour(self, method: str, target: str) -> Behaviour | None:
        for rule in self._rules:
            if rule.left > 0 and rule.method in ("", method) and rule.path.search(target):
                rule.left -= 1
                return rule.behaviour
        return None

    def _behave(
        self, request: httpx.Request, target: str, body: str, behaviour: Behaviour | None
    ) -> httpx.Response:
        method, world = request.method, self.world
        match behaviour:
            case Say(status, message, applied):
                if applied:
                    world.handle(method, target, body)
                if message is None:
                    return _response(page(status, method, target))
                return _response(Reply(status, {"error_code": status, "message": message}))
            case SayText(text, status):
                return httpx.Response(status, stream=httpx.ByteStream(text.encode()))
            case TimeOut(applied) | Lose(applied):
                if applied:
                    world.handle(method, target, body)
                if isinstance(behaviour, Lose):
                    raise httpx.RemoteProtocolError("Server disconnected without an answer")
                self._wait(request, float("inf"))
            case Late(seconds):
                world.later(seconds, method, target, body)
                self._wait(request, float("inf"))
            case Slow(seconds):
                reply = world.handle(method, target, body)
                self._wait(request, seconds)
                return _response(reply)
        return _response(world.handle(method, target, body))

    def _wait(self, request: httpx.Request, seconds: float) -> None:
        left = max(float(request.extensions["deadline"]) - self.world.clock.now(), 0.0)
        self.world.clock.sleep(min(seconds, left))
        if seconds > left:
            raise httpx.ReadTimeout("the deadline passed")


def _response(reply: Reply) -> httpx.Response:
    headers = {"Content-Type": "application/json"} if reply.text else {}
    if reply.location:
        headers["Location"] = reply.location
    stream = httpx.ByteStream(reply.text.encode())
    return httpx.Response(reply.status, stream=stream, headers=headers)


# --- a ConnectClient of it ----------------------------------------------------------------


def _plain(text: str) -> str:
    return text


class FakeConnect(ConnectRest):
    """The adapter as it is, in front of a fake worker, in virtual time."""

    def __init__(
        self,
        world: FakeConnectWorld | None = None,
        *,
        scrub: Callable[[str], str] = _plain,
        max_bytes: int = 1024 * 1024,
    ) -> None:
        self.world = world or FakeConnectWorld()
        self.server = FakeConnectServer(self.world)
        super().__init__(
            f"http://{WORKER}",
            scrub=scrub,
            max_bytes=max_bytes,
            transport=self.server,
            monotonic=self.world.clock.now,
            sleep=self.world.clock.sleep,
        )
