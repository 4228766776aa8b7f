"""Settings that Connect and Debezium simply obey, and that lose changes or read all tables again.

One table for whoever reads a manifest and for whoever judges a change: what is named as a danger
when it is written is what a person must accept when it is about to take effect.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final, TypeAlias

from controller.core.debezium_keys import words
from controller.core.decision import Risk

Config: TypeAlias = Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Danger:
    """A setting, what it may cost, and every key that has a part in it."""

    key: str
    risk: Risk
    sentence: str
    part_of: tuple[str, ...] = ()  # keys or, ending with a dot, families of keys

    def concerns(self, key: str) -> bool:
        """Tell whether a change of this key is a change of the danger."""
        return key == self.key or any(
            key == part or (part.endswith(".") and key.startswith(part)) for part in self.part_of
        )


@dataclass(frozen=True, slots=True)
class _Row:
    key: str
    values: frozenset[str] | None  # None: whatever is neither empty nor 0
    risk: Risk
    sentence: str
    part_of: tuple[str, ...] = ()

    def fits(self, value: str) -> bool:
        if self.values is None:
            return value.strip() not in ("", "0")
        return any(word.strip().lower() in self.values for word in value.split(","))


_LOST: Final = "changes are lost silently"
_ROWS: Final = (
    _Row(
        "event.processing.failure.handling.mode",
        words("skip warn ignore"),
        Risk.DATA_LOSS,
        f"{_LOST}: an event that cannot be processed is skipped",
    ),
    _Row(
        "event.converting.failure.handling.mode",
        words("skip warn"),
        Risk.DATA_LOSS,
        f"{_LOST}: a column that cannot be converted is left out",
    ),
    _Row(
        "errors.tolerance",
        words("all"),
        Risk.DATA_LOSS,
        f"{_LOST}: a record that fails on its way is dropped",
    ),
    _Row(  # t, truncations, is Debezium's own default
        "skipped.operations",
        words("c u d"),
        Risk.DATA_LOSS,
        f"{_LOST}: inserts (c), updates (u) or deletes (d) are not captured",
    ),
    _Row(
        "log.mining.transaction.retention.ms",
        None,
        Risk.DATA_LOSS,
        f"{_LOST}: longer transactions are dropped",
    ),
    _Row(
        "log.mining.buffer.transaction.events.threshold",
        None,
        Risk.DATA_LOSS,
        f"{_LOST}: larger transactions are dropped",
    ),
    _Row(
        "schema.history.internal.skip.unparseable.ddl",
        words("true"),
        Risk.DATA_LOSS,
        f"{_LOST}: a table is read with the columns that it had before",
    ),
    *(
        _Row(f"log.mining.{whose}.{side}.list", None, Risk.DATA_LOSS, f"{_LOST}: {told}")
        for whose, those in (("username", "users"), ("clientid", "client ids"))
        for side, told in (
            ("exclude", f"what these {those} change is not captured"),
            ("include", f"what other {those} change is not captured"),
        )
    ),
    *(
        _Row(f"message.prefix.{side}.list", None, Risk.DATA_LOSS, f"{_LOST}: {told}")
        for side, told in (
            ("exclude", "messages with these prefixes are not captured"),
            ("include", "messages with other prefixes are not captured"),
        )
    ),
    _Row(  # Debezium's reference: for tests only, the position cannot be resumed from
        "slot.drop.on.stop",
        words("true"),
        Risk.DATA_LOSS,
        f"{_LOST}: the database keeps none while the task is stopped",
    ),
    _Row(  # DBZ-9688
        "offset.mismatch.strategy",
        words("trust_slot trust_greater_lsn"),
        Risk.DATA_LOSS,
        f"{_LOST}: those between the offset and a slot that is ahead are skipped",
    ),
    _Row(
        "snapshot.mode",
        words("always when_needed configuration_based"),
        Risk.SNAPSHOT,
        "it may read all tables again by itself",
        ("snapshot.mode.configuration.based.",),
    ),
    _Row(
        "snapshot.mode",
        words("recovery"),
        Risk.SNAPSHOT,
        "it builds the schema history anew from the tables as they are now: right only if none of "
        "them was altered since the offset",
    ),
)
_FILTER: Final = "org.apache.kafka.connect.transforms.Filter"
_UNWRAP: Final = "io.debezium.transforms.ExtractNewRecordState"


LOCATION: Final = frozenset({"database.hostname", "database.port", "database.url", "rac.nodes"})
MOVED: Final = (  # said beside the fields, which it does not name
    "another database is read from then on, where the offsets of this one mean nothing: changes "
    "are skipped or read twice"
)
_UNSET: Final[Mapping[str, str]] = {  # Debezium's defaults
    "database.connection.adapter": "logminer",
    "publication.name": "dbz_publication",
    "slot.name": "debezium",
}
CHANGED: Final[Mapping[str, str]] = {
    **dict.fromkeys(LOCATION, MOVED),
    # Each adapter has an offset loader of its own (Debezium 3.6.1).
    "database.connection.adapter": (
        "each adapter keeps its position in its own way: transactions that are open when it "
        "changes may be skipped"
    ),
    "publication.name": "what the other publication does not publish is not captured",
    "slot.name": (  # DBZ-5739
        "another slot begins where the database is when it is created: changes since the offset "
        "may be skipped"
    ),
}


def danger_of_change(key: str, before: str | None, after: str | None) -> str | None:
    """Say what changes may be lost when a setting changes that offsets belong to."""
    unset = _UNSET.get(key)
    return None if (before or unset) == (after or unset) else CHANGED.get(key)


def find_dangers(config: Config) -> Iterator[Danger]:
    """Name all of a whole config, in its order."""
    for key, value in config.items():
        for row in _ROWS:
            if row.key == key and row.fits(value):
                yield Danger(key, row.risk, row.sentence, row.part_of)
    for name in _names(config, "transforms"):
        yield from _of_transform(name, config)


def _of_transform(name: str, config: Config) -> Iterator[Danger]:
    family = f"transforms.{name}."
    loaded = config.get(f"{family}type")
    if loaded == _FILTER:
        only_where = config.get(f"{family}predicate")
        parts = ("transforms", family, *((f"predicates.{only_where}.",) if only_where else ()))
        told = f"{_LOST}: this transform drops records"
        yield Danger(f"{family}type", Risk.DATA_LOSS, told, parts)
    if loaded != _UNWRAP:
        return
    for key, word in (("delete.tombstone.handling.mode", "drop"), ("delete.handling.mode", "drop")):
        if config.get(family + key) == word:
            told = f"{_LOST}: deletes are dropped"
            yield Danger(family + key, Risk.DATA_LOSS, told, ("transforms", f"{family}type"))


def _names(config: Config, listing: str) -> Iterator[str]:
    return (name.strip() for name in config.get(listing, "").split(",") if name.strip())
