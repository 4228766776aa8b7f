"""What no manifest can know alone: who claims what, and whether all that is needed is declared."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from controller.core.model import (
    ConnectorManifest,
    TopicClass,
    topic_key,
)
from controller.core.stage import Stage
from controller.manifest.error import Report
from controller.manifest.naming import HISTORY_KEY, BuiltConnector, BuiltTopic, table_topic
from controller.manifest.tree import Node

_SHOWN: Final = 5


def check_claims(
    topics: Sequence[BuiltTopic], connectors: Sequence[BuiltConnector], report: Report
) -> None:
    """Refuse whatever two manifests claim, both named."""
    _check_topics(topics, report)
    _check_unique(
        connectors,
        lambda one: one.connector.name.casefold(),
        "metadata.name",
        "differs from {} in case only: rename one",
        report,
    )
    _check_unique(
        [one for one in connectors if one.kind.captures],
        lambda one: one.connector.topic_prefix,
        "spec.topicPrefix",
        "is the prefix of {} too: two connectors in one prefix overwrite each other's offsets",
        report,
    )
    _check_unique(
        [one for one in connectors if one.connector.history_topic],
        lambda one: str(one.connector.history_topic),
        "spec.config.schema.history.internal.kafka.topic",
        "is the history of {} too: two writers corrupt it",
        report,
    )


def _check_unique(
    connectors: Sequence[BuiltConnector],
    claim: Callable[[BuiltConnector], str],
    field: str,
    message: str,
    report: Report,
) -> None:
    seen: dict[str, BuiltConnector] = {}
    for one in connectors:
        first = seen.setdefault(claim(one), one)
        if first is not one:
            where = f"{first.connector.name} ({first.connector.source})"
            _, _, key = field.partition("spec.config.")
            place = one.checked.key("config", key) if key else one.checked.place
            report.error(place, field, message.format(where))


def _check_topics(topics: Sequence[BuiltTopic], report: Report) -> None:
    same: dict[str, BuiltTopic] = {}
    alike: dict[str, BuiltTopic] = {}
    for one in topics:
        name = one.topic.name
        field = "spec.name" if one.checked.spec.name else "metadata.name"
        place = one.checked.key("name") if one.checked.spec.name else one.checked.place
        first = same.setdefault(name, one)
        if first is not one:
            message = f"{name} is declared by {first.topic.source} too: keep one"
            report.error(place, field, message)
            continue
        # Kafka puts both dots and underscores into metric names as underscores.
        first = alike.setdefault(name.replace(".", "_").casefold(), one)
        if first is not one:
            report.error(
                place,
                field,
                f"{name} collides with {first.topic.name} ({first.topic.source}): they differ in "
                "'.', '_' or case only; rename one",
            )


@dataclass(frozen=True, slots=True)
class _Need:
    name: str
    topic_class: TopicClass
    place: Node
    field: str
    why: str


def with_needs(
    connectors: Sequence[BuiltConnector],
    topics: Sequence[BuiltTopic],
    stage: Stage,
    report: Report,
) -> tuple[ConnectorManifest, ...]:
    """Give each connector the topics it needs; one that is not declared is an error."""
    declared = {one.topic.name: one.topic.topic_class for one in topics}
    written: set[str] = set()
    manifests = []
    for one in connectors:
        needs = list(_needed(one, stage))
        written |= {need.name for need in needs}
        for need in needs:
            if one.kind.captures and declared.get(need.name) is not need.topic_class:
                report.error(need.place, need.field, _missing(need, declared, report))
        there = frozenset(topic_key(need.name) for need in needs if need.name in declared)
        manifests.append(replace(one.connector, needs=there))
        _check_signal_table(one, report)
    if any(one.kind.captures for one in connectors):
        _warn_unwritten(topics, written, report)
    return tuple(manifests)


def _needed(one: BuiltConnector, stage: Stage) -> Iterator[_Need]:
    checked, connector = one.checked, one.connector
    if one.kind.captures:
        for index, table in enumerate(checked.spec.tables):
            name = table_topic(connector.topic_prefix, table)
            place, field = checked.item("tables", index), f"spec.tables[{index}]"
            yield _Need(name, TopicClass.DATA, place, field, "its rows go there")
    for key, name, topic_class, why in _needed_by_keys(one, stage):
        yield _Need(name, topic_class, checked.key("config", key), f"spec.config.{key}", why)


def _needed_by_keys(
    one: BuiltConnector, stage: Stage
) -> Iterator[tuple[str, str, TopicClass, str]]:
    texts, prefix = one.texts, one.connector.topic_prefix
    for key in one.kind.topic_keys:
        history = key == HISTORY_KEY
        topic_class = TopicClass.SCHEMA_HISTORY if history else TopicClass.DATA
        if key in texts:
            yield key, texts[key], topic_class, "the key names it"
    if texts.get("heartbeat.interval.ms", "0") != "0":
        name = stage.heartbeat_topic
        yield "heartbeat.interval.ms", name, TopicClass.HEARTBEAT, "heartbeats are on"
    key = "include.schema.changes"
    if one.kind.schema_changes and texts.get(key, "true") == "true":
        name = stage.schema_change_topic
        yield key, name, TopicClass.SCHEMA_CHANGE, f"{key} is on unless it is false"
    if texts.get("provide.transaction.metadata") == "true":
        name = f"{prefix}.transaction"
        yield "provide.transaction.metadata", name, TopicClass.DATA, "transaction marks go there"


def _missing(need: _Need, declared: Mapping[str, TopicClass], report: Report) -> str:
    what = f"needs the Topic {need.name} of class {need.topic_class.value}, as {need.why}"
    if need.name in declared:
        return f"{what}; it is declared with class {declared[need.name].value}"
    return f"{what}; declare it{report.near(need.name, declared)}"


def _check_signal_table(one: BuiltConnector, report: Report) -> None:
    key = "signal.data.collection"
    table = one.texts.get(key)
    if table is None or ".".join(table.split(".")[-2:]) in one.connector.tables:
        return
    message = "is not among spec.tables, so that no signal would be seen: add it there"
    report.error(one.checked.key("config", key), f"spec.config.{key}", message)


def _warn_unwritten(topics: Sequence[BuiltTopic], written: set[str], report: Report) -> None:
    idle = [
        one
        for one in topics
        if one.topic.topic_class is TopicClass.DATA and one.topic.name not in written
    ]
    for one in idle[:_SHOWN]:
        report.warning(
            one.checked.place,
            "metadata.name",
            f"no connector writes to {one.topic.name}: is a table missing, or misspelled?",
        )
    if len(idle) > _SHOWN:
        message = f"no connector writes to {len(idle) - _SHOWN} more topics either"
        report.warning(idle[_SHOWN].checked.place, "metadata.name", message)
