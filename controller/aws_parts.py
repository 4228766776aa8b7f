"""What every process has, and what it reaches through AWS."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from controller.aws_client import make_later
from controller.core.aws_names import AwsNames
from controller.core.faults import Fault
from controller.core.owner import Owner, owner_of
from controller.core.redact import Scrubber
from controller.core.stage import Stage
from controller.settings import Settings
from controller.this_process import on_this_machine

if TYPE_CHECKING:
    from controller.adapters.caller import Caller
    from controller.adapters.manifests_s3 import ManifestBucket
    from controller.adapters.role_boundary import RoleBoundaries
    from controller.ports import Clock, SecretReader, StateStore


@dataclass(frozen=True)
class AwsParts:
    """Each is made when it is first used."""

    settings: Settings
    stage: Stage
    overlay: str
    settle: float = 0.3  # seconds between two reads of the manifests that must agree
    explicit_table: bool = False  # the state table was given and not derived
    acting: bool = False  # False: this process only looks, and takes no lease
    on_request: Callable[[str], None] = lambda _system: None  # told of each REST or admin call

    @cached_property
    def scrubber(self) -> Scrubber:
        """The one growing set of what must never be printed."""
        return Scrubber()

    @cached_property
    def clock(self) -> Clock:
        from controller.adapters.clock import SystemClock

        return SystemClock()

    @cached_property
    def _cloudwatch_client(self) -> Any:
        return self._later("cloudwatch", connect_timeout=3.0)()

    def _later(self, service: str, *, connect_timeout: float) -> Callable[[], Any]:
        settings = self.settings
        return make_later(
            service,
            region=settings.aws_region,
            endpoint_url=settings.aws_endpoint_url,
            connect_timeout=connect_timeout,
            read_timeout=5.0,
        )

    @property
    def owner(self) -> Owner | None:
        return owner_of(self.settings.repository, self.settings.branch)

    @cached_property
    def secrets(self) -> SecretReader:
        from controller.adapters.secrets import SecretsManager, client_factory

        return SecretsManager(
            client_factory(
                region=self.settings.aws_region, endpoint_url=self.settings.aws_endpoint_url
            ),
            remember=self.scrubber.remember,
            scrub=self.scrubber.scrub,
            on_request=lambda _call: self.on_request("secrets"),
        )

    @cached_property
    def store(self) -> StateStore:
        settings = self.settings
        if settings.state_table:
            from controller.adapters.state_dynamodb import StateTable, client_factory

            return StateTable(
                settings.state_table,
                client_factory(region=settings.aws_region, endpoint_url=settings.aws_endpoint_url),
                clock=self.clock,
                scrub=self.scrubber.scrub,
            )
        from controller.adapters.state_file import StateFile

        return StateFile(self.settings.state_file, clock=self.clock)

    @cached_property
    def bucket(self) -> ManifestBucket:
        from controller.adapters.manifests_s3 import ManifestBucket, client_factory

        settings = self.settings
        address = settings.manifests_s3 or self._own_bucket()
        make = client_factory(region=settings.aws_region, endpoint_url=settings.aws_endpoint_url)
        return ManifestBucket(address, self.stage.name, make, scrub=self.scrubber.scrub)

    def _own_bucket(self) -> str:
        """Derive the bucket as the stack names it, from the account we are signed in to."""
        bucket = AwsNames(self.stage).manifests_bucket(self.caller.account)
        return f"s3://{bucket}/manifests/"

    @cached_property
    def caller(self) -> Caller:
        from controller.adapters.caller import ask_caller

        settings = self.settings
        return ask_caller(
            region=settings.aws_region,
            endpoint_url=settings.aws_endpoint_url,
            scrub=self.scrubber.scrub,
        )

    @cached_property
    def boundaries(self) -> RoleBoundaries:
        from controller.adapters.role_boundary import RoleBoundaries

        make = self._later("iam", connect_timeout=2.0)
        return RoleBoundaries(make, self.settings.aws_region, scrub=self.scrubber.scrub)

    @property
    def who(self) -> str:
        """Name the person: by AWS's word where the store is there, else as this machine does."""
        return self.caller.arn if self.settings.state_table else on_this_machine()

    @property
    def who_runs(self) -> str:
        """Name the person or the task; not every task reaches the one who knows its ARN."""
        try:
            return self.who
        except Fault:
            return on_this_machine()
