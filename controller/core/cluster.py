"""Which Kafka cluster is this stage's own: the declared one, else the one first seen."""

from __future__ import annotations

from typing import Final

from controller.core.model import Records, StagePolicy

FIRST_SEEN_RECORD: Final = "cluster/first"
_KNOWN: Final = ("birth/stage", FIRST_SEEN_RECORD)


def first_seen(records: Records) -> str | None:
    """Answer the cluster on which all was as declared once, or a connector of ours ran."""
    told = (records[name].value.get("cluster_id") for name in _KNOWN if name in records)
    return next((str(cluster) for cluster in told if cluster), None)


def expected_cluster(policy: StagePolicy, records: Records) -> str | None:
    return policy.kafka_cluster_id or first_seen(records)
