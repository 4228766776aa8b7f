"""The metrics of lag, of what explains it, and of the containers beside us.

A number that cannot be seen has no series: zero would say that all is well.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from controller.core.metric_family import Metric, MetricKind

_GAUGE: Final = MetricKind.GAUGE
_NAME: Final = ("name",)  # of a connector, as in every other family

LAG: Final = Metric(
    "wms_lag_seconds",
    _GAUGE,
    "How far Kafka is behind the source, by connector that is declared running.",
    _NAME,
    unit="seconds",
)
TOPIC_LAG: Final = Metric(
    "wms_topic_lag_seconds",
    _GAUGE,
    "How far a topic is behind the source, by connector that is declared running.",
    ("name", "topic"),
    unit="seconds",
)
TOPIC_AGE: Final = Metric(
    "wms_topic_newest_record_age_seconds",
    _GAUGE,
    "Age of a captured topic's newest record; a quiet table's grows, and nothing is wrong.",
    ("name", "topic"),
    unit="seconds",
)
HEARTBEAT_AGE: Final = Metric(
    "wms_heartbeat_age_seconds",
    _GAUGE,
    "Age of Debezium's newest heartbeat, by connector that is declared running.",
    _NAME,
    unit="seconds",
)
REDO_LEFT: Final = Metric(
    "wms_redo_left_seconds",
    _GAUGE,
    "In how many seconds a connector that stands still loses its position, since the database "
    "keeps its redo no longer; as the newest look at the database found it.",
    _NAME,
    unit="seconds",
)
LAG_SEEN: Final = Metric(
    "wms_lag_seen",
    _GAUGE,
    "1 while this source of a connector's lag can be seen: heartbeat, records, sourceTime, jmx.",
    ("name", "sign"),
)
JMX_UP: Final = Metric(
    "wms_jmx_up", _GAUGE, "1 when the worker's JMX agent answered last, else 0, also without one."
)
CONTAINER_RESTARTS: Final = Metric(
    "wms_container_restarts",
    _GAUGE,
    "Restarts of a container of this ECS task, as ECS counts them.",
    ("container",),
)
CONTAINER_HEALTHY: Final = Metric(
    "wms_container_healthy",
    _GAUGE,
    "1 while ECS calls a container of this task healthy, 0 while unhealthy.",
    ("container",),
)
OUT_OF_MEMORY: Final = Metric(
    "wms_container_out_of_memory",
    _GAUGE,
    "1 when a container of this task was last killed, most often for want of memory (exit 137, "
    "or 3 of the worker).",
    ("container",),
)


@dataclass(frozen=True, slots=True)
class Attribute:
    """One attribute of a Debezium bean, and the family that shows it."""

    context: str
    attribute: str
    family: Metric
    scale: float = 1.0


def _shown(  # noqa: PLR0917 - rows of a table
    context: str, attribute: str, name: str, text: str, unit: str = "", scale: float = 1.0
) -> Attribute:
    family = Metric(name, _GAUGE, f"{text} Only while the JMX agent tells.", _NAME, unit=unit)
    return Attribute(context, attribute, family, scale)


_MS: Final = 0.001
ATTRIBUTES: Final = (
    _shown("streaming", "currentscn", "wms_current_scn", "The database's SCN."),
    _shown("streaming", "offsetscn", "wms_offset_scn", "SCN that a restart begins from."),
    _shown("streaming", "committedscn", "wms_committed_scn", "SCN of the newest commit sent."),
    _shown("streaming", "oldestscn", "wms_oldest_scn", "SCN of the oldest open transaction."),
    _shown(
        "streaming",
        "oldestscnageinmilliseconds",
        "wms_oldest_transaction_age_seconds",
        "Age of the oldest open transaction, whose redo must not go away.",
        "seconds",
        _MS,
    ),
    _shown("streaming", "scnfreezecount", "wms_scn_freezes", "Rounds in which no SCN moved."),
    _shown(
        "streaming",
        "numberofactivetransactions",
        "wms_active_transactions",
        "Transactions in LogMiner's buffer.",
    ),
    _shown(
        "streaming",
        "abandonedtransactioncount",
        "wms_abandoned_transactions",
        "Transactions given up: their rows are lost.",
    ),
    _shown(
        "streaming",
        "lastdurationoffetchqueryinmilliseconds",
        "wms_fetch_query_seconds",
        "Duration of LogMiner's newest query.",
        "seconds",
        _MS,
    ),
    _shown("streaming", "connected", "wms_source_connected", "1 while it is logged in."),
    _shown(
        "streaming",
        "millisecondsbehindsource",
        "wms_behind_source_seconds",
        "How old the newest event was when it was read; stays while the source is quiet.",
        "seconds",
        _MS,
    ),
    _shown("streaming", "queuetotalcapacity", "wms_queue_capacity", "Places in its queue."),
    _shown("streaming", "queueremainingcapacity", "wms_queue_free", "Free ones; 0: Kafka is slow."),
    _shown("snapshot", "snapshotrunning", "wms_snapshot_running", "1 while a snapshot runs."),
    _shown("snapshot", "totaltablecount", "wms_snapshot_tables", "Tables of its snapshot."),
    _shown(
        "snapshot", "remainingtablecount", "wms_snapshot_tables_left", "Tables still to be read."
    ),
)

LAG_METRICS: Final = (
    LAG,
    TOPIC_LAG,
    TOPIC_AGE,
    HEARTBEAT_AGE,
    REDO_LEFT,
    LAG_SEEN,
    JMX_UP,
    CONTAINER_RESTARTS,
    CONTAINER_HEALTHY,
    OUT_OF_MEMORY,
    *(one.family for one in ATTRIBUTES),
)
