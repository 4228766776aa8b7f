"""Manifests of many topics or connectors, for an ephemeral stage of the benchmark's own."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from devstack.environment import REPOSITORY, StackError
from devstack.stack import Stack

_POLICY = """\
apiVersion: wms.cdc/v1
kind: StagePolicy
metadata: {name: stage}
spec:
  defaults: {replicationFactor: 1, minInsyncReplicas: 1}
"""
_TOPIC = """\
---
apiVersion: wms.cdc/v1
kind: Topic
metadata: {{name: wms.bench.{number}}}
spec:
  partitions: 1
  config: {{retention.ms: "86400000", cleanup.policy: delete, max.message.bytes: "1000000"}}
"""
_CONNECTOR = """\
---
apiVersion: wms.cdc/v1
kind: Connector
metadata: {{name: {stage}-{number}}}
spec:
  class: org.apache.kafka.connect.file.FileStreamSourceConnector
  state: stopped
  config:
    file: {file}
    topic: wms.bench.lines
    batch.size: "100"
"""
_PER_FILE = 200
_LINES = """\
---
apiVersion: wms.cdc/v1
kind: Topic
metadata: {name: wms.bench.lines}
spec: {partitions: 1, config: {retention.ms: "86400000"}}
"""


@dataclass(frozen=True, slots=True)
class Bench:
    """A folder of rendered manifests, applied once, and the settings that belong to it."""

    stage: str
    folder: Path
    env: dict[str, str]


def write_topics(stack: Stack, folder: Path, stage: str, size: int) -> Bench:
    text = _POLICY + "".join(_TOPIC.format(number=number) for number in range(size))
    return _prepare(stack, folder, stage, text)


def write_connectors(stack: Stack, folder: Path, stage: str, size: int) -> Bench:
    file = stack.folder / "empty.txt"
    file.touch()
    documents = (_CONNECTOR.format(stage=stage, number=n, file=file) for n in range(size))
    return _prepare(stack, folder, stage, _POLICY + _LINES + "".join(documents))


def _prepare(stack: Stack, folder: Path, stage: str, text: str) -> Bench:
    """Render, so that the script can read the same file, and apply once."""
    written = folder / "written"
    written.mkdir(parents=True)
    _split(text, written)
    env = stack.controller_env(stage, manifests=written, worker=stack.worker("main"))
    env |= {
        "WMS_BROKER_STRING": stack.broker.bootstrap,
        "WMS_STATE_FILE": str(folder / "state.json"),
        "WMS_SECRETS_ROOT": str(folder / "secrets"),
    }
    (folder / "secrets").mkdir()
    rendered = _wmsctl(env, "render")
    (folder / "rendered").mkdir()
    bench = Bench(stage, folder / "rendered", env | {"WMS_MANIFESTS": str(folder / "rendered")})
    _split(rendered.removeprefix("---\n"), bench.folder)
    _wmsctl(bench.env, "apply")
    return bench


def _split(text: str, folder: Path) -> None:
    """Write several files: one may not be larger than 256 KiB."""
    documents = text.split("---\n")
    for number in range(0, len(documents), _PER_FILE):
        part = "---\n".join(documents[number : number + _PER_FILE])
        (folder / f"{number:05}.yaml").write_text(part, encoding="utf-8")


def _wmsctl(env: dict[str, str], *arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "controller", *arguments],
        env=env,
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    if done.returncode != 0:
        raise StackError(f"wmsctl {' '.join(arguments)} failed:\n{done.stdout}{done.stderr}")
    return done.stdout
