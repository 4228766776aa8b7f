from __future__ import annotations

import fcntl
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

    def stack_tags(self, name: str) -> Mapping[str, str]:
        """Read what the CDK's CLI writes on the stack when it deploys it."""
        artifact = json.loads((self.folder / "manifest.json").read_text())["artifacts"][name]
        tags: Mapping[str, str] = artifact["properties"].get("tags", {})
        return tags

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


@dataclass(frozen=True)
class Workshop:
    """Where stages are synthesized, each once in a run, whichever process asks first."""

    folder: Path

    def make(
        self, stage: str, config: Mapping[str, Any], workers: int = 1, **options: str
    ) -> Synthesized:
        done = self.folder / f"{stage}.done"
        with (self.folder / "lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not done.exists():
                synthesize_stage(stage, config, self.folder, workers, options)
                done.touch()
        return read_stage(stage, self.folder / stage)


def synthesize_stage(
    stage: str,
    config: Mapping[str, Any],
    folder: Path,
    workers: int,
    options: Mapping[str, str],
) -> None:
    from infra_cdk.__main__ import read_config
    from infra_cdk.app import new_app, synthesize

    file = folder / f"{stage}.config.json"
    file.write_text(json.dumps(config))
    full = read_config({"stage": stage, "config": file, **options})
    synthesize(new_app(folder / stage), replace(full, sizes=replace(full.sizes, workers=workers)))


def read_stage(stage: str, out: Path) -> Synthesized:
    return Synthesized(
        stage,
        json.loads((out / f"wms-alerts-{stage}.template.json").read_text()),
        json.loads((out / f"wms-connector-{stage}.template.json").read_text()),
        out,
    )


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The first test of a process that asks for templates waits until they are made."""
    for item in items:
        if "workshop" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.timeout(300))


@pytest.fixture(scope="session")
def workshop(pytestconfig: pytest.Config, tmp_path_factory: pytest.TempPathFactory) -> Workshop:
    own = tmp_path_factory.getbasetemp()
    folder = (own.parent if hasattr(pytestconfig, "workerinput") else own) / "cdk"
    folder.mkdir(exist_ok=True)
    return Workshop(folder)


@pytest.fixture(scope="session")
def synthesized(workshop: Workshop) -> Mapping[str, Synthesized]:
    return {stage: workshop.make(stage, example()) for stage in STAGES}


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
def rich(workshop: Workshop) -> Synthesized:
    """A stage with all that is optional: collector, scraper, own secret keys, TLS, two workers.

    Its platform lets it in at the brokers itself.
    """
    config = example()
    config["secrets"]["wms/default/deployment"] |= {
        "kafkaSecurity": "tls",
        "ingress": "platform",
        "metricsImage": f"public.ecr.aws/aws-observability/aws-otel-collector@sha256:{'c' * 64}",
        "metricsWorkspaceArn": "arn:aws:aps:us-east-1:111122223333:workspace/ws-0a0a",
        "scrapeSecurityGroup": "sg-0a0a0a0a0a0a0a0a9",
        "secretKeyArns": ["arn:aws:kms:us-east-1:111122223333:key/0a0a0a0a-0b0b"],
    }
    return workshop.make("feat-rich", config, workers=2)


@pytest.fixture(scope="session")
def scram(workshop: Workshop) -> Synthesized:
    """A stage whose brokers want user and password, and whose database's group is told.

    It takes a step over a Debezium minor version.
    """
    config = example()
    config["secrets"]["wms/default/deployment"] |= {
        "kafkaSecurity": "scram",
        "oracle": [
            {"cidr": "10.20.30.0/28"},
            {"cidr": "10.20.31.0/28", "port": 1522, "securityGroup": "sg-0a0a0a0a0a0a0a0a7"},
            {"cidr": "10.20.32.0/28", "port": 1522, "securityGroup": "sg-0a0a0a0a0a0a0a0a7"},
        ],
    }
    return workshop.make("feat-scram", config, rollback="off")
