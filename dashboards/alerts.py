"""When a person is told, by Prometheus; CloudWatch is the alarm of record (infra_cdk/alarms.py).

Conditions move at once and pages wait: a transient fault may take a quarter of an hour to heal by
itself, a refused login or a lost position never does. What a person suspended or froze is silent
but for the data's position, and has an alert of its own when it lasts.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from controller.core import lag_metric, metric
from controller.core.idle import LEFT_ALONE
from controller.core.lag_metric import ATTRIBUTES
from controller.core.metric_family import Metric
from dashboards.alert import Alert, Sample

JMX_ONLY: Final = "Only the worker's JMX agent knows it, and CloudWatch is told of no detail."
NAMED: Final = {"name": "wms-oracle-cdc"}
CONNECT: Final = {"container": "connect"}
CONNECTOR: Final = {"kind": "connector", "name": "wms-oracle-cdc"}


def labelled(series: str, /, **labels: str) -> str:
    """Write one series as promtool and Prometheus do."""
    inner = ", ".join(f'{key}="{value}"' for key, value in labels.items())
    return f"{series}{{{inner}}}" if inner else series


def condition(kind: str, status: str) -> str:
    return labelled(metric.CONDITION.name, kind="connector", condition=kind, status=status)


def _condition_of(kind: str, status: str, values: str) -> Mapping[str, str]:
    return {labelled(metric.CONDITION.name, **CONNECTOR, condition=kind, status=status): values}


def _of_condition(kind: str, status: str, values: str, after: str, *, rings: bool) -> Sample:
    labels = {**CONNECTOR, "condition": kind, "status": status}
    return Sample(_condition_of(kind, status, values), after, labels if rings else None)


ASKED: Final = f'{metric.NOT_ACTING.name}{{reason=~"Suspended|Frozen"}} > 0'
MUTED: Final = f"unless on () ({ASKED})"  # what a person suspended or froze has its own alert


def _muted(sample: Sample) -> Sample:
    """Make the same case while a person asked for quiet."""
    asked = {labelled(metric.NOT_ACTING.name, reason="Suspended"): "60+60x40"}
    return Sample({**sample.series, **asked}, sample.after, None)


def _shown(attribute: str) -> Metric:
    """Find the family that shows one attribute of Debezium's beans."""
    return next(one.family for one in ATTRIBUTES if one.attribute == attribute)


TRANSACTION_AGE: Final = _shown("oldestscnageinmilliseconds")
FREEZES: Final = _shown("scnfreezecount")
ABANDONED: Final = _shown("abandonedtransactioncount")


def _active(instance: str) -> str:
    return labelled(metric.ACTIVE.name, instance=instance)


def _held(reason: str) -> str:
    return labelled(metric.HELD.name, reason=reason)


def _gauge(
    family: Metric,
    values: str,
    after: str,
    *,
    rings: Mapping[str, str] | None = None,
    **labels: str,
) -> Sample:
    return Sample({labelled(family.name, **labels): values}, after, rings)


def _known(
    family: Metric, values: str, after: str, labels: Mapping[str, str], *, rings: bool
) -> Sample:
    return Sample({labelled(family.name, **labels): values}, after, labels if rings else None)


ALERTS: Final = (
    Alert(
        "PulseMissing",
        f"time() - {metric.PULSE.name} > 300 or absent({metric.PULSE.name})",
        "1m",
        "page",
        "The controller has shown no sign of life for five minutes: the connector is on its own.",
        (
            _gauge(metric.PULSE, "0x20", "10m", rings={}),
            _gauge(metric.PULSE, "0+60x20", "10m"),
            Sample({"up": "1x20"}, "10m", {}),
        ),
        twin="PulseMissing",
    ),
    Alert(
        "ConnectDown",
        f"{labelled(metric.UP.name, system='connect')} == 0",
        "5m",
        "page",
        "Connect does not answer the controller beside it.",
        (
            _gauge(metric.UP, "0x30", "20m", rings={"system": "connect"}, system="connect"),
            _gauge(metric.UP, "1x30", "20m", system="connect"),
        ),
        twin="ConnectDown",
    ),
    Alert(
        "NotReady",
        f"{condition('Ready', 'False')} == 1 {MUTED}",
        "15m",
        "page",
        "{{ $labels.name }} is not running as declared.",
        (
            _of_condition("Ready", "False", "1x30", "20m", rings=True),
            _muted(_of_condition("Ready", "False", "1x30", "20m", rings=True)),
            _of_condition("Ready", "False", "1x10 0x20", "20m", rings=False),
        ),
        twin="NotReady",
    ),
    Alert(
        "NotHealthy",
        f"{condition('Healthy', 'False')} == 1 {MUTED}",
        "15m",
        "page",
        "{{ $labels.name }} gets nowhere, whatever Connect says of it.",
        (
            _of_condition("Healthy", "False", "1x30", "20m", rings=True),
            _muted(_of_condition("Healthy", "False", "1x30", "20m", rings=True)),
            _of_condition("Healthy", "False", "1x10 0x20", "20m", rings=False),
        ),
        twin="NotHealthy",
    ),
    Alert(
        "ObservationStale",
        f"time() - {metric.LAST_OBSERVATION.name} > 600",
        "1m",
        "page",
        "Nothing has been observed completely for ten minutes: what is shown is old.",
        (
            _gauge(metric.LAST_OBSERVATION, "0x30", "20m", rings={}),
            _gauge(metric.LAST_OBSERVATION, "0+60x30", "20m"),
        ),
        twin="ObservationStale",
    ),
    Alert(
        "RevisionStale",
        f"{metric.REVISION_STALE.name} == 1",
        "15m",
        "notice",
        "The newest manifests are refused; those before stay in force.",
        (
            _gauge(metric.REVISION_STALE, "1x30", "20m", rings={}),
            _gauge(metric.REVISION_STALE, "0x30", "20m"),
        ),
        twin="RevisionStale",
    ),
    Alert(
        "Held",
        f"{_held('AcceptanceRequired')} > 0",
        "15m",
        "notice",
        "A step waits for a person's word.",
        (
            _gauge(
                metric.HELD,
                "1x30",
                "20m",
                rings={"reason": "AcceptanceRequired"},
                reason="AcceptanceRequired",
            ),
            _gauge(metric.HELD, "0x30", "20m", reason="AcceptanceRequired"),
        ),
        twin="Held",
    ),
    Alert(
        "NotActing",
        f'{metric.NOT_ACTING.name}{{reason=~"{"|".join(LEFT_ALONE)}"}} > 3600',
        "1m",
        "notice",
        "Something has been left alone for an hour: {{ $labels.reason }}.",
        (
            _gauge(
                metric.NOT_ACTING,
                "0+60x90",
                "80m",
                rings={"reason": "Contended"},
                reason="Contended",
            ),
            _gauge(metric.NOT_ACTING, "0+60x30 0x60", "80m", reason="Frozen"),
            _gauge(metric.NOT_ACTING, "0+60x90", "80m", reason="NotLeader"),
        ),
        twin="NotActing",
    ),
    Alert(
        "NotSynced",
        f"{condition('Synced', 'False')} == 1 {MUTED}",
        "15m",
        "notice",
        "{{ $labels.name }} has not been as declared for a quarter of an hour.",
        (
            _of_condition("Synced", "False", "1x30", "20m", rings=True),
            _muted(_of_condition("Synced", "False", "1x30", "20m", rings=True)),
            _of_condition("Synced", "False", "1x10 0x20", "20m", rings=False),
        ),
        twin="NotSynced",
    ),
    Alert(
        "CycleCrashed",
        f"increase({labelled(metric.CYCLES.name, result='crashed')}[15m]) > 0",
        "0m",
        "notice",
        "A cycle ended by a mistake of the controller itself.",
        (
            _gauge(
                metric.CYCLES, "0x10 1x20", "12m", rings={"result": "crashed"}, result="crashed"
            ),
            _gauge(metric.CYCLES, "0x30", "20m", result="crashed"),
        ),
        alone="The next cycle tries again; when it does not help, ObservationStale rings in both.",
    ),
    Alert(
        "Lag",
        f"{lag_metric.LAG.name} > 900 {MUTED}",
        "5m",
        "page",
        "{{ $labels.name }}: Kafka is more than a quarter of an hour behind the database.",
        (
            _known(lag_metric.LAG, "1000x30", "20m", NAMED, rings=True),
            _muted(_known(lag_metric.LAG, "1000x30", "20m", NAMED, rings=True)),
            _known(lag_metric.LAG, "60x30", "20m", NAMED, rings=False),
        ),
        twin="Lag",
    ),
    Alert(
        "HeartbeatSilent",
        f"{lag_metric.HEARTBEAT_AGE.name} > 600 {MUTED}",
        "5m",
        "page",
        "{{ $labels.name }} has written no heartbeat for ten minutes: it captures nothing.",
        (
            _known(lag_metric.HEARTBEAT_AGE, "700x30", "20m", NAMED, rings=True),
            _known(lag_metric.HEARTBEAT_AGE, "5x30", "20m", NAMED, rings=False),
        ),
        twin="HeartbeatSilent",
    ),
    Alert(
        "RestartBudgetSpent",
        f"{metric.RESTARTS_LEFT.name} == 0",
        "1m",
        "page",
        "No restart is left in the budget: restarting did not help.",
        (
            _gauge(metric.RESTARTS_LEFT, "0x30", "20m", rings={}),
            _gauge(metric.RESTARTS_LEFT, "3x30", "20m"),
        ),
        twin="RestartBudgetSpent",
    ),
    Alert(
        "NoActiveController",
        f"max without (instance) ({metric.ACTIVE.name}) == 0",
        "5m",
        "page",
        "For five minutes no controller of this stage has been entitled to act.",
        (
            _gauge(metric.ACTIVE, "0x30", "20m", rings={}),
            Sample({_active("a"): "0x30", _active("b"): "0x30"}, "20m", {}),
            Sample({_active("a"): "0x30", _active("b"): "1x30"}, "20m", None),
            Sample({_active("a"): "1x10 0x2 1x20", _active("b"): "0x30"}, "20m", None),
        ),
        twin="NoActiveController",
    ),
    Alert(
        "OldTransaction",
        f"{TRANSACTION_AGE.name} > 14400",
        "15m",
        "page",
        "{{ $labels.name }}: a transaction has been open for more than four hours; the archive "
        "logs must reach back to it.",
        (
            _known(TRANSACTION_AGE, "20000x30", "20m", NAMED, rings=True),
            _known(TRANSACTION_AGE, "60x30", "20m", NAMED, rings=False),
        ),
        alone=JMX_ONLY,
    ),
    Alert(
        "ScnFrozen",
        f"{FREEZES.name} > 0",
        "15m",
        "page",
        "{{ $labels.name }}: LogMiner comes no further.",
        (
            _known(FREEZES, "3x30", "20m", NAMED, rings=True),
            _known(FREEZES, "0x30", "20m", NAMED, rings=False),
        ),
        alone="The controller sees the standing offset without JMX: NotHealthy rings in both.",
    ),
    Alert(
        "TransactionAbandoned",
        f"increase({ABANDONED.name}[1h]) > 0",
        "0m",
        "page",
        "{{ $labels.name }}: LogMiner gave up a transaction; its changes are captured by nobody.",
        (
            _known(ABANDONED, "0x10 1x20", "12m", NAMED, rings=True),
            _known(ABANDONED, "0x30", "20m", NAMED, rings=False),
        ),
        alone=JMX_ONLY,
    ),
    Alert(
        "OutOfMemory",
        f"{lag_metric.OUT_OF_MEMORY.name} == 1",
        "0m",
        "notice",
        "Container {{ $labels.container }} was killed, most often for want of memory.",
        (
            _known(lag_metric.OUT_OF_MEMORY, "1x9", "5m", CONNECT, rings=True),
            _known(lag_metric.OUT_OF_MEMORY, "0x9", "5m", CONNECT, rings=False),
        ),
        alone="EventBridge tells of every task that stopped unasked, with its reason.",
    ),
)
