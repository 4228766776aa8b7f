"""What the verbs of `wmsctl` share: options, how a stage is reached, what people type."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from controller.console import Output
from controller.core.model import Kind, ResourceKey
from controller.settings import Settings, read_settings

if TYPE_CHECKING:
    from controller.bootstrap import Parts
    from controller.core.model import Revision

FINE: Final = 0
FAULT: Final = 1
CHANGES: Final = 2

StageOption = Annotated[str | None, typer.Option("--stage", "-s", help="WMS_STAGE")]
OverlayOption = Annotated[str | None, typer.Option("--overlay", help="WMS_OVERLAY")]
ManifestsOption = Annotated[Path | None, typer.Option("--manifests", "-m", help="WMS_MANIFESTS")]
OutputOption = Annotated[Output, typer.Option("--output", "-o", help="form of the answer")]

_DURATION: Final = re.compile(r"(\d+)([smhd])")
_SECONDS: Final[Mapping[str, int]] = {"s": 1, "m": 60, "h": 3600, "d": 86_400}


def parts_for(
    stage: str | None,
    overlay: str | None = None,
    manifests: Path | None = None,
    **given: Any,
) -> Parts:
    from controller.bootstrap import build

    settings = read_settings(stage=stage, overlay=overlay, manifests=manifests, **given)
    return build(settings, settle=0.0)


def parts_for_people(stage: str | None) -> Parts:
    """Reach the stage from any machine: through its table, unless its state lies here."""
    from controller.bootstrap import build_for_people

    return build_for_people(read_settings(stage=stage))


def offline(
    stage: str | None, overlay: str | None, manifests: Path | None
) -> tuple[Parts, Revision]:
    """Load a revision without any address; `local` is as good as any other overlay here."""
    from controller.bootstrap import Parts
    from controller.core.stage import Stage

    settings: Settings = read_settings(stage=stage, overlay=overlay, manifests=manifests)
    parsed = Stage.parse(settings.stage)
    parts = Parts(settings, parsed, settings.overlay or parsed.default_overlay, settle=0.0)
    return parts, parts.load(parts.folder())


def insist_on_revision(parts: Parts) -> None:
    """Show a bad revision in full: without it nothing can be planned."""
    if parts.revision_if_good() is None:
        parts.load(parts.folder())


def parse_duration(text: str) -> float:
    match = _DURATION.fullmatch(text)
    if match is None or int(match[1]) == 0:
        raise typer.BadParameter(f"{text!r} is no duration: write 30m, 2h or 1d")
    return float(int(match[1]) * _SECONDS[match[2]])


def resource_key(text: str) -> ResourceKey:
    kind, _, name = text.partition("/")
    if kind not in (Kind.CONNECTOR, Kind.TOPIC) or not name:
        raise typer.BadParameter(f"{text!r} names no resource: write connector/NAME or topic/NAME")
    return ResourceKey(Kind(kind), name)
