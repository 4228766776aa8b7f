"""What a connector is, beside its settings: whose it is, what it captures, and who else is here."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Final

from controller.core.decision import Act, Risk, Stall, Wait
from controller.core.diff import Change, Diff
from controller.core.model import Offsets, Unknown
from controller.core.risk import TABLES, worst

_CAPTURED_ONLY: Final = "schema.history.internal.store.only.captured.tables.ddl"
HISTORY_KEY: Final = "schema.history.internal.kafka.topic"
_SHOWN: Final = 6
_TAKEN_OVER: Final = (
    "it is taken over as it is, with the offsets that it has: what it did not capture until now "
    "stays missing"
)


# --- whose it is ----------------------------------------------------------------------------


def hold_unadopted(stall: Stall, act: Act) -> Stall:
    """Hold what would be done of one without our mark, so that a person can accept just that."""
    told = "; ".join(text for text in (_TAKEN_OVER, act.consequence) if text)
    held = replace(act, risk=worst((act.risk, Risk.SNAPSHOT)), consequence=told)
    return replace(stall, diff=act.diff, held=held)


# --- what it captures -----------------------------------------------------------------------


def changes_tables(diff: Diff, offsets: Offsets | Unknown | None) -> bool:
    """Tell whether tables change of a connector that may have offsets."""
    return offsets != () and any(change.field in TABLES for change in diff)


def explain_tables(diff: Diff, config: Mapping[str, str], drift: bool) -> str:
    """Say which tables come and go, and how a table is added so that none of its rows is missed."""
    changes = [change for change in diff if change.field in TABLES]
    told = "; ".join(_explain_lists(change) for change in changes)
    if drift:
        told = f"changed by hand, and left: set back, {told}"
    return f"{told}. {_recipe(config)}" if _adds(changes) else f"{told}. {_REMOVED}"


def _explain_lists(change: Change) -> str:
    before, after = _tables(change.before), _tables(change.after)
    sides = (("captures in addition", after - before), ("leaves out", before - after))
    told = " and ".join(f"{verb} {_some(names)}" for verb, names in sides if names)
    return f"{change.field} {told or 'names the same tables in another way'}"


def _tables(value: str | None) -> frozenset[str]:
    texts = (text.strip().replace("\\", "") for text in (value or "").split(","))
    return frozenset(text for text in texts if text)


def _some(names: Iterable[str]) -> str:
    listed = sorted(names)
    return ", ".join(listed[:_SHOWN]) + (", ..." if len(listed) > _SHOWN else "")


def _adds(changes: Iterable[Change]) -> bool:
    return any(_tables(change.after) - _tables(change.before) for change in changes)


_REMOVED: Final = (
    "What changes in a table meanwhile is missed for good when it is captured again later"
)


def _recipe(config: Mapping[str, str]) -> str:
    rows = (
        "rows that are in a new table already come by no change: after the restart ask for an "
        "incremental snapshot of it by a signal (execute-snapshot)"
    )
    if HISTORY_KEY not in config:
        return f"To add a table: {rows}"
    if config.get(_CAPTURED_ONLY) == "true":
        history = (
            f"the schema history holds no DDL of it ({_CAPTURED_ONLY} is true): alter it neither "
            "before nor while it is added"
        )
    else:
        history = "the schema history must hold its DDL: look for its CREATE TABLE there first"
    return f"To add a table: {history}; {rows}"


# --- who else is here -----------------------------------------------------------------------


def guard_shared(name: str, neighbours: frozenset[str] | Unknown | None) -> Wait | Stall | None:
    """Start nothing from the beginning where another named stage may write to the same topics."""
    if neighbours is None:
        return Wait("NeighboursUnread", "other stages' topics are looked for before it starts", 0.0)
    if isinstance(neighbours, Unknown):
        return Wait(
            neighbours.fault.reason,
            f"whether another named stage is on this cluster could not be seen, so connector "
            f"{name} is not started: {neighbours.fault.message}",
        )
    if not neighbours:
        return None
    return Stall("ClusterShared", explain_shared(neighbours))


def explain_shared(neighbours: Iterable[str]) -> str:
    return (
        f"another named stage is on this Kafka cluster ({_some(neighbours)} is there), and both "
        "would write to the same topics and into one schema history, which corrupts it: correct "
        "the broker string, or say sharedCluster: true in the StagePolicy of both, which gives "
        "each a history of its own"
    )
