"""What AWS's error codes mean to whoever must act on them."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Final

from controller.core.faults import Conflict, Denied, Fault, OutcomeUnknown, Transient, Unavailable

_DENIED: Final = frozenset({"AccessDenied", "AccessDeniedException", "403", "AllAccessDisabled"})
_CREDENTIALS: Final = frozenset(
    {
        "CredentialRetrievalError",
        "ExpiredToken",
        "ExpiredTokenException",
        "IncompleteSignature",
        "InvalidAccessKeyId",
        "InvalidClientTokenId",
        "InvalidSignatureException",
        "MissingAuthenticationToken",
        "MissingAuthenticationTokenException",
        "NoCredentialsError",
        "NoRegionError",
        "NotAuthorized",
        "OptInRequired",
        "PartialCredentialsError",
        "ProfileNotFound",
        "SSOTokenLoadError",
        "SignatureDoesNotMatch",
        "TokenRefreshRequired",
        "TokenRetrievalError",
        "UnauthorizedSSOTokenError",
        "UnrecognizedClientException",
    }
)
_THROTTLED: Final = frozenset(
    {
        "LimitExceededException",
        "ProvisionedThroughputExceededException",
        "RequestLimitExceeded",
        "SlowDown",
        "Throttling",
        "ThrottlingException",
        "TooManyRequestsException",
    }
)
_MOVED: Final = frozenset(
    {
        "409",
        "412",
        "ConditionalCheckFailedException",
        "ConditionalRequestConflict",
        "PreconditionFailed",
        "TransactionConflictException",
    }
)
_MISSING: Final = frozenset({"NoSuchBucket", "ResourceNotFoundException"})
_NOT_SENT: Final = frozenset(
    {"ConnectTimeoutError", "EndpointConnectionError", "ParamValidationError", "UnknownEndpoint"}
)


class AwsError(StrEnum):
    """What AWS refused, whichever of its services said so."""

    MOVED = "moved"  # somebody wrote first
    DENIED = "denied"
    CREDENTIALS = "credentials"
    MISSING = "missing"
    UNDECRYPTABLE = "undecryptable"
    THROTTLED = "throttled"
    OTHER = "other"


_CODES: Final[Mapping[AwsError, frozenset[str]]] = {
    AwsError.MOVED: _MOVED,
    AwsError.DENIED: _DENIED,
    AwsError.CREDENTIALS: _CREDENTIALS,
    AwsError.MISSING: _MISSING,
    AwsError.THROTTLED: _THROTTLED,
}
_KINDS: Final = {code: kind for kind, codes in _CODES.items() for code in codes}


def sort_error(code: str, status: int = 0) -> AwsError:
    """Sort an error by its code, or by the class name of an exception of the SDK."""
    if code in _KINDS:
        return _KINDS[code]
    if code.startswith(("KMS", "DecryptionFailure")):
        return AwsError.UNDECRYPTABLE
    return AwsError.THROTTLED if status == 429 else AwsError.OTHER


def aws_fault(system: str, code: str, said: str, *, status: int = 0, wrote: bool = False) -> Fault:
    """Classify an error by its code; `system` begins the reason, as in `StateDenied`.

    A write that went out and was not answered may have been applied.
    """
    match sort_error(code, status):
        case AwsError.MOVED:
            return Conflict(f"{system}Changed", said)
        case AwsError.DENIED:
            return Denied(f"{system}Denied", f"{said} (grant it to this role)")
        case AwsError.CREDENTIALS:
            return Denied("AwsCredentials", f"{said} (give the process a role and a region)")
        case AwsError.MISSING:
            return Denied(f"{system}Missing", f"{said} (deploy the stage, or correct the setting)")
        case AwsError.UNDECRYPTABLE:
            return Denied(f"{system}Undecryptable", f"{said} (grant the use of its key)")
        case AwsError.THROTTLED:
            return Transient(f"{system}Throttled", said)
        case AwsError.OTHER:
            return _unsorted(system, code, said, status=status, wrote=wrote)


def _unsorted(system: str, code: str, said: str, *, status: int, wrote: bool) -> Fault:
    if status == 0 and wrote and code not in _NOT_SENT:
        return OutcomeUnknown(f"{system}OutcomeUnknown", said)
    return Unavailable(f"{system}Unavailable", said)
