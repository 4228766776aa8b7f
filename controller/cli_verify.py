"""`wmsctl verify`: the last step of a deploy."""

from __future__ import annotations

import sys
import threading
from typing import TYPE_CHECKING, Annotated

from typer import Option

from controller.bootstrap import Parts, build_for_people
from controller.console import Output, print_data
from controller.core.faults import Fault
from controller.settings import read_settings

if TYPE_CHECKING:
    from controller.verify import Check

FINE = 0
FAULT = 1


def verify(
    stage: Annotated[str | None, Option("--stage", "-s", help="WMS_STAGE")] = None,
    revision: Annotated[
        str | None, Option(help="must be in force, as `validate` and `manifests push` name it")
    ] = None,
    commit: Annotated[str | None, Option(help="must be in force; its beginning is enough")] = None,
    within: Annotated[
        float, Option(help="seconds: so old the newest event or heartbeat may be")
    ] = 120.0,
    timeout: Annotated[float, Option(help="seconds until it gives up")] = 300.0,
    unprotected: Annotated[
        bool, Option("--unprotected", help="the brokers ask for no identity, and that is known")
    ] = False,
    output: Annotated[Output, Option("--output", "-o", help="form of the answer")] = Output.TABLE,
) -> int:
    """Wait until the revision is in force, connectors run and get somewhere, topics are right."""
    from controller.status_document import read_status
    from controller.verify import Expected, wait_until_good

    parts = build_for_people(read_settings(stage=stage))
    verdict = wait_until_good(
        lambda: read_status(parts)[0],
        Expected(revision, commit, within, unprotected),
        clock=parts.clock,
        wait=lambda seconds: void(threading.Event().wait(seconds)),
        timeout=timeout,
        say=lambda line: print(line, file=sys.stderr, flush=True),
    ).also(_boundary(parts))
    if output is not Output.TABLE:
        print_data(verdict.data(), output)
        return FINE if verdict.ok else FAULT
    for check in verdict.checks:
        print(f"{'ok  ' if check.ok else 'FAIL'}  {check.name}: {check.message}")
    for warning in verdict.warnings:
        print(f"warning: {warning}")
    print(f"{'verified' if verdict.ok else 'not verified'} after {verdict.seconds:.0f} s")
    return FINE if verdict.ok else FAULT


def _boundary(parts: Parts) -> Check | None:
    """Ask IAM once; a status that is not there is told by the other checks."""
    from controller.status_document import read_status
    from controller.verify import check_boundaries

    try:
        document = read_status(parts)[0]
    except Fault:
        return None
    prefix = parts.settings.secret_prefix
    return check_boundaries(parts.stage, document, parts.boundaries.boundary_of, prefix)


def void(_value: object) -> None: ...
