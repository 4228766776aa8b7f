"""Rules of NIST 800-53 R5 and AwsSolutions that are not followed, each with its reason."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

import aws_cdk as cdk
from aws_cdk import aws_iam as iam
from constructs import IConstruct

# Why a statement has a wildcard, by its Sid. One without a reason here cannot be synthesized.
WILDCARDS: Final[Mapping[str, str]] = {
    "RegistryToken": "ecr:GetAuthorizationToken has no resource level.",
    "SecretsInOneCall": (
        "BatchGetSecretValue has no resource level; each secret in the batch needs GetSecretValue, "
        "which is granted by exact name."
    ),
    "NeverDelete": "A denial is as wide as it can be.",
    "OwnTopics": (
        "Captured tables become topics under the stage's own prefix; which, is the manifests' "
        "business. The dot before the wildcard is literal."
    ),
    "SeeAllNames": (
        "A teardown insists on a complete list of topics before it deletes any; names only."
    ),
    "DeleteOwn": "The branch's own topics, by the prefix that no other stage can have.",
    "ReadManifests": "Revisions are objects named by their hash.",
    "WriteManifests": "Revisions are objects named by their hash.",
    "DeleteManifests": "All objects of the branch's own bucket, which goes with its stack.",
    "WatchTeardown": "The task's id is known only when it runs; its cluster is fixed.",
    "OwnLog": "The names of log streams are chosen by Lambda, in one named group.",
}


def acknowledge(construct: IConstruct, rules: Mapping[str, str]) -> None:
    """Record why rules are not followed by one construct."""
    for rule, reason in rules.items():
        cdk.Validations.of(construct).acknowledge(cdk.Acknowledgment(id=rule, reason=reason))


def acknowledge_wildcards(
    policy: iam.ManagedPolicy, statements: Iterable[iam.PolicyStatement]
) -> None:
    """Record the reason of each wildcard resource; wildcard actions have none, so they fail."""
    stack = cdk.Stack.of(policy)
    for statement in statements:
        for resource in statement.resources:
            name = _flat(stack.resolve(resource))
            if "*" in name:
                reason = WILDCARDS[statement.sid or ""]
                acknowledge(policy, {f"AwsSolutions-IAM5[Resource::{name}]": reason})


def _flat(value: object) -> str:
    """Write a template's value as cdk-nag writes it in a finding."""
    match value:
        case str():
            return value
        case {"Fn::Join": [str() as glue, [*parts]]}:
            return glue.join(_flat(part) for part in parts)
        case {"Fn::GetAtt": [str() as resource, str() as attribute]}:
            return f"<{resource}.{attribute}>"
        case {"Ref": str() as resource}:
            return f"<{resource}>"
        case _:
            raise ValueError(f"{value!r} has no name that a finding could be known by")
