"""What one cycle knows of each connector's lag, and of the containers beside us."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final

from controller.core.debezium_bean import Bean
from controller.core.lag import Lag
from controller.core.model import ConnectorManifest, Json, Revision, TopicClass

WORKER: Final = "connect"
OUT_OF_MEMORY_EXIT: Final = 137  # killed by SIGKILL, which is what the kernel does then
JVM_OUT_OF_MEMORY_EXIT: Final = 3  # what -XX:+ExitOnOutOfMemoryError ends the worker with


@dataclass(frozen=True, slots=True)
class ObservedContainer:
    """A container of our ECS task, as its metadata endpoint tells."""

    name: str
    status: str
    health: str | None = None  # HEALTHY | UNHEALTHY | UNKNOWN; None: it has no check
    restarts: int = 0
    exit_code: int | None = None

    @property
    def out_of_memory(self) -> bool:
        return self.exit_code == OUT_OF_MEMORY_EXIT or self._heap_was_full

    @property
    def _heap_was_full(self) -> bool:
        return self.name == WORKER and self.exit_code == JVM_OUT_OF_MEMORY_EXIT

    @property
    def trouble(self) -> str:
        """Say what a person should hear of it; nothing while there is nothing."""
        said = []
        if self.health == "UNHEALTHY":
            said.append("its health check fails")
        if self.restarts:
            said.append(f"started again {self.restarts} time(s)")
        if self._heap_was_full:
            said.append(f"ended with {self.exit_code}: its heap was full")
        elif self.out_of_memory:
            said.append(f"ended with {self.exit_code} (SIGKILL), most often for want of memory")
        elif self.exit_code:
            said.append(f"ended with {self.exit_code}")
        return ", ".join(said)


@dataclass(frozen=True, slots=True)
class LagReport:
    """By connector; what could not be seen is missing, and its lag says so."""

    lags: Mapping[str, Lag] = field(default_factory=lambda: MappingProxyType({}))
    beans: Mapping[str, Bean] = field(default_factory=lambda: MappingProxyType({}))
    jmx_up: bool = False
    containers: tuple[ObservedContainer, ...] = ()
    trends: Mapping[str, tuple[float, ...]] = field(default_factory=lambda: MappingProxyType({}))
    redo_left: Mapping[str, float] = field(default_factory=lambda: MappingProxyType({}))  # seconds


@dataclass(frozen=True, slots=True)
class Captured:
    """The topics that tell of one connector."""

    heartbeats: tuple[str, ...]
    rows: tuple[str, ...]


def captured(manifest: ConnectorManifest, revision: Revision) -> Captured:
    """Name them, of those that are declared."""
    mine = [topic for topic in revision.topics if topic.key in manifest.needs]
    return Captured(
        tuple(t.name for t in mine if t.topic_class is TopicClass.HEARTBEAT),
        tuple(t.name for t in mine if t.topic_class is TopicClass.DATA),
    )


def describe_lag(lag: Lag, trend: tuple[float, ...]) -> Json:
    """Tell it as JSON, for `/status`."""
    return {
        "seconds": _rounded(lag.seconds),
        "trend": [round(seconds, 1) for seconds in trend],
        "message": lag.message,
        "heartbeatAge": _rounded(lag.heartbeat_age),
        "seen": [str(sign) for sign in sorted(lag.seen)],
        "topics": {
            name: {"seconds": _rounded(one.seconds), "newestRecordAge": _rounded(one.age)}
            for name, one in sorted(lag.topics.items())
        },
    }


def describe_container(one: ObservedContainer) -> Json:
    """Tell it as JSON, for `/status`."""
    return {
        "name": one.name,
        "status": one.status,
        "health": one.health,
        "restarts": one.restarts,
        "exitCode": one.exit_code,
        "outOfMemory": one.out_of_memory,
        "trouble": one.trouble,
    }


def _rounded(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds, 3)
