from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import pytest

from controller.core.model import (
    ABSENT,
    ConnectorManifest,
    DesiredConnector,
    Json,
    ProbeMode,
    ProbeOutcome,
    SecretVersion,
    Unknown,
    Unresolved,
    VersionKey,
)
from controller.core.probe import (
    ProbeDue,
    bad_record,
    probe_record,
    stamp_after,
    stamp_before,
)
from controller.core.resolve import Resolution, Vault, resolve
from tests import make

OLD, NEW = make.version("v1"), make.version("v2", fields={"password": "second-password"})
ADDRESS = "oracle://127.0.0.1:1521/ORCL"


def resolved(
    manifest: ConnectorManifest | None = None,
    named: Iterable[VersionKey] = (),
    probe: ProbeMode = ProbeMode.REQUIRED,
    records: Mapping[str, Mapping[str, Json]] | None = None,
    **secrets: Any,
) -> Resolution:
    known = {"dbInfo": make.secret(), "brokerString": make.broker_secret(), **secrets}
    vault = Vault(known, make.records(records or {}), probe, make.ROOT, make.NOW)
    return resolve(manifest or make.connector_manifest(), tuple(named), vault)


def desired(resolution: Resolution) -> DesiredConnector:
    assert isinstance(resolution.desired, DesiredConnector)
    return resolution.desired


def unresolved(resolution: Resolution) -> Unresolved:
    assert isinstance(resolution.desired, Unresolved)
    return resolution.desired


def proved(version: SecretVersion, outcome: ProbeOutcome = ProbeOutcome.ACCEPTED) -> Any:
    stamp = stamp_after(stamp_before({}, version.key, ADDRESS, make.NOW), outcome, "m", make.NOW)
    return {probe_record(version.key, ADDRESS): stamp}


def bad(version: SecretVersion) -> Any:
    return {bad_record(version.key, ADDRESS): {"message": "ORA-01017"}}


# --- rendering ------------------------------------------------------------------------------


def test_public_fields_are_rendered_and_the_others_only_named() -> None:
    config = desired(resolved(probe=ProbeMode.OFF)).config
    assert config == make.rendered("v1")
    assert "first-password" not in str(config)


def test_every_secret_field_comes_from_the_version_that_is_told() -> None:
    one = desired(resolved(records=proved(NEW), dbInfo=make.secret(NEW, OLD)))
    assert one.config == make.rendered("v2")
    assert one.versions == one.rendered == frozenset({NEW.key})


def test_a_version_that_only_public_fields_come_from_is_rendered_from_but_not_named() -> None:
    manifest = make.connector_manifest({"brokers": "${secret:brokerString}"})
    one = desired(resolved(manifest, probe=ProbeMode.OFF))
    broker = VersionKey("wms/main/brokerString", "b1")
    assert one.config["brokers"] == make.BROKERS
    assert one.versions == frozenset({OLD.key})
    assert one.rendered == frozenset({OLD.key, broker})


def test_an_optional_field_that_is_missing_drops_its_key() -> None:
    assert "database.url" not in desired(resolved(probe=ProbeMode.OFF)).config


def test_an_optional_field_that_is_there_is_a_reference() -> None:
    secret = make.secret(make.version(fields={"url": "jdbc:oracle:thin:@//127.0.0.1/X"}))
    config = desired(resolved(probe=ProbeMode.OFF, dbInfo=secret)).config
    assert config["database.url"] == f"${{directory:{make.ROOT}/wms/main/dbInfo/v1:url}}"


def test_a_field_that_is_missing_is_told_with_those_that_are_there() -> None:
    secret = make.secret(make.version(fields={"user": None}))
    told = unresolved(resolved(probe=ProbeMode.OFF, dbInfo=secret))
    assert (told.reason, told.retry) == ("SecretFieldMissing", False)
    assert "has no field user (it has: dbname, host, password, port)" in told.message


def test_a_fallback_is_told_by_name() -> None:
    secret = make.secret(make.version(path="wms/default/dbInfo"), fallback=True)
    assert desired(resolved(probe=ProbeMode.OFF, dbInfo=secret)).fallback == {"dbInfo"}


# --- secrets that are not there -------------------------------------------------------------


@pytest.mark.parametrize(
    ("secret", "reason"), [(ABSENT, "SecretMissing"), (Unknown(make.AWAY), "Unreachable")]
)
def test_a_manifest_without_its_secret_still_claims_its_name(secret: Any, reason: str) -> None:
    told = unresolved(resolved(dbInfo=secret))
    assert (told.manifest.name, told.reason, told.retry) == (make.NAME, reason, True)


def test_a_secret_that_cannot_be_read_waits_for_another_version() -> None:
    told = unresolved(resolved(dbInfo=make.secret(make.version(problem="is no JSON"))))
    assert (told.reason, told.retry) == ("SecretMalformed", False)
    assert "is no JSON" in told.message


# --- which version --------------------------------------------------------------------------


def test_a_first_config_waits_until_its_login_is_proved() -> None:
    resolution = resolved()
    assert unresolved(resolution).reason == "LoginUnproved"
    assert resolution.login is not None
    assert (resolution.login.version, resolution.login.state) == (OLD.key, ProbeDue(1))


def test_the_login_to_prove_is_that_of_the_current_version() -> None:
    login = resolved(named=[OLD.key], dbInfo=make.secret(NEW, OLD)).login
    assert login is not None
    assert login.version == NEW.key
    assert login.login.address == ADDRESS
    assert login.login.password.reveal() == "second-password"
    assert "second-password" not in repr(login)


def test_a_rotation_waits_for_the_proof_while_the_old_version_stays_in_use() -> None:
    resolution = resolved(named=[OLD.key], dbInfo=make.secret(NEW, OLD))
    assert desired(resolution).config == make.rendered("v1")
    assert resolution.behind is not None
    assert resolution.behind[0] == "LoginUnproved"


def test_a_rotation_changes_public_fields_together_with_the_login() -> None:
    moved = make.version("v2", fields={"host": "127.0.0.2"})
    secret = make.secret(moved, OLD)
    before = resolved(named=[OLD.key], dbInfo=secret)
    assert desired(before).config["database.hostname"] == "127.0.0.1"
    at = "oracle://127.0.0.2:1521/ORCL"
    stamp = stamp_after(
        stamp_before({}, moved.key, at, make.NOW), ProbeOutcome.ACCEPTED, "", make.NOW
    )
    after = resolved(named=[OLD.key], dbInfo=secret, records={probe_record(moved.key, at): stamp})
    assert desired(after).config == make.rendered("v2", database_hostname="127.0.0.2")


def test_a_refused_password_keeps_the_old_version_and_says_so() -> None:
    resolution = resolved(named=[OLD.key], records=bad(NEW), dbInfo=make.secret(NEW, OLD))
    assert desired(resolution).config == make.rendered("v1")
    assert resolution.behind is not None
    reason, message = resolution.behind
    assert reason == "LoginRefused"
    assert "ORA-01017" in message


def test_an_unreadable_new_version_keeps_the_old_one() -> None:
    secret = make.secret(make.version("v2", problem="is no JSON"), OLD)
    resolution = resolved(named=[OLD.key], dbInfo=secret)
    assert desired(resolution).config == make.rendered("v1")
    assert resolution.behind is not None
    assert resolution.behind[0] == "SecretMalformed"


def test_a_new_version_without_a_needed_field_keeps_the_old_one() -> None:
    secret = make.secret(make.version("v2", fields={"password": None}), OLD)
    resolution = resolved(named=[OLD.key], dbInfo=secret)
    assert desired(resolution).config == make.rendered("v1")
    assert resolution.login is None
    assert resolution.behind is not None
    reason, message = resolution.behind
    assert reason == "SecretFieldMissing"
    assert "has no field password" in message


def test_without_an_older_version_a_refused_one_leaves_nothing_to_use() -> None:
    told = unresolved(resolved(named=[NEW.key], records=bad(NEW), dbInfo=make.secret(NEW)))
    assert (told.reason, told.retry) == ("LoginRefused", False)


def test_two_logins_that_may_have_failed_need_a_person() -> None:
    stamp: dict[str, Json] = {"attempts": 2, "failures": 2, "outcome": "doubtful", "message": "m"}
    told = unresolved(resolved(records={probe_record(OLD.key, ADDRESS): stamp}))
    assert (told.reason, told.retry) == ("LoginDoubtful", False)
    assert "wmsctl probe" in told.message


def test_a_database_that_is_away_is_waited_for() -> None:
    told = unresolved(resolved(records=proved(OLD, ProbeOutcome.UNREACHABLE)))
    assert (told.reason, told.retry) == ("SourceUnreachable", True)


@pytest.mark.parametrize("probe", [ProbeMode.ADVISORY, ProbeMode.OFF])
def test_where_no_proof_is_required_a_database_that_is_away_is_no_obstacle(
    probe: ProbeMode,
) -> None:
    resolution = resolved(probe=probe, records=proved(OLD, ProbeOutcome.UNREACHABLE))
    assert desired(resolution).config == make.rendered("v1")


def test_a_connector_class_without_a_database_needs_no_proof() -> None:
    manifest = make.connector_manifest(connector_class="org.example.FileSource")
    resolution = resolved(manifest)
    assert resolution.login is None
    assert desired(resolution).config == make.rendered("v1")


@pytest.mark.parametrize("both_proved", [False, True])
def test_user_and_password_of_two_secrets_are_proved_as_one_login(both_proved: bool) -> None:
    config = {"database.user": "${secret:who:user}"}
    who = make.version("w1", name="who")
    secrets: Any = {"who": make.secret(who)}
    first = resolved(make.connector_manifest(config), **secrets)
    assert first.login is not None
    stamp = stamp_after(
        stamp_before({}, first.login.version, ADDRESS, make.NOW),
        ProbeOutcome.ACCEPTED,
        "",
        make.NOW,
    )
    records = {probe_record(first.login.version, ADDRESS): stamp} if both_proved else {}
    again = resolved(make.connector_manifest(config), records=records, **secrets)
    assert isinstance(again.desired, DesiredConnector) is both_proved
