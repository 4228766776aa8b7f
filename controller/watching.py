"""Show something again and again, until a person has seen enough."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable
from typing import Final

from controller.console import fail
from controller.core.faults import Fault
from controller.settings import BadSetting

EVERY_SECONDS: Final = 2.0
_CLEAR: Final = "\x1b[2J\x1b[H"


def watch_lines(show: Callable[[], int]) -> int:
    """Answer 0 after Ctrl-C; what does not answer now may answer next time."""
    pause = threading.Event()
    try:
        while True:
            if sys.stdout.isatty():
                sys.stdout.write(_CLEAR)
            try:
                show()
            except (BadSetting, Fault) as error:
                fail(str(error))
            sys.stdout.flush()
            pause.wait(EVERY_SECONDS)
    except KeyboardInterrupt:
        return 0
