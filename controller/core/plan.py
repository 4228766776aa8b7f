"""The plan: all decisions of one cycle, in the order in which they are applied."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType

from controller.core.action import Action, Forget, Remember, is_own
from controller.core.beginning import keep_beginning
from controller.core.condition import Condition
from controller.core.connector_case import decide_case
from controller.core.decision import Act, Converged, Decision, Stall, Wait
from controller.core.delivered import hold_undelivered
from controller.core.delivery import decide_ready, decide_secret, secret_names
from controller.core.guards import own_name
from controller.core.health import judge_health
from controller.core.hold import draw, hold, keep_drift
from controller.core.idle import Idle, find_idle, keep_idle
from controller.core.login_step import decide_login
from controller.core.look import resolution_of
from controller.core.memory import keep_memory
from controller.core.model import (
    WORKER,
    ConnectorManifest,
    DesiredConnector,
    ObservedConnector,
    ResourceKey,
    Unknown,
    Unresolved,
    connector_key,
    login_key,
    restart_key,
    restore_key,
    secret_key,
    topic_key,
)
from controller.core.outlived import keep_held
from controller.core.pace import bounces_task, ends_task
from controller.core.preflight_step import decide_preflight
from controller.core.resolve import Resolution
from controller.core.restart import Case
from controller.core.restart_case import decide_restarts, is_quiet, keep_cases
from controller.core.restore import find_restores
from controller.core.rotation import rotation_in
from controller.core.snapshot_phase import keep_phase
from controller.core.stage import MARK_KEY
from controller.core.standing import conditions_of_connector, conditions_of_topic
from controller.core.step import Step, step_of
from controller.core.topic_case import decide_topic_case
from controller.core.world import World


@dataclass(frozen=True, slots=True)
class Plan:
    """All steps in order; `memory` is put into the store after them."""

    steps: tuple[Step, ...]
    memory: tuple[Remember | Forget, ...] = ()
    orphans: tuple[ResourceKey, ...] = ()
    idle: tuple[Idle, ...] = ()
    conditions: Mapping[ResourceKey, tuple[Condition, ...]] = field(
        default_factory=lambda: MappingProxyType({})
    )

    @property
    def converged(self) -> bool:
        return all(isinstance(step.decision, Converged) for step in self.steps)

    @property
    def requeue_after(self) -> float | None:
        """Tell in how many seconds, at the latest, something could be decided differently."""
        delays = [
            step.decision.requeue_after
            for step in self.steps
            if isinstance(step.decision, Wait) and step.decision.requeue_after is not None
        ]
        return min(delays, default=None)

    def changes(self) -> Iterator[tuple[Step, Act]]:
        """List what would change Kafka or Connect, held back or not."""
        for step in self.steps:
            act = _would(step.decision)
            if act is not None and not all(is_own(action) for action in act.actions):
                yield step, act


def _would(decision: Decision) -> Act | None:
    if isinstance(decision, Act):
        return decision
    return decision.held if isinstance(decision, Wait | Stall) else None


def plan(world: World) -> Plan:
    """Decide on everything, from what was observed and remembered alone."""
    resolutions = {m.name: resolution_of(m, world) for m in world.declared_connectors}
    connectors = tuple(_connector_steps(world, resolutions))
    restarts = tuple(decide_restarts(world, {s.key.name: s.decision for s in connectors}))
    steps = (
        *_secret_steps(world),
        *_login_steps(world, resolutions),
        *_topic_steps(world),
        *connectors,
        *_restart_steps(world, restarts),
        *_restore_steps(world),
    )
    idle = find_idle(world, [(_subject(step), step.decision) for step in steps])
    return Plan(
        steps=steps,
        memory=_unsaid(
            (
                *_keep_pace(world, steps, idle),
                *keep_cases((case for _, case, _ in restarts), _acting(connectors), world),
                *keep_memory(world, {s.key: s.decision for s in steps}, resolutions),
            ),
            steps,
        ),
        idle=idle,
        orphans=find_orphans(world),
        conditions=_conditions(world, steps, resolutions),
    )


def _unsaid(
    memory: tuple[Remember | Forget, ...], steps: tuple[Step, ...]
) -> tuple[Remember | Forget, ...]:
    """Leave out what an act of this cycle has put or taken: this is older news, and later."""
    told = {
        action.key
        for step in steps
        if isinstance(step.decision, Act)
        for action in step.decision.actions
        if isinstance(action, Remember | Forget)
    }
    return tuple(action for action in memory if action.key not in told)


def _acting(steps: tuple[Step, ...]) -> Mapping[str, bool]:
    """Name the connectors whose task is bounced by a step of this cycle, and if one is ended."""
    acts = ((step.key.name, step.decision) for step in steps)
    return {n: ends_task(act) for n, act in acts if isinstance(act, Act) and bounces_task(act)}


def _subject(step: Step) -> ResourceKey:
    """Name what a person suspended: with a connector its login, too."""
    ended = step.decision.reason == "SuspensionEnded"
    return step.standing.key if ended else step.key


def _keep_pace(
    world: World, steps: tuple[Step, ...], idle: tuple[Idle, ...]
) -> Iterator[Remember | Forget]:
    if isinstance(world.stored, Unknown) or world.revision is None:
        return
    for step in steps:
        if step.key == step.standing.key:
            yield from keep_drift(step.decision, step.standing)
    yield from keep_phase(world.connectors, world.offsets, world.records, world.now)
    yield from keep_idle(idle, world.records)
    yield from keep_beginning(world)
    yield from keep_held(world, {step.key: step.decision for step in steps})


# --- own side -------------------------------------------------------------------------------


def _secret_steps(world: World) -> Iterator[Step]:
    for name in sorted(secret_names(world)):
        yield step_of(secret_key(name), "", decide_secret(name, world), world)
    yield step_of(WORKER, "", decide_ready(world), world)


def _login_steps(world: World, resolutions: Mapping[str, Resolution]) -> Iterator[Step]:
    for manifest in world.declared_connectors:
        need = resolutions[manifest.name].login
        if need is None:
            continue
        decision = decide_login(manifest, need, world)
        if isinstance(decision, Converged):
            look = decide_preflight(manifest, need, resolutions[manifest.name], world)
            decision = look or decision
        yield step_of(login_key(manifest.name), str(need.version), decision, world, manifest)


# --- topics ---------------------------------------------------------------------------------


def _topic_steps(world: World) -> Iterator[Step]:
    for topic in world.declared_topics:
        yield step_of(topic.key, topic.generation, decide_topic_case(topic, world), world, topic)


# --- connectors -----------------------------------------------------------------------------


def _connector_steps(world: World, resolutions: Mapping[str, Resolution]) -> Iterator[Step]:
    for manifest in world.declared_connectors:
        resolution = resolutions[manifest.name]
        decision = hold_undelivered(decide_case(manifest, resolution, world), world)
        step = step_of(manifest.key, manifest.generation, decision, world, manifest)
        yield _rotate_first(step, resolution.desired, world)


def _rotate_first(step: Step, desired: DesiredConnector | Unresolved, world: World) -> Step:
    observed = world.connectors.get(step.key)
    if isinstance(desired, Unresolved) or not isinstance(observed, ObservedConnector):
        return step
    act = rotation_in(step.decision, desired, observed, world.root)
    decision = hold(hold_undelivered(act, world), step.standing) if act is not None else None
    if not isinstance(decision, Act):
        return step
    return replace(step, decision=draw(decision, step.standing))


def _restart_steps(
    world: World, restarts: tuple[tuple[ConnectorManifest, Case, Decision], ...]
) -> Iterator[Step]:
    for manifest, case, decision in restarts:
        if not is_quiet(case, decision):
            key = restart_key(manifest.name)
            yield step_of(key, manifest.generation, decision, world, manifest)


def _restore_steps(world: World) -> Iterator[Step]:
    for manifest, generation, decision in find_restores(world):
        yield step_of(restore_key(manifest.name), generation, decision, world, manifest)


# --- conditions and orphans -----------------------------------------------------------------


def _conditions(
    world: World, steps: tuple[Step, ...], resolutions: Mapping[str, Resolution]
) -> Mapping[ResourceKey, tuple[Condition, ...]]:
    decisions = {step.key: step.decision for step in steps}
    found: dict[ResourceKey, tuple[Condition, ...]] = {}
    for topic in world.declared_topics:
        found[topic.key] = conditions_of_topic(
            topic, decisions[topic.key], world.topics.get(topic.key), world.now
        )
    for manifest in world.declared_connectors:
        found[manifest.key] = conditions_of_connector(
            manifest,
            decisions[manifest.key],
            world.connectors.get(manifest.key),
            resolutions[manifest.name],
            judge_health(manifest, world.connectors.get(manifest.key), world),
            now=world.now,
            beside=tuple(decisions[key] for key in _beside(manifest) if key in decisions),
        )
    return found


def _beside(manifest: ConnectorManifest) -> tuple[ResourceKey, ...]:
    return restart_key(manifest.name), login_key(manifest.name), restore_key(manifest.name)


def find_orphans(world: World) -> tuple[ResourceKey, ...]:
    """Find what is ours and declared no more: marked connectors, remembered or own topics."""
    if world.revision is None:
        return ()
    declared = {t.key for t in world.revision.topics} | {c.key for c in world.revision.connectors}
    connectors = {
        connector_key(name)
        for name, connector in world.observed_connectors().items()
        if connector.config.get(MARK_KEY) == world.stage.mark
    }
    topics = {topic_key(name) for name in world.listing or () if _is_ours(name, world)}
    return tuple(sorted((connectors | topics) - declared))


def _is_ours(name: str, world: World) -> bool:
    return f"topicId/{name}" in world.records or own_name(world.stage, name)


def actions_of(plan: Plan) -> tuple[Action, ...]:
    """List all actions that the plan takes, in order."""
    return tuple(
        action
        for step in plan.steps
        if isinstance(step.decision, Act)
        for action in step.decision.actions
    )
