"""The fields of each kind, once: they are read, described and made into the schema from here.

Each field carries its reader. A validation library would do the same, and take longer to import
than all manifests of a stage take to read; `wmsctl` starts often.
"""
# ruff: noqa: RUF009 - the functions are dataclasses.field with a reader

from __future__ import annotations

import dataclasses
import re
from calendar import timegm
from collections.abc import Mapping
from dataclasses import MISSING, dataclass
from datetime import date
from enum import StrEnum
from types import MappingProxyType
from typing import Any, Final, Generic, Protocol, TypeVar, cast

from controller.core.accept import ACCEPTABLE, ACTION_ID
from controller.core.model import LostTopics, Manage, ProbeMode, RunState, TopicClass
from controller.core.topic_class import MOST_PARTITIONS, ROLES
from controller.manifest.error import Report
from controller.manifest.overlay import API_VERSION, KINDS, nulls
from controller.manifest.tree import Fields, Node, Scalar, Sequence

MOST_REPAIRS: Final = 1_000  # within an hour; their times are remembered one by one
T = TypeVar("T")
Enum = TypeVar("Enum", bound=StrEnum)
T_co = TypeVar("T_co", covariant=True)
Schema = dict[str, Any]

_NULL: Final[Schema] = {"type": "null"}


# --- readers ---------------------------------------------------------------------------------


class Reader(Protocol[T_co]):
    """Knows one type of value, as it is written and as the schema describes it."""

    def read(self, node: Node, path: str, report: Report) -> T_co | None:
        """Must answer None exactly when it reported an error."""
        ...

    def schema(self, definitions: Schema) -> Schema: ...


class Text:
    def read(self, node: Node, path: str, report: Report) -> str | None:
        if isinstance(node, Scalar):
            return node.text
        report.error(node, path, "must be one text; a list is written a,b,c")
        return None

    def schema(self, _definitions: Schema) -> Schema:
        return {"type": "string"}


@dataclass(frozen=True, slots=True)
class Whole:
    """A whole number within bounds."""

    least: int
    most: int | None = None

    def read(self, node: Node, path: str, report: Report) -> int | None:
        if not isinstance(node, Scalar) or not _WHOLE.fullmatch(node.text):
            report.error(node, path, "must be a whole number, such as 3")
            return None
        number = int(node.text)
        if number < self.least or (self.most is not None and number > self.most):
            most = "" if self.most is None else f" and at most {self.most}"
            report.error(node, path, f"must be at least {self.least}{most}")
            return None
        return number

    def schema(self, _definitions: Schema) -> Schema:
        most = {} if self.most is None else {"maximum": self.most}
        return {"type": "integer", "minimum": self.least, **most}


class Truth:
    def read(self, node: Node, path: str, report: Report) -> bool | None:
        if isinstance(node, Scalar) and node.text in {"true", "false"}:
            return node.text == "true"
        report.error(node, path, "must be true or false")
        return None

    def schema(self, _definitions: Schema) -> Schema:
        return {"type": "boolean"}


@dataclass(frozen=True, slots=True)
class Duration:
    """Seconds, written with a unit."""

    least: float
    most: float

    def read(self, node: Node, path: str, report: Report) -> float | None:
        match = _DURATION.fullmatch(node.text) if isinstance(node, Scalar) else None
        if match is None:
            report.error(node, path, "must be a number with its unit: 500ms, 15s, 1m or 1h")
            return None
        seconds = int(match["count"]) * _SECONDS[match["unit"]]
        if not self.least <= seconds <= self.most:
            report.error(node, path, f"must be {self.least:g}s to {self.most:g}s")
            return None
        return seconds

    def schema(self, _definitions: Schema) -> Schema:
        return {"type": "string", "pattern": "^[0-9]{1,9}(ms|s|m|h)$"}


@dataclass(frozen=True, slots=True)
class OneOf(Generic[Enum]):
    words: type[Enum]

    def read(self, node: Node, path: str, report: Report) -> Enum | None:
        word = _one_of(node, [word.value for word in self.words], path, report)
        return None if word is None else self.words(word)

    def schema(self, _definitions: Schema) -> Schema:
        return {"enum": [word.value for word in self.words]}


class RoleName:
    def read(self, node: Node, path: str, report: Report) -> str | None:
        return _one_of(node, list(ROLES), path, report)

    def schema(self, _definitions: Schema) -> Schema:
        return {"enum": list(ROLES)}


class Texts:
    """A list of texts."""

    def read(self, node: Node, path: str, report: Report) -> tuple[str, ...] | None:
        if not isinstance(node, Sequence):
            report.error(node, path, "must be a list")
            return None
        items = [
            _TEXT.read(item, f"{path}[{index}]", report) for index, item in enumerate(node.items)
        ]
        return None if None in items else tuple(cast("list[str]", items))

    def schema(self, _definitions: Schema) -> Schema:
        return {"type": "array", "items": {"type": "string"}}


class TextMap:
    """A map of texts; what is written without quotes is a text here, too."""

    def read(self, node: Node, path: str, report: Report) -> Mapping[str, str] | None:
        if not isinstance(node, Fields):
            report.error(node, path, "must be a map of fields")
            return None
        items = {
            key: _TEXT.read(value, f"{path}.{key[:100]}", report)
            for key, (_, value) in node.entries.items()
        }
        return None if None in items.values() else cast("dict[str, str]", items)

    def schema(self, _definitions: Schema) -> Schema:
        values = {"type": ["string", "number", "boolean", "null"]}
        return {"type": "object", "additionalProperties": values}


@dataclass(frozen=True, slots=True)
class Group(Generic[T]):
    """Fields within a field."""

    kind: type[T]

    def read(self, node: Node, path: str, report: Report) -> T | None:
        if not isinstance(node, Fields):
            report.error(node, path, "must be a map of fields")
            return None
        return _read_fields(self.kind, node, path, report)

    def schema(self, definitions: Schema) -> Schema:
        definitions[self.kind.__name__] = _fields_schema(self.kind, definitions)
        return {"$ref": f"#/$defs/{self.kind.__name__}"}


@dataclass(frozen=True, slots=True)
class Groups(Generic[T]):
    """A list of fields within a field."""

    kind: type[T]

    def read(self, node: Node, path: str, report: Report) -> tuple[T, ...] | None:
        if not isinstance(node, Sequence):
            report.error(node, path, "must be a list")
            return None
        group = Group(self.kind)
        items = [
            group.read(item, f"{path}[{index}]", report) for index, item in enumerate(node.items)
        ]
        return None if None in items else tuple(cast("list[T]", items))

    def schema(self, definitions: Schema) -> Schema:
        return {"type": "array", "items": Group(self.kind).schema(definitions)}


class Day:
    """A date; its value is the end of that day, UTC, in seconds since the epoch."""

    def read(self, node: Node, path: str, report: Report) -> float | None:
        text = node.text if isinstance(node, Scalar) else ""
        try:
            day = date.fromisoformat(text) if _DAY.fullmatch(text) else None
        except ValueError:
            day = None
        if day is None:
            report.error(node, path, "must be a date such as 2026-12-01")
            return None
        return float(timegm(day.timetuple()) + 86_400)

    def schema(self, _definitions: Schema) -> Schema:
        return {"type": "string", "format": "date"}


class ActionId:
    def read(self, node: Node, path: str, report: Report) -> str | None:
        if isinstance(node, Scalar) and ACTION_ID.fullmatch(node.text):
            return node.text
        report.error(node, path, "must be the id of a held action, as `wmsctl plan` prints it")
        return None

    def schema(self, _definitions: Schema) -> Schema:
        return {"type": "string", "pattern": f"^{ACTION_ID.pattern}$"}


class RiskName:
    def read(self, node: Node, path: str, report: Report) -> str | None:
        return _one_of(node, [*_RISKS], path, report)

    def schema(self, _definitions: Schema) -> Schema:
        return {"enum": [*_RISKS]}


_TEXT: Final = Text()
_DAY: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_RISKS: Final = tuple(risk.value for risk in ACCEPTABLE)
_WHOLE: Final = re.compile(r"-?[0-9]{1,18}")
_DURATION: Final = re.compile(r"(?P<count>[0-9]{1,9})(?P<unit>ms|s|m|h)")
_SECONDS: Final = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}


def _one_of(node: Node, words: list[str], path: str, report: Report) -> str | None:
    if isinstance(node, Scalar) and node.text in words:
        return node.text
    near = report.near(node.text, words) if isinstance(node, Scalar) else ""
    report.error(node, path, f"must be {', '.join(words[:-1])} or {words[-1]}{near}")
    return None


# --- fields ----------------------------------------------------------------------------------


def _required(reader: Reader[T], description: str) -> T:
    metadata = {"reader": reader, "description": description}
    field: T = dataclasses.field(metadata=metadata)
    return field


def _optional(reader: Reader[T], default: T, description: str) -> T:
    metadata = {"reader": reader, "description": description, "default": default}
    field: T = dataclasses.field(default_factory=lambda: default, metadata=metadata)
    return field


def _maybe(reader: Reader[T], description: str) -> T | None:
    metadata = {"reader": reader, "description": description}
    field: T | None = dataclasses.field(default=None, metadata=metadata)
    return field


_NO_TEXTS: Final[Mapping[str, str]] = MappingProxyType({})
_MANAGE: Final = "reconcile repairs it, observe only reports."
_SUSPEND: Final = "Leave it alone until this is removed."


@dataclass(frozen=True, slots=True, kw_only=True)
class AcceptSpec:
    risk: str = _required(RiskName(), "The risk that is accepted.")
    action: str = _required(ActionId(), "Id of the held action, as `wmsctl plan` prints it.")
    until: float = _required(
        Day(), "Last day it is in force, UTC; seven days ahead at most, else it is not in force."
    )


_ACCEPT: Final = "Held actions that a person wants in spite of their risk; each is used once."


@dataclass(frozen=True, slots=True, kw_only=True)
class ConnectorSpec:
    class_: str = _required(_TEXT, "Connector class, by its full Java name.")
    tasks_max: int = _optional(Whole(1), 1, "Number of tasks; only 1 works.")
    state: RunState = _optional(OneOf(RunState), RunState.RUNNING, "Whether it runs.")
    topic_prefix: str | None = _maybe(
        _TEXT, "`wms`; the stage's namespace is added. Debezium's connectors only."
    )
    tables: tuple[str, ...] = _optional(
        Texts(), (), "Captured tables as SCHEMA.TABLE. Debezium's connectors only."
    )
    config: Mapping[str, str] = _optional(
        TextMap(), _NO_TEXTS, "Config keys as Connect knows them; values are texts."
    )
    ignore: tuple[str, ...] = _optional(Texts(), (), "Config keys that are left as found.")
    manage: Manage = _optional(OneOf(Manage), Manage.RECONCILE, _MANAGE)
    suspend: bool = _optional(Truth(), False, _SUSPEND)
    accept: tuple[AcceptSpec, ...] = _optional(Groups(AcceptSpec), (), _ACCEPT)


@dataclass(frozen=True, slots=True, kw_only=True)
class TopicSpec:
    class_: TopicClass | None = _maybe(
        OneOf(TopicClass), "What it is for; default: that of the role, else data."
    )
    name: str | None = _maybe(_TEXT, "Name without the stage's namespace; default: metadata.name.")
    role: str | None = _maybe(
        RoleName(), "Instead of a name, for topics whose name belongs to the stage."
    )
    partitions: int | None = _maybe(
        Whole(1, MOST_PARTITIONS), "Number of partitions; required for class data."
    )
    replication_factor: int | None = _maybe(
        Whole(1, 15), "Copies; default: the StagePolicy's, else the broker's."
    )
    config: Mapping[str, str] = _optional(
        TextMap(), _NO_TEXTS, "Topic config; keys that are not named are left alone."
    )
    manage: Manage = _optional(OneOf(Manage), Manage.RECONCILE, _MANAGE)
    suspend: bool = _optional(Truth(), False, _SUSPEND)
    accept: tuple[AcceptSpec, ...] = _optional(Groups(AcceptSpec), (), _ACCEPT)


@dataclass(frozen=True, slots=True, kw_only=True)
class Defaults:
    replication_factor: int | None = _maybe(Whole(1, 15), "Copies of topics that name none.")
    min_insync_replicas: int | None = _maybe(
        Whole(1, 15), "min.insync.replicas of topics that name none."
    )
    retention_ms: int | None = _maybe(
        Whole(-1), "retention.ms (ms) of data and schemaChange topics that name none."
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Intervals:
    cycle: float = _optional(Duration(1, 600), 15.0, "Between two cycles, at the latest.")
    secrets: float = _optional(Duration(1, 3600), 60.0, "Between two reads of secrets.")
    listing: float = _optional(
        Duration(1, 3600), 60.0, "Between two full listings, which show orphans."
    )
    lag: float = _optional(
        Duration(1, 3600), 60.0, "Between two looks at how far Kafka is behind the source."
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Repair:
    delay: float | None = _maybe(
        Duration(0, 3600),
        "From drift first seen to its repair; default: 30s on named stages, 0s on branches.",
    )
    per_hour: int | None = _maybe(
        Whole(1, MOST_REPAIRS),
        "Repairs of one resource, and bounces of one task, within an hour; beyond it Contended; "
        "default: 6 on named stages, 1000 on branches.",
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class StagePolicySpec:
    defaults: Defaults = _optional(Group(Defaults), Defaults(), "For topics.")
    intervals: Intervals = _optional(Group(Intervals), Intervals(), "How often to look.")
    probe: ProbeMode | None = _maybe(
        OneOf(ProbeMode),
        "How sure a login must be before it is used; default: required on named stages, advisory "
        "on branches.",
    )
    forbid_fallback: tuple[str, ...] = _optional(
        Texts(), (), "Secrets that must be the stage's own."
    )
    observe_only: bool = _optional(Truth(), False, "Look and report; change nothing at all.")
    kafka_cluster_id: str | None = _maybe(_TEXT, "Id of the only cluster that may be written to.")
    repair: Repair = _optional(
        Group(Repair), Repair(), "When drift is written back, and how often at most."
    )
    lost_topics: LostTopics = _optional(
        OneOf(LostTopics),
        LostTopics.HOLD,
        "A data or heartbeat topic that was there and is gone: hold waits for a person, recreate "
        "makes it again, empty; a schema history is always held.",
    )
    shared_cluster: bool = _optional(
        Truth(),
        False,
        "Another named stage is on this Kafka cluster, and that is meant: the schema history is "
        "then called wms.schema-changes.STAGE.",
    )
    allowed_sql: tuple[str, ...] = _optional(
        Texts(), (), "SQL that a connector's config may hold, each text exactly as written there."
    )
    read_source_timestamps: bool = _optional(
        Truth(),
        False,
        "Read each captured topic's newest row for its source.ts_ms, and keep that number only: "
        "the lag is then exact.",
    )


SPECS: Final[Mapping[str, type[Any]]] = {
    "Connector": ConnectorSpec,
    "Topic": TopicSpec,
    "StagePolicy": StagePolicySpec,
}


@dataclass(frozen=True, slots=True)
class _Field:
    name: str
    reader: Reader[Any]
    required: bool


def _fields_of(kind: type[Any]) -> Mapping[str, _Field]:
    """Answer the fields of a spec by the name that people write."""
    known = _FIELDS.get(kind)
    if known is None:
        known = _FIELDS[kind] = {
            spelling(one.name): _Field(one.name, one.metadata["reader"], _is_required(one))
            for one in dataclasses.fields(kind)
        }
    return known


_FIELDS: Final[dict[type[Any], Mapping[str, _Field]]] = {}


def _is_required(field: dataclasses.Field[Any]) -> bool:
    return field.default is MISSING and field.default_factory is MISSING


def spelling(name: str) -> str:
    """Answer `tasksMax` for `tasks_max`."""
    first, *rest = name.strip("_").split("_")
    return first + "".join(word.capitalize() for word in rest)


def _read_fields(kind: type[T], tree: Fields, path: str, report: Report) -> T | None:
    known = _fields_of(kind)
    before = report.count
    values: dict[str, Any] = {}
    for key, (place, node) in tree.entries.items():
        field = known.get(key)
        if field is None:
            message = f"is no field here, where {', '.join(known)} are known"
            report.error(place, f"{path}.{key[:100]}", message + report.near(key, known))
        else:
            values[field.name] = field.reader.read(node, f"{path}.{key}", report)
    for key, field in known.items():
        if field.required and field.name not in values:
            report.error(tree, f"{path}.{key}", "is missing, and there is no default")
    return kind(**values) if report.count == before else None


# --- specs with their places -----------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Checked(Generic[T]):
    """A spec with the tree that it was read from, so that later complaints have a place."""

    name: str
    spec: T
    tree: Fields
    place: Node

    def key(self, field: str, key: str | None = None) -> Node:
        """Find where a field, or a key of a map, was written; else where the resource begins."""
        node = self.tree.get(field)
        if key is not None and isinstance(node, Fields):
            return node.key(key) or self.tree.key(field) or self.tree
        return self.tree.key(field) or self.place

    def value(self, field: str, key: str) -> Node:
        """Find the value of a key of a map."""
        node = self.tree.get(field)
        found = node.get(key) if isinstance(node, Fields) else None
        return found or self.key(field)

    def item(self, field: str, index: int) -> Node:
        node = self.tree.get(field)
        return node.items[index] if isinstance(node, Sequence) else self.key(field)


def check_spec(
    kind: type[T], name: str, tree: Node, place: Node, report: Report
) -> Checked[T] | None:
    """Read one spec; everything wrong in it is reported."""
    if not isinstance(tree, Fields):
        return None
    removed = list(nulls(tree))
    for node, path in removed:
        report.error(node, path, "is null, and there is nothing below it to remove")
    spec = None if removed else _read_fields(kind, tree, "spec", report)
    return None if spec is None else Checked(name, spec, tree, place)


# --- schema ----------------------------------------------------------------------------------


def schema() -> Schema:
    """Describe one document, of base or of an overlay: any field may be left out, or null."""
    definitions: Schema = {}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Manifest of the WMS connector",
        "description": "Completeness is checked by `wmsctl validate`, after the overlay.",
        "oneOf": [_document_schema(kind, definitions) for kind in KINDS],
        "$defs": definitions,
    }


def _document_schema(kind: str, definitions: Schema) -> Schema:
    definitions[f"{kind}Spec"] = _fields_schema(SPECS[kind], definitions)
    return {
        "type": "object",
        "additionalProperties": False,
        "required": ["apiVersion", "kind", "metadata", "spec"],
        "properties": {
            "apiVersion": {"const": API_VERSION},
            "kind": {"const": kind},
            "metadata": {
                "type": "object",
                "additionalProperties": False,
                "required": ["name"],
                "properties": {"name": {"type": "string"}},
            },
            "spec": {"anyOf": [{"$ref": f"#/$defs/{kind}Spec"}, _NULL]},
        },
    }


def _fields_schema(kind: type[Any], definitions: Schema) -> Schema:
    properties: Schema = {}
    for one in dataclasses.fields(kind):
        described: Schema = {
            "description": one.metadata["description"],
            "anyOf": [one.metadata["reader"].schema(definitions), _NULL],
        }
        default = one.metadata.get("default")
        if isinstance(default, str | int):
            described["default"] = default.value if isinstance(default, StrEnum) else default
        properties[spelling(one.name)] = described
    return {"type": "object", "additionalProperties": False, "properties": properties}
