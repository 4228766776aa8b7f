"""The pre-flight against a real PostgreSQL, and against an Oracle driver that plays a part."""

from __future__ import annotations

import socket
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from controller.adapters.preflight import DatabasePreflight, Driver
from controller.core.faults import Denied, OutcomeUnknown, Unavailable
from controller.core.model import Login
from controller.core.preflight import Subject, Verdict, judge
from controller.core.redact import Redacted, Scrubber
from devstack.postgres import Postgres
from devstack.process import Nursery

TABLE = "WMS.PLAN_BASE_WVR_TBL"
ORACLE = Subject("oracle", (TABLE,), pdb="ORCLPDB1", offset_scn=1_000)
PASSWORD = "Pa55word-of-the-preflight"


class Scripted:
    """An Oracle session that answers by the first words it knows; the rest is not granted."""

    def __init__(self, answers: Mapping[str, Sequence[Any]]) -> None:
        self.answers = answers
        self.asked: list[str] = []
        self.closed = False

    def query(self, sql: str, *_values: str) -> Sequence[Any] | None:
        self.asked.append(sql)
        for words, row in self.answers.items():
            if words in sql:
                return row
        raise RuntimeError(f'ORA-00942: table or view "{PASSWORD}" does not exist')

    def close(self) -> None:
        self.closed = True


def login(system: str, port: int = 1521) -> Login:
    return Login(
        system, "127.0.0.1", port, "ORCLCDB", user=Redacted("c##dbz"), password=Redacted(PASSWORD)
    )


def preflight(driver: Driver | None = None, deadline: float = 10.0) -> DatabasePreflight:
    drivers = None if driver is None else {"oracle": driver}
    scrub = Scrubber([PASSWORD]).scrub
    return DatabasePreflight(scrub=scrub, deadline=deadline, drivers=drivers)


def test_what_oracle_answers_is_judged_and_what_it_denies_is_unseen_without_a_quote() -> None:
    session = Scripted(
        {
            "v$database": ("ARCHIVELOG", "YES"),
            "v$archived_log": (2_000, 5.0),
            "all_log_groups": (0,),
            "SET CONTAINER": (),
        }
    )
    said = preflight(lambda _login, _seconds: session).look(login("oracle"), ORACLE)
    found = {f.check: f.verdict for f in judge(said, ORACLE)}
    assert found == {
        "logMode": Verdict.FINE,
        "supplementalLogging": Verdict.FINE,
        f"supplementalLogging {TABLE}": Verdict.FAILING,
        "oldestScn": Verdict.FAILING,
        "oldestTransactionHours": Verdict.UNSEEN,
        "passwordDays": Verdict.UNSEEN,
    }
    assert PASSWORD not in str(said)
    assert session.closed


def test_no_statement_that_oracle_is_sent_changes_anything() -> None:
    session = Scripted({})
    preflight(lambda _login, _seconds: session).look(login("oracle"), ORACLE)
    assert session.asked
    assert all(sql.startswith(("SELECT ", "ALTER SESSION SET CONTAINER")) for sql in session.asked)


def test_a_pdb_that_is_no_identifier_is_never_put_into_a_statement() -> None:
    session = Scripted({})
    hostile = Subject("oracle", (TABLE,), pdb="X; DROP USER WMS")
    preflight(lambda _login, _seconds: session).look(login("oracle"), hostile)
    assert not [sql for sql in session.asked if "DROP" in sql]


@pytest.mark.parametrize(
    ("said", "fault"),
    [
        ("ORA-01017: invalid username/password", Denied),
        ("ORA-28000: the account is locked", Denied),
        ("DPY-6001: cannot connect (ORA-12514)", Unavailable),
        ("DPY-6003: cannot connect (ORA-12505)", Unavailable),
        ("DPY-4011: the database or network closed the connection", OutcomeUnknown),
    ],
)
def test_what_another_login_may_cost_is_told_apart(said: str, fault: type[Exception]) -> None:
    def refuse(_login: Login, _seconds: float) -> Scripted:
        raise RuntimeError(f"{said} {PASSWORD}")

    with pytest.raises(fault) as raised:
        preflight(refuse).look(login("oracle"), ORACLE)
    assert PASSWORD not in str(raised.value)


@pytest.mark.parametrize("pdb", ["ORCLPDB1", "X; DROP USER WMS"])
def test_tables_of_a_container_that_may_not_be_entered_are_unseen(pdb: str) -> None:
    session = Scripted({"all_log_groups": (0,)})
    subject = Subject("oracle", (TABLE,), pdb=pdb)
    said = preflight(lambda _login, _seconds: session).look(login("oracle"), subject)
    found = {f.check: f for f in judge(said, subject)}
    assert found[f"supplementalLogging {TABLE}"].verdict is Verdict.UNSEEN
    assert not [sql for sql in session.asked if "all_log_groups" in sql]


def test_an_scn_that_no_float_holds_arrives_whole() -> None:
    big = 2**53 + 1
    session = Scripted({"v$archived_log": (big, 5.0, None), "SCN_TO_TIMESTAMP": (0.5,)})
    said = preflight(lambda _login, _seconds: session).look(login("oracle"), ORACLE)
    assert said.answers["oldestScn"] == big


def test_redo_that_was_never_written_is_not_asked_for() -> None:
    session = Scripted({})
    preflight(lambda _login, _seconds: session).look(login("oracle"), ORACLE)
    (asked,) = [sql for sql in session.asked if "v$archived_log" in sql]
    assert "status IN ('CURRENT', 'ACTIVE', 'INACTIVE')" in asked


@pytest.mark.parametrize("system", ["oracle", "postgresql"])
def test_a_database_that_is_away_is_unavailable_within_the_deadline(system: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = int(server.getsockname()[1])
    with pytest.raises(Unavailable, match="no session"):
        preflight().look(login(system, port), Subject(system))


def test_of_a_listener_that_says_nothing_the_outcome_is_unknown_at_the_deadline() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = int(server.getsockname()[1])
        with pytest.raises(OutcomeUnknown, match=r"no answer within 1 s|no session"):
            preflight(deadline=1.0).look(login("oracle", port), ORACLE)


@pytest.fixture(scope="module")
def postgres() -> Iterator[Postgres]:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o711)  # the server may have to run as nobody
        with Nursery(folder / "logs") as nursery:
            database = Postgres(nursery, folder / "db")
            database.start()
            yield database


def test_a_real_postgresql_tells_of_slot_publication_and_wal(postgres: Postgres) -> None:
    subject = Subject(
        "postgresql", (TABLE,), slot="preflight", publication="preflight", started=True
    )
    before = _found(postgres, subject)
    assert before["walLevel"] is Verdict.FINE
    assert before["slot"] is before["publication"] is Verdict.WARNING
    postgres.query("SELECT pg_create_logical_replication_slot('preflight', 'pgoutput')")
    postgres.execute("CREATE PUBLICATION preflight")
    assert set(_found(postgres, subject).values()) == {Verdict.FINE}


def _login(postgres: Postgres, password: str) -> Login:
    return Login(
        "postgresql",
        "127.0.0.1",
        postgres.port,
        postgres.dbname,
        user=Redacted(postgres.user),
        password=Redacted(password),
    )


def _found(postgres: Postgres, subject: Subject) -> dict[str, Verdict]:
    asked = _login(postgres, postgres.password)
    return {f.check: f.verdict for f in judge(preflight().look(asked, subject), subject)}


def test_a_login_that_a_real_postgresql_refuses_is_denied(postgres: Postgres) -> None:
    wrong = _login(postgres, "never-was-it")
    with pytest.raises(Denied, match="28P01"):
        preflight().look(wrong, Subject("postgresql"))
