"""What is wrong with the config of a connector as a whole."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from functools import lru_cache
from typing import Final

from controller.core import debezium_keys as keys
from controller.core import lint_table as table
from controller.core.connector_class import ConnectorClass
from controller.core.danger import find_dangers
from controller.core.lint_finding import Config, Finding, Findings


def _missing(kind: ConnectorClass, config: Config) -> Findings:
    for key in kind.required:
        if not config.get(key):
            yield Finding(key, "is missing" + _WHY_REQUIRED.get(key, ""))
    url = config.get("database.url", "?}")  # an optional one may be missing
    if "database.url" in kind.texts and url.endswith("?}"):
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
    for prefix in table.CLIENT_PREFIXES:
        iam = config.get(f"{prefix}sasl.mechanism") == "AWS_MSK_IAM"
        if iam and not config.get(prefix + handler):
            yield Finding(prefix + handler, "is missing: AWS_MSK_IAM needs it")


def _plugins(_kind: ConnectorClass, config: Config) -> Findings:
    for listing, prefix, allowed in table.NAMED_PLUGINS:
        for name in filter(None, config.get(listing, "").split(",")):
            key = f"{prefix.format(name)}type"
            loaded = config.get(key)
            if loaded is None:
                yield Finding(key, f"is missing: {listing} names {name}")
            elif loaded in table.ROUTERS:
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
        yield Finding("signal.enabled.channels", f"may not hold file: it {table.LOADS}")
    for key in ("signal.kafka.topic", "signal.kafka.bootstrap.servers"):
        if kind.captures and "kafka" in channels and not config.get(key):
            yield Finding(key, "is missing: signal.enabled.channels names kafka")


def _risky(kind: ConnectorClass, config: Config) -> Findings:
    if not kind.captures:
        return
    for danger in find_dangers(config):
        told = f"is of risk {danger.risk}: {danger.sentence}"
        yield Finding(danger.key, told, refused=False)
    if config.get("log.mining.strategy") == "redo_log_catalog":
        told = "is removed in Debezium 3.7: use online_catalog or hybrid"
        yield Finding("log.mining.strategy", told, refused=False)
    if config.get("heartbeat.interval.ms", "0") == "0":
        yield Finding(
            "heartbeat.interval.ms",
            "is 0: offsets stand still while captured tables are quiet, and nothing tells a quiet "
            "source from a dead one",
            refused=False,
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
        if not _FAMILIES.match(key) and key not in kind.required and key not in table.OWNED:
            message = f"is no key that this class is known to read{_near(key, kind.known)}"
            yield Finding(key, message, refused=False)


@lru_cache(maxsize=1024)
def _near(key: str, known: frozenset[str]) -> str:
    from difflib import get_close_matches  # read only when there is a mistake

    found = get_close_matches(key[:100], sorted(known), n=1, cutoff=0.85)
    return f"; did you mean {found[0]}?" if found else ""


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


CONFIG_RULES: Final[tuple[Callable[[ConnectorClass, Config], Findings], ...]] = (
    _missing,
    _history_clients,
    _plugins,
    _unlisted_plugins,
    _signals,
    _risky,
    _read_timeout,
    _unknown,
)
