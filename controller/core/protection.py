"""Whether the platform holds back what a branch's own code could grant itself."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

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
class Finding:
    """Whether the precondition holds, in one sentence."""

    ok: bool
    message: str


def judge_boundaries(stage: Stage, seen: Mapping[str, Boundary | Absent | Unknown]) -> Finding:
    """Judge every role of the stage; what could not be seen is no pass."""
    wrong = [
        f"{role} {told}"
        for role, boundary in sorted(seen.items())
        if (told := _what_is_wrong(stage, boundary)) is not None
    ]
    if wrong or not seen:
        return Finding(False, "; ".join(wrong) or "no role was looked at")
    held = "has a boundary" if stage.named else "has a boundary that keeps named stages' topics"
    return Finding(True, f"every role of the stage {held}")


def _what_is_wrong(stage: Stage, boundary: Boundary | Absent | Unknown) -> str | None:
    match boundary:
        case Absent():
            return "has no permissions boundary"
        case Unknown(fault):
            return _unseen(fault)
        case Boundary(arn, document, place):
            open_to = [] if stage.named else list(left_open(document, place))
            if not open_to:
                return None
            more = f" and {len(open_to) - _MOST_SHOWN} more" if len(open_to) > _MOST_SHOWN else ""
            return f"has a boundary ({arn}) that allows {', '.join(open_to[:_MOST_SHOWN])}{more}"


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


def left_open(document: Document, place: str) -> Iterator[str]:
    """Say what a role with every right would still be let by this boundary, on any cluster."""
    for topic in named_topics():
        for action in WRITES:
            if not denies(document, action, f"arn:aws:kafka:{place}:topic/any/any/{topic}"):
                yield f"{action} on {topic}"
    if not denies(document, DELETE_CLUSTER, f"arn:aws:kafka:{place}:cluster/any/any"):
        yield DELETE_CLUSTER


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
