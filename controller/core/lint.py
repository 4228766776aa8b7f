"""What is wrong with a config before anything is asked.

Connect's own validation does not see these: removed keys are silently ignored, unknown values fail
at run time behind a RUNNING state, and dangerous settings are simply obeyed.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Final, TypeAlias

from controller.core import debezium_keys as keys
from controller.core import lint_table as table
from controller.core.connector_class import CLASSES, LOCAL, ConnectorClass
from controller.core.danger import find_dangers
from controller.core.debezium_keys import words
from controller.core.reference import BadReference, SecretReference, parse_template
from controller.core.secret_fields import PUBLIC_FIELDS


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing to say about a key; what is not refused is a warning."""

    key: str
    message: str
    refused: bool = True


Config: TypeAlias = Mapping[str, str]
Findings: TypeAlias = "Iterator[Finding]"


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
        refusal = _refusal(key, class_name)
        if refusal is not None:
            yield refusal
        else:
            allowed[key] = value
            yield from _value(kind, key, value, overlay)
    for rule in _WHOLE_RULES:
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


# --- which keys ------------------------------------------------------------------------------


@lru_cache(maxsize=8192)
def _refusal(key: str, class_name: str) -> Finding | None:
    """Say why a key may not be written at all; the same few keys come again and again."""
    for rule in (_renamed, _owned, _overridden, _dangerous, _client_key, _driver_key):
        message = rule(key, class_name)
        if message is not None:
            return Finding(key, message)
    return None


def _renamed(key: str, class_name: str) -> str | None:
    if not CLASSES[class_name].captures:
        return None
    row = next((row for row in table.RENAMED if row.fits(key)), None)
    if row is None:
        return None
    new = row.new_name(key)
    called = f": it is called {new} now" if new else ": remove it"
    return f"is ignored since Debezium {row.since}{called}{f' ({row.why})' if row.why else ''}"


def _owned(key: str, _class_name: str) -> str | None:
    return f"may not be written here: {table.OWNED[key]}" if key in table.OWNED else None


def _overridden(key: str, _class_name: str) -> str | None:
    if not key.startswith("producer."):
        return None
    if key.removeprefix("producer.override.") in table.OVERRIDES:
        return None
    allowed = ", ".join(f"producer.override.{name}" for name in sorted(table.OVERRIDES))
    return f"may not be set: the worker allows {allowed}"


def _dangerous(key: str, _class_name: str) -> str | None:
    if key in table.ALLOWED_THOUGH:
        return None
    why = next((why for prefix, why in table.REFUSED if key.startswith(prefix)), None)
    return None if why is None else f"may not be written: {why}"


def _client_key(key: str, _class_name: str) -> str | None:
    for prefix in table.CLIENT_PREFIXES:
        if key.startswith(prefix) and key.removeprefix(prefix) not in table.CLIENT:
            return "may not be set on this client: its security, time-outs and sizes may"
    return None


def _driver_key(key: str, class_name: str) -> str | None:
    kind = CLASSES[class_name]
    if key.startswith("driver.") and key.removeprefix("driver.") not in kind.drivers:
        allowed = ", ".join(f"driver.{name}" for name in sorted(kind.drivers))
        return f"may not be passed to the driver, which gets {allowed or 'nothing'}"
    if key.startswith("database.") and kind.captures and key not in kind.known:
        driver = key.replace("database.", "driver.", 1)
        return f"is no key of this class; what is for the driver is called {driver} since 2.0"
    return None


# --- values ----------------------------------------------------------------------------------


def _value(kind: ConnectorClass, key: str, value: str, overlay: str) -> Findings:
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


# --- the config as a whole -------------------------------------------------------------------


def _missing(kind: ConnectorClass, config: Config) -> Findings:
    for key in kind.required:
        if not config.get(key):
            yield Finding(key, "is missing" + _WHY_REQUIRED.get(key, ""))
    url = config.get("database.url", "?}")  # an optional one may be missing
    if "database.url" in kind.texts and url.endswith("?}"):
        for key in ("database.hostname", "database.port"):
            if not config.get(key):
                yield Finding(key, f"is missing{_WHY_REQUIRED.get(key, '')}")


_INHERITS = ": the clients of the schema history inherit nothing from the worker"
_WHY_REQUIRED: Final[Mapping[str, str]] = {
    "database.port": ": Debezium's default is 1528, which is nobody's",
    "snapshot.mode": ": whether tables are read anew is said, not left to a default",
    "plugin.name": ": the default, decoderbufs, is on no managed database; write pgoutput",
    "slot.name": ": stages on one database need a slot each; write ${stage} into its name",
    "schema.history.internal.producer.security.protocol": _INHERITS,
    "schema.history.internal.consumer.security.protocol": _INHERITS,
}


def _history_clients(kind: ConnectorClass, config: Config) -> Findings:
    if not kind.history:
        return
    for prefix in ("schema.history.internal.producer.", "schema.history.internal.consumer."):
        protocol = config.get(f"{prefix}security.protocol", "")
        for key in ("sasl.mechanism", "sasl.jaas.config"):
            if protocol.startswith("SASL") and not config.get(prefix + key):
                yield Finding(prefix + key, f"is missing: {protocol} needs it")
    handler = "sasl.client.callback.handler.class"
    for prefix in table.CLIENT_PREFIXES:
        iam = config.get(f"{prefix}sasl.mechanism") == "AWS_MSK_IAM"
        if iam and not config.get(prefix + handler):
            yield Finding(prefix + handler, "is missing: AWS_MSK_IAM needs it")


def _plugins(_kind: ConnectorClass, config: Config) -> Findings:
    for listing, prefix, allowed in table.NAMED_PLUGINS:
        for name in filter(None, config.get(listing, "").split(",")):
            key = f"{prefix.format(name)}type"
            loaded = config.get(key)
            if loaded is None:
                yield Finding(key, f"is missing: {listing} names {name}")
            elif loaded in table.ROUTERS:
                yield Finding(key, "sends records to topics that no manifest declares")
            elif loaded not in allowed:
                yield Finding(key, f"is not allowed: use one of {', '.join(sorted(allowed))}")


def _unlisted_plugins(_kind: ConnectorClass, config: Config) -> Findings:
    for listing in ("transforms", "predicates"):
        names = config.get(listing, "").split(",")
        for key in config:
            if key.startswith(f"{listing}.") and key.split(".")[1] not in names:
                yield Finding(key, f"belongs to nothing that {listing} names", refused=False)


def _signals(kind: ConnectorClass, config: Config) -> Findings:
    channels = config.get("signal.enabled.channels", "").split(",")
    if "file" in channels:
        yield Finding("signal.enabled.channels", f"may not hold file: it {table.LOADS}")
    for key in ("signal.kafka.topic", "signal.kafka.bootstrap.servers"):
        if kind.captures and "kafka" in channels and not config.get(key):
            yield Finding(key, "is missing: signal.enabled.channels names kafka")


def _risky(kind: ConnectorClass, config: Config) -> Findings:
    if not kind.captures:
        return
    for danger in find_dangers(config):
        told = f"is of risk {danger.risk}: {danger.sentence}"
        yield Finding(danger.key, told, refused=False)
    if config.get("log.mining.strategy") == "redo_log_catalog":
        told = "is removed in Debezium 3.7: use online_catalog or hybrid"
        yield Finding("log.mining.strategy", told, refused=False)
    if config.get("heartbeat.interval.ms", "0") == "0":
        yield Finding(
            "heartbeat.interval.ms",
            "is 0: offsets stand still while captured tables are quiet, and nothing tells a quiet "
            "source from a dead one",
            refused=False,
        )


def _read_timeout(_kind: ConnectorClass, config: Config) -> Findings:
    """The driver's limit on one read must leave LogMiner's slow queries their time."""
    key = "driver.oracle.jdbc.ReadTimeout"
    limit, query = config.get(key, "0"), config.get("database.query.timeout.ms", "600000")
    if limit.isdecimal() and query.isdecimal() and 0 < int(limit) <= int(query):
        yield Finding(
            key,
            f"is not above database.query.timeout.ms ({query}): it would end slow queries",
            refused=False,
        )


def _unknown(kind: ConnectorClass, config: Config) -> Findings:
    plugins = tuple(_prefixes(config))
    for key in config:
        if key in kind.known or key in keys.CONNECT or key.startswith(plugins):
            continue
        if not _FAMILIES.match(key) and key not in kind.required and key not in table.OWNED:
            message = f"is no key that this class is known to read{_near(key, kind.known)}"
            yield Finding(key, message, refused=False)


@lru_cache(maxsize=1024)
def _near(key: str, known: frozenset[str]) -> str:
    from difflib import get_close_matches  # read only when there is a mistake

    found = get_close_matches(key[:100], sorted(known), n=1, cutoff=0.85)
    return f"; did you mean {found[0]}?" if found else ""


_FAMILIES: Final = re.compile(
    r"(?:key|value|header)\.converter\.|producer\.override\.|driver\.|transforms\.|predicates\."
    r"|schema\.history\.internal\.(?:producer|consumer)\.|signal\.consumer\."
    r"|column\.(?:mask|truncate|propagate)\.|snapshot\.select\.statement\.overrides\."
)


def _prefixes(config: Config) -> Iterator[str]:
    for listing in ("converters", "post.processors"):
        for name in filter(None, config.get(listing, "").split(",")):
            yield f"{name}."
    yield "\0"  # startswith needs at least one


_WHOLE_RULES: Final[tuple[Callable[[ConnectorClass, Config], Findings], ...]] = (
    _missing,
    _history_clients,
    _plugins,
    _unlisted_plugins,
    _signals,
    _risky,
    _read_timeout,
    _unknown,
)


# --- topics ----------------------------------------------------------------------------------


def lint_topic(config: Config) -> Findings:
    """Judge the config of a topic; the broker would refuse the topic for any of these."""
    for key, value in config.items():
        if key not in keys.TOPIC:
            yield Finding(key, "is no config of a topic")
        elif "${" in value:
            yield Finding(key, "may not hold a reference: a topic needs no secret")
        elif key == "cleanup.policy":
            if not set(value.split(",")) <= {"delete", "compact"}:
                yield Finding(key, "must be delete, compact or compact,delete")
        elif _TOPIC_NUMBERS.fullmatch(key):
            if not table.NUMBER.fullmatch(value):
                yield Finding(key, "must be a whole number")
            elif not key.endswith(".level") and int(value) < _LEAST.get(key, 0):
                yield Finding(key, "is negative")
        elif key in _TOPIC_BOOLEANS and value not in {"true", "false"}:
            yield Finding(key, "must be true or false")


_TOPIC_NUMBERS: Final = re.compile(
    r".*\.(?:ms|bytes|messages|level)|min\.insync\.replicas", re.ASCII
)
_LEAST: Final = {  # -1 is without limit, -2 as the topic itself
    "retention.bytes": -1,
    "retention.ms": -1,
    "local.retention.bytes": -2,
    "local.retention.ms": -2,
}
_TOPIC_BOOLEANS: Final = words(
    "preallocate remote.storage.enable remote.log.copy.disable remote.log.delete.on.disable "
    "unclean.leader.election.enable"
)
