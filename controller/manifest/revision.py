"""All files of a stage -> one revision."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from controller.core.model import Acceptance, ConnectorManifest, Revision, StagePolicy
from controller.core.stage import Stage
from controller.manifest.check import check_claims, with_needs
from controller.manifest.error import WHOLE, Report, Spot
from controller.manifest.naming import (
    BuiltConnector,
    BuiltTopic,
    Document,
    build_connector,
    build_policy,
    build_topic,
    digest,
)
from controller.manifest.overlay import Documents, read_resources
from controller.manifest.render import to_yaml
from controller.manifest.spec import (
    Checked,
    ConnectorSpec,
    Defaults,
    StagePolicySpec,
    T,
    TopicSpec,
    check_spec,
)


@dataclass(frozen=True, slots=True)
class Manifests:
    """A revision, and the documents it was made of after overlay and naming."""

    revision: Revision
    documents: tuple[Document, ...]


def load(
    files: Mapping[str, str], *, stage: Stage, overlay: str, commit: str | None = None
) -> Revision:
    """Read all manifests of a stage; raises ManifestErrors with everything that is wrong."""
    return read_manifests(files, stage=stage, overlay=overlay, commit=commit).revision


def render(manifests: Manifests) -> str:
    """Write a flat base that loads, for the same stage and overlay, as the same revision."""
    return to_yaml(manifests.documents)


def read_manifests(
    files: Mapping[str, str], *, stage: Stage, overlay: str, commit: str | None = None
) -> Manifests:
    """Read as `load` does, and keep what `render` needs."""
    report = Report()
    resources = read_resources(files, overlay, report)
    if not resources and not report.errors:
        report.error(WHOLE, "", "there is no manifest: an empty folder is never meant")
    unread = bool(report.errors)
    policy_spec = _policy(resources, report)
    policy, defaults, policy_document = build_policy(policy_spec, stage, report)
    topics = _topics(resources, stage, (policy, defaults), report)
    connectors = _connectors(resources, stage, overlay, policy, report)
    check_claims(topics, connectors, report)
    complete: tuple[ConnectorManifest, ...] = ()
    declared = sum(identity.kind == "Topic" for identity in resources)
    if not unread and len(topics) == declared:  # else what seems missing may be unreadable
        complete = with_needs(connectors, topics, stage, report)
    report.raise_errors()
    _warn_of_cluster(policy, policy_spec, stage, overlay, report)
    documents = (
        *(() if policy_document is None else (policy_document,)),
        *(one.document for one in topics),
        *(one.document for one in connectors),
    )
    revision = Revision(
        id=_revision_id(stage, policy_document, topics, connectors),
        commit=commit,
        policy=policy,
        topics=tuple(one.topic for one in topics),
        connectors=complete,
        warnings=tuple(report.warnings),
    )
    return Manifests(revision, documents)


def _revision_id(
    stage: Stage,
    policy: Document | None,
    topics: Sequence[BuiltTopic],
    connectors: Sequence[BuiltConnector],
) -> str:
    """Name the whole set by its content; a pause is content, too."""
    manifests = [
        *((one.topic.generation, one.topic.suspend, _words(one.topic.accept)) for one in topics),
        *(
            (one.connector.generation, one.connector.suspend, _words(one.connector.accept))
            for one in connectors
        ),
    ]
    return digest([stage.name, policy, manifests])[:16]


def _words(accept: Sequence[Acceptance]) -> list[list[str | float]]:
    return [[word.risk, word.action, word.until] for word in accept]


def _policy(resources: Documents, report: Report) -> Checked[StagePolicySpec] | None:
    found = _specs(resources, "StagePolicy", StagePolicySpec, report)
    for second in found[1:]:
        first = found[0].place
        message = f"is a second StagePolicy beside that of {first.file}:{first.line}: keep one"
        report.error(second.place, "metadata.name", message)
    return found[0] if found else None


def _topics(
    resources: Documents, stage: Stage, rules: tuple[StagePolicy, Defaults], report: Report
) -> list[BuiltTopic]:
    specs = _specs(resources, "Topic", TopicSpec, report)
    policy, defaults = rules
    shared = policy.shared_cluster
    built = (build_topic(one, stage, defaults, report, shared=shared) for one in specs)
    return sorted((one for one in built if one is not None), key=lambda one: one.topic.name)


def _connectors(
    resources: Documents, stage: Stage, overlay: str, policy: StagePolicy, report: Report
) -> list[BuiltConnector]:
    specs = _specs(resources, "Connector", ConnectorSpec, report)
    built = (build_connector(one, stage, overlay, report, policy) for one in specs)
    return sorted((one for one in built if one is not None), key=lambda one: one.connector.name)


def _specs(resources: Documents, kind: str, model: type[T], report: Report) -> list[Checked[T]]:
    specs = (
        check_spec(model, identity.name, document.spec, document.place, report)
        for identity, document in resources.items()
        if identity.kind == kind and document.spec is not None
    )
    return [spec for spec in specs if spec is not None]


def _warn_of_cluster(
    policy: StagePolicy,
    spec: Checked[StagePolicySpec] | None,
    stage: Stage,
    overlay: str,
    report: Report,
) -> None:
    if stage.named and overlay == stage.default_overlay and policy.kafka_cluster_id is None:
        place = spec.tree if spec is not None else Spot(f"stages/{overlay}")
        message = "is not declared: whatever cluster answers first would be written to"
        report.warning(place, "spec.kafkaClusterId", message)
