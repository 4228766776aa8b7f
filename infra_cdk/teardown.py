"""What deletes a branch's topics when its stack is destroyed; named stages have none of it."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path

import aws_cdk as cdk
from aws_cdk import aws_ecr as ecr
from aws_cdk import aws_ecs as ecs
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_logs as logs
from constructs import Construct

import controller.core.stage
from controller.core.aws_names import AwsNames
from infra_cdk.environment_config import FullEnvironmentConfig
from infra_cdk.nag import acknowledge, acknowledge_wildcards
from infra_cdk.network import Network
from infra_cdk.roles import Roles
from infra_cdk.storage import Storage
from infra_cdk.worker_task import teardown_task

_SOURCE = Path(__file__).parent / "teardown_function"
FUNCTION_LOG = "teardown-function"


class Teardown(Construct):
    """A custom resource that starts `wmsctl teardown` when it is deleted, and waits for it."""

    def __init__(
        self,
        scope: Construct,
        config: FullEnvironmentConfig,
        *,
        storage: Storage,
        network: Network,
        roles: Roles,
        cluster: ecs.Cluster,
        repositories: Mapping[str, ecr.IRepository],
    ) -> None:
        super().__init__(scope, "Teardown")
        if config.stage.named or network.teardown_group is None or roles.teardown is None:
            raise ValueError(f"stage {config.stage.name} has no teardown: nothing of it is deleted")
        self._config = config
        self._names = AwsNames(config.stage)
        definition = teardown_task(self, config, storage, roles, repositories)
        function = self._make_function(
            self._make_role(definition, roles, storage, cluster), storage.key
        )
        resource = cdk.CustomResource(
            self,
            "Resource",
            service_token=function.function_arn,
            resource_type="Custom::WmsTeardown",
            properties={
                "Stage": config.stage.name,
                "Cluster": cluster.cluster_arn,
                "TaskDefinition": definition.task_definition_arn,
                "Subnets": list(config.vpc.task_subnets),
                "SecurityGroup": network.teardown_group.security_group_id,
                "Bucket": storage.manifests.bucket_name,
            },
        )
        # All that the deleting needs must outlive it.
        resource.node.add_dependency(storage, network, roles, cluster, definition, function)

    def _make_role(
        self,
        definition: ecs.FargateTaskDefinition,
        roles: Roles,
        storage: Storage,
        cluster: ecs.Cluster,
    ) -> iam.Role:
        if roles.teardown is None:
            raise ValueError("no teardown role")
        bucket = storage.manifests
        passed = [roles.execution.role_arn, roles.teardown.role_arn]
        stack = cdk.Stack.of(self)
        tasks = stack.format_arn(
            service="ecs", resource="task", resource_name=f"{self._names.cluster}/*"
        )
        statements = [
            iam.PolicyStatement(
                sid="StartTeardown",
                actions=["ecs:RunTask"],
                resources=[definition.task_definition_arn],
                conditions={"ArnEquals": {"ecs:cluster": cluster.cluster_arn}},
            ),
            iam.PolicyStatement(
                sid="WatchTeardown",
                actions=["ecs:DescribeTasks", "ecs:StopTask"],
                resources=[tasks],
                conditions={"ArnEquals": {"ecs:cluster": cluster.cluster_arn}},
            ),
            iam.PolicyStatement(
                sid="PassToTeardown",
                actions=["iam:PassRole"],
                resources=passed,
                conditions={"StringEquals": {"iam:PassedToService": "ecs-tasks.amazonaws.com"}},
            ),
            iam.PolicyStatement(
                sid="ListManifests",
                actions=["s3:ListBucketVersions"],
                resources=[bucket.bucket_arn],
            ),
            iam.PolicyStatement(
                sid="DeleteManifests",
                actions=["s3:DeleteObject", "s3:DeleteObjectVersion"],
                resources=[bucket.arn_for_objects("*")],
            ),
            iam.PolicyStatement(
                sid="OwnLog",
                actions=["logs:CreateLogStream", "logs:PutLogEvents"],
                resources=[
                    stack.format_arn(
                        service="logs",
                        resource="log-group",
                        resource_name=f"{self._names.log_group(FUNCTION_LOG)}:*",
                        arn_format=cdk.ArnFormat.COLON_RESOURCE_NAME,
                    )
                ],
            ),
        ]
        policy = iam.ManagedPolicy(
            self,
            "FunctionPolicy",
            managed_policy_name=self._names.role("teardown-start"),
            statements=statements,
        )
        acknowledge_wildcards(policy, statements)
        return iam.Role(
            self,
            "FunctionRole",
            role_name=self._names.role("teardown-start"),
            assumed_by=iam.ServicePrincipal("lambda.amazonaws.com"),
            managed_policies=[policy],
        )

    def _make_function(self, role: iam.Role, key: kms.IKey) -> lambda_.Function:
        log = logs.LogGroup(
            self,
            "FunctionLog",
            log_group_name=self._names.log_group(FUNCTION_LOG),
            encryption_key=key,
            retention=logs.RetentionDays.ONE_MONTH,
            removal_policy=cdk.RemovalPolicy.DESTROY,
        )
        with tempfile.TemporaryDirectory(prefix="wms-teardown-") as folder:
            _bundle(Path(folder))
            function = lambda_.Function(
                self,
                "Function",
                function_name=self._names.role("teardown"),
                description=f"Starts and awaits wmsctl teardown of {self._config.stage.service}",
                runtime=lambda_.Runtime.PYTHON_3_14,
                handler="handler.handle",
                code=lambda_.Code.from_asset(folder),
                role=role.without_policy_updates(),
                timeout=cdk.Duration.minutes(15),
                memory_size=256,
                reserved_concurrent_executions=1,
                log_group=log,
            )
        acknowledge(
            function,
            {
                "NIST.800.53.R5-LambdaDLQ": (
                    "CloudFormation is told the outcome, a failure included, and shows it."
                ),
                "NIST.800.53.R5-LambdaInsideVPC": (
                    "It calls AWS and CloudFormation's answer address only; what deletes topics "
                    "runs inside the VPC."
                ),
            },
        )
        return function


def _bundle(folder: Path) -> None:
    """Lay the handler out beside the very file that decides what a branch is."""
    shutil.copy(_SOURCE / "handler.py", folder / "handler.py")
    core = folder / "controller" / "core"
    core.mkdir(parents=True)
    (folder / "controller" / "__init__.py").touch()
    (core / "__init__.py").touch()
    shutil.copy(controller.core.stage.__file__, core / "stage.py")
