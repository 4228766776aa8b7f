"""Manifests as text, whole and with one thing changed."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from controller.core.stage import Stage
from controller.manifest import ManifestErrors, Manifests, read_manifests

REPOSITORY = Path(__file__).parent.parent
MAIN = Stage.parse("main")
BRANCH = Stage.parse("feat-demo")

POSTGRES = """\
apiVersion: wms.cdc/v1
kind: Connector
metadata:
  name: cdc
spec:
  class: io.debezium.connector.postgresql.PostgresConnector
  tables: [WMS.T]
  config:
    database.hostname: ${secret:dbInfo:host}
    database.port: ${secret:dbInfo:port}
    database.dbname: ${secret:dbInfo:dbname}
    database.user: ${secret:dbInfo:user}
    database.password: ${secret:dbInfo:password}
    plugin.name: pgoutput
    slot.name: wms_${stage}
    snapshot.mode: initial
    heartbeat.interval.ms: 1000
---
apiVersion: wms.cdc/v1
kind: Topic
metadata:
  name: wms.WMS.T
spec:
  partitions: 3
---
apiVersion: wms.cdc/v1
kind: Topic
metadata:
  name: beat
spec:
  role: heartbeat
"""
FILE_SOURCE = """\
apiVersion: wms.cdc/v1
kind: Connector
metadata:
  name: lines
spec:
  class: org.apache.kafka.connect.file.FileStreamSourceConnector
  config:
    file: /data/lines
    topic: wms.lines
"""


def topic(name: str = "wms.WMS.T", spec: str = "partitions: 3") -> str:
    """One Topic document; its spec begins in line 6 at column 3."""
    lines = "\n".join(f"  {line}" for line in spec.splitlines())
    head = f"apiVersion: wms.cdc/v1\nkind: Topic\nmetadata:\n  name: {name}\n"
    return f"{head}spec:\n{lines}\n"


def policy(spec: str, name: str = "stage") -> str:
    lines = "\n".join(f"  {line}" for line in spec.splitlines())
    head = f"apiVersion: wms.cdc/v1\nkind: StagePolicy\nmetadata:\n  name: {name}\n"
    return f"{head}spec:\n{lines}\n"


def read(files: str | Mapping[str, str], stage: Stage = MAIN, overlay: str = "local") -> Manifests:
    files = {"m.yaml": files} if isinstance(files, str) else files
    return read_manifests(files, stage=stage, overlay=overlay)


def errors(
    files: str | Mapping[str, str], stage: Stage = MAIN, overlay: str = "local"
) -> list[str]:
    """What is wrong, as a person sees it; empty when it loads."""
    try:
        read(files, stage, overlay)
    except ManifestErrors as found:
        return str(found).splitlines()
    return []


def warnings(
    files: str | Mapping[str, str], stage: Stage = MAIN, overlay: str = "local"
) -> list[str]:
    found = read(files, stage, overlay).revision.warnings
    return [f"{warning.source}: {warning.field}: {warning.message}" for warning in found]


def real_manifests() -> dict[str, str]:
    root = REPOSITORY / "manifests"
    return {
        str(path.relative_to(root)): path.read_text(encoding="utf-8")
        for path in root.rglob("*")
        if path.is_file()
    }
