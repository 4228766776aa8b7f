"""The running process: threads, signals, listeners; what `wmsctl run` is."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable
from types import FrameType
from typing import Any, Final

from prometheus_client import CollectorRegistry

from controller.bootstrap import Parts, build
from controller.core.model import Json
from controller.core.stage import RefusedStage
from controller.cycle_report import CycleReport
from controller.description import describe
from controller.kept_offsets import OffsetsKeeper
from controller.log_lines import Log, acting_lines, action_lines
from controller.loop import Loop, Wake, watch_pulse
from controller.ports import Watch
from controller.reconciler import Reconciler
from controller.settings import BadSetting, Settings, unknown_settings
from controller.status_document import StatusDocument
from controller.telemetry.http import Health, ListenFault, MetricsServer, StatusServer
from controller.telemetry.metrics import PrometheusRecorder
from controller.this_process import identity, jitter

EXIT_STUCK: Final = 70  # ECS starts a new container; nothing else replaces a stuck sidecar
LAST_WORDS_SECONDS: Final = 1.5  # what an action in flight gets after SIGTERM
RETRY_SECONDS: Final = 30.0


def run(settings: Settings, log: Log, scrub_with: Callable[[Parts], None]) -> int:
    """Run until a signal; a doubtful stage keeps the process up, unhealthy and explaining."""
    stop = threading.Event()
    _listen_to_signals(stop)
    for name in unknown_settings():
        log.warning("setting unknown", name=name)
    recorder = PrometheusRecorder(CollectorRegistry())
    try:
        parts = build(settings, acting=True, on_request=recorder.request_sent)
    except (RefusedStage, BadSetting) as refusal:
        return _explain(settings, log, stop, str(refusal))
    scrub_with(parts)
    return Daemon(parts, recorder, log, stop).run()


def _listen_to_signals(stop: threading.Event) -> None:
    def end(_number: int, _frame: FrameType | None) -> None:
        if stop.is_set():
            os._exit(1)  # asked twice: somebody does not want to wait
        stop.set()

    signal.signal(signal.SIGTERM, end)
    signal.signal(signal.SIGINT, end)


def _explain(settings: Settings, log: Log, stop: threading.Event, why: str) -> int:
    """Do nothing but say why: a process that exits in its first minute is never started again."""
    unhealthy = Health(False, "Refused", why)
    server = StatusServer(
        settings.http_host,
        settings.http_port,
        health=lambda: unhealthy,
        ready=lambda: unhealthy,
        status=lambda: {"refused": why},
    )
    try:
        server.start()
    except ListenFault as fault:
        log.warning("not listening", message=str(fault))
    while not stop.is_set():
        log.warning("refused", message=why)
        stop.wait(RETRY_SECONDS)
    server.stop()
    return 0


class Daemon:
    """Loop, watch, status and metrics, each on a daemon thread; the main thread only waits."""

    def __init__(
        self, parts: Parts, recorder: PrometheusRecorder, log: Log, stop: threading.Event
    ) -> None:
        settings = parts.settings
        self._parts = parts
        self._log = log
        self._stop = stop
        self._wake = Wake()
        self._watch: Watch | None = None
        self._recorder = recorder
        self._cloudwatch = parts.cloudwatch(recorder, log)
        self._watched: str | None = None
        self._ready = False
        self._document = StatusDocument(parts.store, parts.clock, parts.scrubber.scrub)
        self._offsets = OffsetsKeeper(parts.store)
        parts.observer.lag = parts.lag_observer
        self._reconciler = Reconciler(
            observer=parts.observer,
            applier=parts.applier(telling=acting_lines(log), told=action_lines(log)),
            store=parts.store,
            clock=parts.clock,
            recorder=recorder,
            log=log,
            identity=identity(),
            leadership=parts.leadership,
            journal=parts.journal,
            owner=parts.owner,
        )
        self._loop = Loop(
            cycle=self._cycle,
            changed=self._has_news,
            wake=self._wake,
            stop=stop,
            clock=parts.clock,
            jitter=jitter,
            log=log,
            started=recorder.cycle_started,
            ended=self._ended,
        )
        recorder.follow_pulse(lambda: parts.clock.now() - self._age())
        self._servers = (
            StatusServer(
                settings.http_host,
                settings.http_port,
                health=self.health,
                ready=self.ready,
                status=self.status,
                scrub=parts.scrubber.scrub,
            ),
            MetricsServer(settings.metrics_host, settings.metrics_port, recorder.registry),
        )

    def run(self) -> int:
        """Block until a signal (0) or a lost pulse (70)."""
        for server in self._servers:
            try:
                server.start()
            except ListenFault as fault:
                self._log.warning("not listening", message=str(fault))
        self._log.info(
            "started", stage=self._parts.stage.name, overlay=self._parts.overlay, pid=os.getpid()
        )
        if self._cloudwatch is not None:
            self._cloudwatch.start()
        loop = threading.Thread(target=self._loop.run, name="loop", daemon=True)
        loop.start()
        threading.Thread(target=self._keep_leading, name="lease", daemon=True).start()
        alive = watch_pulse(
            self._loop,
            stop=self._stop,
            clock=self._parts.clock,
            budget=self._parts.settings.cycle_budget,
        )
        if not alive:
            self._log.warning("pulse lost", exit=EXIT_STUCK)
            os._exit(EXIT_STUCK)
        self._end(loop)
        return 0

    def _end(self, loop: threading.Thread) -> None:
        """Give the action in flight its last moment; never undo anything."""
        loop.join(LAST_WORDS_SECONDS)
        if not loop.is_alive():
            self._reconciler.say_goodbye()
        if self._watch is not None:
            self._watch.stop()
        if self._cloudwatch is not None:
            self._cloudwatch.stop()
        for server in self._servers:
            server.stop()
        self._log.info("stopped", abandoned=loop.is_alive())

    def _keep_leading(self) -> None:
        """Renew the lease for as long as the loop turns; one that is stuck must not lead."""
        leadership, led = self._parts.leadership, False
        while not self._stop.wait(1.0):
            if self.health().good:
                leadership.keep()
            leads = leadership.describe().get("role") == "leader"
            if leads != led:
                self._log.info("leading" if leads else "standing by", **leadership.describe())
                self._wake("leadership")
            led = leads

    def _cycle(self, stopping: Callable[[], bool]) -> CycleReport:
        report = self._reconciler.run_cycle(stopping)
        self._look_back()
        kafka = self._parts.observer.kafka
        self._parts.protection.look(kafka.line, kafka.current)
        self._publish(report)
        self._keep_offsets(report)
        self._ready = self._ready or report.complete
        self._follow(report)
        return report

    def _has_news(self) -> bool:
        """Tell cheaply whether the manifests or the worker's log have something new."""
        return self._parts.manifests.changed() or self._parts.observer.witness.has_news()

    def _look_back(self) -> None:
        fault = self._parts.journal.look()
        if fault is not None:
            self._log.warning("history not read", reason=fault.reason, message=fault.message)

    def _publish(self, report: CycleReport) -> None:
        """Leave the status where people reach it; a standby has nothing to say there."""
        if self._parts.settings.state_table is None or report.world.not_leader is not None:
            return
        fault = self._document.offer(self.status())
        if fault is not None:
            self._log.warning("status not written", reason=fault.reason, message=fault.message)

    def _keep_offsets(self, report: CycleReport) -> None:
        fault = self._offsets.follow(report.world)
        if fault is not None:
            self._log.warning("offsets not kept", reason=fault.reason, message=fault.message)

    def _ended(self, result: str, seconds: float, at: float) -> None:
        self._recorder.cycle_ended(result, seconds, at)
        if self._cloudwatch is not None:
            self._cloudwatch.cycle_ended()

    def _follow(self, report: CycleReport) -> None:
        """Follow Connect's status topic on the cluster that the broker string leads to now."""
        line = self._parts.observer.kafka.line
        if line is None or line == self._watched or report.world.revision is None:
            return
        if self._watch is not None:
            self._watch.stop()
        self._watch = self._parts.watch(line, self._is_ours, self._wake)
        self._watch.start()
        self._watched = line

    def _is_ours(self, name: str) -> bool:
        report = self._reconciler.report
        revision = report.world.revision if report is not None else None
        return revision is not None and any(c.name == name for c in revision.connectors)

    # --- what the listeners tell ------------------------------------------------------------

    def health(self) -> Health:
        """Tell whether the loop turns; nothing about any other system."""
        age = self._age()
        limit = 3 * self._loop.interval + self._parts.settings.cycle_budget
        return Health(age <= limit, "Pulse", f"the loop turned {age:.1f} s ago")

    def _age(self) -> float:
        return self._parts.clock.monotonic() - self._loop.pulse

    def ready(self) -> Health:
        """Tell whether everything was looked at once."""
        if self._ready:
            return Health(True, "Observed", "a complete observation was made")
        report = self._reconciler.report
        faults = (
            "; ".join(f"{s}: {f.message}" for s, f in report.faults) if report else "no cycle yet"
        )
        return Health(False, "NotObserved", faults or "not everything was looked at yet")

    def status(self) -> dict[str, Any]:
        report, manifests = self._reconciler.report, self._parts.manifests
        if report is None:
            nothing: dict[str, Json] = {"stage": self._parts.stage.name, "cycle": 0}
            return nothing
        told = describe(report, manifests.refusal, manifests.since)
        protection, line = self._parts.protection, self._parts.observer.kafka.line
        open_to_all = protection.warning(line)
        if open_to_all is not None:
            told["warnings"] = [*_listed(told["warnings"]), open_to_all]
        return {
            **told,
            "history": self._parts.journal.recent(),
            "protection": protection.describe(line),
            "leadership": self._parts.leadership.describe(),
        }


def _listed(value: Json) -> list[Json]:
    return value if isinstance(value, list) else []
