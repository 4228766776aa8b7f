"""`wmsctl explain`: what a trace means, or what a connector suffers from."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from controller.cli_options import FINE, OutputOption, StageOption, parts_for, resource_key
from controller.console import Output, print_data
from controller.core.model import Json, Kind, ResourceKey
from controller.settings import BadSetting, read_settings

if TYPE_CHECKING:
    from controller.core.examination import Examination

_LONGEST_TRACE: Final = 1_000_000


def explain(
    trace: Annotated[
        str, typer.Argument(help="a file, - for standard input, or the name of a connector")
    ],
    stage: StageOption = None,
    output: OutputOption = Output.TABLE,
) -> int:
    """Say what a trace means, whose fault it is, and what to do."""
    connector = _connector_named(trace)
    if connector is not None:
        return _explain_connector(connector, stage, output)
    from controller.core.explain import explain_text, explanation_data, explanation_lines

    explanation = explain_text(_trace_text(trace))
    if output is Output.TABLE:
        print("\n".join(explanation_lines(explanation)))
    else:
        print_data(explanation_data(explanation), output)
    return FINE


def _explain_connector(key: ResourceKey, stage: str | None, output: Output) -> int:
    found, leader = _examine(key, stage)
    if output is not Output.TABLE:
        data: dict[str, Json] = found.data()
        print_data(data if leader is None else {**data, "leader": leader[1]}, output)
        return FINE
    if leader is not None:
        print(leader[0])
    print("\n".join(found.lines()))
    return FINE


def _examine(
    key: ResourceKey, stage: str | None
) -> tuple[Examination, tuple[str, dict[str, Json]] | None]:
    from controller.leader_view import examination_by, leader_view

    view = leader_view(read_settings(stage=stage))
    if view is not None:
        return examination_by(view, key), (view.line(), view.data())
    from controller.examine import examine

    return examine(parts_for(stage), key), None


def _connector_named(text: str) -> ResourceKey | None:
    """Take for a connector what is written as one, and a plain word that is no file."""
    if text.startswith(f"{Kind.CONNECTOR}/"):
        return resource_key(text)
    if text == "-" or "/" in text or Path(text).exists():
        return None
    return ResourceKey(Kind.CONNECTOR, text)


def _trace_text(trace: str) -> str:
    if trace == "-":
        return sys.stdin.read(_LONGEST_TRACE)
    try:
        return Path(trace).read_text(encoding="utf-8", errors="replace")[:_LONGEST_TRACE]
    except OSError as error:
        raise BadSetting(f"{trace} cannot be read: {error.strerror}") from error
