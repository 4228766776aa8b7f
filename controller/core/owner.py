"""Whose branch a stage is: two branches can spell the same one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from controller.core.model import Json, Records

OWNER_RECORD: Final = "owner/stage"  # from the first cycle on, before there is a birth record


@dataclass(frozen=True, slots=True)
class Owner:
    """A branch of a repository, as OWNER/NAME."""

    repository: str
    branch: str

    def value(self) -> dict[str, Json]:
        return {"repository": self.repository, "branch": self.branch}

    def __str__(self) -> str:
        return f"branch {self.branch} of {self.repository}"


def owner_of(repository: str | None, branch: str | None) -> Owner | None:
    return Owner(repository, branch) if repository and branch else None


def refuse_owner(records: Records, owner: Owner | None) -> str | None:
    """Say that the stage is another branch's; where nobody wrote whose it is, it is anybody's."""
    record = records.get(OWNER_RECORD)
    if record is None or (owner is not None and record.value == owner.value()):
        return None
    known = Owner(str(record.value.get("repository")), str(record.value.get("branch")))
    mine = f"this is {owner}" if owner is not None else "whose this is was not said"
    return (
        f"The stage belongs to {known}, and {mine}: its own pipeline tears it down; by hand say "
        "--repository and --branch of whom it belongs to."
    )
