"""What bears on the restart of each connector, gathered from the world."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Final

from controller.core.action import Forget, Remember
from controller.core.ailment import Ailment, AilmentSource, ailment_of
from controller.core.connector_memory import release_record, stopped_record
from controller.core.decision import STOP_LOGINS, Act, Decision, Stall, Wait
from controller.core.login_stop import concerns, hold_resume, read_stop, stop_logins
from controller.core.look import login_in_use
from controller.core.memory import memory_lost
from controller.core.model import ConnectorManifest, Json, ObservedConnector, RunState, Unknown
from controller.core.pace import bounces
from controller.core.resolve import LoginNeed, Resolution
from controller.core.restart import QUIET, Case, decide_restart
from controller.core.restart_memory import keep_tries
from controller.core.snapshot_phase import Phase, phase_of
from controller.core.tries import (
    MOST,
    WINDOW,
    Tries,
    read_tries,
    tell_tries,
    tried_lately,
    try_resume,
    utc,
)
from controller.core.world import World

_NOT_OURS: Final = ("OtherMark", "Unadopted")
# A task that is told to stop may try once more, with the password it was started with.
ENDING_SECONDS: Final = 8.0
_LOOP_SECONDS: Final = 10.0  # between two tries of one that tries for ever
# Connect asks a connector for its tasks again after a minute at most (DistributedHerder,
# RECONFIGURE_CONNECTOR_TASKS_BACKOFF_MAX_MS), and each time says why it got none.
_SAID_AGAIN: Final = 120.0


def case_of(
    manifest: ConnectorManifest,
    decided: Decision | None,
    world: World,
    lately: tuple[float, ...],
) -> Case | None:
    """Answer None for what is not ours to restart: not there, not to run, another stage's."""
    observed = world.connectors.get(manifest.key)
    if not isinstance(observed, ObservedConnector) or manifest.run_state is not RunState.RUNNING:
        return None
    if isinstance(decided, Stall) and decided.reason in _NOT_OURS:
        return None
    name = manifest.name
    tries = read_tries(world.records, name, world.now)
    ailment = ailment_in(observed, tries, world)
    bounced = bounced_until(manifest, tries, world)
    over = max(bounced, idle_until(observed, world))
    if ailment is not None and ailment.source is AilmentSource.EVIDENCE and ailment.last <= over:
        ailment = None  # told of a task that was ended since
    acting = isinstance(decided, Act)
    phase = phase_of(manifest, observed, world.offsets.get(name), world.records)
    return Case(
        name=name,
        generation=manifest.generation,
        observed=observed,
        now=world.now,
        ailment=ailment,
        tries=tries,
        bounced=over,
        lately=lately,
        unreachable=_unreachable(name, world),
        busy=_busy(name, decided),
        released=release_record(name) in world.records,
        in_snapshot=phase not in (Phase.NONE, Phase.DONE),
        stop=None if acting else _stop(manifest, ailment, bounced, world),
    )


def ailment_in(observed: ObservedConnector, tries: Tries | None, world: World) -> Ailment | None:
    """Find what it suffers from; of a trace, since it was first seen."""
    ailment = ailment_of(observed, world.evidence.of(observed.key.name), world.now)
    if ailment is None or tries is None or ailment.source is not AilmentSource.TRACE:
        return ailment
    return replace(ailment, since=min(ailment.since, tries.since))


def _busy(name: str, decided: Decision | None) -> str | None:
    """Say why its config comes before a restart, which would read it."""
    if isinstance(decided, Act):
        return f"first: {decided.message}"
    if isinstance(decided, Wait) and decided.reason == "NeedsMissing":
        return f"connector {name} {decided.message}"
    return None


def bounced_until(manifest: ConnectorManifest, tries: Tries | None, world: World) -> float:
    """Tell until when what the worker said may be about a task that we have ended since."""
    at_once = [0.0, *(tries.times if tries is not None else ())]
    late: list[float] = []
    for name in (stopped_record(manifest.name), bounced_record(manifest.name)):
        record = world.records.get(name)
        at = record.value.get("at") if record is not None else None
        if record is not None and isinstance(at, int | float):
            group = at_once if record.value.get("began") else late
            group.append(min(float(at), world.now))
    late += [t for t in bounces(world.records, manifest.key, world.now) if t not in at_once]
    return max([*at_once, *(t + ENDING_SECONDS for t in late)])


def idle_until(observed: ObservedConnector, world: World) -> float:
    """Tell until when what the worker said is no reason for having no task that runs.

    It spoke of a task that is gone, whoever ended it, or would have spoken again by now.
    """
    states = {observed.state, *(task.state for task in observed.tasks)}
    if "FAILED" in states or any(task.state == "RUNNING" for task in observed.tasks):
        return 0.0
    since = world.states_since.get(observed.key.name, world.now)
    return max(since, world.now - _SAID_AGAIN)


def _unreachable(name: str, world: World) -> tuple[str, str] | None:
    if world.topics.fault is not None:
        return "KafkaUnreachable", f"Kafka does not answer ({world.topics.fault.message})"
    if isinstance(world.cluster_id, Unknown):
        return "KafkaUnreachable", f"Kafka does not answer ({world.cluster_id.fault.message})"
    why = world.silent_sources.get(name)
    return None if why is None else ("SourceUnreachable", why)


def _stop(
    manifest: ConnectorManifest, ailment: Ailment | None, bounced: float, world: World
) -> Act | None:
    if ailment is None:
        return None
    return stop_logins(
        manifest.name,
        manifest.generation,
        ailment.row,
        login_in_use(manifest, world),
        world.records,
        tried=_tried(ailment, bounced),
        now=world.now,
    )


def _tried(ailment: Ailment, bounced: float) -> int:
    """Count the logins of the task that runs now; those of one before it are counted already."""
    if ailment.since > bounced:
        return max(1, ailment.count)
    return 1 + int(max(0.0, ailment.last - bounced) / _LOOP_SECONDS)


# --- steps ----------------------------------------------------------------------------------


def decide_restarts(
    world: World, decided: Mapping[str, Decision]
) -> Iterator[tuple[ConnectorManifest, Case, Decision]]:
    """Decide on each connector in turn, so that all draw on one budget."""
    lately = tried_lately(world.records, world.now)
    declared = world.declared_connectors
    for manifest in declared:
        case = case_of(manifest, decided.get(manifest.name), world, lately)
        if case is None:
            continue
        decision = decide_restart(case)
        if isinstance(decision, Act) and decision.reason != STOP_LOGINS:
            lately = (*lately, world.now)
        yield manifest, case, decision


def is_quiet(case: Case, decision: Decision) -> bool:
    """Whether there is nothing to say of it."""
    return case.tries is None and decision.reason == QUIET


def bounced_record(name: str) -> str:
    return f"stamp/bounced:{name}"


def keep_cases(
    cases: Iterable[Case], acting: Mapping[str, bool], world: World
) -> Iterator[Remember | Forget]:
    """List what is to be remembered after this cycle; what acts has remembered it before.

    `acting` says of each connector that is bounced whether a task of it is ended.
    """
    if isinstance(world.stored, Unknown):
        return
    for name, ended in acting.items():
        stamp: dict[str, Json] = {"at": world.now, "began": not ended}  # no task that lingers
        yield Remember(bounced_record(name), stamp, expires=world.now + 3600.0)
    lost = memory_lost(world)
    for case in cases:
        yield from keep_tries(case, lost=case.name in lost)


def sources_to_reach(world: World) -> Mapping[str, tuple[str, int]]:
    """Find where the databases are of those connectors that could be restarted now."""
    found: dict[str, tuple[str, int]] = {}
    declared = world.declared_connectors
    for manifest in declared:
        case = case_of(manifest, None, world, ())
        decision = decide_restart(case) if case is not None else None
        if case is None or not isinstance(decision, Act) or decision.reason == STOP_LOGINS:
            continue
        address = _address(case.observed.config)
        if address is not None:
            found[manifest.name] = address
    return found


def _address(config: Mapping[str, str]) -> tuple[str, int] | None:
    """Read where the worker would connect; a url may be a secret, so it is not looked at."""
    host, port = config.get("database.hostname", ""), config.get("database.port", "")
    if not host or "${" in host or not port.isdecimal() or config.get("database.url"):
        return None
    return host, int(port)


# --- resuming what we stopped -----------------------------------------------------------------


def login_hold(
    manifest: ConnectorManifest, resolution: Resolution, world: World
) -> Wait | Stall | None:
    """Answer why a login that we stopped a connector for is not tried, by a write neither."""
    stop = read_stop(world.records, manifest.name)
    if stop is None:
        return None
    released = release_record(manifest.name) in world.records
    mode = world.policy.probe
    return hold_resume(stop, resolution.rendered, manifest.generation, mode, released=released)


def resume_hold(
    manifest: ConnectorManifest, resolution: Resolution, world: World
) -> Wait | Stall | None:
    """Answer why a connector that we stopped may not be resumed yet."""
    stop, held = read_stop(world.records, manifest.name), login_hold(manifest, resolution, world)
    if stop is None or held is not None:
        return held
    used: LoginNeed | None = resolution.rendered
    released = release_record(manifest.name) in world.records
    if used is not None and not concerns(stop, used):
        return None  # a rotation, which no budget refuses
    tries = read_tries(world.records, manifest.name, world.now)
    lately = tried_lately(world.records, world.now)
    if tries is not None and tries.next_at > world.now and not released:
        message = f"its login works again; resumed not before {utc(tries.next_at)}"
        return Wait("RestartLater", message, tries.next_at - world.now)
    if len(lately) >= MOST:
        left = lately[-MOST] + WINDOW - world.now
        return Wait("RestartBudget", "its login works again; the budget of restarts is spent", left)
    return None


def before_resume(manifest: ConnectorManifest, world: World) -> tuple[Remember, ...]:
    """Count the resume of what was stopped for its login as a try, before it happens."""
    stop = read_stop(world.records, manifest.name)
    if stop is None:
        return ()
    return (try_resume(world.records, manifest.name, stop.failure, manifest.generation, world.now),)


# --- what is told ---------------------------------------------------------------------------


def restart_counts(world: World) -> tuple[int, Mapping[str, tuple[int, float]]]:
    """Answer what is left of the budget, and by connector its tries and when the next is due."""
    declared = world.declared_connectors
    tries = {m.name: read_tries(world.records, m.name, world.now) for m in declared}
    left = max(0, MOST - len(tried_lately(world.records, world.now)))
    return left, {n: (t.count, t.next_at) if t else (0, 0.0) for n, t in tries.items()}


def restart_status(name: str, world: World) -> dict[str, Json] | None:
    """Tell of a connector that was ill lately: tries, the last, the next, what came of it."""
    tries = read_tries(world.records, name, world.now)
    if tries is None:
        return None
    return {
        "failure": tries.failure,
        "since": tries.since,
        "count": tries.count,
        "last": tries.times[-1] if tries.times else None,
        "next": tries.next_at or None,
        "outcome": tries.outcome or None,
        "message": tell_tries(tries),
    }
