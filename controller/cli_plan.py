"""`wmsctl plan`: what the controller would do, found here or told by the leader."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from controller.cli_options import (
    CHANGES,
    FAULT,
    FINE,
    ManifestsOption,
    OutputOption,
    OverlayOption,
    StageOption,
    insist_on_revision,
    offline,
    parts_for,
)
from controller.console import Output, fail, print_data
from controller.console_plan import plan_lines
from controller.settings import read_settings

if TYPE_CHECKING:
    from controller.bootstrap import Parts
    from controller.core.world import World
    from controller.leader_view import LeaderView


def plan(
    stage: StageOption = None,
    manifests: ManifestsOption = None,
    overlay: OverlayOption = None,
    output: OutputOption = Output.TABLE,
    against: Annotated[
        str | None,
        typer.Option(help="compare with the manifests of this git revision instead; offline"),
    ] = None,
    validate_too: Annotated[
        bool,
        typer.Option("--validate", help="ask the worker about each config too: that is a login"),
    ] = False,
) -> int:
    """Show what `run` would do now; changes nothing and logs in nowhere."""
    if against is not None:
        return _compare(stage, manifests, overlay, against, output)
    if manifests is None and overlay is None and not validate_too:
        from controller.leader_view import leader_view

        view = leader_view(read_settings(stage=stage))
        if view is not None:
            return _show_leaders(view, output)
    return _look(parts_for(stage, overlay, manifests), output, validate_too=validate_too)


def _look(parts: Parts, output: Output, *, validate_too: bool) -> int:
    from controller.core.plan import plan as make_plan
    from controller.core.plan_report import plan_data

    world = parts.observer.observe()
    insist_on_revision(parts)
    planned = make_plan(world)
    data = plan_data(planned, world)
    if output is Output.TABLE:
        print("\n".join(plan_lines(data)))
    else:
        print_data(data, output)
    faults = parts.observer.faults
    for system, fault in faults:
        fail(f"{system} could not be looked at: {fault.reason}: {fault.message}")
    wrong = _validate_configs(parts, world) if validate_too and not faults else 0
    if faults or wrong:
        return FAULT
    return CHANGES if any(True for _ in planned.changes()) else FINE


def _validate_configs(parts: Parts, world: World) -> int:
    from controller.validation import validate_configs

    wrong = 0
    for name, errors in validate_configs(parts.connect, world):
        for error in errors:
            fail(f"connector/{name}: {error.field}: {error.message}")
        wrong += len(errors)
        if not errors:
            print(f"connector/{name}: the worker finds nothing wrong")
    return wrong


def _show_leaders(view: LeaderView, output: Output) -> int:
    from controller.leader_view import plan_told, troubles

    data = plan_told(view)
    if output is Output.TABLE:
        print(view.line())
        print("\n".join(plan_lines(data)))
    else:
        print_data(data, output)
    wrong = list(troubles(view))
    for trouble in wrong:
        fail(trouble)
    if wrong:
        return FAULT
    return CHANGES if data["create"] or data["change"] else FINE


def _compare(
    stage: str | None,
    manifests: Path | None,
    overlay: str | None,
    against: str,
    output: Output,
) -> int:
    from controller.comparison import compare, files_at

    parts, revision = offline(stage, overlay, manifests)
    before = parts.load(files_at(parts.settings.manifests, against))
    changes = compare(before, revision)
    if output is Output.TABLE:
        print(f"revision {before.id} ({against}) -> {revision.id}")
        for change in changes:
            print("\n".join(change.lines()))
        print(f"{len(changes)} resource(s) differ.")
    else:
        print_data([change.data() for change in changes], output)
    return CHANGES if changes else FINE
