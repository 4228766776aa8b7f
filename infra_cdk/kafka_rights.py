"""Rights on MSK by the names of a stage, as IAM statements; pure data but for the statement."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from aws_cdk import aws_iam as iam

from controller.core.stage import Stage

_DELETE: Final = ("kafka-cluster:DeleteTopic", "kafka:DeleteTopic")


def owned_topics(stage: Stage) -> tuple[str, ...]:
    """The stage's own topics as IAM patterns; a dot is literal there, and `*` crosses dots."""
    return (
        stage.topic_prefix,
        f"{stage.topic_prefix}.*",
        stage.heartbeat_topic,
        *stage.connect_topics.values(),
    )


def foreign_offsets_topics(stage: Stage) -> tuple[str, ...]:
    """What tells a named stage that another one shares its cluster."""
    if stage.ephemeral:
        return ()
    return tuple(other.connect_topics["offsets"] for other in stage.other_named_stages())


def topic_arns(cluster_arn: str, topics: Iterable[str]) -> list[str]:
    return [_arn(cluster_arn, "topic", topic) for topic in topics]


def group_arn(cluster_arn: str, stage: Stage) -> str:
    return _arn(cluster_arn, "group", stage.connect_group)


def task_statements(cluster_arn: str, stage: Stage) -> list[iam.PolicyStatement]:
    """What worker and controller may do: make, write and tune their own topics, delete none."""
    statements = [
        _allow(
            "Cluster",
            ("Connect", "DescribeCluster", "WriteDataIdempotently"),
            [cluster_arn],
        ),
        _allow(
            "OwnTopics",
            (
                "CreateTopic",
                "DescribeTopic",
                "AlterTopic",
                "DescribeTopicDynamicConfiguration",
                "AlterTopicDynamicConfiguration",
                "ReadData",
                "WriteData",
            ),
            topic_arns(cluster_arn, owned_topics(stage)),
        ),
        _allow("OwnGroup", ("DescribeGroup", "AlterGroup"), [group_arn(cluster_arn, stage)]),
    ]
    foreign = foreign_offsets_topics(stage)
    if foreign:
        statements.append(
            _allow("SeeSharedCluster", ("DescribeTopic",), topic_arns(cluster_arn, foreign))
        )
    return statements


def teardown_statements(cluster_arn: str, stage: Stage) -> list[iam.PolicyStatement]:
    """What the teardown of a branch may do: see every name, delete the branch's own."""
    if stage.named:
        raise ValueError(f"stage {stage.name} has no teardown: nothing of it is ever deleted")
    return [
        _allow("Cluster", ("Connect", "DescribeCluster"), [cluster_arn]),
        _allow("SeeAllNames", ("DescribeTopic",), topic_arns(cluster_arn, ["*"])),
        _allow("DeleteOwn", ("DeleteTopic",), topic_arns(cluster_arn, owned_topics(stage))),
        _allow("OwnGroup", ("DescribeGroup",), [group_arn(cluster_arn, stage)]),
        deny_deleting_all_but(cluster_arn, owned_topics(stage)),
    ]


def deny_deleting() -> iam.PolicyStatement:
    """No policy that is ever attached beside this one can give the right back."""
    return iam.PolicyStatement(
        sid="NeverDelete", effect=iam.Effect.DENY, actions=list(_DELETE), resources=["*"]
    )


def deny_deleting_all_but(cluster_arn: str, topics: Iterable[str]) -> iam.PolicyStatement:
    return iam.PolicyStatement(
        sid="NeverDeleteOthers",
        effect=iam.Effect.DENY,
        actions=list(_DELETE),
        not_resources=topic_arns(cluster_arn, topics),
    )


def _allow(sid: str, actions: Iterable[str], resources: list[str]) -> iam.PolicyStatement:
    return iam.PolicyStatement(
        sid=sid, actions=[f"kafka-cluster:{action}" for action in actions], resources=resources
    )


def _arn(cluster_arn: str, kind: str, name: str) -> str:
    return f"{cluster_arn.replace(':cluster/', f':{kind}/', 1)}/{name}"
