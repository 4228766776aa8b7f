"""What a deploy must show before it counts as good."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest

from controller.core.faults import Denied, Unavailable
from controller.core.model import ABSENT, Absent, Unknown
from controller.core.protection import Boundary
from controller.core.stage import Stage
from controller.verify import Expected, Verdict, check_boundaries, judge, wait_until_good
from tests.fakes.clock import FakeClock

NOW = 1_800_000_000.0
REVISION = "0123456789abcdef"
COMMIT = "c" * 40


def condition(kind: str, status: str = "True", reason: str = "Fine") -> dict[str, Any]:
    return {"type": kind, "status": status, "reason": reason, "message": "told", "since": NOW}


def good() -> dict[str, Any]:
    kinds = ("Synced", "Ready", "Healthy", "SecretsResolved")
    return {
        "stage": "main",
        "at": NOW - 5,
        "complete": True,
        "converged": True,
        "revision": {"id": REVISION, "commit": COMMIT},
        "refusedRevision": None,
        "faults": [],
        "warnings": [],
        "protection": {"identity": "iam", "deletable": []},
        "resources": [
            {
                "resource": "connector/wms-oracle-cdc",
                "decision": "Converged",
                "reason": "InSync",
                "message": "as declared",
                "generation": "g1",
                "conditions": [*(condition(kind) for kind in kinds), condition("Stalled", "False")],
                "lag": {
                    "seconds": 1.0,
                    "message": "from heartbeats",
                    "heartbeatAge": 8.0,
                    "topics": {"wms.APP.T": {"seconds": 1.0, "newestRecordAge": 4000.0}},
                },
            },
            {
                "resource": "topic/wms.APP.T",
                "decision": "Converged",
                "reason": "InSync",
                "message": "as declared",
                "generation": "g1",
                "conditions": [condition("Synced"), condition("Ready")],
            },
        ],
    }


def look(document: dict[str, Any], **expected: Any) -> Verdict:
    return judge(document, Expected(**expected), NOW)


def failed(verdict: Verdict) -> list[str]:
    return [check.name for check in verdict.checks if not check.ok]


def test_a_good_deploy_is_good() -> None:
    verdict = look(good(), revision=REVISION, commit="ccccccc")
    assert failed(verdict) == []
    assert verdict.ok


def spoil(path: list[Any], value: Any) -> Callable[[dict[str, Any]], None]:
    def change(document: dict[str, Any]) -> None:
        for step in path[:-1]:
            document = document[step]
        document[path[-1]] = value

    return change


CONNECTOR = ["resources", 0]
HARM = {
    "status": spoil(["at"], NOW - 100),
    "revision": spoil(["revision", "id"], "another"),
    "commit": spoil(["revision", "commit"], "d" * 40),
    "manifests": spoil(["refusedRevision"], {"message": "wrong", "since": NOW}),
    "observation": spoil(["faults"], [{"system": "kafka", "reason": "Away", "message": "no"}]),
    "connectors": lambda document: document["resources"].pop(0),
    "connector/wms-oracle-cdc Synced": spoil(
        [*CONNECTOR, "conditions", 0], condition("Synced", "False", "Frozen")
    ),
    "connector/wms-oracle-cdc Ready": spoil(
        [*CONNECTOR, "conditions", 1], condition("Ready", "Unknown")
    ),
    "connector/wms-oracle-cdc Healthy": spoil(
        [*CONNECTOR, "conditions", 2], condition("Healthy", "False", "LoginRefused")
    ),
    "connector/wms-oracle-cdc alive": spoil([*CONNECTOR, "lag", "heartbeatAge"], 500.0),
    "topics": spoil(["resources", 1, "conditions", 1], condition("Ready", "False", "Absent")),
    "protection": spoil(["protection", "deletable"], ["wms.WMS.T"]),
}


@pytest.mark.parametrize("name", HARM)
def test_each_thing_that_is_wrong_fails_its_own_check(name: str) -> None:
    document = good()
    HARM[name](document)
    assert failed(look(document, revision=REVISION, commit=COMMIT)) == [name]


def test_a_connector_of_which_nothing_was_ever_seen_is_not_alive() -> None:
    lags: tuple[Any, ...] = (None, {"heartbeatAge": None, "topics": {}, "message": "no heartbeat"})
    for lag in lags:
        document = good()
        document["resources"][0]["lag"] = lag
        assert failed(look(document)) == ["connector/wms-oracle-cdc alive"]


def test_a_row_is_as_good_as_a_heartbeat() -> None:
    document = good()
    document["resources"][0]["lag"]["heartbeatAge"] = None
    document["resources"][0]["lag"]["topics"]["wms.APP.T"]["newestRecordAge"] = 3.0
    assert look(document).ok


def test_the_age_of_the_status_counts_too() -> None:
    document = good()
    document["at"] = NOW - 60
    assert failed(look(document, seen_within=30)) == ["connector/wms-oracle-cdc alive"]


def test_a_connector_that_is_declared_paused_need_not_be_alive() -> None:
    document = good()
    document["resources"][0]["conditions"][1] = condition("Ready", "True", "Paused")
    document["resources"][0]["lag"] = None
    assert look(document).ok


@pytest.mark.parametrize("document", [{}, {"stage": "main", "cycle": 0}])
def test_a_process_before_its_first_cycle_is_never_good(document: dict[str, Any]) -> None:
    assert not judge(document, Expected(), NOW).ok


def test_warnings_are_shown_and_fail_nothing() -> None:
    document = good()
    document["warnings"] = ["ClusterUnprotected: whoever reaches it"]
    verdict = look(document)
    assert verdict.ok
    assert verdict.warnings == ("ClusterUnprotected: whoever reaches it",)


@pytest.mark.parametrize(
    "told",
    [
        None,
        {},
        {"identity": None, "deletable": None},
        {"identity": "iam", "deletable": None},
        {"identity": "none", "deletable": None},
    ],
)
def test_a_protection_that_could_not_be_seen_is_no_pass(told: dict[str, Any] | None) -> None:
    document = good()
    document["protection"] = told
    assert failed(look(document)) == ["protection"]


def test_brokers_of_this_machine_need_no_protection() -> None:
    document = good()
    document["protection"] = {"identity": "local", "deletable": None}
    assert look(document).ok


def test_brokers_that_ask_nobody_pass_only_with_a_persons_word() -> None:
    document = good()
    document["protection"] = {"identity": "none", "deletable": None}
    document["warnings"] = ["ClusterUnprotected: whoever reaches it"]
    assert failed(look(document)) == ["protection"]
    known = look(document, unprotected=True)
    assert known.ok
    assert known.warnings == ("ClusterUnprotected: whoever reaches it",)


GUARD = {
    "Statement": [
        {"Effect": "Allow", "Action": "*", "Resource": "*"},
        {"Effect": "Deny", "Action": "*:*", "Resource": "*"},
    ]
}


@pytest.mark.parametrize(
    ("stage", "roles"),
    [
        ("main", ["execution", "task"]),
        ("feat-x", ["execution", "task", "teardown", "teardown-start"]),
    ],
)
def test_every_role_of_the_stage_is_asked_for_its_boundary(stage: str, roles: list[str]) -> None:
    asked = list[str]()

    def boundary_of(role: str) -> Boundary:
        asked.append(role)
        return Boundary("arn:aws:iam::1:policy/guard", GUARD, "us-east-1:111122223333")

    check = check_boundaries(Stage(stage), good(), boundary_of)
    assert check is not None
    assert check.ok
    assert asked == [f"wms-connector-{stage}-{role}" for role in roles]


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (ABSENT, "has no permissions boundary"),
        (Unknown(Denied("RoleDenied", "AccessDenied: no")), "could not be seen"),
    ],
)
def test_a_boundary_that_is_missing_or_hidden_fails(answer: Absent | Unknown, said: str) -> None:
    verdict = look(good()).also(check_boundaries(Stage("main"), good(), lambda _role: answer))
    assert failed(verdict) == ["boundary"]
    assert said in verdict.checks[-1].message


@pytest.mark.parametrize("identity", ["local", None])
def test_on_this_machine_no_boundary_is_asked_for(identity: str | None) -> None:
    document = good()
    document["protection"] = {"identity": identity, "deletable": []}
    assert check_boundaries(Stage("main"), document, lambda _role: ABSENT) is None


@pytest.mark.parametrize("identity", ["scram", "none"])
def test_what_lies_in_aws_must_be_kept_whatever_the_brokers_ask(identity: str) -> None:
    document = good()
    document["protection"] = {"identity": identity, "deletable": []}
    open_to_all = {"Statement": {"Effect": "Allow", "Action": "*", "Resource": "*"}}

    def boundary_of(_role: str) -> Boundary:
        return Boundary("arn:aws:iam::1:policy/guard", open_to_all, "us-east-1:111122223333")

    check = check_boundaries(Stage("feat-x"), document, boundary_of)
    assert check is not None
    assert not check.ok
    assert "dynamodb:PutItem on wms-connector-main-state" in check.message
    assert "kafka" not in check.message


def test_it_waits_and_tells_what_it_waits_for_once() -> None:
    clock, told = FakeClock(NOW), list[str]()
    documents = iter([None, None, "old", "old", "good"])

    def read() -> dict[str, Any]:
        what = next(documents)
        if what is None:
            raise Unavailable("NoStatus", "nobody answers")
        found = copy.deepcopy(good())
        found["at"] = clock.now()
        if what == "old":
            found["revision"]["id"] = "another"
        return found

    verdict = wait_until_good(
        read, Expected(REVISION), clock=clock, wait=clock.advance, timeout=60, say=told.append
    )
    assert verdict.ok
    assert verdict.seconds == 8.0
    assert [line.split("waits for ")[1].split(":")[0] for line in told] == ["status", "revision"]


def test_it_gives_up_in_time_and_says_why() -> None:
    clock = FakeClock(NOW)
    verdict = wait_until_good(
        dict,
        Expected(),
        clock=clock,
        wait=clock.advance,
        timeout=9,
        say=lambda _line: None,
    )
    assert not verdict.ok
    assert clock.now() == NOW + 9
    assert verdict.data()["ok"] is False
