from __future__ import annotations

from pathlib import Path

import pytest

from controller.adapters.secret_files import SecretVolume
from controller.bootstrap import Parts, build
from controller.core.action import WriteReady
from controller.core.faults import Denied, Fault, Unavailable
from controller.core.model import VersionKey
from controller.kafka_login import ReadyWithLogin
from controller.settings import read_settings
from tests.fakes.secrets import FakeSecrets

PASSWORD = "planted-broker-password-5f2e"
LOGIN = f'{{"username": "wms", "password": "{PASSWORD}"}}'


@pytest.fixture
def root(tmp_path: Path) -> Path:
    path = tmp_path / "secrets"
    path.mkdir()
    return path


@pytest.fixture
def secrets() -> FakeSecrets:
    return FakeSecrets()


def parts(secrets: FakeSecrets, root: Path, **settings: str) -> Parts:
    environment = {
        "WMS_STAGE": "main",
        "WMS_KAFKA_SECURITY": "scram",
        "WMS_SECRETS_ROOT": str(root),
        **settings,
    }
    made = build(read_settings(environment))
    made.__dict__["secrets"] = secrets
    return made


def test_ready_never_lies_there_without_the_login(secrets: FakeSecrets, root: Path) -> None:
    version = secrets.put("wms/main/kafkaLogin", LOGIN)
    parts(secrets, root).files.apply(WriteReady("b-1:9096"))
    folder = root / "kafka" / version
    assert (folder / "user").read_text() == "wms"
    assert (folder / "password").read_text() == PASSWORD
    assert (root / "ready").read_text() == "b-1:9096\n"


@pytest.mark.parametrize("text", [None, "{}", '{"username": "wms"}', "only-a-password"])
def test_without_a_whole_login_the_worker_is_not_let_go(
    secrets: FakeSecrets, root: Path, text: str | None
) -> None:
    if text is not None:
        secrets.put("wms/main/kafkaLogin", text)
    with pytest.raises(Denied) as told:
        parts(secrets, root).files.apply(WriteReady("b-1:9096"))
    assert "kafkaLogin" in told.value.message
    assert "only-a-password" not in told.value.message
    assert list(root.iterdir()) == []


def test_a_login_that_cannot_be_read_is_not_one_that_is_missing(
    secrets: FakeSecrets, root: Path
) -> None:
    secrets.put("wms/default/kafkaLogin", LOGIN)
    secrets.broken["wms/main/kafkaLogin"] = Unavailable("SecretsUnreachable", "no answer")
    with pytest.raises(Unavailable):
        parts(secrets, root).files.apply(WriteReady("b-1:9096"))
    assert list(root.iterdir()) == []


def test_the_login_falls_back_as_every_secret_does(secrets: FakeSecrets, root: Path) -> None:
    version = secrets.put("wms/default/kafkaLogin", LOGIN)
    parts(secrets, root).files.apply(WriteReady("b-1:9096"))
    assert (root / "kafka" / version / "user").read_text() == "wms"


def test_a_volume_that_cannot_take_the_login_gets_no_ready(
    secrets: FakeSecrets, root: Path
) -> None:
    secrets.put("wms/main/kafkaLogin", LOGIN)
    (root / "kafka").write_text("in the way")
    with pytest.raises(Fault):
        parts(secrets, root).files.apply(WriteReady("b-1:9096"))
    assert not (root / "ready").exists()


def test_our_own_clients_get_the_same_login_and_show_it_to_nobody(
    secrets: FakeSecrets, root: Path
) -> None:
    secrets.put("wms/main/kafkaLogin", LOGIN)
    config = parts(secrets, root).kafka_config("b-1:9096", "test")
    assert config["security.protocol"] == "SASL_SSL"
    assert config["sasl.password"].reveal() == PASSWORD
    assert PASSWORD not in repr(config)


def test_a_login_in_the_settings_needs_no_secret(secrets: FakeSecrets, root: Path) -> None:
    made = parts(secrets, root, WMS_KAFKA_USERNAME="me", WMS_KAFKA_PASSWORD=PASSWORD)
    assert made.kafka_config("b-1:9096", "test")["sasl.username"].reveal() == "me"
    made.files.apply(WriteReady("b-1:9096"))
    assert (root / "ready").exists()
    assert secrets.observations == 0


@pytest.mark.parametrize("security", ["plaintext", "tls", "iam"])
def test_only_scram_asks_for_a_login(secrets: FakeSecrets, root: Path, security: str) -> None:
    made = parts(secrets, root, WMS_KAFKA_SECURITY=security)
    made.files.apply(WriteReady("b-1:9092"))
    assert secrets.observations == 0
    assert [path.name for path in root.iterdir()] == ["ready"]


def test_the_login_is_shown_as_a_version_that_lies_there(secrets: FakeSecrets, root: Path) -> None:
    version = secrets.put("wms/main/kafkaLogin", LOGIN)
    files = ReadyWithLogin(SecretVolume(root), parts(secrets, root).read_kafka_login)
    files.apply(WriteReady("b-1:9096"))
    there = files.observe().versions
    assert there == {VersionKey("kafka", version): frozenset({"user", "password"})}
