"""The metrics of core/metric.py on a Prometheus registry of our own."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from functools import wraps
from typing import Any, Concatenate, Final, ParamSpec

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.registry import Collector

from controller.core import metric
from controller.core.evidence import LINE_RESULTS
from controller.core.lag_report import LagReport
from controller.core.lag_values import lag_values
from controller.core.metric import METRICS, STATUSES, Metric, MetricKind

P = ParamSpec("P")
_KINDS: Final[Mapping[MetricKind, Any]] = {
    MetricKind.COUNTER: Counter,
    MetricKind.GAUGE: Gauge,
    MetricKind.HISTOGRAM: Histogram,
}
CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"  # what every Prometheus reads


def _never_raises(
    method: Callable[Concatenate[PrometheusRecorder, P], None],
) -> Callable[Concatenate[PrometheusRecorder, P], None]:
    @wraps(method)
    def guarded(self: PrometheusRecorder, /, *args: P.args, **kwargs: P.kwargs) -> None:
        try:
            method(self, *args, **kwargs)
        except Exception:  # noqa: BLE001 - a number that is lost must not cost a cycle
            self.failures.inc()

    return guarded


class PrometheusRecorder:
    """Counts what the reconciler tells; what is gone is taken off the registry."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.registry = registry
        self._families = {family.name: _register(family, registry) for family in METRICS}
        self.failures = self._of(metric.RECORDER_FAILURES)
        self._conditions: dict[tuple[str, str, str], str] = {}
        self._reasons: dict[tuple[str, str, str], str] = {}
        self._seen: set[tuple[str, str, str]] = set()
        self._revision: tuple[str, str] | None = None
        self._held = set(metric.HELD_REASONS)
        self._tried: set[str] = set()
        self._lines = dict.fromkeys(LINE_RESULTS, 0)
        self._suspended: set[tuple[str, str]] = set()
        self._lags: set[tuple[str, tuple[str, ...]]] = set()

    @_never_raises
    def cycle_started(self, at: float) -> None:
        self._of(metric.CYCLE_STARTED).set(at)
        self._seen = set()

    @_never_raises
    def cycle_ended(self, result: str, seconds: float, at: float) -> None:
        self._of(metric.CYCLE_STARTED).set(0)
        self._of(metric.CYCLES).labels(result).inc()
        self._of(metric.CYCLE_SECONDS).observe(seconds)
        if result == "ok":
            self._of(metric.LAST_SUCCESS).set(at)
        if result != "crashed":
            self._drop_gone()

    @_never_raises
    def action_applied(self, kind: str, action: str, result: str, seconds: float) -> None:
        self._of(metric.ACTIONS).labels(kind, action, result).inc()
        self._of(metric.ACTION_SECONDS).labels(action).observe(seconds)

    @_never_raises
    def fault_seen(self, system: str, reason: str) -> None:
        self._of(metric.FAULTS).labels(system, reason).inc()

    @_never_raises
    def condition_set(self, kind: str, name: str, condition: str, status: str, reason: str) -> None:
        key = (kind, name, condition)
        self._seen.add(key)
        self._show_reason(key, _printable(reason))
        if self._conditions.get(key) == status:
            return
        for each in STATUSES:
            gauge = self._of(metric.CONDITION).labels(*key, each)
            gauge.set(1 if each == status else 0)
        self._of(metric.DRIFT).labels(kind, name)  # there before its first drift
        self._conditions[key] = status

    @_never_raises
    def drift_seen(self, kind: str, name: str) -> None:
        self._of(metric.DRIFT).labels(kind, name).inc()

    @_never_raises
    def held_set(self, reasons: Mapping[str, int]) -> None:
        """Set those that are gone to zero, so that a scrape in between sees no gap."""
        self._held |= reasons.keys()
        for reason in self._held:
            self._of(metric.HELD).labels(reason).set(reasons.get(reason, 0))

    @_never_raises
    def idle_set(self, ages: Mapping[str, float]) -> None:
        for reason in metric.IDLE_REASONS:
            self._of(metric.NOT_ACTING).labels(reason).set(ages.get(reason, 0.0))

    @_never_raises
    def suspended_set(self, resources: Mapping[tuple[str, str], bool]) -> None:
        for named, quiet in resources.items():
            self._of(metric.SUSPENDED).labels(*named).set(1 if quiet else 0)
        for gone in self._suspended - resources.keys():
            self._of(metric.SUSPENDED).remove(*gone)
        self._suspended = set(resources)

    @_never_raises
    def active_set(self, active: bool) -> None:
        self._of(metric.ACTIVE).set(1 if active else 0)

    @_never_raises
    def orphans_set(self, count: int) -> None:
        self._of(metric.ORPHANS).set(count)

    @_never_raises
    def restart_judged(self, reason: str, result: str) -> None:
        self._of(metric.RESTARTS).labels(reason, result).inc()

    @_never_raises
    def restarts_set(self, left: int, tries: Mapping[str, tuple[int, float]]) -> None:
        self._of(metric.RESTARTS_LEFT).set(left)
        for name, (count, at) in tries.items():
            self._of(metric.RESTARTS_TRIED).labels(name).set(count)
            self._of(metric.NEXT_RESTART).labels(name).set(at)
        for name in self._tried - tries.keys():
            self._of(metric.RESTARTS_TRIED).remove(name)
            self._of(metric.NEXT_RESTART).remove(name)
        self._tried = set(tries)

    @_never_raises
    def observation_set(self, up: Mapping[str, bool], fallbacks: int, whole: float | None) -> None:
        for system, answered in up.items():
            self._of(metric.UP).labels(system).set(1 if answered else 0)
        self._of(metric.SECRET_FALLBACKS).set(fallbacks)
        if whole is not None:
            self._of(metric.LAST_OBSERVATION).set(whole)

    @_never_raises
    def evidence_set(self, lines: Mapping[str, int]) -> None:
        for result, number in lines.items():
            self._of(metric.EVIDENCE_LINES).labels(result).inc(number - self._lines[result])
            self._lines[result] = number

    @_never_raises
    def cloudwatch_lost(self) -> None:
        self._of(metric.CLOUDWATCH_LOST).inc()

    @_never_raises
    def lag_set(self, report: LagReport, running: Collection[str]) -> None:
        shown = dict(lag_values(report, running))
        for (name, labels), value in shown.items():
            family = self._families[name]
            (family.labels(*labels) if labels else family).set(value)
        for name, labels in self._lags - shown.keys():
            self._families[name].remove(*labels)
        self._lags = set(shown)

    @_never_raises
    def revision_set(self, revision: str, commit: str | None) -> None:
        """Show the new one before the old one goes, so that a scrape in between sees no gap."""
        current, before = (revision, _printable(commit or "")), self._revision
        if current == before:
            return
        self._of(metric.REVISION).labels(*current).set(1)
        self._revision = current
        if before is not None:
            self._of(metric.REVISION).remove(*before)

    @_never_raises
    def refusal_set(self, since: float | None) -> None:
        self._of(metric.REVISION_STALE).set(0 if since is None else 1)
        self._of(metric.REVISION_STALE_SINCE).set(since or 0)

    @_never_raises
    def request_sent(self, system: str) -> None:
        self._of(metric.REQUESTS).labels(system).inc()

    def follow_pulse(self, tell: Callable[[], float]) -> None:
        """Ask for the pulse, in seconds since the epoch, at each scrape: a stuck loop sets none."""

        def pulse() -> float:
            try:
                return tell()
            except Exception:  # noqa: BLE001 - would spoil every other metric of the scrape
                self.failures.inc()
                return 0.0

        self._of(metric.PULSE).set_function(pulse)

    def _of(self, family: Metric) -> Any:
        return self._families[family.name]

    def _show_reason(self, key: tuple[str, str, str], reason: str) -> None:
        """Show the new one before the old one goes, so that a scrape in between sees no gap."""
        before = self._reasons.get(key)
        if reason == before:
            return
        self._of(metric.CONDITION_REASON).labels(*key, reason).set(1)
        self._reasons[key] = reason
        if before is not None:
            self._of(metric.CONDITION_REASON).remove(*key, before)

    def _drop_gone(self) -> None:
        gone = self._conditions.keys() - self._seen
        for key in gone:
            del self._conditions[key]
            self._of(metric.CONDITION_REASON).remove(*key, self._reasons.pop(key))
            for status in STATUSES:
                self._of(metric.CONDITION).remove(*key, status)
        left = {(kind, name) for kind, name, _ in self._conditions}
        for resource in {(kind, name) for kind, name, _ in gone} - left:
            self._of(metric.DRIFT).remove(*resource)


class _WithoutBirth(Collector):
    """Leaves out the time at which each counter was made: as many series again, for nobody."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._registry = registry

    def collect(self) -> Iterator[Any]:
        for family in self._registry.collect():
            family.samples = [s for s in family.samples if not s.name.endswith("_created")]
            yield family


def render(registry: CollectorRegistry) -> bytes:
    """Print a registry in Prometheus' text format."""
    return generate_latest(_WithoutBirth(registry))


def _printable(text: str) -> str:
    return text.encode(errors="replace").decode()  # half a surrogate would spoil every scrape


def _register(family: Metric, registry: CollectorRegistry) -> Any:
    more: dict[str, Any] = {"buckets": family.buckets} if family.buckets else {}
    made = _KINDS[family.kind](
        family.name, family.help, family.labels, unit=family.unit, registry=registry, **more
    )
    for values in family.values:
        made.labels(*values)
    return made
