"""Documents -> the YAML that reads back as the same documents."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

_WORD: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_./-]*", re.ASCII)
# Plain for us, but other readers of YAML take them for something else than a text.
_TAKEN: Final = re.compile(r"(?:true|false|yes|no|on|off|y|n|null|\.(?:nan|inf))", re.IGNORECASE)


def to_yaml(documents: Iterable[Mapping[str, Any]]) -> str:
    """Write documents so that any reader of YAML sees the types that we see."""
    return "".join("---\n" + "\n".join(_map(document, "")) + "\n" for document in documents)


def _map(fields: Mapping[str, Any], indent: str) -> Iterator[str]:
    for key, value in fields.items():
        head = f"{indent}{_text(key)}:"
        if isinstance(value, Mapping):
            yield head if value else f"{head} {{}}"
            yield from _map(value, f"{indent}  ")
        elif isinstance(value, list):
            yield head if value else f"{head} []"
            for item in value:
                yield from _item(item, f"{indent}  ")
        else:
            yield f"{head} {_scalar(value)}"


def _item(item: Any, indent: str) -> Iterator[str]:
    if not isinstance(item, Mapping):
        yield f"{indent}- {_text(item)}"
        return
    first, *rest = _map(item, f"{indent}  ")
    yield f"{indent}- {first.strip()}"
    yield from rest


def _scalar(value: str | bool | int) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value) if isinstance(value, int) else _text(value)


def _text(text: str) -> str:
    if _WORD.fullmatch(text) and not _TAKEN.fullmatch(text):
        return text
    return json.dumps(text, ensure_ascii=False)
