"""What one connector suffers from now, found without a running controller: for `wmsctl explain`."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from controller.bootstrap import Parts
from controller.core.ailment import Ailment, AilmentSource, ailment_of, failed_traces
from controller.core.evidence import Evidence, Found
from controller.core.explain import (
    Explanation,
    explain,
    explain_text,
    explanation_data,
    explanation_lines,
)
from controller.core.failure import Diagnosis, Treatment, known
from controller.core.model import Json, ObservedConnector, ResourceKey, Unknown
from controller.core.tries import utc
from controller.settings import BadSetting
from controller.witness import Witness


@dataclass(frozen=True, slots=True)
class Examination:
    """A connector's state as Connect tells it, and what is behind it."""

    state: str
    explanation: Explanation
    ailment: Ailment | None
    unseen: str | None  # why the worker's log was not seen

    def lines(self) -> Iterator[str]:
        yield f"Connect says   {self.state}"
        if self.ailment is not None and self.ailment.source is AilmentSource.EVIDENCE:
            times = "once" if self.ailment.count == 1 else f"{self.ailment.count} times"
            since, last = utc(self.ailment.since), utc(self.ailment.last)
            yield f"worker's log   since {since}, last at {last}, {times}"
        if self.unseen is not None:
            yield f"worker's log   not seen: {self.unseen}"
        if self.ailment is None:
            yield "suffers from   nothing that could be seen here"
            return
        yield from explanation_lines(self.explanation)

    def data(self) -> dict[str, Json]:
        found = {**explanation_data(self.explanation), "state": self.state, "unseen": self.unseen}
        ailment = self.ailment
        if ailment is not None:
            found |= {
                "source": str(ailment.source),
                "since": ailment.since,
                "last": ailment.last,
                "count": ailment.count,
            }
        return found


def examine(parts: Parts, key: ResourceKey) -> Examination:
    """Look at its status and at the worker's log, where that is at hand."""
    seen = parts.connect.observe([key.name]).get(key)
    if isinstance(seen, Unknown):
        raise seen.fault
    if not isinstance(seen, ObservedConnector):
        raise BadSetting(f"{key} is not there: Connect knows no connector of that name")
    witness = Witness(parts.evidence, parts.clock)
    found = witness.observe([key.name], {}).of(key.name)
    ailment = ailment_of(seen, found, parts.clock.now())
    explanation = _explain(parts, seen, ailment, found)
    return Examination(_tell_state(seen), explanation, ailment, witness.unseen)


def _explain(
    parts: Parts, seen: ObservedConnector, ailment: Ailment | None, found: Found
) -> Explanation:
    if ailment is None or ailment.source is AilmentSource.TRACE:
        text = "\n".join(trace for trace in failed_traces(seen) if trace)
        return explain_text(text, parts.scrubber.scrub)
    one = next(e for e in found if (e.failure, e.system) == (ailment.failure, ailment.system))
    return explain(_diagnosis(one))


def _diagnosis(evidence: Evidence) -> Diagnosis:
    """Make of evidence what its lines were taken for; the lines themselves were not kept."""
    row = known(evidence.failure, evidence.system)
    if row is None:
        raise ValueError(f"evidence of a failure that is not known: {evidence.failure}")
    return Diagnosis(
        failure=row,
        system=evidence.system,
        treatment=row.treatment,
        restart_helps=row.treatment is Treatment.RESTART,
        matched="",
        cause="",
        codes=evidence.codes,
        classes=evidence.classes,
    )


def _tell_state(seen: ObservedConnector) -> str:
    tasks = ", ".join(f"task {task.id} {task.state}" for task in seen.tasks)
    return f"{seen.state}; {tasks or 'no task'}"
