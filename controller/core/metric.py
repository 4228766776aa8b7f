"""Every metric as data; dashboards, alarms and the registry are made from this one list.

A label value that is known beforehand is there from the start, at zero: what appears only with its
first event hides that event from `increase()`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import product
from typing import Final

from controller.core.condition import Status
from controller.core.evidence import LINE_RESULTS
from controller.core.fault_reason import FAULT_REASONS
from controller.core.faults import (
    Conflict,
    Denied,
    OutcomeUnknown,
    Rejected,
    Transient,
    Unavailable,
)
from controller.core.idle import IDLE_REASONS
from controller.core.lag_metric import LAG_METRICS
from controller.core.metric_family import Metric, MetricKind
from controller.core.model import Kind
from controller.core.restart import restartable
from controller.core.restart_memory import RESULTS as RESTART_RESULTS

RESULTS: Final = ("ok", "faulted", "crashed")
ACTION_RESULTS: Final = (
    "applied",
    *(
        fault.__name__
        for fault in (Transient, Conflict, OutcomeUnknown, Unavailable, Denied, Rejected)
    ),
)
STATUSES: Final = tuple(str(status) for status in Status)
SYSTEMS: Final = ("connect", "kafka", "secrets")  # those whose requests are counted

_MEMORY: Final = ("Remember", "Forget")
ACTIONS_BY_KIND: Final[Mapping[Kind, tuple[str, ...]]] = {
    Kind.SECRET: ("WriteSecretFiles", "RemoveSecretFiles", *_MEMORY),
    Kind.WORKER: ("WriteReady", *_MEMORY),
    Kind.LOGIN: ("ProbeLogin", "CheckSource", *_MEMORY),
    Kind.TOPIC: ("CreateTopic", "AddPartitions", "AlterTopic", *_MEMORY),
    Kind.CONNECTOR: (
        "CreateConnector",
        "PutConfig",
        "Resume",
        "Pause",
        "Stop",
        "Restart",
        "ProbeLogin",
        "ValidateConfig",
        *_MEMORY,
    ),
    Kind.RESTART: ("Restart", "Stop", *_MEMORY),
    Kind.RESTORE: ("RestoreOffsets", *_MEMORY),
}
# What keeps us from acting although nothing is broken; other reasons join when they are first seen.
HELD_REASONS: Final = (
    "TearingDown",
    "NotLeader",
    "NotDelivered",
    "Frozen",
    "ObserveOnly",
    "Suspended",
    "StoppedByHand",
    "AcceptanceRequired",
    "Contended",
    "Flapping",
    "Backoff",
)


def _each(values: Iterable[str]) -> tuple[tuple[str, ...], ...]:
    return tuple((value,) for value in values)


def _action_values() -> Iterable[tuple[str, ...]]:
    for kind, actions in ACTIONS_BY_KIND.items():
        yield from product((str(kind),), actions, ACTION_RESULTS)


CYCLES: Final = Metric(
    "wms_cycles_total",
    MetricKind.COUNTER,
    "Cycles by result; crashed is our own bug.",
    ("result",),
    _each(RESULTS),
)
CYCLE_SECONDS: Final = Metric(
    "wms_cycle_seconds",
    MetricKind.HISTOGRAM,
    "Duration of one cycle in seconds.",
    unit="seconds",
    buckets=(0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0),
)
CYCLE_STARTED: Final = Metric(
    "wms_cycle_in_progress_start_time_seconds",
    MetricKind.GAUGE,
    "Start of the cycle in progress, in seconds since the epoch; 0 between cycles.",
    unit="seconds",
)
LAST_SUCCESS: Final = Metric(
    "wms_last_success_timestamp_seconds",
    MetricKind.GAUGE,
    "End of the newest cycle without a fault, in seconds since the epoch; 0 before the first.",
    unit="seconds",
)
PULSE: Final = Metric(
    "wms_pulse_timestamp_seconds",
    MetricKind.GAUGE,
    "When the loop last turned, in seconds since the epoch; 0 before it first did.",
    unit="seconds",
)
ACTIONS: Final = Metric(
    "wms_actions_total",
    MetricKind.COUNTER,
    "Actions by kind of resource, action and result: applied, or the class of the fault.",
    ("kind", "action", "result"),
    tuple(_action_values()),
)
ACTION_SECONDS: Final = Metric(
    "wms_action_seconds",
    MetricKind.HISTOGRAM,
    "Duration of one action in seconds.",
    ("action",),
    _each(sorted({action for actions in ACTIONS_BY_KIND.values() for action in actions})),
    unit="seconds",
    buckets=(0.01, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 15.0),
)
FAULTS: Final = Metric(
    "wms_faults_total",
    MetricKind.COUNTER,
    "Faults by system and reason.",
    ("system", "reason"),
    tuple((system, reason) for system, known in FAULT_REASONS.items() for reason in known),
)
CONDITION: Final = Metric(
    "wms_condition",
    MetricKind.GAUGE,
    "1 for the status that a condition of a resource has, 0 for the other two.",
    ("kind", "name", "condition", "status"),
)
CONDITION_REASON: Final = Metric(
    "wms_condition_reason",
    MetricKind.GAUGE,
    "1 for the reason of the status that a condition of a resource has.",
    ("kind", "name", "condition", "reason"),
)
DRIFT: Final = Metric(
    "wms_drift_total",
    MetricKind.COUNTER,
    "Differences on a generation already applied, by resource.",
    ("kind", "name"),
)
HELD: Final = Metric(
    "wms_held",
    MetricKind.GAUGE,
    "Steps that wait or are stalled now, by reason.",
    ("reason",),
    _each(HELD_REASONS),
)
NOT_ACTING: Final = Metric(
    "wms_not_acting_seconds",
    MetricKind.GAUGE,
    "For how many seconds nothing is done for this reason, the oldest case; 0 while there is none.",
    ("reason",),
    _each(IDLE_REASONS),
    unit="seconds",
)
SUSPENDED: Final = Metric(
    "wms_suspended",
    MetricKind.GAUGE,
    "1 while a suspension or a freeze leaves this resource alone, which mutes its alarms, else 0.",
    ("kind", "name"),
)
ACTIVE: Final = Metric(
    "wms_active",
    MetricKind.GAUGE,
    "1 while this controller is entitled to act, or a freeze, a teardown or observeOnly is why it "
    "is not; 0 while it stands by, or has no state store or no good revision.",
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
REVISION_STALE_SINCE: Final = Metric(
    "wms_revision_stale_since_timestamp_seconds",
    MetricKind.GAUGE,
    "Since when they are refused, in seconds since the epoch; 0 while they are not.",
    unit="seconds",
)
RESTARTS: Final = Metric(
    "wms_restarts_total",
    MetricKind.COUNTER,
    "Restarts by failure and by what came of them, judged by what was seen afterwards.",
    ("reason", "result"),
    tuple(product(restartable(), RESTART_RESULTS)),
)
RESTARTS_LEFT: Final = Metric(
    "wms_restarts_left",
    MetricKind.GAUGE,
    "Restarts that the budget of this Connect cluster allows now.",
)
RESTARTS_TRIED: Final = Metric(
    "wms_restarts_tried",
    MetricKind.GAUGE,
    "Restarts of a connector since it was last well for long.",
    ("name",),
)
NEXT_RESTART: Final = Metric(
    "wms_next_restart_timestamp_seconds",
    MetricKind.GAUGE,
    "Before when a connector is not restarted again, in seconds since the epoch; 0 for any time.",
    ("name",),
    unit="seconds",
)
REQUESTS: Final = Metric(
    "wms_requests_total",
    MetricKind.COUNTER,
    "Requests sent: to Connect's REST API, admin calls to Kafka, calls to Secrets Manager.",
    ("system",),
    _each(SYSTEMS),
)
UP: Final = Metric(
    "wms_up",
    MetricKind.GAUGE,
    "1 when this system answered in the newest cycle, else 0.",
    ("system",),
    _each(SYSTEMS),
)
LAST_OBSERVATION: Final = Metric(
    "wms_last_observation_timestamp_seconds",
    MetricKind.GAUGE,
    "Newest cycle that saw everything, in seconds since the epoch; 0 before the first.",
    unit="seconds",
)
SECRET_FALLBACKS: Final = Metric(
    "wms_secret_fallbacks", MetricKind.GAUGE, "Secrets in use from the default path."
)
EVIDENCE_LINES: Final = Metric(
    "wms_evidence_lines_total",
    MetricKind.COUNTER,
    "Lines of the worker's log by what became of them: what they tell of is kept only where it is "
    "recognised, or an error of a connector of ours that is not.",
    ("result",),
    _each(LINE_RESULTS),
)
CLOUDWATCH_LOST: Final = Metric(
    "wms_cloudwatch_lost_total", MetricKind.COUNTER, "Messages that CloudWatch did not take."
)
RECORDER_FAILURES: Final = Metric(
    "wms_recorder_failures_total",
    MetricKind.COUNTER,
    "Values that could not be recorded; our own bug.",
)

METRICS: Final = (
    CYCLES,
    CYCLE_SECONDS,
    CYCLE_STARTED,
    LAST_SUCCESS,
    PULSE,
    ACTIONS,
    ACTION_SECONDS,
    FAULTS,
    CONDITION,
    CONDITION_REASON,
    DRIFT,
    HELD,
    NOT_ACTING,
    SUSPENDED,
    ACTIVE,
    ORPHANS,
    REVISION,
    REVISION_STALE,
    REVISION_STALE_SINCE,
    RESTARTS,
    RESTARTS_LEFT,
    RESTARTS_TRIED,
    NEXT_RESTART,
    REQUESTS,
    UP,
    LAST_OBSERVATION,
    SECRET_FALLBACKS,
    EVIDENCE_LINES,
    CLOUDWATCH_LOST,
    RECORDER_FAILURES,
    *LAG_METRICS,
)
