"""When a connector's database is looked at: once for each proved secret version, and each day."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from controller.core.action import CheckSource, Remember
from controller.core.decision import Act
from controller.core.model import (
    ConnectorManifest,
    DesiredConnector,
    ProbeMode,
)
from controller.core.preflight import (
    Finding,
    Subject,
    Verdict,
    due,
    found_at,
    newest_findings,
    preflight_record,
    redo_seconds,
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


def findings_of(name: str, world: World) -> tuple[tuple[Finding, ...], float]:
    """Answer what the newest look found that is not fine, the gravest first, and when that was."""
    known = world.records.get(preflight_record(name))
    value = known.value if known is not None else None
    found = newest_findings(value, world.now)
    return (
        *(f for f in found if f.fails),
        *(f for f in found if f.verdict is Verdict.WARNING),
    ), found_at(value)


def redo_left_of(world: World) -> Mapping[str, float]:
    """Tell for which connectors it is known how many seconds their redo lasts."""
    found: dict[str, float] = {}
    for manifest in world.declared_connectors:
        known = world.records.get(preflight_record(manifest.name))
        seen = world.progress.get(manifest.name)
        scn = resume_scn(seen.offsets) if isinstance(seen, Progress) else None
        left = None if known is None else redo_seconds(known.value, scn, world.now)
        if left is not None:
            found[manifest.name] = left
    return found


def preflight_warnings(world: World) -> Iterator[str]:
    """Tell what a DBA should know, each with the SQL."""
    for manifest in world.declared_connectors:
        for finding in findings_of(manifest.name, world)[0]:
            yield f"connector/{manifest.name}: the database: {finding.message}; {finding.sql}"
