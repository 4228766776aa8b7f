"""What a quiet cycle costs: requests, processor time, memory; and how soon the first is done."""

from __future__ import annotations

import time
from collections import Counter
from typing import Final
from urllib.error import URLError
from urllib.request import urlopen

from controller.bootstrap import Parts
from controller.core.stage import Stage
from controller.once import Once
from controller.settings import read_settings
from devstack.bench.figures import Ledger
from devstack.bench.manifests import make_connectors
from devstack.bench.process import resident
from devstack.scene import Scene

SIZES: Final = (1, 10, 50)


def measure_cycles(scene: Scene, ledger: Ledger, times: int) -> None:
    """Run cycles of this very process on sets of connectors, and count its requests."""
    for size in SIZES:
        sample = make_connectors(scene.stack, f"bench-{size}", size)
        asked: list[str] = []
        settings = read_settings(sample.env)
        stage = Stage.parse(settings.stage)
        once = Once(Parts(settings, stage, "local", on_request=asked.append), say=_nothing)
        once.run(60.0)  # the first cycle also lists all topics, as is done once a minute
        counts, seconds = [], []
        for _ in range(times):
            asked.clear()
            start = time.process_time()
            once.cycle()
            seconds.append(time.process_time() - start)
            counts.append(Counter(asked))
        what = f"quiet cycle, {size} connector{'s' if size > 1 else ''}"
        ledger.exactly(f"{what}: REST requests", [one["connect"] for one in counts], 1)
        ledger.exactly(f"{what}: admin requests", [one["kafka"] for one in counts], 2)
        ledger.note(f"{what}: CPU", [1000 * one for one in seconds], "ms", 1)


def _nothing(_line: str) -> None: ...


def measure_start(scene: Scene, ledger: Ledger, times: int) -> None:
    """From the start of the process to `/readyz` saying 200; its memory once all is quiet."""
    taken, memory = [], []
    for _ in range(times):
        start = time.perf_counter()
        child = scene.start()
        scene.wait(lambda: _is_ready(scene), "a first complete observation")
        taken.append(time.perf_counter() - start)
        scene.wait_converged()
        memory.append(resident(child.pid))
        scene.stop()
    ledger.note("start of the controller to its first complete observation", taken)
    ledger.note("memory of the controller (RSS)", memory, "MB", 0)


def _is_ready(scene: Scene) -> bool:
    try:
        with urlopen(f"http://127.0.0.1:{scene.env['WMS_HTTP_PORT']}/readyz", timeout=2) as answer:
            return bool(answer.status == 200)
    except (URLError, OSError):
        return False
