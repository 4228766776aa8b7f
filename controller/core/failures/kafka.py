"""What Kafka and its clients say, mostly by the class of the exception."""

from __future__ import annotations

from typing import Final

from controller.core.failures.row import Actor, Failure, FailureKind, Severity, System, Treatment

KAFKA, CONFIG, NETWORK = System.KAFKA, System.CONFIG, System.NETWORK
TRANSIENT, PERMANENT = FailureKind.TRANSIENT, FailureKind.PERMANENT
CONFIGURATION, IMAGE = FailureKind.CONFIGURATION, FailureKind.IMAGE
WAIT, RESTART, HOLD, STOP = Treatment.WAIT, Treatment.RESTART, Treatment.HOLD, Treatment.STOP
DATA, STOPPED, DEGRADED = Severity.DATA, Severity.STOPPED, Severity.DEGRADED
NOBODY, OPERATOR, PLATFORM = Actor.NOBODY, Actor.OPERATOR, Actor.PLATFORM

# A row begins with its six words on one line.
# fmt: off
# Where Connect keeps its own state; a topic of these missing is the worker's end, not a table's.
INTERNAL: Final = tuple(
    text.format(topic)
    for topic in ("mgmt.connect.", "connect-configs", "connect-offsets", "connect-status")
    for text in (
        "{{{}…=unknown_topic",
        "partition {}…unknown_topic",
        "partition {}…unknowntopic",
        "unknown topic or partition error in fetch for partition {}",
        "topic {}…not present in metadata after",
    )
)

FIRST: Final = (
    Failure(
        "WrongSecurityProtocol", CONFIG, CONFIGURATION, HOLD, STOPPED, OPERATOR,
        "A client speaks another protocol than the port it reached: plain text to a TLS port, or "
        "the other way round. It can look like a lack of memory.",
        "Make security.protocol and port agree (MSK: 9098 IAM, 9094 TLS, 9092 plain), for the "
        "schema history's own producer and consumer too.",
        texts=("outofmemoryerror",),
        within=("org.apache.kafka.common.network.networkreceive",),
    ),
    Failure(
        "TooManyConnects", KAFKA, TRANSIENT, WAIT, DEGRADED, NOBODY,
        "MSK takes only so many new IAM connections a second; this one came too early.",
        "Nothing. If it lasts: reconnect.backoff.ms of at least 1000.",
        texts=("too many connects",),
    ),
    Failure(
        "PrincipalChanged", KAFKA, PERMANENT, RESTART, DEGRADED, PLATFORM,
        "The connection cannot go on under another IAM role than it began with.",
        "Replace the worker, so that it begins anew with one role.",
        texts=("cannot change principals during re-authentication",),
        tries=1,
    ),
    Failure(
        "IamLibraryMissing", KAFKA, IMAGE, HOLD, STOPPED, PLATFORM,
        "The worker lacks the library for MSK's IAM logins, or does not see it.",
        "Put aws-msk-iam-auth on the worker's class path (not into a plugin's folder) and deploy.",
        texts=(
            "iamclientcallbackhandler", "iamloginmodule", "iamoauthbearerlogincallbackhandler",
            "unsupported callback type",
        ),
    ),
    Failure(
        "AwsCredentialsMissing", KAFKA, PERMANENT, HOLD, STOPPED, PLATFORM,
        "The worker found no AWS credentials to sign its login with, or they are out of date.",
        "Check the ECS task's role, the way to the credentials endpoint, and the clock.",
        texts=(
            "failed to find aws iam credentials", "unable to load credentials from any",
            "unable to load aws credentials", "expiredtokenexception", "security token…expired",
            "security token…invalid", "signature expired", "unrecognizedclientexception",
            "unable to locate credentials", "169.254.170.2", "unable to load an aws",
            "invalidsignatureexception", "signaturedoesnotmatch",
        ),
    ),
)

ACCESS: Final = (
    Failure(
        "WrongSecurityProtocol", CONFIG, CONFIGURATION, HOLD, STOPPED, OPERATOR,
        "A client speaks another protocol or SASL mechanism than the broker at that port.",
        "Make security.protocol, sasl.mechanism and port agree (MSK: 9098 IAM, 9094 TLS, 9092 "
        "plain), for the schema history's own producer and consumer too.",
        texts=(
            "invalidreceiveexception", "unexpected handshake request", "illegalsaslstateexception",
            "unsupportedsaslmechanismexception", "not a tls", "unrecognized ssl message",
            "server may be expecting a different protocol", "unexpected kafka request of type",
            "unsupported or unrecognized ssl message",
        ),
    ),
    Failure(
        "KafkaLoginRefused", KAFKA, FailureKind.CREDENTIAL, HOLD, STOPPED, PLATFORM,
        "Kafka refused the user name or the password.",
        "Compare the worker's Kafka secret with the user of the cluster.",
        texts=(
            "invalid credentials with sasl", "authentication failed: invalid username or password",
            "invalid username or password", "authentication failed…scram",
        ),
        within=("kafka", "sasl"),
    ),
    Failure(
        "KafkaAccessDenied", KAFKA, PERMANENT, HOLD, STOPPED, PLATFORM,
        "Kafka let the client not in.",
        "Check the IAM policy (kafka-cluster:Connect), the port and the clock; then restart.",
        texts=("saslauthenticationexception", "]: access denied", "sasl authentication failed"),
    ),
    Failure(
        "KafkaTls", KAFKA, PERMANENT, HOLD, STOPPED, PLATFORM,
        "The encrypted connection to Kafka could not be made.",
        "Check the trust store, the certificate's name and its last day.",
        texts=(
            "sslauthenticationexception", "ssl handshake failed", "sslhandshakeexception",
            "pkix path building failed", "certificate has expired", "certificateexpiredexception",
            "no subject alternative names",
        ),
    ),
    Failure(
        "TopicForbidden", KAFKA, PERMANENT, HOLD, STOPPED, PLATFORM,
        "The worker may not use a topic.",
        "Grant it (WriteData, ReadData, DescribeTopic on that topic), then restart the task.",
        texts=(
            "topicauthorizationexception", "not authorized to access topics",
            "topic_authorization_failed",
        ),
    ),
    Failure(
        "KafkaForbidden", KAFKA, PERMANENT, HOLD, STOPPED, PLATFORM,
        "The worker lacks a right on the cluster, a group or a transactional id.",
        "Grant what the text names, then restart the task.",
        texts=(
            "groupauthorizationexception", "clusterauthorizationexception",
            "transactionalidauthorizationexception", "cluster authorization failed",
            "group_authorization_failed", "cluster_authorization_failed",
        ),
    ),
)

TOPICS: Final = (
    Failure(
        "InternalTopicNotCompacted", KAFKA, CONFIGURATION, HOLD, DATA, PLATFORM,
        "A topic in which Connect keeps its own state is not compacted: the worker ends, and the "
        "state is being deleted.",
        "Set cleanup.policy=compact on that topic at once, then start the worker.",
        texts=("is required to have 'cleanup.policy",),
        command="kafka-configs.sh --alter --entity-type topics --entity-name <topic> "
        "--add-config cleanup.policy=compact --bootstrap-server <brokers>",
    ),
    Failure(
        "InternalTopicMissing", KAFKA, PERMANENT, HOLD, DATA, PLATFORM,
        "A topic in which Connect keeps its own state is gone. Data flows on; the worker cannot "
        "keep offsets or take orders, and does not obey a stop.",
        "Create the topic compacted, kill the worker's process and start it. Without the offsets "
        "topic a new snapshot follows; without the config topic declare the connectors again.",
        texts=INTERNAL,
    ),
    Failure(
        "RecordTooLarge", KAFKA, CONFIGURATION, HOLD, DATA, OPERATOR,
        "One record is larger than producer or topic allow; it comes again after each restart.",
        "Raise producer.override.max.request.size in the connector and max.message.bytes of the "
        "topic, then restart the task.",
        texts=(
            "recordtoolargeexception", "larger than the max message size",
            "recordbatchtoolargeexception", "message_too_large",
            "is the value of the max.request.size",
        ),
        command="kafka-configs.sh --alter --entity-type topics --entity-name <topic> "
        "--add-config max.message.bytes=<bytes> --bootstrap-server <brokers>",
    ),
    Failure(
        "ReplicationImpossible", KAFKA, CONFIGURATION, HOLD, STOPPED, OPERATOR,
        "A topic was asked for with more replicas than there are brokers.",
        "Lower replicationFactor in the manifest, or leave it out.",
        texts=(
            "invalidreplicationfactorexception", "larger than available brokers",
            "target replication factor of",
        ),
    ),
    Failure(
        "TopicConfigRefused", KAFKA, CONFIGURATION, HOLD, STOPPED, OPERATOR,
        "The cluster does not allow a setting of a topic.",
        "Take the setting out of the manifest (MSK Serverless allows few).",
        texts=(
            "policyviolationexception", "invalidconfigurationexception",
            "invalidpartitionsexception",
        ),
    ),
    Failure(
        "TopicNameInvalid", KAFKA, CONFIGURATION, HOLD, STOPPED, OPERATOR,
        "Kafka does not allow the name of a topic.",
        "Check the topic prefix; names are of letters, digits, dot, dash and underscore.",
        texts=("invalidtopicexception", "invalid_topic_exception"),
    ),
    Failure(
        "TopicNotCreated", KAFKA, PERMANENT, HOLD, STOPPED, OPERATOR,
        "Connect could not create a topic it needs.",
        "Declare the topic in the manifests; when it is there, restart the task.",
        texts=("task failed to create new topic",),
    ),
    Failure(
        "InternalTopicUnreachable", KAFKA, TRANSIENT, WAIT, STOPPED, PLATFORM,
        "The worker cannot reach or make a topic in which it keeps its own state.",
        "When it lasts, check brokers and rights; a deleted topic needs the worker killed and "
        "started.",
        texts=(
            "unable to create topic(s)", "could not look up partition metadata",
            "error while attempting to create/find topic",
            "timeout expired while trying to create topic",
            "error writing connector configuration to kafka",
            "failed to write connector configuration to kafka",
            "error writing target state to kafka", "failed to write target state to kafka",
            "error writing restart request", "failed to write restart request",
        ),
    ),
    Failure(
        "TopicMissing", KAFKA, PERMANENT, HOLD, STOPPED, OPERATOR,
        "A topic that the connector writes to is not there. It waits for ever, with all of its "
        "tables, while Connect says RUNNING.",
        "Declare the topic, or accept that it is created again: the connector then goes on by "
        "itself.",
        texts=(
            "unknowntopicorpartitionexception", "unknowntopicidexception",
            "unknown_topic_or_partition", "unknown_topic_id", "not present in metadata after",
            "this server does not host this topic",
        ),
        command="wmsctl plan",
    ),
)

CLUSTER: Final = (
    Failure(
        "ReplicasMissing", KAFKA, TRANSIENT, WAIT, DEGRADED, PLATFORM,
        "Too few brokers hold the newest records, so that none is accepted.",
        "Nothing while a broker restarts. When it lasts, look at the brokers.",
        texts=("notenoughreplicas", "not_enough_replicas"),
    ),
    Failure(
        "ProducerFenced", KAFKA, TRANSIENT, RESTART, DEGRADED, OPERATOR,
        "Another producer with the same id took over, or the broker forgot this one.",
        "If it comes again, see whether two workers run the same task.",
        texts=(
            "outofordersequenceexception", "producerfencedexception",
            "invalidproducerepochexception", "unknownproduceridexception",
            "invalidpidmappingexception", "out_of_order_sequence_number",
        ),
        tries=2,
    ),
    Failure(
        "BrokerError", KAFKA, TRANSIENT, RESTART, DEGRADED, PLATFORM,
        "A broker failed at something and does not say at what.",
        "If it comes again, read the broker's log of that time.",
        texts=("unknownserverexception", "unknown_server_error"),
        tries=3,
    ),
    Failure(
        "KafkaVersion", KAFKA, IMAGE, HOLD, STOPPED, PLATFORM,
        "The broker is too old or too new for what the client asks.",
        "Use an image whose Kafka client fits the cluster.",
        texts=("unsupportedversionexception", "unsupportedformessageformat"),
    ),
    Failure(
        "BootstrapUnresolvable", NETWORK, TRANSIENT, WAIT, STOPPED, OPERATOR,
        "None of the brokers' names resolves.",
        "When it lasts longer than 15 minutes it is no DNS outage: check brokerString in the "
        "secret.",
        texts=("no resolvable bootstrap urls", "couldn't resolve server"),
    ),
    Failure(
        "KafkaUnreachable", KAFKA, TRANSIENT, WAIT, STOPPED, PLATFORM,
        "The brokers cannot be reached.",
        "Check that they are up, then security groups and route. The worker goes on by itself.",
        texts=(
            "connection to node…could not be established", "bootstrap broker…disconnected",
            "node may not be available", "terminated during authentication",
            "brokernotavailableexception", "failed authentication…node",
        ),
    ),
    Failure(
        "KafkaUnsettled", KAFKA, TRANSIENT, WAIT, DEGRADED, NOBODY,
        "Brokers are changing places, throttling or restarting.",
        "Nothing.",
        texts=(
            "throttlingquotaexceeded", "notleaderorfollower", "not_leader_or_follower",
            "kafkastorageexception", "disconnectexception", "errors.networkexception",
            "coordinatornotavailable", "coordinatorloadinprogress", "leadernotavailable",
            "leader_not_available", "notcontrollerexception", "fencedleaderepoch",
            "unknownleaderepoch", "rebalanceinprogressexception", "commitfailedexception",
            "node_disconnected", "corruptrecordexception",
            "coordinator_not_available", "kafka_storage_error",
        ),
    ),
    Failure(
        "KafkaTimeout", KAFKA, TRANSIENT, RESTART, DEGRADED, PLATFORM,
        "Kafka did not answer in time. A wrong port or protocol looks the same.",
        "If it comes again, check brokers, port and security.protocol.",
        texts=(
            "timed out waiting for a node assignment", "expiring…record",
            "common.errors.timeoutexception", "timeout expired while fetching topic metadata",
            "timeout expired before", "failed to update metadata after",
        ),
        tries=5,
    ),
)
