"""What the images stand on, with and without a registry."""

from __future__ import annotations

import pytest

from devstack.environment import StackError
from devstack.image_bases import DOCKERFILE, choose_bases, describe_bases


def never_made(which: str, name: str) -> str:
    raise AssertionError(f"{which} was made as {name} though a registry answers")


def test_the_bases_that_the_dockerfile_names_are_used_where_they_can_be_had() -> None:
    chosen = choose_bases(lambda _: True, never_made, root=False)
    text = DOCKERFILE.read_text(encoding="utf-8")
    assert set(chosen) == {"PYTHON", "DEBIAN"}
    assert all(f"ARG {which}={reference}\n" in text for which, reference in chosen.items())
    assert "by digest" in describe_bases(chosen)
    assert "no registry answers" not in describe_bases(chosen)


def test_both_bases_are_made_when_one_cannot_be_had() -> None:
    chosen = choose_bases(lambda one: "python" in one, lambda _, name: name, root=True)
    assert set(chosen.values()) == {
        "localhost/wms-base-python:bookworm",
        "localhost/wms-base-debian:bookworm",
    }
    assert "no registry answers" in describe_bases(chosen)


def test_without_a_registry_and_without_root_a_person_is_told_what_to_do() -> None:
    with pytest.raises(StackError, match="docker pull"):
        choose_bases(lambda _: False, never_made, root=False)
