"""`python -m devstack setup | up --bare`."""

from __future__ import annotations

import argparse
import signal
import sys
import threading
from types import FrameType

from devstack.environment import StackError
from devstack.jars import provide
from devstack.java import java_home
from devstack.stack import Stack


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m devstack", description=__doc__)
    verbs = parser.add_subparsers(dest="verb", required=True)
    verbs.add_parser("setup", help="fetch the jars, find Java")
    up = verbs.add_parser("up", help="start the stack and stay until Ctrl-C")
    up.add_argument("--bare", action="store_true", required=True, help="without a controller")
    up.add_argument("--stage", action="append", help="one worker each; default: main")
    return parser.parse_args()


def _setup() -> int:
    print(f"java: {java_home()}")
    print(f"jars: {provide().folder}")
    return 0


def _up(stages: tuple[str, ...]) -> int:
    stop = threading.Event()

    def end(_number: int, _frame: FrameType | None) -> None:
        if stop.is_set():
            return
        stop.set()
        raise KeyboardInterrupt

    signal.signal(signal.SIGTERM, end)
    signal.signal(signal.SIGINT, end)
    try:
        with Stack(stages) as stack:
            _show(stack)
            stop.wait()
    except KeyboardInterrupt:
        print("stopped", file=sys.stderr)
    return 0


def _show(stack: Stack) -> None:
    where = stack.endpoints
    print(f"broker    {where.bootstrap}")
    print(f"database  {where.database}  user {stack.postgres.user}")
    print(f"aws       {where.aws}")
    for name, url in where.workers.items():
        print(f"{name}  {url}/connectors?expand=status")
    print(f"logs      {stack.logs}")
    print("Ctrl-C ends it all.", flush=True)


def main() -> int:
    arguments = _arguments()
    try:
        if arguments.verb == "setup":
            return _setup()
        return _up(tuple(arguments.stage or ["main"]))
    except StackError as error:
        print(f"devstack: {error}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    raise SystemExit(main())
