"""The plan: all decisions of one cycle, in the order in which they are applied."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType

from controller.core.accept import apply_consent
from controller.core.action import Action, Forget, ProbeLogin, Remember, is_own
from controller.core.condition import Condition
from controller.core.connector import decide_connector, diff_connector
from controller.core.connector_memory import (
    ConnectorMemory,
    release_record,
    restart_record,
    stopped_record,
)
from controller.core.decision import Act, Converged, Decision, Stall, Wait
from controller.core.delivered import hold_undelivered
from controller.core.delivery import decide_ready, decide_secret, secret_names
from controller.core.guards import own_name
from controller.core.health import judge_health
from controller.core.hold import OWN_KINDS, Standing, draw, hold, keep_drift
from controller.core.identity import explain_shared
from controller.core.idle import Idle, find_idle, keep_idle
from controller.core.login_stop import concerns, probe_again, read_stop
from controller.core.look import resolution_of
from controller.core.memory import keep_memory, memory_lost
from controller.core.model import (
    WORKER,
    ConnectorManifest,
    DesiredConnector,
    DesiredTopic,
    LostTopics,
    Manage,
    ObservedConnector,
    ObservedDisk,
    ObservedTopic,
    ResourceKey,
    Unknown,
    Unresolved,
    VersionKey,
    connector_key,
    login_key,
    restart_key,
    secret_key,
    topic_key,
)
from controller.core.pace import bounces_task
from controller.core.preflight_step import decide_preflight
from controller.core.probe import (
    ProbeDue,
    ProbeLater,
    ProbeSpent,
    ProbeState,
    Refused,
    bad_record,
    probe_record,
    stamp_before,
)
from controller.core.refusal import decide_refused, read_refusal, refusal_record
from controller.core.resolve import LoginNeed, Resolution
from controller.core.restart import Case
from controller.core.restart_case import (
    before_resume,
    decide_restarts,
    is_quiet,
    keep_cases,
    resume_hold,
)
from controller.core.rotation import rotation_in
from controller.core.secret_path import named_fields
from controller.core.snapshot_phase import (
    Phase,
    SnapshotPhase,
    guard_snapshot,
    keep_phase,
    phase_of,
)
from controller.core.stage import MARK_KEY
from controller.core.standing import conditions_of_connector, conditions_of_topic
from controller.core.surroundings import Surroundings, rivals_of
from controller.core.topic import TopicMemory, decide_topic
from controller.core.topic_class import required_fields
from controller.core.track import read_track
from controller.core.world import World


@dataclass(frozen=True, slots=True)
class Step:
    """What is to be done about one resource."""

    key: ResourceKey
    generation: str
    decision: Decision
    standing: Standing


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
    resolutions = {m.name: resolution_of(m, world) for m in _connectors(world)}
    connectors = tuple(_connector_steps(world, resolutions))
    restarts = tuple(decide_restarts(world, {s.key.name: s.decision for s in connectors}))
    steps = (
        *_secret_steps(world),
        *_login_steps(world, resolutions),
        *_topic_steps(world),
        *connectors,
        *_restart_steps(world, restarts),
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
    """Leave out what an act of this cycle has put itself: this is older news, and comes later."""
    told = {
        action.key
        for step in steps
        if isinstance(step.decision, Act)
        for action in step.decision.actions
        if isinstance(action, Remember)
    }
    return tuple(action for action in memory if action.key not in told)


def _acting(steps: tuple[Step, ...]) -> tuple[str, ...]:
    """Name the connectors whose task is bounced by a step of this cycle."""
    acts = ((step.key.name, step.decision) for step in steps)
    return tuple(name for name, act in acts if isinstance(act, Act) and bounces_task(act))


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
    yield from keep_phase(world.offsets, world.records, world.now)
    yield from keep_idle(idle, world.records)


# --- what the manifests declare -------------------------------------------------------------


def _connectors(world: World) -> tuple[ConnectorManifest, ...]:
    found = world.revision.connectors if world.revision is not None else ()
    return tuple(sorted(found, key=lambda manifest: manifest.key))


def _topics(world: World) -> tuple[DesiredTopic, ...]:
    found = world.revision.topics if world.revision is not None else ()
    return tuple(sorted(found, key=lambda topic: topic.key))


def _step(
    key: ResourceKey,
    generation: str,
    decision: Decision,
    world: World,
    of: ConnectorManifest | DesiredTopic | None = None,
) -> Step:
    standing = Standing(
        key=of.key if of is not None else key,
        track=read_track(world.records, key, generation),
        now=world.now,
        records=world.records,
        observe_only=world.observe_only,
        not_leader=world.not_leader,
        wrong_cluster=world.wrong_cluster,
        manage=of.manage if of is not None else Manage.RECONCILE,
        suspended_in_manifest=of is not None and of.suspend,
        interval=world.policy.interval,
        repair_delay=world.policy.repair_delay,
        per_hour=world.policy.repairs_per_hour,
        required=required_fields(of.topic_class) if isinstance(of, DesiredTopic) else frozenset(),
        snapshot=_phase(of, world),
        starting=of is not None and stopped_record(of.key.name) in world.records,
    )
    if key.kind in OWN_KINDS:
        return Step(key, generation, decision, standing)
    if of is not None and key == of.key:
        if isinstance(of, ConnectorManifest):
            decision = guard_snapshot(decision, standing.snapshot, protected=world.stage.named)
        lost = bool(memory_lost(world))
        decision = apply_consent(
            key, decision, of.accept, world.records, world.now, memory_lost=lost
        )
    return Step(key, generation, draw(hold(decision, standing), standing), standing)


def _phase(of: ConnectorManifest | DesiredTopic | None, world: World) -> SnapshotPhase:
    if not isinstance(of, ConnectorManifest):
        return Phase.NONE
    observed, offsets = world.connectors.get(of.key), world.offsets.get(of.name)
    return phase_of(of, observed, offsets, world.records)


# --- own side -------------------------------------------------------------------------------


def _secret_steps(world: World) -> Iterator[Step]:
    for name in sorted(secret_names(world)):
        yield _step(secret_key(name), "", decide_secret(name, world), world)
    yield _step(WORKER, "", decide_ready(world), world)


def _login_steps(world: World, resolutions: Mapping[str, Resolution]) -> Iterator[Step]:
    for manifest in _connectors(world):
        need = resolutions[manifest.name].login
        if need is None:
            continue
        decision = _decide_login(manifest, need, world)
        if isinstance(decision, Converged):
            look = decide_preflight(manifest, need, resolutions[manifest.name], world)
            decision = look or decision
        yield _step(login_key(manifest.name), str(need.version), decision, world, manifest)


def _decide_login(manifest: ConnectorManifest, need: LoginNeed, world: World) -> Decision:
    intent = _probe_intent(manifest, world)
    if intent is not None:
        return _forget_probe(manifest, need, intent)
    stop = read_stop(world.records, manifest.name)
    if stop is not None and concerns(stop, need):
        again = probe_again(manifest.name, need, world.connectors.get(manifest.key), world.records)
        if again is not None:
            return again
    elif _in_use(manifest, need, world):
        return Converged()
    if not isinstance(need.state, ProbeDue):
        return _judge_login(need.state, world.now)
    observed = world.connectors.get(manifest.key)
    if isinstance(observed, Unknown):  # it may be in use
        return Wait(observed.fault.reason, observed.fault.message)
    address = need.login.address
    stamp = stamp_before(world.records, need.version, address, world.now)
    return Act(
        (
            Remember(probe_record(need.version, address), stamp),
            ProbeLogin(need.version, need.login),
        ),
        "ProveLogin",
        f"the login of {need.version} is tried before any connector gets it",
    )


def _judge_login(state: ProbeState, now: float) -> Decision:
    if isinstance(state, ProbeLater):
        return Wait("SourceUnreachable", state.message, state.at - now)
    if isinstance(state, ProbeSpent):
        return Stall("LoginDoubtful", state.message)
    return Stall("LoginRefused", state.message) if isinstance(state, Refused) else Converged()


def _in_use(manifest: ConnectorManifest, need: LoginNeed, world: World) -> bool:
    observed = world.connectors.get(manifest.key)
    if not isinstance(observed, ObservedConnector):
        return False
    return need.version in named_fields(observed.config, world.root)


def probe_intent_record(name: str) -> str:
    return f"intent/probe:{name}"


def _probe_intent(manifest: ConnectorManifest, world: World) -> str | None:
    names = (manifest.name, *sorted(ref for ref in _secret_refs(manifest)))
    asked = (probe_intent_record(name) for name in names)
    return next((record for record in asked if record in world.records), None)


def _secret_refs(manifest: ConnectorManifest) -> frozenset[str]:
    return frozenset(ref.name for value in manifest.config.values() for ref in value.secrets())


def _forget_probe(manifest: ConnectorManifest, need: LoginNeed, intent: str) -> Act:
    address = need.login.address
    return Act(
        (
            Forget(bad_record(need.version, address)),
            Forget(probe_record(need.version, address)),
            Forget(refusal_record(manifest.name)),
            Forget(intent),
        ),
        "ProbeAgain",
        f"somebody asked for another try of {need.version}",
    )


# --- topics ---------------------------------------------------------------------------------


def _topic_steps(world: World) -> Iterator[Step]:
    lost = memory_lost(world)
    needed = {key for m in _connectors(world) if m.name in lost for key in m.needs}
    for topic in _topics(world):
        memory = TopicMemory(
            applied=_applied(topic.key, topic.generation, world) or topic.key in needed,
            once_there=f"topicId/{topic.name}" in world.records or topic.key in needed,
            protected=world.stage.named,
            recreate=world.policy.lost_topics is LostTopics.RECREATE and topic.key not in needed,
            needed_by=tuple(m.name for m in _connectors(world) if topic.key in m.needs),
        )
        decision = decide_topic(topic, world.topics.get(topic.key), memory)
        yield _step(topic.key, topic.generation, decision, world, topic)


def _applied(key: ResourceKey, generation: str, world: World) -> bool:
    record = world.records.get(f"applied/{key}")
    return record is not None and record.value.get("generation") == generation


# --- connectors -----------------------------------------------------------------------------


def _connector_steps(world: World, resolutions: Mapping[str, Resolution]) -> Iterator[Step]:
    for manifest in _connectors(world):
        resolution = resolutions[manifest.name]
        decision = hold_undelivered(_decide_connector(manifest, resolution, world), world)
        step = _step(manifest.key, manifest.generation, decision, world, manifest)
        yield _rotate_first(step, resolution.desired, world)


def _rotate_first(step: Step, desired: DesiredConnector | Unresolved, world: World) -> Step:
    observed = world.connectors.get(step.key)
    if isinstance(desired, Unresolved) or not isinstance(observed, ObservedConnector):
        return step
    act = rotation_in(step.decision, desired, observed, world.root)
    decision = hold(act, step.standing) if act is not None else None
    if not isinstance(decision, Act):
        return step
    return replace(step, decision=draw(decision, step.standing))


def _restart_steps(
    world: World, restarts: tuple[tuple[ConnectorManifest, Case, Decision], ...]
) -> Iterator[Step]:
    for manifest, case, decision in restarts:
        if not is_quiet(case, decision):
            key = restart_key(manifest.name)
            yield _step(key, manifest.generation, decision, world, manifest)


def _decide_connector(
    manifest: ConnectorManifest, resolution: Resolution, world: World
) -> Decision:
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
        hold_resume=resume_hold(manifest, resolution, world),
        before_resume=before_resume(manifest, world),
    )
    decision = decide_connector(resolution.desired, observed, memory, around)
    if decision == Converged() and shares_unasked(world):
        return Converged("ClusterShared", explain_shared(world.other_stages_listed))
    if not isinstance(decision, Act) or not isinstance(resolution.desired, DesiredConnector):
        return decision
    if isinstance(observed, ObservedConnector) and not diff_connector(resolution.desired, observed):
        return decision
    return _after_refusal(manifest, resolution, world) or decision


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
    applied = records.get(f"applied/{manifest.key}")
    versions = applied.value.get("versions") if applied is not None else None
    stopped = stopped_record(name) in records
    lost = name in memory_lost(world)
    return ConnectorMemory(
        known=applied is not None or stopped,
        applied=_applied(manifest.key, manifest.generation, world) or lost,
        applied_versions=_versions(versions),
        stopped_by_us=stopped or release_record(name) in records,
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


# --- conditions and orphans -----------------------------------------------------------------


def _conditions(
    world: World, steps: tuple[Step, ...], resolutions: Mapping[str, Resolution]
) -> Mapping[ResourceKey, tuple[Condition, ...]]:
    decisions = {step.key: step.decision for step in steps}
    found: dict[ResourceKey, tuple[Condition, ...]] = {}
    for topic in _topics(world):
        found[topic.key] = conditions_of_topic(
            topic, decisions[topic.key], world.topics.get(topic.key), world.now
        )
    for manifest in _connectors(world):
        found[manifest.key] = conditions_of_connector(
            manifest,
            decisions[manifest.key],
            world.connectors.get(manifest.key),
            resolutions[manifest.name],
            judge_health(manifest, world.connectors.get(manifest.key), world),
            now=world.now,
        )
    return found


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
