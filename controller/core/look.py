"""What is looked at beyond the bulk observation, and where; a quiet cycle needs none of it."""

from __future__ import annotations

from controller.core.connector import diff_connector
from controller.core.connector_memory import restore_record
from controller.core.model import (
    ConnectorManifest,
    DesiredConnector,
    ObservedConnector,
    RunState,
    VersionKey,
)
from controller.core.resolve import LoginNeed, Resolution, Vault, login_of, resolve
from controller.core.secret_path import named_fields
from controller.core.snapshot_phase import snapshot_record, takes_snapshots
from controller.core.world import World


def resolution_of(manifest: ConnectorManifest, world: World) -> Resolution:
    """Render a manifest with the secrets of this observation."""
    observed = world.connectors.get(manifest.key)
    named: tuple[VersionKey, ...] = ()
    if isinstance(observed, ObservedConnector):
        named = tuple(named_fields(observed.config, world.root))
    return resolve(manifest, named, vault_of(world))


def login_in_use(manifest: ConnectorManifest, world: World) -> LoginNeed | None:
    """Find the login that the observed config names, whatever would be chosen now."""
    observed = world.connectors.get(manifest.key)
    if not isinstance(observed, ObservedConnector):
        return None
    named = tuple(named_fields(observed.config, world.root))
    return login_of(manifest, named, vault_of(world))


def vault_of(world: World) -> Vault:
    return Vault(world.secrets, world.records, world.policy.probe, world.root, world.now)


def offsets_due(world: World) -> tuple[str, ...]:
    """Name the connectors whose offsets bear on what is planned in this very cycle."""
    if world.revision is None:
        return ()
    declared = sorted(world.revision.connectors, key=lambda one: one.key)
    due = (is_to_start, _may_interrupt, _is_to_restore)
    return tuple(m.name for m in declared if any(one(m, world) for one in due))


def _is_to_restore(manifest: ConnectorManifest, world: World) -> bool:
    """Whether somebody asked that its offsets be put back, and it stands STOPPED."""
    observed = world.connectors.get(manifest.key)
    stopped = isinstance(observed, ObservedConnector) and observed.state == "STOPPED"
    return stopped and restore_record(manifest.name) in world.records


def is_to_start(manifest: ConnectorManifest, world: World) -> bool:
    """Whether it stands STOPPED or PAUSED and is declared to do more."""
    observed = world.connectors.get(manifest.key)
    if not isinstance(observed, ObservedConnector):
        return False
    if observed.state == "PAUSED":
        return manifest.run_state is RunState.RUNNING
    return observed.state == "STOPPED" and manifest.run_state is not RunState.STOPPED


def _may_interrupt(manifest: ConnectorManifest, world: World) -> bool:
    """Whether it differs, and nobody saw yet that its snapshot has ended."""
    observed = world.connectors.get(manifest.key)
    if not isinstance(observed, ObservedConnector) or not takes_snapshots(manifest):
        return False
    if snapshot_record(manifest.name) in world.records:
        return False
    desired = resolution_of(manifest, world).desired
    return isinstance(desired, DesiredConnector) and bool(diff_connector(desired, observed))


def neighbours_due(world: World) -> bool:
    """Whether a connector would begin from nothing where another named stage may write, too."""
    if world.revision is None or not world.stage.named or world.policy.shared_cluster:
        return False
    started = (m for m in world.revision.connectors if is_to_start(m, world))
    return any(world.offsets.get(manifest.name) == () for manifest in started)
