"""`wmsctl history`: what was done here, by whom, why and with what end."""

from __future__ import annotations

import re
import sys
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Annotated, Any, Final

import typer

from controller.bootstrap import build_for_people
from controller.console import Output, print_data
from controller.core.history import CONDITIONS, HISTORY, event_text, timeline
from controller.core.model import Json
from controller.settings import read_settings
from controller.timestamp import timestamp

_ALL: Final = 2000  # entries; no store keeps more
_AGO: Final = re.compile(r"(\d{1,9})([smhd])")
_SECONDS: Final = {"s": 1, "m": 60, "h": 3600, "d": 86_400}


def history(
    name: Annotated[str | None, typer.Argument(help="connector/x, topic/x or x; else all")] = None,
    stage: Annotated[str | None, typer.Option("--stage", "-s", help="WMS_STAGE")] = None,
    since: Annotated[str | None, typer.Option(help="such as 2h or 7d, or a time in UTC")] = None,
    limit: Annotated[int, typer.Option(min=1, help="of the newest so many")] = 50,
    output: Annotated[
        Output, typer.Option("--output", "-o", help="form of the answer")
    ] = Output.TABLE,
) -> int:
    """Print what was done, said and seen as one timeline, newest last."""
    store = build_for_people(read_settings(stage=stage)).store
    start = None if since is None else parse_since(since, time.time())
    events = timeline(
        store.read(HISTORY, _ALL),
        store.read(CONDITIONS, _ALL),
        name=name,
        since=start,
        limit=limit,
    )
    if output is not Output.TABLE:
        print_data(list[Json](events), output)
    else:
        _print_events(events)
    return 0


def parse_since(text: str, now: float) -> float:
    """Read a span before now, or a time; one without a zone is UTC."""
    match = _AGO.fullmatch(text)
    if match is not None:
        return now - int(match[1]) * _SECONDS[match[2]]
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        raise typer.BadParameter(f"{text!r} is no time: write 2h, 7d or 2026-11-24T19:00") from None
    return (at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp()


def _print_events(events: Sequence[dict[str, Any]]) -> None:
    rows = [_row(event) for event in events]
    if not rows:
        print("nothing is recorded")
    elif sys.stdout.isatty():
        _print_table(rows)
    else:
        for event, row in zip(events, rows, strict=True):
            print("\t".join(row))
            for change in event.get("changes") or []:
                print(f"\t\t{change}")


def _row(event: dict[str, Any]) -> tuple[str, str, str, str]:
    at = timestamp(float(event.get("at") or 0))
    resource = str(event.get("resource") or "stage")
    return at, str(event.get("who") or ""), resource, event_text(event)


def _print_table(rows: Sequence[tuple[str, str, str, str]]) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False)
    for title in ("WHEN", "WHO", "RESOURCE", "WHAT"):
        table.add_column(title, overflow="fold")
    for row in rows:
        table.add_row(*(Text(cell) for cell in row))
    Console().print(table)
