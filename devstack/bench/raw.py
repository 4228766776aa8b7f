"""What somebody would write by hand: tail, read once, compare, PUT. Ends with its input."""

from __future__ import annotations

import json
import sys
import threading

import httpx
from confluent_kafka import OFFSET_END, Consumer, TopicPartition


def main(bootstrap: str, topic: str, url: str, name: str) -> None:
    client = httpx.Client(base_url=url, timeout=30)
    path = f"/connectors/{name}/config"
    desired = client.get(path).json()
    tail = Consumer(
        {
            "bootstrap.servers": bootstrap,
            "group.id": "raw",
            "enable.auto.commit": False,
            "fetch.wait.max.ms": 100,
        }
    )
    partitions = tail.list_topics(topic, timeout=10).topics[topic].partitions
    tail.assign([TopicPartition(topic, number, OFFSET_END) for number in partitions])
    tail.poll(1.0)
    print("ready", flush=True)
    over = threading.Event()
    threading.Thread(target=_wait_for_the_end, args=(over,), daemon=True).start()
    while not over.is_set():
        message = tail.poll(0.5)
        if message is None or message.error() or name.encode() not in (message.key() or b""):
            continue
        if client.get("/connectors?expand=info").json()[name]["info"]["config"] != desired:
            client.put(
                path, content=json.dumps(desired), headers={"content-type": "application/json"}
            )
    tail.close()


def _wait_for_the_end(over: threading.Event) -> None:
    sys.stdin.read()
    over.set()


if __name__ == "__main__":
    main(*sys.argv[1:5])
