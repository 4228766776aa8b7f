"""The jars of `connect/jars.lock`: fetched once, checked at every start."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import re
import shutil
import sys
import tarfile
import tempfile
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TextIO

from devstack.environment import REPOSITORY, StackError, variables

LOCK: Final = REPOSITORY / "connect" / "jars.lock"
PLACES: Final = ("worker", "agent", "plugin", "broker", "local-plugin")
_COORDINATES: Final = re.compile(
    r"(?P<group>[\w.-]+):(?P<artifact>[\w.-]+):(?P<version>[\w.-]+)(:(?P<classifier>[\w.-]+))?@(?P<kind>[a-z.]+)"
)
_ATTEMPTS: Final = 3
_THREADS: Final = 8


@dataclass(frozen=True, slots=True, order=True)
class Coordinates:
    group: str
    artifact: str
    version: str
    classifier: str
    kind: str

    def __str__(self) -> str:
        classifier = f":{self.classifier}" if self.classifier else ""
        return f"{self.group}:{self.artifact}:{self.version}{classifier}@{self.kind}"

    @property
    def filename(self) -> str:
        classifier = f"-{self.classifier}" if self.classifier else ""
        return f"{self.artifact}-{self.version}{classifier}.{self.kind}"


@dataclass(frozen=True, slots=True, order=True)
class Jar:
    places: tuple[str, ...]
    coordinates: Coordinates
    size: int
    sha256: str

    @property
    def filename(self) -> str:
        return self.coordinates.filename

    def __str__(self) -> str:
        return f"{','.join(self.places)} {self.coordinates} {self.size} {self.sha256}"


@dataclass(frozen=True, slots=True)
class Jars:
    """Folders made from the lock, laid out as in the worker's image."""

    folder: Path

    @property
    def worker(self) -> Path:
        return self.folder / "worker"

    @property
    def agent(self) -> Path:
        return self.folder / "agent"

    @property
    def broker(self) -> Path:
        return self.folder / "broker"

    @property
    def plugins(self) -> tuple[Path, ...]:
        return (self.folder / "plugin", self.folder / "local-plugin")


def read_lock(lock: Path = LOCK) -> tuple[Jar, ...]:
    lines = lock.read_text(encoding="utf-8").splitlines()
    jars = tuple(
        _parse(line, f"{lock}:{number}")
        for number, line in enumerate(lines, 1)
        if line.strip() and not line.startswith("#")
    )
    names = [jar.filename for jar in jars]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise StackError(f"{lock}: named twice: {', '.join(twice)}")
    return jars


def _parse(line: str, where: str) -> Jar:
    fields = line.split()
    match = _COORDINATES.fullmatch(fields[1]) if len(fields) == 4 else None
    if match is None or not fields[2].isdigit() or not re.fullmatch("[0-9a-f]{64}", fields[3]):
        raise StackError(f"{where}: not 'places coordinates bytes sha256': {line!r}")
    places = tuple(fields[0].split(","))
    if not set(places) <= set(PLACES):
        raise StackError(f"{where}: unknown place in {fields[0]!r}; known: {', '.join(PLACES)}")
    return Jar(
        places=places,
        coordinates=Coordinates(
            group=match["group"],
            artifact=match["artifact"],
            version=match["version"],
            classifier=match["classifier"] or "",
            kind=match["kind"],
        ),
        size=int(fields[2]),
        sha256=fields[3],
    )


def cache_folder() -> Path:
    """Outside the tree, so that a fresh clone needs no second download."""
    env = variables()
    if named := env.get("WMS_JAR_CACHE"):
        return Path(named)
    base = env.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(base) / "wms-connector" / "jars"


def provide(cache: Path | None = None, lock: Path = LOCK, out: TextIO = sys.stderr) -> Jars:
    """Fetch what is missing, check every byte, lay the folders out; may run twice at once."""
    folder = cache or cache_folder()
    jars = read_lock(lock)
    folder.mkdir(parents=True, exist_ok=True)
    with _alone(folder / "lock"):
        store = folder / "files"
        store.mkdir(exist_ok=True)
        _check_sizes(store, jars)
        _fetch(store, [jar for jar in jars if not (store / jar.filename).exists()], out)
        _check_bytes(store, jars)
        name = hashlib.sha256(lock.read_bytes()).hexdigest()[:16]
        layout = folder / f"layout-{name}"
        if not layout.exists():
            _lay_out(store, jars, layout)
        _check_unpacked(layout)
        return Jars(layout)


@contextlib.contextmanager
def _alone(path: Path) -> Iterator[None]:
    with path.open("w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def sha256(path: Path) -> str:
    with path.open("rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()


def _differs(path: Path, what: str) -> StackError:
    return StackError(
        f"{what} differs from the lock. Remove {path} and try again; if the new copy differs"
        " as well, somebody replaced the published file: do not use it, ask a maintainer."
    )


def _check_sizes(store: Path, jars: Iterable[Jar]) -> None:
    for jar in jars:
        path = store / jar.filename
        if path.exists() and path.stat().st_size != jar.size:
            raise _differs(path, f"the size of {jar.coordinates} in the cache")


def _check_bytes(store: Path, jars: Iterable[Jar]) -> None:
    with ThreadPoolExecutor(_THREADS) as pool:
        checks = {pool.submit(sha256, store / jar.filename): jar for jar in jars}
        for check in as_completed(checks):
            if check.result() != checks[check].sha256:
                jar = checks[check]
                raise _differs(store / jar.filename, f"a byte of {jar.coordinates} in the cache")


def _fetch(store: Path, missing: list[Jar], out: TextIO) -> None:
    if not missing:
        return
    total = sum(jar.size for jar in missing)
    progress = _Progress(len(missing), total, out)
    with (
        tempfile.TemporaryDirectory(prefix="part-", dir=store.parent) as part,
        ThreadPoolExecutor(_THREADS) as pool,
    ):
        downloads = {pool.submit(_download, jar, Path(part), progress.add): jar for jar in missing}
        try:
            for download in as_completed(downloads):
                jar, path = downloads[download], download.result()
                check_download(jar, path)
                path.replace(store / jar.filename)
                progress.done()
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    progress.end()


def check_download(jar: Jar, path: Path) -> None:
    if path.stat().st_size != jar.size or sha256(path) != jar.sha256:
        raise StackError(
            f"{jar.coordinates} was downloaded and differs from connect/jars.lock:"
            " it is thrown away. Try again; if it differs again, ask a maintainer."
        )


def _download(jar: Jar, part: Path, add: Callable[[int], None]) -> Path:
    from jgo.maven import MavenContext, PythonResolver

    @contextlib.contextmanager
    def follow(_name: str, _total: int) -> Iterator[Callable[[int], None]]:
        yield add

    fault: Exception | None = None
    for attempt in range(_ATTEMPTS):
        folder = part / str(attempt)
        context = MavenContext(
            resolver=PythonResolver(progress_callback=follow),
            repo_cache=folder,
            local_repos=[],
            timeout=30,
        )
        wanted = jar.coordinates
        component = context.project(wanted.group, wanted.artifact).at_version(wanted.version)
        try:
            return Path(component.artifact(wanted.classifier, wanted.kind).resolve())
        except Exception as error:  # noqa: BLE001 - whatever the library raises, the jar is not here
            fault = error
            threading.Event().wait(attempt)
    raise StackError(
        f"{jar.coordinates} could not be downloaded ({type(fault).__name__}). Is the network there?"
        " What is already in the cache stays; run the same command again."
    ) from fault


class _Progress:
    def __init__(self, files: int, size: int, out: TextIO) -> None:
        self._files, self._size, self._out = files, size, out
        self._got, self._done, self._began = 0, 0, time.monotonic()
        self._shown = self._began
        self._guard = threading.Lock()
        print(f"jars: fetching {files} files, {size / 1e6:.0f} MB", file=out, flush=True)

    def add(self, count: int) -> None:
        with self._guard:
            self._got += count
            pause = 0.2 if self._out.isatty() else 5.0
            if time.monotonic() - self._shown < pause:
                return
            self._shown = time.monotonic()
            self._show()

    def done(self) -> None:
        with self._guard:
            self._done += 1

    def _show(self) -> None:
        end = "\r" if self._out.isatty() else "\n"
        size = f"{self._got / 1e6:.0f} of {self._size / 1e6:.0f} MB"
        print(
            f"jars: {self._done}/{self._files} files, {size}", end=end, file=self._out, flush=True
        )

    def end(self) -> None:
        seconds = time.monotonic() - self._began
        print(f"jars: {self._files} files fetched in {seconds:.0f} s", file=self._out, flush=True)


def _lay_out(store: Path, jars: Iterable[Jar], layout: Path) -> None:
    fresh = Path(tempfile.mkdtemp(prefix="layout-part-", dir=layout.parent))
    try:
        for place in PLACES:
            (fresh / place).mkdir()
        for jar in jars:
            for place in jar.places:
                _place(store / jar.filename, jar, fresh / place)
        _write_sums(fresh)
        fresh.chmod(0o755)
        fresh.rename(layout)
    except BaseException:
        shutil.rmtree(fresh, ignore_errors=True)
        raise


def _place(source: Path, jar: Jar, folder: Path) -> None:
    if jar.coordinates.kind == "tar.gz":
        with tarfile.open(source) as archive:
            if hasattr(
                tarfile, "data_filter"
            ):  # Python 3.11.4; the bytes are the lock's in any case
                archive.extraction_filter = tarfile.data_filter
            archive.extractall(folder)  # noqa: S202
        return
    if folder.name == "local-plugin":
        folder /= jar.coordinates.artifact  # a plugin is a folder of its own
        folder.mkdir()
    (folder / jar.filename).symlink_to(source.resolve())


def _unpacked(layout: Path) -> list[Path]:
    return sorted(
        path
        for folder, _, names in os.walk(layout / "plugin")
        for path in (Path(folder) / name for name in names)
    )


def _write_sums(layout: Path) -> None:
    lines = [f"{sha256(path)}  {path.relative_to(layout)}\n" for path in _unpacked(layout)]
    (layout / "unpacked.sha256").write_text("".join(lines), encoding="utf-8")


def _check_unpacked(layout: Path) -> None:
    """The archives were checked; this finds a file that changed after it was unpacked from one."""
    wanted = {
        name: digest
        for digest, name in (
            line.split("  ", 1)
            for line in (layout / "unpacked.sha256").read_text(encoding="utf-8").splitlines()
        )
    }
    found = {str(path.relative_to(layout)): path for path in _unpacked(layout)}
    for name in sorted(wanted.keys() ^ found.keys()):
        raise _differs(layout, f"{name}, unpacked in the cache,")
    with ThreadPoolExecutor(_THREADS) as pool:
        for name, digest in zip(found, pool.map(sha256, found.values()), strict=True):
            if digest != wanted[name]:
                raise _differs(layout, f"a byte of {name}, unpacked in the cache,")


def install(target: Path, places: Iterable[str] = ("worker", "agent", "plugin")) -> None:
    """Copy what the worker's image needs into a folder, real files in place of links."""
    jars = provide()
    for place in places:
        shutil.copytree(jars.folder / place, target / place, dirs_exist_ok=True)


def main(arguments: list[str]) -> int:
    match arguments:
        case ["lock"]:
            from devstack import lock_jars  # a maintainer's, and not in the image's build

            print(f"{LOCK.name}: {lock_jars.write(LOCK)} jars")
        case ["fetch"]:
            print(f"jars are in {provide().folder}")
        case ["install", target]:
            install(Path(target))
        case _:
            print("usage: python -m devstack.jars fetch | install FOLDER | lock", file=sys.stderr)
            return 1
    return 0


if __name__ == "__main__":
    try:
        raise SystemExit(main(sys.argv[1:]))
    except StackError as error:
        raise SystemExit(f"jars: {error}") from None
