"""What the machine under the worker says: secrets on its volume, Java, disk and network."""

from __future__ import annotations

from typing import Final

from controller.core.failures import phrases
from controller.core.failures.row import Actor, Failure, FailureKind, Severity, System, Treatment

JVM, SECRET, NETWORK = System.JVM, System.SECRET, System.NETWORK
TRANSIENT, PERMANENT = FailureKind.TRANSIENT, FailureKind.PERMANENT
IMAGE, CONFIGURATION = FailureKind.IMAGE, FailureKind.CONFIGURATION
WAIT, RESTART, HOLD = Treatment.WAIT, Treatment.RESTART, Treatment.HOLD
STOPPED, DEGRADED = Severity.STOPPED, Severity.DEGRADED
NOBODY, OPERATOR, PLATFORM = Actor.NOBODY, Actor.OPERATOR, Actor.PLATFORM

# A row begins with its six words on one line.
# fmt: off
SECRETS: Final = (
    Failure(
        "SecretUnresolved", SECRET, CONFIGURATION, RESTART, STOPPED, OPERATOR,
        "A reference to a secret was not replaced: its file was not there when the task began. The "
        "reference itself was sent as user or password, so nothing is said of the real ones.",
        "Nothing at first: the files are written and the task restarted once. If it comes again, "
        "compare the field's name in the manifest with the secret.",
        texts=(
            "${directory:", "${file:", "${env:", "${secret", "${aws", "${vault:",
            "could not read properties from file", "could not read file /",
            "could not read directory", "nosuchfileexception: /run/wms-secrets",
            "config provider…not found",
        ),
        tries=1,
    ),
    Failure(
        "SecretUnresolved", SECRET, CONFIGURATION, RESTART, STOPPED, OPERATOR,
        "The files of a secret were not there, or not allowed, when the task began.",
        "Nothing at first: the files are written and the task restarted once. If it comes again, "
        "check allowed.paths of the worker.",
        texts=(
            "the path…is not a directory", "could not list directory", "allowed.paths",
            "is not within the allowed",
        ),
        tries=1,
    ),
    Failure(
        "SecretMissing", SECRET, CONFIGURATION, HOLD, STOPPED, OPERATOR,
        "Secrets Manager has no such secret, or it is marked for deletion.",
        "Create it under the stage's path or under the default one.",
        texts=(
            "can't find the specified secret", "marked for deletion",
            "can't find the specified secret value for",
        ),
        command="aws secretsmanager describe-secret --secret-id <path>",
    ),
    Failure(
        "SecretForbidden", SECRET, PERMANENT, HOLD, STOPPED, PLATFORM,
        "The secret may not be read or decrypted.",
        "Grant secretsmanager:GetSecretValue, and kms:Decrypt on its key.",
        texts=(
            "secretsmanager:getsecretvalue", "decryptionfailure", "kms:decrypt", "kmsaccessdenied",
        ),
    ),
)

JAVA: Final = (
    Failure(
        "OutOfMemory", JVM, IMAGE, HOLD, STOPPED, PLATFORM,
        "The worker ran out of memory.",
        "Give the container and -Xmx more, or let less be held: max.queue.size, "
        "snapshot.fetch.size, long open transactions. Set -XX:+ExitOnOutOfMemoryError: without it "
        "the worker goes on lame.",
        texts=(
            "outofmemoryerror", "unable to create native thread", "gc overhead limit exceeded",
            "java heap space", "oomkilled", "exit code 137", "exit code: 137",
            "out of memory: kill", "outofmemory: container",
        ),
    ),
    Failure(
        "ClassMissing", JVM, IMAGE, HOLD, STOPPED, PLATFORM,
        "A class or driver is missing from the image, or of the wrong version.",
        "Build the image from the lock of its jars and deploy it.",
        texts=(
            "noclassdeffounderror", "classnotfoundexception", "no suitable driver",
            "nosuchmethoderror", "nosuchfielderror", "abstractmethoderror",
            "unsupportedclassversionerror", "exceptionininitializererror", "unsatisfiedlinkerror",
            "incompatibleclasschangeerror", "could not find or load main class",
        ),
    ),
    Failure(
        "ImageUnavailable", JVM, IMAGE, HOLD, STOPPED, PLATFORM,
        "The worker's image could not be fetched or started.",
        "Check the image's name and digest, the registry's rights and the way to it.",
        texts=("cannotpullcontainererror", "cannotstartcontainererror", "imagepullbackoff"),
    ),
    Failure(
        "XmlParserClash", JVM, IMAGE, HOLD, STOPPED, PLATFORM,
        "Two XML parsers are on the class path.",
        "Set -Djavax.xml.parsers.SAXParserFactory to the one of the JDK.",
        texts=("external-general-entities",),
    ),
    Failure(
        "WorkerDiskFull", JVM, IMAGE, HOLD, STOPPED, PLATFORM,
        "The worker's disk is full or read-only.",
        "Give the ECS task more ephemeral storage.",
        texts=("no space left on device", "read-only file system", *phrases.DISK_FULL),
    ),
    Failure(
        "TooManyFiles", JVM, IMAGE, HOLD, STOPPED, PLATFORM,
        "The worker has too many files or connections open.",
        "Raise the container's nofile limit.",
        texts=("too many open files",),
    ),
    Failure(
        "FileForbidden", JVM, IMAGE, HOLD, STOPPED, PLATFORM,
        "The worker may not read or write a file.",
        "Check owner and mode of the shared volume.",
        texts=("java.nio.file.accessdeniedexception", "(permission denied)"),
    ),
    Failure(
        "StackOverflow", JVM, IMAGE, HOLD, STOPPED, PLATFORM,
        "The worker's stack overflowed.",
        "Raise -Xss, or report it with the statement at fault.",
        texts=("stackoverflowerror",),
    ),
)

REACH: Final = (
    Failure(
        "HostUnknown", NETWORK, TRANSIENT, WAIT, STOPPED, OPERATOR,
        "A host's name does not resolve.",
        "When it lasts longer than 15 minutes it is no DNS outage: check the name.",
        texts=(
            "unknownhostexception", "name or service not known", "temporary failure in name",
            "nodename nor servname", "no such host is known", "getaddrinfo failed",
            *phrases.NO_NAME,
        ),
    ),
    Failure(
        "HostUnreachable", NETWORK, TRANSIENT, WAIT, STOPPED, PLATFORM,
        "A host does not answer.",
        "Check route, security groups and firewall.",
        texts=(
            "connect timed out", "connection timed out", "no route to host", "noroutetohost",
            "network is unreachable", "sockettimeoutexception", "read timed out",
            *phrases.TIMED_OUT,
        ),
    ),
    Failure(
        "ConnectionRefused", NETWORK, TRANSIENT, WAIT, STOPPED, PLATFORM,
        "Nothing listens at an address.",
        "Check that what should be there is up.",
        texts=(
            "connection refused", "java.net.connectexception", *phrases.REFUSED,
            *phrases.UNREACHABLE,
        ),
    ),
    Failure(
        "ConnectionDropped", NETWORK, TRANSIENT, WAIT, DEGRADED, NOBODY,
        "A connection was lost.",
        "Nothing.",
        texts=(
            "connection reset", "broken pipe", "java.io.eofexception", "java.net.socketexception",
            "closedchannelexception",
            "sockettimeout", "connection closed", *phrases.DROPPED,
        ),
    ),
)
