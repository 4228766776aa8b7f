"""Tear an ephemeral stage down: delete what is provably its own, and tell about all else."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

from controller.core.faults import Conflict, Fault, OutcomeUnknown, Transient, Unavailable
from controller.core.guards import (
    ConnectorDeletionRequest,
    DeletionRequest,
    RefusedDeletion,
    permit,
    permit_connector,
)
from controller.core.history import ended_entry, teardown_entry
from controller.core.hold import TEARING_DOWN_RECORD
from controller.core.model import (
    Json,
    ObservedConnector,
    Record,
    Revision,
    Snapshot,
    connector_key,
    topic_key,
)
from controller.core.owner import Owner
from controller.core.stage import Stage
from controller.core.teardown import (
    ByHand,
    Left,
    Listing,
    TopicDeletions,
    acknowledged,
    by_hand,
    came_back,
    configs_of,
    expected_connectors,
    expected_topics,
    find_connectors,
    find_topics,
    is_whole,
    mark_value,
    refuse_place,
    refuse_teardown,
    remembered_sql,
)
from controller.journal import Journal
from controller.ports import Clock, ConnectClient, KafkaClient, StateStore
from controller.reconciler import ALIVE_RECORD
from controller.teardown_report import Teardown, is_listed, resource_names, teardown_lines

_STEP: Final = 0.5  # seconds between two looks while something is waited for
_GRACE: Final = 35.0  # a sign of life lasts three intervals and 30 s
_LEAVING: Final = 45.0  # how long the group may keep a worker that was killed
_ROUNDS: Final = 10  # of deleting connectors; each deletion starts a rebalance, which refuses more


class _Stop(Exception):
    """Ends the run; a rerun continues where it ended."""

    def __init__(self, *reasons: str) -> None:
        super().__init__(*reasons)
        self.reasons = reasons


def run_teardown(
    *,
    stage: Stage,
    confirm: str | None,
    dry_run: bool,
    connect: ConnectClient,
    kafka: KafkaClient,
    store: StateStore,
    clock: Clock,
    wait: Callable[[float], None],
    interval: float,
    say: Callable[[str], None],
    manifests: Revision | None,
    journal: Journal | None = None,
    owner: Owner | None = None,
    cap: int = 100,
) -> Teardown:
    """Delete all that is an ephemeral stage's own; safe to run again after any failure."""
    if dry_run:
        confirm = stage.name
    refused = refuse_teardown(stage, confirm)
    if refused:
        for reason in refused:
            say(f"refused: {reason}")
        return Teardown(failures=refused)
    run = _Run(
        stage=Stage(stage.name),
        confirm=confirm,
        connect=connect,
        kafka=kafka,
        store=store,
        clock=clock,
        wait=wait,
        interval=interval,
        say=say,
        manifests=manifests,
        journal=journal,
        owner=owner,
        cap=cap,
    )
    return run.rehearse() if dry_run else run.perform()


@dataclass(slots=True, kw_only=True)
class _Run:
    """One run, and what it has come to so far."""

    stage: Stage
    confirm: str | None
    connect: ConnectClient
    kafka: KafkaClient
    store: StateStore
    clock: Clock
    wait: Callable[[float], None]
    interval: float
    say: Callable[[str], None]
    manifests: Revision | None
    journal: Journal | None
    owner: Owner | None
    cap: int
    _begun: str | None = None  # what stands in the history of this run
    _connect_answers: bool = False
    _expected: frozenset[str] = frozenset()  # connectors that are asked for by name
    _deleted: list[str] = field(default_factory=list)
    _left: tuple[Left, ...] = ()
    _by_hand: ByHand = field(default_factory=ByHand)
    _failures: list[str] = field(default_factory=list)

    def rehearse(self) -> Teardown:
        """Look, and list what `perform` would delete; nothing is written anywhere."""
        return self._report(self._rehearse, done="would delete")

    def perform(self) -> Teardown:
        report = self._report(self._perform, done="deleted")
        if self._begun is not None:
            self._record(ended_entry(self._begun, report.deleted, report.failures))
        return report

    def _report(self, steps: Callable[[], None], done: str) -> Teardown:
        try:
            steps()
        except _Stop as stop:
            self._failures.extend(stop.reasons)
        except RefusedDeletion as refused:
            self._failures.append(str(refused))
        except Fault as fault:
            self._failures.append(f"{fault}. Run the teardown again, it goes on from here.")
        report = Teardown(
            deleted=tuple(self._deleted),
            left=(*self._left, *self._by_hand.doubtful),
            by_hand=self._by_hand.sql,
            failures=tuple(self._failures),
        )
        for line in teardown_lines(report, self.stage.name, done):
            self.say(line)
        return report

    # --- the two ways -----------------------------------------------------------------------

    def _rehearse(self) -> None:
        connectors, topics = self._look()
        self._deleted = resource_names(connectors, topics)
        members = self.kafka.group_members(self.stage.connect_group)
        if members:
            self.say(f"{members} worker(s) of the stage still run: {self._stop_first()}")

    def _perform(self) -> None:
        names = resource_names(*self._look())
        self._begun = self._record(teardown_entry(self.stage.name, names))
        self._hold_controller()
        self._delete_connectors()
        self._insist_on_no_worker(leaving=not self._connect_answers)
        topics = self._delete_topics()
        self._look_again(topics)
        self._forget()

    def _record(self, entry: Mapping[str, Json]) -> str | None:
        """Put it into the history, which a branch may do without."""
        if self.journal is None:
            return None
        try:
            return self.journal.tell(entry)
        except Fault as fault:
            self.say(f"this could not be recorded: {fault.message}")
            return None

    # --- look -------------------------------------------------------------------------------

    def _look(self) -> tuple[tuple[ConnectorDeletionRequest, ...], TopicDeletions]:
        """Refuse whatever is to be refused before anything is touched, the store included."""
        records = self.store.load()
        self._expected = expected_connectors(self.stage, records, self.manifests)
        observed = self._observe_connectors()
        refused = refuse_place(
            self.stage,
            records,
            cluster_id=self.kafka.cluster_id(),
            connect_cluster_id=self.connect.cluster_id() if self._connect_answers else None,
            declared=self.manifests.policy.kafka_cluster_id if self.manifests else None,
            owner=self.owner,
        )
        _insist(refused)
        connectors = find_connectors(self.stage, self.confirm, observed)
        _insist(connectors.refusals)
        self._gather_by_hand(observed, remembered_sql(records))
        listed, whole = self._list()
        topics = self._find_topics(listed, listed, whole=whole)
        return connectors.requests, topics

    def _observe_connectors(self) -> Snapshot[ObservedConnector]:
        """Answer nothing for a Connect that is away: its connectors go with its topics."""
        observed = self.connect.observe(self._expected)
        self._connect_answers = observed.fault is None
        if observed.fault is None:
            return observed
        if not isinstance(observed.fault, Unavailable):
            raise _Stop(
                f"Connect answers, but does not tell its connectors: {observed.fault}. "
                f"{self._stop_first()}",
            )
        self.say(f"Connect does not answer ({observed.fault.message}): connectors are skipped")
        return Snapshot()

    def _gather_by_hand(
        self, observed: Snapshot[ObservedConnector], remembered: tuple[str, ...]
    ) -> None:
        seen = {
            key.name: item
            for key, item in observed.items.items()
            if isinstance(item, ObservedConnector)
        }
        found = by_hand(self.stage, configs_of(seen, self.manifests))
        sql = tuple(dict.fromkeys((*remembered, *found.sql)))
        self._by_hand = ByHand(sql, found.doubtful)

    def _list(self) -> tuple[Listing, bool]:
        """List the topics, and look into each expected one that is not in the list."""
        listed = self.kafka.list_topics()
        missing = expected_topics(self.stage, self.manifests) - set(listed)
        return listed, is_whole(missing, self.kafka.observe(missing))

    def _find_topics(self, planned: Listing, listed: Listing, *, whole: bool) -> TopicDeletions:
        found = find_topics(
            self.stage, self.confirm, planned=planned, listed=listed, whole=whole, cap=self.cap
        )
        self._left = found.left
        _insist(found.refusals)
        return found

    # --- the mark ---------------------------------------------------------------------------

    def _hold_controller(self) -> None:
        """Mark the stage, and wait until its controller holds still or shows no sign of life."""
        records = self.store.load()
        before, marked = records.get(ALIVE_RECORD), TEARING_DOWN_RECORD in records
        value = mark_value(self.clock.now(), self._by_hand.sql)
        self.store.put(TEARING_DOWN_RECORD, value)
        if before is not None:
            self.say("waiting until the stage's controller holds still")
        if not self._until(
            lambda: acknowledged(self._alive(), before, marked_before=marked), self._patience
        ):
            raise _Stop(
                "The stage's controller runs and does not acknowledge the teardown, so it might "
                f"create again what is deleted. Nothing was deleted. {self._stop_first()}",
            )

    def _alive(self) -> Record | None:
        record = self.store.load().get(ALIVE_RECORD)
        expired = (
            record is not None and record.expires is not None and record.expires <= self.clock.now()
        )
        return None if expired else record

    @property
    def _patience(self) -> float:
        return 3 * self.interval + _GRACE

    def _stop_first(self) -> str:
        return f"Stop the service {self.stage.service} first, then run the teardown again."

    # --- connectors -------------------------------------------------------------------------

    def _delete_connectors(self) -> None:
        """Observe before each round: a refused deletion may have been carried out."""
        asked: dict[str, None] = {}
        for _ in range(_ROUNDS):
            found = find_connectors(self.stage, self.confirm, self._observe_connectors())
            _insist(found.refusals)
            there = {request.name for request in found.requests}
            if self._connect_answers:
                self._deleted = [str(connector_key(name)) for name in asked if name not in there]
            if not there:
                return
            for request in found.requests:
                self._delete_connector(request)
                asked[request.name] = None
            self.wait(_STEP)
        raise _Stop(f"Connect does not let go of its connectors. {self._stop_first()}")

    def _delete_connector(self, request: ConnectorDeletionRequest) -> None:
        permitted = permit_connector(request)
        try:
            self.connect.delete(permitted.name)
        except (Conflict, Transient, OutcomeUnknown) as fault:
            self.say(f"{connector_key(request.name)}: {fault}; looking again")

    # --- topics -----------------------------------------------------------------------------

    def _insist_on_no_worker(self, *, leaving: bool) -> None:
        """A living worker would create its topics again; one that was killed leaves later."""
        group = self.stage.connect_group
        members = self.kafka.group_members(group)
        if members and leaving:
            self.say(f"waiting until group {group} has no member any more")
            self._until(lambda: self.kafka.group_members(group) == 0, _LEAVING)
            members = self.kafka.group_members(group)
        if members:
            raise _Stop(
                f"{members} worker(s) of the stage still run (group {group}), and would create "
                f"their topics again. {self._stop_first()}",
            )

    def _delete_topics(self) -> tuple[DeletionRequest, ...]:
        planned, _ = self._list()
        listed, whole = self._list()  # ids read again; the client reads each once more
        found = self._find_topics(planned, listed, whole=whole)
        for request in found.requests:
            self._delete_topic(request)
        return found.requests

    def _delete_topic(self, request: DeletionRequest) -> None:
        permitted = permit(request)
        try:
            self.kafka.delete_topic(permitted)
        except Unavailable:
            raise  # each further one would only wait for nothing
        except OutcomeUnknown as fault:
            self.say(f"{topic_key(request.name)}: {fault}; looking again later")
        except Fault as fault:
            self._failures.append(f"Topic {request.name} was not deleted: {fault}.")
            return
        self._deleted.append(str(topic_key(request.name)))

    def _look_again(self, topics: tuple[DeletionRequest, ...]) -> None:
        """What is there again an interval later was created by something that still runs."""
        if topics:
            self.say(f"looking again in {self.interval:g} s")
            self.wait(self.interval)
        listed, whole = self._list()
        back = came_back(self.stage, topics, listed)
        self._deleted = [name for name in self._deleted if not is_listed(name, listed)]
        self._failures.extend(back)
        if not whole and not back:
            self._find_topics(listed, listed, whole=whole)
        self._insist_on_no_worker(leaving=False)
        if self._failures:
            raise _Stop  # the mark stays, and with it everything that a rerun needs

    # --- the end ----------------------------------------------------------------------------

    def _forget(self) -> None:
        """Remove the records, the mark last: without it a living controller starts over."""
        first = self._alive()
        if first is not None:
            self.say("waiting until the last sign of life of the stage's controller is gone")
        if not self._until(lambda: self._gone_or_renewed(first), self._patience) or self._alive():
            raise _Stop(
                "The stage's controller still runs, and would create everything again once the "
                f"stage's records are gone. {self._stop_first()}",
            )
        keys = sorted(self.store.load(), key=lambda key: (key == TEARING_DOWN_RECORD, key))
        for key in keys:
            self.store.delete(key)
        self.say(f"removed {len(keys)} record(s) of stage {self.stage.name}")

    def _gone_or_renewed(self, first: Record | None) -> bool:
        alive = self._alive()
        return alive is None or first is None or alive.revision != first.revision

    def _until(self, claim: Callable[[], bool], limit: float) -> bool:
        """Wait for a claim, bounded in time and in looks."""
        end = self.clock.monotonic() + limit
        for _ in range(math.ceil(limit / _STEP)):
            if claim():
                return True
            if self.clock.monotonic() >= end:
                break
            self.wait(_STEP)
        return claim()


def _insist(refused: Iterable[str]) -> None:
    reasons = tuple(refused)
    if reasons:
        raise _Stop(*reasons)
