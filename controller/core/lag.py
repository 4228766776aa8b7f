"""How far Kafka is behind the source, from what can be seen without reading a row.

    lag = (moment - signed) + max(0, delay - (signed - written))

`signed` is when the connector last wrote anything, a heartbeat or a row: nothing later is in Kafka.
`delay` is how old the newest row was when it was `written`. It wears off while heartbeats follow
that no newer row comes between: the connector has read on, and found nothing more.

Moments are of a clock that never jumps. What a record's timestamp claims is believed only between
the last look that did not show the record and the first that did, so that no wrong clock, ours or
the worker's, hides a pipeline that is dead.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from math import inf
from types import MappingProxyType
from typing import Final

NO_HEARTBEAT: Final = (
    "no heartbeat was seen, and without one a quiet source and a dead connector look alike"
)


class Sign(StrEnum):
    """Where what we know of a connector's lag comes from."""

    HEARTBEAT = "heartbeat"
    RECORDS = "records"  # their newest timestamps
    SOURCE_TIME = "sourceTime"  # when the newest row was committed
    JMX = "jmx"


@dataclass(frozen=True, slots=True)
class Place:
    """Where one record lies."""

    partition: int
    offset: int


@dataclass(frozen=True, slots=True)
class Newest:
    """What the brokers tell of a topic's newest record without showing it."""

    end: int  # the offsets after the last records, all partitions together
    timestamp: float | None = None  # seconds since the epoch; None: it holds no record
    place: Place | None = None  # of the record with that timestamp


@dataclass(frozen=True, slots=True)
class SourceTime:
    """When a row was committed at the source, and when it was written to Kafka; two clocks."""

    committed: float
    written: float

    @property
    def delay(self) -> float:
        return max(0.0, self.written - self.committed)


@dataclass(frozen=True, slots=True)
class Followed:
    """What is kept of one topic from look to look."""

    end: int
    seen: float  # the moment of the newest look
    written: float | None  # the moment its newest record was written; None: we saw none
    delay: float | None = None  # of its newest row, where that is known


def follow(before: Followed | None, newest: Newest, *, now: float, moment: float) -> Followed:
    """Take a look into account; a topic that was created again begins anew."""
    if before is not None and newest.end == before.end:
        return replace(before, seen=max(moment, before.seen))
    grown = before is not None and newest.end > before.end
    earliest = before.seen if before is not None and grown else -inf
    written: float | None = None
    if newest.timestamp is not None:
        written = max(earliest, min(moment, moment - (now - newest.timestamp)))
    elif earliest > -inf:
        written = earliest  # written and gone again, but written
    return Followed(newest.end, moment, written)


@dataclass(frozen=True, slots=True)
class Delayed:
    """How old what the connector read last was at that moment, as its own metrics have it."""

    moment: float
    delay: float


@dataclass(frozen=True, slots=True)
class TopicLag:
    seconds: float | None
    age: float | None  # of its newest record


@dataclass(frozen=True, slots=True)
class Lag:
    """One connector's; `message` says what the number rests on, or why there is none."""

    seconds: float | None
    message: str
    heartbeat_age: float | None = None
    topics: Mapping[str, TopicLag] = field(default_factory=lambda: MappingProxyType({}))
    seen: frozenset[Sign] = frozenset()


def measure(
    *,
    moment: float,
    heartbeat: Followed | None,
    topics: Mapping[str, Followed],
    sign: float | None = None,
    delayed: Delayed | None = None,
) -> Lag:
    """Work out what `moment` is behind; `sign` is a moment at which JMX showed it move on."""
    beat = None if heartbeat is None else heartbeat.written
    rows = [one.written for one in topics.values() if one.written is not None]
    seen = _seen(beat, topics, sign, delayed)
    alive = [one for one in (beat, sign) if one is not None]
    signed = max([*rows, *alive]) if alive else None
    lags = {name: _of_topic(one, signed, moment) for name, one in topics.items()}
    age = None if beat is None else _since(moment, beat)
    if signed is None:
        return Lag(None, NO_HEARTBEAT, age, lags, seen)
    behind = [one.seconds for one in lags.values() if one.seconds is not None]
    if delayed is not None:
        behind.append(_lag(signed, delayed.moment, delayed.delay, moment))
    seconds = max([_since(moment, signed), *behind])
    return Lag(seconds, _rests_on(seen), age, lags, seen)


def _seen(
    beat: float | None,
    topics: Mapping[str, Followed],
    sign: float | None,
    delayed: Delayed | None,
) -> frozenset[Sign]:
    found = {
        Sign.HEARTBEAT: beat is not None,
        Sign.RECORDS: bool(topics),
        Sign.SOURCE_TIME: any(one.delay is not None for one in topics.values()),
        Sign.JMX: sign is not None or delayed is not None,
    }
    return frozenset(one for one, there in found.items() if there)


def _of_topic(topic: Followed, signed: float | None, moment: float) -> TopicLag:
    age = None if topic.written is None else _since(moment, topic.written)
    if signed is None:
        return TopicLag(None, age)
    if topic.written is None or topic.delay is None:
        return TopicLag(_since(moment, signed), age)
    return TopicLag(_lag(signed, topic.written, topic.delay, moment), age)


def _lag(signed: float, written: float, delay: float, moment: float) -> float:
    return _since(moment, signed) + max(0.0, delay - max(0.0, signed - written))


def _since(moment: float, then: float) -> float:
    return max(0.0, moment - then)


def _rests_on(seen: frozenset[Sign]) -> str:
    if Sign.SOURCE_TIME in seen:
        return "from heartbeats and from when the newest rows were committed"
    if Sign.JMX in seen:
        return "from heartbeats and from the connector's own metrics"
    return (
        "from heartbeats; how old rows are when they arrive is not seen "
        "(readSourceTimestamps, or the JMX agent, would tell)"
    )
