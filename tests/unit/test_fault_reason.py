from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from controller.adapters import (
    connect,
    kafka,
    secret_files,
    secrets,
    state_dynamodb,
    state_file,
    worker_log,
)
from controller.adapters import preflight as preflight_adapter
from controller.adapters.connect import answer
from controller.core import aws_faults, faults
from controller.core.fault_reason import FAULT_REASONS
from controller.core.metric import FAULTS

FAULTS_NAMED = {name for name in dir(faults) if name[0].isupper()}


def raised(*modules: object) -> Iterator[str]:
    """Find what these files raise by a literal name, or by a constant of their own."""
    for module in modules:
        path = Path(str(getattr(module, "__file__", "")))
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Name):
                continue
            if node.func.id not in FAULTS_NAMED or not node.args:
                continue
            match node.args[0]:
                case ast.Constant(value=str() as reason):
                    yield reason
                case ast.Name(id=constant):
                    yield str(getattr(module, constant, ""))


@pytest.mark.parametrize(
    ("system", "modules"),
    [
        ("connect", (connect, answer)),
        ("kafka", (kafka,)),
        ("secrets", (secrets,)),
        ("files", (secret_files, worker_log)),
        ("state", (state_file, state_dynamodb)),
        ("own", (secret_files, state_file, state_dynamodb, connect, answer, preflight_adapter)),
    ],
)
def test_every_reason_that_an_adapter_names_is_known_beforehand(
    system: str, modules: tuple[object, ...]
) -> None:
    found = {reason for reason in raised(*modules) if reason}
    assert found
    assert found <= set(FAULT_REASONS[system])


def test_the_reasons_of_tables_are_known_beforehand() -> None:
    assert {row.reason for row in answer._MEANINGS} <= set(FAULT_REASONS["connect"])
    assert {reason for _, reason, _ in kafka._TABLE} <= set(FAULT_REASONS["kafka"])


@pytest.mark.parametrize("code", [*sorted(aws_faults._KINDS), "KMSDisabled", "Odd"])
def test_what_aws_says_of_the_state_is_known_beforehand(code: str) -> None:
    fault = aws_faults.aws_fault("State", code, "said", wrote=True)
    assert fault.reason in FAULT_REASONS["state"]


def test_a_fault_that_is_known_has_a_series_before_it_happens() -> None:
    assert ("connect", "WorkerUnreachable") in FAULTS.values
    assert ("own", "ActionCrashed") in FAULTS.values
    assert len(set(FAULTS.values)) == len(FAULTS.values)
