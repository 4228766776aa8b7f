"""The worker's entrypoint with a stand-in for java, which says how it was called."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from controller.core.lint_table import OVERRIDES
from devstack.environment import REPOSITORY, wait_until
from devstack.jars import provide
from devstack.java import java_home

ENTRYPOINT = REPOSITORY / "connect" / "entrypoint.sh"
SECURITY = ("security.", "sasl.", "reconnect.")
STAND_IN = '#!/bin/sh\necho "java $$"\nprintf "%s\\n" "$@"\n'


# Who runs the tests in the background has SIGINT ignored, and a shell cannot trap what is ignored.
_WITH_SIGINT = (
    "import os, signal, sys; signal.signal(signal.SIGINT, signal.SIG_DFL);"
    " os.execv(sys.argv[1], sys.argv[1:])"
)


@dataclass(frozen=True, slots=True)
class Image:
    folder: Path
    root: Path
    env: dict[str, str]

    def start(self, **settings: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-c", _WITH_SIGINT, str(ENTRYPOINT)],
            env=self.env | settings,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(self, **settings: str) -> tuple[int, str, str]:
        with self.start(**settings) as process:
            out, err = process.communicate(timeout=10)
        return process.returncode, out, err

    def lay_login(self, version: str = "", *, at: float | None = None) -> None:
        """As the controller does: a folder for each version of the secret."""
        folder = self.root / "kafka" / version
        folder.mkdir(parents=True)
        (folder / "user").write_text("wms", encoding="utf-8")
        (folder / "password").write_text("not-in-the-file", encoding="utf-8")
        if at is not None:
            os.utime(folder, (at, at))

    def properties(self) -> dict[str, str]:
        text = (self.folder / "worker.properties").read_text(encoding="utf-8")
        lines = [line for line in text.splitlines() if line and not line.startswith("#")]
        settings = dict(line.split("=", 1) for line in lines)
        assert len(settings) == len(lines), "a setting is given twice"
        return settings


@pytest.fixture
def image(tmp_path: Path) -> Image:
    root = tmp_path / "secrets"
    java = tmp_path / "java" / "bin" / "java"
    root.mkdir()
    java.parent.mkdir(parents=True)
    java.write_text(STAND_IN, encoding="utf-8")
    java.chmod(0o755)
    env = {
        "PATH": os.defpath,
        "JAVA_HOME": str(tmp_path / "java"),
        "WMS_STAGE": "main",
        "WMS_SECRETS_ROOT": str(root),
        "WMS_CONNECT_WORK": str(tmp_path),
    }
    return Image(tmp_path, root, env)


def test_it_waits_for_ready_and_then_becomes_java(image: Image) -> None:
    with image.start() as process:
        assert process.stderr is not None
        assert "waiting for" in process.stderr.readline()
        assert not wait_until(lambda: process.poll() is not None, 0.6)
        (image.root / "ready").write_text("b-1.example:9098,b-2.example:9098\n", encoding="utf-8")
        out, _ = process.communicate(timeout=10)
    assert process.returncode == 0
    assert out.startswith(f"java {process.pid}\n"), "another process than the one that is signalled"
    assert image.properties()["bootstrap.servers"] == "b-1.example:9098,b-2.example:9098"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_the_waiting_at_once(image: Image, number: signal.Signals) -> None:
    with image.start(WMS_CONNECT_PATIENCE_S="5") as process:
        assert process.stderr is not None
        assert "waiting" in process.stderr.readline()
        threading.Event().wait(0.2)
        began = time.monotonic()
        process.send_signal(number)
        assert process.wait(timeout=4) == 128 + number
    assert time.monotonic() - began < 2


@pytest.mark.parametrize(
    "content",
    [
        "broker",
        "broker:port\n",
        "broker:9092;touch harmed\n",
        "$(touch harmed):9092\n",
        "`touch harmed`:9092\n",
        "broker:9092\nsasl.jaas.config=x\n",
        "broker:9092,\n",
        "broker:9092 other:9092\n",
        " broker:9092\n",
        "broker:9092\r\n",
        "@WMS_STAGE@:9092\n",
        "-broker:9092\n",
    ],
)
def test_a_ready_file_that_is_not_one_list_of_brokers_is_refused(
    image: Image, content: str
) -> None:
    (image.root / "ready").write_bytes(content.encode())
    code, out, err = image.run()
    assert code == 64
    assert "host:port" in err
    assert "java" not in out
    assert not (image.folder / "worker.properties").exists()
    assert not list(image.folder.rglob("harmed"))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("WMS_STAGE", "Main"),
        ("WMS_STAGE", "main\n"),
        ("WMS_STAGE", "main\nplugin.path=/tmp"),
        ("WMS_STAGE", ""),
        ("WMS_SECRETS_ROOT", "relative/path"),
        ("WMS_KAFKA_SECURITY", "../security/plaintext"),
        ("WMS_CONNECT_PORT", "8083 "),
        ("WMS_CONNECT_LISTEN", "0.0.0.0,http://x"),
        ("WMS_CONNECT_REPLICATION", "-1"),
        ("WMS_CONNECT_PLUGINS", "/a,b"),
    ],
)
def test_a_setting_of_the_wrong_form_is_refused_by_name(
    image: Image, name: str, value: str
) -> None:
    (image.root / "ready").write_text("broker:9092\n", encoding="utf-8")
    code, out, err = image.run(**{name: value})
    assert code != 0
    assert name in err
    assert "java" not in out


def test_names_are_derived_from_the_stage(image: Image) -> None:
    (image.root / "ready").write_text("broker:9092\n", encoding="utf-8")
    image.run(WMS_STAGE="feat-demo")
    properties = image.properties()
    group = "mgmt.connect.wms-connector-feat-demo"
    assert properties["group.id"] == group
    assert properties["config.storage.topic"] == f"{group}.config"
    assert properties["offset.storage.topic"] == f"{group}.offsets"
    assert properties["status.storage.topic"] == f"{group}.status"


def test_secrets_are_read_from_the_one_folder_only(image: Image) -> None:
    (image.root / "ready").write_text("broker:9092\n", encoding="utf-8")
    image.run()
    properties = image.properties()
    assert properties["config.providers"] == "directory"
    assert properties["config.providers.directory.param.allowed.paths"] == str(image.root)
    assert properties["topic.creation.enable"] == "false"


def test_a_connector_tunes_its_producer_and_neither_redirects_it_nor_loads_classes(
    image: Image,
) -> None:
    (image.root / "ready").write_text("broker:9092\n", encoding="utf-8")
    image.run()
    properties = image.properties()
    assert properties["connector.client.config.override.policy"] == "Allowlist"
    allowed = set(properties["connector.client.config.override.allowlist"].split(","))
    assert allowed == OVERRIDES


@pytest.mark.parametrize("delay", ["0", "60000"])
def test_how_long_a_lost_worker_is_waited_for_is_the_tasks_to_say(image: Image, delay: str) -> None:
    (image.root / "ready").write_text("broker:9092\n", encoding="utf-8")
    image.run(WMS_CONNECT_REBALANCE_DELAY_MS=delay)
    assert image.properties()["scheduled.rebalance.max.delay.ms"] == delay


@pytest.mark.parametrize(
    ("security", "protocol", "keys"),
    [
        ("plaintext", "PLAINTEXT", 1),
        ("tls", "SSL", 1),
        ("scram", "SASL_SSL", 3),
        ("iam", "SASL_SSL", 6),
    ],
)
def test_every_kind_of_client_gets_the_same_security(
    image: Image, security: str, protocol: str, keys: int
) -> None:
    (image.root / "ready").write_text("broker:9092\n", encoding="utf-8")
    image.lay_login()
    image.run(WMS_KAFKA_SECURITY=security)
    properties = image.properties()
    bare = {key: value for key, value in properties.items() if key.startswith(SECURITY)}
    assert len(bare) == keys
    assert bare["security.protocol"] == protocol
    for prefix in ("producer.", "consumer.", "admin."):
        assert {key: properties[prefix + key] for key in bare} == bare


def test_a_scram_password_is_a_reference_and_never_in_the_file(image: Image) -> None:
    (image.root / "ready").write_text("broker:9092\n", encoding="utf-8")
    image.lay_login()
    _, out, _ = image.run(WMS_KAFKA_SECURITY="scram")
    jaas = image.properties()["sasl.jaas.config"]
    assert f'password="${{directory:{image.root}/kafka:password}}"' in jaas
    text = (image.folder / "worker.properties").read_text(encoding="utf-8")
    assert "not-in-the-file" not in text + out


def test_of_several_versions_of_the_brokers_login_the_newest_is_read(image: Image) -> None:
    (image.root / "ready").write_text("broker:9092\n", encoding="utf-8")
    for version, at in (("v1", 1e9), ("v2", 1.5e9), ("v0", 1.2e9)):
        image.lay_login(version, at=at)
    image.run(WMS_KAFKA_SECURITY="scram")
    assert f"{{directory:{image.root}/kafka/v2:user}}" in image.properties()["sasl.jaas.config"]


@pytest.mark.parametrize("missing", ["user", "password", "folder"])
def test_it_does_not_start_without_the_login_that_the_brokers_want(
    image: Image, missing: str
) -> None:
    (image.root / "ready").write_text("broker:9092\n", encoding="utf-8")
    if missing != "folder":
        image.lay_login("v1")
        (image.root / "kafka" / "v1" / missing).unlink()
    code, out, err = image.run(WMS_KAFKA_SECURITY="scram")
    assert code == 64
    assert "for the brokers" in err
    assert "java" not in out


def test_the_properties_are_readable_by_their_owner_only(image: Image) -> None:
    (image.root / "ready").write_text("broker:9092\n", encoding="utf-8")
    image.run()
    assert (image.folder / "worker.properties").stat().st_mode & 0o077 == 0


def test_no_placeholder_is_left(image: Image) -> None:
    (image.root / "ready").write_text("broker:9092\n", encoding="utf-8")
    image.lay_login()
    image.run(WMS_KAFKA_SECURITY="scram")
    assert not [line for line in image.properties().values() if "@" in line]


def test_options_reach_java_as_words(image: Image) -> None:
    (image.root / "ready").write_text("broker:9092\n", encoding="utf-8")
    _, out, _ = image.run(WMS_CONNECT_HEAP="-Xms64m -Xmx128m", WMS_CONNECT_JVM="-Da=* -Db=c")
    words = out.splitlines()
    assert {"-XX:+ExitOnOutOfMemoryError", "-Xms64m", "-Xmx128m", "-Da=*", "-Db=c"} <= set(words)
    assert words[-1] == str(image.folder / "worker.properties")


def test_the_exporter_is_an_agent_only_when_asked_for(image: Image) -> None:
    (image.root / "ready").write_text("broker:9092\n", encoding="utf-8")
    agents = image.folder / "agents"
    agents.mkdir()
    (agents / "jmx_prometheus_javaagent-1.jar").touch()
    _, quiet, _ = image.run(WMS_CONNECT_AGENTS=str(agents))
    _, asked, _ = image.run(WMS_CONNECT_AGENTS=str(agents), WMS_CONNECT_METRICS="127.0.0.1:9404")
    assert "-javaagent" not in quiet
    assert f"-javaagent:{agents}/jmx_prometheus_javaagent-1.jar=127.0.0.1:9404:" in asked


# --- the address of a task ------------------------------------------------------------------------

METADATA = (
    '{"DockerId":"abc-1","Name":"connect","Networks":[{"NetworkMode":"awsvpc",'
    '"IPv4Addresses":["10.20.1.7"],"SubnetGatewayIpv4Address":"10.20.1.1/24"}],"Image":"x"}'
)


@contextmanager
def metadata(*answers: str) -> Iterator[str]:
    """ECS's metadata endpoint; the last answer is given for ever."""
    left = list(answers)

    class Metadata(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = left.pop(0) if len(left) > 1 else left[0]
            self.send_response(200 if self.path == "/v4/abc-1" else 404)
            self.end_headers()
            self.wfile.write(body.encode())

        def log_message(self, *_arguments: object) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Metadata)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}/v4/abc-1"
    finally:
        server.shutdown()
        thread.join(10)
        server.server_close()


@pytest.mark.parametrize("answers", [(METADATA,), ("{}", METADATA)])
def test_a_worker_of_several_is_advertised_by_its_tasks_address(
    image: Image, answers: tuple[str, ...]
) -> None:
    (image.root / "ready").write_text("broker:9092\n", encoding="utf-8")
    with metadata(*answers) as url:
        image.run(
            WMS_CONNECT_LISTEN="0.0.0.0",
            WMS_CONNECT_ADVERTISED_HOST="task",
            ECS_CONTAINER_METADATA_URI_V4=url,
        )
    properties = image.properties()
    assert properties["rest.advertised.host.name"] == "10.20.1.7"
    assert properties["listeners"] == "http://0.0.0.0:8083"


def test_a_task_address_is_asked_for_in_a_task_only(image: Image) -> None:
    (image.root / "ready").write_text("broker:9092\n", encoding="utf-8")
    code, out, err = image.run(WMS_CONNECT_ADVERTISED_HOST="task")
    assert code != 0
    assert "no ECS task" in err
    assert "java" not in out


def test_an_address_that_is_none_is_not_written_into_the_properties(image: Image) -> None:
    (image.root / "ready").write_text("broker:9092\n", encoding="utf-8")
    forged = METADATA.replace("10.20.1.7", "10.20.1.7\\nplugin.path=/tmp")
    with (
        metadata(forged) as url,
        image.start(
            WMS_CONNECT_ADVERTISED_HOST="task", ECS_CONTAINER_METADATA_URI_V4=url
        ) as process,
    ):
        _, err = process.communicate(timeout=40)
    assert process.returncode == 64
    assert "address" in err
    assert not (image.folder / "worker.properties").exists()


@pytest.mark.stack
def test_a_worker_that_is_out_of_memory_ends_instead_of_limping_on(image: Image) -> None:
    jars = provide()
    (image.root / "ready").write_text("127.0.0.1:1\n", encoding="utf-8")
    with image.start(
        JAVA_HOME=str(java_home()),
        WMS_CONNECT_LIBS=str(jars.worker),
        WMS_CONNECT_PLUGINS=str(jars.plugins[0]),
        WMS_CONNECT_EVIDENCE=str(image.folder / "evidence.json"),
        WMS_CONNECT_HEAP="-Xms8m -Xmx8m -XX:+UseSerialGC",
        WMS_KAFKA_SECURITY="plaintext",
    ) as process:
        try:
            out, err = process.communicate(timeout=90)
        finally:
            process.kill()
    assert "OutOfMemoryError" in out + err
    assert process.returncode == 3
