"""What is put into the store after a cycle, and how it shows that the store was lost."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from controller.core.action import Forget, Remember
from controller.core.cluster import FIRST_SEEN_RECORD, first_seen
from controller.core.connector_memory import RAN_SINCE, release_record, stopped_record
from controller.core.decision import Converged, Decision
from controller.core.delivery import delivered_record, delivered_value
from controller.core.model import (
    DesiredConnector,
    Json,
    Kind,
    ObservedConnector,
    ObservedTopic,
    ResourceKey,
    RunState,
    Unknown,
    connector_key,
)
from controller.core.refusal import read_refusal, refusal_record
from controller.core.resolve import Resolution
from controller.core.secret_path import named_fields
from controller.core.source import is_reading, source_of, source_record
from controller.core.stage import MARK_KEY
from controller.core.track import Track, keep_track
from controller.core.world import World

BIRTH_RECORD = "birth/stage"
STOP_SHOWN_SECONDS = 10.0


def memory_lost(world: World) -> frozenset[str]:
    """Name the connectors that are ours though the store knows nothing of them.

    Without a birth record that is memory lost, not a first start: what they differ in is drift, and
    a topic that they need and that is gone was there once.
    """
    if BIRTH_RECORD in world.records:
        return frozenset()
    return frozenset(
        name
        for name, connector in world.observed_connectors().items()
        if connector.config.get(MARK_KEY) == world.stage.mark
        and stopped_record(name) not in world.records
        and applied_record(connector_key(name)) not in world.records
    )


def applied_record(key: ResourceKey) -> str:
    return f"applied/{key}"


def is_applied(key: ResourceKey, generation: str, world: World) -> bool:
    """Whether this generation was converged before."""
    record = world.records.get(applied_record(key))
    return record is not None and record.value.get("generation") == generation


def keep_memory(
    world: World,
    decisions: Mapping[ResourceKey, Decision],
    resolutions: Mapping[str, Resolution],
) -> tuple[Remember | Forget, ...]:
    """List what the store must be told; nothing when it knows it all."""
    if isinstance(world.stored, Unknown) or world.revision is None:
        return ()
    birth = _birth(world, decisions)
    # What was lost stays lost until all is as declared once, or it would show for one cycle only.
    lost = frozenset[str]() if birth else memory_lost(world)
    wanted = {
        **_topic_ids(world),
        **_applied(world, decisions, resolutions, lost),
        **_delivered(world),
        **_sources(world),
        **_first_cluster(world),
        **birth,
    }
    puts = (
        Remember(key, value)
        for key, value in sorted(wanted.items(), key=_birth_last)
        if key not in world.records or world.records[key].value != value
    )
    return (*puts, *_forgotten(world, decisions, resolutions), *_tracks(world, decisions))


def _birth_last(item: tuple[str, object]) -> tuple[bool, str]:
    """Order what is put; once there is a birth record, what is missing was never there."""
    return item[0] == BIRTH_RECORD, item[0]


def _topic_ids(world: World) -> Mapping[str, dict[str, Json]]:
    declared = world.declared_topics
    observed = (world.topics.get(topic.key) for topic in declared)
    return {
        f"topicId/{topic.key.name}": {"id": topic.topic_id}
        for topic in observed
        if isinstance(topic, ObservedTopic)
    }


def _applied(
    world: World,
    decisions: Mapping[ResourceKey, Decision],
    resolutions: Mapping[str, Resolution],
    lost: frozenset[str],
) -> Mapping[str, dict[str, Json]]:
    found: dict[str, dict[str, Json]] = {}
    if world.revision is None:
        return found
    for topic in world.revision.topics:
        if isinstance(decisions.get(topic.key), Converged):
            found[applied_record(topic.key)] = {"generation": topic.generation}
    for manifest in world.revision.connectors:
        desired = resolutions[manifest.name].desired
        converged = isinstance(decisions.get(manifest.key), Converged)
        if converged and manifest.name not in lost and isinstance(desired, DesiredConnector):
            versions: list[Json] = [str(version) for version in sorted(desired.rendered)]
            found[applied_record(manifest.key)] = {
                "generation": manifest.generation,
                "versions": versions,
            }
    return found


def _delivered(world: World) -> Mapping[str, dict[str, Json]]:
    declared = {m.name for m in world.revision.connectors} if world.revision is not None else set()
    found: dict[str, dict[str, Json]] = {}
    for name, connector in world.observed_connectors().items():
        fields = named_fields(connector.config, world.root)
        if name in declared and (fields or delivered_record(name) in world.records):
            found[delivered_record(name)] = delivered_value(fields)
    return found


def _sources(world: World) -> Mapping[str, dict[str, Json]]:
    """Follow what each connector of ours reads, for as long as it does."""
    seen = world.observed_connectors()
    return {
        source_record(manifest.name): source_of(seen[manifest.name].config)
        for manifest in world.declared_connectors
        if manifest.name in seen
        and is_reading(seen[manifest.name])
        and seen[manifest.name].config.get(MARK_KEY) == world.stage.mark
    }


def _first_cluster(world: World) -> Mapping[str, dict[str, Json]]:
    """Bind the stage to the cluster that a connector of ours runs on, converged or not."""
    known = first_seen(world.records) is not None or world.wrong_cluster is not None
    if known or isinstance(world.cluster_id, Unknown) or world.cluster_id != world.connect_cluster:
        return {}
    seen = world.observed_connectors().values()
    if not any(one.tasks and one.config.get(MARK_KEY) == world.stage.mark for one in seen):
        return {}
    return {FIRST_SEEN_RECORD: {"cluster_id": world.cluster_id, "at": world.now}}


def _birth(
    world: World, decisions: Mapping[ResourceKey, Decision]
) -> Mapping[str, dict[str, Json]]:
    converged = bool(decisions) and all(isinstance(d, Converged) for d in decisions.values())
    if BIRTH_RECORD in world.records or not converged or isinstance(world.cluster_id, Unknown):
        return {}
    if world.revision is None or not (world.revision.topics or world.revision.connectors):
        return {}
    value: dict[str, Json] = {
        "stage": world.stage.name,
        "cluster_id": world.cluster_id,
        "at": world.now,
    }
    return {BIRTH_RECORD: value}


def _forgotten(
    world: World,
    decisions: Mapping[ResourceKey, Decision],
    resolutions: Mapping[str, Resolution],
) -> Iterator[Remember | Forget]:
    if world.revision is None:
        return
    if world.connectors.complete:
        there = {delivered_record(name) for name in world.observed_connectors()}
        for record in sorted(world.records):
            if record.startswith("delivered/") and record not in there:
                yield Forget(record)
    for manifest in sorted(world.revision.connectors, key=lambda one: one.key):
        observed = world.connectors.get(manifest.key)
        if isinstance(observed, ObservedConnector) and manifest.run_state is not RunState.STOPPED:
            over = _over(observed, world)
            yield from (Forget(record) for record in over if record in world.records)
            yield from _spent_release(observed, world)
        record, desired = refusal_record(manifest.name), resolutions[manifest.name].desired
        if record not in world.records or not isinstance(desired, DesiredConnector):
            continue
        accepted = isinstance(decisions.get(manifest.key), Converged)
        if accepted or read_refusal(world.records, manifest.name, desired.config) is None:
            yield Forget(record)


def _over(observed: ObservedConnector, world: World) -> Iterator[str]:
    """Name the records that are over once it runs; a stop is shown a moment after it was asked."""
    if observed.state in ("STOPPED", "PENDING"):
        return
    name = observed.key.name
    stop = world.records.get(stopped_record(name))
    at = stop.value.get("at") if stop is not None else None
    if not isinstance(at, int | float) or not 0 <= world.now - at < STOP_SHOWN_SECONDS:
        yield stopped_record(name)
    if not _has_failed(observed):
        yield release_record(name)


def _has_failed(observed: ObservedConnector) -> bool:
    return any(task.state == "FAILED" for task in observed.tasks)


def _spent_release(observed: ObservedConnector, world: World) -> Iterator[Remember]:
    """Keep a release for what failed, and let it end no stop that comes after it."""
    record = release_record(observed.key.name)
    word = world.records.get(record)
    stands = observed.state in ("STOPPED", "PENDING")
    if word is None or stands or not _has_failed(observed) or word.value.get(RAN_SINCE):
        return
    yield Remember(record, {**word.value, RAN_SINCE: True}, expires=word.expires)


def _tracks(world: World, decisions: Mapping[ResourceKey, Decision]) -> Iterator[Remember | Forget]:
    for key, decision in decisions.items():
        if isinstance(decision, Converged) and key.kind is not Kind.SECRET:
            yield from keep_track(world.records, key, Track())
