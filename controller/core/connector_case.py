"""What bears on the decision about each connector, gathered from the world."""

from __future__ import annotations

from controller.core.connector import decide_connector, diff_connector
from controller.core.connector_memory import (
    ConnectorMemory,
    is_stop_released,
    restart_record,
    stopped_record,
)
from controller.core.decision import Act, Converged, Decision, Wait
from controller.core.diff import Diff
from controller.core.identity import explain_shared
from controller.core.memory import applied_record, is_applied, memory_lost
from controller.core.model import (
    ConnectorManifest,
    DesiredConnector,
    ObservedConnector,
    ObservedDisk,
    ObservedTopic,
    Unresolved,
    VersionKey,
)
from controller.core.refusal import decide_refused, read_refusal
from controller.core.resolve import Resolution
from controller.core.restart_case import before_resume, login_hold, resume_hold
from controller.core.restore import hold_for_restore
from controller.core.secret_path import named_fields
from controller.core.source import moved_source
from controller.core.surroundings import Surroundings, rivals_of
from controller.core.world import World


def decide_case(manifest: ConnectorManifest, resolution: Resolution, world: World) -> Decision:
    observed = world.connectors.get(manifest.key)
    memory = _memory_of(manifest, world)
    around = Surroundings(
        mark=world.stage.mark,
        protected=world.stage.named,
        missing=_missing(manifest, resolution.desired, world),
        offsets=world.offsets.get(manifest.name),
        filled=world.filled.get(manifest.name),
        rivals=rivals_of(manifest, world.observed_connectors()),
        neighbours=frozenset() if world.policy.shared_cluster else world.neighbours,
        hold_resume=hold_for_restore(manifest, world) or resume_hold(manifest, resolution, world),
        before_resume=before_resume(manifest, world),
        moved=_moved(resolution.desired, world),
    )
    decision = decide_connector(resolution.desired, observed, memory, around)
    if decision == Converged() and shares_unasked(world):
        return Converged("ClusterShared", explain_shared(world.other_stages_listed))
    if not isinstance(decision, Act) or not isinstance(resolution.desired, DesiredConnector):
        return decision
    if isinstance(observed, ObservedConnector) and not diff_connector(resolution.desired, observed):
        return decision
    held = login_hold(manifest, resolution, world)
    return held or _after_refusal(manifest, resolution, world) or decision


def _moved(desired: DesiredConnector | Unresolved, world: World) -> Diff:
    if isinstance(desired, Unresolved):
        return ()
    manifest = desired.manifest
    return moved_source(manifest.name, desired.config, manifest.ignore, world.records)


def shares_unasked(world: World) -> bool:
    """Whether a stage that runs has a neighbour that nobody declared: shown, and nothing held."""
    named = world.stage.named and not world.policy.shared_cluster
    return named and bool(world.other_stages_listed)


def _after_refusal(
    manifest: ConnectorManifest, resolution: Resolution, world: World
) -> Decision | None:
    desired = resolution.desired
    if not isinstance(desired, DesiredConnector):
        return None
    refusal = read_refusal(world.records, manifest.name, desired.config)
    if refusal is None:
        return None
    if resolution.behind is not None and resolution.behind[0] == "LoginUnproved":
        return Wait(*resolution.behind)  # what was refused may be old news in a moment
    return decide_refused(
        manifest,
        desired.config,
        refusal,
        resolution.rendered,
        records=world.records,
        mode=world.policy.probe,
        now=world.now,
    )


def _memory_of(manifest: ConnectorManifest, world: World) -> ConnectorMemory:
    name, records = manifest.name, world.records
    applied = records.get(applied_record(manifest.key))
    versions = applied.value.get("versions") if applied is not None else None
    stopped = stopped_record(name) in records
    lost = name in memory_lost(world)
    return ConnectorMemory(
        known=applied is not None or stopped,
        applied=is_applied(manifest.key, manifest.generation, world) or lost,
        applied_versions=_versions(versions),
        stopped_by_us=stopped or is_stop_released(name, records),
        restart_due=restart_record(name) in records,
    )


def _versions(value: object) -> frozenset[VersionKey]:
    texts = value if isinstance(value, list) else []
    return frozenset(VersionKey(*str(text).rsplit("/", 1)) for text in texts if "/" in str(text))


def _missing(
    manifest: ConnectorManifest, desired: DesiredConnector | Unresolved, world: World
) -> tuple[str, ...]:
    """Name what the connector needs and what is not there or could not be looked at."""
    topics = [
        str(key)
        for key in sorted(manifest.needs)
        if not isinstance(world.topics.get(key), ObservedTopic)
    ]
    named = (
        named_fields(desired.config, world.root) if isinstance(desired, DesiredConnector) else {}
    )
    disk = world.disk.versions if isinstance(world.disk, ObservedDisk) else {}
    files = (
        f"secret/{version}"
        for version, fields in sorted(named.items())
        if not fields <= disk.get(version, frozenset())
    )
    return (*topics, *files)
