"""Whether a secret version lies with every live worker, so that a config may name it.

Each worker's own sidecar leaves a record of what is on its volume. Live workers are those in
Connect's group: one more of them than there are fresh records means that somebody's files are
unknown. A record that is no longer renewed may be of a worker that lives, so until it expires it
still holds what it lacks.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from controller.core.action import CreateConnector, PutConfig
from controller.core.decision import Act, Decision, Wait
from controller.core.model import (
    Json,
    ObservedConnector,
    ObservedDisk,
    Records,
    Unknown,
    VersionKey,
)
from controller.core.secret_path import named_fields
from controller.core.world import World

SIDECAR_SECTION: Final = "sidecar"
LASTING_SECONDS: Final = 600.0


def sidecar_record(holder: str) -> str:
    return f"{SIDECAR_SECTION}/{holder}"


def fresh_seconds(interval: float) -> float:
    """Tell how old a record may be before its sidecar counts as silent."""
    return 3.0 * interval + 15.0


def sidecar_value(disk: ObservedDisk, now: float, unseen_log: str | None) -> dict[str, Json]:
    """Tell what lies on one worker's volume, by names only, and whether its log can be read."""
    versions: dict[str, Json] = {
        str(version): list[Json](sorted(fields)) for version, fields in disk.versions.items()
    }
    return {"versions": versions, "log": unseen_log, "at": now}


def unseen_elsewhere(records: Records, own: str, *, interval: float, now: float) -> str | None:
    """Say why the log of another live worker cannot be read, where its sidecar says so."""
    for key, record in sorted(records.items()):
        section, _, holder = key.partition("/")
        why, at = record.value.get("log"), record.value.get("at")
        fresh = isinstance(at, int | float) and at >= now - fresh_seconds(interval)
        if section == SIDECAR_SECTION and holder != own and fresh and why:
            return f"that of {holder}: {why}"
    return None


def hold_undelivered(decision: Decision, world: World) -> Decision:
    """Hold a write that names a version which not every live worker can read."""
    if world.workers is None or not isinstance(decision, Act):
        return decision
    for action in decision.actions:
        if isinstance(action, CreateConnector | PutConfig):
            why = next(_undelivered(action, world), None)
            if why is not None:
                return Wait("NotDelivered", why, diff=decision.diff, held=decision)
    return decision


def _undelivered(action: CreateConnector | PutConfig, world: World) -> Iterator[str]:
    there = world.observed_connectors().get(action.name)
    used = named_fields(there.config, world.root) if isinstance(there, ObservedConnector) else {}
    for version, fields in sorted(named_fields(action.config, world.root).items()):
        if not fields <= used.get(version, frozenset()):
            yield from _lacking(version, fields, world)


def _lacking(version: VersionKey, fields: frozenset[str], world: World) -> Iterator[str]:
    if isinstance(world.workers, Unknown):
        yield f"how many workers live is unknown: {world.workers.fault.message}"
        return
    volumes = tuple(_volumes(world))
    nothing = frozenset[str]()
    lacking = sorted(v.of for v in volumes if not fields <= v.versions.get(str(version), nothing))
    fresh = sum(volume.fresh for volume in volumes)
    if lacking:
        yield f"the files of {version} are not with {', '.join(lacking)} yet"
    elif fresh < (world.workers or 0):
        yield (
            f"{world.workers} workers live and {fresh} sidecars say what they delivered: "
            f"the files of {version} may be missing at one"
        )


@dataclass(frozen=True, slots=True)
class _Volume:
    """What one sidecar says of its volume."""

    of: str
    versions: Mapping[str, frozenset[str]]
    fresh: bool


def _volumes(world: World) -> Iterator[_Volume]:
    own = world.holder or ""
    disk = world.disk.versions if isinstance(world.disk, ObservedDisk) else {}
    yield _Volume(own, {str(version): fields for version, fields in disk.items()}, fresh=True)
    oldest = world.now - fresh_seconds(world.policy.interval)
    for key, record in world.records.items():
        section, _, holder = key.partition("/")
        if section == SIDECAR_SECTION and holder != own:
            at = record.value.get("at")
            fresh = isinstance(at, int | float) and at >= oldest
            yield _Volume(holder, _read(record.value.get("versions")), fresh)


def _read(value: Json) -> Mapping[str, frozenset[str]]:
    if not isinstance(value, dict):
        return {}
    return {
        version: frozenset(str(field) for field in fields)
        for version, fields in value.items()
        if isinstance(fields, list)
    }
