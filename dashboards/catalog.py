"""Every series that a panel or a rule may name: ours, and the worker's by connect/jmx.yaml."""

from __future__ import annotations

from typing import Final

from controller.core.metric import METRICS
from controller.core.metric_family import Metric, MetricKind

# Attributes of Debezium's beans (debezium.io/documentation, Oracle connector, Monitoring); the JMX
# agent writes them in lower case after `debezium_`.
DEBEZIUM: Final = (
    "AbandonedTransactionCount",
    "CommittedScn",
    "Connected",
    "CurrentScn",
    "ErrorCount",
    "LastBatchProcessingTimeInMilliseconds",
    "LastDurationOfFetchQueryInMilliseconds",
    "LogSwitchCount",
    "MilliSecondsBehindSource",
    "MilliSecondsSinceLastEvent",
    "NumberOfActiveTransactions",
    "NumberOfErroneousEvents",
    "NumberOfEventsInBuffer",
    "OffsetScn",
    "OldestScn",
    "OldestScnAgeInMilliseconds",
    "QueueRemainingCapacity",
    "QueueTotalCapacity",
    "RemainingTableCount",
    "RowsScanned",
    "ScnFreezeCount",
    "SnapshotRunning",
    "TotalCapturedDmlCount",
    "TotalNumberOfEventsSeen",
    "TotalTableCount",
    "WarningCount",
)
# Attributes of the worker's beans (kafka.apache.org/documentation, Connect Monitoring).
WORKER: Final = (
    "connector-count",
    "connector-startup-failure-total",
    "task-count",
    "task-startup-failure-total",
)
SOURCE_TASK: Final = (
    "poll-batch-avg-time-ms",
    "source-record-active-count",
    "source-record-poll-total",
    "source-record-write-total",
)
TARGET: Final = "up"  # Prometheus' own, of each target


def debezium(attribute: str) -> str:
    """Name an attribute's series; one that is not in the catalog is a mistake here."""
    return f"debezium_{DEBEZIUM[DEBEZIUM.index(attribute)].lower()}"


def worker(attribute: str) -> str:
    return f"kafka_connect_worker_{_snake(WORKER[WORKER.index(attribute)])}"


def source_task(attribute: str) -> str:
    return f"kafka_connect_source_task_{_snake(SOURCE_TASK[SOURCE_TASK.index(attribute)])}"


def _snake(attribute: str) -> str:
    return attribute.replace("-", "_")


def series_of(metric: Metric) -> tuple[str, ...]:
    """Name what a scrape shows of one family."""
    if metric.kind is MetricKind.HISTOGRAM:
        return tuple(f"{metric.name}_{part}" for part in ("bucket", "sum", "count"))
    return (metric.name,)


def all_series() -> frozenset[str]:
    return frozenset(
        (
            TARGET,
            *(name for metric in METRICS for name in series_of(metric)),
            *map(debezium, DEBEZIUM),
            *map(worker, WORKER),
            *map(source_task, SOURCE_TASK),
        )
    )
