"""Every metric as data; dashboards, alarms and the registry are made from this one list."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final


class MetricKind(StrEnum):
    COUNTER = "counter"
    GAUGE = "gauge"
    HISTOGRAM = "histogram"


@dataclass(frozen=True, slots=True)
class Metric:
    """One family; `values` are the label values known from the start, emitted at zero."""

    name: str
    kind: MetricKind
    help: str
    labels: tuple[str, ...] = ()
    values: tuple[tuple[str, ...], ...] = ()


RESULTS: Final = ("ok", "faulted", "crashed")

CYCLES: Final = Metric(
    "wms_cycles_total",
    MetricKind.COUNTER,
    "Cycles by result; crashed is our own bug.",
    ("result",),
    tuple((result,) for result in RESULTS),
)
CYCLE_SECONDS: Final = Metric(
    "wms_cycle_seconds", MetricKind.HISTOGRAM, "Duration of one cycle in seconds."
)
CYCLE_STARTED: Final = Metric(
    "wms_cycle_in_progress_start_time_seconds",
    MetricKind.GAUGE,
    "Start of the cycle in progress, in seconds since the epoch; 0 between cycles.",
)
LAST_SUCCESS: Final = Metric(
    "wms_last_success_timestamp_seconds",
    MetricKind.GAUGE,
    "End of the newest cycle without a fault, in seconds since the epoch.",
)
ACTIONS: Final = Metric(
    "wms_actions_total",
    MetricKind.COUNTER,
    "Actions by kind of resource, action and result.",
    ("kind", "action", "result"),
)
ACTION_SECONDS: Final = Metric(
    "wms_action_seconds", MetricKind.HISTOGRAM, "Duration of one action in seconds.", ("action",)
)
FAULTS: Final = Metric(
    "wms_faults_total", MetricKind.COUNTER, "Faults by system and reason.", ("system", "reason")
)
CONDITION: Final = Metric(
    "wms_condition",
    MetricKind.GAUGE,
    "1 for the status that a condition of a resource has, 0 for the other two.",
    ("kind", "name", "condition", "status"),
)
DRIFT: Final = Metric(
    "wms_drift_total",
    MetricKind.COUNTER,
    "Differences on a generation already applied, by resource.",
    ("kind", "name"),
)
HELD: Final = Metric(
    "wms_held", MetricKind.GAUGE, "Steps that wait or are stalled now, by reason.", ("reason",)
)
ORPHANS: Final = Metric(
    "wms_orphans", MetricKind.GAUGE, "Resources of ours that no manifest declares."
)
REVISION: Final = Metric(
    "wms_revision_info", MetricKind.GAUGE, "1 for the revision in force.", ("revision", "commit")
)
REVISION_STALE: Final = Metric(
    "wms_revision_stale", MetricKind.GAUGE, "1 while the newest manifests are refused."
)

METRICS: Final = (
    CYCLES,
    CYCLE_SECONDS,
    CYCLE_STARTED,
    LAST_SUCCESS,
    ACTIONS,
    ACTION_SECONDS,
    FAULTS,
    CONDITION,
    DRIFT,
    HELD,
    ORPHANS,
    REVISION,
    REVISION_STALE,
)
