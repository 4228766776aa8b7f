"""What a config is refused or warned of before anything is asked."""
# ruff: noqa: E501 - tables of messages, each in its line

from __future__ import annotations

import pytest

from controller.core.connector_class import CLASSES, FILE_SOURCE, ORACLE, POSTGRESQL
from controller.core.lint import class_refusal, is_password_key, lint_connector
from controller.core.lint_table import OWNED, RENAMED, UNORDERED
from controller.core.lint_topic import lint_topic

IAM = "software.amazon.msk.auth.iam.IAM"
VALID = {
    ORACLE: {
        "database.hostname": "${secret:dbInfo:host}",
        "database.port": "${secret:dbInfo:port}",
        "database.user": "${secret:dbInfo:user}",
        "database.password": "${secret:dbInfo:password}",
        "database.dbname": "${secret:dbInfo:dbname}",
        "snapshot.mode": "initial",
        "heartbeat.interval.ms": "30000",
        "schema.history.internal.kafka.topic": "wms.schema-changes",
        "schema.history.internal.kafka.bootstrap.servers": "${secret:brokerString}",
        "schema.history.internal.producer.security.protocol": "SSL",
        "schema.history.internal.consumer.security.protocol": "SSL",
    },
    POSTGRESQL: {
        "database.hostname": "${secret:dbInfo:host}",
        "database.port": "${secret:dbInfo:port}",
        "database.user": "${secret:dbInfo:user}",
        "database.password": "${secret:dbInfo:password}",
        "database.dbname": "${secret:dbInfo:dbname}",
        "snapshot.mode": "initial",
        "heartbeat.interval.ms": "30000",
        "plugin.name": "pgoutput",
        "slot.name": "wms_main",
    },
    FILE_SOURCE: {"file": "/data/x", "topic": "wms.x"},
}


def lint(
    changes: dict[str, str | None], kind: str = ORACLE, overlay: str = "main"
) -> dict[str, tuple[bool, str]]:
    """Change a valid config and answer what is said, by key: refused or not, and why."""
    config = {key: value for key, value in {**VALID[kind], **changes}.items() if value is not None}
    found = list(lint_connector(kind, config, overlay))
    return {finding.key: (finding.refused, finding.message) for finding in found}


def refused(changes: dict[str, str | None], kind: str = ORACLE, overlay: str = "main") -> set[str]:
    return {key for key, (is_refused, _) in lint(changes, kind, overlay).items() if is_refused}


@pytest.mark.parametrize("kind", VALID)
def test_a_good_config_has_no_findings(kind: str) -> None:
    assert lint({}, kind) == {}


# --- keys ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("old", "message"),
    [
        ("database.server.name", "is ignored since Debezium 2.0: it is called topic.prefix now (write it as spec.topicPrefix)"),
        ("database.history.kafka.bootstrap.servers", "is ignored since Debezium 2.0: it is called schema.history.internal.kafka.bootstrap.servers now"),
        ("database.history.kafka.topic", "is ignored since Debezium 2.0: it is called schema.history.internal.kafka.topic now"),
        ("database.history.kafka.recovery.attempts", "is ignored since Debezium 2.0: it is called schema.history.internal.kafka.recovery.attempts now"),
        ("database.history.producer.security.protocol", "is ignored since Debezium 2.0: it is called schema.history.internal.producer.security.protocol now"),
        ("database.history.consumer.sasl.jaas.config", "is ignored since Debezium 2.0: it is called schema.history.internal.consumer.sasl.jaas.config now"),
        ("database.history.skip.unparseable.ddl", "is ignored since Debezium 2.0: it is called schema.history.internal.skip.unparseable.ddl now"),
        ("database.history.store.only.monitored.tables.ddl", "is ignored since Debezium 2.0: it is called schema.history.internal.store.only.captured.tables.ddl now"),
        ("database.history", "is ignored since Debezium 2.0: it is called schema.history.internal now"),
        ("table.whitelist", "is ignored since Debezium 2.0: it is called spec.tables now"),
        ("column.blacklist", "is ignored since Debezium 2.0: it is called column.exclude.list now"),
        ("heartbeat.topics.prefix", "is ignored since Debezium 2.0: it is called topic.heartbeat.prefix now (the stage decides it: remove it)"),
        ("sanitize.field.names", "is ignored since Debezium 2.0: it is called field.name.adjustment.mode and schema.name.adjustment.mode now"),
        ("database.out.server.name", "is ignored since Debezium 3.6: it is called xstream.out.server.name now"),
        ("log.mining.archive.log.hours", "is ignored since Debezium 3.0: it is called archive.log.hours now"),
        ("log.mining.transaction.retention.hours", "is ignored since Debezium 3.0: it is called log.mining.transaction.retention.ms now"),
        ("log.mining.batch.size.default", "is ignored since Debezium 3.6: it is called log.mining.log.count.min now"),
        ("log.mining.sleep.time.max.ms", "is ignored since Debezium 3.6: remove it"),
        ("log.mining.scn.gap.detection.gap.size.min", "is ignored since Debezium 3.6: remove it"),
        ("log.mining.buffer.location", "is ignored since Debezium 2.0: remove it"),
        ("database.oracle.version", "is ignored since Debezium 2.0: remove it"),
        ("database.sendBufferSize", "is no key of this class; what is for the driver is called driver.sendBufferSize since 2.0"),
    ],
)  # fmt: skip
def test_keys_of_older_versions_are_refused_with_their_new_name(old: str, message: str) -> None:
    assert lint({old: "1"})[old] == (True, message)


def test_no_key_that_is_refused_as_old_is_known_as_current() -> None:
    known = CLASSES[ORACLE].known | CLASSES[POSTGRESQL].known
    assert not [row.old for row in RENAMED for key in known if row.fits(key)]


@pytest.mark.parametrize("key", sorted(OWNED))
def test_keys_that_follow_from_fields_are_not_written(key: str) -> None:
    is_refused, message = lint({key: "x"})[key]
    assert is_refused
    assert message == f"may not be written here: {OWNED[key]}"


@pytest.mark.parametrize(
    "key",
    [
        "x-wms.managed-by",
        "x-wms.anything",
        "topic.creation.default.partitions",
        "topic.creation.default.replication.factor",
        "topic.creation.groups",
        "topic.heartbeat.prefix",
        "topic.heartbeat.name",
        "topic.transaction",
        "topic.naming.strategy",
        "topic.delimiter",
        "notification.sink.topic.name",
        "offsets.storage.topic",
        "errors.deadletterqueue.topic.name",
        "config.providers",
        "config.providers.file.class",
        "plugin.path",
        "plugin.discovery",
        "client.id",
        "bootstrap.servers",
        "connector.client.config.override.policy",
        "admin.override.bootstrap.servers",
        "consumer.override.sasl.jaas.config",
        "producer.bootstrap.servers",
        "producer.override.bootstrap.servers",
        "producer.override.sasl.jaas.config",
        "producer.override.sasl.login.class",
        "producer.override.sasl.oauthbearer.token.endpoint.url",
        "producer.override.interceptor.classes",
        "producer.override.ssl.engine.factory.class",
        "producer.override.metric.reporters",
        "producer.override.client.id",
        "producer.override.acks",
        "schema.history.internal.producer.sasl.login.class",
        "schema.history.internal.producer.sasl.oauthbearer.token.endpoint.url",
        "schema.history.internal.consumer.interceptor.classes",
        "schema.history.internal.producer.bootstrap.servers",
        "schema.history.internal.producer.ssl.keystore.location",
        "schema.history.internal.connector.id",
        "signal.consumer.sasl.login.callback.handler.class",
        "signal.file",
        "openlineage.integration.enabled",
        "driver.oracle.net.tns_admin",
        "driver.oracle.jdbc.provider.username",
        "driver.socketFactory",
        "snapshot.mode.custom.name",
        "custom.sanitize.pattern",
        "tasks.max.enforce",
    ],
)
def test_keys_that_name_topics_load_code_or_belong_to_the_worker_are_refused(key: str) -> None:
    assert key in refused({key: "1"})


@pytest.mark.parametrize(
    "key",
    [
        "driver.socketFactory",
        "driver.loggerFile",
        "driver.sslfactory",
        "database.sslfactory",
        "database.initial.statements",
        "database.sslkey",
    ],
)
def test_what_the_postgresql_driver_would_load_is_refused(key: str) -> None:
    assert key in refused({key: "x"}, POSTGRESQL)


@pytest.mark.parametrize(
    "key",
    [
        "producer.override.compression.type",
        "producer.override.linger.ms",
        "schema.history.internal.producer.request.timeout.ms",
        "driver.oracle.net.CONNECT_TIMEOUT",
        "signal.consumer.security.protocol",
    ],
)
def test_what_only_tunes_a_client_is_allowed(key: str) -> None:
    assert lint({key: "SSL"}) == {}


def test_a_key_that_nobody_reads_is_a_warning() -> None:
    assert lint({"snapshot.moode": "initial"})["snapshot.moode"] == (
        False,
        "is no key that this class is known to read; did you mean snapshot.mode?",
    )
    assert lint({"made.up.entirely": "x"})["made.up.entirely"] == (
        False,
        "is no key that this class is known to read",
    )
    assert "log.mining.strategy" in lint({"log.mining.strategy": "hybrid"}, POSTGRESQL)


@pytest.mark.parametrize(
    "key",
    [
        "key.converter.schemas.enable",
        "column.mask.with.5.chars",
        "column.mask.hash.SHA-256.with.salt.abc",
        "column.truncate.to.20.chars",
    ],
)
def test_families_of_keys_are_known(key: str) -> None:
    assert lint({key: "x"}) == {}


SQL = "UPDATE WMS.HEARTBEAT SET AT = SYSTIMESTAMP"


@pytest.mark.parametrize(
    ("key", "kind"),
    [
        ("heartbeat.action.query", ORACLE),
        ("snapshot.select.statement.overrides.WMS.T", ORACLE),
        ("database.initial.statements", POSTGRESQL),
    ],
)
def test_sql_must_be_a_text_on_the_list_of_the_stage(key: str, kind: str) -> None:
    config = {**VALID[kind], key: SQL}
    for allowed in ([], [SQL.lower()], [f"{SQL};"], [f"{SQL} WHERE 1 = 1"]):
        (found,) = lint_connector(kind, config, "main", allowed)
        assert (found.key, found.refused) == (key, True)
        assert "add exactly this text to allowedSql of the StagePolicy" in found.message
    assert list(lint_connector(kind, config, "main", ["SELECT 1", SQL])) == []


def test_the_list_of_tables_that_have_a_statement_of_their_own_is_no_sql() -> None:
    assert lint({"snapshot.select.statement.overrides": "WMS.T"}) == {}


# --- values ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("snapshot.mode", "schema_only", "is not 'schema_only' in Debezium 3.6: it is called no_data now"),
        ("snapshot.mode", "schema_only_recovery", "is not 'schema_only_recovery' in Debezium 3.6: it is called recovery now"),
        ("snapshot.mode", "initail", "is not 'initail' in Debezium 3.6: use one of always, configuration_based, initial, initial_only, no_data, recovery, when_needed"),
        ("log.mining.strategy", "online", "is not 'online' in Debezium 3.6: use one of dictionary_from_file, hybrid, online_catalog, redo_log_catalog"),
        ("database.connection.adapter", "logmine", "is not 'logmine' in Debezium 3.6: use one of logminer, logminer_unbuffered, olr, xstream"),
        ("heartbeat.interval.ms", "30s", "must be a whole number"),
        ("lob.enabled", "yes", "must be true or false"),
        ("lob.enabled", "True", "must be true or false"),
        ("column.exclude.list", "a, b", "must be a list a,b,c without blanks and empty entries"),
        ("column.exclude.list", "a,,b", "must be a list a,b,c without blanks and empty entries"),
        ("column.exclude.list", "a,b,", "must be a list a,b,c without blanks and empty entries"),
        ("column.exclude.list", "a,//the rest,b", "holds a comment, which would be taken for an entry"),
        ("column.exclude.list", "a,b,a", "holds an entry twice"),
        ("log.mining.flush.table.name", "log_flush", "holds lower-case letters: Oracle's identifiers are upper case"),
        ("database.dbname", "orcl", "holds lower-case letters: Oracle's identifiers are upper case"),
        ("database.password", "hunter2", "holds a password in clear: write ${secret:NAME:FIELD}"),
        ("key.converter.basic.auth.token", "abc", "holds a password in clear: write ${secret:NAME:FIELD}"),
        ("database.url", "jdbc:oracle:thin:me/pw@//h:1/x", "holds a password in clear: write ${secret:NAME:FIELD}"),
        ("database.password", "${secret:dbInfo:password?}", "may not be optional: without it no login is possible"),
        ("database.hostname", "evil.example", "must be a reference: where logins are sent to is not for a manifest"),
        ("database.url", "jdbc:oracle:thin:@//evil:1521/x", "must be a reference: where logins are sent to is not for a manifest"),
        ("database.hostname", "${secret:dbInfo:host}.evil.example", "must be one reference and nothing beside it"),
        ("schema.history.internal.kafka.bootstrap.servers", "evil:9092", "must be a reference: where logins are sent to is not for a manifest"),
        ("schema.history.internal.kafka.bootstrap.servers", "${secret:brokerString},evil:9092", "must be one reference and nothing beside it"),
        ("secondary.hostname", "127.0.0.1", "must be a reference: where logins are sent to is not for a manifest"),
        ("database.hostname", "${secret:dbInfo:ip}", "names the field ip: whatever the secret says, write host"),
        ("database.dbname", "${secret:dbInfo:db}", "names the field db: whatever the secret says, write dbname"),
        ("database.user", "${secret:dbInfo:username}", "names the field username: whatever the secret says, write user"),
        ("heartbeat.action.query", "${secret:dbInfo:password}", "may not hold ${secret:dbInfo:password}, which is secret: this value is shown to everybody"),
        ("schema.history.internal.kafka.topic", "${secret:dbInfo:user}", "may not hold ${secret:dbInfo:user}, which is secret: this value is shown to everybody"),
        ("schema.history.internal", "io.debezium.storage.file.history.FileSchemaHistory", "names a class that is not allowed; allowed: io.debezium.storage.kafka.history.KafkaSchemaHistory"),
        ("sourceinfo.struct.maker", "evil.Maker", "names a class that is not allowed; allowed: none"),
        ("schema.history.internal.producer.security.protocol", "SASLSSL", "must be one of PLAINTEXT, SASL_PLAINTEXT, SASL_SSL, SSL"),
        ("schema.history.internal.producer.sasl.mechanism", "GSSAPI", "must be one of AWS_MSK_IAM, SCRAM-SHA-256, SCRAM-SHA-512"),
        ("schema.history.internal.producer.sasl.client.callback.handler.class", "evil.Handler", f"must be one of {IAM}ClientCallbackHandler"),
        ("schema.history.internal.producer.sasl.jaas.config", 'org.apache.kafka.common.security.scram.ScramLoginModule required username="a" password="b";', "holds a password in clear: write ${secret:NAME:FIELD}"),
    ],
)  # fmt: skip
def test_a_wrong_value_is_refused(key: str, value: str, message: str) -> None:
    assert lint({key: value})[key] == (True, message)


@pytest.mark.parametrize(
    "jaas",
    [
        'com.sun.security.auth.module.JndiLoginModule required user.provider.url="ldap://x";',
        "com.sun.security.auth.module.LdapLoginModule required;",
        f"{IAM}LoginModule required; com.sun.security.auth.module.JndiLoginModule required;",
        f"{IAM}LoginModule required",
        "",
        ";",
    ],
)
def test_only_known_login_modules_are_allowed(jaas: str) -> None:
    key = "schema.history.internal.producer.sasl.jaas.config"
    assert key in refused({key: jaas})


def test_the_clients_of_msk_with_iam_are_allowed() -> None:
    changes: dict[str, str | None] = {}
    for side in ("producer", "consumer"):
        prefix = f"schema.history.internal.{side}."
        changes |= {
            f"{prefix}security.protocol": "SASL_SSL",
            f"{prefix}sasl.mechanism": "AWS_MSK_IAM",
            f"{prefix}sasl.jaas.config": f"{IAM}LoginModule required;",
            f"{prefix}sasl.client.callback.handler.class": f"{IAM}ClientCallbackHandler",
        }
    assert lint(changes) == {}


def test_a_secret_jaas_text_is_allowed() -> None:
    changes: dict[str, str | None] = {}
    for side in ("producer", "consumer"):
        prefix = f"schema.history.internal.{side}."
        changes |= {
            f"{prefix}security.protocol": "SASL_SSL",
            f"{prefix}sasl.mechanism": "SCRAM-SHA-512",
            f"{prefix}sasl.jaas.config": "${secret:kafka:jaas}",
        }
    assert lint(changes) == {}


def test_half_the_security_of_a_history_client_is_refused() -> None:
    key = "schema.history.internal.producer.security.protocol"
    assert refused({key: "SASL_SSL"}) == {
        "schema.history.internal.producer.sasl.mechanism",
        "schema.history.internal.producer.sasl.jaas.config",
    }
    mechanism = "schema.history.internal.consumer.sasl.mechanism"
    handler = "schema.history.internal.consumer.sasl.client.callback.handler.class"
    assert refused({mechanism: "AWS_MSK_IAM"}) == {handler}


def test_addresses_may_be_loopback_in_overlay_local_only() -> None:
    for address in ("127.0.0.1", "localhost"):
        assert lint({"database.hostname": address}, overlay="local") == {}
        assert refused({"database.hostname": address}) == {"database.hostname"}
    key = "schema.history.internal.kafka.bootstrap.servers"
    assert lint({key: "127.0.0.1:9092,localhost:9093"}, overlay="local") == {}
    for address in ("127.0.0.1.evil", "evil,127.0.0.1", "127.0.0.1:1,evil:2", "localhost@evil"):
        assert refused({key: address}, overlay="local") == {key}


@pytest.mark.parametrize("slot", ["WMS", "wms-main", "a" * 64, "", "wms main"])
def test_a_slot_that_postgresql_refuses_is_refused(slot: str) -> None:
    assert "slot.name" in refused({"slot.name": slot}, POSTGRESQL)


# --- the config as a whole -------------------------------------------------------------------


@pytest.mark.parametrize("kind", VALID)
def test_each_required_key_is_missed(kind: str) -> None:
    for key in CLASSES[kind].required:
        assert refused({key: None}, kind) == {key}
        if kind != FILE_SOURCE:
            assert lint({key: None}, kind)[key][1].startswith("is missing")


def test_a_url_stands_for_host_and_port() -> None:
    without: dict[str, str | None] = {"database.hostname": None, "database.port": None}
    assert refused(without) == {"database.hostname", "database.port"}
    assert lint({**without, "database.url": "${secret:dbInfo:url}"}) == {}
    optional = {**without, "database.url": "${secret:dbInfo:url?}"}
    assert refused(optional) == {"database.hostname", "database.port"}


TRANSFORMS = "org.apache.kafka.connect.transforms"
UNWRAP = "io.debezium.transforms.ExtractNewRecordState"


@pytest.mark.parametrize(
    ("changes", "key", "message"),
    [
        ({"transforms": "a"}, "transforms.a.type", "is missing: transforms names a"),
        ({"transforms": "a", "transforms.a.type": f"{TRANSFORMS}.RegexRouter"}, "transforms.a.type", "sends records to topics that no manifest declares"),
        ({"transforms": "a", "transforms.a.type": "io.debezium.transforms.ByLogicalTableRouter"}, "transforms.a.type", "sends records to topics that no manifest declares"),
        ({"predicates": "a", "predicates.a.type": "evil.P"}, "predicates.a.type", "is not allowed: use one of org.apache.kafka.connect.transforms.predicates.HasHeaderKey, org.apache.kafka.connect.transforms.predicates.RecordIsTombstone, org.apache.kafka.connect.transforms.predicates.TopicNameMatches"),
        ({"signal.enabled.channels": "source,kafka"}, "signal.kafka.topic", "is missing: signal.enabled.channels names kafka"),
    ],
)  # fmt: skip
def test_what_does_not_go_together_is_refused(
    changes: dict[str, str | None], key: str, message: str
) -> None:
    assert lint(changes)[key] == (True, message)


@pytest.mark.parametrize(
    ("changes", "key"),
    [
        ({"transforms": "a", "transforms.a.type": "io.debezium.transforms.Filter"}, "transforms.a.type"),
        ({"transforms": "a", "transforms.a.type": "${secret:brokerString}"}, "transforms.a.type"),
        ({"converters": "z", "z.type": "evil.Converter"}, "z.type"),
        ({"post.processors": "z", "z.type": "evil.Processor"}, "z.type"),
        ({"key.converter": "io.confluent.connect.avro.AvroConverter"}, "key.converter"),
        ({"signal.enabled.channels": "source,file"}, "signal.enabled.channels"),
    ],
)  # fmt: skip
def test_classes_that_are_not_on_the_list_are_refused(
    changes: dict[str, str | None], key: str
) -> None:
    assert key in refused(changes)


def test_known_transforms_and_converters_are_allowed() -> None:
    changes: dict[str, str | None] = {
        "transforms": "unwrap,mask",
        "transforms.unwrap.type": "io.debezium.transforms.ExtractNewRecordState",
        "transforms.unwrap.drop.tombstones": "false",
        "transforms.mask.type": f"{TRANSFORMS}.MaskField$Value",
        "transforms.mask.fields": "SSN",
        "converters": "zero",
        "zero.type": "io.debezium.connector.oracle.converters.NumberToZeroScaleConverter",
        "zero.decimal.mode": "precise",
        "key.converter": "org.apache.kafka.connect.json.JsonConverter",
    }
    assert lint(changes) == {}


@pytest.mark.parametrize(
    ("changes", "key"),
    [
        ({"log.mining.strategy": "redo_log_catalog"}, "log.mining.strategy"),
        ({"log.mining.transaction.retention.ms": "1000"}, "log.mining.transaction.retention.ms"),
        ({"log.mining.buffer.transaction.events.threshold": "5"}, "log.mining.buffer.transaction.events.threshold"),
        ({"event.processing.failure.handling.mode": "skip"}, "event.processing.failure.handling.mode"),
        ({"errors.tolerance": "all"}, "errors.tolerance"),
        ({"snapshot.mode": "when_needed"}, "snapshot.mode"),
        ({"snapshot.mode": "always"}, "snapshot.mode"),
        ({"snapshot.mode": "recovery"}, "snapshot.mode"),
        ({"snapshot.mode": "configuration_based"}, "snapshot.mode"),
        ({"log.mining.username.exclude.list": "BATCH"}, "log.mining.username.exclude.list"),
        ({"log.mining.username.include.list": "APP"}, "log.mining.username.include.list"),
        ({"log.mining.clientid.exclude.list": "batch"}, "log.mining.clientid.exclude.list"),
        ({"log.mining.clientid.include.list": "app"}, "log.mining.clientid.include.list"),
        ({"event.processing.failure.handling.mode": "ignore"}, "event.processing.failure.handling.mode"),
        ({"event.processing.failure.handling.mode": "warn"}, "event.processing.failure.handling.mode"),
        ({"event.converting.failure.handling.mode": "warn"}, "event.converting.failure.handling.mode"),
        ({"skipped.operations": "d,t"}, "skipped.operations"),
        ({"schema.history.internal.skip.unparseable.ddl": "true"}, "schema.history.internal.skip.unparseable.ddl"),
        ({"transforms": "f", "transforms.f.type": f"{TRANSFORMS}.Filter"}, "transforms.f.type"),
        ({"transforms": "u", "transforms.u.type": UNWRAP, "transforms.u.delete.tombstone.handling.mode": "drop"}, "transforms.u.delete.tombstone.handling.mode"),
        ({"heartbeat.interval.ms": "0"}, "heartbeat.interval.ms"),
        ({"heartbeat.interval.ms": None}, "heartbeat.interval.ms"),
        ({"driver.oracle.jdbc.ReadTimeout": "5000"}, "driver.oracle.jdbc.ReadTimeout"),
        ({"transforms.a.type": f"{TRANSFORMS}.DropHeaders"}, "transforms.a.type"),
    ],
)  # fmt: skip
def test_what_is_legal_and_risky_is_a_warning(changes: dict[str, str | None], key: str) -> None:
    found = lint(changes)
    assert set(found) == {key}
    assert not found[key][0]


def test_a_read_timeout_above_the_query_timeout_is_fine() -> None:
    assert lint({"driver.oracle.jdbc.ReadTimeout": "660000"}) == {}
    changes: dict[str, str | None] = {
        "driver.oracle.jdbc.ReadTimeout": "9000",
        "database.query.timeout.ms": "8000",
    }
    assert lint(changes) == {}


def test_nothing_said_holds_the_secret() -> None:
    for key in ("database.password", "x.secret", "database.url", "api.key"):
        for _, message in lint({key: "jdbc:oracle:thin:hunter2/hunter2@h"}).values():
            assert "hunter2" not in message


@pytest.mark.parametrize(
    ("key", "hidden"),
    [
        ("database.password", True),
        ("DATABASE.PASSWD", True),
        ("a.sasl.jaas.config", True),
        ("x.api-key", True),
        ("some.token", True),
        ("key.converter", False),
        ("message.key.columns", False),
        ("snapshot.mode", False),
    ],
)
def test_keys_of_passwords_are_known(key: str, hidden: bool) -> None:
    assert is_password_key(key) is hidden


# --- classes ---------------------------------------------------------------------------------


def test_classes_are_allowed_by_list_and_overlay() -> None:
    assert class_refusal(ORACLE, "main") is None
    assert class_refusal(POSTGRESQL, "local") is None
    assert class_refusal(FILE_SOURCE, "local") is None
    assert class_refusal(FILE_SOURCE, "main") is not None
    for other in (
        "org.apache.kafka.connect.file.FileStreamSinkConnector",
        "io.confluent.connect.jdbc.JdbcSourceConnector",
        "OracleConnector",
        "FileStreamSource",
        "",
    ):
        assert class_refusal(other, "local") is not None


def test_lists_written_sorted_are_keys_that_a_class_knows() -> None:
    assert CLASSES[ORACLE].known | CLASSES[POSTGRESQL].known >= UNORDERED


# --- topics ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "config",
    [
        {},
        {"cleanup.policy": "compact,delete", "retention.ms": "-1", "retention.bytes": "-1"},
        {"compression.type": "zstd", "compression.zstd.level": "-5", "preallocate": "false"},
        {"min.cleanable.dirty.ratio": "0.1", "flush.messages": "1"},
    ],
)
def test_a_good_topic_config_has_no_findings(config: dict[str, str]) -> None:
    assert list(lint_topic(config)) == []
