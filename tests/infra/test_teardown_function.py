from __future__ import annotations

import json
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import pytest
from botocore.stub import ANY, Stubber

from infra_cdk.teardown_function.handler import Outside, put_answer, respond
from tests.tables import aws_client

BUCKET = "wms-feat-x-manifests-111122223333"
CLUSTER = "arn:aws:ecs:us-east-1:111122223333:cluster/wms-connector-feat-x"


@dataclass
class Ecs:
    """Runs one task: `looks` looks until it has stopped with `code`."""

    code: int | None = 0
    looks: int = 2
    capacity: bool = True
    started: list[Mapping[str, Any]] = field(default_factory=list)
    stopped: list[str] = field(default_factory=list)

    def run_task(self, **arguments: Any) -> Mapping[str, Any]:
        if not self.capacity:
            return {"tasks": [], "failures": [{"reason": "RESOURCE:FARGATE"}]}
        tokens = [started["clientToken"] for started in self.started]
        if arguments["clientToken"] not in tokens:
            self.started.append(arguments)
        return {"tasks": [{"taskArn": "task-1"}], "failures": []}

    def describe_tasks(self, **_arguments: Any) -> Mapping[str, Any]:
        self.looks -= 1
        if self.looks > 0:
            return {"tasks": [{"lastStatus": "RUNNING", "containers": []}]}
        return {
            "tasks": [
                {
                    "lastStatus": "STOPPED",
                    "stoppedReason": "Essential container in task exited",
                    "containers": [{"name": "controller", "exitCode": self.code}],
                }
            ]
        }

    def stop_task(self, *, task: str, **_arguments: Any) -> None:
        self.stopped.append(task)


@pytest.fixture
def s3(aws_server: str) -> Iterator[Any]:
    found = aws_client("s3", aws_server)
    found.create_bucket(Bucket=BUCKET)
    found.put_bucket_versioning(Bucket=BUCKET, VersioningConfiguration={"Status": "Enabled"})
    for text in (b"1", b"2"):
        found.put_object(Bucket=BUCKET, Key="manifests/pointer.json", Body=text)
    found.delete_object(Bucket=BUCKET, Key="manifests/pointer.json")
    yield found
    versions = found.list_object_versions(Bucket=BUCKET)
    for kind in ("Versions", "DeleteMarkers"):
        for item in versions.get(kind, ()):
            found.delete_object(Bucket=BUCKET, Key=item["Key"], VersionId=item["VersionId"])
    found.delete_bucket(Bucket=BUCKET)


def left_in(s3: Any) -> int:
    versions = s3.list_object_versions(Bucket=BUCKET)
    return len(versions.get("Versions", ())) + len(versions.get("DeleteMarkers", ()))


def event(kind: str, stage: str = "feat-x", **more: Any) -> dict[str, Any]:
    request: dict[str, Any] = {
        "RequestType": kind,
        "RequestId": "request-1",
        "StackId": "stack-1",
        "LogicalResourceId": "Teardown",
        "ResponseURL": "http://127.0.0.1:9/",
        "ResourceProperties": {
            "Stage": stage,
            "Cluster": CLUSTER,
            "TaskDefinition": "arn:aws:ecs:us-east-1:111122223333:task-definition/t:1",
            "Subnets": ["subnet-0a0a0a0a"],
            "SecurityGroup": "sg-0a0a0a0a",
            "Bucket": BUCKET,
        },
    }
    if kind != "Create":
        request["PhysicalResourceId"] = f"teardown-{stage}"
    return request | more


def run(
    request: Mapping[str, Any], ecs: Any, s3: Any = None, left: int = 900_000
) -> Mapping[str, Any]:
    """Answer an event in virtual time, and give the answer."""
    answers: list[Mapping[str, Any]] = []
    clock = [left]

    def wait(seconds: float) -> None:
        clock[0] -= int(seconds * 1000)

    outside = Outside(ecs, s3, lambda _url, body: answers.append(json.loads(body)), wait)
    respond(request, lambda: clock[0], outside)
    assert len(answers) == 1
    return answers[0]


@pytest.mark.parametrize("kind", ["Create", "Update"])
def test_a_stack_that_is_made_or_changed_deletes_nothing(kind: str) -> None:
    ecs = Ecs()
    answer = run(event(kind), ecs)
    assert answer["Status"] == "SUCCESS"
    assert ecs.started == []


def test_the_id_never_changes_for_a_changed_one_is_deleted() -> None:
    created = run(event("Create"), Ecs())["PhysicalResourceId"]
    updated = run(event("Update"), Ecs())["PhysicalResourceId"]
    assert created == updated == "teardown-feat-x"


def test_a_deleted_stack_is_torn_down_and_its_manifests_go(s3: Any) -> None:
    ecs = Ecs()
    assert left_in(s3) == 3
    answer = run(event("Delete"), ecs, s3)
    assert (answer["Status"], answer["PhysicalResourceId"]) == ("SUCCESS", "teardown-feat-x")
    [started] = ecs.started
    network = started["networkConfiguration"]["awsvpcConfiguration"]
    assert network["assignPublicIp"] == "DISABLED"
    assert left_in(s3) == 0


def test_the_same_event_twice_starts_one_teardown(s3: Any) -> None:
    ecs = Ecs()
    run(event("Delete"), ecs, s3)
    run(event("Delete"), ecs, s3)
    assert len(ecs.started) == 1


def test_a_stack_that_has_nothing_left_is_deleted_again(s3: Any) -> None:
    assert run(event("Delete"), Ecs(), s3)["Status"] == "SUCCESS"
    again = run(event("Delete", RequestId="request-2"), Ecs(), s3)
    assert again["Status"] == "SUCCESS"


@pytest.mark.parametrize("code", [1, 137, None])
def test_a_teardown_that_fails_keeps_the_stack_and_its_manifests(s3: Any, code: int | None) -> None:
    answer = run(event("Delete"), Ecs(code=code), s3)
    assert answer["Status"] == "FAILED"
    assert f"ended with {code}" in answer["Reason"]
    assert left_in(s3) == 3


def test_a_teardown_that_takes_too_long_is_stopped_and_told(s3: Any) -> None:
    ecs = Ecs(looks=10_000)
    answer = run(event("Delete"), ecs, s3)
    assert answer["Status"] == "FAILED"
    assert "delete the stack again" in answer["Reason"]
    assert ecs.stopped == ["task-1"]
    assert left_in(s3) == 3


def test_a_teardown_that_cannot_start_says_why() -> None:
    answer = run(event("Delete"), Ecs(capacity=False))
    assert answer["Status"] == "FAILED"
    assert "RESOURCE:FARGATE" in answer["Reason"]


@pytest.mark.parametrize("stage", ["main", "val", "production", "Main", "wms", "prod", "", "a.b"])
def test_nothing_is_torn_down_for_what_is_no_branch(stage: str) -> None:
    ecs = Ecs()
    answer = run(event("Delete", stage), ecs)
    assert answer["Status"] == "FAILED"
    assert ecs.started == []


def test_the_bucket_of_another_stage_is_not_emptied(s3: Any) -> None:
    request = event("Delete", "feat")
    answer = run(request, Ecs(), s3)
    assert answer["Status"] == "FAILED"
    assert "is not the one of stage feat" in answer["Reason"]
    assert left_in(s3) == 3


def test_a_creation_that_failed_is_undone_without_a_teardown() -> None:
    ecs = Ecs()
    answer = run(event("Delete", PhysicalResourceId="stack-1-Teardown-ABC"), ecs)
    assert (answer["Status"], answer["PhysicalResourceId"]) == ("SUCCESS", "stack-1-Teardown-ABC")
    assert ecs.started == []


def test_whatever_is_wrong_is_answered() -> None:
    request = event("Delete")
    del request["ResourceProperties"]["Cluster"]
    answer = run(request, Ecs())
    assert (answer["Status"], answer["Reason"]) == ("FAILED", "KeyError: 'Cluster'")


def test_an_answer_fits_into_what_cloudformation_takes() -> None:
    class Loud(Ecs):
        def run_task(self, **_arguments: Any) -> Mapping[str, Any]:
            raise RuntimeError("x" * 10_000)

    assert len(json.dumps(run(event("Delete"), Loud()))) < 4096


def test_the_calls_and_answers_are_of_the_form_that_ecs_has(aws_server: str, s3: Any) -> None:
    ecs = aws_client("ecs", aws_server)
    request = event("Delete")
    properties = request["ResourceProperties"]
    stopped = {
        "taskArn": "task-1",
        "lastStatus": "STOPPED",
        "containers": [{"name": "controller", "exitCode": 0}],
    }
    with Stubber(ecs) as stubber:  # checks both against the model of the API
        stubber.add_response(
            "run_task",
            {"tasks": [{"taskArn": "task-1", "lastStatus": "PROVISIONING"}], "failures": []},
            {
                "cluster": CLUSTER,
                "taskDefinition": properties["TaskDefinition"],
                "launchType": "FARGATE",
                "platformVersion": "1.4.0",
                "count": 1,
                "clientToken": "request-1",
                "startedBy": "teardown-feat-x",
                "networkConfiguration": ANY,
            },
        )
        looked = {"cluster": CLUSTER, "tasks": ["task-1"]}
        stubber.add_response("describe_tasks", {"tasks": [stopped]}, looked)
        answer = run(request, ecs, s3)
        stubber.assert_no_pending_responses()
    assert answer["Status"] == "SUCCESS"


def test_an_answer_is_put_where_cloudformation_waits_for_it() -> None:
    got: list[tuple[str, bytes, str | None]] = []

    class Wait(BaseHTTPRequestHandler):
        def do_PUT(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            got.append((self.path, body, self.headers["Content-Type"]))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_arguments: Any) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Wait)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        put_answer(f"http://127.0.0.1:{server.server_address[1]}/x?signed=1", b'{"a":1}')
    finally:
        server.shutdown()
        thread.join(10)
        server.server_close()
    assert got == [("/x?signed=1", b'{"a":1}', "")]
