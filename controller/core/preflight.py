"""What a database must offer before its changes can be captured, and what endangers that later.

All of it is read only and optional by grant: what may not be read is told as not seen, with the
grant that is missing, and is never a failure. Oracle's rules are those of Debezium's documentation
(Oracle connector, "Preparing the database"); PostgreSQL's are those of pgoutput's.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, TypeAlias

from controller.core.model import Json

EVERY: Final = 86_400.0  # seconds between two pre-flights of the same secret version
PASSWORD_DAYS: Final = 14.0  # warned of so long before it expires
TRANSACTION_HOURS: Final = 4.0
REDO_HOURS: Final = 12.0  # of archived redo before the committed position
WAL_BYTES: Final = 10 * 1024**3  # kept back by a slot

Scalar: TypeAlias = "str | float | bool | None"


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


Rule: TypeAlias = "Callable[[Said, Subject], Finding | None]"


def judge(said: Said, subject: Subject) -> tuple[Finding, ...]:
    """Judge all checks of one database, in the order in which a DBA would do them."""
    return tuple(_judged(said, subject))


def _judged(said: Said, subject: Subject) -> Iterator[Finding]:
    if subject.system == "oracle":
        yield _log_mode(said)
        yield _minimal_logging(said)
        yield from (_table_logging(said, table) for table in subject.tables)
        yield _redo(said, subject)
        yield _transaction(said)
        yield _password(said, subject)
    else:
        yield _wal_level(said)
        yield _slot(said, subject)
        yield _retained(said, subject)
        yield _publication(said, subject)


def _unseen(said: Said, check: str) -> Finding:
    why = said.denied.get(check, "the database did not answer it")
    return Finding(check, Verdict.UNSEEN, f"not seen: {why}", _GRANTS.get(check, ""))


def _log_mode(said: Said) -> Finding:
    mode = said.answers.get("logMode")
    if mode is None:
        return _unseen(said, "logMode")
    if mode == "ARCHIVELOG":
        return Finding("logMode", Verdict.FINE, "the database archives its redo")
    return Finding(
        "logMode",
        Verdict.FAILING,
        f"the database is in {mode} mode: redo is overwritten and changes are lost",
        "SHUTDOWN IMMEDIATE; STARTUP MOUNT; ALTER DATABASE ARCHIVELOG; ALTER DATABASE OPEN;",
    )


def _minimal_logging(said: Said) -> Finding:
    minimal = said.answers.get("supplementalLogging")
    if minimal is None:
        return _unseen(said, "supplementalLogging")
    if minimal in ("YES", "IMPLICIT"):
        return Finding("supplementalLogging", Verdict.FINE, "minimal supplemental logging is on")
    return Finding(
        "supplementalLogging",
        Verdict.FAILING,
        "minimal supplemental logging is off: LogMiner cannot tell rows apart",
        "ALTER DATABASE ADD SUPPLEMENTAL LOG DATA;",
    )


def _table_logging(said: Said, table: str) -> Finding:
    check = f"supplementalLogging {table}"
    answered = said.answers.get(check)
    if answered is None:
        return _unseen(said, check)
    if answered:
        return Finding(check, Verdict.FINE, f"all columns of {table} are logged")
    return Finding(
        check,
        Verdict.FAILING,
        f"not all columns of {table} are logged: updates arrive with holes",
        f"ALTER TABLE {table} ADD SUPPLEMENTAL LOG DATA (ALL) COLUMNS;",
    )


def _redo(said: Said, subject: Subject) -> Finding:
    """Compare the committed position with the oldest redo that can still be read."""
    oldest, hours = said.answers.get("oldestScn"), said.answers.get("oldestRedoHours")
    if not isinstance(oldest, int | float):
        return _unseen(said, "oldestScn")
    if subject.offset_scn is not None and oldest > subject.offset_scn:
        return Finding(
            "oldestScn",
            Verdict.FAILING,
            f"the oldest redo there (SCN {oldest:.0f}) is newer than the committed position "
            f"(SCN {subject.offset_scn}): the connector cannot go on from it",
            "RMAN> RESTORE ARCHIVELOG FROM SCN "
            f"{subject.offset_scn};  -- if a backup has it; else only a new snapshot helps",
        )
    if isinstance(hours, int | float) and hours < REDO_HOURS:
        return Finding(
            "oldestScn",
            Verdict.WARNING,
            f"archived redo reaches back {hours:.1f} hours only: a connector that stands still "
            "for longer loses its position",
            f"RMAN> CONFIGURE ARCHIVELOG DELETION POLICY ...  -- keep {REDO_HOURS:.0f} hours",
        )
    return Finding("oldestScn", Verdict.FINE, "the redo reaches back before the position")


def _transaction(said: Said) -> Finding:
    hours = said.answers.get("oldestTransactionHours")
    if "oldestTransactionHours" not in said.answers:
        return _unseen(said, "oldestTransactionHours")
    if not isinstance(hours, int | float) or hours < TRANSACTION_HOURS:
        return Finding("oldestTransactionHours", Verdict.FINE, "no transaction is open for long")
    return Finding(
        "oldestTransactionHours",
        Verdict.WARNING,
        f"a transaction has been open for {hours:.1f} hours: the position cannot pass it, and the "
        "redo must be kept back to its start",
        "SELECT s.sid, s.serial#, s.username, t.start_time FROM v$transaction t "
        "JOIN v$session s ON s.taddr = t.addr ORDER BY t.start_time;",
    )


def _password(said: Said, subject: Subject) -> Finding:
    days = said.answers.get("passwordDays")
    if "passwordDays" not in said.answers:
        return _unseen(said, "passwordDays")
    if not isinstance(days, int | float) or days > PASSWORD_DAYS:
        return Finding("passwordDays", Verdict.FINE, "the password does not expire soon")
    return Finding(
        "passwordDays",
        Verdict.WARNING,
        f"the password of this login expires in {max(0.0, days):.0f} days",
        f"ALTER USER {subject.user or 'USER'} IDENTIFIED BY ...;  -- then rotate the secret",
    )


def _wal_level(said: Said) -> Finding:
    level = said.answers.get("walLevel")
    if level is None:
        return _unseen(said, "walLevel")
    if level == "logical":
        return Finding("walLevel", Verdict.FINE, "wal_level is logical")
    return Finding(
        "walLevel",
        Verdict.FAILING,
        f"wal_level is {level}: nothing can be captured",
        "ALTER SYSTEM SET wal_level = logical;  -- and restart the server",
    )


def _slot(said: Said, subject: Subject) -> Finding:
    """Judge the slot; one that is gone after a snapshot took the changes since with it."""
    there = said.answers.get("slot")
    if there is None:
        return _unseen(said, "slot")
    if there:
        return Finding("slot", Verdict.FINE, f"replication slot {subject.slot} is there")
    if not subject.started:
        return Finding("slot", Verdict.FINE, "the slot is made at the first start")
    return Finding(
        "slot",
        Verdict.WARNING,
        f"replication slot {subject.slot} is not there: what changed since it went is lost",
        f"SELECT pg_create_logical_replication_slot('{subject.slot}', 'pgoutput');",
    )


def _retained(said: Said, subject: Subject) -> Finding:
    kept = said.answers.get("retainedWalBytes")
    if "retainedWalBytes" not in said.answers:
        return _unseen(said, "retainedWalBytes")
    if not isinstance(kept, int | float) or kept < WAL_BYTES:
        return Finding("retainedWalBytes", Verdict.FINE, "the slot keeps little WAL back")
    return Finding(
        "retainedWalBytes",
        Verdict.WARNING,
        f"slot {subject.slot} keeps back {kept / 1024**3:.1f} GiB of WAL: the disk may fill up",
        "SELECT slot_name, active, restart_lsn FROM pg_replication_slots;",
    )


def _publication(said: Said, subject: Subject) -> Finding:
    there = said.answers.get("publication")
    if there is None:
        return _unseen(said, "publication")
    if there:
        return Finding("publication", Verdict.FINE, f"publication {subject.publication} is there")
    if not subject.started:
        return Finding("publication", Verdict.FINE, "the publication is made at the first start")
    tables = ", ".join(f'"{t.replace(".", chr(34) + "." + chr(34))}"' for t in subject.tables)
    return Finding(
        "publication",
        Verdict.WARNING,
        f"publication {subject.publication} is not there: Debezium makes it where it may",
        f"CREATE PUBLICATION {subject.publication} FOR TABLE {tables};",
    )


_GRANTS: Final[Mapping[str, str]] = {
    "logMode": "GRANT SELECT ON V_$DATABASE TO ...;",
    "supplementalLogging": "GRANT SELECT ON V_$DATABASE TO ...;",
    "oldestScn": "GRANT SELECT ON V_$ARCHIVED_LOG TO ...;",
    "oldestTransactionHours": "GRANT SELECT ON V_$TRANSACTION TO ...;",
}


# --- what is kept ---------------------------------------------------------------------------


def preflight_record(connector: str) -> str:
    return f"preflight/{connector}"


def due(value: Mapping[str, Json] | None, version: str, now: float) -> bool:
    """Tell whether to look: once for each secret version, and each day."""
    if value is None or value.get("version") != version:
        return True
    at = value.get("at")
    return not isinstance(at, int | float) or not 0 <= now - at < EVERY


def preflight_value(
    version: str, now: float, findings: tuple[Finding, ...] | None
) -> dict[str, Json]:
    """Write what was found; None stamps a pre-flight before it is done."""
    told: list[Json] = [
        {"check": f.check, "verdict": str(f.verdict), "message": f.message, "sql": f.sql}
        for f in findings or ()
    ]
    return {"version": version, "at": now, "findings": told}


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
