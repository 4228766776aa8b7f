from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from controller.adapters import manifests_folder
from controller.adapters.manifests_folder import ManifestFolder
from controller.core.faults import Unavailable


def folder(path: Path, **files: str) -> Path:
    path.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        (path / f"{name}.yaml").write_text(text)
    return path


def source(path: Path, settle: float = 0.0) -> ManifestFolder:
    return ManifestFolder(path, settle=settle)


def refusal(path: Path) -> Unavailable:
    with pytest.raises(Unavailable) as caught:
        source(path).read()
    return caught.value


# --- what is read -------------------------------------------------------------------------


def test_manifests_are_read_by_their_path_below_the_folder(tmp_path: Path) -> None:
    folder(tmp_path, a="one")
    folder(tmp_path / "stages" / "main", b="two\r\n")
    (tmp_path / "c.yml").write_text("\u4e16")
    assert source(tmp_path).read().files == {
        "a.yaml": "one",
        "c.yml": "\u4e16",
        "stages/main/b.yaml": "two\r\n",
    }


def test_what_is_hidden_or_no_manifest_is_passed_over(tmp_path: Path) -> None:
    folder(tmp_path, a="one")
    folder(tmp_path / ".git", config="x")
    for name in (".b.yaml", "README.md", "schema.json", "c.yaml~", ".c.yaml.swp"):
        (tmp_path / name).write_text("x")
    assert set(source(tmp_path).read().files) == {"a.yaml"}


def test_a_folder_without_manifests_is_read_as_such(tmp_path: Path) -> None:
    assert source(tmp_path).read().files == {}


def test_a_read_that_need_not_settle_does_not_wait(tmp_path: Path) -> None:
    folder(tmp_path, a="one")
    waited: list[float] = []
    ManifestFolder(tmp_path, settle=0, wait=waited.append).read()
    assert waited == []


# --- what is refused ----------------------------------------------------------------------


def test_a_folder_that_is_not_there_is_unavailable(tmp_path: Path) -> None:
    assert refusal(tmp_path / "nowhere").reason == "ManifestsMissing"


def test_a_file_instead_of_a_folder_is_unavailable(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    assert refusal(tmp_path / "file").reason == "ManifestsMissing"


def test_a_link_that_leads_to_itself_is_unavailable(tmp_path: Path) -> None:
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    assert refusal(tmp_path / "loop").reason == "ManifestsMissing"


def test_bounds_are_held_before_anything_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with (folder(tmp_path) / "big.yaml").open("wb") as file:
        file.truncate(1 << 40)  # sparse: reading it would take all memory
    assert refusal(tmp_path).reason == "ManifestsTooLarge"
    (tmp_path / "big.yaml").unlink()
    folder(tmp_path, a="123", b="456")
    for name, bound in (("MAX_FILES", 1), ("MAX_TOTAL_BYTES", 5), ("_ENTRIES", 1)):
        with monkeypatch.context() as tight:
            tight.setattr(manifests_folder, name, bound)
            assert refusal(tmp_path).reason == "ManifestsTooLarge"


def test_folders_nested_without_end_are_refused(tmp_path: Path) -> None:
    folder(tmp_path, a="x")
    (tmp_path / "again").symlink_to(tmp_path)
    assert refusal(tmp_path).reason == "ManifestsTooLarge"


def test_what_is_no_plain_file_is_refused_and_never_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.yaml")
    assert "no plain file" in refusal(tmp_path).message


def test_a_text_that_is_not_utf8_is_refused_by_name(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_bytes(b"ab\xff")
    assert "a.yaml is not UTF-8 from byte 2 on" in refusal(tmp_path).message


def test_a_link_may_not_lead_out_of_the_folder(tmp_path: Path) -> None:
    (tmp_path / "secret.txt").write_text("hidden words")
    inner = folder(tmp_path / "manifests", a="x")
    (inner / "b.yaml").symlink_to(tmp_path / "secret.txt")
    assert "leads out" in refusal(inner).message


def test_a_link_that_leads_nowhere_is_told_as_such(tmp_path: Path) -> None:
    (folder(tmp_path, a="x") / "b.yaml").symlink_to(tmp_path / "gone.yaml")
    assert "leads nowhere" in refusal(tmp_path).message


# --- one consistent state -----------------------------------------------------------------


def test_a_folder_that_is_a_switched_link_is_read_at_its_new_place(tmp_path: Path) -> None:
    """As git-sync does."""
    folder(tmp_path / "one", a="old")
    folder(tmp_path / "two", a="new")
    link = tmp_path / "current"
    link.symlink_to("one")
    manifests = source(link)
    assert manifests.read().files == {"a.yaml": "old"}
    (tmp_path / "next").symlink_to("two")
    (tmp_path / "next").replace(link)
    shutil.rmtree(tmp_path / "one")
    assert manifests.changed()
    assert manifests.read().files == {"a.yaml": "new"}


def test_files_that_are_links_into_a_hidden_folder_are_read(tmp_path: Path) -> None:
    """As a mounted ConfigMap is."""
    folder(tmp_path / "..2026", a="old")
    (tmp_path / "..data").symlink_to("..2026")
    (tmp_path / "a.yaml").symlink_to("..data/a.yaml")
    manifests = source(tmp_path)
    assert manifests.read().files == {"a.yaml": "old"}
    folder(tmp_path / "..2027", a="new")
    (tmp_path / "..next").symlink_to("..2027")
    (tmp_path / "..next").replace(tmp_path / "..data")
    assert manifests.changed()
    assert manifests.read().files == {"a.yaml": "new"}


class Writer:
    """Writes `pairs` of files that belong together, one file in each wait of the reader."""

    def __init__(self, path: Path, pairs: int) -> None:
        self._path, self._left = path, 2 * pairs
        self.waited: list[float] = []

    def __call__(self, seconds: float) -> None:
        self.waited.append(seconds)
        if self._left:
            self._left -= 1
            name = "b" if self._left % 2 == 0 else "a"
            folder(self._path, **{name: f"{self._left // 2}"})


def test_a_folder_is_taken_only_once_it_stands_still(tmp_path: Path) -> None:
    folder(tmp_path, a="9", b="9")
    writer = Writer(tmp_path, pairs=3)
    files = ManifestFolder(tmp_path, settle=0.3, wait=writer).read().files
    assert files == {"a.yaml": "0", "b.yaml": "0"}
    assert writer.waited == [0.3] * 7


def test_a_folder_that_never_stands_still_is_unavailable_in_bounded_time(tmp_path: Path) -> None:
    folder(tmp_path, a="999", b="999")
    writer = Writer(tmp_path, pairs=500)
    with pytest.raises(Unavailable) as caught:
        ManifestFolder(tmp_path, settle=0.05, wait=writer).read()
    assert caught.value.reason == "ManifestsChanging"
    assert sum(writer.waited) < 5


# --- noticing changes ---------------------------------------------------------------------


def test_everything_is_news_before_the_first_read(tmp_path: Path) -> None:
    assert source(tmp_path).changed()


def test_nothing_is_news_after_a_read(tmp_path: Path) -> None:
    manifests = source(folder(tmp_path, a="one"))
    manifests.read()
    assert not manifests.changed()
    (tmp_path / "README.md").write_text("x")
    assert not manifests.changed()


@pytest.mark.parametrize(
    "what", ["content", "same-size", "old-time", "added", "removed", "renamed"]
)
def test_a_change_is_noticed(tmp_path: Path, what: str) -> None:
    manifests = source(folder(tmp_path, a="one", b="two"))
    manifests.read()
    file = tmp_path / "a.yaml"
    if what == "content":
        file.write_text("longer")
    elif what == "same-size":
        file.write_text("eno")
    elif what == "old-time":
        before = file.stat()
        file.write_text("eno")
        os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))
    elif what == "added":
        folder(tmp_path, c="x")
    elif what == "removed":
        file.unlink()
    else:
        file.rename(tmp_path / "c.yaml")
    assert manifests.changed()
    manifests.read()
    assert not manifests.changed()


@pytest.mark.parametrize("how", ["missing", "not UTF-8", "dangling"])
def test_a_folder_that_stays_bad_is_news_only_once(tmp_path: Path, how: str) -> None:
    path = tmp_path / "manifests"
    if how != "missing":
        path.mkdir()
    if how == "not UTF-8":
        (path / "a.yaml").write_bytes(b"\xff")
    if how == "dangling":
        (path / "a.yaml").symlink_to(path / "gone.yaml")
    manifests = source(path)
    assert manifests.changed()
    with pytest.raises(Unavailable):
        manifests.read()
    assert not manifests.changed()
    path.mkdir(exist_ok=True)
    (path / "a.yaml").unlink(missing_ok=True)
    assert manifests.changed(), "put right"


# --- the commit ---------------------------------------------------------------------------


def git(*words: str, at: Path) -> str:
    identity = ("-c", "user.name=t", "-c", "user.email=t@localhost", "-c", "commit.gpgsign=false")
    done = subprocess.run(
        ("git", *identity, *words), cwd=at, capture_output=True, text=True, check=True
    )
    return done.stdout.strip()


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    if shutil.which("git") is None:
        pytest.skip("needs git")
    path = tmp_path / "repository"
    folder(path / "manifests", a="one")
    git("init", "-q", "-b", "main", at=path)
    git("add", ".", at=path)
    git("commit", "-q", "-m", "one", at=path)
    return path


def commit_of(path: Path) -> str | None:
    return source(path).read().commit


def test_the_commit_is_that_of_the_work_tree_around_the_folder(repository: Path) -> None:
    head = git("rev-parse", "HEAD", at=repository)
    assert commit_of(repository / "manifests") == head
    git("pack-refs", "--all", at=repository)
    assert commit_of(repository / "manifests") == head
    git("checkout", "-q", "--detach", at=repository)
    assert commit_of(repository / "manifests") == head


def test_the_commit_of_a_linked_work_tree_is_its_own(repository: Path, tmp_path: Path) -> None:
    git("worktree", "add", "-q", "-b", "other", str(tmp_path / "linked"), at=repository)
    git("commit", "-q", "--allow-empty", "-m", "two", at=tmp_path / "linked")
    head = git("rev-parse", "HEAD", at=tmp_path / "linked")
    assert head != git("rev-parse", "HEAD", at=repository)
    assert commit_of(tmp_path / "linked" / "manifests") == head


def test_a_new_commit_is_noticed(repository: Path) -> None:
    manifests = source(repository / "manifests")
    manifests.read()
    git("commit", "-q", "--allow-empty", "-m", "two", at=repository)
    assert manifests.changed()


def test_a_given_commit_is_taken_as_it_is(tmp_path: Path) -> None:
    assert ManifestFolder(tmp_path, settle=0, commit="abc123").read().commit == "abc123"


@pytest.mark.parametrize("head", ["", "ref: refs/heads/none", "ref: ../../x", "nonsense", "\xff"])
def test_a_commit_that_cannot_be_told_is_left_out(tmp_path: Path, head: str) -> None:
    (tmp_path / ".git").mkdir()
    (tmp_path / ".git" / "HEAD").write_text(head)
    assert commit_of(tmp_path) is None


# --- who wrote it -------------------------------------------------------------------------


def author_of(path: Path) -> str | None:
    return source(path).read().author


def test_the_author_is_that_of_the_commit_whose_manifests_are_read(repository: Path) -> None:
    assert author_of(repository / "manifests") == "t <t@localhost>"
    git("gc", "-q", at=repository)
    assert author_of(repository / "manifests") == "t <t@localhost>"
    git("commit", "-q", "--allow-empty", "--author=Zoë <z@localhost>", "-m", "x", at=repository)
    assert author_of(repository / "manifests") == "Zoë <z@localhost>"


def edit(manifests: Path) -> None:
    (manifests / "a.yaml").write_text("edited")


def add(manifests: Path) -> None:
    (manifests / "b.yaml").write_text("added")


def remove(manifests: Path) -> None:
    (manifests / "a.yaml").unlink()


def ignore(manifests: Path) -> None:
    (manifests / ".gitignore").write_text("*\n")
    add(manifests)


@pytest.mark.parametrize("change", [edit, add, remove, ignore])
def test_what_was_not_committed_is_not_said_to_be_the_authors(
    repository: Path, change: Callable[[Path], None]
) -> None:
    (repository / "manifests" / "notes.txt").write_text("no manifest")
    (repository / "elsewhere.yaml").write_text("no manifest of this folder")
    (repository / "manifests" / ".hidden.yaml").write_text("not read")
    assert author_of(repository / "manifests") == "t <t@localhost>"
    change(repository / "manifests")
    assert author_of(repository / "manifests") is None


def test_a_given_author_is_taken_as_it_is(tmp_path: Path) -> None:
    given = ManifestFolder(tmp_path, settle=0, commit="abc123", author="Ann <ann@localhost>")
    assert given.read().author == "Ann <ann@localhost>"


@pytest.mark.parametrize("commit", ["abc123", "0" * 40, "-p", "HEAD", "main"])
def test_a_given_commit_that_git_does_not_have_has_no_author(repository: Path, commit: str) -> None:
    given = ManifestFolder(repository / "manifests", settle=0, commit=commit)
    assert given.read().author is None


def test_outside_of_git_there_is_no_author(tmp_path: Path) -> None:
    manifests = ManifestFolder(folder(tmp_path, a="one"), settle=0, commit="0123456789")
    assert manifests.read().author is None
