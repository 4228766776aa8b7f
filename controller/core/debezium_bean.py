"""What Debezium tells by JMX, as the worker's Prometheus agent prints it (connect/jmx.yaml).

It explains; that a connector is alive it proves only where its numbers move.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final

from controller.core.lag import Delayed

MOST_SERIES: Final = 20_000
_LINE: Final = re.compile(r"debezium_([a-z0-9]+)\{([^}]*)\} (\S+)")
_LABEL: Final = re.compile(r'(\w+)="((?:[^"\\]|\\.)*)"')
_CONTEXTS: Final = frozenset({"streaming", "snapshot", "schema-history"})


@dataclass(frozen=True, slots=True)
class Bean:
    """The attributes of one connector, in lower case, by context; taken at one moment."""

    streaming: Mapping[str, float] = field(default_factory=lambda: MappingProxyType({}))
    snapshot: Mapping[str, float] = field(default_factory=lambda: MappingProxyType({}))
    moment: float = 0.0

    def get(self, context: str, attribute: str) -> float | None:
        return (self.streaming if context == "streaming" else self.snapshot).get(attribute)


def read_beans(lines: Iterable[str], moment: float) -> Mapping[str, Bean]:
    """Answer a bean for each `server`, which is a connector's topic prefix."""
    found: dict[str, dict[str, dict[str, float]]] = {}
    left = MOST_SERIES
    for line in lines:
        if not line.startswith("debezium_"):
            continue
        left -= 1
        matched = _LINE.match(line)
        if left < 0 or matched is None:
            continue
        labels = dict(_LABEL.findall(matched[2]))
        value = _number(matched[3])
        if value is None or labels.get("context") not in _CONTEXTS or "server" not in labels:
            continue
        contexts = found.setdefault(labels["server"], {})
        contexts.setdefault(labels["context"], {})[matched[1]] = value
    return {
        server: Bean(contexts.get("streaming", {}), contexts.get("snapshot", {}), moment)
        for server, contexts in found.items()
    }


def _number(text: str) -> float | None:
    try:
        value = float(text)
    except ValueError:
        return None
    return value if abs(value) < float("inf") else None  # also false for NaN


def delayed(bean: Bean) -> Delayed | None:
    """Tell how old the newest event was; Debezium keeps that number while the source is quiet."""
    behind = bean.streaming.get("millisecondsbehindsource", -1.0)
    since = bean.streaming.get("millisecondssincelastevent", -1.0)
    if behind < 0 or since < 0:
        return None
    return Delayed(bean.moment - since / 1000, behind / 1000)


def sign_of_life(before: Bean | None, bean: Bean) -> float | None:
    """Tell when it last moved on: an event, or LogMiner's position since the look before."""
    since = bean.streaming.get("millisecondssincelastevent", -1.0)
    event = bean.moment - since / 1000 if since >= 0 else None
    if before is not None and _moved(before, bean):
        return bean.moment
    return event


def _moved(before: Bean, bean: Bean) -> bool:
    names = ("offsetscn", "oldestscn")
    pairs = ((before.streaming.get(name), bean.streaming.get(name)) for name in names)
    return any(old is not None and new is not None and old < new for old, new in pairs)
