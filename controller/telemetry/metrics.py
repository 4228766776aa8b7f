"""The metrics of core/metric.py on a Prometheus registry of our own."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from controller.core import metric
from controller.core.condition import Status
from controller.core.metric import METRICS, Metric, MetricKind

_KINDS: Final[Mapping[MetricKind, Any]] = {
    MetricKind.COUNTER: Counter,
    MetricKind.GAUGE: Gauge,
    MetricKind.HISTOGRAM: Histogram,
}


class PrometheusRecorder:
    """Counts what the reconciler tells; what is gone is taken off the registry."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._families = {family: _register(family, registry) for family in METRICS}
        self._conditions: set[tuple[str, str, str]] = set()
        self._seen: set[tuple[str, str, str]] = set()

    def cycle_started(self, at: float) -> None:
        self._families[metric.CYCLE_STARTED].set(at)
        self._seen = set()

    def cycle_ended(self, result: str, seconds: float, at: float) -> None:
        self._families[metric.CYCLE_STARTED].set(0)
        self._families[metric.CYCLES].labels(result).inc()
        self._families[metric.CYCLE_SECONDS].observe(seconds)
        if result == "ok":
            self._families[metric.LAST_SUCCESS].set(at)
        if result != "crashed":
            self._drop_gone()

    def action_applied(self, kind: str, action: str, result: str, seconds: float) -> None:
        self._families[metric.ACTIONS].labels(kind, action, result).inc()
        self._families[metric.ACTION_SECONDS].labels(action).observe(seconds)

    def fault_seen(self, system: str, reason: str) -> None:
        self._families[metric.FAULTS].labels(system, reason).inc()

    def condition_set(self, kind: str, name: str, condition: str, status: str) -> None:
        self._seen.add((kind, name, condition))
        self._conditions.add((kind, name, condition))
        for each in Status:
            gauge = self._families[metric.CONDITION].labels(kind, name, condition, str(each))
            gauge.set(1 if str(each) == status else 0)

    def drift_seen(self, kind: str, name: str) -> None:
        self._families[metric.DRIFT].labels(kind, name).inc()

    def held_set(self, reasons: Mapping[str, int]) -> None:
        gauge = self._families[metric.HELD]
        gauge.clear()
        for reason, count in reasons.items():
            gauge.labels(reason).set(count)

    def orphans_set(self, count: int) -> None:
        self._families[metric.ORPHANS].set(count)

    def revision_set(self, revision: str, commit: str | None, *, stale: bool) -> None:
        info = self._families[metric.REVISION]
        info.clear()
        info.labels(revision, commit or "").set(1)
        self._families[metric.REVISION_STALE].set(1 if stale else 0)

    def _drop_gone(self) -> None:
        for kind, name, condition in self._conditions - self._seen:
            for each in Status:
                self._families[metric.CONDITION].remove(kind, name, condition, str(each))
        self._conditions &= self._seen


def _register(family: Metric, registry: CollectorRegistry) -> Any:
    made = _KINDS[family.kind](family.name, family.help, family.labels, registry=registry)
    for values in family.values:
        made.labels(*values)
    return made
