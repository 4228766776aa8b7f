"""One manifest -> the thing it means in its stage: names, class rules, lint.

Each `build_*` answers the desired thing and the document that reads back as the same thing.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any, Final, TypeAlias

from controller.core.connector_class import CLASSES, ConnectorClass
from controller.core.lint import class_refusal, is_password_key, lint_connector
from controller.core.lint_finding import Finding
from controller.core.lint_table import OWNED, STAGE_KEYS, UNORDERED
from controller.core.lint_topic import lint_topic
from controller.core.model import (
    Acceptance,
    ConnectorManifest,
    DesiredTopic,
    Manage,
    ProbeMode,
    Source,
    StagePolicy,
    TopicClass,
    connector_key,
    topic_key,
)
from controller.core.reference import BadReference, Template, literal, parse_template
from controller.core.stage import MARK_KEY, Stage
from controller.core.topic_class import (
    MOST_PARTITIONS,
    ROLES,
    RULES,
    contradictions,
    implied,
    role_topic,
)
from controller.manifest.error import Report
from controller.manifest.overlay import API_VERSION
from controller.manifest.spec import (
    MOST_REPAIRS,
    Checked,
    ConnectorSpec,
    Defaults,
    Repair,
    StagePolicySpec,
    TopicSpec,
    spelling,
)

Document: TypeAlias = "dict[str, Any]"

_ENCODER: Final = json.JSONEncoder(sort_keys=True, separators=(",", ":"))
_NOT_HASHED: Final = ("suspend", "accept")  # neither a pause nor a word is a new generation
_PREFIX: Final = "wms"
_TOPIC: Final = re.compile(r"[A-Za-z0-9._-]{1,249}", re.ASCII)
_CONNECTOR: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}", re.ASCII)
_KEY: Final = re.compile(r"[\x21-\x7e]{1,249}")
_TABLE: Final = re.compile(
    r"[A-Za-z_][A-Za-z0-9_$#]{0,127}\.[A-Za-z_][A-Za-z0-9_$#]{0,127}", re.ASCII
)
_SECRET: Final = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,62}", re.ASCII)
_CLUSTER: Final = re.compile(r"[A-Za-z0-9_-]{1,64}", re.ASCII)
_REGEX_SIGN: Final = re.compile(r"([.$])")
_NO_TOPIC_CHARACTER: Final = re.compile(r"[^A-Za-z0-9._-]")
HISTORY_KEY: Final = "schema.history.internal.kafka.topic"


@dataclass(frozen=True, slots=True)
class Built:
    """What one manifest means, and where it was written."""

    checked: Checked[Any]
    document: Document


@dataclass(frozen=True, slots=True)
class BuiltTopic(Built):
    topic: DesiredTopic


@dataclass(frozen=True, slots=True)
class BuiltConnector(Built):
    connector: ConnectorManifest
    kind: ConnectorClass
    texts: Mapping[str, str]  # the manifest's own keys, after naming


def generation(document: Document) -> str:
    """Hash what a commit can ask for."""
    spec = document["spec"]
    if any(key in spec for key in _NOT_HASHED):
        spec = {key: value for key, value in spec.items() if key not in _NOT_HASHED}
    return digest({**document, "spec": spec})[:12]


def digest(value: Any) -> str:
    return sha256(_ENCODER.encode(value).encode()).hexdigest()


def _document(kind: str, name: str, spec: Document) -> Document:
    return {"apiVersion": API_VERSION, "kind": kind, "metadata": {"name": name}, "spec": spec}


def _source(checked: Checked[Any]) -> Source:
    return Source(checked.place.file, checked.place.line)


def _common(given: ConnectorSpec | TopicSpec) -> Document:
    """What is written only where it says something."""
    spec: Document = {}
    if given.manage is not Manage.RECONCILE:
        spec["manage"] = given.manage.value
    if given.suspend:
        spec["suspend"] = True
    if given.accept:
        spec["accept"] = [
            {"risk": word.risk, "action": word.action, "until": _day(word.until)}
            for word in given.accept
        ]
    return spec


def _day(until: float) -> str:
    return datetime.fromtimestamp(until - 1, UTC).date().isoformat()


def _acceptances(given: ConnectorSpec | TopicSpec) -> tuple[Acceptance, ...]:
    return tuple(Acceptance(word.risk, word.action, word.until) for word in given.accept)


# --- policy ----------------------------------------------------------------------------------


def build_policy(
    checked: Checked[StagePolicySpec] | None, stage: Stage, report: Report
) -> tuple[StagePolicy, Defaults, Document | None]:
    """Answer what holds where no policy was declared, too."""
    usual = ProbeMode.REQUIRED if stage.named else ProbeMode.ADVISORY
    if checked is None:
        delay, per_hour = _repair(Repair(), stage)
        policy = StagePolicy(probe=usual, repair_delay=delay, repairs_per_hour=per_hour)
        return policy, Defaults(), None
    spec = checked.spec
    delay, per_hour = _repair(spec.repair, stage)
    for index, name in enumerate(spec.forbid_fallback):
        if not _SECRET.fullmatch(name):
            place = checked.item("forbidFallback", index)
            report.error(place, f"spec.forbidFallback[{index}]", "must be the name of a secret")
    if spec.kafka_cluster_id is not None and not _CLUSTER.fullmatch(spec.kafka_cluster_id):
        place = checked.key("kafkaClusterId")
        report.error(place, "spec.kafkaClusterId", "must be the id that the cluster answers")
    policy = StagePolicy(
        interval=spec.intervals.cycle,
        secrets_interval=spec.intervals.secrets,
        listing_interval=spec.intervals.listing,
        lag_interval=spec.intervals.lag,
        probe=spec.probe or usual,
        forbid_fallback=frozenset(spec.forbid_fallback),
        observe_only=spec.observe_only,
        kafka_cluster_id=spec.kafka_cluster_id,
        repair_delay=delay,
        repairs_per_hour=per_hour,
        lost_topics=spec.lost_topics,
        read_source_timestamps=spec.read_source_timestamps,
        shared_cluster=spec.shared_cluster,
        allowed_sql=frozenset(spec.allowed_sql),
    )
    return policy, spec.defaults, _document("StagePolicy", checked.name, _policy_spec(spec, policy))


def _repair(spec: Repair, stage: Stage) -> tuple[float, int]:
    """Give people on named stages the time to see a difference before it is written back."""
    delay, per_hour = (30.0, 6) if stage.named else (0.0, MOST_REPAIRS)
    return (
        delay if spec.delay is None else spec.delay,
        per_hour if spec.per_hour is None else spec.per_hour,
    )


def _written(seconds: float) -> str:
    return f"{round(seconds * 1000)}ms" if seconds % 1 else f"{round(seconds)}s"


def _policy_spec(spec: StagePolicySpec, policy: StagePolicy) -> Document:
    written: Document = {
        "defaults": {
            spelling(name): value
            for name, value in asdict(spec.defaults).items()
            if value is not None
        },
        "intervals": {name: _written(seconds) for name, seconds in asdict(spec.intervals).items()},
        "probe": policy.probe.value,
        "observeOnly": spec.observe_only,
        "repair": {
            "delay": _written(policy.repair_delay),
            "perHour": policy.repairs_per_hour,
        },
        "lostTopics": policy.lost_topics.value,
        "readSourceTimestamps": spec.read_source_timestamps,
    }
    if spec.forbid_fallback:
        written["forbidFallback"] = sorted(policy.forbid_fallback)
    if spec.kafka_cluster_id is not None:
        written["kafkaClusterId"] = spec.kafka_cluster_id
    if spec.shared_cluster:
        written["sharedCluster"] = True
    if spec.allowed_sql:
        written["allowedSql"] = sorted(policy.allowed_sql)
    return written


# --- topics ----------------------------------------------------------------------------------


def build_topic(
    checked: Checked[TopicSpec],
    stage: Stage,
    defaults: Defaults,
    report: Report,
    *,
    shared: bool = False,
) -> BuiltTopic | None:
    """Read a topic; `shared` tells that another named stage is on its cluster."""
    before = report.count
    spec = checked.spec
    topic_class = _topic_class(spec)
    name = _topic_name(checked, topic_class, stage, report)
    if shared and name is not None and topic_class is TopicClass.SCHEMA_HISTORY:
        name = stage_name(name, stage, shared=True)
    partitions = _partitions(checked, topic_class, report)
    _check_texts(checked, spec.config, report)
    _report(checked, lint_topic(spec.config), report)
    for key, contrary, needed in contradictions(topic_class, spec.config):
        message = f"is {contrary}, and class {topic_class.value} requires {needed}"
        report.error(checked.key("config", key), f"spec.config.{key}", message)
    if report.count > before or name is None or partitions is None:
        return None
    config = _with_defaults(topic_class, implied(topic_class, spec.config), defaults)
    replication = spec.replication_factor or defaults.replication_factor
    in_sync = int(config.get("min.insync.replicas", "1"))
    if replication is not None and in_sync > replication:
        place = checked.key("replicationFactor" if spec.replication_factor else "config")
        message = f"is {replication}, below min.insync.replicas {in_sync}: no write would succeed"
        report.error(place, "spec.replicationFactor", message)
        return None
    written: Document = {
        "class": topic_class.value,
        **({"role": spec.role} if spec.role else {"name": name}),
        "partitions": partitions,
        **({} if replication is None else {"replicationFactor": replication}),
        "config": dict(sorted(config.items())),
        **_common(spec),
    }
    document = _document("Topic", checked.name, written)
    topic = DesiredTopic(
        key=topic_key(name),
        generation=generation(document),
        topic_class=topic_class,
        partitions=partitions,
        replication_factor=replication,
        config=written["config"],
        manage=spec.manage,
        suspend=spec.suspend,
        source=_source(checked),
        accept=_acceptances(spec),
    )
    return BuiltTopic(checked, document, topic)


def _topic_class(spec: TopicSpec) -> TopicClass:
    if spec.class_ is not None:
        return spec.class_
    return TopicClass.DATA if spec.role is None else ROLES[spec.role].topic_class


def _topic_name(
    checked: Checked[TopicSpec], topic_class: TopicClass, stage: Stage, report: Report
) -> str | None:
    spec = checked.spec
    roles = [role for role, what in ROLES.items() if what.topic_class is topic_class]
    if spec.role is not None:
        if spec.role not in roles:
            allowed = f"use {' or '.join(roles)}" if roles else "write a name instead"
            message = f"does not go with class {topic_class.value}: {allowed}"
            report.error(checked.key("role"), "spec.role", message)
        if spec.name is not None:
            report.error(
                checked.key("name"), "spec.name", "goes not with a role, whose name is the stage's"
            )
        return role_topic(spec.role, stage)
    if roles:
        message = f"is missing: class {topic_class.value} needs {' or '.join(roles)}, and no name"
        report.error(checked.place, "spec.role", message)
        return None
    place, field = (
        (checked.place, "metadata.name")
        if spec.name is None
        else (checked.key("name"), "spec.name")
    )
    name = stage_name(checked.name if spec.name is None else spec.name, stage)
    problem = topic_problem(name, stage)
    if problem is None and (name == stage.schema_change_topic) != (
        topic_class is TopicClass.SCHEMA_CHANGE
    ):
        problem = f"must be {_PREFIX} for class schemaChange, and for that only"
    if problem is not None:
        report.error(place, field, problem)
        return None
    return name


def stage_name(name: str, stage: Stage, *, shared: bool = False) -> str:
    """Add the namespace once: what was rendered has it already; `shared` is of a history."""
    full = stage.topic(name)
    own_history = shared and full == stage.schema_history_topic
    return stage.shared_schema_history_topic if own_history else full


def topic_problem(name: str, stage: Stage) -> str | None:
    """Say what is wrong with the full name of a topic that is ours."""
    if not _TOPIC.fullmatch(name):
        return "must be 1 to 249 of A-Z, a-z, 0-9, '.', '_' and '-', the namespace included"
    own = name.removeprefix(stage.namespace)
    if own != _PREFIX and not own.startswith(f"{_PREFIX}."):
        return f"must be {_PREFIX} or begin with {_PREFIX}., as everything of this system does"
    return None


def _partitions(checked: Checked[TopicSpec], topic_class: TopicClass, report: Report) -> int | None:
    spec = checked.spec
    role = ROLES.get(spec.role or "")
    fixed = RULES[topic_class].partitions
    usual = fixed
    if role is not None:
        usual = role.partitions
        fixed = role.partitions if role.fixed else None
    partitions = usual if spec.partitions is None else spec.partitions
    if partitions is None and topic_class is TopicClass.DATA:
        message = f"is missing: class data needs a number, 1 to {MOST_PARTITIONS}"
        report.error(checked.place, "spec.partitions", message)
    elif fixed is not None and partitions != fixed:
        what = spec.role or f"class {topic_class.value}"
        report.error(
            checked.key("partitions"), "spec.partitions", f"must be {fixed}: {what} has no other"
        )
    return partitions


def _with_defaults(
    topic_class: TopicClass, config: Mapping[str, str], defaults: Defaults
) -> Mapping[str, str]:
    filled: dict[str, str] = {}
    if defaults.min_insync_replicas is not None:
        filled["min.insync.replicas"] = str(defaults.min_insync_replicas)
    expires = "delete" in config.get("cleanup.policy", "delete")
    if defaults.retention_ms is not None and RULES[topic_class].retention and expires:
        filled["retention.ms"] = str(defaults.retention_ms)
    return {**filled, **config}


# --- connectors ------------------------------------------------------------------------------


def build_connector(
    checked: Checked[ConnectorSpec],
    stage: Stage,
    overlay: str,
    report: Report,
    policy: StagePolicy,
) -> BuiltConnector | None:
    before = report.count
    spec = checked.spec
    if not _CONNECTOR.fullmatch(checked.name):
        message = "must be 1 to 128 of A-Z, a-z, 0-9, '.', '_' and '-', a letter or digit first"
        report.error(checked.place, "metadata.name", message)
    refusal = class_refusal(spec.class_, overlay)
    if refusal is not None:
        near = "" if spec.class_ in CLASSES else report.near(spec.class_, CLASSES)
        report.error(checked.key("class"), "spec.class", refusal + near)
        return None
    kind = CLASSES[spec.class_]
    if spec.tasks_max != 1:
        message = "must be 1: with more the connector runs without any task"
        report.error(checked.key("tasksMax"), "spec.tasksMax", message)
    _check_capture(checked, kind, stage, report)
    _check_ignored(checked, kind, report)
    _check_texts(checked, spec.config, report)
    texts = {
        key: _named((checked, key, value), kind, stage, report, policy)
        for key, value in sorted(spec.config.items())
    }
    found = lint_connector(spec.class_, texts, overlay, policy.allowed_sql)
    _report(checked, found, report)
    templates = _templates(checked, texts, report)
    if report.count > before:
        return None
    document = _document("Connector", checked.name, _connector_spec(spec, kind, stage, texts))
    connector = ConnectorManifest(
        key=connector_key(checked.name),
        generation=generation(document),
        connector_class=spec.class_,
        run_state=spec.state,
        topic_prefix=stage.topic_prefix if kind.captures else "",
        tables=tuple(sorted(spec.tables)),
        history_topic=texts.get(HISTORY_KEY) if kind.history else None,
        config=_whole_config(checked, kind, stage, templates),
        ignore=frozenset(spec.ignore),
        needs=frozenset(),
        manage=spec.manage,
        suspend=spec.suspend,
        source=_source(checked),
        accept=_acceptances(spec),
    )
    return BuiltConnector(checked, document, connector, kind, texts)


def _connector_spec(
    spec: ConnectorSpec, kind: ConnectorClass, stage: Stage, texts: Mapping[str, str]
) -> Document:
    captured: Document = {"topicPrefix": stage.topic_prefix, "tables": sorted(spec.tables)}
    return {
        "class": spec.class_,
        "tasksMax": spec.tasks_max,
        "state": spec.state.value,
        **(captured if kind.captures else {}),
        "config": dict(texts),
        **({"ignore": sorted(spec.ignore)} if spec.ignore else {}),
        **_common(spec),
    }


def _whole_config(
    checked: Checked[ConnectorSpec],
    kind: ConnectorClass,
    stage: Stage,
    templates: Mapping[str, Template],
) -> Mapping[str, Template]:
    spec = checked.spec
    ours = {
        "name": checked.name,
        "connector.class": spec.class_,
        "tasks.max": str(spec.tasks_max),
        MARK_KEY: stage.mark,
    }
    if kind.captures:
        ours["topic.prefix"] = stage.topic_prefix
        ours["table.include.list"] = ",".join(sorted(map(_as_regex, spec.tables)))
    return {**{key: literal(text) for key, text in ours.items()}, **templates}


def _as_regex(table: str) -> str:
    return _REGEX_SIGN.sub(r"\\\1", table)


def table_topic(prefix: str, table: str) -> str:
    """Name the topic of a table as Debezium does."""
    return f"{prefix}.{_NO_TOPIC_CHARACTER.sub('_', table)}"


def _check_capture(
    checked: Checked[ConnectorSpec], kind: ConnectorClass, stage: Stage, report: Report
) -> None:
    spec = checked.spec
    if not kind.captures:
        for field, value in (("topicPrefix", spec.topic_prefix), ("tables", spec.tables)):
            if value:
                report.error(checked.key(field), f"spec.{field}", "goes not with this class")
        return
    if spec.topic_prefix not in {None, _PREFIX, stage.topic_prefix}:
        message = f"must be {_PREFIX}: the namespace of the stage is added to it"
        report.error(checked.key("topicPrefix"), "spec.topicPrefix", message)
    if not spec.tables:
        report.error(checked.key("tables"), "spec.tables", "is empty: name one table at least")
    seen: set[str] = set()
    for index, table in enumerate(spec.tables):
        problem = _table_problem(table, kind)
        if table.casefold() in seen:
            problem = "is there twice"
        seen.add(table.casefold())
        if problem is not None:
            report.error(checked.item("tables", index), f"spec.tables[{index}]", problem)


def _table_problem(table: str, kind: ConnectorClass) -> str | None:
    if not _TABLE.fullmatch(table):
        return "must be SCHEMA.TABLE, without quotes or patterns"
    if kind.upper_case and table != table.upper():
        return f"must be upper case, as Oracle's identifiers are: {table.upper()}"
    return None


def _check_ignored(checked: Checked[ConnectorSpec], kind: ConnectorClass, report: Report) -> None:
    identity = {*OWNED, MARK_KEY, *kind.topic_keys}
    for index, key in enumerate(checked.spec.ignore):
        if key in identity:
            message = "may not be ignored: it says which connector this is and what it captures"
            report.error(checked.item("ignore", index), f"spec.ignore[{index}]", message)
        elif not _KEY.fullmatch(key):
            message = "must be a config key"
            report.error(checked.item("ignore", index), f"spec.ignore[{index}]", message)


def _named(
    entry: tuple[Checked[ConnectorSpec], str, str],
    kind: ConnectorClass,
    stage: Stage,
    report: Report,
    policy: StagePolicy,
) -> str:
    """Put the stage into a value, in the few keys where it may stand."""
    checked, key, value = entry
    if key in STAGE_KEYS:
        upper = kind.upper_case  # Debezium looks its flush table up by the name as written
        name = stage.identifier.upper() if upper else stage.identifier
        return value.replace("${stage}", name)
    if key in kind.topic_keys:
        shared = policy.shared_cluster and key == HISTORY_KEY
        name = stage_name(value, stage, shared=shared)
        problem = topic_problem(name, stage)
        if problem is not None:
            report.error(checked.key("config", key), f"spec.config.{key}", problem)
            return value
        return name
    if key in UNORDERED:
        return ",".join(sorted(value.split(",")))
    return value


def _templates(
    checked: Checked[ConnectorSpec], texts: Mapping[str, str], report: Report
) -> Mapping[str, Template]:
    templates: dict[str, Template] = {}
    for key, text in texts.items():
        try:
            templates[key] = parse_template(text)
        except BadReference as why:
            report.error(
                checked.value("config", key),
                f"spec.config.{key}",
                _reference_message(key, text, why),
            )
    return templates


def _reference_message(key: str, text: str, why: BadReference) -> str:
    if "${stage}" in text:
        return f"may not hold ${{stage}}, which is for {', '.join(sorted(STAGE_KEYS))} only"
    if is_password_key(key):
        return "holds a ${ that is no reference of ours: write ${secret:NAME:FIELD}"
    return str(why)


# --- texts -----------------------------------------------------------------------------------


def _report(checked: Checked[Any], findings: Iterable[Finding], report: Report) -> None:
    for finding in findings:
        place, field = checked.key("config", finding.key), f"spec.config.{finding.key}"
        if finding.refused:
            report.error(place, field, finding.message)
        else:
            report.warning(place, field, finding.message)


def _check_texts(checked: Checked[Any], config: Mapping[str, str], report: Report) -> None:
    for key, value in config.items():
        if not _KEY.fullmatch(key):
            message = "must be a key of 1 to 249 printable ASCII characters without blanks"
            report.error(checked.key("config", key), f"spec.config.{key[:100]!a}", message)
        elif not (value.isascii() and value.isprintable() and value.strip() == value):
            problem = _text_problem(value)
            if problem is not None:
                report.error(checked.value("config", key), f"spec.config.{key}", problem)


def _text_problem(value: str) -> str | None:
    if value.strip() != value:
        return "begins or ends with a blank or a line break: remove it"
    bad = next((char for char in value if char != "\n" and not char.isprintable()), None)
    return None if bad is None else f"holds the invisible character U+{ord(bad):04X}: remove it"
