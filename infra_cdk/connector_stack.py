"""The worker and the controller of one stage, with all that is theirs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import aws_cdk as cdk
from aws_cdk import aws_ecr as ecr
from aws_cdk import aws_ecs as ecs
from aws_cdk import aws_sns as sns
from constructs import Construct

from controller.core.aws_names import AwsNames
from infra_cdk.alarms import Alarms
from infra_cdk.dashboard import add_dashboard
from infra_cdk.environment_config import FullEnvironmentConfig
from infra_cdk.governance import stack_arguments
from infra_cdk.network import Network
from infra_cdk.roles import Roles
from infra_cdk.storage import CONNECT, CONTROLLER, Storage
from infra_cdk.teardown import Teardown
from infra_cdk.worker_task import WorkerTask

PLATFORM: Final = ecs.FargatePlatformVersion.VERSION1_4


class ConnectorStack(cdk.Stack):
    """Everything of a stage but its alerts; destroying a branch's leaves nothing of it."""

    def __init__(self, scope: Construct, config: FullEnvironmentConfig) -> None:
        names = AwsNames(config.stage)
        arguments: dict[str, Any] = stack_arguments(config, names.connector_stack)
        super().__init__(scope, names.connector_stack, **arguments)
        repositories = self._import_repositories(config)
        storage = Storage(self, config)
        network = Network(self, config)
        roles = Roles(self, config, storage, repositories.values())
        task = WorkerTask(self, config, storage, roles, repositories)
        cluster = ecs.Cluster(
            self,
            "Cluster",
            cluster_name=names.cluster,
            vpc=network.vpc,
            container_insights_v2=ecs.ContainerInsights.ENHANCED,
        )
        cluster.node.add_dependency(storage.insights_log)
        service = self._add_service(config, network, cluster, task)
        service.node.add_dependency(network)  # let in before it starts, and until it has stopped
        if config.stage.ephemeral:
            # Deleted in the order of dependencies: first the service, which would write its
            # topics again; then, by this, what it wrote; then all that the deleting needs.
            service.node.add_dependency(
                Teardown(
                    self,
                    config,
                    storage=storage,
                    network=network,
                    roles=roles,
                    cluster=cluster,
                    repositories=repositories,
                )
            )
        # Named, not imported: an export would tie the two stacks together for ever.
        topic = sns.Topic.from_topic_arn(
            self,
            "Alerts",
            self.format_arn(service="sns", resource=names.alerts_topic),
        )
        alarms = Alarms(self, config, topic, cluster.cluster_arn)
        add_dashboard(self, config, alarms)
        self._tell(network, storage)

    def _import_repositories(self, config: FullEnvironmentConfig) -> Mapping[str, ecr.IRepository]:
        deployment = config.deployment
        return {
            CONNECT: ecr.Repository.from_repository_name(
                self, "ConnectImage", deployment.connect_image.repository
            ),
            CONTROLLER: ecr.Repository.from_repository_name(
                self, "ControllerImage", deployment.controller_image.repository
            ),
        }

    def _add_service(
        self,
        config: FullEnvironmentConfig,
        network: Network,
        cluster: ecs.Cluster,
        task: WorkerTask,
    ) -> ecs.FargateService:
        return ecs.FargateService(
            self,
            "Service",
            service_name=config.stage.service,
            cluster=cluster,
            task_definition=task.definition,
            # Without workers no start can fail the stack, which would bring the old version back
            # (decision 0112); the pipeline starts them.
            desired_count=config.sizes.workers if config.rollback else 0,
            platform_version=PLATFORM,
            # Stopped, then started: two workers of one stage would share tasks of different config.
            min_healthy_percent=0,
            max_healthy_percent=100,
            availability_zone_rebalancing=ecs.AvailabilityZoneRebalancing.DISABLED,
            circuit_breaker=ecs.DeploymentCircuitBreaker(enable=True, rollback=config.rollback),
            assign_public_ip=False,
            vpc_subnets=network.subnets,
            security_groups=[network.task_group],
            enable_execute_command=False,
            enable_ecs_managed_tags=True,
            propagate_tags=ecs.PropagatedTagSource.SERVICE,
        )

    def _tell(self, network: Network, storage: Storage) -> None:
        outputs = {
            "TaskSecurityGroup": (
                network.task_group.security_group_id,
                "Of worker and controller; where the platform lets in, let its subnets in",
            ),
            "ManifestsBucket": (storage.manifests.bucket_name, "Where wmsctl manifests push to"),
            "StateTable": (storage.table.table_name, "What wmsctl reads and writes from afar"),
        }
        if network.teardown_group is not None:
            outputs["TeardownSecurityGroup"] = (
                network.teardown_group.security_group_id,
                "Of the teardown; where the platform lets in, let its subnets in",
            )
        for name, (value, description) in outputs.items():
            cdk.CfnOutput(self, name, value=value, description=description)
