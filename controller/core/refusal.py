"""Why a worker refused a config, found out in at most one login and one validation.

Connect answers a refused POST or PUT with 400, or with a 500 about a null ConfigValueInfo, whether
a field is wrong or the database is away (Debezium logs in while it validates). Nothing was written.
So first our own probe tells about the login; only then the validate endpoint is asked for fields.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from controller.core.action import Action, Forget, ProbeLogin, Remember, ValidateConfig
from controller.core.backoff import Backoff
from controller.core.decision import Act, Decision, Stall, Wait
from controller.core.diff import hash_config
from controller.core.model import (
    ConnectorManifest,
    FieldError,
    Json,
    ProbeMode,
    ProbeOutcome,
    Records,
)
from controller.core.probe import ProbeSpent, probe_record, stamp_before
from controller.core.resolve import LoginNeed

REPEAT: Final = Backoff(base=5.0, factor=2.0, cap=300.0)
KEPT_SECONDS: Final = 3600.0
_CONNECTION: Final = frozenset(
    {"database.hostname", "database.port", "database.user", "database.password", "database.url"}
)


@dataclass(frozen=True, slots=True)
class Refusal:
    """What is known so far about one refused config."""

    config: str  # its hash
    at: float
    times: int = 1
    probe: ProbeOutcome | None = None
    probe_message: str = ""
    errors: tuple[FieldError, ...] | None = None  # None: validate was not asked yet

    @property
    def in_doubt(self) -> bool:
        """Whether the worker could not log in and nobody can say why."""
        errors = self.errors or ()
        connection_only = bool(errors) and all(error.field in _CONNECTION for error in errors)
        return connection_only and self.probe is not ProbeOutcome.ACCEPTED


def refusal_record(name: str) -> str:
    return f"stamp/refusal:{name}"


def read_refusal(records: Records, name: str, config: Mapping[str, str]) -> Refusal | None:
    """Answer what is remembered, if it is about this very config, or about its login in doubt."""
    record = records.get(refusal_record(name))
    if record is None:
        return None
    found = _read(record.value)
    if found.config == hash_config(config):
        return found
    same_login = record.value.get("login") == login_digest(config)
    return found if same_login and found.in_doubt else None


def login_digest(config: Mapping[str, str]) -> str:
    """Name the login of a config: while it stays, a login in doubt stays one."""
    return hash_config({key: text for key, text in config.items() if key.startswith("database.")})


def _read(value: Mapping[str, Json]) -> Refusal:
    probe = value.get("probe")
    return Refusal(
        config=str(value.get("config")),
        at=_float(value.get("at")),
        times=int(_float(value.get("times"))) or 1,
        probe=ProbeOutcome(str(probe)) if probe else None,
        probe_message=str(value.get("probe_message") or ""),
        errors=_read_errors(value.get("errors")),
    )


def refused(
    previous: Mapping[str, Json], digest: str, now: float, *, login: str = ""
) -> dict[str, Json]:
    """Answer the record for a config that was refused just now."""
    times = int(_float(previous.get("times"))) if previous.get("config") == digest else 0
    return {"config": digest, "login": login, "at": now, "times": times + 1}


def probed(previous: Mapping[str, Json], outcome: ProbeOutcome, message: str) -> dict[str, Json]:
    return {**previous, "probe": str(outcome), "probe_message": message}


def validated(previous: Mapping[str, Json], errors: Sequence[FieldError]) -> dict[str, Json]:
    return {**previous, "errors": [[error.field, error.message] for error in errors]}


def decide_refused(
    manifest: ConnectorManifest,
    config: Mapping[str, str],
    refusal: Refusal,
    login: LoginNeed | None,
    *,
    records: Records,
    mode: ProbeMode,
    now: float,
) -> Decision | None:
    """Take the next step of finding out; None once it is time to send the config again."""
    name = manifest.name
    if refusal.errors is not None:
        return _conclude(refusal, now)
    if refusal.probe is None and login is not None and mode is not ProbeMode.OFF:
        if isinstance(login.state, ProbeSpent):
            return Stall("LoginDoubtful", _explain_doubt(login.state.message))
        return _ask_database(name, login, records, now)
    if refusal.probe is ProbeOutcome.UNREACHABLE:
        return _wait(refusal, now)
    ask = ValidateConfig(name, manifest.connector_class, config, refusal_record(name))
    return Act((ask,), "ExplainRefusal", "the worker refused the config; asking which field")


def _ask_database(name: str, login: LoginNeed, records: Records, now: float) -> Decision:
    address = login.login.address
    stamp = stamp_before(records, login.version, address, now)
    actions: tuple[Action, ...] = (
        Remember(probe_record(login.version, address), stamp),
        ProbeLogin(login.version, login.login, refusal_record(name)),
    )
    return Act(actions, "ExplainRefusal", "the worker refused the config; trying the login once")


def _wait(refusal: Refusal, now: float) -> Decision | None:
    left = refusal.at + REPEAT.delay(refusal.times, jitter=1.0) - now
    if left <= 0:
        return None
    return Wait("SourceUnreachable", refusal.probe_message, left)


def _conclude(refusal: Refusal, now: float) -> Decision | None:
    errors = refusal.errors or ()
    told = "; ".join(f"{error.field}: {error.message}" for error in errors)
    if refusal.in_doubt:
        return Stall(
            "LoginDoubtful",
            _explain_doubt(told),
        )
    if not errors:
        left = refusal.at + REPEAT.delay(refusal.times, jitter=1.0) - now
        return Wait("ConfigRefused", "refused once, valid when asked", left) if left > 0 else None
    if now >= refusal.at + KEPT_SECONDS:
        return None
    return Stall("ConfigRejected", f"the worker says: {told}")


def _explain_doubt(told: str) -> str:
    return (
        f"the worker cannot log in ({told}) and neither could we tell why: no login is tried "
        "until the secret has a new version or somebody says `wmsctl probe`"
    )


def forget_refusal(records: Records, name: str) -> tuple[Forget, ...]:
    record = refusal_record(name)
    return (Forget(record),) if record in records else ()


def _read_errors(value: Json) -> tuple[FieldError, ...] | None:
    if not isinstance(value, list):
        return None
    return tuple(FieldError(str(e[0]), str(e[1])) for e in value if isinstance(e, list))


def _float(value: Json) -> float:
    return float(value) if isinstance(value, int | float) else 0.0
