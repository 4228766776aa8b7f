"""A broker with every kind of listener, access control, and auto-creation switched on."""

from __future__ import annotations

import datetime as dt
import ipaddress
import json
import time
from base64 import urlsafe_b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from confluent_kafka.admin import (
    AclBinding,
    AclOperation,
    AclPermissionType,
    AdminClient,
    ResourcePatternType,
    ResourceType,
    ScramCredentialInfo,
    ScramMechanism,
    UserScramCredentialUpsertion,
)
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from devstack.broker import Broker
from devstack.jars import provide
from devstack.port import LOOPBACK, free_port
from devstack.process import Nursery

USER = "controller"
PASSWORD = "correct-horse-7"
ALLOWED = "allowed."  # topics with this prefix are the user's; all others are not
SHOWN = "shown."  # those it may only look at

_PROPERTIES = """
listeners=PLAINTEXT://{host}:{plain},CONTROLLER://{host}:{quorum},TLS://{host}:{tls},SCRAM://{host}:{scram},IAM://{host}:{iam}
advertised.listeners=PLAINTEXT://{host}:{plain},CONTROLLER://{host}:{quorum},TLS://{host}:{tls},SCRAM://{host}:{scram},IAM://{host}:{iam}
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT,TLS:SSL,SCRAM:SASL_SSL,IAM:SASL_SSL
ssl.keystore.type=PEM
ssl.keystore.location={keystore}
listener.name.scram.sasl.enabled.mechanisms=SCRAM-SHA-512
listener.name.scram.scram-sha-512.sasl.jaas.config=org.apache.kafka.common.security.scram.ScramLoginModule required;
listener.name.iam.sasl.enabled.mechanisms=OAUTHBEARER
listener.name.iam.oauthbearer.sasl.jaas.config=org.apache.kafka.common.security.oauthbearer.OAuthBearerLoginModule required unsecuredLoginStringClaim_sub="broker";
authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer
super.users=User:ANONYMOUS
auto.create.topics.enable=true
"""  # noqa: E501 - properties have no continuation that is easier to read


@dataclass
class GuardedBroker:
    broker: Broker
    ca: Path
    tls: str
    scram: str
    iam: str

    @property
    def plain(self) -> str:
        return self.broker.bootstrap

    def hand(self) -> AdminClient:
        """A person with every right, beside the code under test."""
        return AdminClient({"bootstrap.servers": self.plain, "client.id": "hand"})


@contextmanager
def guarded_broker(folder: Path) -> Iterator[GuardedBroker]:
    nursery = Nursery(folder / "logs")
    try:
        broker = Broker(nursery, provide(), folder / "broker")
        broker.format()
        ca, keystore = make_certificates(folder)
        properties = folder / "broker" / "broker.properties"
        written = properties.read_text(encoding="utf-8")
        quorum = written.partition("controller.quorum.voters=1@")[2].split()[0]
        ports = {name: free_port() for name in ("tls", "scram", "iam")}
        more = _PROPERTIES.format(
            host=LOOPBACK,
            plain=broker.port,
            quorum=quorum.rpartition(":")[2],
            keystore=keystore,
            **ports,
        )
        properties.write_text(written + more, encoding="utf-8")
        broker.start()
        addresses = {name: f"{LOOPBACK}:{port}" for name, port in ports.items()}
        guarded = GuardedBroker(broker, ca, **addresses)
        _admit(guarded.hand())
        yield guarded
    finally:
        nursery.close()


def _admit(hand: AdminClient) -> None:
    credential = ScramCredentialInfo(ScramMechanism.SCRAM_SHA_512, 4096)
    upsertion = UserScramCredentialUpsertion(USER, credential, PASSWORD.encode())
    hand.alter_user_scram_credentials([upsertion])[USER].result(15)
    for prefix, operation in ((ALLOWED, AclOperation.ALL), (SHOWN, AclOperation.DESCRIBE)):
        binding = AclBinding(
            ResourceType.TOPIC,
            prefix,
            ResourcePatternType.PREFIXED,
            f"User:{USER}",
            "*",
            operation,
            AclPermissionType.ALLOW,
        )
        hand.create_acls([binding])[binding].result(15)


def unsigned_token(subject: str, seconds: float) -> tuple[str, int]:
    """What a signer answers: a token that Kafka's own development validator accepts."""
    now = time.time()
    head = {"alg": "none"}
    claims = {"sub": subject, "iat": now, "exp": now + seconds}
    parts = [urlsafe_b64encode(json.dumps(part).encode()).decode() for part in (head, claims)]
    return ".".join(part.rstrip("=") for part in parts) + ".", int((now + seconds) * 1000)


def make_certificates(folder: Path) -> tuple[Path, Path]:
    """A broker's certificate, and the same with its key, both as PEM."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "broker")])
    now = dt.datetime.now(tz=dt.UTC)  # noqa: TID251 - a certificate is about real time
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address(LOOPBACK))]),
            critical=False,
        )
        .sign(key, hashes.SHA256())
    ).public_bytes(serialization.Encoding.PEM)
    private = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    ca, keystore = folder / "ca.pem", folder / "keystore.pem"
    ca.write_bytes(certificate)
    keystore.write_bytes(private + certificate)
    return ca, keystore
