"""What a database's answer to a login means, by its codes.

Three answers are less obvious than the rest. A database that does not exist (PostgreSQL 3D000) is
UNREACHABLE like its twin, a service that no listener knows (ORA-12514): the password was not
refused, and it may come up. An account that may not log in although its password is right
(ORA-01045, 42501) is REFUSED: nobody can use this login until a person grants something. And a
database that is starting, closing or full is UNREACHABLE, since it never looked at the password.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Final

from controller.core.model import ProbeOutcome

_REFUSED: Final[Mapping[str, str]] = MappingProxyType(
    {
        "ORA-01005": "no password was given",
        "ORA-01017": "user or password is wrong",
        "ORA-01040": "the password holds a character that the database does not take",
        "ORA-01045": "the user lacks the privilege CREATE SESSION",
        "ORA-28000": "the account is locked",
        "ORA-28001": "the password has expired",
        "ORA-28009": "this user can log in as SYSDBA only",
        "ORA-65162": "the password of the common user has expired",
        "28000": "the user does not exist, may not log in, or not from here",
        "28P01": "user or password is wrong",
        "42501": "the user may not connect to this database",
    }
)
_UNREACHABLE: Final[Mapping[str, str]] = MappingProxyType(
    {
        "ORA-00018": "the database has no session left",
        "ORA-00020": "the database has no process left",
        "ORA-01033": "the database is starting or closing",
        "ORA-01034": "the database is not running",
        "ORA-01035": "the database is open for restricted sessions only",
        "ORA-01089": "the database is closing",
        "ORA-01090": "the database is closing",
        "ORA-12505": "the listener does not know this SID",
        "ORA-12514": "the listener does not know this service (yet)",
        "ORA-12516": "the listener has no handler ready for this service",
        "ORA-12518": "the listener could not hand the connection on",
        "ORA-12519": "the listener has no handler free for this service",
        "ORA-12520": "the listener has no handler of this kind for this service",
        "ORA-12526": "all instances of this service are in restricted mode",
        "ORA-12527": "all instances of this service are restricted or blocked",
        "ORA-12528": "all instances of this service block new connections",
        "ORA-12541": "nobody listens there",
        "ORA-27101": "the database is not running",
        "DPY-6000": "the listener refused the connection",
        "DPY-6001": "the listener does not know this service (yet)",
        "DPY-6003": "the listener does not know this SID",
        "DPY-6005": "no connection could be made",
        "3D000": "this database does not exist (yet)",
        "53300": "the database has no connection left",
        "57P01": "the database is closing",
        "57P02": "the database is recovering from a crash",
        "57P03": "the database is starting or closing",
    }
)
_CODE: Final = re.compile(r"\b(?:ORA|DPY|TNS)-[0-9]{4,5}\b")
_NO_CONNECTION: Final = "DPY-6005"  # says nothing of the cause
_TABLE: Final = ((ProbeOutcome.REFUSED, _REFUSED), (ProbeOutcome.UNREACHABLE, _UNREACHABLE))


def codes_of(error: BaseException) -> tuple[str, ...]:
    """Answer them most telling first: a driver quotes the server's code inside its own."""
    told = error.args[0] if error.args else None
    if isinstance(told, dict):  # pg8000 hands on the server's fields by their letters
        return (str(told["C"]),) if "C" in told else ()
    return tuple(dict.fromkeys(reversed(_CODE.findall(str(error)))))


def judge(codes: Iterable[str], detail: str, *, answered: bool) -> tuple[ProbeOutcome, str]:
    """Sort a failed login by its codes, else by whether the server had answered."""
    ordered = tuple(codes)
    for outcome, known in _TABLE:
        for code in ordered:
            if code in known:
                why = f": {detail}" if code == _NO_CONNECTION and detail else ""
                return outcome, f"{known[code]}{why} ({', '.join(ordered)})"
    said = f"{detail} ({', '.join(ordered)})" if ordered else detail
    if answered:
        return ProbeOutcome.DOUBTFUL, f"the server answered, then: {said}"
    return ProbeOutcome.UNREACHABLE, said
