"""Every knob of the process, read once from the environment (`WMS_...`) and frozen."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from ipaddress import ip_address
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

PREFIX: Final = "WMS_"
ECS_METADATA: Final = "ECS_CONTAINER_METADATA_URI_V4"


class BadSetting(ValueError):
    """A setting that cannot be used; names the variable and what to do."""


@dataclass(frozen=True, slots=True)
class Settings:
    """All knobs with their defaults; each can be given as `WMS_` and its name in capitals."""

    stage: str | None = None
    """Which stage this process is; required."""

    overlay: str | None = None
    """Folder under manifests/stages/; by default the stage's own, else `ephemeral`."""

    manifests: Path = Path("manifests")
    """Folder with base/ and stages/."""

    manifests_commit: str | None = None
    """Commit of the manifests, where the folder is no git work tree."""

    manifests_author: str | None = None
    """Who wrote that commit, as NAME <EMAIL>; by default git says it, if nothing was edited."""

    connect_url: str = "http://127.0.0.1:8083"
    """Kafka Connect's REST API."""

    broker_string: str | None = None
    """Bootstrap brokers, where they are no secret; else the secret brokerString is read."""

    kafka_security: str = "plaintext"
    """plaintext, tls, scram or iam: the same word as the worker's."""

    kafka_username: str | None = None
    """For SCRAM, where it is no secret."""

    kafka_password: str | None = None
    """For SCRAM, on one's own machine; never printed. Elsewhere the secret below is read."""

    kafka_secret: str = "kafkaLogin"  # noqa: S105 - a name
    """For SCRAM: name of the secret with user and password."""

    kafka_ca_location: str | None = None
    """File with the CA of the brokers; by default the system's."""

    aws_region: str = "us-east-1"
    """Region of Secrets Manager and of MSK."""

    aws_endpoint_url: str | None = None
    """Another address for AWS, as the mock server's."""

    secret_prefix: str = "wms"  # noqa: S105 - a path
    """First part of every secret's path."""

    broker_secret: str = "brokerString"  # noqa: S105 - a name
    """Name of the secret with the bootstrap brokers."""

    secrets_root: Path = Path("/run/wms-secrets")
    """Volume shared with the worker; the same path on both sides."""

    state_file: Path = Path("/var/lib/wms-connector/state.json")
    """What is remembered between cycles."""

    state_table: str | None = None
    """DynamoDB table that is used instead of the file, as the stack makes it."""

    manifests_s3: str | None = None
    """s3://BUCKET/PREFIX/ that is read instead of the folder; `wmsctl manifests push` fills it."""

    repository: str | None = None
    """Whose branch this stage is, as OWNER/NAME; the stack says it."""

    branch: str | None = None
    """That branch; `wmsctl teardown` refuses a stage that another one owns."""

    leadership: str | None = None
    """always, or lease: one of several controllers acts. By default lease with a table."""

    evidence_file: Path | None = None
    """Where the worker leaves its WARN-and-worse lines; read by what judges health."""

    jmx_url: str | None = None
    """Page of the worker's JMX agent, as http://127.0.0.1:9404/metrics; explains the lag."""

    task_metadata_url: str | None = None
    """Metadata endpoint of the ECS task; by default what ECS says in its own variable."""

    cloudwatch: str | None = None
    """off, emf (lines on standard output) or put (PutMetricData); by default emf on ECS."""

    http_host: str = "127.0.0.1"
    """Where /healthz, /readyz and /status listen."""

    http_port: int = 8080
    """Their port; 0 chooses a free one."""

    metrics_host: str = "127.0.0.1"
    """Where /metrics listens."""

    metrics_port: int = 9090
    """Its port; 0 chooses a free one."""

    log_level: str = "INFO"
    """DEBUG, INFO, WARNING or ERROR; clients of other systems stay at INFO."""

    log_format: str = "auto"
    """json, console, or auto: console on a terminal."""

    read_deadline: float = 5.0
    """Seconds for one REST read in total."""

    write_deadline: float = 15.0
    """Seconds for one REST write in total."""

    kafka_deadline: float = 10.0
    """Seconds for one admin call in total."""

    probe_deadline: float = 10.0
    """Seconds for one login attempt in total."""

    cycle_budget: float = 120.0
    """Seconds that one cycle may take before the pulse counts as lost."""

    @property
    def leased(self) -> bool:
        """Whether leadership must be taken before anything is written."""
        if self.leadership not in (None, "always", "lease"):
            raise BadSetting(f"WMS_LEADERSHIP={self.leadership!r}: write always or lease")
        return (self.leadership or ("lease" if self.state_table else "always")) == "lease"

    @property
    def cloudwatch_mode(self) -> str:
        """How CloudWatch is told: off, emf or put."""
        if self.cloudwatch not in (None, "off", "emf", "put"):
            raise BadSetting(f"WMS_CLOUDWATCH={self.cloudwatch!r}: write off, emf or put")
        return self.cloudwatch or ("emf" if self.task_metadata_url else "off")

    @property
    def loopback_only(self) -> bool:
        """Whether Connect, AWS and, where it is set, Kafka are on this machine."""
        addresses = [_host(self.connect_url), _host(self.aws_endpoint_url or "")]
        if self.broker_string is not None:
            addresses += [part.rsplit(":", 1)[0] for part in self.broker_string.split(",")]
            addresses = [a for a in addresses if a] if self.aws_endpoint_url is None else addresses
        return all(is_loopback(address) for address in addresses)

    def __repr__(self) -> str:
        shown = {f.name: getattr(self, f.name) for f in fields(self)}
        shown["kafka_password"] = "***" if self.kafka_password else None
        return f"Settings({', '.join(f'{k}={v!r}' for k, v in shown.items())})"


def is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def read_settings(environment: Mapping[str, str] | None = None, **given: Any) -> Settings:
    """Read the environment; what is `given` (command line options) wins over it."""
    source = _environment() if environment is None else environment
    found: dict[str, Any] = {}
    for field in fields(Settings):
        name = f"{PREFIX}{field.name.upper()}"
        text = source.get(name)
        if text is not None:
            found[field.name] = _convert(name, str(field.type), text)
    if source.get(ECS_METADATA):
        found.setdefault("task_metadata_url", source[ECS_METADATA])
    found.update({key: value for key, value in given.items() if value is not None})
    return Settings(**found)


def unknown_settings(environment: Mapping[str, str] | None = None) -> tuple[str, ...]:
    """List `WMS_` variables that mean nothing here: most often a typing error."""
    source = _environment() if environment is None else environment
    known = {f"{PREFIX}{field.name.upper()}" for field in fields(Settings)}
    return tuple(sorted(name for name in source if name.startswith(PREFIX) and name not in known))


def _convert(name: str, kind: str, text: str) -> Any:
    try:
        return _CONVERTERS[kind.removesuffix(" | None")](text)
    except ValueError as error:
        raise BadSetting(f"{name}={text!r} is no {kind}: correct the variable") from error


def _environment() -> Mapping[str, str]:
    return os.environ  # noqa: TID251 - here, and nowhere else


def _host(url: str) -> str:
    return urlsplit(url).hostname or ""


_CONVERTERS: Final[Mapping[str, Callable[[str], Any]]] = {
    "str": str,
    "int": int,
    "float": float,
    "Path": Path,
}
