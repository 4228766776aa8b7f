"""What somebody would write instead of `wmsctl`: `script.py plan|apply FOLDER BROKERS CONNECT`.

It reads rendered manifests, reads each system once in bulk, and writes only what differs.
"""

import sys
from pathlib import Path

import yaml

VERB, FOLDER, BROKERS, CONNECT = sys.argv[1:]
texts = [path.read_text(encoding="utf-8") for path in sorted(Path(FOLDER).glob("*.yaml"))]
documents = [one for text in texts for one in yaml.load_all(text, yaml.CSafeLoader)]
topics = {d["spec"]["name"]: d["spec"] for d in documents if d["kind"] == "Topic"}
connectors = {d["metadata"]["name"]: d["spec"] for d in documents if d["kind"] == "Connector"}
changes = 0

if topics:
    from confluent_kafka import TopicCollection
    from confluent_kafka.admin import AdminClient, AlterConfigOpType, ConfigEntry, ConfigResource

    admin = AdminClient({"bootstrap.servers": BROKERS, "log_level": 4})
    described = admin.describe_topics(TopicCollection(list(topics)))
    configs = admin.describe_configs([ConfigResource("topic", name) for name in topics])
    found = {resource.name: future.result() for resource, future in configs.items()}
    for name, spec in topics.items():
        partitions = len(described[name].result().partitions)
        wrong = {k: v for k, v in spec["config"].items() if found[name][k].value != str(v)}
        if wrong or partitions != spec["partitions"]:
            print("topic", name, partitions, wrong)
            changes += 1
            op = AlterConfigOpType.SET
            entries = [ConfigEntry(k, str(v), incremental_operation=op) for k, v in wrong.items()]
            alter = ConfigResource("topic", name, incremental_configs=entries)
            if VERB == "apply":
                admin.incremental_alter_configs([alter])[alter].result()

if connectors:
    import httpx

    with httpx.Client(base_url=CONNECT, timeout=30) as client:
        there = client.get("/connectors?expand=info&expand=status").json()
        for name, spec in connectors.items():
            config, state = there[name]["info"]["config"], there[name]["status"]["connector"]
            wanted = config | {key: str(value) for key, value in spec["config"].items()}
            if config != wanted or state["state"].lower() != spec["state"]:
                print("connector", name, state, wanted)
                changes += 1
                if VERB == "apply":
                    client.put(f"/connectors/{name}/config", json=wanted).raise_for_status()

print(f"{changes} changes")
sys.exit(2 if changes and VERB == "plan" else 0)
