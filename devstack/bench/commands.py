"""`wmsctl plan` and `apply` beside a script of the same kind, each as a process of its own."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from confluent_kafka.admin import AlterConfigOpType, ConfigEntry, ConfigResource, ResourceType

from devstack.bench.figures import Ledger
from devstack.bench.manifests import Sample, make_connectors, make_topics
from devstack.bench.process import WMSCTL, Command, Runs, alternate
from devstack.scene import Scene

CONNECTORS: Final = 100
TOPICS: Final = 1000
MOST: Final = 2.0
SCRIPT: Final = str(Path(__file__).with_name("script.py"))
_EDITED: Final = 50  # the one of them that drifts
_CHANGES: Final = 2  # the exit code of a plan that has some


@dataclass(frozen=True, slots=True)
class Subject:
    """What both programs look after, and how one thing in it is made to drift."""

    what: str
    sample: Sample
    arguments: Sequence[str]
    drift: Callable[[], None]

    def both(self, verb: str, code: int = 0) -> tuple[Command, Command]:
        env = self.sample.env
        script = (sys.executable, SCRIPT, verb, *self.arguments)
        return Command((WMSCTL, verb), env, code), Command(script, env, code)


def measure_connectors(scene: Scene, ledger: Ledger, times: int) -> None:
    sample = make_connectors(scene.stack, "bench-connectors", CONNECTORS)
    path = f"/connectors/{sample.connector(_EDITED)}/config"
    worker = scene.worker

    def drift() -> None:
        config: dict[str, Any] = worker.request("GET", path)
        worker.request("PUT", path, config | {"batch.size": "7"})

    _measure(_subject(scene, f"{CONNECTORS} connectors", sample, drift), ledger, times)


def measure_topics(scene: Scene, ledger: Ledger, times: int) -> None:
    sample = make_topics(scene.stack, "bench-topics", TOPICS)

    def drift() -> None:
        entry = ConfigEntry(
            "max.message.bytes", "2000000", incremental_operation=AlterConfigOpType.SET
        )
        name = sample.topic(_EDITED)
        topic = ConfigResource(ResourceType.TOPIC, name, incremental_configs=[entry])
        client = scene.stack.admin()
        client.incremental_alter_configs([topic])[topic].result(10)

    _measure(_subject(scene, f"{TOPICS} topics", sample, drift), ledger, times)


def _subject(scene: Scene, what: str, sample: Sample, drift: Callable[[], None]) -> Subject:
    arguments = (str(sample.folder), scene.stack.broker.bootstrap, scene.worker.url)
    return Subject(what, sample, arguments, drift)


def _measure(subject: Subject, ledger: Ledger, times: int) -> None:
    for verb in ("plan", "apply"):
        what = f"`{verb}`, {subject.what}, nothing to change"
        _compare(what, alternate(*subject.both(verb), times), ledger)
    subject.drift()
    plans = alternate(*subject.both("plan", _CHANGES), times)
    _compare(f"`plan`, {subject.what}, one drift", plans, ledger)
    applies = alternate(*subject.both("apply"), times, subject.drift)
    _compare(f"`apply`, {subject.what}, one drift", applies, ledger)


def _compare(what: str, runs: tuple[Runs, Runs], ledger: Ledger) -> None:
    ours, script = runs
    ledger.compare(f"{what}: wall", ours.wall, script.wall, MOST)
    ledger.compare(f"{what}: CPU", ours.cpu, script.cpu, MOST)
