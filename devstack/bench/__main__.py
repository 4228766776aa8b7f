"""`python -m devstack.bench`: measure on the real stack, beside scripts that do it by hand."""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from devstack.bench.commands import measure_connectors, measure_topics
from devstack.bench.cycles import measure_cycles, measure_start
from devstack.bench.figures import Ledger, NotMeasured, insert, table
from devstack.bench.offline import measure_offline
from devstack.bench.repair import measure_repairs, measure_topic_repair
from devstack.bench.warning import measure_warning
from devstack.environment import REPOSITORY, StackError
from devstack.scene import Scene
from devstack.stack import Stack

RESULT: Final = REPOSITORY / "build" / "bench.json"
PAGE: Final = REPOSITORY / "docs" / "performance.md"


@dataclass(frozen=True, slots=True)
class Part:
    measure: Callable[[Scene, Ledger, int], None]
    usually: int  # repetitions
    hurried: int


PARTS: Final = {  # a thousand topics come last: they make the broker slower for what follows
    "repair": Part(measure_repairs, 30, 6),
    "topic": Part(measure_topic_repair, 10, 3),
    "warning": Part(measure_warning, 3, 2),
    "start": Part(measure_start, 7, 2),
    "cycles": Part(measure_cycles, 20, 5),
    "offline": Part(measure_offline, 7, 2),
    "connectors": Part(measure_connectors, 11, 3),
    "topics": Part(measure_topics, 9, 3),
}


def main() -> int:
    arguments = _arguments()
    ledger, began = Ledger(), time.monotonic()
    asked = {
        name: part.hurried if arguments.quick else part.usually
        for name, part in PARTS.items()
        if name in (arguments.only or PARTS)
    }
    try:
        measure(ledger, asked)
    except (StackError, NotMeasured) as error:
        print(f"bench: {error}", file=sys.stderr)
        return 1
    machine = _machine(time.monotonic() - began)
    print(f"\n{table(ledger.rows)}\n\n{_sentence(machine)}")
    RESULT.parent.mkdir(exist_ok=True)
    found = json.dumps(ledger.document(machine | {"repetitions": asked}), indent=2)
    RESULT.write_text(f"{found}\n", encoding="utf-8")
    if not arguments.quick and not arguments.only:
        page = PAGE.read_text(encoding="utf-8")
        text = f"{_sentence(machine)}\n\n{table(ledger.rows)}"
        PAGE.write_text(insert(page, text), encoding="utf-8")
    return 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m devstack.bench", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer repetitions")
    parser.add_argument("--only", action="append", choices=list(PARTS), help="this part, to try it")
    return parser.parse_args()


def measure(ledger: Ledger, times: Mapping[str, int]) -> None:
    with Stack(("main",)) as stack:
        scene = Scene(stack, "main", stack.worker("main"))
        for name, count in times.items():
            before, began = len(ledger.rows), time.monotonic()
            PARTS[name].measure(scene, ledger, count)
            for row in ledger.rows[before:]:
                print(f"{row.what}: {', '.join(cell for cell in row.cells[1:] if cell)}")
            print(f"  [{name}: {time.monotonic() - began:.0f} s]", flush=True)


def _machine(seconds: float) -> dict[str, Any]:
    return {
        "date": time.strftime("%Y-%m-%d"),
        "cores": os.cpu_count(),
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.machine()}",
        "load": round(os.getloadavg()[0], 1),
        "seconds": round(seconds),
    }


def _sentence(machine: dict[str, Any]) -> str:
    return (
        f"Measured on {machine['date']} in {machine['seconds']} s: {machine['cores']} cores, "
        f"{machine['system']}, Python {machine['python']}, load {machine['load']} at the end; "
        "broker, worker, database and both sides shared the cores."
    )


if __name__ == "__main__":
    raise SystemExit(main())
