"""Which secret files must lie on the worker's volume, and when the worker may start."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from controller.core.action import (
    Action,
    Forget,
    Remember,
    RemoveSecretFiles,
    WriteReady,
    WriteSecretFiles,
)
from controller.core.connector_memory import restart_record
from controller.core.decision import Act, Converged, Decision, Stall, Wait
from controller.core.model import (
    Absent,
    Json,
    ObservedDisk,
    ObservedSecret,
    SecretVersion,
    Unknown,
    VersionKey,
)
from controller.core.secret_fields import PUBLIC_FIELDS
from controller.core.secret_path import candidates, named_fields
from controller.core.world import World

REMOVE_AFTER_SECONDS: Final = 600.0
_IDLE: Final = ("STOPPED", "PAUSED")


def delivered_record(connector: str) -> str:
    return f"delivered/{connector}"


def unused_record(version: VersionKey) -> str:
    return f"stamp/unused:{version}"


def secret_names(world: World) -> frozenset[str]:
    """Name the secrets to read: the manifests', else the store's, else the database's."""
    if world.revision is not None:
        names = world.revision.secret_names()
    else:
        remembered = {version.path.rsplit("/", 1)[-1] for version in remembered_fields(world)}
        names = frozenset(remembered) or frozenset({"dbInfo"})
    return names | {world.broker_secret}


def remembered_fields(world: World) -> Mapping[VersionKey, frozenset[str]]:
    """List the versions that the store remembers in some config, with the fields it read."""
    found: dict[VersionKey, frozenset[str]] = {}
    for key, record in world.records.items():
        if key.startswith("delivered/"):
            for version, fields in _read_delivered(record.value):
                found[version] = found.get(version, frozenset()) | fields
    return found


def observed_fields(world: World) -> Mapping[VersionKey, frozenset[str]]:
    """List the versions that observed configs name, with the fields they read."""
    found: dict[VersionKey, frozenset[str]] = {}
    for connector in world.observed_connectors().values():
        for version, fields in named_fields(connector.config, world.root).items():
            found[version] = found.get(version, frozenset()) | fields
    return found


def named_versions(world: World) -> frozenset[VersionKey]:
    """List the versions to read besides the current ones: only of this stage's own paths."""
    names = secret_names(world)
    ours = {path for name in names for path in paths_of(world, name)}
    every = {*observed_fields(world), *remembered_fields(world)}
    return frozenset(version for version in every if version.path in ours)


def paths_of(world: World, name: str) -> tuple[str, ...]:
    return candidates(
        world.stage, name, prefix=world.prefix, forbid_fallback=world.policy.forbid_fallback
    )


def delivered_value(fields: Mapping[VersionKey, frozenset[str]]) -> dict[str, Json]:
    return {str(version): list[Json](sorted(names)) for version, names in sorted(fields.items())}


def _read_delivered(value: Mapping[str, Json]) -> Iterator[tuple[VersionKey, frozenset[str]]]:
    for text, fields in value.items():
        path, _, version = text.rpartition("/")
        if path and isinstance(fields, list):
            yield VersionKey(path, version), frozenset(str(field) for field in fields)


# --- files ----------------------------------------------------------------------------------


def decide_secret(name: str, world: World) -> Decision:
    """Decide on the files of one secret: all versions that may be read are written whole."""
    secret = world.secrets.get(name, Absent())
    if isinstance(secret, Unknown):
        return Wait(secret.fault.reason, secret.fault.message)
    if isinstance(secret, Absent):
        looked = " and ".join(paths_of(world, name))
        return Stall("SecretMissing", f"there is no secret {looked}")
    if isinstance(world.disk, Unknown):
        return Wait(world.disk.fault.reason, world.disk.fault.message)
    actions: list[Action] = []
    for version in _versions(secret, world):
        actions.extend(_write(version, secret, world, world.disk))
    actions.extend(_remove(name, secret, world, world.disk))
    if not actions:
        return Converged()
    return Act(tuple(actions), "Deliver", f"the files of {secret.path} are not as they should be")


def _versions(secret: ObservedSecret, world: World) -> tuple[SecretVersion, ...]:
    found = {secret.current.key: secret.current}
    if isinstance(secret.previous, SecretVersion):
        found[secret.previous.key] = secret.previous
    for key in named_versions(world):
        version = secret.version(key)
        if isinstance(version, SecretVersion):
            found[key] = version
    return tuple(found[key] for key in sorted(found))


def _needed(name: str, version: SecretVersion, world: World) -> frozenset[str]:
    """Name the private fields that may be read from this version."""
    named = observed_fields(world).get(version.key, frozenset())
    remembered = remembered_fields(world).get(version.key, frozenset())
    wanted = _referenced(name, world) if world.revision is not None else frozenset(version.fields)
    return ((wanted | named | remembered) & frozenset(version.fields)) - PUBLIC_FIELDS


def _referenced(name: str, world: World) -> frozenset[str]:
    if world.revision is None:
        return frozenset()
    return frozenset(
        ref.field or ref.name
        for connector in world.revision.connectors
        for template in connector.config.values()
        for ref in template.secrets()
        if ref.name == name
    )


def _write(
    version: SecretVersion, secret: ObservedSecret, world: World, disk: ObservedDisk
) -> Iterator[Action]:
    needed = _needed(secret.name, version, world)
    there = disk.versions.get(version.key, frozenset())
    if version.problem or needed <= there:
        return
    for connector in _readers(version.key, there, world):
        yield Remember(restart_record(connector), {"version": str(version.key)})
    fields = needed | (there & frozenset(version.fields))
    yield WriteSecretFiles(version.key, {field: version.fields[field] for field in sorted(fields)})


def _readers(version: VersionKey, there: frozenset[str], world: World) -> tuple[str, ...]:
    """Name the connectors whose tasks were started without files that they read."""
    if isinstance(world.stored, Unknown):  # it cannot be kept, and files come before restarts
        return ()
    return tuple(
        name
        for name, connector in sorted(world.observed_connectors().items())
        if connector.state not in _IDLE
        and not named_fields(connector.config, world.root).get(version, frozenset()) <= there
    )


def _remove(
    name: str, secret: ObservedSecret, world: World, disk: ObservedDisk
) -> Iterator[Action]:
    unread = isinstance(secret.previous, Unknown) or isinstance(world.stored, Unknown)
    if unread or not world.connectors.complete:
        return
    kept = {secret.current.key, *observed_fields(world)}
    if isinstance(secret.previous, SecretVersion):
        kept.add(secret.previous.key)
    for version in sorted(disk.versions):
        if version.path not in paths_of(world, name):
            continue
        stamp = world.records.get(unused_record(version))
        if version in kept:
            if stamp is not None:
                yield Forget(unused_record(version))
        elif stamp is None:
            yield Remember(unused_record(version), {"since": world.now})
        elif world.now - _since(stamp.value) >= REMOVE_AFTER_SECONDS:
            yield RemoveSecretFiles(version)
            yield Forget(unused_record(version))


def _since(value: Mapping[str, Json]) -> float:
    since = value.get("since")
    return float(since) if isinstance(since, int | float) else 0.0


# --- ready ----------------------------------------------------------------------------------


def decide_ready(world: World) -> Decision:
    """Let the worker start once all files that it may read are there, on the right cluster."""
    if isinstance(world.disk, Unknown):
        return Wait(world.disk.fault.reason, world.disk.fault.message)
    line = broker_line(world)
    if not isinstance(line, str):
        return line
    if world.disk.ready == line:  # it is told though nothing else differs
        return Stall("WrongCluster", world.wrong_cluster) if world.wrong_cluster else Converged()
    missing = _undelivered(world, world.disk)
    if missing is not None:
        return missing
    if isinstance(world.cluster_id, Unknown):
        return Wait(world.cluster_id.fault.reason, world.cluster_id.fault.message)
    if world.wrong_brokers is not None:
        return Stall("WrongCluster", world.wrong_brokers)
    return Act((WriteReady(line),), "Ready", "the worker may start")


def broker_line(world: World) -> str | Decision:
    """Answer the broker string in force, or why there is none."""
    secret = world.secrets.get(world.broker_secret, Absent())
    if isinstance(secret, Unknown):
        return Wait(secret.fault.reason, secret.fault.message)
    if isinstance(secret, Absent):
        looked = " and ".join(paths_of(world, world.broker_secret))
        return Stall("SecretMissing", f"there is no secret {looked}: no broker is known")
    value = secret.current.fields.get(world.broker_secret)
    if value is None or secret.current.problem:
        return Stall("SecretMalformed", f"{secret.path} holds no broker string")
    return value.reveal().strip()


def _undelivered(world: World, disk: ObservedDisk) -> Wait | None:
    for name in sorted(secret_names(world)):
        secret = world.secrets.get(name, Absent())
        if isinstance(secret, Unknown):
            return Wait(secret.fault.reason, secret.fault.message)
        if isinstance(secret, Absent):
            continue
        if isinstance(secret.previous, Unknown):
            return Wait(secret.previous.fault.reason, secret.previous.fault.message)
        for key in sorted(named_versions(world)):
            unread = secret.version(key)
            if isinstance(unread, Unknown):
                return Wait(unread.fault.reason, unread.fault.message)
        for version in _versions(secret, world):
            needed = _needed(name, version, world)
            if not version.problem and not needed <= disk.versions.get(version.key, frozenset()):
                return Wait("FilesMissing", f"waits for the files of {version.key}")
    return None
