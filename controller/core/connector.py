"""What to do about one connector; the twin of topic.py."""

from __future__ import annotations

from controller.core.action import Action, CreateConnector, Forget, PutConfig, Remember, Restart
from controller.core.canonical import canonical
from controller.core.connector_memory import ConnectorMemory, restart_record, stopped_record
from controller.core.danger import find_dangers
from controller.core.decision import Act, Converged, Decision, Difference, Risk, Stall, Wait
from controller.core.diff import Diff, diff_config, hash_config
from controller.core.identity import HISTORY_KEY, changes_tables, explain_tables, hold_unadopted
from controller.core.model import (
    Absent,
    DesiredConnector,
    ObservedConnector,
    Offsets,
    Unknown,
    Unresolved,
)
from controller.core.risk import TABLES, consequence, risk_of_connector, tell_connector, worst
from controller.core.run_state import is_to_stop, stop_connector, switch_state
from controller.core.source import IMMUTABLE, hold_moved, remember_source
from controller.core.stage import MARK_KEY
from controller.core.surroundings import Surroundings


def decide_connector(
    desired: DesiredConnector | Unresolved,
    observed: ObservedConnector | Absent | Unknown,
    memory: ConnectorMemory,
    around: Surroundings,
) -> Decision:
    if isinstance(observed, Unknown):
        return Wait(observed.fault.reason, observed.fault.message)
    if isinstance(observed, ObservedConnector):
        foreign = _foreign(observed, memory, around)
        if foreign is not None and foreign.reason == "Unadopted":
            return _adopt(foreign, desired, observed, around)
        if foreign is not None:
            return foreign
    manifest = desired.manifest
    if isinstance(observed, ObservedConnector) and is_to_stop(manifest, observed):
        return stop_connector(manifest, observed, memory)  # needs no config, and waits for nothing
    if isinstance(desired, Unresolved):
        return _unresolved(desired)
    if isinstance(observed, Absent):
        return _create(desired, memory, around)
    return _correct(desired, observed, memory, around)


def diff_connector(desired: DesiredConnector, observed: ObservedConnector) -> Diff:
    """Compare the whole config: extra keys are drift, ignored keys are nobody's business."""
    return diff_config(
        desired.config, observed.config, ignore=desired.manifest.ignore, canonical=canonical
    )


def _unresolved(desired: Unresolved) -> Decision:
    if desired.retry:
        return Wait(desired.reason, desired.message)
    return Stall(desired.reason, desired.message)


def _foreign(
    observed: ObservedConnector, memory: ConnectorMemory, around: Surroundings
) -> Stall | None:
    mark = observed.config.get(MARK_KEY)
    if mark == around.mark:
        return None
    if mark:
        return Stall("OtherMark", f"it is marked as {mark}'s and is not written to")
    if memory.known or not around.protected:
        return None
    return Stall(
        "Unadopted",
        "a connector of this name is there without our mark: compare its config with the "
        "manifest and its offsets with what you expect before it is taken over",
    )


def _adopt(
    foreign: Stall,
    desired: DesiredConnector | Unresolved,
    observed: ObservedConnector,
    around: Surroundings,
) -> Stall:
    """Hold the config alone: its run state is looked at when it is ours."""
    if isinstance(desired, Unresolved):
        return foreign
    diff = diff_connector(desired, observed)
    immutable = tuple(change for change in diff if change.field in IMMUTABLE)
    if immutable:
        return Stall("ImmutableField", _explain_immutable(desired, immutable), diff)
    if any(need.startswith("secret/") for need in around.missing):
        return foreign
    return hold_unadopted(foreign, _put(desired, observed, diff, ConnectorMemory(), ()))


def _create(desired: DesiredConnector, memory: ConnectorMemory, around: Surroundings) -> Decision:
    name = desired.manifest.name
    dangers = tuple(find_dangers(desired.config))
    create = Act(
        (
            Remember(stopped_record(name), {"by": "create"}),
            CreateConnector(name, desired.config, hash_config(desired.config)),
        ),
        "Create",
        f"connector {name} is not there; it is created STOPPED and resumed after a look at its "
        "offsets",
        difference=Difference.DRIFT if memory.applied else Difference.NEW_GENERATION,
        risk=worst(danger.risk for danger in dangers),
        consequence="; ".join(
            [
                "without offsets of its own it begins with a snapshot",
                *dict.fromkeys(danger.sentence for danger in dangers),
            ]
        ),
    )
    if around.rivals:  # with nothing held, or what else is dangerous in it could be accepted
        return Stall(
            "PrefixInUse",
            f"{', '.join(around.rivals)} has its topic prefix or schema history: two connectors "
            "would write into one history; delete the other one first",
        )
    if around.missing:
        return Wait("NeedsMissing", f"waits for {', '.join(around.missing)}", held=create)
    if around.protected and dangers:
        told = ", ".join(f"{d.key} ({desired.config[d.key]}): {d.sentence}" for d in dangers)
        return Stall("AcceptanceRequired", f"{told}; a person must accept that", held=create)
    return create


def _correct(
    desired: DesiredConnector,
    observed: ObservedConnector,
    memory: ConnectorMemory,
    around: Surroundings,
) -> Decision:
    diff = diff_connector(desired, observed)
    immutable = tuple(change for change in diff if change.field in IMMUTABLE)
    if immutable and not _never_ran(immutable, observed, memory, around):
        return Stall("ImmutableField", _explain_immutable(desired, immutable), diff)
    switch = switch_state(desired.manifest, observed, memory, around)
    if isinstance(switch, tuple) and observed.state in ("STOPPED", "PAUSED"):
        switch = _guard_source(desired, diff, switch, around)
    if not diff:
        return _settle(desired, observed, memory, switch)
    if isinstance(switch, Stall) and switch.reason == "StoppedByHand":  # nothing is written then
        return Stall(switch.reason, switch.message, diff)
    files = tuple(need for need in around.missing if need.startswith("secret/"))
    put = _put(desired, observed, diff, memory, switch, offsets=around.offsets)
    if files:
        return Wait("NeedsMissing", f"waits for {', '.join(files)}", diff=diff, held=put)
    if around.protected and put.risk not in (Risk.NONE, Risk.RESTART):
        return _hold_risk(desired, diff, put, around.offsets)
    return put


def _guard_source(
    desired: DesiredConnector, diff: Diff, starts: tuple[Action, ...], around: Surroundings
) -> tuple[Action, ...] | Stall:
    """Go on only from offsets of what is declared; what is about to be written is judged there."""
    if not starts or not around.protected or not isinstance(around.offsets, tuple):
        return starts
    written = {change.field for change in diff}
    moved = tuple(change for change in around.moved if change.field not in written)
    return hold_moved(desired, starts, moved) if moved and around.offsets else starts


def _never_ran(
    immutable: Diff, observed: ObservedConnector, memory: ConnectorMemory, around: Surroundings
) -> bool:
    """Whether only the history changes, of one that we created and that has begun nothing."""
    idle = observed.state == "STOPPED" and memory.stopped_by_us and around.offsets == ()
    return idle and all(change.field == HISTORY_KEY for change in immutable)


def _hold_risk(
    desired: DesiredConnector, diff: Diff, put: Act, offsets: Offsets | Unknown | None
) -> Stall:
    config = desired.config
    risky = tuple(c for c in diff if risk_of_connector(c, config) is put.risk)
    fields = ", ".join(change.field for change in risky)
    drift = put.difference is Difference.DRIFT
    tables = changes_tables(diff, offsets)
    if tables and put.risk is Risk.SNAPSHOT:
        told = explain_tables(diff, config, drift=drift)
        return Stall("TablesChanged", f"{told}; a person must accept that", diff, put)
    message = f"{fields}: {put.consequence}; a person must accept that"
    if tables:
        message = f"{message}. Also, {explain_tables(diff, config, drift=drift)}"
    return Stall("AcceptanceRequired", message, diff, put)


def _settle(
    desired: DesiredConnector,
    observed: ObservedConnector,
    memory: ConnectorMemory,
    switch: tuple[Action, ...] | Wait | Stall,
) -> Decision:
    """Decide once the config is right: only the run state is left."""
    if isinstance(switch, Wait | Stall):
        return switch
    name = desired.manifest.name
    if switch:
        wanted = desired.manifest.run_state
        reason = "Repair" if memory.applied else "Update"
        difference = Difference.DRIFT if memory.applied else Difference.NEW_GENERATION
        message = f"connector {name} is {observed.state} and declared {wanted}"
        return Act(switch, reason, message, difference=difference)
    if memory.restart_due and observed.state not in ("STOPPED", "PAUSED"):
        return Act(
            (Restart(name, only_failed=False), Forget(restart_record(name))),
            "ReadSecretsAgain",
            f"the secret files that connector {name} names were missing and are there now",
            difference=Difference.ROTATION,
            risk=Risk.RESTART,
            consequence=consequence((), Risk.RESTART),
        )
    return Converged()


def _put(
    desired: DesiredConnector,
    observed: ObservedConnector,
    diff: Diff,
    memory: ConnectorMemory,
    switch: tuple[Action, ...] | Wait | Stall,
    *,
    offsets: Offsets | Unknown | None = None,
) -> Act:
    name, ignore = desired.manifest.name, desired.manifest.ignore
    kept = {key: value for key, value in observed.config.items() if key in ignore}
    ours = {key: value for key, value in desired.config.items() if key not in ignore}
    put = PutConfig(name, {**ours, **kept}, hash_config(desired.config))
    switches = switch if isinstance(switch, tuple) else ()
    difference = _difference(desired, diff, memory)
    # Without offsets there is nothing yet that other tables could miss.
    tables_too = changes_tables(diff, offsets)
    judged = tuple(change for change in diff if tables_too or change.field not in TABLES)
    risk = worst((Risk.RESTART, *(risk_of_connector(c, desired.config) for c in judged)))
    fields = ", ".join(change.field for change in diff[:6]) + (", ..." if len(diff) > 6 else "")
    reason = {
        Difference.DRIFT: "Repair",
        Difference.NEW_GENERATION: "Update",
        Difference.ROTATION: "Rotate",
    }[difference]
    return Act(
        (put, *remember_source(name, diff, put.config), *switches),
        reason,
        f"{fields} of connector {name} differs",
        diff,
        difference,
        risk,
        tell_connector(judged, desired.config) or consequence((), risk),
    )


def _difference(desired: DesiredConnector, diff: Diff, memory: ConnectorMemory) -> Difference:
    if not memory.applied:
        return Difference.NEW_GENERATION
    templates = desired.manifest.config
    from_secrets = all(
        change.field in templates and any(True for _ in templates[change.field].secrets())
        for change in diff
    )
    if from_secrets and desired.rendered != memory.applied_versions:
        return Difference.ROTATION
    return Difference.DRIFT


def _explain_immutable(desired: DesiredConnector, immutable: Diff) -> str:
    fields = ", ".join(f"{c.field} ({c.before} -> {c.after})" for c in immutable)
    return (
        f"{fields} cannot change on an existing connector {desired.manifest.name}: its offsets and "
        "its history belong to the old value. Declare what is there, or declare a connector with "
        "another name and delete this one by hand"
    )
