"""Brokers that want TLS and a SCRAM login, with the real worker and the real controller."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from confluent_kafka.admin import (
    ScramCredentialInfo,
    ScramMechanism,
    UserScramCredentialUpsertion,
)
from cryptography import x509
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, pkcs12

from devstack.environment import wait_until
from devstack.jars import provide
from devstack.java import brief_options
from devstack.port import LOOPBACK, free_port
from devstack.rows import read_rows
from devstack.scene import CONNECTOR
from devstack.stack import Stack
from devstack.worker import Worker
from tests.guarded_broker import make_certificates

pytestmark = [pytest.mark.stack, pytest.mark.timeout(240)]
PASSWORD = "planted-broker-password-8d1b"
STORE = "changeit"
TOPIC = "wms.WMS.PLAN_BASE_WVR_TBL"


@dataclass(frozen=True)
class Certificates:
    authority: Path
    keys: Path  # of the broker
    trust: Path  # for a JVM


def write_certificates(folder: Path) -> Certificates:
    authority, keys = make_certificates(folder)
    certificate = x509.load_pem_x509_certificate(authority.read_bytes())
    store = pkcs12.serialize_java_truststore(
        [pkcs12.PKCS12Certificate(certificate, b"broker")], BestAvailableEncryption(STORE.encode())
    )
    trust = folder / "trust.p12"
    trust.write_bytes(store)
    return Certificates(authority, keys, trust)


def secure(stack: Stack, certificates: Certificates) -> str:
    """A listener that wants a login, beside the one of the tests; the brokers' line for it."""
    port = free_port()
    stack.broker.stop()
    file = stack.broker._properties
    text = file.read_text()
    added = {
        "listeners": f"SECURE://{LOOPBACK}:{port}",
        "advertised.listeners": f"SECURE://{LOOPBACK}:{port}",
        "listener.security.protocol.map": "SECURE:SASL_SSL",
    }
    for name, value in added.items():
        line = re.compile(rf"^{re.escape(name)}=.*$", re.MULTILINE)
        text = line.sub(rf"\g<0>,{value}", text)
    text += (
        "inter.broker.listener.name=PLAINTEXT\n"
        "sasl.enabled.mechanisms=SCRAM-SHA-512\n"
        "listener.name.secure.scram-sha-512.sasl.jaas.config="
        "org.apache.kafka.common.security.scram.ScramLoginModule required;\n"
        f"ssl.keystore.location={certificates.keys}\n"
        "ssl.keystore.type=PEM\n"
    )
    file.write_text(text)
    stack.broker.start()
    info = ScramCredentialInfo(ScramMechanism.SCRAM_SHA_512, 8192)
    credential = UserScramCredentialUpsertion("wms", info, PASSWORD.encode())
    client = stack.admin()  # its futures end with it
    for done in client.alter_user_scram_credentials([credential]).values():
        done.result(30)
    return f"{LOOPBACK}:{port}"


@dataclass(frozen=True)
class Secured:
    stack: Stack
    worker: Worker
    line: str
    env: dict[str, str]


@pytest.fixture(scope="module")
def secured(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Secured]:
    certificates = write_certificates(tmp_path_factory.mktemp("scram"))
    with Stack((), ready=False) as stack:
        line = secure(stack, certificates)
        stack.aws.put_secret("wms/default/brokerString", line)
        stack.aws.put_secret("wms/main/kafkaLogin", {"username": "wms", "password": PASSWORD})
        store = "-Djavax.net.ssl.trustStore"
        trust = (f"{store}={certificates.trust}", f"{store}Password={STORE}")
        worker = stack.add_worker(
            wait=False,
            settings={
                "WMS_KAFKA_SECURITY": "scram",
                "WMS_CONNECT_JVM": " ".join((*brief_options("worker", provide()), *trust)),
            },
        )
        env = stack.controller_env(
            worker=worker,
            settings={
                "WMS_KAFKA_SECURITY": "scram",
                "WMS_KAFKA_CA_LOCATION": str(certificates.authority),
            },
        )
        stack.start_controller(env)
        yield Secured(stack, worker, line, env)


def test_the_worker_joins_with_the_login_that_the_controller_delivered(secured: Secured) -> None:
    secured.worker.wait_ready(120)
    properties = secured.worker.root.parent / "worker.properties"
    assert f"bootstrap.servers={secured.line}" in properties.read_text()
    assert "security.protocol=SASL_SSL" in properties.read_text()
    assert PASSWORD not in properties.read_text()


def test_rows_flow_through_brokers_that_want_a_login(secured: Secured) -> None:
    secured.worker.wait_ready(120)
    assert wait_until(lambda: secured.worker._runs(CONNECTOR), 120, every=0.5)
    title = "through SCRAM"
    secured.stack.postgres.insert_waiver("WMS", title=title)
    bootstrap = secured.stack.broker.bootstrap
    rows = read_rows(bootstrap, TOPIC, until=lambda found: title in str(found), seconds=60)
    assert title in str(rows)


def test_the_password_is_in_no_log_no_argument_and_no_config(secured: Secured) -> None:
    secured.worker.wait_ready(120)
    wait_until(lambda: secured.worker._runs(CONNECTOR), 120, every=0.5)
    logs = [path for path in secured.stack.logs.rglob("*.log") if path.name != "aws.log"]
    assert {"worker-main.log", "controller-main.log"} <= {path.name for path in logs}
    assert not [path for path in logs if PASSWORD in path.read_text(errors="replace")]
    command = Path(f"/proc/{secured.worker.child.pid}/cmdline")
    assert PASSWORD.encode() not in command.read_bytes()
    config = secured.worker.request("GET", f"/connectors/{CONNECTOR}/config")
    assert PASSWORD not in str(config)
    state = Path(secured.env["WMS_STATE_FILE"])
    assert PASSWORD not in state.read_text()
