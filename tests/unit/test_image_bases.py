"""What the images stand on, with and without a registry."""

from __future__ import annotations

import pytest

from devstack.environment import StackError
from devstack.image_bases import DOCKERFILE, Bases


def never_made(which: str, name: str) -> str:
    raise AssertionError(f"{which} was made as {name} though a registry answers")


def never_pulled(reference: str) -> None:
    raise StackError(f"no registry answers for {reference}")


def never_debian(reference: str) -> None:
    if "python" not in reference:
        never_pulled(reference)


def test_the_bases_that_the_dockerfile_names_are_used_where_they_can_be_had() -> None:
    bases = Bases(lambda _: None, never_made, root=False)
    text = DOCKERFILE.read_text(encoding="utf-8")
    assert set(bases.images) == {"PYTHON", "DEBIAN"}
    assert all(f"ARG {which}={reference}\n" in text for which, reference in bases.images.items())
    assert "by digest" in str(bases)
    assert "no registry answers" not in str(bases)


def test_both_bases_are_made_when_one_cannot_be_had() -> None:
    bases = Bases(never_debian, lambda _, name: name, root=True)
    assert set(bases.images.values()) == {
        "localhost/wms-base-python:bookworm",
        "localhost/wms-base-debian:bookworm",
    }
    assert "no registry answers" in str(bases)


def test_without_a_registry_and_without_root_a_person_is_told_what_to_do() -> None:
    with pytest.raises(StackError, match="docker pull"):
        _ = Bases(never_pulled, never_made, root=False).images
