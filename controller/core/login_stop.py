"""What is done about a login that the worker was refused: stop first, then one probe.

Since Debezium 3.5 a connector with a wrong password tries it every ten seconds for ever, which
locks the account. So the connector is stopped at once, what it tried is counted with our own
tries, and it is resumed only when our probe got in. Else a new secret version ends it, or a
person's `wmsctl release`, which allows exactly one more login.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import assert_never

from controller.core.action import Forget, Remember, Stop
from controller.core.connector_memory import release_record, stopped_record
from controller.core.decision import STOP_LOGINS, Act, Decision, Difference, Risk, Stall, Wait
from controller.core.failure import Failure
from controller.core.model import Json, ObservedConnector, ProbeMode, Records
from controller.core.probe import (
    FAILED_LOGINS,
    ProbeDue,
    ProbeLater,
    ProbeSpent,
    ProbeState,
    Proved,
    Refused,
    bad_record,
    count_worker,
    probe_record,
)
from controller.core.refusal import refusal_record
from controller.core.resolve import LoginNeed


@dataclass(frozen=True, slots=True)
class LoginStop:
    """A connector that we stopped because its login was refused."""

    version: str  # "" where the login is in no secret
    address: str
    generation: str
    failure: str
    at: float


def read_stop(records: Records, name: str) -> LoginStop | None:
    record = records.get(stopped_record(name))
    if record is None or record.value.get("by") != "login":
        return None
    value: Mapping[str, Json] = record.value
    at = value.get("at")
    return LoginStop(
        version=str(value.get("version") or ""),
        address=str(value.get("address") or ""),
        generation=str(value.get("generation") or ""),
        failure=str(value.get("failure") or ""),
        at=float(at) if isinstance(at, int | float) else 0.0,
    )


def stop_logins(
    name: str,
    generation: str,
    failure: Failure,
    used: LoginNeed | None,
    records: Records,
    *,
    tried: int,
    now: float,
) -> Act:
    """Stop it, and count what it tried before; `used` is the login in its observed config."""
    stamp: dict[str, Json] = {
        "by": "login",
        "at": now,
        "generation": generation,
        "failure": failure.id,
    }
    count: tuple[Remember, ...] = ()
    if used is not None:
        address = used.login.address
        stamp |= {"version": str(used.version), "address": address}
        counted = count_worker(
            records, used.version, address, tried=tried, message=failure.says, now=now
        )
        count = (Remember(probe_record(used.version, address), counted),)
    return Act(
        (*count, Remember(stopped_record(name), stamp), Stop(name)),
        STOP_LOGINS,
        f"the worker was refused ({failure.id}): stopped, so that no further login is tried. "
        f"{failure.says}",
        difference=Difference.FAILURE,
        risk=Risk.RESTART,
        consequence="nothing flows until a login works",
    )


def probe_again(name: str, used: LoginNeed, observed: object, records: Records) -> Decision | None:
    """Decide on the login that it was stopped for; None leaves it to the usual rules."""
    if release_record(name) in records:
        return _allow_one(name, used, records)
    if not isinstance(used.state, ProbeDue):
        return None
    if not isinstance(observed, ObservedConnector) or observed.state != "STOPPED":
        return Wait("Stopping", "the login is tried once the connector stands", 0.5)
    if observed.tasks:
        return Wait("Stopping", "the login is tried once its task has ended", 0.5)
    return None


def _allow_one(name: str, used: LoginNeed, records: Records) -> Act:
    address = used.login.address
    stamp: dict[str, Json] = {
        "attempts": 0,
        "failures": FAILED_LOGINS - 1,
        "at": 0.0,
        "outcome": None,
        "message": "somebody allowed one more login",
    }
    gone = (bad_record(used.version, address), refusal_record(name), release_record(name))
    return Act(
        (
            Remember(probe_record(used.version, address), stamp),
            *(Forget(record) for record in gone if record in records),
        ),
        "ProbeAgain",
        f"somebody released connector {name}: {used.version} is tried once more",
    )


def concerns(stop: LoginStop, used: LoginNeed) -> bool:
    """Whether it was stopped for this very login."""
    return stop.version == str(used.version) and stop.address == used.login.address


def hold_resume(
    stop: LoginStop,
    used: LoginNeed | None,
    generation: str,
    mode: ProbeMode,
    *,
    released: bool,
) -> Wait | Stall | None:
    """Answer why one that we stopped may not be resumed yet, with the login that it would use."""
    if used is None:
        over = released or stop.generation != generation
        return None if over else Stall(stop.failure, _ask(stop, "its login is in no secret"))
    if not concerns(stop, used):
        return None  # another login, which is proved before a config names it
    if mode is ProbeMode.OFF:
        return None if released else Stall(stop.failure, _ask(stop, "no login is ever probed here"))
    return _await_proof(stop, used.state)


def _await_proof(stop: LoginStop, state: ProbeState) -> Wait | Stall | None:
    match state:
        case Proved():
            return None
        case ProbeDue():
            return Wait("LoginUnproved", f"stopped after {stop.failure}; its login is tried once")
        case ProbeLater():
            return Wait("SourceUnreachable", f"stopped after {stop.failure}; {state.message}")
        case ProbeSpent():
            return Stall("LoginDoubtful", _ask(stop, "two logins of it have failed"))
        case Refused():
            return Stall(stop.failure, _ask(stop, state.message))
        case _:
            assert_never(state)


def _ask(stop: LoginStop, why: str) -> str:
    return (
        f"stopped after {stop.failure}, so that the account is not locked; {why}. It goes on with "
        "a new version of the secret, or after `wmsctl release`, which allows one more login"
    )
