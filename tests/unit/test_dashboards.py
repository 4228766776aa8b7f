"""Dashboards and rules: fresh, parseable, and about series that exist."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import promql_parser
import pytest
import yaml

from dashboards.__main__ import FOLDER, files
from dashboards.alerts import ALERTS
from dashboards.boards import BOARDS
from dashboards.catalog import DEBEZIUM, all_series, debezium, source_task, worker
from dashboards.panel import Panel

ROOT = FOLDER.parent
PANELS = [
    pytest.param(panel, id=f"{board.uid}: {panel.title}")
    for board in BOARDS
    for panel in board.panels
]


def named(expression: str) -> Iterator[str]:
    """List the series that an expression reads."""
    yield from _walk(promql_parser.parse(expression.replace("$__rate_interval", "5m")))


def _walk(node: Any) -> Iterator[str]:
    if isinstance(node, promql_parser.VectorSelector):
        yield str(node.name)
    for field in ("lhs", "rhs", "expr", "vector_selector", "args"):
        found = getattr(node, field, None)
        for child in found if isinstance(found, list) else [found]:
            if child is not None:
                yield from _walk(child)


@pytest.mark.parametrize("path", files(), ids=lambda path: path.name)
def test_what_is_committed_is_what_the_code_makes(path: Path) -> None:
    assert path.read_text(encoding="utf-8") == files()[path], "run `python -m dashboards`"


@pytest.mark.parametrize("panel", PANELS)
def test_every_panel_reads_series_that_exist_and_says_how_to_read_it(panel: Panel) -> None:
    for query in panel.queries:
        series = set(named(query.expression))
        assert series
        assert series <= all_series()
    assert panel.says.endswith(".")


@pytest.mark.parametrize("alert", ALERTS, ids=lambda alert: alert.name)
def test_every_rule_reads_series_that_exist(alert: Any) -> None:
    series = set(named(alert.expression))
    assert series
    assert series <= all_series()


@pytest.mark.parametrize("alert", ALERTS, ids=lambda alert: alert.name)
def test_every_rule_is_tested_ringing_and_silent(alert: Any) -> None:
    assert {sample.rings is None for sample in alert.samples} == {True, False}


@pytest.mark.parametrize("alert", ALERTS, ids=lambda alert: alert.name)
def test_every_rule_has_a_runbook_that_says_what_to_do(alert: Any) -> None:
    text = (ROOT / "docs" / "runbooks" / f"{alert.name}.md").read_text(encoding="utf-8")
    assert text.startswith(f"# {alert.name}\n")
    for part in ("## What it means", "## What the controller did", "## Look", "## Do"):
        assert part in text


def test_every_rule_says_which_alarm_of_cloudwatch_is_its_twin_or_why_none() -> None:
    assert [alert.name for alert in ALERTS if bool(alert.twin) == bool(alert.alone)] == []


def test_what_follows_from_another_alert_rings_no_sooner_and_never_in_a_circle() -> None:
    named = {alert.name: alert for alert in ALERTS}
    told: set[str] = set()
    while fresh := [a for a in ALERTS if a.name not in told and told.issuperset(a.follows)]:
        told |= {alert.name for alert in fresh}
    assert told == set(named)
    for alert in ALERTS:
        assert {named[cause].severity for cause in alert.follows} <= {alert.severity}


def test_a_connector_s_alert_silences_no_other_connector_s() -> None:
    made = yaml.safe_load(files()[FOLDER / "prometheus" / "alertmanager.yml"])
    for rule in made["inhibit_rules"]:
        alone = 'alertname="ConnectDown"' in rule["source_matchers"]
        assert rule["equal"] == (["stage"] if alone else ["stage", "name"])


def test_no_runbook_is_about_a_rule_that_is_gone() -> None:
    pages = {page.stem for page in (ROOT / "docs" / "runbooks").glob("*.md")} - {"README"}
    assert pages == {alert.name for alert in ALERTS}


@pytest.mark.parametrize("board", BOARDS, ids=lambda board: board.uid)
def test_a_board_is_json_that_grafana_can_tell_apart(board: Any) -> None:
    data = json.loads(files()[FOLDER / "grafana" / f"{board.uid}.json"])
    numbers = [panel["id"] for panel in data["panels"]]
    assert data["uid"] == board.uid
    assert len(numbers) == len(set(numbers))
    assert all(target["refId"] for p in data["panels"] for target in p.get("targets", []))


def test_the_worker_s_series_are_those_that_its_agent_makes() -> None:
    rules = yaml.safe_load((ROOT / "connect" / "jmx.yaml").read_text(encoding="utf-8"))
    assert rules["lowercaseOutputName"] is True
    prefixes = [rule["name"].split("$")[0] for rule in rules["rules"]]
    made = (debezium(DEBEZIUM[0]), worker("task-count"), source_task("source-record-poll-total"))
    assert all(any(name.startswith(prefix) for prefix in prefixes) for name in made)
