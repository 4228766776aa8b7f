"""What Kafka Connect and Debezium say: configuration, schema history, records, the worker."""

from __future__ import annotations

from typing import Final

from controller.core.failures.row import Actor, Failure, FailureKind, Severity, System, Treatment

CONNECT, CONFIG, HISTORY = System.CONNECT, System.CONFIG, System.SCHEMA_HISTORY
ORACLE, UNSURE = System.ORACLE, System.UNKNOWN
TRANSIENT, PERMANENT = FailureKind.TRANSIENT, FailureKind.PERMANENT
CONFIGURATION, IMAGE = FailureKind.CONFIGURATION, FailureKind.IMAGE
DATA_POSITION, UNCLEAR = FailureKind.DATA_POSITION, FailureKind.UNKNOWN
WAIT, RESTART, HOLD, STOP = Treatment.WAIT, Treatment.RESTART, Treatment.HOLD, Treatment.STOP
DATA, STOPPED, DEGRADED = Severity.DATA, Severity.STOPPED, Severity.DEGRADED
NOISE = Severity.NOISE
NOBODY, OPERATOR = Actor.NOBODY, Actor.OPERATOR
DBA, PLATFORM = Actor.DBA, Actor.PLATFORM

# A row begins with its six words on one line.
# fmt: off
RECOVER: Final = (
    "Decide with the owner of the data: bring the lost part back, or take a new snapshot, which "
    "loses the deletes of the gap. Nothing is done without that word."
)

HISTORY_TOPIC: Final = (
    Failure(
        "HistoryLost", HISTORY, DATA_POSITION, HOLD, DATA, OPERATOR,
        "The schema history is missing or empty, so that redo cannot be read with offsets there.",
        "See first whether the topic is really gone: a wrong name, another cluster and a missing "
        "DescribeTopic look alike. Then snapshot.mode=recovery, only if no table was altered since "
        "the offset; else " + RECOVER,
        texts=("db history topic is missing", "schema history was not found but was expected"),
        command="kafka-topics.sh --describe --topic <history topic> --bootstrap-server <brokers>",
    ),
    Failure(
        "OffsetLost", ORACLE, DATA_POSITION, HOLD, DATA, OPERATOR,
        "The place to read on from is no longer on the server.",
        RECOVER,
        texts=("no longer available on the server",),
    ),
    Failure(
        "HistoryIncomplete", HISTORY, DATA_POSITION, HOLD, DATA, OPERATOR,
        "The schema history does not know a table or column that the redo names.",
        "Find out what was altered while nobody listened. " + RECOVER,
        texts=(
            "unable to find table in relational model", "failed to find schema for…on table",
            "failed to find column…in table",
            "encountered change event for table…whose schema isn't known",
        ),
    ),
    Failure(
        "HistoryUnreadable", HISTORY, TRANSIENT, RESTART, STOPPED, OPERATOR,
        "The schema history could not be read in time.",
        "If it comes again: schema.history.internal.kafka.recovery.poll.interval.ms and "
        "recovery.attempts higher.",
        texts=("schema history couldn't be recovered",),
        tries=3,
    ),
    Failure(
        "HistoryNotCreated", HISTORY, PERMANENT, RESTART, STOPPED, OPERATOR,
        "Debezium could not create the topic of its schema history.",
        "Declare the topic, class schemaHistory; when it is there the restart helps.",
        texts=("creation of database schema history topic failed",),
        tries=3,
    ),
    Failure(
        "HistoryTopicUnsafe", HISTORY, CONFIGURATION, HOLD, DATA, OPERATOR,
        "The topic of the schema history will lose its oldest records, or has more than one "
        "partition. Nothing is broken until the next start.",
        "Set retention.ms and retention.bytes to -1 and cleanup.policy to delete, at once.",
        texts=("schema history topic…option", "schema history topic…should have one partit"),
        command="kafka-configs.sh --alter --entity-type topics --entity-name <history topic> "
        "--add-config retention.ms=-1,retention.bytes=-1 --bootstrap-server <brokers>",
        silent=True,
    ),
    Failure(
        "SnapshotForbidden", CONFIG, CONFIGURATION, HOLD, STOPPED, OPERATOR,
        "A snapshot was cut short, and the config now forbids one.",
        "Set snapshot.mode so that it may begin again.",
        texts=("previously stopped while taking a snapshot",),
    ),
    Failure(
        "RecoveryWithoutOffset", CONFIG, CONFIGURATION, HOLD, STOPPED, OPERATOR,
        "The snapshot mode recovery needs an offset, and there is none.",
        "Set snapshot.mode to initial or no_data.",
        texts=("could not find existing redo log information",),
    ),
)

EVENTS: Final = (
    Failure(
        "DdlNotUnderstood", HISTORY, PERMANENT, HOLD, STOPPED, OPERATOR,
        "Debezium does not understand a statement that changed a table.",
        "Report the statement to Debezium. Skipping it (skip.unparseable.ddl) is a person's "
        "decision: events of that table may be wrong afterwards.",
        texts=("ddl statement couldn't be parsed", "no viable alternative at input"),
    ),
    Failure(
        "DmlNotUnderstood", ORACLE, DATA_POSITION, HOLD, DATA, OPERATOR,
        "A change in the redo cannot be turned into an event.",
        "Report it to Debezium, with the versions. Was the table altered without the dictionary "
        "knowing? " + RECOVER,
        texts=(
            "unable to re-construct the sql", "failed to parse dml",
            "unable to parse unsupported lob_write", "dmlparserexception",
        ),
    ),
    Failure(
        "TransactionDropped", ORACLE, DATA_POSITION, HOLD, DATA, OPERATOR,
        "A transaction was left out, as the settings allow: its rows are lost.",
        "Set log.mining.transaction.retention.ms and the events threshold to 0; decide about a new "
        "snapshot.",
        texts=("transaction…is being abandoned", "transaction…will be abandoned"),
        silent=True,
    ),
    Failure(
        "LongTransaction", ORACLE, PERMANENT, WAIT, STOPPED, DBA,
        "A transaction that stays open holds the offset back.",
        "Find it and have it ended, before the logs that it needs are deleted.",
        texts=("offset scn…has not changed in",),
        command="SELECT s.sid, s.username, t.start_date FROM v$transaction t "
        "JOIN v$session s ON s.taddr = t.addr ORDER BY t.start_date;",
        silent=True,
    ),
    Failure(
        "NothingCaptured", CONFIG, CONFIGURATION, HOLD, STOPPED, OPERATOR,
        "The list of tables matches none that the connector can see.",
        "Check the names in the manifest, upper case as in Oracle, and the grants.",
        texts=("no changes will be captured",),
        silent=True,
    ),
    Failure(
        "HeartbeatQueryFailed", CONFIG, PERMANENT, HOLD, STOPPED, DBA,
        "The connector's heartbeat statement fails.",
        "Check that its table is there and that the account may write to it.",
        texts=("could not execute heartbeat action query",),
    ),
)

SETTINGS: Final = (
    Failure(
        "ConfigRefused", CONNECT, CONFIGURATION, HOLD, STOPPED, OPERATOR,
        "Connect refused the config; nothing was written. Why is not in this text.",
        "Have it validated: the database may be away, the login wrong, or a field.",
        texts=("configvalueinfo.errors()", "connector configuration is invalid"),
        command="PUT /connector-plugins/<class>/config/validate",
    ),
    Failure(
        "TopicGroupIncomplete", CONFIG, CONFIGURATION, HOLD, STOPPED, OPERATOR,
        "The settings of topic.creation are not complete.",
        "Take topic.creation out of the config: topics are declared.",
        texts=('missing required configuration "topic.creation',),
    ),
    Failure(
        "TooManyTasks", CONFIG, CONFIGURATION, HOLD, STOPPED, OPERATOR,
        "The connector runs in one task only.",
        "Set tasksMax to 1.",
        texts=("toomanytasksexception", "only a single connector task may be started"),
    ),
    Failure(
        "PluginMissing", CONNECT, IMAGE, HOLD, STOPPED, PLATFORM,
        "The worker does not have the connector's plugin.",
        "Check spec.class, then the image's plugins.",
        texts=("failed to find any class that implements", "is not a recognizable type"),
    ),
    Failure(
        "OffsetsNeedStopped", CONNECT, CONFIGURATION, HOLD, NOISE, OPERATOR,
        "Offsets can be changed of a stopped connector only.",
        "Stop it first.",
        texts=("must be in the stopped state before their offsets can be modified",),
    ),
    Failure(
        "ConfigInvalid", CONFIG, CONFIGURATION, HOLD, STOPPED, OPERATOR,
        "A setting of the connector is missing or wrong.",
        "Correct it in the manifest. The worker's log names it where the trace does not.",
        texts=(
            "config.configexception", "invalid value…for configuration",
            "null value can not be supplied", "missing required configuration",
            "error configuring an instance of", "the '…' value…is invalid",
            "mdc value for the connector name", "patternsyntaxexception",
            "contains no connector type", "doesn't match connector name in the url",
            "unknown configuration",
        ),
    ),
)

WORKER: Final = (
    Failure(
        "WorkerEnded", CONNECT, IMAGE, HOLD, STOPPED, PLATFORM,
        "The worker's main thread ended; its process goes with it.",
        "Look at the line below it in the worker's log; the platform starts the worker again.",
        texts=("uncaught exception in herder work thread",),
    ),
    Failure(
        "WorkerStarting", CONNECT, TRANSIENT, WAIT, NOISE, NOBODY,
        "The worker is starting or stopping and does not know its connectors yet.",
        "Nothing.",
        texts=("http error 404",),
        within=("jetty", "<html", "<h2"),
    ),
    Failure(
        "Rebalancing", CONNECT, TRANSIENT, WAIT, NOISE, NOBODY,
        "The workers are sharing out their tasks anew.",
        "Nothing.",
        texts=(
            "cannot complete request momentarily", "because a rebalance is expected",
            "rebalanceneededexception", "catching up to assignment's config offset",
        ),
    ),
    Failure(
        "WorkerPeerGone", CONNECT, TRANSIENT, WAIT, DEGRADED, NOBODY,
        "Another worker, which owns the connector or leads, just went away.",
        "Nothing: after 10 to 20 seconds its tasks are moved.",
        texts=("io error trying to forward rest request", "io error forwarding rest request"),
    ),
    Failure(
        "WorkerBlocked", CONNECT, TRANSIENT, WAIT, DEGRADED, PLATFORM,
        "The worker does not get round to answering: a task does not stop, or Kafka is away. What "
        "was asked may still be done later.",
        "Look at Kafka first. If the brokers are well and it lasts, replace the worker.",
        texts=(
            "request timed out. the", "worker was unable to handle this request",
            "worker poll timeout has expired", "close timed out with…pending requests",
        ),
    ),
    Failure(
        "OffsetFlushLate", CONNECT, TRANSIENT, WAIT, DEGRADED, PLATFORM,
        "Offsets could not be kept in time: after a restart some records come twice.",
        "Nothing once. When it lasts, look at the offsets topic and the brokers.",
        texts=(
            "failed to flush offsets to storage", "timed out waiting to flush offsets",
            "waiting for previous offset flush", "failed to commit offsets",
        ),
    ),
    Failure(
        "ConnectorMissing", CONNECT, TRANSIENT, WAIT, NOISE, NOBODY,
        "Connect does not know the connector or task yet, or not any more.",
        "Nothing.",
        texts=(
            "no status found for connector", "unknown connector", "unknown task:",
            '"message":"connector…not found"',
        ),
    ),
    Failure(
        "PrefixTwice", CONFIG, TRANSIENT, WAIT, NOISE, OPERATOR,
        "Metrics of that name are taken: an older task still runs, or two connectors share a "
        "topic prefix.",
        "If it lasts, give each connector a prefix of its own.",
        texts=("unable to register metrics as an old set", "unable to register the mbean"),
    ),
)

RECORDS: Final = (
    Failure(
        "TransformFailed", CONFIG, CONFIGURATION, HOLD, STOPPED, OPERATOR,
        "A transform or converter cannot take a record; the same record fails after each restart.",
        "Correct the transform or converter in the manifest.",
        texts=(
            "dataexception", "serializationexception", "executing stage '", "unknown field:",
            "schemabuilderexception",
        ),
    ),
)

# What a task says while and after it is stopped.
AFTERMATH: Final = (
    Failure(
        "StoppedLate", CONNECT, TRANSIENT, RESTART, NOISE, NOBODY,
        "A task was told to stop and did not in time; what it says afterwards is its aftermath.",
        "Nothing.",
        texts=(
            "scheduled for shutdown", "offset reader is closed",
            "producer closed while send in progress", "requested metadata update after close",
            "graceful stop of task", "task has been cancelled", "wakeupexception",
            "didn't stop in the expected time", "java.lang.interruptedexception",
            "executor was interrupted", "snapshot was interrupted", "ignoring stop request",
            "ignoring await stop request",
        ),
        tries=1,
    ),
    Failure(  # said alike of one that was told to stop and of one that failed
        "SnapshotCutShort", UNSURE, TRANSIENT, RESTART, NOISE, NOBODY,
        "A snapshot did not reach its end: its task was told to stop, or an error stands beside "
        "this line. It begins anew with the next start.",
        "Look for an error just before it; without one, nothing.",
        texts=("snapshot was not completed successfully",),
        tries=1,
    ),
)

# What is only said around a cause. They are read when nothing else was recognised.
WRAPPERS: Final = (
    Failure(
        "FlushFailed", ORACLE, UNCLEAR, RESTART, STOPPED, DBA,
        "Oracle's log writer could not be flushed; why is not in the text.",
        "Look for the ORA code in the worker's log.",
        texts=("failed to flush oracle logwriter",),
        tries=3,
        wrapper=True,
    ),
    Failure(
        "LogMinerStart", ORACLE, TRANSIENT, WAIT, DEGRADED, NOBODY,
        "LogMiner did not start; the connector tries again.",
        "Nothing.",
        texts=("logminer session failed to start but can be retried",),
        wrapper=True,
    ),
    Failure(
        "DatabaseVersionUnknown", ORACLE, UNCLEAR, HOLD, STOPPED, DBA,
        "The first question to Oracle failed, which is how a wrong password, a dead listener and "
        "a missing right all look.",
        "Look for the ORA code in the worker's log. Do not restart before: each start is a login.",
        texts=("failed to resolve oracle database version",),
        wrapper=True,
    ),
    Failure(
        "EventFailed", UNSURE, DATA_POSITION, HOLD, DATA, OPERATOR,
        "One event cannot be dealt with; the same comes again after each restart.",
        "Read the cause below it. Skipping events is a person's decision.",
        texts=("error while processing event at offset",),
        wrapper=True,
    ),
    Failure(
        "SnapshotFailed", UNSURE, UNCLEAR, RESTART, STOPPED, OPERATOR,
        "The snapshot of a table failed; why is not in the text.",
        "Look for the cause in the worker's log.",
        texts=("snapshotting of table…failed", "error during snapshot"),
        tries=2,
        wrapper=True,
    ),
    Failure(
        "RecordRefused", UNSURE, CONFIGURATION, HOLD, STOPPED, OPERATOR,
        "A record could not be transformed or converted; the same fails after each restart.",
        "Read the cause below it and correct the manifest.",
        texts=("tolerance exceeded in error handler",),
        wrapper=True,
    ),
    Failure(
        "SendFailed", UNSURE, UNCLEAR, RESTART, STOPPED, OPERATOR,
        "A record could not be sent to Kafka; why is not in the text.",
        "Look for the cause in the worker's log.",
        texts=("unrecoverable exception from producer send", "unrecoverable exception trying to"),
        tries=2,
        wrapper=True,
    ),
    Failure(
        "KafkaClientFailed", System.KAFKA, UNCLEAR, RESTART, STOPPED, PLATFORM,
        "A Kafka client could not be made; why is not in the text.",
        "Look for the cause in the worker's log: a setting, a name, a certificate.",
        texts=("failed to construct kafka", "failed to create new kafkaadminclient"),
        tries=2, wrapper=True,
    ),
    Failure(
        "StoppedForGood", UNSURE, UNCLEAR, RESTART, STOPPED, OPERATOR,
        "The connector gave up; why is not in the text.",
        "Look for the cause in the worker's log.",
        texts=(
            "this connector will be stopped", "retries has been attempted",
            "unrecoverable exception. task is being killed",
        ),
        tries=2,
        wrapper=True,
    ),
    Failure(
        "TryingAgain", UNSURE, TRANSIENT, WAIT, DEGRADED, NOBODY,
        "The connector failed and tries again by itself; why is not in the text.",
        "Nothing at first; the worker's log says why.",
        texts=(
            "this connector will be restarted", "will re-attempt during polling",
            "after a retriable exception", "will retry operation", "retries will be attempted",
            "connect.errors.retriableexception",
        ),
        wrapper=True,
    ),
)
