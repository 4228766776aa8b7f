from __future__ import annotations

import ast
import json
import re
import subprocess
import sys
from collections.abc import Mapping
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import pytest

from controller.core import cloudwatch
from controller.core.aws_names import AwsNames
from controller.core.stage import Stage
from devstack.environment import inherited
from infra_cdk.alarms import RULES
from infra_cdk.environment_config import get_environment_config
from infra_cdk.jars import debezium_version
from tests.infra.conftest import EXAMPLE, STAGES, Synthesized
from tests.infra.template import flat, resources

ROOT = Path(__file__).parents[2]
# Asked once, when the stages are synthesized: their engine takes eight seconds to start.
OWN_RULES = "@aws-cdk/core:validateAgainstDefaultRules"
DATA = (
    "AWS::DynamoDB::Table",
    "AWS::KMS::Key",
    "AWS::Logs::LogGroup",
    "AWS::S3::Bucket",
    "AWS::SNS::Topic",
)


# --- names --------------------------------------------------------------------------------------


def test_names_are_those_of_the_stage(made: Synthesized) -> None:
    names = AwsNames(Stage(made.stage))
    stage = made.stage
    seen = {
        "cluster": [
            p["ClusterName"] for p in resources(made.connector, "AWS::ECS::Cluster").values()
        ],
        "service": [
            p["ServiceName"] for p in resources(made.connector, "AWS::ECS::Service").values()
        ],
        "table": [
            p["TableName"] for p in resources(made.connector, "AWS::DynamoDB::Table").values()
        ],
        "bucket": [p["BucketName"] for p in resources(made.connector, "AWS::S3::Bucket").values()],
        "topic": [p["TopicName"] for p in resources(made.alerts, "AWS::SNS::Topic").values()],
    }
    assert seen == {
        "cluster": [f"wms-connector-{stage}"],
        "service": [Stage(stage).service],
        "table": [f"wms-connector-{stage}-state"],
        "bucket": [f"wms-{stage}-manifests-111122223333"],
        "topic": [f"wms-alerts-{stage}"],
    }
    assert (names.connector_stack, names.alerts_stack) == (
        f"wms-connector-{stage}",
        f"wms-alerts-{stage}",
    )


def test_the_longest_stage_has_names_that_aws_takes() -> None:
    names = AwsNames(Stage("f" * 31))
    assert len(names.manifests_bucket("1" * 12)) <= 63
    for purpose in ("execution-rights", "teardown-rights", "teardown-start", "publisher"):
        assert len(names.role(purpose)) <= 64


def test_no_two_stages_share_a_name() -> None:
    stages = ("main", "val", "production", "feat", "feat-state", "feat-x", "feat-x-2")
    every = [
        name
        for stage in stages
        for names in (AwsNames(Stage(stage)),)
        for name in {
            names.connector_stack,
            names.alerts_stack,
            names.state_table,
            names.manifests_bucket("1" * 12),
        }
    ]
    tables = {f"wms-connector-{s}-state" for s in stages}
    clusters = {f"wms-connector-{s}" for s in stages}
    assert tables & clusters == {"wms-connector-feat-state"}  # a table and a cluster: two kinds
    assert len(every) == len(stages) * 4


# --- what is kept and what goes -----------------------------------------------------------------


def test_a_named_stage_keeps_its_data_whatever_happens_after_its_creation(
    named: Synthesized,
) -> None:
    for kind in DATA:
        assert named.of_type(kind)
        for resource in named.of_type(kind).values():
            assert resource["DeletionPolicy"] == "RetainExceptOnCreate"
            assert resource["UpdateReplacePolicy"] == "Retain"


def test_a_branch_leaves_nothing(branch: Synthesized) -> None:
    for template in (branch.connector, branch.alerts):
        kept = [
            name
            for name, resource in template["Resources"].items()
            if any(
                str(resource.get(key)).startswith("Retain")
                for key in ("DeletionPolicy", "UpdateReplacePolicy")
            )
        ]
        assert kept == []
    [table] = resources(branch.connector, "AWS::DynamoDB::Table").values()
    assert not table.get("DeletionProtectionEnabled")


def test_only_stacks_of_named_stages_are_protected(made: Synthesized) -> None:
    artifacts = json.loads((made.folder / "manifest.json").read_text())["artifacts"]
    stacks = {
        name: artifact["properties"].get("terminationProtection", False)
        for name, artifact in artifacts.items()
        if artifact["type"] == "aws:cloudformation:stack"
    }
    protected = made.stage != "feat-x"
    assert stacks == {
        f"wms-alerts-{made.stage}": protected,
        f"wms-connector-{made.stage}": protected,
    }


def test_everything_goes_through_the_bootstrap_of_qualifier_one(made: Synthesized) -> None:
    manifest = (made.folder / "manifest.json").read_text()
    assert "cdk-one-deploy-role" in manifest
    assert "hnb659fds" not in manifest
    assert (
        json.loads((ROOT / "cdk.json").read_text())["context"]["@aws-cdk/core:bootstrapQualifier"]
        == "one"
    )


def test_stacks_are_tied_by_names_and_not_by_exports(made: Synthesized) -> None:
    assert "Fn::ImportValue" not in json.dumps(made.connector)
    assert not [o for o in made.alerts.get("Outputs", {}).values() if "Export" in o]


def test_everything_says_whose_it_is(made: Synthesized) -> None:
    for kind in (*DATA, "AWS::ECS::Service", "AWS::IAM::Role", "AWS::ECS::TaskDefinition"):
        for resource in made.of_type(kind).values():
            tags = {t["Key"]: t["Value"] for t in resource["Properties"]["Tags"]}
            assert tags["wms:stage"] == made.stage
            assert tags["wms:repository"] == "example/wms-connector"
            assert tags["wms:branch"] == made.stage


def test_the_stacks_themselves_say_whose_they_are(made: Synthesized) -> None:
    for name in (f"wms-alerts-{made.stage}", f"wms-connector-{made.stage}"):
        assert made.stack_tags(name) == {
            "Project": "wms-connector",
            "wms:stage": made.stage,
            "wms:repository": "example/wms-connector",
            "wms:branch": made.stage,
            "wms:debezium": debezium_version(),
        }


# --- data ---------------------------------------------------------------------------------------


def test_the_state_table_can_be_recovered_and_is_encrypted(made: Synthesized) -> None:
    [table] = resources(made.connector, "AWS::DynamoDB::Table").values()
    assert table["PointInTimeRecoverySpecification"] == {"PointInTimeRecoveryEnabled": True}
    assert table["SSESpecification"]["SSEType"] == "KMS"
    assert table["BillingMode"] == "PAY_PER_REQUEST"
    assert table["TimeToLiveSpecification"] == {"AttributeName": "expires", "Enabled": True}
    assert table.get("DeletionProtectionEnabled", False) is (made.stage != "feat-x")


def test_manifests_are_private_versioned_and_encrypted(made: Synthesized) -> None:
    [bucket] = resources(made.connector, "AWS::S3::Bucket").values()
    assert set(bucket["PublicAccessBlockConfiguration"].values()) == {True}
    assert bucket["VersioningConfiguration"] == {"Status": "Enabled"}
    [rule] = bucket["BucketEncryption"]["ServerSideEncryptionConfiguration"]
    assert rule["ServerSideEncryptionByDefault"]["SSEAlgorithm"] == "aws:kms"
    [policy] = resources(made.connector, "AWS::S3::BucketPolicy").values()
    denials = [s for s in policy["PolicyDocument"]["Statement"] if s["Effect"] == "Deny"]
    assert {"Bool": {"aws:SecureTransport": "false"}} in [s["Condition"] for s in denials]


def test_logs_are_kept_as_long_as_the_stage_asks_and_are_encrypted(made: Synthesized) -> None:
    days = get_environment_config(Stage(made.stage)).log_days
    groups = resources(made.connector, "AWS::Logs::LogGroup")
    assert len(groups) == (5 if made.stage == "feat-x" else 3)
    for group in groups.values():
        assert group["RetentionInDays"] in (days, 30)
        assert group["KmsKeyId"]


def test_the_key_lets_logs_use_it_for_every_log_group_of_the_stage(made: Synthesized) -> None:
    [key] = [
        key
        for key in resources(made.connector, "AWS::KMS::Key").values()
        if any(s.get("Sid") == "LogsOfThisStage" for s in key["KeyPolicy"]["Statement"])
    ]
    [statement] = [s for s in key["KeyPolicy"]["Statement"] if s.get("Sid") == "LogsOfThisStage"]
    named = statement["Condition"]["ArnLike"]["kms:EncryptionContext:aws:logs:arn"]
    patterns = [flat(arn).split(":log-group:")[1] for arn in named]
    for group in resources(made.connector, "AWS::Logs::LogGroup").values():
        assert any(fnmatchcase(group["LogGroupName"], pattern) for pattern in patterns)


def test_the_log_of_container_insights_is_there_before_its_cluster(made: Synthesized) -> None:
    [name] = [
        name
        for name, group in resources(made.connector, "AWS::Logs::LogGroup").items()
        if group["LogGroupName"]
        == f"/aws/ecs/containerinsights/wms-connector-{made.stage}/performance"
    ]
    [cluster] = [
        r for r in made.connector["Resources"].values() if r["Type"] == "AWS::ECS::Cluster"
    ]
    assert cluster["DependsOn"] == [name]


def test_keys_rotate(made: Synthesized) -> None:
    keys = made.of_type("AWS::KMS::Key")
    assert len(keys) == 2
    assert {key["Properties"]["EnableKeyRotation"] for key in keys.values()} == {True}


# --- alerts -------------------------------------------------------------------------------------


def test_alerts_are_encrypted_and_reach_the_people_of_the_secret(made: Synthesized) -> None:
    [topic] = resources(made.alerts, "AWS::SNS::Topic").values()
    assert topic["KmsMasterKeyId"]
    emails = {
        (s["Protocol"], s["Endpoint"])
        for s in resources(made.alerts, "AWS::SNS::Subscription").values()
    }
    who = "wms-on-call" if made.stage == "production" else "wms-alerts"
    assert emails == {("email", f"{who}@example.com")}


def test_alarms_and_events_may_send_and_only_over_tls(made: Synthesized) -> None:
    [policy] = resources(made.alerts, "AWS::SNS::TopicPolicy").values()
    statements = {s["Sid"]: s for s in policy["PolicyDocument"]["Statement"]}
    [key] = resources(made.alerts, "AWS::KMS::Key").values()
    keys = {s.get("Sid"): s for s in key["KeyPolicy"]["Statement"]}
    for found in (statements, keys):
        alarming, events = found["AlarmsOfThisAccount"], found["Events"]
        assert alarming["Principal"] == {"Service": "cloudwatch.amazonaws.com"}
        ours = {"StringEquals": {"aws:SourceAccount": "111122223333"}}
        assert alarming["Condition"] == ours
        assert events["Principal"] == {"Service": "events.amazonaws.com"}
        assert "Condition" not in events  # with one, nothing would ever arrive
    assert any(
        s["Effect"] == "Deny" and s["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}
        for s in statements.values()
    )


# --- alarms -------------------------------------------------------------------------------------


def alarms(made: Synthesized) -> dict[str, Mapping[str, Any]]:
    found = resources(made.connector, "AWS::CloudWatch::Alarm").values()
    return {a["AlarmName"].removeprefix(f"wms-connector-{made.stage}-"): a for a in found}


def test_a_dead_controller_raises_an_alarm(made: Synthesized) -> None:
    pulse = alarms(made)["PulseMissing"]
    assert pulse["TreatMissingData"] == "breaching"
    assert (pulse["MetricName"], pulse["Statistic"]) == ("Pulse", "SampleCount")
    assert (pulse["ComparisonOperator"], pulse["Threshold"]) == ("LessThanThreshold", 1)
    assert (pulse["Period"], pulse["DatapointsToAlarm"], pulse["EvaluationPeriods"]) == (60, 5, 5)


def test_a_stage_where_everybody_stands_by_raises_an_alarm(made: Synthesized) -> None:
    active = alarms(made)["NoActiveController"]
    assert (active["MetricName"], active["Statistic"]) == ("ActiveController", "Maximum")
    assert (active["ComparisonOperator"], active["Threshold"]) == ("LessThanThreshold", 1)
    assert (active["Period"], active["DatapointsToAlarm"], active["EvaluationPeriods"]) == (
        60,
        5,
        5,
    )


def test_every_other_alarm_leaves_missing_data_to_it(made: Synthesized) -> None:
    treated = {name: a["TreatMissingData"] for name, a in alarms(made).items()}
    del treated["PulseMissing"]
    assert set(treated.values()) == {"ignore"}


def test_every_alarm_watches_what_the_controller_publishes(made: Synthesized) -> None:
    published = {metric.name for metric in cloudwatch.PUBLISHED}
    for alarm in alarms(made).values():
        if alarm["Namespace"] == "AWS/ECS":
            assert {d["Name"]: d["Value"] for d in alarm["Dimensions"]} == {
                "ClusterName": f"wms-connector-{made.stage}",
                "ServiceName": f"wms-connector-{made.stage}",
            }
        else:
            assert alarm["Namespace"] == cloudwatch.NAMESPACE
            assert alarm["MetricName"] in published
            assert alarm["Dimensions"] == [{"Name": "Stage", "Value": made.stage}]


def test_lag_is_judged_by_the_stages_own_threshold(
    synthesized: Mapping[str, Synthesized],
) -> None:
    thresholds = {stage: alarms(made)["Lag"]["Threshold"] for stage, made in synthesized.items()}
    assert thresholds == {"main": 1800, "val": 1800, "production": 600, "feat-x": 1800}


def test_memory_rings_before_the_worker_is_killed_and_not_for_a_heap_that_is_full(
    made: Synthesized,
) -> None:
    sizes = get_environment_config(Stage(made.stage))
    alarm = alarms(made)["MemoryHigh"]
    assert (alarm["Namespace"], alarm["MetricName"]) == ("AWS/ECS", "MemoryUtilization")
    assert alarm["ComparisonOperator"] == "GreaterThanOrEqualToThreshold"
    rings_at = alarm["Threshold"] / 100 * sizes.task_memory
    assert rings_at < sizes.connect_container_memory  # were the worker alone in its task
    assert rings_at > sizes.heap + sizes.controller_container_memory
    assert alarms(made)["CpuHigh"]["Threshold"] == 80


def test_each_incident_is_one_message_and_what_may_cost_data_is_its_own(made: Synthesized) -> None:
    single = resources(made.connector, "AWS::CloudWatch::Alarm")
    composites = resources(made.connector, "AWS::CloudWatch::CompositeAlarm")
    speaking = [a for a in (*single.values(), *composites.values()) if a.get("AlarmActions")]
    named = sorted(a["AlarmName"].removeprefix(f"wms-connector-{made.stage}-") for a in speaking)
    assert named == ["NotHealthyNow", "Notice", "PageConnector", "PageController", "RedoEnding"]
    for alarm in speaking:
        assert [flat(a) for a in alarm["AlarmActions"]] == [
            f"arn:aws:sns:us-east-1:111122223333:wms-alerts-{made.stage}"
        ]
        assert alarm["OKActions"] == alarm["AlarmActions"]
    for name, alarm in single.items():
        below = [c for c in composites.values() if f"<{name}.Arn>" in flat(c["AlarmRule"])]
        assert len(below) + bool(alarm.get("AlarmActions")) == 1, name


def test_a_worker_that_is_away_is_one_message_and_not_a_second_for_the_lag(
    made: Synthesized,
) -> None:
    [away] = [
        name
        for name, alarm in resources(made.connector, "AWS::CloudWatch::Alarm").items()
        if alarm["MetricName"] == "ConnectUp"
    ]
    suppressed = {
        composite["AlarmName"]: flat(composite["ActionsSuppressor"])
        for composite in resources(made.connector, "AWS::CloudWatch::CompositeAlarm").values()
        if "ActionsSuppressor" in composite
    }
    assert suppressed == {f"wms-connector-{made.stage}-PageConnector": f"<{away}.Arn>"}


def test_what_is_watched_is_said_in_words_a_person_can_act_on() -> None:
    assert {rule.metric for rule in RULES} <= set(cloudwatch.PUBLISHED)
    assert len({rule.name for rule in RULES}) == len(RULES)
    for rule in RULES:
        assert rule.says.endswith(".")
        assert rule.of <= rule.within


def test_stops_that_somebody_asked_for_are_not_told(made: Synthesized) -> None:
    patterns = {
        rule["Name"]: rule["EventPattern"]
        for rule in resources(made.connector, "AWS::Events::Rule").values()
    }
    stopped = patterns[f"wms-connector-{made.stage}-TaskStopped"]["detail"]
    assert stopped["stopCode"] == [{"anything-but": ["UserInitiated", "ServiceSchedulerInitiated"]}]
    assert stopped["group"] == [f"service:wms-connector-{made.stage}"]
    failed = patterns[f"wms-connector-{made.stage}-DeploymentFailed"]
    assert failed["detail"] == {"eventName": ["SERVICE_DEPLOYMENT_FAILED"]}


def test_the_dashboard_draws_what_is_published(made: Synthesized) -> None:
    [dashboard] = resources(made.connector, "AWS::CloudWatch::Dashboard").values()
    body = json.dumps(dashboard["DashboardBody"])
    for metric in (cloudwatch.LAG, cloudwatch.PULSE, cloudwatch.NOT_HEALTHY, cloudwatch.HELD):
        assert metric.name in body
    assert dashboard["DashboardName"] == f"wms-connector-{made.stage}"


# --- teardown -----------------------------------------------------------------------------------


def test_on_destroy_the_service_goes_first_and_what_the_teardown_needs_last(
    branch: Synthesized,
) -> None:
    template = branch.connector["Resources"]
    [service] = [r for r in template.values() if r["Type"] == "AWS::ECS::Service"]
    [(name, teardown)] = [(n, r) for n, r in template.items() if r["Type"] == "Custom::WmsTeardown"]
    assert name in service["DependsOn"]
    needed = set(teardown["DependsOn"])
    for kind in (
        "AWS::DynamoDB::Table",
        "AWS::ECS::Cluster",
        "AWS::IAM::ManagedPolicy",
        "AWS::IAM::Role",
        "AWS::KMS::Key",
        "AWS::Lambda::Function",
        "AWS::S3::Bucket",
    ):
        for key, resource in template.items():
            if (
                resource["Type"] == kind
                and "FunctionRole" not in key
                and "FunctionPolicy" not in key
            ):
                assert key in needed, key
    groups = {k for k, r in template.items() if r["Type"] == "AWS::EC2::SecurityGroup"}
    assert groups <= needed


def test_the_teardown_runs_the_command_that_people_run(branch: Synthesized) -> None:
    [task] = [
        p
        for p in resources(branch.connector, "AWS::ECS::TaskDefinition").values()
        if p["Family"] == "wms-connector-feat-x-teardown"
    ]
    [container] = task["ContainerDefinitions"]
    assert container["Command"] == ["teardown", "--stage", "feat-x", "--confirm", "feat-x"]
    assert "Teardown" in flat(task["TaskRoleArn"])


def test_the_function_starts_the_teardown_and_nothing_else(branch: Synthesized) -> None:
    from tests.infra.template import statements_of

    statements = statements_of(branch.connector, "wms-connector-feat-x-teardown-start")
    by_sid = {s["Sid"]: s for s in statements}
    assert "TeardownTask" in flat(by_sid["StartTeardown"]["Resource"])
    passed = {flat(r) for r in by_sid["PassToTeardown"]["Resource"]}
    assert not [role for role in passed if "RolesTask" in role]
    assert len(passed) == 2


def test_the_function_carries_the_rule_of_what_a_branch_is(branch: Synthesized) -> None:
    [stage] = branch.folder.glob("asset.*/controller/core/stage.py")
    assert stage.read_text() == (ROOT / "controller" / "core" / "stage.py").read_text()
    assert [f.name for f in stage.parents[2].glob("*.py")] == ["handler.py"]


# --- checked by others --------------------------------------------------------------------------


def test_cfn_lint_finds_nothing(synthesized: Mapping[str, Synthesized], rich: Synthesized) -> None:
    templates = [
        str(path)
        for made in (*synthesized.values(), rich)
        for path in made.folder.glob("*.template.json")
    ]
    assert len(templates) == 10
    # W3005: the CDK writes a dependency down that a reference implies already.
    done = subprocess.run(
        [
            str(Path(sys.executable).with_name("cfn-lint")),
            "-r",
            "us-east-1",
            "-i",
            "W3005",
            "-t",
            *templates,
        ],
        capture_output=True,
        text=True,
        check=False,
        timeout=110,
    )
    assert (done.returncode, done.stdout) == (0, "")


def test_nag_finds_nothing_that_nobody_acknowledged(made: Synthesized) -> None:
    report = json.loads((made.folder / "validation-report.json").read_text())
    assert report["pluginReports"] == []  # what the next tests show to be no empty word


def test_every_acknowledgement_is_in_the_template_with_a_reason(made: Synthesized) -> None:
    found = [
        rule
        for template in (made.alerts, made.connector)
        for resource in template["Resources"].values()
        for rule in resource.get("Metadata", {}).get("cdk_nag", {}).get("rules_to_suppress", ())
    ]
    assert found
    assert [rule for rule in found if len(rule["reason"]) < 20] == []


def test_a_finding_that_nobody_acknowledged_stops_the_synthesis(tmp_path: Path) -> None:
    from aws_cdk import aws_s3 as s3

    from infra_cdk.__main__ import read_config
    from infra_cdk.app import add_stacks, check, new_app

    app = new_app(tmp_path / "out")
    app.node.set_context(OWN_RULES, False)
    alerts, _ = add_stacks(app, read_config({"stage": "main", "config": EXAMPLE}))
    s3.Bucket(alerts, "Careless")
    check(app)
    with pytest.raises(
        RuntimeError, match=r"AwsSolutions-S1'(.|\n)*NIST.800.53.R5-S3BucketVersioningEnabled"
    ):
        app.synth()


def test_a_wildcard_without_a_reason_cannot_be_synthesized() -> None:
    import aws_cdk as cdk
    from aws_cdk import aws_iam as iam

    from infra_cdk.nag import acknowledge_wildcards

    stack = cdk.Stack(cdk.App())
    statement = iam.PolicyStatement(sid="Careless", actions=["s3:GetObject"], resources=["*"])
    policy = iam.ManagedPolicy(stack, "P", statements=[statement])
    with pytest.raises(KeyError, match="Careless"):
        acknowledge_wildcards(policy, [statement])


# --- the command --------------------------------------------------------------------------------


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "infra_cdk", *arguments],
        cwd=ROOT,
        env=inherited() | {"CDK_CONTEXT_JSON": json.dumps({OWN_RULES: False})},
        capture_output=True,
        text=True,
        check=False,
        timeout=100,
    )


def test_without_a_stage_the_command_says_how_to_give_one(tmp_path: Path) -> None:
    done = run("--config", str(EXAMPLE), "--out", str(tmp_path))
    assert done.returncode == 1
    assert "make synth STAGE=main" in done.stderr
    assert "Traceback" not in done.stderr
    assert not list(tmp_path.glob("*.template.json"))


def test_a_stage_that_looks_like_a_named_one_is_refused(tmp_path: Path) -> None:
    done = run("--stage", "Main", "--config", str(EXAMPLE), "--out", str(tmp_path))
    assert done.returncode == 1
    assert "looks like the named stage" in done.stderr


def test_templates_are_the_same_each_time(branch: Synthesized, tmp_path: Path) -> None:
    done = run("--stage", "feat-x", "--config", str(EXAMPLE), "--out", str(tmp_path))
    assert done.returncode == 0
    assert str(tmp_path) in done.stderr
    again = json.loads((tmp_path / "wms-connector-feat-x.template.json").read_text())
    assert again == branch.connector


# --- the house ----------------------------------------------------------------------------------


def test_of_the_controller_only_the_core_is_imported() -> None:
    for file in (ROOT / "infra_cdk").rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            names = (
                [alias.name for alias in node.names]
                if isinstance(node, ast.Import)
                else [node.module or ""]
                if isinstance(node, ast.ImportFrom)
                else []
            )
            for name in names:
                if name.split(".")[0] == "controller":
                    assert name.startswith("controller.core"), f"{file.name} imports {name}"


def test_no_file_of_ours_holds_an_account_that_could_be_real() -> None:
    placeholder = {"111122223333", "123456789012"}
    for file in (*(ROOT / "infra_cdk").rglob("*.*"), ROOT / "cdk.json"):
        if file.suffix in (".py", ".json", ".ini"):
            found = set(re.findall(r"(?<![\w-])\d{12}(?![\w-])", file.read_text()))
            assert found <= placeholder, file


def test_there_are_four_stages_under_test() -> None:
    assert [Stage(name).named for name in STAGES] == [True, True, True, False]
