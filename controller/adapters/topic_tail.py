"""When the newest row of a topic was committed, read from the row itself and nothing else kept.

It reads the records it is told, belongs to no group and commits nothing.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any, Final

from confluent_kafka import (
    TIMESTAMP_NOT_AVAILABLE,
    Consumer,
    KafkaException,
    Message,
    TopicPartition,
)

from controller.core.faults import Unavailable
from controller.core.lag import Place, SourceTime
from controller.core.redact import Redacted

SECONDS: Final = 5.0
LONGEST: Final = 4 * 1024 * 1024  # bytes of a value that is looked into
_BEFORE: Final = 1  # a deletion's tombstone comes last and says nothing: the record before it does
_POLL: Final = 0.2
_LATEST: Final = 32_503_680_000_000  # ms; the year 3000


class TopicTail:
    """One consumer, made at the first use; reading nothing between calls."""

    def __init__(
        self,
        config: Mapping[str, Any],
        *,
        scrub: Callable[[str], str],
        seconds: float = SECONDS,
    ) -> None:
        self._config = config
        self._scrub = scrub
        self._seconds = seconds
        self._consumer: Consumer | None = None

    def source_times(self, places: Mapping[str, Place]) -> Mapping[str, SourceTime]:
        """Read the record at each place; a topic whose record tells no time is left out."""
        if not places:
            return {}
        consumer = self._connected()
        try:
            consumer.assign(
                [
                    TopicPartition(name, place.partition, max(0, place.offset - _BEFORE))
                    for name, place in places.items()
                ]
            )
            return self._read(consumer, places)
        except KafkaException as raised:
            text = self._scrub(raised.args[0].str())
            raise Unavailable("KafkaUnavailable", f"the newest record: {text}") from raised
        finally:
            with suppress(KafkaException):
                consumer.unassign()

    def close(self) -> None:
        if self._consumer is not None:
            self._consumer.close()
            self._consumer = None

    def _read(self, consumer: Consumer, places: Mapping[str, Place]) -> dict[str, SourceTime]:
        found: dict[str, SourceTime] = {}
        waiting = set(places)
        end = time.monotonic() + self._seconds
        while waiting and time.monotonic() < end:
            message = consumer.poll(_POLL)
            if message is None or message.topic() is None:
                continue
            name = str(message.topic())
            offset = message.offset()
            if message.error() is not None:  # the end of the partition, or it is away
                waiting.discard(name)
                continue
            read = source_time(message) if offset is not None else None
            if read is not None and (offset or 0) <= places[name].offset:
                found[name] = read
            if (offset or 0) >= places[name].offset:
                waiting.discard(name)
        return found

    def _connected(self) -> Consumer:
        if self._consumer is None:
            settings: dict[str, Any] = {
                name: value.reveal() if isinstance(value, Redacted) else value
                for name, value in self._config.items()
            }
            if "oauth_cb" in settings:
                settings["oauth_cb"]("")  # a client whose first token fails blocks for ten seconds
            self._consumer = Consumer(
                {
                    **settings,
                    "group.id": f"{settings['client.id']}-tail",  # a name only: never joined
                    "enable.auto.commit": False,
                    "enable.auto.offset.store": False,
                    "enable.partition.eof": True,
                    "auto.offset.reset": "error",
                    "fetch.message.max.bytes": 65_536,  # one record, however large, always comes
                    "queued.max.messages.kbytes": 1024,
                }
            )
        return self._consumer


def source_time(message: Message) -> SourceTime | None:
    """Tell when the record was committed and written; None when it does not say."""
    kind, written = message.timestamp()
    value = message.value()
    raw = value.encode() if isinstance(value, str) else value
    committed = committed_ms(raw)
    if kind == TIMESTAMP_NOT_AVAILABLE or committed is None:
        return None
    return SourceTime(committed / 1000, written / 1000)


def committed_ms(value: bytes | None) -> int | None:
    """Find `source.ts_ms` in JSON, with the schema around it or without."""
    if not value or len(value) > LONGEST:
        return None
    try:
        row = json.loads(value)
    except (ValueError, RecursionError):
        return None
    if isinstance(row, dict) and "payload" in row and "schema" in row:
        row = row["payload"]
    source = row.get("source") if isinstance(row, dict) else None
    found = source.get("ts_ms") if isinstance(source, dict) else None
    if not isinstance(found, int) or isinstance(found, bool) or not 0 < found < _LATEST:
        return None
    return found
