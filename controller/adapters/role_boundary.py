"""The permissions boundary of a role, as IAM says it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from controller.core.aws_faults import aws_fault
from controller.core.faults import Fault
from controller.core.model import ABSENT, Absent, Unknown
from controller.core.protection import Boundary


class RoleBoundaries:
    """Reads with the caller's own identity; a role that is not there is not without boundary."""

    def __init__(
        self, make: Callable[[], Any], region: str | None, *, scrub: Callable[[str], str]
    ) -> None:
        self._make = make
        self._region = region
        self._scrub = scrub

    def boundary_of(self, role: str) -> Boundary | Absent | Unknown:
        from botocore.exceptions import BotoCoreError, ClientError

        try:
            return self._read(role)
        except ClientError as error:
            told = error.response.get("Error", {})
            return self._unseen(str(told.get("Code", "")), str(told.get("Message", "")))
        except (BotoCoreError, ValueError) as error:
            return self._unseen(type(error).__name__, str(error))

    def _read(self, role: str) -> Boundary | Absent:
        client = self._make()
        found = client.get_role(RoleName=role)["Role"]
        arn = found.get("PermissionsBoundary", {}).get("PermissionsBoundaryArn")
        if arn is None:
            return ABSENT
        version = client.get_policy(PolicyArn=arn)["Policy"]["DefaultVersionId"]
        answer = client.get_policy_version(PolicyArn=arn, VersionId=version)
        account = str(found["Arn"]).split(":")[4]
        document = answer["PolicyVersion"]["Document"]
        return Boundary(str(arn), document, f"{self._region}:{account}")

    def _unseen(self, code: str, said: str) -> Unknown:
        fault: Fault = aws_fault("Role", code, self._scrub(f"{code}: {said}"))
        return Unknown(fault)
