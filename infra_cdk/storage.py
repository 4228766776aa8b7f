"""What survives a task: state, manifests and logs, all under one key of the stage's own."""

from __future__ import annotations

from typing import Final

import aws_cdk as cdk
from aws_cdk import aws_dynamodb as dynamodb
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_logs as logs
from aws_cdk import aws_s3 as s3
from constructs import Construct

from controller.core.aws_names import AwsNames
from infra_cdk.environment_config import FullEnvironmentConfig
from infra_cdk.governance import removal_policy
from infra_cdk.nag import acknowledge

MANIFESTS_PREFIX: Final = "manifests/"
CONNECT: Final = "connect"
CONTROLLER: Final = "controller"
METRICS: Final = "metrics"
TEARDOWN: Final = "teardown"


class Storage(Construct):
    """Key, state table, manifests bucket and one log group for each container."""

    def __init__(self, scope: Construct, config: FullEnvironmentConfig) -> None:
        super().__init__(scope, "Storage")
        self._names = AwsNames(config.stage)
        self._removal = removal_policy(config)
        self._retention = _retention(config.sizes.log_days)
        self.key = self._make_key(config)
        self.table = self._make_table(config)
        self.manifests = self._make_bucket(config)
        containers = [CONNECT, CONTROLLER]
        if config.deployment.metrics_image is not None:
            containers.append(METRICS)
        if config.stage.ephemeral:
            containers.append(TEARDOWN)
        self.log_groups = {name: self._make_log_group(name) for name in containers}
        # One that is not there ECS would make itself: without key and tags, and for ever
        # (aws/containers-roadmap 2315).
        self.insights_log = self._make_group("InsightsLog", self._names.insights_log)

    def _make_key(self, config: FullEnvironmentConfig) -> kms.Key:
        key = kms.Key(
            self,
            "Key",
            alias=f"alias/{self._names.connector_stack}",
            description=f"State, manifests and logs of {self._names.connector_stack}",
            enable_key_rotation=True,
            removal_policy=self._removal,
            pending_window=cdk.Duration.days(30 if config.stage.named else 7),
        )
        key.add_to_resource_policy(
            iam.PolicyStatement(
                sid="LogsOfThisStage",
                principals=[iam.ServicePrincipal(f"logs.{config.region}.amazonaws.com")],
                actions=["kms:Encrypt*", "kms:Decrypt*", "kms:ReEncrypt*", "kms:GenerateDataKey*"],
                resources=["*"],
                conditions={
                    "ArnLike": {
                        "kms:EncryptionContext:aws:logs:arn": [
                            cdk.Stack.of(self).format_arn(
                                service="logs",
                                resource="log-group",
                                resource_name=name,
                                arn_format=cdk.ArnFormat.COLON_RESOURCE_NAME,
                            )
                            for name in (self._names.log_group("*"), self._names.insights_log)
                        ]
                    }
                },
            )
        )
        return key

    def _make_table(self, config: FullEnvironmentConfig) -> dynamodb.Table:
        table = dynamodb.Table(
            self,
            "State",
            table_name=self._names.state_table,
            partition_key=dynamodb.Attribute(name="pk", type=dynamodb.AttributeType.STRING),
            sort_key=dynamodb.Attribute(name="sk", type=dynamodb.AttributeType.STRING),
            time_to_live_attribute="expires",
            billing_mode=dynamodb.BillingMode.PAY_PER_REQUEST,
            encryption=dynamodb.TableEncryption.CUSTOMER_MANAGED,
            encryption_key=self.key,
            point_in_time_recovery_specification=dynamodb.PointInTimeRecoverySpecification(
                point_in_time_recovery_enabled=True
            ),
            deletion_protection=config.stage.named,
            removal_policy=self._removal,
        )
        acknowledge(
            table,
            {
                "NIST.800.53.R5-DynamoDBInBackupPlan": (
                    "Point-in-time recovery is on; what is remembered may be lost and only makes "
                    "the controller more careful."
                )
            },
        )
        return table

    def _make_bucket(self, config: FullEnvironmentConfig) -> s3.Bucket:
        bucket = s3.Bucket(
            self,
            "Manifests",
            bucket_name=self._names.manifests_bucket(config.account),
            block_public_access=s3.BlockPublicAccess.BLOCK_ALL,
            object_ownership=s3.ObjectOwnership.BUCKET_OWNER_ENFORCED,
            encryption=s3.BucketEncryption.KMS,
            encryption_key=self.key,
            bucket_key_enabled=True,
            enforce_ssl=True,
            minimum_tls_version=1.2,
            versioned=True,
            lifecycle_rules=[
                s3.LifecycleRule(
                    noncurrent_version_expiration=cdk.Duration.days(365),
                    abort_incomplete_multipart_upload_after=cdk.Duration.days(1),
                )
            ],
            removal_policy=self._removal,
        )
        access = (
            "Writes are in the account's CloudTrail; readers are the stage's own roles. "
            "A bucket for access logs would have to outlive each branch."
        )
        acknowledge(
            bucket,
            {
                "AwsSolutions-S1": access,
                "NIST.800.53.R5-S3BucketLoggingEnabled": access,
                "NIST.800.53.R5-S3BucketReplicationEnabled": (
                    "Every revision is in git: one push fills the bucket again."
                ),
            },
        )
        return bucket

    def _make_log_group(self, container: str) -> logs.LogGroup:
        return self._make_group(f"{container.capitalize()}Log", self._names.log_group(container))

    def _make_group(self, name: str, log_group: str) -> logs.LogGroup:
        return logs.LogGroup(
            self,
            name,
            log_group_name=log_group,
            encryption_key=self.key,
            retention=self._retention,
            removal_policy=self._removal,
        )


def _retention(days: int) -> logs.RetentionDays:
    return {30: logs.RetentionDays.ONE_MONTH, 365: logs.RetentionDays.ONE_YEAR}[days]
