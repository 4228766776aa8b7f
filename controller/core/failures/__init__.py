"""The known failures, in the order in which they are looked for.

The first that fits a trace wins, so that order is meaning: what is told apart by two signs before
what needs one of them, lost positions and refused logins before what accompanies them, the systems
before the network under them, and what only says that something failed at the end.
"""

from __future__ import annotations

from typing import Final

from controller.core.failures import connect, kafka, oracle, postgresql, worker
from controller.core.failures.row import (
    Actor,
    Failure,
    FailureKind,
    Severity,
    System,
    Treatment,
)

FAILURES: Final[tuple[Failure, ...]] = (
    *kafka.FIRST,
    *worker.SECRETS,
    *oracle.CREDENTIALS,
    *postgresql.CREDENTIALS,
    *oracle.POSITION,
    *postgresql.POSITION,
    *connect.HISTORY_TOPIC[:3],
    *oracle.DATABASE,
    *oracle.REACH,
    *postgresql.DATABASE,
    *worker.JAVA,
    *postgresql.REACH[:1],
    *kafka.ACCESS,
    *kafka.TOPICS[:2],
    *connect.HISTORY_TOPIC[3:],
    *connect.EVENTS,
    *kafka.TOPICS[2:],
    *kafka.CLUSTER,
    *connect.SETTINGS,
    *connect.WORKER,
    *postgresql.REACH[1:4],
    *worker.REACH[:3],
    *connect.RECORDS,
    *postgresql.REACH[4:],
    *worker.REACH[3:],
    *connect.AFTERMATH,
    *postgresql.WRAPPERS,
    *connect.WRAPPERS,
)

__all__ = [
    "FAILURES",
    "Actor",
    "Failure",
    "FailureKind",
    "Severity",
    "System",
    "Treatment",
]
