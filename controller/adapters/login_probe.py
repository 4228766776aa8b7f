"""One login at a database, to learn whether a secret is good before a connector uses it.

What is told apart is what a further try may cost. REFUSED: the database said so, and it may lock
the account if asked again. UNREACHABLE: whatever happened, no failed login was counted. DOUBTFUL:
the server was talking to us and then nothing conclusive came, so one may have been counted.
"""

from __future__ import annotations

import asyncio
import contextlib
import queue
import socket
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final, TypeAlias

from controller.core.faults import Rejected
from controller.core.login_answer import codes_of, judge
from controller.core.model import Login, ProbeOutcome
from controller.core.oracle_address import oracle_target

_CLOSED: Final = "DPY-4011"
_PROGRAM: Final = "wms-connector-controller"
_LOGOUT: Final = 1.0  # seconds
_INSTANT: Final = 0.001  # a socket takes 0 as "do not wait at all", which is something else


class DatabaseProbe:
    """`deadline` seconds are for the whole of one login, name resolution included."""

    def __init__(
        self,
        *,
        scrub: Callable[[str], str],
        deadline: float = 10.0,
        connect_timeout: float = 4.0,
    ) -> None:
        self._scrub = scrub
        self._deadline = deadline
        self._connect_timeout = min(connect_timeout, deadline)

    def probe(self, login: Login) -> tuple[ProbeOutcome, str]:
        driver = _DRIVERS.get(login.system)
        if driver is None:
            raise Rejected("UnknownDatabase", f"no driver for {login.system!r}")
        outcome, said = self._try(driver, login)
        return outcome, self._scrub(f"{login.address}: {said}")

    def _try(self, driver: _Driver, login: Login) -> tuple[ProbeOutcome, str]:
        witness = _Witness()
        results: queue.Queue[_Failure | None] = queue.Queue(1)
        limits = _Limits(self._deadline, self._connect_timeout)
        # A thread, as no driver lets a caller bound name resolution; it ends by the same limits.
        threading.Thread(
            target=_attempt,
            args=(driver, login, limits, witness, results),
            name="login-probe",
            daemon=True,
        ).start()
        try:
            failure = results.get(timeout=self._deadline)
        except queue.Empty:
            failure = _Failure((), f"no conclusive answer within {self._deadline:g} s")
        if failure is None:
            return ProbeOutcome.ACCEPTED, "login accepted"
        return judge(failure.codes, failure.detail, answered=witness.answered)


@dataclass(frozen=True, slots=True)
class _Limits:
    total: float
    connect: float


@dataclass(frozen=True, slots=True)
class _Failure:
    """Codes as the server or driver gave them, most telling first; no foreign text."""

    codes: tuple[str, ...]
    detail: str


class _Witness:
    """Sees whether the server said anything that belongs to a login."""

    answered = False


_Close: TypeAlias = "Callable[[], None]"
_Driver: TypeAlias = "Callable[[Login, _Limits, _Witness], _Close]"


def _attempt(
    driver: _Driver,
    login: Login,
    limits: _Limits,
    witness: _Witness,
    results: queue.Queue[_Failure | None],
) -> None:
    try:
        close = driver(login, limits, witness)
    except ModuleNotFoundError as error:
        results.put(_Failure((), f"the driver {error.name!r} is not installed here"))
    except Exception as error:  # noqa: BLE001 - drivers raise what they like, and it proves nothing
        results.put(_Failure(codes_of(error), _detail(error)))
    else:
        results.put(None)
        with contextlib.suppress(Exception):  # the login is proved already
            close()


def _detail(error: BaseException) -> str:
    """Our own words: a foreign text may quote the login."""
    for cause in _chain(error):
        if isinstance(cause, socket.gaierror | UnicodeError):
            return "the host's name cannot be resolved"
        if isinstance(cause, ConnectionRefusedError):
            return "the connection was refused"
        if isinstance(cause, TimeoutError):
            return "no answer in time"
        if isinstance(cause, ConnectionError):
            return "the connection was closed"
    if _CLOSED in str(error):
        return "the connection was closed"
    return f"the login failed with {type(error).__name__}"


def _chain(error: BaseException | None) -> Iterable[BaseException]:
    for _ in range(10):
        if error is None:
            return
        yield error
        error = error.__cause__ or error.__context__


# --- Oracle -------------------------------------------------------------------------------


def _oracle(login: Login, limits: _Limits, witness: _Witness) -> _Close:
    """Thin mode, which needs no client; its asynchronous form, as only that shows us its bytes."""
    import oracledb

    target: dict[str, Any] = {**oracle_target(login)}

    async def log_in() -> oracledb.AsyncConnection:
        async with asyncio.timeout(limits.total):
            connection: oracledb.AsyncConnection = await oracledb.connect_async(
                user=login.user.reveal(),
                password=login.password.reveal(),
                tcp_connect_timeout=limits.connect,
                retry_count=0,
                disable_oob=True,
                program=_PROGRAM,
                **target,
            )
            return connection

    async def log_out(connection: oracledb.AsyncConnection) -> None:
        async with asyncio.timeout(_LOGOUT):
            await connection.close()

    with contextlib.ExitStack() as stack:
        loop = stack.enter_context(contextlib.closing(_WitnessLoop(witness)))
        connection = loop.run_until_complete(log_in())
        stack.callback(lambda: loop.run_until_complete(log_out(connection)))
        return stack.pop_all().close


class _WitnessLoop(asyncio.SelectorEventLoop):
    """Tells the witness of the first byte that a server sends, after TLS if there is any."""

    def __init__(self, witness: _Witness) -> None:
        super().__init__()
        self._witness = witness

    async def create_connection(self, protocol_factory: Any, *args: Any, **options: Any) -> Any:
        def watched() -> asyncio.BaseProtocol:
            return _Watched(protocol_factory(), self._witness)

        transport, watching = await super().create_connection(watched, *args, **options)
        return transport, watching.inner  # type: ignore[attr-defined]

    async def start_tls(self, transport: Any, protocol: Any, *args: Any, **options: Any) -> Any:
        watched = _Watched(protocol, self._witness)
        return await super().start_tls(transport, watched, *args, **options)


class _Watched(asyncio.Protocol):
    def __init__(self, inner: Any, witness: _Witness) -> None:
        self.inner = inner
        self._witness = witness

    def data_received(self, data: bytes) -> None:
        self._witness.answered = True
        self.inner.data_received(data)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.inner.connection_made(transport)

    def connection_lost(self, exc: Exception | None) -> None:
        self.inner.connection_lost(exc)

    def eof_received(self) -> bool | None:
        return bool(self.inner.eof_received())

    def pause_writing(self) -> None:
        self.inner.pause_writing()

    def resume_writing(self) -> None:
        self.inner.resume_writing()


# --- PostgreSQL ---------------------------------------------------------------------------


def _postgresql(login: Login, limits: _Limits, witness: _Witness) -> _Close:
    import pg8000.native

    until = time.monotonic() + limits.total
    with contextlib.ExitStack() as stack:
        plain = socket.create_connection((login.host, login.port), limits.connect)
        watched = stack.enter_context(_WatchedSocket(plain, witness, until))
        connection = pg8000.native.Connection(
            user=login.user.reveal(),
            password=login.password.reveal(),
            database=login.database,
            host=login.host,
            application_name=_PROGRAM,
            sock=watched,
        )
        stack.callback(connection.close)
        return stack.pop_all().close


class _WatchedSocket(socket.socket):
    """Bounds the whole talk, not each read, and tells the witness of the first byte."""

    def __init__(self, plain: socket.socket, witness: _Witness, until: float) -> None:
        super().__init__(plain.family, plain.type, plain.proto, plain.detach())
        self._witness = witness
        self._until = until
        self.settimeout(max(_INSTANT, until - time.monotonic()))

    def recv_into(self, *args: Any) -> int:
        self.settimeout(max(_INSTANT, self._until - time.monotonic()))
        received = super().recv_into(*args)
        self._witness.answered = self._witness.answered or received > 0
        return received

    def recv(self, *args: Any) -> bytes:
        """Only the answer to the wish for TLS is read this way; after a yes we see no more."""
        received = super().recv(*args)
        self._witness.answered = self._witness.answered or received == b"S"
        return received


_DRIVERS: Final[Mapping[str, _Driver]] = MappingProxyType(
    {"oracle": _oracle, "postgresql": _postgresql}
)
