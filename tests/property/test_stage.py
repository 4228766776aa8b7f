from __future__ import annotations

import re
import unicodedata

from hypothesis import assume, example, given
from hypothesis import strategies as st

from controller.core.guards import own_name
from controller.core.stage import LONGEST, NAMED, RESERVED, RefusedStage, Stage, stage_of_branch

LIKE_NAMED = st.sampled_from(NAMED).flatmap(
    lambda name: st.sampled_from(
        [
            name,
            name.upper(),
            name.title(),
            f" {name}",
            f"{name}\n",
            f"{name}-",
            name.replace("a", "\u0430"),
            name.replace("o", "0"),
            "".join(chr(ord(char) + 0xFEE0) for char in name),
        ],
    ),
)
LEGAL = st.from_regex(r"[a-z][a-z0-9-]{0,30}", fullmatch=True)
ANYTHING = st.one_of(st.text(), LIKE_NAMED, LEGAL, st.sampled_from(sorted(RESERVED)))

VARIANTS = {  # every character that case folding or compatibility makes this letter of
    letter: st.sampled_from(
        [
            chr(code)
            for code in range(0x20000)
            if unicodedata.normalize("NFKC", chr(code)).casefold() == letter
        ],
    )
    for letter in set("".join(NAMED))
}


def parsed(text: str) -> Stage | None:
    try:
        return Stage.parse(text)
    except RefusedStage:
        return None


stages = ANYTHING.map(parsed).filter(lambda stage: stage is not None)
ephemeral = LEGAL.map(parsed).filter(lambda stage: stage is not None and stage.ephemeral)
branches = st.one_of(
    ANYTHING,
    st.from_regex(r"(refs/heads/)?[A-Za-z0-9_./-]{1,60}", fullmatch=True),
    LEGAL.map(lambda name: f"{name}-deadbeef"),
)


@given(ANYTHING)
def test_a_stage_is_named_only_if_it_was_written_exactly_so(text: str) -> None:
    stage = parsed(text)
    if stage is not None:
        assert stage.name == text
        assert stage.named == (text in NAMED)
        assert re.fullmatch(r"[a-z][a-z0-9-]{0,30}", text, re.ASCII)


@given(st.sampled_from(NAMED), st.text(st.characters(categories=["Z", "C"]), min_size=1))
def test_a_padded_named_stage_is_refused(name: str, padding: str) -> None:
    assert parsed(name + padding) is None
    assert parsed(padding + name) is None
    assert parsed(name[:1] + padding + name[1:]) is None


@given(
    st.sampled_from(NAMED).flatmap(lambda name: st.tuples(*[VARIANTS[letter] for letter in name]))
)
def test_a_text_that_folds_to_a_named_stage_is_that_stage_or_refused(
    letters: tuple[str, ...],
) -> None:
    text = "".join(letters)
    assert unicodedata.normalize("NFKC", text).casefold() in NAMED
    assert parsed(text) == (Stage(text) if text in NAMED else None)


@given(ephemeral, st.text())
def test_the_namespace_is_added_once(stage: Stage, name: str) -> None:
    full = stage.topic(name)
    assert full.startswith(stage.namespace)
    assert stage.topic(full) == full
    assert full == name or full == stage.namespace + name


@given(ephemeral, st.text(), st.sampled_from(NAMED))
def test_a_namespaced_name_is_never_a_named_stages(stage: Stage, name: str, named: str) -> None:
    assert not own_name(Stage(named), stage.topic(name))
    for internal in (*stage.connect_topics.values(), stage.heartbeat_topic):
        assert not own_name(Stage(named), internal)


@given(stages, stages)
def test_two_stages_share_neither_service_nor_internal_names(one: Stage, other: Stage) -> None:
    assume(one != other)
    assert not {*one.connect_topics.values()} & {*other.connect_topics.values()}
    for name in ("service", "connect_group", "mark", "identifier"):
        assert getattr(one, name) != getattr(other, name)
    assert one.secret_paths("dbInfo")[0] != other.secret_paths("dbInfo")[0]
    assert one.secret_paths("dbInfo")[0] not in other.secret_paths("dbInfo")


@given(branches)
@example("main")
@example("refs/heads/refs/heads/main")
def test_only_the_branch_of_that_name_leads_to_a_named_or_a_reserved_stage(branch: str) -> None:
    try:
        stage = stage_of_branch(branch)
    except RefusedStage:
        return
    assert stage == Stage.parse(stage.name)
    assert len(stage.name) <= LONGEST
    assert stage.name not in RESERVED
    if stage.named:
        assert branch.removeprefix("refs/heads/") == stage.name


@given(branches, branches)
@example("feature/x", "feature-x")
@example("feature/x", "feature_x")
@example("feature/ABC-12_x", "feature-abc-12-x-bea40f90")
@example("A", "a")
def test_two_branches_never_share_a_stage(one: str, other: str) -> None:
    assume(one.removeprefix("refs/heads/") != other.removeprefix("refs/heads/"))
    try:
        assert stage_of_branch(one) != stage_of_branch(other)
    except RefusedStage:
        assume(False)


@given(st.from_regex(r"[A-Za-z0-9_.+#@]([A-Za-z0-9_./+#@-]{0,80}[a-z0-9])?", fullmatch=True))
def test_every_plausible_branch_has_a_stage(branch: str) -> None:
    assume(branch != "HEAD" and not branch.startswith("refs/"))
    assert stage_of_branch(branch) == stage_of_branch(f"refs/heads/{branch}")
