"""The same job as `wmsctl plan` and `apply` in fifty lines: one bulk read, then what differs."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import httpx
import yaml
from confluent_kafka import TopicCollection
from confluent_kafka.admin import (
    AdminClient,
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
    ResourceType,
)


def main(verb: str, manifests: str, bootstrap: str, url: str, mark: str) -> int:
    texts = [path.read_text(encoding="utf-8") for path in sorted(Path(manifests).glob("*.yaml"))]
    documents: list[dict[str, Any]] = [
        document for text in texts for document in yaml.load_all(text, Loader=yaml.CSafeLoader)
    ]
    topics = {d["spec"]["name"]: d["spec"] for d in documents if d["kind"] == "Topic"}
    connectors = {d["metadata"]["name"]: d["spec"] for d in documents if d["kind"] == "Connector"}
    changes = 0
    if topics:
        admin = AdminClient({"bootstrap.servers": bootstrap})
        described = admin.describe_topics(TopicCollection(list(topics)))
        there = {name: len(future.result().partitions) for name, future in described.items()}
        resources = [ConfigResource(ResourceType.TOPIC, name) for name in topics]
        for resource, future in admin.describe_configs(resources).items():
            found, spec = future.result(), topics[resource.name]
            wrong = {k: v for k, v in spec["config"].items() if found[k].value != str(v)}
            changes += bool(wrong) or there[resource.name] != spec["partitions"]
            if wrong and verb == "apply":
                entries = [
                    ConfigEntry(k, str(v), incremental_operation=AlterConfigOpType.SET)
                    for k, v in wrong.items()
                ]
                change = ConfigResource(
                    ResourceType.TOPIC, resource.name, incremental_configs=entries
                )
                admin.incremental_alter_configs([change])[change].result()
    if connectors:
        client = httpx.Client(base_url=url, timeout=30)
        seen = client.get("/connectors?expand=info&expand=status").json()
        for name, spec in connectors.items():
            own = {"name": name, "connector.class": spec["class"], "tasks.max": "1"}
            config = {**spec["config"], **own, "x-wms.managed-by": mark}
            if seen[name]["info"]["config"] != config:
                changes += 1
                if verb == "apply":
                    client.put(f"/connectors/{name}/config", json=config).raise_for_status()
    print(f"{changes} change(s)")
    return 2 if changes and verb == "plan" else 0


if __name__ == "__main__":
    raise SystemExit(main(*sys.argv[1:6]))
