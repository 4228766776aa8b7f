"""Who we are: a stage, and every name that is derived from it.

A named stage (main, val, production) shares its names with the world and is never deleted from.
Any other stage is a branch: it is ephemeral, and all its topics carry its namespace. Whatever
could be mistaken for a named stage is refused, so that no slip of the hand or of the clipboard
makes a process act for a stage that nobody meant.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from hashlib import sha256
from typing import Final, NoReturn

MARK_KEY: Final = "x-wms.managed-by"
NAMED: Final = ("main", "val", "production")
LONGEST: Final = 31

_LEGAL: Final = re.compile(r"[a-z][a-z0-9-]{0,30}", re.ASCII)
_HASHED: Final = re.compile(r".*-[0-9a-f]{8}", re.ASCII)

_FIRST_LABELS = """
    wms mmdl aws mgmt connect connector debezium kafka mirrormaker2 jdbc ksql confluent schema
    schemas heartbeat transaction appian bigmac mako onemac seatool
"""  # a stage called `aws` would own, by its namespace, the topics of all our neighbours
_OTHER_STAGES = "dev development master prod prd preprod staging test uat validation"
_OUR_FOLDERS = "base default ephemeral internal local manifests named shared stage stages"
_UNSET = "none null nil undefined true false unknown head"  # what tools print for "not set"
RESERVED: Final = frozenset(
    f"{_FIRST_LABELS} {_OTHER_STAGES} {_OUR_FOLDERS} {_UNSET}".split(),
)

# Cyrillic and Greek letters that are drawn like the Latin ones of the named stages.
_HOMOGLYPHS: Final = {
    ord(foreign): latin
    for latin, letters in {
        "a": "\u0430\u03b1",
        "c": "\u0441\u03f2",
        "d": "\u0501",
        "i": "\u0456\u03b9",
        "l": "\u04cf",
        "m": "\u043c",
        "n": "\u043f\u0578",
        "o": "\u043e\u03bf",
        "p": "\u0440\u03c1",
        "r": "\u0433",
        "t": "\u0442\u03c4",
        "u": "\u03c5\u057d",
        "v": "\u03bd\u0475",
    }.items()
    for foreign in letters
}
_DIGITS: Final = str.maketrans({"0": "o", "1": "l", "|": "l", "i": "l"})


class RefusedStage(ValueError):
    """No stage, or one that could be mistaken for another: no action at all."""


@dataclass(frozen=True, slots=True)
class Stage:
    """A valid stage; one that is not cannot be constructed."""

    name: str

    def __post_init__(self) -> None:
        _refuse_unless_valid(self.name)

    @classmethod
    def parse(cls, text: str | None, reserved: Iterable[str] = ()) -> Stage:
        """Read a stage as it was given, changing nothing; `reserved` adds to our own words."""
        if not text:
            raise RefusedStage(
                "no stage was given, and there is no default: "
                "name one of main, val, production, or a branch's own stage",
            )
        stage = cls(text)
        if stage.ephemeral and stage.name in {word.casefold() for word in reserved}:
            _refuse_reserved(stage.name)
        return stage

    def __str__(self) -> str:
        return self.name

    @property
    def named(self) -> bool:
        return self.name in NAMED

    @property
    def ephemeral(self) -> bool:
        return not self.named

    @property
    def namespace(self) -> str:
        """What the names of this stage's topics begin with, dot included."""
        return "" if self.named else f"{self.name}."

    @property
    def default_overlay(self) -> str:
        return self.name if self.named else "ephemeral"

    @property
    def identifier(self) -> str:
        """The stage where hyphens are illegal (`${stage}`): no two stages share one."""
        return self.name.replace("-", "_")

    # --- Kafka ------------------------------------------------------------------------------

    def topic(self, name: str) -> str:
        """Add the namespace, once: a name that has it stays."""
        return name if name.startswith(self.namespace) else self.namespace + name

    @property
    def topic_prefix(self) -> str:
        return f"{self.namespace}wms"

    @property
    def schema_change_topic(self) -> str:
        return self.topic_prefix  # Debezium writes schema changes to the prefix itself

    @property
    def schema_history_topic(self) -> str:
        return f"{self.topic_prefix}.schema-changes"

    @property
    def shared_schema_history_topic(self) -> str:
        """The history where named stages share a cluster: two writers would corrupt one."""
        suffix = f".{self.name}" if self.named else ""
        return f"{self.schema_history_topic}{suffix}"

    @property
    def heartbeat_topic(self) -> str:
        return f"__debezium-heartbeat.{self.topic_prefix}"

    @property
    def connect_topics(self) -> Mapping[str, str]:
        """The worker's internal topics, by what they hold."""
        return {role: f"{self.connect_group}.{role}" for role in ("config", "offsets", "status")}

    @property
    def connect_group(self) -> str:
        return f"mgmt.connect.{self.service}"

    # --- elsewhere --------------------------------------------------------------------------

    @property
    def service(self) -> str:
        return f"wms-connector-{self.name}"

    @property
    def mark(self) -> str:
        """The value under MARK_KEY in the config of every connector of this stage."""
        return self.service

    def secret_paths(self, name: str, prefix: str = "wms") -> tuple[str, str]:
        """Where a secret is looked for: the stage's own path, then the fallback."""
        return f"{prefix}/{self.name}/{name}", f"{prefix}/default/{name}"

    def other_named_stages(self) -> tuple[Stage, ...]:
        return tuple(Stage(name) for name in NAMED if name != self.name)


def stage_of_branch(branch: str | None, reserved: Iterable[str] = ()) -> Stage:
    """Name the stage of a git branch, the same for ever and another one for every other branch.

    A branch that is a stage as it stands keeps its name. Any other is spelled out in legal
    letters, and a hash of the branch says which of the many branches spelled so is meant.
    """
    name = _branch_name(branch or "")
    words = frozenset(reserved)
    # A branch that ends like our hashes is hashed too: it could be another branch's stage.
    if name in NAMED or not _HASHED.fullmatch(name):
        try:
            return Stage.parse(name, words)
        except RefusedStage:
            pass  # illegal, too long, reserved, or like a named stage: spelled out below
    mark = sha256(name.encode(errors="surrogatepass")).hexdigest()[:8]
    room = LONGEST - len(mark) - 1
    return Stage.parse(f"{_slug(name)[:room].rstrip('-')}-{mark}", words)


def _branch_name(branch: str) -> str:
    name = branch.removeprefix("refs/heads/")
    if name in {"", "HEAD"} or name.startswith(("refs/", "-")):
        raise RefusedStage(
            f"{_shown(branch)} is not a git branch: give the branch's own name; "
            "on a detached HEAD or a tag name the stage itself",
        )
    if any(char.isspace() or unicodedata.category(char)[0] == "C" for char in name):
        raise RefusedStage(
            f"{_shown(branch)} holds blanks or invisible characters, which no git branch does: "
            "look for a stray newline or quote where it was set",
        )
    return name


def _slug(name: str) -> str:
    plain = unicodedata.normalize("NFKD", name).lower()
    slug = re.sub("[^a-z0-9]+", "-", plain).strip("-")
    return slug if slug[:1].isalpha() else f"branch-{slug}".rstrip("-")


def _refuse_unless_valid(text: str) -> None:
    if text in NAMED:
        return
    likeness = _named_like(text)
    if likeness is not None:
        raise RefusedStage(
            f"{_shown(text)} looks like the named stage {likeness!r} and is not it: "
            f"write exactly {likeness}, or choose another name",
        )
    if len(text) > LONGEST:
        raise RefusedStage(
            f"{_shown(text)} has {len(text)} characters: a stage has at most {LONGEST}",
        )
    if not _LEGAL.fullmatch(text):
        raise RefusedStage(
            f"{_shown(text)} is not a stage: it is made of a-z, 0-9 and hyphens "
            "and begins with a letter",
        )
    if text.endswith("-"):
        raise RefusedStage(
            f"{_shown(text)} ends with a hyphen, which no host name may: leave the hyphen out",
        )
    if text in RESERVED:
        _refuse_reserved(text)


def _refuse_reserved(name: str) -> NoReturn:
    raise RefusedStage(
        f"{name!r} is reserved: topics, folders or other systems are called so; "
        "choose another name",
    )


def _named_like(text: str) -> str | None:
    """The named stage that a person would read in this text."""
    return _NAMED_BY_LOOK.get(_look(text))


def _look(text: str) -> str:
    """Reduce a text to what the eye keeps of it: no case, marks, padding, or odd alphabets."""
    plain = unicodedata.normalize("NFKD", unicodedata.normalize("NFKC", text).casefold())
    seen = "".join(char for char in plain if unicodedata.category(char)[0] not in "CMZ")
    latin = seen.translate(_HOMOGLYPHS).strip("-_.,;:/\\'\"`")
    return latin.translate(_DIGITS).replace("rn", "m")


def _shown(text: str) -> str:
    """Quote a text for a message: escaped, so that what is wrong with it can be seen; and short."""
    return ascii(text if len(text) <= 2 * LONGEST else f"{text[: 2 * LONGEST]}...")


_NAMED_BY_LOOK: Final = {_look(name): name for name in NAMED}
