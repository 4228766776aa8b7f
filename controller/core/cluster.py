"""Which Kafka cluster is this stage's own: the declared one, else the one first seen."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from controller.core.model import Records, Revision, StagePolicy

FIRST_SEEN_RECORD: Final = "cluster/first"
_KNOWN: Final = ("birth/stage", FIRST_SEEN_RECORD)


def first_seen(records: Records) -> str | None:
    """Answer the cluster on which all was as declared once, or a connector of ours ran."""
    told = (records[name].value.get("cluster_id") for name in _KNOWN if name in records)
    return next((str(cluster) for cluster in told if cluster), None)


def expected_cluster(policy: StagePolicy, records: Records) -> str | None:
    return policy.kafka_cluster_id or first_seen(records)


def refusals_of_cluster(cluster: str, revision: Revision | None, records: Records) -> Iterator[str]:
    """Say why nothing may be written on this cluster, to whom no cycle is at hand."""
    policy = revision.policy if revision is not None else StagePolicy()
    own = expected_cluster(policy, records)
    if own is None and revision is None:
        yield f"neither manifests nor state store tell whether {cluster} is this stage's cluster"
    elif own not in (None, cluster):
        yield f"Connect uses cluster {cluster}, and {own} is declared or was seen first"
