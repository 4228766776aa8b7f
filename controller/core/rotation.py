"""New credentials go first: what holds other differences back does not hold a rotation."""

from __future__ import annotations

from typing import Final

from controller.core.action import PutConfig
from controller.core.decision import Act, Decision, Difference, Risk, Stall, Wait
from controller.core.diff import Change, hash_config
from controller.core.model import DesiredConnector, ObservedConnector, VersionKey
from controller.core.risk import consequence
from controller.core.secret_path import named_fields

_WAITS: Final = frozenset(
    {
        "RepairDelayed",
        "Contended",
        "Flapping",
        "SnapshotRunning",
        "OffsetsUnread",
        "AcceptanceRequired",
        "TablesChanged",
    }
)


def rotation_in(
    decision: Decision, desired: DesiredConnector, observed: ObservedConnector, root: str
) -> Act | None:
    """Find what may be written although the rest has to wait: credentials of a newer version.

    Not where the version also changes what stands in the config itself: a host and a password of
    two versions never mix.
    """
    if not isinstance(decision, Wait | Stall) or decision.reason not in _WAITS:
        return None
    held = decision.held
    if held is None or not any(isinstance(action, PutConfig) for action in held.actions):
        return None
    rotated = tuple(change for change in held.diff if _is_rotated(change, root))
    others = (change for change in held.diff if change not in rotated)
    if not rotated or any(_is_of_secret(change, desired) for change in others):
        return None
    after = {change.field: change.after for change in rotated if change.after is not None}
    config = {**observed.config, **after}
    name = desired.manifest.name
    fields = ", ".join(after)
    return Act(
        (PutConfig(name, config, hash_config(desired.config)),),
        "Rotate",
        f"{fields} of connector {name} differs; the rest waits: {decision.message}",
        rotated,
        Difference.ROTATION,
        Risk.RESTART,
        consequence((), Risk.RESTART),
    )


def _is_rotated(change: Change, root: str) -> bool:
    """Whether both sides name the same fields of the same secret, in two versions."""
    before, after = (_named(change.field, side, root) for side in (change.before, change.after))
    if not before or before == after or len(before) != len(after):
        return False
    return {(k.path, f) for k, f in before} == {(k.path, f) for k, f in after}


def _named(field: str, text: str | None, root: str) -> frozenset[tuple[VersionKey, str]]:
    found = named_fields({field: text or ""}, root)
    return frozenset((key, name) for key, names in found.items() for name in names)


def _is_of_secret(change: Change, desired: DesiredConnector) -> bool:
    template = desired.manifest.config.get(change.field)
    return template is not None and any(True for _ in template.secrets())
