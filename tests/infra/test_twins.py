"""Prometheus and CloudWatch ring for the same causes, after the same time."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from prometheus_client import CollectorRegistry
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.registry import Collector

from controller.telemetry.cloudwatch import Teller
from dashboards.alert import Alert, Sample
from dashboards.alerts import ALERTS
from infra_cdk.alarms import RULES, AlarmRule
from infra_cdk.environment_config import ENVIRONMENT_CONFIGS

ALARMS = {rule.name: rule for rule in RULES}
TWINS = [alert for alert in ALERTS if alert.twin]
ASKED = [alert for alert in TWINS if alert.name != "PulseMissing"]  # that counts messages instead
SIZES = ENVIRONMENT_CONFIGS["production"]
MINUTE = 60.0


@pytest.mark.parametrize("alert", TWINS, ids=lambda alert: alert.name)
def test_a_rule_of_prometheus_has_the_alarm_of_cloudwatch_that_it_names(alert: Alert) -> None:
    assert alert.twin in ALARMS
    assert ALARMS[alert.twin].pages == (alert.severity == "page")


def test_every_alarm_of_cloudwatch_has_a_rule_of_prometheus() -> None:
    assert sorted(ALARMS) == sorted(alert.twin for alert in TWINS)


@pytest.mark.parametrize("alert", ASKED, ids=lambda alert: alert.name)
def test_twins_wait_equally_long(alert: Alert) -> None:
    """A number of seconds has its wait in the threshold; a few minutes of it are for the noise."""
    rule = ALARMS[alert.twin]
    waits = int(alert.lasting.removesuffix("m"))
    assert abs(waits - rule.of) <= (2 if rule.metric.unit == "Seconds" else 1)


# --- the samples of the rule, told to CloudWatch ------------------------------------------------


@dataclass(eq=False)
class Samples(Collector):
    """Shows what a sample's series have at this minute."""

    sample: Sample
    minute: int = 0
    values: dict[str, list[float | None]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.values = {series: list(spread(v)) for series, v in self.sample.series.items()}

    def now(self) -> float:
        return self.minute * MINUTE

    def collect(self) -> Iterator[Any]:
        for series, values in self.values.items():
            value = values[self.minute] if self.minute < len(values) else None
            if value is not None:
                yield from text_string_to_metric_families(f"{series} {value}\n")


def spread(notation: str) -> Iterator[float | None]:
    """List the values, one a minute, that promtool's notation stands for."""
    for token in notation.split():
        found = re.fullmatch(r"(_|[\d.]+)(?:\+([\d.]+))?(?:x(\d+))?", token)
        assert found is not None, token
        first, step, times = found[1], float(found[2] or 0), int(found[3] or 0)
        if first == "_":
            yield from [None] * max(1, times)
        else:
            yield from (float(first) + step * number for number in range(times + 1))


def breaches(rule: AlarmRule, teller: Teller) -> bool:
    told = {(one.metric, one.connector): one.value for one in teller.tell()}
    value, threshold = told.get((rule.metric, None)), rule.threshold(SIZES)
    if value is None:
        return False
    return value < threshold if rule.below else value >= threshold


def rings(rule: AlarmRule, sample: Sample) -> bool:
    """Ask as CloudWatch does: so many of the newest minutes."""
    samples = Samples(sample)
    registry = CollectorRegistry()
    registry.register(samples)
    teller = Teller(registry, samples.now)
    found = []
    for minute in range(int(sample.after.removesuffix("m")) + 1):
        samples.minute = minute
        found.append(breaches(rule, teller))
    return sum(found[-rule.within :]) >= rule.of


def of_one_controller(sample: Sample) -> bool:
    """Whether CloudWatch, which is told by each controller, could be asked the same."""
    return not any("stage=" in series or "instance=" in series for series in sample.series)


SAMPLES = [
    pytest.param(alert, sample, id=f"{alert.name}-{number}")
    for alert in ASKED
    for number, sample in enumerate(alert.samples)
    if of_one_controller(sample)
]


@pytest.mark.parametrize(("alert", "sample"), SAMPLES)
def test_cloudwatch_rings_on_what_prometheus_rings_on_and_is_silent_on_the_rest(
    alert: Alert, sample: Sample
) -> None:
    assert rings(ALARMS[alert.twin], sample) is (sample.rings is not None)
