"""What is watched over time beyond one observation: the worker's log, offsets, standing states."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace
from typing import Final, TypeAlias

from controller.core.evidence import Evidence, EvidenceBook, expire, gather, telling
from controller.core.failure import System, Treatment
from controller.core.faults import Fault
from controller.core.model import ObservedConnector, Offsets, Unknown
from controller.core.progress import OFTEN, SELDOM, Progress, advance, well_at
from controller.core.world import World
from controller.ports import Clock, ConnectClient, WorkerEvidence

NOT_GIVEN: Final = "no file of the worker's log is given (WMS_EVIDENCE_FILE)"
_Told: TypeAlias = "dict[str, tuple[str, System, bool, float]]"


class Witness:
    """Reads the worker's log, in a cycle and between cycles; only ever on the loop's thread."""

    def __init__(self, source: WorkerEvidence | None, clock: Clock) -> None:
        self._source = source
        self._clock = clock
        self._ours: frozenset[str] = frozenset()
        self._known: _Told = {}  # what the newest observation took along
        self.book = EvidenceBook()
        self.unseen: str | None = NOT_GIVEN if source is None else None
        self.fault: Fault | None = None

    def observe(self, ours: Collection[str], well: Mapping[str, float]) -> EvidenceBook:
        """Take in what is new, and forget what is over."""
        self._ours = frozenset(ours)
        self._read()
        self.book = expire(self.book, self._clock.now(), well)
        self._known = _told(self.book)
        return self.book

    def has_news(self) -> bool:
        """Tell whether a connector of ours suffers from something that no cycle has seen yet."""
        self._read()
        return bool(_told(self.book).items() - self._known.items())

    def _read(self) -> None:
        if self._source is None:
            return
        try:
            reading = self._source.read()
        except Fault as fault:
            self.unseen, self.fault = fault.message, fault
            return
        self.fault = None
        self.unseen = "the worker has written no file of its log yet" if reading.missing else None
        book = gather(self.book, reading.lines, self._ours, self._clock.now())
        self.book = replace(book, counts=reading.counts)


def _told(book: EvidenceBook) -> _Told:
    chosen = {name: telling(found) for name, found in book.connectors.items()}
    return {
        name: (e.failure, e.system, e.on_start_path, _again(e)) for name, e in chosen.items() if e
    }


def _again(evidence: Evidence) -> float:
    """Of a refused login each line is news: it comes again within ten seconds, and it counts."""
    row = evidence.row
    return evidence.last_seen if row is not None and row.treatment is Treatment.STOP else 0.0


class ProgressWatch:
    """Reads committed offsets once a minute, and more often of a connector that is ill."""

    def __init__(self, connect: ConnectClient) -> None:
        self._connect = connect
        self._kept: dict[str, Progress] = {}
        self._asked: dict[str, float] = {}
        self._unknown: dict[str, Unknown] = {}

    def observe(self, world: World, ill: Collection[str]) -> Mapping[str, Progress | Unknown]:
        """Look at what is due; what this cycle read already is not asked for again."""
        running = running_connectors(world)
        for gone in self._asked.keys() - running.keys():
            for kept in (self._kept, self._asked, self._unknown):
                kept.pop(gone, None)
        for name in sorted(running):
            seen = world.offsets.get(name)
            if seen is not None or self._is_due(name, world.now, often=name in ill):
                self._take(name, self._read(name) if seen is None else seen, world.now)
        return {name: self._unknown.get(name) or self._kept[name] for name in self._asked}

    def _is_due(self, name: str, now: float, *, often: bool) -> bool:
        asked = self._asked.get(name)
        return asked is None or not 0.0 <= now - asked < (OFTEN if often else SELDOM)

    def _read(self, name: str) -> Offsets | Unknown:
        try:
            return self._connect.offsets(name)
        except Fault as fault:
            return Unknown(fault)

    def _take(self, name: str, seen: Offsets | Unknown, now: float) -> None:
        self._asked[name] = now
        if isinstance(seen, Unknown):
            self._unknown[name] = seen
        else:
            self._unknown.pop(name, None)
            self._kept[name] = advance(self._kept.get(name), seen, now)


class StateWatch:
    """Remembers since when each connector and its tasks are in the states they are in."""

    def __init__(self) -> None:
        self._since: dict[str, tuple[object, float]] = {}

    def observe(self, world: World) -> Mapping[str, float]:
        if world.connectors.fault is not None:
            return {name: since for name, (_, since) in self._since.items()}
        seen = world.observed_connectors()
        self._since = {name: self._aged(name, one, world.now) for name, one in seen.items()}
        return {name: since for name, (_, since) in self._since.items()}

    def _aged(self, name: str, seen: ObservedConnector, now: float) -> tuple[object, float]:
        states = (seen.state, tuple((task.id, task.state) for task in seen.tasks))
        before = self._since.get(name)
        if before is not None and before[0] == states:
            return states, min(before[1], now)
        return states, now


def our_connectors(world: World) -> tuple[str, ...]:
    declared = world.declared_connectors
    return tuple(manifest.name for manifest in declared)


def running_connectors(world: World) -> Mapping[str, ObservedConnector]:
    """Find those of ours that are RUNNING with all of their tasks."""
    seen = world.observed_connectors()
    return {
        name: seen[name] for name in our_connectors(world) if name in seen and _runs(seen[name])
    }


def _runs(seen: ObservedConnector) -> bool:
    tasks = [task.state for task in seen.tasks]
    return seen.state == "RUNNING" and bool(tasks) and all(state == "RUNNING" for state in tasks)


def well_since(world: World) -> Mapping[str, float]:
    """Tell until when the log of a connector that runs is over, by what its offsets showed."""
    running = running_connectors(world)
    found = {name: well_at(world.progress.get(name), seen.config) for name, seen in running.items()}
    return {name: at for name, at in found.items() if at is not None}
