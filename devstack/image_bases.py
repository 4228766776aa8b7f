"""What the images stand on: the Dockerfile's bases, or some made of Debian's packages."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from devstack.environment import REPOSITORY, StackError
from devstack.shell import call, require

DOCKERFILE: Final = REPOSITORY / "Dockerfile"
# The machine's certificates: where a proxy signs, its own is among them.
BUNDLE: Final = Path("/etc/ssl/certs/ca-certificates.crt")
PULL_SECONDS: Final = 120.0
BUILD_SECONDS: Final = 1800.0
_PACKAGES: Final = {
    "DEBIAN": ("ca-certificates",),
    "PYTHON": ("ca-certificates", "python3", "python3-venv"),
}


def choose_bases(
    pull: Callable[[str], bool], make: Callable[[str, str], str], *, root: bool
) -> Mapping[str, str]:
    """Map each base's ARG to an image; `make` is asked, by ARG and name, when one is not there."""
    named = dict(_named_bases())
    if all(pull(reference) for reference in named.values()):
        return named
    if not root:
        raise StackError(
            "no registry answers for the Dockerfile's bases, and without root none can be made of "
            "Debian's packages: `docker pull` them where a registry answers, or run as root"
        )
    return {which: make(which, f"localhost/wms-base-{which.lower()}:bookworm") for which in named}


def describe_bases(chosen: Mapping[str, str]) -> str:
    if chosen == dict(_named_bases()):
        return "as the Dockerfile names them, by digest"
    return (
        "made here of Debian's packages by debootstrap, in place of those that the Dockerfile "
        "names by digest: no registry answers"
    )


@contextmanager
def bootstrap(which: str, work: Path) -> Iterator[Path]:
    """Give a folder with the root file system of a base, for as long as it is needed."""
    require("debootstrap")
    folder = work / f"base-{which.lower()}"
    options = ("--variant=minbase", f"--include={','.join(_PACKAGES[which])}", "bookworm")
    try:
        call(("debootstrap", *options, str(folder)), BUILD_SECONDS)
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _named_bases() -> Iterator[tuple[str, str]]:
    for line in DOCKERFILE.read_text(encoding="utf-8").splitlines():
        name, _, reference = line.removeprefix("ARG ").partition("=")
        if line.startswith("ARG ") and name in _PACKAGES and reference:
            yield name, reference
