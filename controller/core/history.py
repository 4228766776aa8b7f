"""What was done, by whom, why and with what end: records before and after, read as one timeline."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

from controller.core.accept import USED_PREFIX
from controller.core.action import (
    Action,
    CheckSource,
    CreateConnector,
    CreateTopic,
    ProbeLogin,
    Remember,
    RestoreOffsets,
    ValidateConfig,
    is_own,
)
from controller.core.condition import Condition
from controller.core.decision import Act, Difference, Risk
from controller.core.diff import Change, diff_lines
from controller.core.model import Json, ResourceKey, Unknown
from controller.core.world import World

HISTORY: Final = "history"  # what was done and what people said
CONDITIONS: Final = "conditions"  # apart from it, so that flapping never pushes out who did what
UNKNOWN_OUTCOME: Final = "unknown"  # begun, and nothing tells how it ended
LONGEST_TEXT: Final = 400
MOST_MOVED: Final = 100  # conditions in one record
MOST_CHANGES: Final = 200  # lines of one push

Entry: TypeAlias = "Mapping[str, Json]"
Scrub: TypeAlias = "Callable[[str], str]"


@dataclass(frozen=True, slots=True)
class Origin:
    """On whose behalf a cycle acts, and where."""

    must_record: bool  # without a record nothing is written
    revision: str | None = None
    commit: str | None = None
    cluster: str | None = None
    author: str | None = None
    pushed_by: str | None = None
    who: str | None = None  # the person behind the revision, as far as it is known


def origin_of(world: World) -> Origin:
    revision, cluster = world.revision, world.cluster_id
    return Origin(
        must_record=world.stage.named,
        revision=None if revision is None else revision.id,
        commit=None if revision is None else revision.commit,
        cluster=None if isinstance(cluster, Unknown) else cluster,
        author=None if revision is None else revision.author,
        pushed_by=None if revision is None else revision.pushed_by,
        who=None if revision is None else revision.who,
    )


# --- writing ----------------------------------------------------------------------------------


def is_recorded(action: Action) -> bool:
    """Whether it changes Kafka or Connect, or logs in somewhere."""
    return not is_own(action) or isinstance(action, ProbeLogin | CheckSource | ValidateConfig)


def before_entry(key: ResourceKey, act: Act, origin: Origin) -> dict[str, Json]:
    """Tell what is about to be done; its changes as people see them, masked."""
    recorded = [action for action in act.actions if is_recorded(action)]
    entry: dict[str, Json] = {
        "event": "begun",
        "revision": origin.revision,
        "commit": origin.commit,
        "cluster": origin.cluster,
        "resource": str(key),
        "action": ", ".join(type(action).__name__ for action in recorded),
        "reason": act.reason,
        "why": act.message,
        "difference": str(act.difference),
        "risk": str(act.risk),
        "consequence": act.consequence,
        "changes": list[Json](diff_lines(changes_of(act))),
    }
    if act.difference is Difference.NEW_GENERATION:
        entry |= _who(origin)
    for action in recorded:
        if isinstance(action, RestoreOffsets):
            entry["who"] = action.who
    used = next(_used(act.actions), None)
    return entry if used is None else {**entry, "accepted": used}


def _who(origin: Origin) -> dict[str, Json]:
    """Name whose revision it is; a repair is nobody's word and stays the process's own."""
    return {} if origin.who is None else {"who": origin.who}


def _used(actions: Iterable[Action]) -> Iterator[str]:
    for action in actions:
        if isinstance(action, Remember) and action.key.startswith(USED_PREFIX):
            yield action.key.removeprefix(USED_PREFIX)


def changes_of(act: Act) -> tuple[Change, ...]:
    """List the changes; what is created has all its fields new."""
    if act.diff:
        return act.diff
    for action in act.actions:
        if isinstance(action, CreateTopic):
            replicas = action.replication_factor
            head = {"partitions": str(action.partitions)}
            if replicas is not None:
                head["replicationFactor"] = str(replicas)
            return _all_new({**head, **action.config})
        if isinstance(action, CreateConnector):
            return _all_new(action.config)
    return ()


def _all_new(config: Mapping[str, str]) -> tuple[Change, ...]:
    return tuple(Change(key, None, value) for key, value in config.items())


def revision_entry(origin: Origin, before: str | None) -> dict[str, Json]:
    return {
        "event": "revision",
        "resource": "stage",
        "revision": origin.revision,
        "commit": origin.commit,
        "author": origin.author,
        "pushedBy": origin.pushed_by,
        "cluster": origin.cluster,
        **_who(origin),
        "changes": [f"~ revision: {before} -> {origin.revision}"],
    }


def teardown_entry(stage: str, names: Sequence[str]) -> dict[str, Json]:
    """Tell what is about to be deleted, all of which somebody asked for by the stage's name."""
    return {
        "event": "begun",
        "resource": "stage",
        "action": "Teardown",
        "reason": "Confirmed",
        "why": f"the teardown of stage {stage} was confirmed by name",
        "risk": str(Risk.DATA_LOSS),
        "consequence": "what is in these topics is gone for good",
        "changes": list[Json](f"- {name}" for name in names),
    }


def ended_entry(begun: str, done: Sequence[str], failures: Sequence[str]) -> dict[str, Json]:
    entry: dict[str, Json] = {"event": "ended", "of": begun, "done": ", ".join(done)}
    if not failures:
        return {**entry, "outcome": "done"}
    return {**entry, "outcome": "stopped between", "fault": "; ".join(failures)}


def push_entry(kind: str, pushed: Mapping[str, Json], changes: Sequence[str]) -> dict[str, Json]:
    """Tell that a revision was put into force: by a push, or by a rollback to an earlier one."""
    told = ("revision", "sequence", "commit", "author", "who")
    why = pushed.get("reason")
    return {
        "event": kind,
        "resource": "stage",
        **{key: pushed.get(key) for key in told},
        "reason": f"sequence {pushed.get('sequence')}{f': {why}' if why else ''}",
        "changes": list[Json](changes[:MOST_CHANGES]),
    }


def conditions_entry(moved: Sequence[tuple[ResourceKey, Condition]]) -> dict[str, Json]:
    """Put all that moved in one cycle into one record."""
    told: list[Json] = [
        {
            "resource": str(key),
            "condition": str(condition.type),
            "status": str(condition.status),
            "reason": condition.reason,
            "message": condition.message,
        }
        for key, condition in moved[:MOST_MOVED]
    ]
    return {"moved": told, "more": max(len(moved) - MOST_MOVED, 0)}


def bounded(value: Json, scrub: Scrub) -> Json:
    """Scrub and cut every text in it; no record may grow with what systems say."""
    if isinstance(value, str):
        text = scrub(value)
        return text if len(text) <= LONGEST_TEXT else f"{text[: LONGEST_TEXT - 1]}…"
    if isinstance(value, Mapping):
        return {key: bounded(item, scrub) for key, item in value.items()}
    if isinstance(value, Sequence):
        return [bounded(item, scrub) for item in value]
    return value


# --- reading ----------------------------------------------------------------------------------


def timeline(
    entries: Iterable[Entry],
    conditions: Iterable[Entry] = (),
    *,
    name: str | None = None,
    since: float | None = None,
    limit: int | None = None,
) -> tuple[dict[str, Json], ...]:
    """Join each beginning with its end and the conditions between; newest last."""
    events = sorted([*_joined(entries), *_moves(conditions)], key=_at)
    wanted = [
        event
        for event in events
        if (since is None or _at(event) >= since) and (name is None or concerns(event, name))
    ]
    return tuple(wanted if limit is None else wanted[-limit:] if limit > 0 else ())


def concerns(event: Entry, name: str) -> bool:
    """Whether it is of this resource, named with its kind or without, or of the whole stage."""
    resource = str(event.get("resource") or "stage")
    return resource in ("stage", name) or resource.partition("/")[2] == name


def _joined(entries: Iterable[Entry]) -> Iterator[dict[str, Json]]:
    events = [dict(entry) for entry in entries]
    ends = {str(event.get("of")): event for event in events if event.get("event") == "ended"}
    for event in events:
        if event.get("event") == "begun":
            end = ends.get(str(event.get("id")), {})
            told: dict[str, Json] = {key: end[key] for key in ("done", "fault") if key in end}
            outcome = end.get("outcome", UNKNOWN_OUTCOME)
            yield {**event, **told, "event": "action", "outcome": outcome}
        elif event.get("event") != "ended":
            yield event


def _moves(conditions: Iterable[Entry]) -> Iterator[dict[str, Json]]:
    for entry in conditions:
        moved = entry.get("moved")
        for one in moved if isinstance(moved, list) else ():
            if isinstance(one, dict):
                yield {**one, "event": "condition", "at": entry.get("at"), "who": entry.get("who")}


def _at(event: Entry) -> float:
    at = event.get("at")
    return float(at) if isinstance(at, int | float) else 0.0


def event_text(event: Entry) -> str:
    """Say one event in a line, without its time, its resource and who it was."""
    kind = str(event.get("event"))
    if kind == "condition":
        head = f"{event.get('condition')}={event.get('status')}"
        return f"{head} {event.get('reason')}: {event.get('message')}"
    if kind == "revision":
        return _revision_text(event)
    if kind != "action":
        until = f" until {event['until']}" if event.get("until") else ""
        why = event.get("reason") or "; ".join(map(str, _list(event.get("changes"))))
        extra = f" {event['risk']} for action {event['action']}" if event.get("risk") else ""
        return f"{kind}{extra}{until}: {why}" if why else f"{kind}{extra}{until}"
    cost = f": {event['consequence']}" if event.get("consequence") else ""
    parts = [f"{event.get('action')} ({event.get('reason')}, risk {event.get('risk')}{cost})"]
    parts.append(f"{event.get('outcome')}")
    if event.get("fault"):
        parts.append(str(event["fault"]))
    if event.get("accepted"):
        parts.append(f"accepted as {event['accepted']}")
    return ": ".join(parts)


def _revision_text(event: Entry) -> str:
    parts = [f"revision {event.get('revision')}"]
    if event.get("commit"):
        parts.append(f"commit {str(event['commit'])[:12]}")
    if event.get("pushedBy") and event.get("pushedBy") != event.get("who"):
        parts.append(f"pushed by {event['pushedBy']}")
    return ", ".join(parts)


def summary(event: Entry) -> dict[str, Json]:
    """Tell one event in the words of `/status`; the whole of it is in `wmsctl history`."""
    acted = event.get("event") == "action"
    reason = event.get("reason") or "; ".join(map(str, _list(event.get("changes"))))
    return {
        "at": event.get("at"),
        "action": event.get("action" if acted else "event"),
        "resource": event.get("resource") or "stage",
        "who": event.get("who"),
        "reason": reason,
        "why": event.get("why"),
        "outcome": event.get("outcome"),
    }


def _list(value: Json) -> Sequence[Json]:
    return value if isinstance(value, list) else ()
