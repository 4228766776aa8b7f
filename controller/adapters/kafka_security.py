"""How every Kafka client of this process connects, proves itself and logs."""

from __future__ import annotations

import logging
import re
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final, TypeAlias, assert_never

from controller.core.redact import Redacted

Scrub: TypeAlias = Callable[[str], str]
Signer: TypeAlias = Callable[[str], tuple[str, int]]  # region -> token, expiry in milliseconds

_NUMBER: Final = re.compile(r"\d+")
_QUIET_SECONDS: Final = 60.0
_REMEMBERED: Final = 100
_TOKEN_MARGIN: Final = 240.0  # librdkafka asks again when a fifth of 900 s is left: then a new one


class SecurityKind(StrEnum):
    """The words of the setting, and of the worker's own security files."""

    PLAINTEXT = "plaintext"
    TLS = "tls"
    SCRAM = "scram"  # SCRAM-SHA-512 over TLS
    IAM = "iam"  # MSK's IAM: an OAUTHBEARER token over TLS


@dataclass(frozen=True, slots=True)
class KafkaSecurity:
    """What a client shows to the brokers, and what it believes of them."""

    kind: SecurityKind = SecurityKind.PLAINTEXT
    username: Redacted | None = None
    password: Redacted | None = None
    ca_location: str | None = None  # a PEM file or folder; None: the system's own
    region: str | None = None  # of the MSK cluster


def client_config(
    bootstrap: str,
    security: KafkaSecurity,
    client_id: str,
    *,
    scrub: Scrub,
    sign: Signer | None = None,
) -> dict[str, Any]:
    """Answer librdkafka's settings; a secret in them stays Redacted until a client is made."""
    return {
        "bootstrap.servers": bootstrap,
        "client.id": client_id,
        "allow.auto.create.topics": False,  # asking for a topic must never make it
        "log_level": 6,  # INFO; what is below prints what goes over the wire
        "logger": ClientLog(scrub),
        # MSK with IAM takes few new connections a second, and a broker that restarts is back soon.
        "reconnect.backoff.ms": 500,
        "reconnect.backoff.max.ms": 5000,
        "socket.connection.setup.timeout.ms": 5000,
        **_security(security, sign),
    }


def _security(security: KafkaSecurity, sign: Signer | None) -> Mapping[str, Any]:
    tls = {} if security.ca_location is None else {"ssl.ca.location": security.ca_location}
    match security.kind:
        case SecurityKind.PLAINTEXT:
            return {"security.protocol": "PLAINTEXT"}
        case SecurityKind.TLS:
            return {"security.protocol": "SSL", **tls}
        case SecurityKind.SCRAM:
            if security.username is None or security.password is None:
                raise ValueError("SCRAM needs a user name and a password")
            return {
                "security.protocol": "SASL_SSL",
                "sasl.mechanisms": "SCRAM-SHA-512",
                "sasl.username": security.username,
                "sasl.password": security.password,
                **tls,
            }
        case SecurityKind.IAM:
            if security.region is None:
                raise ValueError("IAM needs the region of the cluster")
            return {
                "security.protocol": "SASL_SSL",
                "sasl.mechanisms": "OAUTHBEARER",
                "oauth_cb": TokenSource(security.region, sign or _msk_signer()),
                **tls,
            }
        case _:
            assert_never(security.kind)


def _msk_signer() -> Signer:
    def sign(region: str) -> tuple[str, int]:
        # Imported when used: it brings all of boto3.
        from aws_msk_iam_sasl_signer import MSKAuthTokenProvider

        token, expiry_ms = MSKAuthTokenProvider.generate_auth_token(region)
        return str(token), int(expiry_ms)

    return sign


class TokenSource:
    """Answers a token in librdkafka's form: expiry in seconds since the epoch, not milliseconds."""

    def __init__(self, region: str, sign: Signer) -> None:
        self._region = region
        self._sign = sign
        self._token: tuple[str, float] | None = None
        self._guard = threading.Lock()  # one source serves several clients

    def __call__(self, _settings: str | None = None) -> tuple[str, float]:
        with self._guard:
            if self._token is None or not self._fresh(self._token[1]):
                token, expiry_ms = self._sign(self._region)
                self._token = (token, expiry_ms / 1000)
            return self._token

    def _fresh(self, expiry: float) -> bool:
        return expiry - time.time() > _TOKEN_MARGIN

    def __repr__(self) -> str:
        return f"TokenSource({self._region!r})"


class ClientLog:
    """Takes librdkafka's log lines: scrubbed, never below INFO, each text once a minute.

    A client without it prints to stderr, twenty lines a second while no broker answers.
    """

    def __init__(self, scrub: Scrub, logger: logging.Logger | None = None) -> None:
        self._scrub = scrub
        self._logger = logger or logging.getLogger("librdkafka")
        self._seen: dict[str, float] = {}  # text without its numbers -> when it was last passed on

    def log(self, level: int, message: str, *args: object) -> None:
        """Must never raise: it is called from inside librdkafka's calls."""
        if level < logging.INFO:
            return
        text = message % args if args else message
        if self._is_new(_NUMBER.sub("0", text), time.monotonic()):
            self._logger.log(level, "%s", self._scrub(text))

    def _is_new(self, shape: str, now: float) -> bool:
        if now - self._seen.get(shape, -_QUIET_SECONDS) < _QUIET_SECONDS:
            return False
        if len(self._seen) >= _REMEMBERED:
            self._seen.clear()
        self._seen[shape] = now
        return True
