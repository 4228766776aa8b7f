"""Secrets Manager of the local stack: the mock server as a process, spoken to over HTTP."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Final

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError

from devstack.environment import StackError
from devstack.port import LOOPBACK, free_port, listens
from devstack.process import Child, Command, Nursery, base_env

if TYPE_CHECKING:
    from mypy_boto3_secretsmanager import SecretsManagerClient

REGION: Final = "us-east-1"
ACCESS_KEY: Final = "local"
_SECONDS: Final = 60.0


class Aws:
    """Its memory is the process's: a stop forgets all secrets."""

    def __init__(self, nursery: Nursery, folder: Path) -> None:
        self._nursery = nursery
        self._folder = folder
        self._child: Child | None = None
        self._client: SecretsManagerClient | None = None
        self.port = free_port()

    @property
    def url(self) -> str:
        return f"http://{LOOPBACK}:{self.port}"

    @property
    def alive(self) -> bool:
        return self._child is not None and self._child.alive

    @property
    def child(self) -> Child:
        if self._child is None:
            raise StackError("the mock of AWS is stopped")
        return self._child

    def start(self) -> None:
        if self.alive:
            return
        self._folder.mkdir(parents=True, exist_ok=True)
        argv = (sys.executable, "-m", "devstack.aws_server", str(self.port))
        self._child = self._nursery.start("aws", Command(argv, base_env(), self._folder))
        self._child.wait_ready(lambda: listens(self.port), _SECONDS)

    def stop(self) -> None:
        if self._child is not None:
            self._nursery.stop(self._child, grace=3)
            self._child = None

    def environment(self) -> dict[str, str]:
        """What a client needs to speak to this server and to no other."""
        return {
            "AWS_ENDPOINT_URL": self.url,
            "AWS_REGION": REGION,
            "AWS_DEFAULT_REGION": REGION,
            "AWS_ACCESS_KEY_ID": ACCESS_KEY,
            "AWS_SECRET_ACCESS_KEY": ACCESS_KEY,
            "AWS_EC2_METADATA_DISABLED": "true",
        }

    def secrets_manager(self) -> SecretsManagerClient:
        if self._client is None:
            self._client = boto3.session.Session().client(
                "secretsmanager",
                endpoint_url=self.url,
                region_name=REGION,
                aws_access_key_id=ACCESS_KEY,
                aws_secret_access_key=ACCESS_KEY,
                config=Config(
                    connect_timeout=2, read_timeout=10, retries={"total_max_attempts": 2}
                ),
            )
        return self._client

    def put_secret(self, path: str, value: Mapping[str, str] | str) -> str:
        """Make the secret, or give it a new current version; the version's id."""
        text = value if isinstance(value, str) else json.dumps(dict(value))
        client = self.secrets_manager()
        try:
            return client.create_secret(Name=path, SecretString=text)["VersionId"]
        except ClientError as error:
            if error.response.get("Error", {}).get("Code") != "ResourceExistsException":
                raise
        return client.put_secret_value(SecretId=path, SecretString=text)["VersionId"]

    def rotate_secret(self, path: str, changes: Mapping[str, str]) -> str:
        """A new current version with these fields changed; the version's id."""
        current = self.secrets_manager().get_secret_value(SecretId=path)["SecretString"]
        return self.put_secret(path, json.loads(current) | dict(changes))

    def current_version(self, path: str) -> str:
        return self.secrets_manager().get_secret_value(SecretId=path)["VersionId"]

    def delete_secret(self, path: str, *, at_once: bool = True) -> None:
        """Not at once: marked for deletion, as a person's mistake in the console would."""
        self.secrets_manager().delete_secret(SecretId=path, ForceDeleteWithoutRecovery=at_once)
