"""The CDK app: one stage, two stacks, checked before anything is written."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import aws_cdk as cdk
from cdk_nag import AwsSolutionsChecks, NIST80053R5Checks

from infra_cdk.alerts_stack import AlertsStack
from infra_cdk.connector_stack import ConnectorStack
from infra_cdk.environment_config import FullEnvironmentConfig
from infra_cdk.governance import govern

ROOT: Final = Path(__file__).parent.parent


def cdk_context() -> Mapping[str, Any]:
    """Read the flags of cdk.json, so that a template is the same with and without the CDK's CLI."""
    context: Mapping[str, Any] = json.loads((ROOT / "cdk.json").read_text(encoding="utf-8"))[
        "context"
    ]
    return context


def new_app(out: Path | None = None) -> cdk.App:
    return cdk.App(
        context=dict(cdk_context()),
        outdir=None if out is None else str(out),
        analytics_reporting=False,
    )


def add_stacks(app: cdk.App, config: FullEnvironmentConfig) -> tuple[AlertsStack, ConnectorStack]:
    alerts = AlertsStack(app, config)
    connector = ConnectorStack(app, config)
    connector.add_stack_dependency(alerts)
    govern(app, config)
    return alerts, connector


def check(app: cdk.App) -> None:
    """Make synth fail on a finding that nobody acknowledged; what was stays in the template."""
    packs = (
        AwsSolutionsChecks(app, write_suppressions_to_cloud_formation=True),
        NIST80053R5Checks(app, write_suppressions_to_cloud_formation=True),
    )
    cdk.Validations.of(app).add_plugins(*packs)


def synthesize(app: cdk.App, config: FullEnvironmentConfig) -> Path:
    """Write the templates of one stage; an unacknowledged finding raises instead."""
    add_stacks(app, config)
    check(app)
    return Path(app.synth().directory)
