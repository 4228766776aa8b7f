"""Files -> resources, the overlay laid over the base.

Maps merge, lists and scalars replace, null removes the field, `spec: null` removes the resource.
A name that the base does not have is added, and is as complete as if it stood in the base.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final, TypeAlias

from controller.manifest.error import WHOLE, Report, Spot
from controller.manifest.tree import Fields, Node, Scalar, Sequence, TreeReader

API_VERSION: Final = "wms.cdc/v1"
KINDS: Final = ("Connector", "Topic", "StagePolicy")
LARGEST: Final = 8 * 1024 * 1024  # characters of all files
MOST_FILES: Final = 5_000

_HEAD: Final = ("apiVersion", "kind", "metadata", "spec")
_FOLDER: Final = re.compile(r"base/|stages/[^/]+/")
_SUFFIXES: Final = (".yaml", ".yml")


@dataclass(frozen=True, slots=True, order=True)
class Identity:
    kind: str
    name: str

    def __str__(self) -> str:
        return f"{self.kind} {self.name}"


@dataclass(frozen=True, slots=True)
class Document:
    """One document whose head was understood; its spec was not looked at yet."""

    identity: Identity
    head: Fields
    spec: Node | None  # None: `spec: null`, remove the resource

    @property
    def place(self) -> Node:
        name = self.head.get("metadata")
        named = name.get("name") if isinstance(name, Fields) else None
        return named or self.head


Documents: TypeAlias = "dict[Identity, Document]"


def read_resources(files: Mapping[str, str], overlay: str, report: Report) -> Documents:
    """Parse base and the overlay in force; other overlays are not looked at."""
    files = {path: text for path, text in sorted(files.items()) if _is_manifest(path)}
    if len(files) > MOST_FILES or sum(map(len, files.values())) > LARGEST:
        report.error(WHOLE, "", f"there are more than {MOST_FILES} files or {LARGEST} characters")
        return {}
    base, over = _split(files, overlay, report)
    reader = TreeReader(report)
    resources = _documents(base, reader, report)
    for identity, document in _documents(over, reader, report).items():
        _lay_over(resources, identity, document, report)
    for identity, document in list(resources.items()):
        if document.spec is None:
            report.error(
                document.place, "spec", "is null, and there is nothing to remove: give it fields"
            )
            del resources[identity]
    return resources


def _is_manifest(path: str) -> bool:
    parts = path.split("/")
    return path.endswith(_SUFFIXES) and not any(part.startswith(".") for part in parts)


def _split(
    files: Mapping[str, str], overlay: str, report: Report
) -> tuple[dict[str, str], dict[str, str]]:
    tops = {path.split("/")[0] for path in files if "/" in path}
    if not tops & {"base", "stages"}:
        return dict(files), {}
    folder = f"stages/{overlay}/"
    base = {path: text for path, text in files.items() if path.startswith("base/")}
    over = {path: text for path, text in files.items() if path.startswith(folder)}
    for path in files:
        if not _FOLDER.match(path):
            report.error(
                Spot(path), "", "belongs to neither base/ nor an overlay stages/NAME/: move it"
            )
    if not over:
        there = sorted({path.split("/")[1] for path in files if path.startswith("stages/")})
        report.error(
            WHOLE, "", f"there is no overlay {folder}: there are {', '.join(there) or 'none'}"
        )
    return base, over


def _documents(files: Mapping[str, str], reader: TreeReader, report: Report) -> Documents:
    found: Documents = {}
    for file, text in files.items():
        for tree in reader.read(file, text):
            document = _document(tree, report)
            if document is None:
                continue
            first = found.setdefault(document.identity, document)
            if first is not document:
                report.error(
                    document.place,
                    "metadata.name",
                    f"{document.identity} is declared twice, first in "
                    f"{first.head.file}:{first.head.line}: keep one",
                )
    return found


def _document(tree: Node, report: Report) -> Document | None:
    if not isinstance(tree, Fields):
        report.error(tree, "", f"must be a map with {', '.join(_HEAD)}")
        return None
    for key, (place, _) in tree.entries.items():
        if key not in _HEAD:
            message = f"is no field of a manifest, which has {', '.join(_HEAD)}"
            report.error(place, key[:100], message + report.near(key, _HEAD))
    version = _text(tree, "apiVersion", report)
    if version is not None and version.text != API_VERSION:
        report.error(version, "apiVersion", f"must be {API_VERSION}")
    identity = _identity(tree, report)
    if "spec" not in tree.entries:
        report.error(tree, "spec", "is missing: give it fields, or in an overlay null to remove")
        return None
    if identity is None:
        return None
    spec = tree.entries["spec"][1]
    removed = isinstance(spec, Scalar) and spec.null
    if not removed and not isinstance(spec, Fields):
        report.error(spec, "spec", "must be a map of fields")
        return None
    return Document(identity, tree, None if removed else spec)


def _identity(tree: Fields, report: Report) -> Identity | None:
    kind = _text(tree, "kind", report)
    if kind is not None and kind.text not in KINDS:
        report.error(
            kind, "kind", f"must be one of {', '.join(KINDS)}{report.near(kind.text, KINDS)}"
        )
        kind = None
    metadata = tree.get("metadata")
    if not isinstance(metadata, Fields):
        report.error(metadata or tree, "metadata", "must be a map with a name")
        return None
    for key, (place, _) in metadata.entries.items():
        if key != "name":
            report.error(
                place, f"metadata.{key[:100]}", "is no field of metadata, which has a name only"
            )
    name = _text(metadata, "name", report, "metadata.")
    return Identity(kind.text, name.text) if kind and name else None


def _text(fields: Fields, key: str, report: Report, prefix: str = "") -> Scalar | None:
    node = fields.get(key)
    if isinstance(node, Scalar) and not node.null:
        return node
    message = "is missing" if node is None else "must be one text"
    report.error(node or fields, prefix + key, message)
    return None


def _lay_over(resources: Documents, identity: Identity, over: Document, report: Report) -> None:
    base = resources.get(identity)
    if over.spec is None:
        if base is None:
            names = [other.name for other in resources if other.kind == identity.kind]
            report.error(
                over.place,
                "metadata.name",
                f"there is no {identity} in base to remove{report.near(identity.name, names)}",
            )
        else:
            del resources[identity]
        return
    spec = over.spec if base is None or base.spec is None else _merged(base.spec, over.spec, report)
    resources[identity] = Document(identity, over.head, spec)


def _merged(base: Node, over: Node, report: Report, path: str = "spec") -> Node:
    if not isinstance(over, Fields):
        return over
    if not isinstance(base, Fields):
        base = Fields({}, over.file, over.line, over.column)
    entries = dict(base.entries)
    for key, (place, value) in over.entries.items():
        below = base.get(key)
        if isinstance(value, Scalar) and value.null:
            if entries.pop(key, None) is None:
                report.warning(place, f"{path}.{key}", "removes nothing: base has no such field")
        elif below is None and not isinstance(value, Fields):
            entries[key] = (place, value)
        else:
            blank = Fields({}, value.file, value.line, value.column)
            entries[key] = (place, _merged(below or blank, value, report, f"{path}.{key}"))
    return Fields(entries, over.file, over.line, over.column)


def nulls(node: Node, path: str = "spec") -> Iterator[tuple[Scalar, str]]:
    """Find what would remove something where there is nothing below it."""
    if isinstance(node, Scalar):
        if node.null:
            yield node, path
    elif isinstance(node, Sequence):
        for index, item in enumerate(node.items):
            yield from nulls(item, f"{path}[{index}]")
    else:
        for key, (_, value) in node.entries.items():
            yield from nulls(value, f"{path}.{key}")
