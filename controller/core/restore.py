"""Offsets that a person asked to put back: what speaks against it, and what it would do."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from typing import Any

from controller.core.action import Forget, RestoreOffsets
from controller.core.connector_memory import restore_record
from controller.core.decision import Act, Decision, Difference, Stall, Wait
from controller.core.diff import Change
from controller.core.model import ConnectorManifest, Record, Unknown
from controller.core.offsets import (
    Move,
    Place,
    moves_of,
    refusals_of_connector,
    refusals_of_file,
    restore_id,
)
from controller.core.risk import worst
from controller.core.world import World


def find_restores(world: World) -> Iterator[tuple[ConnectorManifest, str, Decision]]:
    """Decide on each that is asked for; its generation is what was asked."""
    for manifest in world.declared_connectors:
        asked = world.records.get(restore_record(manifest.name))
        if asked is not None:
            yield manifest, asked_id(asked.value), decide_restore(manifest, asked, world)


def asked_id(asked: Any) -> str:
    """Name one asking, so that nothing of an earlier one is taken for its own."""
    text = json.dumps([asked.get("document"), asked.get("at")], sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def decide_restore(manifest: ConnectorManifest, asked: Record, world: World) -> Decision:
    observed, cluster = world.connectors.get(manifest.key), world.connect_cluster
    if isinstance(observed, Unknown):
        return Wait(observed.fault.reason, observed.fault.message)
    if cluster is None:
        return Wait("ClusterUnread", "which cluster Connect uses is looked at first")
    place = Place(world.stage.name, cluster, manifest.name)
    document: Any = asked.value.get("document")
    refusals = tuple(refusals_of_file(document, place))
    if refusals:
        return Stall("RestoreRefused", f"what was exported is refused: {'; '.join(refusals)}")
    waits = tuple(refusals_of_connector(observed, world.stage.mark))
    if waits:
        return Wait("NotStopped", f"its offsets cannot be put back: {'; '.join(waits)}")
    offsets = world.offsets.get(manifest.name)
    if offsets is None:
        return Wait("OffsetsUnread", "its offsets are read before others are put back", 0.0)
    if isinstance(offsets, Unknown):
        return Wait(offsets.fault.reason, offsets.fault.message)
    return _restore(place, asked, moves_of(offsets, document["offsets"]))


def _restore(place: Place, asked: Record, moves: Sequence[Move]) -> Decision:
    who, name = str(asked.value.get("who") or "somebody"), place.connector
    done = Forget(restore_record(name))
    if all(move.direction == "same" for move in moves):
        return Act((done,), "Restored", f"connector {name} has the offsets that {who} asked for")
    entries = tuple({"partition": move.partition, "offset": move.after} for move in moves)
    act = Act(
        (RestoreOffsets(name, entries, restore_id(place, moves), who), done),
        "RestoreOffsets",
        f"{who} asked that offsets of connector {name} be put back: {asked.value.get('reason')}",
        tuple(_change(move) for move in moves),
        Difference.WORD,
        worst(move.risk for move in moves),
        "; ".join(dict.fromkeys(move.sentence for move in moves)),
    )
    told = f"{act.message}. {act.consequence}; a person must accept that"
    return Stall("AcceptanceRequired", told, act.diff, act)


def _change(move: Move) -> Change:
    before = None if move.before is None else json.dumps(move.before, sort_keys=True)
    after = json.dumps(move.after, sort_keys=True)
    return Change(json.dumps(move.partition, sort_keys=True), before, after)


def hold_for_restore(manifest: ConnectorManifest, world: World) -> Wait | None:
    """Answer why it is not resumed yet: it would run on from offsets that are to be replaced."""
    asked = world.records.get(restore_record(manifest.name))
    if asked is None:
        return None
    decision = decide_restore(manifest, asked, world)
    if isinstance(decision, Stall) and decision.held is None:
        return None  # what is refused is never put back
    who = asked.value.get("who") or "somebody"
    return Wait(
        "RestoreAsked",
        f"{who} asked that offsets be put back first; `wmsctl offsets cancel {manifest.name}` "
        "takes that back",
    )
