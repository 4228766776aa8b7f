"""What a resource is called."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from enum import StrEnum


class Kind(StrEnum):
    """What a step is about; the order of the members is the order within a plan."""

    SECRET = "secret"  # noqa: S105 - a kind of resource
    WORKER = "worker"
    LOGIN = "login"
    TOPIC = "topic"
    CONNECTOR = "connector"
    RESTART = "restart"
    RESTORE = "restore"


@dataclass(frozen=True, slots=True, order=True)
class ResourceKey:
    """Names one resource; its text form `topic/wms` is what people type and metrics carry."""

    kind: Kind
    name: str

    def __str__(self) -> str:
        return f"{self.kind}/{self.name}"


def topic_key(name: str) -> ResourceKey:
    return ResourceKey(Kind.TOPIC, name)


def connector_key(name: str) -> ResourceKey:
    return ResourceKey(Kind.CONNECTOR, name)


def secret_key(name: str) -> ResourceKey:
    return ResourceKey(Kind.SECRET, name)


def login_key(connector: str) -> ResourceKey:
    return ResourceKey(Kind.LOGIN, connector)


def restart_key(connector: str) -> ResourceKey:
    return ResourceKey(Kind.RESTART, connector)


def restore_key(connector: str) -> ResourceKey:
    return ResourceKey(Kind.RESTORE, connector)


WORKER = ResourceKey(Kind.WORKER, "ready")


def names_of(keys: Collection[ResourceKey]) -> tuple[str, ...]:
    return tuple(sorted(key.name for key in keys))
