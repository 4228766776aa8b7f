"""`wmsctl plan` and `apply` beside a script that does the same, in turn."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from confluent_kafka.admin import (
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
    ResourceType,
)

from devstack.bench.figures import Figure, ratio
from devstack.bench.manifests import Bench, write_connectors, write_topics
from devstack.environment import REPOSITORY, StackError
from devstack.stack import Stack

WMSCTL = str(Path(sys.executable).with_name("wmsctl"))


def measure_commands(
    stack: Stack, folder: Path, *, connectors: int, topics: int, times: int
) -> list[Figure]:
    figures: list[Figure] = []
    many = write_connectors(stack, folder / "many-connectors", "bench-c", connectors)
    figures += _pairs(
        stack, many, f"{connectors} connectors", lambda: _edit_one(stack, many), times
    )
    many = write_topics(stack, folder / "many-topics", "bench-t", topics)
    figures += _pairs(stack, many, f"{topics} topics", lambda: _lower_one(stack, many), times)
    return figures


def _pairs(
    stack: Stack, bench: Bench, what: str, drift: Callable[[], None], times: int
) -> list[Figure]:
    figures: list[Figure] = []
    for verb in ("plan", "apply"):
        figures += _compare(stack, bench, verb, f"{verb}, {what}, in sync", None, times)
        figures += _compare(stack, bench, verb, f"{verb}, {what}, one drift", drift, times)
    drift()
    _run([WMSCTL, "apply"], bench.env)
    return figures


def _compare(  # noqa: PLR0917 - two callers, right above
    stack: Stack,
    bench: Bench,
    verb: str,
    what: str,
    drift: Callable[[], None] | None,
    times: int,
) -> list[Figure]:
    mark = f"wms-connector-{bench.stage}"
    where = [str(bench.folder), stack.broker.bootstrap, stack.worker("main").url, mark]
    script = [sys.executable, "-m", "devstack.bench.script", verb, *where]
    ours: list[tuple[float, float]] = []
    theirs: list[tuple[float, float]] = []
    for _ in range(times):
        for command, samples in (([WMSCTL, verb], ours), (script, theirs)):
            if drift is not None:
                drift()
            samples.append(_run(command, bench.env))
    walls = [[wall for wall, _ in samples] for samples in (ours, theirs)]
    cpus = [[cpu for _, cpu in samples] for samples in (ours, theirs)]
    note = f"{_median(walls[0]):.2f} s and {_median(walls[1]):.2f} s"
    cpu_note = f"{_median(cpus[0]):.2f} s and {_median(cpus[1]):.2f} s"
    return [
        Figure(f"{what}: wall, wmsctl / script", ratio(*walls), "x", 2, note),
        Figure(f"{what}: CPU, wmsctl / script", ratio(*cpus), "x", 2, cpu_note),
    ]


def _median(values: Sequence[float]) -> float:
    return sorted(values)[len(values) // 2]


def _run(command: Sequence[str], env: dict[str, str]) -> tuple[float, float]:
    """Wall and processor seconds of one command."""
    start = time.monotonic()
    process = subprocess.Popen(
        command,
        env=env,
        cwd=REPOSITORY,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    told = process.stdout.read() if process.stdout is not None else ""
    _, status, usage = os.wait4(process.pid, 0)
    wall = time.monotonic() - start
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.stdout is not None:
        process.stdout.close()
    if process.returncode not in (0, 2):
        raise StackError(f"{' '.join(command)} ended with {process.returncode}:\n{told[-2000:]}")
    return wall, usage.ru_utime + usage.ru_stime


def _edit_one(stack: Stack, bench: Bench) -> None:
    name = f"{bench.stage}-0"
    worker = stack.worker("main")
    config = worker.request("GET", f"/connectors/{name}/config")
    worker.request("PUT", f"/connectors/{name}/config", config | {"batch.size": "7"})


def _lower_one(stack: Stack, bench: Bench) -> None:
    entry = ConfigEntry("retention.ms", "60000", incremental_operation=AlterConfigOpType.SET)
    topic = f"{bench.stage}.wms.bench.0"
    resource = ConfigResource(ResourceType.TOPIC, topic, incremental_configs=[entry])
    client = stack.admin()
    client.incremental_alter_configs([resource])[resource].result(10)
