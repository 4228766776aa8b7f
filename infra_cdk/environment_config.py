"""What differs between stages: sizes from this file, the account's own facts from its secrets.

Secrets are looked up for the stage first and for `default` where the first does not exist. Only
those are read that say where to deploy; brokerString and dbInfo are read by the running
controller, so no credential passes through here into a template.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from controller.core.stage import RefusedStage, Stage
from infra_cdk.secret_source import SecretSource

FARGATE_SIZES: Final[Mapping[int, tuple[int, ...]]] = {
    256: (512, 1024, 2048),
    512: tuple(range(1024, 4097, 1024)),
    1024: tuple(range(2048, 8193, 1024)),
    2048: tuple(range(4096, 16385, 1024)),
    4096: tuple(range(8192, 30721, 1024)),
    8192: tuple(range(16384, 61441, 4096)),
    16384: tuple(range(32768, 122881, 8192)),
}
HEAP_SHARE: Final = 0.75  # of the worker's container; threads, buffers and metaspace need the rest
CONTROLLER_CPU: Final = 128
CONTROLLER_MEMORY: Final = 256  # 56 MB at rest; a listing of thousands of topics comes on top
SECURITY_GROUP: Final = r"sg-[0-9a-f]{8,17}"
INGRESS: Final = ("stack", "platform")
KAFKA_PORTS: Final[Mapping[str, int]] = {"tls": 9094, "scram": 9096, "iam": 9098}


class BadConfig(ValueError):
    """A config that must not be deployed; says which value and what to do."""


@dataclass(frozen=True, slots=True)
class SecretPaths:
    """Where each secret is looked for: the stage's own path, then the fallback."""

    stage: Stage
    prefix: str = "wms"

    def both(self, name: str) -> tuple[str, str]:
        return self.stage.secret_paths(name, self.prefix)

    @property
    def vpc(self) -> tuple[str, str]:
        return self.both("vpc")

    @property
    def iam_path(self) -> tuple[str, str]:
        return self.both("iam/path")

    @property
    def iam_permissions_boundary(self) -> tuple[str, str]:
        return self.both("iam/permissionsBoundary")

    @property
    def alert_emails(self) -> tuple[str, str]:
        return self.both("alertEmails")

    @property
    def deployment(self) -> tuple[str, str]:
        return self.both("deployment")

    def to_reach_brokers(self, kafka_security: str) -> tuple[str, ...]:
        login = self.both("kafkaLogin") if kafka_security == "scram" else ()
        return (*self.both("brokerString"), *login)

    def read_at_run_time(self, kafka_security: str) -> tuple[str, ...]:
        """Name what the running task may read, and nothing of which is read here."""
        return (*self.to_reach_brokers(kafka_security), *self.both("dbInfo"))


@dataclass(frozen=True, slots=True, kw_only=True)
class EnvironmentConfig:
    """Sizes and limits of one stage; a config that Fargate would refuse cannot be constructed."""

    task_cpu: int
    task_memory: int
    connect_container_cpu: int
    connect_container_memory: int
    controller_container_cpu: int = CONTROLLER_CPU
    controller_container_memory: int = CONTROLLER_MEMORY
    metrics_container_cpu: int = 0  # of the ADOT collector, where there is one
    metrics_container_memory: int = 0
    heap: int  # of the worker, in MiB
    workers: int = 1
    log_days: int
    lag_seconds: int  # from here on somebody is paged
    heartbeat_seconds: int = 900

    def __post_init__(self) -> None:
        _check_sizes(self)

    @property
    def containers_cpu(self) -> int:
        return (
            self.connect_container_cpu + self.controller_container_cpu + self.metrics_container_cpu
        )

    @property
    def containers_memory(self) -> int:
        return (
            self.connect_container_memory
            + self.controller_container_memory
            + self.metrics_container_memory
        )


def _check_sizes(sizes: EnvironmentConfig) -> None:
    cpu, memory = sizes.task_cpu, sizes.task_memory
    most = int(sizes.connect_container_memory * HEAP_SHARE)
    checks = (
        (
            memory in FARGATE_SIZES.get(cpu, ()),
            f"Fargate has no task of {cpu} CPU units with {memory} MiB: choose a listed pair",
        ),
        (
            sizes.containers_cpu <= cpu,
            (
                f"the containers want {sizes.containers_cpu} CPU units of {cpu}: "
                "give the worker less or the task more"
            ),
        ),
        (
            sizes.containers_memory <= memory,
            (
                f"the containers want {sizes.containers_memory} MiB of {memory}: "
                "give the worker less or the task more"
            ),
        ),
        (
            sizes.heap <= most,
            (
                f"a heap of {sizes.heap} MiB leaves too little of "
                f"{sizes.connect_container_memory} MiB for the rest of the JVM: at most {most}"
            ),
        ),
        (
            sizes.controller_container_cpu >= CONTROLLER_CPU
            and sizes.controller_container_memory >= CONTROLLER_MEMORY,
            f"the controller needs {CONTROLLER_CPU} CPU units and {CONTROLLER_MEMORY} MiB",
        ),
        (sizes.workers >= 1, "a stage has at least one worker"),
    )
    for holds, message in checks:
        if not holds:
            raise BadConfig(message)


# The initial snapshot decides the size. Production is never to run out; val has the least traffic
# and must start all the same; main is also what branches get.
_MAIN: Final = EnvironmentConfig(
    task_cpu=1024,
    task_memory=3072,
    connect_container_cpu=640,
    connect_container_memory=2560,
    metrics_container_cpu=128,
    metrics_container_memory=256,
    heap=1792,
    log_days=30,
    lag_seconds=1800,
)
_VAL: Final = EnvironmentConfig(
    task_cpu=1024,
    task_memory=3072,
    connect_container_cpu=640,
    connect_container_memory=2560,
    metrics_container_cpu=128,
    metrics_container_memory=256,
    heap=1792,
    log_days=365,
    lag_seconds=1800,
)
_PRODUCTION: Final = EnvironmentConfig(
    task_cpu=2048,
    task_memory=6144,
    connect_container_cpu=1536,
    connect_container_memory=4608,
    controller_container_cpu=256,
    controller_container_memory=512,
    metrics_container_cpu=128,
    metrics_container_memory=512,
    heap=3328,
    log_days=365,
    lag_seconds=600,
)
ENVIRONMENT_CONFIGS: Final[Mapping[str, EnvironmentConfig]] = {
    "main": _MAIN,
    "val": _VAL,
    "production": _PRODUCTION,
}


@dataclass(frozen=True, slots=True)
class VpcConfig:
    vpc_id: str
    data_subnets: tuple[str, ...] = ()
    private_subnets: tuple[str, ...] = ()
    public_subnets: tuple[str, ...] = ()

    @property
    def task_subnets(self) -> tuple[str, ...]:
        """Where tasks run; never in a public subnet."""
        return self.data_subnets or self.private_subnets


@dataclass(frozen=True, slots=True)
class OracleAddress:
    cidr: str
    port: int = 1521
    security_group: str | None = None  # the database's own, where the stack may let itself in


@dataclass(frozen=True, slots=True)
class ImageConfig:
    """An image by digest: a tag can change under a running stage."""

    repository: str
    digest: str


@dataclass(frozen=True, slots=True)
class DeploymentConfig:
    """What of the account the stacks attach to: the secret `deployment`."""

    msk_cluster_arn: str
    msk_security_group: str
    kafka_security: str
    oracle: tuple[OracleAddress, ...]
    ingress: str  # who lets the tasks in at brokers and database: `stack` or `platform`
    endpoint_security_groups: tuple[str, ...]
    gateway_prefix_lists: tuple[str, ...]
    controller_image: ImageConfig
    connect_image: ImageConfig
    secret_key_arns: tuple[str, ...] = ()  # keys of one's own that secrets are encrypted with
    metrics_image: str | None = None  # the ADOT collector, by digest
    metrics_workspace_arn: str | None = None
    scrape_security_group: str | None = None  # a Prometheus that comes for /metrics itself


@dataclass(frozen=True, slots=True)
class SourceOfDeploy:
    """Whose stage this is: two branches can spell the same stage."""

    repository: str
    branch: str


@dataclass(frozen=True, slots=True)
class FullEnvironmentConfig:
    """All that the stacks are made of."""

    stage: Stage
    account: str
    region: str
    sizes: EnvironmentConfig
    vpc: VpcConfig
    iam_path: str
    iam_permissions_boundary: str
    alert_emails: tuple[str, ...]
    deployment: DeploymentConfig
    source: SourceOfDeploy
    secret_prefix: str = "wms"  # noqa: S105 - a path
    rollback: bool = True  # off for a step over a Debezium minor version: deployed, not started


@dataclass(frozen=True, slots=True)
class EnvironmentSecrets:
    vpc: VpcConfig
    iam_path: str
    iam_permissions_boundary: str
    alert_emails: tuple[str, ...]
    deployment: Mapping[str, Any] = field(repr=False)


def parse_stage(text: str | None) -> Stage:
    """Read the stage that was asked for; a missing one is told how to give it."""
    try:
        return Stage.parse(text)
    except RefusedStage as refused:
        hint = "give it as `make synth STAGE=main`, or `cdk synth -c stage=main`"
        raise BadConfig(f"{refused}; {hint}" if not text else str(refused)) from refused


def get_environment_config(stage: Stage) -> EnvironmentConfig:
    """Give a stage its sizes; a branch is sized like main."""
    return ENVIRONMENT_CONFIGS.get(stage.name, _MAIN)


def get_secret_with_fallback(source: SecretSource, paths: tuple[str, str]) -> str:
    """Read the stage's own secret; the fallback only where the first does not exist.

    Any other failure raises: a stage that silently takes the default is deployed to the wrong
    place.
    """
    for path in paths:
        text = source.read(path)
        if text is not None:
            return text
    raise BadConfig(f"neither secret {paths[0]} nor {paths[1]} exists: create one of them")


def load_environment_secrets(source: SecretSource, paths: SecretPaths) -> EnvironmentSecrets:
    """Read what says where to deploy; no credential is among it."""
    return EnvironmentSecrets(
        vpc=_read_vpc(paths.vpc, get_secret_with_fallback(source, paths.vpc)),
        iam_path=_match(
            paths.iam_path, get_secret_with_fallback(source, paths.iam_path), r"/([\w.,+@=-]+/)*"
        ),
        iam_permissions_boundary=_match(
            paths.iam_permissions_boundary,
            get_secret_with_fallback(source, paths.iam_permissions_boundary),
            r"arn:aws[\w-]*:iam::(\d{12}|aws):policy/[\w+=,.@/-]+",
        ),
        alert_emails=_read_emails(
            paths.alert_emails, get_secret_with_fallback(source, paths.alert_emails)
        ),
        deployment=_read_object(
            paths.deployment, get_secret_with_fallback(source, paths.deployment)
        ),
    )


def get_full_environment_config(
    stage: Stage,
    source: SecretSource,
    *,
    account: str,
    region: str,
    digests: Mapping[str, str],
    deploy: SourceOfDeploy,
    rollback: bool = True,
    secret_prefix: str = "wms",  # noqa: S107 - a path
) -> FullEnvironmentConfig:
    """Put sizes, secrets and what this deploy is of together, checked as a whole."""
    paths = SecretPaths(stage, secret_prefix)
    secrets = load_environment_secrets(source, paths)
    _require(r"\d{12}", account, "the account", "give the twelve digits of the AWS account")
    _require(r"[a-z]{2}(-[a-z]+)+-\d", region, "the region", "name an AWS region")
    return FullEnvironmentConfig(
        stage=stage,
        account=account,
        region=region,
        sizes=get_environment_config(stage),
        vpc=secrets.vpc,
        iam_path=secrets.iam_path,
        iam_permissions_boundary=secrets.iam_permissions_boundary,
        alert_emails=secrets.alert_emails,
        deployment=_read_deployment(paths.deployment, secrets.deployment, digests),
        source=deploy,
        secret_prefix=secret_prefix,
        rollback=rollback,
    )


# --- checks -----------------------------------------------------------------------------------


def _require(pattern: str, text: object, what: str, remedy: str) -> str:
    if not isinstance(text, str) or not re.fullmatch(pattern, text, re.ASCII):
        raise BadConfig(f"{what} is not usable: {remedy}")
    return text


def _match(paths: tuple[str, str], text: str, pattern: str) -> str:
    return _require(pattern, text.strip(), f"secret {_names(paths)}", f"it must match {pattern}")


def _names(paths: tuple[str, str]) -> str:
    return " or ".join(paths)


def _read_object(paths: tuple[str, str], text: str) -> Mapping[str, Any]:
    try:
        value = json.loads(text)
    except ValueError as error:
        raise BadConfig(f"secret {_names(paths)} is no JSON: write an object") from error
    if not isinstance(value, dict):
        raise BadConfig(f"secret {_names(paths)} is no JSON object: write one")
    return value


def _texts(paths: tuple[str, str], key: str, value: object, pattern: str) -> tuple[str, ...]:
    if not isinstance(value, list):
        raise BadConfig(f"secret {_names(paths)}: {key} must be a list")
    what = f"secret {_names(paths)}: an entry of {key}"
    return tuple(_require(pattern, item, what, f"it must match {pattern}") for item in value)


def _read_vpc(paths: tuple[str, str], text: str) -> VpcConfig:
    value = _read_object(paths, text)
    subnets = {
        key: _texts(paths, key, value.get(key, []), r"subnet-[0-9a-f]{8,17}")
        for key in ("dataSubnets", "privateSubnets", "publicSubnets")
    }
    vpc = VpcConfig(
        _require(
            r"vpc-[0-9a-f]{8,17}", value.get("id"), f"secret {_names(paths)}: id", "name a VPC"
        ),
        *subnets.values(),
    )
    if not vpc.task_subnets:
        raise BadConfig(
            f"secret {_names(paths)} has neither dataSubnets nor privateSubnets: "
            "tasks never run in a public subnet"
        )
    return vpc


def _read_emails(paths: tuple[str, str], text: str) -> tuple[str, ...]:
    given = _read_object(paths, text).get("emails")
    trimmed = [item.strip() if isinstance(item, str) else item for item in given or ()]
    emails = dict.fromkeys(_texts(paths, "emails", trimmed, r"[^@\s]+@[^@\s]+"))
    if not emails:
        raise BadConfig(f"secret {_names(paths)} names nobody: an alarm must reach a person")
    return tuple(emails)


def _read_deployment(
    paths: tuple[str, str], value: Mapping[str, Any], digests: Mapping[str, str]
) -> DeploymentConfig:
    group, name = SECURITY_GROUP, f"secret {_names(paths)}"

    def text(key: str, pattern: str, remedy: str) -> str:
        return _require(pattern, value.get(key), f"{name}: {key}", remedy)

    def optional(key: str, pattern: str, remedy: str) -> str | None:
        return text(key, pattern, remedy) if value.get(key) is not None else None

    return DeploymentConfig(
        msk_cluster_arn=text(
            "mskClusterArn",
            r"arn:aws[\w-]*:kafka:[\w-]+:\d{12}:cluster/[\w-]+/[\w-]+",
            "give the cluster's whole ARN",
        ),
        msk_security_group=text("mskSecurityGroup", group, "name the brokers' security group"),
        kafka_security=text("kafkaSecurity", "|".join(KAFKA_PORTS), "write tls, scram or iam"),
        oracle=_read_oracle(name, value.get("oracle")),
        ingress=_require(
            "|".join(INGRESS),
            value.get("ingress", "stack"),
            f"{name}: ingress",
            "write stack, or platform where only the platform may change the brokers' group",
        ),
        endpoint_security_groups=_some(
            _texts(paths, "endpointSecurityGroups", value.get("endpointSecurityGroups", []), group),
            f"{name}: endpointSecurityGroups is empty: a task reaches AWS through "
            "VPC endpoints only",
        ),
        gateway_prefix_lists=_texts(
            paths, "gatewayPrefixLists", value.get("gatewayPrefixLists", []), r"pl-[0-9a-f]{8,17}"
        ),
        controller_image=_read_image(name, value, digests, "controller"),
        connect_image=_read_image(name, value, digests, "connect"),
        secret_key_arns=_texts(
            paths,
            "secretKeyArns",
            value.get("secretKeyArns", []),
            r"arn:aws[\w-]*:kms:[\w-]+:\d{12}:key/[\w-]+",
        ),
        metrics_image=optional(
            "metricsImage", r"[\w./-]+(:[\w.-]+)?@sha256:[0-9a-f]{64}", "name it by digest"
        ),
        metrics_workspace_arn=optional(
            "metricsWorkspaceArn",
            r"arn:aws[\w-]*:aps:[\w-]+:\d{12}:workspace/[\w-]+",
            "give the workspace's ARN",
        ),
        scrape_security_group=optional("scrapeSecurityGroup", group, "name a security group"),
    )


def _some(found: tuple[str, ...], message: str) -> tuple[str, ...]:
    if not found:
        raise BadConfig(message)
    return found


def _read_oracle(name: str, value: object) -> tuple[OracleAddress, ...]:
    if not isinstance(value, list) or not value:
        raise BadConfig(f"{name}: oracle must list at least one object with cidr")
    return tuple(_read_oracle_address(name, item) for item in value)


def _read_oracle_address(name: str, item: object) -> OracleAddress:
    given = item if isinstance(item, dict) else {}
    octet = r"(25[0-5]|2[0-4]\d|1?\d?\d)"
    cidr = _require(
        rf"({octet}\.){{3}}{octet}/(1[6-9]|2\d|3[0-2])",
        given.get("cidr"),
        f"{name}: oracle.cidr",
        "name the database's network, /16 or smaller",
    )
    port = given.get("port", 1521)
    if type(port) is not int or not 1024 <= port <= 65535:
        raise BadConfig(f"{name}: oracle.port is no port: write a number")
    group = given.get("securityGroup")
    if group is not None:
        _require(SECURITY_GROUP, group, f"{name}: oracle.securityGroup", "name a security group")
    return OracleAddress(cidr, port, group)


def _read_image(
    name: str, value: Mapping[str, Any], digests: Mapping[str, str], which: str
) -> ImageConfig:
    images = value.get("images")
    return ImageConfig(
        _require(
            r"[a-z0-9][a-z0-9/_.-]{1,255}",
            images.get(which) if isinstance(images, dict) else None,
            f"{name}: images.{which}",
            "name the ECR repository",
        ),
        _require(
            r"sha256:[0-9a-f]{64}",
            digests.get(which),
            f"the digest of image {which}",
            f"give it as `-c {which}=sha256:...`; tags are not taken",
        ),
    )
