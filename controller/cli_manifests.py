"""`wmsctl manifests`: what pipelines and people do with the manifests in S3."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from controller.bootstrap import Parts
from controller.console import Output, fail, print_data
from controller.core.aws_names import AwsNames
from controller.core.faults import Fault
from controller.core.model import Json
from controller.core.stage import Stage
from controller.settings import BadSetting, read_settings
from controller.timestamp import timestamp

if TYPE_CHECKING:
    from controller.adapters.manifests_s3 import Enforced
    from controller.pushes import Publisher, Push

FINE = 0

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    rich_markup_mode=None,
    help="The manifests in S3: a push or a rollback puts a revision into force.",
)

StageOption = Annotated[str | None, typer.Option("--stage", "-s", help="WMS_STAGE")]
BucketOption = Annotated[
    str | None, typer.Option("--bucket", help="s3://BUCKET/PREFIX/; WMS_MANIFESTS_S3")
]
OutputOption = Annotated[Output, typer.Option("--output", "-o", help="form of the answer")]


@app.command()
def push(
    stage: StageOption = None,
    manifests: Annotated[
        Path | None, typer.Option("--manifests", "-m", help="WMS_MANIFESTS")
    ] = None,
    overlay: Annotated[str | None, typer.Option("--overlay", help="WMS_OVERLAY")] = None,
    bucket: BucketOption = None,
    commit: Annotated[str | None, typer.Option(help="by default the work tree's")] = None,
    author: Annotated[
        str | None, typer.Option(help="who wrote it, as NAME <EMAIL>; by default git's word")
    ] = None,
    reason: Annotated[str, typer.Option(help="why; people will read it")] = "",
    output: OutputOption = Output.TABLE,
) -> int:
    """Validate the folder, show what it changes, and put it into force."""
    from controller.adapters.manifests_folder import ManifestFolder
    from controller.pushes import own_files

    parts = _parts(stage, bucket, manifests, overlay)
    settings = parts.settings
    source = ManifestFolder(
        settings.manifests,
        settle=0.0,
        commit=commit or settings.manifests_commit,
        author=author or settings.manifests_author,
    )
    folder = source.read()
    folder = replace(folder, files=own_files(folder.files, parts.overlay))
    done = _publisher(parts).push(folder, reason)
    _record(parts, "push", done)
    return _show(done, output)


@app.command(name="list")
def list_pushes(
    stage: StageOption = None,
    bucket: BucketOption = None,
    limit: Annotated[int, typer.Option(help="how many, newest first")] = 20,
    output: OutputOption = Output.TABLE,
) -> int:
    """Show what was put into force, newest first."""
    from controller.pushes import pointer_data

    parts = _parts(stage, bucket)
    found = parts.bucket.pointer()
    now = found[0] if found is not None else None
    pushes = parts.bucket.pushes(limit)
    if now is not None and now.sequence not in {one.sequence for one in pushes}:
        pushes = (now, *pushes)
    if output is not Output.TABLE:
        rows: list[Json] = [{**pointer_data(p), "inForce": p == now} for p in pushes]
        print_data(rows, output)
        return FINE
    for one in pushes:
        mark = "*" if one == now else " "
        words = (one.named, one.commit or "-", one.at, one.who, one.reason)
        print(f"{mark} {one.sequence}\t" + "\t".join(words))
    if not pushes:
        print(f"nothing was pushed to {parts.bucket.address} yet")
    return FINE


@app.command()
def rollback(
    stage: StageOption = None,
    bucket: BucketOption = None,
    overlay: Annotated[str | None, typer.Option("--overlay", help="WMS_OVERLAY")] = None,
    to: Annotated[int | None, typer.Option(help="sequence; by default the one before")] = None,
    reason: Annotated[str, typer.Option(help="why; people will read it")] = "",
    output: OutputOption = Output.TABLE,
) -> int:
    """Put an earlier push into force again, as a new sequence."""
    parts = _parts(stage, bucket, None, overlay)
    done = _publisher(parts).roll_back(to, reason)
    _record(parts, "rollback", done)
    return _show(done, output)


def _parts(
    stage: str | None,
    bucket: str | None,
    manifests: Path | None = None,
    overlay: str | None = None,
) -> Parts:
    settings = read_settings(stage=stage, manifests_s3=bucket, manifests=manifests, overlay=overlay)
    parsed = Stage.parse(settings.stage)
    named = settings.state_table is not None
    if not named and settings.manifests_s3 is None:  # the bucket is the stack's, so the table is
        settings = replace(settings, state_table=AwsNames(parsed).state_table)
    chosen = settings.overlay or parsed.default_overlay
    if chosen == "local" and not settings.loopback_only:
        raise BadSetting("overlay local is for loopback endpoints only")
    return Parts(settings, parsed, chosen, settle=0.0, explicit_table=named)


def _publisher(parts: Parts) -> Publisher:
    from controller.pushes import Publisher

    now = timestamp(time.time())
    return Publisher(
        parts.bucket,
        parts.stage.name,
        parts.load,
        who=parts.caller.arn,
        at=now,
        enforced=lambda: _enforced(parts),
    )


def _enforced(parts: Parts) -> Enforced:
    """Ask the stage's table; without its word a bucket that was emptied starts anew."""
    from controller.adapters.manifests_s3 import Enforced

    if parts.settings.state_table is None:
        return Enforced()
    try:
        return parts.enforced()
    except Fault as fault:
        fail(
            f"{parts.settings.state_table} does not tell what was in force: {fault.message}; "
            "if the controller refuses this as ManifestsOlder, push again"
        )
        return Enforced()


def _record(parts: Parts, kind: str, done: Push) -> None:
    """Put it into the history of the table that the settings name, if they name one."""
    from controller.core.history import push_entry
    from controller.pushes import pointer_data

    if not parts.explicit_table or not done.switched:
        return
    lines = [line for change in done.changes or () for line in change.lines()]
    try:
        parts.journal_of(done.pointer.who).tell(push_entry(kind, pointer_data(done.pointer), lines))
    except Fault as fault:
        fail(
            f"sequence {done.pointer.sequence} is in force, but could not be recorded in "
            f"{parts.settings.state_table}: {fault.message}"
        )


def _show(done: Push, output: Output) -> int:
    if output is not Output.TABLE:
        print_data(done.data(), output)
        return FINE
    pointer = done.pointer
    if not done.switched:
        print(f"revision {pointer.named} is in force already, as sequence {pointer.sequence}")
        return FINE
    for change in done.changes or ():
        print("\n".join(change.lines()))
    if done.changes is None:
        print("what was in force before cannot be read any more")
    print(
        f"revision {pointer.named} is in force as sequence {pointer.sequence}; "
        f"`wmsctl verify --revision {pointer.named}` waits for it"
    )
    return FINE
