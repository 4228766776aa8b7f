"""The only place that constructs clients.

Addresses that come from a secret may be missing or change, so what needs one is a factory.
"""

from __future__ import annotations

import hashlib
import socket
import sys
import uuid
from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

from controller.aws_parts import AwsParts
from controller.core.aws_names import AwsNames
from controller.core.faults import Denied
from controller.core.redact import Redacted
from controller.core.secret_path import candidates
from controller.core.stage import Stage
from controller.settings import BadSetting, Settings
from controller.this_process import jitter, on_this_machine

if TYPE_CHECKING:
    from controller.adapters.connect_watch import ConnectStatusWatch
    from controller.adapters.manifests_s3 import Enforced
    from controller.apply import Applier
    from controller.core.model import Revision, SecretVersion, StagePolicy
    from controller.journal import Journal
    from controller.lag import LagObserver, Tail
    from controller.leadership import Leadership
    from controller.log_lines import Log
    from controller.manifests_in_force import Manifests
    from controller.observe import Observer
    from controller.ports import (
        ConnectClient,
        Folder,
        KafkaClient,
        LoginProbe,
        ManifestSource,
        SecretFiles,
        SourcePreflight,
        WorkerEvidence,
    )
    from controller.protection import Protection
    from controller.telemetry.cloudwatch import CloudWatch
    from controller.telemetry.metrics import PrometheusRecorder

CLIENT_ID = "wms-connector-controller"


def overlay_of(stage: Stage, settings: Settings) -> str:
    """Choose the overlay; `local` is for this machine only."""
    overlay = settings.overlay or stage.default_overlay
    if overlay == "local" and not settings.loopback_only:
        raise BadSetting(
            "overlay local is for loopback endpoints only: WMS_CONNECT_URL and "
            "WMS_AWS_ENDPOINT_URL (or WMS_BROKER_STRING) must lead to 127.0.0.1"
        )
    if overlay not in ("local", stage.default_overlay):
        raise BadSetting(
            f"stage {stage.name} takes overlay {stage.default_overlay} (or local), not {overlay}"
        )
    return overlay


@dataclass(frozen=True)
class Parts(AwsParts):
    """Every collaborator of one process, made when it is first used."""

    @cached_property
    def connect(self) -> ConnectClient:
        from controller.adapters.connect import ConnectRest

        return ConnectRest(
            self.settings.connect_url,
            scrub=self.scrubber.scrub,
            read_deadline=self.settings.read_deadline,
            write_deadline=self.settings.write_deadline,
            on_request=lambda _method, _path: self.on_request("connect"),
        )

    def kafka_config(self, line: str, client_id: str) -> dict[str, Any]:
        from controller.adapters.kafka_security import KafkaSecurity, SecurityKind, client_config

        settings = self.settings
        username, password = self.kafka_login()
        security = KafkaSecurity(
            kind=SecurityKind(settings.kafka_security),
            username=username,
            password=password,
            ca_location=settings.kafka_ca_location,
            region=settings.aws_region,
        )
        try:
            return client_config(line, security, client_id, scrub=self.scrubber.scrub)
        except ValueError as error:
            raise Denied("KafkaSettings", f"{error}: correct the WMS_KAFKA_ settings") from error

    def kafka_login(self) -> tuple[Redacted | None, Redacted | None]:
        """Answer user and password for SCRAM: the settings' if given, else a secret's."""
        settings = self.settings
        if settings.kafka_password:
            self.scrubber.remember(settings.kafka_password)
            username = Redacted(settings.kafka_username) if settings.kafka_username else None
            return username, Redacted(settings.kafka_password)
        if settings.kafka_security != "scram":
            return None, None
        fields = self.read_kafka_login().fields
        return fields["user"], fields["password"]

    def read_kafka_login(self) -> SecretVersion:
        name = self.settings.kafka_secret
        paths = candidates(self.stage, name, prefix=self.settings.secret_prefix)
        from controller.kafka_login import read_login

        return read_login(self.secrets, name, paths)

    def kafka(self, line: str) -> KafkaClient:
        from controller.adapters.kafka import KafkaAdmin

        return KafkaAdmin(
            self.kafka_config(line, f"{CLIENT_ID}-{self.stage.name}"),
            scrub=self.scrubber.scrub,
            read_seconds=self.settings.kafka_deadline,
            write_seconds=self.settings.kafka_deadline,
            on_request=lambda _name: self.on_request("kafka"),
        )

    @cached_property
    def lag_observer(self) -> LagObserver:
        """What is not there to be asked is None in it."""
        from controller.adapters import jmx, task_metadata
        from controller.adapters.fetch import Page
        from controller.lag import LagObserver

        settings, beans, containers = self.settings, None, None
        try:
            if settings.jmx_url:
                page = Page(settings.jmx_url, seconds=jmx.SECONDS, most_bytes=jmx.MOST_BYTES)
                beans = jmx.JmxPage(page, self.clock.monotonic)
            if settings.task_metadata_url:
                containers = task_metadata.TaskMetadata(
                    Page(
                        f"{settings.task_metadata_url.rstrip('/')}/task",
                        seconds=task_metadata.SECONDS,
                        most_bytes=task_metadata.MOST_BYTES,
                    )
                )
        except ValueError as error:
            raise BadSetting(f"WMS_JMX_URL or WMS_TASK_METADATA_URL: {error}") from error
        return LagObserver(self.clock, tail=self.topic_tail, beans=beans, containers=containers)

    def cloudwatch(self, recorder: PrometheusRecorder, log: Log) -> CloudWatch | None:
        """Answer the one who tells CloudWatch, where somebody wants that."""
        from controller.telemetry.cloudwatch import CloudWatch, Teller, emf_sender, put_sender
        from controller.telemetry.log import Lines

        mode = self.settings.cloudwatch_mode
        if mode == "off":
            return None
        send = (
            emf_sender(self.stage.name, Lines(sys.stdout).write)
            if mode == "emf"
            else put_sender(self.stage.name, self._put_metric_data)
        )
        teller = Teller(recorder.registry, self.clock.now, leads=self._leads)

        def lost(why: str) -> None:
            recorder.cloudwatch_lost()
            log.warning("cloudwatch not told", error=why)

        return CloudWatch(teller, send, now=self.clock.now, lost=lost)

    def _leads(self) -> bool:
        """Answer from what is known: the thread that asks must not bid for the lease."""
        return self.leadership.describe().get("role") != "standby"

    def _put_metric_data(self, **call: Any) -> None:
        self._cloudwatch_client.put_metric_data(**call)

    def topic_tail(self, line: str) -> Tail:
        from controller.adapters.topic_tail import TopicTail

        config = self.kafka_config(line, f"{CLIENT_ID}-tail-{self.stage.name}")
        return TopicTail(config, scrub=self.scrubber.scrub)

    @cached_property
    def files(self) -> SecretFiles:
        from controller.adapters.secret_files import SecretVolume

        volume = SecretVolume(self.settings.secrets_root)
        if self.settings.kafka_security == "scram" and not self.settings.kafka_password:
            from controller.kafka_login import ReadyWithLogin

            return ReadyWithLogin(volume, self.read_kafka_login)
        return volume

    @cached_property
    def evidence(self) -> WorkerEvidence | None:
        if self.settings.evidence_file is None:
            return None
        from controller.adapters.worker_log import WorkerLog

        return WorkerLog(self.settings.evidence_file, self.scrubber.scrub)

    @cached_property
    def probe(self) -> LoginProbe:
        from controller.adapters.login_probe import DatabaseProbe

        return DatabaseProbe(deadline=self.settings.probe_deadline, scrub=self.scrubber.scrub)

    @cached_property
    def preflight(self) -> SourcePreflight:
        from controller.adapters.preflight import DatabasePreflight

        return DatabasePreflight(deadline=self.settings.probe_deadline, scrub=self.scrubber.scrub)

    @cached_property
    def journal(self) -> Journal:
        """The controller's own hand in the history."""
        return self.journal_of(f"controller ({on_this_machine()})")

    def journal_of(self, who: str) -> Journal:
        from controller.journal import Journal

        return Journal(self.store, self.clock, who, scrub=self.scrubber.scrub)

    @cached_property
    def leadership(self) -> Leadership:
        """Take no lease before somebody asks whether it may write."""
        from controller.core.lease import Terms
        from controller.leadership import Always, Leased

        settings = self.settings
        if not settings.leased:
            return Always()
        margin = max(settings.write_deadline, settings.kafka_deadline, settings.probe_deadline) + 1
        terms = Terms(seconds=margin + 14.0, margin=margin)
        volume = hashlib.sha256(str(settings.secrets_root).encode()).hexdigest()[:6]
        place = f"{socket.gethostname()}-{volume}"
        holder = f"{place}-{uuid.uuid4().hex[:8]}"
        return Leased(self.store, self.clock, holder=holder, place=place, terms=terms)

    @cached_property
    def source(self) -> ManifestSource:
        if self.settings.manifests_s3:
            from controller.adapters.manifests_s3 import ManifestS3

            return ManifestS3(self.bucket, clock=self.clock, enforced=self.enforced)
        from controller.adapters.manifests_folder import ManifestFolder

        settings = self.settings
        return ManifestFolder(
            settings.manifests,
            settle=self.settle,
            commit=settings.manifests_commit,
            author=settings.manifests_author,
        )

    @cached_property
    def protection(self) -> Protection:
        from controller.protection import Protection

        return Protection(self.settings.kafka_security, self.clock)

    def enforced(self) -> Enforced:
        """Answer which push the stage's controller had in force last."""
        from controller.adapters.manifests_s3 import Enforced

        record = self.store.load().get("manifests/enforced")
        if record is None:
            return Enforced()
        value = record.value
        sequence = value.get("sequence")
        told = (str(value.get(name) or "") or None for name in ("commit", "author", "pushedBy"))
        return Enforced(
            int(sequence) if isinstance(sequence, int) else 0,
            str(value.get("revision") or ""),
            *told,
        )

    @cached_property
    def manifests(self) -> Manifests:
        from controller.manifest import ManifestErrors
        from controller.manifests_in_force import Manifests

        return Manifests(self.source, self.load, ManifestErrors)

    def revision_if_good(self) -> Revision | None:
        """Answer the manifests' revision; None when it is bad or cannot be read."""
        return self.manifests.refresh(self.clock.now())

    def policy(self) -> StagePolicy:
        from controller.core.model import StagePolicy

        revision = self.revision_if_good()
        return revision.policy if revision is not None else StagePolicy()

    def kafka_now(self) -> KafkaClient:
        """Connect to the cluster that the broker string leads to; raises a Fault when none does."""
        self.observer.observe()
        return self.observer.kafka.current()

    def folder(self) -> Folder:
        """Read the manifests as text."""
        return self.source.read()

    def load(self, folder: Folder) -> Revision:
        """Read a folder's text as this stage's revision; raises ManifestErrors."""
        from controller.manifest import load

        read = load(folder.files, stage=self.stage, overlay=self.overlay, commit=folder.commit)
        return replace(read, author=folder.author, pushed_by=folder.pushed_by)

    @cached_property
    def observer(self) -> Observer:
        from controller.adapters.reach import TcpReach
        from controller.observe import Observer, Scope

        return Observer(
            Scope(
                stage=self.stage,
                root=str(self.settings.secrets_root),
                prefix=self.settings.secret_prefix,
                broker_secret=self.settings.broker_secret,
                broker_string=self.settings.broker_string,
                preflight=True,
            ),
            manifests=self.manifests,
            connect=self.connect,
            kafka=self.kafka,
            secrets=self.secrets,
            files=self.files,
            store=self.store,
            clock=self.clock,
            leadership=self.leadership if self.acting else None,
            reach=TcpReach(),
            evidence=self.evidence,
        )

    def applier(self, *, telling: Callable[..., None], told: Callable[..., None]) -> Applier:
        from controller.apply import Applier

        return Applier(
            connect=self.connect,
            kafka=self.observer.kafka.current,
            files=self.files,
            probe=self.probe,
            preflight=self.preflight,
            store=self.store,
            clock=self.clock,
            jitter=jitter,
            leadership=self.leadership,
            journal=self.journal,
            telling=telling,
            told=told,
        )

    def watch(
        self, line: str, interesting: Callable[[str], bool], wake: Callable[[str], None]
    ) -> ConnectStatusWatch:
        from controller.adapters.connect_watch import ConnectStatusWatch

        return ConnectStatusWatch(
            lambda: self.kafka_config(line, f"{CLIENT_ID}-watch-{self.stage.name}"),
            self.stage.connect_topics["status"],
            interesting=interesting,
            wake=wake,
            scrub=self.scrubber.scrub,
        )


def build(
    settings: Settings,
    *,
    settle: float = 0.3,
    acting: bool = False,
    on_request: Callable[[str], None] = lambda _system: None,
) -> Parts:
    """Refuse a doubtful stage or overlay before anything is constructed."""
    stage = Stage.parse(settings.stage)
    overlay = overlay_of(stage, settings)
    return Parts(settings, stage, overlay, settle, acting=acting, on_request=on_request)


def build_for_people(settings: Settings) -> Parts:
    """Reach the stage's own table from any machine, where nothing else is said or lies here."""
    stage = Stage.parse(settings.stage)
    overlay = settings.overlay or stage.default_overlay
    default = {field.name: field.default for field in fields(Settings)}["state_file"]
    given = settings.state_table is not None
    if not given and settings.state_file == default and not settings.state_file.exists():
        settings = replace(settings, state_table=AwsNames(stage).state_table)
    return Parts(settings, stage, overlay, settle=0.0, explicit_table=given)
