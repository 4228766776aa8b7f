"""When a person is told, by Prometheus; CloudWatch is the alarm of record (infra_cdk/alarms.py).

Conditions move at once and pages wait: a transient fault may take a quarter of an hour to heal by
itself, a refused login or a lost position never does. What a person suspended or froze is silent
but for the data's position, and has an alert of its own when it lasts.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

from controller.core import lag_metric, metric
from controller.core.failure import LOGIN_REFUSED, POSITION_LOST
from controller.core.idle import LEFT_ALONE
from controller.core.lag_metric import ATTRIBUTES
from controller.core.metric_family import Metric
from controller.core.restart import SPENT
from controller.core.stage import NAMED as NAMED_STAGES
from dashboards.alert import Alert, Sample

JMX_ONLY: Final = "Only the worker's JMX agent knows it, and CloudWatch is told of no detail."
NONE: Final[Mapping[str, str]] = {}
NAMED: Final = {"name": "wms-oracle-cdc"}
CONNECT: Final = {"container": "connect"}
CONNECTOR: Final = {"kind": "connector", "name": "wms-oracle-cdc"}


def labelled(series: str, /, **labels: str) -> str:
    """Write one series as promtool and Prometheus do."""
    inner = ", ".join(f'{key}="{value}"' for key, value in labels.items())
    return f"{series}{{{inner}}}" if inner else series


def condition(kind: str, status: str) -> str:
    return labelled(metric.CONDITION.name, kind="connector", condition=kind, status=status)


def _unhealthy_by(reasons: Iterable[str]) -> str:
    """Select the connectors that are not healthy for one of these reasons."""
    named = "|".join(sorted(reasons))
    return f'{metric.CONDITION_REASON.name}{{condition="Healthy", reason=~"{named}"}} == 1'


SUSPENDED: Final = f"{labelled(metric.SUSPENDED.name, kind='connector')} == 1"
# A refused login is muted with its connector, a lost position never is.
URGENT: Final = (
    f"{_unhealthy_by(POSITION_LOST)} or "
    f"({_unhealthy_by(LOGIN_REFUSED)} unless on (stage, name) ({SUSPENDED}))"
)
# What a person left alone has its own alert, and what is urgent rings already; a word on another
# resource or stage is none here.
MUTED: Final = f"unless on (stage, name) ({SUSPENDED} or {URGENT})"


def _asked(**labels: str) -> Mapping[str, str]:
    return {labelled(metric.SUSPENDED.name, **{**CONNECTOR, **labels}): "1x40"}


def _muted(family: Metric, ill: str, labels: Mapping[str, str], after: str) -> tuple[Sample, ...]:
    """Make the same case while a person asked for quiet: for this connector, and for others."""
    series = {labelled(family.name, **labels): ill}
    here = {**labels, "stage": "production"}
    there = {labelled(family.name, **here): ill}
    return (
        Sample({**series, **_asked()}, after, None),
        Sample({**series, **_asked(name="another")}, after, labels),
        Sample({**series, **_asked(kind="topic")}, after, labels),
        Sample({**there, **_asked(stage="main")}, after, here),
        Sample({**series, _reason("OffsetScnGone"): "1x40"}, after, None),
        Sample({**series, _reason("SourceUnreachable"): "1x40"}, after, labels),
    )


def _labels(reason: str, kind: str = "Healthy") -> Mapping[str, str]:
    return {**CONNECTOR, "condition": kind, "reason": reason}


def _reason(reason: str, kind: str = "Healthy") -> str:
    return labelled(metric.CONDITION_REASON.name, **_labels(reason, kind))


def _while_suspended(sample: Sample, *, rings: bool) -> Sample:
    series = {**sample.series, **_asked()}
    return Sample(series, sample.after, sample.rings if rings else None)


def _at_once(reason: str, *, rings: bool = True) -> Sample:
    """Make a connector that is not healthy for this reason since a minute."""
    return Sample({_reason(reason): "1x9"}, "1m", _labels(reason) if rings else None)


def _shown(attribute: str) -> Metric:
    """Find the family that shows one attribute of Debezium's beans."""
    return next(one.family for one in ATTRIBUTES if one.attribute == attribute)


TRANSACTION_AGE: Final = _shown("oldestscnageinmilliseconds")
FREEZES: Final = _shown("scnfreezecount")
ABANDONED: Final = _shown("abandonedtransactioncount")


def _active(instance: str) -> str:
    return labelled(metric.ACTIVE.name, instance=instance)


def _pulse(stage: str, instance: str) -> str:
    return labelled(metric.PULSE.name, instance=instance, stage=stage)


# A dead controller's series end after five minutes, so those of a named stage are remembered; a
# branch that is not there any more was destroyed.
REMEMBERED: Final = f'{metric.PULSE.name}{{stage=~"{"|".join(("", *NAMED_STAGES))}"}}[1d]'
ONE_DIED: Final = {_pulse("production", "a"): "0+60x5", _pulse("main", "a"): "0+60x20"}


def _idle(reason: str) -> str:
    return labelled(metric.NOT_ACTING.name, reason=reason)


def _cases(
    family: Metric,
    ill: str,
    well: str,
    labels: Mapping[str, str] = NONE,
    *,
    after: str = "20m",
    muted: bool = False,
) -> tuple[Sample, ...]:
    """Make the case that rings, the same while a person asked for quiet, and one that is well."""
    series = labelled(family.name, **labels)
    rings = Sample({series: ill}, after, labels)
    quiet = _muted(family, ill, labels, after) if muted else ()
    return (rings, *quiet, Sample({series: well}, after, None))


def _of_condition(kind: str) -> tuple[Sample, ...]:
    labels = {**CONNECTOR, "condition": kind, "status": "False"}
    return _cases(metric.CONDITION, "1x30", "1x10 0x20", labels, muted=True)


ALERTS: Final = (
    Alert(
        "PulseMissing",
        f"time() - max by (stage) (max_over_time({REMEMBERED}) or {metric.PULSE.name}) > 300 "
        f"or absent_over_time({metric.PULSE.name}[1d])",
        "1m",
        "page",
        "The controller has shown no sign of life for five minutes: the connector is on its own.",
        (
            *_cases(metric.PULSE, "0x20", "0+60x20", after="10m"),
            Sample({"up": "1x20"}, "10m", {}),
            Sample(ONE_DIED, "20m", {"stage": "production"}),
            Sample({_pulse("feat-x", "a"): "0+60x5"}, "20m", None),
            Sample({_pulse("feat-x", "a"): "60x20"}, "20m", {"stage": "feat-x"}),
            Sample({**ONE_DIED, _pulse("production", "b"): "0+60x20"}, "20m", None),
        ),
        twin="PulseMissing",
    ),
    Alert(
        "ConnectDown",
        f"{labelled(metric.UP.name, system='connect')} == 0",
        "5m",
        "page",
        "Connect does not answer the controller beside it.",
        _cases(metric.UP, "0x30", "1x30", {"system": "connect"}),
        twin="ConnectDown",
    ),
    Alert(
        "NotReady",
        f"{condition('Ready', 'False')} == 1 {MUTED}",
        "15m",
        "page",
        "{{ $labels.name }} is not running as declared.",
        _of_condition("Ready"),
        twin="NotReady",
        follows=("NotHealthy", "RestartsSpent"),
    ),
    Alert(
        "NotHealthyNow",
        URGENT,
        "0m",
        "page",
        "{{ $labels.name }}: {{ $labels.reason }}, which no waiting heals.",
        (
            _at_once("LoginRefused"),
            _at_once("OffsetScnGone"),
            _at_once("SourceUnreachable", rings=False),
            _at_once("PasswordExpiring", rings=False),
            _while_suspended(_at_once("LoginRefused"), rings=False),
            _while_suspended(_at_once("OffsetScnGone"), rings=True),
        ),
        twin="NotHealthyNow",
    ),
    Alert(
        "NotHealthy",
        f"{condition('Healthy', 'False')} == 1 {MUTED}",
        "15m",
        "page",
        "{{ $labels.name }} gets nowhere, whatever Connect says of it.",
        _of_condition("Healthy"),
        twin="NotHealthy",
        follows=("RestartsSpent",),
    ),
    Alert(
        "ObservationStale",
        f"time() - {metric.LAST_OBSERVATION.name} > 600",
        "1m",
        "page",
        "Nothing has been observed completely for ten minutes: what is shown is old.",
        _cases(metric.LAST_OBSERVATION, "0x30", "0+60x30"),
        twin="ObservationStale",
        follows=("ConnectDown",),
    ),
    Alert(
        "RevisionStale",
        f"time() - ({metric.REVISION_STALE_SINCE.name} > 0) > 900",
        "1m",
        "notice",
        "The newest manifests have been refused for a quarter of an hour; those before stay in "
        "force.",
        _cases(metric.REVISION_STALE_SINCE, "60x30", "0x30"),
        twin="RevisionStale",
    ),
    Alert(
        "Held",
        f"{_idle('Stalled')} > 900",
        "1m",
        "notice",
        "Something has waited for a person for a quarter of an hour.",
        (
            Sample({_idle("Stalled"): "0+60x30"}, "20m", {"reason": "Stalled"}),
            Sample({_idle("Stalled"): "0+60x10 0x20"}, "20m", None),
            Sample({_idle("Contended"): "0+60x30"}, "20m", None),
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
            Sample({_idle("Contended"): "0+60x90"}, "80m", {"reason": "Contended"}),
            Sample({_idle("Frozen"): "0+60x30 0x60"}, "80m", None),
            Sample({_idle("NotLeader"): "0+60x90"}, "80m", None),
        ),
        twin="NotActing",
    ),
    Alert(
        "NotSynced",
        f"{condition('Synced', 'False')} == 1 {MUTED}",
        "15m",
        "notice",
        "{{ $labels.name }} has not been as declared for a quarter of an hour.",
        _of_condition("Synced"),
        twin="NotSynced",
    ),
    Alert(
        "CycleCrashed",
        f"increase({labelled(metric.CYCLES.name, result='crashed')}[15m]) > 0",
        "0m",
        "notice",
        "A cycle ended by a mistake of the controller itself.",
        _cases(metric.CYCLES, "0x10 1x20", "0x30", {"result": "crashed"}, after="12m"),
        alone="The next cycle tries again; when it does not help, ObservationStale rings in both.",
    ),
    Alert(
        "Lag",
        f"{lag_metric.LAG.name} > 900 {MUTED}",
        "5m",
        "page",
        "{{ $labels.name }}: Kafka is more than a quarter of an hour behind the database.",
        _cases(lag_metric.LAG, "1000x30", "60x30", NAMED, muted=True),
        twin="Lag",
        follows=("ConnectDown", "NotReady", "NotHealthy", "RestartsSpent", "HeartbeatSilent"),
    ),
    Alert(
        "HeartbeatSilent",
        f"{lag_metric.HEARTBEAT_AGE.name} > 900 {MUTED}",
        "5m",
        "page",
        "{{ $labels.name }} has written no heartbeat for a quarter of an hour: it captures "
        "nothing.",
        _cases(lag_metric.HEARTBEAT_AGE, "1000x30", "5x30", NAMED, muted=True),
        twin="HeartbeatSilent",
        follows=("ConnectDown", "NotReady", "NotHealthy", "RestartsSpent"),
    ),
    Alert(
        "RestartsSpent",
        f"{labelled(metric.CONDITION_REASON.name, condition='Stalled', reason=SPENT)} == 1",
        "1m",
        "page",
        "{{ $labels.name }} is restarted no more: restarting did not help.",
        (
            Sample({_reason(SPENT, "Stalled"): "1x9"}, "5m", _labels(SPENT, "Stalled")),
            Sample({_reason("TablesChanged", "Stalled"): "1x9"}, "5m", None),
            Sample({metric.RESTARTS_LEFT.name: "0x30"}, "5m", None),
        ),
        twin="RestartsSpent",
    ),
    Alert(
        "NoActiveController",
        f"max by (stage) ({metric.ACTIVE.name}) == 0",
        "5m",
        "page",
        "For five minutes no controller of this stage has been entitled to act.",
        (
            Sample({metric.ACTIVE.name: "0x30"}, "20m", {}),
            Sample({_active("a"): "0x30", _active("b"): "0x30"}, "20m", {}),
            Sample({_active("a"): "0x30", _active("b"): "1x30"}, "20m", None),
            Sample({_active("a"): "1x10 0x2 1x20", _active("b"): "0x30"}, "20m", None),
        ),
        twin="NoActiveController",
    ),
    Alert(
        "RedoEnding",
        f"{lag_metric.REDO_LEFT.name} < 14400",
        "5m",
        "page",
        "{{ $labels.name }}: in less than four hours the database deletes the redo that it must "
        "read from.",
        _cases(lag_metric.REDO_LEFT, "7200x30", "90000x30", NAMED),
        twin="RedoEnding",
    ),
    Alert(
        "OldTransaction",
        f"{TRANSACTION_AGE.name} > 14400",
        "15m",
        "page",
        "{{ $labels.name }}: a transaction has been open for more than four hours; the archive "
        "logs must reach back to it.",
        _cases(TRANSACTION_AGE, "20000x30", "60x30", NAMED),
        alone=JMX_ONLY,
    ),
    Alert(
        "ScnFrozen",
        f"{FREEZES.name} > 0",
        "15m",
        "page",
        "{{ $labels.name }}: LogMiner comes no further.",
        _cases(FREEZES, "3x30", "0x30", NAMED),
        alone="The controller sees the standing offset without JMX: NotHealthy rings in both.",
        follows=("NotHealthy",),
    ),
    Alert(
        "TransactionAbandoned",
        f"increase({ABANDONED.name}[1h]) > 0",
        "0m",
        "page",
        "{{ $labels.name }}: LogMiner gave up a transaction; its changes are captured by nobody.",
        _cases(ABANDONED, "0x10 1x20", "0x30", NAMED, after="12m"),
        alone=JMX_ONLY,
    ),
    Alert(
        "OutOfMemory",
        f"{lag_metric.OUT_OF_MEMORY.name} == 1",
        "0m",
        "notice",
        "Container {{ $labels.container }} was killed, most often for want of memory.",
        _cases(lag_metric.OUT_OF_MEMORY, "1x9", "0x9", CONNECT, after="5m"),
        alone="EventBridge tells of every task that stopped unasked, with its reason.",
    ),
)
