"""What needs no stack: a hostile trace explained, a scrape of a thousand connectors."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Final

from prometheus_client import CollectorRegistry

from controller.core.condition import ConditionType, Status
from controller.core.debezium_bean import Bean
from controller.core.explain import explain_text
from controller.core.lag import Lag, Sign, TopicLag
from controller.core.lag_metric import ATTRIBUTES
from controller.core.lag_report import LagReport
from controller.telemetry.metrics import PrometheusRecorder, render
from devstack.bench.figures import Ledger
from devstack.scene import Scene

CONNECTORS: Final = 1_000
TABLES: Final = 4  # of each connector
TRACE_BYTES: Final = 65_536
HOSTILE: Final = {
    "one line": "ORA-" * (TRACE_BYTES // 4),
    "nested causes": "Caused by: a.B: (((((" * (TRACE_BYTES // 21),
    "quotes": "'\"" * (TRACE_BYTES // 2),
    "almost a match": "ORA-0101 invalid username/passwor " * (TRACE_BYTES // 34),
}


def measure_offline(_scene: Scene, ledger: Ledger, times: int) -> None:
    """Take the slowest of the hostile texts, and a scrape as Prometheus asks for it."""
    slowest = [  # another text each time: what was explained once is remembered
        max(_explained(f"{text} {number}") for text in HOSTILE.values()) for number in range(times)
    ]
    ledger.note("explain, hostile trace of 64 KiB: CPU", [1000 * s for s in slowest], "ms", 1)
    recorder = _recorder()
    taken, size = [], 0
    for _ in range(times):
        start = time.process_time()
        size = len(render(recorder.registry))
        taken.append(1000 * (time.process_time() - start))
    ledger.note(f"scrape, {CONNECTORS:,} connectors: CPU", taken, "ms", 0)
    ledger.note(f"scrape, {CONNECTORS:,} connectors: size", [size / 1e6], "MB", 1)


def _explained(text: str) -> float:
    start = time.process_time()
    explain_text(text)
    return time.process_time() - start


def _recorder() -> PrometheusRecorder:
    """Fill what a controller fills with as many connectors, each of which all sources are seen."""
    recorder = PrometheusRecorder(CollectorRegistry())
    names = [f"c-{number}" for number in range(CONNECTORS)]
    for name in names:
        for kind in ConditionType:
            recorder.condition_set("connector", name, str(kind), str(Status.TRUE), "Any")
    recorder.suspended_set({("connector", name): False for name in names})
    recorder.restarts_set(3, dict.fromkeys(names, (0, 0.0)))
    recorder.lag_set(_report(names), set(names))
    return recorder


def _report(names: Sequence[str]) -> LagReport:
    topics = {f"wms.WMS.TABLE_{number}": TopicLag(1.5, 2.5) for number in range(TABLES)}
    lag = Lag(1.5, "", heartbeat_age=2.5, topics=topics, seen=frozenset(Sign))
    every = {one.attribute: 1.0 for one in ATTRIBUTES}
    return LagReport(
        lags=dict.fromkeys(names, lag),
        beans=dict.fromkeys(names, Bean(every, every)),
        jmx_up=True,
        redo_left=dict.fromkeys(names, 90_000.0),
    )
