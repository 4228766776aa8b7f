"""The repair loop as somebody would write it: `raw.py BROKERS TOPIC CONNECT NAME`.

It takes the config that it finds for the desired one, tails Connect's config topic, and at each
record of its connector reads once, compares, and PUTs. It ends with its input.
"""

import sys
import threading

import httpx
from confluent_kafka import OFFSET_END, Consumer, TopicPartition

BROKERS, TOPIC, CONNECT, NAME = sys.argv[1:]
PATH, KEY = f"/connectors/{NAME}/config", f"connector-{NAME}".encode()

over = threading.Event()


def wait_for_the_end() -> None:
    sys.stdin.read()
    over.set()


threading.Thread(target=wait_for_the_end, daemon=True).start()
settings = {"bootstrap.servers": BROKERS, "group.id": "raw", "enable.partition.eof": True}
consumer = Consumer(settings | {"enable.auto.commit": False})
consumer.assign([TopicPartition(TOPIC, 0, OFFSET_END)])
with httpx.Client(base_url=CONNECT, timeout=30) as client:
    desired = client.get(PATH).json()
    while not over.is_set():
        message = consumer.poll(0.2)
        if message is None:
            continue
        if message.error():
            print("ready", flush=True)  # it has come to the end
        elif message.key() == KEY and client.get(PATH).json() != desired:
            client.put(PATH, json=desired).raise_for_status()
consumer.close()
