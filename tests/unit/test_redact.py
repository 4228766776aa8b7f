from __future__ import annotations

import base64
import copy
import json
import pickle
import urllib.parse
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace

import pytest

from controller.core.redact import MASK, Redacted, Scrubber, forms, scrub, short

SECRET = 'p"a\\s/s &w\u00f6rd+<\n%'
PLAIN = "hunter2hunter2"


@dataclass(frozen=True, slots=True)
class Holder:
    user: str
    password: Redacted


def test_redacted_compares_and_hashes_like_its_value() -> None:
    assert Redacted(SECRET) == Redacted(SECRET)
    assert Redacted(SECRET) != Redacted(PLAIN)
    assert len({Redacted(SECRET), Redacted(SECRET), Redacted(PLAIN)}) == 2
    assert Redacted("\ud800") == Redacted("\ud800")
    assert Redacted(SECRET).reveal() == SECRET


def test_redacted_never_equals_a_plain_string() -> None:
    assert Redacted(PLAIN) != PLAIN
    assert not Redacted(PLAIN) == PLAIN  # noqa: SIM201 - both operators are under test
    assert {PLAIN: 1}.get(Redacted(PLAIN)) is None  # type: ignore[call-overload]
    assert hash(Redacted(PLAIN)) != hash(PLAIN)


@pytest.mark.parametrize(
    "shown",
    [
        repr(Redacted(PLAIN)),
        str(Redacted(PLAIN)),
        f"{Redacted(PLAIN)}",
        f"{Redacted(PLAIN)!r:>40}",
        f"{Redacted(PLAIN):40}",
        f"{Redacted(PLAIN):.3}",
        "%s" % Redacted(PLAIN),  # noqa: UP031 - foreign code formats so
        "{}".format(Redacted(PLAIN)),  # noqa: UP032 - foreign code formats so
        repr(Holder("wms", Redacted(PLAIN))),
        repr(asdict(Holder("wms", Redacted(PLAIN)))),
        repr([Redacted(PLAIN)]),
        repr({"password": Redacted(PLAIN)}),
        repr(ValueError(Redacted(PLAIN))),
        json.dumps({"password": Redacted(PLAIN)}, default=str),
        repr(Scrubber([PLAIN])),
    ],
)
def test_nothing_that_prints_shows_the_value(shown: str) -> None:
    assert PLAIN not in shown
    assert "hun" not in shown


def test_redacted_goes_into_no_json() -> None:
    with pytest.raises(TypeError):
        json.dumps(Redacted(PLAIN))


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_redacted_goes_into_no_pickle(protocol: int) -> None:
    with pytest.raises(TypeError, match="never pickled"):
        pickle.dumps(Holder("wms", Redacted(PLAIN)), protocol)
    with pytest.raises(TypeError, match="never gives out"):
        Redacted(PLAIN).__getstate__()
    assert not hasattr(Redacted(PLAIN), "__dict__")


def test_redacted_survives_copies_of_what_holds_it() -> None:
    holder = Holder("wms", Redacted(PLAIN))
    assert copy.copy(holder) == copy.deepcopy(holder) == replace(holder) == holder
    assert copy.copy(holder.password) is holder.password
    assert copy.deepcopy(holder.password) is holder.password


@pytest.mark.parametrize(
    ("value", "is_short"), [("", True), ("tiger", True), ("tiger1", False), (PLAIN, False)]
)
def test_a_value_under_six_characters_is_short_and_not_scrubbed(value: str, is_short: bool) -> None:
    assert short(value) is is_short
    assert (forms(value) == frozenset()) is is_short
    text = f"user scott, password {value}."
    assert (scrub(text, [value]) == text) is is_short


QUOTED = [
    ("as it is", SECRET),
    ("JSON", json.dumps(SECRET)[1:-1]),
    ("JSON, not ASCII", json.dumps(SECRET, ensure_ascii=False)[1:-1]),
    ("JSON with escaped slashes", json.dumps(SECRET)[1:-1].replace("/", "\\/")),
    ("JSON with upper-case digits", json.dumps(SECRET)[1:-1].replace("\\u00f6", "\\u00F6")),
    ("JSON fit for HTML", 'p\\"a\\\\s/s \\u0026w\u00f6rd+\\u003c\\n%'),
    ("JSON in JSON", json.dumps(json.dumps(SECRET))[3:-3]),
    ("URL", urllib.parse.quote(SECRET, safe="")),
    ("URL path", urllib.parse.quote(SECRET)),
    ("URL form", urllib.parse.quote_plus(SECRET)),
    ("URL, lower-case digits", "p%22a%5cs%2fs%20%26w%c3%b6rd%2b%3c%0a%25"),
    ("URL user-info", urllib.parse.quote(SECRET, safe="!$&'()*+,;=")),
    ("HTML", "p&quot;a\\s/s &amp;w\u00f6rd+&lt;\n%"),
    ("repr", repr(SECRET)[1:-1]),
    ("base64", base64.b64encode(SECRET.encode()).decode()),
    ("base64, unpadded", base64.b64encode(SECRET.encode()).decode().rstrip("=")),
    ("base64 for URLs", base64.urlsafe_b64encode(SECRET.encode()).decode()),
]


@pytest.mark.parametrize(("how", "text"), QUOTED)
def test_a_value_is_scrubbed_in_every_form_it_comes_back_in(how: str, text: str) -> None:
    assert scrub(f"before {text} after", [SECRET]) == f"before {MASK} after", how


@pytest.mark.parametrize("before", ["", "u", "us", "use", "scott:"])
@pytest.mark.parametrize("after", ["", "@", "@h", "@ho"])
@pytest.mark.parametrize("encode", [base64.b64encode, base64.urlsafe_b64encode])
def test_a_value_inside_a_longer_base64_text_is_scrubbed(
    before: str, after: str, encode: Callable[[bytes], bytes]
) -> None:
    text = encode(f"{before}{PLAIN}{after}".encode()).decode()
    scrubbed = scrub(f"Authorization: Basic {text}", [PLAIN])
    rest = scrubbed.removeprefix("Authorization: Basic ").replace(MASK, "")
    assert MASK in scrubbed
    assert len(rest) <= len(before) * 4 // 3 + len(after) * 4 // 3 + 6


def test_the_longest_value_is_masked_whole() -> None:
    assert scrub("hunter2hunter2!", ["hunter2", PLAIN]) == f"{MASK}!"
    assert scrub("hunter2hunter2!", [PLAIN, "hunter2"]) == f"{MASK}!"


def test_of_values_that_overlap_nothing_is_left() -> None:
    assert scrub("<abcdefghij>", ["abcdefg", "defghij"]) == f"<{MASK}>"
    assert scrub("<abababab>", ["ababab"]) == f"<{MASK}>"


def test_values_side_by_side_and_far_apart_are_all_masked() -> None:
    assert scrub("secret-a then secret-b", ["secret-a", "secret-b"]) == f"{MASK} then {MASK}"
    assert scrub("secret-asecret-a", ["secret-a"]) == MASK * 2


@pytest.mark.parametrize("text", ["", "nothing to see", MASK])
def test_a_text_without_a_value_stays(text: str) -> None:
    assert scrub(text, [SECRET, PLAIN]) == text
    assert scrub(text, []) == text


def test_a_scrubber_masks_what_it_was_told_so_far() -> None:
    scrubber = Scrubber()
    assert scrubber.scrub(PLAIN) == PLAIN
    scrubber.remember(Redacted(PLAIN))
    scrubber.remember(PLAIN)
    scrubber.remember("tiger")
    assert scrubber.scrub(f"{PLAIN} tiger") == f"{MASK} tiger"
    scrubber.remember(SECRET)
    assert scrubber.scrub(f"{PLAIN} {json.dumps(SECRET)}") == f'{MASK} "{MASK}"'


def test_a_value_that_is_a_form_of_another_gets_its_own_forms() -> None:
    first = "a b c d"
    second = urllib.parse.quote_plus(first)
    scrubber = Scrubber([first, second])
    assert scrubber.scrub(urllib.parse.quote_plus(second)) == MASK
