"""What is wrong with the config of a topic; the broker would refuse the topic for any of it."""

from __future__ import annotations

import re
from typing import Final

from controller.core import debezium_keys as keys
from controller.core import lint_table as table
from controller.core.debezium_keys import words
from controller.core.lint_finding import Config, Finding, Findings


def lint_topic(config: Config) -> Findings:
    """Judge the config of a topic; the broker would refuse the topic for any of these."""
    for key, value in config.items():
        if key not in keys.TOPIC:
            yield Finding(key, "is no config of a topic")
        elif "${" in value:
            yield Finding(key, "may not hold a reference: a topic needs no secret")
        elif key == "cleanup.policy":
            if not set(value.split(",")) <= {"delete", "compact"}:
                yield Finding(key, "must be delete, compact or compact,delete")
        elif _TOPIC_NUMBERS.fullmatch(key):
            if not table.NUMBER.fullmatch(value):
                yield Finding(key, "must be a whole number")
            elif not key.endswith(".level") and int(value) < _LEAST.get(key, 0):
                yield Finding(key, "is negative")
        elif key in _TOPIC_BOOLEANS and value not in {"true", "false"}:
            yield Finding(key, "must be true or false")


_TOPIC_NUMBERS: Final = re.compile(
    r".*\.(?:ms|bytes|messages|level)|min\.insync\.replicas", re.ASCII
)
_LEAST: Final = {  # -1 is without limit, -2 as the topic itself
    "retention.bytes": -1,
    "retention.ms": -1,
    "local.retention.bytes": -2,
    "local.retention.ms": -2,
}
_TOPIC_BOOLEANS: Final = words(
    "preallocate remote.storage.enable remote.log.copy.disable remote.log.delete.on.disable "
    "unclean.leader.election.enable"
)
