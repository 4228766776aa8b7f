"""What bears on one connector beside itself, and which others share its names."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from controller.core.action import Remember
from controller.core.decision import Stall, Wait
from controller.core.diff import Diff
from controller.core.identity import HISTORY_KEY
from controller.core.model import ConnectorManifest, ObservedConnector, Offsets, Unknown


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What else was observed that bears on one connector."""

    mark: str
    protected: bool  # a named stage: what may cost data needs a person
    missing: tuple[str, ...] = ()  # topics and secret files that it needs and that are not there
    offsets: Offsets | Unknown | None = None  # None: nobody asked
    filled: frozenset[str] | Unknown | None = None  # its topics that hold records; None: not asked
    rivals: tuple[str, ...] = ()  # others with its prefix or history topic
    # Offsets topics of other named stages on this cluster; None: not asked.
    neighbours: frozenset[str] | Unknown | None = frozenset()
    hold_resume: Wait | Stall | None = None  # why what we stopped may not be resumed yet
    before_resume: tuple[Remember, ...] = ()  # what is counted first
    moved: Diff = ()  # what its offsets do not belong to, as far as that is remembered


def rivals_of(
    manifest: ConnectorManifest, observed: Mapping[str, ObservedConnector]
) -> tuple[str, ...]:
    """Name the other connectors that write into the same prefix or history."""
    return tuple(
        sorted(
            name
            for name, other in observed.items()
            if name != manifest.name and _shares(manifest, other.config)
        )
    )


def _shares(manifest: ConnectorManifest, other: Mapping[str, str]) -> bool:
    prefix = bool(manifest.topic_prefix) and other.get("topic.prefix") == manifest.topic_prefix
    history = manifest.history_topic is not None
    return prefix or (history and other.get(HISTORY_KEY) == manifest.history_topic)
