"""`wmsctl`: exit codes 0 fine, 1 fault or wrong usage, 2 there are changes (`plan`)."""

from __future__ import annotations

import re
import sys
import threading
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from controller.bootstrap import Parts, build, build_for_people, identity
from controller.cli_history import history
from controller.cli_manifests import app as manifests_app
from controller.cli_offsets import app as offsets_app
from controller.cli_verify import verify
from controller.console import Output, fail, plan_data, plan_lines, print_data, print_status
from controller.core.accept import ACCEPTABLE, accept_record
from controller.core.connector_memory import release_record
from controller.core.decision import Act, Stall, Wait
from controller.core.faults import Fault
from controller.core.hold import FREEZE_RECORD, suspend_record
from controller.core.login_step import probe_intent_record
from controller.core.model import Json, Kind, ResourceKey, Revision
from controller.core.plan import plan as make_plan
from controller.core.stage import RefusedStage, Stage
from controller.journal import Journal
from controller.manifest import ManifestErrors
from controller.settings import BadSetting, Settings, read_settings

if TYPE_CHECKING:
    from controller.reconciler import CycleReport

FINE: Final = 0
FAULT: Final = 1
CHANGES: Final = 2

_ended: list[int] = []  # what the command returned; the library drops it


def _keep(code: int, **_options: object) -> None:
    _ended.append(code)


app = typer.Typer(
    result_callback=_keep,
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    help="Look at, check and steer one stage of the connector. Settings come from WMS_* variables; "
    "options win over them.",
)

app.add_typer(manifests_app, name="manifests")
app.command()(history)
app.add_typer(offsets_app, name="offsets")
app.command()(verify)

StageOption = Annotated[str | None, typer.Option("--stage", "-s", help="WMS_STAGE")]
OverlayOption = Annotated[str | None, typer.Option("--overlay", help="WMS_OVERLAY")]
ManifestsOption = Annotated[Path | None, typer.Option("--manifests", "-m", help="WMS_MANIFESTS")]
OutputOption = Annotated[Output, typer.Option("--output", "-o", help="form of the answer")]


def main(arguments: list[str] | None = None) -> int:
    """Run one command; every failure ends with a sentence that says what to do."""
    try:
        app(args=arguments)
    except SystemExit as end:  # 2 says wrong usage here, and would say "changes" to a script
        return FAULT if end.code else _ended.pop() if _ended else FINE
    except KeyboardInterrupt:
        fail("stopped")
        return FAULT
    except (RefusedStage, BadSetting) as error:
        fail(str(error))
        return FAULT
    except ManifestErrors as errors:
        print(errors, file=sys.stderr)
        fail(f"{len(errors.errors)} error(s): nothing of this revision is used until they are gone")
        return FAULT
    except Fault as fault:
        fail(f"{fault.reason}: {fault.message}")
        return FAULT
    return FINE


def _settings(
    stage: str | None = None, overlay: str | None = None, manifests: Path | None = None
) -> Settings:
    return read_settings(stage=stage, overlay=overlay, manifests=manifests)


def _parts(stage: str | None, overlay: str | None = None, manifests: Path | None = None) -> Parts:
    return build(_settings(stage, overlay, manifests), settle=0.0)


def _people(stage: str | None) -> Parts:
    """Reach the stage from any machine: through its table, unless its state lies here."""
    return build_for_people(_settings(stage))


def _offline(
    stage: str | None, overlay: str | None, manifests: Path | None
) -> tuple[Parts, Revision]:
    """Load a revision without any address; `local` is as good as any other overlay here."""
    settings = _settings(stage, overlay, manifests)
    parsed = Stage.parse(settings.stage)
    parts = Parts(settings, parsed, settings.overlay or parsed.default_overlay, settle=0.0)
    return parts, parts.load(parts.folder())


# --- offline ----------------------------------------------------------------------------------


@app.command()
def validate(
    stage: StageOption = None,
    manifests: ManifestsOption = None,
    overlay: OverlayOption = None,
    output: OutputOption = Output.TABLE,
) -> int:
    """Check the manifests of a stage; needs no network."""
    _, revision = _offline(stage, overlay, manifests)
    warnings = [f"{w.source}: {w.field}: {w.message}" for w in revision.warnings]
    if output is not Output.TABLE:
        print_data(
            {
                "revision": revision.id,
                "topics": len(revision.topics),
                "connectors": len(revision.connectors),
                "warnings": list[Json](warnings),
            },
            output,
        )
        return FINE
    for warning in warnings:
        print(f"warning: {warning}")
    print(
        f"revision {revision.id} is good: {len(revision.connectors)} connector(s), "
        f"{len(revision.topics)} topic(s)"
    )
    return FINE


@app.command()
def render(
    stage: StageOption = None, manifests: ManifestsOption = None, overlay: OverlayOption = None
) -> int:
    """Print the manifests after overlay and naming, references unresolved."""
    from controller.manifest import read_manifests
    from controller.manifest import render as render_documents

    parts, _ = _offline(stage, overlay, manifests)
    folder = parts.folder()
    named = read_manifests(
        folder.files, stage=parts.stage, overlay=parts.overlay, commit=folder.commit
    )
    print(render_documents(named), end="")
    return FINE


@app.command()
def schema() -> int:
    """Print the JSON Schema of the manifests, for editors."""
    from controller.manifest import schema as manifest_schema

    print_data(manifest_schema(), Output.JSON)
    return FINE


@app.command()
def explain(
    trace: Annotated[
        str, typer.Argument(help="a file, - for standard input, or the name of a connector")
    ],
    stage: StageOption = None,
    output: OutputOption = Output.TABLE,
) -> int:
    """Say what a trace means, whose fault it is, and what to do."""
    from controller.core.explain import explain_text, explanation_data, explanation_lines

    connector = _connector_named(trace)
    if connector is not None:
        from controller.examine import examine

        found = examine(_parts(stage), connector)
        lines, data = tuple(found.lines()), found.data()
    else:
        explanation = explain_text(_trace_text(trace))
        lines, data = explanation_lines(explanation), explanation_data(explanation)
    if output is Output.TABLE:
        print("\n".join(lines))
    else:
        print_data(data, output)
    return FINE


def _connector_named(text: str) -> ResourceKey | None:
    """Take for a connector what is written as one, and a plain word that is no file."""
    if text.startswith(f"{Kind.CONNECTOR}/"):
        return _resource_key(text)
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


_LONGEST_TRACE: Final = 1_000_000


# --- looking ----------------------------------------------------------------------------------


@app.command()
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
    parts = _parts(stage, overlay, manifests)
    world = parts.observer.observe()
    _insist_on_revision(parts)
    planned = make_plan(world)
    if output is Output.TABLE:
        print("\n".join(plan_lines(planned, world)))
    else:
        print_data(plan_data(planned, world), output)
    faults = parts.observer.faults
    for system, fault in faults:
        fail(f"{system} could not be looked at: {fault.reason}: {fault.message}")
    wrong = _validate_configs(parts, world) if validate_too and not faults else 0
    if faults or wrong:
        return FAULT
    return CHANGES if any(True for _ in planned.changes()) else FINE


def _insist_on_revision(parts: Parts) -> None:
    """Show a bad revision in full: without it nothing can be planned."""
    if parts.revision_if_good() is None:
        parts.load(parts.folder())


def _validate_configs(parts: Parts, world: Any) -> int:
    from controller.validation import validate_configs

    wrong = 0
    for name, errors in validate_configs(parts.connect, world):
        for error in errors:
            fail(f"connector/{name}: {error.field}: {error.message}")
        wrong += len(errors)
        if not errors:
            print(f"connector/{name}: the worker finds nothing wrong")
    return wrong


def _compare(
    stage: str | None,
    manifests: Path | None,
    overlay: str | None,
    against: str,
    output: Output,
) -> int:
    from controller.comparison import compare, files_at

    parts, revision = _offline(stage, overlay, manifests)
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


@app.command()
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

    parts = _people(stage)
    data, source = read_status(parts)
    if output is Output.TABLE:
        if source != "process":
            print(f"from {source}, written {max(0.0, parts.clock.now() - data['at']):.0f} s ago")
        print_status(data)
    else:
        print_data(data, output)
    return FINE


# --- acting -----------------------------------------------------------------------------------


@app.command()
def run(
    stage: StageOption = None, manifests: ManifestsOption = None, overlay: OverlayOption = None
) -> int:
    """Run the controller until SIGTERM."""
    from controller.core.redact import Scrubber
    from controller.daemon import run as run_daemon
    from controller.telemetry.log import configure, get_log

    settings = _settings(stage, overlay, manifests)
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


@app.command()
def apply(
    stage: StageOption = None,
    manifests: ManifestsOption = None,
    overlay: OverlayOption = None,
    timeout: Annotated[float, typer.Option(help="seconds until it gives up")] = 300.0,
) -> int:
    """Do once what `run` does, and wait until all is as declared."""
    parts = build(_settings(stage, overlay, manifests), settle=0.0, acting=True)
    _insist_on_revision(parts)
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
    for step in report.plan.steps:
        if isinstance(step.decision, Wait | Stall | Act):
            fail(f"{step.key}: {step.decision.reason}: {step.decision.message}")
    for system, fault in report.faults:
        fail(f"{system}: {fault.reason}: {fault.message}")


@app.command()
def suspend(
    name: Annotated[str, typer.Argument(help="connector/x or topic/x")],
    duration: Annotated[str, typer.Option("--for", help="such as 30m, 2h, 1d")],
    reason: Annotated[str, typer.Option(help="why; people will read it")],
    stage: StageOption = None,
) -> int:
    """Ask the controller to leave one resource alone for a while."""
    key = _resource_key(name)
    until = _leave_word(_people(stage), suspend_record(key), _parse_duration(duration), reason)
    print(f"{key} is left alone until {until}; `wmsctl unsuspend {key}` ends it earlier")
    return FINE


@app.command()
def unsuspend(
    name: Annotated[str, typer.Argument(help="connector/x or topic/x")], stage: StageOption = None
) -> int:
    """End a suspension."""
    key = _resource_key(name)
    if not _take_back(_people(stage), suspend_record(key)):
        fail(f"{key} is not suspended")
        return FAULT
    print(f"{key} is looked after again")
    return FINE


@app.command()
def freeze(
    duration: Annotated[str, typer.Option("--for", help="such as 30m, 2h, 1d")],
    reason: Annotated[str, typer.Option(help="why; people will read it")],
    stage: StageOption = None,
) -> int:
    """Ask the controller to leave the whole stage alone for a while."""
    parts = _people(stage)
    until = _leave_word(parts, FREEZE_RECORD, _parse_duration(duration), reason)
    print(
        f"stage {parts.stage.name} is left alone until {until}; `wmsctl unfreeze` ends it earlier"
    )
    return FINE


@app.command()
def unfreeze(stage: StageOption = None) -> int:
    """End a freeze."""
    parts = _people(stage)
    if not _take_back(parts, FREEZE_RECORD):
        fail(f"stage {parts.stage.name} is not frozen")
        return FAULT
    print(f"stage {parts.stage.name} is looked after again")
    return FINE


@app.command()
def release(
    name: Annotated[str, typer.Argument(help="connector/x")], stage: StageOption = None
) -> int:
    """Let the controller resume a connector that a person stopped."""
    key = _resource_key(name)
    if key.kind is not Kind.CONNECTOR:
        raise typer.BadParameter(f"{name!r} is no connector")
    _leave_word(_people(stage), release_record(key.name), 86_400.0, "released")
    print(f"{key} is resumed in the next cycle, as far as its guards allow; see `wmsctl status`")
    return FINE


def _leave_word(parts: Parts, record: str, seconds: float, reason: str) -> str:
    """Put what a person wants into the store; answer until when it holds."""
    ends = time.time() + seconds
    until = datetime.fromtimestamp(ends, UTC).isoformat(timespec="seconds")
    value: dict[str, Json] = {**identity(), "who": parts.who, "reason": reason, "until": until}
    parts.store.put(record, value, expires=ends)
    _record_word(parts, record, reason=reason, until=until)
    return until


def _record_word(parts: Parts, record: str, **told: Json) -> None:
    """Put it into the history too; a brake that is already pulled stays pulled without."""
    try:
        _journal(parts).tell({**_word(record), **told})
    except Fault as fault:
        fail(f"it is in force, but could not be recorded: {fault.message}")


def _word(record: str) -> dict[str, Json]:
    said, _, resource = record.removeprefix("intent/").partition(":")
    if said == "release":
        resource = f"{Kind.CONNECTOR}/{resource}"
    return {"event": said, "resource": resource or "stage"}


def _journal(parts: Parts) -> Journal:
    return Journal(parts.store, parts.clock, parts.who)


def _take_back(parts: Parts, record: str) -> bool:
    if record not in parts.store.load():
        return False
    parts.store.delete(record)
    word = _word(record)
    _record_word(parts, record, event=f"un{word['event']}")
    return True


@app.command()
def accept(
    name: Annotated[str, typer.Argument(help="connector/x or topic/x")],
    risk: Annotated[str, typer.Argument(help="ordering, snapshot or data-loss")],
    action: Annotated[str, typer.Option(help="id of the held action, as `plan` prints it")],
    duration: Annotated[str, typer.Option("--for", help="such as 30m, 2h, 1d; 7d at most")],
    reason: Annotated[str, typer.Option(help="why; people will read it")],
    stage: StageOption = None,
) -> int:
    """Say that one held action is wanted in spite of its risk; it is used once."""
    key = _resource_key(name)
    seconds = _parse_duration(duration)
    if risk not in [str(one) for one in ACCEPTABLE]:
        raise typer.BadParameter(f"{risk!r} is no risk: ordering, snapshot or data-loss")
    if seconds > 7 * 86_400:
        raise typer.BadParameter("a word lasts seven days at most")
    parts = _people(stage)
    value: dict[str, Json] = {**identity(), "who": parts.who, "risk": risk, "reason": reason}
    ends = time.time() + seconds
    until = datetime.fromtimestamp(ends, UTC).isoformat(timespec="seconds")
    told: dict[str, Json] = {"event": "accept", "resource": str(key), "action": action}
    _journal(parts).tell({**told, "risk": risk, "reason": reason, "until": until})
    parts.store.put(accept_record(key, action), value, expires=ends)
    print(f"action {action} of {key} is accepted for {duration}; see `wmsctl status`")
    return FINE


@app.command()
def probe(
    name: Annotated[str, typer.Argument(help="the connector, or the secret of its login")],
    stage: StageOption = None,
) -> int:
    """Let the controller try a login again that was refused or doubtful."""
    parts = _people(stage)
    name = name.removeprefix("connector/").removeprefix("secret/")
    value: dict[str, Json] = {**identity(), "who": parts.who}
    parts.store.put(probe_intent_record(name), value, expires=time.time() + 3600)
    _record_word(parts, probe_intent_record(name), event="probe", resource=name)
    print(f"the login of {name} is tried once more in the next cycle; see `wmsctl status`")
    return FINE


@app.command()
def teardown(
    stage: StageOption = None,
    manifests: ManifestsOption = None,
    overlay: OverlayOption = None,
    confirm: Annotated[str | None, typer.Option(help="the stage's name, typed again")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="only list")] = False,
) -> int:
    """Delete an ephemeral stage's connectors and topics, and nothing else."""
    from controller.core.teardown import refuse_teardown
    from controller.teardown import run_teardown

    parts = _parts(stage, overlay, manifests)
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
    )
    return FINE if report.ok else FAULT


def _pause(seconds: float) -> None:
    threading.Event().wait(seconds)


# --- reading what people type -----------------------------------------------------------------

_DURATION: Final = re.compile(r"(\d+)([smhd])")
_SECONDS: Final[Mapping[str, int]] = {"s": 1, "m": 60, "h": 3600, "d": 86_400}


def _parse_duration(text: str) -> float:
    match = _DURATION.fullmatch(text)
    if match is None or int(match[1]) == 0:
        raise typer.BadParameter(f"{text!r} is no duration: write 30m, 2h or 1d")
    return float(int(match[1]) * _SECONDS[match[2]])


def _resource_key(text: str) -> ResourceKey:
    kind, _, name = text.partition("/")
    if kind not in (Kind.CONNECTOR, Kind.TOPIC) or not name:
        raise typer.BadParameter(f"{text!r} names no resource: write connector/NAME or topic/NAME")
    return ResourceKey(Kind(kind), name)
