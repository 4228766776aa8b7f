"""Three roles, to start tasks, to run and to delete; policies for people and pipelines."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import aws_cdk as cdk
from aws_cdk import aws_ecr as ecr
from aws_cdk import aws_iam as iam
from constructs import Construct

from controller.core.aws_names import AwsNames
from infra_cdk import kafka_rights
from infra_cdk.environment_config import FullEnvironmentConfig, SecretPaths
from infra_cdk.nag import acknowledge_wildcards
from infra_cdk.storage import MANIFESTS_PREFIX, Storage

_READ_ITEMS: Final = (
    "dynamodb:DescribeTable",
    "dynamodb:GetItem",
    "dynamodb:BatchGetItem",
    "dynamodb:Query",
)
_WRITE_ITEMS: Final = (
    "dynamodb:PutItem",
    "dynamodb:UpdateItem",
    "dynamodb:DeleteItem",
    "dynamodb:ConditionCheckItem",
)
_TASKS: Final = "ecs-tasks.amazonaws.com"
_SUFFIX: Final = "??????"  # exactly what Secrets Manager appends; `*` would match longer names


class Roles(Construct):
    """Every right is a managed policy, so that it carries the account's IAM path."""

    def __init__(
        self,
        scope: Construct,
        config: FullEnvironmentConfig,
        storage: Storage,
        repositories: Iterable[ecr.IRepository],
    ) -> None:
        super().__init__(scope, "Roles")
        self._config = config
        self._storage = storage
        self._names = AwsNames(config.stage)
        self.execution = self._make_role("execution", self._execution_statements(repositories))
        self.task = self._make_role("task", self._task_statements())
        self.teardown = (
            self._make_role("teardown", self._teardown_statements())
            if config.stage.ephemeral
            else None
        )
        # Any of them may run `wmsctl verify`, the last step of a deploy included.
        self._make_policy("viewer", [*self._viewer_statements(), *self._verify()])
        self._make_policy("operator", [*self._operator_statements(), *self._verify()])
        self._make_policy("publisher", [*self._publisher_statements(), *self._verify()])

    def _make_role(self, purpose: str, statements: list[iam.PolicyStatement]) -> iam.Role:
        return iam.Role(
            self,
            purpose.capitalize(),
            role_name=self._names.role(purpose),
            assumed_by=iam.ServicePrincipal(
                _TASKS,
                # Documented for what runs in a task, and not for what starts one.
                conditions=None
                if purpose == "execution"
                else {"StringEquals": {"aws:SourceAccount": self._config.account}},
            ),
            managed_policies=[self._make_policy(f"{purpose}-rights", statements)],
        )

    def _make_policy(
        self, purpose: str, statements: list[iam.PolicyStatement]
    ) -> iam.ManagedPolicy:
        policy = iam.ManagedPolicy(
            self,
            f"{purpose.title().replace('-', '')}Policy",
            managed_policy_name=self._names.role(purpose),
            statements=statements,
        )
        acknowledge_wildcards(policy, statements)
        return policy

    # --- what each may do ---------------------------------------------------------------------

    def _execution_statements(
        self, repositories: Iterable[ecr.IRepository]
    ) -> list[iam.PolicyStatement]:
        return [
            _allow("RegistryToken", ["ecr:GetAuthorizationToken"], ["*"]),
            _allow(
                "OwnImages",
                [
                    "ecr:BatchCheckLayerAvailability",
                    "ecr:BatchGetImage",
                    "ecr:GetDownloadUrlForLayer",
                ],
                [repository.repository_arn for repository in repositories],
            ),
            _allow(
                "OwnLogs",
                ["logs:CreateLogStream", "logs:PutLogEvents"],
                [group.log_group_arn for group in self._storage.log_groups.values()],
            ),
        ]

    def _task_statements(self) -> list[iam.PolicyStatement]:
        deployment = self._config.deployment
        cluster = deployment.msk_cluster_arn
        statements = [
            *self._read_secrets(self._paths.read_at_run_time(deployment.kafka_security)),
            *kafka_rights.task_statements(cluster, self._config.stage),
            kafka_rights.deny_deleting(),
            self._items("OwnState", (*_READ_ITEMS, *_WRITE_ITEMS)),
            *self._read_manifests(),
            self._use_key(),
        ]
        if deployment.metrics_workspace_arn is not None:
            statements.append(
                _allow("WriteMetrics", ["aps:RemoteWrite"], [deployment.metrics_workspace_arn])
            )
        return statements

    def _teardown_statements(self) -> list[iam.PolicyStatement]:
        config = self._config
        security = config.deployment.kafka_security
        return [
            *self._read_secrets(self._paths.to_reach_brokers(security)),
            *kafka_rights.teardown_statements(config.deployment.msk_cluster_arn, config.stage),
            self._items("OwnState", (*_READ_ITEMS, *_WRITE_ITEMS)),
            *self._read_manifests(),
            self._use_key(),
        ]

    def _viewer_statements(self) -> list[iam.PolicyStatement]:
        return [
            self._items("ReadState", _READ_ITEMS),
            *self._read_manifests(),
            _allow(
                "ReadLogs",
                ["logs:FilterLogEvents", "logs:GetLogEvents", "logs:DescribeLogStreams"],
                [group.log_group_arn for group in self._storage.log_groups.values()],
            ),
            self._use_key(write=False),
        ]

    def _operator_statements(self) -> list[iam.PolicyStatement]:
        return [
            self._items("WriteState", (*_READ_ITEMS, *_WRITE_ITEMS)),
            *self._read_manifests(),
            self._use_key(),
        ]

    def _publisher_statements(self) -> list[iam.PolicyStatement]:
        """What the last steps of a deploy need: `wmsctl manifests push`, then `verify`."""
        bucket = self._storage.manifests
        return [
            self._items("ReadState", _READ_ITEMS),
            _allow(
                "WriteManifests",
                ["s3:PutObject"],
                [bucket.arn_for_objects(f"{MANIFESTS_PREFIX}*")],
            ),
            *self._read_manifests(),
            self._use_key(),
            # After a step over a Debezium minor version, which is deployed without workers.
            _allow("StartService", ["ecs:DescribeServices", "ecs:UpdateService"], [self._service]),
        ]

    def _verify(self) -> list[iam.PolicyStatement]:
        """Whether the stage's roles have a boundary, and what it says."""
        return [
            _allow("SeeOwnRoles", ["iam:GetRole"], [self._role_arn(n) for n in self._names.roles]),
            _allow(
                "SeeBoundary",
                ["iam:GetPolicy", "iam:GetPolicyVersion"],
                [self._config.iam_permissions_boundary],
            ),
        ]

    def _role_arn(self, name: str) -> str:
        """Name a role without its resource: the function of the teardown makes its own."""
        path = f"{self._config.iam_path.strip('/')}/{name}".lstrip("/")
        stack = cdk.Stack.of(self)
        return str(stack.format_arn(service="iam", region="", resource="role", resource_name=path))

    # --- parts --------------------------------------------------------------------------------

    @property
    def _service(self) -> str:
        stack: cdk.Stack = cdk.Stack.of(self)
        name = f"{self._names.cluster}/{self._config.stage.service}"
        return str(stack.format_arn(service="ecs", resource="service", resource_name=name))

    @property
    def _paths(self) -> SecretPaths:
        return SecretPaths(self._config.stage, self._config.secret_prefix)

    def _read_secrets(self, names: Iterable[str]) -> list[iam.PolicyStatement]:
        arns = [
            cdk.Stack.of(self).format_arn(
                service="secretsmanager",
                resource="secret",
                resource_name=f"{name}-{_SUFFIX}",
                arn_format=cdk.ArnFormat.COLON_RESOURCE_NAME,
            )
            for name in names
        ]
        statements = [
            _allow(
                "OwnSecrets",
                ["secretsmanager:GetSecretValue", "secretsmanager:DescribeSecret"],
                arns,
            ),
            # It has no resource level; each secret in the batch still needs the right above.
            _allow("SecretsInOneCall", ["secretsmanager:BatchGetSecretValue"], ["*"]),
        ]
        if self._config.deployment.secret_key_arns:
            statements.append(
                iam.PolicyStatement(
                    sid="DecryptSecrets",
                    actions=["kms:Decrypt"],
                    resources=list(self._config.deployment.secret_key_arns),
                    conditions={
                        "StringEquals": {
                            "kms:ViaService": f"secretsmanager.{self._config.region}.amazonaws.com"
                        }
                    },
                )
            )
        return statements

    def _items(self, sid: str, actions: Iterable[str]) -> iam.PolicyStatement:
        return _allow(sid, list(actions), [self._storage.table.table_arn])

    def _read_manifests(self) -> list[iam.PolicyStatement]:
        bucket = self._storage.manifests
        return [
            _allow(
                "ReadManifests", ["s3:GetObject"], [bucket.arn_for_objects(f"{MANIFESTS_PREFIX}*")]
            ),
            # Of the whole bucket, which holds nothing else: who may not list it is told 403 and not
            # 404 of an object that is missing (S3's GetObject), as the first pointer is.
            _allow("ListManifests", ["s3:ListBucket"], [bucket.bucket_arn]),
        ]

    def _use_key(self, *, write: bool = True) -> iam.PolicyStatement:
        services = ("dynamodb", "s3", "logs")
        return iam.PolicyStatement(
            sid="OwnKey",
            actions=["kms:Decrypt", *(["kms:GenerateDataKey"] if write else [])],
            resources=[self._storage.key.key_arn],
            conditions={
                "StringEquals": {
                    "kms:ViaService": [
                        f"{service}.{self._config.region}.amazonaws.com" for service in services
                    ]
                }
            },
        )


def _allow(sid: str, actions: list[str], resources: list[str]) -> iam.PolicyStatement:
    return iam.PolicyStatement(sid=sid, actions=actions, resources=resources)
