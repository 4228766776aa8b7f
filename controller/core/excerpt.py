"""What of foreign text may be shown, and how much of it is read.

Debezium's errors quote rows and statements, and these are people's records: what is quoted is
masked wherever text travels further than the worker's own log.
"""

from __future__ import annotations

import json
import re
from typing import Final

LIMIT: Final = 64 * 1024  # characters of one trace that are read
SHOWN: Final = 300  # characters of one line that are shown
MASK: Final = "***"
GAP: Final = "\n[...]\n"
_HERE: Final = "\ue000"  # of no script; `clean` lets none through

_ANSI: Final = re.compile(r"\x1b\[[0-9;]{0,16}m")
_CONTROL: Final = re.compile(
    r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2066-\u2069\ue000]"
)
_FRAME: Final = re.compile(r"\bat [\w.$/<>@+-]{1,200}\([^()\n]{0,120}\)")
_CAUSE: Final = "caused by:"
_CLASS: Final = re.compile(r"\b(?:[a-z]\w{0,40}\.){1,10}[A-Z][\w$]{0,80}(?:Exception|Error)\b")
_SECRET: Final = re.compile(
    r"(?i)((?:pass(?:word|wd|phrase)?|pwd|secret|token|credentials?|authorization|api[._-]?key)"
    r"[\w.-]{0,20}[\"']?\s{0,3}(?:[:=]|\bis\b)\s{0,3})([\"']?)(?:(?:basic|bearer)\s{1,3})?"
    r"[^\s,;&\"'}\])]{1,400}\2"
)
_USERINFO: Final = re.compile(r"(?i)(://|thin:)[^\s/@:]{1,80}[/:][^\s@]{1,200}@")
_AWS_KEY: Final = re.compile(r"\b(?:AKIA|ASIA)[A-Z0-9]{16}\b")
# What closes each quote that opens; an apostrophe inside a word opens nothing.
_QUOTES: Final = {
    "'": "'", '"': '"', "`": "`", "«": "»", "»": "«", "„": "”“", "“": "”", "「": "」",
}  # fmt: skip
_ROWS: Final = re.compile(
    r"(?i)(\bstruct\{|\brecord\{|\bvalues\s{0,3}\(|\bcontains \(|\)=\(|\bkey \(|\bafter=|\bbefore=|"
    r"\b(?:original )?sql\s{0,2}[=:]|\bddl\s{0,2}[=:]|\bstatement\s{0,2}[=:]).*"
)
# Keys of configs and classes of this software tell a person what to correct, and quote nobody.
_PLAIN: Final = re.compile(
    r"(?:(?:topic|database|schema|log|snapshot|transforms?|retention|cleanup|producer|consumer|key|"
    r"errors|value|max|min|offset|config|status|heartbeat|slot|publication|plugin|table|column|ssl|"
    r"signal|connector|tasks|driver|poll|security|sasl|bootstrap|converter|archive|segment|message)"
    r"(?:[._-][a-z][a-z0-9]{0,29}){1,8}"
    r"|(?:org\.apache|io\.debezium|org\.postgresql|oracle|java)\.[\w.$]{1,120}(?:\(\))?)"
)
# Beside a statement what is quoted is a row's, whatever it looks like.
_STATEMENT: Final = re.compile(
    r"(?i)\b(?:insert into|update|delete from|select|merge into|where|failed to parse)\b"
)
_LEAVES: Final = 200
_SPOKEN: Final = frozenset({"trace", "message", "error.stack_trace", "log.original"})


def cap(text: str) -> str:
    """Keep head and tail, since the wrapper stands first and the cause last."""
    if len(text) <= LIMIT:
        return text
    half = (LIMIT - len(GAP)) // 2
    return text[:half] + GAP + text[-half:]


def clean(text: str) -> str:
    """Cap it and undo what happens to a trace on its way: escapes, colours, odd blanks."""
    capped = cap(_unwrapped(text))
    if "\\n" in capped and "\n" not in capped.strip():
        capped = (
            capped.replace("\\r", "").replace("\\n", "\n").replace("\\t", "\t").replace('\\"', '"')
        )
    plain = _ANSI.sub("", capped).replace("\r\n", "\n").replace("\r", "\n")
    return _CONTROL.sub(" ", plain.translate(_ALIKE))


_ALIKE: Final = str.maketrans(
    {"\u00a0": " ", "\u202f": " ", "\u3000": " ", "’": "'", "‐": "-", "‑": "-", "–": "-"}  # noqa: RUF001
)


def without_frames(text: str) -> str:
    """Blank the stack frames: names of classes on the way are no diagnosis."""
    return _FRAME.sub(lambda match: " " * len(match[0]), text)


def shown(text: str, position: int) -> str:
    """Answer the line around a position as it may be shown, cut to what stands near it."""
    start = text.rfind("\n", 0, position) + 1
    end = text.find("\n", position)
    line = text[start : end if end >= 0 else len(text)]
    # Masked before it is cut: a piece could begin inside what was quoted.
    marked = _masked(line[: position - start] + _HERE + line[position - start :])
    here, plain = marked.find(_HERE), marked.replace(_HERE, "")
    if len(plain) <= SHOWN or here < SHOWN // 2:
        return _cut(plain)
    return _cut(f"...{plain[here - SHOWN // 3 :]}")


def last_cause(text: str) -> str:
    """Answer the innermost cause as the trace names it, else the exception it begins with."""
    found = text.replace("İ", "i").lower().rfind(_CAUSE)  # that letter would become two
    if found >= 0:
        return _first_line(text[found + len(_CAUSE) : found + 4 * SHOWN])
    for line in text.splitlines()[:200]:
        match = _CLASS.search(line[: 4 * SHOWN])
        if match and not line.lstrip().startswith("at "):
            return _first_line(line[match.start() : 4 * SHOWN])
    return _first_line(text[: 8 * SHOWN])


def classes(text: str) -> tuple[str, ...]:
    """Answer the classes of exceptions in the order of the chain; a class quotes nobody."""
    heads = without_frames(text)
    return tuple(dict.fromkeys(match[0] for match in _CLASS.finditer(heads)))[:8]


def masked(line: str) -> str:
    """Answer the line as it may be shown: no quoted literal, no row, no secret, not endless."""
    return _cut(_masked(line[: 4 * SHOWN]))


def _masked(line: str) -> str:
    kept = " ".join(line.split())
    kept = _USERINFO.sub(rf"\1{MASK}@", _SECRET.sub(rf"\1{MASK}", kept))
    kept = _AWS_KEY.sub(MASK, kept)
    kept = _without_quoted(kept)
    return _ROWS.sub(rf"\1{MASK}", kept)


def _cut(line: str) -> str:
    return line if len(line) <= SHOWN else line[: SHOWN - 3] + "..."


def _without_quoted(line: str) -> str:
    parts: list[str] = []
    start, plain = 0, not _STATEMENT.search(line)
    while start < len(line):
        opens = _opening(line, start)
        if opens < 0:
            break
        closes = _closing(line, opens)
        inner = line[opens + 1 : closes]
        shown = inner if plain and closes < len(line) and _PLAIN.fullmatch(inner) else MASK
        parts += [line[start : opens + 1], shown, line[closes : closes + 1]]
        start = closes + 1
    return "".join((*parts, line[start:]))


def _opening(line: str, start: int) -> int:
    for position in range(start, len(line)):
        inside_word = position > 0 and line[position - 1].isalnum() and line[position] in "'`"
        if line[position] in _QUOTES and not inside_word:
            return position
    return -1


def _closing(line: str, opens: int) -> int:
    """Answer where the quote ends; a cut one ends with the line."""
    closers = _QUOTES[line[opens]]
    position = opens + 1
    while position < len(line):
        if line[position] in closers:
            doubled = line[position : position + 2] == "''" and line[opens] == "'"
            if not doubled or position == opens + 1:
                return position
            position += 1
        position += 1
    return len(line)


def _unwrapped(text: str) -> str:
    """Take the strings out of a JSON answer or log line, a line each."""
    stripped = text.strip()
    if not stripped.startswith(("{", "[")) or len(stripped) > 4 * LIMIT:
        return text
    try:
        parsed = json.loads(stripped)
    except (ValueError, RecursionError):
        return text
    leaves = [f"{key}: {leaf}" if key else leaf for key, leaf in _strings(parsed)]
    return "\n".join(leaves) if leaves else text


def _strings(parsed: object) -> list[tuple[str, str]]:
    found: list[tuple[str, str]] = []
    waiting: list[tuple[str, object]] = [("", parsed)]
    while waiting and len(found) < _LEAVES:
        key, value = waiting.pop()
        if isinstance(value, str):
            found.append(("" if key in _SPOKEN else key, value))
        elif isinstance(value, dict):
            waiting += [(str(name), inner) for name, inner in reversed(value.items())]
        elif isinstance(value, list):
            waiting += [(key, inner) for inner in reversed(value)]
    return found


def _first_line(text: str) -> str:
    for line in text.splitlines():
        if line.strip():
            return _before_frame(line).strip()
    return ""


def _before_frame(line: str) -> str:
    match = _FRAME.search(line[: 4 * SHOWN])
    return line[: match.start()] if match and match.start() > 0 else line
