"""What a quiet cycle costs: requests, processor time, memory; and how fast the first one is."""

from __future__ import annotations

import subprocess
import time
from collections import Counter
from pathlib import Path
from statistics import median
from urllib.error import URLError
from urllib.request import urlopen

from controller.bootstrap import Parts
from controller.core.stage import Stage
from controller.once import Once
from controller.settings import read_settings
from devstack.bench.figures import Figure
from devstack.bench.manifests import write_connectors
from devstack.scene import Scene
from devstack.stack import Stack

SIZES = (1, 10, 50)


def measure_requests(stack: Stack, folder: Path, cycles: int) -> list[Figure]:
    """Run cycles of this very process on growing sets of connectors, and count."""
    figures: list[Figure] = []
    for size in SIZES:
        bench = write_connectors(stack, folder / f"cycles-{size}", f"bench-{size}", size)
        counted: Counter[str] = Counter()
        settings = read_settings(bench.env)
        parts = Parts(
            settings,
            Stage.parse(settings.stage),
            "local",
            on_request=lambda system, counted=counted: counted.update([system]),  # type: ignore[misc]
        )
        once = Once(parts, say=lambda _line: None)
        once.run(120.0)
        counted.clear()
        cpu = _quiet_cycles(once, cycles)
        figures += [
            Figure(
                f"REST calls per quiet cycle, {size} connectors", counted["connect"] / cycles, "", 1
            ),
            Figure(
                f"admin calls per quiet cycle, {size} connectors", counted["kafka"] / cycles, "", 2
            ),
            Figure(f"CPU per quiet cycle, {size} connectors", 1000 * cpu, "ms"),
        ]
    return figures


def _quiet_cycles(once: Once, cycles: int) -> float:
    taken = []
    for _ in range(cycles):
        start = time.process_time()
        once.cycle()
        taken.append(time.process_time() - start)
    return median(taken)


def measure_start(scene: Scene, times: int) -> list[Figure]:
    """From the start of the process to `/readyz` saying 200, and its memory then."""
    taken, memory = [], 0
    for _ in range(times):
        start = time.monotonic()
        child = scene.start()
        scene.wait(lambda: _is_ready(scene), "a first complete observation")
        taken.append(time.monotonic() - start)
        scene.wait_converged()
        memory = max(memory, _resident(child.pid))
        scene.stop()
    return [
        Figure(
            "start to first complete observation", median(taken), "s", note=f"median of {times}"
        ),
        Figure("memory of the process (RSS)", memory / 1024 / 1024, "MB"),
    ]


def _is_ready(scene: Scene) -> bool:
    try:
        with urlopen(f"http://127.0.0.1:{scene.env['WMS_HTTP_PORT']}/readyz", timeout=2) as answer:
            return bool(answer.status == 200)
    except (URLError, OSError):
        return False


def _resident(pid: int) -> int:
    """Bytes; from /proc where there is one."""
    status = Path(f"/proc/{pid}/status")
    if status.exists():
        lines = status.read_text(encoding="ascii").splitlines()
        return 1024 * int(next(line for line in lines if line.startswith("VmRSS:")).split()[1])
    shown = subprocess.run(
        ["ps", "-o", "rss=", "-p", str(pid)], capture_output=True, text=True, check=True
    )
    return 1024 * int(shown.stdout)
