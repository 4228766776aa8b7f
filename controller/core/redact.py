"""Secrets as a type that compares like a string and prints like a mask; and the scrubbing of text.

Foreign error text quotes what it was given, and not always as it was given: inside JSON, inside a
URL, inside a basic-auth header. So a value is remembered in every form it may come back in.
"""

from __future__ import annotations

import html
import json
import re
from base64 import b64encode
from collections.abc import Iterable, Iterator
from hmac import compare_digest
from typing import Final, NoReturn, final
from urllib.parse import quote, quote_plus

MASK: Final = "***"
SHORTEST: Final = 6  # a shorter value stands in too many innocent words to be replaced everywhere

# What URL encoders leave as it is: RFC 3986 in full, in a path, in user-info; ECMAScript; Java.
_URL_SAFE: Final = ("", "/", "!$&'()*+,;=", "!'()*", "*")
_PERCENT: Final = re.compile(r"%[0-9A-F]{2}")
_HEX: Final = re.compile(r"\\u[0-9a-f]{4}")


@final
class Redacted:
    """A secret string: equal to another Redacted of the same value, and never to a plain string."""

    __slots__ = ("__value",)

    def __init__(self, value: str) -> None:
        self.__value = value

    def reveal(self) -> str:
        """Hand out the value; only for the wire, and only after it was remembered for scrubbing."""
        return self.__value

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Redacted):
            return NotImplemented
        return compare_digest(_bytes(self.__value), _bytes(other.__value))

    def __hash__(self) -> int:
        return hash((Redacted, self.__value))

    def __repr__(self) -> str:
        return MASK

    __str__ = __repr__

    def __format__(self, spec: str) -> str:
        return MASK  # the spec is ignored: a width would tell nothing, a precision too much

    def __copy__(self) -> Redacted:
        return self

    def __deepcopy__(self, memo: object) -> Redacted:
        return self  # dataclasses.asdict copies deeply; it must get the mask, not a TypeError

    def __reduce_ex__(self, protocol: object) -> NoReturn:
        raise TypeError("a Redacted is never pickled")

    def __getstate__(self) -> NoReturn:
        raise TypeError("a Redacted never gives out its state")


def short(value: str) -> bool:
    """Tell whether a value is too short to be scrubbed, which calls for a warning."""
    return len(value) < SHORTEST


def forms(value: str) -> frozenset[str]:
    """Every text in which a value may come back to us; none for a short one."""
    if short(value):
        return frozenset()
    quoted = {value, *_url(value), html.escape(value), repr(value)[1:-1]}
    once = {escaped for text in quoted for escaped in _json(text)}
    twice = {escaped for text in once for escaped in _json(text)}  # JSON quoted inside JSON
    return frozenset(quoted | once | twice | set(_base64(_bytes(value))))


def scrub(text: str, values: Iterable[str]) -> str:
    """Replace every form of the values by a mask."""
    return _mask(text, {form for value in values for form in forms(value)})


@final
class Scrubber:
    """The one growing set of values that were revealed in this process.

    Safe to share between threads without a lock: it only ever grows, and inserting into a dict and
    copying one are each a single step of the interpreter, so no value is ever lost.
    """

    __slots__ = ("__forms", "__needles")

    def __init__(self, values: Iterable[str | Redacted] = ()) -> None:
        self.__forms: dict[str, frozenset[str]] = {}
        self.__needles: tuple[int, frozenset[str]] = (0, frozenset())
        for value in values:
            self.remember(value)

    def remember(self, value: str | Redacted) -> None:
        """Scrub this value from now on; repeating it costs nothing."""
        plain = value.reveal() if isinstance(value, Redacted) else value
        if plain not in self.__forms:
            self.__forms[plain] = forms(plain)

    def scrub(self, text: str) -> str:
        """Replace every form of every remembered value by a mask."""
        count, needles = self.__needles
        if count != len(self.__forms):  # it only grows, so its size tells whether it changed
            known = self.__forms.copy()
            needles = frozenset().union(*known.values())
            self.__needles = (len(known), needles)
        return _mask(text, needles)

    def __repr__(self) -> str:
        return f"Scrubber({len(self.__forms)} values)"


def _mask(text: str, needles: Iterable[str]) -> str:
    """Replace all spans at once: one by one, of two that overlap the second would leave a rest."""
    found = [needle for needle in needles if needle in text]  # hardly ever one: nearly all of it
    if not found:
        return text
    spans = sorted(span for needle in found for span in _spans(text, needle))
    parts: list[str] = []
    end = 0
    for start, stop in spans:
        if start >= end:
            parts += [text[end:start], MASK]
        end = max(end, stop)
    return "".join((*parts, text[end:]))


def _spans(text: str, needle: str) -> Iterator[tuple[int, int]]:
    start = text.find(needle)
    while start >= 0:
        yield start, start + len(needle)
        start = text.find(needle, start + 1)


def _url(value: str) -> Iterator[str]:
    for safe in _URL_SAFE:
        for encode in (quote, quote_plus):
            quoted = encode(value, safe=safe, errors="surrogatepass")
            yield quoted
            yield _PERCENT.sub(lambda match: match[0].lower(), quoted)


def _json(value: str) -> Iterator[str]:
    for ascii_only in (True, False):
        escaped = json.dumps(value, ensure_ascii=ascii_only)[1:-1]
        yield escaped
        yield escaped.replace("/", r"\/")
        yield _HEX.sub(lambda match: match[0][:2] + match[0][2:].upper(), escaped)
        yield _for_html(escaped)


def _for_html(escaped: str) -> str:
    """Escape as Go and Gson do, which keep JSON fit for a page."""
    return re.sub("[<>&='\u2028\u2029]", lambda match: f"\\u{ord(match[0]):04x}", escaped)


def _base64(raw: bytes) -> Iterator[str]:
    """The value alone, and the part of it that stays the same inside any longer text."""
    whole = b64encode(raw).decode()
    stable = [_aligned(raw, offset) for offset in range(3)]
    for text in (whole, whole.rstrip("="), *stable):
        yield text
        yield text.translate(str.maketrans("+/", "-_"))


def _aligned(raw: bytes, offset: int) -> str:
    # Each character holds six bits; one that shares bits with a neighbour of the value varies.
    first = -(-offset * 8 // 6)
    last = (offset + len(raw)) * 8 // 6
    return b64encode(bytes(offset) + raw + bytes(2)).decode()[first:last]


def _bytes(value: str) -> bytes:
    return value.encode(errors="surrogatepass")  # JSON can carry half a surrogate pair


_SENSITIVE: Final = re.compile(
    r"pass(word|phrase|wd)?\b|secret|token|credential|jaas|private[._-]?key|keystore\.key|api[._-]?key",
    re.IGNORECASE,
)


def is_sensitive(key: str) -> bool:
    """Tell whether what stands under a config key may be a secret, by the key's name alone."""
    return bool(_SENSITIVE.search(key))
