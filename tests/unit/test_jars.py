from __future__ import annotations

import hashlib
import io
import tarfile
from pathlib import Path

import pytest

from devstack import jars, lock_jars
from devstack.environment import StackError

CONTENT = b"a jar"
DIGEST = hashlib.sha256(CONTENT).hexdigest()


def line(
    places: str = "worker",
    coordinates: str = "org.example:thing:1.0@jar",
    content: bytes = CONTENT,
) -> str:
    return f"{places} {coordinates} {len(content)} {hashlib.sha256(content).hexdigest()}\n"


def archive(member: str, content: bytes) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
        info = tarfile.TarInfo(member)
        info.size = len(content)
        tar.addfile(info, io.BytesIO(content))
    return buffer.getvalue()


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    """A cache that holds the one jar already: nothing is fetched in these tests."""
    (tmp_path / "cache" / "files").mkdir(parents=True)
    (tmp_path / "cache" / "files" / "thing-1.0.jar").write_bytes(CONTENT)
    return tmp_path / "cache"


def locked(folder: Path, *lines: str) -> Path:
    lock = folder / "jars.lock"
    lock.write_text("# a comment\n" + "".join(lines or [line()]), encoding="utf-8")
    return lock


@pytest.mark.parametrize(
    "text",
    [
        "worker org.example:thing:1.0@jar 5\n",
        f"worker org.example:thing@jar 5 {DIGEST}\n",
        f"worker https://example.org/thing-1.0.jar 5 {DIGEST}\n",
        f"worker org.example:../../thing:1.0@jar 5 {DIGEST}\n",
        f"worker org.example:thing:1.0@jar five {DIGEST}\n",
        f"worker org.example:thing:1.0@jar 5 {DIGEST[:-1]}\n",
        f"elsewhere org.example:thing:1.0@jar 5 {DIGEST}\n",
        line() + line(coordinates="org.other:thing:1.0@jar"),
    ],
)
def test_a_lock_that_is_not_understood_is_refused_with_its_place(tmp_path: Path, text: str) -> None:
    lock = locked(tmp_path, text)
    with pytest.raises(StackError, match=r"jars\.lock"):
        jars.read_lock(lock)


def test_the_lock_in_the_tree_names_no_host_and_reads_whole() -> None:
    text = jars.LOCK.read_text(encoding="utf-8")
    assert "://" not in text
    named = {jar.coordinates.artifact for jar in jars.read_lock()}
    assert {
        "kafka_2.13",
        "connect-runtime",
        "debezium-connector-oracle",
        "debezium-connector-postgres",
        "aws-msk-iam-auth",
        "jmx_prometheus_javaagent",
        "log4j-slf4j-impl",
    } <= named


def test_only_debezium_is_in_the_plugin_path_of_the_image() -> None:
    plugins = [jar.coordinates.artifact for jar in jars.read_lock() if "plugin" in jar.places]
    assert sorted(plugins) == ["debezium-connector-oracle", "debezium-connector-postgres"]


def test_jars_are_laid_out_by_their_places(tmp_path: Path, cache: Path) -> None:
    laid = jars.provide(cache, locked(tmp_path, line("worker,broker")))
    assert (laid.worker / "thing-1.0.jar").read_bytes() == CONTENT
    assert (laid.broker / "thing-1.0.jar").read_bytes() == CONTENT
    assert list(laid.agent.iterdir()) == []


def test_a_second_start_finds_the_same_folders(tmp_path: Path, cache: Path) -> None:
    lock = locked(tmp_path)
    assert jars.provide(cache, lock) == jars.provide(cache, lock)


def test_a_changed_byte_in_the_cache_is_refused_at_the_next_start(
    tmp_path: Path, cache: Path
) -> None:
    lock = locked(tmp_path)
    jars.provide(cache, lock)
    (cache / "files" / "thing-1.0.jar").write_bytes(CONTENT[:-1] + b"!")
    with pytest.raises(StackError, match=r"a byte of org\.example:thing:1\.0@jar") as told:
        jars.provide(cache, lock)
    assert "thing-1.0.jar" in str(told.value)


def test_a_shorter_file_in_the_cache_is_refused(tmp_path: Path, cache: Path) -> None:
    (cache / "files" / "thing-1.0.jar").write_bytes(CONTENT[:-1])
    with pytest.raises(StackError, match=r"the size of org\.example:thing:1\.0@jar"):
        jars.provide(cache, locked(tmp_path))


def test_a_changed_or_added_file_of_an_unpacked_plugin_is_refused(tmp_path: Path) -> None:
    content = archive("plugin-x/x.jar", b"the jar in the archive")
    cache = tmp_path / "cache"
    (cache / "files").mkdir(parents=True)
    (cache / "files" / "x-1.0-plugin.tar.gz").write_bytes(content)
    lock = locked(tmp_path, line("plugin", "org.example:x:1.0:plugin@tar.gz", content))
    plugin = jars.provide(cache, lock).plugins[0] / "plugin-x"
    assert (plugin / "x.jar").read_bytes() == b"the jar in the archive"

    (plugin / "x.jar").write_bytes(b"the jar in the archivE")
    with pytest.raises(StackError, match=r"a byte of plugin/plugin-x/x\.jar"):
        jars.provide(cache, lock)

    (plugin / "x.jar").write_bytes(b"the jar in the archive")
    (plugin / "more.jar").write_bytes(b"?")
    with pytest.raises(StackError, match=r"plugin/plugin-x/more\.jar"):
        jars.provide(cache, lock)


def test_what_was_fetched_and_differs_is_thrown_away(tmp_path: Path) -> None:
    jar = jars.read_lock(locked(tmp_path))[0]
    wrong = tmp_path / "download"
    wrong.write_bytes(CONTENT[:-1] + b"!")
    with pytest.raises(StackError, match=r"differs from connect/jars\.lock"):
        jars.check_download(jar, wrong)


@pytest.mark.parametrize(
    ("maven", "coordinates"),
    [
        ("org.a:b:jar:1.0:runtime:/m2/b-1.0.jar", "org.a:b:1.0@jar"),
        ("org.a:b:jar:all:1.0:compile:/m2/b-1.0-all.jar", "org.a:b:1.0:all@jar"),
        ("org.a:b:tar.gz:plugin:1.0:compile:/m2/b.tar.gz", "org.a:b:1.0:plugin@tar.gz"),
        ("org.a:b:jar:1.0:runtime:/m2/b-1.0.jar -- module b", "org.a:b:1.0@jar"),
        ("\x1b[32morg.a:b:jar:1.0:runtime:/m2/b-1.0.jar\x1b[m", "org.a:b:1.0@jar"),
    ],
)
def test_maven_lines_become_coordinates(maven: str, coordinates: str) -> None:
    assert str(lock_jars.parse_maven(maven)[0]) == coordinates
