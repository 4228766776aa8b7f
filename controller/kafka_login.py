"""The login of brokers that want SCRAM: read from Secrets Manager, laid where the worker finds it.

The worker reads it once, when it starts, and so do our own clients. A new version is taken by the
next task: brokers know several users at once, so the old one goes when the tasks were replaced.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from controller.core.action import RemoveSecretFiles, WriteReady, WriteSecretFiles
from controller.core.faults import Denied
from controller.core.model import Absent, ObservedDisk, SecretVersion, Unknown, VersionKey
from controller.ports import SecretFiles, SecretReader

PATH: Final = "kafka"  # on the volume; the worker's WMS_KAFKA_SCRAM_FOLDER
FIELDS: Final = ("user", "password")


def read_login(secrets: SecretReader, name: str, paths: tuple[str, ...]) -> SecretVersion:
    """Answer the current version of the login; raises a Fault when there is none to use."""
    found = secrets.observe({name: paths}, ())[name]
    if isinstance(found, Unknown):
        raise found.fault
    if isinstance(found, Absent):
        looked = " and ".join(paths)
        raise Denied("SecretMissing", f"there is no secret {looked}: the brokers want a login")
    version = found.current
    missing = [field for field in FIELDS if field not in version.fields]
    if version.problem or missing:
        why = version.problem or f"holds no {' and no '.join(missing)}"
        raise Denied("SecretMalformed", f"{found.path} {why}: the brokers want a login")
    return version


class ReadyWithLogin:
    """The worker's volume on which `ready` never lies without the login of the brokers."""

    def __init__(self, files: SecretFiles, login: Callable[[], SecretVersion]) -> None:
        self._files = files
        self._login = login

    def observe(self) -> ObservedDisk:
        return self._files.observe()

    def apply(self, action: WriteSecretFiles | RemoveSecretFiles | WriteReady) -> None:
        if isinstance(action, WriteReady):
            login = self._login()
            place = VersionKey(PATH, login.key.version_id)
            fields = {field: login.fields[field] for field in FIELDS}
            self._files.apply(WriteSecretFiles(place, fields))
        self._files.apply(action)
