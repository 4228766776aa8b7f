"""What a template says of rights and network, and what is wrong with it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

Template = Mapping[str, Any]


def flat(value: Any) -> str:
    """Write an intrinsic as text; a resource of the template stands in angle brackets."""
    match value:
        case str():
            return value
        case {"Ref": "AWS::Partition"}:
            return "aws"
        case {"Ref": str() as name}:
            return f"<{name}>"
        case {"Fn::GetAtt": [str() as name, str() as attribute]}:
            return f"<{name}.{attribute}>"
        case {"Fn::Join": [str() as glue, [*parts]]}:
            return glue.join(flat(part) for part in parts)
    raise AssertionError(f"unknown intrinsic {value!r}")


def many(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def resources(template: Template, kind: str) -> dict[str, Mapping[str, Any]]:
    return {
        name: resource["Properties"]
        for name, resource in template["Resources"].items()
        if resource["Type"] == kind
    }


def statements_of(template: Template, role: str) -> list[Mapping[str, Any]]:
    """All statements of a role that is known by its RoleName."""
    roles = [p for p in resources(template, "AWS::IAM::Role").values() if p["RoleName"] == role]
    assert len(roles) == 1, role
    assert "Policies" not in roles[0]
    names = [flat(arn).strip("<>") for arn in roles[0]["ManagedPolicyArns"]]
    return [
        statement
        for name in names
        for statement in policy_statements(template["Resources"][name]["Properties"])
    ]


def policy_statements(properties: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    return list(properties["PolicyDocument"]["Statement"])


def all_statements(template: Template) -> Iterator[Mapping[str, Any]]:
    for kind in ("AWS::IAM::ManagedPolicy", "AWS::IAM::Policy"):
        for properties in resources(template, kind).values():
            yield from policy_statements(properties)
    for kind in ("AWS::IAM::Role", "AWS::IAM::User"):
        for properties in resources(template, kind).values():
            for policy in properties.get("Policies", ()):
                yield from policy["PolicyDocument"]["Statement"]


def allows(statements: Iterable[Mapping[str, Any]], action: str, resource: str) -> bool:
    """Decide as IAM does, leaving conditions out: an allow, and no denial."""
    hits = [s["Effect"] for s in statements if _applies(s, action, resource)]
    return "Allow" in hits and "Deny" not in hits


def _applies(statement: Mapping[str, Any], action: str, resource: str) -> bool:
    assert "NotAction" not in statement
    if not any(_like(p.lower(), action.lower()) for p in many(statement["Action"])):
        return False
    if "NotResource" in statement:
        return not any(_like(flat(p), resource) for p in many(statement["NotResource"]))
    return any(_like(flat(p), resource) for p in many(statement["Resource"]))


def _like(pattern: str, text: str) -> bool:
    parts = (".*" if char == "*" else "." if char == "?" else re.escape(char) for char in pattern)
    return re.fullmatch("".join(parts), text, re.DOTALL) is not None


# --- what is wrong ------------------------------------------------------------------------------


def ungoverned(template: Template, path: str, boundary: str) -> list[str]:
    """Principals without the boundary, and principals or policies outside the path."""
    wrong = []
    for name, resource in template["Resources"].items():
        properties = resource.get("Properties", {})
        if resource["Type"] in ("AWS::IAM::Role", "AWS::IAM::User"):
            if (properties.get("Path"), properties.get("PermissionsBoundary")) != (path, boundary):
                wrong.append(name)
        elif resource["Type"] == "AWS::IAM::ManagedPolicy" and properties.get("Path") != path:
            wrong.append(name)
        elif resource["Type"] == "AWS::IAM::Policy":
            wrong.append(name)  # an inline policy has no path
    return wrong


def rules(template: Template, direction: str) -> list[tuple[str, str, int, int]]:
    """Security group rules as (group, peer, from, to)."""
    found: list[tuple[str, str, int, int]] = []
    groups = resources(template, "AWS::EC2::SecurityGroup")
    found += [
        (name, *_rule(rule))
        for name, properties in groups.items()
        for rule in properties.get(f"SecurityGroup{direction}", ())
    ]
    found += [
        (flat(properties["GroupId"]), *_rule(properties))
        for properties in resources(template, f"AWS::EC2::SecurityGroup{direction}").values()
    ]
    return found


def _rule(rule: Mapping[str, Any]) -> tuple[str, int, int]:
    peer = next(
        flat(rule[key])
        for key in (
            "CidrIp",
            "CidrIpv6",
            "DestinationSecurityGroupId",
            "DestinationPrefixListId",
            "SourceSecurityGroupId",
        )
        if key in rule
    )
    return peer, int(rule.get("FromPort", -1)), int(rule.get("ToPort", -1))


def open_egress(template: Template) -> list[tuple[str, str, int, int]]:
    return [
        rule
        for rule in rules(template, "Egress")
        if rule[1] in ("0.0.0.0/0", "::/0") or rule[2] != rule[3]
    ] + [
        (name, "default", 0, 65535)
        for name, group in resources(template, "AWS::EC2::SecurityGroup").items()
        if "SecurityGroupEgress" not in group
        and not any(rule[0].startswith(f"<{name}.") for rule in rules(template, "Egress"))
    ]


def delete_rights(template: Template) -> list[Mapping[str, Any]]:
    """Statements that let anybody delete a topic."""
    return [
        statement
        for statement in all_statements(template)
        if statement["Effect"] == "Allow"
        and any(
            _like(pattern.lower(), action)
            for pattern in many(statement["Action"])
            for action in ("kafka-cluster:deletetopic", "kafka:deletetopic")
        )
    ]
