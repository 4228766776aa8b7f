from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from infra_cdk.node import use_packaged_node

use_packaged_node()

STAGES = ("main", "val", "production", "feat-x")
EXAMPLE = Path(__file__).parents[2] / "infra_cdk" / "examples" / "config.json"
BROKERS = "b-1.planted-broker.example.com:9098"
PASSWORD = "planted-password-7f3a"


@dataclass(frozen=True)
class Synthesized:
    """The two templates of a stage, and where they lie."""

    stage: str
    alerts: Mapping[str, Any]
    connector: Mapping[str, Any]
    folder: Path

    def of_type(self, kind: str) -> dict[str, Mapping[str, Any]]:
        return {
            f"{name}/{key}": resource
            for name, template in (("alerts", self.alerts), ("connector", self.connector))
            for key, resource in template["Resources"].items()
            if resource["Type"] == kind
        }


def example(**secrets: Any) -> dict[str, Any]:
    """The example's config with credentials planted where the running controller finds them."""
    config: dict[str, Any] = json.loads(EXAMPLE.read_text())
    config["secrets"] |= {
        "wms/default/brokerString": BROKERS,
        "wms/default/dbInfo": {"ip": "10.20.30.1", "user": "cdc", "password": PASSWORD},
    }
    config["secrets"] |= secrets
    return config


def synthesize_stage(
    stage: str, config: Mapping[str, Any], folder: Path, workers: int = 1
) -> Synthesized:
    from infra_cdk.__main__ import read_config
    from infra_cdk.app import new_app, synthesize

    file = folder / f"{stage}.config.json"
    file.write_text(json.dumps(config))
    out = folder / stage
    full = read_config({"stage": stage, "config": file})
    synthesize(new_app(out), replace(full, sizes=replace(full.sizes, workers=workers)))
    return Synthesized(
        stage,
        json.loads((out / f"wms-alerts-{stage}.template.json").read_text()),
        json.loads((out / f"wms-connector-{stage}.template.json").read_text()),
        out,
    )


@pytest.fixture(scope="session")
def synthesized(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, Synthesized]:
    folder = tmp_path_factory.mktemp("cdk")
    return {stage: synthesize_stage(stage, example(), folder) for stage in STAGES}


@pytest.fixture(params=STAGES)
def made(request: pytest.FixtureRequest, synthesized: Mapping[str, Synthesized]) -> Synthesized:
    return synthesized[request.param]


@pytest.fixture(params=[stage for stage in STAGES if stage != "feat-x"])
def named(request: pytest.FixtureRequest, synthesized: Mapping[str, Synthesized]) -> Synthesized:
    return synthesized[request.param]


@pytest.fixture
def branch(synthesized: Mapping[str, Synthesized]) -> Synthesized:
    return synthesized["feat-x"]


@pytest.fixture(scope="session")
def rich(tmp_path_factory: pytest.TempPathFactory) -> Synthesized:
    """A stage with all that is optional: collector, scraper, own secret keys, TLS, two workers."""
    config = example()
    config["secrets"]["wms/default/deployment"] |= {
        "kafkaSecurity": "tls",
        "metricsImage": f"public.ecr.aws/aws-observability/aws-otel-collector@sha256:{'c' * 64}",
        "metricsWorkspaceArn": "arn:aws:aps:us-east-1:111122223333:workspace/ws-0a0a",
        "scrapeSecurityGroup": "sg-0a0a0a0a0a0a0a0a9",
        "secretKeyArns": ["arn:aws:kms:us-east-1:111122223333:key/0a0a0a0a-0b0b"],
    }
    return synthesize_stage("feat-rich", config, tmp_path_factory.mktemp("rich"), workers=2)


@pytest.fixture(scope="session")
def scram(tmp_path_factory: pytest.TempPathFactory) -> Synthesized:
    """A stage whose brokers want user and password."""
    config = example()
    config["secrets"]["wms/default/deployment"] |= {"kafkaSecurity": "scram"}
    return synthesize_stage("feat-scram", config, tmp_path_factory.mktemp("scram"))
