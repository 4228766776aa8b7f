"""The worker's JMX agent, which prints Debezium's beans for Prometheus on this machine."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from controller.core.debezium_bean import Bean, read_beans

SECONDS: Final = 3.0
MOST_BYTES: Final = 8 * 1024 * 1024


class JmxPage:
    """Reads the agent's page; raises Unavailable where there is none."""

    def __init__(self, fetch: Callable[[], bytes], monotonic: Callable[[], float]) -> None:
        self._fetch = fetch
        self._monotonic = monotonic

    def read(self) -> Mapping[str, Bean]:
        text = self._fetch().decode(errors="replace")
        return read_beans(text.splitlines(), self._monotonic())
