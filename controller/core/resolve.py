"""A connector's manifest and the secrets make what is desired, or say why they do not."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from typing import Final

from controller.core.model import (
    Absent,
    ConnectorManifest,
    DesiredConnector,
    Login,
    ObservedSecret,
    ProbeMode,
    Records,
    SecretSnapshot,
    SecretVersion,
    Unknown,
    Unresolved,
    VersionKey,
)
from controller.core.probe import (
    ProbeDue,
    ProbeLater,
    ProbeSpent,
    ProbeState,
    Proved,
    Refused,
    read_probe,
)
from controller.core.redact import Redacted
from controller.core.reference import SecretReference, Template
from controller.core.secret_fields import PUBLIC_FIELDS
from controller.core.secret_path import Choice, choose, directory_reference

DATABASES: Final = {
    "io.debezium.connector.oracle.OracleConnector": ("oracle", 1521),
    "io.debezium.connector.postgresql.PostgresConnector": ("postgresql", 5432),
}
_LOGIN_KEYS: Final = ("database.user", "database.password")


@dataclass(frozen=True, slots=True)
class Vault:
    """What resolving needs besides the manifest."""

    secrets: SecretSnapshot
    records: Records
    probe: ProbeMode
    root: str
    now: float


@dataclass(frozen=True, slots=True)
class LoginNeed:
    """A login that the current version of a secret stands for, and what is known of it."""

    version: VersionKey
    login: Login
    state: ProbeState


@dataclass(frozen=True, slots=True)
class Resolution:
    """What is desired; `behind` tells why an older version stays in use."""

    desired: DesiredConnector | Unresolved
    login: LoginNeed | None = None
    behind: tuple[str, str] | None = None  # reason, message
    rendered: LoginNeed | None = None  # the login of the versions that it was rendered from


@dataclass(frozen=True, slots=True)
class _Unusable(Exception):
    reason: str
    message: str
    retry: bool = True


def resolve(manifest: ConnectorManifest, named: Collection[VersionKey], vault: Vault) -> Resolution:
    """Choose a version of each secret and render; a dangling reference makes it Unresolved."""
    login: LoginNeed | None = None
    try:
        secrets = {name: _secret(vault, name) for name in sorted(_names(manifest))}
        currents = {name: secret.current for name, secret in secrets.items()}
        login = _login_need(manifest, currents, vault)
        choices = {
            name: choose(secret, named, lambda v, n=name: _state(manifest, currents, vault, n, v))  # type: ignore[misc]
            for name, secret in secrets.items()
        }
        found = _render(manifest, secrets, choices, login, vault)
        chosen = {n: choice.version for n, choice in choices.items() if choice.version is not None}
        return replace(found, rendered=_login_need(manifest, chosen, vault))
    except _Unusable as why:
        return Resolution(Unresolved(manifest, why.reason, why.message, why.retry), login)


def login_of(
    manifest: ConnectorManifest, named: Collection[VersionKey], vault: Vault
) -> LoginNeed | None:
    """Find the login that a config stands for which names these versions."""
    try:
        secrets = {name: _secret(vault, name) for name in sorted(_names(manifest))}
    except _Unusable:
        return None
    used = {name: _named_version(secret, named) for name, secret in secrets.items()}
    return _login_need(manifest, used, vault)


def _named_version(secret: ObservedSecret, named: Collection[VersionKey]) -> SecretVersion:
    found = (secret.version(key) for key in sorted(named) if key != secret.current.key)
    older = next((one for one in found if isinstance(one, SecretVersion)), secret.current)
    return secret.current if secret.current.key in named else older


def _names(manifest: ConnectorManifest) -> frozenset[str]:
    return frozenset(ref.name for value in manifest.config.values() for ref in value.secrets())


def _secret(vault: Vault, name: str) -> ObservedSecret:
    secret = vault.secrets.get(name, Absent())
    if isinstance(secret, Unknown):
        raise _Unusable(secret.fault.reason, secret.fault.message)
    if isinstance(secret, Absent):
        raise _Unusable("SecretMissing", f"no secret {name}: create it under one of its paths")
    return secret


def _login_names(manifest: ConnectorManifest) -> frozenset[str]:
    templates = (manifest.config.get(key) for key in _LOGIN_KEYS)
    return frozenset(
        ref.name for value in templates if value is not None for ref in value.secrets()
    )


def _state(
    manifest: ConnectorManifest,
    currents: Mapping[str, SecretVersion],
    vault: Vault,
    name: str,
    version: SecretVersion,
) -> ProbeState:
    gap = _gap(manifest, name, version)
    if gap is not None:
        return Refused(gap.message)
    names = sorted(_login_names(manifest))
    if name not in names:
        return Proved()
    try:
        login = _login(manifest, {**currents, name: version})
    except _Unusable as why:
        return Refused(why.message)
    if login is None:
        return Proved()
    proof = version if name == names[-1] else currents[names[-1]]  # one login has one record
    return read_probe(vault.records, proof.key, login.address, vault.probe, vault.now)


def _gap(manifest: ConnectorManifest, name: str, version: SecretVersion) -> _Unusable | None:
    """Tell which field the manifest needs and the version lacks."""
    if version.problem:
        return None
    refs = (ref for template in manifest.config.values() for ref in template.secrets())
    try:
        for ref in refs:
            if ref.name == name:
                _field(ref, version)
    except _Unusable as why:
        return why
    return None


def _login_need(
    manifest: ConnectorManifest, versions: Mapping[str, SecretVersion], vault: Vault
) -> LoginNeed | None:
    names = sorted(_login_names(manifest))
    if not names or versions[names[-1]].problem:
        return None
    try:
        login = _login(manifest, versions)
    except _Unusable:  # told where a version is chosen: an older one may still do
        return None
    if login is None:
        return None
    version = versions[names[-1]].key
    state = read_probe(vault.records, version, login.address, vault.probe, vault.now)
    return LoginNeed(version, login, state)


def _login(manifest: ConnectorManifest, versions: Mapping[str, SecretVersion]) -> Login | None:
    database = DATABASES.get(manifest.connector_class)
    if database is None:
        return None
    system, port = database
    read = {
        key: _reveal(manifest.config[key], versions)
        for key in manifest.config
        if key.startswith("database.")
    }
    number = read.get("database.port") or str(port)
    url = read.get("database.url")
    return Login(
        system=system,
        host=read.get("database.hostname") or "",
        port=int(number) if number.isdecimal() else port,
        database=read.get("database.pdb.name") or read.get("database.dbname") or "",
        user=Redacted(read.get("database.user") or ""),
        password=Redacted(read.get("database.password") or ""),
        url=Redacted(url) if url else None,
    )


def _reveal(template: Template, versions: Mapping[str, SecretVersion]) -> str | None:
    texts = []
    for part in template.parts:
        if isinstance(part, str):
            texts.append(part)
            continue
        value = _field(part, versions[part.name])
        if value is None:
            return None
        texts.append(value.reveal())
    return "".join(texts)


def _field(ref: SecretReference, version: SecretVersion) -> Redacted | None:
    """Answer the value; None when an optional one is missing."""
    name = ref.field or ref.name
    value = version.fields.get(name)
    if value is None and not ref.optional:
        there = ", ".join(sorted(version.fields)) or "none"
        raise _Unusable(
            "SecretFieldMissing",
            f"{version.key.path} has no field {name} (it has: {there}): add it to the secret, "
            f"or write {{{ref.name}:{name}?}} in the manifest where it may be missing",
            retry=False,
        )
    return value


def _render(
    manifest: ConnectorManifest,
    secrets: Mapping[str, ObservedSecret],
    choices: Mapping[str, Choice],
    login: LoginNeed | None,
    vault: Vault,
) -> Resolution:
    chosen: dict[str, SecretVersion] = {}
    behind: tuple[str, str] | None = None
    for name, choice in choices.items():
        why = _gap(manifest, name, choice.current) or _unusable_choice(choice)
        if choice.version is None:
            raise why
        if not choice.is_current:
            behind = (why.reason, why.message)
        chosen[name] = choice.version
    used: set[VersionKey] = set()
    config: dict[str, str] = {}
    for key, template in manifest.config.items():
        value = _render_value(template, chosen, vault.root, used)
        if value is not None:
            config[key] = value
    fallback = frozenset(name for name, secret in secrets.items() if secret.fallback)
    rendered = frozenset(version.key for version in chosen.values())
    desired = DesiredConnector(manifest, config, frozenset(used), fallback, rendered)
    return Resolution(desired, login, behind)


def _render_value(
    template: Template, chosen: Mapping[str, SecretVersion], root: str, used: set[VersionKey]
) -> str | None:
    texts: list[str] = []
    for part in template.parts:
        if isinstance(part, str):
            texts.append(part)
            continue
        version = chosen[part.name]
        value = _field(part, version)
        if value is None:
            return None
        name = part.field or part.name
        if name in PUBLIC_FIELDS:
            texts.append(value.reveal())
        else:
            used.add(version.key)
            texts.append(directory_reference(root, version.key, name))
    return "".join(texts)


def _unusable_choice(choice: Choice) -> _Unusable:
    path, state = choice.current.key.path, choice.state
    if choice.current.problem:
        return _Unusable("SecretMalformed", f"{path}: {choice.current.problem}", retry=False)
    if isinstance(state, Refused):
        return _Unusable(
            "LoginRefused",
            f"the database refused the login of {path}: {state.message}; "
            "put the right credentials into the secret",
            retry=False,
        )
    if isinstance(state, ProbeSpent):
        return _Unusable(
            "LoginDoubtful",
            f"two logins with {path} may have failed ({state.message}); no third is tried, so that "
            "the account is not locked: check it, then `wmsctl probe`",
            retry=False,
        )
    if isinstance(state, ProbeLater):
        return _Unusable(
            "SourceUnreachable", f"the login of {path} could not be tried: {state.message}"
        )
    if isinstance(state, ProbeDue):
        return _Unusable("LoginUnproved", f"the login of {path} is about to be tried")
    return _Unusable("SecretsUnresolved", f"{path} has no usable version")
