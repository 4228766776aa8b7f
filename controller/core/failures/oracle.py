"""What Oracle and its driver say, by the code of the message, which no language changes."""

from __future__ import annotations

from typing import Final

from controller.core.failures.phrases import DROPPED
from controller.core.failures.row import Actor, Failure, FailureKind, Severity, System, Treatment

ORACLE, NETWORK, CONFIG = System.ORACLE, System.NETWORK, System.CONFIG
TRANSIENT, PERMANENT = FailureKind.TRANSIENT, FailureKind.PERMANENT
CONFIGURATION, IMAGE = FailureKind.CONFIGURATION, FailureKind.IMAGE
DATA_POSITION, CREDENTIAL = FailureKind.DATA_POSITION, FailureKind.CREDENTIAL
WAIT, RESTART, HOLD, STOP = Treatment.WAIT, Treatment.RESTART, Treatment.HOLD, Treatment.STOP
DATA, STOPPED, DEGRADED = Severity.DATA, Severity.STOPPED, Severity.DEGRADED
NOBODY, OPERATOR = Actor.NOBODY, Actor.OPERATOR
DBA, PLATFORM = Actor.DBA, Actor.PLATFORM

# A row begins with its six words on one line.
# fmt: off
GRANTS: Final = (
    "GRANT CREATE SESSION, SET CONTAINER, FLASHBACK ANY TABLE, SELECT ANY TABLE, "
    "SELECT_CATALOG_ROLE, EXECUTE_CATALOG_ROLE, SELECT ANY TRANSACTION, LOGMINING, CREATE TABLE, "
    "LOCK ANY TABLE, CREATE SEQUENCE TO <user> CONTAINER=ALL;"
)
RECOVER: Final = (
    "Decide with the owner of the data: restore the archived logs and restart (nothing is lost); "
    "or take a new snapshot, which loses the deletes of the gap. Nothing is done without that word."
)
OLDEST: Final = (
    "SELECT MIN(first_change#) FROM v$archived_log WHERE deleted = 'NO' AND name IS NOT NULL;"
)

CREDENTIALS: Final = (
    Failure(
        "DatabaseLinkRefused", ORACLE, PERMANENT, HOLD, STOPPED, DBA,
        "A database link inside the source database could not log in; our own login was good.",
        "Repair the link, or keep captured tables and triggers from using it.",
        codes=frozenset({1017, 28000, 28001, 12541, 12154}),
        within=("ora-02063",),
    ),
    Failure(
        "AccountLocked", ORACLE, CREDENTIAL, STOP, STOPPED, DBA,
        "The account of the connector is locked: each further login prolongs it.",
        "Find who tried wrong passwords, unlock the account, then release the connector.",
        codes=frozenset({28000}),
        texts=("the account is locked",),
        command="ALTER USER <user> ACCOUNT UNLOCK;",
    ),
    Failure(
        "PasswordExpired", ORACLE, CREDENTIAL, STOP, STOPPED, DBA,
        "The password of the connector's account has expired.",
        "Set a new password and write the same into the secret; give the account a profile "
        "without password expiry.",
        codes=frozenset({28001}),
        texts=("the password has expired",),
        command="ALTER USER <user> IDENTIFIED BY <password>;",
    ),
    Failure(
        "PasswordMissing", System.SECRET, CREDENTIAL, STOP, STOPPED, OPERATOR,
        "The login was sent without a password.",
        "See that the secret has the field the manifest names, and that it is not empty.",
        codes=frozenset({1005}),
        texts=("null password given", "dpy-4001"),
    ),
    Failure(
        "LoginRefused", ORACLE, CREDENTIAL, STOP, STOPPED, OPERATOR,
        "The database refused the user name or the password.",
        "Compare the secret with the account. After both agree, a new version of the secret or "
        "`wmsctl release` lets the connector try once more.",
        codes=frozenset({1017}),
        texts=("invalid username/password", "invalid credential or not authorized"),
        command="SELECT username, account_status FROM dba_users WHERE username = '<USER>';",
    ),
    Failure(
        "LoginNotAllowed", ORACLE, PERMANENT, HOLD, STOPPED, DBA,
        "The password is right, but the account may not open a session.",
        "Grant the session, for all containers if the account is a common one.",
        codes=frozenset({1045}),
        command="GRANT CREATE SESSION TO <user> CONTAINER=ALL;",
    ),
    Failure(
        "PasswordExpiring", ORACLE, CREDENTIAL, WAIT, DEGRADED, OPERATOR,
        "The password still works and will expire soon.",
        "Rotate the secret before that day.",
        codes=frozenset({28002, 28011}),
    ),
    Failure(
        "LoginProtocolRefused", ORACLE, PERMANENT, HOLD, STOPPED, DBA,
        "Driver and database have no way of authenticating in common.",
        "Set the password again, so that a verifier of today's kind is stored, or let the server "
        "accept the driver's version (SQLNET.ALLOWED_LOGON_VERSION_SERVER).",
        codes=frozenset({28040, 3134, 12638}),
        texts=("dpy-3010", "dpy-3015", "no matching authentication protocol"),
    ),
)

POSITION: Final = (
    Failure(
        "OffsetScnGone", ORACLE, DATA_POSITION, HOLD, DATA, DBA,
        "The redo that the connector must read next is gone from the database.",
        RECOVER,
        texts=(
            "do not contain the offset scn", "archive log containing offset scn…has been deleted",
        ),
        command=OLDEST,
    ),
    Failure(
        "OffsetScnNotFound", ORACLE, DATA_POSITION, HOLD, DATA, DBA,
        "No log holds the place to read on from: it is gone, or the archiver is slow.",
        "Ask v$archived_log first. If the log is there by now, a restart goes on without loss; if "
        "not: " + RECOVER,
        texts=("none of the log files contain offset scn",),
        command=OLDEST,
    ),
    Failure(
        "DatabaseReset", ORACLE, DATA_POSITION, HOLD, DATA, DBA,
        "The database was restored, reset or replaced: its redo no longer continues ours.",
        "Ask what was restored, and to when. " + RECOVER,
        codes=frozenset({1346, 326, 1190, 1281, 1294, 1324}),
        command="SELECT resetlogs_change#, resetlogs_time, dbid FROM v$database;",
    ),
    Failure(
        "ArchivedLogUnreadable", ORACLE, DATA_POSITION, HOLD, DATA, DBA,
        "An archived log that is still needed cannot be opened: moved, deleted or forbidden.",
        "Bring the file back, or give the database access to it; then restart the task.",
        codes=frozenset({308, 27037, 1285}),
        command="SELECT name, sequence#, status FROM v$archived_log ORDER BY first_change#;",
    ),
    Failure(
        "RedoCorrupt", ORACLE, DATA_POSITION, HOLD, DATA, DBA,
        "A redo or data block is corrupt.",
        "Have the DBA check the file; restore it. The connector cannot read past it.",
        codes=frozenset({353, 354, 1578, 368, 399}),
    ),
    Failure(
        "LogStreamCorrupt", ORACLE, TRANSIENT, WAIT, DATA, DBA,
        "LogMiner met corruption in the stream of logs; the connector tries again.",
        "When it lasts longer than 15 minutes, have the DBA check the newest logs.",
        codes=frozenset({1343}),
    ),
    Failure(
        "LogFileMissing", ORACLE, TRANSIENT, WAIT, STOPPED, DBA,
        "A log between the offset and now is missing; often it is archived just then.",
        "When it lasts longer than 30 minutes, look for the log and for deleting jobs. " + RECOVER,
        codes=frozenset({1291}),
        command=OLDEST,
    ),
    Failure(
        "RedoThreadInconsistent", ORACLE, TRANSIENT, WAIT, DEGRADED, NOBODY,
        "The list of logs changed while it was read; the connector reads it again.",
        "Nothing. If it ends in OffsetScnNotFound, raise "
        "internal.log.mining.log.query.max.retries.",
        texts=("redo thread…is inconsistent",),
    ),
    Failure(
        "LogSequenceWrong", ORACLE, TRANSIENT, WAIT, DEGRADED, NOBODY,
        "A log was switched while it was read.",
        "Nothing.",
        codes=frozenset({310}),
    ),
    Failure(
        "LogFileBusy", ORACLE, TRANSIENT, WAIT, DEGRADED, DBA,
        "A log file could not be opened just now.",
        "When it lasts longer than 30 minutes, check the file and its permissions.",
        codes=frozenset({1284}),
    ),
    Failure(
        "LogMinerDictionary", ORACLE, TRANSIENT, WAIT, DEGRADED, NOBODY,
        "LogMiner's dictionary is not built, not whole or locked; it is built again.",
        "Nothing at first. With log.mining.strategy=redo_log_catalog, check the size of the redo.",
        codes=frozenset({1333, 1371, 1336, 1327, 1332}),
        texts=("failed to exclusively lock system dictionary",),
    ),
    Failure(
        "LogMinerSession", ORACLE, TRANSIENT, RESTART, STOPPED, DBA,
        "The LogMiner session was given the wrong set of logs.",
        "If it comes again after two restarts, have the DBA look at v$logmnr_logs.",
        codes=frozenset({1280, 1289, 1290, 1292, 1295, *range(1304, 1310), 1323, 1353}),
        tries=2,
    ),
    Failure(
        "ArchiverStuck", ORACLE, PERMANENT, WAIT, STOPPED, DBA,
        "The database cannot archive its redo and hangs: the recovery area is full.",
        "Free the recovery area now, or enlarge it. The connector goes on by itself.",
        codes=frozenset({257, 16038, 19809, 19815, 19804}),
        command="SELECT name, space_limit, space_used FROM v$recovery_file_dest;",
    ),
)

DATABASE: Final = (
    Failure(
        "SupplementalLoggingOff", ORACLE, PERMANENT, HOLD, STOPPED, DBA,
        "Minimal supplemental logging is off, so that changes cannot be read from the redo.",
        "Turn it on (on RDS by rdsadmin_util.alter_supplemental_logging), then restart the task.",
        codes=frozenset({1354}),
        texts=("supplemental logging not properly configured",),
        command="ALTER DATABASE ADD SUPPLEMENTAL LOG DATA;",
    ),
    Failure(
        "SupplementalLoggingLost", ORACLE, PERMANENT, HOLD, DATA, DBA,
        "Supplemental log data that was there is missing in newer redo.",
        "Turn it on again and find out when it was off: changes of that time are incomplete.",
        codes=frozenset({1347}),
        command="ALTER DATABASE ADD SUPPLEMENTAL LOG DATA;",
    ),
    Failure(
        "ColumnsNotLogged", ORACLE, PERMANENT, HOLD, DATA, DBA,
        "A captured table logs its changed columns only: events lack the others.",
        "Log all columns of the table. Rows changed before stay incomplete.",
        texts=("not configured with supplemental logging",),
        command="ALTER TABLE <schema>.<table> ADD SUPPLEMENTAL LOG DATA (ALL) COLUMNS;",
        silent=True,
    ),
    Failure(
        "ArchiveLogOff", ORACLE, PERMANENT, HOLD, STOPPED, DBA,
        "The database is not in ARCHIVELOG mode.",
        "Switch it on (on RDS by a backup retention above 0), then restart the task.",
        codes=frozenset({1325}),
        texts=("not configured to use a archive log log_mode",),
        command="ALTER DATABASE ARCHIVELOG; -- in mount state",
    ),
    Failure(
        "NoArchiveDestination", ORACLE, PERMANENT, HOLD, STOPPED, DBA,
        "No archive destination is local and valid, or it holds no log.",
        "Name the right one in archive.destination.name, or lengthen the retention.",
        texts=(
            "local and valid archive destination", "archive destinations are local and valid",
            "no archive logs are present",
        ),
        command="SELECT dest_name, status, type FROM v$archive_dest_status;",
    ),
    Failure(
        "FlushTableRefused", ORACLE, PERMANENT, HOLD, STOPPED, DBA,
        "The connector may not make or fill its small flush table.",
        "Grant CREATE TABLE and a quota on the account's own tablespace.",
        codes=frozenset({1950, 1536}),
        texts=("failed to create flush table",),
        command="ALTER USER <user> QUOTA 25M ON <tablespace>;",
    ),
    Failure(
        "DatabaseDiskFull", ORACLE, PERMANENT, HOLD, STOPPED, DBA,
        "The database itself has no space left.",
        "Extend the tablespace, undo or disk of the database, then restart the task.",
        codes=frozenset({*range(1650, 1660), 1683, 1688, 1691, 30036, 27072, 19502}),
    ),
    Failure(
        "DatabaseReadOnly", ORACLE, PERMANENT, HOLD, STOPPED, DBA,
        "The database is open read-only: a standby, or the roles were switched.",
        "Point the secret to the primary, or set log.mining.read.only.",
        codes=frozenset({16000, 16004, 10456}),
        command="SELECT open_mode, database_role FROM v$database;",
    ),
    Failure(
        "KeystoreClosed", ORACLE, PERMANENT, HOLD, STOPPED, DBA,
        "The keystore of the database's encryption is closed: encrypted data cannot be read.",
        "Open it, or make it open by itself; then restart the task.",
        codes=frozenset({28365, 28368, 46658}),
        command="ADMINISTER KEY MANAGEMENT SET KEYSTORE OPEN IDENTIFIED BY <password>;",
    ),
    Failure(
        "TimeZoneUnknown", CONFIG, CONFIGURATION, HOLD, STOPPED, OPERATOR,
        "The database does not know the worker's time zone.",
        "Set driver.oracle.jdbc.timezoneAsRegion to false, or the worker's TZ to a known one.",
        codes=frozenset({1882, 12705}),
    ),
    Failure(
        "OverflowTable", CONFIG, CONFIGURATION, HOLD, STOPPED, OPERATOR,
        "A captured name is the overflow part of an index-organised table.",
        "Take it out of the list of tables.",
        codes=frozenset({25191}),
    ),
    Failure(
        "DriverCharset", ORACLE, IMAGE, HOLD, STOPPED, PLATFORM,
        "The driver lacks the database's character set.",
        "Put orai18n beside the driver in the image.",
        codes=frozenset({17056}),
    ),
    Failure(
        "DriverUnfit", ORACLE, IMAGE, HOLD, STOPPED, PLATFORM,
        "The driver does not offer what the connector calls.",
        "Use the driver that comes with the connector.",
        codes=frozenset({17023}),
    ),
    Failure(
        "PrivilegeMissing", ORACLE, PERMANENT, HOLD, STOPPED, DBA,
        "A right is missing, or a table is not there under that name.",
        "Compare the account's rights and the spelling of schema and table, then restart the task.",
        codes=frozenset({1031, 942, 41900, 1749, 904}),
        command=GRANTS,
    ),
    Failure(
        "ContainerClosed", ORACLE, TRANSIENT, WAIT, STOPPED, DBA,
        "The pluggable database is not open.",
        "Open it, and save that state. The connector goes on by itself.",
        codes=frozenset({65054, 65024}),
        command="ALTER PLUGGABLE DATABASE <pdb> OPEN; ALTER PLUGGABLE DATABASE <pdb> SAVE STATE;",
    ),
    Failure(
        "ContainerWrong", CONFIG, CONFIGURATION, HOLD, STOPPED, OPERATOR,
        "The database or pluggable database named in the config is not there.",
        "Check database.dbname (the container) and database.pdb.name.",
        codes=frozenset({65011, 65040, 65090, 65096}),
        command="SELECT name, open_mode FROM v$pdbs;",
    ),
    Failure(
        "MemoryLimit", ORACLE, TRANSIENT, RESTART, DEGRADED, DBA,
        "The database's memory limit ended the session.",
        "Set log.mining.session.max.ms, so that sessions end before they grow this big.",
        codes=frozenset({4036, 4031, 1341}),
        tries=3,
    ),
    Failure(
        "DatabaseOutOfMemory", ORACLE, TRANSIENT, WAIT, DEGRADED, DBA,
        "The database's process ran out of memory; the connector tries again.",
        "When it lasts, have the DBA look at the memory of the host.",
        codes=frozenset({4030}),
    ),
    Failure(
        "SnapshotTooOld", ORACLE, PERMANENT, HOLD, STOPPED, DBA,
        "The snapshot took longer than the database keeps old rows.",
        "Lengthen UNDO_RETENTION and the undo tablespace, then restart: the snapshot begins again "
        "and fails again at the same size otherwise. Or snapshot.mode=no_data and incremental.",
        codes=frozenset({1555, 22924}),
        command="ALTER SYSTEM SET UNDO_RETENTION = <seconds>;",
    ),
    Failure(
        "ScnUnavailable", ORACLE, TRANSIENT, RESTART, STOPPED, DBA,
        "The database does not know the moment at which the snapshot was to look.",
        "If it comes again, have the DBA look at flashback and undo.",
        codes=frozenset({8180, 8181, 8176}),
        tries=1,
    ),
    Failure(
        "TableChanged", ORACLE, TRANSIENT, RESTART, DEGRADED, NOBODY,
        "A table was altered while the snapshot read it.",
        "Nothing. To ride it out: snapshot.database.errors.max.retries.",
        codes=frozenset({1466, 8103, 1410}),
        tries=2,
    ),
    Failure(
        "QueryTimeout", ORACLE, TRANSIENT, RESTART, DEGRADED, OPERATOR,
        "A query was cancelled, as a rule by its own time limit.",
        "Raise database.query.timeout.ms if it comes again.",
        codes=frozenset({1013}),
        tries=2,
    ),
    Failure(
        "LockWait", ORACLE, TRANSIENT, RESTART, DEGRADED, NOBODY,
        "A lock was held by somebody else.",
        "Nothing. If it comes again: snapshot.locking.mode=none.",
        codes=frozenset({54, 30006, 4021, 4020, 60, 2049}),
        tries=3,
    ),
    Failure(
        "LogMinerInternal", ORACLE, TRANSIENT, WAIT, DEGRADED, NOBODY,
        "A known internal error of LogMiner, which passes.",
        "Nothing.",
        texts=("krvrdgetuid", "krvrdccs10", "krvrdccs30"),
        within=("ora-00600", "ora-600"),
    ),
    Failure(
        "OracleInternal", ORACLE, PERMANENT, HOLD, STOPPED, DBA,
        "An internal error of the database.",
        "Open a case with Oracle, with the arguments in the brackets and the trace file.",
        codes=frozenset({600, 7445, 603}),
    ),
    Failure(
        "TooManySessions", ORACLE, TRANSIENT, WAIT, DEGRADED, DBA,
        "The database or the account has no session left.",
        "Look for leaked sessions; raise sessions, processes or SESSIONS_PER_USER.",
        codes=frozenset({18, 20, 2391, 12516, 12518, 12519, 12520}),
        command="SELECT username, program, COUNT(*) FROM v$session GROUP BY username, program;",
    ),
    Failure(
        "TooManyCursors", ORACLE, TRANSIENT, RESTART, DEGRADED, DBA,
        "The session has no cursor left.",
        "If it comes again, raise open_cursors, and report it to Debezium as a leak.",
        codes=frozenset({1000}),
        command="ALTER SYSTEM SET open_cursors = <number>;",
        tries=3,
    ),
    Failure(
        "SessionLimit", ORACLE, TRANSIENT, RESTART, DEGRADED, DBA,
        "The account's profile ended an idle or long session.",
        "Give the account a profile without idle and connect time.",
        codes=frozenset({2396, 2399, 2392, 2394}),
        tries=3,
        command="ALTER PROFILE <profile> LIMIT IDLE_TIME UNLIMITED CONNECT_TIME UNLIMITED;",
    ),
)

REACH: Final = (
    Failure(
        "ServiceUnknown", ORACLE, TRANSIENT, WAIT, STOPPED, DBA,
        "The listener is there and does not know the service: the database starts, or the name is "
        "wrong.",
        "When it lasts longer than 15 minutes, compare the name with what the listener knows.",
        codes=frozenset({12514}),
        texts=("dpy-6001",),
        command="lsnrctl services",
    ),
    Failure(
        "SidUnknown", CONFIG, CONFIGURATION, HOLD, STOPPED, OPERATOR,
        "The listener does not know the SID; pluggable databases have a service instead.",
        "Use database.url with //host:port/service.",
        codes=frozenset({12505}),
        texts=("dpy-6003",),
        command="jdbc:oracle:thin:@//<host>:1521/<service>",
    ),
    Failure(
        "DatabaseNotOpen", ORACLE, TRANSIENT, WAIT, DEGRADED, DBA,
        "The database is starting, stopping or in maintenance.",
        "Nothing, if that is planned: the connector goes on by itself.",
        codes=frozenset(
            {12526, 12527, 12528, 1033, 1034, 1089, 1090, 1092, 1109, 1219, 27101, 1507, 1035}
        ),
        texts=("shutdown or close in progress",),
        command="SELECT status, database_status FROM v$instance;",
    ),
    Failure(
        "DatabaseTls", NETWORK, PERMANENT, HOLD, STOPPED, PLATFORM,
        "The encrypted connection to the database could not be made.",
        "Check wallet or trust store, the certificate's name and its last day.",
        codes=frozenset({28759, 29024, 28860, 17957, 28864, 29003, 17967, 28858}),
        texts=("pkix path building failed", "sslhandshakeexception", "certificate_unknown",
            "unrecognized ssl message"),
        within=("oracle.net", "oracle.jdbc", "ora-"),
    ),
    Failure(
        "DatabaseEncryption", NETWORK, CONFIGURATION, HOLD, STOPPED, OPERATOR,
        "Driver and database do not agree on native network encryption.",
        "Set driver.oracle.net.encryption_client and the list of algorithms as the server wants.",
        codes=frozenset({12650, 12660, 12599}),
    ),
    Failure(
        "DatabaseHostUnknown", NETWORK, TRANSIENT, WAIT, STOPPED, OPERATOR,
        "The name of the database's host does not resolve.",
        "When it lasts longer than 15 minutes it is no DNS outage: check the host in the secret.",
        codes=frozenset({17868, 12545, 12154}),
        texts=("unknown host specified",),
    ),
    Failure(
        "NoListener", NETWORK, TRANSIENT, WAIT, STOPPED, DBA,
        "Nothing listens at the database's address.",
        "Check that listener and host are up, then host and port in the secret.",
        codes=frozenset({12541}),
        texts=("tns:no listener", "cannot connect. no listener", "ns main err code 12541"),
        command="lsnrctl status",
    ),
    Failure(
        "DatabaseUnreachable", NETWORK, TRANSIENT, WAIT, STOPPED, PLATFORM,
        "No connection to the database within the time limit.",
        "Check route, security groups and firewall between worker and database.",
        codes=frozenset(
            {12170, 12530, 12535, 12543, 12606, 12608, 12609, 17820, 12560, 12564, 3136}
        ),
        texts=("network adapter could not establish", "dpy-6005", "dpy-6000"),
    ),
    Failure(
        "ConnectionLost", NETWORK, TRANSIENT, WAIT, DEGRADED, NOBODY,
        "The connection to the database was lost.",
        "Nothing. If it comes every few minutes, a firewall drops idle connections: use "
        "database.url with (ENABLE=broken).",
        codes=frozenset(
            {3113, 3114, 3135, 28, 31, 1012, 12537, 12547, 12570, 12571, 12637, 12569, 12592}
            | {17002, 17008, 17410, 17800, 17902, 17904, 25408, 25401, 25402, 2068}
        ),
        texts=(
            "no more data to read from socket", "closed connection", "dpy-4011", "dpy-4024",
            "got minus one from a read call", "sqlrecoverableexception", *DROPPED,
        ),
        within=("oracle.", "ora-", "dpy-", "sqlrecoverableexception", "no more data to read"),
    ),
    Failure(
        "LoginTriggerRefused", ORACLE, PERMANENT, HOLD, STOPPED, DBA,
        "A logon trigger of the database turned the session away.",
        "Exempt the connector's account from the trigger.",
        codes=frozenset({4088, *range(20000, 21000)}),
        within=("ora-00604", "logon"),
        command="SELECT owner, trigger_name FROM dba_triggers "
        "WHERE triggering_event LIKE 'LOGON%';",
    ),
    Failure(
        "RecursiveSql", ORACLE, TRANSIENT, WAIT, DEGRADED, DBA,
        "A statement that the database runs for its own use failed; why is not in the text.",
        "When it lasts, ask the DBA for the error beside ORA-00604 in the alert log.",
        codes=frozenset({604, 1001, 26653, 25303}),
    ),
)
