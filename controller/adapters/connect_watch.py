"""The first sign of a change: the keys that Connect writes into its status topic.

Connect keeps its state in compacted topics, so they are its change feed. The status topic is enough
(a PUT, a pause and a delete all show in it), and unlike the config topic it carries no key that the
workers sign with.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any, Final, TypeAlias

from confluent_kafka import (
    OFFSET_END,
    Consumer,
    KafkaError,
    KafkaException,
    Message,
    TopicPartition,
)

from controller.core.redact import Redacted

Scrub: TypeAlias = Callable[[str], str]

_CONNECTOR: Final = "status-connector-"
_TASK: Final = "status-task-"
_POLL: Final = 0.25
_METADATA: Final = 0.5  # for one try; a stop waits for no more than that
_TRIES: Final = 10
_JOIN: Final = 0.9
_LOG: Final = logging.getLogger(__name__)


def _codes(names: str) -> frozenset[int]:
    return frozenset(int(getattr(KafkaError, name)) for name in names.split())


_AT_END: Final = _codes("_PARTITION_EOF")
_AWAY: Final = _codes("_TIMED_OUT _TRANSPORT _ALL_BROKERS_DOWN LEADER_NOT_AVAILABLE")
# All others pass by themselves (librdkafka connects again), or, as the missing permission to look
# up a group that is never joined, do not matter.
_LOST: Final = _codes(
    "UNKNOWN_TOPIC_OR_PART UNKNOWN_TOPIC_ID _UNKNOWN_TOPIC _UNKNOWN_PARTITION"
    " TOPIC_AUTHORIZATION_FAILED"
)


class _NotFollowing(Exception):
    """The topic cannot be followed now; the text says why."""


class ConnectStatusWatch:
    """Follows the topic from its end in a thread of its own, joins no group and commits nothing.

    `config` is asked at each connection, and again each interval: None while no broker is known,
    other brokers end the old connection.
    """

    def __init__(
        self,
        config: Callable[[], Mapping[str, Any] | None],
        topic: str,
        *,
        interesting: Callable[[str], bool],
        wake: Callable[[str], None],
        scrub: Scrub,
        retry_seconds: float = 15.0,
    ) -> None:
        self._config = config
        self._topic = topic
        self._interesting = interesting
        self._wake = wake
        self._scrub = scrub
        self._retry_seconds = retry_seconds
        self._stopping = threading.Event()
        self._at_end = threading.Event()
        self._thread = threading.Thread(target=self._run, name="connect-watch", daemon=True)
        self.trouble: str | None = None  # why it does not follow, for a person

    @property
    def following(self) -> bool:
        """Whether everything written from now on is seen."""
        return self._at_end.is_set()

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Return within a second, whatever the brokers do."""
        self._stopping.set()
        if self._thread.ident is not None:
            self._thread.join(_JOIN)

    def _run(self) -> None:
        while not self._stopping.is_set():
            try:
                self._follow()
            except _NotFollowing as why:
                self._tell(str(why))
            except Exception as error:  # noqa: BLE001 - a dead thread would never be missed
                self._tell(f"{type(error).__name__}: {error}")
            self._at_end.clear()
            self._stopping.wait(self._retry_seconds)

    def _follow(self) -> None:
        config = self._config()
        if config is None:
            raise _NotFollowing("no broker is known yet")
        consumer = self._connect(config)
        try:
            partitions = self._partitions(consumer)
            consumer.assign([TopicPartition(self._topic, one, OFFSET_END) for one in partitions])
            self._read(consumer, partitions, config["bootstrap.servers"])
        finally:
            consumer.close()

    def _connect(self, config: Mapping[str, Any]) -> Consumer:
        settings: dict[str, Any] = {
            name: value.reveal() if isinstance(value, Redacted) else value
            for name, value in config.items()
        }
        if "oauth_cb" in settings:
            settings["oauth_cb"]("")  # a client whose first token fails blocks for ten seconds
        return Consumer(
            {
                **settings,
                "group.id": f"{settings['client.id']}-watch",  # librdkafka insists on a name
                "enable.auto.commit": False,
                "enable.auto.offset.store": False,
                "enable.partition.eof": True,
                "auto.offset.reset": "latest",
                "queued.max.messages.kbytes": 1024,
            }
        )

    def _partitions(self, consumer: Consumer) -> list[int]:
        for _ in range(_TRIES):
            if self._stopping.is_set():
                raise _NotFollowing("stopped")
            try:
                topic = consumer.list_topics(self._topic, timeout=_METADATA).topics[self._topic]
            except KafkaException as raised:
                if raised.args[0].code() not in _AWAY:
                    raise
                continue
            if topic.error is not None:
                raise _NotFollowing(f"topic {self._topic}: {topic.error.str()}")
            if topic.partitions:
                return sorted(topic.partitions)
        raise _NotFollowing("no broker answers")

    def _read(self, consumer: Consumer, partitions: list[int], brokers: str) -> None:
        behind = set(partitions)
        look_again = time.monotonic() + self._retry_seconds
        while not self._stopping.is_set():
            message = consumer.poll(_POLL)
            if message is not None:
                self._take(message, behind)
            if time.monotonic() >= look_again:
                if self._moved(brokers):
                    return
                look_again = time.monotonic() + self._retry_seconds

    def _take(self, message: Message, behind: set[int]) -> None:
        error = message.error()
        if error is None:
            self._take_key(message.key())
        elif error.code() in _AT_END:
            self._reached_end(message, behind)
        elif error.code() in _LOST:
            raise _NotFollowing(f"topic {self._topic}: {error.str()}")

    def _take_key(self, key: bytes | str | None) -> None:
        name = connector_of(key)
        if name is not None and self._interesting(name):
            self._wake(name)

    def _reached_end(self, message: Message, behind: set[int]) -> None:
        behind.discard(message.partition() or 0)
        if not behind and not self._at_end.is_set():
            self._at_end.set()
            self.trouble = None
            _LOG.info("following %s", self._topic)

    def _moved(self, brokers: str) -> bool:
        config = self._config()
        return config is not None and config["bootstrap.servers"] != brokers

    def _tell(self, text: str) -> None:
        text = self._scrub(text)
        if text != self.trouble and not self._stopping.is_set():
            _LOG.warning("not following %s: %s", self._topic, text)
        self.trouble = text


def connector_of(key: bytes | str | None) -> str | None:
    """Tell whose state a record of the status topic is about; None when it is no connector's."""
    text = key.decode(errors="replace") if isinstance(key, bytes) else key or ""
    if text.startswith(_CONNECTOR):
        return text.removeprefix(_CONNECTOR) or None
    if text.startswith(_TASK):
        name, _, number = text.removeprefix(_TASK).rpartition("-")
        return name if name and number.isdigit() else None
    return None
