"""Where the tool that tries the alert rules comes from."""

from __future__ import annotations

from pathlib import Path

import pytest

from devstack.promtool import find_promtool, provide_promtool

APT = """#!/bin/sh
case "$*" in
  *update) touch "{lists}";;
  *download*) {guard} && touch prometheus_2.42.0_amd64.deb;;
esac
"""
DPKG = """#!/bin/sh
test "$1 $2" = "--extract prometheus.deb" || exit 1
mkdir -p "$3/usr/bin" && cp {tool} "$3/usr/bin/promtool"
"""


@pytest.fixture
def machine(tmp_path: Path) -> Path:
    """Make a folder of programs, with nothing in it but what every machine has."""
    folder = tmp_path / "bin"
    folder.mkdir()
    return folder


def put(folder: Path, name: str, text: str) -> None:
    (folder / name).write_text(text)
    (folder / name).chmod(0o755)


def debian(folder: Path, *, has_lists: bool) -> None:
    lists = folder / "lists"
    put(folder, "tool", "#!/bin/sh\n")
    put(folder, "apt-get", APT.format(lists=lists, guard=f"test -e {lists}"))
    put(folder, "dpkg", DPKG.format(tool=folder / "tool"))
    if has_lists:
        lists.touch()


def test_the_one_on_the_path_is_taken(machine: Path, tmp_path: Path) -> None:
    put(machine, "promtool", "#!/bin/sh\n")
    assert provide_promtool(tmp_path / "cache", str(machine)) == machine / "promtool"
    assert not (tmp_path / "cache").exists()


@pytest.mark.parametrize("has_lists", [True, False])
def test_on_debian_it_is_unpacked_from_the_package_and_found_again(
    machine: Path, tmp_path: Path, has_lists: bool
) -> None:
    debian(machine, has_lists=has_lists)
    cache = tmp_path / "cache"
    assert find_promtool(cache, str(machine)) is None
    made = provide_promtool(cache, str(machine))
    assert made == cache / "tools" / "promtool"
    assert find_promtool(cache, str(machine)) == made
    assert [path.name for path in made.parent.iterdir()] == ["promtool"]


@pytest.mark.parametrize("broken", ["apt-get", "dpkg"])
def test_where_it_cannot_be_had_nothing_is_left_behind(
    machine: Path, tmp_path: Path, broken: str
) -> None:
    debian(machine, has_lists=True)
    put(machine, broken, "#!/bin/sh\nexit 1\n")
    assert provide_promtool(tmp_path / "cache", str(machine)) is None
    assert not list((tmp_path / "cache" / "tools").iterdir())


def test_a_machine_without_apt_goes_without_it(machine: Path, tmp_path: Path) -> None:
    assert provide_promtool(tmp_path / "cache", str(machine)) is None
