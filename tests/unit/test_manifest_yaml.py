"""YAML as a hostile input."""

from __future__ import annotations

import time

import pytest
import yaml

from controller.core.stage import Stage
from controller.manifest import tree
from tests.manifest_texts import errors, read, real_manifests, topic

HEAD = "apiVersion: wms.cdc/v1\nkind: Topic\nmetadata: {name: wms.x}\nspec: "
SMALL = "apiVersion: wms.cdc/v1\nkind: Topic\nmetadata: {name: wms.%s}\nspec: {partitions: 1}\n"


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("{a: " * 60_000, "m.yaml:1:129: is nested deeper than 32 levels"),
        ("- " * 60_000, "m.yaml:1:65: is nested deeper than 32 levels"),
        ("x" * 262_145, "m.yaml:1:1: is longer than 256 KiB: split the file"),
        ("é" * 131_073, "m.yaml:1:1: is longer than 256 KiB: split the file"),
        ("a: &x 1", "m.yaml:1:4: an anchor (&name) is not read: remove it"),
        ("a: *x", "m.yaml:1:4: an alias (*name) is not read: write the value out"),
        ("a: !!python/name:os.system ''", "m.yaml:1:4: a tag (!...) is not read: remove it"),
        ("a: ! b", "m.yaml:1:4: a tag (!...) is not read: remove it"),
        ("%YAML 1.1\n---\na: b", "m.yaml:1:1: a %YAML or %TAG directive is not read: remove it"),
        ("%TAG ! x:\n---\na: b", "m.yaml:1:1: a %YAML or %TAG directive is not read: remove it"),
        ("a: b\n<<: {c: d}", "m.yaml:2:1: the merge key << is not read: write it out"),
        ("? [a]\n: b", "m.yaml:1:3: a key must be one text, not a list or a map"),
        ("? {a: b}\n: c", "m.yaml:1:3: a key must be one text, not a list or a map"),
        ("~: b", "m.yaml:1:1: a key is missing before the colon"),
        ("a:\n\tb: c", "m.yaml:2:1: is indented with a tab: use blanks"),
        ("a: \0", "m.yaml:1:4: holds the unprintable character U+0000: remove it"),
        ("a: b\nc: \x1b[31m", "m.yaml:2:4: holds the unprintable character U+001B: remove it"),
        ("a: \ud800", "m.yaml:1:4: holds the unprintable character U+D800: remove it"),
        ("\ufeffa: b", "m.yaml:1:1: begins with a byte order mark: save it as UTF-8 without one"),
        ("a: b: c", "m.yaml:1:5: is no YAML: mapping values are not allowed in this context"),
        ("a: 'b", "m.yaml:1:6: is no YAML: found unexpected end of stream"),
        ('a: "\\ud800"', "m.yaml:1:7: is no YAML: found invalid Unicode character escape code"),
        ("- a", "m.yaml:1:1: must be a map with apiVersion, kind, metadata, spec"),
        ("a", "m.yaml:1:1: must be a map with apiVersion, kind, metadata, spec"),
    ],
)
def test_what_is_no_plain_yaml_is_refused_with_its_place(text: str, complaint: str) -> None:
    assert errors(text) == [complaint]


def test_brackets_by_the_thousand_do_not_end_the_process() -> None:
    assert len(errors("[" * 100_000)) == 1


def test_a_key_given_twice_is_refused_where_it_stands_again() -> None:
    text = topic(spec="partitions: 1\nconfig:\n  retention.ms: 1\n  retention.ms: 2")
    assert errors(text) == [
        "m.yaml:9:5: retention.ms: is there twice: it was already given in line 8"
    ]


def test_all_files_together_hold_a_bounded_number_of_values() -> None:
    files = {f"{n}.yaml": f"[{'a,' * 60_000}]" for n in range(2)}
    assert errors(files)[-1].endswith("is too much: all files may hold 100000 values")


def test_more_files_than_anybody_writes_are_refused() -> None:
    files = {f"{n}.yaml": "" for n in range(5_001)}
    assert errors(files) == [".:1:1: there are more than 5000 files or 8388608 characters"]


def test_a_thousand_mistakes_are_told_in_bounded_time_and_number() -> None:
    text = HEAD + "{" + ", ".join(f"k{n}: 1" for n in range(10_000)) + "}"
    began = time.process_time()
    found = errors(text)
    assert time.process_time() - began < 5
    assert len(found) == 200
    assert sum(one.endswith("(further errors are not shown)") for one in found) == 1


@pytest.mark.parametrize(
    "text", ["1e3", "0777", "yes", "2000", "1_000", "0x10", "12:30:00", "=", "on"]
)
def test_a_scalar_stays_the_text_that_was_written(text: str) -> None:
    spec = f"partitions: 1\nconfig:\n  segment.ms: 5\n  compression.type: {text}"
    (one,) = read(topic(spec=spec)).revision.topics
    assert one.config["compression.type"] == text


@pytest.mark.parametrize("quoted", ["'null'", '"~"', "''"])
def test_a_quoted_null_is_a_text(quoted: str) -> None:
    spec = f"partitions: 1\nconfig:\n  compression.type: {quoted}"
    (one,) = read(topic(spec=spec)).revision.topics
    assert one.config["compression.type"] == quoted[1:-1]


@pytest.mark.parametrize("null", ["null", "~", "", "NULL", "Null"])
def test_a_null_with_nothing_below_it_is_refused(null: str) -> None:
    spec = f"partitions: 1\nconfig:\n  compression.type: {null}"
    (complaint,) = errors(topic(spec=spec))
    assert complaint.startswith("m.yaml:8:")
    assert complaint.endswith(
        "spec.config.compression.type: is null, and there is nothing below it to remove"
    )


def test_several_documents_of_a_file_are_read_and_empty_ones_are_not_there() -> None:
    text = "# only a comment\n---\n" + SMALL % "a" + "---\n---\n" + SMALL % "b" + "...\n"
    assert [one.name for one in read(text).revision.topics] == ["wms.a", "wms.b"]


def test_other_files_and_hidden_folders_are_not_read() -> None:
    files = {
        "a.yml": SMALL % "a",
        "README.md": "a: b: c",
        ".git/b.yaml": "a: b: c",
        "sub/.hidden.yaml": "a: b: c",
        "schema.json": "{",
    }
    assert [one.name for one in read(files).revision.topics] == ["wms.a"]


def test_a_mistake_in_one_file_hides_no_mistake_in_another() -> None:
    files = {"a.yaml": "a: b: c", "b.yaml": topic(spec="partitions: x")}
    assert errors(files) == [
        "a.yaml:1:5: is no YAML: mapping values are not allowed in this context",
        "b.yaml:6:15: spec.partitions: must be a whole number, such as 3",
    ]


def test_no_manifest_at_all_is_never_meant() -> None:
    complaint = ".:1:1: there is no manifest: an empty folder is never meant"
    assert errors({}) == [complaint]
    assert errors({"README.md": "hello", "a.yaml": "# nothing"}) == [complaint]


@pytest.mark.parametrize("stage", ["main", "production"])
def test_the_loader_without_libyaml_reads_the_same(
    stage: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = read(real_manifests(), Stage.parse(stage), stage)
    monkeypatch.setattr(tree, "_LOADER", yaml.SafeLoader)
    assert read(real_manifests(), Stage.parse(stage), stage) == first


@pytest.mark.parametrize(
    "text",
    ["{a: " * 1_000, "- " * 1_000, "[" * 1_000, "a: *x", "a: !!str b", "a: 'b", "a:\n- b: c: d"],
)
def test_the_loader_without_libyaml_refuses_the_same(
    text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert len(errors(text)) == 1
    monkeypatch.setattr(tree, "_LOADER", yaml.SafeLoader)
    assert len(errors(text)) == 1
