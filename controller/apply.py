"""Apply a plan step by step; every outcome is a value."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Final, assert_never

from controller.core.action import (
    Action,
    AddPartitions,
    AlterTopic,
    CheckSource,
    CreateConnector,
    CreateTopic,
    Forget,
    Pause,
    ProbeLogin,
    PutConfig,
    Remember,
    RemoveSecretFiles,
    Restart,
    RestoreOffsets,
    Resume,
    Stop,
    ValidateConfig,
    WriteReady,
    WriteSecretFiles,
    is_own,
)
from controller.core.decision import Act, Decision, Difference, Wait
from controller.core.fault_reason import CRASHED
from controller.core.faults import Denied, Fault, OutcomeUnknown, Rejected, Unavailable
from controller.core.history import Origin, is_recorded
from controller.core.hold import OWN_KINDS, Standing, hold, hold_always
from controller.core.model import Json, ProbeOutcome, ResourceKey
from controller.core.pace import give_back
from controller.core.plan import Plan
from controller.core.preflight import REFUSED, STARTED, UNREACHABLE, looked, stamped
from controller.core.probe import bad_record, count_look, probe_record, stamp_after
from controller.core.refusal import login_digest, probed, refusal_record, refused, validated
from controller.core.step import Step
from controller.core.track import after_fault, after_write, keep_track
from controller.journal import NO_HISTORY, Journal
from controller.leadership import Always, Leadership
from controller.ports import (
    Clock,
    ConnectClient,
    KafkaClient,
    LoginProbe,
    SecretFiles,
    SourcePreflight,
    StateStore,
)

NOWHERE: Final = Origin(must_record=True)


@dataclass(frozen=True, slots=True)
class Applied:
    """One action and how it ended; no fault means that the system said yes."""

    key: ResourceKey
    action: Action
    fault: Fault | None
    seconds: float

    @property
    def result(self) -> str:
        return "applied" if self.fault is None else type(self.fault).__name__


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one step that was to act; `held` when somebody held it at the last moment."""

    step: Step
    applied: tuple[Applied, ...] = ()
    held: Decision | None = None
    untracked: Fault | None = None  # why it could not be counted: nothing paces the next try

    @property
    def moved(self) -> bool:
        """Whether the next cycle should come at once: it has something new to see."""
        if not self.applied or self.untracked is not None:
            return False
        return self.fault is None or self.step.key.kind not in OWN_KINDS  # those are never held

    @property
    def fault(self) -> Fault | None:
        return next((one.fault for one in self.applied if one.fault is not None), None)

    @property
    def wrote(self) -> bool:
        """Whether another system said yes to a change."""
        return any(one.fault is None and not is_own(one.action) for one in self.applied)

    @property
    def may_have_written(self) -> bool:
        fault = self.fault
        unknown = isinstance(fault, OutcomeUnknown) or (
            fault is not None and fault.reason == CRASHED
        )
        return self.wrote or unknown


class Applier:
    """Performs actions on the real systems, one request each, none twice."""

    def __init__(
        self,
        *,
        connect: ConnectClient,
        kafka: Callable[[], KafkaClient],
        files: SecretFiles,
        probe: LoginProbe,
        preflight: SourcePreflight | None = None,
        store: StateStore,
        clock: Clock,
        jitter: Callable[[], float],
        leadership: Leadership | None = None,
        journal: Journal | None = None,
        telling: Callable[[Step, Action], None],
        told: Callable[[Step, Applied], None],
    ) -> None:
        self._connect = connect
        self._kafka = kafka
        self._files = files
        self._probe = probe
        self._preflight = preflight
        self._store = store
        self._clock = clock
        self._jitter = jitter
        self._leadership: Leadership = leadership or Always()
        self._journal = journal
        self._origin = NOWHERE
        self._telling = telling
        self._told = told

    def apply(
        self, plan: Plan, stopping: Callable[[], bool], origin: Origin | None = None
    ) -> tuple[Outcome, ...]:
        """Take the steps in order; one that faults stops itself and no other."""
        self._origin = origin or NOWHERE
        return tuple(
            self._apply_step(step, step.decision, stopping)
            for step in plan.steps
            if isinstance(step.decision, Act) and not stopping()
        )

    def keep(self, plan: Plan) -> Fault | None:
        """Put what is to be remembered; the first fault ends it, the next cycle goes on."""
        for action in plan.memory:
            if self._leadership.why_not() is not None:
                return None  # what is remembered is the leader's
            try:
                self._remember(action)
            except Fault as fault:
                return fault
        return None

    def _apply_step(self, step: Step, act: Act, stopping: Callable[[], bool]) -> Outcome:
        held = self._held(step, act)
        if held is not None:
            return Outcome(step, held=held)
        begun = self._begin(step, act)
        if isinstance(begun, Wait):
            return Outcome(step, held=begun)
        applied: list[Applied] = []
        for action in act.actions:
            held = self._held_between(step, act, action) if applied else None
            if stopping() or held is not None:
                break
            applied.append(self._apply_action(step, action))
            if applied[-1].fault is not None:
                break
        outcome = Outcome(step, tuple(applied), held)
        self._end(begun, act, outcome)
        return replace(outcome, untracked=self._track(outcome))

    def _begin(self, step: Step, act: Act) -> str | Wait | None:
        """Record it first, and before its time is stamped: what is held must cost no budget."""
        if self._journal is None:
            return None
        try:
            return self._journal.begin(step.key, act, self._origin)
        except Fault as fault:
            if not self._origin.must_record:
                return None
            told = f"nothing is written that cannot be recorded: {fault.message}"
            return Wait(NO_HISTORY, told, None, act.diff, act)

    def _end(self, begun: str | None, act: Act, outcome: Outcome) -> None:
        if self._journal is None:
            return
        done = [
            type(one.action).__name__
            for one in outcome.applied
            if one.fault is None and is_recorded(one.action)
        ]
        wanted = sum(is_recorded(action) for action in act.actions)
        self._journal.end(begun, done, outcome.fault, wanted)

    def _held(self, step: Step, act: Act) -> Decision | None:
        """Look once more, right before acting, whether to stop: a person's word, the lease."""
        if step.key.kind in OWN_KINDS:
            return None
        decision = hold(act, self._look(step))
        return None if decision is act else decision

    def _held_between(self, step: Step, act: Act, action: Action) -> Decision | None:
        """Look before each further action; its own stamp has changed the pace, which is left."""
        if step.key.kind in OWN_KINDS:  # its own files every sidecar writes
            return None
        if is_recorded(action):
            return hold_always(act, self._look(step))
        return hold_always(act, replace(step.standing, not_leader=self._leadership.why_not()))

    def _look(self, step: Step) -> Standing:
        """Read what people say by now, and whether the lease lasts for one more action."""
        try:
            standing = replace(step.standing, records=self._store.load())
        except Fault as fault:
            why = f"the state store cannot be read: {fault.message}"
            standing = replace(step.standing, records={}, observe_only=why)
        return replace(standing, not_leader=self._leadership.why_not())

    def _apply_action(self, step: Step, action: Action) -> Applied:
        start = self._clock.monotonic()
        fault: Fault | None = None
        self._telling(step, action)
        try:
            self._perform(action)
        except Fault as raised:
            fault = raised
        except Exception as bug:  # noqa: BLE001 - ours; it must not end the care of the others
            fault = Unavailable(CRASHED, f"a mistake of this program: {type(bug).__name__}")
            fault.__cause__ = bug
        applied = Applied(step.key, action, fault, self._clock.monotonic() - start)
        self._told(step, applied)
        return applied

    def _track(self, outcome: Outcome) -> Fault | None:
        """Count what failed and what was written, so that the next plan can pace it."""
        step, now = outcome.step, self._clock.now()
        track = step.standing.track
        if outcome.fault is not None:
            track = after_fault(track, outcome.fault, now=now, jitter=self._jitter())
        elif isinstance(step.decision, Act) and outcome.wrote:
            # In these no one's edit is undone.
            uncounted = (Difference.ROTATION, Difference.WORD, Difference.FAILURE)
            counted = step.decision.difference not in uncounted
            track = after_write(track, now=now, wrote=step.decision.signature, counted=counted)
        elif outcome.held is None:
            return None
        try:
            records = self._store.load()
            for action in keep_track(records, step.key, track):
                self._remember(action)
            if not outcome.may_have_written:
                for action in give_back(step.standing.key, step.standing.records, records):
                    self._remember(action)
        except Fault as fault:
            return fault
        return None

    def _remember(self, action: Remember | Forget) -> None:
        match action:
            case Remember():
                self._store.put(action.key, action.value, expires=action.expires)
            case Forget():
                self._store.delete(action.key)
            case _:
                assert_never(action)

    def _perform(self, action: Action) -> None:
        match action:
            case Remember() | Forget():
                self._remember(action)
            case WriteSecretFiles() | RemoveSecretFiles() | WriteReady():
                self._files.apply(action)
            case ProbeLogin():
                self._probe_login(action)
            case CheckSource():
                self._check_source(action)
            case ValidateConfig():
                errors = self._connect.validate(action.connector_class, action.config)
                self._store.put(action.record, validated(self._value(action.record), errors))
            case CreateTopic() | AddPartitions() | AlterTopic():
                self._kafka().apply(action)
            case CreateConnector() | PutConfig():
                self._write_config(action)
            case Resume() | Pause() | Stop() | Restart() | RestoreOffsets():
                self._connect.apply(action)
            case _:
                assert_never(action)

    def _write_config(self, action: CreateConnector | PutConfig) -> None:
        try:
            self._connect.apply(action)
        except Rejected as fault:
            if fault.reason != "ConfigRefused":
                raise
            record = refusal_record(action.name)
            now = self._clock.now()
            login = login_digest(action.config)
            told = refused(self._value(record), action.digest, now, login=login)
            self._store.put(record, told)
            raise Unavailable(
                "ConfigRefused", f"{fault.message}; finding out why", retry_after=0.1
            ) from fault

    def _probe_login(self, action: ProbeLogin) -> None:
        address = action.login.address
        outcome, message = self._probe.probe(action.login)
        record = probe_record(action.version, address)
        now = self._clock.now()
        self._store.put(record, stamp_after(self._value(record), outcome, message, now))
        if outcome is ProbeOutcome.REFUSED:
            bad: dict[str, Json] = {"message": message, "at": now}
            self._store.put(bad_record(action.version, address), bad)
        if action.refusal:
            self._store.put(action.refusal, probed(self._value(action.refusal), outcome, message))

    def _check_source(self, action: CheckSource) -> None:
        if self._preflight is None:
            return
        version = str(action.version)
        try:
            said = self._preflight.look(action.login, action.subject)
        except Fault as fault:
            self._note_unseen(action, fault)
            raise
        value = looked(version, self._clock.now(), said, action.subject)
        self._store.put(action.record, value)

    def _note_unseen(self, action: CheckSource, fault: Fault) -> None:
        """Keep what was found before; a refused login is counted, and not tried again."""
        now, before = self._clock.now(), self._value(action.record)
        outcome = STARTED
        if isinstance(fault, Unavailable):
            outcome = UNREACHABLE
        if isinstance(fault, Denied):
            outcome = REFUSED
            record = probe_record(action.version, action.login.address)
            self._store.put(record, count_look(self._value(record)))
        self._store.put(action.record, stamped(before, str(action.version), now, outcome))

    def _value(self, key: str) -> Mapping[str, Json]:
        record = self._store.load().get(key)
        return record.value if record is not None else {}
