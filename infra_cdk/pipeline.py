"""What pipelines ask before and after they deploy: `python -m infra_cdk.pipeline COMMAND`."""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

from controller.core.aws_names import AwsNames
from controller.core.stage import RefusedStage, Stage, stage_of_branch
from infra_cdk.environment_config import get_environment_config
from infra_cdk.tags import BRANCH_TAG, DEBEZIUM_TAG, REPOSITORY_TAG, STAGE_TAG

ROOT: Final = Path(__file__).parent.parent
# What an image is made of: the same sources are the same image, whichever branch they are on.
SOURCES: Final[Mapping[str, tuple[str, ...]]] = {
    "controller": ("Dockerfile", "image", "controller", "requirements.controller.lock"),
    "connect": (
        "Dockerfile",
        "image",
        "connect/entrypoint.sh",
        "connect/jars.lock",
        "connect/jmx.yaml",
        "connect/log4j2.yaml",
        "connect/requirements.lock",
        "connect/security",
        "connect/worker.properties.template",
        "devstack/__init__.py",
        "devstack/environment.py",
        "devstack/jars.py",
    ),
}
_GONE: Final = "DELETE_COMPLETE"
# AWS itself keeps these for a while after they are deleted, and deletes them by itself.
_LINGERING: Final = re.compile(r":ecs:[^:]*:[^:]*:(task|task-definition)/")
_KEY: Final = re.compile(r":kms:[^:]*:[^:]*:key/")
_MINOR: Final = re.compile(r"(\d+)\.(\d+)\.")


class Refused(RuntimeError):
    """The pipeline must not go on; says why and what to do."""


# --- whose stage it is --------------------------------------------------------------------------


def check_owner(
    stage: Stage, repository: str, branch: str, stacks: Iterable[Mapping[str, Any]]
) -> None:
    """Refuse a stage that another branch or repository has deployed."""
    if stage.ephemeral and stage_of_branch(branch) != stage:
        raise Refused(
            f"branch {branch} is stage {stage_of_branch(branch)}, not {stage}: "
            "deploy and destroy a branch under its own name"
        )
    for stack in stacks:
        tags = tags_of(stack)
        owner = tags.get(REPOSITORY_TAG), tags.get(BRANCH_TAG)
        if owner != (repository, branch):
            raise Refused(
                f"stack {stack['StackName']} belongs to branch {owner[1]} of {owner[0]}: "
                f"{branch} of {repository} would take it over; rename one of the two branches"
            )


def tags_of(stack: Mapping[str, Any]) -> Mapping[str, str]:
    return {tag["Key"]: tag["Value"] for tag in stack.get("Tags", ())}


def find_stacks(cloudformation: Any, stage: Stage) -> list[Mapping[str, Any]]:
    """Describe the stage's stacks that exist, in any state."""
    names = AwsNames(stage)
    wanted = {names.connector_stack, names.alerts_stack}
    return [stack for stack in all_stacks(cloudformation) if stack["StackName"] in wanted]


def all_stacks(cloudformation: Any) -> list[Mapping[str, Any]]:
    pages = cloudformation.get_paginator("describe_stacks").paginate()
    return [s for page in pages for s in page["Stacks"] if s["StackStatus"] != _GONE]


# --- Debezium -----------------------------------------------------------------------------------


def deployed_debezium(stage: Stage, stacks: Iterable[Mapping[str, Any]]) -> str | None:
    """Read the version off the stack that runs it: the other one is deployed first."""
    name = AwsNames(stage).connector_stack
    found = (tags_of(s).get(DEBEZIUM_TAG) for s in stacks if s["StackName"] == name)
    return next(found, None)


def check_debezium(deployed: str | None, wanted: str, *, asked: bool) -> bool:
    """Tell whether a failed deployment may go back by itself; refuse to go back over a minor.

    A newer minor version may write its schema history and offsets so that an older one cannot
    read them.
    """
    if deployed is None or _minor(deployed) == _minor(wanted):
        return True
    if _minor(wanted) < _minor(deployed):
        raise Refused(
            f"Debezium {wanted} may not read what {deployed} has written: go forward, or by "
            "hand with the offsets that were exported before the step"
        )
    if not asked:
        raise Refused(
            f"this takes Debezium from {deployed} to {wanted}, which no rollback undoes: run "
            "this workflow by hand with debezium-step, which exports the offsets first"
        )
    return False


def start_workers(ecs: Any, stage: Stage) -> int:
    """Start what was deployed without workers: no deployment, so nothing that could go back."""
    workers = get_environment_config(stage).workers
    ecs.update_service(cluster=AwsNames(stage).cluster, service=stage.service, desiredCount=workers)
    return workers


def _minor(version: str) -> tuple[int, int]:
    match = _MINOR.match(version)
    if match is None:
        raise Refused(f"{version} is no version of Debezium")
    return int(match[1]), int(match[2])


# --- images -------------------------------------------------------------------------------------


def image_tag(which: str, listing: Callable[[str], str]) -> str:
    """Name an image by its sources; `listing` gives a path's entry of the git tree."""
    entries = "\n".join(listing(path) for path in SOURCES[which])
    return f"src-{sha256(entries.encode()).hexdigest()[:32]}"


def _git_entry(path: str) -> str:
    done = subprocess.run(  # noqa: S603 - fixed words
        ["git", "ls-tree", "HEAD", "--", path],  # noqa: S607 - the runner's git
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    if not done.stdout:
        raise Refused(f"{path} is not in git: an image cannot be named by what is not committed")
    return done.stdout


# --- what is left -------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Account:
    """Clients of what is asked where something may be left."""

    cloudformation: Any
    tagging: Any
    logs: Any
    kms: Any


def find_remains(account: Account, stage: Stage) -> list[str]:
    """List what is still there of a branch after its stacks were destroyed."""
    if stage.named:
        raise Refused(f"stage {stage} is named: it is never destroyed")
    found = find_stacks(account.cloudformation, stage)
    stacks = [f"stack {stack['StackName']}" for stack in found]
    tagged = (arn for arn, _ in tagged_resources(account, STAGE_TAG, stage.name))
    return sorted({*stacks, *tagged, *log_groups(account.logs, stage)})


def tagged_resources(
    account: Account, tag: str, value: str
) -> Iterator[tuple[str, Mapping[str, str]]]:
    """Walk through what carries a tag, but for what AWS deletes by itself."""
    pages = account.tagging.get_paginator("get_resources").paginate(
        TagFilters=[{"Key": tag, "Values": [value]}]
    )
    for item in (item for page in pages for item in page["ResourceTagMappingList"]):
        if not _goes_by_itself(account.kms, item["ResourceARN"]):
            yield item["ResourceARN"], tags_of(item)


def _goes_by_itself(kms: Any, arn: str) -> bool:
    if _KEY.search(arn):  # the shortest wait for a key's deletion is a week
        return str(kms.describe_key(KeyId=arn)["KeyMetadata"]["KeyState"]) == "PendingDeletion"
    return _LINGERING.search(arn) is not None


def log_groups(logs: Any, stage: Stage) -> list[str]:
    """Find the stage's log groups by name: one that AWS made after the stack went has no tag."""
    names = AwsNames(stage)
    pages = [
        page
        for prefix in (names.log_group(""), names.insights_log)
        for page in logs.get_paginator("describe_log_groups").paginate(logGroupNamePrefix=prefix)
    ]
    return [group["arn"].removesuffix(":*") for page in pages for group in page["logGroups"]]


def find_orphans(
    account: Account, repository: str, branches: Iterable[str]
) -> list[tuple[str, str]]:
    """List stacks of this repository whose branch is gone, and resources whose stacks are."""
    alive = set(branches)
    stacks = [
        (str(stack["StackName"]), tags_of(stack)) for stack in all_stacks(account.cloudformation)
    ]
    there = {tags[STAGE_TAG] for _, tags in stacks if STAGE_TAG in tags}
    left = [
        (name, tags.get(BRANCH_TAG, ""))
        for name, tags in stacks
        if tags.get(REPOSITORY_TAG) == repository
        and _is_branch(tags)
        and tags.get(BRANCH_TAG) not in alive
    ]
    left += [
        (arn, tags.get(BRANCH_TAG, ""))
        for arn, tags in tagged_resources(account, REPOSITORY_TAG, repository)
        if _is_branch(tags) and tags[STAGE_TAG] not in there
    ]
    return sorted(left)


def _is_branch(tags: Mapping[str, str]) -> bool:
    return STAGE_TAG in tags and Stage(tags[STAGE_TAG]).ephemeral


# --- the commands -------------------------------------------------------------------------------


def main(arguments: list[str] | None = None) -> int:
    options = _parse(arguments)
    try:
        for line in options.run(options):
            sys.stdout.write(f"{line}\n")
    except (Refused, RefusedStage) as refused:
        sys.stderr.write(f"refused: {refused}\n")
        return 1
    return 0


def _parse(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m infra_cdk.pipeline", description=__doc__)
    commands = parser.add_subparsers(required=True)

    def add(name: str, run: Callable[[Any], list[str]], text: str, *needs: str) -> Any:
        command = commands.add_parser(name, help=text)
        command.set_defaults(run=run)
        for need in needs:
            command.add_argument(f"--{need}", required=True)
        return command

    add("stage", _stage, "print the stage of a branch", "branch")
    add("owner", _owner, "refuse another's stage", "stage", "repository", "branch")
    debezium = add("debezium", _debezium, "print rollback=on or off", "stage")
    debezium.add_argument("--step", action="store_true", help="a person asked for the step")
    add("start", _start, "start a service that was deployed without workers", "stage")
    tag = add("image-tag", _image_tag, "print the tag of an image's sources")
    tag.add_argument("which", choices=tuple(SOURCES))
    add("remains", _remains, "fail while anything of a branch is left", "stage")
    orphans = add("orphans", _orphans, "fail if a branch or a stack is gone", "repository")
    orphans.add_argument("--branches", type=Path, required=True, help="file, one branch a line")
    return parser.parse_args(arguments)


def _client(service: str) -> Any:
    import boto3

    make: Any = boto3.client
    return make(service)


def _account() -> Account:
    return Account(
        cloudformation=_client("cloudformation"),
        tagging=_client("resourcegroupstaggingapi"),
        logs=_client("logs"),
        kms=_client("kms"),
    )


def _stage(options: Any) -> list[str]:
    return [stage_of_branch(options.branch).name]


def _owner(options: Any) -> list[str]:
    stage = Stage.parse(options.stage)
    stacks = find_stacks(_client("cloudformation"), stage)
    check_owner(stage, options.repository, options.branch, stacks)
    return [f"{stage} is {options.branch}'s"]


def _debezium(options: Any) -> list[str]:
    from infra_cdk.jars import debezium_version

    stage = Stage.parse(options.stage)
    deployed = deployed_debezium(stage, find_stacks(_client("cloudformation"), stage))
    may = check_debezium(deployed, debezium_version(), asked=options.step)
    return [f"rollback={'on' if may else 'off'}"]


def _start(options: Any) -> list[str]:
    stage = Stage.parse(options.stage)
    workers = start_workers(_client("ecs"), stage)
    return [f"{stage.service} is started; workers: {workers}"]


def _image_tag(options: Any) -> list[str]:
    return [image_tag(options.which, _git_entry)]


def _remains(options: Any) -> list[str]:
    stage = Stage.parse(options.stage)
    remains = find_remains(_account(), stage)
    if remains:
        raise Refused(f"of stage {stage} there is still:\n" + "\n".join(remains))
    return [f"nothing of stage {stage} is left"]


def _orphans(options: Any) -> list[str]:
    branches = options.branches.read_text(encoding="utf-8").split()
    orphans = find_orphans(_account(), options.repository, branches)
    if orphans:
        lines = (f"{name} of branch {branch}" for name, branch in orphans)
        raise Refused("the branch or the stack of these is gone:\n" + "\n".join(lines))
    return ["every stack has its branch, and every resource its stack"]


if __name__ == "__main__":
    raise SystemExit(main())
