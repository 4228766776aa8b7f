"""What a change may cost the data, worked out from the change alone."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Final

from controller.core.danger import danger_of_change, find_dangers
from controller.core.decision import Risk
from controller.core.diff import Change, Diff
from controller.core.model import TopicClass
from controller.core.topic_class import required_fields

_ORDER: Final = tuple(Risk)
LIMITS: Final = ("retention.ms", "retention.bytes", "min.insync.replicas")  # must not shrink
RISKY: Final = frozenset({*LIMITS, "cleanup.policy"})
_UNSET: Final[Mapping[str, str]] = {  # what brokers do unasked, as long as they do not tell
    "retention.ms": "604800000",
    "retention.bytes": "-1",
    "min.insync.replicas": "2",  # MSK's own; Apache Kafka's is 1, which cannot shrink
    "cleanup.policy": "delete",
}
_NOTHING: Final[Mapping[str, str]] = MappingProxyType({})
TABLES: Final = frozenset(
    {"table.include.list", "table.exclude.list", "schema.include.list", "schema.exclude.list"}
)
_SENTENCES: Final[Mapping[str, str]] = {
    "retention.ms": "consumers that are further behind than the new retention lose records",
    "retention.bytes": "records beyond the new size are deleted, read or not",
    "cleanup.policy": "the broker may delete records that the old policy kept",
    "min.insync.replicas": "a record may be acknowledged with fewer copies and be lost with one",
    "partitions": "the records of one key move to another partition, so their order is lost",
}


def worst(risks: Iterable[Risk]) -> Risk:
    return max(risks, key=_ORDER.index, default=Risk.NONE)


def risk_of_topic(
    change: Change, topic_class: TopicClass, inherited: Mapping[str, str] = _NOTHING
) -> Risk:
    """Judge one config key; what a history or internal topic requires is never a risk to restore.

    A key that the topic does not set has the broker's value: `inherited`, else what is usual.
    """
    if change.field not in RISKY or change.field in required_fields(topic_class):
        return Risk.NONE
    before = change.before or inherited.get(change.field) or _UNSET[change.field]
    if change.field == "cleanup.policy":
        return Risk.NONE if before == change.after else Risk.DATA_LOSS
    return Risk.DATA_LOSS if _shrinks(before, change.after) else Risk.NONE


def _shrinks(before: str, after: str | None) -> bool:
    """Whether a limit gets smaller; -1 is no limit, and what is no number may be anything."""
    if after == "-1":
        return False
    if before == "-1":
        return True
    try:
        return int(after or "0") < int(before)
    except ValueError:
        return True


def risk_of_connector(change: Change, config: Mapping[str, str] | None = None) -> Risk:
    """Judge one config key of an existing connector; any change at all restarts its task.

    What a key means may depend on others: `config` is the whole as it is to be.
    """
    whole = config if config is not None else _alone(change)
    if change.field in TABLES:
        return Risk.SNAPSHOT
    if danger_of_change(change.field, change.before, change.after) is not None:
        return Risk.DATA_LOSS
    concerned = (danger.risk for danger in find_dangers(whole) if danger.concerns(change.field))
    return worst((Risk.RESTART, *concerned))


def _alone(change: Change) -> Mapping[str, str]:
    return {} if change.after is None else {change.field: change.after}


def tell_connector(diff: Diff, config: Mapping[str, str]) -> str:
    """Say what a changed config may cost: each danger that it brings, else the worst in general."""
    fields = [change.field for change in diff]
    told = [
        danger.sentence
        for danger in find_dangers(config)
        if any(danger.concerns(field) for field in fields)
    ]
    changed = (danger_of_change(change.field, change.before, change.after) for change in diff)
    told += [sentence for sentence in changed if sentence is not None]
    risk = worst(risk_of_connector(change, config) for change in diff)
    return "; ".join(dict.fromkeys(told)) or consequence((), risk)


def consequence(fields: Iterable[str], risk: Risk) -> str:
    """Say in words what may happen."""
    told = [_SENTENCES[field] for field in fields if field in _SENTENCES]
    if told:
        return "; ".join(told)
    return {
        Risk.NONE: "",
        Risk.RESTART: "connector and task restart and go on from the committed offset",
        Risk.ORDERING: "records of one key may be read out of order",
        Risk.SNAPSHOT: "a snapshot may follow, or the new tables may lack what is there already",
        Risk.DATA_LOSS: "changes may be skipped and are then not captured at all",
    }[risk]
