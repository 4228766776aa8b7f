"""One step of a plan: a decision, and what may hold it back."""

from __future__ import annotations

from dataclasses import dataclass

from controller.core.accept import apply_consent
from controller.core.beginning import voids_words
from controller.core.connector_memory import stopped_record
from controller.core.decision import Decision
from controller.core.hold import OWN_KINDS, Standing, draw, hold
from controller.core.model import ConnectorManifest, DesiredTopic, Kind, Manage, ResourceKey
from controller.core.snapshot_phase import Phase, SnapshotPhase, guard_snapshot, phase_of
from controller.core.topic_class import required_fields
from controller.core.track import read_track
from controller.core.world import World


@dataclass(frozen=True, slots=True)
class Step:
    """What is to be done about one resource."""

    key: ResourceKey
    generation: str
    decision: Decision
    standing: Standing


def step_of(
    key: ResourceKey,
    generation: str,
    decision: Decision,
    world: World,
    of: ConnectorManifest | DesiredTopic | None = None,
) -> Step:
    standing = Standing(
        key=of.key if of is not None else key,
        track=read_track(world.records, key, generation),
        now=world.now,
        records=world.records,
        observe_only=world.observe_only,
        not_leader=world.not_leader,
        wrong_cluster=world.wrong_cluster,
        manage=of.manage if of is not None else Manage.RECONCILE,
        suspended_in_manifest=of is not None and of.suspend,
        interval=world.policy.interval,
        repair_delay=world.policy.repair_delay,
        per_hour=world.policy.repairs_per_hour,
        required=required_fields(of.topic_class) if isinstance(of, DesiredTopic) else frozenset(),
        snapshot=_phase(of, world),
        starting=of is not None and stopped_record(of.key.name) in world.records,
    )
    if key.kind in OWN_KINDS:
        return Step(key, generation, decision, standing)
    if isinstance(of, ConnectorManifest) and key == of.key:
        decision = guard_snapshot(decision, standing.snapshot, protected=world.stage.named)
    if of is not None and (key == of.key or key.kind is Kind.RESTORE):
        lost = voids_words(of.key, world)
        decision = apply_consent(
            key, decision, of.accept, world.records, world.now, memory_lost=lost
        )
    return Step(key, generation, draw(hold(decision, standing), standing), standing)


def _phase(of: ConnectorManifest | DesiredTopic | None, world: World) -> SnapshotPhase:
    if not isinstance(of, ConnectorManifest):
        return Phase.NONE
    observed, offsets = world.connectors.get(of.key), world.offsets.get(of.name)
    return phase_of(of, observed, offsets, world.records)
