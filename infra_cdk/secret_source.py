"""Where the secrets that say where to deploy are read: Secrets Manager, or a file in its place."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Protocol


class UnreadableSecret(RuntimeError):
    """It may exist and could not be read: nothing is taken in its place."""


class SecretSource(Protocol):
    def read(self, path: str) -> str | None:
        """Must answer None only when no such secret exists; any other failure must raise."""
        ...


class FileSecrets:
    """Secrets from a config file's `secrets`; what is written as an object counts as its JSON."""

    def __init__(self, secrets: Mapping[str, Any]) -> None:
        self._secrets = secrets

    def read(self, path: str) -> str | None:
        if path not in self._secrets:
            return None
        value = self._secrets[path]
        return value if isinstance(value, str) else json.dumps(value)


class SecretsManagerSecrets:
    """Secrets from AWS; `client` makes a Secrets Manager client at the first read."""

    def __init__(self, client: Callable[[], Any]) -> None:
        self._client = client

    def read(self, path: str) -> str | None:
        from botocore.exceptions import BotoCoreError, ClientError

        client = self._client()
        try:
            answer = client.get_secret_value(SecretId=path, VersionStage="AWSCURRENT")
        except ClientError as error:
            code = _code(error)
            if code == "ResourceNotFoundException" and not _exists(client, path):
                return None
            raise UnreadableSecret(f"secret {path} could not be read: {code}") from error
        except BotoCoreError as error:
            raise UnreadableSecret(
                f"secret {path} could not be read: {type(error).__name__}"
            ) from error
        text = answer.get("SecretString")
        if not isinstance(text, str):
            raise UnreadableSecret(f"secret {path} holds no text")
        return text


def _exists(client: Any, path: str) -> bool:
    """Tell a secret that has no value yet from none: the answer to reading either is the same."""
    from botocore.exceptions import ClientError

    try:
        client.describe_secret(SecretId=path)
    except ClientError as error:
        if _code(error) == "ResourceNotFoundException":
            return False
        raise UnreadableSecret(f"secret {path} could not be described: {_code(error)}") from error
    return True


def _code(error: Any) -> str:
    return str(error.response.get("Error", {}).get("Code", "unknown"))


def read_config_file(path: Path) -> Mapping[str, Any]:
    """Read a file that stands in for AWS: account, region, images and secrets."""
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UnreadableSecret(f"{path} is not readable as JSON: {error}") from error
    if not isinstance(value, dict):
        raise UnreadableSecret(f"{path} is no JSON object")
    return value
