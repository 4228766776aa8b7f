"""What holds for every resource, whoever made it: IAM path, permissions boundary, tags, removal."""

from __future__ import annotations

from typing import Any, Final

import aws_cdk as cdk
import jsii
from constructs import IConstruct

from infra_cdk.environment_config import FullEnvironmentConfig
from infra_cdk.jars import debezium_version
from infra_cdk.tags import BRANCH_TAG, DEBEZIUM_TAG, REPOSITORY_TAG, STAGE_TAG

QUALIFIER: Final = "one"

_PRINCIPALS: Final = ("AWS::IAM::Role", "AWS::IAM::User")
_PATHED: Final = (*_PRINCIPALS, "AWS::IAM::ManagedPolicy", "AWS::IAM::Group")


@jsii.implements(cdk.IAspect)
class IamGovernance:
    """Puts path and boundary on every principal, those that the CDK itself makes included."""

    def __init__(self, path: str, boundary: str) -> None:
        self._path = path
        self._boundary = boundary

    def visit(self, node: IConstruct) -> None:
        if not cdk.CfnResource.is_cfn_resource(node):
            return
        resource: Any = node
        if resource.cfn_resource_type in _PATHED:
            resource.add_property_override("Path", self._path)
        if resource.cfn_resource_type in _PRINCIPALS:
            resource.add_property_override("PermissionsBoundary", self._boundary)


def govern(app: cdk.App, config: FullEnvironmentConfig) -> None:
    cdk.Aspects.of(app).add(IamGovernance(config.iam_path, config.iam_permissions_boundary))
    for key, value in stage_tags(config).items():
        cdk.Tags.of(app).add(key, value)


def stage_tags(config: FullEnvironmentConfig) -> dict[str, str]:
    """Say whose it is, on resources and on the stacks themselves: pipelines read the stacks'."""
    return {
        "Project": "wms-connector",
        STAGE_TAG: config.stage.name,
        REPOSITORY_TAG: config.source.repository,
        BRANCH_TAG: config.source.branch,
        DEBEZIUM_TAG: debezium_version(),
    }


def removal_policy(config: FullEnvironmentConfig) -> cdk.RemovalPolicy:
    """Named stages keep their data whatever happens to the stack; a branch leaves nothing.

    But for a creation that is rolled back (RetainExceptOnCreate): it would leave names taken that
    the next try needs.
    """
    if config.stage.named:
        return cdk.RemovalPolicy.RETAIN_ON_UPDATE_OR_DELETE
    return cdk.RemovalPolicy.DESTROY


def stack_arguments(config: FullEnvironmentConfig, name: str) -> dict[str, object]:
    return {
        "stack_name": name,
        "env": cdk.Environment(account=config.account, region=config.region),
        "synthesizer": cdk.DefaultStackSynthesizer(qualifier=QUALIFIER),
        "termination_protection": config.stage.named,
        "analytics_reporting": False,
        # Tags.of() reaches resources only: cdk.json has explicitStackTags on.
        "tags": stage_tags(config),
    }
