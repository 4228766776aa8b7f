"""What is wrong with one value, with what refers to a secret as far as it can be seen."""

from __future__ import annotations

from controller.core import lint_table as table
from controller.core.connector_class import LOCAL, ConnectorClass
from controller.core.lint_finding import Finding, Findings
from controller.core.reference import BadReference, SecretReference, parse_template
from controller.core.secret_fields import PUBLIC_FIELDS


def lint_value(kind: ConnectorClass, key: str, value: str, overlay: str) -> Findings:
    """Judge one value; what refers to a secret is judged as far as it can be."""
    references: tuple[SecretReference, ...] = ()
    if "${" in value:
        try:
            template = parse_template(value)
        except BadReference:  # told by whoever parses the templates, with its place
            return
        references = tuple(template.secrets())
        for reference in references:
            yield from _reference(key, reference)
    if not references:
        yield from _literal(kind, key, value, overlay)
    elif table.ADDRESSES.fullmatch(key) and _literal_text(value):
        yield Finding(key, "must be one reference and nothing beside it")


def _literal_text(value: str) -> str:
    return "".join(part for part in parse_template(value).parts if isinstance(part, str))


def _reference(key: str, reference: SecretReference) -> Findings:
    field = reference.field or reference.name
    if field in table.FIELD_ALIASES:
        name = table.FIELD_ALIASES[field]
        yield Finding(key, f"names the field {field}: whatever the secret says, write {name}")
    elif field not in PUBLIC_FIELDS and not table.SECRET_KEYS.fullmatch(key):
        yield Finding(
            key, f"may not hold {reference}, which is secret: this value is shown to everybody"
        )
    if reference.optional and key in {"database.user", "database.password"}:
        yield Finding(key, "may not be optional: without it no login is possible")


def _literal(kind: ConnectorClass, key: str, value: str, overlay: str) -> Findings:
    if _is_inline_secret(key, value):
        yield Finding(key, "holds a password in clear: write ${secret:NAME:FIELD}")
        return
    if table.ADDRESSES.fullmatch(key) and not (
        overlay == LOCAL and table.LOOPBACK.fullmatch(value)
    ):
        yield Finding(key, "must be a reference: where logins are sent to is not for a manifest")
    yield from _typed(kind, key, value)
    yield from _loaded(key, value)
    yield from _client_value(key, value)
    if key in table.LISTS:
        yield from _list(key, value)
    if kind.upper_case and key in table.ORACLE_IDENTIFIERS and table.LOWER.search(value):
        yield Finding(key, "holds lower-case letters: Oracle's identifiers are upper case")
    if key == "slot.name" and not table.SLOT.fullmatch(value):
        yield Finding(key, "must be 1 to 63 of a-z, 0-9 and _: PostgreSQL takes nothing else")


def _is_inline_secret(key: str, value: str) -> bool:
    if key.endswith("sasl.jaas.config"):
        return table.JAAS_PASSWORD.search(value) is not None
    if key.endswith(".url"):
        return table.URL_LOGIN.search(value) is not None
    return bool(value) and table.PASSWORD.search(key) is not None


def _typed(kind: ConnectorClass, key: str, value: str) -> Findings:
    allowed = kind.enums.get(key)
    if allowed is not None and value.lower() not in {word.lower() for word in allowed}:
        new = table.RENAMED_VALUES.get((key, value))
        what = f"it is called {new} now" if new else f"use one of {', '.join(sorted(allowed))}"
        yield Finding(key, f"is not {value!r} in Debezium 3.6: {what}")
    if key in kind.numbers and not table.NUMBER.fullmatch(value):
        yield Finding(key, "must be a whole number")
    if key in kind.booleans and value not in {"true", "false"}:
        yield Finding(key, "must be true or false")


def _loaded(key: str, value: str) -> Findings:
    classes = table.LOADED.get(key)
    if classes is not None and value not in classes:
        allowed = ", ".join(sorted(classes)) or "none"
        yield Finding(key, f"names a class that is not allowed; allowed: {allowed}")


def _client_value(key: str, value: str) -> Findings:
    for suffix, allowed in (
        (".security.protocol", table.PROTOCOLS),
        (".sasl.mechanism", table.MECHANISMS),
        (".sasl.client.callback.handler.class", table.CALLBACK_HANDLERS),
    ):
        if key.endswith(suffix) and value not in allowed:
            yield Finding(key, f"must be one of {', '.join(sorted(allowed))}")
    if key.endswith(".sasl.jaas.config") and not _has_known_module(value):
        yield Finding(
            key, f"may only name the login modules {', '.join(sorted(table.LOGIN_MODULES))}"
        )


def _has_known_module(jaas: str) -> bool:
    """Tell whether the text is one entry, of an allowed module."""
    words = jaas.split()
    one = jaas.rstrip().endswith(";") and jaas.count(";") == 1
    return one and words[0] in table.LOGIN_MODULES


def _list(key: str, value: str) -> Findings:
    entries = value.split(",")
    if any(not entry or entry != entry.strip() or "\n" in entry for entry in entries):
        yield Finding(key, "must be a list a,b,c without blanks and empty entries")
    elif any("//" in entry or entry.startswith("#") for entry in entries):
        yield Finding(key, "holds a comment, which would be taken for an entry")
    elif len(set(entries)) < len(entries):
        yield Finding(key, "holds an entry twice")
