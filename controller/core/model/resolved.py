"""A connector whose references are rendered, or why they are not."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from controller.core.model.declared import ConnectorManifest
from controller.core.model.secret import VersionKey


@dataclass(frozen=True, slots=True)
class DesiredConnector:
    """A connector whose references are rendered; no value in it is secret."""

    manifest: ConnectorManifest
    config: Mapping[str, str]
    versions: frozenset[VersionKey]  # the secret versions its config names
    fallback: frozenset[str]  # names of secrets that came from wms/default
    rendered: frozenset[VersionKey] = frozenset()  # all it was rendered from, public fields too


@dataclass(frozen=True, slots=True)
class Unresolved:
    """A connector whose secrets are not all there: it still claims its name."""

    manifest: ConnectorManifest
    reason: str
    message: str
    retry: bool = True  # False: only a person, a new version or a new generation helps
