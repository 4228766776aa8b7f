"""Kafka Connect over REST: one client for life, one deadline per call, one request per write."""

from __future__ import annotations

import json
import re
import threading
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Final, TypeAlias, TypeVar, assert_never
from urllib.parse import quote

from tenacity import RetryCallState, Retrying, retry_if_exception_type, wait_fixed

from controller.adapters.connect.answer import TOLD, Answer, Scrub, cut, read_fault
from controller.adapters.connect.client_library import httpx
from controller.adapters.connect.entry import (
    Malformed,
    read_cluster_id,
    read_config,
    read_connector,
    read_field_errors,
    read_health,
    read_listing,
    read_names,
    read_offsets,
)
from controller.adapters.connect.wire import NOT_SENT, DeadlineTransport
from controller.core.action import (
    ConnectorAction,
    CreateConnector,
    Pause,
    PutConfig,
    Restart,
    RestoreOffsets,
    Resume,
    Stop,
)
from controller.core.faults import (
    Conflict,
    Fault,
    OutcomeUnknown,
    Rejected,
    Transient,
    Unavailable,
)
from controller.core.model import (
    ABSENT,
    Absent,
    FieldError,
    Json,
    ObservedConnector,
    Offsets,
    ResourceKey,
    Snapshot,
    Unknown,
    connector_key,
)

MAX_BYTES: Final = 16 * 1024 * 1024
PENDING: Final = "PENDING"  # it exists, and no worker has written a status for it yet

_LISTING: Final = "/connectors?expand=info&expand=status"
_RETRY_PAUSE: Final = 0.3
_ATTEMPTS: Final = 5
_PENDING_READS: Final = 10  # in one observation; the rest is Unknown until the next

_UNUSABLE: Final = re.compile(r"[%/\\]|^\.{0,2}$")

T = TypeVar("T")
Item: TypeAlias = "ObservedConnector | Absent | Unknown"


class ConnectRest:
    """One Kafka Connect cluster, through whichever worker answers at this address.

    `on_request` is told method and path before each request; `requests` counts them.
    """

    def __init__(
        self,
        base_url: str,
        *,
        scrub: Scrub,
        read_deadline: float = 5.0,
        write_deadline: float = 15.0,
        max_bytes: int = MAX_BYTES,
        transport: httpx.BaseTransport | None = None,
        monotonic: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] | None = None,
        on_request: Callable[[str, str], None] | None = None,
    ) -> None:
        self._scrub = scrub
        self._read_deadline = read_deadline
        self._write_deadline = write_deadline
        self._max_bytes = max_bytes
        self._monotonic = monotonic
        self._on_request = on_request
        self.requests = 0
        self._client = httpx.Client(
            base_url=base_url,
            transport=transport or DeadlineTransport(monotonic),
            trust_env=False,  # a proxy of the environment is never the way to our own worker
            headers={"Accept": "application/json", "Accept-Encoding": "identity"},
        )
        self._retrying = Retrying(
            retry=retry_if_exception_type(Transient),
            wait=wait_fixed(_RETRY_PAUSE),
            stop=self._out_of_time,
            sleep=sleep or _pause,
            reraise=True,
        )

    def close(self) -> None:
        self._client.close()

    # --- reading --------------------------------------------------------------------------

    def cluster_id(self) -> str:
        return self._read("/", read_cluster_id)

    def observe(self, names: Collection[str]) -> Snapshot[ObservedConnector]:
        try:
            listing = self._read(_LISTING, read_listing)
        except Fault as fault:
            return Snapshot(fault=fault)
        items: dict[ResourceKey, Item] = {
            connector_key(name): self._item(name, entry) for name, entry in listing.items()
        }
        missing = sorted(set(names) - set(listing))
        return Snapshot({**items, **self._confirm(missing)} if missing else items)

    def offsets(self, name: str) -> Offsets:
        return self._read(_path(name, "offsets"), read_offsets)

    def alter_offsets(self, name: str, offsets: Offsets | list[dict[str, Json]]) -> None:
        body: list[Json] = [dict(entry) for entry in offsets]
        self._write("PATCH", _path(name, "offsets"), {"offsets": body})

    def validate(self, connector_class: str, config: Mapping[str, str]) -> Sequence[FieldError]:
        # Without the class in it, Connect quotes the whole config with its secrets resolved.
        body = {**config, "connector.class": connector_class}
        path = f"/connector-plugins/{quote(connector_class, safe='')}/config/validate"
        answer = self._write("PUT", path, body)
        return _read_as(f"PUT {path}", answer, self._errors)

    def _errors(self, document: object) -> tuple[FieldError, ...]:
        return tuple(read_field_errors(document, self._scrub))

    def _item(self, name: str, entry: object) -> ObservedConnector | Unknown:
        try:
            return read_connector(name, entry, self._scrub)
        except Malformed as error:
            return Unknown(_unexpected(f"the entry of connector {name}", str(error)))

    # --- absence --------------------------------------------------------------------------

    def _confirm(self, missing: Sequence[str]) -> dict[ResourceKey, Item]:
        """Believe that something is absent only of a healthy worker that was asked twice."""
        try:
            self._read("/health", read_health)
            there = frozenset(self._read("/connectors", read_names))
        except Fault as fault:
            return {connector_key(name): Unknown(fault) for name in missing}
        items: dict[ResourceKey, Item] = {
            connector_key(name): ABSENT for name in missing if name not in there
        }
        deadline = self._monotonic() + self._read_deadline  # one for all that are pending
        pending = [name for name in missing if name in there]
        for number, name in enumerate(pending):
            items[connector_key(name)] = self._pending(name, number, deadline)
        return items

    def _pending(self, name: str, number: int, deadline: float) -> ObservedConnector | Unknown:
        """Read the config of one that was left out of the listing, as it has no status yet."""
        if number >= _PENDING_READS or self._monotonic() >= deadline:
            told = f"connector {name} has no status yet and its config was not read this time"
            return Unknown(Unavailable("NotObserved", told))
        try:
            config = self._read(_path(name, "config"), read_config, deadline)
        except Fault as fault:
            return Unknown(fault)
        return ObservedConnector(connector_key(name), config, PENDING)

    # --- writing --------------------------------------------------------------------------

    def apply(self, action: ConnectorAction) -> None:
        match action:
            case CreateConnector(name, config):
                self._write("POST", "/connectors", _created(name, config))
            case PutConfig(name, config):
                self._write("PUT", _path(name, "config"), _named(name, config))
            case Resume(name):
                self._write("PUT", _path(name, "resume"))
            case Pause(name):
                self._write("PUT", _path(name, "pause"))
            case Stop(name):
                self._write("PUT", _path(name, "stop"))
            case Restart(name, only_failed):
                only = "true" if only_failed else "false"
                query = f"?includeTasks=true&onlyFailed={only}"
                self._write("POST", _path(name, "restart") + query)
            case RestoreOffsets(name, offsets):
                self.alter_offsets(name, offsets)
            case _:
                assert_never(action)

    def delete(self, name: str) -> None:
        try:
            self._write("DELETE", _path(name))
        except Conflict as fault:
            if fault.reason != "NotFound":
                raise

    # --- one call -------------------------------------------------------------------------

    def _read(self, path: str, reader: Callable[[object], T], until: float | None = None) -> T:
        """GET; what passes by itself is tried again within the deadline."""
        until = until if until is not None else self._monotonic() + self._read_deadline
        answer: Answer = self._retrying(self._get, path, until)
        return _read_as(f"GET {path}", answer, reader)

    def _get(self, path: str, until: float) -> Answer:
        answer = self._exchange("GET", path, None, until, write=False)
        if not answer.good:
            raise read_fault(f"GET {path}", answer, write=False, scrub=self._scrub)
        return answer

    def _out_of_time(self, state: RetryCallState) -> bool:
        until: float = state.args[1]
        late = self._monotonic() + _RETRY_PAUSE >= until
        return late or state.attempt_number >= _ATTEMPTS

    def _write(self, method: str, path: str, body: Mapping[str, Json] | None = None) -> Answer:
        """Send once, whatever happens: a write is never repeated before the world was looked at."""
        until = self._monotonic() + self._write_deadline
        answer = self._exchange(method, path, body, until, write=True)
        if not answer.good:
            raise read_fault(f"{method} {path}", answer, write=True, scrub=self._scrub)
        return answer

    def _exchange(
        self, method: str, path: str, body: object, until: float, *, write: bool
    ) -> Answer:
        what = f"{method} {path}"
        self.requests += 1
        if self._on_request is not None:
            self._on_request(method, path)
        request = self._client.build_request(
            method,
            path,
            content=None if body is None else json.dumps(body),
            headers={} if body is None else {"Content-Type": "application/json"},
            extensions={"deadline": until},
        )
        try:
            response = self._client.send(request, stream=True)
        except NOT_SENT as error:
            told = f"{what} could not be sent: {self._why(error)}"
            raise Unavailable("WorkerUnreachable", told) from error
        except httpx.TransportError as error:
            raise self._unanswered(what, error, write=write) from error
        try:
            return self._receive(response)
        finally:
            response.close()

    def _receive(self, response: httpx.Response) -> Answer:
        parts = bytearray()
        try:
            for part in response.iter_raw():
                parts += part
                if len(parts) > self._max_bytes:
                    return Answer(response.status_code, bytes(parts), whole=False)
        except httpx.TransportError:
            return Answer(response.status_code, bytes(parts), whole=False)
        return Answer(response.status_code, bytes(parts))

    def _unanswered(self, what: str, error: httpx.TransportError, *, write: bool) -> Fault:
        late = isinstance(error, httpx.TimeoutException)
        reason = "TimedOut" if late else "ConnectionLost"
        told = f"{what} was sent and not answered: {self._why(error)}"
        return (OutcomeUnknown if write else Unavailable)(reason, told)

    def _why(self, error: Exception) -> str:
        return cut(self._scrub(str(error) or type(error).__name__), TOLD)


def _pause(seconds: float) -> None:
    threading.Event().wait(seconds)


def _read_as(what: str, answer: Answer, reader: Callable[[object], T]) -> T:
    if not answer.whole:
        raise _unexpected(what, "the answer broke off or is too large")
    try:
        return reader(answer.document())
    except Malformed as error:
        raise _unexpected(what, str(error)) from error


def _unexpected(what: str, why: str) -> Unavailable:
    return Unavailable("UnexpectedAnswer", f"{what}: {why}")


def _path(name: str, *verb: str) -> str:
    """Refuse what Jetty refuses in every path: such a connector could never be deleted again."""
    if _UNUSABLE.search(name):
        raise Rejected("UnusableName", f"{name!r} cannot be the name of a connector")
    return "/".join(("/connectors", quote(name, safe=""), *verb))


def _created(name: str, config: Mapping[str, str]) -> dict[str, Json]:
    _path(name)
    return {"name": name, "config": _named(name, config), "initial_state": "STOPPED"}


def _named(name: str, config: Mapping[str, str]) -> dict[str, Json]:
    """Say the name as Connect would add it: a PATCH may have left another one."""
    return {**config, "name": name}
