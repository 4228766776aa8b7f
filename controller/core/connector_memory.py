"""What is remembered of one connector, and the records that say it."""

from __future__ import annotations

from dataclasses import dataclass

from controller.core.model import VersionKey


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


def restore_record(name: str) -> str:
    """Name a person's word that exported offsets be put back."""
    return f"intent/restore:{name}"


def restart_record(name: str) -> str:
    return f"stamp/restart:{name}"
