from __future__ import annotations

import copy
from dataclasses import dataclass, replace

import pytest

from controller.core.guards import (
    CONNECTOR_GUARDS,
    GUARDS,
    ConnectorDeletionRequest,
    DeletionRequest,
    PermittedConnectorDeletion,
    PermittedDeletion,
    RefusedDeletion,
    connector_refusals,
    own_name,
    permit,
    permit_connector,
    protected_name,
    refusals,
)
from controller.core.stage import NAMED, Stage

FEAT = Stage.parse("feat-demo")
TABLE = "feat-demo.wms.WMS.PLAN_BASE_WVR_TBL"
ALLOWED = DeletionRequest(
    stage=FEAT,
    name=TABLE,
    topic_id="s3tJ2hTnQ2eGKbTqA2mxyA",
    observed_topic_id="s3tJ2hTnQ2eGKbTqA2mxyA",
    listing_complete=True,
    to_delete=10,
    cap=10,
    confirmed="feat-demo",
)
ALLOWED_CONNECTOR = ConnectorDeletionRequest(
    stage=FEAT,
    name="wms-oracle-cdc",
    mark="wms-connector-feat-demo",
    topic_prefix="feat-demo.wms",
    confirmed="feat-demo",
)


@dataclass(frozen=True, slots=True)
class Liar(Stage):
    """A stage that calls itself ephemeral, whatever its name."""

    @property
    def named(self) -> bool:
        return False

    @property
    def namespace(self) -> str:
        return ""


def forged(name: str) -> Stage:
    """A stage that no constructor has seen."""
    stage = object.__new__(Stage)
    object.__setattr__(stage, "name", name)
    return stage


def test_a_topic_that_every_guard_allows_may_be_deleted() -> None:
    assert refusals(ALLOWED) == ()
    assert permit(ALLOWED).name == TABLE
    assert permit(ALLOWED).request == ALLOWED


# Each row violates exactly one guard.
VIOLATIONS: list[tuple[str, DeletionRequest]] = [
    ("ForeignName", replace(ALLOWED, name="feat-demo.other")),
    ("ForeignName", replace(ALLOWED, name="feat-demo.wmsx")),
    ("ForeignName", replace(ALLOWED, name="feat-demo")),
    ("ForeignName", replace(ALLOWED, name="feat-demo.")),
    ("ForeignName", replace(ALLOWED, name="feat-demo-2.wms")),
    ("ForeignName", replace(ALLOWED, name="feat-demo.wms.*")),
    ("ForeignName", replace(ALLOWED, name="feat-demo.wms.x\n")),
    ("ForeignName", replace(ALLOWED, name="feat-demo.wms." + "x" * 249)),
    ("ForeignName", replace(ALLOWED, name="Feat-demo.wms")),
    ("ForeignName", replace(ALLOWED, name="aws.wms.cdc.WMS")),
    ("ForeignName", replace(ALLOWED, name="")),
    ("ForeignName", replace(ALLOWED, name="__debezium-heartbeat.feat-demo.wms.x")),
    ("ForeignName", replace(ALLOWED, name="__debezium-heartbeat.feat-demo2.wms")),
    ("ForeignName", replace(ALLOWED, name="mgmt.connect.wms-connector-feat-demo")),
    ("ForeignName", replace(ALLOWED, name="mgmt.connect.wms-connector-feat-demo.configs")),
    ("ForeignName", replace(ALLOWED, name="mgmt.connect.wms-connector-feat.config")),
    ("ProtectedName", replace(ALLOWED, protected=frozenset({TABLE}))),
    ("ListingIncomplete", replace(ALLOWED, listing_complete=False)),
    ("ListingIncomplete", replace(ALLOWED, listing_complete="no")),  # type: ignore[arg-type]
    ("TopicIdChanged", replace(ALLOWED, observed_topic_id="another")),
    ("TopicIdChanged", replace(ALLOWED, observed_topic_id=None)),
    ("TopicIdChanged", replace(ALLOWED, topic_id=None)),
    ("TopicIdChanged", replace(ALLOWED, topic_id=None, observed_topic_id=None)),
    ("TopicIdChanged", replace(ALLOWED, topic_id="", observed_topic_id="")),
    ("TopicIdChanged", replace(ALLOWED, topic_id="A" * 22, observed_topic_id="A" * 22)),
    ("TooMany", replace(ALLOWED, to_delete=11)),
    ("TooMany", replace(ALLOWED, to_delete=0)),
    ("TooMany", replace(ALLOWED, to_delete=-1)),
    ("TooMany", replace(ALLOWED, cap=0)),
    ("NotConfirmed", replace(ALLOWED, confirmed=None)),
    ("NotConfirmed", replace(ALLOWED, confirmed="")),
    ("NotConfirmed", replace(ALLOWED, confirmed="yes")),
    ("NotConfirmed", replace(ALLOWED, confirmed="feat-demo ")),
    ("NotConfirmed", replace(ALLOWED, confirmed="Feat-Demo")),
]


@pytest.mark.parametrize(("reason", "request_"), VIOLATIONS)
def test_one_violated_guard_is_enough_to_refuse(reason: str, request_: DeletionRequest) -> None:
    assert [refusal.reason for refusal in refusals(request_)] == [reason]
    with pytest.raises(RefusedDeletion) as caught:
        permit(request_)
    assert caught.value.refusals == refusals(request_)
    assert str(caught.value) == refusals(request_)[0].message
    assert str(caught.value).isprintable()


@pytest.mark.parametrize("name", NAMED)
@pytest.mark.parametrize("cls", [Stage, Liar])
@pytest.mark.parametrize("topic", ["wms", "wms.WMS.PLAN_BASE_WVR_TBL", TABLE])
def test_a_named_stage_deletes_nothing(name: str, cls: type[Stage], topic: str) -> None:
    request = replace(ALLOWED, stage=cls(name), name=topic, confirmed=name)
    assert "StageNotEphemeral" in {refusal.reason for refusal in refusals(request)}
    with pytest.raises(RefusedDeletion, match="nothing of a named stage is ever deleted"):
        permit(request)


@pytest.mark.parametrize("name", ["", "Main", "main\n", "wms", "aws", "a.b", "x" * 32])
def test_a_stage_that_was_never_validated_deletes_nothing(name: str) -> None:
    request = replace(ALLOWED, stage=forged(name), name=f"{name}.wms", confirmed=name)
    reasons = [refusal.reason for refusal in refusals(request)]
    assert reasons[:2] == ["StageNotEphemeral", "ForeignName"]


def test_a_stage_that_lies_about_its_namespace_owns_what_its_name_says() -> None:
    liar = Liar("feat-demo")
    assert permit(replace(ALLOWED, stage=liar)).name == TABLE
    with pytest.raises(RefusedDeletion):
        permit(replace(ALLOWED, stage=liar, name="wms.WMS.PLAN_BASE_WVR_TBL"))


def test_every_guard_that_does_not_hold_is_told() -> None:
    worst = DeletionRequest(Stage("main"), "wms", "a", "b", False, 100, 10, None)
    assert [refusal.reason for refusal in refusals(worst)] == [guard.reason for guard in GUARDS]
    with pytest.raises(RefusedDeletion) as caught:
        permit(worst)
    assert len(caught.value.refusals) == len(GUARDS) == 7


def test_every_guard_is_violated_alone_by_some_row_or_is_the_stage_itself() -> None:
    rows = {reason for reason, _ in VIOLATIONS}
    assert rows | {"StageNotEphemeral"} == {guard.reason for guard in GUARDS}


def test_a_permit_that_was_forged_gives_no_name() -> None:
    wrong = replace(ALLOWED, stage=Stage("main"), name="wms", confirmed="main")
    forgery = object.__new__(PermittedDeletion)
    object.__setattr__(forgery, "request", wrong)
    with pytest.raises(RefusedDeletion):
        _ = forgery.name
    with pytest.raises(RefusedDeletion):
        replace(permit(ALLOWED), request=wrong)
    assert copy.copy(permit(ALLOWED)).name == TABLE


def test_a_permit_has_no_subclass_that_could_leave_the_guards_out() -> None:
    with pytest.raises(TypeError, match="no subclasses"):
        type("Lax", (PermittedDeletion,), {})
    with pytest.raises(TypeError, match="no subclasses"):
        type("Lax", (PermittedConnectorDeletion,), {})


# --- names --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("stage", "name", "own"),
    [
        ("feat-demo", "feat-demo.wms", True),
        ("feat-demo", "feat-demo.wms.schema-changes", True),
        ("feat-demo", TABLE, True),
        ("feat-demo", "__debezium-heartbeat.feat-demo.wms", True),
        ("feat-demo", "mgmt.connect.wms-connector-feat-demo.config", True),
        ("feat-demo", "mgmt.connect.wms-connector-feat-demo.offsets", True),
        ("feat-demo", "mgmt.connect.wms-connector-feat-demo.status", True),
        ("feat-demo", "feat-demo.mgmt.connect.wms-connector-feat-demo.status", False),
        ("feat-demo", "wms", False),
        ("feat-demo", "wms.WMS.PLAN_BASE_WVR_TBL", False),
        ("feat", "feat-demo.wms", False),
        ("feat", "mgmt.connect.wms-connector-feat-demo.config", False),
        ("feat-demo", "feat.wms", False),
        ("main", "wms", True),
        ("main", "wms.WMS.PLAN_BASE_WVR_TBL", True),
        ("main", "__debezium-heartbeat.wms", True),
        ("main", "mgmt.connect.wms-connector-main.status", True),
        ("main", "mgmt.connect.wms-connector-val.status", False),
        ("main", "wmsx", False),
        ("main", TABLE, False),
    ],
)
def test_a_stage_owns_its_exact_names_and_what_is_under_its_prefix(
    stage: str, name: str, own: bool
) -> None:
    assert own_name(Stage(stage), name) is own


@pytest.mark.parametrize(
    "name",
    [
        "__consumer_offsets",
        "__transaction_state",
        "__share_group_state",
        "__cluster_metadata",
        "__amazon_msk_canary",
        "_schemas",
        "_confluent-metrics",
        "wms",
        "wms.schema-changes",
        "wms.schema-changes.main",
        "wms.WMS.PLAN_BASE_WVR_TBL",
        "__debezium-heartbeat.wms",
        "mgmt.connect.wms-connector-main.config",
        "mgmt.connect.wms-connector-val.offsets",
        "mgmt.connect.wms-connector-production.status",
    ],
)
def test_what_named_stages_and_kafka_own_is_protected(name: str) -> None:
    assert protected_name(name)
    reasons = {refusal.reason for refusal in refusals(replace(ALLOWED, name=name))}
    assert reasons == {"ForeignName", "ProtectedName"}


def test_a_branchs_own_names_are_not_protected_unless_somebody_says_so() -> None:
    for name in (TABLE, FEAT.heartbeat_topic, *FEAT.connect_topics.values()):
        assert not protected_name(name)
        assert protected_name(name, [name])


# --- connectors ---------------------------------------------------------------------------------


def test_a_connector_of_the_branch_may_be_deleted() -> None:
    assert connector_refusals(ALLOWED_CONNECTOR) == ()
    assert permit_connector(ALLOWED_CONNECTOR).name == "wms-oracle-cdc"


CONNECTOR_VIOLATIONS: list[tuple[str, ConnectorDeletionRequest]] = [
    ("ForeignMark", replace(ALLOWED_CONNECTOR, mark=None)),
    ("ForeignMark", replace(ALLOWED_CONNECTOR, mark="wms-connector-main")),
    ("ForeignMark", replace(ALLOWED_CONNECTOR, mark="wms-connector-feat-demo2")),
    ("ForeignPrefix", replace(ALLOWED_CONNECTOR, topic_prefix=None)),
    ("ForeignPrefix", replace(ALLOWED_CONNECTOR, topic_prefix="wms")),
    ("ForeignPrefix", replace(ALLOWED_CONNECTOR, topic_prefix="feat-demo.wms.x")),
    ("NotConfirmed", replace(ALLOWED_CONNECTOR, confirmed=None)),
    ("NotConfirmed", replace(ALLOWED_CONNECTOR, confirmed="main")),
]


@pytest.mark.parametrize(("reason", "request_"), CONNECTOR_VIOLATIONS)
def test_one_violated_guard_is_enough_to_keep_a_connector(
    reason: str, request_: ConnectorDeletionRequest
) -> None:
    assert [refusal.reason for refusal in connector_refusals(request_)] == [reason]
    with pytest.raises(RefusedDeletion):
        permit_connector(request_)


@pytest.mark.parametrize("name", NAMED)
@pytest.mark.parametrize("cls", [Stage, Liar])
def test_a_named_stage_deletes_no_connector(name: str, cls: type[Stage]) -> None:
    request = ConnectorDeletionRequest(
        cls(name), "wms-oracle-cdc", f"wms-connector-{name}", "wms", name
    )
    reasons = [refusal.reason for refusal in connector_refusals(request)]
    assert reasons == [guard.reason for guard in CONNECTOR_GUARDS if guard.reason != "NotConfirmed"]
    forgery = object.__new__(PermittedConnectorDeletion)
    object.__setattr__(forgery, "request", request)
    with pytest.raises(RefusedDeletion):
        _ = forgery.name
