"""What builds and runs images here: docker where one answers, else buildah without a daemon."""

from __future__ import annotations

import functools
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Protocol

from devstack.environment import REPOSITORY, StackError, inherited, variables

DOCKERFILE: Final = REPOSITORY / "Dockerfile"
_BUILD_SECONDS: Final = 1800.0
_PULL_SECONDS: Final = 120.0
_SHORT_SECONDS: Final = 300.0
_BUNDLE: Final = Path("/etc/ssl/certs/ca-certificates.crt")
_PACKAGES: Final = {
    "DEBIAN": ("ca-certificates",),
    "PYTHON": ("ca-certificates", "python3", "python3-venv"),
}
_AS_NAMED: Final = "as the Dockerfile names them, by digest"
# Root sees to the mounts, then becomes the image's user for good: no capability, no way back, and
# a root file system that cannot be written whatever its modes say. Chroot isolation proves none.
_SEALED: Final = Path(__file__).with_name("sealed.sh")


@dataclass(frozen=True, slots=True)
class ImageConfig:
    """What an image says of how it is run."""

    user: str
    entrypoint: tuple[str, ...]
    command: tuple[str, ...]
    environment: Mapping[str, str]
    volumes: frozenset[str]


@dataclass(frozen=True, slots=True)
class Run:
    """One container to be: what differs from the image, and the folders behind its volumes."""

    image: str
    volumes: Mapping[str, Path]
    environment: Mapping[str, str]
    read_only: Mapping[str, Path]
    entrypoint: tuple[str, ...] = ()
    command: tuple[str, ...] = ()


class Engine(Protocol):
    name: str

    @property
    def bases(self) -> str:
        """Must say what the images stand on."""

    def build(self, target: str) -> str:
        """Must build a target of the Dockerfile and answer its id."""

    def config(self, image: str) -> ImageConfig:
        """Must answer what the image says of itself."""

    def files(self, image: str) -> Any:
        """Must answer a context with the image's whole file system as a tar stream."""

    def argv(self, run: Run) -> list[str]:
        """Must answer the command that becomes, or stands for, the container's process."""

    def close(self) -> None:
        """Must remove what runs left behind, and keep the images."""


def find_engine(work: Path) -> Engine:
    """Docker is asked whether its daemon answers; buildah is installed where that can be done."""
    if shutil.which("docker") and _answers(("docker", "info", "--format", "{{.ServerVersion}}")):
        return Docker()
    if os.geteuid() != 0:
        raise StackError(
            "images need docker with its daemon running, or root for buildah: start docker, "
            "or run `sudo make images`"
        )
    missing = [name for name in ("buildah", "debootstrap") if shutil.which(name) is None]
    if missing:
        _install(missing)
    return Buildah(work)


def _install(names: Sequence[str]) -> None:
    if shutil.which("apt-get") is None:
        raise StackError(
            f"no docker daemon answers and {' and '.join(names)} cannot be installed by apt-get "
            "here: install them, or start docker"
        )
    print(f"images: installing {' and '.join(names)} with apt-get", file=sys.stderr, flush=True)
    env = variables() | {"DEBIAN_FRONTEND": "noninteractive"}
    call(("apt-get", "update", "--quiet=2"), _SHORT_SECONDS, env)
    install = ("apt-get", "install", "--quiet=2", "--yes", "--no-install-recommends", *names)
    call(install, _SHORT_SECONDS, env)


def _answers(argv: Sequence[str]) -> bool:
    try:
        done = subprocess.run(argv, capture_output=True, timeout=20, check=False)
    except (OSError, subprocess.SubprocessError):
        return False
    return done.returncode == 0


def call(
    argv: Sequence[str],
    seconds: float,
    env: Mapping[str, str] | None = None,
    log: Path | None = None,
) -> str:
    """Answer what it prints; raise with the end of its output when it fails."""
    try:
        done = subprocess.run(
            argv,
            env=dict(env) if env is not None else None,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=seconds,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise StackError(f"{' '.join(argv[:3])} ... took more than {seconds:.0f} s") from None
    if log is not None:
        log.write_text(done.stdout + done.stderr, encoding="utf-8")
    if done.returncode != 0:
        tail = "\n".join((done.stdout + done.stderr).splitlines()[-25:])
        where = f" (all of it: {log})" if log else ""
        raise StackError(f"{' '.join(argv[:4])} ... failed with {done.returncode}{where}:\n{tail}")
    return done.stdout


def _read_config(image: Mapping[str, Any]) -> ImageConfig:
    pairs = (text.partition("=") for text in image.get("Env") or ())
    return ImageConfig(
        user=str(image.get("User") or ""),
        entrypoint=tuple(image.get("Entrypoint") or ()),
        command=tuple(image.get("Cmd") or ()),
        environment={name: value for name, _, value in pairs},
        volumes=frozenset(image.get("Volumes") or ()),
    )


@contextmanager
def _stream(argv: Sequence[str]) -> Iterator[Any]:
    with subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        yield process.stdout
        process.communicate()
    if process.returncode != 0:
        raise StackError(f"{' '.join(argv[:3])} ... failed with {process.returncode}")


# --- docker -------------------------------------------------------------------------------------


class Docker:
    """Bases are the ones that the Dockerfile names by digest."""

    bases = _AS_NAMED

    def __init__(self) -> None:
        version = call(("docker", "version", "--format", "{{.Server.Version}}"), 60.0)
        self.name = f"docker {version.strip()}"
        self._containers: list[str] = []

    def build(self, target: str) -> str:
        tag = f"wms-connector/{target}:local"
        argv = ("docker", "build", "--file", str(DOCKERFILE), "--target", target, "--tag", tag)
        call((*argv, str(REPOSITORY)), _BUILD_SECONDS)
        return call(("docker", "image", "inspect", "--format", "{{.Id}}", tag), 60.0).strip()

    def config(self, image: str) -> ImageConfig:
        [told] = json.loads(call(("docker", "image", "inspect", image), 60.0))
        return _read_config(told["Config"])

    @contextmanager
    def files(self, image: str) -> Iterator[Any]:
        container = call(("docker", "create", image), 60.0).strip()
        self._containers.append(container)
        with _stream(("docker", "export", container)) as stream:
            yield stream

    def argv(self, run: Run) -> list[str]:
        # The stack is on this machine's loopback, and so is what it must reach there.
        argv = ["docker", "run", "--rm", "--init", "--network", "host", "--read-only"]
        argv += ["--cap-drop", "ALL", "--security-opt", "no-new-privileges"]
        for path, folder in run.volumes.items():
            argv += ["--volume", f"{folder}:{path}"]
        for path, folder in run.read_only.items():
            argv += ["--volume", f"{folder}:{path}:ro"]
        for name, value in run.environment.items():
            argv += ["--env", f"{name}={value}"]
        if run.entrypoint:
            argv += ["--entrypoint", run.entrypoint[0]]
        return [*argv, run.image, *run.entrypoint[1:], *run.command]

    def close(self) -> None:
        for container in self._containers:
            subprocess.run(("docker", "rm", "--force", container), capture_output=True, check=False)


# --- buildah ------------------------------------------------------------------------------------


class Buildah:
    """Needs root; its images are kept apart from those of whoever works here."""

    def __init__(self, work: Path) -> None:
        self._work = work
        cache = variables().get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
        store = Path(cache) / "wms-connector" / "images"
        store.mkdir(parents=True, exist_ok=True)
        self._buildah = (
            "buildah",
            *("--root", str(store / "root")),
            *("--runroot", str(store / "run")),
            *("--storage-driver", "overlay" if _overlays(work) else "vfs"),
        )
        self._env = inherited() | {"BUILDAH_ISOLATION": "chroot"}
        version = call(("buildah", "--version"), 60.0).split()
        self.name = f"buildah {version[2]}"
        self._containers: list[str] = []

    @functools.cached_property
    def _bases(self) -> Mapping[str, str]:
        """Name each base's image; where no registry answers, one made of Debian's packages."""
        named = dict(_named_bases())
        if all(self._pull(reference) for reference in named.values()):
            return named
        return {which: self._make_base(which, packages) for which, packages in _PACKAGES.items()}

    @property
    def bases(self) -> str:
        if set(self._bases.values()) == set(dict(_named_bases()).values()):
            return _AS_NAMED
        return (
            "made here of Debian's packages by debootstrap, in place of those that the Dockerfile "
            "names by digest: no registry answers"
        )

    def _pull(self, reference: str) -> bool:
        try:
            self._run("pull", "--quiet", "--policy", "missing", reference, seconds=_PULL_SECONDS)
        except StackError:
            return False
        return True

    def _make_base(self, which: str, packages: Sequence[str]) -> str:
        name = f"localhost/wms-base-{which.lower()}:bookworm"
        if self._run("images", "--quiet", "--filter", f"reference={name}"):
            return name
        folder = self._work / f"base-{which.lower()}"
        try:
            options = ("--variant=minbase", f"--include={','.join(packages)}", "bookworm")
            call(("debootstrap", *options, str(folder)), _BUILD_SECONDS)
            container = self._run("from", "scratch")
            self._containers.append(container)
            self._run("add", "--quiet", container, str(folder), "/")
            self._run("commit", "--quiet", container, name)
        finally:
            shutil.rmtree(folder, ignore_errors=True)
        return name

    def build(self, target: str) -> str:
        tag = f"localhost/wms-connector-{target}:local"
        argv = [*self._buildah, "build", "--layers", "--network", "host", "--pull-never"]
        for which, reference in self._bases.items():
            argv += ["--build-arg", f"{which}={reference}"]
        if _BUNDLE.is_file():  # where a proxy signs, its certificate is among the machine's
            argv += [
                "--volume",
                f"{_BUNDLE}:/machine.crt:ro",
                "--build-arg",
                "CA_BUNDLE=/machine.crt",
            ]
        argv += ["--file", str(DOCKERFILE), "--target", target, "--tag", tag, str(REPOSITORY)]
        call(argv, _BUILD_SECONDS, self._env, self._work / f"build-{target}.log")
        return self._run("inspect", "--type", "image", "--format", "{{.FromImageID}}", tag)

    def config(self, image: str) -> ImageConfig:
        told = json.loads(self._run("inspect", "--type", "image", image))
        return _read_config(told["OCIv1"]["config"])

    @contextmanager
    def files(self, image: str) -> Iterator[Any]:
        argv = ("tar", "--create", "--numeric-owner", "--directory", str(self._root(image)), ".")
        with _stream(argv) as stream:
            yield stream

    def argv(self, run: Run) -> list[str]:
        config = self.config(run.image)
        mounts = [f"{folder}:{path}:rw" for path, folder in run.volumes.items()]
        mounts += [f"{folder}:{path}:ro" for path, folder in run.read_only.items()]
        env = [f"{k}={v}" for k, v in {**config.environment, **run.environment}.items()]
        inner = (*(run.entrypoint or config.entrypoint), *(run.command or config.command))
        argv = ["unshare", "--mount", "sh", str(_SEALED), str(self._root(run.image)), config.user]
        return [*argv, *mounts, "--", "/usr/bin/env", "-i", *env, *inner]

    @functools.cache  # noqa: B019 - lives as long as the one command that makes it
    def _root(self, image: str) -> Path:
        container = self._run("from", "--pull-never", image)
        self._containers.append(container)
        return Path(self._run("mount", container))

    def close(self) -> None:
        for container in self._containers:
            argv = (*self._buildah, "rm", container)
            subprocess.run(argv, capture_output=True, check=False)
        self._containers.clear()

    def _run(self, *arguments: str, seconds: float = _SHORT_SECONDS) -> str:
        return call((*self._buildah, *arguments), seconds, self._env).strip()


def _overlays(work: Path) -> bool:
    """Without overlays every layer is a whole copy: minutes and gigabytes more."""
    folder = work / "overlay"
    parts = {name: folder / name for name in ("lower", "upper", "work", "merged")}
    for part in parts.values():
        part.mkdir(parents=True, exist_ok=True)
    lower, upper, private, merged = parts.values()
    options = f"lowerdir={lower},upperdir={upper},workdir={private}"
    mount = ("mount", "-t", "overlay", "overlay", "-o", options, str(merged))
    try:
        return _answers(("unshare", "--mount", *mount))
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _named_bases() -> Iterator[tuple[str, str]]:
    for line in DOCKERFILE.read_text(encoding="utf-8").splitlines():
        name, _, reference = line.removeprefix("ARG ").partition("=")
        if line.startswith("ARG ") and name in _PACKAGES and reference:
            yield name, reference
