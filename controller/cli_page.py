"""`wmsctl page`: the status page on one's own machine."""

from __future__ import annotations

import signal
import threading
from typing import Annotated

import typer

from controller.cli_options import FAULT, FINE, StageOption, parts_for_people
from controller.console import fail

HOST = "127.0.0.1"  # whoever asks there is answered with this person's own rights


def page(
    stage: StageOption = None,
    port: Annotated[int, typer.Option(help="on this machine; 0: a free one")] = 0,
    open_it: Annotated[bool, typer.Option("--open", help="in the browser, too")] = False,
) -> int:
    """Serve the status page here, from the stage's table, until Ctrl-C."""
    from controller.page_source import PageSource, page_server
    from controller.telemetry.http import ListenFault

    parts = parts_for_people(stage)
    source = PageSource(parts)
    server = page_server(source, HOST, port, parts.scrubber.scrub)
    try:
        server.start()
    except ListenFault as fault:
        fail(str(fault))
        return FAULT
    url = f"http://{HOST}:{server.port}/"
    print(f"the status of stage {parts.stage.name}, {source.told()}: {url}")
    print("Ctrl-C ends it", flush=True)
    try:
        if open_it:
            _open(url)
        _wait_for_the_end()
    finally:
        server.stop()
    return FINE


def _wait_for_the_end() -> None:
    """Ctrl-C ends it also where a shell had it ignored, as for what runs in the background."""
    ended = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: ended.set())
    ended.wait()


def _open(url: str) -> None:
    import webbrowser

    webbrowser.open(url)
