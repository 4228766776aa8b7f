"""Tells CloudWatch what core/cloudwatch.py lists, from the values that Prometheus reads.

It has a thread of its own, which a cycle only wakes: a CloudWatch that is slow or away costs
numbers and never a cycle. What was counted meanwhile is in the next message.
"""

from __future__ import annotations

import json
import math
import threading
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

from prometheus_client import CollectorRegistry

from controller.core import cloudwatch as told
from controller.core import lag_metric, metric
from controller.core.cloudwatch import CONNECTOR, NAMESPACE, STAGE, Published
from controller.core.failure import LOGIN_REFUSED, POSITION_LOST
from controller.core.idle import LEFT_ALONE
from controller.core.metric_family import Metric
from controller.core.restart import SPENT

LINE_METRICS: Final = 100  # of one EMF line
LINE_BYTES: Final = 256 * 1024
CALL_METRICS: Final = 1000  # of one PutMetricData
CALL_BYTES: Final = 1_000_000
_CALL_BYTES: Final = 900_000  # leaves room for what is around the metrics
_LONGEST: Final = 1024  # characters of a dimension's value
_LARGEST: Final = 2.0**360
_JOIN_SECONDS: Final = 0.5
_CONDITIONS: Final = (
    (told.NOT_SYNCED, "Synced"),
    (told.NOT_READY, "Ready"),
    (told.NOT_HEALTHY, "Healthy"),
)


@dataclass(frozen=True, slots=True)
class Datum:
    """One number; of the whole stage where no connector is named."""

    metric: Published
    value: float
    connector: str | None = None


Labels: TypeAlias = Mapping[str, str]
Send: TypeAlias = "Callable[[Sequence[Datum], float], None]"  # with the time, since the epoch


class Reading:
    """The samples of a registry at one moment, by family."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._samples: dict[str, list[tuple[Labels, float]]] = {}
        for family in registry.collect():
            for sample in family.samples:
                self._samples.setdefault(sample.name, []).append((sample.labels, sample.value))

    def of(self, family: Metric, **labels: str) -> Iterator[tuple[Labels, float]]:
        for had, value in self._samples.get(family.name, ()):
            if labels.items() <= had.items():
                yield had, value

    def total(self, family: Metric, **labels: str) -> float:
        return sum(value for _, value in self.of(family, **labels))

    def by_name(self, family: Metric) -> dict[str, float]:
        return {had["name"]: value for had, value in self.of(family)}


class Teller:
    """Turns a registry into data; knows what it told last, for what is counted in between."""

    def __init__(
        self,
        registry: CollectorRegistry,
        now: Callable[[], float],
        *,
        leads: Callable[[], bool] = lambda: True,
    ) -> None:
        self._registry = registry
        self._now = now
        self._leads = leads
        self._born = now()
        self._before: dict[Published, float] = {}
        self._tried: dict[str, float] = {}

    def tell(self) -> list[Datum]:
        """List everything there is a value for; a number that is not known has none.

        Of the stage one speaks, who leads; of itself each does, so that no leader is no silence.
        """
        reading, leads = Reading(self._registry), self._leads()
        data = [
            *self._of_stage(reading),
            *self._of_connectors(reading),
            *self._of_restarts(reading),
            *_of_redo(reading),
        ]
        data = [one for one in data if leads or one.metric.by_each]
        return [one for one in data if math.isfinite(one.value) and abs(one.value) < _LARGEST]

    def _of_stage(self, reading: Reading) -> Iterator[Datum]:
        now = self._now()
        seen = reading.total(metric.LAST_OBSERVATION) or self._born
        refused = reading.total(metric.REVISION_STALE_SINCE)
        idle = [v for had, v in reading.of(metric.NOT_ACTING) if had["reason"] in LEFT_ALONE]
        yield Datum(told.PULSE, self._more(told.PULSE, reading.total(metric.CYCLES)))
        yield Datum(told.ACTIVE, reading.total(metric.ACTIVE))
        yield Datum(told.CONNECT_UP, reading.total(metric.UP, system="connect"))
        yield Datum(told.OBSERVATION_AGE, max(0.0, now - seen))
        yield Datum(told.REVISION_STALE, max(0.0, now - refused) if refused else 0.0)
        yield Datum(told.HELD, reading.total(metric.NOT_ACTING, reason="Stalled"))
        yield Datum(told.NOT_ACTING, max(idle, default=0.0))
        yield Datum(told.FAULTS, self._more(told.FAULTS, reading.total(metric.FAULTS)))
        done = reading.total(metric.ACTIONS, result="applied")
        yield Datum(told.ACTIONS, self._more(told.ACTIONS, done))
        yield Datum(told.SECRET_FALLBACK, reading.total(metric.SECRET_FALLBACKS))

    def _of_connectors(self, reading: Reading) -> Iterator[Datum]:
        """Tell each connector's number, and the worst of them as the stage's.

        One that is suspended counts for no stage, and one that rings already counts there once.
        """
        asked = reading.of(metric.SUSPENDED, kind="connector")
        quiet = frozenset(had["name"] for had, value in asked if value)
        urgent = _urgent(reading, quiet)
        yield Datum(told.NOT_HEALTHY_NOW, float(bool(urgent)))
        quiet |= urgent
        for what, condition in _CONDITIONS:
            bad = {
                had["name"]: value
                for had, value in reading.of(
                    metric.CONDITION, kind="connector", condition=condition, status="False"
                )
            }
            yield from _each(what, bad, quiet=quiet)
        yield from _each(told.LAG, reading.by_name(lag_metric.LAG), quiet=quiet)
        heartbeats = reading.by_name(lag_metric.HEARTBEAT_AGE)
        yield from _each(told.HEARTBEAT_AGE, heartbeats, quiet=quiet)

    def _of_restarts(self, reading: Reading) -> Iterator[Datum]:
        tried = reading.by_name(metric.RESTARTS_TRIED)
        more = {name: max(0.0, n - self._tried.get(name, 0.0)) for name, n in tried.items()}
        self._tried = tried
        yield from _each(told.RESTARTS, more, none=0.0)
        stalled = reading.of(metric.CONDITION_REASON, condition="Stalled", reason=SPENT)
        spent = {had["name"]: value for had, value in stalled}
        yield from _each(told.RESTARTS_SPENT, dict.fromkeys(tried, 0.0) | spent, none=0.0)

    def _more(self, what: Published, total: float) -> float:
        before = self._before.get(what, 0.0)
        self._before[what] = total
        return max(0.0, total - before)


def _urgent(reading: Reading, quiet: Collection[str]) -> frozenset[str]:
    """Find the connectors that nobody may wait for; a lost position is never quiet."""
    reasons = reading.of(metric.CONDITION_REASON, condition="Healthy")
    return frozenset(
        had["name"]
        for had, value in reasons
        if value
        and (
            had["reason"] in POSITION_LOST
            or (had["reason"] in LOGIN_REFUSED and had["name"] not in quiet)
        )
    )


def _of_redo(reading: Reading) -> Iterator[Datum]:
    """Tell also what is suspended: its position is lost all the same."""
    left = reading.by_name(lag_metric.REDO_LEFT)
    if left:
        yield Datum(told.REDO_LEFT, min(left.values()))
    yield from (Datum(told.REDO_LEFT, value, name) for name, value in sorted(left.items()))


def _each(
    what: Published,
    values: Mapping[str, float],
    none: float | None = None,
    quiet: Collection[str] = (),
) -> Iterator[Datum]:
    """Let no `quiet` one be the worst: the stage's number is what the alarms watch."""
    none = 0.0 if values else none  # all of them are quiet
    worst = max((value for name, value in values.items() if name not in quiet), default=none)
    if worst is not None:
        yield Datum(what, worst)
    for name, value in sorted(values.items()):
        yield Datum(what, value, name)


class CloudWatch:
    """Tells in a thread of its own, at each cycle's end."""

    def __init__(
        self,
        teller: Teller,
        send: Send,
        *,
        now: Callable[[], float],
        lost: Callable[[str], None],
    ) -> None:
        self._teller = teller
        self._send = send
        self._now = now
        self._lost = lost
        self._due = threading.Event()
        self._stopping = False
        self._thread = threading.Thread(target=self._run, name="cloudwatch", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def cycle_ended(self) -> None:
        """Return at once, whatever CloudWatch does."""
        self._due.set()

    def stop(self) -> None:
        """Tell what is due if that is quick; nothing waits for CloudWatch."""
        self._stopping = True
        self._due.set()
        if self._thread.ident is not None:
            self._thread.join(_JOIN_SECONDS)

    def _run(self) -> None:
        while not self._stopping:
            self._due.wait()
            self._due.clear()
            if self._stopping:
                return
            try:
                self._send(self._teller.tell(), self._now())
            except Exception as error:  # noqa: BLE001 - a dead thread would never be missed
                self._lost(type(error).__name__)


# --- as lines of the embedded metric format -----------------------------------------------------


def emf_sender(stage: str, write: Callable[[str], None]) -> Send:
    """Make the sender that writes a JSON line for the stage, and one for each connector."""

    def send(data: Sequence[Datum], at: float) -> None:
        for line in emf_lines(stage, data, at):
            write(line)

    return send


def emf_lines(stage: str, data: Iterable[Datum], at: float) -> Iterator[str]:
    """Print each number once, with the dimensions it has."""
    by_connector: dict[str | None, list[Datum]] = {}
    for one in data:
        by_connector.setdefault(one.connector, []).append(one)
    for connector, mine in by_connector.items():
        for start in range(0, len(mine), LINE_METRICS):
            yield _emf_line(stage, connector, mine[start : start + LINE_METRICS], at)


def _emf_line(stage: str, connector: str | None, data: Sequence[Datum], at: float) -> str:
    dimensions = _dimensions(stage, connector)
    line: dict[str, Any] = {
        "_aws": {
            "Timestamp": round(at * 1000),
            "CloudWatchMetrics": [
                {
                    "Namespace": NAMESPACE,
                    "Dimensions": [list(dimensions)],
                    "Metrics": [{"Name": d.metric.name, "Unit": d.metric.unit} for d in data],
                }
            ],
        },
        **dimensions,
        **{d.metric.name: d.value for d in data},
    }
    return json.dumps(line, separators=(",", ":"))


# --- by PutMetricData ---------------------------------------------------------------------------


def put_sender(stage: str, put: Callable[..., Any]) -> Send:
    """Make the sender that calls `put_metric_data`, as often as its limits want."""

    def send(data: Sequence[Datum], at: float) -> None:
        for call in put_calls(stage, data, at):
            put(Namespace=NAMESPACE, MetricData=call)

    return send


def put_calls(stage: str, data: Iterable[Datum], at: float) -> Iterator[list[dict[str, Any]]]:
    """Cut the data into calls that neither limit refuses."""
    call: list[dict[str, Any]] = []
    size = 0
    for one in data:
        found = _metric_data(stage, one, at)
        needs = _encoded_size(found)
        if call and (len(call) == CALL_METRICS or size + needs > _CALL_BYTES):
            yield call
            call, size = [], 0
        call.append(found)
        size += needs
    if call:
        yield call


def _metric_data(stage: str, one: Datum, at: float) -> dict[str, Any]:
    dimensions = _dimensions(stage, one.connector)
    return {
        "MetricName": one.metric.name,
        "Dimensions": [{"Name": name, "Value": value} for name, value in dimensions.items()],
        "Timestamp": at,
        "Value": one.value,
        "Unit": one.metric.unit,
    }


def _encoded_size(found: dict[str, Any]) -> int:
    """Bound it from above: a form has the path of each field again, and %XX for a character."""
    texts = [found["MetricName"], found["Unit"], *(d["Value"] for d in found["Dimensions"])]
    return 400 + 60 * len(found["Dimensions"]) + 3 * sum(map(len, texts))


def _dimensions(stage: str, connector: str | None) -> dict[str, str]:
    if connector is None:
        return {STAGE: stage}
    return {STAGE: stage, CONNECTOR: _printable(connector)}


def _printable(name: str) -> str:
    """CloudWatch takes ASCII only, and no value that is empty."""
    plain = "".join(each if " " < each <= "~" else "?" for each in name[:_LONGEST])
    return plain or "?"
