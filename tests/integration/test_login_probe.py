from __future__ import annotations

import contextlib
import socket
import struct
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from controller.adapters.login_probe import DatabaseProbe
from controller.core.faults import Rejected
from controller.core.login_answer import judge
from controller.core.model import Login, ProbeOutcome
from controller.core.redact import Redacted, Scrubber
from devstack.postgres import Postgres
from devstack.process import Nursery

SERVICE = "(CONNECT_DATA=(SERVICE_NAME=ORCLCDB)))"
USER, PASSWORD = "cdc_reader", "Pa55word-tried"
ACCEPTED, REFUSED, UNREACHABLE, DOUBTFUL = ProbeOutcome

# --- a listener that plays a part ---------------------------------------------------------


def packet(kind: int, body: bytes) -> bytes:
    return struct.pack(">HHBBH", 8 + len(body), 0, kind, 0, 0) + body


def refusal(code: int) -> bytes:
    text = (
        f"(DESCRIPTION=(TMP=)(VSNNUM=318767104)(ERR={code})"
        f"(ERROR_STACK=(ERROR=(CODE={code})(EMFI=4))))"
    ).encode()
    return packet(4, struct.pack(">BBH", 34, 0, len(text)) + text)


def acceptance() -> bytes:
    return packet(2, struct.pack(">HH", 315, 0) + bytes(20) + struct.pack(">I", 8192))


class Listener:
    """Serves one connection after another, each by the same part."""

    def __init__(self, part: Callable[[socket.socket], None]) -> None:
        self._part = part
        self._socket = socket.create_server(("127.0.0.1", 0))
        self._socket.settimeout(0.05)
        self.port = int(self._socket.getsockname()[1])
        self.served = 0
        self.over = threading.Event()
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _serve(self) -> None:
        while not self.over.is_set():
            try:
                client, _ = self._socket.accept()
            except TimeoutError:
                continue
            self.served += 1
            with client, contextlib.suppress(OSError):  # the other side may leave at any time
                client.settimeout(5)
                self._part(client)

    def close(self) -> None:
        self.over.set()
        self._thread.join()
        self._socket.close()


@pytest.fixture
def listen() -> Iterator[Callable[[Callable[[socket.socket], None]], Listener]]:
    opened: list[Listener] = []

    def start(part: Callable[[socket.socket], None]) -> Listener:
        opened.append(Listener(part))
        return opened[-1]

    yield start
    for listener in opened:
        listener.close()


def answer(*replies: bytes) -> Callable[[socket.socket], None]:
    def part(client: socket.socket) -> None:
        for reply in replies:
            client.recv(8192)
            client.sendall(reply)
        client.recv(8192)

    return part


def silent_after(*replies: bytes) -> Callable[[socket.socket], None]:
    def part(client: socket.socket) -> None:
        for reply in replies:
            client.recv(8192)
            client.sendall(reply)
        deadline = time.monotonic() + 5
        while time.monotonic() < deadline and client.recv(8192):
            pass

    return part


def hang_up(_client: socket.socket) -> None:
    pass


@pytest.fixture
def unused() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


def login(system: str, port: int, host: str = "127.0.0.1", **changed: Any) -> Login:
    values: dict[str, Any] = {
        "database": "ORCLCDB",
        "user": Redacted(USER),
        "password": Redacted(PASSWORD),
    }
    return Login(system=system, host=host, port=port, **(values | changed))


def probe(wanted: Login, deadline: float = 5.0) -> tuple[ProbeOutcome, str]:
    scrubber = Scrubber([USER, PASSWORD])
    outcome, said = DatabaseProbe(scrub=scrubber.scrub, deadline=deadline).probe(wanted)
    assert USER not in said
    assert PASSWORD not in said
    return outcome, said


# --- what a code means --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("code", "outcome"),
    [
        ("ORA-01005", REFUSED),
        ("ORA-01017", REFUSED),
        ("ORA-01045", REFUSED),
        ("ORA-28000", REFUSED),
        ("ORA-28001", REFUSED),
        ("28P01", REFUSED),
        ("28000", REFUSED),
        ("42501", REFUSED),
        ("ORA-01033", UNREACHABLE),
        ("ORA-12505", UNREACHABLE),
        ("ORA-12514", UNREACHABLE),
        ("ORA-12528", UNREACHABLE),
        ("ORA-12541", UNREACHABLE),
        ("DPY-6005", UNREACHABLE),
        ("3D000", UNREACHABLE),
        ("53300", UNREACHABLE),
        ("57P03", UNREACHABLE),
    ],
)
@pytest.mark.parametrize("answered", [True, False])
def test_a_telling_code_decides_alone(code: str, outcome: ProbeOutcome, answered: bool) -> None:
    decided, said = judge([code], "", answered=answered)
    assert decided == outcome
    assert code in said


@pytest.mark.parametrize("code", ["DPY-4011", "DPY-3001", "DPY-3010", "ORA-00600", "XX000"])
def test_any_other_code_is_doubtful_only_if_the_server_had_answered(code: str) -> None:
    assert judge([code], "", answered=True)[0] == DOUBTFUL
    assert judge([code], "", answered=False)[0] == UNREACHABLE


def test_a_refusal_outweighs_what_is_told_beside_it() -> None:
    assert judge(["DPY-6005", "ORA-01017"], "", answered=True)[0] == REFUSED


def test_an_unknown_kind_of_database_is_rejected() -> None:
    with pytest.raises(Rejected):
        probe(login("db2", 1))


# --- Oracle -------------------------------------------------------------------------------


def test_nobody_listening_is_unreachable(unused: int) -> None:
    outcome, said = probe(login("oracle", unused))
    assert outcome == UNREACHABLE
    assert f"127.0.0.1:{unused}" in said
    assert "connection was refused" in said


def test_a_host_without_an_address_is_unreachable() -> None:
    outcome, said = probe(login("oracle", 1521, host="no-such-host.invalid"))
    assert outcome == UNREACHABLE
    assert "cannot be resolved" in said


@pytest.mark.parametrize("code", [12505, 12514, 12516, 12528, 12541])
def test_a_listener_that_refuses_is_unreachable_and_says_why(listen: Any, code: int) -> None:
    listener = listen(answer(refusal(code)))
    outcome, said = probe(login("oracle", listener.port))
    assert outcome == UNREACHABLE
    assert f"ORA-{code}" in said


def test_a_listener_that_hangs_up_at_once_is_unreachable(listen: Any) -> None:
    outcome, said = probe(login("oracle", listen(hang_up).port))
    assert outcome == UNREACHABLE
    assert "connection was closed" in said


def test_something_that_is_no_listener_is_unreachable(listen: Any) -> None:
    def part(client: socket.socket) -> None:
        client.recv(8192)
        client.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")

    listener = listen(part)
    assert probe(login("oracle", listener.port))[0] == UNREACHABLE


def test_a_listener_that_says_nothing_is_unreachable_at_the_deadline(listen: Any) -> None:
    listener = listen(silent_after())
    begun = time.monotonic()
    outcome, _ = probe(login("oracle", listener.port), deadline=1.0)
    assert outcome == UNREACHABLE
    assert time.monotonic() - begun < 2


def test_a_database_that_falls_silent_within_the_login_is_doubtful(listen: Any) -> None:
    listener = listen(silent_after(acceptance()))
    begun = time.monotonic()
    outcome, _ = probe(login("oracle", listener.port), deadline=1.0)
    assert outcome == DOUBTFUL
    assert time.monotonic() - begun < 2


def test_a_database_that_hangs_up_within_the_login_is_doubtful(listen: Any) -> None:
    listener = listen(answer(acceptance()))
    outcome, said = probe(login("oracle", listener.port))
    assert outcome == DOUBTFUL
    assert "DPY-4011" in said


@pytest.mark.parametrize(
    "part", [answer(refusal(12514)), hang_up, answer(acceptance())], ids=["refuse", "close", "cut"]
)
def test_a_failed_login_is_tried_once(listen: Any, part: Callable[[socket.socket], None]) -> None:
    listener = listen(part)
    probe(login("oracle", listener.port))
    assert listener.served == 1


@pytest.mark.parametrize(
    "url",
    [
        "jdbc:oracle:thin:@//127.0.0.1:{port}/ORCLCDB",
        "jdbc:oracle:thin:@127.0.0.1:{port}/ORCLCDB",
        "jdbc:oracle:thin:@127.0.0.1:{port}:ORCLCDB",
        "jdbc:oracle:thin:@(DESCRIPTION=(ADDRESS=(PROTOCOL=TCP)(HOST=127.0.0.1)(PORT={port})){rest}",
    ],
)
def test_a_url_leads_to_the_database_it_names(listen: Any, unused: int, url: str) -> None:
    listener = listen(answer(refusal(12514)))
    wanted = login("oracle", unused, url=Redacted(url.format(port=listener.port, rest=SERVICE)))
    outcome, said = probe(wanted)
    assert (outcome, listener.served) == (UNREACHABLE, 1)
    assert "ORA-12514" in said


def test_an_unreadable_url_is_unreachable_and_not_quoted(unused: int) -> None:
    url = "jdbc:oracle:thin:@(DESCRIPTION=(hidden-word"
    outcome, said = probe(login("oracle", unused, url=Redacted(url)))
    assert outcome == UNREACHABLE
    assert "hidden-word" not in said


# --- PostgreSQL ---------------------------------------------------------------------------


def test_nobody_listening_on_postgresql_is_unreachable(unused: int) -> None:
    outcome, said = probe(login("postgresql", unused))
    assert outcome == UNREACHABLE
    assert "refused" in said


def test_a_silent_postgresql_is_unreachable_at_the_deadline(listen: Any) -> None:
    begun = time.monotonic()
    outcome, _ = probe(login("postgresql", listen(silent_after()).port), deadline=1.0)
    assert outcome == UNREACHABLE
    assert time.monotonic() - begun < 2


def test_a_postgresql_that_falls_silent_within_the_login_is_doubtful(listen: Any) -> None:
    asks_for_password = b"R" + struct.pack(">II", 8, 3)
    listener = listen(silent_after(b"N", asks_for_password))
    begun = time.monotonic()
    outcome, _ = probe(login("postgresql", listener.port), deadline=1.0)
    assert outcome == DOUBTFUL
    assert time.monotonic() - begun < 2


def test_a_postgresql_that_drips_is_given_up_at_the_deadline(listen: Any) -> None:
    def drip(client: socket.socket) -> None:
        client.recv(8192)
        client.sendall(b"N")
        pause = threading.Event()
        for _ in range(40):
            client.sendall(b"N")
            pause.wait(0.1)

    begun = time.monotonic()
    outcome, _ = probe(login("postgresql", listen(drip).port), deadline=1.0)
    assert outcome == DOUBTFUL
    assert time.monotonic() - begun < 2


@pytest.mark.parametrize("code", ["53300", "57P03"])
def test_a_postgresql_that_is_full_or_starting_is_unreachable(listen: Any, code: str) -> None:
    fields = f"SFATAL\0VFATAL\0C{code}\0Msome words\0\0".encode()
    listener = listen(answer(b"N", b"E" + struct.pack(">I", len(fields) + 4) + fields))
    outcome, said = probe(login("postgresql", listener.port))
    assert outcome == UNREACHABLE
    assert code in said


@pytest.fixture(scope="module")
def postgres() -> Iterator[Postgres]:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o711)  # the server may have to run as nobody
        with Nursery(folder / "logs") as nursery:
            database = Postgres(nursery, folder / "db")
            database.start()
            database.execute(f"CREATE ROLE {USER} LOGIN PASSWORD '{PASSWORD}'")
            yield database


def real(postgres: Postgres, **changed: Any) -> Login:
    return login("postgresql", postgres.port, **({"database": postgres.dbname} | changed))


def test_a_right_login_is_accepted_and_its_session_ended(postgres: Postgres) -> None:
    assert probe(real(postgres))[0] == ACCEPTED
    left = f"SELECT count(*) FROM pg_stat_activity WHERE usename = '{USER}'"
    deadline = time.monotonic() + 5
    while postgres.query(left)[0][0] and time.monotonic() < deadline:
        pass
    assert postgres.query(left)[0][0] == 0


@pytest.mark.parametrize(
    ("changed", "outcome", "code"),
    [
        ({"password": Redacted("another-one")}, REFUSED, "28P01"),
        ({"user": Redacted("nobody-known")}, REFUSED, "28P01"),
        ({"user": Redacted("may_not")}, REFUSED, "28000"),
        ({"database": "closed"}, REFUSED, "42501"),
        ({"database": "not_there"}, UNREACHABLE, "3D000"),
    ],
)
def test_what_postgresql_refuses_is_told_apart(
    postgres: Postgres, changed: dict[str, Any], outcome: ProbeOutcome, code: str
) -> None:
    if "closed" in changed.values() and not postgres.query(
        "SELECT 1 FROM pg_database WHERE datname = 'closed'"
    ):
        postgres.execute("CREATE DATABASE closed")
        postgres.execute("REVOKE CONNECT ON DATABASE closed FROM PUBLIC")
    if code == "28000":
        postgres.execute("DROP ROLE IF EXISTS may_not")
        postgres.execute(f"CREATE ROLE may_not NOLOGIN PASSWORD '{PASSWORD}'")
    decided, said = probe(real(postgres, **changed))
    assert decided == outcome
    assert code in said


# --- what is not installed ----------------------------------------------------------------


def test_a_driver_that_is_not_installed_is_told(
    monkeypatch: pytest.MonkeyPatch, unused: int
) -> None:
    monkeypatch.setitem(__import__("sys").modules, "pg8000.native", None)
    outcome, said = probe(login("postgresql", unused))
    assert outcome == UNREACHABLE
    assert "not installed" in said
