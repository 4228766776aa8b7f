"""What a connector suffers from: by the traces of what has FAILED, else by the worker's log."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final

from controller.core.evidence import Evidence, Found, is_from_start, telling
from controller.core.failure import (
    UNKNOWN,
    Diagnosis,
    Failure,
    FailureKind,
    Severity,
    System,
    Treatment,
    diagnose,
    known,
)
from controller.core.model import ObservedConnector

FAILED: Final = "FAILED"


class AilmentSource(StrEnum):
    """Who told of it."""

    TRACE = "trace"  # Connect's status
    EVIDENCE = "evidence"  # the worker's log


@dataclass(frozen=True, slots=True)
class Ailment:
    """One diagnosis of a connector as it is now; all of it may leave the worker's machine."""

    failure: str  # id of the known failure, or "unknown"
    system: System
    kind: FailureKind
    treatment: Treatment
    restart_helps: bool
    cause: str  # our own sentence, with codes where there are any
    since: float  # seconds since the epoch; of a trace, when it was first seen
    last: float
    count: int
    source: AilmentSource
    on_start_path: bool = False  # thrown while it started: the login is the connector's own
    codes: tuple[str, ...] = ()  # ORA-01017, SQLSTATE 28P01

    @property
    def row(self) -> Failure:
        return known(self.failure, self.system) or UNKNOWN

    @property
    def noise(self) -> bool:
        return self.row.severity is Severity.NOISE


def ailment_of(
    observed: ObservedConnector, found: Found, now: float, before: Ailment | None = None
) -> Ailment | None:
    """Judge the traces of what has FAILED first; `before` says since when it is so."""
    if not _has_failed(observed):
        evidence = telling(found)
        return None if evidence is None else _of_evidence(evidence)
    ailment = _of_failed(observed, found, now)
    if before is not None and (before.failure, before.source) == (ailment.failure, ailment.source):
        return replace(ailment, since=min(before.since, ailment.since))
    return ailment


def _has_failed(observed: ObservedConnector) -> bool:
    return observed.state == FAILED or any(task.state == FAILED for task in observed.tasks)


def failed_traces(observed: ObservedConnector) -> Iterator[str]:
    """List the traces of the connector, then of its tasks, where they have FAILED."""
    if observed.state == FAILED:
        yield observed.trace or ""
    yield from (task.trace or "" for task in observed.tasks if task.state == FAILED)


def _of_failed(observed: ObservedConnector, found: Found, now: float) -> Ailment:
    """Take the first trace that tells a cause; the worker's log stands in where none does."""
    traces = tuple(failed_traces(observed))
    read = [(diagnose(trace), trace) for trace in traces]
    diagnosis, trace = next(((d, t) for d, t in read if _tells(d.failure)), read[0])
    evidence = telling(found)
    if not _tells(diagnosis.failure) and evidence is not None and _tells(evidence.row):
        return _of_evidence(evidence)
    same = next((e for e in found if e.row and e.failure == diagnosis.failure.id), None)
    return Ailment(
        failure=diagnosis.failure.id,
        system=diagnosis.system,
        kind=diagnosis.kind,
        treatment=diagnosis.treatment,
        restart_helps=diagnosis.restart_helps,
        cause=_sentence(_row_of(diagnosis), diagnosis.codes),
        since=same.first_seen if same is not None else now,
        last=now,
        count=same.count if same is not None else 1,
        source=AilmentSource.TRACE,
        on_start_path=is_from_start(trace) or (same is not None and same.on_start_path),
        codes=diagnosis.codes,
    )


def _row_of(diagnosis: Diagnosis) -> Failure:
    return diagnosis.failure if diagnosis.known else UNKNOWN


def _tells(row: Failure | None) -> bool:
    return row is not None and row.id != UNKNOWN.id and not row.wrapper


def _of_evidence(evidence: Evidence) -> Ailment:
    row = evidence.row or UNKNOWN
    return Ailment(
        failure=row.id,
        system=evidence.system,
        kind=row.kind,
        treatment=row.treatment,
        restart_helps=row.treatment is Treatment.RESTART,
        cause=_sentence(row, evidence.codes),
        since=evidence.first_seen,
        last=evidence.last_seen,
        count=evidence.count,
        source=AilmentSource.EVIDENCE,
        on_start_path=evidence.on_start_path,
        codes=evidence.codes,
    )


def _sentence(row: Failure, codes: tuple[str, ...]) -> str:
    return f"{row.says} ({', '.join(codes[:3])})" if codes else row.says
