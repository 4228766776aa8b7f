"""A state store in memory; the contract of every state store holds for it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from controller.core.faults import Conflict, Fault
from controller.core.model import Json, Record
from controller.ports import Clock


def _copy(value: Mapping[str, Json]) -> dict[str, Json]:
    """Copy as the real ones do, who keep text; `copy.deepcopy` was a tenth of a simulation."""
    return {key: _copied(one) for key, one in value.items()}


def _copied(value: Json) -> Json:
    if isinstance(value, Mapping):
        return _copy(value)
    return [_copied(one) for one in value] if isinstance(value, list) else value


class FakeState:
    """Break it with `broken`; look inside with `records` and `history`."""

    def __init__(self, clock: Clock, keep: int = 1000) -> None:
        self.records: dict[str, Record] = {}
        self.history: dict[str, list[dict[str, Json]]] = {}
        self.documents: dict[str, dict[str, Json]] = {}
        self.broken: Fault | None = None
        self.unwritable: Fault | None = None  # of the history only
        self.writes = 0
        self._clock = clock
        self._keep = keep
        self._last = 0

    def load(self) -> Mapping[str, Record]:
        self._enter()
        return {
            key: Record(_copy(record.value), record.revision, record.expires)
            for key, record in self.records.items()
        }

    def put(
        self,
        key: str,
        value: Mapping[str, Json],
        *,
        expected: int | None = None,
        expires: float | None = None,
    ) -> int:
        if "/" not in key:
            raise ValueError(f"{key!r} names no record")
        self._enter()
        self._compare(key, expected)
        self._last += 1
        self.writes += 1
        self.records[key] = Record(_copy(value), self._last, expires)
        return self._last

    def delete(self, key: str, *, expected: int | None = None) -> None:
        self._enter()
        if key in self.records:
            self._compare(key, expected)
            self.writes += 1
            del self.records[key]

    def append(self, section: str, entry: Mapping[str, Json]) -> None:
        self._enter()
        if self.unwritable is not None:
            raise self.unwritable
        entries = self.history.setdefault(section, [])
        entries.append(_copy(entry))
        del entries[: -self._keep]

    def read(self, section: str, limit: int) -> Sequence[Mapping[str, Json]]:
        self._enter()
        return tuple(self.history.get(section, [])[-limit:] if limit > 0 else ())

    def publish(self, section: str, document: Mapping[str, Json]) -> None:
        self._enter()
        self.documents[section] = _copy(document)

    def published(self, section: str) -> Mapping[str, Json] | None:
        self._enter()
        document = self.documents.get(section)
        return None if document is None else _copy(document)

    def _enter(self) -> None:
        if self.broken is not None:
            raise self.broken
        now = self._clock.now()
        for key, record in tuple(self.records.items()):
            if record.expires is not None and record.expires <= now:
                del self.records[key]

    def _compare(self, key: str, expected: int | None) -> None:
        found = self.records.get(key)
        revision = 0 if found is None else found.revision
        if expected is not None and revision != expected:
            raise Conflict("StateChanged", f"{key} is at revision {revision}, not {expected}")
