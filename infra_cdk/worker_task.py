"""The task: the Connect worker, the controller beside it, and a collector where one is wanted."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import aws_cdk as cdk
from aws_cdk import aws_ecr as ecr
from aws_cdk import aws_ecs as ecs
from constructs import Construct

from infra_cdk.container import (
    CONNECT_PORT,
    CONTROLLER_HEALTH,
    EVIDENCE_ROOT,
    HTTP_PORT,
    JMX_PORT,
    METRICS_PORT,
    SECRETS_ROOT,
    TMP,
    USER,
    WORKER_HEALTH,
)
from infra_cdk.environment_config import FullEnvironmentConfig
from infra_cdk.nag import acknowledge
from infra_cdk.roles import Roles
from infra_cdk.storage import CONNECT, CONTROLLER, MANIFESTS_PREFIX, METRICS, TEARDOWN, Storage

TEARDOWN_ARGUMENTS: Final = ("teardown", "--stage", "{stage}", "--confirm", "{stage}")
_PLAIN_VARIABLES: Final = {
    "AwsSolutions-ECS2": (
        "Names and addresses only: secrets are read by the running controller and are never in a "
        "variable."
    )
}


class WorkerTask(Construct):
    """The task definition that the service runs."""

    def __init__(
        self,
        scope: Construct,
        config: FullEnvironmentConfig,
        storage: Storage,
        roles: Roles,
        repositories: Mapping[str, ecr.IRepository],
    ) -> None:
        super().__init__(scope, "WorkerTask")
        self._config = config
        self._storage = storage
        self._repositories = repositories
        self.definition = ecs.FargateTaskDefinition(
            self,
            "Definition",
            family=config.stage.service,
            cpu=config.sizes.task_cpu,
            memory_limit_mib=config.sizes.task_memory,
            execution_role=roles.execution.without_policy_updates(),
            task_role=roles.task.without_policy_updates(),
            runtime_platform=ecs.RuntimePlatform(
                cpu_architecture=ecs.CpuArchitecture.X86_64,
                operating_system_family=ecs.OperatingSystemFamily.LINUX,
            ),
            volumes=[
                ecs.Volume(name=name)
                for name in ("secrets", "evidence", "connect-tmp", "controller-tmp")
            ],
        )
        connect = self._add_connect()
        controller = self._add_controller()
        # Started after the worker means stopped before it: the controller says goodbye while
        # Connect still answers. It waits for Connect itself; HEALTHY would hide why it is not.
        controller.add_container_dependencies(
            ecs.ContainerDependency(
                container=connect, condition=ecs.ContainerDependencyCondition.START
            )
        )
        if config.deployment.metrics_image is not None:
            self._add_collector(config.deployment.metrics_image)
        acknowledge(self.definition, _PLAIN_VARIABLES)

    def _add_connect(self) -> ecs.ContainerDefinition:
        sizes = self._config.sizes
        several = sizes.workers > 1
        container = self.definition.add_container(
            CONNECT,
            container_name=CONNECT,
            image=image_of(self._config, self._repositories, CONNECT),
            essential=True,
            cpu=sizes.connect_container_cpu,
            memory_limit_mib=sizes.connect_container_memory,
            user=USER,
            readonly_root_filesystem=True,
            linux_parameters=hardened(self.definition, "ConnectLinux"),
            stop_timeout=cdk.Duration.seconds(60),
            health_check=ecs.HealthCheck(
                command=["CMD", "bash", "-c", WORKER_HEALTH],
                interval=cdk.Duration.seconds(30),
                timeout=cdk.Duration.seconds(10),
                retries=10,
                start_period=cdk.Duration.seconds(300),
            ),
            environment={
                "WMS_STAGE": self._config.stage.name,
                "WMS_KAFKA_SECURITY": self._config.deployment.kafka_security,
                "WMS_SECRETS_ROOT": SECRETS_ROOT,
                "WMS_CONNECT_EVIDENCE": f"{EVIDENCE_ROOT}/worker.json",
                "WMS_CONNECT_LISTEN": "0.0.0.0" if several else "127.0.0.1",
                "WMS_CONNECT_ADVERTISED_HOST": "task" if several else "127.0.0.1",
                "WMS_CONNECT_PORT": str(CONNECT_PORT),
                # Nobody else could take over the tasks of a single worker: it need not wait.
                "WMS_CONNECT_REBALANCE_DELAY_MS": "60000" if several else "0",
                "WMS_CONNECT_HEAP": f"-Xms{sizes.heap}m -Xmx{sizes.heap}m",
                "WMS_CONNECT_METRICS": f"127.0.0.1:{JMX_PORT}",
                "AWS_REGION": self._config.region,
            },
            logging=log_driver(self._storage, CONNECT),
        )
        mount(container, "secrets", SECRETS_ROOT, read_only=True)
        mount(container, "evidence", EVIDENCE_ROOT)
        mount(container, "connect-tmp", TMP)
        return container

    def _add_controller(self) -> ecs.ContainerDefinition:
        sizes = self._config.sizes
        container = self.definition.add_container(
            CONTROLLER,
            container_name=CONTROLLER,
            image=image_of(self._config, self._repositories, CONTROLLER),
            command=["run"],
            essential=False,  # its death must not stop the capture
            enable_restart_policy=True,
            restart_attempt_period=cdk.Duration.seconds(60),
            cpu=sizes.controller_container_cpu,
            memory_limit_mib=sizes.controller_container_memory,
            user=USER,
            readonly_root_filesystem=True,
            linux_parameters=hardened(self.definition, "ControllerLinux"),
            stop_timeout=cdk.Duration.seconds(30),
            health_check=ecs.HealthCheck(
                command=["CMD", "python3", "-c", CONTROLLER_HEALTH],
                interval=cdk.Duration.seconds(30),
                timeout=cdk.Duration.seconds(5),
                retries=3,
                start_period=cdk.Duration.seconds(60),
            ),
            environment=controller_environment(self._config, self._storage),
            logging=log_driver(self._storage, CONTROLLER),
        )
        mount(container, "secrets", SECRETS_ROOT)
        mount(container, "evidence", EVIDENCE_ROOT, read_only=True)
        mount(container, "controller-tmp", TMP)
        return container

    def _add_collector(self, image: str) -> None:
        sizes = self._config.sizes
        self.definition.add_container(
            METRICS,
            container_name=METRICS,
            image=ecs.ContainerImage.from_registry(image),
            essential=False,
            cpu=sizes.metrics_container_cpu,
            memory_limit_mib=sizes.metrics_container_memory,
            user=USER,
            readonly_root_filesystem=True,
            linux_parameters=hardened(self.definition, "MetricsLinux"),
            environment={
                "AOT_CONFIG_CONTENT": collector_config(self._config),
                "AWS_REGION": self._config.region,
            },
            logging=log_driver(self._storage, METRICS),
        )


def controller_environment(config: FullEnvironmentConfig, storage: Storage) -> dict[str, str]:
    """Settings of the controller, the same for the sidecar and for a teardown."""
    return {
        "WMS_STAGE": config.stage.name,
        "WMS_REPOSITORY": config.source.repository,
        "WMS_BRANCH": config.source.branch,
        "WMS_SECRET_PREFIX": config.secret_prefix,
        "WMS_SECRETS_ROOT": SECRETS_ROOT,
        "WMS_EVIDENCE_FILE": f"{EVIDENCE_ROOT}/worker.json",
        "WMS_KAFKA_SECURITY": config.deployment.kafka_security,
        "WMS_CONNECT_URL": f"http://127.0.0.1:{CONNECT_PORT}",
        "WMS_AWS_REGION": config.region,
        "WMS_LOG_FORMAT": "json",
        "WMS_JMX_URL": f"http://127.0.0.1:{JMX_PORT}/metrics",
        "WMS_HTTP_PORT": str(HTTP_PORT),
        "WMS_METRICS_HOST": "0.0.0.0" if config.deployment.scrape_security_group else "127.0.0.1",
        "WMS_METRICS_PORT": str(METRICS_PORT),
        "WMS_STATE_TABLE": storage.table.table_name,
        "WMS_MANIFESTS_S3": f"s3://{storage.manifests.bucket_name}/{MANIFESTS_PREFIX}",
        "AWS_REGION": config.region,
    }


def teardown_task(
    scope: Construct,
    config: FullEnvironmentConfig,
    storage: Storage,
    roles: Roles,
    repositories: Mapping[str, ecr.IRepository],
) -> ecs.FargateTaskDefinition:
    """Define the one-off task that deletes what is a branch's own; named stages have none."""
    if roles.teardown is None:
        raise ValueError(f"stage {config.stage.name} has no teardown")
    definition = ecs.FargateTaskDefinition(
        scope,
        "TeardownTask",
        family=f"{config.stage.service}-teardown",
        cpu=256,
        memory_limit_mib=512,
        execution_role=roles.execution.without_policy_updates(),
        task_role=roles.teardown.without_policy_updates(),
        volumes=[ecs.Volume(name="controller-tmp")],
    )
    container = definition.add_container(
        CONTROLLER,
        container_name=CONTROLLER,
        image=image_of(config, repositories, CONTROLLER),
        command=[part.format(stage=config.stage.name) for part in TEARDOWN_ARGUMENTS],
        cpu=256,
        memory_limit_mib=512,
        user=USER,
        readonly_root_filesystem=True,
        linux_parameters=hardened(definition, "TeardownLinux"),
        environment=controller_environment(config, storage),
        logging=log_driver(storage, TEARDOWN),
    )
    mount(container, "controller-tmp", TMP)
    acknowledge(definition, _PLAIN_VARIABLES)
    return definition


def image_of(
    config: FullEnvironmentConfig, repositories: Mapping[str, ecr.IRepository], which: str
) -> ecs.ContainerImage:
    image = {
        CONNECT: config.deployment.connect_image,
        CONTROLLER: config.deployment.controller_image,
    }[which]
    return ecs.ContainerImage.from_ecr_repository(repositories[which], image.digest)


def hardened(scope: Construct, name: str) -> ecs.LinuxParameters:
    """No capability at all, and a first process that collects the dead."""
    parameters = ecs.LinuxParameters(scope, name, init_process_enabled=True)
    parameters.drop_capabilities(ecs.Capability.ALL)
    return parameters


def log_driver(storage: Storage, container: str) -> ecs.LogDriver:
    # Non-blocking: a sick log service must not stop the capture. The buffer is lost with the task.
    return ecs.LogDrivers.aws_logs(
        log_group=storage.log_groups[container],
        stream_prefix="task",
        mode=ecs.AwsLogDriverMode.NON_BLOCKING,
        max_buffer_size=cdk.Size.mebibytes(25),
    )


def mount(
    container: ecs.ContainerDefinition, volume: str, path: str, *, read_only: bool = False
) -> None:
    container.add_mount_points(
        ecs.MountPoint(source_volume=volume, container_path=path, read_only=read_only)
    )


def collector_config(config: FullEnvironmentConfig) -> str:
    """Scrape controller and worker on loopback, write to the workspace; YAML of the collector."""
    workspace = (config.deployment.metrics_workspace_arn or "").rsplit("/", 1)[-1]
    url = (
        f"https://aps-workspaces.{config.region}.amazonaws.com"
        f"/workspaces/{workspace}/api/v1/remote_write"
    )
    return f"""\
extensions:
  sigv4auth: {{region: {config.region}, service: aps}}
receivers:
  prometheus:
    config:
      global: {{scrape_interval: 15s, scrape_timeout: 10s}}
      scrape_configs:
        - job_name: wms-connector
          static_configs:
            - targets: ["127.0.0.1:{METRICS_PORT}", "127.0.0.1:{JMX_PORT}"]
              labels: {{stage: {config.stage.name}}}
exporters:
  prometheusremotewrite:
    endpoint: {url}
    auth: {{authenticator: sigv4auth}}
service:
  extensions: [sigv4auth]
  pipelines:
    metrics: {{receivers: [prometheus], exporters: [prometheusremotewrite]}}
"""
