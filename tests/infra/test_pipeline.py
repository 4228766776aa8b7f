from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from controller.core.stage import Stage, stage_of_branch
from infra_cdk.jars import debezium_version
from infra_cdk.pipeline import (
    SOURCES,
    Account,
    Refused,
    check_debezium,
    check_owner,
    find_orphans,
    find_remains,
    find_stacks,
    image_tag,
)
from tests.infra.conftest import STAGES, Synthesized
from tests.tables import aws_client

ROOT = Path(__file__).parents[2]
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
EMPTY = '{"Resources": {"T": {"Type": "AWS::SNS::Topic", "Properties": {}}}}'
REPOSITORY = "example/wms"


def stack(name: str, repository: str, branch: str) -> Mapping[str, Any]:
    tags = {"wms:repository": repository, "wms:branch": branch, "wms:stage": branch}
    return {"StackName": name, "Tags": [{"Key": k, "Value": v} for k, v in tags.items()]}


@pytest.fixture
def cloudformation(aws_server: str) -> Iterator[Any]:
    found = aws_client("cloudformation", aws_server)
    yield found
    for one in found.describe_stacks()["Stacks"]:
        found.delete_stack(StackName=one["StackName"])


def deploy(cloudformation: Any, name: str, stage: str, branch: str) -> None:
    tags = {"wms:repository": REPOSITORY, "wms:branch": branch, "wms:stage": stage}
    write(cloudformation, name, tags)


def write(cloudformation: Any, name: str, tags: Mapping[str, str]) -> None:
    cloudformation.create_stack(
        StackName=name,
        TemplateBody=EMPTY,
        Tags=[{"Key": key, "Value": value} for key, value in tags.items()],
    )


# --- whose stage it is --------------------------------------------------------------------------


def test_a_stage_that_nobody_has_is_anybodys() -> None:
    check_owner(Stage("feat-x"), REPOSITORY, "feat-x", [])


def test_ones_own_stage_is_ones_own() -> None:
    own = [stack("wms-connector-feat-x", REPOSITORY, "feat-x")]
    check_owner(Stage("feat-x"), REPOSITORY, "feat-x", own)


@pytest.mark.parametrize(
    ("repository", "branch"), [(REPOSITORY, "other"), ("fork/wms", "feat-x"), ("", "")]
)
def test_a_stage_of_somebody_else_is_refused(repository: str, branch: str) -> None:
    with pytest.raises(Refused, match="belongs to"):
        check_owner(
            Stage("feat-x"),
            REPOSITORY,
            "feat-x",
            [stack("wms-connector-feat-x", repository, branch)],
        )


def test_a_stack_without_tags_is_nobodys_to_take() -> None:
    with pytest.raises(Refused, match="belongs to"):
        check_owner(Stage("feat-x"), REPOSITORY, "feat-x", [{"StackName": "wms-alerts-feat-x"}])


def test_a_branch_is_deployed_under_its_own_name_only() -> None:
    with pytest.raises(Refused, match="is stage"):
        check_owner(Stage("feat-x"), REPOSITORY, "feature/x", [])


def test_branches_that_are_spelled_alike_are_told_apart() -> None:
    assert stage_of_branch("feat_x") != stage_of_branch("feat-x")


def test_stacks_are_found_by_their_whole_name(cloudformation: Any) -> None:
    for stage in ("feat-x", "feat-x-2"):
        deploy(cloudformation, f"wms-connector-{stage}", stage, stage)
        deploy(cloudformation, f"wms-alerts-{stage}", stage, stage)
    found = [s["StackName"] for s in find_stacks(cloudformation, Stage("feat-x"))]
    assert sorted(found) == ["wms-alerts-feat-x", "wms-connector-feat-x"]


def test_the_next_deploy_knows_the_stage_by_what_this_one_writes(
    branch: Synthesized, aws_server: str, account: Account
) -> None:
    for name in ("wms-alerts-feat-x", "wms-connector-feat-x"):
        write(account.cloudformation, name, branch.stack_tags(name))
    own = ("--stage", "feat-x", "--repository", "example/wms-connector")
    assert run("owner", *own, "--branch", "feat-x", endpoint=aws_server).returncode == 0
    another = ("--stage", "feat-x", "--repository", "example/fork")
    refused = run("owner", *another, "--branch", "feat-x", endpoint=aws_server)
    assert "belongs to branch feat-x of example/wms-connector" in refused.stderr
    orphans = find_orphans(account, "example/wms-connector", ["main"])
    assert [branch for _, branch in orphans] == ["feat-x", "feat-x"]


# --- Debezium -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("deployed", "wanted", "asked", "may_go_back"),
    [
        (None, "3.6.1.Final", False, True),
        ("3.6.1.Final", "3.6.1.Final", False, True),
        ("3.6.1.Final", "3.6.2.Final", False, True),
        ("3.6.2.Final", "3.6.1.Final", False, True),
        ("3.6.1.Final", "3.7.0.Final", True, False),
        ("3.6.1.Final", "4.0.0.Final", True, False),
    ],
)
def test_a_step_over_a_minor_version_does_not_go_back_by_itself(
    deployed: str | None, wanted: str, asked: bool, may_go_back: bool
) -> None:
    assert check_debezium(deployed, wanted, asked=asked) is may_go_back


def test_a_step_whose_connector_stack_failed_is_still_a_step(
    aws_server: str, cloudformation: Any
) -> None:
    for stack, version in (("alerts", debezium_version()), ("connector", "3.1.0.Final")):
        write(cloudformation, f"wms-{stack}-feat-x", {"wms:debezium": version})
    again = run("debezium", "--stage", "feat-x", endpoint=aws_server)
    assert "exports the offsets first" in again.stderr
    asked = run("debezium", "--stage", "feat-x", "--step", endpoint=aws_server)
    assert asked.stdout.strip() == "rollback=off"


def test_a_step_over_a_minor_version_is_asked_for_by_a_person() -> None:
    with pytest.raises(Refused, match="debezium-step"):
        check_debezium("3.6.1.Final", "3.10.0.Final", asked=False)


@pytest.mark.parametrize("wanted", ["3.6.9.Final", "2.7.0.Final"])
def test_nobody_goes_back_over_a_minor_version(wanted: str) -> None:
    with pytest.raises(Refused, match="go forward"):
        check_debezium("3.10.0.Final", wanted, asked=True)


def test_a_service_that_was_deployed_without_workers_is_started(aws_server: str) -> None:
    ecs = aws_client("ecs", aws_server)
    ecs.create_cluster(clusterName="wms-connector-feat-x")
    container = {"name": "c", "image": "i", "memory": 128}
    ecs.register_task_definition(family="t", containerDefinitions=[container])
    ecs.create_service(
        cluster="wms-connector-feat-x",
        serviceName="wms-connector-feat-x",
        taskDefinition="t",
        desiredCount=0,
    )
    done = run("start", "--stage", "feat-x", endpoint=aws_server)
    assert done.stdout.strip() == "wms-connector-feat-x is started; workers: 1"
    [service] = ecs.describe_services(
        cluster="wms-connector-feat-x", services=["wms-connector-feat-x"]
    )["services"]
    assert service["desiredCount"] == 1


def test_what_is_no_version_is_refused() -> None:
    with pytest.raises(Refused, match="no version"):
        check_debezium("unknown", "3.6.1.Final", asked=True)


def test_the_stack_says_which_debezium_it_runs(made: Synthesized) -> None:
    version = debezium_version()
    assert re.fullmatch(r"\d+\.\d+\.\d+\.Final", version)
    for resource in made.of_type("AWS::ECS::Service").values():
        tags = {t["Key"]: t["Value"] for t in resource["Properties"]["Tags"]}
        assert tags["wms:debezium"] == version


def test_a_lock_without_debezium_is_told(tmp_path: Path) -> None:
    lock = tmp_path / "jars.lock"
    lock.write_text("worker org.example:thing:1@jar 1 a\n")
    with pytest.raises(ValueError, match="0 versions"):
        debezium_version(lock)


# --- images -------------------------------------------------------------------------------------


def test_the_same_sources_are_the_same_image() -> None:
    tree = {path: f"blob {path}" for paths in SOURCES.values() for path in paths}
    before = {which: image_tag(which, tree.__getitem__) for which in SOURCES}
    assert {which: image_tag(which, tree.__getitem__) for which in SOURCES} == before
    tree["connect/jars.lock"] = "blob changed"
    assert image_tag("connect", tree.__getitem__) != before["connect"]
    assert image_tag("controller", tree.__getitem__) == before["controller"]


class Registry:
    """Stand-ins for the commands `aws` and `docker`, on a registry that is a folder."""

    def __init__(self, folder: Path) -> None:
        self.images = folder / "images"
        self.log = folder / "log"
        self.bin = folder / "bin"
        for path in (self.images, self.bin):
            path.mkdir()
        self._command(
            "aws",
            'case "$*" in\n'
            "*get-caller-identity*) echo 111122223333 ;;\n"
            "*get-login-password*) echo token ;;\n"
            "*batch-get-image*) all=$*; name=${all##*imageTag=}; name=${name%% *}\n"
            f'cat "{self.images}/$name" 2>/dev/null || echo None ;;\n'
            "esac\n",
        )
        self.on_push('name=${tag##*:}; echo "sha256:$name" >"$images/$name"')

    def on_push(self, what: str) -> None:
        self._command(
            "docker",
            f'echo "$*" >>"{self.log}"\n'
            'case "$*" in *--password-stdin*) cat >/dev/null ;; esac\n'
            f'images="{self.images}"\n'
            'tag=$(echo "$*" | sed -n "s/.*--tag \\([^ ]*\\).*/\\1/p")\n'
            f'[ -z "$tag" ] || {{ {what}; }}\n',
        )

    def _command(self, name: str, text: str) -> None:
        (self.bin / name).write_text(f"#!/bin/sh\n{text}")
        (self.bin / name).chmod(0o755)

    def builds(self) -> list[str]:
        lines = self.log.read_text().splitlines()
        return [line for line in lines if "buildx build" in line]

    def run(self) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["bash", str(ROOT / ".github" / "images.sh")],
            env={"PATH": f"{self.bin}:{os.defpath}", "REGION": "us-east-1", "HOME": "/nonexistent"},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )


@pytest.fixture
def registry(tmp_path: Path) -> Registry:
    if not (ROOT / ".venv" / "bin" / "python").exists():
        pytest.skip("the script uses .venv, which `make setup` prepares")
    return Registry(tmp_path)


def test_an_image_is_built_once_with_its_bill_of_materials_and_named_by_digest(
    registry: Registry,
) -> None:
    first = registry.run()
    assert first.returncode == 0, first.stderr
    lines = first.stdout.splitlines()
    assert [re.sub(r"src-[0-9a-f]{32}$", "", line) for line in lines] == [
        "controller=sha256:",
        "connect=sha256:",
    ]
    assert len(registry.builds()) == 2
    for line in registry.builds():
        assert "--sbom=true" in line
        assert "--provenance=mode=max" in line
        assert "--platform linux/amd64" in line
    again = registry.run()
    assert again.stdout == first.stdout
    assert len(registry.builds()) == 2


def test_a_push_that_lost_a_race_takes_the_other_ones_image(registry: Registry) -> None:
    registry.on_push('name=${tag##*:}; echo sha256:theirs >"$images/$name"; false')
    done = registry.run()
    assert done.returncode == 0, done.stderr
    assert done.stdout == "controller=sha256:theirs\nconnect=sha256:theirs\n"


def test_a_push_that_failed_ends_the_deploy(registry: Registry) -> None:
    registry.on_push("false")
    done = registry.run()
    assert done.returncode == 1
    assert done.stdout == ""


# --- what is left -------------------------------------------------------------------------------


@pytest.fixture
def account(aws_server: str, cloudformation: Any) -> Account:
    tagging = aws_client("resourcegroupstaggingapi", aws_server)
    return Account(
        cloudformation=cloudformation,
        tagging=tagging,
        logs=aws_client("logs", aws_server),
        kms=aws_client("kms", aws_server),
    )


class Tagging:
    """The tagging API with what moto leaves out of it: keys."""

    def __init__(self, *arns: str, **tags: str) -> None:
        written = [{"Key": f"wms:{key}", "Value": value} for key, value in tags.items()]
        self._items = [{"ResourceARN": arn, "Tags": written} for arn in arns]

    def get_paginator(self, _operation: str) -> Tagging:
        return self

    def paginate(self, **_filters: Any) -> Iterator[Mapping[str, Any]]:
        yield {"ResourceTagMappingList": self._items}


def test_a_key_is_left_until_its_deletion_is_scheduled(account: Account) -> None:
    stage = Stage("feat-key")
    key = account.kms.create_key()["KeyMetadata"]
    arn = key["Arn"]
    tagged = replace(account, tagging=Tagging(arn, stage="feat-key"))
    assert find_remains(tagged, stage) == [arn]
    account.kms.schedule_key_deletion(KeyId=key["KeyId"], PendingWindowInDays=7)
    assert find_remains(tagged, stage) == []


def test_task_definitions_are_kept_by_aws_and_are_not_left(account: Account) -> None:
    arn = "arn:aws:ecs:us-east-1:111122223333:task-definition/wms-connector-feat-x:7"
    assert find_remains(replace(account, tagging=Tagging(arn)), Stage("feat-x")) == []


def test_a_branch_of_which_something_is_left_is_told(account: Account) -> None:
    cloudformation, logs = account.cloudformation, account.logs
    stage = Stage("feat-left")
    assert find_remains(account, stage) == []
    deploy(cloudformation, "wms-alerts-feat-left", "feat-left", "feat-left")
    logs.create_log_group(logGroupName="/left", tags={"wms:stage": "feat-left"})
    logs.create_log_group(logGroupName="/other", tags={"wms:stage": "feat-left-2"})
    remains = find_remains(account, stage)
    assert remains[-1] == "stack wms-alerts-feat-left"
    assert any(line.endswith("log-group:/left") for line in remains)
    assert not any("other" in line for line in remains)
    cloudformation.delete_stack(StackName="wms-alerts-feat-left")
    logs.delete_log_group(logGroupName="/left")
    assert find_remains(account, stage) == []


def test_a_log_group_that_came_back_without_a_tag_is_told(account: Account) -> None:
    insights = "/aws/ecs/containerinsights/wms-connector-feat-back"
    own = (f"{insights}/performance", "/wms-connector-feat-back/connect")
    for name in (*own, f"{insights}-2/performance", "/wms-connector-feat-back-2/connect"):
        account.logs.create_log_group(logGroupName=name)
    remains = find_remains(account, Stage("feat-back"))
    assert [arn.split(":log-group:")[1] for arn in remains] == sorted(own)


def test_a_named_stage_is_not_even_asked_about(account: Account) -> None:
    with pytest.raises(Refused, match="never destroyed"):
        find_remains(account, Stage("val"))


def test_stacks_whose_branch_is_gone_are_told(account: Account) -> None:
    cloudformation = account.cloudformation
    deploy(cloudformation, "wms-connector-main", "main", "main")
    deploy(cloudformation, "wms-connector-feat-a", "feat-a", "feat-a")
    deploy(cloudformation, "wms-connector-feat-b", "feat-b", "feat-b")
    cloudformation.create_stack(StackName="neighbour", TemplateBody=EMPTY)
    assert find_orphans(account, REPOSITORY, ["feat-a"]) == [("wms-connector-feat-b", "feat-b")]
    assert find_orphans(account, "another/repository", []) == []


@pytest.mark.parametrize(
    ("stage", "told"), [("feat-a", False), ("feat-b", True), ("production", False)]
)
def test_resources_whose_stack_is_gone_are_told(account: Account, stage: str, told: bool) -> None:
    deploy(account.cloudformation, "wms-connector-feat-a", "feat-a", "feat-a")
    arn = f"arn:aws:s3:::wms-{stage}-manifests-111122223333"
    tagging = Tagging(arn, stage=stage, repository=REPOSITORY, branch=stage)
    found = find_orphans(replace(account, tagging=tagging), REPOSITORY, ["feat-a", "feat-b"])
    assert found == ([(arn, stage)] if told else [])


# --- the commands -------------------------------------------------------------------------------


def run(*arguments: str, endpoint: str = "http://127.0.0.1:9") -> Any:
    aws = {
        "AWS_ENDPOINT_URL": endpoint,
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
    }
    return subprocess.run(
        [sys.executable, "-m", "infra_cdk.pipeline", *arguments],
        cwd=ROOT,
        env={"PATH": os.defpath, "HOME": "/nonexistent"} | aws,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def test_the_stage_of_a_branch_is_printed() -> None:
    done = run("stage", "--branch", "feature/ABC-1")
    assert (done.returncode, done.stdout.strip()) == (0, stage_of_branch("feature/ABC-1").name)


def test_what_is_refused_ends_the_pipeline(aws_server: str, cloudformation: Any) -> None:
    deploy(cloudformation, "wms-connector-feat-x", "feat-x", "somebody-elses")
    done = run(
        "owner", "--stage", "feat-x", "--repository", REPOSITORY, "--branch", "feat-x",
        endpoint=aws_server,
    )  # fmt: skip
    assert done.returncode == 1
    assert "somebody-elses" in done.stderr
    assert run("remains", "--stage", "feat-x", endpoint=aws_server).returncode == 1


def test_a_first_deploy_may_go_back(aws_server: str) -> None:
    done = run("debezium", "--stage", "feat-new", endpoint=aws_server)
    assert (done.returncode, done.stdout.strip()) == (0, "rollback=on")


# --- the workflows ------------------------------------------------------------------------------


def steps(workflow: Path) -> Iterator[Mapping[str, Any]]:
    for job in yaml.safe_load(workflow.read_text())["jobs"].values():
        yield from job["steps"]


def test_there_are_workflows() -> None:
    assert [w.stem for w in WORKFLOWS] == ["check", "deploy", "destroy", "orphans"]


@pytest.mark.parametrize("workflow", WORKFLOWS, ids=lambda w: w.stem)
def test_every_action_is_pinned_and_no_job_has_more_than_it_asks_for(workflow: Path) -> None:
    document = yaml.safe_load(workflow.read_text())
    assert document["permissions"] == {}
    for job in document["jobs"].values():
        assert "timeout-minutes" in job
    for step in steps(workflow):
        if "uses" in step:
            assert re.fullmatch(r"[\w-]+/[\w-]+@[0-9a-f]{40}", step["uses"])


def test_a_pull_request_holds_no_cloud_credentials() -> None:
    document = yaml.safe_load((ROOT / ".github" / "workflows" / "check.yml").read_text())
    for job in document["jobs"].values():
        assert "id-token" not in job["permissions"]
        assert "environment" not in job
    assert "configure-aws-credentials" not in str(document)
    writing = {n for n, job in document["jobs"].items() if "write" in str(job["permissions"])}
    assert writing == {"comment"}
    used = [step.get("uses", "") for step in document["jobs"]["comment"]["steps"]]
    assert not any("checkout" in action for action in used)  # it runs nothing of the branch


def test_only_workflows_that_reach_aws_hold_its_role() -> None:
    for workflow in WORKFLOWS:
        for job in yaml.safe_load(workflow.read_text())["jobs"].values():
            reaches = "configure-aws-credentials" in str(job["steps"])
            assert (job["permissions"].get("id-token") == "write") is reaches
            assert ("environment" in job) is reaches


def test_destroying_refuses_named_stages_before_it_holds_the_role() -> None:
    workflow = ROOT / ".github" / "workflows" / "destroy.yml"
    texts = [str(step) for step in steps(workflow)]
    refusal = next(i for i, text in enumerate(texts) if "never destroyed" in text)
    role = next(i for i, text in enumerate(texts) if "configure-aws" in text)
    assert refusal < role
    for stage in ("main", "val", "production"):
        assert stage in texts[refusal]
    assert "wms-connector-$STAGE" in str(texts)
    assert "wms-alerts-$STAGE" in str(texts)
    assert "remains" in texts[-1]


def test_a_pull_request_tries_every_kind_of_stage() -> None:
    words = " ".join(STAGES)
    assert [Stage(stage).ephemeral for stage in STAGES][-1]
    commands = [str(step.get("run", "")) for step in steps(WORKFLOWS[0])]
    loops = [text for text in commands if "for stage in" in text]
    assert len(loops) == 2  # what is synthesized, and what is validated
    assert all(f"for stage in {words}; do" in text for text in loops)
    assert 'wmsctl validate --stage "$stage" --manifests manifests' in " ".join(loops)


@pytest.mark.parametrize("stage", STAGES)
def test_the_manifests_of_every_kind_of_stage_are_valid(stage: str) -> None:
    wmsctl = Path(sys.executable).with_name("wmsctl")
    lint(str(wmsctl), "validate", "--stage", stage, "--manifests", "manifests")


def test_a_pull_request_is_told_what_it_would_change() -> None:
    plan, comment = job("check", "plan"), job("check", "comment")
    [compared] = [step for step in plan["steps"] if "wmsctl plan" in step.get("run", "")]
    assert compared["env"] == {"BASE": "${{ github.event.pull_request.base.sha }}"}
    assert '--manifests manifests --against "$BASE" || test $? -eq 2' in compared["run"]
    assert ">> build/plan/plan.md" in compared["run"]
    [history] = [step for step in plan["steps"] if "checkout" in step.get("uses", "")]
    assert history["with"]["fetch-depth"] == 0  # else BASE is not there
    [kept] = [step for step in plan["steps"] if "upload-artifact" in step.get("uses", "")]
    assert kept["with"] == {"name": "plan", "path": "build/plan/plan.md"}
    assert comment["needs"] == "plan"
    fetched, said = comment["steps"]
    assert fetched["with"] == {"name": "plan"}
    assert re.search(r'plan\.md \| gh pr comment "\$NUMBER" .*--body-file -$', said["run"])
    assert said["env"]["NUMBER"] == "${{ github.event.pull_request.number }}"


def test_workflows_call_commands_that_exist() -> None:
    from typer.main import get_command

    from controller.cli import app

    known = set(getattr(get_command(app), "commands", ()))
    assert known
    for workflow in WORKFLOWS:
        text = workflow.read_text()
        assert set(re.findall(r"wmsctl (\w+)", text)) <= known
        for command in re.findall(r"infra_cdk\.pipeline ([\w-]+)", text):
            assert run(command, "--help").returncode == 0
        for target in re.findall(r"^\s*(?:- run: |run: )?make ([a-z]+)", text, re.MULTILINE):
            assert re.search(rf"^{target}:", (ROOT / "Makefile").read_text(), re.MULTILINE)


def lint(*command: str) -> None:
    done = subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_zizmor_finds_nothing_in_the_workflows() -> None:
    zizmor = Path(sys.executable).with_name("zizmor")
    lint(str(zizmor), "--offline", "--no-progress", ".github/workflows")


def test_actionlint_finds_nothing_in_the_workflows() -> None:
    found = shutil.which("actionlint")
    if found is None:  # pip has no package of it that carries the program: pull requests build it
        pytest.skip("actionlint is not installed")
    lint(found)


def test_a_pull_request_lints_the_workflows_with_both() -> None:
    text = (ROOT / ".github" / "workflows" / "check.yml").read_text()
    assert re.search(r"zizmor --offline \.github/workflows$", text, re.MULTILINE)
    assert re.search(
        r"go install \S+/actionlint/cmd/actionlint@v\d+\.\d+\.\d+$", text, re.MULTILINE
    )
    assert '"$(go env GOPATH)/bin/actionlint"' in text


def test_a_pull_request_tests_everything_and_builds_the_images() -> None:
    text = (ROOT / ".github" / "workflows" / "check.yml").read_text()
    for command in ("make test", "make images"):
        assert re.search(rf"^\s*- run: {command}$", text, re.MULTILINE)


def deploy_steps() -> list[Mapping[str, Any]]:
    return list(steps(ROOT / ".github" / "workflows" / "deploy.yml"))


def place(found: list[Mapping[str, Any]], words: str) -> int:
    """Find the one step whose command has these words."""
    [number] = [i for i, step in enumerate(found) if words in str(step.get("run", ""))]
    return number


def test_a_step_over_a_minor_version_is_started_by_the_pipeline_itself() -> None:
    found = deploy_steps()
    off = "steps.debezium.outputs.rollback == 'off'"
    synthesized = found[place(found, "--out build/cdk.out/deploy")]
    assert synthesized["env"]["ROLLBACK"] == "${{ steps.debezium.outputs.rollback }}"
    assert '--rollback "$ROLLBACK"' in synthesized["run"]
    conditional = [i for i, step in enumerate(found) if step.get("if") == off]
    start = place(found, "infra_cdk.pipeline start")
    settled = place(found, "--out build/cdk.out/started")
    assert {start, settled} <= set(conditional)
    assert "--rollback on" in found[settled]["run"]
    assert "cdk deploy --all --app build/cdk.out/started" in found[settled]["run"]
    order = (
        "infra_cdk.pipeline debezium", "--out build/cdk.out/deploy", "--app build/cdk.out/deploy",
        "infra_cdk.pipeline start", "wait services-stable", "wmsctl verify",
        "--out build/cdk.out/started",
    )  # fmt: skip
    places = [place(found, words) for words in order]
    assert places == sorted(places)


def job(workflow: str, name: str) -> Mapping[str, Any]:
    document = yaml.safe_load((ROOT / ".github" / "workflows" / f"{workflow}.yml").read_text())
    found: Mapping[str, Any] = document["jobs"][name]
    return found


def test_a_named_stage_is_deployed_in_its_own_environment_and_a_branch_in_theirs() -> None:
    expression = job("deploy", "deploy")["environment"]
    chosen = re.fullmatch(
        r"\$\{\{ contains\(fromJSON\('(\[.+\])'\), github\.ref_name\) "
        r"&& github\.ref_name \|\| '(\w+)' \}\}",
        expression,
    )
    assert chosen is not None, expression
    assert json.loads(chosen[1]) == [stage for stage in STAGES if Stage(stage).named]
    assert chosen[2] == "branches"
    assert job("destroy", "destroy")["environment"] == "branches"
    assert job("orphans", "report")["environment"] == "branches"


def test_a_tag_is_deployed_nowhere() -> None:
    assert job("deploy", "deploy")["if"] == "github.ref_type == 'branch'"


def test_what_destroys_is_the_default_branchs_whoever_asks() -> None:
    [checkout] = [s for s in job("destroy", "destroy")["steps"] if "checkout" in s.get("uses", "")]
    assert checkout["with"]["ref"] == "${{ github.event.repository.default_branch }}"


def test_nothing_is_deployed_before_its_owner_and_its_debezium_were_asked() -> None:
    found = deploy_steps()
    deployed = place(found, "--app build/cdk.out/deploy")
    for question in ("owner", "debezium"):
        asked = found[place(found, f"infra_cdk.pipeline {question}")]
        assert found.index(asked) < deployed
        assert "if" not in asked
        assert "continue-on-error" not in asked
        assert '--stage "$STAGE"' in asked["run"]
    owner = found[place(found, "infra_cdk.pipeline owner")]["run"]
    assert '--repository "$REPOSITORY" --branch "$BRANCH"' in owner


def test_nothing_is_destroyed_before_its_owner_was_asked() -> None:
    found = list(steps(ROOT / ".github" / "workflows" / "destroy.yml"))
    asked = found[place(found, "infra_cdk.pipeline owner")]
    assert found.index(asked) < place(found, "delete-stack")
    assert "if" not in asked
    assert "continue-on-error" not in asked
    assert '--stage "$STAGE" --repository "$REPOSITORY" --branch "$BRANCH"' in asked["run"]


def test_a_deploy_ends_with_the_push_and_the_verification() -> None:
    found = deploy_steps()
    pushed, verified = place(found, "wmsctl manifests push"), place(found, "wmsctl verify")
    assert place(found, "wait services-stable") + 1 == pushed == verified - 1
    assert 'wmsctl verify --stage "$STAGE" --revision "$revision"' in found[verified]["run"]
    told = found[verified]["env"]["UNPROTECTED"]
    assert "vars.UNPROTECTED_CLUSTER == 'known'" in told, "only a person's word of the environment"


def test_a_step_of_debezium_begins_when_the_offsets_are_kept() -> None:
    deploy = list(steps(ROOT / ".github" / "workflows" / "deploy.yml"))
    runs = [str(step.get("run", "")) for step in deploy]
    (decided,) = (n for n, step in enumerate(deploy) if step.get("id") == "debezium")
    (exported,) = (n for n, text in enumerate(runs) if "wmsctl offsets export-all" in text)
    (deployed,) = (n for n, text in enumerate(runs) if "--app build/cdk.out/deploy" in text)
    assert decided < exported < exported + 1 < deployed
    kept = deploy[exported + 1]
    assert kept["uses"].startswith("actions/upload-artifact@")
    assert kept["with"]["path"] in runs[exported]
    for step in (deploy[exported], kept):
        assert step["if"] == "steps.debezium.outputs.rollback == 'off'"
        assert "continue-on-error" not in step


def test_no_lock_names_a_registry() -> None:
    for name in ("requirements.lock", "requirements.uv.lock", "infra_cdk/package-lock.json"):
        text = (ROOT / name).read_text()
        assert "://" not in text
        assert "integrity" in text or "--hash=sha256" in text


def test_the_cdk_is_pinned_past_the_release_that_was_a_mistake() -> None:
    lock = json.loads((ROOT / "infra_cdk" / "package-lock.json").read_text())
    assert lock["packages"]["node_modules/aws-cdk"]["version"] == "2.1148.1"
