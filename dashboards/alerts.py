"""When a person is told, by Prometheus; CloudWatch is the alarm of record (infra_cdk/alarms.py).

Conditions move at once and pages wait: a transient fault may take a quarter of an hour to heal by
itself, a refused login or a lost position never does. What a person suspended or froze is silent
but for the data's position, and has an alert of its own when it lasts.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from controller.core import metric
from controller.core.metric import Metric
from dashboards.alert import Alert, Sample
from dashboards.catalog import debezium

JMX_ONLY: Final = (
    "Only the worker's JMX agent knows it, and CloudWatch is told what the controller knows."
)
# The other reasons have alerts of their own, or belong to a controller that stands by.
LEFT_ALONE: Final = ("Frozen", "Suspended", "ObserveOnly", "Contended", "NoStateStore")
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
        f"increase({labelled(metric.FAULTS.name, system='connect', reason='Unavailable')}[5m]) > 0"
        f" and on () (time() - {metric.LAST_SUCCESS.name} > 300)",
        "5m",
        "page",
        "Connect does not answer the controller beside it.",
        (
            Sample(
                {
                    labelled(metric.FAULTS.name, system="connect", reason="Unavailable"): "0+1x30",
                    metric.LAST_SUCCESS.name: "0x30",
                },
                "20m",
                {"system": "connect", "reason": "Unavailable"},
            ),
            Sample(
                {
                    labelled(metric.FAULTS.name, system="connect", reason="Unavailable"): "0+1x30",
                    metric.LAST_SUCCESS.name: "0+60x30",
                },
                "20m",
                None,
            ),
        ),
        twin="ConnectDown",
    ),
    Alert(
        "NotReady",
        f"{condition('Ready', 'False')} == 1",
        "15m",
        "page",
        "{{ $labels.name }} is not running as declared.",
        (
            _of_condition("Ready", "False", "1x30", "20m", rings=True),
            _of_condition("Ready", "False", "1x10 0x20", "20m", rings=False),
        ),
        twin="NotReady",
    ),
    Alert(
        "NotHealthy",
        f"{condition('Healthy', 'False')} == 1",
        "15m",
        "page",
        "{{ $labels.name }} gets nowhere, whatever Connect says of it.",
        (
            _of_condition("Healthy", "False", "1x30", "20m", rings=True),
            _of_condition("Healthy", "False", "1x10 0x20", "20m", rings=False),
        ),
        twin="NotHealthy",
    ),
    Alert(
        "ObservationStale",
        f"time() - {metric.LAST_SUCCESS.name} > 600",
        "1m",
        "page",
        "No cycle has ended without a fault for ten minutes: what is shown is old.",
        (
            _gauge(metric.LAST_SUCCESS, "0x30", "20m", rings={}),
            _gauge(metric.LAST_SUCCESS, "0+60x30", "20m"),
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
        f"{condition('Synced', 'False')} == 1",
        "15m",
        "notice",
        "{{ $labels.name }} has not been as declared for a quarter of an hour.",
        (
            _of_condition("Synced", "False", "1x30", "20m", rings=True),
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
        "OldTransaction",
        f"{labelled(debezium('OldestScnAgeInMilliseconds'), context='streaming')} > 14400000",
        "15m",
        "page",
        "{{ $labels.server }}: the oldest open transaction is older than four hours; the archive "
        "logs must reach back to it.",
        (
            Sample(
                {
                    labelled(
                        debezium("OldestScnAgeInMilliseconds"), context="streaming", server="wms"
                    ): "20000000x30"
                },
                "20m",
                {"context": "streaming", "server": "wms"},
            ),
            Sample(
                {
                    labelled(
                        debezium("OldestScnAgeInMilliseconds"), context="streaming", server="wms"
                    ): "60000x30"
                },
                "20m",
                None,
            ),
        ),
        alone=JMX_ONLY,
    ),
    Alert(
        "ScnFrozen",
        f"{labelled(debezium('ScnFreezeCount'), context='streaming')} > 0",
        "15m",
        "page",
        "{{ $labels.server }}: LogMiner comes no further.",
        (
            Sample(
                {labelled(debezium("ScnFreezeCount"), context="streaming", server="wms"): "3x30"},
                "20m",
                {"context": "streaming", "server": "wms"},
            ),
            Sample(
                {labelled(debezium("ScnFreezeCount"), context="streaming", server="wms"): "0x30"},
                "20m",
                None,
            ),
        ),
        alone="The controller sees the standing offset without JMX: NotHealthy rings in both.",
    ),
    Alert(
        "TransactionAbandoned",
        f"increase({labelled(debezium('AbandonedTransactionCount'), context='streaming')}[1h]) > 0",
        "0m",
        "page",
        "{{ $labels.server }}: LogMiner gave up a transaction; its changes are captured by nobody.",
        (
            Sample(
                {
                    labelled(
                        debezium("AbandonedTransactionCount"), context="streaming", server="wms"
                    ): "0x10 1x20"
                },
                "12m",
                {"context": "streaming", "server": "wms"},
            ),
            Sample(
                {
                    labelled(
                        debezium("AbandonedTransactionCount"), context="streaming", server="wms"
                    ): "0x30"
                },
                "20m",
                None,
            ),
        ),
        alone=JMX_ONLY,
    ),
)
