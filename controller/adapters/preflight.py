"""Reads of a source database what `core/preflight.py` judges: SELECTs only, each on its own.

A check that may not be read costs that check and no other. The login is one that was proved before.
"""

from __future__ import annotations

import asyncio
import contextlib
import queue
import re
import socket
import threading
from collections.abc import Callable, Coroutine, Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final, Protocol, TypeAlias

from controller.core.faults import Denied, Fault, OutcomeUnknown, Rejected, Unavailable
from controller.core.login_answer import codes_of, judge
from controller.core.model import Login, ProbeOutcome
from controller.core.oracle_address import oracle_target
from controller.core.preflight import Said, Scalar, Subject

_PROGRAM: Final = "wms-connector-controller"
_IDENTIFIER: Final = re.compile(r"[A-Za-z][A-Za-z0-9_$#]{0,127}")
_LOG_GROUPS: Final = (
    "SELECT COUNT(*) FROM all_log_groups WHERE owner = :1 AND table_name = :2 "
    "AND log_group_type = 'ALL COLUMN LOGGING'"
)

# A group that was never written, or is being cleared, has no first SCN: it says 0.
_REDO: Final = (
    "SELECT MIN(first_change#), (SYSDATE - MIN(first_time)) * 24, (SYSDATE - MAX("
    "CASE WHEN first_change# <= TO_NUMBER(:1) THEN first_time END)) * 24 FROM ("
    "SELECT first_change#, first_time FROM v$log "
    "WHERE status IN ('CURRENT', 'ACTIVE', 'INACTIVE') UNION ALL "
    "SELECT first_change#, first_time FROM v$archived_log "
    "WHERE status = 'A' AND deleted = 'NO' AND standby_dest = 'NO' AND name IS NOT NULL)"
)
# Exact to seconds, and known for five days or a little more: what is older is ORA-08181.
_POSITION: Final = "SELECT (SYSDATE - CAST(SCN_TO_TIMESTAMP(TO_NUMBER(:1)) AS DATE)) * 24 FROM dual"

Row: TypeAlias = "Sequence[Any]"


class Session(Protocol):
    """One connection."""

    def query(self, sql: str, *values: str) -> Row | None:
        """Must answer the first row; raises what the driver raises."""
        ...

    def close(self) -> None: ...


Driver: TypeAlias = "Callable[[Login, float], Session]"


@dataclass(frozen=True, slots=True)
class _Check:
    """One SELECT and the answers that its columns are; one without answers leads to the rest."""

    names: tuple[str, ...]
    sql: str
    values: tuple[str, ...] = ()


def _oracle_checks(subject: Subject) -> Iterator[_Check]:
    yield _Check(
        ("logMode", "supplementalLogging", "supplementalLoggingAll"),
        "SELECT log_mode, supplemental_log_data_min, supplemental_log_data_all FROM v$database",
    )
    scn = "" if subject.offset_scn is None else str(subject.offset_scn)  # "" is Oracle's null
    yield _Check(("oldestScn", "oldestRedoHours", "positionRedoHours"), _REDO, (scn,))
    yield _Check(("positionHours",), _POSITION, (scn,))
    yield _Check(
        ("oldestTransactionHours",),
        "SELECT MAX((SYSDATE - start_date) * 24) FROM v$transaction",
    )
    yield _Check(("passwordDays",), "SELECT expiry_date - SYSDATE FROM user_users")
    if subject.pdb:  # last: the session stays there
        if not _IDENTIFIER.fullmatch(subject.pdb):
            return  # no text of a manifest becomes a statement
        yield _Check((), f"ALTER SESSION SET CONTAINER = {subject.pdb}")
    for table in subject.tables:
        owner, _, name = table.partition(".")
        yield _Check((f"supplementalLogging {table}",), _LOG_GROUPS, (owner, name))


def _postgresql_checks(subject: Subject) -> Iterator[_Check]:
    yield _Check(("walLevel",), "SELECT current_setting('wal_level')")
    yield _Check(
        ("slot", "retainedWalBytes"),
        "SELECT COUNT(*) > 0, MAX(pg_wal_lsn_diff(pg_current_wal_lsn(), restart_lsn)) "
        "FROM pg_replication_slots WHERE slot_name = :1",
        (subject.slot,),
    )
    yield _Check(
        ("publication",),
        "SELECT COUNT(*) > 0 FROM pg_publication WHERE pubname = :1",
        (subject.publication,),
    )


class DatabasePreflight:
    """`deadline` seconds are for the login and all checks together."""

    def __init__(
        self,
        *,
        scrub: Callable[[str], str],
        deadline: float = 10.0,
        drivers: Mapping[str, Driver] | None = None,
    ) -> None:
        self._scrub = scrub
        self._deadline = deadline
        self._drivers = _DRIVERS if drivers is None else drivers

    def look(self, login: Login, subject: Subject) -> Said:
        driver = self._drivers.get(login.system)
        if driver is None:
            raise Rejected("UnknownDatabase", f"no driver for {login.system!r}")
        results: queue.Queue[Said | Fault] = queue.Queue(1)
        threading.Thread(
            target=self._run, args=(driver, login, subject, results), name="preflight", daemon=True
        ).start()
        try:
            found = results.get(timeout=self._deadline)
        except queue.Empty:
            found = self._fault(login, f"no answer within {self._deadline:g} s")
        if isinstance(found, Fault):
            raise found
        return found

    def _run(
        self, driver: Driver, login: Login, subject: Subject, results: queue.Queue[Said | Fault]
    ) -> None:
        try:
            session = driver(login, self._deadline)
        except Exception as error:  # noqa: BLE001 - drivers raise what they like
            results.put(self._fault(login, f"no session ({_told(error)})", error))
            return
        said = _look(session, _CHECKS[login.system](subject))
        with contextlib.suppress(Exception):  # everything was read already
            session.close()
        results.put(said)

    def _fault(self, login: Login, said: str, error: Exception | None = None) -> Fault:
        """Tell apart what another login may cost."""
        message = self._scrub(f"{login.address}: {said}")
        codes = codes_of(error) if error is not None else ()
        outcome, _ = judge(codes, "", answered=not isinstance(error, ConnectionRefusedError))
        if outcome is ProbeOutcome.REFUSED:
            return Denied("LoginRefused", message)
        if outcome is ProbeOutcome.DOUBTFUL:
            return OutcomeUnknown("SourceSilent", message)
        return Unavailable("SourceUnreachable", message)


def _look(session: Session, checks: Iterator[_Check]) -> Said:
    answers: dict[str, Scalar] = {}
    denied: dict[str, str] = {}
    for check in checks:
        try:
            row = session.query(check.sql, *check.values)
        except Exception as error:  # noqa: BLE001 - drivers raise what they like
            led = () if check.names else [name for later in checks for name in later.names]
            denied.update(dict.fromkeys((*check.names, *led), _told(error)))
            continue
        answers.update(zip(check.names, map(_scalar, row or ()), strict=False))
    return Said(MappingProxyType(answers), MappingProxyType(denied))


def _scalar(value: Any) -> Scalar:
    if value is None or isinstance(value, bool | str | int):
        return value  # an SCN is beyond what floats hold
    whole = int(value)
    return whole if whole == value else float(value)


def _told(error: Exception) -> str:
    """Our own words and the code: a foreign text may quote the login or a row."""
    codes = codes_of(error)
    return codes[0] if codes else type(error).__name__


# --- drivers --------------------------------------------------------------------------------


class _Oracle:
    """Asynchronous within: only so can a listener that falls silent be left in time."""

    def __init__(self, login: Login, seconds: float) -> None:
        self._seconds = seconds
        self._loop = asyncio.new_event_loop()
        try:
            self._connection = self._wait(self._log_in(login))
        except BaseException:
            self._loop.close()
            raise

    async def _log_in(self, login: Login) -> Any:
        import oracledb

        target: dict[str, Any] = {**oracle_target(login)}
        return await oracledb.connect_async(
            user=login.user.reveal(),
            password=login.password.reveal(),
            tcp_connect_timeout=self._seconds / 2,
            retry_count=0,
            disable_oob=True,
            program=_PROGRAM,
            **target,
        )

    def query(self, sql: str, *values: str) -> Row | None:
        found: Row | None = self._wait(self._fetch(sql, values))
        return found

    async def _fetch(self, sql: str, values: tuple[str, ...]) -> Row | None:
        with self._connection.cursor() as cursor:
            await cursor.execute(sql, list(values))
            found: Row | None = await cursor.fetchone() if cursor.description else None
            return found

    def close(self) -> None:
        with contextlib.closing(self._loop):
            self._wait(self._connection.close())

    def _wait(self, coroutine: Coroutine[Any, Any, Any]) -> Any:
        async def bounded() -> Any:
            async with asyncio.timeout(self._seconds):
                return await coroutine

        return self._loop.run_until_complete(bounded())


class _Postgresql:
    def __init__(self, login: Login, seconds: float) -> None:
        import pg8000.native

        with contextlib.ExitStack() as stack:
            plain = stack.enter_context(_connected(login, seconds / 2))
            plain.settimeout(seconds)
            self._connection = pg8000.native.Connection(
                user=login.user.reveal(),
                password=login.password.reveal(),
                database=login.database,
                host=login.host,
                application_name=_PROGRAM,
                sock=plain,
            )
            self._close = stack.pop_all().close

    def query(self, sql: str, *values: str) -> Row | None:
        named = {f"v{number}": value for number, value in enumerate(values, 1)}
        rows = self._connection.run(re.sub(r":(\d)", r":v\1", sql), **named)
        return rows[0] if rows else None

    def close(self) -> None:
        self._connection.close()
        self._close()


def _connected(login: Login, seconds: float) -> socket.socket:
    try:
        return socket.create_connection((login.host, login.port), seconds)
    except OSError as error:  # whatever it was, no login was sent
        raise ConnectionRefusedError(type(error).__name__) from error


_DRIVERS: Final[Mapping[str, Driver]] = MappingProxyType(
    {"oracle": _Oracle, "postgresql": _Postgresql}
)
_CHECKS: Final[Mapping[str, Callable[[Subject], Iterator[_Check]]]] = MappingProxyType(
    {"oracle": _oracle_checks, "postgresql": _postgresql_checks}
)
