"""`python -m devstack.bench [--quick]`: measure on the real stack, beside scripts by hand."""

from __future__ import annotations

import argparse
import json
import os
import platform
import time

from devstack.bench.commands import measure_commands
from devstack.bench.cycles import measure_requests, measure_start
from devstack.bench.figures import Figure, replace_between, table
from devstack.bench.repair import measure_repairs, measure_topic_repair
from devstack.environment import REPOSITORY
from devstack.scene import Scene
from devstack.stack import Stack

RESULT = REPOSITORY / "build" / "bench.json"
PAGE = REPOSITORY / "docs" / "performance.md"


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m devstack.bench", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer repetitions")
    parser.add_argument("--write-page", action="store_true", help="renew docs/performance.md")
    arguments = parser.parse_args()
    began = time.monotonic()
    figures = measure(quick=arguments.quick)
    machine = {
        "cores": os.cpu_count(),
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.machine()}",
        "seconds": round(time.monotonic() - began),
        "quick": arguments.quick,
    }
    RESULT.parent.mkdir(exist_ok=True)
    data = {"machine": machine, "figures": [figure.data() for figure in figures]}
    RESULT.write_text(json.dumps(data, indent=2) + "\n", encoding="utf-8")
    lines = table(figures)
    print("\n".join(lines))
    print(f"\nwritten to {RESULT.relative_to(REPOSITORY)}, after {machine['seconds']} s")
    if arguments.write_page:
        told = f"{machine['cores']} cores, Python {machine['python']}, {machine['system']}."
        page = replace_between(PAGE.read_text(encoding="utf-8"), "bench", [told, "", *lines])
        PAGE.write_text(page, encoding="utf-8")
    return 0


def measure(*, quick: bool) -> list[Figure]:
    figures: list[Figure] = []
    with Stack(("main",), ready=False) as stack:
        folder = stack.folder / "bench"
        scene = Scene(stack, "main", stack.worker("main"))
        scene.start()
        scene.wait_converged(90)
        figures += measure_topic_repair(scene, 2 if quick else 6)
        scene.stop()
        figures += measure_start(scene, 2 if quick else 5)
        figures += measure_repairs(scene, 6 if quick else 30)
        figures += measure_requests(stack, folder, 5 if quick else 20)
        figures += measure_commands(
            stack,
            folder,
            connectors=20 if quick else 100,
            topics=100 if quick else 1000,
            times=2 if quick else 7,
        )
    return figures


if __name__ == "__main__":
    raise SystemExit(main())
