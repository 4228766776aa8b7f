"""What the documents for DBA and platform say, against the code that they speak of."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

from controller.core import cloudwatch
from controller.core.stage import NAMED, Stage
from controller.manifest import load
from devstack.image_proof import USER
from infra_cdk import kafka_rights
from infra_cdk.environment_config import ENVIRONMENT_CONFIGS, KAFKA_PORTS, SecretPaths
from tests.infra.conftest import Synthesized
from tests.infra.template import many, resources

ROOT = Path(__file__).parents[2]
DETAILS = (ROOT / "docs" / "wms-config-details.md").read_text()
DEPLOYING = (ROOT / "docs" / "deploying.md").read_text()
CLUSTER = "arn:aws:kafka:us-east-1:111122223333:cluster/x/u-1"


def section(text: str, title: str) -> str:
    found = re.search(rf"^#+ {re.escape(title)}\n(.*?)(?=^#|\Z)", text, re.MULTILINE | re.DOTALL)
    assert found is not None, title
    return found[1]


def first_column(text: str) -> list[str]:
    return re.findall(r"^\| (`.+?) \|", text, re.MULTILINE)


def captured_tables() -> set[str]:
    document = yaml.safe_load((ROOT / "manifests" / "base" / "connector.yaml").read_text())
    return set(document["spec"]["tables"])


def production_topics() -> list[int]:
    files = {
        str(path.relative_to(ROOT / "manifests")): path.read_text()
        for path in (ROOT / "manifests").rglob("*.yaml")
    }
    revision = load(files, stage=Stage("production"), overlay="production", commit=None)
    return [topic.partitions for topic in revision.topics]


def test_the_rights_at_the_brokers_are_those_in_the_templates() -> None:
    statements = kafka_rights.task_statements(CLUSTER, Stage("main"))
    granted = {
        action.removeprefix("kafka-cluster:")
        for statement in statements
        for action in many(statement.to_json()["Action"])
    }
    rows = first_column(section(DETAILS, "Kafka: rights"))
    told = {action for row in rows for action in re.findall(r"`(\w+)`", row)}
    assert told == granted


def test_every_right_at_the_brokers_has_its_reason() -> None:
    rows = [
        [cell.strip() for cell in line.strip("|").split("|")]
        for line in section(DETAILS, "Kafka: rights").splitlines()
        if line.startswith("| `")
    ]
    assert rows
    for action, *_, reason in rows:
        assert len(reason) > 10, action


def test_the_rights_of_a_teardown_are_those_in_the_templates() -> None:
    statements = kafka_rights.teardown_statements(CLUSTER, Stage("feat-x"))
    granted = {
        action.removeprefix("kafka-cluster:")
        for statement in (s.to_json() for s in statements)
        if statement["Effect"] == "Allow"
        for action in many(statement["Action"])
    }
    text = section(DETAILS, "Kafka: rights")
    [told] = [line for line in text.splitlines() if line.startswith("A branch's teardown has")]
    assert set(re.findall(r"`(\w+)`", told)) == granted


def test_the_topics_that_are_called_our_own_are_those_in_the_templates() -> None:
    text = section(DETAILS, "Kafka: rights")
    for pattern in kafka_rights.owned_topics(Stage("main")):
        stem = pattern.rsplit(".", 1)[0] if pattern.startswith("mgmt.") else pattern
        assert stem.replace("-main", "-{stage}") in text, pattern


def test_the_partitions_add_up() -> None:
    text = section(DETAILS, "Kafka: what it takes")
    every = sum(production_topics())
    assert f"{every * 3} per stage" in text
    declared, connect = (int(n) for n in re.findall(r": (\d+) \| ", text)[:2])
    assert declared + connect == every


@pytest.mark.parametrize("table", sorted(captured_tables()))
def test_every_captured_table_has_its_supplemental_logging(table: str) -> None:
    sql = section(DETAILS, "3. Supplemental logging")
    assert re.search(
        rf"ALTER TABLE {re.escape(table)} +ADD SUPPLEMENTAL LOG DATA \(ALL\) COLUMNS;", sql
    )


def test_no_other_table_is_asked_for() -> None:
    asked = set(re.findall(r"ALTER TABLE (\w+\.\w+) ", DETAILS))
    assert asked == captured_tables()
    assert all(f"`{table}`" in DETAILS for table in captured_tables())


def test_every_point_of_the_checklist_leads_to_its_section_for_every_environment() -> None:
    rows = re.findall(
        r"^\| (\d+) \| .+ \| \[(\d+)\]\(#([\w-]+)\) \| (.+) \|$", DETAILS, re.MULTILINE
    )
    assert [int(row[0]) for row in rows] == list(range(1, 13))
    anchors = {
        re.sub(r"[^\w -]", "", title).strip().lower().replace(" ", "-")
        for title in re.findall(r"^## (.+)$", DETAILS, re.MULTILINE)
    }
    for _number, target, anchor, boxes in rows:
        assert anchor in anchors
        assert anchor.startswith(f"{target}-")
        assert boxes.count("☐") == len(NAMED)


def test_the_pre_flight_needs_no_right_that_is_not_in_the_list() -> None:
    grants = section(DETAILS, "6. Grants")
    source = (ROOT / "controller" / "adapters" / "preflight.py").read_text()
    views = set(re.findall(r"\bv\$(\w+)", source))
    assert views
    for view in views:
        assert f"V_${view.upper()}`" in grants, view
    for other in re.findall(r"\b(?:dba|cdb|gv\$)_?\w+", source):
        pytest.fail(f"{other} needs a grant of its own")


def test_instant_client_is_said_to_be_needless_and_is_in_no_image() -> None:
    assert "Oracle Instant Client is not needed" in DETAILS
    assert "Oracle Instant Client is not needed" in DEPLOYING
    assert "instantclient" not in (ROOT / "Dockerfile").read_text().lower()


def test_every_secret_that_is_read_has_its_shape() -> None:
    text = section(DEPLOYING, "Secrets")
    told = {name for row in first_column(text) for name in re.findall(r"`([\w/]+)`", row)}
    paths = SecretPaths(Stage("main"))
    deployed = (
        paths.vpc, paths.iam_path, paths.iam_permissions_boundary, paths.alert_emails,
        paths.deployment,
    )  # fmt: skip
    read = {pair[0] for pair in deployed} | set(paths.read_at_run_time("scram")[::2])
    assert {path.removeprefix("wms/main/") for path in read} <= told


def test_every_way_to_speak_to_the_brokers_is_told_with_its_port() -> None:
    for word, port in KAFKA_PORTS.items():
        assert f"`{word}` ({port})" in DEPLOYING
    rows = first_column(section(DEPLOYING, "Ways to speak to the brokers"))
    assert {row.split("`")[1] for row in rows} == set(KAFKA_PORTS)


def test_the_user_of_the_images_is_told() -> None:
    assert f"user {USER}" in DEPLOYING


def test_the_cost_is_of_the_sizes_that_are_deployed() -> None:
    text = section(DEPLOYING, "What it costs, about, in US dollars a month")
    hours = 730
    for stage, told in (("main", 39), ("production", 79)):
        sizes = ENVIRONMENT_CONFIGS[stage]
        price = (sizes.task_cpu / 1024 * 0.04048 + sizes.task_memory / 1024 * 0.004445) * hours
        assert round(price) == told
        assert f" {told} " in text


def test_the_cost_is_of_the_metrics_and_alarms_that_there_are(made: Synthesized) -> None:
    text = section(DEPLOYING, "What it costs, about, in US dollars a month")
    metrics = len(cloudwatch.PUBLISHED) + sum(m.per_connector for m in cloudwatch.PUBLISHED)
    alarms = len(resources(made.connector, "AWS::CloudWatch::Alarm"))
    combined = len(resources(made.connector, "AWS::CloudWatch::CompositeAlarm"))
    assert f"metrics: {metrics} of our own | {metrics * 0.3:.0f} |" in text
    price = alarms * 0.1 + combined * 0.5 + 3
    assert f"alarms: {alarms} and {combined} that combine them; dashboard | {price:.0f} |" in text


def test_links_lead_to_files() -> None:
    for name in ("wms-config-details.md", "deploying.md"):
        text = (ROOT / "docs" / name).read_text()
        for target in re.findall(r"\]\(([\w./-]+\.(?:md|json))", text):
            assert (ROOT / "docs" / target).exists(), target
