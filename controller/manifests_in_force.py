"""Which revision is in force, and why a newer one is not."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

from controller.core.faults import Fault
from controller.core.model import Revision
from controller.ports import Folder, ManifestSource

Loader: TypeAlias = "Callable[[Folder], Revision]"


class Manifests:
    """Holds the last good revision of this process, and what is wrong with a newer one."""

    def __init__(self, source: ManifestSource, load: Loader, refusals: type[Exception]) -> None:
        self._source = source
        self._load = load
        self._refusals = refusals
        self._read = False
        self.revision: Revision | None = None
        self.in_force: Folder | None = None  # what it was read from
        self.refusal: str | None = None  # why the newest state of the folder is not in force
        self.since: float | None = None  # of the refusal

    def changed(self) -> bool:
        """Tell cheaply whether the folder has something new."""
        return not self._read or self._source.changed()

    def refresh(self, now: float) -> Revision | None:
        """Take a new revision whole, or keep the last good one and say why."""
        if not self.changed():
            return self.revision
        self._read = True  # also when it fails: the source tells when there is something else
        try:
            folder = self._source.read()
            self.revision = self._load(folder)
            self.in_force = folder
        except (Fault, self._refusals) as error:
            self._refuse(str(error), now)
            self._fall_back()
        else:
            self.refusal = self.since = None
        return self.revision

    def _fall_back(self) -> None:
        """Go on with what an earlier process had in force, when this one never had any."""
        if self.revision is not None:
            return
        try:
            folder = self._source.last_good()
            self.revision = None if folder is None else self._load(folder)
            self.in_force = folder
        except (Fault, self._refusals):
            return  # why the newest is not in force is said already

    def _refuse(self, why: str, now: float) -> None:
        if self.refusal is None:
            self.since = now
        self.refusal = why
