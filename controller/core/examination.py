"""What one connector suffers from, as an explanation: seen by ourselves, or told by the leader."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from controller.core.ailment import Ailment, AilmentSource
from controller.core.evidence import Evidence
from controller.core.explain import (
    Explanation,
    explain,
    explain_text,
    explanation_data,
    explanation_lines,
)
from controller.core.failure import UNKNOWN, Diagnosis, System, Treatment, known
from controller.core.model import Json, ObservedConnector
from controller.core.tries import utc


@dataclass(frozen=True, slots=True)
class Symptom:
    """Since when it is so and how often, by whose word."""

    source: str
    since: float
    last: float
    count: int


@dataclass(frozen=True, slots=True)
class Examination:
    """A connector's state as Connect tells it, and what is behind it."""

    state: str
    explanation: Explanation
    symptom: Symptom | None
    unseen: str | None  # why the worker's log was not seen

    def lines(self) -> Iterator[str]:
        yield f"Connect says   {self.state}"
        symptom = self.symptom
        if symptom is not None and symptom.source == str(AilmentSource.EVIDENCE):
            times = "once" if symptom.count == 1 else f"{symptom.count} times"
            since, last = utc(symptom.since), utc(symptom.last)
            yield f"worker's log   since {since}, last at {last}, {times}"
        if self.unseen is not None:
            yield f"worker's log   not seen: {self.unseen}"
        if symptom is None:
            yield "suffers from   nothing that could be seen here"
            return
        yield from explanation_lines(self.explanation)

    def data(self) -> dict[str, Json]:
        found = {**explanation_data(self.explanation), "state": self.state, "unseen": self.unseen}
        symptom = self.symptom
        if symptom is not None:
            found |= {
                "source": symptom.source,
                "since": symptom.since,
                "last": symptom.last,
                "count": symptom.count,
            }
        return found


def symptom_of(ailment: Ailment | None) -> Symptom | None:
    if ailment is None:
        return None
    return Symptom(str(ailment.source), ailment.since, ailment.last, ailment.count)


def explain_evidence(one: Evidence) -> Explanation:
    """Make of evidence what its lines were taken for; the lines themselves were not kept."""
    return _explain_known(one.failure, one.system, one.codes, one.classes)


def tell_state(seen: ObservedConnector) -> str:
    tasks = ", ".join(f"task {task.id} {task.state}" for task in seen.tasks)
    return f"{seen.state}; {tasks or 'no task'}"


# --- through the leader's status --------------------------------------------------------------


def ailment_data(ailment: Ailment) -> dict[str, Json]:
    """Tell a diagnosis to those who cannot look; no text of the worker is in it."""
    return {
        "failure": ailment.failure,
        "system": str(ailment.system),
        "source": str(ailment.source),
        "since": ailment.since,
        "last": ailment.last,
        "count": ailment.count,
        "codes": list(ailment.codes),
    }


def examination_told(state: str, told: Mapping[str, Any] | None, unseen: str | None) -> Examination:
    """Read a diagnosis back; a failure that only a newer controller knows is an unknown one."""
    if told is None:
        return Examination(state, explain_text(""), None, unseen)
    symptom = Symptom(
        str(told["source"]), float(told["since"]), float(told["last"]), int(told["count"])
    )
    codes = tuple(str(code) for code in told["codes"])
    explanation = _explain_known(str(told["failure"]), _system(str(told["system"])), codes)
    return Examination(state, explanation, symptom, unseen)


def _system(name: str) -> System:
    return System(name) if name in set(System) else System.UNKNOWN


def _explain_known(
    failure: str, system: System, codes: tuple[str, ...], classes: tuple[str, ...] = ()
) -> Explanation:
    row = known(failure, system) or UNKNOWN
    return explain(
        Diagnosis(
            failure=row,
            system=system,
            treatment=row.treatment,
            restart_helps=row.treatment is Treatment.RESTART,
            matched="",
            cause="",
            codes=codes,
            classes=classes,
        )
    )
