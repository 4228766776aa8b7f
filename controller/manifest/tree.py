"""YAML text -> trees whose every node knows its line.

The text is hostile. libyaml's composer recurses in C and kills the process on a deeply nested
file, so only its event stream is used: the tree is built here, and depth, number of nodes, aliases,
tags, duplicate and merge keys are refused before anything is built from them. A scalar stays the
text that was written; what it means is decided by the field that it stands in.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, Final, TypeAlias

import yaml

from controller.manifest.error import Report, Spot

LONGEST_FILE: Final = 256 * 1024  # bytes
DEEPEST: Final = 32
MOST_NODES: Final = 50_000  # of one file

_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_NULL: Final = frozenset({"", "~", "null", "Null", "NULL"})
_TAB: Final = re.compile(r"^ *\t", re.MULTILINE)
_UNPRINTABLE: Final = re.compile(
    "[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufefe\uff00-\ufffd\U00010000-\U0010ffff]"
)


class Scalar:
    """A text as written; `null` when it was written plain and means nothing."""

    __slots__ = ("column", "file", "line", "null", "text")

    def __init__(self, text: str, null: bool, file: str, line: int, column: int) -> None:
        self.text = text
        self.null = null
        self.file = file
        self.line = line
        self.column = column


class Sequence:
    __slots__ = ("column", "file", "items", "line")

    def __init__(self, items: list[Node], file: str, line: int, column: int) -> None:
        self.items = items
        self.file = file
        self.line = line
        self.column = column


class Fields:
    """A map; each key keeps its own place beside its value."""

    __slots__ = ("column", "entries", "file", "line")

    def __init__(
        self, entries: dict[str, tuple[Scalar, Node]], file: str, line: int, column: int
    ) -> None:
        self.entries = entries
        self.file = file
        self.line = line
        self.column = column

    def get(self, key: str) -> Node | None:
        entry = self.entries.get(key)
        return None if entry is None else entry[1]

    def key(self, key: str) -> Scalar | None:
        entry = self.entries.get(key)
        return None if entry is None else entry[0]


Node: TypeAlias = "Scalar | Sequence | Fields"
Plain: TypeAlias = "str | list[Plain] | dict[str, Plain] | None"


class _Refused(Exception):
    def __init__(self, line: int, column: int, message: str) -> None:
        self.line = line
        self.column = column
        self.message = message


def parse_trees(file: str, text: str, report: Report) -> list[Node]:
    """Read the documents of one file; what is refused ends the file and is reported."""
    try:
        _refuse_text(text)
        trees = list(_Builder(file, report).build(text))
    except _Refused as refused:
        report.error(Spot(file, refused.line, refused.column), "", refused.message)
        return []
    return [tree for tree in trees if not _is_comment(tree)]


def plain(node: Node) -> Plain:
    """The value without its places; null is None."""
    if isinstance(node, Scalar):
        return None if node.null else node.text
    if isinstance(node, Sequence):
        return [plain(item) for item in node.items]
    return {key: plain(value) for key, (_, value) in node.entries.items()}


def _is_comment(tree: Node) -> bool:
    """Tell whether a document holds nothing, as between two lines of dashes."""
    return isinstance(tree, Scalar) and tree.null


def _refuse_text(text: str) -> None:
    if len(text) > LONGEST_FILE or len(text.encode(errors="surrogatepass")) > LONGEST_FILE:
        raise _Refused(1, 1, f"is longer than {LONGEST_FILE // 1024} KiB: split the file")
    if text.startswith("\ufeff"):
        raise _Refused(1, 1, "begins with a byte order mark: save it as UTF-8 without one")
    if bad := _UNPRINTABLE.search(text):
        line, column = _position(text, bad.start())
        code = f"U+{ord(bad.group()):04X}"
        raise _Refused(line, column, f"holds the unprintable character {code}: remove it")
    if tab := _TAB.search(text):
        line, column = _position(text, tab.end() - 1)
        raise _Refused(line, column, "is indented with a tab: use blanks")


def _position(text: str, index: int) -> tuple[int, int]:
    return text.count("\n", 0, index) + 1, index - text.rfind("\n", 0, index)


class _Builder:
    """Builds trees from events, each check before the node it is about."""

    def __init__(self, file: str, report: Report) -> None:
        self._file = file
        self._report = report
        self._open: list[Sequence | Fields] = []
        self._keys: list[Scalar | None] = []  # per open map, the key that waits for its value
        self._nodes = 0

    def build(self, text: str) -> Iterator[Node]:
        try:
            for event in yaml.parse(text, Loader=_LOADER):
                tree = self._take(event)
                if tree is not None:
                    yield tree
        except yaml.MarkedYAMLError as error:
            mark = error.problem_mark or error.context_mark
            line, column = (mark.line + 1, mark.column + 1) if mark else (1, 1)
            raise _Refused(line, column, f"is no YAML: {error.problem or error.context}") from None
        except (yaml.YAMLError, ValueError, RecursionError) as error:
            raise _Refused(1, 1, f"is no YAML: {type(error).__name__}") from None

    def _take(self, event: Any) -> Node | None:
        """Answer a tree when this event completes one."""
        if isinstance(event, yaml.ScalarEvent):
            return self._scalar(event)
        if isinstance(event, yaml.CollectionEndEvent):
            closed = self._open.pop()
            self._keys.pop()
            return self._add(closed)
        if isinstance(event, yaml.CollectionStartEvent):
            self._enter(event)
        elif isinstance(event, yaml.AliasEvent):
            raise self._refusal(event, "an alias (*name) is not read: write the value out")
        elif isinstance(event, yaml.DocumentStartEvent) and (event.version or event.tags):
            raise self._refusal(event, "a %YAML or %TAG directive is not read: remove it")
        return None

    def _scalar(self, event: Any) -> Node | None:
        self._check(event)
        mark = event.start_mark
        null = not event.style and event.value in _NULL
        return self._add(Scalar(event.value, null, self._file, mark.line + 1, mark.column + 1))

    def _enter(self, event: Any) -> None:
        self._check(event)
        if len(self._open) >= DEEPEST:
            raise self._refusal(event, f"is nested deeper than {DEEPEST} levels")
        if self._open and isinstance(self._open[-1], Fields) and self._keys[-1] is None:
            raise self._refusal(event, "a key must be one text, not a list or a map")
        mark = event.start_mark
        line, column = mark.line + 1, mark.column + 1
        opened: Sequence | Fields = (
            Fields({}, self._file, line, column)
            if isinstance(event, yaml.MappingStartEvent)
            else Sequence([], self._file, line, column)
        )
        self._open.append(opened)
        self._keys.append(None)

    def _check(self, event: Any) -> None:
        self._nodes += 1
        if self._nodes > MOST_NODES:
            raise self._refusal(event, f"has more than {MOST_NODES} values: split the file")
        if event.tag is not None:
            raise self._refusal(event, "a tag (!...) is not read: remove it")
        if event.anchor is not None:
            raise self._refusal(event, "an anchor (&name) is not read: remove it")

    def _add(self, node: Node) -> Node | None:
        if not self._open:
            return node
        parent = self._open[-1]
        if isinstance(parent, Sequence):
            parent.items.append(node)
            return None
        key = self._keys[-1]
        if key is None:
            self._keys[-1] = self._key(node)
            return None
        self._keys[-1] = None
        if key.text in parent.entries:
            first = parent.entries[key.text][0].line
            self._report.error(
                key, key.text[:100], f"is there twice: it was already given in line {first}"
            )
        else:
            parent.entries[key.text] = (key, node)
        return None

    def _key(self, node: Node) -> Scalar:
        if not isinstance(node, Scalar):  # refused when it was opened
            raise _Refused(node.line, node.column, "a key must be one text")
        if node.text == "<<":
            raise _Refused(node.line, node.column, "the merge key << is not read: write it out")
        if node.null:
            raise _Refused(node.line, node.column, "a key is missing before the colon")
        return node

    def _refusal(self, event: Any, message: str) -> _Refused:
        mark = event.start_mark
        return _Refused(mark.line + 1, mark.column + 1, message)
