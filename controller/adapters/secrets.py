"""Secrets Manager.

Reading fails closed: only the words "it does not exist" lead to the next candidate path, and
whatever else goes wrong leaves the secret unknown.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import islice
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from controller.aws_client import make_later
from controller.core.aws_faults import AwsError, sort_error
from controller.core.faults import Denied, Fault, Rejected, Transient, Unavailable
from controller.core.model import (
    ABSENT,
    Absent,
    ObservedSecret,
    SecretSnapshot,
    SecretVersion,
    Unknown,
    VersionKey,
)
from controller.core.secret_fields import PUBLIC_FIELDS, is_path_part, parse_fields

if TYPE_CHECKING:
    from mypy_boto3_secretsmanager.client import SecretsManagerClient

CURRENT: Final = "AWSCURRENT"
PREVIOUS: Final = "AWSPREVIOUS"

_BATCH: Final = 20
_PAGES: Final = 10  # of one batch's answer; AWS may split it
_CACHED: Final = 500
_REJECTED: Final = frozenset({"InvalidParameterException", "ValidationException"})

# AWS has one code for a secret that is not there and for one that holds no value yet.
_NO_VALUE: Final = "specified secret value"

Found: TypeAlias = "SecretVersion | Absent | Unknown"


def client_factory(
    *,
    region: str | None = None,
    endpoint_url: str | None = None,
    connect_timeout: float = 2.0,
    read_timeout: float = 4.0,
) -> Callable[[], SecretsManagerClient]:
    return make_later(
        "secretsmanager",
        region=region,
        endpoint_url=endpoint_url,
        connect_timeout=connect_timeout,
        read_timeout=read_timeout,
    )


class SecretsManager:
    """Reads the secrets of a stage; `deadline` seconds for all of them, plus one call at most."""

    def __init__(
        self,
        make_client: Callable[[], SecretsManagerClient],
        *,
        remember: Callable[[str], None],
        scrub: Callable[[str], str],
        deadline: float = 10.0,
        on_request: Callable[[str], None] = lambda _call: None,
    ) -> None:
        self._make_client = make_client
        self._remember = remember
        self._scrub = scrub
        self._deadline = deadline
        self._on_request = on_request
        self._client: SecretsManagerClient | None = None
        self._cache: dict[VersionKey, SecretVersion] = {}  # a version's content never changes

    def observe(
        self, candidates: Mapping[str, tuple[str, ...]], versions: Collection[VersionKey]
    ) -> SecretSnapshot:
        client = self._connect()
        if isinstance(client, Fault):
            return MappingProxyType({name: Unknown(client) for name in candidates})
        end = time.monotonic() + self._deadline
        calls = _Calls(client, self._scrub, end, self._on_request)
        owner = {path: name for name, paths in candidates.items() for path in paths}
        current = self._current(calls, owner)
        snapshot = {
            name: self._one(calls, name, paths, current, versions)
            for name, paths in candidates.items()
        }
        self._trim(versions)
        if calls.without_credentials:
            self._client = None  # a client that was made without any never finds them later
        return MappingProxyType(snapshot)

    def _connect(self) -> SecretsManagerClient | Fault:
        if self._client is None:
            client = _call(self._make_client, "create the client", self._scrub)
            if isinstance(client, _Refused):
                return client.fault
            self._client = client
        return self._client

    def _one(
        self,
        calls: _Calls,
        name: str,
        paths: tuple[str, ...],
        current: Mapping[str, Found],
        versions: Collection[VersionKey],
    ) -> ObservedSecret | Absent | Unknown:
        for position, path in enumerate(paths):
            found = current[path]
            if isinstance(found, Absent):
                continue
            if isinstance(found, Unknown):
                return found
            wanted = sorted(key for key in versions if key.path in paths)
            return ObservedSecret(
                name=name,
                path=path,
                fallback=position > 0,
                current=found,
                previous=self._previous(calls, name, path),
                named=MappingProxyType({key: self._named(calls, name, key) for key in wanted}),
            )
        return ABSENT

    def _current(self, calls: _Calls, owner: Mapping[str, str]) -> Mapping[str, Found]:
        found: dict[str, Found] = {}
        for batch in _batches(owner):
            answered = calls.batch(batch)
            for path in batch:
                item = answered.get(path)
                if item is None or (isinstance(item, _Value) and CURRENT not in item.stages):
                    item = calls.single(path, VersionStage=CURRENT)
                found[path] = self._judge(owner[path], path, item, gone=False)
        return found

    def _previous(self, calls: _Calls, name: str, path: str) -> Found:
        return self._judge(name, path, calls.single(path, VersionStage=PREVIOUS), gone=True)

    def _named(self, calls: _Calls, name: str, key: VersionKey) -> Found:
        if key not in self._cache:
            item = calls.single(key.path, VersionId=key.version_id)
            return self._judge(name, key.path, item, gone=True)
        return self._cache[key]

    def _judge(self, name: str, path: str, item: _Item, *, gone: bool) -> Found:
        """Turn an answer into a version; `gone` tells that a value may be missing."""
        if isinstance(item, _Value):
            return self._version(name, path, item)
        if not item.not_found:
            return Unknown(item.fault)
        if item.without_value and not gone:
            return Unknown(
                Denied(
                    "SecretWithoutValue",
                    f"{path} exists but holds no value; put one, or delete the secret to use"
                    " the default",
                )
            )
        return ABSENT

    def _version(self, name: str, path: str, value: _Value) -> SecretVersion:
        key = VersionKey(path, value.version_id)
        if key not in self._cache:
            self._cache[key] = self._read(name, key, value.text)
        return self._cache[key]

    def _read(self, name: str, key: VersionKey, text: str | None) -> SecretVersion:
        nothing: SecretVersion = SecretVersion(key, MappingProxyType({}))
        if text is None:
            return SecretVersion(key, nothing.fields, "is binary; it has to be a text")
        if not is_path_part(key.version_id):
            return SecretVersion(key, nothing.fields, "has a version id that names no directory")
        parsed = parse_fields(name, text)
        for field_name, secret in parsed.fields.items():
            if field_name not in PUBLIC_FIELDS:
                self._remember(secret.reveal())
        return SecretVersion(key, parsed.fields, parsed.problem)

    def _trim(self, versions: Collection[VersionKey]) -> None:
        surplus = len(self._cache) - _CACHED
        if surplus > 0:
            unused = [key for key in self._cache if key not in versions]
            for key in unused[:surplus]:
                del self._cache[key]


# --- calls --------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Value:
    """One version as AWS answered it; without text it is binary."""

    version_id: str
    stages: frozenset[str]
    text: str | None = field(repr=False)


@dataclass(frozen=True, slots=True)
class _Refused:
    """An answer without a value; `lasting` ones say the same of every further call."""

    fault: Fault
    not_found: bool = False
    without_value: bool = False
    lasting: bool = False


_Item: TypeAlias = "_Value | _Refused"


class _Calls:
    """The calls of one observation; after one that found nobody there, no other is tried."""

    def __init__(
        self,
        client: SecretsManagerClient,
        scrub: Callable[[str], str],
        deadline: float,
        on_request: Callable[[str], None],
    ) -> None:
        self._client = client
        self._scrub = scrub
        self._on_request = on_request
        self._deadline = deadline
        self._over: _Refused | None = None

    @property
    def without_credentials(self) -> bool:
        return self._over is not None and isinstance(self._over.fault, Denied)

    def batch(self, paths: list[str]) -> Mapping[str, _Item]:
        """Answer what the batch tells; a path that is left out has to be asked for singly."""
        answered: dict[str, _Item] = {}
        token: dict[str, str] = {}
        for _ in range(_PAGES):
            answer = self._ask(
                lambda more=token: self._client.batch_get_secret_value(  # type: ignore[misc]
                    SecretIdList=paths, **more
                ),
                "BatchGetSecretValue",
            )
            if isinstance(answer, _Refused):
                return dict.fromkeys(paths, answer) if answer.lasting else {}
            answered |= self._items(answer)
            if not answer.get("NextToken"):
                break
            token = {"NextToken": answer["NextToken"]}
        return answered

    def single(self, path: str, **which: str) -> _Item:
        answer = self._ask(
            lambda: self._client.get_secret_value(SecretId=path, **which),
            f"GetSecretValue {path}",
        )
        item = answer if isinstance(answer, _Refused) else _value(path, answer)
        stage = which.get("VersionStage")
        if isinstance(item, _Value) and stage is not None and stage not in item.stages:
            return _Refused(Unavailable("SecretsUnclear", f"asked for {path} {stage}, got another"))
        return item

    def _items(self, answer: Mapping[str, Any]) -> Iterator[tuple[str, _Item]]:
        for secret in answer.get("SecretValues", ()):
            yield secret["Name"], _value(secret["Name"], secret)
        for error in answer.get("Errors", ()):
            path, code = error["SecretId"], error.get("ErrorCode", "")
            yield path, _refused(code, error.get("Message", ""), f"read {path}", self._scrub)

    def _ask(self, call: Callable[[], Any], what: str) -> Any:
        if self._over is None and time.monotonic() >= self._deadline:
            self._over = _Refused(
                Unavailable("SecretsSlow", "Secrets Manager did not answer everything in time"),
                lasting=True,
            )
        if self._over is not None:
            return self._over
        self._on_request(what)
        answer = _call(call, what, self._scrub)
        if isinstance(answer, _Refused) and answer.lasting:
            self._over = answer
        return answer


def _value(path: str, answer: Mapping[str, Any]) -> _Item:
    version_id = answer.get("VersionId")
    text = answer.get("SecretString")
    if not version_id or (text is None and answer.get("SecretBinary") is None):
        return _Refused(Unavailable("SecretsUnclear", f"the answer for {path} is not complete"))
    return _Value(version_id, frozenset(answer.get("VersionStages", ())), text)


def _call(call: Callable[[], Any], what: str, scrub: Callable[[str], str]) -> Any:
    """Answer what the call answers, or why it answers nothing."""
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        return call()
    except ClientError as error:
        told = error.response.get("Error", {})
        status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
        return _refused(told.get("Code", ""), told.get("Message", ""), what, scrub, status)
    except (BotoCoreError, ValueError) as error:
        return _unsent(error, what, scrub)


def _unsent(error: Exception, what: str, scrub: Callable[[str], str]) -> _Refused:
    kind = type(error).__name__
    said = scrub(f"cannot {what}: {error}" if what[0].islower() else f"{what}: {error}")
    if sort_error(kind) is AwsError.CREDENTIALS:
        fault: Fault = Denied("AwsCredentials", f"{said} (give the task a role and a region)")
        return _Refused(fault, lasting=True)
    if kind == "ParamValidationError":
        return _Refused(Rejected("SecretPathInvalid", said))
    return _Refused(Unavailable("SecretsUnreachable", said), lasting=True)


def _refused(
    code: str, message: str, what: str, scrub: Callable[[str], str], status: int = 0
) -> _Refused:
    said = scrub(f"{what}: {code}: {message}")
    if code == "ResourceNotFoundException":
        gone = Denied("SecretNotFound", said)
        return _Refused(gone, not_found=True, without_value=_NO_VALUE in message)
    kind = sort_error(code, status)
    if kind is AwsError.THROTTLED:
        return _Refused(Transient("SecretsThrottled", said), lasting=True)
    if kind is AwsError.DENIED:
        return _Refused(Denied("SecretsDenied", said))
    if kind is AwsError.CREDENTIALS:
        return _Refused(Denied("AwsCredentials", said), lasting=True)
    if kind is AwsError.UNDECRYPTABLE:
        return _Refused(Denied("SecretUndecryptable", f"{said} (grant kms:Decrypt on its key)"))
    if code == "InvalidRequestException":
        return _Refused(_invalid(message, said))
    if code in _REJECTED:
        return _Refused(Rejected("SecretPathInvalid", said))
    return _Refused(Unavailable("SecretsUnavailable", said), lasting=status >= 500)


def _invalid(message: str, said: str) -> Fault:
    """AWS tells a secret that waits for its deletion by words only."""
    if "deletion" in message or "deleted" in message:
        advice = "restore it, or have the default used once it is gone"
        return Denied("SecretMarkedForDeletion", f"{said} ({advice})")
    return Denied("SecretRefused", said)


def _batches(paths: Iterable[str]) -> Iterator[list[str]]:
    rest = iter(paths)
    while batch := list(islice(rest, _BATCH)):
        yield batch
