"""The connector classes that may be used, and what each is to us."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from controller.core import debezium_keys as keys
from controller.core.debezium_keys import words

ORACLE: Final = "io.debezium.connector.oracle.OracleConnector"
POSTGRESQL: Final = "io.debezium.connector.postgresql.PostgresConnector"
FILE_SOURCE: Final = "org.apache.kafka.connect.file.FileStreamSourceConnector"
LOCAL: Final = "local"  # the overlay that is accepted on loopback endpoints only


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
    known: frozenset[str] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "known", self.texts | self.numbers | self.booleans)


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
