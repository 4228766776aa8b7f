"""Values that planner tests are about: each factory makes a valid one, and takes what differs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from controller.core.action import Action
from controller.core.faults import Fault, Unavailable
from controller.core.model import (
    Absent,
    ConnectorManifest,
    DesiredConnector,
    DesiredTopic,
    Json,
    Manage,
    ObservedConnector,
    ObservedDisk,
    ObservedSecret,
    ObservedTask,
    ObservedTopic,
    Record,
    Revision,
    RunState,
    SecretVersion,
    Snapshot,
    Source,
    StagePolicy,
    TopicClass,
    Unknown,
    VersionKey,
    connector_key,
    topic_key,
)
from controller.core.plan import Plan, actions_of
from controller.core.redact import Redacted
from controller.core.reference import parse_template
from controller.core.source import source_of, source_record
from controller.core.stage import Stage
from controller.core.world import World

ROOT = "/run/wms-secrets"
NOW = 1_000_000.0
MAIN = Stage("main")
BRANCH = Stage("feat-demo")
NAME = "oracle"
ORACLE = "io.debezium.connector.oracle.OracleConnector"
BROKERS = "127.0.0.1:9092"
CONFIG: Mapping[str, str] = {
    "name": NAME,
    "connector.class": ORACLE,
    "x-wms.managed-by": MAIN.mark,
    "topic.prefix": "wms",
    "table.include.list": "APP.ORDERS",
    "database.hostname": "${secret:dbInfo:host}",
    "database.port": "${secret:dbInfo:port}",
    "database.dbname": "${secret:dbInfo:dbname}",
    "database.url": "${secret:dbInfo:url?}",
    "database.user": "${secret:dbInfo:user}",
    "database.password": "${secret:dbInfo:password}",
    "schema.history.internal.kafka.topic": "wms.schema-changes",
}
LOGIN: Mapping[str, str] = {
    "host": "127.0.0.1",
    "port": "1521",
    "dbname": "ORCL",
    "user": "debezium",
    "password": "first-password",
}
AWAY = Unavailable("Unreachable", "nobody answers")


def topic(name: str = "wms.APP.ORDERS", **changes: Any) -> DesiredTopic:
    values: dict[str, Any] = {
        "key": topic_key(name),
        "generation": "t1",
        "topic_class": TopicClass.DATA,
        "partitions": 3,
        "replication_factor": None,
        "config": {"retention.ms": "1000"},
        "manage": Manage.RECONCILE,
        "suspend": False,
        "source": Source("topics.yaml", 1),
    }
    return DesiredTopic(**{**values, **changes})


def observed_topic(name: str = "wms.APP.ORDERS", **changes: Any) -> ObservedTopic:
    values: dict[str, Any] = {
        "key": topic_key(name),
        "topic_id": f"id-of-{name}",
        "partitions": 3,
        "replication_factor": 3,
        "config": {"retention.ms": "1000"},
    }
    return ObservedTopic(**{**values, **changes})


def connector_manifest(
    config: Mapping[str, str | None] | None = None, **changes: Any
) -> ConnectorManifest:
    """Make a manifest; `config` adds keys to CONFIG, and takes away those that are None."""
    texts = {**CONFIG, **(config or {})}
    values: dict[str, Any] = {
        "key": connector_key(NAME),
        "generation": "c1",
        "connector_class": ORACLE,
        "run_state": RunState.RUNNING,
        "topic_prefix": "wms",
        "tables": ("APP.ORDERS",),
        "history_topic": "wms.schema-changes",
        "config": {k: parse_template(text) for k, text in texts.items() if text is not None},
        "ignore": frozenset(),
        "needs": frozenset(),
        "manage": Manage.RECONCILE,
        "suspend": False,
        "source": Source("connector.yaml", 1),
    }
    return ConnectorManifest(**{**values, **changes})


def version(
    version_id: str = "v1",
    *,
    name: str = "dbInfo",
    path: str | None = None,
    problem: str | None = None,
    fields: Mapping[str, str | None] | None = None,
) -> SecretVersion:
    """Make a version; `fields` adds to a login that works, and takes away those that are None."""
    texts = {**LOGIN, **(fields or {})}
    return SecretVersion(
        VersionKey(path or f"wms/main/{name}", version_id),
        {key: Redacted(text) for key, text in texts.items() if text is not None},
        problem,
    )


def secret(
    current: SecretVersion | None = None,
    previous: SecretVersion | Absent | Unknown | None = None,
    *,
    named: Iterable[SecretVersion] = (),
    fallback: bool = False,
) -> ObservedSecret:
    current = current or version()
    return ObservedSecret(
        name=current.key.path.rsplit("/", 1)[-1],
        path=current.key.path,
        fallback=fallback,
        current=current,
        previous=previous or Absent(),
        named={item.key: item for item in named},
    )


def broker_secret(line: str = BROKERS) -> ObservedSecret:
    key = VersionKey("wms/main/brokerString", "b1")
    return secret(SecretVersion(key, {"brokerString": Redacted(line)}))


def rendered(version_id: str = "v1", **config: str) -> dict[str, str]:
    """What CONFIG becomes with one version of its secret; `config` adds, dots as underscores."""
    directory = f"{ROOT}/wms/main/dbInfo/{version_id}"
    texts = {key: text for key, text in CONFIG.items() if key != "database.url"}
    return {
        **texts,
        "database.hostname": LOGIN["host"],
        "database.port": LOGIN["port"],
        "database.dbname": LOGIN["dbname"],
        "database.user": f"${{directory:{directory}:user}}",
        "database.password": f"${{directory:{directory}:password}}",
        **{key.replace("_", "."): value for key, value in config.items()},
    }


def desired_connector(
    manifest: ConnectorManifest | None = None, version_id: str = "v1", **config: str
) -> DesiredConnector:
    key = VersionKey("wms/main/dbInfo", version_id)
    return DesiredConnector(
        manifest or connector_manifest(),
        rendered(version_id, **config),
        frozenset({key}),
        frozenset(),
        frozenset({key}),
    )


def observed_connector(
    config: Mapping[str, str] | None = None, state: str = "RUNNING", name: str = NAME
) -> ObservedConnector:
    tasks = () if state == "STOPPED" else (ObservedTask(0, state, "127.0.0.1:8083"),)
    observed = rendered() if config is None else config
    return ObservedConnector(connector_key(name), observed, state, tasks)


def records(values: Mapping[str, Mapping[str, Json]]) -> dict[str, Record]:
    return {key: Record(value, 1) for key, value in values.items()}


def snapshot(*items: Any, fault: Fault | None = None) -> Snapshot[Any]:
    return Snapshot({item.key: item for item in items}, fault)


def disk(*versions: VersionKey, ready: str | None = BROKERS) -> ObservedDisk:
    """Make a volume that holds the login files of these versions."""
    return ObservedDisk({key: frozenset({"user", "password"}) for key in versions}, ready)


def revision(
    topics: Iterable[DesiredTopic] = (),
    connectors: Iterable[ConnectorManifest] = (),
    **policy: Any,
) -> Revision:
    return Revision("r1", None, StagePolicy(**policy), tuple(topics), tuple(connectors))


def memory(**more: Mapping[str, Json]) -> dict[str, Mapping[str, Json]]:
    """What is remembered of a stage that has converged: it was born, all was applied, proved."""
    v1 = "wms/main/dbInfo/v1"
    return {
        "birth/stage": {"stage": "main", "cluster_id": "cluster-1", "at": NOW - 9000},
        f"topicId/{topic().name}": {"id": f"id-of-{topic().name}"},
        f"applied/{topic().key}": {"generation": "t1"},
        f"applied/connector/{NAME}": {"generation": "c1", "versions": [v1]},
        f"delivered/{NAME}": {v1: ["password", "user"]},
        f"snapshot/{NAME}": {"at": NOW - 9000},
        source_record(NAME): source_of(rendered()),
        f"stamp/probe:{v1}@oracle://127.0.0.1:1521/ORCL": {
            "attempts": 1,
            "failures": 0,
            "at": NOW - 9000,
            "outcome": "accepted",
            "message": "",
        },
        **more,
    }


def world(**changes: Any) -> World:
    """Make a world in which everything is as declared; `stored` may be plain mappings."""
    stored = changes.pop("stored", memory())
    values: dict[str, Any] = {
        "stage": MAIN,
        "revision": revision((topic(),), (connector_manifest(),)),
        "topics": snapshot(observed_topic()),
        "connectors": snapshot(observed_connector()),
        "secrets": {"dbInfo": secret(), "brokerString": broker_secret()},
        "disk": disk(version().key),
        "cluster_id": "cluster-1",
        "stored": stored if isinstance(stored, Unknown) else records(stored),
        "root": ROOT,
        "now": NOW,
    }
    return World(**{**values, **changes})


def writes(plan: Plan) -> list[str]:
    """Name the kinds of the actions that a plan takes, in order."""
    return [kind(action) for action in actions_of(plan)]


def kind(action: Action) -> str:
    return type(action).__name__
