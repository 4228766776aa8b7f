"""What is remembered of one connector, and the records that say it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from controller.core.model import Records, VersionKey

RAN_SINCE: Final = "ranSince"  # of a release: it is for what failed only, and for no later stop


@dataclass(frozen=True, slots=True)
class ConnectorMemory:
    """What is remembered of a connector."""

    known: bool = False  # the store has records of it: it is ours without looking at its mark
    applied: bool = False  # this generation was converged before
    applied_versions: frozenset[VersionKey] = frozenset()
    stopped_by_us: bool = False
    restart_due: bool = False  # files its tasks could not read are there now


def stopped_record(name: str) -> str:
    return f"stamp/stopped:{name}"


def release_record(name: str) -> str:
    """Name a person's word that a STOPPED connector may be resumed."""
    return f"intent/release:{name}"


def is_stop_released(name: str, records: Records) -> bool:
    """Whether somebody said so of the stop that is seen: it was not seen to run since."""
    word = records.get(release_record(name))
    return word is not None and not word.value.get(RAN_SINCE)


def restore_record(name: str) -> str:
    """Name a person's word that exported offsets be put back."""
    return f"intent/restore:{name}"


def restart_record(name: str) -> str:
    return f"stamp/restart:{name}"
