"""`wmsctl validate`, `render` and `schema`: what needs no network."""

from __future__ import annotations

from controller.cli_options import (
    FINE,
    ManifestsOption,
    OutputOption,
    OverlayOption,
    StageOption,
    offline,
)
from controller.console import Output, print_data
from controller.core.model import Json


def validate(
    stage: StageOption = None,
    manifests: ManifestsOption = None,
    overlay: OverlayOption = None,
    output: OutputOption = Output.TABLE,
) -> int:
    """Check the manifests of a stage; needs no network."""
    _, revision = offline(stage, overlay, manifests)
    warnings = [f"{w.source}: {w.field}: {w.message}" for w in revision.warnings]
    if output is not Output.TABLE:
        print_data(
            {
                "revision": revision.id,
                "topics": len(revision.topics),
                "connectors": len(revision.connectors),
                "warnings": list[Json](warnings),
            },
            output,
        )
        return FINE
    for warning in warnings:
        print(f"warning: {warning}")
    print(
        f"revision {revision.id} is good: {len(revision.connectors)} connector(s), "
        f"{len(revision.topics)} topic(s)"
    )
    return FINE


def render(
    stage: StageOption = None, manifests: ManifestsOption = None, overlay: OverlayOption = None
) -> int:
    """Print the manifests after overlay and naming, references unresolved."""
    from controller.manifest import read_manifests
    from controller.manifest import render as render_documents

    parts, _ = offline(stage, overlay, manifests)
    folder = parts.folder()
    named = read_manifests(
        folder.files, stage=parts.stage, overlay=parts.overlay, commit=folder.commit
    )
    print(render_documents(named), end="")
    return FINE


def schema() -> int:
    """Print the JSON Schema of the manifests, for editors."""
    from controller.manifest import schema as manifest_schema

    print_data(manifest_schema(), Output.JSON)
    return FINE
