"""After a deploy: whether what was deployed is in force, running, and getting somewhere."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from controller.core.aws_names import AwsNames
from controller.core.faults import Fault
from controller.core.model import Absent, Json, Unknown
from controller.core.protection import (
    LOCAL,
    NOBODY,
    Boundary,
    Finding,
    Scope,
    judge_boundaries,
    judge_deletable,
)
from controller.core.stage import Stage
from controller.ports import Clock

POLL_SECONDS: Final = 2.0
STALE_SECONDS: Final = 90.0  # a status is written every half minute at least
_CONNECTOR: Final = "connector/"
_TOPIC: Final = "topic/"
_UNPROTECTED: Final = "ClusterUnprotected"


@dataclass(frozen=True, slots=True)
class Expected:
    """What must be in force; what is not given is not asked."""

    revision: str | None = None
    commit: str | None = None
    seen_within: float = 120.0  # seconds since the newest event or heartbeat
    unprotected: bool = False  # a person knows that the brokers ask for no identity


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that must be true, and the sentence that says whether it is."""

    name: str
    ok: bool
    message: str

    def data(self) -> dict[str, Json]:
        return {"check": self.name, "ok": self.ok, "message": self.message}


@dataclass(frozen=True, slots=True)
class Verdict:
    """All checks of one look; `warnings` are worth a look and fail nothing."""

    checks: tuple[Check, ...]
    warnings: tuple[str, ...] = ()
    seconds: float = 0.0

    @property
    def ok(self) -> bool:
        return all(check.ok for check in self.checks)

    def also(self, check: Check | None) -> Verdict:
        return self if check is None else replace(self, checks=(*self.checks, check))

    def data(self) -> dict[str, Json]:
        return {
            "ok": self.ok,
            "seconds": round(self.seconds, 1),
            "checks": [check.data() for check in self.checks],
            "warnings": list[Json](self.warnings),
        }


Document = Mapping[str, Any]


def judge(document: Document, expected: Expected, now: float) -> Verdict:
    """Judge one status document; every check is there each time, so that none is forgotten."""
    resources = [one for one in document.get("resources") or () if isinstance(one, dict)]
    connectors = [one for one in resources if str(one.get("resource")).startswith(_CONNECTOR)]
    checks = (
        _fresh(document, now),
        *_in_force(document, expected),
        _accepted(document),
        _seen_whole(document),
        _declared(connectors),
        *(check for one in connectors for check in _connector(one, document, expected, now)),
        _topics(one for one in resources if str(one.get("resource")).startswith(_TOPIC)),
        _protection(document, expected),
    )
    return Verdict(checks, tuple(str(text) for text in document.get("warnings") or ()))


def wait_until_good(
    read: Callable[[], Document],
    expected: Expected,
    *,
    clock: Clock,
    wait: Callable[[float], None],
    timeout: float,
    say: Callable[[str], None],
) -> Verdict:
    """Look until all is good or the time is over; say what is still wrong when that changes."""
    start, said = clock.monotonic(), ""
    while True:
        verdict = _look(read, expected, clock.now())
        elapsed = clock.monotonic() - start
        left = "; ".join(f"{c.name}: {c.message}" for c in verdict.checks if not c.ok)
        if verdict.ok or elapsed >= timeout:
            return Verdict(verdict.checks, verdict.warnings, elapsed)
        if left != said:
            say(f"{elapsed:4.0f} s  waits for {left}")
            said = left
        wait(min(POLL_SECONDS, max(0.0, timeout - elapsed)))


def _look(read: Callable[[], Document], expected: Expected, now: float) -> Verdict:
    try:
        return judge(read(), expected, now)
    except Fault as fault:
        return Verdict((Check("status", ok=False, message=f"{fault.reason}: {fault.message}"),))


# --- checks -----------------------------------------------------------------------------------


def _fresh(document: Document, now: float) -> Check:
    at = document.get("at")
    if not isinstance(at, int | float):
        return Check("status", ok=False, message="no cycle is over yet")
    age = now - at
    return Check("status", age <= STALE_SECONDS, f"written {max(0.0, age):.0f} s ago")


def _in_force(document: Document, expected: Expected) -> Iterator[Check]:
    found = document.get("revision") or {}
    names = f"revision {found.get('id')}, commit {found.get('commit')}"
    if not found:
        yield Check("revision", ok=False, message="no good revision is in force")
        return
    wanted = expected.revision
    if wanted is None or found.get("id") == wanted:
        yield Check("revision", ok=True, message=f"{names} is in force")
    else:
        yield Check("revision", ok=False, message=f"{names} is in force, not {wanted}")
    if expected.commit is not None:
        same = str(found.get("commit") or "").startswith(expected.commit)
        yield Check("commit", same, f"{names} is in force")


def _accepted(document: Document) -> Check:
    refused = document.get("refusedRevision")
    if not refused:
        return Check("manifests", ok=True, message="the newest are in force")
    return Check("manifests", ok=False, message=f"the newest are refused: {refused.get('message')}")


def _seen_whole(document: Document) -> Check:
    faults = [f"{f.get('system')} {f.get('reason')}" for f in document.get("faults") or ()]
    good = bool(document.get("complete")) and not faults
    told = ", ".join(faults) or ("all systems answer" if good else "not all systems were seen")
    return Check("observation", good, told)


def _declared(connectors: list[dict[str, Any]]) -> Check:
    names = [str(one["resource"]) for one in connectors]
    return Check("connectors", bool(names), ", ".join(names) or "no connector is declared")


def _connector(
    one: dict[str, Any], document: Document, expected: Expected, now: float
) -> Iterator[Check]:
    name = str(one["resource"])
    conditions = {c.get("type"): c for c in one.get("conditions") or ()}
    for kind in ("Synced", "Ready", "Healthy", "SecretsResolved"):
        found = conditions.get(kind)
        if found is not None:
            told = f"{found.get('reason')}: {found.get('message')}"
            yield Check(f"{name} {kind}", found.get("status") == "True", told)
        elif kind != "Healthy":
            yield Check(f"{name} {kind}", ok=False, message="nothing is known of it yet")
    paused = conditions.get("Ready", {}).get("reason") in ("Paused", "Stopped")
    if not paused:
        yield _alive(name, one, expected, now - float(document.get("at") or now))


def _alive(name: str, one: dict[str, Any], expected: Expected, old: float) -> Check:
    """Something must have been seen of it lately: a row, a heartbeat, whatever proves life."""
    lag = one.get("lag")
    title = f"{name} alive"
    if not isinstance(lag, dict):
        return Check(title, ok=False, message="no event or heartbeat was looked at yet")
    ages = [lag.get("heartbeatAge")]
    ages += [t.get("newestRecordAge") for t in (lag.get("topics") or {}).values()]
    known = [float(age) for age in ages if isinstance(age, int | float)]
    if not known:
        told = f"no event or heartbeat was seen yet ({lag.get('message')})"
        return Check(title, ok=False, message=told)
    age = min(known) + max(0.0, old)
    told = f"the newest event or heartbeat is {age:.0f} s old"
    return Check(title, age <= expected.seen_within, told)


def _topics(topics: Iterator[dict[str, Any]]) -> Check:
    found = list(topics)
    wrong = [
        f"{one.get('resource')} {one.get('reason')}"
        for one in found
        if not _is_good(one, ("Synced", "Ready"))
    ]
    if not found:
        return Check("topics", ok=False, message="no topic is declared")
    return Check("topics", not wrong, ", ".join(wrong) or f"{len(found)} topic(s) as declared")


def _protection(document: Document, expected: Expected) -> Check:
    """What the controller sees of it; the boundary of its roles is asked of IAM."""
    told = document.get("protection") or {}
    identity, deletable = told.get("identity"), told.get("deletable")
    if identity is None:
        found = Finding(False, "how the brokers know their clients could not be seen")
    elif identity == LOCAL:
        found = Finding(True, "the brokers are on this machine")
    elif identity == NOBODY:
        found = Finding(expected.unprotected, _open_to_all(document))
    else:
        found = judge_deletable(None if deletable is None else tuple(deletable))
    return Check("protection", found.ok, found.message)


def _open_to_all(document: Document) -> str:
    warnings = [str(text) for text in document.get("warnings") or ()]
    return next((text for text in warnings if text.startswith(_UNPROTECTED)), _UNPROTECTED)


def check_boundaries(
    stage: Stage,
    document: Document,
    boundary_of: Callable[[str], Boundary | Absent | Unknown],
    secret_prefix: str = "wms",  # noqa: S107 - a path
) -> Check | None:
    """Ask IAM for the boundary of each role of the stage; None where the stage is on no AWS."""
    identity = (document.get("protection") or {}).get("identity")
    if identity in (None, LOCAL):
        return None
    scope = Scope(topics=identity == "iam", secret_prefix=secret_prefix)
    seen = {role: boundary_of(role) for role in AwsNames(stage).roles}
    found = judge_boundaries(stage, seen, scope)
    return Check("boundary", found.ok, found.message)


def _is_good(one: dict[str, Any], kinds: tuple[str, ...]) -> bool:
    conditions = {c.get("type"): c.get("status") for c in one.get("conditions") or ()}
    return all(conditions.get(kind) == "True" for kind in kinds)
