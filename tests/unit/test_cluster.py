"""Which Kafka cluster a stage may write to, where no cycle has looked."""

from __future__ import annotations

from typing import Any

import pytest

from controller.core.cluster import expected_cluster, first_seen, refusals_of_cluster
from controller.core.model import Revision, StagePolicy
from tests import make

BORN = {"birth/stage": {"cluster_id": "born"}}
RAN = {"cluster/first": {"cluster_id": "ran"}}
DECLARED = make.revision(kafka_cluster_id="declared")


@pytest.mark.parametrize(
    ("records", "cluster"),
    [({}, None), (BORN, "born"), (RAN, "ran"), (RAN | BORN, "born"), ({"birth/stage": {}}, None)],
)
def test_the_cluster_first_seen_is_that_of_the_birth_or_of_the_first_run(
    records: Any, cluster: str | None
) -> None:
    assert first_seen(make.records(records)) == cluster


def test_a_declared_cluster_outranks_the_one_first_seen() -> None:
    declared = StagePolicy(kafka_cluster_id="declared")
    assert expected_cluster(declared, make.records(BORN)) == "declared"


@pytest.mark.parametrize(
    ("cluster", "revision", "records", "told"),
    [
        ("declared", DECLARED, BORN, None),
        ("born", DECLARED, BORN, "declared is declared or was seen first"),
        ("other", make.revision(), BORN, "born is declared or was seen first"),
        ("born", None, BORN, None),
        ("other", None, RAN, "ran is declared or was seen first"),
        ("other", make.revision(), {}, None),
        ("other", None, {}, "neither manifests nor state store"),
    ],
)
def test_offsets_are_put_back_on_the_stage_s_own_cluster_only(
    cluster: str, revision: Revision | None, records: Any, told: str | None
) -> None:
    refused = list(refusals_of_cluster(cluster, revision, make.records(records)))
    assert len(refused) == (told is not None)
    assert told is None or told in refused[0]
