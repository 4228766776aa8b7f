from __future__ import annotations

from collections.abc import Callable, Mapping

import pytest

from controller.core.model import ProbeOutcome, SecretVersion, Unknown, VersionKey
from controller.core.probe import ProbeDue, ProbeLater, ProbeSpent, ProbeState, Proved, Refused
from controller.core.secret_path import candidates, choose, directory_reference, named_fields
from tests import make

OLD, NEW = make.version("v1"), make.version("v2")
BAD = Refused("ORA-01017")
UNPROVED: list[ProbeState] = [
    ProbeDue(1),
    ProbeLater(1.0, ProbeOutcome.UNREACHABLE, "m"),
    ProbeSpent("m"),
]


def told(states: Mapping[str, ProbeState]) -> Callable[[SecretVersion], ProbeState]:
    return lambda version: states[version.key.version_id]


def test_the_stage_s_own_path_comes_before_the_fallback() -> None:
    assert candidates(make.MAIN, "dbInfo") == ("wms/main/dbInfo", "wms/default/dbInfo")
    assert candidates(make.BRANCH, "dbInfo", prefix="x") == (
        "x/feat-demo/dbInfo",
        "x/default/dbInfo",
    )


def test_a_forbidden_fallback_is_no_candidate() -> None:
    assert candidates(make.MAIN, "dbInfo", forbid_fallback={"dbInfo"}) == ("wms/main/dbInfo",)
    assert len(candidates(make.MAIN, "other", forbid_fallback={"dbInfo"})) == 2


def test_a_reference_that_was_written_is_found_again() -> None:
    reference = directory_reference(make.ROOT, OLD.key, "password")
    assert reference == "${directory:/run/wms-secrets/wms/main/dbInfo/v1:password}"
    assert named_fields({"a": reference}, make.ROOT) == {OLD.key: frozenset({"password"})}


def test_all_fields_of_all_versions_are_found_also_within_a_longer_value() -> None:
    config = {
        "a": f"u={directory_reference(make.ROOT, OLD.key, 'user')};p="
        f"{directory_reference(make.ROOT, OLD.key, 'password')}",
        "b": directory_reference(make.ROOT, NEW.key, "user"),
    }
    assert named_fields(config, make.ROOT) == {
        OLD.key: frozenset({"user", "password"}),
        NEW.key: frozenset({"user"}),
    }


@pytest.mark.parametrize(
    "value",
    [
        "plain",
        "${directory:/elsewhere/wms/main/dbInfo/v1:password}",
        "${directory:/run/wms-secrets-too/wms/main/dbInfo/v1:password}",
        "${file:/run/wms-secrets/wms/main/dbInfo/v1:password}",
        "${directory:/run/wms-secrets/v1:password}",
    ],
)
def test_what_lies_elsewhere_is_no_version_of_ours(value: str) -> None:
    assert named_fields({"a": value}, make.ROOT) == {}


def test_a_root_of_several_folders_is_no_part_of_the_path() -> None:
    key = VersionKey("wms/main/dbInfo", "v1")
    config = {"a": directory_reference("/home/a/run/x", key, "user")}
    assert named_fields(config, "/home/a/run/x") == {key: frozenset({"user"})}


def test_the_current_version_is_taken_once_it_is_proved() -> None:
    choice = choose(make.secret(NEW, OLD), {OLD.key}, told({"v2": Proved(), "v1": Proved()}))
    assert (choice.version, choice.is_current) == (NEW, True)


@pytest.mark.parametrize("state", [*UNPROVED, BAD])
def test_until_then_what_the_observed_config_names_stays(state: ProbeState) -> None:
    choice = choose(make.secret(NEW, OLD), {OLD.key}, told({"v2": state, "v1": ProbeDue(1)}))
    assert (choice.version, choice.state, choice.is_current) == (OLD, state, False)


@pytest.mark.parametrize("state", UNPROVED)
def test_what_is_in_use_stays_in_use_without_a_proof(state: ProbeState) -> None:
    assert choose(make.secret(NEW, OLD), {NEW.key}, told({"v2": state})).version == NEW


@pytest.mark.parametrize("state", [*UNPROVED, BAD])
def test_an_unproved_version_is_not_taken_by_the_first_config(state: ProbeState) -> None:
    choice = choose(make.secret(NEW, OLD), (), told({"v2": state, "v1": Proved()}))
    assert choice.version is None


def test_no_bad_version_is_taken_although_it_is_in_use() -> None:
    choice = choose(make.secret(NEW, OLD), {NEW.key, OLD.key}, told({"v2": BAD, "v1": BAD}))
    assert choice.version is None
    assert choose(make.secret(NEW), {NEW.key}, told({"v2": BAD})).version is None


def test_a_version_with_a_problem_is_bad_without_being_tried() -> None:
    broken = make.version("v2", problem="holds no JSON")
    choice = choose(make.secret(broken, OLD), {OLD.key}, told({"v1": Proved()}))
    assert (choice.version, choice.state) == (OLD, Refused("holds no JSON"))


def test_an_older_version_than_the_previous_one_is_taken_if_it_can_be_read() -> None:
    old = make.version("v0")
    states = told({"v2": BAD, "v0": Proved()})
    assert choose(make.secret(NEW, OLD, named=[old]), {old.key}, states).version == old
    assert choose(make.secret(NEW, OLD), {old.key}, states).version is None


def test_a_version_that_could_not_be_read_is_not_taken() -> None:
    secret = make.secret(NEW, Unknown(make.AWAY))
    assert choose(secret, {OLD.key}, told({"v2": ProbeDue(1)})).version is None
