"""`wmsctl run` and `apply`: the controller itself, for good or once."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from controller.cli_options import (
    FAULT,
    FINE,
    ManifestsOption,
    OverlayOption,
    StageOption,
    insist_on_revision,
)
from controller.console import fail
from controller.settings import Settings, read_settings

if TYPE_CHECKING:
    from controller.bootstrap import Parts
    from controller.cycle_report import CycleReport


def run(
    stage: StageOption = None, manifests: ManifestsOption = None, overlay: OverlayOption = None
) -> int:
    """Run the controller until SIGTERM."""
    from controller.core.redact import Scrubber
    from controller.daemon import run as run_daemon
    from controller.telemetry.log import configure, get_log

    settings = read_settings(stage=stage, overlay=overlay, manifests=manifests)
    scrubbers = [Scrubber()]
    configure(
        json=_wants_json(settings),
        level=settings.log_level,
        scrub=lambda text: scrubbers[-1].scrub(text),  # noqa: PLW0108 - the newest, later
    )
    return run_daemon(settings, get_log(), lambda parts: scrubbers.append(parts.scrubber))


def _wants_json(settings: Settings) -> bool:
    if settings.log_format == "auto":
        return not sys.stderr.isatty()
    return settings.log_format == "json"


def apply(
    stage: StageOption = None,
    manifests: ManifestsOption = None,
    overlay: OverlayOption = None,
    timeout: Annotated[float, typer.Option(help="seconds until it gives up")] = 300.0,
) -> int:
    """Do once what `run` does, and wait until all is as declared."""
    from controller.bootstrap import build

    settings = read_settings(stage=stage, overlay=overlay, manifests=manifests)
    parts = build(settings, settle=0.0, acting=True)
    insist_on_revision(parts)
    alive = parts.store.load().get("alive/controller")
    if alive is not None:
        fail(
            f"a controller runs this stage (on {alive.value.get('host')}); it will apply the "
            "manifests itself: `wmsctl status` shows how far it is"
        )
        return FAULT
    return _apply_until_converged(parts, timeout)


def _apply_until_converged(parts: Parts, timeout: float) -> int:
    from controller.once import Once

    once = Once(parts, say=print)
    report = once.run(timeout)
    if report.plan.converged:
        print("All is as declared.")
        return FINE
    _print_rest(report)
    return FAULT


def _print_rest(report: CycleReport) -> None:
    from controller.core.decision import Act, Stall, Wait

    for step in report.plan.steps:
        if isinstance(step.decision, Wait | Stall | Act):
            fail(f"{step.key}: {step.decision.reason}: {step.decision.message}")
    for system, fault in report.faults:
        fail(f"{system}: {fault.reason}: {fault.message}")
