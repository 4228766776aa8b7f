from __future__ import annotations

import json
import re
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from controller.core.aws_names import AwsNames
from controller.core.guards import own_name, protected_name
from controller.core.stage import NAMED, Stage
from infra_cdk.boundary import platform_denials
from infra_cdk.kafka_rights import owned_topics
from tests.infra.conftest import Synthesized
from tests.infra.template import (
    all_statements,
    allows,
    delete_rights,
    flat,
    many,
    open_egress,
    resources,
    rules,
    statements_of,
    ungoverned,
)

ROOT = Path(__file__).parents[2]
PATH = "/delegatedadmin/developer/"
BOUNDARY = "arn:aws:iam::111122223333:policy/cms-cloud-admin/developer-boundary-policy"
CLUSTER = "bigmac/0a0a0a0a-0b0b-0c0c-0d0d-0e0e0e0e0e0e-1"
TOPIC = f"arn:aws:kafka:us-east-1:111122223333:topic/{CLUSTER}"
SECRET = "arn:aws:secretsmanager:us-east-1:111122223333:secret"
DELETE = "kafka-cluster:DeleteTopic"
TOPICS = (
    "wms",
    "wms.WMS.PLAN_BASE_WVR_TBL",
    "wms.schema-changes",
    "wms.schema-changes.main",
    "mgmt.connect.wms-connector-main.config",
    "mgmt.connect.wms-connector-val.offsets",
    "mgmt.connect.wms-connector-production.status",
    "mgmt.connect.wms-connector-feat-x.config",
    "mgmt.connect.wms-connector-feat-x.offsets",
    "mgmt.connect.wms-connector-feat-x.status",
    "mgmt.connect.wms-connector-feat-x-2.config",
    "mgmt.connect.wms-connector-feat-x.configs",
    "__debezium-heartbeat.wms",
    "__debezium-heartbeat.feat-x.wms",
    "__debezium-heartbeat.feat-x-2.wms",
    "__consumer_offsets",
    "feat-x",
    "feat-x.wms",
    "feat-x.wms.WMS.PLAN_BASE_WVR_TBL",
    "feat-x.wms.schema-changes",
    "feat-x.wmsx",
    "feat-x.other",
    "feat-x-2.wms.WMS.T",
    "feat-xwms.T",
    "aws.appian.cdc",
)


def rights(made: Synthesized, purpose: str) -> list[Any]:
    return statements_of(made.connector, f"wms-connector-{made.stage}-{purpose}")


def role_names(made: Synthesized) -> set[str]:
    return {p["RoleName"] for p in resources(made.connector, "AWS::IAM::Role").values()}


# --- path and boundary --------------------------------------------------------------------------


def test_every_principal_has_path_and_boundary(made: Synthesized) -> None:
    assert ungoverned(made.connector, PATH, BOUNDARY) == []
    assert ungoverned(made.alerts, PATH, BOUNDARY) == []


def test_there_are_roles_to_govern(made: Synthesized) -> None:
    assert len(role_names(made)) == (4 if made.stage == "feat-x" else 2)


def test_a_role_without_boundary_is_found(made: Synthesized) -> None:
    for name in resources(made.connector, "AWS::IAM::Role"):
        template = deepcopy(dict(made.connector))
        del template["Resources"][name]["Properties"]["PermissionsBoundary"]
        assert ungoverned(template, PATH, BOUNDARY) == [name]


def test_a_role_made_by_the_cdk_itself_is_governed_too() -> None:
    import aws_cdk as cdk
    from aws_cdk import aws_s3 as s3
    from aws_cdk.assertions import Template

    from infra_cdk.governance import IamGovernance

    stack = cdk.Stack(cdk.App())
    s3.Bucket(stack, "B", auto_delete_objects=True, removal_policy=cdk.RemovalPolicy.DESTROY)
    cdk.Aspects.of(stack).add(IamGovernance(PATH, BOUNDARY))
    template = Template.from_stack(stack).to_json()
    assert resources(template, "AWS::IAM::Role")
    assert ungoverned(template, PATH, BOUNDARY) == []


# --- topics -------------------------------------------------------------------------------------


def test_nobody_of_a_named_stage_may_delete_a_topic(named: Synthesized) -> None:
    assert delete_rights(named.connector) == []


def test_of_a_branch_only_the_teardown_may_delete_a_topic(branch: Synthesized) -> None:
    [right] = delete_rights(branch.connector)
    assert right in rights(branch, "teardown")


@pytest.mark.parametrize("action", ["kafka-cluster:Delete*", "kafka:DeleteTopic", "*", DELETE])
def test_a_right_to_delete_is_found(made: Synthesized, action: str) -> None:
    before = len(delete_rights(made.connector))
    for policy in resources(made.connector, "AWS::IAM::ManagedPolicy"):
        template = deepcopy(dict(made.connector))
        template["Resources"][policy]["Properties"]["PolicyDocument"]["Statement"].append(
            {"Effect": "Allow", "Action": action, "Resource": "*"}
        )
        assert len(delete_rights(template)) == before + 1


@pytest.mark.parametrize("action", [DELETE, "kafka:DeleteTopic"])
def test_the_task_is_denied_deletion_whatever_else_it_were_given(
    made: Synthesized, action: str
) -> None:
    granted = {"Effect": "Allow", "Action": "*", "Resource": "*"}
    statements = [*rights(made, "task"), granted]
    assert [t for t in TOPICS if allows(statements, action, f"{TOPIC}/{t}")] == []


def test_the_task_writes_to_its_own_topics_only(made: Synthesized) -> None:
    stage = Stage(made.stage)
    statements = rights(made, "task")
    for action in ("WriteData", "ReadData", "CreateTopic", "AlterTopicDynamicConfiguration"):
        writable = {
            t for t in TOPICS if allows(statements, f"kafka-cluster:{action}", f"{TOPIC}/{t}")
        }
        assert writable == {t for t in TOPICS if own_name(stage, t)}


def test_a_named_stage_sees_whether_another_shares_its_cluster(named: Synthesized) -> None:
    seen = {
        other.name: allows(
            rights(named, "task"),
            "kafka-cluster:DescribeTopic",
            f"{TOPIC}/{other.connect_topics['offsets']}",
        )
        for other in Stage(named.stage).other_named_stages()
    }
    assert list(seen.values()) == [True, True]


def test_the_group_is_the_stages_own(made: Synthesized) -> None:
    group = f"arn:aws:kafka:us-east-1:111122223333:group/{CLUSTER}/mgmt.connect.wms-connector"
    statements = rights(made, "task")
    for other in ("main", "val", "production", "feat-x", "feat-x-2"):
        allowed = allows(statements, "kafka-cluster:AlterGroup", f"{group}-{other}")
        assert allowed == (other == made.stage)


def test_the_teardown_deletes_what_the_guards_let_it(branch: Synthesized) -> None:
    statements = rights(branch, "teardown")
    stage = Stage("feat-x")
    deletable = {t for t in TOPICS if allows(statements, DELETE, f"{TOPIC}/{t}")}
    assert deletable == {t for t in TOPICS if own_name(stage, t) and not protected_name(t)}


@settings(deadline=None)
@given(
    st.lists(
        st.sampled_from(
            ["feat-x", "feat", "-2", ".", "wms", "mgmt.connect.wms-connector-", "offsets", "main",
             "__debezium-heartbeat.", "T", "schema-changes", "*", "?"]
        ),
        min_size=1,
        max_size=7,
    ).map("".join)
)  # fmt: skip
def test_iam_never_lets_a_teardown_delete_more_than_the_guards_do(topic: str) -> None:
    from infra_cdk.kafka_rights import teardown_statements

    arn = f"arn:aws:kafka:us-east-1:111122223333:cluster/{CLUSTER}"
    statements = [s.to_json() for s in _cached(arn, teardown_statements)]
    if allows(statements, DELETE, f"{TOPIC}/{topic}") and not set(topic) & set("*?"):
        assert own_name(Stage("feat-x"), topic)
        assert not protected_name(topic)


_STATEMENTS: dict[str, Any] = {}


def _cached(arn: str, make: Any) -> Any:
    if arn not in _STATEMENTS:
        _STATEMENTS[arn] = make(arn, Stage("feat-x"))
    return _STATEMENTS[arn]


def test_the_teardown_is_denied_all_other_topics_whatever_it_were_given(
    branch: Synthesized,
) -> None:
    statements = [
        *rights(branch, "teardown"),
        {"Effect": "Allow", "Action": "*", "Resource": "*"},
    ]
    deletable = {t for t in TOPICS if allows(statements, DELETE, f"{TOPIC}/{t}")}
    assert deletable == {t for t in TOPICS if own_name(Stage("feat-x"), t)}


def test_the_teardown_sees_every_name(branch: Synthesized) -> None:
    statements = rights(branch, "teardown")
    for topic in TOPICS:
        assert allows(statements, "kafka-cluster:DescribeTopic", f"{TOPIC}/{topic}")
        assert not allows(statements, "kafka-cluster:ReadData", f"{TOPIC}/{topic}")
        assert not allows(statements, "kafka-cluster:WriteData", f"{TOPIC}/{topic}")


def test_a_named_stage_has_nothing_of_a_teardown(named: Synthesized) -> None:
    kinds = {resource["Type"] for resource in named.connector["Resources"].values()}
    assert not kinds & {"AWS::Lambda::Function", "Custom::WmsTeardown"}
    assert not any("teardown" in name for name in role_names(named))
    assert len(resources(named.connector, "AWS::ECS::TaskDefinition")) == 1
    assert "eardown" not in str(named.connector)


def test_no_teardown_can_be_made_for_a_named_stage() -> None:
    from infra_cdk.kafka_rights import teardown_statements

    for name in ("main", "val", "production"):
        with pytest.raises(ValueError, match="nothing of it is ever deleted"):
            teardown_statements("arn:aws:kafka:r:1:cluster/a/b", Stage(name))


# --- secrets ------------------------------------------------------------------------------------


def test_the_task_reads_the_secrets_of_its_stage_and_default_only(made: Synthesized) -> None:
    statements = rights(made, "task")
    stages = ("main", "val", "production", "feat-x", "feat-x-2", "default")
    readable = {
        f"{stage}/{name}"
        for stage in stages
        for name in ("brokerString", "dbInfo", "dbInfoOld", "vpc", "alertEmails")
        if allows(
            statements, "secretsmanager:GetSecretValue", f"{SECRET}:wms/{stage}/{name}-a1B2c3"
        )
    }
    assert readable == {
        f"{stage}/{name}"
        for stage in (made.stage, "default")
        for name in ("brokerString", "dbInfo")
    }


def test_the_teardown_reads_no_database_login(branch: Synthesized) -> None:
    statements = rights(branch, "teardown")
    for stage in ("feat-x", "default"):
        arn = f"{SECRET}:wms/{stage}"
        assert allows(statements, "secretsmanager:GetSecretValue", f"{arn}/brokerString-a1B2c3")
        assert not allows(statements, "secretsmanager:GetSecretValue", f"{arn}/dbInfo-a1B2c3")


def test_only_brokers_that_want_a_login_make_it_readable(
    scram: Synthesized, branch: Synthesized
) -> None:
    for role in ("task", "teardown"):
        for made, may in ((scram, True), (branch, False)):
            arn = f"{SECRET}:wms/{made.stage}/kafkaLogin-a1B2c3"
            statements = rights(made, role)
            assert allows(statements, "secretsmanager:GetSecretValue", arn) is may


def test_what_starts_tasks_reads_no_secret(made: Synthesized) -> None:
    statements = rights(made, "execution")
    arn = f"{SECRET}:wms/{made.stage}/dbInfo-a1B2c3"
    assert not allows(statements, "secretsmanager:GetSecretValue", arn)


def test_keys_of_secrets_are_used_through_secrets_manager_only(rich: Synthesized) -> None:
    [statement] = [s for s in rights(rich, "task") if s["Sid"] == "DecryptSecrets"]
    assert statement["Action"] == "kms:Decrypt"
    assert statement["Condition"]["StringEquals"] == {
        "kms:ViaService": "secretsmanager.us-east-1.amazonaws.com"
    }


# --- everything else ----------------------------------------------------------------------------


def test_no_action_is_a_wildcard(made: Synthesized) -> None:
    actions = {
        action
        for statement in all_statements(made.connector)
        if statement["Effect"] == "Allow"
        for action in many(statement["Action"])
    }
    assert [action for action in actions if "*" in action] == []
    assert "iam:CreateRole" not in actions


def test_a_wildcard_resource_is_for_calls_that_have_no_resource(made: Synthesized) -> None:
    wide = {
        action
        for statement in all_statements(made.connector)
        if statement["Effect"] == "Allow" and "*" in many(statement.get("Resource"))
        for action in many(statement["Action"])
    }
    assert wide == {"ecr:GetAuthorizationToken", "secretsmanager:BatchGetSecretValue"}


def test_a_viewer_writes_nothing(made: Synthesized) -> None:
    policies = {
        p["ManagedPolicyName"].removeprefix(f"wms-connector-{made.stage}-"): p
        for p in resources(made.connector, "AWS::IAM::ManagedPolicy").values()
    }
    actions = {
        action
        for statement in policies["viewer"]["PolicyDocument"]["Statement"]
        for action in many(statement["Action"])
    }
    reading = ("Get", "BatchGet", "List", "Describe", "Query", "Filter", "Decrypt")
    assert [a for a in actions if not a.split(":")[1].startswith(reading)] == []
    assert {"operator", "publisher"} <= set(policies)


def test_only_a_publisher_writes_manifests(made: Synthesized) -> None:
    writers = {
        p["ManagedPolicyName"]
        for p in resources(made.connector, "AWS::IAM::ManagedPolicy").values()
        for statement in p["PolicyDocument"]["Statement"]
        if "s3:PutObject" in many(statement["Action"])
    }
    assert writers == {f"wms-connector-{made.stage}-publisher"}


def test_who_reads_manifests_is_told_of_one_that_is_missing(made: Synthesized) -> None:
    readers = [
        p["PolicyDocument"]["Statement"]
        for p in resources(made.connector, "AWS::IAM::ManagedPolicy").values()
        if any("s3:GetObject" in many(s["Action"]) for s in p["PolicyDocument"]["Statement"])
    ]
    assert len(readers) == (5 if made.stage == "feat-x" else 4)
    for statements in readers:
        [listing] = [s for s in statements if "s3:ListBucket" in many(s["Action"])]
        assert "Condition" not in listing


def policy_of(made: Synthesized, purpose: str) -> list[Any]:
    [found] = [
        p
        for p in resources(made.connector, "AWS::IAM::ManagedPolicy").values()
        if p["ManagedPolicyName"] == f"wms-connector-{made.stage}-{purpose}"
    ]
    return list(found["PolicyDocument"]["Statement"])


def test_a_publisher_can_do_the_last_steps_of_a_deploy_and_no_more(made: Synthesized) -> None:
    statements = policy_of(made, "publisher")
    [table] = [n for n in made.connector["Resources"] if n.startswith("StorageState")]
    [bucket] = [n for n in made.connector["Resources"] if re.match(r"StorageManifests\w{8}$", n)]
    # `manifests push`
    assert allows(statements, "s3:GetObject", f"<{bucket}.Arn>/manifests/pointer.json")
    assert allows(statements, "s3:PutObject", f"<{bucket}.Arn>/manifests/pointer.json")
    assert not allows(statements, "s3:PutObject", f"<{bucket}.Arn>/elsewhere")
    assert not allows(statements, "s3:DeleteObject", f"<{bucket}.Arn>/manifests/pointer.json")
    # `verify` through the state store
    for action in ("GetItem", "Query", "DescribeTable"):
        assert allows(statements, f"dynamodb:{action}", f"<{table}.Arn>")
    for action in ("PutItem", "UpdateItem", "DeleteItem"):
        assert not allows(statements, f"dynamodb:{action}", f"<{table}.Arn>")
    # `start`
    service = "arn:aws:ecs:us-east-1:111122223333:service/wms-connector"
    for stage in ("main", "val", "production", "feat-x", "feat-x-2"):
        may = allows(statements, "ecs:UpdateService", f"{service}-{stage}/wms-connector-{stage}")
        assert may is (stage == made.stage)


@pytest.mark.parametrize("purpose", ["viewer", "operator", "publisher"])
def test_who_verifies_a_stage_sees_the_boundary_of_its_roles(
    made: Synthesized, purpose: str
) -> None:
    statements = policy_of(made, purpose)
    assert allows(statements, "iam:GetPolicyVersion", BOUNDARY)
    assert allows(statements, "iam:GetPolicy", BOUNDARY)
    seen = [
        r for s in statements if "iam:GetRole" in many(s["Action"]) for r in many(s["Resource"])
    ]
    path = "/delegatedadmin/developer/"
    made_here = {
        f"role{path}{one['Properties']['RoleName']}"
        for one in made.connector["Resources"].values()
        if one["Type"] == "AWS::IAM::Role"
    }
    assert {flat(arn).rpartition(":")[2] for arn in seen} == made_here


def test_what_the_platform_is_asked_to_deny_is_made_of_the_names_of_the_named_stages() -> None:
    shown = json.loads((ROOT / "docs" / "branch-boundary.json").read_text())
    assert shown["Statement"] == platform_denials()


@pytest.mark.parametrize("stage", NAMED)
def test_what_the_platform_denies_is_all_that_a_named_stage_owns(stage: str) -> None:
    granted = {"Effect": "Allow", "Action": "*", "Resource": "*"}
    statements = [granted, *platform_denials()]
    for topic in owned_topics(Stage(stage)):
        for action in (DELETE, "kafka:DeleteTopic", "kafka-cluster:WriteData"):
            assert not allows(statements, action, f"{TOPIC}/{topic.replace('*', 'X.Y')}")
    for topic in owned_topics(Stage("feat-x")):
        assert allows(statements, DELETE, f"{TOPIC}/{topic.replace('*', 'X.Y')}")


PLACE = "us-east-1:111122223333"


def elsewhere(stage: str, secrets: str) -> list[tuple[str, str]]:
    """What lies in AWS of a stage, each with one of the actions that would harm it."""
    names = AwsNames(Stage(stage))
    bucket = f"arn:aws:s3:::{names.manifests_bucket('111122223333')}"
    secret = f"arn:aws:secretsmanager:{PLACE}:secret:wms/{secrets}/dbInfo-AbCdEf"
    table = f"arn:aws:dynamodb:{PLACE}:table/{names.state_table}"
    return [
        ("secretsmanager:GetSecretValue", secret),
        ("secretsmanager:PutSecretValue", secret),
        ("dynamodb:PutItem", table),
        ("dynamodb:DeleteTable", table),
        ("s3:PutObject", f"{bucket}/manifests/pointer.json"),
        ("s3:PutBucketPolicy", bucket),
    ]


@pytest.mark.parametrize("stage", NAMED)
def test_what_the_platform_denies_keeps_a_named_stages_secrets_state_and_manifests(
    stage: str,
) -> None:
    statements = [{"Effect": "Allow", "Action": "*", "Resource": "*"}, *platform_denials()]
    for action, resource in elsewhere(stage, stage):
        assert not allows(statements, action, resource), action


@pytest.mark.parametrize("stage", ["feat-x", "main-manifests"])
def test_what_the_platform_denies_leaves_a_branch_its_own(stage: str) -> None:
    statements = [{"Effect": "Allow", "Action": "*", "Resource": "*"}, *platform_denials()]
    for action, resource in elsewhere(stage, stage):
        assert allows(statements, action, resource), action
    default = f"arn:aws:secretsmanager:{PLACE}:secret:wms/default/dbInfo-AbCdEf"
    assert allows(statements, "secretsmanager:GetSecretValue", default)
    assert not allows(statements, "secretsmanager:PutSecretValue", default)


def test_only_tasks_and_the_teardowns_function_assume_roles(made: Synthesized) -> None:
    principals = {
        p["RoleName"].removeprefix(f"wms-connector-{made.stage}-"): (
            p["AssumeRolePolicyDocument"]["Statement"][0]["Principal"]
        )
        for p in resources(made.connector, "AWS::IAM::Role").values()
    }
    starter = principals.pop("teardown-start", {"Service": "lambda.amazonaws.com"})
    assert starter == {"Service": "lambda.amazonaws.com"}
    assert {str(p) for p in principals.values()} == {"{'Service': 'ecs-tasks.amazonaws.com'}"}


# --- network ------------------------------------------------------------------------------------


def test_nothing_goes_out_but_to_database_brokers_and_aws(made: Synthesized) -> None:
    allowed = {
        ("10.20.30.0/28", 1521),
        ("sg-0a0a0a0a0a0a0a0a1", 9098),
        ("sg-0a0a0a0a0a0a0a0a2", 443),
        ("pl-0a0a0a0a", 443),
        ("pl-0b0b0b0b", 443),
    }
    seen = {
        (peer, port)
        for group, peer, port, _ in rules(made.connector, "Egress")
        if "Teardown" not in group
    }
    assert seen == allowed
    assert open_egress(made.connector) == []


def test_an_egress_to_everywhere_is_found(made: Synthesized) -> None:
    for group in resources(made.connector, "AWS::EC2::SecurityGroup"):
        template = deepcopy(dict(made.connector))
        template["Resources"][group]["Properties"].setdefault("SecurityGroupEgress", []).append(
            {"CidrIp": "0.0.0.0/0", "IpProtocol": "-1"}
        )
        assert len(open_egress(template)) == 1


def to_ourselves(made: Synthesized) -> set[tuple[str, int, int]]:
    found = rules(made.connector, "Ingress")
    return {(peer, low, high) for group, peer, low, high in found if not group.startswith("sg-")}


def to_others(made: Synthesized) -> set[tuple[str, str, int]]:
    """Rules in the groups of brokers and database, with the kind of group that they let in."""
    return {
        (group, "task" if "TaskGroup" in peer else "teardown", port)
        for group, peer, port, high in rules(made.connector, "Ingress")
        if group.startswith("sg-")
        and re.fullmatch(r"<Network(Task|Teardown)Group\w+.GroupId>", peer)
        and port == high
    }


def test_nothing_comes_in_to_a_single_worker(made: Synthesized) -> None:
    assert to_ourselves(made) == set()


def test_the_brokers_let_the_stage_in_by_rules_of_its_own_stack(made: Synthesized) -> None:
    brokers = "sg-0a0a0a0a0a0a0a0a1"
    wanted = {(brokers, "task", 9098)}
    if made.stage == "feat-x":
        wanted |= {(brokers, "teardown", 9098)}
    assert to_others(made) == wanted
    assert len(rules(made.connector, "Ingress")) == len(wanted)


def test_a_task_starts_when_it_is_let_in_and_its_rules_go_after_it(made: Synthesized) -> None:
    own = set(resources(made.connector, "AWS::EC2::SecurityGroupIngress"))
    kinds = {"AWS::ECS::Service": 1, "Custom::WmsTeardown": made.stage == "feat-x"}
    for kind, count in kinds.items():
        found = [r for r in made.connector["Resources"].values() if r["Type"] == kind]
        assert len(found) == count
        assert all(own <= set(resource["DependsOn"]) for resource in found)


def test_the_database_lets_the_task_in_where_its_group_is_told(scram: Synthesized) -> None:
    database = "sg-0a0a0a0a0a0a0a0a7"
    found = [rule for rule in to_others(scram) if rule[0] == database]
    assert found == [(database, "task", 1522)]
    written = [rule for rule in rules(scram.connector, "Ingress") if rule[0] == database]
    assert len(written) == 1  # a rule that is there already cannot be written again


def test_where_the_platform_lets_in_no_rule_of_its_groups_is_written(rich: Synthesized) -> None:
    assert to_others(rich) == set()


def test_the_teardown_does_not_reach_the_database(branch: Synthesized) -> None:
    ports = {
        port for group, _, port, _ in rules(branch.connector, "Egress") if "TeardownGroup" in group
    }
    assert ports == {9098, 443}


def test_a_prometheus_that_comes_itself_reaches_metrics_only(rich: Synthesized) -> None:
    incoming = to_ourselves(rich)
    own = next(peer for peer, _, _ in incoming if peer.startswith("<"))
    assert "TaskGroup" in own
    assert incoming == {("sg-0a0a0a0a0a0a0a0a9", 9090, 9090), (own, 8083, 8083)}


def test_the_port_of_the_brokers_follows_their_security(rich: Synthesized) -> None:
    ports = {port for _, peer, port, _ in rules(rich.connector, "Egress") if peer.endswith("0a1")}
    assert ports == {9094}


def test_there_is_no_load_balancer_and_no_public_address(made: Synthesized) -> None:
    kinds = {resource["Type"] for resource in made.connector["Resources"].values()}
    assert not [kind for kind in kinds if "LoadBalancing" in kind or "ApiGateway" in kind]
    [service] = resources(made.connector, "AWS::ECS::Service").values()
    network = service["NetworkConfiguration"]["AwsvpcConfiguration"]
    assert network["AssignPublicIp"] == "DISABLED"
    assert network["Subnets"] == ["subnet-0a0a0a0a0a0a0a0a1", "subnet-0a0a0a0a0a0a0a0a2"]
    assert [flat(group) for group in network["SecurityGroups"]] == [
        flat(network["SecurityGroups"][0])
    ]
