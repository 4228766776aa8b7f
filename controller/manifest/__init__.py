"""The desired state as people write it: YAML files -> a Revision, whole or not at all."""

from controller.manifest.error import ManifestError, ManifestErrors
from controller.manifest.revision import Manifests, load, read_manifests, render
from controller.manifest.spec import schema

__all__ = [
    "ManifestError",
    "ManifestErrors",
    "Manifests",
    "load",
    "read_manifests",
    "render",
    "schema",
]
