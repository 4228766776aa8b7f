"""The maintainer's half: renews `connect/jars.lock` from `connect/pom.xml` with Maven."""

from __future__ import annotations

import re
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Final

from devstack.environment import REPOSITORY, StackError
from devstack.jars import PLACES, Coordinates, Jar, read_lock, sha256

POM: Final = REPOSITORY / "connect" / "pom.xml"
PROFILES: Final = ("broker", "worker", "local-plugin")
HEADER: Final = """\
# The jars of the Connect worker and of the local stack. Written by `make lock-jars` from pom.xml.
# places  group:artifact:version[:classifier]@type  bytes  sha256
# worker: the worker's classpath. agent: beside it. plugin: unpacked under plugin.path.
# broker, local-plugin: the local stack only.
"""
_SECONDS: Final = 600


def write(lock: Path) -> int:
    """Write down what Maven chose; how many jars that is."""
    mvn = shutil.which("mvn")
    if mvn is None:
        raise StackError(
            "`mvn` is not on PATH. Only renewing the lock needs it; using it does not."
        )
    places: dict[Coordinates, set[str]] = {}
    files: dict[Coordinates, Path] = {}
    for profile in PROFILES:
        for coordinates, path in _resolve(mvn, profile):
            places.setdefault(coordinates, set()).add(_place_of(profile, coordinates))
            files[coordinates] = path
    jars = sorted(
        Jar(
            places=tuple(place for place in PLACES if place in places[coordinates]),
            coordinates=coordinates,
            size=path.stat().st_size,
            sha256=sha256(path),
        )
        for coordinates, path in files.items()
    )
    lock.write_text(HEADER + "".join(f"{jar}\n" for jar in jars), encoding="utf-8")
    return len(read_lock(lock))


def _place_of(profile: str, coordinates: Coordinates) -> str:
    if coordinates.kind == "tar.gz":
        return "plugin"
    return "agent" if coordinates.artifact.endswith("javaagent") else profile


def _resolve(mvn: str, profile: str) -> list[tuple[Coordinates, Path]]:
    with tempfile.TemporaryDirectory() as folder:
        output = Path(folder) / "list"
        command = [mvn, "-B", "-q", "-f", str(POM), "-P", profile, "dependency:list"]
        options = ["-DincludeScope=runtime", "-DoutputAbsoluteArtifactFilename=true"]
        options.append(f"-DoutputFile={output}")
        try:
            subprocess.run([*command, *options], check=True, timeout=_SECONDS)
        except subprocess.SubprocessError as error:
            raise StackError(f"Maven could not resolve profile {profile} of {POM}") from error
        lines = output.read_text(encoding="utf-8").splitlines()
    return [parse_maven(line) for line in lines if line.count(":") >= 5]


def parse_maven(line: str) -> tuple[Coordinates, Path]:
    # group:artifact:type[:classifier]:version:scope:/path, perhaps with the module's name behind
    fields = re.sub(r"\x1b\[[0-9;]*m", "", line).strip().split(" ")[0].split(":")
    group, artifact, kind = fields[:3]
    classifier = fields[3] if len(fields) == 7 else ""
    return Coordinates(group, artifact, fields[-3], classifier, kind), Path(fields[-1])
