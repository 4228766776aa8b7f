"""A lag report as numbers of families with labels."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import TypeAlias

from controller.core import lag_metric
from controller.core.lag import Lag, Sign
from controller.core.lag_report import LagReport

Value: TypeAlias = "tuple[tuple[str, tuple[str, ...]], float]"  # (family, labels), number


def lag_values(report: LagReport, running: Collection[str]) -> Iterator[Value]:
    """List all that is known; nothing stands for what is not."""
    yield (lag_metric.JMX_UP.name, ()), float(report.jmx_up)
    for name, lag in report.lags.items():
        for sign in Sign:
            yield (lag_metric.LAG_SEEN.name, (name, str(sign))), float(sign in lag.seen)
        if name in running:
            yield from _of_lag(name, lag)
    for name, left in report.redo_left.items():
        yield (lag_metric.REDO_LEFT.name, (name,)), left
    for name, bean in report.beans.items():
        for one in lag_metric.ATTRIBUTES:
            value = bean.get(one.context, one.attribute)
            if value is not None:
                yield (one.family.name, (name,)), value * one.scale
    for container in report.containers:
        labels = (container.name,)
        yield (lag_metric.CONTAINER_RESTARTS.name, labels), float(container.restarts)
        yield (lag_metric.OUT_OF_MEMORY.name, labels), float(container.out_of_memory)
        if container.health in {"HEALTHY", "UNHEALTHY"}:
            healthy = float(container.health == "HEALTHY")
            yield (lag_metric.CONTAINER_HEALTHY.name, labels), healthy


def _of_lag(name: str, lag: Lag) -> Iterator[Value]:
    if lag.seconds is not None:
        yield (lag_metric.LAG.name, (name,)), lag.seconds
    if lag.heartbeat_age is not None:
        yield (lag_metric.HEARTBEAT_AGE.name, (name,)), lag.heartbeat_age
    for topic, one in lag.topics.items():
        if one.seconds is not None:
            yield (lag_metric.TOPIC_LAG.name, (name, topic)), one.seconds
        if one.age is not None:
            yield (lag_metric.TOPIC_AGE.name, (name, topic)), one.age
