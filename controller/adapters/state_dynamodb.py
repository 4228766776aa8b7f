"""The state store as one DynamoDB table.

    pk                   sk          holds
    record               SECTION/x   value, revision, until (our clock), expires (DynamoDB's), put
    history/SECTION      number      one entry
    counter              SECTION     number of the newest entry
    document/SECTION     0000        what the document is made of; its pieces follow, by its id

A record that is deleted leaves its revision behind for a while, so that none is given out twice;
after that the clock has moved on, from which new ones start. DynamoDB deletes what is expired late
and as it likes, so what is over is left out by our own clock. `put` names the call that wrote last:
the SDK repeats a call whose answer is late, and the repetition must not lose against the first.
"""

from __future__ import annotations

import base64
import gzip
import hashlib
import json
import math
import re
import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final, NoReturn

from controller.aws_client import make_later
from controller.core.aws_faults import aws_fault
from controller.core.faults import Conflict, OutcomeUnknown, Rejected, Unavailable
from controller.core.model import Json, Record
from controller.ports import Clock

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.client import DynamoDBClient

LONGEST_VALUE: Final = 380_000  # bytes; an item may have 400 KB in all

_KEY: Final = re.compile(r"[A-Za-z][A-Za-z0-9]*/[^\x00-\x1f\x7f]{1,900}")
_SECTION: Final = re.compile(r"[A-Za-z][A-Za-z0-9]*")
_RECORDS: Final = "record"
_PAGES: Final = 32  # of up to 1 MB
_DAY: Final = 86_400
_REVISIONS_KEPT: Final = 7 * _DAY  # of what was deleted
_HISTORY_KEPT: Final = 400 * _DAY
_PIECES_KEPT: Final = 3600  # of a document that a newer one replaced
_SKEW: Final = 3600  # DynamoDB's clock must not end what lives by ours
_READS: Final = 5  # of a document that is replaced meanwhile

_PUT: Final = (
    "SET #revision = if_not_exists(#revision, :base) + :one, #value = :value, #put = :put{more} "
    "REMOVE {gone}"
)
_LIVES: Final = "attribute_not_exists(#gone) AND (attribute_not_exists(#until) OR #until > :now)"
_IS_GONE: Final = "attribute_not_exists(#revision) OR attribute_exists(#gone) OR #until <= :now"
_NAMES: Final = {
    f"#{name}": name for name in ("revision", "value", "until", "expires", "gone", "put")
}
_ENCODER: Final = json.JSONEncoder(allow_nan=False, separators=(",", ":"))


def client_factory(
    *,
    region: str | None = None,
    endpoint_url: str | None = None,
    connect_timeout: float = 2.0,
    read_timeout: float = 3.0,
) -> Callable[[], DynamoDBClient]:
    return make_later(
        "dynamodb",
        region=region,
        endpoint_url=endpoint_url,
        connect_timeout=connect_timeout,
        read_timeout=read_timeout,
    )


class StateTable:
    """Keeps the newest `keep` entries of each history section; `deadline` seconds for one load."""

    def __init__(
        self,
        table: str,
        make_client: Callable[[], DynamoDBClient],
        *,
        clock: Clock,
        scrub: Callable[[str], str] = str,
        deadline: float = 8.0,
        keep: int = 1000,
    ) -> None:
        self._table = table
        self._make_client = make_client
        self._clock = clock
        self._scrub = scrub
        self._deadline = deadline
        self._keep = keep
        self._client: DynamoDBClient | None = None

    # --- records ---

    def load(self) -> Mapping[str, Record]:
        now = self._clock.now()
        items = self._query(_RECORDS, pages=_PAGES)
        return MappingProxyType(
            {item["sk"]["S"]: self._record(item) for item in items if _lives(item, now)}
        )

    def put(
        self,
        key: str,
        value: Mapping[str, Json],
        *,
        expected: int | None = None,
        expires: float | None = None,
    ) -> int:
        _insist(_KEY, key)
        text = _bounded(key, _ENCODER.encode(dict(value)))
        values: dict[str, Any] = {
            ":base": _number(int(self._clock.now() * 1000)),
            ":one": _number(1),
            ":value": {"S": text},
            ":put": {"S": uuid.uuid4().hex},
        }
        more, gone = ", #until = :until, #expires = :expires", "#gone"
        if expires is None:
            more, gone = "", "#gone, #until, #expires"
        else:
            values[":until"] = _number(expires)
            values[":expires"] = _number(math.ceil(expires) + _SKEW)
        answer = self._update(key, _PUT.format(more=more, gone=gone), values, expected)
        return int(answer["Attributes"]["revision"]["N"])

    def delete(self, key: str, *, expected: int | None = None) -> None:
        """Leave the revision there, without the value."""
        _insist(_KEY, key)
        change = "SET #gone = :one, #expires = :expires REMOVE #value, #until"
        ends = int(self._clock.now()) + _REVISIONS_KEPT
        values: dict[str, Any] = {":one": _number(1), ":expires": _number(ends)}
        if expected is None:
            condition = "attribute_exists(#revision)"
        else:
            values |= {
                ":expected": _number(expected),
                ":now": _number(self._clock.now()),
            }
            condition = "#revision = :expected AND attribute_not_exists(#gone)"
            condition = f"attribute_exists(#revision) AND ({condition} OR {_gone_too()})"
        try:
            self._send("delete", key, change, values, condition)
        except Conflict:
            if expected is not None and self._is_there(key):
                raise

    def _is_there(self, key: str) -> bool:
        def get(client: DynamoDBClient) -> Any:
            return client.get_item(
                TableName=self._table, Key=_key(_RECORDS, key), ConsistentRead=True
            )

        item = self._call(f"read {key}", get).get("Item")
        return item is not None and _lives(item, self._clock.now())

    def _update(
        self, key: str, change: str, values: dict[str, Any], expected: int | None
    ) -> Mapping[str, Any]:
        condition: str | None = None
        if expected is not None:
            values[":now"] = _number(self._clock.now())
            condition = _IS_GONE
        if expected:
            values[":expected"] = _number(expected)
            condition = f"#revision = :expected AND {_LIVES}"
        return self._send("put", key, change, values, condition)

    def _send(
        self, verb: str, key: str, change: str, values: Mapping[str, Any], condition: str | None
    ) -> Mapping[str, Any]:
        text = f"{change} {condition or ''}"
        request: dict[str, Any] = {
            "TableName": self._table,
            "Key": _key(_RECORDS, key),
            "UpdateExpression": change,
            "ExpressionAttributeNames": {n: v for n, v in _NAMES.items() if n in text},
            "ExpressionAttributeValues": values,
            "ReturnValues": "UPDATED_NEW",
        }
        if condition is not None:
            request["ConditionExpression"] = condition
            request["ReturnValuesOnConditionCheckFailure"] = "ALL_OLD"

        def send(client: DynamoDBClient) -> Any:
            try:
                return client.update_item(**request)
            except client.exceptions.ConditionalCheckFailedException as error:
                found: Any = error.response.get("Item") or {}
                if "put" not in found or found["put"] != values.get(":put"):
                    raise
                return {"Attributes": found}  # our own, whose answer did not come

        answer: Mapping[str, Any] = self._call(f"{verb} {key}", send, wrote=True)
        return answer

    def _record(self, item: Mapping[str, Any]) -> Record:
        try:
            until = item.get("until")
            return Record(
                MappingProxyType(_parse(item["value"]["S"])),
                int(item["revision"]["N"]),
                None if until is None else float(until["N"]),
            )
        except (ValueError, TypeError, KeyError, RecursionError) as error:
            name = item.get("sk", {}).get("S")
            raise self._corrupt(f"record {name}", error) from error

    # --- history ---

    def append(self, section: str, entry: Mapping[str, Json]) -> None:
        """Number the entry, and delete the one that it pushes out."""
        _insist(_SECTION, section)
        text = _bounded(section, _ENCODER.encode(dict(entry)))
        number = self._count(section)
        self._put_item(
            f"history/{section}",
            _ordinal(number),
            {"value": {"S": text}, "expires": self._after(_HISTORY_KEPT)},
        )
        if number > self._keep:
            self._delete_item(f"history/{section}", _ordinal(number - self._keep))

    def read(self, section: str, limit: int) -> Sequence[Mapping[str, Json]]:
        _insist(_SECTION, section)
        if limit <= 0:
            return ()
        most = min(limit, 2 * self._keep)
        items = list(self._query(f"history/{section}", pages=_PAGES, newest=most))
        return tuple(self._entry(section, item) for item in reversed(items))

    def _count(self, section: str) -> int:
        def count(client: DynamoDBClient) -> Any:
            return client.update_item(
                TableName=self._table,
                Key=_key("counter", section),
                UpdateExpression="ADD #number :one",
                ExpressionAttributeNames={"#number": "number"},
                ExpressionAttributeValues={":one": {"N": "1"}},
                ReturnValues="UPDATED_NEW",
            )

        answer = self._call(f"count an entry of {section}", count, wrote=True)
        return int(answer["Attributes"]["number"]["N"])

    def _entry(self, section: str, item: Mapping[str, Any]) -> Mapping[str, Json]:
        try:
            return MappingProxyType(_parse(item["value"]["S"]))
        except (ValueError, TypeError, KeyError, RecursionError) as error:
            raise self._corrupt(f"an entry of {section}", error) from error

    # --- documents ---

    def publish(self, section: str, document: Mapping[str, Json]) -> None:
        """Write its pieces, then the head that names them; a reader never sees half of it."""
        _insist(_SECTION, section)
        packed = gzip.compress(_ENCODER.encode(dict(document)).encode(), 6, mtime=0)
        text = base64.b64encode(packed).decode()
        ident = hashlib.sha256(text.encode()).hexdigest()[:32]
        pieces = [text[at : at + LONGEST_VALUE] for at in range(0, len(text), LONGEST_VALUE)]
        if len(pieces) > _PAGES:
            raise Rejected("StateTooLarge", f"the document {section} has {len(text)} bytes")
        for number, piece in enumerate(pieces[1:], 1):
            self._put_item(
                f"document/{section}",
                f"{ident}/{number:04d}",
                {"value": {"S": piece}, "expires": self._after(_PIECES_KEPT + _SKEW)},
            )
        head = {"id": {"S": ident}, "pieces": _number(len(pieces)), "value": {"S": pieces[0]}}
        self._put_item(f"document/{section}", "0000", head)

    def published(self, section: str) -> Mapping[str, Json] | None:
        _insist(_SECTION, section)
        for _ in range(_READS):
            head = self._get_item(f"document/{section}", "0000")
            if head is None:
                return None
            text = self._text_of(section, head)
            if text is not None:
                return self._unpack(section, text)
        raise Unavailable("StateChanging", f"the document {section} does not stop changing")

    def _text_of(self, section: str, head: Mapping[str, Any]) -> str | None:
        """Put the pieces together; none when one is gone, as after a newer document."""
        try:
            ident, count = head["id"]["S"], int(head["pieces"]["N"])
            pieces = [head["value"]["S"]]
            for number in range(1, count):
                item = self._get_item(f"document/{section}", f"{ident}/{number:04d}")
                if item is None:
                    return None
                pieces.append(item["value"]["S"])
        except (ValueError, TypeError, KeyError) as error:
            raise self._corrupt(f"document {section}", error) from error
        return "".join(pieces)

    def _unpack(self, section: str, text: str) -> Mapping[str, Json]:
        try:
            return _parse(gzip.decompress(base64.b64decode(text, validate=True)).decode())
        except (ValueError, TypeError, OSError, EOFError, RecursionError) as error:
            raise self._corrupt(f"document {section}", error) from error

    # --- calls ---

    def _query(self, partition: str, *, pages: int, newest: int = 0) -> Iterator[Mapping[str, Any]]:
        """Read a partition in order, or backwards the `newest` items; whole or not at all."""
        request: dict[str, Any] = {
            "TableName": self._table,
            "KeyConditionExpression": "#pk = :pk",
            "ExpressionAttributeNames": {"#pk": "pk"},
            "ExpressionAttributeValues": {":pk": {"S": partition}},
            "ConsistentRead": True,
            "ScanIndexForward": newest == 0,
        }
        found: list[Mapping[str, Any]] = []
        end = time.monotonic() + self._deadline
        for _ in range(pages):
            if newest:
                request["Limit"] = newest - len(found)
            if time.monotonic() >= end:
                raise Unavailable("StateSlow", f"{self._table} did not answer everything in time")
            answer = self._call(f"read {partition}", lambda client: client.query(**request))
            found.extend(answer.get("Items", ()))
            last = answer.get("LastEvaluatedKey")
            if not last or (newest and len(found) >= newest):
                return iter(found)
            request["ExclusiveStartKey"] = last
        raise Unavailable("StateTooLarge", f"{self._table} holds over {pages} pages of {partition}")

    def _get_item(self, pk: str, sk: str) -> Mapping[str, Any] | None:
        answer = self._call(
            f"read {pk}",
            lambda client: client.get_item(
                TableName=self._table, Key=_key(pk, sk), ConsistentRead=True
            ),
        )
        item: Mapping[str, Any] | None = answer.get("Item")
        return item

    def _put_item(self, pk: str, sk: str, item: Mapping[str, Any]) -> None:
        whole: Any = {**_key(pk, sk), **item}
        self._call(
            f"write {pk}",
            lambda client: client.put_item(TableName=self._table, Item=whole),
            wrote=True,
        )

    def _delete_item(self, pk: str, sk: str) -> None:
        self._call(
            f"shorten {pk}",
            lambda client: client.delete_item(TableName=self._table, Key=_key(pk, sk)),
            wrote=True,
        )

    def _call(
        self, what: str, call: Callable[[DynamoDBClient], Any], *, wrote: bool = False
    ) -> Any:
        from botocore.exceptions import BotoCoreError, ClientError

        try:
            if self._client is None:
                self._client = self._make_client()
            return call(self._client)
        except ClientError as error:
            told = error.response.get("Error", {})
            code = told.get("Code", "")
            said = self._scrub(f"cannot {what} in {self._table}: {code}: {told.get('Message', '')}")
            status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
            raise aws_fault("State", code, said, status=status) from error
        except (BotoCoreError, ValueError) as error:
            code = type(error).__name__
            said = self._scrub(f"cannot {what} in {self._table}: {error}")
            fault = aws_fault("State", code, said, wrote=wrote)
            if not isinstance(fault, Unavailable | OutcomeUnknown):
                self._client = None  # one that was made without credentials never finds any
            raise fault from error

    def _after(self, seconds: int) -> dict[str, str]:
        return _number(int(self._clock.now()) + seconds)

    def _corrupt(self, what: str, error: Exception) -> Unavailable:
        advice = "restore the table, or delete the item, after which that memory counts as lost"
        return Unavailable(
            "StateCorrupt",
            f"{self._table}: {what} is no state ({type(error).__name__}); {advice}",
        )


def _gone_too() -> str:
    """What is over counts as deleted already."""
    return "attribute_exists(#gone) OR #until <= :now"


def _insist(pattern: re.Pattern[str], text: str) -> None:
    if pattern.fullmatch(text) is None:
        raise ValueError(f"{text!r} does not name state: want {pattern.pattern}")


def _bounded(what: str, text: str) -> str:
    size = len(text.encode())
    if size > LONGEST_VALUE:
        raise Rejected("StateTooLarge", f"{what} has {size} bytes, of {LONGEST_VALUE} at most")
    return text


def _key(pk: str, sk: str) -> dict[str, Any]:
    return {"pk": {"S": pk}, "sk": {"S": sk}}


def _number(value: float) -> dict[str, str]:
    return {"N": repr(value)}


def _ordinal(number: int) -> str:
    return f"{number:015d}"


def _lives(item: Mapping[str, Any], now: float) -> bool:
    until = item.get("until")
    return "gone" not in item and (until is None or float(until["N"]) > now)


def _parse(text: str) -> dict[str, Json]:
    found: dict[str, Json] = json.loads(text, parse_constant=_refuse)
    if not isinstance(found, dict):
        raise TypeError("no object")
    return found


def _refuse(_constant: str) -> NoReturn:
    raise ValueError("NaN and Infinity are no JSON")
