"""A failure explained: what it is, whose it is, what is done about it, what a person should do."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

from controller.core.failure import (
    Actor,
    Diagnosis,
    FailureKind,
    Severity,
    System,
    Treatment,
    diagnose,
)
from controller.core.model import Json

_WHOSE: Final = {
    System.ORACLE: "the Oracle database",
    System.POSTGRESQL: "the PostgreSQL database",
    System.KAFKA: "Kafka",
    System.CONNECT: "the Connect worker",
    System.NETWORK: "the network, or the host behind it",
    System.CONFIG: "the connector's config",
    System.SECRET: "the secret, or the way it reaches the worker",
    System.SCHEMA_HISTORY: "the schema history",
    System.JVM: "the worker's image, memory or disk",
    System.UNKNOWN: "not known",
}
_ACTORS: Final = {
    Actor.NOBODY: "nobody",
    Actor.OPERATOR: "whoever runs this connector",
    Actor.DBA: "the database administrator",
    Actor.PLATFORM: "whoever runs the platform (AWS, network, image)",
}
_DOES: Final = {
    Treatment.WAIT: "Waits: the connector goes on by itself. An alarm follows after 15 minutes.",
    Treatment.HOLD: "Leaves the connector as it is and tells a person; no restart in between.",
    Treatment.STOP: "Stops the connector, so that no further login is tried, then tries the login "
    "once itself.",
}


@dataclass(frozen=True, slots=True)
class Explanation:
    """All of it is masked: quoted literals, rows and secrets are not in it."""

    diagnosis: Diagnosis
    does: str  # what the controller will do

    @property
    def failure(self) -> str:
        return self.diagnosis.failure.id


def who_acts(actor: Actor) -> str:
    """Say who is to act, for the end of a remedy."""
    return "nobody need act" if actor is Actor.NOBODY else f"for {_ACTORS[actor]}"


def explain_text(text: str, scrub: Callable[[str], str] | None = None) -> Explanation:
    """Explain a trace, a log line or an answer of Connect; an empty text has an answer too."""
    return explain(diagnose(scrub(text) if scrub else text))


def explain(diagnosis: Diagnosis) -> Explanation:
    return Explanation(diagnosis, _does(diagnosis))


def explanation_data(explanation: Explanation) -> dict[str, Json]:
    """Put it in the form of `explain -o json`."""
    diagnosis, failure = explanation.diagnosis, explanation.diagnosis.failure
    return {
        "failure": failure.id,
        "system": str(diagnosis.system),
        "kind": str(failure.kind),
        "severity": str(failure.severity),
        "restartHelps": diagnosis.restart_helps,
        "action": str(diagnosis.treatment),
        "actor": str(failure.actor),
        "says": failure.says,
        "does": explanation.does,
        "remedy": failure.remedy,
        "command": failure.command,
        "cause": diagnosis.cause,
        "matched": diagnosis.matched,
        "codes": list(diagnosis.codes),
        "classes": list(diagnosis.classes),
    }


def explanation_lines(explanation: Explanation) -> tuple[str, ...]:
    """Write it for a person, most needed first."""
    return tuple(_lines(explanation))


def _lines(explanation: Explanation) -> Iterator[str]:
    diagnosis, failure = explanation.diagnosis, explanation.diagnosis.failure
    yield failure.id if diagnosis.known else "unknown failure"
    yield f"  {failure.says}"
    yield ""
    yield f"where          {_WHOSE[diagnosis.system]}"
    yield f"kind           {failure.kind}; {_SEVERITIES[failure.severity]}"
    yield f"restart helps  {'yes' if diagnosis.restart_helps else 'no'}"
    yield f"who acts       {_ACTORS[failure.actor]}"
    yield f"controller     {explanation.does}"
    yield f"do             {failure.remedy}"
    if failure.command:
        yield f"               $ {failure.command}"
    if diagnosis.matched:
        yield f"matched        {diagnosis.matched}"
    if diagnosis.cause and diagnosis.cause not in diagnosis.matched:
        yield f"last cause     {diagnosis.cause}"
    if diagnosis.codes:
        yield f"codes          {', '.join(diagnosis.codes)}"


_SEVERITIES: Final = {
    Severity.DATA: "data is lost or at risk",
    Severity.STOPPED: "nothing flows until it is over",
    Severity.DEGRADED: "it is expected to heal",
    Severity.NOISE: "no harm by itself",
}


def _does(diagnosis: Diagnosis) -> str:
    failure = diagnosis.failure
    if diagnosis.treatment is not Treatment.RESTART:
        return _DOES[diagnosis.treatment]
    if failure.id == "SecretUnresolved":
        return "Writes the secret's files, restarts the task once, then leaves it to a person."
    if failure.kind is FailureKind.TRANSIENT:
        return "Restarts the failed task at once, and again with pauses that grow up to an hour."
    times = "once" if failure.tries <= 1 else f"at most {failure.tries} times with growing pauses"
    return f"Restarts the failed task, {times}, then leaves it to a person."
