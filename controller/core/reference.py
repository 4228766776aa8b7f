"""`${secret:NAME:FIELD}` references: parsed once, rendered when versions are chosen."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TypeAlias


@dataclass(frozen=True, slots=True)
class SecretReference:
    """A field of a secret; without a field it means the secret's whole text."""

    name: str
    field: str | None = None
    optional: bool = False

    def __str__(self) -> str:
        tail = "" if self.field is None else f":{self.field}{'?' if self.optional else ''}"
        return f"${{secret:{self.name}{tail}}}"


Part: TypeAlias = "str | SecretReference"


@dataclass(frozen=True, slots=True)
class Template:
    """A config value as literal texts and references, in order."""

    parts: tuple[Part, ...]

    def secrets(self) -> Iterator[SecretReference]:
        return (part for part in self.parts if isinstance(part, SecretReference))

    @property
    def literal(self) -> str | None:
        """The value itself when it refers to nothing, else None."""
        if any(True for _ in self.secrets()):
            return None
        return "".join(str(part) for part in self.parts)

    def __str__(self) -> str:
        return "".join(str(part) for part in self.parts)


class BadReference(ValueError):
    """The text holds a `${` that is no reference this system resolves."""


_SECRET = re.compile(
    r"\$\{secret:(?P<name>[A-Za-z][A-Za-z0-9_-]{0,62})"
    r"(?::(?P<field>[A-Za-z][A-Za-z0-9_.-]{0,62})(?P<optional>\?)?)?\}"
)


def literal(text: str) -> Template:
    return Template((text,) if text else ())


def parse_template(text: str) -> Template:
    """Split a config value; raises BadReference for any other `${`, as Connect passes such on."""
    parts: list[Part] = []
    position = 0
    while (start := text.find("${", position)) >= 0:
        match = _SECRET.match(text, start)
        if match is None:
            raise BadReference(
                f"{text[start : start + 40]!r} is not a reference that is resolved here: "
                "use ${secret:NAME:FIELD}, ${secret:NAME:FIELD?} or ${secret:NAME}"
            )
        if start > position:
            parts.append(text[position:start])
        parts.append(SecretReference(match["name"], match["field"], bool(match["optional"])))
        position = match.end()
    if position < len(text):
        parts.append(text[position:])
    return Template(tuple(parts))
