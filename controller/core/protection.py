"""Whether the platform holds back what a branch's own code could grant itself."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

from controller.core.aws_names import AwsNames
from controller.core.faults import Fault
from controller.core.model import Absent, Json, Unknown
from controller.core.stage import NAMED, Stage

ANONYMOUS: Final = ("plaintext", "tls")  # tls here proves the brokers to us, never us to them
ASKING: Final = ("iam", "scram")
LOCAL: Final = "local"
NOBODY: Final = "none"
WRITES: Final = (
    "kafka-cluster:DeleteTopic",
    "kafka-cluster:AlterTopic",
    "kafka-cluster:AlterTopicDynamicConfiguration",
    "kafka-cluster:CreateTopic",
    "kafka-cluster:WriteData",
    "kafka:DeleteTopic",
    "kafka:UpdateTopic",
)
DELETE_CLUSTER: Final = "kafka:DeleteCluster"
SECRET_READS: Final = ("secretsmanager:GetSecretValue",)
SECRET_WRITES: Final = (
    "secretsmanager:CreateSecret",
    "secretsmanager:PutSecretValue",
    "secretsmanager:UpdateSecret",
    "secretsmanager:UpdateSecretVersionStage",
    "secretsmanager:RotateSecret",
    "secretsmanager:DeleteSecret",
    "secretsmanager:PutResourcePolicy",
)
TABLE_WRITES: Final = (
    "dynamodb:PutItem",
    "dynamodb:UpdateItem",
    "dynamodb:DeleteItem",
    "dynamodb:BatchWriteItem",
    "dynamodb:PartiQLInsert",
    "dynamodb:PartiQLUpdate",
    "dynamodb:PartiQLDelete",
    "dynamodb:UpdateTable",
    "dynamodb:UpdateTimeToLive",
    "dynamodb:DeleteTable",
    "dynamodb:PutResourcePolicy",
)
OBJECT_WRITES: Final = ("s3:PutObject", "s3:DeleteObject", "s3:DeleteObjectVersion")
BUCKET_WRITES: Final = (
    "s3:PutBucketPolicy",
    "s3:PutBucketVersioning",
    "s3:PutLifecycleConfiguration",
    "s3:DeleteBucket",
)
_SECRET: Final = "ANY-0a0a0a"  # noqa: S105 - a name, with what AWS appends to it
_MOST_SHOWN: Final = 3

Document = Mapping[str, Any]  # a policy of IAM


def unprotected(security: str, line: str | None) -> str | None:
    """Warn of a cluster that asks nobody who they are; one on this machine is nobody else's."""
    if identity_asked(security, line) != NOBODY:
        return None
    return (
        f"ClusterUnprotected: the brokers ask for no identity ({security}), so IAM says nothing: "
        "whoever reaches them can delete any topic of any stage; only IAM or SCRAM authentication "
        "with ACLs on the cluster change that"
    )


def identity_asked(security: str, line: str | None) -> str | None:
    """Tell what the brokers ask of a client: iam, scram, none; None while no broker is known."""
    if security not in ANONYMOUS:
        return security
    if line is None:
        return None
    hosts = {address.strip().rsplit(":", 1)[0].strip("[]") for address in line.split(",")}
    near = all(host in {"localhost", "::1"} or host.startswith("127.") for host in hosts)
    return LOCAL if near else NOBODY


# --- the boundary of our roles ------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Boundary:
    """The permissions boundary of a role: its ARN, what it says, and region and account."""

    arn: str
    document: Document
    place: str  # as in an ARN: us-east-1:111122223333


@dataclass(frozen=True, slots=True)
class Scope:
    """What of the named stages must be out of reach, besides their secrets, tables and buckets."""

    topics: bool = True  # False: the brokers ask IAM nothing
    secret_prefix: str = "wms"  # noqa: S105 - a path


@dataclass(frozen=True, slots=True)
class Finding:
    """Whether the precondition holds, in one sentence."""

    ok: bool
    message: str


def judge_boundaries(
    stage: Stage, seen: Mapping[str, Boundary | Absent | Unknown], scope: Scope | None = None
) -> Finding:
    """Judge every role of the stage; what could not be seen is no pass."""
    wrong = [
        f"{role} {told}"
        for role, boundary in sorted(seen.items())
        if (told := _what_is_wrong(stage, boundary, scope or Scope())) is not None
    ]
    if wrong or not seen:
        return Finding(False, "; ".join(wrong) or "no role was looked at")
    held = "has a boundary" if stage.named else "has a boundary that keeps what named stages own"
    return Finding(True, f"every role of the stage {held}")


def _what_is_wrong(stage: Stage, boundary: Boundary | Absent | Unknown, scope: Scope) -> str | None:
    match boundary:
        case Absent():
            return "has no permissions boundary"
        case Unknown(fault):
            return _unseen(fault)
        case Boundary(arn, document, place):
            groups = [] if stage.named else list(left_open(document, place, scope))
            shown = [group[0] for group in groups]
            if not shown:
                return None
            rest = sum(map(len, groups)) - len(shown)
            more = f" and {rest} more" if rest else ""
            return f"has a boundary ({arn}) that allows {', '.join(shown)}{more}"


def _unseen(fault: Fault) -> str:
    return f"could not be seen ({fault.reason}: {fault.message})"


def named_topics() -> tuple[str, ...]:
    """One topic of each kind that a named stage has; a data topic stands for all."""
    stages = [Stage(name) for name in NAMED]
    topics = [
        topic
        for stage in stages
        for topic in (
            stage.schema_change_topic,
            stage.schema_history_topic,
            stage.shared_schema_history_topic,
            f"{stage.topic_prefix}.ANY.TABLE",
            stage.heartbeat_topic,
            *stage.connect_topics.values(),
        )
    ]
    return tuple(dict.fromkeys(topics))


def left_open(document: Document, place: str, scope: Scope) -> Iterator[tuple[str, ...]]:
    """Say, by what it is of, what a role with every right would still be let by this boundary."""
    for group in _kept_from_branches(place, scope):
        found = tuple(
            f"{action} on {name}" if name else action
            for name, resource, actions in group
            for action in actions
            if not denies(document, action, resource)
        )
        if found:
            yield found


_Kept: TypeAlias = "tuple[str, str, tuple[str, ...]]"  # what people call it, its ARN, the actions


def _kept_from_branches(place: str, scope: Scope) -> Iterator[list[_Kept]]:
    if scope.topics:
        arn = f"arn:aws:kafka:{place}"
        yield [(topic, f"{arn}:topic/any/any/{topic}", WRITES) for topic in named_topics()]
        yield [("", f"{arn}:cluster/any/any", (DELETE_CLUSTER,))]
    yield list(_secrets(place, scope.secret_prefix))
    names = [AwsNames(Stage(name)) for name in NAMED]
    tables = [one.state_table for one in names]
    yield [(name, f"arn:aws:dynamodb:{place}:table/{name}", TABLE_WRITES) for name in tables]
    buckets = [one.manifests_bucket(place.rpartition(":")[2]) for one in names]
    yield [
        (name, f"arn:aws:s3:::{name}", actions)
        for bucket in buckets
        for name, actions in ((bucket, BUCKET_WRITES), (f"{bucket}/manifests/any", OBJECT_WRITES))
    ]


def _secrets(place: str, prefix: str) -> Iterator[_Kept]:
    """The default secrets are every stage's to read; written, they are the named stages', too."""
    rights = dict.fromkeys(NAMED, (*SECRET_READS, *SECRET_WRITES))
    for owner, actions in {**rights, "default": SECRET_WRITES}.items():
        path = f"{prefix}/{owner}/{_SECRET}"
        yield path, f"arn:aws:secretsmanager:{place}:secret:{path}", actions


def denies(document: Document, action: str, resource: str) -> bool:
    """Decide as IAM does; a condition or a variable is taken for the worse, as it may not hold."""
    statements = _many(document.get("Statement"))
    if any(_applies(s, action, resource, sure=True) for s in statements if s["Effect"] == "Deny"):
        return True
    return not any(
        _applies(s, action, resource, sure=False) for s in statements if s["Effect"] == "Allow"
    )


def _applies(statement: Document, action: str, resource: str, *, sure: bool) -> bool:
    if sure and statement.get("Condition"):
        return False
    asked = (("Action", action.lower()), ("Resource", resource))
    return all(_covers(statement, key, text, sure=sure) for key, text in asked)


def _covers(statement: Document, key: str, text: str, *, sure: bool) -> bool:
    listed, excepted = statement.get(key), statement.get(f"Not{key}")
    if excepted is not None:
        return not any(_like(p, text, variable=sure) for p in _patterns(key, excepted))
    return any(_like(p, text, variable=not sure) for p in _patterns(key, listed))


def _patterns(key: str, value: Any) -> list[str]:
    return [str(one).lower() if key == "Action" else str(one) for one in _many(value)]


def _like(pattern: str, text: str, *, variable: bool) -> bool:
    """Compare as IAM does; `variable` says whether a policy variable may be taken to fit."""
    if "${" in pattern:
        if not variable:
            return False
        pattern = re.sub(r"\$\{[^}]*\}", "*", pattern)
    parts = (".*" if char == "*" else "." if char == "?" else re.escape(char) for char in pattern)
    return re.fullmatch("".join(parts), text, re.DOTALL) is not None


def _many(value: Any) -> list[Any]:
    return [] if value is None else value if isinstance(value, list) else [value]


# --- what the brokers say -----------------------------------------------------------------------


def judge_deletable(deletable: tuple[str, ...] | None) -> Finding:
    """Judge what the brokers answered when the controller asked what it may do there."""
    if deletable is None:
        return Finding(False, "what the brokers let the controller delete could not be seen")
    if deletable:
        shown = ", ".join(deletable[:_MOST_SHOWN])
        return Finding(False, f"the brokers let the controller delete {shown}: ACLs must deny it")
    return Finding(True, "the brokers let the controller delete no topic of a named stage")


def describe_protection(
    security: str, line: str | None, deletable: tuple[str, ...] | None
) -> dict[str, Json]:
    """What a status document says of it; `judge` reads it back."""
    return {
        "identity": identity_asked(security, line),
        "deletable": None if deletable is None else list[Json](deletable),
    }
