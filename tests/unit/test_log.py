from __future__ import annotations

import io
import json
import logging
import subprocess
import sys
import threading
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
import structlog

from controller.core.redact import Redacted, Scrubber
from controller.telemetry.log import configure, get_log
from controller.telemetry.scrubbing import scrub_deep

SECRET = "hunter2-Geheimnis"
CLIENTS = (
    "botocore",
    "botocore.parsers",
    "boto3",
    "urllib3.connectionpool",
    "httpx",
    "httpcore",
    "confluent_kafka",
    "librdkafka",
)


@pytest.fixture(autouse=True)
def _put_back() -> Iterator[None]:
    root = logging.getLogger()
    before = root.handlers[:], root.level
    hooks = sys.excepthook, threading.excepthook, sys.unraisablehook
    yield
    root.handlers[:], _ = before
    root.setLevel(before[1])
    sys.excepthook, threading.excepthook, sys.unraisablehook = hooks
    logging.captureWarnings(capture=False)
    for name in CLIENTS:
        logging.getLogger(name).setLevel(logging.NOTSET)
    structlog.reset_defaults()


class Output:
    def __init__(self, level: str = "INFO", *, json: bool = True) -> None:
        self.stream = io.StringIO()
        scrubber = Scrubber([SECRET])
        configure(json=json, level=level, scrub=scrubber.scrub, stream=self.stream)

    @property
    def text(self) -> str:
        return self.stream.getvalue()

    def lines(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.text.splitlines()]


def test_a_line_begins_with_its_time_in_utc_its_level_and_its_event() -> None:
    out = Output()
    get_log().info("cycle", number=3)
    assert list(out.lines()[0]) == ["timestamp", "level", "event", "number"]
    assert out.lines()[0]["timestamp"].endswith("Z")
    assert out.lines()[0]["event"] == "cycle"


@dataclass
class Holder:
    inner: object


@pytest.mark.parametrize(
    "value",
    [
        SECRET,
        f"jdbc:oracle:{SECRET}@host",
        {"a": [{"b": (SECRET,)}]},
        {SECRET: 1},
        SECRET.encode(),
        ValueError(f"bad {SECRET}"),
        Holder(SECRET),
        {1, SECRET},
    ],
)
def test_a_secret_is_masked_however_deep_it_is(value: object) -> None:
    out = Output()
    get_log().info("cycle", value=value)
    assert SECRET not in out.text
    assert "***" in out.text


def test_a_redacted_value_prints_as_a_mask_though_nobody_remembered_it() -> None:
    out = Output()
    get_log().info("cycle", password=Redacted("never-remembered"), held=[Redacted("neither")])
    line = out.lines()[0]
    assert (line["password"], line["held"]) == ("***", ["***"])


@pytest.mark.parametrize("as_json", [True, False])
def test_an_exception_is_told_with_its_causes_and_without_the_secret(as_json: bool) -> None:
    out = Output(json=as_json)
    try:
        try:
            _ = dict[str, str]()[SECRET]
        except KeyError as cause:
            raise ValueError(f"cannot log in with {SECRET}") from cause
    except ValueError:
        get_log().exception("cycle crashed")
    assert "ValueError: cannot log in with ***" in out.text
    assert "KeyError" in out.text
    assert SECRET not in out.text


def test_lines_of_other_packages_go_the_same_way() -> None:
    out = Output()
    logging.getLogger("somebody.else").warning("password %s refused", SECRET)
    line = out.lines()[0]
    assert line["event"] == "password *** refused"
    assert (line["level"], line["logger"]) == ("warning", "somebody.else")


def test_the_exception_of_another_package_is_scrubbed_too() -> None:
    out = Output()
    try:
        int(SECRET)
    except ValueError:
        logging.getLogger("somebody.else").exception("failed")
    assert (
        "ValueError: invalid literal for int() with base 10: '***'" in out.lines()[0]["exception"]
    )
    assert SECRET not in out.text


@pytest.mark.parametrize("name", CLIENTS)
@pytest.mark.parametrize("level", ["DEBUG", "NOTSET", "INFO"])
def test_no_level_makes_a_client_print_what_it_sends(name: str, level: str) -> None:
    out = Output(level)
    before = out.text
    logging.getLogger(name).debug("sending %s", "a body")
    assert not logging.getLogger(name).isEnabledFor(logging.DEBUG)
    assert out.text == before


def test_a_client_lowered_later_still_prints_nothing_below_info() -> None:
    out = Output("DEBUG")
    logging.getLogger("botocore").setLevel(logging.DEBUG)
    logging.getLogger("botocore").debug("sending a body")
    logging.getLogger("botocore").warning("retrying")
    assert [line["event"] for line in out.lines()] == ["retrying"]


def test_a_client_says_less_when_everything_says_less() -> None:
    out = Output("ERROR")
    logging.getLogger("librdkafka").warning("broker is down")
    logging.getLogger("librdkafka").error("all brokers are down")
    assert [line["event"] for line in out.lines()] == ["all brokers are down"]


def test_our_own_debug_lines_come_with_debug_only() -> None:
    out = Output("INFO")
    get_log().debug("diff")
    assert out.text == ""
    out = Output("debug")
    get_log().debug("diff")
    assert [line["event"] for line in out.lines()] == ["diff"]


def test_an_unknown_level_is_said_and_info_is_used() -> None:
    out = Output("LOUD")
    get_log().debug("hidden")
    get_log().info("shown")
    assert [line["event"] for line in out.lines()] == ["log level unknown", "shown"]


def test_a_message_that_does_not_fit_its_arguments_costs_only_itself() -> None:
    out = Output()
    logging.getLogger("somebody.else").warning("%d items", "many")
    get_log().info("cycle")
    assert [line["event"] for line in out.lines()] == ["line lost", "cycle"]


class Gone(io.StringIO):
    def write(self, _text: str, /) -> int:
        raise BrokenPipeError("nobody reads")


def test_a_stream_that_is_gone_stops_no_cycle() -> None:
    configure(json=True, level="INFO", scrub=str, stream=Gone())
    get_log().info("cycle")
    logging.getLogger("somebody.else").warning("text")
    closed = io.StringIO()
    configure(json=True, level="INFO", scrub=str, stream=closed)
    closed.close()
    get_log().info("cycle")


def test_a_terminal_in_ascii_shows_the_rest_escaped() -> None:
    raw = io.BytesIO()
    stream = io.TextIOWrapper(raw, encoding="ascii")
    configure(json=False, level="INFO", scrub=str, stream=stream)
    get_log().info("cycle", name="Größe")
    assert b"Gr\\xf6\\xdfe" in raw.getvalue()
    stream.detach()


def test_a_foreign_text_cannot_move_the_cursor_nor_forge_a_line() -> None:
    out = Output(json=False)
    get_log().warning("action", fault="bad\n2026-01-01T00:00:00Z [info] all is well\x1b[2J")
    assert out.text.count("\n") == 1
    assert "\x1b" not in out.text
    assert "all is well" in out.text


def test_a_value_that_cannot_be_printed_leaves_the_line() -> None:
    class Odd:
        def __str__(self) -> str:
            raise RuntimeError("no")

    endless: list[object] = []
    endless.append(endless)
    out = Output()
    get_log().info("cycle", odd=Odd(), endless=endless)
    assert out.lines()[0]["odd"] == "<Odd>"
    assert scrub_deep({"a": 1.5, "b": None, "c": True}, str) == {"a": 1.5, "b": None, "c": True}


def test_an_exception_that_nobody_caught_in_a_thread_is_a_scrubbed_line() -> None:
    out = Output()

    def die() -> None:
        raise RuntimeError(f"watch died of {SECRET}")

    thread = threading.Thread(target=die, name="watch")
    thread.start()
    thread.join(5)
    line = out.lines()[0]
    assert (line["event"], line["where"]) == ("uncaught exception", "watch")
    assert "watch died of ***" in line["exception"]


def test_an_exception_that_ends_the_process_is_a_scrubbed_line() -> None:
    program = (
        "from controller.telemetry.log import configure\n"
        f"configure(json=True, level='INFO', scrub=lambda t: t.replace({SECRET!r}, '***'))\n"
        f"raise SystemError({SECRET!r})\n"
    )
    ended = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=30, check=False
    )
    assert ended.returncode == 1
    assert SECRET not in ended.stderr
    assert json.loads(ended.stderr)["event"] == "uncaught exception"


def test_a_warning_of_python_is_a_scrubbed_line() -> None:
    out = Output()
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        logging.captureWarnings(capture=False)
        logging.captureWarnings(capture=True)
        warnings.warn(f"deprecated: {SECRET}", DeprecationWarning, stacklevel=1)
    assert "deprecated: ***" in out.lines()[0]["event"]
    assert SECRET not in out.text


def test_threads_do_not_tear_each_others_lines() -> None:
    out = Output()

    def talk(number: int) -> None:
        for _ in range(100):
            get_log().info("cycle", thread=number, text="x" * 200)
            logging.getLogger("somebody.else").warning("y" * 200)

    threads = [threading.Thread(target=talk, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert len(out.lines()) == 800


def test_the_command_line_pays_for_no_logging_that_it_does_not_use() -> None:
    program = "import sys, controller.cli; print('structlog' in sys.modules)"
    told = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=30, check=True
    )
    assert told.stdout.strip() == "False"
