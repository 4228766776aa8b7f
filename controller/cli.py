"""`wmsctl`: exit codes 0 fine, 1 fault or wrong usage, 2 there are changes (`plan`).

A verb's module is imported when that verb is asked for, so that no command waits for the others.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from functools import cache
from importlib import import_module
from typing import Any, Final

import typer
from typer.core import TyperGroup

from controller.cli_options import FAULT, FINE
from controller.console import fail
from controller.core.faults import Fault
from controller.core.stage import RefusedStage
from controller.settings import BadSetting

# In the order of `wmsctl --help`: a function is a command, a typer.Typer a group of them.
VERBS: Final[Mapping[str, str]] = {
    "validate": "cli_offline.validate",
    "render": "cli_offline.render",
    "schema": "cli_offline.schema",
    "plan": "cli_plan.plan",
    "status": "cli_status.status",
    "page": "cli_page.page",
    "history": "cli_history.history",
    "explain": "cli_explain.explain",
    "verify": "cli_verify.verify",
    "run": "cli_run.run",
    "apply": "cli_run.apply",
    "suspend": "cli_words.suspend",
    "unsuspend": "cli_words.unsuspend",
    "freeze": "cli_words.freeze",
    "unfreeze": "cli_words.unfreeze",
    "release": "cli_words.release",
    "accept": "cli_words.accept",
    "probe": "cli_words.probe",
    "manifests": "cli_manifests.app",
    "offsets": "cli_offsets.app",
    "teardown": "cli_teardown.teardown",
}

_ended: list[int] = []  # what the command returned; the library drops it


def _keep(code: int, **_options: object) -> None:
    _ended.append(code)


@cache
def _load(verb: str) -> Any:
    module, _, name = VERBS[verb].partition(".")
    found = getattr(import_module(f"controller.{module}"), name)
    if not isinstance(found, typer.Typer):
        command = found
        found = typer.Typer(add_completion=False, rich_markup_mode=None)
        found.command(verb)(command)
    return typer.main.get_command(found)


class _Verbs(Mapping[str, Any]):
    """All verbs, each made when it is first looked up."""

    def __getitem__(self, verb: str) -> Any:
        return _load(verb)

    def __iter__(self) -> Iterator[str]:
        return iter(VERBS)

    def __len__(self) -> int:
        return len(VERBS)


class _Group(TyperGroup):
    def __init__(self, **given: Any) -> None:
        super().__init__(**{**given, "commands": _Verbs()})


app = typer.Typer(
    cls=_Group,
    callback=lambda: None,
    result_callback=_keep,
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    help="Look at, check and steer one stage of the connector. Settings come from WMS_* variables; "
    "options win over them.",
)


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
    except Fault as fault:
        fail(f"{fault.reason}: {fault.message}")
        return FAULT
    except Exception as error:
        if not _tell_bad_manifests(error):
            raise
        return FAULT
    return FINE


def _tell_bad_manifests(error: Exception) -> bool:
    from controller.manifest import ManifestErrors

    if not isinstance(error, ManifestErrors):
        return False
    print(error, file=sys.stderr)
    fail(f"{len(error.errors)} error(s): nothing of this revision is used until they are gone")
    return True
