"""`wmsctl teardown`: a branch is done."""

from __future__ import annotations

import sys
import threading
from typing import Annotated

import typer

from controller.cli_options import (
    FAULT,
    FINE,
    ManifestsOption,
    OverlayOption,
    StageOption,
    parts_for,
)
from controller.console import fail


def teardown(
    stage: StageOption = None,
    manifests: ManifestsOption = None,
    overlay: OverlayOption = None,
    confirm: Annotated[str | None, typer.Option(help="the stage's name, typed again")] = None,
    repository: Annotated[str | None, typer.Option(help="WMS_REPOSITORY")] = None,
    branch: Annotated[str | None, typer.Option(help="whose stage it is; WMS_BRANCH")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="only list")] = False,
) -> int:
    """Delete an ephemeral stage's connectors and topics, and nothing else."""
    from controller.core.teardown import refuse_teardown
    from controller.teardown import run_teardown

    parts = parts_for(stage, overlay, manifests, repository=repository, branch=branch)
    refusals = refuse_teardown(parts.stage, parts.stage.name)
    for refusal in refusals:
        fail(refusal)
    if refusals:
        return FAULT
    if confirm is None and not dry_run and sys.stdin.isatty():
        confirm = typer.prompt(f"type {parts.stage.name} to delete all that is its own")
    report = run_teardown(
        stage=parts.stage,
        confirm=confirm,
        dry_run=dry_run,
        connect=parts.connect,
        kafka=parts.kafka_now(),
        store=parts.store,
        clock=parts.clock,
        wait=_pause,
        interval=parts.policy().interval,
        say=print,
        manifests=parts.revision_if_good(),
        journal=parts.journal_of(parts.who_runs),
        owner=parts.owner,
    )
    return FINE if report.ok else FAULT


def _pause(seconds: float) -> None:
    threading.Event().wait(seconds)
