"""The text of a secret -> its fields under their canonical names.

People write the same thing under several keys, in JSON or as a bare text. Whatever cannot be read
with certainty is refused as a whole: half a login is worse than none. A problem names keys, never
values.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final, TypeAlias

from controller.core.redact import Redacted

PUBLIC_FIELDS: Final = frozenset({"host", "port", "dbname", "pdb", "schema", "brokerString"})

_ALIASES: Final = {"ip": "host", "db": "dbname", "username": "user"}

# What a `${secret:NAME:FIELD}` can name, and so what may become the name of a file.
_FIELD: Final = re.compile(r"[A-Za-z][A-Za-z0-9_.-]{0,62}")
_PATH_PART: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,127}")
_BROKER: Final = re.compile(
    r"(?:[A-Za-z0-9][A-Za-z0-9._-]*|\[[0-9A-Fa-f:.]+\]):(?P<port>[0-9]{1,5})"
)
_SURROGATE: Final = re.compile("[\ud800-\udfff]")
_UNPRINTABLE: Final = re.compile(r"[\x00-\x1f\x7f]")
_SHOWN: Final = 40  # characters of a key that a message quotes

_Pair: TypeAlias = "tuple[str, object]"


@dataclass(frozen=True, slots=True)
class SecretFields:
    """Either all fields or the problem that makes the secret unusable."""

    fields: Mapping[str, Redacted]
    problem: str | None = None


class _ProblemError(ValueError):
    pass


def parse_fields(name: str, text: str) -> SecretFields:
    """Read a secret's text; a null or empty value counts as not there."""
    try:
        values = _canonical(_pairs(name, text))
        checked = {field: Redacted(_checked(field, value)) for field, value in values.items()}
    except _ProblemError as problem:
        return SecretFields(MappingProxyType({}), str(problem))
    if not checked:
        return SecretFields(MappingProxyType({}), "holds no value")
    return SecretFields(MappingProxyType(checked))


def is_path_part(text: str) -> bool:
    """Tell whether a text can be one directory or file name on the worker's volume."""
    return _PATH_PART.fullmatch(text) is not None


def is_field_name(text: str) -> bool:
    return _FIELD.fullmatch(text) is not None


def _pairs(name: str, text: str) -> list[_Pair]:
    if not text.lstrip().startswith("{"):
        return [(name, text.rstrip("\r\n"))]  # a pasted text ends in a newline nobody meant
    try:
        document = json.loads(
            text,
            object_pairs_hook=_Object,
            parse_int=str,
            parse_float=str,
            parse_constant=_refuse_constant,
        )
    except json.JSONDecodeError as error:
        raise _ProblemError(
            f"begins with '{{' but is no JSON: line {error.lineno}, column {error.colno}"
        ) from None
    except RecursionError:
        raise _ProblemError("is nested too deeply") from None
    return list(document.pairs)


class _Object:
    """A JSON object as written: a dict would hide that a key is there twice."""

    def __init__(self, pairs: list[_Pair]) -> None:
        self.pairs = pairs


def _refuse_constant(_constant: str) -> str:
    raise _ProblemError("holds NaN or Infinity, which are no JSON")


def _canonical(pairs: list[_Pair]) -> dict[str, str]:
    written: dict[str, str] = {}  # canonical field -> the key it was written under
    values: dict[str, str] = {}
    for key, value in _scalars(pairs):
        field = _ALIASES.get(key, key)
        first = written.setdefault(field, key)
        if values.setdefault(field, value) != value:
            raise _ProblemError(_conflict(first, key))
    _refuse_twins(written)
    return values


def _conflict(first: str, second: str) -> str:
    if first == second:
        return f"has the key {first!r} twice, with different values"
    return f"has the keys {first!r} and {second!r}, which mean the same, with different values"


def _scalars(pairs: list[_Pair]) -> Iterator[tuple[str, str]]:
    for key, value in pairs:
        if not is_field_name(key):
            raise _ProblemError(
                f"has the key {key[:_SHOWN]!r}; a key starts with a letter and goes on with up to"
                " 62 letters, digits, '_', '.' or '-'"
            )
        if isinstance(value, _Object | list):
            raise _ProblemError(f"has a nested value under {key!r}; only plain values are read")
        if isinstance(value, bool):
            yield key, "true" if value else "false"
        elif isinstance(value, str) and value:
            yield key, value


def _refuse_twins(written: Mapping[str, str]) -> None:
    """Two fields that differ in case are one file where the file system ignores case."""
    seen: dict[str, str] = {}
    for field, key in written.items():
        twin = seen.setdefault(field.casefold(), key)
        if twin != key:
            raise _ProblemError(f"has the keys {twin!r} and {key!r}, which differ in case only")


def _checked(field: str, value: str) -> str:
    if _SURROGATE.search(value):
        raise _ProblemError(f"has half a character (a lone surrogate) under {field!r}")
    if "\x00" in value:
        raise _ProblemError(f"has a NUL character under {field!r}")
    return _public(field, value) if field in PUBLIC_FIELDS else value


def _public(field: str, value: str) -> str:
    """A public value is written into configs as it is, so nothing in it may mean something else."""
    value = value.strip()
    if not value or _UNPRINTABLE.search(value):
        raise _ProblemError(f"has a blank or unprintable value under {field!r}")
    if "${" in value:
        raise _ProblemError(f"has '${{' under {field!r}, which Connect would resolve")
    if field == "port" and not _is_port(value):
        raise _ProblemError("has no number between 1 and 65535 under 'port'")
    return _brokers(value) if field == "brokerString" else value


def _brokers(value: str) -> str:
    brokers = [part.strip() for part in value.split(",")]
    for broker in brokers:
        match = _BROKER.fullmatch(broker)
        if match is None or not _is_port(match["port"]):
            raise _ProblemError("has no 'host:port,host:port' under 'brokerString'")
    return ",".join(brokers)


def _is_port(value: str) -> bool:
    return value.isascii() and value.isdigit() and len(value) <= 5 and 0 < int(value) <= 65535
