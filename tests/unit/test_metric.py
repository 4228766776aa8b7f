from __future__ import annotations

import re

import pytest

from controller.core import action, faults, lag_metric, metric
from controller.core.metric import ACTION_RESULTS, ACTIONS_BY_KIND, METRICS, Metric, MetricKind
from controller.core.model import Kind


def named(family: Metric) -> str:
    return family.name


def test_no_two_families_share_a_name() -> None:
    assert len({family.name for family in METRICS}) == len(METRICS)


def test_every_family_of_the_module_is_in_the_list() -> None:
    constants = [*vars(metric).values(), *vars(lag_metric).values()]
    declared = [value for value in constants if isinstance(value, Metric)]
    declared += [one.family for one in lag_metric.ATTRIBUTES]
    assert sorted(declared, key=named) == sorted(METRICS, key=named)


@pytest.mark.parametrize("family", METRICS, ids=named)
def test_a_name_follows_the_rules_of_prometheus(family: Metric) -> None:
    assert re.fullmatch(r"wms(_[a-z]+)+", family.name)
    assert family.name.endswith("_total") == (family.kind is MetricKind.COUNTER)
    assert ("_seconds" in family.name) == (family.unit == "seconds")
    assert family.name.removesuffix("_total").endswith(family.unit)
    assert family.help.endswith(".")


@pytest.mark.parametrize("family", METRICS, ids=named)
def test_known_label_values_fit_the_labels_and_come_once(family: Metric) -> None:
    assert all(len(values) == len(family.labels) for values in family.values)
    assert len(set(family.values)) == len(family.values)
    assert bool(family.buckets) == (family.kind is MetricKind.HISTOGRAM)
    assert list(family.buckets) == sorted(set(family.buckets))


def test_every_action_has_its_kind_of_resource() -> None:
    unions = (action.OwnAction, action.TopicAction, action.ConnectorAction)
    names = {name for union in unions for name in re.findall(r"\w+", str(union))}
    assert {name for actions in ACTIONS_BY_KIND.values() for name in actions} == names
    assert set(ACTIONS_BY_KIND) == set(Kind)


def test_every_fault_is_a_result_of_an_action() -> None:
    known = {
        kind.__name__
        for kind in vars(faults).values()
        if isinstance(kind, type) and issubclass(kind, faults.Fault) and kind is not faults.Fault
    }
    assert set(ACTION_RESULTS) == known | {"applied"}
