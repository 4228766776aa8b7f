from __future__ import annotations

import pytest

from controller.core.reference import (
    BadReference,
    SecretReference,
    Template,
    literal,
    parse_template,
)


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("", ()),
        ("plain", ("plain",)),
        ("costs $5 {not} a reference", ("costs $5 {not} a reference",)),
        ("${secret:dbInfo:user}", (SecretReference("dbInfo", "user"),)),
        ("${secret:dbInfo:url?}", (SecretReference("dbInfo", "url", optional=True),)),
        ("${secret:brokerString}", (SecretReference("brokerString"),)),
        (
            "a${secret:s:f}b${secret:s:g}",
            ("a", SecretReference("s", "f"), "b", SecretReference("s", "g")),
        ),
        ("${secret:s:f}${secret:s:g}", (SecretReference("s", "f"), SecretReference("s", "g"))),
    ],
)
def test_a_value_is_literals_and_references_in_order(
    text: str, parts: tuple[str | SecretReference, ...]
) -> None:
    template = parse_template(text)
    assert template == Template(parts)
    assert str(template) == text


@pytest.mark.parametrize(
    "text",
    [
        "${",
        "${env:HOME}",
        "${file:/etc/passwd:root}",
        "${directory:/run/wms-secrets/wms/main/dbInfo/v1:password}",
        "${secret}",
        "${secret:}",
        "${secret:dbInfo:}",
        "${secret:dbInfo?}",
        "${secret:dbInfo:user??}",
        "${secret:db/Info:user}",
        "${secret:../main/dbInfo:user}",
        "${secret:dbInfo:us er}",
        "${secret:dbInfo:user",
        "${secret:${secret:a:b}:user}",
        "${secret:ok:f} and ${other}",
        f"${{secret:{'n' * 64}:f}}",
    ],
)
def test_any_other_dollar_brace_is_refused_since_connect_would_pass_it_on(text: str) -> None:
    with pytest.raises(BadReference, match="is not a reference"):
        parse_template(text)


def test_a_refusal_quotes_only_the_beginning_of_a_long_text() -> None:
    with pytest.raises(BadReference) as refused:
        parse_template("${" + "x" * 500)
    assert "x" * 39 not in str(refused.value)


def test_a_template_without_references_is_its_own_literal() -> None:
    assert parse_template("plain").literal == "plain"
    assert parse_template("").literal == ""
    assert literal("").literal == ""
    assert literal("${kept}").literal == "${kept}"


def test_a_template_with_a_reference_has_no_literal() -> None:
    assert parse_template("a${secret:s:f}").literal is None
