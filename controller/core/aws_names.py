"""Names of what a stage has on AWS; each is derived from the stage and nothing else."""

from __future__ import annotations

from dataclasses import dataclass

from controller.core.stage import Stage


@dataclass(frozen=True, slots=True)
class AwsNames:
    """All names of one stage; no two stages share one, and none is longer than AWS allows."""

    stage: Stage

    @property
    def connector_stack(self) -> str:
        return self.stage.service

    @property
    def alerts_stack(self) -> str:
        return f"wms-alerts-{self.stage.name}"

    @property
    def alerts_topic(self) -> str:
        return self.alerts_stack

    @property
    def cluster(self) -> str:
        return self.stage.service

    @property
    def state_table(self) -> str:
        return f"{self.stage.service}-state"

    @property
    def dashboard(self) -> str:
        return self.stage.service

    def manifests_bucket(self, account: str) -> str:
        """The account is part of it: bucket names are the world's, and at most 63 long."""
        return f"wms-{self.stage.name}-manifests-{account}"

    def log_group(self, container: str) -> str:
        return f"/{self.stage.service}/{container}"

    @property
    def insights_log(self) -> str:
        """The name that Container Insights gives a cluster's log group; ECS takes no other."""
        return f"/aws/ecs/containerinsights/{self.cluster}/performance"

    @property
    def roles(self) -> tuple[str, ...]:
        """Every role that the stack makes; a branch has two more, to be torn down."""
        teardown = () if self.stage.named else ("teardown", "teardown-start")
        return tuple(self.role(purpose) for purpose in ("execution", "task", *teardown))

    def role(self, purpose: str) -> str:
        return f"{self.stage.service}-{purpose}"  # at most 64 long

    def alarm(self, name: str) -> str:
        return f"{self.stage.service}-{name}"
