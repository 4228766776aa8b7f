"""When two texts of a connector's config mean the same, so that no restart is spent on spelling.

Each write bounces the connector, so what Connect and Debezium read alike compares alike; nothing
more, because a difference that is overlooked is never repaired. Decided so:

    class names    an alias is its class: Connect resolves `PostgresConnector` and `Postgres`
                   itself. Only classes that this system allows are known; others stay a text.
    booleans       `True` is `true`: every reader of a boolean ignores case. Not where the value is
                   a name, which stays as it is.
    sets           the order and the repetition of what is captured do not count, nor blanks around
                   an item. The order of `table.include.list` decides which table a snapshot reads
                   first; a snapshot already begun does not look again.
    sequences      blanks do not count, but the order does: `transforms` apply one after the other,
                   and the first of `topic.creation.groups` that matches wins.
    masked values  a mask (`********`) is a text like any other, so it differs from whatever is
                   declared and is overwritten: someone put back what a page or a log had shown.
                   Connect itself returns references as they were written, never a mask.
    `name`         Connect adds it and a PATCH can corrupt it, so desired configs have it and it is
                   compared as any key.

Numbers, regular expressions and unknown keys are compared to the letter. `message.key.columns`
too: the order of its columns is the order of the fields in the key.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

_CLASSES: Final = (
    "io.debezium.connector.oracle.OracleConnector",
    "io.debezium.connector.postgresql.PostgresConnector",
    "org.apache.kafka.connect.file.FileStreamSourceConnector",
    "org.apache.kafka.connect.file.FileStreamSinkConnector",
)
_CONVERTERS: Final = (
    "org.apache.kafka.connect.json.JsonConverter",
    "org.apache.kafka.connect.storage.StringConverter",
    "org.apache.kafka.connect.converters.ByteArrayConverter",
)


def _aliases(classes: tuple[str, ...], suffix: str) -> dict[str, str]:
    simple = {name.rpartition(".")[2]: name for name in classes}
    return {**simple, **{alias.removesuffix(suffix): name for alias, name in simple.items()}}


_CONNECTOR_ALIASES: Final = _aliases(_CLASSES, "Connector")
_CONVERTER_ALIASES: Final = _aliases(_CONVERTERS, "Converter")
_ALIASES: Final[Mapping[str, Mapping[str, str]]] = {
    "connector.class": _CONNECTOR_ALIASES,
    "key.converter": _CONVERTER_ALIASES,
    "value.converter": _CONVERTER_ALIASES,
    "header.converter": _CONVERTER_ALIASES,
}
_SETS: Final = frozenset(
    {
        *(
            f"{what}.{side}.list"
            for what in ("database", "schema", "table", "column")
            for side in ("include", "exclude")
        ),
        "notification.enabled.channels",
        "signal.enabled.channels",
        "snapshot.include.collection.list",
    }
)
_SEQUENCES: Final = frozenset({"transforms", "predicates", "topic.creation.groups"})
_NAMES: Final = frozenset(  # last words of keys whose value is a name that someone chose
    {"class", "dbname", "hostname", "name", "password", "prefix", "topic", "url", "user"}
)
_ITEM: Final = re.compile(r"(?:\\.|[^,])+", re.DOTALL)  # `\,` stands inside a regular expression
_MASK: Final = re.compile(r"\*{3,}|\[hidden\]")


def canonical(key: str, value: str) -> str:
    """Answer the one spelling of all that Connect reads alike."""
    if key in _ALIASES:
        return _ALIASES[key].get(value, value)
    if key in _SETS:
        return ",".join(sorted(set(_items(value))))
    if key in _SEQUENCES:
        return ",".join(_items(value))
    if value.lower() in ("true", "false") and key.rpartition(".")[2] not in _NAMES:
        return value.lower()
    return value


def is_masked(value: str) -> bool:
    """Tell a mask that a page or a log showed from a value; no manifest may declare one."""
    return _MASK.fullmatch(value) is not None


def _items(value: str) -> list[str]:
    return [item for item in (text.strip() for text in _ITEM.findall(value)) if item]
