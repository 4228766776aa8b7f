"""What PostgreSQL says: by SQLSTATE where it is shown, else by its words in many languages."""

from __future__ import annotations

from typing import Final

from controller.core.failures import phrases
from controller.core.failures.row import Actor, Failure, FailureKind, Severity, System, Treatment

POSTGRESQL, NETWORK, CONFIG = System.POSTGRESQL, System.NETWORK, System.CONFIG
TRANSIENT, PERMANENT = FailureKind.TRANSIENT, FailureKind.PERMANENT
CONFIGURATION, DATA_POSITION = FailureKind.CONFIGURATION, FailureKind.DATA_POSITION
CREDENTIAL = FailureKind.CREDENTIAL
WAIT, RESTART, HOLD, STOP = Treatment.WAIT, Treatment.RESTART, Treatment.HOLD, Treatment.STOP
DATA, STOPPED, DEGRADED = Severity.DATA, Severity.STOPPED, Severity.DEGRADED
NOBODY, OPERATOR = Actor.NOBODY, Actor.OPERATOR
DBA, PLATFORM = Actor.DBA, Actor.PLATFORM

# A row begins with its six words on one line.
# fmt: off
NEW_SNAPSHOT: Final = (
    "Decide with the owner of the data: only a new snapshot goes on from here, and the changes "
    "of the gap are lost. Stop the connector, drop the slot, delete its offsets, resume."
)
SLOTS: Final = (
    "SELECT slot_name, active, active_pid, wal_status, restart_lsn FROM pg_replication_slots;"
)

CREDENTIALS: Final = (
    Failure(
        "LoginRefused", POSTGRESQL, CREDENTIAL, STOP, STOPPED, OPERATOR,
        "The database refused the user name or the password.",
        "Compare the secret with the role. After both agree, a new version of the secret or "
        "`wmsctl release` lets the connector try once more.",
        states=frozenset({"28P01"}),
        texts=(
            "authentication failed for user", "scram authentication failed",
            "has an expired password", *phrases.LOGIN_REFUSED,
        ),
        command="SELECT rolname, rolcanlogin, rolvaliduntil FROM pg_roles "
        "WHERE rolname = '<role>';",
    ),
    Failure(
        "PasswordMissing", System.SECRET, CREDENTIAL, STOP, STOPPED, OPERATOR,
        "The login was sent without a password.",
        "See that the secret has the field the manifest names, and that it is not empty.",
        texts=(
            "no password was provided", "password was provided by plugin null",
            "password is an empty string",
        ),
    ),
    Failure(
        "LoginNotAllowed", POSTGRESQL, CREDENTIAL, STOP, STOPPED, DBA,
        "The role may not log in, or is not there.",
        "Let the role log in, or create it again with its grants.",
        texts=(
            "is not permitted to log in", "role…does not exist", *phrases.LOGIN_NOT_ALLOWED,
            *phrases.ROLE_MISSING,
        ),
        command="ALTER ROLE <role> LOGIN REPLICATION;",
    ),
    Failure(
        "AccessRuleMissing", POSTGRESQL, PERMANENT, HOLD, STOPPED, DBA,
        "No rule of pg_hba.conf lets this host, user and database in, or not without TLS.",
        "Add the rule and reload. Replication needs a rule of its own.",
        texts=("no pg_hba.conf entry", "pg_hba.conf rejects", *phrases.NO_ACCESS_RULE),
        command="SELECT pg_reload_conf();",
    ),
    Failure(
        "LoginRefused", POSTGRESQL, CREDENTIAL, STOP, STOPPED, OPERATOR,
        "The database refused the login.",
        "Compare the secret with the role and with pg_hba.conf.",
        states=frozenset({"28000"}),
    ),
)

POSITION: Final = (
    Failure(
        "SlotLost", POSTGRESQL, DATA_POSITION, HOLD, DATA, DBA,
        "The replication slot has lost the log that the connector must read next.",
        NEW_SNAPSHOT,
        states=frozenset({"58P01"}),
        texts=(
            "requested wal segment…has already been removed",
            "can no longer get changes from replication slot",
            "cannot read from logical replication slot", "can no longer access replication slot",
            "slot has been invalidated", "slot…has been invalidated", *phrases.SLOT_LOST,
        ),
        command=SLOTS,
    ),
    Failure(
        "SlotNotValid", POSTGRESQL, DATA_POSITION, HOLD, DATA, DBA,
        "The replication slot is there and cannot be used: its log was removed (wal_status lost), "
        "or a long transaction keeps it from starting.",
        "Look at the slot. If it is lost: " + NEW_SNAPSHOT,
        texts=("cannot obtain valid replication slot",),
        command=SLOTS,
    ),
    Failure(
        "PublicationMissing", POSTGRESQL, CONFIGURATION, HOLD, DATA, DBA,
        "The publication that the connector reads is not there.",
        "Create it, then restart the task. If changes were written while it was missing, it stays "
        "failed even so. " + NEW_SNAPSHOT,
        texts=(
            "publication autocreation is disabled", "publication…does not exist",
            *phrases.PUBLICATION_MISSING,
        ),
        command="CREATE PUBLICATION <name> FOR TABLE <table>, <table>;",
    ),
    Failure(
        "SlotMissing", POSTGRESQL, DATA_POSITION, HOLD, DATA, DBA,
        "The replication slot is not there any more.",
        NEW_SNAPSHOT,
        texts=("replication slot…does not exist", *phrases.SLOT_MISSING),
        command=SLOTS,
    ),
)

DATABASE: Final = (
    Failure(
        "NoFreeSlot", POSTGRESQL, PERMANENT, HOLD, STOPPED, DBA,
        "All replication slots of the server are in use.",
        "Drop slots that nobody reads, or raise max_replication_slots; then restart the task.",
        states=frozenset({"53400"}),
        texts=("all replication slots are in use", *phrases.NO_FREE_SLOT),
        command=SLOTS,
    ),
    Failure(
        "SlotInUse", POSTGRESQL, TRANSIENT, WAIT, STOPPED, DBA,
        "Another client reads the replication slot; it can be an older session of ours.",
        "When it lasts longer than a minute, find that client: it may be moving the slot on.",
        texts=("replication slot…is active for pid", "slot…is active", *phrases.SLOT_IN_USE),
        command=SLOTS,
    ),
    Failure(
        "SlotTaken", CONFIG, CONFIGURATION, HOLD, STOPPED, OPERATOR,
        "A replication slot of that name is there already and is not this connector's.",
        "Give the connector a slot.name of its own, or drop the slot if nobody reads it.",
        texts=("replication slot…already exists",),
        command=SLOTS,
    ),
    Failure(
        "LogicalDecodingOff", POSTGRESQL, PERMANENT, HOLD, STOPPED, DBA,
        "The server does not write what logical decoding needs.",
        "Set wal_level to logical (on RDS rds.logical_replication) and restart the server.",
        texts=(
            "logical decoding requires wal_level", "wal_level property must be",
            "wal_level must be", "wal_level…logical", *phrases.WAL_LEVEL,
        ),
        command="ALTER SYSTEM SET wal_level = logical;",
    ),
    Failure(
        "DecoderMissing", CONFIG, CONFIGURATION, HOLD, STOPPED, OPERATOR,
        "The server lacks the output plugin that the connector asks for.",
        "Set plugin.name to pgoutput, which every server has.",
        states=frozenset({"58P02"}),
        texts=('could not access file "decoderbufs"', 'could not access file "wal2json"'),
    ),
    Failure(
        "ReplicationForbidden", POSTGRESQL, PERMANENT, HOLD, STOPPED, DBA,
        "The role may not replicate.",
        "Give it the right; the connector goes on by itself.",
        texts=(
            "permission denied to start wal sender", "must be superuser or replication role",
            "permission denied to use replication slots",
            "roles login and replication are not assigned",
        ),
        command="ALTER ROLE <role> REPLICATION;",
    ),
    Failure(
        "DatabaseReadOnly", POSTGRESQL, PERMANENT, HOLD, STOPPED, DBA,
        "The server is read-only: a standby, or the roles were switched.",
        "Point the secret to the primary.",
        states=frozenset({"25006"}),
        texts=(
            "in a read-only transaction", "logical decoding cannot be used while in recovery",
            "logical decoding on standby requires", *phrases.READ_ONLY,
        ),
        command="SELECT pg_is_in_recovery();",
    ),
    Failure(
        "DatabaseDiskFull", POSTGRESQL, PERMANENT, HOLD, STOPPED, DBA,
        "The database itself has no space left.",
        "Free or extend its disk; look for slots that keep old log.",
        states=frozenset({"53100"}),
        texts=("could not extend file", "could not write to file"),
        command=SLOTS,
    ),
    Failure(
        "TooManySessions", POSTGRESQL, TRANSIENT, WAIT, DEGRADED, DBA,
        "The server, the database or the role has no connection left.",
        "Look for leaked connections; raise the limit that the text names.",
        states=frozenset({"53300"}),
        texts=(
            "too many clients already", "remaining connection slots are reserved",
            "too many connections for", "exceeds max_wal_senders", *phrases.TOO_MANY_SESSIONS,
        ),
        command="SELECT usename, state, COUNT(*) FROM pg_stat_activity GROUP BY 1, 2;",
    ),
    Failure(
        "PrivilegeMissing", POSTGRESQL, PERMANENT, HOLD, STOPPED, DBA,
        "A right on a table or schema is missing.",
        "Grant it; the connector goes on by itself.",
        states=frozenset({"42501"}),
        texts=(
            "permission denied for table", "permission denied for schema",
            "permission denied for relation", "permission denied for database",
            "permission denied for sequence", "permission denied for view",
            "permission denied for function", "must be owner of", *phrases.NO_PRIVILEGE,
        ),
        command='GRANT USAGE ON SCHEMA "<schema>" TO <role>; '
        'GRANT SELECT ON ALL TABLES IN SCHEMA "<schema>" TO <role>;',
    ),
    Failure(
        "DatabaseMissing", CONFIG, CONFIGURATION, HOLD, STOPPED, OPERATOR,
        "The server has no database of that name.",
        "Check database.dbname in the secret.",
        states=frozenset({"3D000", "57P04"}),
        texts=('database "…" does not exist', *phrases.DATABASE_MISSING),
        command="\\l",
    ),
    Failure(
        "TableMissing", POSTGRESQL, PERMANENT, HOLD, STOPPED, DBA,
        "A table that is read is not there under that name.",
        "Check schema, table and their spelling; upper case needs quotes.",
        states=frozenset({"42P01"}),
        texts=('relation "…" does not exist', *phrases.RELATION_MISSING),
    ),
    Failure(
        "DatabaseNotOpen", POSTGRESQL, TRANSIENT, WAIT, DEGRADED, DBA,
        "The database is starting, stopping or recovering from a crash.",
        "Nothing, if that is planned. A task that began in this moment stays failed until it is "
        "restarted.",
        states=frozenset({"57P03"}),
        texts=(
            "the database system is starting up", "not yet accepting connections",
            "the database system is not accepting connections",
            "the database system is shutting down", "the database system is in recovery mode",
            "is not currently accepting connections", *phrases.NOT_READY,
        ),
        command="pg_isready",
    ),
    Failure(
        "SessionEnded", POSTGRESQL, TRANSIENT, WAIT, DEGRADED, NOBODY,
        "The server ended the session: a restart, an administrator or a crash.",
        "Nothing.",
        states=frozenset({"57P01", "57P02", "57P05", "25P03"}),
        texts=(
            "terminating connection due to administrator command",
            "terminating connection because of crash", "terminating walsender process",
            "terminating connection due to idle", *phrases.SESSION_ENDED,
        ),
    ),
    Failure(
        "QueryTimeout", POSTGRESQL, TRANSIENT, RESTART, DEGRADED, OPERATOR,
        "A statement was cancelled by its time limit or by somebody.",
        "Raise the role's statement_timeout if it comes again.",
        states=frozenset({"57014"}),
        texts=(
            "canceling statement due to statement timeout",
            "canceling statement due to user request", *phrases.STATEMENT_ENDED,
        ),
        tries=2,
    ),
    Failure(
        "LockWait", POSTGRESQL, TRANSIENT, RESTART, DEGRADED, NOBODY,
        "A lock was held by somebody else.",
        "Nothing.",
        states=frozenset({"55P03", "40P01"}),
        texts=(
            "canceling statement due to lock timeout", "deadlock detected",
            "could not obtain lock on", *phrases.LOCKED,
        ),
        tries=3,
    ),
    Failure(
        "TableChanged", POSTGRESQL, TRANSIENT, RESTART, DEGRADED, NOBODY,
        "What was read changed or had to give way on a standby.",
        "Nothing.",
        states=frozenset({"40001"}),
        texts=(
            "could not serialize access", "due to conflict with recovery",
            "cached plan must not change result type", *phrases.RECOVERY_CONFLICT,
        ),
        tries=2,
    ),
    Failure(
        "DatabaseOutOfMemory", POSTGRESQL, TRANSIENT, RESTART, DEGRADED, DBA,
        "The database ran out of memory.",
        "Have the DBA look at the memory of the host.",
        states=frozenset({"53200"}),
        texts=("error: out of memory", "fatal: out of memory"),
        tries=2,
    ),
    Failure(
        "DatabaseCorrupt", POSTGRESQL, DATA_POSITION, HOLD, DATA, DBA,
        "The database found corrupt data.",
        "Stop, and have the DBA check the server.",
        states=frozenset({"XX001", "XX002"}),
        texts=("invalid page in block",),
    ),
)

REACH: Final = (
    Failure(
        "DatabaseTls", NETWORK, PERMANENT, HOLD, STOPPED, PLATFORM,
        "The encrypted connection to the database could not be made.",
        "Check database.sslmode, the trust store and the certificate's name.",
        texts=(
            "the server does not support ssl", "pkix path building failed", "ssl error:",
            "sslhandshakeexception", "unrecognized ssl message",
            "ssl connection is required",
        ),
        within=("org.postgresql", "postgres", "psqlexception"),
    ),
    Failure(
        "DatabaseHostUnknown", NETWORK, TRANSIENT, WAIT, STOPPED, OPERATOR,
        "The name of the database's host does not resolve.",
        "When it lasts longer than 15 minutes it is no DNS outage: check the host in the secret.",
        texts=("unknownhostexception", *phrases.NO_NAME),
        within=("org.postgresql", "psqlexception", "oracle."),
    ),
    Failure(
        "DatabaseUnreachable", NETWORK, TRANSIENT, WAIT, STOPPED, PLATFORM,
        "No connection to the database within the time limit.",
        "Check route, security groups and firewall between worker and database.",
        texts=(
            "connect timed out", "connection timed out", "no route to host",
            "network is unreachable", "sockettimeoutexception", *phrases.TIMED_OUT,
        ),
        within=("org.postgresql", "psqlexception", "oracle."),
    ),
    Failure(
        "DatabaseDown", NETWORK, TRANSIENT, WAIT, STOPPED, DBA,
        "Nothing listens at the database's address.",
        "Check that the database is up, then host and port in the secret.",
        states=frozenset({"08001", "08004"}),
        texts=(
            "the postmaster is accepting tcp/ip connections", "connection refused",
            "connectexception: connection", "the connection attempt failed", *phrases.REFUSED,
            *phrases.UNREACHABLE,
        ),
        within=(
            "org.postgresql", "psqlexception", "oracle.", "debezium", "jdbc", "postmaster",
            *phrases.UNREACHABLE,
        ),
        command="pg_isready -h <host> -p <port>",
    ),
    Failure(
        "ConnectionLost", NETWORK, TRANSIENT, WAIT, DEGRADED, NOBODY,
        "The connection to the database was lost.",
        "Nothing.",
        states=frozenset({"08006", "08003", "08000", "08007", "08P01"}),
        texts=(
            "database connection failed when", "i/o error occurred while sending to the backend",
            "this connection has been closed", "unable to close connection properly",
            "connection reset", "broken pipe", "stream closed", "socket closed",
            "java.io.eofexception", "java.net.socketexception", *phrases.DROPPED,
        ),
        within=("org.postgresql", "psqlexception", "oracle.", "debezium", "08006", "08003"),
    ),
)

WRAPPERS: Final = (
    Failure(
        "StartedTooEarly", POSTGRESQL, TRANSIENT, RESTART, STOPPED, NOBODY,
        "The task began while the database could not answer yet, and does not try again by itself.",
        "Nothing, unless it comes again: then look at the database.",
        texts=("couldn't get timestamp utils", "unable to get last available log position"),
        tries=3,
    ),
    Failure(
        "DatabaseNotReadable", POSTGRESQL, FailureKind.UNKNOWN, HOLD, STOPPED, DBA,
        "The first question to the database failed; why is not in the text.",
        "Look for the last `Caused by` in the worker's log, or try the login by hand.",
        texts=("couldn't obtain encoding for database", "couldn't obtain database"),
        wrapper=True,
    ),
)
