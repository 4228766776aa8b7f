"""The fields of each kind, once: they validate, they make the schema, they are documented here."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Final, Generic, Literal, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError
from pydantic.alias_generators import to_camel

from controller.core.model import Manage, ProbeMode, RunState, TopicClass
from controller.manifest.error import Report
from controller.manifest.overlay import API_VERSION, KINDS, nulls
from controller.manifest.tree import Fields, Node, Sequence, plain

_WHOLE: Final = re.compile(r"-?\d{1,18}", re.ASCII)
_DURATION: Final = re.compile(r"(?P<count>\d{1,9})(?P<unit>ms|s|m|h)", re.ASCII)
_SECONDS: Final = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}
_ROLE = Literal["heartbeat", "connectConfigs", "connectOffsets", "connectStatus"]


def _whole(text: object) -> int:
    if not isinstance(text, str) or not _WHOLE.fullmatch(text):
        raise ValueError("must be a whole number, such as 3")
    return int(text)


def _truth(text: object) -> bool:
    if not isinstance(text, str) or text not in {"true", "false"}:
        raise ValueError("must be true or false")
    return text == "true"


def _duration(text: object) -> float:
    match = _DURATION.fullmatch(text) if isinstance(text, str) else None
    if match is None:
        raise ValueError("must be a number with its unit: 500ms, 15s, 1m or 1h")
    return int(match["count"]) * _SECONDS[match["unit"]]


Whole = Annotated[int, BeforeValidator(_whole, json_schema_input_type=int)]
Truth = Annotated[bool, BeforeValidator(_truth, json_schema_input_type=bool)]
Duration = Annotated[float, BeforeValidator(_duration, json_schema_input_type=str)]


class _Spec(BaseModel):
    model_config = ConfigDict(
        extra="forbid", frozen=True, hide_input_in_errors=True, alias_generator=to_camel
    )


class ConnectorSpec(_Spec):
    class_: str = Field(alias="class", description="Connector class, by its full Java name.")
    tasks_max: Whole = Field(1, description="Number of tasks; Debezium's connectors allow 1.")
    state: RunState = Field(RunState.RUNNING, description="Whether it runs.")
    topic_prefix: str | None = Field(
        None, description="`wms`; the stage's namespace is added. Debezium's connectors only."
    )
    tables: list[str] = Field(
        default_factory=list, description="Captured tables as SCHEMA.TABLE. Debezium's only."
    )
    config: dict[str, str] = Field(
        default_factory=dict, description="Config keys as Connect knows them; values are texts."
    )
    ignore: list[str] = Field(
        default_factory=list, description="Config keys that are left as they are found."
    )
    manage: Manage = Field(
        Manage.RECONCILE, description="reconcile repairs it, observe only reports."
    )
    suspend: Truth = Field(False, description="Leave it alone until this is removed.")


class TopicSpec(_Spec):
    class_: TopicClass = Field(TopicClass.DATA, alias="class", description="What it is for.")
    name: str | None = Field(
        None, description="Name without the stage's namespace; default: metadata.name."
    )
    role: _ROLE | None = Field(
        None, description="Instead of a name, for topics whose name belongs to the stage."
    )
    partitions: Whole | None = Field(
        None, ge=1, le=1000, description="Number of partitions; required for class data."
    )
    replication_factor: Whole | None = Field(
        None, ge=1, le=15, description="Copies; default: the StagePolicy's, else the broker's."
    )
    config: dict[str, str] = Field(
        default_factory=dict, description="Topic config; keys that are not named are left alone."
    )
    manage: Manage = Field(
        Manage.RECONCILE, description="reconcile repairs it, observe only reports."
    )
    suspend: Truth = Field(False, description="Leave it alone until this is removed.")


class Defaults(_Spec):
    replication_factor: Whole | None = Field(
        None, ge=1, le=15, description="For topics that name none."
    )
    min_insync_replicas: Whole | None = Field(
        None, ge=1, le=15, description="min.insync.replicas for topics that name none."
    )
    retention_ms: Whole | None = Field(
        None, ge=-1, description="retention.ms (ms) for data and schemaChange topics without one."
    )


class Intervals(_Spec):
    cycle: Duration = Field(15.0, ge=1, le=600, description="Between two cycles, at the latest.")
    secrets: Duration = Field(60.0, ge=1, le=3600, description="Between two reads of secrets.")
    listing: Duration = Field(
        60.0, ge=1, le=3600, description="Between two full listings, which show orphans."
    )


class StagePolicySpec(_Spec):
    defaults: Defaults = Field(default_factory=Defaults, description="For topics.")
    intervals: Intervals = Field(default_factory=Intervals, description="How often to look.")
    probe: ProbeMode | None = Field(
        None,
        description="How sure a login must be before it is used; default: required on named "
        "stages, advisory on branches.",
    )
    forbid_fallback: list[str] = Field(
        default_factory=list, description="Secrets that must be the stage's own."
    )
    observe_only: Truth = Field(False, description="Look and report; change nothing at all.")
    kafka_cluster_id: str | None = Field(
        None, description="Id of the only cluster that may be written to."
    )


Spec = TypeVar("Spec", bound=_Spec)
SPECS: Final[Mapping[str, type[_Spec]]] = {
    "Connector": ConnectorSpec,
    "Topic": TopicSpec,
    "StagePolicy": StagePolicySpec,
}


@dataclass(frozen=True, slots=True)
class Checked(Generic[Spec]):
    """A spec with the tree that it was read from, so that later complaints have a place."""

    name: str
    spec: Spec
    tree: Fields
    place: Node

    def key(self, field: str, key: str | None = None) -> Node:
        """Find where a field, or a key of a map, was written; else where the spec begins."""
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
    kind: type[Spec], name: str, tree: Node, place: Node, report: Report
) -> Checked[Spec] | None:
    """Validate one spec; everything wrong in it is reported."""
    if not isinstance(tree, Fields):
        return None
    removed = list(nulls(tree))
    for node, path in removed:
        report.error(node, path, "is null, and there is nothing below it to remove")
    if removed:
        return None
    try:
        spec = kind.model_validate(plain(tree))
    except ValidationError as error:
        for problem in error.errors(include_url=False, include_context=True, include_input=False):
            _report_problem(kind, tree, problem, report)
            if report.full:
                break
        return None
    return Checked(name, spec, tree, place)


def _report_problem(kind: type[_Spec], tree: Fields, problem: Any, report: Report) -> None:
    location: tuple[str | int, ...] = problem["loc"]
    node: Node = tree
    key: Node | None = None
    path = "spec"
    for step in location:
        path += f"[{step}]" if isinstance(step, int) else f".{step[:100]}"
        key = node.key(str(step)) if isinstance(node, Fields) else None
        below = _step(node, step)
        if below is None:
            break
        node = below
    place = key if key is not None and problem["type"] == "extra_forbidden" else node
    report.error(place, path, _message(kind, location, problem, report))


def _step(node: Node, step: str | int) -> Node | None:
    if isinstance(node, Fields):
        return node.get(str(step))
    if isinstance(node, Sequence) and isinstance(step, int) and step < len(node.items):
        return node.items[step]
    return None


def _message(
    kind: type[_Spec], location: tuple[str | int, ...], problem: Any, report: Report
) -> str:
    match problem["type"]:
        case "missing":
            return "is missing, and there is no default"
        case "extra_forbidden":
            known = _fields_at(kind, location[:-1])
            message = f"is no field here, where {', '.join(known)} are known"
            return message + report.near(str(location[-1]), known)
        case "enum" | "literal_error":
            return f"must be {problem['ctx']['expected'].replace(chr(39), '')}"
        case "value_error":
            return str(problem["ctx"]["error"])
        case "string_type":
            return "must be one text; a list is written a,b,c"
        case "list_type":
            return "must be a list"
        case "dict_type" | "model_type" | "model_attributes_type":
            return "must be a map of fields"
        case _:
            return str(problem["msg"]).replace("Input should be", "must be")


def _fields_at(kind: type[_Spec], location: tuple[str | int, ...]) -> list[str]:
    model: Any = kind
    for step in location:
        fields = {field.alias: field for field in model.model_fields.values()}
        model = fields[str(step)].annotation
    return [field.alias or name for name, field in model.model_fields.items()]


# --- schema ----------------------------------------------------------------------------------


def schema() -> dict[str, Any]:
    """Describe one document, of base or of an overlay: any field may be left out, or null."""
    definitions: dict[str, Any] = {}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Manifest of the WMS connector",
        "description": "Completeness is checked by `wmsctl validate`, after the overlay.",
        "oneOf": [_document_schema(kind, definitions) for kind in KINDS],
        "$defs": definitions,
    }


def _document_schema(kind: str, definitions: dict[str, Any]) -> dict[str, Any]:
    spec = SPECS[kind].model_json_schema(ref_template="#/$defs/{model}")
    definitions.update(
        {name: _as_overlay(definition) for name, definition in spec.pop("$defs", {}).items()}
    )
    definitions[f"{kind}Spec"] = _as_overlay(spec)
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
            "spec": {"anyOf": [{"$ref": f"#/$defs/{kind}Spec"}, {"type": "null"}]},
        },
    }


def _as_overlay(definition: dict[str, Any]) -> dict[str, Any]:
    """Let each field be null, which removes it, and a text be written without quotes."""
    definition = {key: value for key, value in definition.items() if key != "required"}
    properties = definition.get("properties")
    if properties is not None:
        definition["properties"] = {
            name: _nullable(_loose(field)) for name, field in properties.items()
        }
    return definition


def _loose(field: dict[str, Any]) -> dict[str, Any]:
    if field.get("additionalProperties") == {"type": "string"}:
        values = {"type": ["string", "number", "boolean", "null"]}
        return {**field, "additionalProperties": values}
    return field


def _nullable(field: dict[str, Any]) -> dict[str, Any]:
    if field.get("default", 0) is None:
        field = {key: value for key, value in field.items() if key != "default"}
    kept: dict[str, Any] = {key: field[key] for key in ("description", "default") if key in field}
    rest = {key: value for key, value in field.items() if key not in {*kept, "title"}}
    choices = list(_choices(rest))
    if {"type": "null"} not in choices:
        choices.append({"type": "null"})
    return {"anyOf": choices, **kept}


def _choices(field: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield from field.get("anyOf") or [field]
