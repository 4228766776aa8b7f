"""What a database must offer before its changes can be captured, and what endangers that later.

All of it is read only and optional by grant: what may not be read is told as not seen, with the
grant that is missing, and is never a failure. Oracle's rules are those of Debezium's documentation
(Oracle connector, "Preparing the database"); PostgreSQL's are those of pgoutput's.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final, TypeAlias, TypeGuard

from controller.core.model import Json

EVERY: Final = 86_400.0  # seconds between two pre-flights of the same secret version
SOON: Final = 3600.0  # once nobody answered, and while what was found is urgent
PASSWORD_DAYS: Final = 14.0  # warned of so long before it expires
TRANSACTION_HOURS: Final = 4.0
REDO_HOURS: Final = 12.0  # before the redo of the committed position may be gone
REDO: Final = "oldestScn"
STARTED, LOOKED, UNREACHABLE, REFUSED = "started", "looked", "unreachable", "refused"
_FOUND: Final = (
    "findings",
    "foundAt",
    "redoHours",
    "scn",
)  # of a record: what the newest look that was answered found
WAL_BYTES: Final = 10 * 1024**3  # kept back by a slot

_REASONS: Final = {
    "logMode": "RedoNotArchived",
    "supplementalLogging": "LoggingIncomplete",
    REDO: "RedoEnding",
    "oldestTransactionHours": "OldTransaction",
    "passwordDays": "PasswordExpiring",
    "walLevel": "WalNotLogical",
    "slot": "SlotMissing",
    "retainedWalBytes": "WalKeptBack",
    "publication": "PublicationMissing",
}

Scalar: TypeAlias = "str | int | float | bool | None"


class Verdict(StrEnum):
    FINE = "fine"
    WARNING = "warning"
    FAILING = "failing"
    UNSEEN = "unseen"  # not granted, or not answered


@dataclass(frozen=True, slots=True)
class Finding:
    """One check: what was found, and the SQL for the DBA where there is something to do."""

    check: str
    verdict: Verdict
    message: str
    sql: str = ""

    @property
    def fails(self) -> bool:
        return self.verdict is Verdict.FAILING

    @property
    def reason(self) -> str:
        """Name it as the reason of a condition."""
        return _REASONS.get(self.check.partition(" ")[0], "DatabaseUnprepared")


@dataclass(frozen=True, slots=True)
class Said:
    """What the database answered; a check that is missing was not answered, `denied` says why."""

    answers: Mapping[str, Scalar]
    denied: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Subject:
    """What the connector that is to run there is like."""

    system: str  # "oracle" | "postgresql"
    tables: tuple[str, ...] = ()  # SCHEMA.TABLE
    pdb: str = ""  # the pluggable database that holds the tables
    user: str = ""
    slot: str = ""
    publication: str = ""
    offset_scn: int | None = None
    started: bool = False  # it has read before, so that what it left there must be there


@dataclass(frozen=True, slots=True)
class _Check:
    """What one answer must be; its sentences name {shown}, and what the connector is like."""

    answer: str
    is_fine: Callable[[Scalar], bool]
    fine: str
    verdict: Verdict
    message: str
    sql: str
    grant: str = ""
    instead: str = ""  # another answer whose YES is as good
    new: str = ""  # why it is fine that it is not there before the first start
    null: bool = False  # whether null is an answer too: there is nothing of the kind
    shown: Callable[[Any], str] = str


Rule: TypeAlias = "_Check | Callable[[Said, Subject], Finding]"


def judge(said: Said, subject: Subject) -> tuple[Finding, ...]:
    """Judge all checks of one database, in the order in which a DBA would do them."""
    rules = _ORACLE if subject.system == "oracle" else _POSTGRESQL
    return tuple(
        finding
        for rule in rules
        for finding in (
            _each(rule, said, subject) if isinstance(rule, _Check) else (rule(said, subject),)
        )
    )


def _each(check: _Check, said: Said, subject: Subject) -> Iterator[Finding]:
    """Judge a check once, or once for each table where it names one."""
    for table in subject.tables if "{table}" in check.answer else ("",):
        yield _judge(check, said, subject, table)


def _judge(check: _Check, said: Said, subject: Subject, table: str) -> Finding:
    name = check.answer.format(table=table)
    value = said.answers.get(name)
    if name not in said.answers or (value is None and not check.null):
        return _unseen(said, name, check.grant)
    names = {
        "slot": subject.slot,
        "publication": subject.publication,
        "user": subject.user or "USER",
        "table": table,
        "tables": ", ".join('"{}"'.format(t.replace(".", '"."')) for t in subject.tables),
    }
    if check.is_fine(value) or said.answers.get(check.instead) == "YES":
        return Finding(name, Verdict.FINE, check.fine.format(**names))
    if check.new and not subject.started:
        return Finding(name, Verdict.FINE, check.new)
    message = check.message.format(shown=check.shown(value), **names)
    return Finding(name, check.verdict, message, check.sql.format(**names))


def _unseen(said: Said, check: str, grant: str) -> Finding:
    why = said.denied.get(check, "the database did not answer it")
    return Finding(check, Verdict.UNSEEN, f"not seen: {why}", grant)


def _is_number(value: Scalar) -> TypeGuard[float]:
    return isinstance(value, int | float)


def redo_left(said: Said, subject: Subject) -> float | None:
    """Tell how many hours a connector may stand still before its position is lost; None: unknown.

    What is deleted next is the oldest, so the redo is taken to reach back as far tomorrow as today.
    """
    oldest, reach = said.answers.get("oldestScn"), said.answers.get("oldestRedoHours")
    if subject.offset_scn is None or not _is_number(oldest):
        return None
    if oldest > subject.offset_scn:
        return 0.0
    ages = (said.answers.get(name) for name in ("positionHours", "positionRedoHours"))
    age = next((age for age in ages if _is_number(age)), None)
    if age is None or not _is_number(reach):
        return None
    return max(0.0, reach - max(0.0, age))


def _redo(said: Said, subject: Subject) -> Finding:
    """Compare the committed position with the oldest redo that can still be read."""
    oldest, scn = said.answers.get(REDO), subject.offset_scn
    if not _is_number(oldest):
        return _unseen(said, REDO, "GRANT SELECT ON V_$ARCHIVED_LOG TO ...;")
    if scn is None:
        return Finding(REDO, Verdict.UNSEEN, "not seen: the connector's position is not known")
    if oldest > scn:
        return Finding(
            REDO,
            Verdict.FAILING,
            f"the oldest redo there (SCN {oldest}) is newer than the committed position "
            f"(SCN {scn}): the connector cannot go on from it",
            f"RMAN> RESTORE ARCHIVELOG FROM SCN {scn};  "
            "-- if a backup has it; else only a new snapshot helps",
        )
    left = redo_left(said, subject)
    if left is not None and left < REDO_HOURS:
        return Finding(
            REDO,
            Verdict.WARNING,
            f"the connector will lose its position in about {left:.1f} hours unless it gets on: "
            "the archived redo reaches back no further",
            f"RMAN> CONFIGURE ARCHIVELOG DELETION POLICY ...  -- keep {REDO_HOURS:.0f} hours more",
        )
    return Finding(REDO, Verdict.FINE, "the redo reaches back before the position")


_ORACLE: Final[tuple[Rule, ...]] = (
    _Check(
        "logMode",
        lambda mode: mode == "ARCHIVELOG",
        "the database archives its redo",
        Verdict.FAILING,
        "the database is in {shown} mode: redo is overwritten and changes are lost",
        "SHUTDOWN IMMEDIATE; STARTUP MOUNT; ALTER DATABASE ARCHIVELOG; ALTER DATABASE OPEN;",
        grant="GRANT SELECT ON V_$DATABASE TO ...;",
    ),
    _Check(
        "supplementalLogging",
        lambda minimal: minimal in ("YES", "IMPLICIT"),
        "minimal supplemental logging is on",
        Verdict.FAILING,
        "minimal supplemental logging is off: LogMiner cannot tell rows apart",
        "ALTER DATABASE ADD SUPPLEMENTAL LOG DATA;",
        grant="GRANT SELECT ON V_$DATABASE TO ...;",
    ),
    _Check(
        "supplementalLogging {table}",
        bool,
        "all columns of {table} are logged",
        Verdict.FAILING,
        "not all columns of {table} are logged: updates arrive with holes",
        "ALTER TABLE {table} ADD SUPPLEMENTAL LOG DATA (ALL) COLUMNS;",
        instead="supplementalLoggingAll",  # of the whole database
    ),
    _redo,
    _Check(
        "oldestTransactionHours",
        lambda hours: not _is_number(hours) or hours < TRANSACTION_HOURS,
        "no transaction is open for long",
        Verdict.WARNING,
        "a transaction has been open for {shown} hours: the position cannot pass it, and the "
        "redo must be kept back to its start",
        "SELECT s.sid, s.serial#, s.username, t.start_time FROM v$transaction t "
        "JOIN v$session s ON s.taddr = t.addr ORDER BY t.start_time;",
        grant="GRANT SELECT ON V_$TRANSACTION TO ...;",
        null=True,
        shown=lambda hours: f"{hours:.1f}",
    ),
    _Check(
        "passwordDays",
        lambda days: not _is_number(days) or days > PASSWORD_DAYS,
        "the password does not expire soon",
        Verdict.WARNING,
        "the password of this login expires in {shown} days",
        "ALTER USER {user} IDENTIFIED BY ...;  -- then rotate the secret",
        null=True,
        shown=lambda days: f"{max(0.0, days):.0f}",
    ),
)
_POSTGRESQL: Final[tuple[Rule, ...]] = (
    _Check(
        "walLevel",
        lambda level: level == "logical",
        "wal_level is logical",
        Verdict.FAILING,
        "wal_level is {shown}: nothing can be captured",
        "ALTER SYSTEM SET wal_level = logical;  -- and restart the server",
    ),
    _Check(  # one that is gone after a snapshot took the changes since with it
        "slot",
        bool,
        "replication slot {slot} is there",
        Verdict.WARNING,
        "replication slot {slot} is not there: what changed since it went is lost",
        "SELECT pg_create_logical_replication_slot('{slot}', 'pgoutput');",
        new="the slot is made at the first start",
    ),
    _Check(
        "retainedWalBytes",
        lambda kept: not _is_number(kept) or kept < WAL_BYTES,
        "the slot keeps little WAL back",
        Verdict.WARNING,
        "slot {slot} keeps back {shown} GiB of WAL: the disk may fill up",
        "SELECT slot_name, active, restart_lsn FROM pg_replication_slots;",
        null=True,
        shown=lambda kept: f"{kept / 1024**3:.1f}",
    ),
    _Check(
        "publication",
        bool,
        "publication {publication} is there",
        Verdict.WARNING,
        "publication {publication} is not there: Debezium makes it where it may",
        "CREATE PUBLICATION {publication} FOR TABLE {tables};",
        new="the publication is made at the first start",
    ),
)


# --- what is kept ---------------------------------------------------------------------------


def preflight_record(connector: str) -> str:
    return f"preflight/{connector}"


def due(value: Mapping[str, Json] | None, version: str, now: float) -> bool:
    """Tell whether to look: once for each secret version, and each day."""
    if value is None or value.get("version") != version:
        return True
    at = value.get("at")
    pause = SOON if _is_urgent(value) else EVERY
    return not isinstance(at, int | float) or not 0 <= now - at < pause


def _is_urgent(value: Mapping[str, Json]) -> bool:
    """Whether nobody answered, or a connector stands still or soon will; a stamp is neither."""
    if value.get("outcome") == UNREACHABLE:
        return True
    found = read_findings(value) if value.get("outcome") == LOOKED else ()
    return any(one.fails or (one.check == REDO and one.verdict is Verdict.WARNING) for one in found)


def stamped(
    before: Mapping[str, Json] | None, version: str, now: float, outcome: str = STARTED
) -> dict[str, Json]:
    """Write that a look was begun, or how it failed; what was found before stays known."""
    kept = {key: (before or {}).get(key) for key in _FOUND}
    return {**kept, "version": version, "at": now, "outcome": outcome}


def looked(version: str, now: float, said: Said, subject: Subject) -> dict[str, Json]:
    """Write what was found."""
    told: list[Json] = [
        {"check": f.check, "verdict": str(f.verdict), "message": f.message, "sql": f.sql}
        for f in judge(said, subject)
    ]
    scn = subject.offset_scn
    return {
        "version": version,
        "at": now,
        "outcome": LOOKED,
        "findings": told,
        "foundAt": now,
        "redoHours": redo_left(said, subject),
        "scn": None if scn is None else str(scn),
    }


def read_findings(value: Mapping[str, Json] | None) -> tuple[Finding, ...]:
    """Read what was kept; what does not look like a finding is left out."""
    items = value.get("findings") if value is not None else None
    return tuple(
        Finding(
            str(item.get("check")),
            Verdict(str(item.get("verdict"))),
            str(item.get("message")),
            str(item.get("sql") or ""),
        )
        for item in (items if isinstance(items, list) else ())
        if isinstance(item, dict) and item.get("verdict") in set(Verdict)
    )


def found_at(value: Mapping[str, Json] | None) -> float:
    at = value.get("foundAt") if value is not None else None
    return float(at) if isinstance(at, int | float) else 0.0


def newest_findings(value: Mapping[str, Json] | None, now: float) -> tuple[Finding, ...]:
    """Read what still counts; what nobody could look at again for two days does not."""
    return read_findings(value) if 0 <= now - found_at(value) < 2 * EVERY else ()


def redo_seconds(value: Mapping[str, Json], scn: int | None, now: float) -> float | None:
    """Tell what is left by now: it runs out while the position stands where it was looked at."""
    hours, at = value.get("redoHours"), found_at(value)
    if not isinstance(hours, int | float) or not 0 <= now - at < 2 * EVERY:
        return None
    stood = now - at if value.get("scn") == str(scn) else 0.0
    return max(0.0, hours * 3600.0 - stood)
