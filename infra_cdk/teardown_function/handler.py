"""Runs `wmsctl teardown` as a task when a branch's stack is deleted, and tells CloudFormation.

CloudFormation has stopped the service by then. Whatever goes wrong is told as a failure, so the
stack stays and the deletion can be asked for again: the teardown continues where it ended.
"""

from __future__ import annotations

import json
import threading
import urllib.request
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from controller.core.stage import RefusedStage, Stage

_PAUSE: Final = 5.0  # seconds between two looks at the task
_RESERVE_MS: Final = 60_000  # to stop the task and to answer, before the function is killed
_CONTAINER: Final = "controller"
_REASON_LIMIT: Final = 1000  # an answer may have 4096 bytes in all


class TeardownFailed(Exception):
    """The branch may still have something; says what to do."""


@dataclass(frozen=True)
class Outside:
    """What the function touches; a test gives its own."""

    ecs: Any
    s3: Any
    answer: Callable[[str, bytes], None]
    wait: Callable[[float], None]


def handle(event: Mapping[str, Any], context: Any) -> None:
    """Answer one CloudFormation event; never raises, or the stack would wait for an hour."""
    import boto3

    outside = Outside(boto3.client("ecs"), boto3.client("s3"), put_answer, pause)
    respond(event, context.get_remaining_time_in_millis, outside)


def respond(event: Mapping[str, Any], left_ms: Callable[[], int], outside: Outside) -> None:
    """Do what the event asks for and answer it."""
    status, reason = "SUCCESS", ""
    try:
        if event["RequestType"] == "Delete" and _was_created(event):
            tear_down(event, left_ms, outside)
    except Exception as error:  # noqa: BLE001 - a failure without an answer blocks the stack
        status, reason = "FAILED", f"{type(error).__name__}: {error}"[:_REASON_LIMIT]
    print(json.dumps({"request": event["RequestType"], "status": status, "reason": reason}))  # noqa: T201 - to its log
    answer = {
        "Status": status,
        "Reason": reason,
        # Constant: another id on an update would make CloudFormation delete the old one, and
        # with it the topics of a branch that lives.
        "PhysicalResourceId": physical_id(event),
        "StackId": event["StackId"],
        "RequestId": event["RequestId"],
        "LogicalResourceId": event["LogicalResourceId"],
    }
    outside.answer(event["ResponseURL"], json.dumps(answer).encode())


def physical_id(event: Mapping[str, Any]) -> str:
    given = event.get("PhysicalResourceId")
    return str(given) if given else f"teardown-{event['ResourceProperties']['Stage']}"


def _was_created(event: Mapping[str, Any]) -> bool:
    """Tell apart a creation that failed: CloudFormation deletes under an id that it made up."""
    return bool(physical_id(event) == f"teardown-{event['ResourceProperties']['Stage']}")


def tear_down(event: Mapping[str, Any], left_ms: Callable[[], int], outside: Outside) -> None:
    properties = event["ResourceProperties"]
    stage = _branch(properties["Stage"])
    task = _start(event, stage, outside)
    _await(properties["Cluster"], task, left_ms, outside)
    _empty(properties["Bucket"], stage, outside)


def _branch(name: str) -> Stage:
    try:
        stage = Stage.parse(name)
    except RefusedStage as refused:
        raise TeardownFailed(str(refused)) from refused
    if not stage.ephemeral:
        raise TeardownFailed(f"{name} is a named stage: nothing of it is ever deleted")
    return stage


def _start(event: Mapping[str, Any], stage: Stage, outside: Outside) -> str:
    properties = event["ResourceProperties"]
    started = outside.ecs.run_task(
        cluster=properties["Cluster"],
        taskDefinition=properties["TaskDefinition"],
        launchType="FARGATE",
        platformVersion="1.4.0",
        count=1,
        # The function may be run again for the same event: that finds the same task.
        clientToken=event["RequestId"],
        startedBy=f"teardown-{stage.name}"[:36],
        networkConfiguration={
            "awsvpcConfiguration": {
                "subnets": properties["Subnets"],
                "securityGroups": [properties["SecurityGroup"]],
                "assignPublicIp": "DISABLED",
            }
        },
    )
    if not started.get("tasks"):
        why = "; ".join(str(failure.get("reason")) for failure in started.get("failures", ()))
        raise TeardownFailed(f"the teardown could not be started: {why or 'no reason was given'}")
    return str(started["tasks"][0]["taskArn"])


def _await(cluster: str, task: str, left_ms: Callable[[], int], outside: Outside) -> None:
    while left_ms() > _RESERVE_MS:
        found = outside.ecs.describe_tasks(cluster=cluster, tasks=[task]).get("tasks", ())
        if found and found[0]["lastStatus"] == "STOPPED":
            _insist(found[0])
            return
        outside.wait(_PAUSE)
    outside.ecs.stop_task(cluster=cluster, task=task, reason="the teardown took too long")
    raise TeardownFailed(
        "the teardown has not ended in time and was stopped: its log says how far it came; "
        "delete the stack again and it continues"
    )


def _insist(task: Mapping[str, Any]) -> None:
    codes = {part["name"]: part.get("exitCode") for part in task.get("containers", ())}
    if codes.get(_CONTAINER) != 0:
        raise TeardownFailed(
            f"the teardown ended with {codes.get(_CONTAINER)} "
            f"({task.get('stoppedReason', 'no reason was given')}): its log says why; "
            "delete the stack again and it continues"
        )


def _empty(bucket: str, stage: Stage, outside: Outside) -> None:
    """Delete every version of every object: CloudFormation deletes empty buckets only."""
    if not bucket.startswith(f"wms-{stage.name}-manifests-"):
        raise TeardownFailed(f"bucket {bucket} is not the one of stage {stage.name}")
    pages = outside.s3.get_paginator("list_object_versions").paginate(Bucket=bucket)
    for page in pages:
        objects = [
            {"Key": item["Key"], "VersionId": item["VersionId"]}
            for kind in ("Versions", "DeleteMarkers")
            for item in page.get(kind, ())
        ]
        if not objects:
            continue
        deleted = outside.s3.delete_objects(
            Bucket=bucket, Delete={"Objects": objects, "Quiet": True}
        )
        if deleted.get("Errors"):
            raise TeardownFailed(f"bucket {bucket} could not be emptied: delete the stack again")


def put_answer(url: str, body: bytes) -> None:
    request = urllib.request.Request(url, data=body, method="PUT")  # noqa: S310 - CloudFormation's own address
    request.add_header("Content-Type", "")  # the address is signed without one
    with urllib.request.urlopen(request, timeout=30):  # noqa: S310
        pass


def pause(seconds: float) -> None:
    threading.Event().wait(seconds)
