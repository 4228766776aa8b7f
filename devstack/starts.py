"""Records the start of broker and worker once, so that every later one is short."""

from __future__ import annotations

import shutil
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final

from devstack.broker import Broker
from devstack.environment import wait_until
from devstack.jars import Jars
from devstack.java import BRIEF, STARTS, start_cache
from devstack.port import listens
from devstack.process import Nursery
from devstack.worker import Worker

_SECONDS: Final = 120.0
_PROGRAMS: Final = ("broker", "worker")


def record_starts(jars: Jars) -> bool:
    """False when Java made no cache; everything runs without one, and slower."""
    if _recorded(jars):
        return True
    shutil.rmtree(STARTS, ignore_errors=True)  # those of other jars or of another Java
    STARTS.mkdir(parents=True)
    with tempfile.TemporaryDirectory(prefix="part-", dir=STARTS) as name:
        folder = Path(name)
        _run_once(jars, folder)
        for program in _PROGRAMS:
            if (made := _part(folder, program)).exists():
                made.replace(start_cache(program, jars))
    return _recorded(jars)


def _recorded(jars: Jars) -> bool:
    return all(start_cache(program, jars).exists() for program in _PROGRAMS)


def _part(folder: Path, program: str) -> Path:
    return folder / f"{program}.aot"


def _run_once(jars: Jars, folder: Path) -> None:
    options = {name: (*BRIEF, f"-XX:AOTCacheOutput={_part(folder, name)}") for name in _PROGRAMS}
    jvm = {"WMS_CONNECT_JVM": " ".join(options["worker"])}
    with Nursery(folder / "logs") as nursery, ThreadPoolExecutor(1) as pool:
        broker = Broker(nursery, jars, folder / "kafka", options=options["broker"])
        worker = Worker(
            nursery, jars, folder / "connect", name="worker", stage="main", settings=jvm
        )
        broker.start()
        worker.write_ready(broker.bootstrap)
        worker.start()
        # Each writes its cache when it has stopped, which takes longer than the stop itself.
        written = pool.submit(worker.stop, _SECONDS)
        wait_until(lambda: not listens(worker.port), _SECONDS)
        broker.stop(_SECONDS)
        written.result()
