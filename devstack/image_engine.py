"""What builds and runs images here: docker where one answers, else buildah without a daemon."""

from __future__ import annotations

import functools
import json
import os
import secrets
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Protocol

from devstack.environment import REPOSITORY, StackError, inherited, variables
from devstack.image_bases import (
    BUILD_SECONDS,
    BUNDLE,
    DOCKERFILE,
    PULL_SECONDS,
    Bases,
    bootstrap,
)
from devstack.shell import SHORT_SECONDS, answers, call, require, stream

# Where a build finds the machine's certificates: a secret of the build is in no layer.
_CERTIFICATES: Final = "/run/secrets/ca"
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
    bases: Bases

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
    if shutil.which("docker") and answers(("docker", "info", "--format", "{{.ServerVersion}}")):
        return Docker(work)
    if os.geteuid() != 0:
        raise StackError(
            "images need docker with its daemon running, or root for buildah: start docker, "
            "or run `sudo make images`"
        )
    require("buildah")
    return Buildah(work)


def _read_config(image: Mapping[str, Any]) -> ImageConfig:
    pairs = (text.partition("=") for text in image.get("Env") or ())
    return ImageConfig(
        user=str(image.get("User") or ""),
        entrypoint=tuple(image.get("Entrypoint") or ()),
        command=tuple(image.get("Cmd") or ()),
        environment={name: value for name, _, value in pairs},
        volumes=frozenset(image.get("Volumes") or ()),
    )


def _build_options(bases: Mapping[str, str], target: str, tag: str) -> list[str]:
    """Answer what docker and buildah call alike."""
    options = ["--network", "host", "--file", str(DOCKERFILE), "--target", target, "--tag", tag]
    for which, reference in bases.items():
        options += ["--build-arg", f"{which}={reference}"]
    if BUNDLE.is_file():
        options += ["--secret", f"id=ca,src={BUNDLE}", "--build-arg", f"CA_BUNDLE={_CERTIFICATES}"]
    return [*options, str(REPOSITORY)]


# --- docker -------------------------------------------------------------------------------------


class Docker:
    """Needs BuildKit: docker's own builder since 23, and there to be asked for since 18.09."""

    def __init__(self, work: Path) -> None:
        self._work = work
        self._label = f"wms-connector={secrets.token_hex(8)}"
        self._env = inherited() | {"DOCKER_BUILDKIT": "1"}
        self.bases = Bases(self._pull, self._make_base, root=os.geteuid() == 0)
        self.name = f"docker {self._run('version', '--format', '{{.Server.Version}}')}"

    def _pull(self, reference: str) -> None:
        if not self._has(reference):
            self._run("pull", "--quiet", reference, seconds=PULL_SECONDS)

    def _has(self, image: str) -> bool:
        return answers(("docker", "image", "inspect", image))

    def _make_base(self, which: str, name: str) -> str:
        if self._has(name):
            return name
        archive = self._work / f"base-{which.lower()}.tar"
        try:
            with bootstrap(which, self._work) as folder:
                tar = ("tar", "--create", "--numeric-owner", "--file", str(archive))
                call((*tar, "--directory", str(folder), "."), SHORT_SECONDS)
            self._run("import", str(archive), name)
        finally:
            archive.unlink(missing_ok=True)
        return name

    def build(self, target: str) -> str:
        tag = f"wms-connector/{target}:local"
        argv = ("docker", "build", *_build_options(self.bases.images, target, tag))
        call(argv, BUILD_SECONDS, self._env, self._work / f"build-{target}.log")
        return self._run("image", "inspect", "--format", "{{.Id}}", tag)

    def config(self, image: str) -> ImageConfig:
        [told] = json.loads(self._run("image", "inspect", image))
        return _read_config(told["Config"])

    @contextmanager
    def files(self, image: str) -> Iterator[Any]:
        container = self._run("create", "--label", self._label, image)
        with stream(("docker", "export", container)) as exported:
            yield exported

    def argv(self, run: Run) -> list[str]:
        # The stack is on this machine's loopback, and so is what it must reach there. With memory
        # shared among containers /dev/shm would be a folder to write to.
        argv = ["docker", "run", "--rm", "--init", "--network", "host", "--ipc", "none"]
        argv += ["--read-only", "--cap-drop", "ALL", "--security-opt", "no-new-privileges"]
        argv += ["--label", self._label]
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
        left = self._run("ps", "--all", "--quiet", "--filter", f"label={self._label}").split()
        if left:
            self._run("rm", "--force", "--volumes", *left)

    def _run(self, *arguments: str, seconds: float = SHORT_SECONDS) -> str:
        return call(("docker", *arguments), seconds, self._env).strip()


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
        self.bases = Bases(self._pull, self._make_base, root=True)
        version = call(("buildah", "--version"), 60.0).split()
        self.name = f"buildah {version[2]}"
        self._containers: list[str] = []

    def _pull(self, reference: str) -> None:
        self._run("pull", "--quiet", "--policy", "missing", reference, seconds=PULL_SECONDS)

    def _make_base(self, which: str, name: str) -> str:
        if self._run("images", "--quiet", "--filter", f"reference={name}"):
            return name
        with bootstrap(which, self._work) as folder:
            container = self._run("from", "scratch")
            self._containers.append(container)
            self._run("add", "--quiet", container, str(folder), "/")
            self._run("commit", "--quiet", container, name)
        return name

    def build(self, target: str) -> str:
        tag = f"localhost/wms-connector-{target}:local"
        options = _build_options(self.bases.images, target, tag)
        argv = (*self._buildah, "build", "--layers", "--pull-never", *options)
        call(argv, BUILD_SECONDS, self._env, self._work / f"build-{target}.log")
        return self._run("inspect", "--type", "image", "--format", "{{.FromImageID}}", tag)

    def config(self, image: str) -> ImageConfig:
        told = json.loads(self._run("inspect", "--type", "image", image))
        return _read_config(told["OCIv1"]["config"])

    @contextmanager
    def files(self, image: str) -> Iterator[Any]:
        argv = ("tar", "--create", "--numeric-owner", "--directory", str(self._root(image)), ".")
        with stream(argv) as archived:
            yield archived

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

    def _run(self, *arguments: str, seconds: float = SHORT_SECONDS) -> str:
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
        return answers(("unshare", "--mount", *mount))
    finally:
        shutil.rmtree(folder, ignore_errors=True)
