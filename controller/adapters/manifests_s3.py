"""Manifests in S3.

    PREFIX revisions/SHA256.json    all files of one revision; never changed once it is there
    PREFIX pointer.json             which of them is in force: stage, sequence, who, when, why
    PREFIX pushes/SEQUENCE.json     the pointer as it was switched, for people

The pointer is switched last and only from what was read before, so of two who push at once one is
told to look again. What is in force is judged by the sequence, which only ever rises: rolling back
is a new one.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final

from controller.aws_client import make_later
from controller.core.aws_faults import aws_fault
from controller.core.faults import Conflict, Denied, Fault, Rejected, Unavailable
from controller.ports import Clock, Folder

POLL_SECONDS: Final = 5.0
MAX_BYTES: Final = 12 * 1024 * 1024

_ADDRESS: Final = re.compile(r"s3://([a-z0-9][a-z0-9.-]{1,61}[a-z0-9])(?:/((?:[^\s/]+/)*[^\s/]*))?")
_SHA: Final = re.compile(r"[0-9a-f]{64}")
_PUSH: Final = re.compile(r"pushes/(\d{10,})\.json")
_ABSENT: Final = frozenset({"404", "NoSuchKey"})
_PAGES: Final = 20


@dataclass(frozen=True, slots=True)
class Pointer:
    """Which revision is in force, since when and by whose word."""

    sequence: int
    revision: str  # SHA-256 of the object
    stage: str
    commit: str | None = None
    who: str = ""
    at: str = ""
    reason: str = ""
    named: str = ""  # the revision as the controller names it
    author: str | None = None  # of the commit; none of what was put back, which is `who` alone


@dataclass(frozen=True, slots=True)
class Enforced:
    """What was in force last, also in an earlier process."""

    sequence: int = 0
    revision: str = ""
    commit: str | None = None
    author: str | None = None
    pushed_by: str | None = None

    def refuses(self, pointer: Pointer) -> bool:
        """Whether this one never gets into force any more, whatever it holds."""
        if pointer.sequence != self.sequence:
            return pointer.sequence < self.sequence
        return bool(self.revision) and pointer.revision != self.revision


def client_factory(
    *, region: str | None = None, endpoint_url: str | None = None
) -> Callable[[], Any]:
    return make_later(
        "s3",
        region=region,
        endpoint_url=endpoint_url,
        connect_timeout=2.0,
        read_timeout=5.0,
        options={"s3": {"addressing_style": "path" if endpoint_url else "auto"}},
    )


class ManifestBucket:
    """The objects of one stage; every fault is one of ours."""

    def __init__(
        self,
        address: str,
        stage: str,
        make_client: Callable[[], Any],
        *,
        scrub: Callable[[str], str] = str,
    ) -> None:
        match = _ADDRESS.fullmatch(address)
        if match is None:
            raise Rejected("ManifestsAddress", f"{address!r}: write s3://BUCKET/PREFIX/")
        self._bucket = match[1]
        self._prefix = f"{match[2].rstrip('/')}/" if match[2] else ""
        self._stage = stage
        self._make_client = make_client
        self._scrub = scrub
        self._client: Any = None
        self.address = f"s3://{self._bucket}/{self._prefix}"

    # --- reading ---

    def pointer(self) -> tuple[Pointer, str] | None:
        """Answer the pointer with its ETag; none when nothing was pushed yet."""
        found = self._get("pointer.json")
        if found is None:
            return None
        return self._parse_pointer(found[0], "pointer.json"), found[1]

    def etag(self) -> str | None:
        """Answer the pointer's ETag alone."""
        try:
            head = self._call(
                "look at",
                "pointer.json",
                lambda client, key: client.head_object(Bucket=self._bucket, Key=key),
            )
        except _Absent:
            return None
        return str(head["ETag"])

    def files(self, revision: str) -> Mapping[str, str]:
        """Answer the files of a revision; what does not have its hash is no revision."""
        if _SHA.fullmatch(revision) is None:
            raise Rejected("ManifestsSpoilt", f"{revision!r} names no revision")
        name = f"revisions/{revision}.json"
        found = self._get(name)
        if found is None:
            raise Unavailable("ManifestsMissing", f"{self.address}{name} is not there")
        if hashlib.sha256(found[0]).hexdigest() != revision:
            raise Rejected("ManifestsSpoilt", f"{self.address}{name} has another hash")
        try:
            files = json.loads(found[0])["files"]
            return MappingProxyType({path: _text(text) for path, text in files.items()})
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise Rejected("ManifestsSpoilt", f"{self.address}{name} is no revision") from error

    def newest(self) -> int:
        """Answer the highest sequence that was noted; 0 where none was."""
        names = (_PUSH.fullmatch(name) for name in self._list("pushes/"))
        return max((int(match[1]) for match in names if match is not None), default=0)

    def pushes(self, limit: int) -> tuple[Pointer, ...]:
        """Answer the newest pointers, newest first."""
        names = sorted(self._list("pushes/"), reverse=True)[:limit]
        found = ((name, self._get(name)) for name in names)
        return tuple(self._parse_pointer(one[0], name) for name, one in found if one is not None)

    # --- writing ---

    def put_revision(self, files: Mapping[str, str]) -> str:
        """Write the files under their hash, once; answer the hash."""
        document = {"format": 1, "files": dict(sorted(files.items()))}
        body = json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode()
        if len(body) > MAX_BYTES:
            raise Rejected("ManifestsTooLarge", f"{len(body)} bytes, of {MAX_BYTES} at most")
        revision = hashlib.sha256(body).hexdigest()
        try:
            self._put(f"revisions/{revision}.json", body, IfNoneMatch="*")
        except Conflict:
            self.files(revision)  # it is there already: as it must be, or this faults
        return revision

    def switch(self, pointer: Pointer, before: str | None) -> None:
        """Put the pointer if it still has the ETag `before` (None: is not there), or Conflict."""
        body = json.dumps(_document(pointer), ensure_ascii=False, indent=1).encode()
        condition = {"IfNoneMatch": "*"} if before is None else {"IfMatch": before}
        self._put("pointer.json", body, **condition)
        self.record(pointer)

    def record(self, pointer: Pointer) -> None:
        """Note a switch for people, once."""
        body = json.dumps(_document(pointer), ensure_ascii=False, indent=1).encode()
        try:
            self._put(f"pushes/{pointer.sequence:010d}.json", body, IfNoneMatch="*")
        except Conflict:
            return  # it is noted

    # --- calls ---

    def _parse_pointer(self, body: bytes, name: str) -> Pointer:
        try:
            pointer = _pointer(json.loads(body))
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise Rejected("ManifestsSpoilt", f"{self.address}{name} is no pointer") from error
        if pointer.stage != self._stage:
            raise Rejected(
                "WrongStage",
                f"{self.address} holds manifests of stage {pointer.stage}, not {self._stage}: "
                "correct WMS_MANIFESTS_S3 or push them to their own bucket",
            )
        return pointer

    def _get(self, name: str) -> tuple[bytes, str] | None:
        try:
            answer = self._call(
                "read",
                name,
                lambda client, key: _whole(client.get_object(Bucket=self._bucket, Key=key)),
            )
        except _Absent:
            return None
        body, etag = answer
        if len(body) > MAX_BYTES:
            raise Unavailable("ManifestsTooLarge", f"{self.address}{name} is too large")
        return body, etag

    def _put(self, name: str, body: bytes, **condition: str) -> None:
        self._call(
            "write",
            name,
            lambda client, key: client.put_object(
                Bucket=self._bucket,
                Key=key,
                Body=body,
                ContentType="application/json",
                **condition,
            ),
            wrote=True,
        )

    def _list(self, below: str) -> Iterator[str]:
        more: dict[str, str] = {}
        for _ in range(_PAGES):
            answer = self._call(
                "list",
                below,
                lambda client, key, more=more: client.list_objects_v2(  # type: ignore[misc]
                    Bucket=self._bucket, Prefix=key, **more
                ),
            )
            for item in answer.get("Contents", ()):
                yield item["Key"].removeprefix(self._prefix)
            if not answer.get("IsTruncated"):
                return
            more = {"ContinuationToken": answer["NextContinuationToken"]}

    def _call(
        self, verb: str, name: str, call: Callable[[Any, str], Any], *, wrote: bool = False
    ) -> Any:
        from botocore.exceptions import BotoCoreError, ClientError

        try:
            if self._client is None:
                self._client = self._make_client()
            return call(self._client, f"{self._prefix}{name}")
        except ClientError as error:
            told = error.response.get("Error", {})
            code = told.get("Code", "")
            if code in _ABSENT:
                raise _Absent from error
            said = f"cannot {verb} {self.address}{name}: {code}: {told.get('Message', '')}"
            status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
            raise aws_fault("Manifests", code, self._scrub(said), status=status) from error
        except (BotoCoreError, ValueError, OSError) as error:
            code = type(error).__name__
            said = self._scrub(f"cannot {verb} {self.address}{name}: {error}")
            fault = aws_fault("Manifests", code, said, wrote=wrote)
            if isinstance(fault, Denied):
                self._client = None  # one that was made without credentials never finds any
            raise fault from error


class _Absent(Exception):
    """There is no such object."""


def _whole(answer: Mapping[str, Any]) -> tuple[bytes, str]:
    return answer["Body"].read(MAX_BYTES + 1), str(answer["ETag"])


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError("no text")
    return value


def _pointer(document: Any) -> Pointer:
    pointer = Pointer(**{k: document[k] for k in Pointer.__slots__ if k in document})
    if document["format"] != 1 or type(pointer.sequence) is not int or pointer.sequence < 1:
        raise ValueError("no pointer")
    return pointer


def _document(pointer: Pointer) -> dict[str, Any]:
    return {"format": 1, **{name: getattr(pointer, name) for name in Pointer.__slots__}}


class ManifestS3:
    """Reads what the pointer names, and refuses what is older than what was in force once."""

    def __init__(
        self,
        bucket: ManifestBucket,
        *,
        clock: Clock,
        enforced: Callable[[], Enforced],
        poll: float = POLL_SECONDS,
    ) -> None:
        self._bucket = bucket
        self._clock = clock
        self._enforced = enforced
        self._poll = poll
        self._floor = 0  # the highest sequence that this process read
        self._seen: str | Fault | None = None  # ETag of what was read, or why it could not be
        self._next = 0.0
        self._news = False  # until it is read, however often somebody asks

    def read(self) -> Folder:
        self._news = False
        self._next = self._clock.monotonic() + self._poll
        try:
            found = self._bucket.pointer()
            if found is None:
                raise Unavailable("ManifestsMissing", _never_pushed(self._bucket.address))
            pointer, etag = found
            self._seen = etag  # what is refused is news only once
            self._refuse_older(pointer)
            files = self._bucket.files(pointer.revision)
        except Fault as fault:
            self._seen = self._after(fault)
            raise
        self._floor, self._seen = pointer.sequence, etag
        return Folder(
            files,
            pointer.commit,
            pointer.sequence,
            pointer.revision,
            author=pointer.author,
            pushed_by=pointer.who or None,
        )

    def changed(self) -> bool:
        """Look at the pointer's ETag every few seconds; an outage is news once, as is its end."""
        if not self._news and self._clock.monotonic() >= self._next:
            self._next = self._clock.monotonic() + self._poll
            self._news = self._differs()
        return self._news

    def _differs(self) -> bool:
        try:
            etag = self._bucket.etag()
        except Fault as fault:
            return type(self._seen) is not type(fault)
        return etag != self._seen if etag is not None else not isinstance(self._seen, Fault)

    def _after(self, fault: Fault) -> str | Fault:
        """What is refused stays so until the pointer changes; all else is tried again."""
        if not isinstance(fault, Rejected):
            return fault
        try:
            return self._bucket.etag() or fault
        except Fault as other:
            return other

    def last_good(self) -> Folder | None:
        """Read again what was in force last, for a process that never had any."""
        enforced = self._enforced()
        if not enforced.revision:
            return None
        files = self._bucket.files(enforced.revision)
        return Folder(
            files,
            enforced.commit,
            enforced.sequence,
            enforced.revision,
            author=enforced.author,
            pushed_by=enforced.pushed_by,
        )

    def _refuse_older(self, pointer: Pointer) -> None:
        enforced = self._enforced()
        floor = max(self._floor, enforced.sequence)
        if pointer.sequence < floor:
            raise Rejected(
                "ManifestsOlder",
                f"sequence {pointer.sequence} is older than {floor}, which was in force: go back "
                "by `wmsctl manifests rollback`, which is a new sequence",
            )
        same = pointer.sequence == enforced.sequence
        if same and enforced.revision and pointer.revision != enforced.revision:
            raise Rejected(
                "ManifestsOlder",
                f"sequence {pointer.sequence} was in force with another revision: push again",
            )


def _never_pushed(address: str) -> str:
    return f"nothing was pushed to {address} yet: `wmsctl manifests push`"
