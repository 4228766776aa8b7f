from __future__ import annotations

import errno
import os
import stat
import subprocess
import sys
import tempfile
import textwrap
import threading
from pathlib import Path

import pytest

from controller.adapters.secret_files import SecretVolume
from controller.core.action import RemoveSecretFiles, WriteReady, WriteSecretFiles
from controller.core.faults import Denied, Fault, Rejected, Unavailable
from controller.core.model import ObservedDisk, VersionKey
from controller.core.redact import Redacted

ONE = VersionKey("wms/main/dbInfo", "11111111-1111-4111-8111-111111111111")
TWO = VersionKey("wms/main/dbInfo", "22222222-2222-4222-8222-222222222222")
SECRET = {"user": Redacted("cdc_reader"), "password": Redacted("Pa55\nword")}


def place(root: Path, version: VersionKey) -> Path:
    return root / version.path / version.version_id


@pytest.fixture
def volume(tmp_path: Path) -> SecretVolume:
    return SecretVolume(tmp_path)


def test_an_empty_volume_shows_nothing(volume: SecretVolume) -> None:
    assert volume.observe() == ObservedDisk()


def test_a_written_version_is_one_file_per_field_with_nothing_added(
    volume: SecretVolume, tmp_path: Path
) -> None:
    volume.apply(WriteSecretFiles(ONE, SECRET))
    assert (place(tmp_path, ONE) / "password").read_bytes() == b"Pa55\nword"
    assert volume.observe().versions == {ONE: frozenset({"user", "password"})}


def test_files_are_for_owner_and_group_whatever_the_umask(
    volume: SecretVolume, tmp_path: Path
) -> None:
    before = os.umask(0o077)
    try:
        volume.apply(WriteSecretFiles(ONE, SECRET))
        volume.apply(WriteReady("b1:9092"))
    finally:
        os.umask(before)
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    directories = [path for path in tmp_path.rglob("*") if path.is_dir()]
    assert len(files) == 4
    assert {stat.S_IMODE(path.stat().st_mode) for path in files} == {0o640}
    assert {stat.S_IMODE(path.stat().st_mode) for path in directories} == {0o750}


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may give files to another group")
def test_everything_belongs_to_the_group_that_was_named(tmp_path: Path) -> None:
    SecretVolume(tmp_path, group=65534).apply(WriteSecretFiles(ONE, SECRET))
    assert {path.stat().st_gid for path in tmp_path.rglob("*")} == {65534}


def test_writing_a_version_again_replaces_it_whole(volume: SecretVolume) -> None:
    volume.apply(WriteSecretFiles(ONE, SECRET))
    volume.apply(WriteSecretFiles(ONE, {"url": Redacted("jdbc:x")}))
    assert volume.observe().versions == {ONE: frozenset({"url"})}


def test_a_version_without_fields_is_still_a_version(volume: SecretVolume) -> None:
    volume.apply(WriteSecretFiles(ONE, {}))
    assert volume.observe().versions == {ONE: frozenset()}


def test_removing_takes_one_version_and_leaves_the_other(volume: SecretVolume) -> None:
    volume.apply(WriteSecretFiles(ONE, SECRET))
    volume.apply(WriteSecretFiles(TWO, SECRET))
    volume.apply(RemoveSecretFiles(ONE))
    assert set(volume.observe().versions) == {TWO}


def test_a_path_whose_versions_are_all_removed_is_no_version_itself(volume: SecretVolume) -> None:
    volume.apply(WriteSecretFiles(ONE, SECRET))
    volume.apply(RemoveSecretFiles(ONE))
    assert volume.observe() == ObservedDisk()


def test_removing_what_is_gone_is_no_fault(volume: SecretVolume) -> None:
    volume.apply(RemoveSecretFiles(ONE))
    assert volume.observe() == ObservedDisk()


def test_ready_is_one_line_and_can_change(volume: SecretVolume, tmp_path: Path) -> None:
    volume.apply(WriteReady("b1:9092"))
    volume.apply(WriteReady("b1:9092,b2:9092"))
    assert (tmp_path / "ready").read_bytes() == b"b1:9092,b2:9092\n"
    assert volume.observe().ready == "b1:9092,b2:9092"


@pytest.mark.parametrize("line", ["", "a\nb", "a\0b", "a\x1bb"])
def test_ready_takes_nothing_but_a_line(volume: SecretVolume, line: str) -> None:
    with pytest.raises(Rejected):
        volume.apply(WriteReady(line))
    assert volume.observe().ready is None


def test_foreign_things_are_not_shown_and_left_alone(volume: SecretVolume, tmp_path: Path) -> None:
    volume.apply(WriteSecretFiles(ONE, SECRET))
    foreign = tmp_path / "wms" / "main" / "by-hand" / "00000000-by-hand"
    foreign.mkdir(parents=True)
    (foreign / "password").write_text("x")
    (tmp_path / "lost+found").mkdir()
    (tmp_path / "notes.txt").write_text("x")
    (place(tmp_path, ONE) / "not a field").write_text("x")
    (tmp_path / "link").symlink_to(place(tmp_path, ONE).parent)
    volume.apply(WriteSecretFiles(TWO, {}))
    assert volume.observe().versions == {ONE: frozenset(SECRET), TWO: frozenset()}
    assert (foreign / "password").exists()


def test_a_field_that_somebody_removed_is_seen_to_be_gone(
    volume: SecretVolume, tmp_path: Path
) -> None:
    volume.apply(WriteSecretFiles(ONE, SECRET))
    (place(tmp_path, ONE) / "user").unlink()
    assert volume.observe().versions == {ONE: frozenset({"password"})}


@pytest.mark.parametrize(
    "bad",
    [
        VersionKey("../wms", "1"),
        VersionKey("/etc", "1"),
        VersionKey("wms//dbInfo", "1"),
        VersionKey("wms/./dbInfo", "1"),
        VersionKey("wms/main/dbInfo", ".."),
        VersionKey("wms/main/dbInfo", "a/b"),
        VersionKey("wms/main/dbInfo", ""),
        VersionKey("wms/main/.hidden", "1"),
        VersionKey("wms/ma in/dbInfo", "1"),
        VersionKey("wms/main/dbInfo\n", "1"),
        VersionKey("ready/x", "1"),
        VersionKey("/".join("abcdefghij"), "1"),
    ],
)
def test_a_path_that_could_lead_elsewhere_is_refused(
    volume: SecretVolume, tmp_path: Path, bad: VersionKey
) -> None:
    with pytest.raises(Rejected):
        volume.apply(WriteSecretFiles(bad, SECRET))
    with pytest.raises(Rejected):
        volume.apply(RemoveSecretFiles(bad))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("bad", ["..", "a/b", ".x", "", "a b", "x\n"])
def test_a_field_that_is_no_file_name_is_refused_before_anything_is_written(
    volume: SecretVolume, tmp_path: Path, bad: str
) -> None:
    with pytest.raises(Rejected):
        volume.apply(WriteSecretFiles(ONE, {"user": Redacted("x"), bad: Redacted("x")}))
    assert list(tmp_path.iterdir()) == []


def test_a_path_never_leads_through_a_link(tmp_path: Path) -> None:
    root, outside = tmp_path / "root", tmp_path / "outside"
    root.mkdir()
    outside.mkdir()
    (root / "wms").symlink_to(outside)
    with pytest.raises(Unavailable, match="in the way"):
        SecretVolume(root).apply(WriteSecretFiles(ONE, SECRET))
    assert list(outside.iterdir()) == []


def test_what_a_crash_left_is_gone_after_the_next_write(
    volume: SecretVolume, tmp_path: Path
) -> None:
    volume.apply(WriteSecretFiles(ONE, SECRET))
    draft = place(tmp_path, ONE).with_name(".22222222.draft")
    draft.mkdir()
    (draft / "password").write_text("x")
    (tmp_path / ".ready.draft").write_text("x")
    assert set(volume.observe().versions) == {ONE}, "a draft is never shown"
    SecretVolume(tmp_path).apply(WriteReady("b1:9092"))
    assert [path for path in tmp_path.rglob(".*") if path.name != ".whole"] == []
    assert volume.observe().versions == {ONE: frozenset(SECRET)}


def test_a_volume_that_is_not_mounted_is_unavailable(tmp_path: Path) -> None:
    volume = SecretVolume(tmp_path / "nowhere")
    with pytest.raises(Unavailable, match="mount"):
        volume.observe()
    with pytest.raises(Unavailable, match="mount"):
        volume.apply(WriteReady("b1:9092"))
    assert not (tmp_path / "nowhere").exists()


@pytest.mark.parametrize(
    ("number", "kind", "reason"),
    [
        (errno.EACCES, Denied, "SecretVolumeDenied"),
        (errno.EROFS, Denied, "SecretVolumeDenied"),
        (errno.ENOSPC, Unavailable, "SecretVolumeFull"),
        (errno.EDQUOT, Unavailable, "SecretVolumeFull"),
        (errno.EIO, Unavailable, "SecretVolumeFailed"),
    ],
)
def test_what_the_file_system_says_becomes_a_fault(
    volume: SecretVolume, number: int, kind: type[Fault], reason: str
) -> None:
    with pytest.raises(kind) as caught, volume._faults("write"):
        raise OSError(number, os.strerror(number), "x")
    assert caught.value.reason == reason


LIMITED = textwrap.dedent(
    """
    import os, resource, signal, sys
    from pathlib import Path
    from controller.adapters.secret_files import SecretVolume
    from controller.core.action import WriteSecretFiles
    from controller.core.faults import Fault
    from controller.core.model import VersionKey
    from controller.core.redact import Redacted

    def full():
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (10, 10))

    def stranger():
        if os.geteuid() == 0:
            os.setgroups([])
            os.setgid(65534)
            os.setuid(65534)

    volume = SecretVolume(Path(sys.argv[1]))
    {"full": full, "stranger": stranger}[sys.argv[2]]()
    try:
        volume.apply(
            WriteSecretFiles(VersionKey("wms/main/dbInfo", "2" * 36), {"a": Redacted("v" * 99)})
        )
    except Fault as fault:
        print(type(fault).__name__, fault, fault.__cause__)
    """
)


def write_in_a_child(root: Path, how: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", LIMITED, str(root), how],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    return done.stdout + done.stderr


def test_a_full_disk_is_told_and_leaves_nothing_half_written(
    volume: SecretVolume, tmp_path: Path
) -> None:
    volume.apply(WriteSecretFiles(ONE, SECRET))
    said = write_in_a_child(tmp_path, "full")
    assert said.startswith("Unavailable SecretVolumeFull")
    assert "vvv" not in said
    assert volume.observe().versions == {ONE: frozenset(SECRET)}
    assert [path for path in tmp_path.rglob(".*") if path.name != ".whole"] == []


def test_a_volume_that_is_not_ours_to_write_is_denied() -> None:
    # pytest's own folders are closed to the stranger, who shall fail at this one only
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        root.chmod(0o555)
        said = write_in_a_child(root, "stranger")
    assert said.startswith("Denied SecretVolumeDenied"), said
    assert "give user" in said


def test_a_version_has_its_name_only_once_it_is_whole(volume: SecretVolume, tmp_path: Path) -> None:
    wanted = {f"field{number}": Redacted(str(number)) for number in range(10)}

    def write() -> None:
        for number in range(60):
            volume.apply(WriteSecretFiles(VersionKey(ONE.path, f"{number:032}"), wanted))

    writer = threading.Thread(target=write)
    writer.start()
    sizes: set[int] = set()
    while writer.is_alive():
        parent = tmp_path / ONE.path
        names = [path for path in parent.glob("*") if not path.name.startswith(".")]
        sizes |= {len(list(path.iterdir())) for path in names[-3:]}
    writer.join()
    assert sizes == {len(wanted) + 1}
