"""What an alert rule is, as data, and its YAML."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import yaml

RUNBOOKS: Final = "docs/runbooks"


@dataclass(frozen=True, slots=True)
class Sample:
    """Series of one promtool test, and whether the rule rings on them at `after`."""

    series: Mapping[str, str]  # series -> values in promtool's notation, one a minute
    after: str
    rings: Mapping[str, str] | None  # the labels of the alert; None: it must not ring


@dataclass(frozen=True, slots=True)
class Alert:
    """One rule; `twin` names the CloudWatch alarm of the same cause, or `alone` says why none."""

    name: str
    expression: str
    lasting: str
    severity: str  # page: now; notice: within a day
    summary: str
    samples: tuple[Sample, ...]
    twin: str = ""
    alone: str = ""


def rules_yaml(alerts: tuple[Alert, ...]) -> str:
    groups = [{"name": "wms-connector", "rules": [_rule(alert) for alert in alerts]}]
    return _HEAD + yaml.safe_dump({"groups": groups}, sort_keys=False, width=120)


def tests_yaml(alerts: tuple[Alert, ...]) -> str:
    """Make promtool's tests: each sample of each rule, ringing and not."""
    tests = [_test(alert, sample) for alert in alerts for sample in alert.samples]
    head = {"rule_files": ["rules.yml"], "evaluation_interval": "1m"}
    return _HEAD + yaml.safe_dump({**head, "tests": tests}, sort_keys=False, width=120)


_HEAD: Final = "# Made by `python -m dashboards`; edit dashboards/alerts.py.\n"


def _rule(alert: Alert) -> dict[str, Any]:
    return {
        "alert": alert.name,
        "expr": alert.expression,
        "for": alert.lasting,
        "labels": {"severity": alert.severity},
        "annotations": _annotations(alert),
    }


def _annotations(alert: Alert) -> dict[str, str]:
    return {"summary": alert.summary, "runbook": f"{RUNBOOKS}/{alert.name}.md"}


def _test(alert: Alert, sample: Sample) -> dict[str, Any]:
    expected = []
    if sample.rings is not None:
        expected = [
            {
                "exp_labels": {"severity": alert.severity, **sample.rings},
                "exp_annotations": _filled(_annotations(alert), sample.rings),
            }
        ]
    return {
        "interval": "1m",
        "input_series": [
            {"series": series, "values": values} for series, values in sample.series.items()
        ],
        "alert_rule_test": [
            {"eval_time": sample.after, "alertname": alert.name, "exp_alerts": expected}
        ],
    }


def _filled(annotations: Mapping[str, str], labels: Mapping[str, str]) -> dict[str, str]:
    """Put labels where the templates name them, as Prometheus does."""
    return {
        key: re.sub(r"\{\{ \$labels\.(\w+) \}\}", lambda found: labels[found[1]], text)
        for key, text in annotations.items()
    }
