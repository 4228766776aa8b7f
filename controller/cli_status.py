"""`wmsctl status`: what the running controller says of every resource."""

from __future__ import annotations

from typing import Annotated

import typer

from controller.cli_options import FINE, OutputOption, StageOption, parts_for_people
from controller.console import Output, print_data, print_status


def status(
    stage: StageOption = None,
    output: OutputOption = Output.TABLE,
    watch: Annotated[
        bool, typer.Option("--watch", "-w", help="show it anew every two seconds, until Ctrl-C")
    ] = False,
) -> int:
    """Show what the running controller says of every resource."""
    if not watch:
        return _show_status(stage, output)
    from controller.watching import watch_lines

    return watch_lines(lambda: _show_status(stage, output))


def _show_status(stage: str | None, output: Output) -> int:
    from controller.status_document import read_status

    parts = parts_for_people(stage)
    data, source = read_status(parts)
    if output is Output.TABLE:
        if source != "process":
            print(f"from {source}, written {max(0.0, parts.clock.now() - data['at']):.0f} s ago")
        print_status(data)
    else:
        print_data(data, output)
    return FINE
