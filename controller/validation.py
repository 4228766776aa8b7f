"""Ask the worker what it thinks of the desired configs, without writing them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from controller.core.delivery import observed_fields
from controller.core.model import DesiredConnector, FieldError
from controller.core.probe import Proved
from controller.core.resolve import Vault, resolve
from controller.core.world import World
from controller.ports import ConnectClient


def validate_configs(
    connect: ConnectClient, world: World
) -> Iterator[tuple[str, Sequence[FieldError]]]:
    """Validate each connector whose login is in use or proved; each validation is a login."""
    if world.revision is None:
        return
    named = tuple(observed_fields(world))
    vault = Vault(world.secrets, world.records, world.policy.probe, world.root, world.now)
    for manifest in world.revision.connectors:
        resolution = resolve(manifest, named, vault)
        need, desired = resolution.login, resolution.desired
        if not isinstance(desired, DesiredConnector):
            yield manifest.name, (FieldError("secrets", f"{desired.reason}: {desired.message}"),)
        elif need is None or isinstance(need.state, Proved) or need.version in named:
            yield manifest.name, connect.validate(manifest.connector_class, desired.config)
        else:
            told = "its login is neither in use nor proved yet; the controller tries it first"
            yield manifest.name, (FieldError("secrets", told),)
