"""What is wrong with a config before anything is asked, as tables and as few rules as carry them.

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
from controller.core.debezium_keys import words
from controller.core.reference import BadReference, SecretReference, parse_template
from controller.core.secret_fields import PUBLIC_FIELDS

ORACLE: Final = "io.debezium.connector.oracle.OracleConnector"
POSTGRESQL: Final = "io.debezium.connector.postgresql.PostgresConnector"
FILE_SOURCE: Final = "org.apache.kafka.connect.file.FileStreamSourceConnector"
LOCAL: Final = "local"  # the overlay that is accepted on loopback endpoints only


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing to say about a key; what is not refused is a warning."""

    key: str
    message: str
    refused: bool = True


Config: TypeAlias = Mapping[str, str]
Findings: TypeAlias = "Iterator[Finding]"


@dataclass(frozen=True, slots=True)
class ConnectorClass:
    """What a connector class is to us."""

    texts: frozenset[str]
    numbers: frozenset[str]
    booleans: frozenset[str]
    required: tuple[str, ...]
    enums: Mapping[str, frozenset[str]]
    drivers: frozenset[str] = frozenset()  # driver properties that are passed through
    captures: bool = True  # it writes one topic for each of its tables, under a prefix
    history: bool = False
    schema_changes: bool = False
    upper_case: bool = False  # identifiers that are not quoted are upper case
    overlay: str | None = None  # allowed in this one only
    topic_keys: tuple[str, ...] = ()  # keys that name a topic and get the namespace

    @property
    def known(self) -> frozenset[str]:
        return self.texts | self.numbers | self.booleans


_COMMON_ENUMS: Final = {
    "binary.handling.mode": words("bytes base64 base64-url-safe hex"),
    "decimal.handling.mode": words("precise string double"),
    "event.converting.failure.handling.mode": words("skip warn fail"),
    "event.processing.failure.handling.mode": words("skip warn fail ignore"),
    "field.name.adjustment.mode": words("none avro avro_unicode"),
    "incremental.snapshot.watermarking.strategy": words("insert_insert insert_delete"),
    "interval.handling.mode": words("numeric string"),
    "schema.name.adjustment.mode": words("none avro avro_unicode"),
    "snapshot.locking.mode": words("shared none"),
    "snapshot.query.mode": words("select_all"),
    "snapshot.tables.order.by.row.count": words("ascending descending disabled"),
    "errors.tolerance": words("none all"),
}
_SNAPSHOT_MODES: Final = words(
    "always initial initial_only no_data when_needed configuration_based"
)

CLASSES: Final[Mapping[str, ConnectorClass]] = {
    ORACLE: ConnectorClass(
        texts=keys.COMMON_TEXT | keys.ORACLE_TEXT,
        numbers=keys.COMMON_NUMBER | keys.ORACLE_NUMBER,
        booleans=keys.COMMON_BOOLEAN | keys.ORACLE_BOOLEAN,
        required=(
            "database.user",
            "database.password",
            "database.dbname",
            "snapshot.mode",
            "schema.history.internal.kafka.bootstrap.servers",
            "schema.history.internal.kafka.topic",
            "schema.history.internal.producer.security.protocol",
            "schema.history.internal.consumer.security.protocol",
        ),
        enums={
            **_COMMON_ENUMS,
            "database.connection.adapter": words("logminer logminer_unbuffered olr xstream"),
            "log.mining.strategy": words(
                "online_catalog redo_log_catalog hybrid dictionary_from_file"
            ),
            "log.mining.buffer.type": words("memory infinispan_embedded infinispan_remote ehcache"),
            "log.mining.query.filter.mode": words("none in regex"),
            "snapshot.mode": _SNAPSHOT_MODES | {"recovery"},
        },
        drivers=words(
            """
            oracle.jdbc.ReadTimeout oracle.jdbc.defaultRowPrefetch
            oracle.net.CONNECT_TIMEOUT oracle.net.OUTBOUND_CONNECT_TIMEOUT
            oracle.net.TCP_KEEPCOUNT oracle.net.TCP_KEEPIDLE oracle.net.TCP_KEEPINTERVAL
            oracle.net.crypto_checksum_client oracle.net.crypto_checksum_types_client
            oracle.net.disableOob oracle.net.encryption_client oracle.net.encryption_types_client
            oracle.net.keepAlive oracle.net.ssl_server_cert_dn oracle.net.ssl_server_dn_match
            oracle.net.ssl_version
            """
        ),
        history=True,
        schema_changes=True,
        upper_case=True,
        topic_keys=("schema.history.internal.kafka.topic", "signal.kafka.topic"),
    ),
    POSTGRESQL: ConnectorClass(
        texts=keys.COMMON_TEXT | keys.POSTGRESQL_TEXT,
        numbers=keys.COMMON_NUMBER | keys.POSTGRESQL_NUMBER,
        booleans=keys.COMMON_BOOLEAN | keys.POSTGRESQL_BOOLEAN,
        required=(
            "database.hostname",
            "database.port",
            "database.user",
            "database.password",
            "database.dbname",
            "plugin.name",
            "slot.name",
            "snapshot.mode",
        ),
        enums={
            **_COMMON_ENUMS,
            "database.sslmode": words("disable allow prefer require verify-ca verify-full"),
            "lsn.flush.mode": words("connector manual connector_and_driver"),
            "plugin.name": words("pgoutput decoderbufs"),
            "publication.autocreate.mode": words("disabled all_tables filtered no_tables"),
            "snapshot.isolation.mode": words(
                "serializable repeatable_read read_committed read_uncommitted"
            ),
            "snapshot.mode": _SNAPSHOT_MODES,
        },
        drivers=words(
            "ApplicationName cancelSignalTimeout connectTimeout loginTimeout socketTimeout "
            "tcpKeepAlive"
        ),
        topic_keys=("signal.kafka.topic",),
    ),
    FILE_SOURCE: ConnectorClass(
        texts=words("file topic"),
        numbers=words("batch.size"),
        booleans=frozenset(),
        required=("file", "topic"),
        enums={},
        captures=False,
        overlay=LOCAL,
        topic_keys=("topic",),
    ),
}

# --- keys that a manifest may not write ------------------------------------------------------

OWNED: Final[Mapping[str, str]] = {
    "name": "the connector is called as its metadata.name says",
    "connector.class": "write it as spec.class",
    "tasks.max": "write it as spec.tasksMax",
    "topic.prefix": "write it as spec.topicPrefix",
    "table.include.list": "write the tables as spec.tables",
    "table.exclude.list": "spec.tables says what is captured: remove it",
    "schema.include.list": "spec.tables says what is captured: remove it",
    "schema.exclude.list": "spec.tables says what is captured: remove it",
    "database.include.list": "spec.tables says what is captured: remove it",
    "database.exclude.list": "spec.tables says what is captured: remove it",
    "tasks.max.enforce": "a task too many must fail: remove it",
    "connector.plugin.version": "the image decides which version runs: remove it",
}
_CREATES = "topics are declared as Topic manifests, so that a typo cannot make one: remove it"
_NAMES = "names of topics follow from the stage, so that no branch writes to another: remove it"
_WORKER = "is the worker's own setting: remove it"
_LOADS = "loads a class into the worker or reads its files: remove it"
# The first prefix that fits says why.
_REFUSED: Final[tuple[tuple[str, str], ...]] = (
    ("x-wms.", "keys of this system are written by it alone: remove it"),
    ("topic.creation.", _CREATES),
    ("topic.heartbeat.", _NAMES),
    ("topic.transaction", _NAMES),
    ("topic.naming.strategy", _NAMES),
    ("topic.delimiter", _NAMES),
    ("notification.sink.", _NAMES),
    ("offsets.storage.topic", _NAMES),
    ("errors.deadletterqueue.", _NAMES),
    ("config.providers", _WORKER),
    ("plugin.", _WORKER),
    ("client.", _WORKER),
    ("bootstrap.servers", _WORKER),
    ("connector.client.config.override.policy", _WORKER),
    ("admin.", _WORKER),
    ("consumer.", _WORKER),
    ("openlineage.", "sends what is captured elsewhere: remove it"),
    ("signal.file", _LOADS),
    ("database.sslfactory", _LOADS),
    ("database.sslcert", _LOADS),
    ("database.sslkey", _LOADS),
    ("database.sslrootcert", _LOADS),
    ("database.initial.statements", "runs SQL of its own: remove it"),
    ("snapshot.mode.custom.name", _LOADS),
    ("snapshot.locking.mode.custom.name", _LOADS),
    ("snapshot.query.mode.custom.name", _LOADS),
    ("schema.history.internal.connector.", "is set by Debezium itself: remove it"),
    ("custom.sanitize.pattern", "decides what Debezium hides in its log: remove it"),
)
_ALLOWED_THOUGH: Final = frozenset({"plugin.name"})

_OVERRIDES: Final = words(
    "batch.size buffer.memory compression.type delivery.timeout.ms linger.ms max.request.size "
    "request.timeout.ms"
)
# The clients of schema history and signals inherit nothing from the worker; this they may be told.
_CLIENT: Final = words(
    """
    security.protocol sasl.mechanism sasl.jaas.config sasl.client.callback.handler.class
    ssl.enabled.protocols ssl.protocol ssl.endpoint.identification.algorithm
    ssl.truststore.certificates ssl.truststore.type
    client.dns.lookup connections.max.idle.ms request.timeout.ms metadata.max.age.ms
    reconnect.backoff.ms reconnect.backoff.max.ms retry.backoff.ms retry.backoff.max.ms
    socket.connection.setup.timeout.ms socket.connection.setup.timeout.max.ms
    batch.size buffer.memory compression.type delivery.timeout.ms linger.ms max.request.size
    fetch.max.bytes max.partition.fetch.bytes max.poll.records
    """
)
_CLIENT_PREFIXES: Final = (
    "schema.history.internal.producer.",
    "schema.history.internal.consumer.",
    "signal.consumer.",
)
_PROTOCOLS: Final = words("PLAINTEXT SSL SASL_PLAINTEXT SASL_SSL")
_MECHANISMS: Final = words("AWS_MSK_IAM SCRAM-SHA-512 SCRAM-SHA-256")
# A login module is code: JndiLoginModule and LdapLoginModule run an attacker's (CVE-2023-25194,
# CVE-2025-27818).
_LOGIN_MODULES: Final = words(
    """
    software.amazon.msk.auth.iam.IAMLoginModule
    org.apache.kafka.common.security.scram.ScramLoginModule
    """
)
_CALLBACK_HANDLERS: Final = words("software.amazon.msk.auth.iam.IAMClientCallbackHandler")

# --- removed and renamed keys ----------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Renamed:
    """A key, or with a trailing dot a family of keys, that this version silently ignores."""

    old: str
    new: str | None
    since: str
    why: str = ""

    def fits(self, key: str) -> bool:
        return key == self.old or (self.old.endswith(".") and key.startswith(self.old))

    def new_name(self, key: str) -> str | None:
        if self.new is None or not self.new.endswith("."):
            return self.new
        return self.new + key.removeprefix(self.old)


RENAMED: Final = (
    Renamed("database.server.name", "topic.prefix", "2.0", "write it as spec.topicPrefix"),
    Renamed("database.server.id", None, "2.0"),
    Renamed("database.history.kafka.", "schema.history.internal.kafka.", "2.0"),
    Renamed("database.history.producer.", "schema.history.internal.producer.", "2.0"),
    Renamed("database.history.consumer.", "schema.history.internal.consumer.", "2.0"),
    Renamed(
        "database.history.store.only.monitored.tables.ddl",
        "schema.history.internal.store.only.captured.tables.ddl",
        "2.0",
    ),
    Renamed("database.history.", "schema.history.internal.", "2.0"),
    Renamed("database.history", "schema.history.internal", "2.0"),
    Renamed("table.whitelist", "spec.tables", "2.0"),
    Renamed("table.blacklist", "spec.tables", "2.0"),
    Renamed("column.whitelist", "column.include.list", "2.0"),
    Renamed("column.blacklist", "column.exclude.list", "2.0"),
    Renamed("schema.whitelist", "spec.tables", "2.0"),
    Renamed("schema.blacklist", "spec.tables", "2.0"),
    Renamed(
        "heartbeat.topics.prefix",
        "topic.heartbeat.prefix",
        "2.0",
        "the stage decides it: remove it",
    ),
    Renamed(
        "sanitize.field.names", "field.name.adjustment.mode and schema.name.adjustment.mode", "2.0"
    ),
    Renamed("database.oracle.version", None, "2.0"),
    Renamed("log.mining.view.fetch.size", "query.fetch.size", "2.0"),
    Renamed("log.mining.buffer.location", None, "2.0"),
    Renamed("database.out.server.name", "xstream.out.server.name", "3.6"),
    Renamed("log.mining.archive.destination.name", "archive.destination.name", "3.0"),
    Renamed("log.mining.archive.log.hours", "archive.log.hours", "3.0"),
    Renamed("log.mining.transaction.retention.hours", "log.mining.transaction.retention.ms", "3.0"),
    Renamed("log.mining.batch.size.", "log.mining.log.count.min", "3.6"),
    Renamed("log.mining.sleep.time.", None, "3.6"),
    Renamed("log.mining.scn.gap.detection.", None, "3.6"),
)
_RENAMED_VALUES: Final[Mapping[tuple[str, str], str]] = {
    ("snapshot.mode", "schema_only"): "no_data",
    ("snapshot.mode", "schema_only_recovery"): "recovery",
    ("snapshot.mode", "never"): "no_data",
    ("snapshot.mode", "initial_schema_only"): "no_data",
}

# --- classes that may be loaded --------------------------------------------------------------

_CONVERTERS: Final = words(
    """
    org.apache.kafka.connect.json.JsonConverter
    org.apache.kafka.connect.storage.StringConverter
    org.apache.kafka.connect.storage.SimpleHeaderConverter
    org.apache.kafka.connect.converters.ByteArrayConverter
    org.apache.kafka.connect.converters.BooleanConverter
    org.apache.kafka.connect.converters.DoubleConverter
    org.apache.kafka.connect.converters.FloatConverter
    org.apache.kafka.connect.converters.IntegerConverter
    org.apache.kafka.connect.converters.LongConverter
    org.apache.kafka.connect.converters.ShortConverter
    """
)
_TRANSFORMS: Final = frozenset(
    f"org.apache.kafka.connect.transforms.{name}{side}"
    for name in [
        "Cast",
        "ExtractField",
        "Flatten",
        "HeaderFrom",
        "HoistField",
        "InsertField",
        "MaskField",
        "ReplaceField",
        "SetSchemaMetadata",
        "TimestampConverter",
    ]
    for side in ("$Key", "$Value")
) | words(
    """
    org.apache.kafka.connect.transforms.DropHeaders
    org.apache.kafka.connect.transforms.Filter
    org.apache.kafka.connect.transforms.InsertHeader
    org.apache.kafka.connect.transforms.ValueToKey
    io.debezium.transforms.ExtractNewRecordState
    io.debezium.transforms.ExtractChangedRecordState
    io.debezium.transforms.TimezoneConverter
    """
)
_ROUTERS: Final = words(
    """
    org.apache.kafka.connect.transforms.RegexRouter
    org.apache.kafka.connect.transforms.TimestampRouter
    io.debezium.transforms.ByLogicalTableRouter
    io.debezium.transforms.ContentBasedRouter
    io.debezium.transforms.outbox.EventRouter
    io.debezium.transforms.partitions.PartitionRouting
    """
)
_PREDICATES: Final = frozenset(
    f"org.apache.kafka.connect.transforms.predicates.{name}"
    for name in ("HasHeaderKey", "RecordIsTombstone", "TopicNameMatches")
)
_CUSTOM_CONVERTERS: Final = frozenset(
    f"io.debezium.connector.oracle.converters.{name}"
    for name in (
        "NumberOneToBooleanConverter",
        "NumberToZeroScaleConverter",
        "RawToStringConverter",
    )
)
_POST_PROCESSORS: Final = words("io.debezium.processors.reselect.ReselectColumnsPostProcessor")
_LOADED: Final[Mapping[str, frozenset[str]]] = {
    "key.converter": _CONVERTERS,
    "value.converter": _CONVERTERS,
    "header.converter": _CONVERTERS,
    "schema.history.internal": words("io.debezium.storage.kafka.history.KafkaSchemaHistory"),
    "sourceinfo.struct.maker": frozenset(),
    "transaction.metadata.factory": frozenset(),
    "memory.management.schemas.class": frozenset(),
    "memory.management.tables.class": frozenset(),
}
_NAMED_PLUGINS: Final = (  # list key, where a plugin's own keys begin, the classes
    ("transforms", "transforms.{}.", _TRANSFORMS),
    ("predicates", "predicates.{}.", _PREDICATES),
    ("converters", "{}.", _CUSTOM_CONVERTERS),
    ("post.processors", "{}.", _POST_PROCESSORS),
)

# --- lists, references, secrets ----------------------------------------------------------------

# Comma lists in which order means nothing; they are written sorted, as Connect compares texts.
UNORDERED: Final = words(
    """
    column.exclude.list column.include.list column.propagate.source.type
    datatype.propagate.source.type log.mining.clientid.exclude.list
    log.mining.clientid.include.list log.mining.username.exclude.list
    log.mining.username.include.list message.prefix.exclude.list message.prefix.include.list
    notification.enabled.channels signal.enabled.channels skipped.operations
    snapshot.include.collection.list
    """
)
_LISTS: Final = UNORDERED | words("converters post.processors predicates transforms rac.nodes")
STAGE_KEYS: Final = words("log.mining.flush.table.name publication.name slot.name")
_PASSWORD: Final = re.compile(
    r"passw(?:or)?d|passphrase|secret|token|credential|private.?key|api.?key|\bpwd\b", re.IGNORECASE
)
_JAAS_PASSWORD: Final = re.compile(r"password\s*=", re.IGNORECASE)
_URL_LOGIN: Final = re.compile(r"thin:[^@]*/[^@]*@|password\s*=|://[^/]*:[^/]*@", re.IGNORECASE)
_SECRET_KEYS: Final = re.compile(
    r"database\.(?:user|password|url)|secondary\.url"
    r"|(?:schema\.history\.internal\.(?:producer|consumer)|signal\.consumer)\.sasl\.jaas\.config"
)
_ADDRESSES: Final = re.compile(
    r"(?:database|secondary)\.(?:hostname|url)"
    r"|schema\.history\.internal\.kafka\.bootstrap\.servers|signal\.kafka\.bootstrap\.servers"
    r"|openlogreplicator\.host|rac\.nodes|log\.mining\.readonly\.hostname"
)
_LOOPBACK: Final = re.compile(r"(?:(?:127\.0\.0\.1|localhost)(?::\d{1,5})?(?:,|$))+")
_FIELD_ALIASES: Final = {"ip": "host", "db": "dbname", "username": "user"}
_SLOT: Final = re.compile(r"[a-z0-9_]{1,63}")
_NUMBER: Final = re.compile(r"-?\d{1,18}")
_LOWER: Final = re.compile(r"[a-z]")
_ORACLE_IDENTIFIERS: Final = words("database.dbname database.pdb.name log.mining.flush.table.name")


def is_password_key(key: str) -> bool:
    """Tell whether the value of a key must not be shown."""
    return _PASSWORD.search(key) is not None or key.endswith("sasl.jaas.config")


def lint_connector(class_name: str, config: Config, overlay: str) -> Findings:
    """Judge the keys that a manifest writes, after naming, references unresolved."""
    kind = CLASSES[class_name]
    for key, value in config.items():
        refusal = _refusal(key, class_name)
        if refusal is not None:
            yield refusal
        else:
            yield from _value(kind, key, value, overlay)
    for rule in _WHOLE_RULES:
        yield from rule(kind, config)


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
    row = next((row for row in RENAMED if row.fits(key)), None)
    if row is None:
        return None
    new = row.new_name(key)
    called = f": it is called {new} now" if new else ": remove it"
    return f"is ignored since Debezium {row.since}{called}{f' ({row.why})' if row.why else ''}"


def _owned(key: str, _class_name: str) -> str | None:
    return f"may not be written here: {OWNED[key]}" if key in OWNED else None


def _overridden(key: str, _class_name: str) -> str | None:
    if not key.startswith("producer."):
        return None
    if key.removeprefix("producer.override.") in _OVERRIDES:
        return None
    allowed = ", ".join(f"producer.override.{name}" for name in sorted(_OVERRIDES))
    return f"may not be set: the worker allows {allowed}"


def _dangerous(key: str, _class_name: str) -> str | None:
    if key in _ALLOWED_THOUGH:
        return None
    why = next((why for prefix, why in _REFUSED if key.startswith(prefix)), None)
    return None if why is None else f"may not be written: {why}"


def _client_key(key: str, _class_name: str) -> str | None:
    for prefix in _CLIENT_PREFIXES:
        if key.startswith(prefix) and key.removeprefix(prefix) not in _CLIENT:
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
    elif _ADDRESSES.fullmatch(key) and _literal_text(value):
        yield Finding(key, "must be one reference and nothing beside it")


def _literal_text(value: str) -> str:
    return "".join(part for part in parse_template(value).parts if isinstance(part, str))


def _reference(key: str, reference: SecretReference) -> Findings:
    field = reference.field or reference.name
    if field in _FIELD_ALIASES:
        yield Finding(
            key, f"names the field {field}: whatever the secret says, write {_FIELD_ALIASES[field]}"
        )
    elif field not in PUBLIC_FIELDS and not _SECRET_KEYS.fullmatch(key):
        yield Finding(
            key, f"may not hold {reference}, which is secret: this value is shown to everybody"
        )
    if reference.optional and key in {"database.user", "database.password"}:
        yield Finding(key, "may not be optional: without it no login is possible")


def _literal(kind: ConnectorClass, key: str, value: str, overlay: str) -> Findings:
    if _is_inline_secret(key, value):
        yield Finding(key, "holds a password in clear: write ${secret:NAME:FIELD}")
        return
    if _ADDRESSES.fullmatch(key) and not (overlay == LOCAL and _LOOPBACK.fullmatch(value)):
        yield Finding(key, "must be a reference: where logins are sent to is not for a manifest")
    yield from _typed(kind, key, value)
    yield from _loaded(key, value)
    yield from _client_value(key, value)
    if key in _LISTS:
        yield from _list(key, value)
    if kind.upper_case and key in _ORACLE_IDENTIFIERS and _LOWER.search(value):
        yield Finding(key, "holds lower-case letters: Oracle's identifiers are upper case")
    if key == "slot.name" and not _SLOT.fullmatch(value):
        yield Finding(key, "must be 1 to 63 of a-z, 0-9 and _: PostgreSQL takes nothing else")


def _is_inline_secret(key: str, value: str) -> bool:
    if key.endswith("sasl.jaas.config"):
        return _JAAS_PASSWORD.search(value) is not None
    if key.endswith(".url"):
        return _URL_LOGIN.search(value) is not None
    return bool(value) and _PASSWORD.search(key) is not None


def _typed(kind: ConnectorClass, key: str, value: str) -> Findings:
    allowed = kind.enums.get(key)
    if allowed is not None and value.lower() not in {word.lower() for word in allowed}:
        new = _RENAMED_VALUES.get((key, value))
        what = f"it is called {new} now" if new else f"use one of {', '.join(sorted(allowed))}"
        yield Finding(key, f"is not {value!r} in Debezium 3.6: {what}")
    if key in kind.numbers and not _NUMBER.fullmatch(value):
        yield Finding(key, "must be a whole number")
    if key in kind.booleans and value not in {"true", "false"}:
        yield Finding(key, "must be true or false")


def _loaded(key: str, value: str) -> Findings:
    classes = _LOADED.get(key)
    if classes is not None and value not in classes:
        allowed = ", ".join(sorted(classes)) or "none"
        yield Finding(key, f"names a class that is not allowed; allowed: {allowed}")


def _client_value(key: str, value: str) -> Findings:
    for suffix, allowed in (
        (".security.protocol", _PROTOCOLS),
        (".sasl.mechanism", _MECHANISMS),
        (".sasl.client.callback.handler.class", _CALLBACK_HANDLERS),
    ):
        if key.endswith(suffix) and value not in allowed:
            yield Finding(key, f"must be one of {', '.join(sorted(allowed))}")
    if key.endswith(".sasl.jaas.config") and value.split(maxsplit=1)[:1] != [*_jaas_module(value)]:
        yield Finding(key, f"may only name the login modules {', '.join(sorted(_LOGIN_MODULES))}")


def _jaas_module(value: str) -> Collection[str]:
    """The module that the text begins with, if it is allowed and the only one."""
    words = value.split()
    one = value.rstrip().endswith(";") and value.count(";") == 1
    return words[:1] if one and words[0] in _LOGIN_MODULES else ()


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
    if "database.url" in kind.texts and "database.url" not in config:
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
    for prefix in _CLIENT_PREFIXES:
        iam = config.get(f"{prefix}sasl.mechanism") == "AWS_MSK_IAM"
        if iam and not config.get(prefix + handler):
            yield Finding(prefix + handler, "is missing: AWS_MSK_IAM needs it")


def _plugins(_kind: ConnectorClass, config: Config) -> Findings:
    for listing, prefix, allowed in _NAMED_PLUGINS:
        for name in filter(None, config.get(listing, "").split(",")):
            key = f"{prefix.format(name)}type"
            loaded = config.get(key)
            if loaded is None:
                yield Finding(key, f"is missing: {listing} names {name}")
            elif loaded in _ROUTERS:
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
        yield Finding("signal.enabled.channels", f"may not hold file: it {_LOADS}")
    for key in ("signal.kafka.topic", "signal.kafka.bootstrap.servers"):
        if kind.captures and "kafka" in channels and not config.get(key):
            yield Finding(key, "is missing: signal.enabled.channels names kafka")


def _risky(kind: ConnectorClass, config: Config) -> Findings:
    for key, harmless, message in _RISKY:
        value = config.get(key)
        if kind.captures and value is not None and value not in harmless:
            yield Finding(key, message, refused=False)
    if kind.captures and config.get("heartbeat.interval.ms", "0") == "0":
        yield Finding(
            "heartbeat.interval.ms",
            "is 0: offsets stand still while captured tables are quiet, and nothing tells a quiet "
            "source from a dead one",
            refused=False,
        )


_DROPS = "lets changes be lost silently"
_RISKY: Final = (
    (
        "log.mining.strategy",
        {"online_catalog", "hybrid", "dictionary_from_file"},
        "is removed in Debezium 3.7: use online_catalog or hybrid",
    ),
    ("log.mining.transaction.retention.ms", {"0"}, f"{_DROPS}: a longer transaction is dropped"),
    (
        "log.mining.buffer.transaction.events.threshold",
        {"0"},
        f"{_DROPS}: a larger transaction is dropped",
    ),
    ("event.processing.failure.handling.mode", {"fail"}, _DROPS),
    ("event.converting.failure.handling.mode", {"fail", "warn"}, _DROPS),
    ("errors.tolerance", {"none"}, _DROPS),
    ("schema.history.internal.skip.unparseable.ddl", {"false"}, _DROPS),
    (
        "snapshot.mode",
        {"initial", "initial_only", "no_data", "recovery"},
        "may read all tables again by itself",
    ),
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
        if not _FAMILIES.match(key) and key not in kind.required and key not in OWNED:
            yield Finding(key, "is no key that this class is known to read", refused=False)


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
            if not _NUMBER.fullmatch(value):
                yield Finding(key, "must be a whole number")
            elif int(value) < (-1 if key in _UNLIMITED else 0):
                yield Finding(key, "is negative")
        elif key in _TOPIC_BOOLEANS and value not in {"true", "false"}:
            yield Finding(key, "must be true or false")


_TOPIC_NUMBERS: Final = re.compile(
    r".*\.(?:ms|bytes|messages|level)|min\.insync\.replicas", re.ASCII
)
_UNLIMITED: Final = words(
    "retention.ms retention.bytes compression.gzip.level compression.zstd.level"
)
_TOPIC_BOOLEANS: Final = words(
    "preallocate remote.storage.enable remote.log.copy.disable remote.log.delete.on.disable "
    "unclean.leader.election.enable"
)
