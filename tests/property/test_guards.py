from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import assume, event, given
from hypothesis import strategies as st

from controller.core.guards import (
    DeletionRequest,
    PermittedDeletion,
    RefusedDeletion,
    own_name,
    permit,
    refusals,
)
from controller.core.stage import NAMED, RESERVED, RefusedStage, Stage

LABEL = st.from_regex(r"[A-Za-z0-9_-]{1,12}", fullmatch=True)
LEGAL = st.from_regex(r"[a-z][a-z0-9-]{0,30}", fullmatch=True)
SHORT = st.from_regex(r"[ab](-?[ab]){0,2}", fullmatch=True)  # near each other: a, a-b, a-b-a
STAGE_TEXTS = st.one_of(
    st.sampled_from([*NAMED, *sorted(RESERVED)]), SHORT, LEGAL, st.text(max_size=40)
)


def owned_by(stage: Stage) -> st.SearchStrategy[str]:
    """Names a stage owns, the exact ones and those under its prefix."""
    exact = [*stage.connect_topics.values(), stage.heartbeat_topic, stage.topic_prefix]
    under = st.lists(LABEL, min_size=1, max_size=3).map(
        lambda labels: ".".join([stage.topic_prefix, *labels])
    )
    return st.one_of(st.sampled_from(exact), under)


named_names = st.sampled_from(NAMED).flatmap(lambda name: owned_by(Stage(name)))
ephemeral = st.one_of(SHORT, LEGAL).filter(
    lambda name: name not in RESERVED and not name.endswith("-")
)


@st.composite
def ephemeral_stages(draw: st.DrawFn) -> Stage:
    try:
        stage = Stage.parse(draw(ephemeral))
    except RefusedStage:
        stage = Stage("a-b")  # the draw looked like a named stage
    return Stage("a-b") if stage.named else stage


def forged(name: str) -> Stage:
    stage = object.__new__(Stage)
    object.__setattr__(stage, "name", name)
    return stage


@st.composite
def requests(draw: st.DrawFn, name: st.SearchStrategy[str]) -> DeletionRequest:
    """Requests that pass all guards but, perhaps, those about the stage and the name."""
    text = draw(STAGE_TEXTS)
    return DeletionRequest(
        stage=forged(text),
        name=draw(name),
        topic_id="id",
        observed_topic_id="id",
        listing_complete=True,
        to_delete=1,
        cap=1,
        confirmed=text,
    )


@given(requests(named_names))
def test_no_stage_text_whatsoever_deletes_what_a_named_stage_owns(
    request: DeletionRequest,
) -> None:
    with pytest.raises(RefusedDeletion):
        permit(request)


@given(st.sampled_from(NAMED), st.one_of(named_names, st.text(), LABEL))
def test_a_named_stage_never_has_a_permit(stage: str, name: str) -> None:
    request = DeletionRequest(Stage(stage), name, "id", "id", True, 1, 1, stage)
    forgery = object.__new__(PermittedDeletion)
    object.__setattr__(forgery, "request", request)
    with pytest.raises(RefusedDeletion):
        permit(request)
    with pytest.raises(RefusedDeletion):
        _ = forgery.name


@given(ephemeral_stages(), st.data())
def test_a_branch_deletes_its_own_and_nothing_of_another(stage: Stage, data: st.DataObject) -> None:
    other = data.draw(ephemeral_stages())
    assume(stage != other)
    mine, theirs = data.draw(owned_by(stage)), data.draw(owned_by(other))
    request = DeletionRequest(stage, mine, "id", "id", True, 1, 1, stage.name)
    assert refusals(request) == ()
    assert [r.reason for r in refusals(replace(request, name=theirs))] == ["ForeignName"]


@given(ephemeral_stages(), st.one_of(ephemeral_stages(), st.sampled_from(NAMED).map(Stage)))
def test_no_stage_owns_a_name_of_another(one: Stage, other: Stage) -> None:
    assume(one != other)
    for mine, theirs in ((one, other), (other, one)):
        for name in (
            theirs.topic_prefix,
            theirs.schema_history_topic,
            theirs.shared_schema_history_topic,
            theirs.heartbeat_topic,
            *theirs.connect_topics.values(),
        ):
            assert own_name(theirs, name)
            assert not own_name(mine, name)


@given(
    ephemeral_stages(),
    st.sampled_from(
        [
            {"listing_complete": False},
            {"observed_topic_id": "other"},
            {"observed_topic_id": None},
            {"to_delete": 2},
            {"confirmed": None},
            {"confirmed": "main"},
        ]
    ),
    st.data(),
)
def test_a_right_name_makes_good_for_no_other_guard(
    stage: Stage, wrong: dict[str, object], data: st.DataObject
) -> None:
    request = DeletionRequest(stage, data.draw(owned_by(stage)), "id", "id", True, 1, 1, stage.name)
    event(str(wrong))
    assert len(refusals(replace(request, **wrong))) == 1  # type: ignore[arg-type]
