"""Base and overlay."""

# ruff: noqa: E501 - tables of messages, each in its line
from __future__ import annotations

import pytest

from tests.manifest_texts import MAIN, errors, policy, read, topic, warnings

SPEC = "partitions: 3\nconfig:\n  retention.ms: 1\n  segment.ms: 2"


def layered(base: str, over: str) -> dict[str, str]:
    return {"base/b.yaml": base, "stages/local/o.yaml": over}


def spec_of(files: dict[str, str]) -> dict[str, object]:
    (document,) = read(files).documents
    return {key: value for key, value in document["spec"].items() if key not in {"class", "name"}}


@pytest.mark.parametrize(
    ("over", "merged"),
    [
        ("partitions: 5", {"partitions": 5, "config": {"retention.ms": "1", "segment.ms": "2"}}),
        (
            "config: {segment.ms: 7}",
            {"partitions": 3, "config": {"retention.ms": "1", "segment.ms": "7"}},
        ),
        ("config: {segment.ms: null}", {"partitions": 3, "config": {"retention.ms": "1"}}),
        (
            "config: {flush.ms: 9}",
            {"partitions": 3, "config": {"retention.ms": "1", "segment.ms": "2", "flush.ms": "9"}},
        ),
        ("config: null", {"partitions": 3, "config": {}}),
        ("config: {}", {"partitions": 3, "config": {"retention.ms": "1", "segment.ms": "2"}}),
        (
            "replicationFactor: 2",
            {
                "partitions": 3,
                "replicationFactor": 2,
                "config": {"retention.ms": "1", "segment.ms": "2"},
            },
        ),
    ],
)
def test_maps_merge_scalars_replace_null_removes(over: str, merged: dict[str, object]) -> None:
    assert spec_of(layered(topic(spec=SPEC), topic(spec=over))) == merged


def test_lists_replace() -> None:
    base, over = policy("forbidFallback: [a, b]"), policy("forbidFallback: [c]")
    assert read(layered(base, over)).revision.policy.forbid_fallback == {"c"}


def test_a_null_spec_removes_the_resource() -> None:
    over = topic(spec="x").replace("spec:\n  x\n", "spec: null\n")
    files = layered(topic() + "---\n" + topic("wms.other"), over)
    assert [one.name for one in read(files).revision.topics] == ["wms.other"]


def test_removing_what_is_not_there_is_a_mistake() -> None:
    over = topic("wms.WMS.TT", "x").replace("spec:\n  x\n", "spec: null\n")
    assert errors(layered(topic(), over)) == [
        (
            "stages/local/o.yaml:4:9: metadata.name: there is no Topic wms.WMS.TT in base to remove; "
            "did you mean wms.WMS.T?"
        )
    ]


def test_removing_a_field_that_is_not_there_is_a_warning() -> None:
    files = layered(topic(spec=SPEC), topic(spec="config: {flush.ms: null}"))
    assert warnings(files) == [
        "stages/local/o.yaml:6: spec.config.flush.ms: removes nothing: base has no such field"
    ]


def test_a_name_that_base_does_not_have_is_added() -> None:
    files = layered(topic(), topic("wms.new", "partitions: 1"))
    assert [one.name for one in read(files).revision.topics] == ["wms.WMS.T", "wms.new"]


def test_what_is_added_must_be_complete() -> None:
    assert errors(layered(topic(), topic("wms.new", "config: {flush.ms: 1}"))) == [
        "stages/local/o.yaml:4:9: spec.partitions: is missing: class data needs a number, 1 to 1000"
    ]


def test_base_may_be_completed_by_the_overlay() -> None:
    files = layered(topic(spec="config: {flush.ms: 1}"), topic(spec="partitions: 4"))
    assert read(files).revision.topics[0].partitions == 4


def test_what_an_overlay_replaces_is_complained_of_where_it_stands() -> None:
    files = layered(topic(spec=SPEC), topic(spec="config:\n  segment.ms: x"))
    assert errors(files) == [
        "stages/local/o.yaml:7:5: spec.config.segment.ms: must be a whole number"
    ]
    files = layered(topic(spec=SPEC.replace("2", "x")), topic(spec="partitions: 4"))
    assert errors(files) == ["base/b.yaml:9:5: spec.config.segment.ms: must be a whole number"]


def test_one_overlay_document_per_resource() -> None:
    over = topic(spec="partitions: 4") + "---\n" + topic(spec="partitions: 5")
    assert errors(layered(topic(), over)) == [
        (
            "stages/local/o.yaml:11:9: metadata.name: Topic wms.WMS.T is declared twice, first in "
            "stages/local/o.yaml:1: keep one"
        )
    ]


def test_one_base_document_per_resource() -> None:
    files = {"a.yaml": topic(), "b.yaml": topic()}
    assert errors(files) == [
        "b.yaml:4:9: metadata.name: Topic wms.WMS.T is declared twice, first in a.yaml:1: keep one"
    ]


def test_one_name_may_be_of_two_kinds() -> None:
    assert errors(policy("observeOnly: true", "wms.WMS.T") + "---\n" + topic()) == []


def test_other_overlays_are_not_looked_at() -> None:
    files = layered(topic(), topic(spec="partitions: 4")) | {"stages/main/x.yaml": "a: b: c"}
    assert errors(files) == []


def test_an_overlay_that_is_not_there_is_a_mistake() -> None:
    files = {"base/b.yaml": topic(), "stages/main/x.yaml": policy("observeOnly: true")}
    assert errors(files, MAIN, "ephemeral") == [
        ".:1:1: there is no overlay stages/ephemeral/: there are main"
    ]
    assert errors({"base/b.yaml": topic()}, MAIN, "main") == [
        ".:1:1: there is no overlay stages/main/: there are none"
    ]


@pytest.mark.parametrize("path", ["t.yaml", "stages/t.yaml", "extra/t.yaml"])
def test_a_file_that_belongs_nowhere_is_a_mistake(path: str) -> None:
    files = layered(topic(), topic(spec="partitions: 4")) | {path: topic("wms.lost")}
    assert errors(files) == [
        f"{path}:1:1: belongs to neither base/ nor an overlay stages/NAME/: move it"
    ]


def test_a_folder_without_base_and_stages_is_one_flat_base() -> None:
    files = {"a.yaml": topic("wms.a"), "deep/down/b.yaml": topic("wms.b")}
    assert [one.name for one in read(files).revision.topics] == ["wms.a", "wms.b"]


def test_a_map_that_replaces_a_text_is_judged_as_what_it_is() -> None:
    files = layered(topic(), topic(spec="partitions: {a: b}"))
    assert errors(files) == [
        "stages/local/o.yaml:6:15: spec.partitions: must be a whole number, such as 3"
    ]
