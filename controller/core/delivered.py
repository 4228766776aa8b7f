"""Whether a secret version lies with every live worker, so that a config may name it.

Each worker's own sidecar leaves a record of what is on its volume. Live workers are those in
Connect's group: one more of them than there are records means that somebody's files are unknown.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from controller.core.action import CreateConnector, PutConfig
from controller.core.decision import Act, Decision, Wait
from controller.core.model import Json, ObservedConnector, ObservedDisk, Unknown, VersionKey
from controller.core.secret_path import named_fields
from controller.core.world import World

SIDECAR_SECTION: Final = "sidecar"


def sidecar_record(holder: str) -> str:
    return f"{SIDECAR_SECTION}/{holder}"


def sidecar_value(disk: ObservedDisk) -> dict[str, Json]:
    """Tell what lies on one worker's volume, by names only."""
    versions: dict[str, Json] = {
        str(version): list[Json](sorted(fields)) for version, fields in disk.versions.items()
    }
    return {"versions": versions}


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
    known = dict(_volumes(world))
    lacking = sorted(name for name, there in known.items() if not fields <= there(version))
    if lacking:
        yield f"the files of {version} are not with {', '.join(lacking)} yet"
    elif len(known) < (world.workers or 0):
        yield (
            f"{world.workers} workers live and {len(known)} sidecars say what they delivered: "
            f"the files of {version} may be missing at one"
        )


class _Volume:
    """What one sidecar says of its volume."""

    def __init__(self, versions: Mapping[str, frozenset[str]]) -> None:
        self._versions = versions

    def __call__(self, version: VersionKey) -> frozenset[str]:
        return self._versions.get(str(version), frozenset())


def _volumes(world: World) -> Iterator[tuple[str, _Volume]]:
    own = world.holder or ""
    disk = world.disk.versions if isinstance(world.disk, ObservedDisk) else {}
    yield own, _Volume({str(version): fields for version, fields in disk.items()})
    for key, record in world.records.items():
        section, _, holder = key.partition("/")
        if section == SIDECAR_SECTION and holder != own:
            yield holder, _Volume(_read(record.value.get("versions")))


def _read(value: Json) -> Mapping[str, frozenset[str]]:
    if not isinstance(value, dict):
        return {}
    return {
        version: frozenset(str(field) for field in fields)
        for version, fields in value.items()
        if isinstance(fields, list)
    }
