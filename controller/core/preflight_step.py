"""When a connector's database is looked at: once for each proved secret version, and each day."""

from __future__ import annotations

from collections.abc import Iterator

from controller.core.action import CheckSource, Remember
from controller.core.decision import Act
from controller.core.model import (
    ConnectorManifest,
    DesiredConnector,
    ProbeMode,
)
from controller.core.preflight import (
    Subject,
    Verdict,
    due,
    preflight_record,
    read_findings,
    stamped,
)
from controller.core.probe import Proved, look_refused
from controller.core.progress import Progress, resume_scn
from controller.core.resolve import LoginNeed, Resolution
from controller.core.world import World


def decide_preflight(
    manifest: ConnectorManifest, need: LoginNeed, resolution: Resolution, world: World
) -> Act | None:
    """Look with a login that was proved only: a refused one would count against the account."""
    desired = resolution.desired
    if not world.preflight or world.policy.probe is ProbeMode.OFF:
        return None
    if not isinstance(need.state, Proved) or not isinstance(desired, DesiredConnector):
        return None
    record, version = preflight_record(manifest.name), str(need.version)
    known = world.records.get(record)
    before = known.value if known is not None else None
    if not due(before, version, world.now):
        return None
    if look_refused(world.records, need.version, need.login.address):
        return None
    subject = _subject(manifest, desired, need, world)
    return Act(
        (
            # Stamped first: one that never ended is not tried again before tomorrow.
            Remember(record, stamped(before, version, world.now)),
            CheckSource(need.version, need.login, subject, record),
        ),
        "CheckSource",
        f"the database of {manifest.name} is looked at: read only, once a day",
    )


def _subject(
    manifest: ConnectorManifest, desired: DesiredConnector, need: LoginNeed, world: World
) -> Subject:
    config, seen = desired.config, world.progress.get(manifest.name)
    return Subject(
        system=need.login.system,
        tables=manifest.tables,
        pdb=config.get("database.pdb.name", ""),
        slot=config.get("slot.name", "debezium"),
        publication=config.get("publication.name", "dbz_publication"),
        offset_scn=resume_scn(seen.offsets) if isinstance(seen, Progress) else None,
        started=isinstance(seen, Progress),
    )


def preflight_warnings(world: World) -> Iterator[str]:
    """Tell what a DBA should know, each with the SQL."""
    names = [m.name for m in world.revision.connectors] if world.revision is not None else []
    for name in sorted(names):
        known = world.records.get(preflight_record(name))
        for finding in read_findings(known.value if known is not None else None):
            if finding.verdict in (Verdict.WARNING, Verdict.FAILING):
                yield f"connector/{name}: the database: {finding.message}; {finding.sql}"
