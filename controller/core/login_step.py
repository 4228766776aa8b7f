"""Whether a login is tried before a config may name it."""

from __future__ import annotations

from controller.core.action import Forget, ProbeLogin, Remember
from controller.core.decision import Act, Converged, Decision, Stall, Wait
from controller.core.login_stop import concerns, probe_again, read_stop
from controller.core.model import ConnectorManifest, ObservedConnector, Unknown
from controller.core.probe import (
    ProbeDue,
    ProbeLater,
    ProbeSpent,
    ProbeState,
    Refused,
    bad_record,
    probe_record,
    stamp_before,
)
from controller.core.refusal import refusal_record
from controller.core.resolve import LoginNeed
from controller.core.secret_path import named_fields
from controller.core.world import World


def decide_login(manifest: ConnectorManifest, need: LoginNeed, world: World) -> Decision:
    intent = _probe_intent(manifest, world)
    if intent is not None:
        return _forget_probe(manifest, need, intent)
    stop = read_stop(world.records, manifest.name)
    if stop is not None and concerns(stop, need):
        again = probe_again(manifest.name, need, world.connectors.get(manifest.key), world.records)
        if again is not None:
            return again
    elif _in_use(manifest, need, world):
        return Converged()
    if not isinstance(need.state, ProbeDue):
        return _judge_login(need.state, world.now)
    observed = world.connectors.get(manifest.key)
    if isinstance(observed, Unknown):  # it may be in use
        return Wait(observed.fault.reason, observed.fault.message)
    address = need.login.address
    stamp = stamp_before(world.records, need.version, address, world.now)
    return Act(
        (
            Remember(probe_record(need.version, address), stamp),
            ProbeLogin(need.version, need.login),
        ),
        "ProveLogin",
        f"the login of {need.version} is tried before any connector gets it",
    )


def _judge_login(state: ProbeState, now: float) -> Decision:
    if isinstance(state, ProbeLater):
        return Wait("SourceUnreachable", state.message, state.at - now)
    if isinstance(state, ProbeSpent):
        return Stall("LoginDoubtful", state.message)
    return Stall("LoginRefused", state.message) if isinstance(state, Refused) else Converged()


def _in_use(manifest: ConnectorManifest, need: LoginNeed, world: World) -> bool:
    observed = world.connectors.get(manifest.key)
    if not isinstance(observed, ObservedConnector):
        return False
    return need.version in named_fields(observed.config, world.root)


def probe_intent_record(name: str) -> str:
    return f"intent/probe:{name}"


def _probe_intent(manifest: ConnectorManifest, world: World) -> str | None:
    names = (manifest.name, *sorted(ref for ref in _secret_refs(manifest)))
    asked = (probe_intent_record(name) for name in names)
    return next((record for record in asked if record in world.records), None)


def _secret_refs(manifest: ConnectorManifest) -> frozenset[str]:
    return frozenset(ref.name for value in manifest.config.values() for ref in value.secrets())


def _forget_probe(manifest: ConnectorManifest, need: LoginNeed, intent: str) -> Act:
    address = need.login.address
    return Act(
        (
            Forget(bad_record(need.version, address)),
            Forget(probe_record(need.version, address)),
            Forget(refusal_record(manifest.name)),
            Forget(intent),
        ),
        "ProbeAgain",
        f"somebody asked for another try of {need.version}",
    )
