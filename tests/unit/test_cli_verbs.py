from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest
from typer.main import get_command

from controller import cli

# What a cycle is made of; none of it is needed to read a document or a trace.
_CYCLE = ("controller.apply", "controller.core.plan", "controller.observe", "controller.manifest")


@pytest.mark.parametrize("verb", cli.VERBS)
def test_every_verb_is_there_and_says_what_it_does(
    verb: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main([verb, "--help"]) == 0
    told = capsys.readouterr().out
    assert f"{verb} [OPTIONS]" in told
    assert "completion" not in told


def test_the_help_lists_every_verb(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["--help"]) == 0
    told = capsys.readouterr().out
    assert all(f"\n  {verb} " in told for verb in cli.VERBS)
    known: Any = get_command(cli.app)
    assert list(known.commands) == list(cli.VERBS)


def test_a_verb_that_is_not_there_is_wrong_usage_and_never_changes(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert cli.main(["plam"]) == 1
    assert "Did you mean 'plan'?" in capsys.readouterr().err


@pytest.mark.parametrize(
    "modules",
    ["cli_status", "cli_page, controller.page_source", "cli_plan, controller.leader_view"],
)
def test_to_read_the_leaders_word_nothing_of_a_cycle_is_imported(modules: str) -> None:
    program = f"import sys, controller.{modules}; print(*sys.modules, sep='\\n')"
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60
    )
    loaded = set(done.stdout.splitlines())
    assert "controller.bootstrap" in loaded or "controller.cli_status" in loaded
    assert not loaded & set(_CYCLE)
    assert not loaded & {"boto3", "httpx", "confluent_kafka", "yaml", "rich"}
