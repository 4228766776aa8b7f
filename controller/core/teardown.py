"""What a teardown of an ephemeral stage would delete, refuse and leave, from what was observed."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final, TypeAlias

from controller.core.cluster import first_seen
from controller.core.guards import (
    ConnectorDeletionRequest,
    DeletionRequest,
    connector_refusals,
    own_name,
    refusals,
)
from controller.core.hold import TEARING_DOWN_RECORD
from controller.core.memory import BIRTH_RECORD
from controller.core.model import (
    Absent,
    Json,
    ObservedConnector,
    ObservedTopic,
    Record,
    Records,
    Revision,
    Snapshot,
    Unknown,
    connector_key,
    topic_key,
)
from controller.core.owner import Owner, refuse_owner
from controller.core.stage import MARK_KEY, RefusedStage, Stage

Listing: TypeAlias = "Mapping[str, str]"  # name -> topic id
Left: TypeAlias = "tuple[str, str]"  # what stays, and why

_BY_HAND: Final = "byHand"
_ELSEWHERE: Final = frozenset({"ForeignName", "ProtectedName"})  # not ours, so it stays: no failure
_PLAIN: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_$#.]{0,127}", re.ASCII)


@dataclass(frozen=True, slots=True)
class ConnectorDeletions:
    """Every guard allows all of these; with a single refusal none may be deleted."""

    requests: tuple[ConnectorDeletionRequest, ...] = ()
    refusals: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class TopicDeletions:
    """Every guard allows all of these; with a single refusal none may be deleted."""

    requests: tuple[DeletionRequest, ...] = ()
    refusals: tuple[str, ...] = ()
    left: tuple[Left, ...] = ()


@dataclass(frozen=True, slots=True)
class ByHand:
    """The SQL for what only a person can remove; doubtful is what may be another stage's."""

    sql: tuple[str, ...] = ()
    doubtful: tuple[Left, ...] = ()


def refuse_teardown(stage: Stage, confirm: str | None) -> tuple[str, ...]:
    """Say why nothing of this stage may be deleted, before anything is looked at."""
    try:
        rebuilt = Stage(stage.name)
    except RefusedStage as refusal:
        return (str(refusal),)
    if rebuilt.named:
        return (f"{stage.name} is a named stage: nothing of a named stage is ever deleted.",)
    request = ConnectorDeletionRequest(
        rebuilt, rebuilt.service, rebuilt.mark, rebuilt.topic_prefix, confirm
    )
    return tuple(refusal.message for refusal in connector_refusals(request))


def refuse_place(
    stage: Stage,
    records: Records,
    *,
    cluster_id: str,
    connect_cluster_id: str | None,
    declared: str | None,
    owner: Owner | None = None,
) -> tuple[str, ...]:
    """Say which of the systems is not this stage's own; all must be of one stage and cluster."""
    birth = records.get(BIRTH_RECORD)
    born: Mapping[str, Json] = birth.value if birth is not None else {}
    found = []
    if born.get("stage", stage.name) != stage.name:
        found.append(
            f"The state store is that of stage {born['stage']}: look at the setting of the store."
        )
    for other, whose in (
        (first_seen(records), "this stage has been seen on"),
        (declared, "the StagePolicy declares"),
        (connect_cluster_id, "Connect itself uses"),
    ):
        if other is not None and other != cluster_id:
            found.append(
                f"The brokers belong to cluster {cluster_id}, and {whose} cluster {other}: "
                "look at the broker string and at the address of Connect."
            )
    foreign = refuse_owner(records, owner)
    return tuple(found) if foreign is None else (*found, foreign)


# --- connectors -----------------------------------------------------------------------------


def expected_connectors(
    stage: Stage, records: Records, revision: Revision | None
) -> frozenset[str]:
    """Name connectors to ask for, at least one that is never there.

    What a listing lacks is confirmed by a second look: a worker that boots lists nothing, and one
    that was created just now is left out of the expanded list.
    """
    applied = "applied/connector/"
    declared = revision.connectors if revision is not None else ()
    return frozenset(
        {connector.name for connector in declared}
        | {key.removeprefix(applied) for key in records if key.startswith(applied)}
        | {stage.service}
    )


def find_connectors(
    stage: Stage, confirm: str | None, observed: Snapshot[ObservedConnector]
) -> ConnectorDeletions:
    """Take all that are there, or refuse all: a foreign one means that this is another Connect."""
    requests: list[ConnectorDeletionRequest] = []
    refused: list[str] = []
    for key, item in sorted(observed.items.items()):
        match item:
            case Absent():
                continue
            case Unknown():
                refused.append(
                    f"Connector {key.name!a} could not be read: {item.fault}. "
                    "Run the teardown again, or stop the service first."
                )
            case ObservedConnector():
                config = item.config
                mark, prefix = config.get(MARK_KEY), config.get("topic.prefix")
                request = ConnectorDeletionRequest(stage, key.name, mark, prefix, confirm)
                refused.extend(refusal.message for refusal in connector_refusals(request))
                requests.append(request)
    if refused:
        return ConnectorDeletions(refusals=tuple(dict.fromkeys(refused)))
    return ConnectorDeletions(tuple(requests))


# --- topics ---------------------------------------------------------------------------------


def expected_topics(stage: Stage, revision: Revision | None) -> frozenset[str]:
    """Name the topics whose absence from a listing must be looked into: it may be a permission."""
    declared = revision.topics if revision is not None else ()
    exact = {
        *stage.connect_topics.values(),
        stage.heartbeat_topic,
        stage.topic_prefix,
        stage.schema_history_topic,
    }
    return frozenset(exact | {topic.name for topic in declared if own_name(stage, topic.name)})


def is_whole(missing: Iterable[str], described: Snapshot[ObservedTopic]) -> bool:
    """Tell whether all that the listing lacks is really not there."""
    return all(isinstance(described.get(topic_key(name)), Absent) for name in missing)


def find_topics(
    stage: Stage,
    confirm: str | None,
    *,
    planned: Listing,
    listed: Listing,
    whole: bool,
    cap: int,
) -> TopicDeletions:
    """Take the stage's own topics; `planned` is what an earlier listing had, ids included."""
    ranks = _ranks(stage)
    near = sorted(
        (name for name in listed if _near(stage, name)),
        key=lambda name: (ranks.get(name, 0), name),
    )
    count = sum(own_name(stage, name) for name in near)
    requests: list[DeletionRequest] = []
    refused: list[str] = []
    left: list[Left] = []
    for name in near:
        request = DeletionRequest(
            stage=stage,
            name=name,
            topic_id=planned.get(name),
            observed_topic_id=listed[name],
            listing_complete=whole,
            to_delete=count,
            cap=cap,
            confirmed=confirm,
        )
        violated = {refusal.reason: refusal.message for refusal in refusals(request)}
        foreign = [message for reason, message in violated.items() if reason in _ELSEWHERE]
        if foreign:
            left.append((str(topic_key(name)), foreign[0]))
        else:
            refused.extend(violated.values())
            requests.append(request)
    if refused or not whole:
        refused = refused or [_INCOMPLETE.format(stage=stage.name)]
        return TopicDeletions(refusals=tuple(dict.fromkeys(refused)), left=tuple(left))
    return TopicDeletions(tuple(requests), left=tuple(left))


def came_back(stage: Stage, deleted: Iterable[DeletionRequest], listed: Listing) -> tuple[str, ...]:
    """Say of each of the stage's topics that is there again, or still, what that means."""
    ids = {request.name: request.observed_topic_id for request in deleted}
    return tuple(
        f"Topic {name} is still there: run the teardown again."
        if ids.get(name) == listed[name]
        else f"Topic {name} was created again: something of the stage still runs, a worker, a "
        "controller or a producer. Stop it, then run the teardown again."
        for name in sorted(listed)
        if own_name(stage, name)
    )


_INCOMPLETE: Final = (
    "The list of topics is not complete, so what belongs to {stage} is not known: "
    "look for a missing permission to describe topics, then run the teardown again."
)


def _near(stage: Stage, name: str) -> bool:
    """Tell whether a person would take the topic for the stage's, which the guards may not."""
    families = (
        stage.namespace,
        f"__debezium-heartbeat.{stage.namespace}",
        f"{stage.connect_group}.",
    )
    return own_name(stage, name) or name.startswith(families)


def _ranks(stage: Stage) -> Mapping[str, int]:
    """Data first, what Connect remembers last: a run that breaks off can still be continued."""
    last = (
        stage.schema_history_topic,
        stage.topic_prefix,
        stage.heartbeat_topic,
        *stage.connect_topics.values(),
    )
    return {name: rank for rank, name in enumerate(last, start=1)}


# --- the mark -------------------------------------------------------------------------------


def acknowledged(alive: Record | None, before: Record | None, *, marked_before: bool) -> bool:
    """Tell whether the stage's controller has seen the mark, or there is no controller.

    `before` is its sign of life from before the mark was put: an old word is no answer to a new
    question.
    """
    if alive is None:
        return True
    fresh = marked_before or before is None or alive.revision != before.revision
    return alive.value.get("tearing_down") is True and fresh


def mark_value(now: float, sql: Iterable[str]) -> dict[str, Json]:
    """Keep the SQL with the mark: once the connectors are gone nothing else tells it."""
    return {"at": now, _BY_HAND: list[Json](sql)}


def remembered_sql(records: Records) -> tuple[str, ...]:
    """Read the SQL that an earlier run left."""
    mark = records.get(TEARING_DOWN_RECORD)
    lines = mark.value.get(_BY_HAND) if mark is not None else None
    return tuple(line for line in lines if isinstance(line, str)) if isinstance(lines, list) else ()


# --- what only a person can remove ----------------------------------------------------------


def configs_of(
    observed: Mapping[str, ObservedConnector], revision: Revision | None
) -> Mapping[str, Mapping[str, str]]:
    """Answer the connectors' configs: as observed, else as declared, references unresolved."""
    declared = revision.connectors if revision is not None else ()
    return {
        **{
            connector.name: {key: str(value) for key, value in connector.config.items()}
            for connector in declared
        },
        **{name: connector.config for name, connector in observed.items()},
    }


def by_hand(stage: Stage, configs: Mapping[str, Mapping[str, str]]) -> ByHand:
    """Write the SQL for what the connectors left in their databases."""
    sql: dict[str, None] = {}
    doubtful: dict[Left, None] = {}
    for connector, config in sorted(configs.items()):
        for trace in _traces(config):
            why = _doubt(stage, trace)
            if why is None:
                sql[f"{trace.statement}  -- {_where(connector, config)}"] = None
            else:
                doubtful[
                    f"{trace.kind} {trace.shown}", f"{why} (of {connector_key(connector)})"
                ] = None
    return ByHand(tuple(sql), tuple(doubtful))


@dataclass(frozen=True, slots=True)
class _Trace:
    """One thing that a connector leaves in its database."""

    kind: str
    name: str

    @property
    def shown(self) -> str:
        return ascii(self.name)[1:-1]

    @property
    def statement(self) -> str:
        if self.kind == "replication slot":
            return f"SELECT pg_drop_replication_slot('{self.name}');"
        if self.kind == "publication":
            plain = self.name == self.name.lower() and not set(self.name) & set("$#.")
            name = self.name if plain else f'"{self.name}"'
            return f"DROP PUBLICATION IF EXISTS {name};"
        return f"DROP TABLE {self.name};"


def _traces(config: Mapping[str, str]) -> Iterator[_Trace]:
    """List them by Debezium's own defaults where a key is missing."""
    kind = config.get("connector.class", "").casefold()
    if "postgres" in kind:
        yield _Trace("replication slot", config.get("slot.name", "debezium"))
        if config.get("plugin.name") == "pgoutput" or "publication.name" in config:
            yield _Trace("publication", config.get("publication.name", "dbz_publication"))
    elif "oracle" in kind and config.get("log.mining.read.only", "").casefold() != "true":
        yield _Trace("table", config.get("log.mining.flush.table.name", "LOG_MINING_FLUSH"))


def _doubt(stage: Stage, trace: _Trace) -> str | None:
    if not _PLAIN.fullmatch(trace.name):
        return "its name is not plain, so no SQL is given: look in the database"
    words = re.sub("[^a-z0-9]", "_", trace.name.casefold())
    if f"_{stage.identifier}_" not in f"_{words}_":
        return "its name does not carry the stage's, so another may use it: ask before dropping it"
    return None


def _where(connector: str, config: Mapping[str, str]) -> str:
    """Say for which connector, and in which database where the config says that plainly."""
    told = ascii(connector)[1:-1]
    for key in ("database.pdb.name", "database.dbname"):
        database = config.get(key, "")
        if _PLAIN.fullmatch(database):
            return f"connector {told}, database {database}"
    return f"connector {told}"
