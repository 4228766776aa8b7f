"""Putting manifests into force in S3: push, list, roll back."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from controller.adapters.manifests_s3 import Enforced, ManifestBucket, Pointer
from controller.comparison import Comparison, compare
from controller.core.faults import Conflict, Rejected
from controller.core.model import Json, Revision
from controller.manifest import ManifestErrors
from controller.ports import Folder

LISTED = 50


@dataclass(frozen=True, slots=True)
class Push:
    """What became of one: the pointer that is in force now, and what it changed."""

    pointer: Pointer
    switched: bool  # False: it was in force already
    changes: tuple[Comparison, ...] | None  # None: what was before cannot be read any more

    def data(self) -> dict[str, Json]:
        changes: list[Json] | None = None
        if self.changes is not None:
            changes = [change.data() for change in self.changes]
        return {**pointer_data(self.pointer), "switched": self.switched, "changes": changes}


def pointer_data(pointer: Pointer) -> dict[str, Json]:
    return {
        "sequence": pointer.sequence,
        "revision": pointer.named,
        "object": pointer.revision,
        "stage": pointer.stage,
        "commit": pointer.commit,
        "author": pointer.author,
        "who": pointer.who,
        "at": pointer.at,
        "reason": pointer.reason,
    }


@dataclass(frozen=True, slots=True)
class Publisher:
    """Somebody who pushes; `load` raises ManifestErrors for what must not get into force."""

    bucket: ManifestBucket
    stage: str
    load: Callable[[Folder], Revision]
    who: str
    at: str
    enforced: Callable[[], Enforced] = Enforced  # what the controller took last

    def push(self, folder: Folder, reason: str) -> Push:
        """Validate, write the object, then switch the pointer from what was read before."""
        after = self.load(folder)
        found = self.bucket.pointer()
        return self._switch(found, self.bucket.put_revision(folder.files), folder, after, reason)

    def roll_back(self, to: int | None, reason: str) -> Push:
        """Put an earlier push into force again, as a new sequence."""
        found = self.bucket.pointer()
        if found is None:
            raise Rejected("ManifestsMissing", f"nothing was pushed to {self.bucket.address} yet")
        target = self._target(found[0], to)
        folder = Folder(self.bucket.files(target.revision), target.commit)
        after = self.load(folder)
        why = reason or f"back to sequence {target.sequence}"
        return self._switch(found, target.revision, folder, after, why)

    def _target(self, now: Pointer, to: int | None) -> Pointer:
        earlier = (p for p in self.bucket.pushes(1000) if p.sequence < now.sequence)
        if to is None:
            found = next((p for p in earlier if p.revision != now.revision), None)
        else:
            found = next((p for p in earlier if p.sequence == to), None)
        if found is None:
            wanted = "an earlier revision" if to is None else f"sequence {to}"
            raise Rejected(
                "ManifestsMissing", f"there is no {wanted}: `wmsctl manifests list` shows all"
            )
        return found

    def _switch(
        self,
        found: tuple[Pointer, str] | None,
        revision: str,
        folder: Folder,
        after: Revision,
        reason: str,
    ) -> Push:
        now, etag = found if found is not None else (None, None)
        if now is not None:
            self.bucket.record(now)  # whoever switched to it may have ended before noting it
        enforced = self.enforced()
        if now is not None and now.revision == revision and not enforced.refuses(now):
            return Push(now, switched=False, changes=())
        known = (0 if now is None else now.sequence, self.bucket.newest(), enforced.sequence)
        pointer = Pointer(
            sequence=max(known) + 1,
            revision=revision,
            stage=self.stage,
            commit=folder.commit,
            author=folder.author,
            who=self.who,
            at=self.at,
            reason=reason,
            named=after.id,
        )
        changes = self._changes(now, after)
        try:
            self.bucket.switch(pointer, etag)
        except Conflict as conflict:
            raise Conflict(
                conflict.reason, "somebody else pushed at the same moment: look, and push again"
            ) from conflict
        return Push(pointer, switched=True, changes=changes)

    def _changes(self, now: Pointer | None, after: Revision) -> tuple[Comparison, ...] | None:
        if now is None:
            return compare(_nothing(after), after)
        try:
            before = self.load(Folder(self.bucket.files(now.revision), now.commit))
        except (ManifestErrors, Rejected):
            return None
        return compare(before, after)


def _nothing(revision: Revision) -> Revision:
    return Revision("", None, revision.policy, (), ())


def own_files(files: Mapping[str, str], overlay: str) -> dict[str, str]:
    """Leave out the other stages' overlays: a change there is none here."""
    own = f"stages/{overlay}/"
    return {
        path: text
        for path, text in files.items()
        if not path.startswith("stages/") or path.startswith(own)
    }
