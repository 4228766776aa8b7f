"""YAML text -> trees whose every node knows its line.

The text is hostile. libyaml's composer recurses in C and kills the process on a deeply nested
file, so only its event stream is used: the tree is built here, and depth, number of nodes, aliases,
tags, duplicate and merge keys are refused before anything is built from them. A scalar stays the
text that was written; what it means is decided by the field that it stands in.
"""

from __future__ import annotations

import re
from typing import Any, Final, TypeAlias

import yaml

from controller.manifest.error import Report, Spot

LONGEST_FILE: Final = 256 * 1024  # bytes
DEEPEST: Final = 32
MOST_NODES: Final = 100_000  # of all files

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


class TreeReader:
    """Reads files one after the other, out of one allowance of nodes."""

    def __init__(self, report: Report) -> None:
        self._report = report
        self._left = MOST_NODES

    def read(self, file: str, text: str) -> list[Node]:
        """Answer the documents of one file; what is refused ends the file and is reported."""
        builder = _Builder(file, self._report, self._left)
        try:
            _refuse_text(text)
            trees = builder.build(text)
        except _Refused as refused:
            place = Spot(file, refused.line, refused.column)
            self._report.error(place, "", refused.message)
            return []
        finally:
            self._left = builder.left
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
    """Builds trees from events, each check before the node it is about.

    This is where most of the time of a load is spent, so that scalars take a short way.
    """

    def __init__(self, file: str, report: Report, left: int) -> None:
        self._file = file
        self._report = report
        self.left = left
        self._open: list[Sequence | Fields] = []
        self._keys: list[Scalar | None] = []  # per open map, the key that waits for its value
        self.trees: list[Node] = []

    def build(self, text: str) -> list[Node]:
        parser = _LOADER(text)
        try:
            while (event := parser.get_event()) is not None:
                self._take(event)
        except yaml.MarkedYAMLError as error:
            mark = error.problem_mark or error.context_mark
            line, column = (mark.line + 1, mark.column + 1) if mark else (1, 1)
            raise _Refused(line, column, f"is no YAML: {error.problem or error.context}") from None
        except (yaml.YAMLError, ValueError, RecursionError) as error:
            raise _Refused(1, 1, f"is no YAML: {type(error).__name__}") from None
        finally:
            parser.dispose()
        return self.trees

    def _take(self, event: Any) -> None:
        kind = type(event)
        if kind is yaml.ScalarEvent:
            self._check(event)
            text, mark = event.value, event.start_mark
            null = text in _NULL and not event.style
            self._add(Scalar(text, null, self._file, mark.line + 1, mark.column + 1))
        elif kind is yaml.MappingStartEvent or kind is yaml.SequenceStartEvent:
            self._enter(event)
        elif kind is yaml.MappingEndEvent or kind is yaml.SequenceEndEvent:
            self._keys.pop()
            self._add(self._open.pop())
        elif kind is yaml.AliasEvent:
            raise _refusal(event, "an alias (*name) is not read: write the value out")
        elif kind is yaml.DocumentStartEvent and (event.version or event.tags):
            raise _refusal(event, "a %YAML or %TAG directive is not read: remove it")

    def _check(self, event: Any) -> None:
        self.left -= 1
        if self.left < 0:
            raise _refusal(event, f"is too much: all files may hold {MOST_NODES} values")
        if event.tag is not None:
            raise _refusal(event, "a tag (!...) is not read: remove it")
        if event.anchor is not None:
            raise _refusal(event, "an anchor (&name) is not read: remove it")

    def _enter(self, event: Any) -> None:
        self._check(event)
        if len(self._open) >= DEEPEST:
            raise _refusal(event, f"is nested deeper than {DEEPEST} levels")
        if self._open and type(self._open[-1]) is Fields and self._keys[-1] is None:
            raise _refusal(event, "a key must be one text, not a list or a map")
        line, column = event.start_mark.line + 1, event.start_mark.column + 1
        if type(event) is yaml.MappingStartEvent:
            self._open.append(Fields({}, self._file, line, column))
        else:
            self._open.append(Sequence([], self._file, line, column))
        self._keys.append(None)

    def _add(self, node: Node) -> None:
        if not self._open:
            self.trees.append(node)
            return
        parent = self._open[-1]
        if isinstance(parent, Sequence):
            parent.items.append(node)
            return
        key = self._keys[-1]
        if key is None:
            self._keys[-1] = _key(node)
            return
        self._keys[-1] = None
        first, _ = parent.entries.setdefault(key.text, (key, node))
        if first is not key:
            message = f"is there twice: it was already given in line {first.line}"
            self._report.error(key, key.text[:100], message)


def _key(node: Node) -> Scalar:
    if not isinstance(node, Scalar):  # refused when it was opened
        raise _Refused(node.line, node.column, "a key must be one text")
    if node.text == "<<":
        raise _Refused(node.line, node.column, "the merge key << is not read: write it out")
    if node.null:
        raise _Refused(node.line, node.column, "a key is missing before the colon")
    return node


def _refusal(event: Any, message: str) -> _Refused:
    mark = event.start_mark
    return _Refused(mark.line + 1, mark.column + 1, message)
