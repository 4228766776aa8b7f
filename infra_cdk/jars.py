"""Which Debezium the worker's image has, as the lock of its jars says."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

LOCK: Final = Path(__file__).parent.parent / "connect" / "jars.lock"
_ORACLE: Final = re.compile(r"^\S+ io\.debezium:debezium-connector-oracle:([\w.-]+):", re.MULTILINE)


def debezium_version(lock: Path = LOCK) -> str:
    found = set(_ORACLE.findall(lock.read_text(encoding="utf-8")))
    if len(found) != 1:
        raise ValueError(f"{lock.name} names {len(found)} versions of Debezium for Oracle, not one")
    return str(found.pop())
