"""The leader's plan and diagnoses, for a machine from which Connect is out of reach."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from controller.adapters.reach import TcpReach
from controller.bootstrap import build_for_people
from controller.core.faults import Fault, Unavailable
from controller.core.model import Json, ResourceKey
from controller.settings import BadSetting, Settings
from controller.status_document import read_status
from controller.verify import STALE_SECONDS

if TYPE_CHECKING:
    from controller.core.examination import Examination

_STEP: Final = (
    "resource",
    "decision",
    "reason",
    "message",
    "act",
    "difference",
    "risk",
    "consequence",
    "actions",
    "ownSide",
    "changes",
)


@dataclass(frozen=True, slots=True)
class LeaderView:
    """The leader's status as it was found, and how old it was then."""

    document: Mapping[str, Any]
    source: str
    age: float

    @property
    def revision(self) -> str | None:
        found = self.document.get("revision")
        return None if found is None else str(found["id"])

    def line(self) -> str:
        named = f"revision {self.revision}" if self.revision is not None else "no good revision"
        return (
            "Connect is out of reach from here, so this is the leader's view: "
            f"from {self.source}, written {self.age:.0f} s ago, cycle "
            f"{self.document.get('cycle')}, {named}"
        )

    def data(self) -> dict[str, Json]:
        return {
            "source": self.source,
            "at": self.document.get("at"),
            "age": round(self.age, 1),
            "cycle": self.document.get("cycle"),
            "revision": self.revision,
        }


def leader_view(settings: Settings) -> LeaderView | None:
    """Answer None where Connect takes connections, or where the stage has no table."""
    parts = build_for_people(settings)
    if not parts.settings.state_table or not is_silent(settings.connect_url):
        return None
    try:
        document, source = read_status(parts)
    except Fault as fault:
        raise Unavailable(
            fault.reason,
            f"Connect does not answer at {settings.connect_url}, and the leader's view cannot be "
            f"had: {fault.message}",
        ) from fault
    at = document.get("at")
    if not isinstance(at, int | float):
        raise Unavailable("NoStatus", f"{source} says of no cycle yet: is the service starting?")
    return LeaderView(document, source, max(0.0, parts.clock.now() - at))


def is_silent(url: str) -> bool:
    """Whether nobody takes connections there; an answer that is no good is not asked for."""
    try:
        address = urlsplit(url)
        port = address.port or (443 if address.scheme == "https" else 80)
    except ValueError as error:
        raise BadSetting(f"WMS_CONNECT_URL={url!r} is no address: {error}") from error
    return TcpReach().why_silent(address.hostname or "", port) is not None


def plan_told(view: LeaderView) -> dict[str, Json]:
    """Put the leader's steps into the form of `plan -o json`."""
    document = view.document
    counts = document.get("plan")
    if counts is None:
        raise Unavailable(
            "NoPlan",
            f"the status from {view.source} has no plan: the controller is older than this wmsctl",
        )
    return {
        "stage": document["stage"],
        "revision": view.revision,
        "commit": (document.get("revision") or {}).get("commit"),
        "leader": view.data(),
        "steps": [{key: one[key] for key in _STEP if key in one} for one in document["resources"]],
        "orphans": list(document.get("orphans") or ()),
        **counts,
    }


def troubles(view: LeaderView) -> Iterator[str]:
    """Say why this is not what would be done now, as far as that can be told."""
    document = view.document
    if view.age > STALE_SECONDS:
        yield (
            f"no leader has written for {view.age:.0f} s, so this may be over: "
            "is the service running?"
        )
    refused = document.get("refusedRevision")
    if refused:
        yield f"a newer revision is refused: {refused['message']}"
    faults = document.get("faults") or ()
    for fault in faults:
        yield (
            f"the leader could not look at {fault['system']}: {fault['reason']}: {fault['message']}"
        )
    if not faults and not refused and not document.get("complete"):
        yield "the leader has not seen everything yet"


def examination_by(view: LeaderView, key: ResourceKey) -> Examination:
    """Find what the leader says that one connector suffers from."""
    from controller.core.examination import examination_told

    found = next((r for r in view.document["resources"] if r["resource"] == str(key)), None)
    if found is None:
        raise BadSetting(f"the status from {view.source} names no {key}")
    if "ailment" not in found:
        raise Unavailable(
            "NoDiagnosis",
            f"the status from {view.source} has no diagnosis: the controller is older than this "
            "wmsctl",
        )
    state = found["state"]
    if state is None:
        raise Unavailable(
            "NotSeen",
            f"the leader did not see {key} {view.age:.0f} s ago: "
            f"{found['reason']}: {found['message']}",
        )
    return examination_told(str(state), found["ailment"], found["unseenLog"])
