"""From the worker's first warning behind RUNNING to the condition that tells it."""

from __future__ import annotations

import json
import secrets
import time
from datetime import datetime
from typing import Final

from devstack.bench.figures import Ledger, NotMeasured
from devstack.environment import wait_until
from devstack.scene import CONNECTOR, Scene

MOST: Final = 2.0
_RESOURCE: Final = f"connector/{CONNECTOR}"


def measure_warning(scene: Scene, ledger: Ledger, times: int) -> None:
    """Take the sessions of a running connector away, and see when a person could know of it."""
    scene.start()
    scene.wait_running()
    scene.wait_converged()
    samples = [_end_sessions(scene) for _ in range(times)]
    scene.stop()
    what = f"the worker's first warning behind RUNNING to Healthy=False, {times} times"
    ledger.limit(what, samples, MOST)


def _end_sessions(scene: Scene) -> float:
    """Ask as often as an impatient person; both ends of the time are read from outside."""
    scene.wait(lambda: _healthy(scene) == "True", "it is healthy", 180)
    mark = time.time()
    database = scene.stack.postgres
    right = database.password
    database.rotate_password(secrets.token_hex(8))
    try:
        database.end_sessions()
        if not wait_until(lambda: _healthy(scene) == "False", 60, every=0.02):
            raise NotMeasured("the condition never told of a refused login")
        told = time.time()
    finally:
        database.rotate_password(right)
    scene.wmsctl("release", _RESOURCE)
    return max(0.0, told - _first_warning(scene, mark))


def _healthy(scene: Scene) -> str:
    return str(scene.condition(_RESOURCE, "Healthy").get("status"))


def _first_warning(scene: Scene, since: float) -> float:
    files = sorted(scene.worker.evidence.parent.glob("worker.json*"))
    lines = [line for file in files for line in file.read_text(encoding="utf-8").splitlines()]
    moments = [
        datetime.fromisoformat(json.loads(line)["@timestamp"]).timestamp()
        for line in lines
        if f"[{CONNECTOR}|" in line
    ]
    later = [moment for moment in moments if moment >= since]
    if not later:
        raise NotMeasured("the worker wrote no warning")
    return min(later)
