from __future__ import annotations

import json
import subprocess
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest

from controller.core.stage import Stage
from controller.settings import read_settings, unknown_settings
from infra_cdk.container import CONTROLLER_HEALTH, WORKER_HEALTH
from infra_cdk.environment_config import get_environment_config
from infra_cdk.worker_task import collector_config
from tests.infra.conftest import BROKERS, PASSWORD, Synthesized
from tests.infra.template import flat, resources, rules

TMP = "/tmp"  # noqa: S108 - a volume in a container


def definition(made: Synthesized) -> Mapping[str, Any]:
    return next(
        p
        for p in resources(made.connector, "AWS::ECS::TaskDefinition").values()
        if p["Family"] == f"wms-connector-{made.stage}"
    )


def container(made: Synthesized, name: str) -> Mapping[str, Any]:
    [found] = [c for c in definition(made)["ContainerDefinitions"] if c["Name"] == name]
    return dict(found)


def variables(made: Synthesized, name: str) -> dict[str, str]:
    return {v["Name"]: flat(v["Value"]) for v in container(made, name)["Environment"]}


def all_containers(made: Synthesized) -> list[Mapping[str, Any]]:
    return [
        c
        for p in resources(made.connector, "AWS::ECS::TaskDefinition").values()
        for c in p["ContainerDefinitions"]
    ]


# --- the two containers -------------------------------------------------------------------------


def test_only_the_worker_is_essential(made: Synthesized) -> None:
    essential = {c["Name"]: c["Essential"] for c in definition(made)["ContainerDefinitions"]}
    assert essential == {"connect": True, "controller": False}


def test_the_controller_is_restarted_when_it_dies(made: Synthesized) -> None:
    policy = container(made, "controller")["RestartPolicy"]
    assert policy == {"Enabled": True, "RestartAttemptPeriod": 60}


def test_the_controller_is_started_after_the_worker_and_so_stopped_before_it(
    made: Synthesized,
) -> None:
    assert container(made, "controller")["DependsOn"] == [
        {"Condition": "START", "ContainerName": "connect"}
    ]
    assert "DependsOn" not in container(made, "connect")
    assert container(made, "controller")["StopTimeout"] == 30
    assert container(made, "connect")["StopTimeout"] == 60


def test_every_container_is_locked_down(made: Synthesized, rich: Synthesized) -> None:
    for found in (*all_containers(made), *all_containers(rich)):
        assert found["ReadonlyRootFilesystem"] is True
        assert found["User"] == "10001:10001"
        assert found["LinuxParameters"]["Capabilities"] == {"Drop": ["ALL"]}
        assert found["LinuxParameters"]["InitProcessEnabled"] is True
        assert not found.get("Privileged")
        assert not found.get("PortMappings")


def test_secrets_are_written_by_the_controller_and_read_by_the_worker(made: Synthesized) -> None:
    mounts = {
        name: {m["ContainerPath"]: m["ReadOnly"] for m in container(made, name)["MountPoints"]}
        for name in ("connect", "controller")
    }
    assert mounts == {
        "connect": {"/run/wms-secrets": True, "/run/wms-evidence": False, TMP: False},
        "controller": {"/run/wms-secrets": False, "/run/wms-evidence": True, TMP: False},
    }
    sources = {
        (name, m["ContainerPath"]): m["SourceVolume"]
        for name in ("connect", "controller")
        for m in container(made, name)["MountPoints"]
    }
    assert sources["connect", TMP] != sources["controller", TMP]


def test_images_are_known_by_digest(made: Synthesized) -> None:
    for name, letter in (("connect", "b"), ("controller", "a")):
        image = flat(container(made, name)["Image"])
        assert image.endswith(f"/wms-connector/{name}@sha256:{letter * 64}")


def test_each_container_has_its_own_encrypted_log(made: Synthesized, rich: Synthesized) -> None:
    for one in (made, rich):
        groups = [
            c["LogConfiguration"]["Options"]["awslogs-group"]["Ref"] for c in all_containers(one)
        ]
        assert len(set(groups)) == len(groups)
        for found in all_containers(one):
            options = found["LogConfiguration"]["Options"]
            assert (options["mode"], options["max-buffer-size"]) == ("non-blocking", "26214400b")


def test_sizes_are_the_stages_own(made: Synthesized) -> None:
    sizes = get_environment_config(Stage(made.stage))
    task = definition(made)
    assert (task["Cpu"], task["Memory"]) == (str(sizes.task_cpu), str(sizes.task_memory))
    assert container(made, "connect")["Memory"] == sizes.connect_container_memory
    assert sum(c["Memory"] for c in task["ContainerDefinitions"]) <= sizes.task_memory
    assert sum(c["Cpu"] for c in task["ContainerDefinitions"]) <= sizes.task_cpu
    heap = variables(made, "connect")["WMS_CONNECT_HEAP"]
    assert heap == f"-Xms{sizes.heap}m -Xmx{sizes.heap}m"


def test_no_credential_is_in_anything_that_is_written(made: Synthesized, rich: Synthesized) -> None:
    planted = [BROKERS, BROKERS.split(":")[0], PASSWORD, "cdc"]
    for one in (made, rich):
        files = [f for f in one.folder.rglob("*") if f.is_file()]
        assert files
        for text in planted[:3]:
            assert not [f for f in files if text.encode() in f.read_bytes()]
        assert "Secrets" not in str([c.get("Secrets") and "Secrets" for c in all_containers(one)])


# --- settings -----------------------------------------------------------------------------------


def test_the_controller_understands_every_variable_it_gets(made: Synthesized) -> None:
    given = variables(made, "controller")
    assert unknown_settings(given) == ()
    settings = read_settings(given)
    assert settings.leased
    assert settings.state_table
    assert str(settings.manifests_s3).startswith("s3://")
    assert settings.stage == made.stage
    assert (settings.repository, settings.branch) == ("example/wms-connector", made.stage)
    assert settings.kafka_security == "iam"
    assert str(settings.secrets_root) == "/run/wms-secrets"


def test_the_worker_understands_every_variable_it_gets(
    made: Synthesized, rich: Synthesized
) -> None:
    entrypoint = (Path(__file__).parents[2] / "connect" / "entrypoint.sh").read_text()
    for one in (made, rich):
        names = [name for name in variables(one, "connect") if name.startswith("WMS_")]
        assert [name for name in names if f"{{{name}:" not in entrypoint] == []


def test_both_sides_agree_on_where_things_are(made: Synthesized) -> None:
    worker, controller = variables(made, "connect"), variables(made, "controller")
    for name in ("WMS_STAGE", "WMS_SECRETS_ROOT", "WMS_KAFKA_SECURITY"):
        assert worker[name] == controller[name]
    assert worker["WMS_CONNECT_EVIDENCE"] == controller["WMS_EVIDENCE_FILE"]


def test_brokers_that_want_a_login_are_reached_at_their_own_port(scram: Synthesized) -> None:
    for name in ("connect", "controller"):
        assert variables(scram, name)["WMS_KAFKA_SECURITY"] == "scram"
    ports = {rule[2] for rule in rules(scram.connector, "Egress")}
    assert ports == {443, 1521, 1522, 9096}
    assert "PASSWORD" not in str(all_containers(scram))


def test_a_single_worker_listens_on_loopback_only(made: Synthesized) -> None:
    assert variables(made, "connect")["WMS_CONNECT_LISTEN"] == "127.0.0.1"


def test_only_a_worker_that_another_can_stand_in_for_is_waited_for(
    made: Synthesized, rich: Synthesized
) -> None:
    assert variables(made, "connect")["WMS_CONNECT_REBALANCE_DELAY_MS"] == "0"
    assert variables(rich, "connect")["WMS_CONNECT_REBALANCE_DELAY_MS"] == "60000"


def test_workers_of_a_pair_listen_to_each_other(rich: Synthesized) -> None:
    assert variables(rich, "connect")["WMS_CONNECT_LISTEN"] == "0.0.0.0"
    [service] = resources(rich.connector, "AWS::ECS::Service").values()
    assert service["DesiredCount"] == 2


def test_a_collector_fits_and_is_not_essential(rich: Synthesized) -> None:
    found = container(rich, "metrics")
    assert found["Essential"] is False
    assert "@sha256:" in found["Image"]
    assert sum(c["Memory"] for c in definition(rich)["ContainerDefinitions"]) <= 3072


def test_the_collector_reads_both_and_writes_to_the_workspace(rich: Synthesized) -> None:
    import yaml

    text = variables(rich, "metrics")["AOT_CONFIG_CONTENT"]
    config = yaml.safe_load(text)
    [job] = config["receivers"]["prometheus"]["config"]["scrape_configs"]
    assert job["static_configs"][0]["targets"] == ["127.0.0.1:9090", "127.0.0.1:9404"]
    endpoint = config["exporters"]["prometheusremotewrite"]["endpoint"]
    assert endpoint.endswith("/workspaces/ws-0a0a/api/v1/remote_write")
    assert variables(rich, "connect")["WMS_CONNECT_METRICS"] == "127.0.0.1:9404"
    assert collector_config.__doc__


# --- the service --------------------------------------------------------------------------------


def test_the_service_stops_before_it_starts_and_goes_back_on_failure(made: Synthesized) -> None:
    [service] = resources(made.connector, "AWS::ECS::Service").values()
    assert service["DeploymentConfiguration"] == {
        "DeploymentCircuitBreaker": {"Enable": True, "Rollback": True},
        "MaximumPercent": 100,
        "MinimumHealthyPercent": 0,
    }
    assert service["PlatformVersion"] == "1.4.0"
    assert service["LaunchType"] == "FARGATE"
    assert service["AvailabilityZoneRebalancing"] == "DISABLED"
    assert service["PropagateTags"] == "SERVICE"
    assert service["EnableECSManagedTags"] is True
    assert service["EnableExecuteCommand"] is False
    assert service["DesiredCount"] == 1


def test_a_step_over_a_minor_version_is_deployed_without_workers_and_does_not_go_back(
    scram: Synthesized,
) -> None:
    [service] = resources(scram.connector, "AWS::ECS::Service").values()
    breaker = service["DeploymentConfiguration"]["DeploymentCircuitBreaker"]
    assert breaker == {"Enable": True, "Rollback": False}
    assert service["DesiredCount"] == 0


def test_the_cluster_is_watched(made: Synthesized) -> None:
    [cluster] = resources(made.connector, "AWS::ECS::Cluster").values()
    assert cluster["ClusterSettings"] == [{"Name": "containerInsights", "Value": "enhanced"}]


def test_health_checks_are_within_what_fargate_takes(made: Synthesized) -> None:
    for found in definition(made)["ContainerDefinitions"]:
        check = found["HealthCheck"]
        assert 5 <= check["Interval"] <= 300
        assert 2 <= check["Timeout"] <= 60
        assert 1 <= check["Retries"] <= 10
        assert 0 <= check["StartPeriod"] <= 300
        assert 2 <= found["StopTimeout"] <= 120


# --- the health checks, run ---------------------------------------------------------------------


@contextmanager
def answering(status: int) -> Iterator[int]:
    class Answer(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status)
            self.end_headers()
            self.wfile.write(b"{}")

        def log_message(self, *_arguments: Any) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Answer)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield server.server_address[1]
    finally:
        server.shutdown()
        thread.join(10)
        server.server_close()


def worker_health(root: Path, port: int) -> bool:
    script = WORKER_HEALTH.replace("/run/wms-secrets", str(root)).replace("/8083", f"/{port}")
    done = subprocess.run(["bash", "-c", script], capture_output=True, check=False, timeout=15)
    return done.returncode == 0


def controller_health(port: int) -> bool:
    script = CONTROLLER_HEALTH.replace(":8080", f":{port}")
    done = subprocess.run(["python3", "-c", script], capture_output=True, check=False, timeout=15)
    return done.returncode == 0


@pytest.fixture
def ready(tmp_path: Path) -> Path:
    (tmp_path / "ready").write_text("b-1:9098")
    return tmp_path


@pytest.mark.parametrize(("status", "healthy"), [(200, True), (500, False), (503, False)])
def test_a_worker_is_as_healthy_as_it_says(ready: Path, status: int, healthy: bool) -> None:
    with answering(status) as port:
        assert worker_health(ready, port) is healthy


def test_a_worker_that_does_not_listen_is_ill(ready: Path) -> None:
    with answering(200) as port:
        pass
    assert not worker_health(ready, port)


def test_a_worker_that_waits_for_its_secrets_is_left_waiting(tmp_path: Path) -> None:
    with answering(500) as port:
        assert worker_health(tmp_path, port)


@pytest.mark.parametrize(("status", "healthy"), [(200, True), (503, False)])
def test_a_controller_is_as_healthy_as_it_says(status: int, healthy: bool) -> None:
    with answering(status) as port:
        assert controller_health(port) is healthy


def test_the_health_checks_are_the_ones_in_the_task(made: Synthesized) -> None:
    worker = container(made, "connect")["HealthCheck"]["Command"]
    controller = container(made, "controller")["HealthCheck"]["Command"]
    assert worker == ["CMD", "bash", "-c", WORKER_HEALTH]
    assert controller == ["CMD", "python3", "-c", CONTROLLER_HEALTH]


def test_what_is_in_a_template_is_json_without_surprises(made: Synthesized) -> None:
    assert json.loads(json.dumps(made.connector)) == made.connector
