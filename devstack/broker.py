from __future__ import annotations

import uuid
from base64 import urlsafe_b64encode
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from confluent_kafka.admin import AdminClient

from devstack.environment import StackError, wait_until
from devstack.jars import Jars
from devstack.java import brief_options, java
from devstack.port import LOOPBACK, free_port, listens
from devstack.process import Child, Command, Nursery, base_env

_LOG4J: Final = Path(__file__).parent / "broker-log4j2.yaml"
_MEMORY: Final = ("-Xms64m", "-Xmx320m")
_SECONDS: Final = 60.0
_PROPERTIES: Final = """\
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@{host}:{quorum_port}
listeners=PLAINTEXT://{host}:{port},CONTROLLER://{host}:{quorum_port}
advertised.listeners=PLAINTEXT://{host}:{port},CONTROLLER://{host}:{quorum_port}
controller.listener.names=CONTROLLER
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT
log.dirs={data}
# As on MSK: nobody makes a topic by mentioning it.
auto.create.topics.enable=false
num.partitions=1
default.replication.factor=1
min.insync.replicas=1
offsets.topic.replication.factor=1
offsets.topic.num.partitions=4
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
transaction.state.log.num.partitions=4
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
group.initial.rebalance.delay.ms=0
num.network.threads=2
num.io.threads=4
log.cleaner.dedupe.buffer.size=8388608
# An idle broker writes nothing: many of them share few cores here.
metadata.max.idle.interval.ms=0
"""
_META: Final = """\
version=1
node.id=1
cluster.id={cluster}
directory.id={directory}
"""


class Broker:
    """One Kafka node (KRaft) that keeps its address and data over a stop and a start."""

    def __init__(
        self,
        nursery: Nursery,
        jars: Jars,
        folder: Path,
        *,
        name: str = "broker",
        options: Sequence[str] | None = None,
    ) -> None:
        self._nursery = nursery
        self._options = brief_options("broker", jars) if options is None else options
        self._name = name
        self._classpath = f"{jars.broker}/*"
        self._folder = folder
        self._properties = folder / "broker.properties"
        self._child: Child | None = None
        self.port = free_port()
        self.cluster_id = _new_id()

    @property
    def bootstrap(self) -> str:
        return f"{LOOPBACK}:{self.port}"

    @property
    def child(self) -> Child:
        if self._child is None:
            raise StackError("the broker is stopped")
        return self._child

    @property
    def alive(self) -> bool:
        return self._child is not None and self._child.alive

    def format(self) -> None:
        """Write what `kafka-storage format` writes for a voter of a static quorum, without a JVM.

        The metadata version is the broker's newest, as where no bootstrap checkpoint exists.
        """
        data = self._folder / "data"
        data.mkdir(parents=True)
        self._properties.write_text(
            _PROPERTIES.format(host=LOOPBACK, port=self.port, quorum_port=free_port(), data=data),
            encoding="utf-8",
        )
        meta = _META.format(cluster=self.cluster_id, directory=_new_id())
        (data / "meta.properties").write_text(meta, encoding="utf-8")

    def start(self) -> None:
        """Return when the broker answers a metadata request."""
        if self.alive:
            return
        if not self._properties.exists():
            self.format()
        self._child = self._nursery.start(self._name, self._server())
        self._child.wait_ready(lambda: listens(self.port), _SECONDS)
        client = AdminClient({"bootstrap.servers": self.bootstrap, "client.id": "devstack"})
        if not wait_until(lambda: bool(client.list_topics(timeout=10).brokers), _SECONDS):
            raise StackError(f"{self._name}: no answer. The end of its log:\n{self._child.tail()}")

    def stop(self, grace: float = 15.0) -> None:
        if self._child is not None:
            self._nursery.stop(self._child, grace)
            self._child = None

    def kill(self) -> None:
        if self._child is not None:
            self._nursery.kill(self._child)
            self._child = None

    def _server(self) -> Command:
        options = (*_MEMORY, *self._options, f"-Dlog4j2.configurationFile={_LOG4J}")
        program = ("-cp", self._classpath, "kafka.Kafka", str(self._properties))
        argv = (str(java()), *options, *program)
        return Command(argv, base_env(), self._folder)


def _new_id() -> str:
    """Return a random identifier as Kafka writes them: 16 bytes, base 64 for addresses."""
    return urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")
