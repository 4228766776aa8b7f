"""What is wrong with a config before anything is asked.

Connect's own validation does not see these: removed keys are silently ignored, unknown values fail
at run time behind a RUNNING state, and dangerous settings are simply obeyed.
"""

from __future__ import annotations

from collections.abc import Collection

from controller.core import lint_table as table
from controller.core.connector_class import CLASSES
from controller.core.lint_config import CONFIG_RULES
from controller.core.lint_finding import Config, Finding, Findings
from controller.core.lint_key import key_refusal
from controller.core.lint_value import lint_value
from controller.core.reference import BadReference, parse_template


def _is_legible(value: str) -> bool:
    """Whether its references can be read; whoever parses the templates tells of others."""
    try:
        parse_template(value)
    except BadReference:
        return False
    return True


def is_password_key(key: str) -> bool:
    """Tell whether the value of a key must not be shown."""
    return table.PASSWORD.search(key) is not None or key.endswith("sasl.jaas.config")


def lint_connector(
    class_name: str, config: Config, overlay: str, allowed_sql: Collection[str] = ()
) -> Findings:
    """Judge the keys that a manifest writes, after naming, references unresolved."""
    refused: set[str] = set()
    for finding in _findings(class_name, config, overlay):
        if finding.refused:
            refused.add(finding.key)
        yield finding
    yield from _sql({k: v for k, v in config.items() if k not in refused}, allowed_sql)


def _findings(class_name: str, config: Config, overlay: str) -> Findings:
    kind = CLASSES[class_name]
    allowed: dict[str, str] = {}
    for key, value in config.items():
        refusal = key_refusal(key, class_name)
        if refusal is not None:
            yield refusal
        else:
            allowed[key] = value
            yield from lint_value(kind, key, value, overlay)
    for rule in CONFIG_RULES:
        yield from rule(kind, allowed)


def _sql(config: Config, allowed: Collection[str]) -> Findings:
    """Refuse SQL that the stage does not list: it runs as the connector's own database user."""
    for key, value in config.items():
        if table.SQL.fullmatch(key) and value not in allowed and _is_legible(value):
            yield Finding(
                key,
                "is SQL that would run on the database, and is not on the list: add exactly this "
                "text to allowedSql of the StagePolicy, or remove it",
            )


def class_refusal(class_name: str, overlay: str) -> str | None:
    """Say why a class may not be used, or nothing."""
    kind = CLASSES.get(class_name)
    if kind is None:
        return f"is not allowed: use one of {', '.join(CLASSES)}"
    if kind.overlay not in {None, overlay}:
        return f"is allowed in overlay {kind.overlay} only: it reads files of the worker"
    return None
