"""What AWS's error codes mean to whoever must act on them."""

from __future__ import annotations

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


def aws_fault(system: str, code: str, said: str, *, status: int = 0, wrote: bool = False) -> Fault:
    """Classify an error by its code; `system` begins the reason, as in `StateDenied`.

    A write that went out and was not answered may have been applied.
    """
    if code in _MOVED:
        return Conflict(f"{system}Changed", said)
    if code in _DENIED:
        return Denied(f"{system}Denied", f"{said} (grant it to this role)")
    if code in _CREDENTIALS:
        return Denied("AwsCredentials", f"{said} (give the process a role and a region)")
    if code in _MISSING:
        return Denied(f"{system}Missing", f"{said} (deploy the stage, or correct the setting)")
    if code.startswith(("KMS", "DecryptionFailure")):
        return Denied(f"{system}Undecryptable", f"{said} (grant the use of its key)")
    if code in _THROTTLED or status == 429:
        return Transient(f"{system}Throttled", said)
    if status == 0 and wrote and code not in _NOT_SENT:
        return OutcomeUnknown(f"{system}OutcomeUnknown", said)
    return Unavailable(f"{system}Unavailable", said)
