"""The client of Kafka, made anew when the broker string changes."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

from controller.core.faults import Unavailable
from controller.ports import KafkaClient

KafkaFactory: TypeAlias = "Callable[[str], KafkaClient]"


class KafkaConnection:
    """One client for as long as the broker string stays the same."""

    def __init__(self, factory: KafkaFactory) -> None:
        self._factory = factory
        self._line: str | None = None
        self._client: KafkaClient | None = None
        self._cluster_id: str | None = None

    def to(self, line: str) -> KafkaClient:
        """Answer the client for this broker string, connecting anew when it changed."""
        if self._client is None or line != self._line:
            self.close()
            self._client = self._factory(line)
            self._line = line
        return self._client

    @property
    def client(self) -> KafkaClient | None:
        """The one there is, if any."""
        return self._client

    @property
    def line(self) -> str | None:
        """The broker string that the client was made for."""
        return self._line

    def current(self) -> KafkaClient:
        """Answer the client that the newest observation used."""
        if self._client is None:
            raise Unavailable("NotConnected", "no broker string was resolved yet")
        return self._client

    def cluster_id(self, line: str) -> str:
        """Ask once per connection."""
        client = self.to(line)
        if self._cluster_id is None:
            self._cluster_id = client.cluster_id()
        return self._cluster_id

    def close(self) -> None:
        if self._client is not None:
            self._client.close()
        self._client = self._line = self._cluster_id = None
