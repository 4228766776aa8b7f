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
    follows: tuple[str, ...] = ()  # alerts that tell of the same incident before it

    @property
    def of_a_connector(self) -> bool:
        return any("name" in (sample.rings or {}) for sample in self.samples)


def rules_yaml(alerts: tuple[Alert, ...]) -> str:
    groups = [{"name": "wms-connector", "rules": [_rule(alert) for alert in alerts]}]
    return _HEAD + yaml.safe_dump({"groups": groups}, sort_keys=False, width=120)


def tests_yaml(alerts: tuple[Alert, ...]) -> str:
    """Make promtool's tests: each sample of each rule, ringing and not."""
    tests = [_test(alert, sample) for alert in alerts for sample in alert.samples]
    head = {"rule_files": ["rules.yml"], "evaluation_interval": "1m"}
    return _HEAD + yaml.safe_dump({**head, "tests": tests}, sort_keys=False, width=120)


def alertmanager_yaml(alerts: tuple[Alert, ...]) -> str:
    """Say how alerts become messages: one of an incident, whatever follows from it."""
    route = {
        "receiver": "notice",
        "group_by": ["stage", "name", "severity"],
        "group_wait": "30s",
        "repeat_interval": "12h",
        "routes": [{"receiver": "page", "matchers": ['severity="page"']}],
    }
    named = {alert.name: alert for alert in alerts}
    rules = [_inhibition(named[cause], alert) for alert in alerts for cause in alert.follows]
    receivers = [{"name": "page"}, {"name": "notice"}]
    made = {"route": route, "inhibit_rules": rules, "receivers": receivers}
    return f"{_HEAD}{_RECEIVERS}{yaml.safe_dump(made, sort_keys=False, width=120)}"


def _inhibition(cause: Alert, alert: Alert) -> dict[str, Any]:
    both = cause.of_a_connector and alert.of_a_connector
    return {
        "source_matchers": [f'alertname="{cause.name}"'],
        "target_matchers": [f'alertname="{alert.name}"'],
        "equal": ["stage", "name"] if both else ["stage"],
    }


_RECEIVERS: Final = "# Give both receivers the way on which people are told.\n"
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
