"""The delete guards: one predicate per guard, and all of them must hold.

A deletion is a value that cannot be constructed while any guard is violated, and the actions that
delete take nothing else. The guards believe no property of the request's stage: they build the
stage anew from its name. So for a named stage there is no such value.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from typing import Final, Generic, NoReturn, TypeAlias, TypeVar, final

from controller.core.stage import NAMED, RefusedStage, Stage

_HEARTBEAT: Final = "__debezium-heartbeat."
_NO_ID: Final = frozenset({"", "AAAAAAAAAAAAAAAAAAAAAA"})  # the zero UUID: the broker knows no id
_LEGAL_TOPIC: Final = re.compile(r"[a-zA-Z0-9._-]{1,249}", re.ASCII)


@dataclass(frozen=True, slots=True)
class DeletionRequest:
    """One topic that a teardown wants deleted, with all that the guards must know of it."""

    stage: Stage
    name: str
    topic_id: str | None  # as listed when the teardown was planned
    observed_topic_id: str | None  # read again just now
    listing_complete: bool
    to_delete: int  # how many topics this teardown would delete in all
    cap: int
    confirmed: str | None  # the stage's name, as a person typed it
    protected: frozenset[str] = field(default_factory=frozenset)


@dataclass(frozen=True, slots=True)
class ConnectorDeletionRequest:
    """One connector that a teardown wants deleted, as it was observed."""

    stage: Stage
    name: str
    mark: str | None
    topic_prefix: str | None
    confirmed: str | None


_Either: TypeAlias = "DeletionRequest | ConnectorDeletionRequest"
_R = TypeVar("_R", DeletionRequest, ConnectorDeletionRequest)


@dataclass(frozen=True, slots=True)
class Guard(Generic[_R]):
    reason: str  # names the refusal: a stable CamelCase word
    sentence: str  # says what is wrong, with {name} and {stage}
    holds: Callable[[_R], bool]


@dataclass(frozen=True, slots=True)
class Refusal:
    """A guard that does not hold, and the sentence that tells a person."""

    reason: str
    message: str


class RefusedDeletion(ValueError):
    """At least one guard does not hold; all that do not are told."""

    def __init__(self, refusals: tuple[Refusal, ...]) -> None:
        super().__init__(" ".join(refusal.message for refusal in refusals))
        self.refusals = refusals


def own_name(stage: Stage, name: str) -> bool:
    """Tell whether a topic is in the stage's own set; named stages share theirs."""
    if name in {*stage.connect_topics.values(), stage.heartbeat_topic}:
        return True
    prefix = stage.topic_prefix
    return name == prefix or (name.startswith(f"{prefix}.") and bool(_LEGAL_TOPIC.fullmatch(name)))


def protected_name(name: str, more: Collection[str] = ()) -> bool:
    """Tell whether nobody's teardown may touch this topic."""
    if name in more or any(own_name(Stage(named), name) for named in NAMED):
        return True
    # __consumer_offsets, __transaction_state, __cluster_metadata, _schemas, _confluent-...
    return name.startswith("_") and not name.startswith(_HEARTBEAT)


def refusals(request: DeletionRequest) -> tuple[Refusal, ...]:
    """Tell every guard that does not hold; nothing means that the topic may be deleted."""
    return _violated(GUARDS, request)


def connector_refusals(request: ConnectorDeletionRequest) -> tuple[Refusal, ...]:
    """Tell every guard that does not hold; nothing means that the connector may be deleted."""
    return _violated(CONNECTOR_GUARDS, request)


@final
@dataclass(frozen=True, slots=True)
class PermittedDeletion:
    """A topic that every guard allows to delete; the only thing that deletes a topic takes it."""

    request: DeletionRequest

    def __post_init__(self) -> None:
        _insist(refusals(self.request))

    def __init_subclass__(cls) -> NoReturn:
        raise TypeError("a permit has no subclasses: one could leave the guards out")

    @property
    def name(self) -> str:
        """The topic's name, guarded once more: not every way to an object is its constructor."""
        _insist(refusals(self.request))
        return self.request.name


@final
@dataclass(frozen=True, slots=True)
class PermittedConnectorDeletion:
    """A connector that every guard allows to delete; its offsets stay where they are."""

    request: ConnectorDeletionRequest

    def __post_init__(self) -> None:
        _insist(connector_refusals(self.request))

    def __init_subclass__(cls) -> NoReturn:
        raise TypeError("a permit has no subclasses: one could leave the guards out")

    @property
    def name(self) -> str:
        """The connector's name, guarded once more."""
        _insist(connector_refusals(self.request))
        return self.request.name


def permit(request: DeletionRequest) -> PermittedDeletion:
    """Permit one deletion, or raise RefusedDeletion."""
    return PermittedDeletion(request)


def permit_connector(request: ConnectorDeletionRequest) -> PermittedConnectorDeletion:
    """Permit one deletion, or raise RefusedDeletion."""
    return PermittedConnectorDeletion(request)


def _insist(violated: tuple[Refusal, ...]) -> None:
    if violated:
        raise RefusedDeletion(violated)


def _violated(guards: tuple[Guard[_R], ...], request: _R) -> tuple[Refusal, ...]:
    return tuple(
        Refusal(
            guard.reason,
            guard.sentence.format(name=ascii(request.name), stage=ascii(request.stage.name)),
        )
        for guard in guards
        if not guard.holds(request)
    )


# --- the predicates -------------------------------------------------------------------------


def _ephemeral(request: _Either) -> Stage | None:
    """The stage as its name says, whatever the object claims; None unless it is ephemeral."""
    try:
        stage = Stage(request.stage.name)
    except RefusedStage:
        return None
    return stage if stage.ephemeral else None


def _is_ephemeral(request: _Either) -> bool:
    return _ephemeral(request) is not None


def _is_confirmed(request: _Either) -> bool:
    return request.confirmed == request.stage.name


def _is_own(request: DeletionRequest) -> bool:
    stage = _ephemeral(request)
    return stage is not None and own_name(stage, request.name)


def _is_unprotected(request: DeletionRequest) -> bool:
    return not protected_name(request.name, request.protected)


def _is_listed_whole(request: DeletionRequest) -> bool:
    return request.listing_complete is True


def _is_the_same_topic(request: DeletionRequest) -> bool:
    known = request.topic_id is not None and request.topic_id not in _NO_ID
    return known and request.topic_id == request.observed_topic_id


def _is_within_cap(request: DeletionRequest) -> bool:
    return 0 < request.to_delete <= request.cap


def _has_our_mark(request: ConnectorDeletionRequest) -> bool:
    stage = _ephemeral(request)
    return stage is not None and request.mark == stage.mark


def _has_our_prefix(request: ConnectorDeletionRequest) -> bool:
    stage = _ephemeral(request)
    return stage is not None and request.topic_prefix == stage.topic_prefix


GUARDS: Final[tuple[Guard[DeletionRequest], ...]] = (
    Guard(
        "StageNotEphemeral",
        "Stage {stage} is not ephemeral: nothing of a named stage is ever deleted.",
        _is_ephemeral,
    ),
    Guard(
        "ForeignName",
        "Topic {name} is not one of the names that stage {stage} owns.",
        _is_own,
    ),
    Guard(
        "ProtectedName",
        "Topic {name} is protected: it belongs to a named stage or to Kafka itself.",
        _is_unprotected,
    ),
    Guard(
        "ListingIncomplete",
        "The list of topics is not complete, so what belongs to {stage} is not known: "
        "look for a missing permission to describe topics, then run the teardown again.",
        _is_listed_whole,
    ),
    Guard(
        "TopicIdChanged",
        "Topic {name} has no known id, or is not the one that was listed: "
        "somebody created it again, so run the teardown again.",
        _is_the_same_topic,
    ),
    Guard(
        "TooMany",
        "The teardown of {stage} would delete more topics than its cap allows, or none: "
        "look at the list before raising the cap.",
        _is_within_cap,
    ),
    Guard(
        "NotConfirmed",
        "The teardown was not asked for by name: confirm it with the stage's own name, {stage}.",
        _is_confirmed,
    ),
)

CONNECTOR_GUARDS: Final[tuple[Guard[ConnectorDeletionRequest], ...]] = (
    Guard(
        "StageNotEphemeral",
        "Stage {stage} is not ephemeral: nothing of a named stage is ever deleted.",
        _is_ephemeral,
    ),
    Guard(
        "ForeignMark",
        "Connector {name} does not carry the mark of stage {stage}: is this the right Connect?",
        _has_our_mark,
    ),
    Guard(
        "ForeignPrefix",
        "Connector {name} does not write under the topic prefix of stage {stage}: "
        "is this the right Connect?",
        _has_our_prefix,
    ),
    Guard(
        "NotConfirmed",
        "The teardown was not asked for by name: confirm it with the stage's own name, {stage}.",
        _is_confirmed,
    ),
)
