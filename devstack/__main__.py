"""`python -m devstack setup | prepare | demo | up [--bare]`."""

from __future__ import annotations

import argparse
import signal
import sys
import threading
import time
from collections.abc import Callable, Sequence
from types import FrameType

from devstack.demo import demo
from devstack.environment import StackError
from devstack.jars import provide
from devstack.java import java_home
from devstack.promtool import provide_promtool
from devstack.scene import CONNECTOR, Scene
from devstack.stack import Stack
from devstack.starts import record_starts


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m devstack", description=__doc__)
    verbs = parser.add_subparsers(dest="verb", required=True)
    verbs.add_parser("setup", help="fetch the jars, find Java")
    verbs.add_parser("prepare", help="get what only tests need; record how Java programs start")
    verbs.add_parser("demo", help="run the main job, show it, end")
    up = verbs.add_parser("up", help="start the stack and stay until Ctrl-C")
    up.add_argument("--bare", action="store_true", help="without a controller")
    up.add_argument("--stage", action="append", help="one worker each; default: main")
    return parser.parse_args()


def _setup() -> int:
    print(f"java: {java_home()}")
    print(f"jars: {provide().folder}")
    return 0


def _prepare() -> int:
    print(f"promtool: {provide_promtool() or 'none here; the alert rules are not tried'}")
    began = time.monotonic()
    made = record_starts(provide())
    seconds = time.monotonic() - began
    print(
        f"starts: recorded ({seconds:.0f} s)"
        if made
        else "starts: not recorded, all goes on slower"
    )
    return 0


def _until_told(work: Callable[[threading.Event], int]) -> int:
    """Run until done, Ctrl-C or SIGTERM; whatever was started ends in every case."""
    stop = threading.Event()

    def end(_number: int, _frame: FrameType | None) -> None:
        if stop.is_set():
            return
        stop.set()
        raise KeyboardInterrupt

    signal.signal(signal.SIGTERM, end)
    signal.signal(signal.SIGINT, end)
    try:
        return work(stop)
    except KeyboardInterrupt:
        print("stopped", file=sys.stderr)
        return 1


def _up(stages: tuple[str, ...], *, bare: bool, stop: threading.Event) -> int:
    with Stack(stages, ready=bare) as stack:
        scenes = [] if bare else [Scene(stack, stage, stack.worker(stage)) for stage in stages]
        for scene in scenes:
            scene.start()
        _show(stack, scenes)
        try:
            stop.wait()
        except KeyboardInterrupt:
            print("stopping", file=sys.stderr)
    return 0


def _show(stack: Stack, scenes: Sequence[Scene]) -> None:
    where = stack.endpoints
    print(f"broker     {where.bootstrap}")
    print(f"database   {where.database}  user {stack.postgres.user}")
    print(f"aws mock   {where.aws}")
    for name, url in where.workers.items():
        print(f"{name}  {url}/connectors?expand=status")
    print(f"logs       {stack.logs}")
    for scene in scenes:
        _show_scene(scene)
    print("Ctrl-C ends it all.", flush=True)


def _show_scene(scene: Scene) -> None:
    env = scene.env
    print(f"controller of stage {scene.stage}:")
    print(f"  page      http://127.0.0.1:{env['WMS_HTTP_PORT']}/")
    print(f"  status    http://127.0.0.1:{env['WMS_HTTP_PORT']}/status")
    print(f"  metrics   http://127.0.0.1:{env['WMS_METRICS_PORT']}/metrics")
    print(f"  manifests {scene.manifests}  (edit them and see)")
    settings = scene.stack.folder / f"{scene.stage}.env"
    lines = (f"export {name}='{value}'\n" for name, value in sorted(env.items()) if _ours(name))
    settings.write_text("".join(lines), encoding="utf-8")
    print(f"  try       . {settings}; .venv/bin/wmsctl status")
    print(f"            curl -X PUT {scene.worker.url}/connectors/{CONNECTOR}/pause")
    print(f"            .venv/bin/wmsctl suspend connector/{CONNECTOR} --for 10m --reason trying")


def _ours(name: str) -> bool:
    return name.startswith(("WMS_", "AWS_"))


def main() -> int:
    arguments = _arguments()
    try:
        if arguments.verb == "setup":
            return _setup()
        if arguments.verb == "prepare":
            return _until_told(lambda _stop: _prepare())
        if arguments.verb == "demo":
            return _until_told(lambda _stop: demo())
        stages = tuple(arguments.stage or ["main"])
        return _until_told(lambda stop: _up(stages, bare=arguments.bare, stop=stop))
    except StackError as error:
        print(f"devstack: {error}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    raise SystemExit(main())
