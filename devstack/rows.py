"""Reads what is in a topic, from its beginning, without a trace on the broker."""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaException, TopicPartition


@dataclass(frozen=True, slots=True)
class Row:
    """A change event as Debezium wrote it; no value is a tombstone."""

    topic: str
    partition: int
    offset: int
    key: Any
    value: Any

    @property
    def operation(self) -> str:
        """`r` snapshot, `c` insert, `u` update, `d` delete."""
        return str((self.value or {}).get("op", ""))

    @property
    def after(self) -> dict[str, Any]:
        return dict((self.value or {}).get("after") or {})


def _load(data: bytes | str | None) -> Any:
    """JSON with or without the schema around it."""
    if data is None:
        return None
    loaded = json.loads(data)
    if isinstance(loaded, dict) and loaded.keys() == {"schema", "payload"}:
        return loaded["payload"]
    return loaded


def read_rows(
    bootstrap: str,
    topic: str,
    *,
    until: Callable[[list[Row]], bool] | None = None,
    seconds: float = 20.0,
) -> list[Row]:
    """All rows up to the topic's end; with `until`, wait for more until it holds or time is up."""
    consumer = Consumer(
        {
            "bootstrap.servers": bootstrap,
            "client.id": "devstack-rows",
            "group.id": f"devstack-rows-{uuid.uuid4().hex}",  # never joined
            "enable.auto.commit": False,
            "enable.partition.eof": False,
            "allow.auto.create.topics": False,
        }
    )
    try:
        return _read(consumer, topic, until, time.monotonic() + seconds)
    finally:
        consumer.close()


def _read(
    consumer: Consumer, topic: str, until: Callable[[list[Row]], bool] | None, deadline: float
) -> list[Row]:
    rows: list[Row] = []
    partitions = _partitions(consumer, topic, deadline)
    ends = {place.partition: _end(consumer, place, deadline) for place in partitions}
    left = {number for number, end in ends.items() if end > 0}
    if partitions:
        consumer.assign(partitions)
    while time.monotonic() < deadline and (left or until is not None):
        if until is not None and not left and until(rows):
            break
        message = consumer.poll(0.1)
        if message is None or message.error() is not None:
            continue
        number, offset = message.partition() or 0, message.offset() or 0
        rows.append(Row(topic, number, offset, _load(message.key()), _load(message.value())))
        if offset + 1 >= ends.get(number, 0):
            left.discard(number)
    return rows


def _end(consumer: Consumer, place: TopicPartition, deadline: float) -> int:
    """Ask again while the partition looks for its leader, as after a broker's start."""
    while True:
        try:
            return int(consumer.get_watermark_offsets(place, timeout=10)[1])
        except KafkaException:
            if time.monotonic() >= deadline:
                raise
            consumer.poll(0.2)


def _partitions(consumer: Consumer, topic: str, deadline: float) -> list[TopicPartition]:
    while True:
        found = consumer.list_topics(topic, timeout=10).topics[topic]
        if found.partitions or time.monotonic() >= deadline:
            return [TopicPartition(topic, number, OFFSET_BEGINNING) for number in found.partitions]
        consumer.poll(0.1)
