"""Who is told: one encrypted topic, and the people in the secret alertEmails."""

from __future__ import annotations

from typing import Any

import aws_cdk as cdk
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_sns as sns
from aws_cdk import aws_sns_subscriptions as subscriptions
from constructs import Construct

from controller.core.aws_names import AwsNames
from infra_cdk.environment_config import FullEnvironmentConfig
from infra_cdk.governance import removal_policy, stack_arguments


def _senders(account: str) -> tuple[tuple[str, str, dict[str, Any]], ...]:
    """Who sends; EventBridge names no account when it publishes to an encrypted topic."""
    ours = {"StringEquals": {"aws:SourceAccount": account}}
    return (
        ("AlarmsOfThisAccount", "cloudwatch.amazonaws.com", ours),
        ("Events", "events.amazonaws.com", {}),
    )


class AlertsStack(cdk.Stack):
    """A stack of its own, so that it outlives a connector stack that is replaced."""

    def __init__(self, scope: Construct, config: FullEnvironmentConfig) -> None:
        names = AwsNames(config.stage)
        arguments: dict[str, Any] = stack_arguments(config, names.alerts_stack)
        super().__init__(scope, names.alerts_stack, **arguments)
        key = kms.Key(
            self,
            "Key",
            alias=f"alias/{names.alerts_stack}",
            description=f"Messages of {names.alerts_stack}",
            enable_key_rotation=True,
            removal_policy=removal_policy(config),
            pending_window=cdk.Duration.days(30 if config.stage.named else 7),
        )
        topic = sns.Topic(
            self,
            "Topic",
            topic_name=names.alerts_topic,
            display_name=names.alerts_topic,
            master_key=key,
            enforce_ssl=True,
        )
        topic.apply_removal_policy(removal_policy(config))
        for sid, sender, conditions in _senders(config.account):
            key.add_to_resource_policy(
                iam.PolicyStatement(
                    sid=sid,
                    principals=[iam.ServicePrincipal(sender)],
                    actions=["kms:Decrypt", "kms:GenerateDataKey*"],
                    resources=["*"],
                    conditions=conditions,
                )
            )
            topic.add_to_resource_policy(
                iam.PolicyStatement(
                    sid=sid,
                    principals=[iam.ServicePrincipal(sender)],
                    actions=["sns:Publish"],
                    resources=[topic.topic_arn],
                    conditions=conditions,
                )
            )
        for email in config.alert_emails:
            topic.add_subscription(subscriptions.EmailSubscription(email))
