from __future__ import annotations

import pytest

from controller.core.diff import Change, diff_config, hash_config


@pytest.mark.parametrize(
    ("desired", "observed", "diff"),
    [
        ({}, {}, ()),
        ({"a": "1"}, {"a": "1"}, ()),
        ({"a": "2"}, {"a": "1"}, (Change("a", "1", "2"),)),
        ({"a": "1"}, {}, (Change("a", None, "1"),)),
        ({}, {"a": "1"}, (Change("a", "1", None),)),
        ({"a": ""}, {}, (Change("a", None, ""),)),
        ({"b": "1", "a": "1"}, {}, (Change("a", None, "1"), Change("b", None, "1"))),
    ],
)
def test_every_field_that_differs_is_a_change_in_the_order_of_names(
    desired: dict[str, str], observed: dict[str, str], diff: tuple[Change, ...]
) -> None:
    assert diff_config(desired, observed) == diff


def test_extra_keys_are_nobody_s_business_where_only_the_desired_ones_are_ours() -> None:
    assert diff_config({"a": "1"}, {"a": "1", "b": "2"}, only_desired=True) == ()
    assert diff_config({"a": "2"}, {"a": "1", "b": "2"}, only_desired=True) == (
        Change("a", "1", "2"),
    )


def test_ignored_keys_never_differ_on_either_side() -> None:
    assert diff_config({"a": "1", "c": "3"}, {"a": "2", "b": "2"}, ignore=["a", "b", "c"]) == ()


def test_spellings_that_mean_the_same_do_not_differ_and_changes_keep_their_own_spelling() -> None:
    def lower(_key: str, value: str) -> str:
        return value.lower()

    diff = diff_config({"a": "TRUE", "b": "YES"}, {"a": "true", "b": "no"}, canonical=lower)
    assert diff == (Change("b", "no", "YES"),)


def test_a_spelling_is_never_asked_of_a_side_that_has_no_value() -> None:
    def only_texts(_key: str, value: str) -> str:
        assert isinstance(value, str)
        return ""

    assert diff_config({"a": "1"}, {"b": "1"}, canonical=only_texts) == (
        Change("a", None, "1"),
        Change("b", "1", None),
    )


def test_a_symbol_tells_added_removed_and_changed() -> None:
    symbols = [Change("a", *sides).symbol for sides in ((None, "1"), ("1", None), ("1", "2"))]
    assert symbols == ["+", "-", "~"]


def test_a_config_is_named_by_its_content_and_not_by_its_order() -> None:
    assert hash_config({"a": "1", "b": "2"}) == hash_config({"b": "2", "a": "1"})
    assert hash_config({"a": "1"}) != hash_config({"a": "2"})
    assert hash_config({"a": "1,b"}) != hash_config({"a": "1", "b": ""})
