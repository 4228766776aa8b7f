"""Prometheus and CloudWatch ring for the same causes."""

from __future__ import annotations

import pytest

from dashboards.alert import Alert
from dashboards.alerts import ALERTS
from infra_cdk.alarms import RULES

ALARMS = {rule.name: rule for rule in RULES}


@pytest.mark.parametrize("alert", [a for a in ALERTS if a.twin], ids=lambda alert: alert.name)
def test_a_rule_of_prometheus_has_the_alarm_of_cloudwatch_that_it_names(alert: Alert) -> None:
    assert alert.twin in ALARMS
    assert ALARMS[alert.twin].pages == (alert.severity == "page")


def test_every_alarm_of_cloudwatch_has_a_rule_of_prometheus() -> None:
    assert sorted(ALARMS) == sorted(alert.twin for alert in ALERTS if alert.twin)
