from __future__ import annotations

import io
import tarfile
from collections.abc import Iterable

import pytest

from devstack.image_proof import USER, VOLUMES, Findings, inspect

CANARY = b"planted-canary-41c7"
Entry = tuple[str, int, int, bytes | None]  # path, mode, owner, content; None is a folder

BARE: tuple[Entry, ...] = (
    *((path.lstrip("/"), 0o700, USER, None) for path in sorted(VOLUMES)),
    ("bin/sh", 0o755, 0, b"\x7fELF"),
    ("opt/wms/controller/cli.py", 0o644, 0, b"print()"),
    ("usr/lib/python3/site.py", 0o644, 0, b""),
)


def image(*entries: Entry, bare: Iterable[Entry] = BARE) -> Findings:
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w") as archive:
        for path, mode, owner, content in (*bare, *entries):
            member = tarfile.TarInfo(f"./{path}")
            member.mode, member.uid, member.gid = mode, owner, owner
            member.type = tarfile.DIRTYPE if content is None else tarfile.REGTYPE
            member.size = len(content or b"")
            archive.addfile(member, io.BytesIO(content or b""))
    data.seek(0)
    return inspect(data, CANARY)


def contradicted(found: Findings) -> list[str]:
    return [claim for claim, contradictions in found.claims() if contradictions]


def test_an_image_of_what_runs_contradicts_nothing() -> None:
    found = image()
    assert contradicted(found) == []
    assert found.files == 3
    assert found.size == 4 + 7


@pytest.mark.parametrize(
    "path",
    [
        "usr/bin/gcc",
        "usr/bin/x86_64-linux-gnu-gcc-12",
        "usr/bin/ld",
        "usr/bin/make",
        "opt/java/bin/javac",
        "usr/local/bin/cc",
    ],
)
def test_a_compiler_is_found(path: str) -> None:
    assert contradicted(image((path, 0o755, 0, b""))) == ["no compiler is in it"]


@pytest.mark.parametrize(
    "path", ["usr/bin/ld.so", "usr/bin/ldd", "usr/bin/basename", "bin/cat", "usr/bin/python3"]
)
def test_what_only_sounds_like_a_compiler_is_none(path: str) -> None:
    assert contradicted(image((path, 0o755, 0, b""))) == []


@pytest.mark.parametrize(
    ("path", "content"),
    [
        ("usr/bin/apt-get", b""),
        ("usr/local/bin/pip3.11", b""),
        ("usr/local/lib/python3.11/site-packages/pip", None),
        ("var/lib/apt/lists/x_Packages", b""),
        ("root/.cache/pip/x", b""),
    ],
)
def test_what_installs_is_found(path: str, content: bytes | None) -> None:
    found = contradicted(image((path, 0o755, 0, content)))
    assert found == ["nothing that installs packages is in it"]


@pytest.mark.parametrize(
    ("path", "content"),
    [
        ("opt/wms/.env", b"X=1"),
        ("root/.netrc", b""),
        ("opt/wms/x.py", b"x" * ((1 << 20) - 7) + CANARY),
        ("etc/server.pem", b"-----BEGIN RSA PRIVATE KEY-----\n" + b"A" * 64),
        ("opt/x", b"aws_access_key_id=" + b"AKIA" + b"ABCDEFGHIJKLMNOP"),
    ],
)
def test_a_secret_is_found(path: str, content: bytes) -> None:
    found = contradicted(image((path, 0o644, 0, content)))
    assert found == ["no secret is in it, nor what the build was run beside"]


def test_the_key_that_a_library_tests_itself_with_is_no_secret() -> None:
    key = b"-----BEGIN PRIVATE KEY-----\n" + b"A" * 64
    assert contradicted(image(("usr/lib/libx.so.3", 0o644, 0, b"\x7fELF" + key))) == []
    found = contradicted(image(("usr/lib/libx.so.3", 0o644, 0, b"\x7fELF" + CANARY)))
    assert found == ["no secret is in it, nor what the build was run beside"]


def test_the_key_of_a_manual_is_no_secret() -> None:
    assert contradicted(image(("opt/x", 0o644, 0, b"AKIAIOSFODNN7EXAMPLE"))) == []


@pytest.mark.parametrize(
    ("path", "mode", "owner", "content"),
    [
        ("var/tmp", 0o1777, 0, None),
        ("opt/wms/x", 0o666, 0, b""),
        ("opt/wms/x", 0o644, USER, b""),
        ("opt/wms/x", 0o444, USER, b""),
        ("tmpx", 0o777, 0, None),
    ],
)
def test_what_its_user_may_write_is_found(
    path: str, mode: int, owner: int, content: bytes | None
) -> None:
    found = contradicted(image((path, mode, owner, content)))
    assert found == ["no path but the volumes can be written by its user"]


def test_what_changes_user_is_found() -> None:
    assert contradicted(image(("usr/bin/su", 0o4755, 0, b""))) == ["no file changes user or group"]


def test_a_volume_that_is_missing_or_somebody_elses_is_found() -> None:
    claim = [f"its volumes belong to {USER}"]
    rest = [entry for entry in BARE if entry[0] != "run/wms-secrets"]
    assert contradicted(image(bare=rest)) == claim
    assert contradicted(image(("run/wms-secrets", 0o755, 0, None), bare=rest)) == claim
