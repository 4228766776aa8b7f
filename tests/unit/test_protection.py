from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from controller.core.faults import Unavailable
from controller.core.model import Absent, Unknown
from controller.core.protection import (
    Boundary,
    Scope,
    denies,
    identity_asked,
    judge_boundaries,
    judge_deletable,
    named_topics,
    unprotected,
)
from controller.core.stage import Stage
from controller.protection import RETRY_SECONDS, SELDOM_SECONDS, Protection
from tests.fakes.clock import FakeClock
from tests.fakes.kafka import FakeKafka

FAR = "b-1.example.com:9094,b-2.example.com:9094"
PLACE = "us-east-1:111122223333"
TOPIC = f"arn:aws:kafka:{PLACE}:topic/bigmac/0a0a-1/wms.WMS.T"
DELETE = "kafka-cluster:DeleteTopic"
GUARD = Path(__file__).parents[2] / "docs" / "branch-boundary.json"
ALLOW_ALL = {"Effect": "Allow", "Action": "*", "Resource": "*"}


@pytest.mark.parametrize("security", ["tls", "plaintext"])
def test_brokers_that_ask_for_no_identity_are_warned_of(security: str) -> None:
    assert (unprotected(security, FAR) or "").startswith("ClusterUnprotected: ")
    assert identity_asked(security, FAR) == "none"


@pytest.mark.parametrize("security", ["iam", "scram"])
def test_brokers_that_know_their_clients_are_not(security: str) -> None:
    assert unprotected(security, FAR) is None
    assert identity_asked(security, None) == security


@pytest.mark.parametrize("line", ["127.0.0.1:9092", "localhost:1,127.0.0.2:2", "[::1]:9092", None])
def test_brokers_of_this_machine_or_of_none_are_not(line: str | None) -> None:
    assert unprotected("plaintext", line) is None
    assert identity_asked("plaintext", line) == (None if line is None else "local")


def test_one_far_broker_among_near_ones_is_enough() -> None:
    assert unprotected("plaintext", "127.0.0.1:9092,b-1.example.com:9092")


# --- what a policy denies -----------------------------------------------------------------------


def deny(action: Any, resource: Any, **more: Any) -> dict[str, Any]:
    return {"Effect": "Deny", "Action": action, "Resource": resource, **more}


@pytest.mark.parametrize(
    "statement",
    [
        deny("kafka-cluster:DeleteTopic", "*"),
        deny(["kafka-cluster:Delete*"], ["arn:aws:kafka:*:*:topic/*/wms.*"]),
        deny("KAFKA-CLUSTER:deletetopic", "arn:aws:kafka:*:111122223333:topic/*"),
        {"Effect": "Deny", "NotAction": "s3:*", "Resource": "*"},
        {"Effect": "Deny", "Action": "*", "NotResource": "arn:aws:s3:::*"},
    ],
)
def test_a_denial_that_covers_it_denies(statement: dict[str, Any]) -> None:
    assert denies({"Statement": [ALLOW_ALL, statement]}, DELETE, TOPIC)


@pytest.mark.parametrize(
    "statement",
    [
        deny("kafka-cluster:WriteData", "*"),
        deny(DELETE, "arn:aws:kafka:*:*:topic/*/wms"),
        deny(DELETE, "*", Condition={"StringEquals": {"aws:PrincipalTag/x": "y"}}),
        deny(DELETE, "arn:aws:kafka:*:*:topic/*/${aws:PrincipalTag/prefix}*"),
        {"Effect": "Deny", "Action": "*", "NotResource": "arn:aws:kafka:*:*:topic/*/${aws:x}"},
        {"Effect": "Deny", "NotAction": "kafka-cluster:*", "Resource": "*"},
    ],
)
def test_a_denial_that_may_not_hold_denies_nothing(statement: dict[str, Any]) -> None:
    assert not denies({"Statement": [ALLOW_ALL, statement]}, DELETE, TOPIC)


def test_what_nothing_allows_is_denied() -> None:
    assert denies({"Statement": {"Effect": "Allow", "Action": "s3:*", "Resource": "*"}}, DELETE, "")
    assert denies({}, DELETE, TOPIC)


@pytest.mark.parametrize(
    "statement",
    [
        {**ALLOW_ALL, "Condition": {"Bool": {"aws:SecureTransport": "true"}}},
        {**ALLOW_ALL, "Resource": "arn:aws:kafka:*:*:topic/*/${aws:PrincipalTag/prefix}"},
    ],
)
def test_a_right_that_may_hold_counts_as_one(statement: dict[str, Any]) -> None:
    assert not denies({"Statement": [statement]}, DELETE, TOPIC)


# --- the boundary of a stage's roles ------------------------------------------------------------


def platform() -> list[dict[str, Any]]:
    """What the platform is asked to put into the boundary."""
    statements: list[dict[str, Any]] = json.loads(GUARD.read_text())["Statement"]
    return statements


def boundary(*statements: Any) -> Boundary:
    document = {"Version": "2012-10-17", "Statement": [ALLOW_ALL, *statements]}
    return Boundary("arn:aws:iam::111122223333:policy/guard", document, PLACE)


def test_the_boundary_that_the_documents_show_keeps_all_of_the_named_stages() -> None:
    found = judge_boundaries(Stage("feat-x"), {"task": boundary(*platform())})
    assert found.ok, found.message


def take(told: list[Any], at: int, key: str, number: int) -> None:
    told[at][key].pop(number)


def every_hole() -> list[Callable[[list[Any]], object]]:
    return [
        partial(take, at=at, key=key, number=number)
        for at, statement in enumerate(platform())
        for key in ("Action", "Resource")
        for number in range(len(statement[key]))
    ]


@pytest.mark.parametrize("hole", every_hole())
def test_a_hole_in_it_is_found(hole: Callable[[list[Any]], object]) -> None:
    statements = platform()
    hole(statements)
    found = judge_boundaries(Stage("feat-x"), {"task": boundary(*statements)})
    assert not found.ok
    assert "allows" in found.message


@pytest.mark.parametrize("number", range(6))
def test_each_of_its_denials_is_missed(number: int) -> None:
    statements = platform()
    missing = statements.pop(number)
    found = judge_boundaries(Stage("feat-x"), {"task": boundary(*statements)})
    assert not found.ok
    assert found.message.count(" allows ") == 1
    (service,) = {action.partition(":")[0].partition("-")[0] for action in missing["Action"]}
    assert f"allows {service}" in found.message


def test_where_the_brokers_ask_iam_nothing_the_rest_is_kept_all_the_same() -> None:
    scope = Scope(topics=False)
    rest = [one for one in platform() if "kafka:" not in str(one["Action"])]
    assert judge_boundaries(Stage("feat-x"), {"task": boundary(*rest)}, scope).ok
    assert not judge_boundaries(Stage("feat-x"), {"task": boundary(*rest[1:])}, scope).ok


def test_secrets_are_looked_for_under_their_own_prefix() -> None:
    scope = Scope(secret_prefix="mmdl")
    found = judge_boundaries(Stage("feat-x"), {"task": boundary(*platform())}, scope)
    assert "secretsmanager:GetSecretValue on mmdl/main/" in found.message


def test_a_branch_whose_boundary_allows_everything_is_told_what_it_allows() -> None:
    found = judge_boundaries(Stage("feat-x"), {"task": boundary()})
    assert not found.ok
    for told in (
        "kafka-cluster:DeleteTopic on wms, ",
        "secretsmanager:GetSecretValue on wms/main/",
        "dynamodb:PutItem on wms-connector-main-state",
        "s3:PutBucketPolicy on wms-main-manifests-111122223333",
    ):
        assert told in found.message
    assert "more" in found.message


def test_a_named_stage_needs_a_boundary_and_may_write_its_topics() -> None:
    assert judge_boundaries(Stage("main"), {"task": boundary()}).ok


@pytest.mark.parametrize("stage", ["main", "feat-x"])
def test_one_role_that_is_wrong_or_unseen_is_enough(stage: str) -> None:
    good = boundary(*platform())
    hidden = Unknown(Unavailable("RoleUnavailable", "no answer"))
    for bad in (Absent(), hidden):
        assert not judge_boundaries(Stage(stage), {"execution": good, "task": bad}).ok
    assert not judge_boundaries(Stage(stage), {}).ok


# --- what the brokers let the controller do -----------------------------------------------------


def test_brokers_that_let_it_delete_are_told_by_topic() -> None:
    assert judge_deletable(()).ok
    assert not judge_deletable(None).ok
    found = judge_deletable(("wms.A", "wms.B"))
    assert not found.ok
    assert "wms.A, wms.B" in found.message


def test_the_brokers_are_asked_seldom_and_an_answer_that_fails_is_no_answer() -> None:
    clock, kafka = FakeClock(0.0), FakeKafka()
    kafka.make(named_topics()[0])
    protection = Protection("scram", clock)
    assert protection.describe(FAR)["deletable"] is None
    for _ in range(3):
        protection.look(FAR, lambda: kafka)
    assert kafka.requests["describe_topics"] == 1
    assert protection.describe(FAR) == {"identity": "scram", "deletable": [named_topics()[0]]}
    clock.advance(SELDOM_SECONDS)
    kafka.outage = Unavailable("KafkaUnavailable", "away")
    protection.look(FAR, lambda: kafka)
    assert protection.describe(FAR)["deletable"] is None
    kafka.outage = None
    clock.advance(RETRY_SECONDS)
    protection.look(FAR, lambda: kafka)
    assert protection.describe(FAR)["deletable"] == [named_topics()[0]]


@pytest.mark.parametrize(("security", "line"), [("tls", FAR), ("plaintext", "127.0.0.1:9092")])
def test_brokers_that_ask_for_no_identity_are_not_asked(security: str, line: str) -> None:
    kafka = FakeKafka()
    Protection(security, FakeClock(0.0)).look(line, lambda: kafka)
    assert not kafka.requests
