"""From an edit to the record that undoes it, for the controller and for a script by hand."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from statistics import median
from typing import Final

from confluent_kafka import OFFSET_END, Consumer, TopicPartition

from devstack.bench.figures import Figure, ratio
from devstack.environment import StackError, wait_until
from devstack.scene import CONNECTOR, DATA_TOPICS, Scene

BLOCKS: Final = 3
_KEY: Final = f"connector-{CONNECTOR}".encode()
_EDITED: Final = "poll.interval.ms"


class ConfigTail:
    """Follows Connect's config topic, which holds each config that was written, in order."""

    def __init__(self, scene: Scene) -> None:
        topic = f"mgmt.connect.wms-connector-{scene.stage}.config"
        self._consumer = Consumer(
            {
                "bootstrap.servers": scene.stack.broker.bootstrap,
                "client.id": "bench",
                "group.id": "bench",  # never joined
                "enable.auto.commit": False,
                "fetch.wait.max.ms": 20,
            }
        )
        self._consumer.assign([TopicPartition(topic, 0, OFFSET_END)])
        self._consumer.poll(1.0)

    def wait(self, *, edited: bool, seconds: float = 30.0) -> float:
        """When the next record came that holds the edit, or holds it no more."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            message = self._consumer.poll(0.2)
            if message is None or message.error() or message.key() != _KEY:
                continue
            if (_EDITED.encode() in (message.value() or b"")) is edited:
                return time.monotonic()
        raise StackError("no repair was seen")

    def close(self) -> None:
        self._consumer.close()


def measure_repairs(scene: Scene, times: int) -> list[Figure]:
    """Take turns in blocks; both are measured from outside, by the same eye."""
    tail = ConfigTail(scene)
    ours: list[float] = []
    theirs: list[float] = []
    for _ in range(BLOCKS):
        with _controller(scene):
            ours += [_edit(scene, tail) for _ in range(times // BLOCKS)]
        with _script(scene):
            theirs += [_edit(scene, tail) for _ in range(times // BLOCKS)]
    tail.close()
    return [
        Figure(
            "edit by REST to repair, controller", median(ours), "s", note=f"median of {len(ours)}"
        ),
        Figure(
            "edit by REST to repair, script", median(theirs), "s", note=f"median of {len(theirs)}"
        ),
        Figure("controller / script", ratio(ours, theirs), "x", 1.3),
    ]


def _edit(scene: Scene, tail: ConfigTail) -> float:
    scene.wait(lambda: _EDITED not in scene.config(), "the config is as declared")
    scene.wait_running()
    config = scene.config() | {_EDITED: "777"}
    time.sleep(1.2)  # noqa: TID251 - nobody edits five times a second; the wake's tokens refill
    start = time.monotonic()
    scene.worker.request("PUT", f"/connectors/{CONNECTOR}/config", config)
    tail.wait(edited=True)
    return tail.wait(edited=False) - start


@contextmanager
def _controller(scene: Scene) -> Iterator[None]:
    scene.start()
    scene.wait_converged()
    try:
        yield
    finally:
        scene.stop()


@contextmanager
def _script(scene: Scene) -> Iterator[None]:
    topic = f"mgmt.connect.wms-connector-{scene.stage}.config"
    arguments = [scene.stack.broker.bootstrap, topic, scene.worker.url, CONNECTOR]
    process = subprocess.Popen(
        [sys.executable, "-m", "devstack.bench.raw", *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env=scene.env,
        text=True,
    )
    try:
        if process.stdout is None or process.stdout.readline().strip() != "ready":
            raise StackError("the script by hand did not start")
        yield
    finally:
        if process.stdin is not None:
            process.stdin.close()
        if not wait_until(lambda: process.poll() is not None, 10):
            process.kill()
        process.wait()


def measure_topic_repair(scene: Scene, times: int) -> list[Figure]:
    """How long a lowered retention lasts while the controller runs."""
    topic = DATA_TOPICS[0]
    before = scene.topic_config(topic, "retention.ms")
    taken = []
    for _ in range(times):
        scene.set_topic_config(topic, "retention.ms", "60000")
        taken.append(
            scene.wait(lambda: scene.topic_config(topic, "retention.ms") == before, "repaired")
        )
    note = f"worst of {times}; overlay local looks every 2 s, with jitter"
    return [Figure("a topic's config, edit to repaired", max(taken), "s", 2.2 + 0.5, note)]
