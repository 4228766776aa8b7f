from __future__ import annotations

import logging
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import KafkaError

from controller.adapters.connect_watch import ConnectStatusWatch, connector_of
from controller.adapters.kafka import KafkaAdmin
from controller.adapters.kafka_security import (
    ClientLog,
    KafkaSecurity,
    SecurityKind,
    TokenSource,
    client_config,
)
from controller.core.action import AddPartitions, AlterTopic, CreateTopic
from controller.core.faults import (
    Conflict,
    Denied,
    Fault,
    OutcomeUnknown,
    Rejected,
    Transient,
    Unavailable,
)
from controller.core.redact import Redacted, Scrubber

CLOSED = "127.0.0.1:1"  # no process of this machine listens there
SECRET = "do-not-print-me"
MINUTE_MS = 60_000
TASKS = Path("/proc/self/task")


def plain() -> dict[str, Any]:
    return client_config(CLOSED, KafkaSecurity(), "unit", scrub=str)


def admin(config: dict[str, Any] | None = None, **more: Any) -> KafkaAdmin:
    usual: dict[str, Any] = {"scrub": str, "read_seconds": 0.3, "write_seconds": 0.3}
    return KafkaAdmin(plain() if config is None else config, **{**usual, **more})


def now_ms() -> int:
    return int(time.time() * 1000)


# --- which fault a code is ------------------------------------------------------------------


@pytest.mark.parametrize(
    ("code", "read", "write"),
    [
        ("TOPIC_AUTHORIZATION_FAILED", Denied, Denied),
        ("CLUSTER_AUTHORIZATION_FAILED", Denied, Denied),
        ("GROUP_AUTHORIZATION_FAILED", Denied, Denied),
        ("SASL_AUTHENTICATION_FAILED", Denied, Denied),
        ("_AUTHENTICATION", Denied, Denied),
        ("TOPIC_DELETION_DISABLED", Denied, Denied),
        ("TOPIC_ALREADY_EXISTS", Conflict, Conflict),
        ("UNKNOWN_TOPIC_OR_PART", Conflict, Conflict),
        ("POLICY_VIOLATION", Rejected, Rejected),
        ("INVALID_CONFIG", Rejected, Rejected),
        ("INVALID_REPLICATION_FACTOR", Rejected, Rejected),
        ("INVALID_PARTITIONS", Rejected, Rejected),
        ("TOPIC_EXCEPTION", Rejected, Rejected),
        ("UNSUPPORTED_VERSION", Rejected, Rejected),
        ("NOT_CONTROLLER", Transient, Transient),
        ("LEADER_NOT_AVAILABLE", Transient, Transient),
        ("THROTTLING_QUOTA_EXCEEDED", Transient, Transient),
        # Here the two part: what can be asked again may not be done again.
        ("REQUEST_TIMED_OUT", Transient, OutcomeUnknown),
        ("NETWORK_EXCEPTION", Transient, OutcomeUnknown),
        ("_TRANSPORT", Transient, OutcomeUnknown),
        ("UNKNOWN", Transient, OutcomeUnknown),
        ("_TIMED_OUT", Unavailable, OutcomeUnknown),
        ("_DESTROY", Unavailable, OutcomeUnknown),
        ("INCONSISTENT_VOTER_SET", Unavailable, OutcomeUnknown),
    ],
)
def test_each_code_is_one_kind_of_fault(code: str, read: type[Fault], write: type[Fault]) -> None:
    error = KafkaError(getattr(KafkaError, code), "what the broker said")
    assert type(admin()._read_fault(error)) is read
    assert type(admin()._write_fault(error)) is write
    assert "what the broker said" in admin()._write_fault(error).message


def test_what_librdkafka_calls_retriable_is_not_asked() -> None:
    error = KafkaError(KafkaError.NOT_CONTROLLER, "moved", retriable=False)
    assert isinstance(admin()._read_fault(error), Transient)


def test_a_broker_that_is_busy_with_connections_is_not_a_refused_login() -> None:
    client = admin()
    client._note_trouble(KafkaError(KafkaError._AUTHENTICATION, "[ID]: Too many connects"))
    timed_out = KafkaError(KafkaError._TIMED_OUT, "no answer")
    assert isinstance(client._read_fault(timed_out), Unavailable)


def test_a_time_out_behind_a_refused_login_is_denied_with_the_brokers_words() -> None:
    client = admin()
    client._note_trouble(KafkaError(KafkaError._AUTHENTICATION, "[ID]: Access denied"))
    client._note_trouble(KafkaError(KafkaError._ALL_BROKERS_DOWN, "1/1 brokers are down"))
    fault = client._read_fault(KafkaError(KafkaError._TIMED_OUT, "no answer"))
    assert isinstance(fault, Denied)
    assert "Access denied" in fault.message


def test_a_certificate_that_is_refused_is_denied_under_whatever_code() -> None:
    client = admin()
    text = "ssl://127.0.0.1:1/bootstrap: error:0A000086:SSL routines::certificate verify failed"
    client._note_trouble(KafkaError(KafkaError._TRANSPORT, text))
    fault = client._read_fault(KafkaError(KafkaError._TIMED_OUT, "no answer"))
    assert isinstance(fault, Denied)


def test_a_brokers_text_is_scrubbed() -> None:
    client = KafkaAdmin(plain(), scrub=Scrubber([SECRET]).scrub)
    error = KafkaError(KafkaError.INVALID_CONFIG, f"bad value {SECRET}")
    assert SECRET not in client._read_fault(error).message
    assert SECRET not in client._write_fault(error).message


# --- no broker ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "read",
    [
        lambda client: client.cluster_id(),
        lambda client: client.observe(["wms"]),
        lambda client: client.list_topics(),
        lambda client: client.group_members("mgmt"),
    ],
    ids=["cluster_id", "observe", "list_topics", "group_members"],
)
def test_without_a_broker_reads_are_unavailable_in_time_and_say_why(
    read: Callable[[KafkaAdmin], object],
) -> None:
    client = admin()
    start = time.monotonic()
    with pytest.raises(Unavailable, match="refused"):
        read(client)
    assert time.monotonic() - start < 20
    client.close()


@pytest.mark.parametrize(
    "action",
    [
        CreateTopic("wms", 1, 1, {}),
        AddPartitions("wms", 2),
        AlterTopic("wms", {"retention.ms": "1"}),
    ],
)
def test_without_an_answer_the_outcome_of_a_write_is_unknown(
    action: CreateTopic | AddPartitions | AlterTopic,
) -> None:
    client = admin()
    with pytest.raises(OutcomeUnknown):
        client.apply(action)
    client.close()


def test_nothing_is_connected_before_the_first_use() -> None:
    requests: list[str] = []
    client = admin({"bootstrap.servers": CLOSED, "no.such.setting": 1}, on_request=requests.append)
    with pytest.raises(Denied, match=r"no\.such\.setting"):
        client.observe(["wms"])
    assert requests == []


def test_observing_nothing_needs_no_broker() -> None:
    assert admin().observe([]).complete


def test_nothing_is_printed_while_no_broker_answers(capfd: pytest.CaptureFixture[str]) -> None:
    client = admin()
    with pytest.raises(Unavailable):
        client.observe(["wms"])
    client.close()
    assert capfd.readouterr() == ("", "")


@pytest.mark.skipif(not TASKS.exists(), reason="this system does not list a process's threads")
def test_a_closed_client_leaves_no_thread_behind() -> None:
    def threads() -> int:
        return len(list(TASKS.iterdir()))

    before = threads()
    client = admin()
    with pytest.raises(Unavailable):
        client.list_topics()
    assert threads() > before
    client.close()
    assert threads() == before


# --- the settings of a client ---------------------------------------------------------------


def test_no_client_ever_makes_a_topic_by_asking_for_it() -> None:
    assert plain()["allow.auto.create.topics"] is False


def test_every_client_says_who_it_is() -> None:
    assert plain()["client.id"] == "unit"


def test_settings_show_no_password() -> None:
    security = KafkaSecurity(SecurityKind.SCRAM, Redacted("user"), Redacted(SECRET))
    config = client_config(CLOSED, security, "unit", scrub=str)
    assert config["security.protocol"] == "SASL_SSL"
    assert config["sasl.mechanisms"] == "SCRAM-SHA-512"
    assert SECRET not in repr(config)
    assert SECRET not in repr(security)


@pytest.mark.parametrize("kind", [SecurityKind.SCRAM, SecurityKind.IAM])
def test_settings_that_lack_what_their_kind_needs_are_refused(kind: SecurityKind) -> None:
    with pytest.raises(ValueError, match="needs"):
        client_config(CLOSED, KafkaSecurity(kind), "unit", scrub=str)


def test_certificates_come_from_the_file_that_was_named() -> None:
    security = KafkaSecurity(SecurityKind.TLS, ca_location="ca.pem")
    config = client_config(CLOSED, security, "unit", scrub=str)
    assert (config["security.protocol"], config["ssl.ca.location"]) == ("SSL", "ca.pem")


def test_certificates_that_are_not_there_are_a_fault_and_not_a_crash() -> None:
    security = KafkaSecurity(SecurityKind.TLS, ca_location="/no/such/file.pem")
    client = admin(client_config(CLOSED, security, "unit", scrub=str))
    with pytest.raises(Denied, match="KafkaSettings"):
        client.cluster_id()


# --- tokens ---------------------------------------------------------------------------------


def iam(sign: Callable[[str], tuple[str, int]]) -> dict[str, Any]:
    security = KafkaSecurity(SecurityKind.IAM, region="eu-central-1")
    return client_config(CLOSED, security, "unit", scrub=str, sign=sign)


def test_a_client_with_iam_asks_for_a_token_of_its_region() -> None:
    regions: list[str] = []

    def sign(region: str) -> tuple[str, int]:
        regions.append(region)
        return "token", now_ms() + 15 * MINUTE_MS

    client = admin(iam(sign))
    with pytest.raises(Unavailable):
        client.observe(["wms"])
    client.close()
    assert regions == ["eu-central-1"]


def test_a_token_that_cannot_be_made_is_denied_at_once() -> None:
    def sign(_region: str) -> tuple[str, int]:
        raise RuntimeError(f"no credentials for {SECRET}")

    client = admin(iam(sign), scrub=Scrubber([SECRET]).scrub)
    start = time.monotonic()
    with pytest.raises(Denied, match="no credentials") as denied:
        client.observe(["wms"])
    assert time.monotonic() - start < 20
    assert SECRET not in denied.value.message


def test_a_tokens_expiry_is_handed_on_in_seconds() -> None:
    expiry = now_ms() + 15 * MINUTE_MS
    assert TokenSource("r", lambda _region: ("token", expiry))("") == ("token", expiry / 1000)


def test_a_token_is_signed_anew_only_when_it_nears_its_end() -> None:
    lives = iter([15, 3, 15])
    signed: list[int] = []

    def sign(_region: str) -> tuple[str, int]:
        signed.append(next(lives))
        return f"token-{len(signed)}", now_ms() + signed[-1] * MINUTE_MS

    source = TokenSource("r", sign)
    assert [source("")[0], source("")[0]] == ["token-1", "token-1"]
    short = TokenSource("r", sign)
    assert [short("")[0], short("")[0]] == ["token-2", "token-3"]


# --- the log --------------------------------------------------------------------------------


def test_librdkafkas_log_is_scrubbed_and_never_below_info(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG)
    log = ClientLog(Scrubber([SECRET]).scrub)
    log.log(logging.DEBUG, "on the wire: %s", SECRET)
    log.log(logging.ERROR, "FAIL %s", f"login with {SECRET}")
    assert [record.getMessage() for record in caplog.records] == ["FAIL login with ***"]


def test_a_line_that_repeats_itself_is_passed_on_once(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    log = ClientLog(str)
    for milliseconds in range(500):
        log.log(logging.ERROR, "refused (after %dms)", milliseconds)
    log.log(logging.ERROR, "something else, 100% new")
    assert len(caplog.records) == 2


# --- the watch ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("key", "name"),
    [
        (b"status-connector-wms-oracle-cdc", "wms-oracle-cdc"),
        (b"status-task-wms-oracle-cdc-0", "wms-oracle-cdc"),
        (b"status-task-a-12", "a"),
        (b"status-task-a-b", None),
        (b"status-task--0", None),
        (b"status-topic-wms.WMS.T:connector-wms-oracle-cdc", None),
        (b"status-connector-", None),
        (b"connector-wms-oracle-cdc", None),
        (b"session-key", None),
        (b"\xff\xfe", None),
        (b"", None),
        (None, None),
    ],
)
def test_a_key_of_the_status_topic_tells_whose_state_changed(
    key: bytes | None, name: str | None
) -> None:
    assert connector_of(key) == name


def watch(config: Callable[[], dict[str, Any] | None]) -> ConnectStatusWatch:
    def wake(name: str) -> None:
        raise AssertionError(name)

    return ConnectStatusWatch(
        config,
        "mgmt.connect.wms-connector-main.status",
        interesting=lambda _name: True,
        wake=wake,
        scrub=str,
        retry_seconds=0.05,
    )


@pytest.mark.parametrize("config", [plain, lambda: None], ids=["closed port", "none known"])
def test_a_watch_without_a_broker_waits_and_stops_soon(
    config: Callable[[], dict[str, Any] | None], capfd: pytest.CaptureFixture[str]
) -> None:
    following = watch(config)
    following.start()
    time_to_try = time.monotonic() + 0.5
    while time.monotonic() < time_to_try:
        following._stopping.wait(0.1)
    assert not following.following
    start = time.monotonic()
    following.stop()
    assert time.monotonic() - start < 8
    assert capfd.readouterr().err == ""


def test_a_watch_that_was_never_started_can_be_stopped() -> None:
    watch(lambda: None).stop()


def test_a_watch_survives_settings_that_no_client_takes() -> None:
    tries: list[int] = []

    def config() -> dict[str, Any]:
        tries.append(1)
        return {**plain(), "no.such.setting": 1}

    following = watch(config)
    following.start()
    limit = time.monotonic() + 5
    while len(tries) < 3 and time.monotonic() < limit:
        following._stopping.wait(0.02)
    following.stop()
    assert len(tries) >= 3
    assert following.trouble is not None
    assert "no.such.setting" in following.trouble
