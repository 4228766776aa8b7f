"""Looks, once a minute, how far each connector has come; between looks it costs nothing.

A look that fails leaves what was seen before, and from then on the lag grows with the time.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from math import inf
from typing import Final, Protocol, TypeAlias

from controller.core.debezium_bean import Bean, delayed, sign_of_life
from controller.core.faults import Fault
from controller.core.lag import Delayed, Followed, Lag, Newest, Place, SourceTime, follow, measure
from controller.core.lag_report import LagReport, ObservedContainer, captured
from controller.core.model import ConnectorManifest, ObservedTopic, Revision, topic_key
from controller.core.world import World
from controller.ports import Clock, KafkaClient


class Tail(Protocol):
    def source_times(self, places: Mapping[str, Place]) -> Mapping[str, SourceTime]:
        """Must read these records only, keep the two numbers only, and join no group."""
        ...

    def close(self) -> None: ...


class BeanReader(Protocol):
    def read(self) -> Mapping[str, Bean]: ...


class ContainerReader(Protocol):
    def read(self) -> tuple[ObservedContainer, ...]: ...


TailFactory: TypeAlias = "Callable[[str], Tail]"
TREND_SECONDS: Final = 60.0  # between two numbers of a trend
TREND_POINTS: Final = 60


@dataclass(slots=True)
class _Kept:
    """Of one process; lost with it, and a first look makes it anew."""

    topics: dict[str, Followed] = field(default_factory=dict)
    looked: float | None = None  # the moment of the newest good look at Kafka
    failed: bool = False  # the newest look at Kafka was no good
    due: float = 0.0
    generation: str | None = None  # the revision that was looked for
    beans: Mapping[str, Bean] = field(default_factory=dict)
    signs: dict[str, float] = field(default_factory=dict)
    delays: dict[str, Delayed] = field(default_factory=dict)
    jmx_up: bool = False
    containers: tuple[ObservedContainer, ...] = ()
    trends: Mapping[str, tuple[float, ...]] = field(default_factory=dict)
    trend_due: float = -inf


class LagObserver:
    """Knows Kafka, the JMX agent and the task's metadata; each of them may be missing."""

    def __init__(
        self,
        clock: Clock,
        *,
        tail: TailFactory | None = None,
        beans: BeanReader | None = None,
        containers: ContainerReader | None = None,
    ) -> None:
        self._clock = clock
        self._make_tail = tail
        self._tail: tuple[str, Tail] | None = None
        self._beans = beans
        self._containers = containers
        self._kept = _Kept()

    def observe(self, world: World, client: KafkaClient | None, line: str | None) -> LagReport:
        """Look where a look is due; raises nothing that a system did."""
        revision = world.revision
        if revision is None:
            return LagReport()
        kept, moment = self._kept, self._clock.monotonic()
        new = revision.id != kept.generation
        if new or moment >= kept.due or kept.failed:
            kept.failed = not self._look(world, revision, client, line)
        if new or moment >= kept.due:
            self._look_aside(revision)
            kept.generation = revision.id
            kept.due = moment + world.policy.lag_interval
        elif world.connectors.fault is not None:
            self._look_at_containers()  # they may say why Connect does not answer
        return self._report(revision)

    # --- Kafka ------------------------------------------------------------------------------

    def _look(
        self, world: World, revision: Revision, client: KafkaClient | None, line: str | None
    ) -> bool:
        partitions = _partitions(world, revision)
        if client is None or line is None or not partitions:
            return False
        try:
            found = client.newest(partitions)
        except Fault:
            return False
        now, moment = self._clock.now(), self._clock.monotonic()
        moved = {}
        for name, newest in found.items():
            before = self._kept.topics.get(name)
            self._kept.topics[name] = follow(before, newest, now=now, moment=moment)
            if newest.place is not None and (before is None or before.end != newest.end):
                moved[name] = newest
        self._kept.looked = moment
        if world.policy.read_source_timestamps:
            rows = {name for one in revision.connectors for name in captured(one, revision).rows}
            self._read_rows({n: one for n, one in moved.items() if n in rows}, line)
        return bool(found)

    def _read_rows(self, moved: Mapping[str, Newest], line: str) -> None:
        places = {name: one.place for name, one in moved.items() if one.place is not None}
        if self._make_tail is None or not places:
            return
        try:
            times = self._tail_to(line).source_times(places)
        except Fault:
            return
        for name, read in times.items():
            self._kept.topics[name] = replace(self._kept.topics[name], delay=read.delay)

    def _tail_to(self, line: str) -> Tail:
        assert self._make_tail is not None  # noqa: S101 - asked by the caller
        if self._tail is None or self._tail[0] != line:
            if self._tail is not None:
                self._tail[1].close()
            self._tail = (line, self._make_tail(line))
        return self._tail[1]

    # --- what is beside us ------------------------------------------------------------------

    def _look_aside(self, revision: Revision) -> None:
        kept = self._kept
        if self._beans is not None:
            try:
                beans = self._beans.read()
                kept.jmx_up = True
            except Fault:
                beans, kept.jmx_up = {}, False
            for manifest in revision.connectors:
                self._take_bean(manifest, beans)
            kept.beans = beans
        self._look_at_containers()

    def _look_at_containers(self) -> None:
        if self._containers is not None:
            try:
                self._kept.containers = self._containers.read()
            except Fault:
                self._kept.containers = ()

    def _take_bean(self, manifest: ConnectorManifest, beans: Mapping[str, Bean]) -> None:
        kept, server = self._kept, manifest.topic_prefix
        bean = beans.get(server)
        if bean is None:
            return  # what was seen before ages
        sign, late = sign_of_life(kept.beans.get(server), bean), delayed(bean)
        if sign is not None:
            kept.signs[manifest.name] = max(sign, kept.signs.get(manifest.name, sign))
        if late is not None:
            kept.delays[manifest.name] = late

    # --- what comes of it -------------------------------------------------------------------

    def _report(self, revision: Revision) -> LagReport:
        kept = self._kept
        lags = {one.name: self._lag(one, revision) for one in revision.connectors}
        beans = {
            one.name: kept.beans[one.topic_prefix]
            for one in revision.connectors
            if one.topic_prefix in kept.beans
        }
        self._follow_trends(lags)
        return LagReport(lags, beans, kept.jmx_up, kept.containers, kept.trends)

    def _follow_trends(self, lags: Mapping[str, Lag]) -> None:
        """Add what is known; what is declared no more is forgotten."""
        kept, moment = self._kept, self._clock.monotonic()
        if moment < kept.trend_due:
            return
        kept.trend_due = moment + TREND_SECONDS
        kept.trends = {
            name: (*kept.trends.get(name, ()), *_known(lag))[-TREND_POINTS:]
            for name, lag in lags.items()
        }

    def _lag(self, manifest: ConnectorManifest, revision: Revision) -> Lag:
        kept, names = self._kept, captured(manifest, revision)
        beats = [kept.topics[name] for name in names.heartbeats if name in kept.topics]
        looked = kept.looked
        # Between two looks nothing is known but what the last one showed: it is not made older.
        moment = self._clock.monotonic() if kept.failed or looked is None else looked
        return measure(
            moment=moment,
            heartbeat=beats[0] if beats else None,
            topics={name: kept.topics[name] for name in names.rows if name in kept.topics},
            sign=kept.signs.get(manifest.name),
            delayed=kept.delays.get(manifest.name),
        )


def _known(lag: Lag) -> tuple[float, ...]:
    return () if lag.seconds is None else (lag.seconds,)


def _partitions(world: World, revision: Revision) -> dict[str, int]:
    found = {}
    for manifest in revision.connectors:
        names = captured(manifest, revision)
        for name in (*names.heartbeats, *names.rows):
            topic = world.topics.get(topic_key(name))
            if isinstance(topic, ObservedTopic):
                found[name] = topic.partitions
    return found
