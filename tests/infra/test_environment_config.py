from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.config import Config

from controller.core.stage import NAMED, Stage
from infra_cdk.environment_config import (
    ENVIRONMENT_CONFIGS,
    FARGATE_SIZES,
    BadConfig,
    EnvironmentConfig,
    FullEnvironmentConfig,
    SecretPaths,
    SourceOfDeploy,
    get_environment_config,
    get_full_environment_config,
    get_secret_with_fallback,
    parse_stage,
)
from infra_cdk.secret_source import (
    FileSecrets,
    SecretsManagerSecrets,
    UnreadableSecret,
    read_config_file,
)
from tests.infra.conftest import PASSWORD, example
from tests.manifest_texts import read, real_manifests
from tests.tables import aws_client


class Recording(FileSecrets):
    def __init__(self, secrets: dict[str, Any]) -> None:
        super().__init__(secrets)
        self.reads: list[str] = []

    def read(self, path: str) -> str | None:
        self.reads.append(path)
        return super().read(path)


def full(stage: str = "main", **changes: Any) -> FullEnvironmentConfig:
    config = example()
    for path, value in changes.pop("secrets", {}).items():
        config["secrets"][path] = value
    for path in changes.pop("without", ()):
        del config["secrets"][path]
    for key, value in changes.pop("deployment", {}).items():
        config["secrets"]["wms/default/deployment"][key] = value
    arguments = {
        "account": config["account"],
        "region": "us-east-1",
        "digests": config["images"],
        "deploy": SourceOfDeploy("example/wms", stage),
    }
    return get_full_environment_config(
        Stage(stage), FileSecrets(config["secrets"]), **(arguments | changes)
    )


# --- stage and sizes ----------------------------------------------------------------------------


def test_a_missing_stage_is_told_how_to_be_given() -> None:
    for nothing in (None, ""):
        with pytest.raises(BadConfig, match="make synth STAGE=main"):
            parse_stage(nothing)


@pytest.mark.parametrize("text", ["Main", "main ", "prod", "wms", "a.b", "feat_x", "-x", "x" * 32])
def test_a_stage_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(BadConfig):
        parse_stage(text)


def test_a_branch_is_sized_like_main() -> None:
    assert get_environment_config(Stage("feat-x")) == ENVIRONMENT_CONFIGS["main"]


def test_sizes_are_where_the_reference_left_them() -> None:
    sizes = {
        stage: (c.task_cpu, c.task_memory, c.connect_container_memory)
        for stage, c in ENVIRONMENT_CONFIGS.items()
    }
    assert sizes == {
        "main": (1024, 3072, 2560),
        "val": (1024, 3072, 2560),
        "production": (2048, 6144, 4608),
    }


def changed(**changes: int) -> EnvironmentConfig:
    return replace(ENVIRONMENT_CONFIGS["main"], **changes)


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"task_memory": 3000}, "Fargate has no task of 1024 CPU units with 3000 MiB"),
        ({"task_cpu": 1000}, "Fargate has no task of 1000"),
        ({"task_cpu": 512, "task_memory": 3072}, "the containers want 896 CPU units of 512"),
        ({"connect_container_memory": 2816}, "the containers want 3328 MiB of 3072"),
        ({"connect_container_cpu": 1024}, "the containers want 1280 CPU units of 1024"),
        ({"metrics_container_memory": 257}, "the containers want 3073 MiB"),
        ({"heap": 1921}, "at most 1920"),
        ({"controller_container_memory": 128}, "the controller needs"),
        ({"controller_container_cpu": 64}, "the controller needs"),
        ({"workers": 0}, "at least one worker"),
    ],
)
def test_sizes_that_cannot_run_are_refused(changes: dict[str, int], complaint: str) -> None:
    with pytest.raises(BadConfig, match=complaint):
        changed(**changes)


def test_a_heap_of_three_quarters_is_taken() -> None:
    assert changed(heap=1920).heap == 1920


def test_every_stage_leaves_room_beside_the_worker() -> None:
    for sizes in ENVIRONMENT_CONFIGS.values():
        assert sizes.task_memory in FARGATE_SIZES[sizes.task_cpu]
        assert sizes.containers_memory <= sizes.task_memory
        assert sizes.heap <= 0.75 * sizes.connect_container_memory


# --- secrets ------------------------------------------------------------------------------------


def test_secrets_are_looked_for_under_the_stage_then_under_default() -> None:
    paths = SecretPaths(Stage("feat-x"))
    assert paths.vpc == ("wms/feat-x/vpc", "wms/default/vpc")
    assert paths.iam_permissions_boundary == (
        "wms/feat-x/iam/permissionsBoundary",
        "wms/default/iam/permissionsBoundary",
    )
    brokers = ("wms/feat-x/brokerString", "wms/default/brokerString")
    login = ("wms/feat-x/kafkaLogin", "wms/default/kafkaLogin")
    database = ("wms/feat-x/dbInfo", "wms/default/dbInfo")
    for security in ("tls", "iam"):
        assert paths.read_at_run_time(security) == (*brokers, *database)
    assert paths.read_at_run_time("scram") == (*brokers, *login, *database)
    assert paths.to_reach_brokers("scram") == (*brokers, *login)
    assert SecretPaths(Stage("val"), "mmdl").deployment[0] == "mmdl/val/deployment"


def unreadable(text: str, name: str) -> set[str]:
    """Name what a stage's manifests want and its task may not read."""
    stage = Stage(name)
    files = {**real_manifests(), "base/connector.yaml": text}
    revision = read(files, stage, stage.default_overlay).revision
    scram = any(
        "ScramLoginModule" in str(config)
        for one in revision.connectors
        for config in one.config.values()
    )
    paths = SecretPaths(stage)
    granted = set(paths.read_at_run_time("scram" if scram else "iam"))
    return {one for one in revision.secret_names() if not set(paths.both(one)) <= granted}


CONNECTOR = real_manifests()["base/connector.yaml"]


@pytest.mark.parametrize("stage", [*NAMED, "feat-x"])
def test_the_task_may_read_every_secret_that_its_manifests_name(stage: str) -> None:
    assert "${secret:dbInfo:password}" in CONNECTOR
    assert unreadable(CONNECTOR, stage) == set()


def test_a_manifest_that_names_another_secret_is_found() -> None:
    other = CONNECTOR.replace("${secret:dbInfo:password}", "${secret:dbLogin:password}")
    assert unreadable(other, "main") == {"dbLogin"}


def test_the_stages_own_secret_wins() -> None:
    source = FileSecrets({"wms/val/x": "own", "wms/default/x": "shared"})
    assert get_secret_with_fallback(source, ("wms/val/x", "wms/default/x")) == "own"


def test_a_secret_that_is_nowhere_names_both_places() -> None:
    with pytest.raises(BadConfig, match="wms/val/x nor wms/default/x"):
        get_secret_with_fallback(FileSecrets({}), ("wms/val/x", "wms/default/x"))


def test_a_credential_is_never_read() -> None:
    source = Recording(example()["secrets"])
    get_full_environment_config(
        Stage("main"),
        source,
        account="111122223333",
        region="us-east-1",
        digests=example()["images"],
        deploy=SourceOfDeploy("a/b", "main"),
    )
    assert source.reads
    assert not [path for path in source.reads if path.endswith(("brokerString", "dbInfo"))]


def test_a_config_prints_no_secret() -> None:
    assert PASSWORD not in repr(full())


@pytest.fixture(scope="module")
def aws(aws_server: str) -> Any:
    return aws_client("secretsmanager", aws_server)


PATHS = ("wms/val/thing", "wms/default/thing")


def test_only_a_secret_that_does_not_exist_gives_way_to_the_default(aws: Any) -> None:
    aws.create_secret(Name="wms/default/thing", SecretString="shared")
    source = SecretsManagerSecrets(lambda: aws)
    assert get_secret_with_fallback(source, PATHS) == "shared"


def test_a_secret_that_is_to_be_deleted_gives_way_to_nothing(aws: Any) -> None:
    aws.create_secret(Name="wms/deleted/thing", SecretString="own")
    aws.delete_secret(SecretId="wms/deleted/thing")
    source = SecretsManagerSecrets(lambda: aws)
    with pytest.raises(UnreadableSecret, match=r"wms/deleted/thing .*InvalidRequest"):
        get_secret_with_fallback(source, ("wms/deleted/thing", "wms/default/thing"))


def test_a_secret_without_a_value_gives_way_to_nothing(aws: Any) -> None:
    aws.create_secret(Name="wms/empty/thing")
    source = SecretsManagerSecrets(lambda: aws)
    with pytest.raises(UnreadableSecret, match="wms/empty/thing"):
        get_secret_with_fallback(source, ("wms/empty/thing", "wms/default/thing"))


def test_bytes_are_no_text(aws: Any) -> None:
    aws.create_secret(Name="wms/binary/thing", SecretBinary=b"x")
    with pytest.raises(UnreadableSecret, match="holds no text"):
        SecretsManagerSecrets(lambda: aws).read("wms/binary/thing")


def test_an_aws_that_does_not_answer_gives_way_to_nothing() -> None:
    client: Any = boto3.client(
        "secretsmanager",
        region_name="us-east-1",
        endpoint_url="http://127.0.0.1:9",
        aws_access_key_id="test",
        aws_secret_access_key="test",
        config=Config(retries={"total_max_attempts": 1}),
    )
    with pytest.raises(UnreadableSecret, match="EndpointConnectionError"):
        SecretsManagerSecrets(lambda: client).read("wms/main/vpc")


def test_a_config_file_that_is_none_is_told(tmp_path: Path) -> None:
    with pytest.raises(UnreadableSecret, match="not readable"):
        read_config_file(tmp_path / "nowhere.json")
    (tmp_path / "list.json").write_text("[]")
    with pytest.raises(UnreadableSecret, match="no JSON object"):
        read_config_file(tmp_path / "list.json")


# --- what the secrets say -----------------------------------------------------------------------


def test_tasks_run_in_data_subnets_else_in_private_ones_and_never_in_public_ones() -> None:
    vpc = {"id": "vpc-0a0a0a0a", "publicSubnets": ["subnet-0c0c0c0c"]}
    private = {**vpc, "privateSubnets": ["subnet-0b0b0b0b"]}
    assert full(secrets={"wms/main/vpc": private}).vpc.task_subnets == ("subnet-0b0b0b0b",)
    with pytest.raises(BadConfig, match="never run in a public subnet"):
        full(secrets={"wms/main/vpc": vpc})


@pytest.mark.parametrize(
    ("path", "value", "complaint"),
    [
        ("vpc", "no json", "is no JSON"),
        ("vpc", "[]", "is no JSON object"),
        ("vpc", {"id": "vpc-x", "dataSubnets": []}, "name a VPC"),
        ("vpc", {"id": "vpc-0a0a0a0a", "dataSubnets": "subnet-0a0a0a0a"}, "must be a list"),
        ("vpc", {"id": "vpc-0a0a0a0a", "dataSubnets": ["*"]}, "dataSubnets"),
        ("iam/path", "developer", "must match"),
        ("iam/permissionsBoundary", "AdministratorAccess", "must match"),
        ("alertEmails", {"emails": []}, "names nobody"),
        ("alertEmails", {"emails": ["nobody"]}, "emails"),
        ("alertEmails", {}, "names nobody"),
    ],
)
def test_a_secret_that_says_nonsense_is_told_by_name(
    path: str, value: object, complaint: str
) -> None:
    with pytest.raises(BadConfig, match=complaint) as raised:
        full(secrets={f"wms/main/{path}": value})
    assert f"wms/main/{path}" in str(raised.value)


def test_people_are_told_once_each() -> None:
    emails = {"emails": [" a@example.com", "b@example.com ", "a@example.com"]}
    config = full(secrets={"wms/main/alertEmails": emails})
    assert config.alert_emails == ("a@example.com", "b@example.com")


@pytest.mark.parametrize(
    ("key", "value", "complaint"),
    [
        ("mskClusterArn", "bigmac", "whole ARN"),
        ("mskClusterArn", "arn:aws:kafka:us-east-1:111122223333:cluster/*/*", "whole ARN"),
        ("mskSecurityGroup", None, "security group"),
        ("kafkaSecurity", "plaintext", "write tls, scram or iam"),
        ("oracle", [], "at least one"),
        ("oracle", [{"cidr": "0.0.0.0/0"}], "/16 or smaller"),
        ("oracle", [{"cidr": "10.0.0.0/8"}], "/16 or smaller"),
        ("oracle", [{"cidr": "10.0.0.999/32"}], "/16 or smaller"),
        ("oracle", [{"cidr": "10.0.0.1/32", "port": "1521"}], "no port"),
        ("oracle", [{"cidr": "10.0.0.1/32", "port": True}], "no port"),
        ("oracle", ["10.0.0.1/32"], "/16 or smaller"),
        ("oracle", [{"cidr": "10.0.0.1/32", "securityGroup": "0.0.0.0/0"}], "securityGroup"),
        ("ingress", "nobody", "write stack, or platform"),
        ("ingress", None, "write stack, or platform"),
        ("endpointSecurityGroups", [], "VPC endpoints only"),
        ("endpointSecurityGroups", ["0.0.0.0/0"], "endpointSecurityGroups"),
        ("gatewayPrefixLists", ["*"], "gatewayPrefixLists"),
        ("images", {}, "ECR repository"),
        ("images", None, "ECR repository"),
        ("metricsImage", "otel/collector:latest", "by digest"),
        ("secretKeyArns", ["*"], "secretKeyArns"),
    ],
)
def test_a_deployment_that_would_open_too_much_or_too_little_is_refused(
    key: str, value: object, complaint: str
) -> None:
    with pytest.raises(BadConfig, match=complaint):
        full(deployment={key: value})


@pytest.mark.parametrize("digest", [None, "latest", "sha256:abc", f"SHA256:{'a' * 64}"])
def test_an_image_by_tag_is_refused(digest: str | None) -> None:
    digests = dict(example()["images"])
    if digest is None:
        del digests["connect"]
    else:
        digests["connect"] = digest
    with pytest.raises(BadConfig, match="tags are not taken"):
        full(digests=digests)


@pytest.mark.parametrize("account", ["", "1", "11112222333a", "1111222233334"])
def test_an_account_is_twelve_digits(account: str) -> None:
    with pytest.raises(BadConfig, match="twelve digits"):
        full(account=account)


def test_a_region_is_one() -> None:
    with pytest.raises(BadConfig, match="name an AWS region"):
        full(region="us_east_1")


def test_the_example_says_all_that_there_is_to_say() -> None:
    assert full().deployment.oracle[0].port == 1521
    assert json.dumps(example()).count(PASSWORD) == 1
