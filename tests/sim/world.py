"""The whole controller on fake systems in virtual time, with every effect counted and breakable.

    SimWorld      Kafka, Connect with its worker's volume, a database, secrets, the state store
    Controller    one process on it: a Reconciler, paced by the real Loop's rules
    Mishap        what becomes of one effect: refused before, answer lost after, a crash at it, ...

Laws that hold at every moment are checked when an effect passes; `matches` tells the end state.
"""

from __future__ import annotations

import random
import re
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final

from hypothesis import settings

from controller.apply import Applier
from controller.core.action import CreateConnector, PutConfig
from controller.core.faults import (
    Conflict,
    Denied,
    Fault,
    OutcomeUnknown,
    Rejected,
    Transient,
    Unavailable,
)
from controller.core.model import (
    ConnectorManifest,
    DesiredTopic,
    Json,
    ProbeMode,
    ProbeOutcome,
    Revision,
    RunState,
    StagePolicy,
    TopicClass,
    VersionKey,
)
from controller.core.owner import Owner
from controller.core.secret_path import named_fields
from controller.core.stage import Stage
from controller.cycle_report import CycleReport
from controller.description import describe
from controller.journal import Journal
from controller.leadership import Always, Leadership
from controller.log_lines import acting_lines, action_lines
from controller.loop import Loop, Wake
from controller.manifests_in_force import Manifests
from controller.observe import Observer, Scope
from controller.once import Unrecorded
from controller.ports import Folder, SourcePreflight, StateStore, WorkerEvidence
from controller.reconciler import ALIVE_RECORD, Reconciler
from tests.fakes.connect import Clock, FakeConnect, FakeConnectWorld
from tests.fakes.database import FakeDatabase
from tests.fakes.files import FakeFiles
from tests.fakes.kafka import FakeKafka, FakeTopic
from tests.fakes.secrets import FakeSecrets
from tests.fakes.state import FakeState
from tests.make import MAIN, ROOT, connector_manifest, topic

AWAY: Final = Unavailable("Away", "made to fail")
CLUSTER: Final = "the-cluster"
BROKERS: Final = "127.0.0.1:9092"
DATA: Final = "wms.APP.ORDERS"
HISTORY: Final = "wms.schema-changes"
HEARTBEAT: Final = "__debezium-heartbeat.wms"
_REFERENCE: Final = re.compile(r"\$\{directory:" + ROOT + r"/([^:}]+)/([^/:}]+):([^}]+)\}")


def seeds(count: int) -> range:
    """So many histories at random, and fifty times as many with `--hypothesis-profile=deep`."""
    return range(count * settings().max_examples // settings.get_profile("brief").max_examples)


def draw(choices: Sequence[int], count: int) -> list[int]:
    """So many of them at random, and fifty times as many, or all, when it is deep."""
    return random.sample(choices, min(len(seeds(count)), len(choices)))


class Mishap(StrEnum):
    OK = "ok"
    REFUSED = "refused before"
    BUSY = "busy, not done"
    DENIED = "denied"
    CONFLICT = "conflict"
    LOST = "time out, not done"
    APPLIED = "time out after applying"
    BUG = "a mistake of this program"
    CRASH_BEFORE = "crash before"
    CRASH_AFTER = "crash after"
    FORGET_BEFORE = "crash before, with loss of memory"
    FORGET_AFTER = "crash after, with loss of memory"


AFTER: Final = (Mishap.OK, Mishap.APPLIED, Mishap.CRASH_AFTER, Mishap.FORGET_AFTER)
CRASHES: Final = (Mishap.CRASH_BEFORE, Mishap.CRASH_AFTER)
LOSSES: Final = (Mishap.FORGET_BEFORE, Mishap.FORGET_AFTER)
_FAULTS: Final[Mapping[Mishap, type[Fault]]] = {
    Mishap.REFUSED: Rejected,
    Mishap.BUSY: Transient,
    Mishap.DENIED: Denied,
    Mishap.CONFLICT: Conflict,
    Mishap.LOST: OutcomeUnknown,
    Mishap.APPLIED: OutcomeUnknown,
}


class Crash(BaseException):
    """The process ends here, whatever it was doing."""


class Mistake(Exception):
    """What nobody expects to be raised."""


class Broken(BaseException):
    """A law that must hold at every moment did not; nothing on its way may swallow that."""


@dataclass(frozen=True, slots=True)
class Effect:
    """One call that may change something, as `system.kind what`."""

    system: str
    kind: str
    what: str = ""

    def __str__(self) -> str:
        return f"{self.system}.{self.kind} {self.what}".strip()


@dataclass(eq=False)
class SimWorld:
    """A stage with one connector and its topics; `mishaps` tells an effect's fate by number."""

    stage: Stage = MAIN
    settle: float = 0.0
    mishaps: dict[int, Mishap] = field(default_factory=dict)
    fate: Callable[[Effect], Mishap] = lambda _effect: Mishap.OK  # of those not in `mishaps`
    judge: Callable[[Any], None] = lambda _action: None  # of what is about to be sent
    clock: SimClock = field(default_factory=lambda: SimClock(1_800_000_000.0))
    effects: list[Effect] = field(default_factory=list)
    lines: list[str] = field(default_factory=list)
    snapshots: int = 0
    commits: int = 1  # of manifests
    author: str | None = None  # of the last one
    listening: bool = False  # to what every report would print
    streaming: bool = True  # False: a task is busy with a snapshot and commits nothing
    connect_may_run: bool = True  # False: an outage that the files do not end

    def __post_init__(self) -> None:
        self.kafka = FakeKafka(CLUSTER, elapse=self.clock.sleep)
        self.files = FakeFiles()
        self.database = FakeDatabase()
        self.secrets = FakeSecrets()
        self.store = FakeState(self.clock)
        self.connect = FakeConnect(
            FakeConnectWorld(
                clock=self.clock, settle=self.settle, cluster_id=CLUSTER, validator=self._validate
            )
        )
        self.connect.world.down = True  # until the worker finds `ready`
        self.manifest = self.connector()
        self.topics = self.declared_topics()
        self.policy: dict[str, Any] = {"probe": ProbeMode.REQUIRED}
        self.proved: set[VersionKey] = set()
        self._started: dict[tuple[str, int], int] = {}
        self.secrets.put(self.path("brokerString"), BROKERS)
        self.rotate("first-password")

    # --- what people do -----------------------------------------------------------------------

    def path(self, name: str) -> str:
        return f"wms/{self.stage.name}/{name}"

    def declared_topics(self) -> tuple[DesiredTopic, ...]:
        space = self.stage.namespace
        return (
            topic(space + DATA, replication_factor=3),
            topic(
                space + HISTORY,
                topic_class=TopicClass.SCHEMA_HISTORY,
                partitions=1,
                replication_factor=3,
                config={"cleanup.policy": "delete", "retention.ms": "-1", "retention.bytes": "-1"},
            ),
            topic(
                f"__debezium-heartbeat.{space}wms",
                topic_class=TopicClass.HEARTBEAT,
                partitions=1,
                replication_factor=3,
                config={"cleanup.policy": "delete", "retention.ms": "86400000"},
            ),
        )

    def connector(
        self, config: Mapping[str, str | None] | None = None, **changes: Any
    ) -> ConnectorManifest:
        space = self.stage.namespace
        ours = {
            "x-wms.managed-by": self.stage.mark,
            "topic.prefix": self.stage.topic_prefix,
            "schema.history.internal.kafka.topic": space + HISTORY,
        }
        return connector_manifest(
            {**ours, **(config or {})},
            topic_prefix=self.stage.topic_prefix,
            history_topic=space + HISTORY,
            needs=frozenset(t.key for t in self.declared_topics()),
            **changes,
        )

    def commit(
        self,
        manifest: ConnectorManifest | None = None,
        topics: tuple[DesiredTopic, ...] | None = None,
        **policy: Any,
    ) -> None:
        """Have new manifests."""
        self.manifest = manifest or self.manifest
        self.topics = self.topics if topics is None else topics
        self.policy |= policy
        self.commits += 1

    def rotate(self, password: str, *, works: bool = True, in_database: bool = True) -> str:
        """Put a new password into the secret, and into the database unless it is a wrong one."""
        if works and in_database:
            self.database.allow("debezium", password)
        text = (
            '{"host": "127.0.0.1", "port": "1521", "dbname": "ORCL", '
            f'"user": "debezium", "password": "{password}"}}'
        )
        return self.secrets.put(self.path("dbInfo"), text)

    def edit(self, method: str, target: str, body: Any = None) -> int:
        """Change a connector by REST, as somebody would; the login of its validation is theirs."""
        failed = self.database.failed.copy()
        status = self.connect.world.hand(method, target, body).status
        self.database.failed = failed
        return status

    def replace_worker(self) -> None:
        """Have a new ECS task: an empty volume, and a worker that waits for it to be filled."""
        self.files.wipe()
        self.connect.world.down = True

    def stop_worker(self) -> None:
        self.connect_may_run, self.connect.world.down = False, True

    # --- what happens by itself ---------------------------------------------------------------

    def work(self) -> None:
        """Let the worker start, start tasks, take snapshots and stream."""
        world = self.connect.world
        if world.down and self.files.ready and self.connect_may_run:
            world.down = False
            world.boot(html=0.0)
            self.connect_offsets()
        if world.down:
            return
        for name, connector in world.connectors.items():
            for number, task in enumerate(connector.tasks):
                if self._started.get((name, number)) != task.starts:
                    self._started[name, number] = task.starts
                    task.trace = self._start_task(task.config)
                works = task.trace is None and connector.target == "RUNNING"
                if works and self.streaming and not connector.trace:
                    self._stream(name, connector.config)

    def _start_task(self, config: Mapping[str, str]) -> str | None:
        resolved = {key: self._resolve(value) for key, value in config.items()}
        if any("${directory:" in value for value in resolved.values()):
            return "ConfigException: a reference could not be resolved"
        outcome = self.database.log_in(resolved["database.user"], resolved["database.password"])
        return None if outcome is ProbeOutcome.ACCEPTED else f"cannot log in: {outcome}"

    def _resolve(self, value: str) -> str:
        """Do as DirectoryConfigProvider: what cannot be found stays as it is written."""

        def found(match: re.Match[str]) -> str:
            fields = self.files.versions.get(VersionKey(match[1], match[2]), {})
            return fields.get(match[3], match[0])

        return _REFERENCE.sub(found, value)

    def _stream(self, name: str, config: Mapping[str, str]) -> None:
        prefix = config["topic.prefix"]
        if not any(self.connect.world.offsets.get(name, {}).values()):
            self.snapshots += 1
        self.connect_offsets().records += 1
        self.connect.world.commit(name, {"server": prefix}, {"scn": str(int(self.clock.time))})
        for one in self.kafka.topics.items():
            if one[0].startswith(f"{prefix}.") or one[0].endswith(f".{prefix}"):
                one[1].records += 1

    def connect_offsets(self) -> FakeTopic:
        """Answer Connect's own topic, which the first worker of a stage creates."""
        name = self.stage.connect_topics["offsets"]
        return self.kafka.topics.get(name) or self.kafka.make(name, 25)

    def _validate(self, config: Mapping[str, str]) -> list[tuple[str, str]]:
        if config.get("poll.interval.ms", "1") == "nonsense":
            return [("poll.interval.ms", "must be a number")]
        user, password = (self._resolve(config[f"database.{k}"]) for k in ("user", "password"))
        outcome = self.database.log_in(user, password)
        if outcome is ProbeOutcome.ACCEPTED:
            return []
        return [("database.hostname", "Unable to connect: Failed to resolve Oracle version")]

    # --- every effect passes here -------------------------------------------------------------

    def effect(self, effect: Effect, do: Callable[[], Any]) -> Any:
        """Count an effect and let it meet its fate."""
        number = len(self.effects)
        self.effects.append(effect)
        mishap = self.mishaps.get(number, self.fate(effect))
        if mishap in AFTER:
            answer = do()
        if mishap in LOSSES:
            self.lose_memory()
        if mishap in (*CRASHES, *LOSSES):
            raise Crash(str(effect))
        if mishap is Mishap.BUG:
            raise Mistake("made to fail")
        if mishap is not Mishap.OK:
            fault = _FAULTS[mishap]
            raise fault("MadeToFail", "made to fail")
        return answer

    def versions_with(self, password: str) -> Iterator[VersionKey]:
        """Find the versions that hold a password."""
        for path, secret in self.secrets.secrets.items():
            for version_id, text in secret.versions.items():
                if f'"{password}"' in text:
                    yield VersionKey(path, version_id)

    def lose_memory(self) -> None:
        self.store.records.clear()

    def check_config(self, action: CreateConnector | PutConfig) -> None:
        """Insist that a config names only versions that are there, proved or in use."""
        there = self.connect.world.connectors.get(action.name)
        used = named_fields(there.config, ROOT) if there is not None else {}
        for version, fields in named_fields(action.config, ROOT).items():
            if not fields <= set(self.files.versions.get(version, {})):
                raise Broken(f"{version} is named and its files are not there")
            is_login = version.path.endswith("/dbInfo")
            if is_login and version not in {*self.proved, *used}:
                raise Broken(f"{version} is named and its login was never proved")

    # --- what became of it --------------------------------------------------------------------

    @property
    def config(self) -> Mapping[str, str]:
        return self.connect.world.connectors[self.manifest.name].config

    def differences(self) -> Iterator[str]:
        """Tell where the world is not as declared."""
        for declared in self.topics:
            yield from self._topic_differences(declared)
        yield from self._connector_differences()
        if self.files.ready != BROKERS:
            yield "the worker may not start"

    def _topic_differences(self, declared: DesiredTopic) -> Iterator[str]:
        seen = self.kafka.topics.get(declared.name)
        if seen is None:
            yield f"{declared.name} is missing"
            return
        if seen.partitions != declared.partitions:
            yield f"{declared.name} has {seen.partitions} partitions"
        for key, value in declared.config.items():
            if seen.config.get(key) != value:
                yield f"{declared.name} has {key}={seen.config.get(key)}"

    def _connector_differences(self) -> Iterator[str]:
        manifest, world = self.manifest, self.connect.world
        seen = world.connectors.get(manifest.name)
        if world.down:
            yield "the worker is down"
        if seen is None:
            yield f"{manifest.name} is missing"
            return
        for key, template in manifest.config.items():
            if template.literal is not None and seen.config.get(key) != template.literal:
                yield f"{key} is {seen.config.get(key)}"
        for key in set(seen.config) - set(manifest.config):
            yield f"{key} is too many"
        current = self.secrets.secrets[self.path("dbInfo")].current
        named = [k for k in named_fields(seen.config, ROOT) if k.path == self.path("dbInfo")]
        if [key.version_id for key in named] != [current]:
            yield f"it does not use {current}"
        if seen.target != manifest.run_state.upper():
            yield f"{manifest.name} is {seen.target}"
        if manifest.run_state is RunState.RUNNING:
            if not seen.tasks:
                yield "no task"
            yield from (task.trace for task in seen.tasks if task.trace is not None)

    def revision(self) -> Revision:
        ident = f"{self.manifest.generation}-{'-'.join(t.generation for t in self.topics)}"
        policy, connectors = StagePolicy(**self.policy), (self.manifest,)
        return Revision(ident, None, policy, self.topics, connectors, author=self.author)


class SimClock(Clock):
    def monotonic(self) -> float:
        return self.time


# --- the ports, each with its effects counted -------------------------------------------------


class _Source:
    def __init__(self, world: SimWorld) -> None:
        self._world = world
        self._read = 0

    def read(self) -> Folder:
        self._read = self._world.commits
        return Folder({})

    def changed(self) -> bool:
        return self._read != self._world.commits

    def last_good(self) -> None: ...


class _Port:
    """Passes everything on, and counts what may change something."""

    def __init__(self, world: SimWorld, system: str, inner: Any) -> None:
        self._world = world
        self._system = system
        self._inner = inner

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    def _effect(self, kind: str, what: str, do: Callable[[], Any]) -> Any:
        return self._world.effect(Effect(self._system, kind, what), do)


class _Connect(_Port):
    def apply(self, action: Any) -> None:
        if isinstance(action, CreateConnector | PutConfig):
            self._world.check_config(action)
        self._world.judge(action)
        self._effect(type(action).__name__, action.name, lambda: self._inner.apply(action))

    def validate(self, connector_class: str, config: Mapping[str, str]) -> Any:
        return self._effect(
            "Validate", connector_class, lambda: self._inner.validate(connector_class, config)
        )


class _Kafka(_Port):
    def apply(self, action: Any) -> None:
        self._world.judge(action)
        self._effect(type(action).__name__, action.name, lambda: self._inner.apply(action))


class _Files(_Port):
    def apply(self, action: Any) -> None:
        what = str(getattr(action, "version", ""))
        self._effect(type(action).__name__, what, lambda: self._inner.apply(action))


class _Probe(_Port):
    def probe(self, login: Any) -> Any:
        outcome, message = self._effect("Probe", "", lambda: self._inner.probe(login))
        if outcome is ProbeOutcome.ACCEPTED:
            self._world.proved |= set(self._world.versions_with(login.password.reveal()))
        return outcome, message


class _Preflight(_Port):
    def look(self, login: Any, subject: Any) -> Any:
        return self._effect("Preflight", "", lambda: self._inner.look(login, subject))


class _Store(_Port):
    def put(self, key: str, value: Mapping[str, Json], **more: Any) -> Any:
        return self._effect("put", key, lambda: self._inner.put(key, value, **more))

    def delete(self, key: str, **more: Any) -> None:
        self._effect("delete", key, lambda: self._inner.delete(key, **more))


class _Log:
    """Keeps every line, so that no secret in one goes unseen."""

    def __init__(self, lines: list[str]) -> None:
        self._lines = lines

    def info(self, event: str, **keys: object) -> None:
        self._lines.append(f"{event} {keys}")

    warning = info
    exception = info


class Controller:
    """One process; a crash ends it and `run` goes on with the next."""

    def __init__(
        self,
        world: SimWorld,
        name: str = "one",
        *,
        files: FakeFiles | None = None,
        leading: Callable[[StateStore, str], Leadership] = lambda _store, _name: Always(),
        evidence: WorkerEvidence | None = None,
        preflight: SourcePreflight | None = None,
        owner: Owner | None = None,
    ) -> None:
        self.world = world
        self.owner = owner
        self.preflight = preflight
        self.evidence = evidence
        self.name = name
        self.files = files or world.files
        self.leading = leading
        self.start()

    def start(self) -> None:
        world = self.world
        store, log = _Store(world, "store", world.store), _Log(world.lines)
        connect = _Connect(world, "connect", world.connect)
        kafka = _Kafka(world, "kafka", world.kafka)
        files = _Files(world, "files", self.files)
        self.leadership = self.leading(store, self.name)
        journal = Journal(store, world.clock, f"controller {self.name}")
        self.manifests = Manifests(_Source(world), lambda _folder: world.revision(), ValueError)
        self.observer = Observer(
            Scope(world.stage, ROOT, preflight=self.preflight is not None),
            manifests=self.manifests,
            connect=connect,
            kafka=lambda _line: kafka,
            secrets=world.secrets,
            files=files,
            store=store,
            clock=world.clock,
            leadership=self.leadership,
            evidence=self.evidence,
        )
        applier = Applier(
            connect=connect,
            kafka=self.observer.kafka.current,
            files=files,
            probe=_Probe(world, "database", world.database),
            preflight=self.preflight and _Preflight(world, "database", self.preflight),
            store=store,
            clock=world.clock,
            jitter=lambda: 1.0,
            leadership=self.leadership,
            journal=journal,
            telling=acting_lines(log),
            told=action_lines(log),
        )
        self.reconciler = Reconciler(
            observer=self.observer,
            applier=applier,
            store=store,
            clock=world.clock,
            recorder=Unrecorded(),
            log=log,
            identity={"host": self.name},
            leadership=self.leadership,
            journal=journal,
            owner=self.owner,
        )
        self.loop = Loop(
            cycle=self.reconciler.run_cycle,
            changed=self.manifests.changed,
            wake=Wake(),
            stop=threading.Event(),
            clock=world.clock,
            jitter=lambda: 1.0,
            log=log,
            started=lambda _at: None,
            ended=lambda _result, _seconds, _at: None,
        )

    def cycle(self) -> CycleReport | None:
        """Run one cycle; None when the process ended in it."""
        try:
            report = self.reconciler.run_cycle(lambda: False)
        except Crash:
            self.start()
            return None
        except Mistake:  # as the loop takes it: the next cycle tries again
            return None
        if self.world.listening:
            self.world.lines.append(repr(report))
            self.world.lines.append(str(describe(report, None, None)))
        return report

    def pace(self, report: CycleReport | None) -> float:
        """Tell how long the loop would wait."""
        return self.loop._next(report)

    def run(self, cycles: int, *, until: Callable[[], bool] = lambda: False) -> int:
        """Run so many cycles, each as soon as the loop would; answer how many it took."""
        for number in range(cycles):
            if until():
                return number
            report = self.cycle()
            self.world.clock.sleep(self.pace(report))
            self.world.work()
        return cycles

    def settle(self, most: int = 40) -> int:
        """Run until all is as declared."""
        world = self.world
        taken = self.run(1) + self.run(most, until=self.is_settled)
        left = list(world.differences())
        assert not left, (left, self._told(), [str(e) for e in world.effects[-20:]])
        return taken

    def is_settled(self) -> bool:
        """Whether all is as declared, and nothing is left to do."""
        report = self.reconciler.report
        return report is not None and report.plan.converged and not any(self.world.differences())

    def _told(self) -> list[str]:
        report = self.reconciler.report
        steps = report.plan.steps if report is not None else ()
        return [f"{s.key}: {type(s.decision).__name__} {s.decision.reason}" for s in steps]

    def stay_quiet(self, cycles: int = 10) -> None:
        """Insist that nothing is changed any more, in the store neither."""
        self.run(4)  # what is remembered afterwards, and the last looks
        before = len(self.world.effects)
        self.run(cycles)
        later = [e for e in self.world.effects[before:] if e.what != ALIVE_RECORD]
        assert not later, [str(effect) for effect in later]
        assert not any(self.world.differences()), list(self.world.differences())
