#!/bin/sh
# Waits for the secrets, writes worker.properties, becomes the Connect worker.
# Needs sh, awk and java; everything is set by the environment (defaults below).
set -euf

fail() {
    echo "entrypoint: $*" >&2
    exit 64
}

matches() { # VALUE REGEX: the whole value, on one line
    printf '%s\n' "$1" | awk -v regex="^($2)\$" '$0 ~ regex { ok = 1 } END { exit !(ok && NR == 1) }'
}

must() { # NAME REGEX
    eval "value=\${$1-}" # NAME is a word of this file
    matches "$value" "$2" || fail "$1 is '$value', which is not of the form $2"
}

task_address() { # this task's own address, as ECS tells it; only this needs bash
    bash -c '
        rest=${ECS_CONTAINER_METADATA_URI_V4#http://}
        host=${rest%%/*}
        case $host in *:*) ;; *) host=$host:80 ;; esac
        exec 3<>"/dev/tcp/${host%:*}/${host##*:}" || exit 1
        printf "GET /%s HTTP/1.0\r\nHost: %s\r\n\r\n" "${rest#*/}" "$host" >&3
        head -c 65536 <&3' 2>/dev/null |
        sed -n 's/.*"IPv4Addresses": *\["\([0-9.]*\)".*/\1/p' | head -n 1
}

here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)

: "${WMS_STAGE:?entrypoint: WMS_STAGE is not set}"
: "${WMS_SECRETS_ROOT:=/run/wms-secrets}"
: "${WMS_KAFKA_SECURITY:=iam}"                            # plaintext | tls | scram | iam
: "${WMS_KAFKA_SCRAM_FOLDER:=$WMS_SECRETS_ROOT/kafka}"    # with the files user and password
: "${WMS_CONNECT_LISTEN:=127.0.0.1}"                      # several workers in a group must reach each other
: "${WMS_CONNECT_ADVERTISED_HOST:=$WMS_CONNECT_LISTEN}"    # "task": the address of this ECS task
: "${WMS_CONNECT_PORT:=8083}"
: "${WMS_CONNECT_REPLICATION:=3}"                         # of the three internal topics
: "${WMS_CONNECT_FLUSH_MS:=60000}"                        # a crash repeats up to this much
: "${WMS_CONNECT_REBALANCE_DELAY_MS:=300000}"             # how long a lost worker's tasks wait for its return
: "${WMS_CONNECT_SESSION_MS:=10000}"
: "${WMS_CONNECT_HEARTBEAT_MS:=3000}"
: "${WMS_CONNECT_LIBS:=/opt/connect/worker}"
: "${WMS_CONNECT_AGENTS:=/opt/connect/agent}"
: "${WMS_CONNECT_PLUGINS:=/opt/connect/plugin}"           # a comma between several
: "${WMS_CONNECT_METRICS:=}"                              # host:port of the JMX exporter; empty is none
: "${WMS_CONNECT_EVIDENCE:=/run/wms-evidence/worker.json}"
: "${WMS_CONNECT_WORK:=/tmp}"                             # for worker.properties
: "${WMS_CONNECT_HEAP:=-Xms256m -Xmx1g}"
: "${WMS_CONNECT_JVM:=}"                                  # more options, parted by blanks
: "${WMS_CONNECT_PATIENCE_S:=0.2}"                        # between two looks for ROOT/ready

number='[0-9][0-9]*'
host='[A-Za-z0-9][A-Za-z0-9.-]*'
path='/[A-Za-z0-9._/-]*'
must WMS_STAGE '[a-z][a-z0-9-]*'
must WMS_SECRETS_ROOT "$path"
must WMS_KAFKA_SECURITY 'plaintext|tls|scram|iam'
must WMS_KAFKA_SCRAM_FOLDER "$path"
must WMS_CONNECT_LISTEN "$host"
must WMS_CONNECT_ADVERTISED_HOST "$host"
for name in PORT REPLICATION FLUSH_MS REBALANCE_DELAY_MS SESSION_MS HEARTBEAT_MS; do
    must "WMS_CONNECT_$name" "$number"
done
must WMS_CONNECT_LIBS "$path"
must WMS_CONNECT_AGENTS "$path"
must WMS_CONNECT_PLUGINS "$path(,$path)*"
must WMS_CONNECT_METRICS "|$host:$number"
must WMS_CONNECT_EVIDENCE "$path"
must WMS_CONNECT_WORK "$path"

# As a container's first process a shell has no default for these.
trap 'exit 143' TERM
trap 'exit 130' INT

ready="$WMS_SECRETS_ROOT/ready"
if [ ! -s "$ready" ]; then
    echo "entrypoint: waiting for $ready, which the controller writes when the secrets are there" >&2
fi
while [ ! -s "$ready" ]; do
    sleep "$WMS_CONNECT_PATIENCE_S" &
    wait $! # a signal ends this at once, and not a sleep in the foreground
done

if [ "$WMS_CONNECT_ADVERTISED_HOST" = task ]; then
    : "${ECS_CONTAINER_METADATA_URI_V4:?entrypoint: WMS_CONNECT_ADVERTISED_HOST is task, and this is no ECS task}"
    export ECS_CONTAINER_METADATA_URI_V4
    left=10
    until WMS_CONNECT_ADVERTISED_HOST=$(task_address) && [ -n "$WMS_CONNECT_ADVERTISED_HOST" ]; do
        left=$((left - 1))
        [ "$left" -gt 0 ] || fail "ECS does not tell this task's address"
        sleep 1 &
        wait $!
    done
    must WMS_CONNECT_ADVERTISED_HOST '[0-9][0-9]*(\.[0-9][0-9]*)*'
fi

# One line, read and never sourced: whoever can write it can choose a broker, and nothing more.
BOOTSTRAP=$(head -c 8192 "$ready")
matches "$BOOTSTRAP" "$host:$number(,$host:$number)*" || fail "$ready is not one line host:port(,host:port)*"

if [ "$WMS_KAFKA_SECURITY" = scram ]; then
    # A folder per version of the secret; the newest has the current one.
    [ -e "$WMS_KAFKA_SCRAM_FOLDER/user" ] ||
        WMS_KAFKA_SCRAM_FOLDER="$WMS_KAFKA_SCRAM_FOLDER/$(ls -t "$WMS_KAFKA_SCRAM_FOLDER" 2>/dev/null | head -n 1)"
    must WMS_KAFKA_SCRAM_FOLDER "$path"
    # A reference that cannot be resolved would be tried as a password, word for word.
    for field in user password; do
        [ -s "$WMS_KAFKA_SCRAM_FOLDER/$field" ] || fail "$WMS_KAFKA_SCRAM_FOLDER holds no $field for the brokers"
    done
fi

export BOOTSTRAP WMS_STAGE WMS_SECRETS_ROOT WMS_KAFKA_SCRAM_FOLDER WMS_CONNECT_LISTEN \
    WMS_CONNECT_ADVERTISED_HOST WMS_CONNECT_PORT WMS_CONNECT_REPLICATION WMS_CONNECT_FLUSH_MS \
    WMS_CONNECT_REBALANCE_DELAY_MS WMS_CONNECT_SESSION_MS WMS_CONNECT_HEARTBEAT_MS \
    WMS_CONNECT_PLUGINS

fill() { # standard input with @NAME@ replaced by the environment's value, in one pass
    awk '{
        line = $0; out = ""
        while (match(line, /@[A-Z_]+@/)) {
            out = out substr(line, 1, RSTART - 1) ENVIRON[substr(line, RSTART + 1, RLENGTH - 2)]
            line = substr(line, RSTART + RLENGTH)
        }
        print out line
    }'
}

properties="$WMS_CONNECT_WORK/worker.properties"
security="$here/security/$WMS_KAFKA_SECURITY.properties"
umask 077
{
    fill <"$here/worker.properties.template"
    for prefix in '' producer. consumer. admin.; do
        sed -n "s/^[a-z]/$prefix&/p" "$security" | fill
    done
} >"$properties"
umask 022

set -- -XX:+ExitOnOutOfMemoryError $WMS_CONNECT_HEAP $WMS_CONNECT_JVM \
    "-Dlog4j2.configurationFile=$here/log4j2.yaml" \
    "-Dwms.evidence=$WMS_CONNECT_EVIDENCE"
if [ -n "$WMS_CONNECT_METRICS" ]; then
    set +f
    for agent in "$WMS_CONNECT_AGENTS"/jmx_prometheus_javaagent-*.jar; do
        set -- "$@" "-javaagent:$agent=$WMS_CONNECT_METRICS:$here/jmx.yaml"
    done
fi

# exec, so that SIGTERM reaches the worker itself.
exec "${JAVA_HOME:+$JAVA_HOME/bin/}java" "$@" -cp "$WMS_CONNECT_LIBS/*" \
    org.apache.kafka.connect.cli.ConnectDistributed "$properties"
