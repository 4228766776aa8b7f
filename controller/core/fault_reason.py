"""The reasons of faults that are known beforehand, by the system in which they are counted.

They are what the adapters raise; a test reads that from them. A series that is there at zero shows
the first fault to `increase()`.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

CRASHED: Final = "ActionCrashed"

_CONNECT: Final = (
    "AccessDenied",
    "AlreadyExists",
    "ConfigRefused",
    "KafkaUnavailable",
    "LeaderUnreachable",
    "MalformedRequest",
    "NameMismatch",
    "NotFound",
    "NotObserved",
    "NotStopped",
    "Rebalancing",
    "UnexpectedAnswer",
    "UnknownClass",
    "UnsupportedConnect",
    "UnusableName",
    "WorkerBusy",
    "WorkerStarting",
    "WorkerUnhealthy",
    "WorkerUnreachable",
)
_KAFKA: Final = (
    "GroupUnsettled",
    "InvalidPartitions",
    "InvalidReplicationFactor",
    "InvalidRequest",
    "InvalidTopicConfig",
    "InvalidTopicName",
    "KafkaBusy",
    "KafkaDenied",
    "KafkaLoginRefused",
    "KafkaOutcomeUnknown",
    "KafkaSettings",
    "KafkaUnavailable",
    "PartitionsMoved",
    "PolicyViolation",
    "RightsUnknown",
    "TopicExists",
    "TopicGone",
    "TopicReplaced",
    "TopicUnsettled",
    "UnsupportedByBroker",
)
_SECRETS: Final = (
    "AwsCredentials",
    "SecretMalformed",
    "SecretMarkedForDeletion",
    "SecretNotFound",
    "SecretPathInvalid",
    "SecretRefused",
    "SecretUndecryptable",
    "SecretWithoutValue",
    "SecretsDenied",
    "SecretsSlow",
    "SecretsThrottled",
    "SecretsUnavailable",
    "SecretsUnclear",
    "SecretsUnreachable",
)
_FILES: Final = (
    "EvidenceUnreadable",
    "ReadyInvalid",
    "SecretPathInvalid",
    "SecretVolumeDenied",
    "SecretVolumeFailed",
    "SecretVolumeForeign",
    "SecretVolumeFull",
    "SecretVolumeMissing",
)
_STATE: Final = (
    "AwsCredentials",
    "StateChanged",
    "StateChanging",
    "StateCorrupt",
    "StateDenied",
    "StateLocked",
    "StateMissing",
    "StateOutcomeUnknown",
    "StateSlow",
    "StateThrottled",
    "StateTooLarge",
    "StateUnavailable",
    "StateUndecryptable",
)
_SOURCE: Final = ("LoginRefused", "SourceSilent", "SourceUnreachable", "UnknownDatabase")

FAULT_REASONS: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType(
    {
        "connect": (CRASHED, *_CONNECT),
        "kafka": (CRASHED, *_KAFKA),
        "secrets": _SECRETS,
        "files": _FILES,
        "state": _STATE,
        # What is done on our own side writes files and memory, logs in, and asks Connect why.
        "own": tuple(sorted({CRASHED, *_CONNECT, *_FILES, *_STATE, *_SOURCE})),
    }
)
