from __future__ import annotations

import dataclasses

import pytest

from controller.core.stage import (
    LONGEST,
    MARK_KEY,
    NAMED,
    RESERVED,
    RefusedStage,
    Stage,
    stage_of_branch,
)

# Each row: what was given, and a part of the sentence that tells a person what to do about it.
REFUSED: list[tuple[str | None, str]] = [
    (None, "no stage was given"),
    ("", "no stage was given"),
    (" ", "begins with a letter"),
    ("\n", "begins with a letter"),
    # like a named stage: padded
    ("main\n", "write exactly main"),
    ("main\r\n", "write exactly main"),
    ("\nmain", "write exactly main"),
    (" main", "write exactly main"),
    ("main ", "write exactly main"),
    ("val\t", "write exactly val"),
    ("production\x00", "write exactly production"),
    ("main\u00a0", "write exactly main"),
    ("main\u2028", "write exactly main"),
    ("\ufeffmain", "write exactly main"),
    ("ma\u200bin", "write exactly main"),
    ("ma\u00adin", "write exactly main"),
    ("\u202emain", "write exactly main"),
    ('"main"', "write exactly main"),
    ("'val'", "write exactly val"),
    ("main.", "write exactly main"),
    ("/main", "write exactly main"),
    ("main-", "write exactly main"),
    ("-main", "write exactly main"),
    ("_main", "write exactly main"),
    # like a named stage: another case
    ("Main", "write exactly main"),
    ("MAIN", "write exactly main"),
    ("Val", "write exactly val"),
    ("Production", "write exactly production"),
    ("PRODUCTION", "write exactly production"),
    # like a named stage: other letters
    ("\uff4d\uff41\uff49\uff4e", "write exactly main"),  # full width
    ("m\u0430in", "write exactly main"),  # Cyrillic a
    ("m\u03b1\u03b9n", "write exactly main"),  # Greek alpha, iota
    ("v\u0430l", "write exactly val"),
    ("\u0440roducti\u043en", "write exactly production"),  # Cyrillic er, o
    ("m\u00e1in", "write exactly main"),
    ("ma\u0301in", "write exactly main"),
    ("\U0001d426\U0001d41a\U0001d422\U0001d427", "write exactly main"),  # mathematical bold
    ("ma1n", "write exactly main"),
    ("maln", "write exactly main"),
    ("rnain", "write exactly main"),
    ("va1", "write exactly val"),
    ("pr0duct10n", "write exactly production"),
    # not a stage at all
    ("feat.demo", "a-z, 0-9 and hyphens"),
    (".", "a-z, 0-9 and hyphens"),
    ("..", "a-z, 0-9 and hyphens"),
    ("feat/demo", "a-z, 0-9 and hyphens"),
    ("feat_demo", "a-z, 0-9 and hyphens"),
    ("feat demo", "a-z, 0-9 and hyphens"),
    ("feat-demo\n", "a-z, 0-9 and hyphens"),
    (" feat-demo", "a-z, 0-9 and hyphens"),
    ("Feat-Demo", "a-z, 0-9 and hyphens"),
    ("feat*", "a-z, 0-9 and hyphens"),
    ("feat-\u0661", "a-z, 0-9 and hyphens"),  # a digit, but not ASCII
    ("f\u00e9at", "a-z, 0-9 and hyphens"),
    ("\u017ftage", "a-z, 0-9 and hyphens"),  # long s, which folds to s
    ("\u212aafka", "a-z, 0-9 and hyphens"),  # kelvin sign, which folds to k
    ("-x", "begins with a letter"),
    ("--help", "begins with a letter"),
    ("1-x", "begins with a letter"),
    ("42", "begins with a letter"),
    ("${STAGE}", "a-z, 0-9 and hyphens"),
    ("main,val", "a-z, 0-9 and hyphens"),
    ("x" * 32, "at most 31"),
    ("x" * 10_000, "at most 31"),
    ("feat-", "ends with a hyphen"),
    # reserved
    ("wms", "is reserved"),
    ("mmdl", "is reserved"),
    ("aws", "is reserved"),
    ("mgmt", "is reserved"),
    ("default", "is reserved"),
    ("connect", "is reserved"),
    ("debezium", "is reserved"),
    ("master", "is reserved"),
    ("prod", "is reserved"),
    ("local", "is reserved"),
    ("ephemeral", "is reserved"),
    ("base", "is reserved"),
    ("stages", "is reserved"),
    ("internal", "is reserved"),
    ("kafka", "is reserved"),
    ("schema", "is reserved"),
    ("heartbeat", "is reserved"),
    ("dev", "is reserved"),
    ("test", "is reserved"),
    ("undefined", "is reserved"),
    ("null", "is reserved"),
]


@pytest.mark.parametrize(("text", "advice"), REFUSED, ids=[ascii(text) for text, _ in REFUSED])
def test_a_stage_that_could_be_a_mistake_is_refused_with_advice(
    text: str | None, advice: str
) -> None:
    with pytest.raises(RefusedStage) as caught:
        Stage.parse(text)
    message = str(caught.value)
    assert advice in message
    assert message.isascii(), "what is wrong with it must be seen, so it is shown escaped"
    assert message.isprintable()
    assert len(message) < 250


@pytest.mark.parametrize("text", [text for text, _ in REFUSED if text is not None])
def test_no_other_way_to_a_stage_takes_what_parse_refuses(text: str) -> None:
    with pytest.raises(RefusedStage):
        Stage(text)
    with pytest.raises(RefusedStage):
        dataclasses.replace(Stage("main"), name=text)


@pytest.mark.parametrize(
    "text",
    [
        "a",
        "x" * 31,
        "feat-demo",
        "feat--demo",
        "xn--80ak6aa92e",
        "mains",
        "main2",
        "main-2",
        "maintenance",
        "remain",
        "validate",
        "production-fix",
        "a1",
        "wms-fix",
        "wmsx",
        "tests",
    ],
)
def test_any_other_stage_is_ephemeral_and_stays_as_written(text: str) -> None:
    stage = Stage.parse(text)
    assert stage.name == text
    assert stage.ephemeral
    assert not stage.named
    assert stage.namespace == f"{text}."
    assert stage.default_overlay == "ephemeral"


@pytest.mark.parametrize("text", NAMED)
def test_a_named_stage_has_no_namespace_and_its_own_overlay(text: str) -> None:
    stage = Stage.parse(text)
    assert stage.named
    assert not stage.ephemeral
    assert stage.namespace == ""
    assert stage.default_overlay == text


def test_every_reserved_word_is_refused() -> None:
    for word in RESERVED:
        with pytest.raises(RefusedStage, match="reserved"):
            Stage.parse(word)


def test_the_first_labels_of_declared_topics_are_reserved_too() -> None:
    with pytest.raises(RefusedStage, match="reserved"):
        Stage.parse("orders", reserved=["Orders", "main"])
    assert Stage.parse("order", reserved=["orders", "main"]).ephemeral
    assert Stage.parse("main", reserved=["orders", "main"]).named


NAMES: list[tuple[str, dict[str, object]]] = [
    (
        "main",
        {
            "topic_prefix": "wms",
            "schema_change_topic": "wms",
            "schema_history_topic": "wms.schema-changes",
            "shared_schema_history_topic": "wms.schema-changes.main",
            "heartbeat_topic": "__debezium-heartbeat.wms",
            "connect_topics": {
                "config": "mgmt.connect.wms-connector-main.config",
                "offsets": "mgmt.connect.wms-connector-main.offsets",
                "status": "mgmt.connect.wms-connector-main.status",
            },
            "connect_group": "mgmt.connect.wms-connector-main",
            "service": "wms-connector-main",
            "mark": "wms-connector-main",
            "identifier": "main",
        },
    ),
    (
        "feat-demo",
        {
            "topic_prefix": "feat-demo.wms",
            "schema_change_topic": "feat-demo.wms",
            "schema_history_topic": "feat-demo.wms.schema-changes",
            "shared_schema_history_topic": "feat-demo.wms.schema-changes",
            "heartbeat_topic": "__debezium-heartbeat.feat-demo.wms",
            "connect_topics": {
                "config": "mgmt.connect.wms-connector-feat-demo.config",
                "offsets": "mgmt.connect.wms-connector-feat-demo.offsets",
                "status": "mgmt.connect.wms-connector-feat-demo.status",
            },
            "connect_group": "mgmt.connect.wms-connector-feat-demo",
            "service": "wms-connector-feat-demo",
            "mark": "wms-connector-feat-demo",
            "identifier": "feat_demo",
        },
    ),
]


@pytest.mark.parametrize(("text", "names"), NAMES)
def test_every_name_follows_from_the_stage(text: str, names: dict[str, object]) -> None:
    stage = Stage.parse(text)
    assert {field: getattr(stage, field) for field in names} == names
    assert str(stage) == f"{stage}" == text


@pytest.mark.parametrize(
    ("text", "name", "full"),
    [
        ("main", "wms.WMS.PLAN_BASE_WVR_TBL", "wms.WMS.PLAN_BASE_WVR_TBL"),
        ("production", "wms", "wms"),
        ("feat-demo", "wms.WMS.PLAN_BASE_WVR_TBL", "feat-demo.wms.WMS.PLAN_BASE_WVR_TBL"),
        ("feat-demo", "feat-demo.wms", "feat-demo.wms"),
        ("feat-demo", "feat-demo", "feat-demo.feat-demo"),
        ("feat-demo", "feat-demo2.wms", "feat-demo.feat-demo2.wms"),
    ],
)
def test_a_topic_gets_the_namespace_once(text: str, name: str, full: str) -> None:
    stage = Stage.parse(text)
    assert stage.topic(name) == full
    assert stage.topic(full) == full


def test_a_secret_is_looked_for_under_the_stage_and_then_under_default() -> None:
    stage = Stage.parse("feat-demo")
    assert stage.secret_paths("dbInfo") == ("wms/feat-demo/dbInfo", "wms/default/dbInfo")
    assert stage.secret_paths("dbInfo", "mmdl") == ("mmdl/feat-demo/dbInfo", "mmdl/default/dbInfo")


def test_the_mark_is_kept_under_a_key_of_our_own() -> None:
    assert MARK_KEY == "x-wms.managed-by"


@pytest.mark.parametrize(
    ("text", "others"),
    [
        ("main", ["val", "production"]),
        ("val", ["main", "production"]),
        ("feat-demo", ["main", "val", "production"]),
    ],
)
def test_the_other_named_stages_leave_this_one_out(text: str, others: list[str]) -> None:
    assert [stage.name for stage in Stage.parse(text).other_named_stages()] == others


def test_a_stage_is_a_value() -> None:
    stage = Stage.parse("feat-demo")
    assert len({stage, Stage("feat-demo"), Stage("feat-demo2")}) == 2
    with pytest.raises(dataclasses.FrozenInstanceError):
        stage.name = "main"  # type: ignore[misc]


# --- from a git branch --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("branch", "name"),
    [
        ("main", "main"),
        ("refs/heads/main", "main"),
        ("val", "val"),
        ("production", "production"),
        ("feat-demo", "feat-demo"),
        ("refs/heads/feat-demo", "feat-demo"),
        ("x" * 31, "x" * 31),
    ],
)
def test_a_branch_that_is_a_stage_keeps_its_name(branch: str, name: str) -> None:
    assert stage_of_branch(branch).name == name


@pytest.mark.parametrize(
    ("branch", "name"),
    [
        ("feature/ABC-12_x", "feature-abc-12-x-bea40f90"),
        ("Main", "main-eb814be3"),
        ("wms", "wms-9366d1e7"),
        ("feat.demo", "feat-demo-"),
        ("1.2", "branch-1-2-77ac319b"),
        ("\u65e5\u672c", "branch-cf2abf0c"),
        ("a" * 40, "aaaaaaaaaaaaaaaaaaaaaa-e33cdf9c"),
        ("feat-demo-deadbeef", "feat-demo-deadbeef-"),  # could be the hash of another branch
        ("dependabot/npm_and_yarn/foo-1.2", "dependabot-npm-and-yar-103aca75"),
        ("refs/heads/refs/heads/main", None),
    ],
)
def test_any_other_branch_is_spelled_out_the_same_for_ever(branch: str, name: str | None) -> None:
    if name is None:
        with pytest.raises(RefusedStage, match="is not a git branch"):
            stage_of_branch(branch)
        return
    stage = stage_of_branch(branch)
    assert stage.name.startswith(name)
    assert len(stage.name) <= LONGEST
    assert stage.ephemeral


def test_a_branch_called_like_a_declared_topic_is_spelled_out() -> None:
    assert stage_of_branch("orders", reserved=iter(["orders"])).name.startswith("orders-")


@pytest.mark.parametrize(
    ("branch", "advice"),
    [
        (None, "is not a git branch"),
        ("", "is not a git branch"),
        ("refs/heads/", "is not a git branch"),
        ("HEAD", "detached HEAD"),
        ("refs/tags/v1.0", "tag"),
        ("refs/pull/12/merge", "is not a git branch"),
        ("-x", "is not a git branch"),
        (" main", "stray newline"),
        ("main\n", "stray newline"),
        ("ma\u200bin", "invisible"),
        ("feat demo", "blanks"),
    ],
)
def test_what_is_no_branch_has_no_stage(branch: str | None, advice: str) -> None:
    with pytest.raises(RefusedStage, match=advice):
        stage_of_branch(branch)
