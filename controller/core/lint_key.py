"""Which keys a manifest may not write."""

from __future__ import annotations

from functools import lru_cache

from controller.core import lint_table as table
from controller.core.connector_class import CLASSES
from controller.core.lint_finding import Finding


@lru_cache(maxsize=8192)
def key_refusal(key: str, class_name: str) -> Finding | None:
    """Say why a key may not be written at all; the same few keys come again and again."""
    for rule in (_renamed, _owned, _overridden, _dangerous, _client_key, _driver_key):
        message = rule(key, class_name)
        if message is not None:
            return Finding(key, message)
    return None


def _renamed(key: str, class_name: str) -> str | None:
    if not CLASSES[class_name].captures:
        return None
    row = next((row for row in table.RENAMED if row.fits(key)), None)
    if row is None:
        return None
    new = row.new_name(key)
    called = f": it is called {new} now" if new else ": remove it"
    return f"is ignored since Debezium {row.since}{called}{f' ({row.why})' if row.why else ''}"


def _owned(key: str, _class_name: str) -> str | None:
    return f"may not be written here: {table.OWNED[key]}" if key in table.OWNED else None


def _overridden(key: str, _class_name: str) -> str | None:
    if not key.startswith("producer."):
        return None
    if key.removeprefix("producer.override.") in table.OVERRIDES:
        return None
    allowed = ", ".join(f"producer.override.{name}" for name in sorted(table.OVERRIDES))
    return f"may not be set: the worker allows {allowed}"


def _dangerous(key: str, _class_name: str) -> str | None:
    if key in table.ALLOWED_THOUGH:
        return None
    why = next((why for prefix, why in table.REFUSED if key.startswith(prefix)), None)
    return None if why is None else f"may not be written: {why}"


def _client_key(key: str, _class_name: str) -> str | None:
    for prefix in table.CLIENT_PREFIXES:
        if key.startswith(prefix) and key.removeprefix(prefix) not in table.CLIENT:
            return "may not be set on this client: its security, time-outs and sizes may"
    return None


def _driver_key(key: str, class_name: str) -> str | None:
    kind = CLASSES[class_name]
    if key.startswith("driver.") and key.removeprefix("driver.") not in kind.drivers:
        allowed = ", ".join(f"driver.{name}" for name in sorted(kind.drivers))
        return f"may not be passed to the driver, which gets {allowed or 'nothing'}"
    if key.startswith("database.") and kind.captures and key not in kind.known:
        driver = key.replace("database.", "driver.", 1)
        return f"is no key of this class; what is for the driver is called {driver} since 2.0"
    return None
