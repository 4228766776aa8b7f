from __future__ import annotations

import base64
import json
import urllib.parse
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from hypothesis import assume, given
from hypothesis import strategies as st

from controller.core.redact import MASK, Redacted, Scrubber, forms, scrub

# The mask's own character is left out: a mask next to it could spell a secret that never was there.
values = st.text(st.characters(blacklist_characters="*"), min_size=6, max_size=40)
texts = st.text(max_size=60)


@dataclass(frozen=True, slots=True)
class Holder:
    secret: Redacted
    nested: dict[str, Redacted]


@given(st.lists(values, min_size=1, max_size=4), st.lists(texts, max_size=5), st.data())
def test_scrub_leaves_no_form_of_a_secret(
    secrets: list[str], parts: list[str], data: st.DataObject
) -> None:
    known = sorted(form for secret in secrets for form in forms(secret))
    for index in range(len(parts)):
        parts.insert(2 * index, data.draw(st.sampled_from(known)))
    scrubbed = scrub("".join(parts), secrets)
    assert not [form for form in known if form in scrubbed]


@given(values, texts, texts)
def test_a_secret_is_found_in_whatever_quotes_it(secret: str, before: str, after: str) -> None:
    text = before + secret + after
    raw = text.encode(errors="surrogatepass")
    quoted = [
        text,
        json.dumps(text),
        json.dumps(text, ensure_ascii=False),
        json.dumps({"error": json.dumps({"value": text})}),
        urllib.parse.quote(text, safe="", errors="surrogatepass"),
        urllib.parse.quote_plus(text, errors="surrogatepass"),
        base64.b64encode(raw).decode(),
        base64.urlsafe_b64encode(raw).decode(),
    ]
    scrubber = Scrubber([secret])
    for each in quoted:
        assert MASK in scrubber.scrub(each), each


@given(st.lists(values, max_size=4), texts)
def test_scrub_touches_nothing_else(secrets: list[str], text: str) -> None:
    assume(not any(form in text for secret in secrets for form in forms(secret)))
    assert scrub(text, secrets) == text


@given(st.lists(values, max_size=5), texts)
def test_the_order_of_the_secrets_does_not_matter(secrets: list[str], text: str) -> None:
    text = text.join(secrets)
    assert scrub(text, secrets) == scrub(text, reversed(secrets)) == Scrubber(secrets).scrub(text)


@given(st.text(st.characters(categories=["L", "N"]), min_size=8))
def test_no_text_made_of_a_holder_shows_the_secret(secret: str) -> None:
    holder = Holder(Redacted(secret), {"password": Redacted(secret)})
    assume(secret not in repr(Holder(Redacted(""), {"password": Redacted("")})))
    for shown in (repr(holder), str(holder), f"{holder}", f"{holder.secret:>9}", ascii(holder)):
        assert secret not in shown


@given(values, values)
def test_redacted_is_equal_exactly_when_the_values_are(one: str, other: str) -> None:
    assert (Redacted(one) == Redacted(other)) == (one == other)
    assert Redacted(one) == Redacted(one)
    assert hash(Redacted(one)) == hash(Redacted(one))


def test_no_value_is_lost_when_threads_remember_at_once() -> None:
    scrubber = Scrubber()
    secrets = [f"secret-number-{number}-end" for number in range(400)]

    def remember_then_scrub(secret: str) -> str:
        scrubber.remember(secret)
        return scrubber.scrub(f"<{secret}>")

    with ThreadPoolExecutor(8) as pool:
        assert set(pool.map(remember_then_scrub, secrets)) == {f"<{MASK}>"}
    assert scrubber.scrub(" ".join(secrets)) == " ".join([MASK] * 400)
