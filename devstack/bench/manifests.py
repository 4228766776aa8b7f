"""Manifests of many topics or connectors, each set for an ephemeral stage of its own."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from devstack.bench.process import WMSCTL, Command, run
from devstack.stack import Stack

_CONFIG: Final = {
    "cleanup.policy": "delete",
    "max.message.bytes": "1000000",
    "retention.ms": "86400000",
}
_POLICY: Final = """\
apiVersion: wms.cdc/v1
kind: StagePolicy
metadata: {name: stage}
spec:
  defaults: {replicationFactor: 1, minInsyncReplicas: 1}
"""
_TOPIC: Final = """\
---
apiVersion: wms.cdc/v1
kind: Topic
metadata: {{name: wms.bench.{number}}}
spec:
  partitions: 1
  config: {{cleanup.policy: delete, max.message.bytes: "1000000", retention.ms: "86400000"}}
"""
_CONNECTOR: Final = """\
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
    key.converter: org.apache.kafka.connect.json.JsonConverter
    key.converter.schemas.enable: "false"
    value.converter: org.apache.kafka.connect.json.JsonConverter
    value.converter.schemas.enable: "false"
"""
_LINES: Final = """\
---
apiVersion: wms.cdc/v1
kind: Topic
metadata: {name: wms.bench.lines}
spec:
  partitions: 1
  config: {retention.ms: "86400000"}
"""
_PER_FILE: Final = 200
_START: Final = "---\n"


@dataclass(frozen=True, slots=True)
class Sample:
    """Rendered manifests, applied once, and the settings that belong to them."""

    stage: str
    folder: Path
    env: Mapping[str, str]

    def topic(self, number: int) -> str:
        return f"{self.stage}.wms.bench.{number}"

    def connector(self, number: int) -> str:
        return f"{self.stage}-{number}"


def make_topics(stack: Stack, stage: str, size: int) -> Sample:
    sample = _sample(stack, stage)
    documents = (_TOPIC.format(number=number) for number in range(size))
    # In one call: that they are created one by one is measured nowhere.
    stack.create_topics(*(sample.topic(number) for number in range(size)), config=_CONFIG)
    return _apply(sample, _POLICY + "".join(documents))


def make_connectors(stack: Stack, stage: str, size: int) -> Sample:
    """Stopped connectors and one topic: what a worker carries without an effort."""
    sample = _sample(stack, stage)
    file = stack.folder / "lines.txt"
    file.touch()
    documents = (_CONNECTOR.format(stage=stage, number=n, file=file) for n in range(size))
    return _apply(sample, _POLICY + _LINES + "".join(documents))


def _sample(stack: Stack, stage: str) -> Sample:
    """With the brokers given in the environment, no secret is needed and AWS is never asked."""
    folder = stack.folder / "bench" / stage
    for part in ("rendered", "secrets"):
        (folder / part).mkdir(parents=True)
    settings = {
        "WMS_BROKER_STRING": stack.broker.bootstrap,
        "WMS_SECRETS_ROOT": str(folder / "secrets"),
        "WMS_STATE_FILE": str(folder / "state.json"),
    }
    rendered = folder / "rendered"
    worker = stack.worker("main")
    env = stack.controller_env(stage, manifests=rendered, worker=worker, settings=settings)
    return Sample(stage, rendered, env)


def _apply(sample: Sample, text: str) -> Sample:
    """Render, so that both sides read the same files; then make it so."""
    written = sample.folder.with_name("written")
    written.mkdir()
    _split(text, written)
    env = {**sample.env, "WMS_MANIFESTS": str(written)}
    _split(run(Command((WMSCTL, "render"), env)).removeprefix(_START), sample.folder)
    run(Command((WMSCTL, "apply"), sample.env))
    return sample


def _split(text: str, folder: Path) -> None:
    """Write several files: one may not be larger than 256 KiB."""
    documents = text.split(_START)
    for number in range(0, len(documents), _PER_FILE):
        part = _START.join(documents[number : number + _PER_FILE])
        (folder / f"{number:05}.yaml").write_text(part, encoding="utf-8")
