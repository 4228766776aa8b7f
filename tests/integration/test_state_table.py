"""What a state table alone does: faults, late deletions, bounds; the contract is in tests/contract.

Trouble comes from a server of our own, since the mock of AWS knows none.
"""

from __future__ import annotations

import json
import threading
import uuid
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest

from controller.adapters.state_dynamodb import LONGEST_VALUE, StateTable, client_factory
from controller.core.faults import (
    Conflict,
    Denied,
    Fault,
    OutcomeUnknown,
    Rejected,
    Transient,
    Unavailable,
)
from controller.core.model import Json
from devstack.port import free_port
from tests.fakes.clock import FakeClock
from tests.tables import aws_client, make_table

KEY = "track/connector/wms-oracle-cdc"


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def table(aws_url: str) -> str:
    return make_table(aws_url)


@pytest.fixture
def store(aws_url: str, table: str, clock: FakeClock) -> StateTable:
    return open_table(aws_url, table, clock)


def open_table(
    url: str, table: str, clock: FakeClock, *, seconds: float = 0.5, **more: Any
) -> StateTable:
    client = client_factory(
        region="us-east-1", endpoint_url=url, connect_timeout=seconds, read_timeout=seconds
    )
    return StateTable(table, client, clock=clock, **more)


def items(url: str, table: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = aws_client("dynamodb", url).scan(TableName=table)["Items"]
    return found


def test_a_thousand_records_are_read_whole_over_several_pages(
    store: StateTable, aws_url: str, table: str, clock: FakeClock
) -> None:
    padding = "x" * 30_000
    for number in range(100):  # 3 MB, and a page holds one
        store.put(f"track/topic/t{number:03d}", {"n": number, "padding": padding})
    found = open_table(aws_url, table, clock).load()
    assert [record.value["n"] for record in found.values()] == list(range(100))


def test_an_expired_record_that_dynamodb_still_holds_is_gone(
    store: StateTable, aws_url: str, table: str, clock: FakeClock
) -> None:
    store.put(KEY, {"a": 1}, expires=clock.now() + 60)
    clock.advance(61)
    assert [item["sk"]["S"] for item in items(aws_url, table)] == [KEY]
    assert store.load() == {}


def test_dynamodb_is_told_to_delete_an_hour_after_our_clock_says_so(
    store: StateTable, aws_url: str, table: str, clock: FakeClock
) -> None:
    store.put(KEY, {"a": 1}, expires=clock.now() + 60.25)
    [item] = items(aws_url, table)
    assert float(item["until"]["N"]) == clock.now() + 60.25
    assert int(item["expires"]["N"]) >= clock.now() + 3600


def test_what_never_expires_has_no_time_to_live(
    store: StateTable, aws_url: str, table: str, clock: FakeClock
) -> None:
    store.put(KEY, {"a": 1}, expires=clock.now() + 60)
    store.put(KEY, {"a": 2})
    [item] = items(aws_url, table)
    assert "expires" not in item


def test_a_revision_stays_new_after_the_tombstone_is_gone(
    store: StateTable, aws_url: str, table: str, clock: FakeClock
) -> None:
    old = store.put(KEY, {"life": 1})
    store.delete(KEY)
    aws_client("dynamodb", aws_url).delete_item(
        TableName=table, Key={"pk": {"S": "record"}, "sk": {"S": KEY}}
    )
    clock.advance(8 * 86_400)
    assert store.put(KEY, {"life": 2}, expected=0) > old


def test_of_twenty_writers_who_expect_the_same_revision_no_two_win(
    aws_url: str, table: str, clock: FakeClock
) -> None:
    open_table(aws_url, table, clock).put("lease/leader", {"holder": "nobody"})
    [first] = open_table(aws_url, table, clock).load().values()
    won: list[int] = []
    lost: list[int] = []

    def write(number: int) -> None:
        try:
            # Twenty at once are much for a mock: none is to be cut off for that.
            open_table(aws_url, table, clock, seconds=10).put(
                "lease/leader", {"holder": number}, expected=first.revision
            )
            won.append(number)
        except Conflict:
            lost.append(number)

    threads = [threading.Thread(target=write, args=(number,)) for number in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert (len(won), len(lost)) == (1, 19)
    [record] = open_table(aws_url, table, clock).load().values()
    assert record.value["holder"] == won[0]


def test_a_value_that_no_item_can_hold_is_refused_before_it_is_sent(store: StateTable) -> None:
    with pytest.raises(Rejected, match="StateTooLarge"):
        store.put(KEY, {"text": "x" * LONGEST_VALUE})
    assert store.load() == {}


def test_a_reader_never_sees_half_of_a_document_that_is_replaced(
    store: StateTable, aws_url: str, table: str, clock: FakeClock
) -> None:
    documents: list[dict[str, Json]] = [
        {"id": n, "text": uuid.uuid4().hex * 30_000} for n in range(6)
    ]
    seen: list[Any] = []

    def read() -> None:
        reader = open_table(aws_url, table, clock)
        seen.extend(reader.published("status") for _ in range(6))

    thread = threading.Thread(target=read)
    store.publish("status", documents[0])
    thread.start()
    for document in documents[1:]:
        store.publish("status", document)
    thread.join(30)
    assert len(seen) == 6
    assert all(one in documents for one in seen)


@pytest.mark.parametrize("spoilt", ["{", "[]", '{"a": NaN}'])
def test_a_spoilt_record_is_never_taken_for_none(
    store: StateTable, aws_url: str, table: str, spoilt: str
) -> None:
    store.put(KEY, {"a": 1})
    aws_client("dynamodb", aws_url).put_item(
        TableName=table,
        Item={
            "pk": {"S": "record"},
            "sk": {"S": KEY},
            "revision": {"N": "1"},
            "value": {"S": spoilt},
        },
    )
    with pytest.raises(Unavailable, match="StateCorrupt"):
        store.load()


def test_a_table_that_is_not_there_is_no_empty_store(aws_url: str, clock: FakeClock) -> None:
    with pytest.raises(Denied, match="StateMissing"):
        open_table(aws_url, "state-nowhere", clock, seconds=10).load()


# --- trouble -------------------------------------------------------------------------------------


class Trouble:
    """Answers every request with one error, or not at all."""

    def __init__(self) -> None:
        self.status, self.code = 400, ""
        trouble = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                self.rfile.read(int(self.headers.get("Content-Length", 0)))
                if not trouble.code:
                    threading.Event().wait(1.5)
                    return
                body = json.dumps(
                    {"__type": f"com.amazonaws.dynamodb.v20120810#{trouble.code}", "message": "no"}
                ).encode()
                self.send_response(trouble.status)
                self.send_header("Content-Type", "application/x-amz-json-1.0")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_arguments: Any) -> None: ...

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"


@pytest.fixture
def trouble(aws_credentials: None) -> Iterator[Trouble]:  # noqa: ARG001
    made = Trouble()
    thread = threading.Thread(target=made.server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    yield made
    made.server.shutdown()
    made.server.server_close()


class Lossy:
    """Stands before the mock of AWS and loses the answer to the first write, after it was made."""

    def __init__(self, behind: str) -> None:
        self.writes = 0
        self.meanwhile: Callable[[], object] = lambda: None  # between the write and its repetition
        lossy = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                status, answer = forward(behind, dict(self.headers), body)
                lossy.writes += self.headers["X-Amz-Target"].endswith("UpdateItem")
                if lossy.writes == 1:
                    lossy.meanwhile()
                    self.close_connection = True
                    return
                self.send_response(status)
                self.send_header("Content-Length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

            def log_message(self, *_arguments: Any) -> None: ...

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"


def forward(url: str, headers: dict[str, str], body: bytes) -> tuple[int, bytes]:
    try:
        with urlopen(Request(url, body, headers), timeout=10) as answer:
            return answer.status, answer.read()
    except HTTPError as error:
        with error:
            return error.code, error.read()


@pytest.fixture
def lossy(aws_url: str) -> Iterator[Lossy]:
    made = Lossy(aws_url)
    thread = threading.Thread(target=made.server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    yield made
    made.server.shutdown()
    made.server.server_close()


@pytest.mark.parametrize("expected", [0, 1])
def test_a_conditional_write_whose_answer_was_lost_is_known_as_our_own(
    lossy: Lossy, store: StateTable, table: str, clock: FakeClock, expected: int
) -> None:
    before = store.put(KEY, {"holder": "nobody"}) if expected else 0
    revision = open_table(lossy.url, table, clock, seconds=10).put(
        KEY, {"holder": "a"}, expected=before
    )
    assert lossy.writes == 2, "the SDK has repeated it"
    [record] = store.load().values()
    assert (record.value["holder"], record.revision) == ("a", revision)


def test_what_another_wrote_over_our_lost_answer_is_a_conflict_also_with_the_same_value(
    lossy: Lossy, store: StateTable, table: str, clock: FakeClock
) -> None:
    lossy.meanwhile = lambda: store.put(KEY, {"holder": "a"})
    with pytest.raises(Conflict):
        open_table(lossy.url, table, clock, seconds=10).put(KEY, {"holder": "a"}, expected=0)
    assert lossy.writes == 2


CALLS: dict[str, Callable[[StateTable], object]] = {
    "load": lambda store: store.load(),
    "put": lambda store: store.put(KEY, {}),
    "put expecting": lambda store: store.put(KEY, {}, expected=3),
    "delete": lambda store: store.delete(KEY),
    "append": lambda store: store.append("history", {}),
    "read": lambda store: store.read("history", 5),
    "publish": lambda store: store.publish("status", {}),
    "published": lambda store: store.published("status"),
}


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize(
    ("code", "fault"),
    [
        ("AccessDeniedException", Denied),
        ("ExpiredTokenException", Denied),
        ("ProvisionedThroughputExceededException", Transient),
        ("InternalServerError", Unavailable),
    ],
)
def test_trouble_is_a_fault_and_never_an_empty_answer(
    trouble: Trouble, clock: FakeClock, call: str, code: str, fault: type[Fault]
) -> None:
    trouble.status = 500 if code == "InternalServerError" else 400
    trouble.code = code
    with pytest.raises(fault):
        CALLS[call](open_table(trouble.url, "state", clock))


def test_a_write_without_an_answer_has_an_unknown_outcome(
    trouble: Trouble, clock: FakeClock
) -> None:
    with pytest.raises(OutcomeUnknown):
        open_table(trouble.url, "state", clock).put(KEY, {})
    with pytest.raises(Unavailable):
        open_table(trouble.url, "state", clock).load()


@pytest.mark.usefixtures("aws_credentials")
def test_nobody_there_is_unavailable_also_for_a_write(clock: FakeClock) -> None:
    store = open_table(f"http://127.0.0.1:{free_port()}", "state", clock)
    for call in CALLS.values():
        with pytest.raises(Unavailable):
            call(store)


def test_without_credentials_access_is_denied_and_found_again_later(
    aws_url: str, table: str, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = open_table(aws_url, table, clock)
    with monkeypatch.context() as without:
        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
            without.delenv(name)
        for name in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"):
            without.setenv(name, "/nonexistent")
        with pytest.raises(Denied, match="AwsCredentials"):
            store.load()
    assert store.load() == {}
