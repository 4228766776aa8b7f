"""The newest report as JSON, for `/status` and `wmsctl status`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from controller.core.decision import Converged
from controller.core.diff import diff_lines
from controller.core.evidence import Evidence
from controller.core.examination import ailment_data, tell_state
from controller.core.failure import UNKNOWN
from controller.core.idle import Idle
from controller.core.lag_report import describe_container, describe_lag
from controller.core.model import Json, Kind, ObservedConnector, ObservedSecret, ResourceKey
from controller.core.plan_report import plan_counts, step_data
from controller.core.preflight_step import preflight_warnings
from controller.core.redact import short
from controller.core.restart_case import ailment_in, restart_status
from controller.core.secret_fields import PUBLIC_FIELDS
from controller.core.secret_path import named_fields
from controller.core.step import Step
from controller.core.tries import read_tries
from controller.core.words import find_void
from controller.core.world import World
from controller.cycle_report import CycleReport, ending_soon
from controller.timestamp import timestamp


def describe(report: CycleReport, refusal: str | None, since: float | None) -> dict[str, Json]:
    """Tell the state of everything as JSON, for `/status` and `wmsctl status`."""
    world, revision = report.world, report.world.revision
    resources: list[Json] = [_describe_step(step, report) for step in report.plan.steps]
    return {
        "stage": world.stage.name,
        "at": world.now,
        "cycle": report.number,
        "complete": report.complete,
        "converged": report.plan.converged,
        "revision": None if revision is None else {"id": revision.id, "commit": revision.commit},
        "refusedRevision": None if refusal is None else {"message": refusal, "since": since},
        "resources": resources,
        "notActing": [_describe_idle(one) for one in report.idle],
        "plan": plan_counts(report.plan),
        "orphans": [str(key) for key in report.plan.orphans],
        "warnings": [*ending_soon(report), *warnings_of(world)],
        "faults": [
            {"system": s, "reason": f.reason, "message": f.message} for s, f in report.faults
        ],
        "secrets": describe_secrets(world),
        "workerEvidence": [*map(_describe_evidence, world.evidence.worker)],
        "containers": [*map(describe_container, world.lag.containers)],
    }


def _describe_idle(one: Idle) -> Json:
    return {
        "reason": one.reason,
        "resource": None if one.key is None else str(one.key),
        "since": one.since,
        "until": one.until,
        "message": one.message,
    }


def warnings_of(world: World) -> Iterator[str]:
    """Tell what works and should still be looked at."""
    if world.revision is not None:
        for warning in world.revision.warnings:
            yield f"{warning.source}: {warning.field}: {warning.message}"
    for one, word, why in find_void(world):
        what = f"action {word.action} ({word.risk}) until {timestamp(word.until)}"
        yield f"{one.source}: spec.accept: {what} is not in force: {why}"
    yield from preflight_warnings(world)
    for name, secret in sorted(world.secrets.items()):
        if isinstance(secret, ObservedSecret):
            yield from _short_fields(name, secret)


def _short_fields(name: str, secret: ObservedSecret) -> Iterator[str]:
    for key, value in sorted(secret.current.fields.items()):
        if key not in PUBLIC_FIELDS and short(value.reveal()):
            yield (
                f"secret/{name}: {key} has fewer than 6 characters, so it cannot be masked where "
                "other systems print it"
            )


def _describe_step(step: Step, report: CycleReport) -> Json:
    decision = step.decision
    conditions = report.conditions.get(step.key, {})
    found: dict[str, Json] = {
        **step_data(step),
        "generation": step.generation,
        "conditions": [
            {
                "type": str(c.type),
                "status": str(c.status),
                "reason": c.reason,
                "message": c.message,
                "since": c.since,
            }
            for c in conditions.values()
        ],
    }
    if step.key.kind is Kind.CONNECTOR:
        found |= _describe_patient(step.key, report.world)
        found["restarts"] = restart_status(step.key.name, report.world)
        found["evidence"] = [*map(_describe_evidence, report.world.evidence.of(step.key.name))]
    if step.key.kind is Kind.CONNECTOR and step.key.name in report.world.lag.lags:
        lag = report.world.lag
        found["lag"] = describe_lag(lag.lags[step.key.name], lag.trends.get(step.key.name, ()))
    if not isinstance(decision, Converged):
        found["diff"] = list[Json](diff_lines(decision.diff))
    return found


def _describe_patient(key: ResourceKey, world: World) -> dict[str, Json]:
    """Leave what `explain` needs where nobody reaches Connect or the worker's log."""
    seen = world.connectors.get(key)
    found: dict[str, Json] = {"state": None, "ailment": None, "unseenLog": world.unseen_log}
    if isinstance(seen, ObservedConnector):
        tries = read_tries(world.records, key.name, world.now)
        ailment = ailment_in(seen, tries, world)
        found |= {
            "state": tell_state(seen),
            "ailment": None if ailment is None else ailment_data(ailment),
        }
    return found


def _describe_evidence(one: Evidence) -> Json:
    row = one.row or UNKNOWN
    return {
        "failure": one.failure,
        "since": one.first_seen,
        "last": one.last_seen,
        "count": one.count,
        "codes": list(one.codes),
        "classes": list(one.classes),
        "logger": one.logger,
        "message": row.says,
    }


def describe_secrets(world: World) -> dict[str, Json]:
    """Tell of each secret where it is, its newest version, and those that are in use.

    A version that was refused is the newest, and is used by nobody.
    """
    found: dict[str, Json] = {}
    used = _used_versions(world)
    for name, secret in sorted(world.secrets.items()):
        seen = secret if isinstance(secret, ObservedSecret) else None
        found[name] = {
            "path": seen.path if seen else None,
            "fallback": bool(seen and seen.fallback),
            "version": seen.current.key.version_id if seen else None,
            "versions": None if used is None else list[Json](sorted(used.get(name, ()))),
        }
    return found


def _used_versions(world: World) -> Mapping[str, set[str]] | None:
    """Find what connectors' configs name, and what we use ourselves; None: nobody can see it."""
    if world.connectors.fault is not None:
        return None
    found: dict[str, set[str]] = {}
    declared = {manifest.name for manifest in world.declared_connectors}
    for name, seen in world.observed_connectors().items():
        for version in named_fields(seen.config, world.root) if name in declared else ():
            found.setdefault(version.path.rpartition("/")[2], set()).add(version.version_id)
    for name, secret in world.secrets.items():
        if isinstance(secret, ObservedSecret) and name not in _referenced(world):
            found.setdefault(name, set()).add(secret.current.key.version_id)
    return found


def _referenced(world: World) -> frozenset[str]:
    """Name the secrets that connectors use; the others, as the brokers', we use ourselves."""
    values = (value for one in world.declared_connectors for value in one.config.values())
    return frozenset(reference.name for value in values for reference in value.secrets())
