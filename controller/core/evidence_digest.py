"""What one sidecar's evidence tells the leader, who may be beside another worker.

It travels in the state store as diagnoses, times, codes and classes: no line, and no text that a
known failure does not have. Whose it is was decided where the line was read; here a name only says
which of ours it is about.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import replace
from itertools import islice
from math import inf
from types import MappingProxyType
from typing import Final

from controller.core.evidence import LOGGER, MOST, Evidence, EvidenceBook, Found, merge
from controller.core.failure import UNKNOWN, System, known
from controller.core.model import Json, Record, Records

EVIDENCE_SECTION: Final = "evidence"
LASTING_SECONDS: Final = 600.0
RENEW_SECONDS: Final = 30.0  # between two writes that only count further
MOST_TOLD: Final = 100  # diagnoses in one record, which has a limit

_CODE: Final = re.compile(r"(?:ORA-\d{5}|SQLSTATE [0-9A-Z]{5})")


def evidence_record(holder: str) -> str:
    return f"{EVIDENCE_SECTION}/{holder}"


# --- writing ----------------------------------------------------------------------------------


def digest(book: EvidenceBook) -> dict[str, Json]:
    """Write down the newest; what is left out of too many is older."""
    every = [(name, one) for name, found in book.connectors.items() for one in found]
    newest = sorted(every, key=lambda pair: -pair[1].last_seen)[:MOST_TOLD]
    told: dict[str, list[Json]] = {}
    for name, one in sorted(newest, key=lambda pair: (pair[0], pair[1].failure, pair[1].system)):
        told.setdefault(name, []).append(_written(one))
    return {name: list[Json](found) for name, found in told.items()}


def is_due(record: Record | None, told: Mapping[str, Json], now: float) -> bool:
    """Whether the record must be written: at once for something new, seldom to count further."""
    if record is None:
        return bool(told)
    at, before = record.value.get("at"), record.value.get("connectors")
    age = now - at if isinstance(at, int | float) else inf
    if set(_kinds(before)) != set(_kinds(told)) or not 0 <= age < LASTING_SECONDS / 2:
        return True
    return before != told and age >= RENEW_SECONDS


def _kinds(told: object) -> Iterator[tuple[str, str, str, bool]]:
    for name, found in read_digest(told).items():
        for one in found:
            yield name, one.failure, one.system, one.on_start_path


def _written(evidence: Evidence) -> Json:
    return {
        "failure": evidence.failure,
        "system": str(evidence.system),
        "firstSeen": evidence.first_seen,
        "lastSeen": evidence.last_seen,
        "count": evidence.count,
        "logger": evidence.logger,
        "codes": list(evidence.codes),
        "classes": list(evidence.classes),
        "onStartPath": evidence.on_start_path,
    }


# --- reading ----------------------------------------------------------------------------------


def with_others(
    book: EvidenceBook, records: Records, own: str, ours: Collection[str], now: float
) -> EvidenceBook:
    """Add to our own worker's evidence what the other sidecars left about connectors of ours."""
    found = book.connectors
    for key, record in sorted(records.items()):
        section, _, holder = key.partition("/")
        if section == EVIDENCE_SECTION and holder != own:
            told = read_digest(record.value.get("connectors"))
            known_here = {name: _until(now, one) for name, one in told.items() if name in ours}
            found = merge(found, known_here)
    return replace(book, connectors=found)


def _until(now: float, found: Found) -> Found:
    """Let no other machine's clock make evidence of the future."""
    return tuple(
        replace(one, first_seen=min(one.first_seen, now), last_seen=min(one.last_seen, now))
        for one in found
    )


def read_digest(value: object) -> Mapping[str, Found]:
    """Read another controller's digest; what does not look like one is left out."""
    if not isinstance(value, Mapping):
        return MappingProxyType({})
    read = {
        name: tuple(e for item in items[:MOST] if (e := _evidence(item)))
        for name, items in islice(value.items(), MOST_TOLD)
        if isinstance(items, list)
    }
    return MappingProxyType({name: found for name, found in read.items() if found})


def _evidence(item: Json) -> Evidence | None:
    if not isinstance(item, dict):
        return None
    failure, system = item.get("failure"), item.get("system")
    first, last, count = item.get("firstSeen"), item.get("lastSeen"), item.get("count")
    if not (isinstance(failure, str) and _is_id(failure) and system in set(System)):
        return None
    if not (isinstance(first, int | float) and isinstance(last, int | float)):
        return None
    return Evidence(
        failure=failure,
        system=System(str(system)),
        first_seen=float(first),
        last_seen=float(last),
        count=count if isinstance(count, int) and count > 0 else 1,
        logger=next(iter(_texts([item.get("logger")], LOGGER)), ""),
        codes=_texts(item.get("codes"), _CODE),
        classes=_texts(item.get("classes"), LOGGER),
        on_start_path=item.get("onStartPath") is True,
    )


def _is_id(failure: str) -> bool:
    return failure == UNKNOWN.id or known(failure) is not None


def _texts(value: Json, shape: re.Pattern[str]) -> tuple[str, ...]:
    if not isinstance(value, list):
        return ()
    return tuple(text for text in value[:8] if isinstance(text, str) and shape.fullmatch(text))
