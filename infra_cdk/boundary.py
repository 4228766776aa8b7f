"""What a branch's permissions boundary must deny: its own code can grant it all else."""

from __future__ import annotations

from typing import Any, Final

from controller.core.aws_names import AwsNames
from controller.core.protection import DELETE_CLUSTER, SECRET_WRITES, WRITES
from controller.core.stage import NAMED, Stage
from infra_cdk.kafka_rights import owned_topics

_STAGES: Final = tuple(Stage(name) for name in NAMED)
_ACCOUNT: Final = "?" * 12  # a branch called main-manifests keeps its own bucket


def platform_denials(secret_prefix: str = "wms") -> list[dict[str, Any]]:  # noqa: S107 - a path
    """Deny what changes or tells what is the named stages' own, by their names."""
    topics = dict.fromkeys(topic for stage in _STAGES for topic in owned_topics(stage))
    names = [AwsNames(stage) for stage in _STAGES]
    buckets = [f"arn:aws:s3:::{one.manifests_bucket(_ACCOUNT)}" for one in names]
    tables = [f"arn:aws:dynamodb:*:*:table/{one.state_table}" for one in names]
    secret = f"arn:aws:secretsmanager:*:*:secret:{secret_prefix}"
    return [
        _deny("KeepNamedStages", WRITES, [f"arn:aws:kafka:*:*:topic/*/{t}" for t in topics]),
        _deny("KeepClusters", [DELETE_CLUSTER], ["*"]),
        _deny("KeepSecrets", ["secretsmanager:*"], [f"{secret}/{name}/*" for name in NAMED]),
        _deny("KeepDefaultSecrets", SECRET_WRITES, [f"{secret}/default/*"]),
        _deny("KeepState", ["dynamodb:*"], tables),
        _deny("KeepManifests", ["s3:*"], [*buckets, *(f"{arn}/*" for arn in buckets)]),
    ]


def _deny(sid: str, actions: Any, resources: list[str]) -> dict[str, Any]:
    return {"Sid": sid, "Effect": "Deny", "Action": list(actions), "Resource": resources}
