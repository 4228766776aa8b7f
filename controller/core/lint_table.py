"""The tables behind lint: what is refused, renamed, allowed."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from controller.core.debezium_keys import words

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
CREATES = "topics are declared as Topic manifests, so that a typo cannot make one: remove it"
NAMES = "names of topics follow from the stage, so that no branch writes to another: remove it"
WORKER = "is the worker's own setting: remove it"
LOADS = "loads a class into the worker or reads its files: remove it"
# The first prefix that fits says why.
REFUSED: Final[tuple[tuple[str, str], ...]] = (
    ("x-wms.", "keys of this system are written by it alone: remove it"),
    ("topic.creation.", CREATES),
    ("topic.heartbeat.", NAMES),
    ("topic.transaction", NAMES),
    ("topic.naming.strategy", NAMES),
    ("topic.delimiter", NAMES),
    ("notification.sink.", NAMES),
    ("offsets.storage.topic", NAMES),
    ("errors.deadletterqueue.", NAMES),
    ("config.providers", WORKER),
    ("plugin.", WORKER),
    ("client.", WORKER),
    ("bootstrap.servers", WORKER),
    ("connector.client.config.override.policy", WORKER),
    ("admin.", WORKER),
    ("consumer.", WORKER),
    ("openlineage.", "sends what is captured elsewhere: remove it"),
    ("signal.file", LOADS),
    ("database.sslfactory", LOADS),
    ("database.sslcert", LOADS),
    ("database.sslkey", LOADS),
    ("database.sslrootcert", LOADS),
    ("snapshot.mode.custom.name", LOADS),
    ("snapshot.locking.mode.custom.name", LOADS),
    ("snapshot.query.mode.custom.name", LOADS),
    ("schema.history.internal.connector.", "is set by Debezium itself: remove it"),
    ("custom.sanitize.pattern", "decides what Debezium hides in its log: remove it"),
)
ALLOWED_THOUGH: Final = frozenset({"plugin.name"})

OVERRIDES: Final = words(
    "batch.size buffer.memory compression.type delivery.timeout.ms linger.ms max.request.size "
    "request.timeout.ms"
)
# The clients of schema history and signals inherit nothing from the worker; this they may be told.
CLIENT: Final = words(
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
CLIENT_PREFIXES: Final = (
    "schema.history.internal.producer.",
    "schema.history.internal.consumer.",
    "signal.consumer.",
)
PROTOCOLS: Final = words("PLAINTEXT SSL SASL_PLAINTEXT SASL_SSL")
MECHANISMS: Final = words("AWS_MSK_IAM SCRAM-SHA-512 SCRAM-SHA-256")
# A login module is code: JndiLoginModule and LdapLoginModule run an attacker's (CVE-2023-25194,
# CVE-2025-27818).
LOGIN_MODULES: Final = words(
    """
    software.amazon.msk.auth.iam.IAMLoginModule
    org.apache.kafka.common.security.scram.ScramLoginModule
    """
)
CALLBACK_HANDLERS: Final = words("software.amazon.msk.auth.iam.IAMClientCallbackHandler")

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
RENAMED_VALUES: Final[Mapping[tuple[str, str], str]] = {
    ("snapshot.mode", "schema_only"): "no_data",
    ("snapshot.mode", "schema_only_recovery"): "recovery",
    ("snapshot.mode", "never"): "no_data",
    ("snapshot.mode", "initial_schema_only"): "no_data",
}

# --- classes that may be loaded --------------------------------------------------------------

CONVERTERS: Final = words(
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
TRANSFORMS: Final = frozenset(
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
ROUTERS: Final = words(
    """
    org.apache.kafka.connect.transforms.RegexRouter
    org.apache.kafka.connect.transforms.TimestampRouter
    io.debezium.transforms.ByLogicalTableRouter
    io.debezium.transforms.ContentBasedRouter
    io.debezium.transforms.outbox.EventRouter
    io.debezium.transforms.partitions.PartitionRouting
    """
)
PREDICATES: Final = frozenset(
    f"org.apache.kafka.connect.transforms.predicates.{name}"
    for name in ("HasHeaderKey", "RecordIsTombstone", "TopicNameMatches")
)
CUSTOM_CONVERTERS: Final = frozenset(
    f"io.debezium.connector.oracle.converters.{name}"
    for name in (
        "NumberOneToBooleanConverter",
        "NumberToZeroScaleConverter",
        "RawToStringConverter",
    )
)
POST_PROCESSORS: Final = words("io.debezium.processors.reselect.ReselectColumnsPostProcessor")
LOADED: Final[Mapping[str, frozenset[str]]] = {
    "key.converter": CONVERTERS,
    "value.converter": CONVERTERS,
    "header.converter": CONVERTERS,
    "schema.history.internal": words("io.debezium.storage.kafka.history.KafkaSchemaHistory"),
    "sourceinfo.struct.maker": frozenset(),
    "transaction.metadata.factory": frozenset(),
    "memory.management.schemas.class": frozenset(),
    "memory.management.tables.class": frozenset(),
}
NAMED_PLUGINS: Final = (  # list key, where a plugin's own keys begin, the classes
    ("transforms", "transforms.{}.", TRANSFORMS),
    ("predicates", "predicates.{}.", PREDICATES),
    ("converters", "{}.", CUSTOM_CONVERTERS),
    ("post.processors", "{}.", POST_PROCESSORS),
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
LISTS: Final = UNORDERED | words("converters post.processors predicates transforms rac.nodes")
# The list of overridden tables, which has the plain name, holds no SQL.
SQL: Final = re.compile(
    r"heartbeat\.action\.query|database\.initial\.statements"
    r"|snapshot\.select\.statement\.overrides\..+"
)
STAGE_KEYS: Final = words("log.mining.flush.table.name publication.name slot.name")
PASSWORD: Final = re.compile(
    r"passw(?:or)?d|passphrase|secret|token|credential|private.?key|api.?key|\bpwd\b", re.IGNORECASE
)
JAAS_PASSWORD: Final = re.compile(r"password\s*=", re.IGNORECASE)
URL_LOGIN: Final = re.compile(r"thin:[^@]*/[^@]*@|password\s*=|://[^/]*:[^/]*@", re.IGNORECASE)
SECRET_KEYS: Final = re.compile(
    r"database\.(?:user|password|url)|secondary\.url"
    r"|(?:schema\.history\.internal\.(?:producer|consumer)|signal\.consumer)\.sasl\.jaas\.config"
)
ADDRESSES: Final = re.compile(
    r"(?:database|secondary)\.(?:hostname|url)"
    r"|schema\.history\.internal\.kafka\.bootstrap\.servers|signal\.kafka\.bootstrap\.servers"
    r"|openlogreplicator\.host|rac\.nodes|log\.mining\.readonly\.hostname"
)
LOOPBACK: Final = re.compile(r"(?:(?:127\.0\.0\.1|localhost)(?::\d{1,5})?(?:,|$))+")
FIELD_ALIASES: Final = {"ip": "host", "db": "dbname", "username": "user"}
SLOT: Final = re.compile(r"[a-z0-9_]{1,63}")
NUMBER: Final = re.compile(r"-?\d{1,18}")
LOWER: Final = re.compile(r"[a-z]")
ORACLE_IDENTIFIERS: Final = words("database.dbname database.pdb.name log.mining.flush.table.name")
