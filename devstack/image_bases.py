"""What the images stand on: the Dockerfile's bases, or some made of Debian's packages."""

from __future__ import annotations

import functools
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


class Bases:
    """An image for each base's ARG; `make` is asked, by ARG and name, when one cannot be pulled."""

    def __init__(
        self, pull: Callable[[str], object], make: Callable[[str, str], str], *, root: bool
    ) -> None:
        self._pull, self._make, self._root = pull, make, root
        self._named = dict(_named_bases())

    @functools.cached_property
    def images(self) -> Mapping[str, str]:
        if all(self._answers(reference) for reference in self._named.values()):
            return self._named
        if not self._root:
            raise StackError(
                "no registry answers for the Dockerfile's bases, and without root none can be made "
                "of Debian's packages: `docker pull` them where a registry answers, or run as root"
            )
        names = {which: f"localhost/wms-base-{which.lower()}:bookworm" for which in self._named}
        return {which: self._make(which, name) for which, name in names.items()}

    def _answers(self, reference: str) -> bool:
        try:
            self._pull(reference)
        except StackError:
            return False
        return True

    def __str__(self) -> str:
        if self.images == self._named:
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
