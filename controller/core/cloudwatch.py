"""What CloudWatch is told, as data: the exporter publishes exactly these, the alarms watch these.

Detail stays with Prometheus: each name costs money per stage and connector. Every metric has the
dimension Stage, where the worst connector counts, so no alarm can watch a name that nobody sends.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

NAMESPACE: Final = "WmsConnector"
STAGE: Final = "Stage"
CONNECTOR: Final = "Connector"


@dataclass(frozen=True, slots=True)
class Published:
    """One metric; `per_connector` publishes it also by [Stage, Connector]."""

    name: str
    unit: str  # a unit of CloudWatch
    help: str
    per_connector: bool = False
    by_each: bool = False  # told by those that stand by, too; else only by who leads


PULSE: Final = Published("Pulse", "Count", "1 at the end of each cycle.", by_each=True)
ACTIVE: Final = Published(
    "ActiveController",
    "Count",
    "1 from a controller that is entitled to act, or that a freeze or observeOnly keeps from it.",
    by_each=True,
)
CONNECT_UP: Final = Published("ConnectUp", "Count", "1 when Connect answered this cycle, else 0.")
OBSERVATION_AGE: Final = Published(
    "ObservationAge", "Seconds", "Age of the last complete observation."
)
REVISION_STALE: Final = Published(
    "RevisionStaleAge", "Seconds", "How long the newest manifests have been refused; 0 if not."
)
HELD: Final = Published(
    "HeldAge", "Seconds", "Longest time that anything has waited for a person; 0 if nothing does."
)
NOT_ACTING: Final = Published(
    "NotActingAge",
    "Seconds",
    "Longest time that anything has been frozen, suspended, observe-only, contended, or without a "
    "state store or a history to write to.",
)
FAULTS: Final = Published("Faults", "Count", "Faults of other systems this cycle.")
ACTIONS: Final = Published("Actions", "Count", "Actions this cycle.")
NOT_SYNCED: Final = Published("NotSynced", "Count", "1 while not as declared.", True)
NOT_READY: Final = Published("NotReady", "Count", "1 while declared running and not running.", True)
NOT_HEALTHY: Final = Published("NotHealthy", "Count", "1 while getting nowhere.", True)
NOT_HEALTHY_NOW: Final = Published(
    "NotHealthyNow", "Count", "1 while a login is refused or a position is lost."
)
LAG: Final = Published("Lag", "Seconds", "How far Kafka is behind the source.", True)
HEARTBEAT_AGE: Final = Published(
    "HeartbeatAge", "Seconds", "Age of Debezium's newest heartbeat record.", True
)
REDO_LEFT: Final = Published(
    "RedoLeft", "Seconds", "How long the database keeps the redo of a standing position.", True
)
RESTARTS: Final = Published("Restarts", "Count", "Restarts this cycle.", True)
RESTARTS_SPENT: Final = Published(
    "RestartsSpent", "Count", "1 while a connector is restarted no more: it did not help.", True
)
SECRET_FALLBACK: Final = Published(
    "SecretFallback", "Count", "Secrets in use from the default path."
)

PUBLISHED: Final = (
    PULSE,
    ACTIVE,
    CONNECT_UP,
    OBSERVATION_AGE,
    REVISION_STALE,
    HELD,
    NOT_ACTING,
    FAULTS,
    ACTIONS,
    NOT_SYNCED,
    NOT_READY,
    NOT_HEALTHY,
    NOT_HEALTHY_NOW,
    LAG,
    HEARTBEAT_AGE,
    REDO_LEFT,
    RESTARTS,
    RESTARTS_SPENT,
    SECRET_FALLBACK,
)
