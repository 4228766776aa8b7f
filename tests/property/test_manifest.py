"""Laws of reading manifests."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from controller.core.stage import Stage
from controller.manifest import ManifestErrors, read_manifests, render
from controller.manifest.render import to_yaml
from tests.manifest_texts import BRANCH, MAIN, POSTGRES, real_manifests, topic

REAL = real_manifests()
SETS = [
    (MAIN, "main"),
    (Stage.parse("val"), "val"),
    (Stage.parse("production"), "production"),
    (BRANCH, "ephemeral"),
    (MAIN, "local"),
    (BRANCH, "local"),
]


def is_fit(text: str) -> bool:
    """Tell whether a config value may be this text."""
    plain = text.replace("\n", "")
    return text.strip() == text and "${" not in text and plain.isprintable()


TEXT = st.text(
    st.characters(categories=["L", "M", "N", "P", "S", "Zs"], include_characters="\n"),
    min_size=1,
    max_size=60,
).filter(
    lambda text: text.strip() == text and "${" not in text and text.replace("\n", "").isprintable()
)
LABELS = st.text("abcdefghijXYZ019", min_size=1, max_size=8)
TOPIC_CONFIGS = st.dictionaries(
    st.sampled_from(["retention.ms", "segment.ms", "max.message.bytes", "flush.ms"]),
    st.integers(0, 10**12).map(str),
)


@st.composite
def topics(draw: st.DrawFn) -> dict[str, Any]:
    name = f"wms.{draw(LABELS)}.{draw(LABELS)}"
    return {
        "apiVersion": "wms.cdc/v1",
        "kind": "Topic",
        "metadata": {"name": name},
        "spec": {
            "class": draw(st.sampled_from(["data", "schemaHistory"])),
            "partitions": 1,
            "config": {
                key: value
                for key, value in draw(TOPIC_CONFIGS).items()
                if not key.startswith("retention")
            },
            "suspend": draw(st.booleans()),
            "manage": draw(st.sampled_from(["reconcile", "observe"])),
            **({"replicationFactor": draw(st.integers(1, 15))} if draw(st.booleans()) else {}),
        },
    }


@st.composite
def sources(draw: st.DrawFn) -> dict[str, Any]:
    keys = st.sampled_from([f"key.converter.x{n}" for n in range(5)])
    return {
        "apiVersion": "wms.cdc/v1",
        "kind": "Connector",
        "metadata": {"name": draw(LABELS)},
        "spec": {
            "class": "org.apache.kafka.connect.file.FileStreamSourceConnector",
            "state": draw(st.sampled_from(["running", "paused", "stopped"])),
            "config": {
                **draw(st.dictionaries(keys, TEXT)),
                "file": draw(TEXT),
                "topic": f"wms.{draw(LABELS)}",
            },
            "ignore": draw(st.lists(keys, unique=True)),
        },
    }


def distinct(documents: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Keep one of those whose names a broker would take for the same."""
    seen: dict[str, dict[str, Any]] = {}
    for document in documents:
        key = document["kind"] + document["metadata"]["name"].replace(".", "_").casefold()
        seen.setdefault(key, document)
    return list(seen.values())


@pytest.mark.parametrize(("stage", "overlay"), SETS)
def test_what_is_rendered_reads_back_as_the_same_revision(stage: Stage, overlay: str) -> None:
    first = read_manifests(REAL, stage=stage, overlay=overlay)
    again = read_manifests({"flat.yaml": render(first)}, stage=stage, overlay=overlay)
    assert again.documents == first.documents
    assert again.revision.id == first.revision.id
    assert again.revision.policy == first.revision.policy
    assert render(again) == render(first)


@given(
    st.lists(st.one_of(topics(), sources()), min_size=1, max_size=8),
    st.sampled_from([MAIN, BRANCH]),
)
def test_any_good_set_reads_back_as_itself(documents: list[dict[str, Any]], stage: Stage) -> None:
    text = to_yaml(distinct(documents))
    first = read_manifests({"m.yaml": text}, stage=stage, overlay="local")
    again = read_manifests({"m.yaml": render(first)}, stage=stage, overlay="local")
    assert again.documents == first.documents
    assert [one.generation for one in again.revision.topics] == [
        one.generation for one in first.revision.topics
    ]
    assert [dict(one.config) for one in again.revision.connectors] == [
        dict(one.config) for one in first.revision.connectors
    ]


@given(st.lists(topics(), min_size=2, max_size=6), st.randoms())
def test_the_order_of_documents_and_files_means_nothing(
    documents: list[dict[str, Any]], random: Any
) -> None:
    documents = distinct(documents)
    first = read_manifests({"m.yaml": to_yaml(documents)}, stage=MAIN, overlay="local")
    random.shuffle(documents)
    files = {f"{n}.yaml": to_yaml([document]) for n, document in enumerate(documents)}
    assert read_manifests(files, stage=MAIN, overlay="local").revision.id == first.revision.id


@given(TEXT)
@example("null")
@example("~")
@example("yes")
@example("- a")
@example("a: b")
@example('"')
@example("\N{GRINNING FACE}")
@example("#")
def test_any_printable_text_survives_being_rendered(text: str) -> None:
    spec = {"class": "org.apache.kafka.connect.file.FileStreamSourceConnector"}
    document = {
        "apiVersion": "wms.cdc/v1",
        "kind": "Connector",
        "metadata": {"name": "a"},
        "spec": {**spec, "config": {"file": text, "topic": "wms.a"}},
    }
    first = read_manifests({"m.yaml": to_yaml([document])}, stage=MAIN, overlay="local")
    assert str(first.revision.connectors[0].config["file"]) == text


# --- overlays --------------------------------------------------------------------------------


def layered(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, str]:
    return {"base/b.yaml": to_yaml([base]), "stages/local/o.yaml": to_yaml([over])}


def with_spec(document: Mapping[str, Any], spec: Mapping[str, Any]) -> dict[str, Any]:
    return {**document, "spec": dict(spec)}


@given(topics())
def test_an_overlay_that_says_nothing_changes_nothing(document: dict[str, Any]) -> None:
    flat = read_manifests({"m.yaml": to_yaml([document])}, stage=MAIN, overlay="local")
    found = read_manifests(layered(document, with_spec(document, {})), stage=MAIN, overlay="local")
    assert found.documents == flat.documents


@given(topics())
def test_an_overlay_that_repeats_base_changes_nothing(document: dict[str, Any]) -> None:
    flat = read_manifests({"m.yaml": to_yaml([document])}, stage=MAIN, overlay="local")
    found = read_manifests(layered(document, document), stage=MAIN, overlay="local")
    assert found.documents == flat.documents


@given(topics(), TOPIC_CONFIGS)
def test_keys_of_the_overlay_win_and_the_others_stay(
    document: dict[str, Any], config: dict[str, str]
) -> None:
    document["spec"]["class"] = "data"
    over = with_spec(document, {"partitions": 9, "config": config})
    found = read_manifests(layered(document, over), stage=MAIN, overlay="local")
    (one,) = found.revision.topics
    assert one.partitions == 9
    assert dict(one.config) == {**document["spec"]["config"], **config}


# --- hostile ---------------------------------------------------------------------------------

TOKENS = st.sampled_from(
    [
        *"[]{}:,-?&*!|>'\"%@`#~ \n",
        "\n  ", "\n    ", "---\n", "...\n", "- ", ": ", "? ", "<<: ", "&a ", "*a ", "!!str ", "!x ",
        "null", "spec:", "kind: Topic\n", "apiVersion: wms.cdc/v1\n", "metadata: {name: wms.a}\n",
        "config", "${secret:a:b}", "${", "\t", "\r", "\x00", "\ufeff", "\u2028", "\x85", "\ud800",
        "class: data\n", "partitions: 1\n", "é", "\U0001f600", "%TAG ! a:\n",
    ]
)  # fmt: skip


def read_hostile(files: Mapping[str, str]) -> None:
    """Fail on anything but a revision or its errors, and on what takes long."""
    began = time.process_time()
    try:
        read_manifests(files, stage=MAIN, overlay="local")
    except ManifestErrors as found:
        for error in found.errors:
            assert error.file
            assert error.line >= 1
            assert error.column >= 1
            assert error.message
    assert time.process_time() - began < 2


@given(st.lists(TOKENS, max_size=80).map("".join))
def test_tokens_in_any_order_are_read_or_refused(text: str) -> None:
    read_hostile({"m.yaml": text})


@given(st.text(max_size=200))
def test_any_text_is_read_or_refused(text: str) -> None:
    read_hostile({"m.yaml": text})


@given(st.lists(TOKENS, min_size=1, max_size=4).map("".join), st.integers(20, 3_000))
@settings(suppress_health_check=[HealthCheck.too_slow])
def test_any_text_repeated_is_read_or_refused_in_bounded_time(unit: str, times: int) -> None:
    read_hostile({"m.yaml": unit * times})


@given(st.data())
def test_a_good_manifest_with_a_piece_cut_or_put_in_is_read_or_refused(data: st.DataObject) -> None:
    text = data.draw(st.sampled_from([POSTGRES, topic(), *REAL.values()]))
    at = data.draw(st.integers(0, len(text)))
    cut = data.draw(st.integers(0, 30))
    put = data.draw(st.one_of(TOKENS, st.just("")))
    read_hostile({"m.yaml": text[:at] + put + text[at + cut :]})


VALUES = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), TEXT),
    lambda below: st.one_of(
        st.lists(below, max_size=3), st.dictionaries(LABELS, below, max_size=3)
    ),
    max_leaves=6,
)


@given(st.data())
def test_any_value_in_any_field_is_read_or_refused(data: st.DataObject) -> None:
    fields = {
        "Connector": "class tasksMax state topicPrefix tables config ignore manage suspend",
        "Topic": "class name role partitions replicationFactor config manage suspend",
        "StagePolicy": "defaults intervals probe forbidFallback observeOnly kafkaClusterId "
        "repair lostTopics",
    }
    kind = data.draw(st.sampled_from(sorted(fields)))
    spec = {
        field: data.draw(VALUES)
        for field in data.draw(st.sets(st.sampled_from(fields[kind].split())))
    }
    head = f"apiVersion: wms.cdc/v1\nkind: {kind}\nmetadata: {{name: wms.a}}\nspec: "
    read_hostile({"m.yaml": head + flow(spec)})


def flow(value: object) -> str:
    """YAML in one line, nulls included."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{flow(key)}: {flow(one)}" for key, one in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(flow, value)) + "]"
    if isinstance(value, str):
        return '"' + value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n") + '"'
    return "null" if value is None else str(value).lower()
