"""From an edit by hand to the record that undoes it: the controller, and a script by hand."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from confluent_kafka import OFFSET_END, Consumer, TopicPartition

from devstack.bench.figures import Ledger, NotMeasured
from devstack.environment import StackError, wait_until
from devstack.scene import CONNECTOR, DATA_TOPICS, Scene

BLOCKS: Final = 3
MOST: Final = 1.3
RAW: Final = str(Path(__file__).with_name("raw.py"))
INTERVAL: Final = 2.0  # that of overlay local, which the scene runs with
_KEY: Final = f"connector-{CONNECTOR}".encode()
_EDITED: Final = "poll.interval.ms"
_PAUSE: Final = 1.5  # people make one edit at a time, and both sides get the same


class ConfigTail:
    """Follows Connect's config topic, where each config that is written becomes a record."""

    def __init__(self, scene: Scene) -> None:
        self._consumer = Consumer(
            {
                "bootstrap.servers": scene.stack.broker.bootstrap,
                "group.id": "bench",  # never joined
                "enable.auto.commit": False,
                "enable.partition.eof": True,
            }
        )
        self._consumer.assign([TopicPartition(_config_topic(scene), 0, OFFSET_END)])
        if not wait_until(self._at_end, 20, every=0.0):
            raise StackError("the config topic cannot be followed")

    def _at_end(self) -> bool:
        message = self._consumer.poll(0.2)
        return message is not None and message.error() is not None

    def wait_for(self, claim: Callable[[dict[str, Any]], bool], seconds: float = 30.0) -> float:
        """Tell when the next record came that holds a config of this kind."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            message = self._consumer.poll(0.2)
            if message is None or message.error() or message.key() != _KEY:
                continue
            if claim(json.loads(message.value() or b"{}").get("properties", {})):
                return time.perf_counter()
        raise NotMeasured("no repair was seen in the config topic")

    def close(self) -> None:
        self._consumer.close()


def _config_topic(scene: Scene) -> str:
    return f"mgmt.connect.wms-connector-{scene.stage}.config"


def measure_repairs(scene: Scene, ledger: Ledger, times: int) -> None:
    """Take turns in blocks; both are measured from outside, by the same eye."""
    tail = ConfigTail(scene)
    ours: list[float] = []
    script: list[float] = []
    for _ in range(BLOCKS):
        for side, samples in ((_controller, ours), (_script, script)):
            with side(scene) as settle:
                samples += [_edit(scene, tail, settle) for _ in range(times // BLOCKS)]
    tail.close()
    what = f"edit by REST to the record that repairs it, {len(ours)} times"
    ledger.compare(what, ours, script, MOST)


def _edit(scene: Scene, tail: ConfigTail, settle: Callable[[], None]) -> float:
    scene.wait(lambda: _EDITED not in scene.config(), "the config is as declared")
    scene.wait_running()
    settle()
    threading.Event().wait(_PAUSE)
    edited = scene.config() | {_EDITED: "777"}
    start = time.perf_counter()
    scene.worker.request("PUT", f"/connectors/{CONNECTOR}/config", edited)
    tail.wait_for(lambda config: _EDITED in config)
    return tail.wait_for(lambda config: _EDITED not in config) - start


@contextmanager
def _controller(scene: Scene) -> Iterator[Callable[[], None]]:
    scene.start()
    scene.wait_converged()
    try:
        yield lambda: _settle(scene)
    finally:
        scene.stop()


def _settle(scene: Scene) -> None:
    """Wait for a cycle that began after now and found all as declared.

    One edit right after the other, with no such cycle between, is a fight, and it steps back.
    """
    seen = int(scene.status().get("cycle", 0))

    def is_new() -> bool:
        status = scene.status()
        return bool(status.get("converged")) and int(status.get("cycle", 0)) > seen

    scene.wait(is_new, "a cycle finds all as declared")


@contextmanager
def _script(scene: Scene) -> Iterator[Callable[[], None]]:
    arguments = (scene.stack.broker.bootstrap, _config_topic(scene), scene.worker.url, CONNECTOR)
    process = subprocess.Popen(
        [sys.executable, RAW, *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env=scene.env,
        text=True,
    )
    try:
        if process.stdout is None or process.stdout.readline().strip() != "ready":
            raise NotMeasured("the script by hand did not start")
        yield lambda: None
    finally:
        process.communicate(timeout=20)  # its input ends, and so does it


def measure_topic_repair(scene: Scene, ledger: Ledger, times: int) -> None:
    """How long a setting of a topic stays as somebody made it; no feed tells of it."""
    topic, key = DATA_TOPICS[0], "retention.ms"
    taken = []
    with _controller(scene) as settle:
        before = scene.topic_config(topic, key)
        for number in range(times):
            settle()
            threading.Event().wait(INTERVAL * number / times)  # at any moment of the interval
            start = time.perf_counter()
            scene.set_topic_config(topic, key, "1209500000")
            scene.wait(lambda: scene.topic_config(topic, key) == before, "the topic is repaired")
            taken.append(time.perf_counter() - start)
    what = f"a topic's config edited to repaired, interval {INTERVAL:g} s"
    ledger.limit(what, taken, INTERVAL)
