"""A branch's stack is destroyed: CloudFormation's event, the real command, the real broker."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import boto3
import pytest

from controller.core.stage import Stage
from devstack.environment import inherited
from devstack.port import free_port
from devstack.stack import Stack
from infra_cdk.teardown_function.handler import Outside, respond
from infra_cdk.worker_task import TEARDOWN_ARGUMENTS

pytestmark = pytest.mark.stack

STAGE = Stage("feat-destroyed")
NEIGHBOUR = Stage("feat-destroyed-2")
BUCKET = f"wms-{STAGE}-manifests-111122223333"
OTHERS = (
    "wms.WMS.PLAN_BASE_WVR_TBL.kept",
    "wms.schema-changes.kept",
    f"{NEIGHBOUR.topic_prefix}.WMS.PLAN_BASE_WVR_TBL",
    NEIGHBOUR.connect_topics["config"],
    NEIGHBOUR.heartbeat_topic,
    f"{STAGE}.elsewhere",
)


@dataclass
class LocalTasks:
    """Starts a task's command as a process here, as ECS would in a container."""

    environment: Mapping[str, str]
    folder: Path
    started: list[str] = field(default_factory=list)
    processes: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)
    arguments: tuple[str, ...] = TEARDOWN_ARGUMENTS

    def run_task(self, *, clientToken: str, **_rest: Any) -> Mapping[str, Any]:  # noqa: N803 - as ECS names it
        if clientToken not in self.processes:
            self.started.append(clientToken)
            arguments = [argument.format(stage=STAGE) for argument in self.arguments]
            with (self.folder / f"{clientToken}.log").open("wb") as log:
                self.processes[clientToken] = subprocess.Popen(
                    [sys.executable, "-m", "controller", *arguments],
                    env=dict(self.environment),
                    stdout=log,
                    stderr=log,
                )
        return {"tasks": [{"taskArn": clientToken}], "failures": []}

    def describe_tasks(self, *, tasks: list[str], **_rest: Any) -> Mapping[str, Any]:
        code = self.processes[tasks[0]].poll()
        status = "RUNNING" if code is None else "STOPPED"
        container = {"name": "controller", "exitCode": code}
        return {"tasks": [{"lastStatus": status, "containers": [container]}]}

    def stop_task(self, *, task: str, **_rest: Any) -> None:
        self.processes[task].kill()

    def said(self, token: str) -> str:
        return (self.folder / f"{token}.log").read_text()

    def end(self) -> None:
        for process in self.processes.values():
            process.kill()
            process.wait(10)


def delete_event(request: str) -> dict[str, Any]:
    return {
        "RequestType": "Delete",
        "RequestId": request,
        "StackId": "stack-1",
        "LogicalResourceId": "Teardown",
        "PhysicalResourceId": f"teardown-{STAGE}",
        "ResponseURL": "http://127.0.0.1:9/",
        "ResourceProperties": {
            "Stage": STAGE.name,
            "Cluster": "cluster",
            "TaskDefinition": "task-definition",
            "Subnets": ["subnet-0a0a0a0a"],
            "SecurityGroup": "sg-0a0a0a0a",
            "Bucket": BUCKET,
        },
    }


def pause(_seconds: float) -> None:
    threading.Event().wait(0.2)


def destroy(request: str, tasks: LocalTasks, s3: Any, seconds: float = 150) -> Mapping[str, Any]:
    answers: list[Mapping[str, Any]] = []
    end = time.monotonic() + seconds
    outside = Outside(
        tasks,
        s3,
        lambda _url, body: answers.append(json.loads(body)),
        pause,
    )
    respond(delete_event(request), lambda: int((end - time.monotonic()) * 1000) + 60_000, outside)
    return answers[0]


@pytest.fixture
def tasks(stack: Stack, tmp_path: Path) -> Iterator[LocalTasks]:
    environment = inherited() | stack.aws.environment()
    environment |= {
        "WMS_STAGE": STAGE.name,
        "WMS_CONNECT_URL": f"http://127.0.0.1:{free_port()}",  # the service is gone already
        "WMS_BROKER_STRING": stack.broker.bootstrap,
        "WMS_KAFKA_SECURITY": "plaintext",
        "WMS_AWS_ENDPOINT_URL": stack.aws.url,
        "WMS_STATE_FILE": str(tmp_path / "state.json"),
        "WMS_OVERLAY": "local",  # an interval of one second
        "WMS_MANIFESTS": str(Path(__file__).parents[2] / "manifests"),
        "WMS_KAFKA_DEADLINE": "4",
    }
    found = LocalTasks(environment, tmp_path)
    yield found
    found.end()


@pytest.fixture
def s3(stack: Stack) -> Any:
    make: Any = boto3.client
    found = make(
        "s3",
        endpoint_url=stack.aws.url,
        region_name="us-east-1",
        aws_access_key_id="test",
        aws_secret_access_key="test",
    )
    found.create_bucket(Bucket=BUCKET)
    found.put_bucket_versioning(Bucket=BUCKET, VersioningConfiguration={"Status": "Enabled"})
    found.put_object(Bucket=BUCKET, Key="manifests/pointer.json", Body=b"{}")
    return found


@pytest.mark.timeout(300)
def test_a_destroyed_branch_leaves_nothing_and_touches_nothing_else(
    stack: Stack, tasks: LocalTasks, s3: Any
) -> None:
    own = (
        STAGE.topic_prefix,
        f"{STAGE.topic_prefix}.WMS.PLAN_BASE_WVR_TBL",
        STAGE.schema_history_topic,
        STAGE.heartbeat_topic,
        *STAGE.connect_topics.values(),
    )
    stack.create_topics(*own, *OTHERS)
    before = stack.topics()

    answer = destroy("request-1", tasks, s3)

    assert answer["Status"] == "SUCCESS", tasks.said("request-1")
    assert before - stack.topics() == set(own)
    assert set(OTHERS) <= stack.topics()
    assert "Versions" not in s3.list_object_versions(Bucket=BUCKET)

    again = destroy("request-2", tasks, s3)
    assert again["Status"] == "SUCCESS", tasks.said("request-2")
    assert tasks.started == ["request-1", "request-2"]


@pytest.mark.timeout(200)
def test_a_broker_that_is_away_keeps_the_stack(tasks: LocalTasks, s3: Any) -> None:
    tasks.environment = {
        **tasks.environment,
        "WMS_BROKER_STRING": f"127.0.0.1:{free_port()}",
    }
    answer = destroy("request-3", tasks, s3)
    assert answer["Status"] == "FAILED"
    assert "delete the stack again" in answer["Reason"]
    assert s3.list_object_versions(Bucket=BUCKET)["Versions"]
