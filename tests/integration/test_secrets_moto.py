"""The adapter, and the fake that stands in for it, by one contract; then what AWS alone does."""

from __future__ import annotations

import json
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Protocol

import pytest

from controller.adapters.secrets import SecretsManager, client_factory
from controller.core.faults import Denied, Fault, Transient, Unavailable
from controller.core.model import (
    ABSENT,
    Absent,
    ObservedSecret,
    SecretVersion,
    Unknown,
    VersionKey,
)
from controller.core.redact import Scrubber
from controller.ports import SecretReader
from tests.fakes.secrets import FakeSecrets

GOOD = json.dumps({"ip": "db.internal", "port": 1521, "user": "cdc_reader", "password": "Pa55-one"})
OTHER = json.dumps({"host": "db.internal", "user": "cdc_reader", "password": "Pa55-two"})


class World(Protocol):
    @property
    def reader(self) -> SecretReader: ...

    def put(self, path: str, text: str) -> str: ...
    def move_current(self, path: str, version_id: str) -> None: ...
    def mark_for_deletion(self, path: str) -> None: ...
    def delete(self, path: str) -> None: ...


class FakeWorld(FakeSecrets):
    @property
    def reader(self) -> SecretReader:
        return self


class MotoWorld:
    def __init__(self, endpoint: str) -> None:
        make_client = client_factory(region="us-east-1", endpoint_url=endpoint)
        self.revealed = Scrubber()
        self.reader: SecretReader = SecretsManager(
            make_client, remember=self.revealed.remember, scrub=self.revealed.scrub
        )
        self.client: Any = make_client()

    def put(self, path: str, text: str) -> str:
        try:
            answer = self.client.put_secret_value(SecretId=path, SecretString=text)
        except self.client.exceptions.ResourceNotFoundException:
            answer = self.client.create_secret(Name=path, SecretString=text)
        return str(answer["VersionId"])

    def move_current(self, path: str, version_id: str) -> None:
        now = self.client.describe_secret(SecretId=path)["VersionIdsToStages"]
        [current] = [key for key, stages in now.items() if "AWSCURRENT" in stages]
        self.client.update_secret_version_stage(
            SecretId=path,
            VersionStage="AWSCURRENT",
            MoveToVersionId=version_id,
            RemoveFromVersionId=current,
        )

    def mark_for_deletion(self, path: str) -> None:
        self.client.delete_secret(SecretId=path, RecoveryWindowInDays=7)

    def delete(self, path: str) -> None:
        self.client.delete_secret(SecretId=path, ForceDeleteWithoutRecovery=True)


@pytest.fixture(autouse=True)
def credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")


@pytest.fixture(params=["moto", "fake"])
def world(request: pytest.FixtureRequest) -> World:
    if request.param == "fake":
        return FakeWorld()
    return MotoWorld(request.getfixturevalue("aws_server"))


@pytest.fixture
def paths() -> tuple[str, str]:
    """A stage of its own for each test, since one server serves them all."""
    root = f"wms{uuid.uuid4().hex[:8]}"
    return f"{root}/main/dbInfo", f"{root}/default/dbInfo"


def look(
    world: World, paths: tuple[str, ...], *versions: VersionKey
) -> ObservedSecret | Absent | Unknown:
    return world.reader.observe({"dbInfo": paths}, versions)["dbInfo"]


def seen(world: World, paths: tuple[str, ...], *versions: VersionKey) -> ObservedSecret:
    observed = look(world, paths, *versions)
    assert isinstance(observed, ObservedSecret), observed
    return observed


def password(version: SecretVersion | Absent | Unknown) -> str:
    assert isinstance(version, SecretVersion), version
    return version.fields["password"].reveal()


# --- the contract -------------------------------------------------------------------------


def test_the_first_path_that_exists_is_used(world: World, paths: tuple[str, str]) -> None:
    world.put(paths[0], GOOD)
    world.put(paths[1], OTHER)
    observed = seen(world, paths)
    assert (observed.path, observed.fallback) == (paths[0], False)
    assert password(observed.current) == "Pa55-one"
    assert observed.current.fields["host"].reveal() == "db.internal"


def test_the_default_is_used_when_the_stage_has_none(world: World, paths: tuple[str, str]) -> None:
    world.put(paths[1], OTHER)
    observed = seen(world, paths)
    assert (observed.path, observed.fallback) == (paths[1], True)


def test_a_secret_that_is_nowhere_is_absent(world: World, paths: tuple[str, str]) -> None:
    assert look(world, paths) == ABSENT


def test_a_deleted_secret_gives_way_to_the_default(world: World, paths: tuple[str, str]) -> None:
    world.put(paths[0], GOOD)
    world.put(paths[1], OTHER)
    world.delete(paths[0])
    assert seen(world, paths).fallback


def test_a_secret_marked_for_deletion_does_not_give_way(
    world: World, paths: tuple[str, str]
) -> None:
    world.put(paths[0], GOOD)
    world.put(paths[1], OTHER)
    world.mark_for_deletion(paths[0])
    observed = look(world, paths)
    assert isinstance(observed, Unknown)
    assert isinstance(observed.fault, Denied)
    assert observed.fault.reason == "SecretMarkedForDeletion"


def test_a_new_version_becomes_current_and_the_old_one_previous(
    world: World, paths: tuple[str, str]
) -> None:
    first = world.put(paths[0], GOOD)
    assert seen(world, paths).previous == ABSENT
    second = world.put(paths[0], OTHER)
    observed = seen(world, paths)
    assert observed.current.key == VersionKey(paths[0], second)
    assert observed.previous.key == VersionKey(paths[0], first)  # type: ignore[union-attr]
    assert (password(observed.current), password(observed.previous)) == ("Pa55-two", "Pa55-one")


def test_the_current_version_is_the_one_that_carries_the_stage(
    world: World, paths: tuple[str, str]
) -> None:
    first = world.put(paths[0], GOOD)
    second = world.put(paths[0], OTHER)
    world.move_current(paths[0], first)
    observed = seen(world, paths)
    assert observed.current.key.version_id == first
    assert password(observed.current) == "Pa55-one"
    assert observed.previous.key.version_id == second  # type: ignore[union-attr]


def test_versions_that_configs_name_are_read_from_either_path(
    world: World, paths: tuple[str, str]
) -> None:
    fallback = VersionKey(paths[1], world.put(paths[1], OTHER))
    oldest = VersionKey(paths[0], world.put(paths[0], GOOD))
    for text in (OTHER, GOOD):
        world.put(paths[0], text)
    observed = seen(world, paths, oldest, fallback)
    assert password(observed.version(oldest)) == "Pa55-one"
    assert password(observed.version(fallback)) == "Pa55-two"


def test_a_version_that_is_gone_is_absent_and_its_secret_is_not(
    world: World, paths: tuple[str, str]
) -> None:
    world.put(paths[0], GOOD)
    gone = VersionKey(paths[0], str(uuid.uuid4()))
    elsewhere = VersionKey(paths[1], str(uuid.uuid4()))
    observed = seen(world, paths, gone, elsewhere)
    assert observed.version(gone) == ABSENT
    assert observed.version(elsewhere) == ABSENT
    assert password(observed.current) == "Pa55-one"


def test_a_secret_that_cannot_be_read_as_fields_is_shown_with_its_problem(
    world: World, paths: tuple[str, str]
) -> None:
    world.put(paths[0], '{"ip": "one.internal", "host": "two.internal"}')
    current = seen(world, paths).current
    assert current.problem is not None
    assert not current.fields


def test_more_secrets_than_one_batch_takes_are_all_read(
    world: World, paths: tuple[str, str]
) -> None:
    names = {f"s{number}": f"{paths[0]}{number}" for number in range(45)}
    for number, path in enumerate(names.values()):
        if number != 30:
            world.put(path, f"value-{number}")
    snapshot = world.reader.observe({name: (path,) for name, path in names.items()}, ())
    assert [name for name, item in snapshot.items() if item == ABSENT] == ["s30"]
    last = snapshot["s44"]
    assert isinstance(last, ObservedSecret)
    assert last.current.fields["s44"].reveal() == "value-44"


# --- the adapter alone --------------------------------------------------------------------


def test_values_are_remembered_for_scrubbing_and_public_ones_are_not(
    aws_server: str, paths: tuple[str, str]
) -> None:
    world = MotoWorld(aws_server)
    world.put(paths[0], GOOD)
    seen(world, paths)
    text = world.revealed.scrub("cdc_reader Pa55-one at db.internal:1521")
    assert text == "*** *** at db.internal:1521"


def test_a_binary_secret_is_a_problem_and_not_half_read(
    aws_server: str, paths: tuple[str, str]
) -> None:
    world = MotoWorld(aws_server)
    world.client.create_secret(Name=paths[0], SecretBinary=b"\x00\x01")
    current = seen(world, paths).current
    assert current.problem is not None
    assert "binary" in current.problem


# --- an AWS that refuses ------------------------------------------------------------------

Answer = tuple[int, dict[str, Any]]


def refused(code: str, message: str = "no", status: int = 400) -> Answer:
    return status, {"__type": code, "message": message}


class Aws:
    """Answers each call by its name and the secret asked for."""

    def __init__(self) -> None:
        self.batch: Callable[[list[str]], Answer] = lambda _paths: refused("AccessDeniedException")
        self.single: Callable[[str, str], Answer] = lambda _path, _which: refused(
            "ResourceNotFoundException", "Secrets Manager can't find the specified secret."
        )
        self.asked: list[str] = []
        aws = self

        class Server(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                status, body = aws.answer(self.headers["X-Amz-Target"].split(".")[1], request)
                raw = json.dumps(body).encode()
                self.send_response(status)
                self.send_header("Content-Length", str(len(raw)))
                self.end_headers()
                self.wfile.write(raw)

            def log_message(self, *_: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Server)
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True)
        self.thread.start()

    def answer(self, call: str, request: dict[str, Any]) -> Answer:
        self.asked.append(call)
        if call == "BatchGetSecretValue":
            return self.batch(request["SecretIdList"])
        which = request.get("VersionStage") or request["VersionId"]
        return self.single(request["SecretId"], which)

    def close(self) -> None:
        self.server.shutdown()
        self.thread.join()
        self.server.server_close()


@pytest.fixture
def aws() -> Iterator[Aws]:
    server = Aws()
    yield server
    server.close()


def reader(endpoint: str, **options: Any) -> SecretsManager:
    scrubber = Scrubber()
    make = client_factory(
        region="us-east-1", endpoint_url=endpoint, connect_timeout=0.5, read_timeout=0.5
    )
    return SecretsManager(make, remember=scrubber.remember, scrub=scrubber.scrub, **options)


def at(aws: Aws) -> SecretsManager:
    return reader(f"http://127.0.0.1:{aws.server.server_port}")


def value(path: str, text: str, *stages: str) -> dict[str, Any]:
    return {
        "Name": path,
        "VersionId": f"{'-'.join(stages)}-00000000000000000000000000000000",
        "VersionStages": list(stages),
        "SecretString": text,
    }


def only_current(texts: dict[str, str]) -> Callable[[str, str], Answer]:
    def answer(path: str, which: str) -> Answer:
        if path in texts and which == "AWSCURRENT":
            return 200, value(path, texts[path], "AWSCURRENT")
        return refused("ResourceNotFoundException", "Secrets Manager can't find the specified x.")

    return answer


PAIR = {"dbInfo": ("wms/main/dbInfo", "wms/default/dbInfo")}


def test_a_batch_denied_as_a_whole_is_made_up_for_by_single_reads(aws: Aws) -> None:
    aws.single = only_current({"wms/default/dbInfo": GOOD})
    observed = at(aws).observe(PAIR, ())["dbInfo"]
    assert isinstance(observed, ObservedSecret)
    assert observed.fallback


def test_paths_that_a_batch_leaves_out_are_read_singly(aws: Aws) -> None:
    error = {"SecretId": "wms/default/dbInfo", "ErrorCode": "AccessDeniedException", "Message": ""}
    aws.batch = lambda _paths: (200, {"SecretValues": [], "Errors": [error]})
    aws.single = only_current({"wms/main/dbInfo": GOOD})
    observed = at(aws).observe(PAIR, ())["dbInfo"]
    assert isinstance(observed, ObservedSecret)
    assert not observed.fallback


@pytest.mark.parametrize(
    ("code", "message", "kind", "reason"),
    [
        ("AccessDeniedException", "no", Denied, "SecretsDenied"),
        ("DecryptionFailure", "no", Denied, "SecretUndecryptable"),
        ("InvalidRequestException", "marked for deletion", Denied, "SecretMarkedForDeletion"),
        ("InvalidRequestException", "you cannot", Denied, "SecretRefused"),
        ("InternalServiceError", "oh", Unavailable, "SecretsUnavailable"),
        ("SomethingNew", "oh", Unavailable, "SecretsUnavailable"),
    ],
)
@pytest.mark.parametrize("where", ["batch", "single"])
def test_only_not_found_leads_to_the_default(  # noqa: PLR0917 - a table
    aws: Aws, where: str, code: str, message: str, kind: type[Fault], reason: str
) -> None:
    good = value("wms/default/dbInfo", GOOD, "AWSCURRENT")
    error = {"SecretId": "wms/main/dbInfo", "ErrorCode": code, "Message": message}
    if where == "batch":
        aws.batch = lambda _paths: (200, {"SecretValues": [good], "Errors": [error]})
    else:
        aws.single = lambda path, _which: refused(code, message) if "main" in path else (200, good)
    observed = at(aws).observe(PAIR, ())["dbInfo"]
    assert isinstance(observed, Unknown)
    assert isinstance(observed.fault, kind)
    assert observed.fault.reason == reason


@pytest.mark.parametrize(
    ("answer", "kind", "reason"),
    [
        (refused("ThrottlingException"), Transient, "SecretsThrottled"),
        (refused("ExpiredTokenException"), Denied, "AwsCredentials"),
        (refused("InternalFailure", status=500), Unavailable, "SecretsUnavailable"),
        ((200, {"nonsense": 1}), Unavailable, "SecretsUnclear"),
    ],
)
def test_a_refusal_of_everything_leaves_everything_unknown(
    aws: Aws, answer: Answer, kind: type[Fault], reason: str
) -> None:
    aws.batch = lambda _paths: answer
    aws.single = lambda _path, _which: answer
    many = {f"s{number}": (f"wms/main/s{number}",) for number in range(30)}
    for observed in at(aws).observe(many, ()).values():
        assert isinstance(observed, Unknown)
        assert isinstance(observed.fault, kind)
        assert observed.fault.reason == reason


def test_a_secret_without_any_value_does_not_give_way_to_the_default(aws: Aws) -> None:
    said = "Secrets Manager can't find the specified secret value for staging label: AWSCURRENT"
    good = value("wms/default/dbInfo", GOOD, "AWSCURRENT")
    aws.single = lambda path, _which: (
        refused("ResourceNotFoundException", said) if "main" in path else (200, good)
    )
    observed = at(aws).observe(PAIR, ())["dbInfo"]
    assert isinstance(observed, Unknown)
    assert observed.fault.reason == "SecretWithoutValue"


def test_an_answer_for_another_stage_is_not_taken(aws: Aws) -> None:
    aws.single = lambda path, _which: (200, value(path, GOOD, "AWSPENDING"))
    observed = at(aws).observe(PAIR, ())["dbInfo"]
    assert isinstance(observed, Unknown)


def test_an_unreadable_previous_version_does_not_hide_the_current_one(aws: Aws) -> None:
    aws.single = lambda path, which: (
        (200, value(path, GOOD, "AWSCURRENT"))
        if which == "AWSCURRENT"
        else refused("DecryptionFailure")
    )
    observed = at(aws).observe(PAIR, ())["dbInfo"]
    assert isinstance(observed, ObservedSecret)
    assert isinstance(observed.previous, Unknown)


def test_a_named_version_is_read_once_as_its_content_cannot_change(aws: Aws) -> None:
    named = VersionKey("wms/main/dbInfo", "11111111-1111-4111-8111-111111111111")
    aws.batch = lambda paths: (
        200,
        {"SecretValues": [value(path, GOOD, "AWSCURRENT") for path in paths]},
    )
    aws.single = lambda path, which: (
        (200, value(path, OTHER, "old") | {"VersionId": which})
        if which == named.version_id
        else refused("ResourceNotFoundException", "no")
    )
    manager = at(aws)
    for _ in range(3):
        observed = manager.observe(PAIR, (named,))["dbInfo"]
        assert isinstance(observed, ObservedSecret)
        assert password(observed.version(named)) == "Pa55-two"
    assert aws.asked.count("GetSecretValue") == 1 + 3, "once, and AWSPREVIOUS each time"


def test_the_text_of_a_refusal_is_scrubbed(aws: Aws) -> None:
    aws.batch = lambda paths: (200, {"SecretValues": [value(paths[0], GOOD, "AWSCURRENT")]})
    aws.single = lambda _path, _which: refused("Odd", "the value Pa55-one is odd")
    observed = at(aws).observe({"dbInfo": ("wms/main/dbInfo",)}, ())["dbInfo"]
    assert isinstance(observed, ObservedSecret)
    assert isinstance(observed.previous, Unknown)
    assert "Pa55" not in str(observed.previous.fault)


def test_nobody_there_is_told_in_time(unused: int) -> None:
    begun = time.monotonic()
    many = {f"s{number}": (f"wms/main/s{number}",) for number in range(100)}
    snapshot = reader(f"http://127.0.0.1:{unused}").observe(many, ())
    assert time.monotonic() - begun < 6
    for observed in snapshot.values():
        assert isinstance(observed, Unknown)
        assert isinstance(observed.fault, Unavailable)


def test_a_slow_aws_is_given_up_at_the_deadline(aws: Aws) -> None:
    def slow(_path: str, _which: str) -> Answer:
        time.sleep(0.2)  # noqa: TID251 - the slowness is the point
        return refused("ResourceNotFoundException", "no")

    aws.single = slow
    many = {f"s{number}": (f"wms/main/s{number}",) for number in range(60)}
    manager = reader(f"http://127.0.0.1:{aws.server.server_port}", deadline=1.0)
    begun = time.monotonic()
    last = manager.observe(many, ())["s59"]
    assert time.monotonic() - begun < 4
    assert isinstance(last, Unknown)
    assert last.fault.reason == "SecretsSlow"


def test_missing_credentials_are_told_and_found_once_they_are_there(
    aws: Aws, monkeypatch: pytest.MonkeyPatch
) -> None:
    aws.single = only_current({"wms/main/dbInfo": GOOD})
    manager = at(aws)
    with monkeypatch.context() as without:
        without.delenv("AWS_ACCESS_KEY_ID")
        without.delenv("AWS_SECRET_ACCESS_KEY")
        without.setenv("AWS_SHARED_CREDENTIALS_FILE", "/nonexistent")
        without.setenv("AWS_CONFIG_FILE", "/nonexistent")
        observed = manager.observe(PAIR, ())["dbInfo"]
        assert isinstance(observed, Unknown)
        assert observed.fault.reason == "AwsCredentials"
    assert isinstance(manager.observe(PAIR, ())["dbInfo"], ObservedSecret)


@pytest.fixture
def unused() -> int:
    """A loopback port where nobody listens."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler)
    port = server.server_port
    server.server_close()
    return port
