"""The status page in a real browser: what it draws is what /status says, and only text."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from html import unescape
from pathlib import Path
from typing import Any

import pytest

from controller.telemetry.http import Health, StatusServer

BROWSER = next(
    (
        found
        for name in ("chromium", "chromium-browser", "google-chrome")
        if (found := shutil.which(name))
    ),
    None,
)
FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--virtual-time-budget=4000",
)
GOOD = Health(True, "Pulse", "the loop turned 0.1 s ago")
HOSTILE = "<img src=x onerror=\"document.title='taken'\"><script>document.title='taken'</script>"

pytestmark = pytest.mark.skipif(
    BROWSER is None, reason="no Chromium on this machine: install the package chromium"
)


def condition(kind: str, status: str, reason: str, message: str) -> dict[str, Any]:
    return {"type": kind, "status": status, "reason": reason, "message": message, "since": 1.7e9}


def resource(name: str, **over: Any) -> dict[str, Any]:
    return {
        "resource": name,
        "decision": "Converged",
        "reason": "InSync",
        "message": "as declared",
        "generation": "abc",
        "conditions": [condition("Synced", "True", "InSync", "as declared")],
        **over,
    }


def status(*resources: Mapping[str, Any], **over: Any) -> dict[str, Any]:
    return {
        "stage": "main",
        "at": 1.7e9,
        "cycle": 7,
        "complete": True,
        "converged": True,
        "revision": {"id": "3f9ac2e1d004", "commit": None},
        "refusedRevision": None,
        "resources": list(resources),
        "orphans": [],
        "warnings": [],
        "faults": [],
        "secrets": {},
        **over,
    }


class Browser:
    """Opens the page of a controller that says what a test wants, and answers what is drawn."""

    def __init__(self, profile: Path) -> None:
        self._profile = profile
        self.says: dict[str, Any] = {}
        self._server = StatusServer(
            "127.0.0.1", 0, health=lambda: GOOD, ready=lambda: GOOD, status=lambda: self.says
        )
        self._server.start()

    def close(self) -> None:
        self._server.stop()

    def draw(self) -> str:
        assert BROWSER is not None
        done = subprocess.run(
            [
                BROWSER,
                *FLAGS,
                f"--user-data-dir={self._profile}",
                "--dump-dom",
                f"http://127.0.0.1:{self._server.port}/",
            ],
            capture_output=True,
            text=True,
            timeout=90,
            check=True,
        )
        return done.stdout


@pytest.fixture
def browser(tmp_path: Path) -> Iterator[Browser]:
    opened = Browser(tmp_path / "profile")
    yield opened
    opened.close()


def words(html: str) -> str:
    return re.sub(r"\s+", " ", unescape(re.sub(r"<[^>]+>", " ", html)))


def test_the_page_says_that_all_is_well_and_hides_what_would_be_empty(browser: Browser) -> None:
    browser.says = status(resource("connector/wms-oracle-cdc"), resource("topic/wms"))
    drawn = browser.draw()
    assert "<title>in sync " in drawn
    assert re.search(r'id="attention"[^>]* hidden', drawn)
    assert "wms-oracle-cdc" in words(drawn)
    assert "1 of 1 as declared" in words(drawn)


def test_what_needs_a_person_stands_first_with_its_sentence(browser: Browser) -> None:
    ill = condition("Healthy", "False", "LoginRefused", "RUNNING, but LoginRefused, 3 tries")
    browser.says = status(resource("connector/wms-oracle-cdc", conditions=[ill]))
    drawn = browser.draw()
    assert "1 resource needs a look" in words(drawn)
    assert not re.search(r'id="attention"[^>]* hidden', drawn)
    assert words(drawn).count("RUNNING, but LoginRefused, 3 tries") == 2  # there and at its place


def test_what_is_in_use_is_no_refused_version_and_an_unknown_error_has_its_code(
    browser: Browser,
) -> None:
    secret = {"path": "wms/main/dbInfo", "fallback": False, "version": "v2", "versions": ["v1"]}
    odd = {"failure": "unknown", "count": 2, "last": 1.7e9, "codes": ["ORA-99123"], "message": ""}
    browser.says = status(
        resource("connector/a", evidence=[odd]),
        secrets={"dbInfo": secret},
        workerEvidence=[{**odd, "failure": "DiskFull", "message": "The disk is full."}],
    )
    drawn = words(browser.draw())
    assert "v1; newest v2 is not in use" in drawn
    assert "Worker's log: unknown (ORA-99123)" in drawn
    assert "The disk is full." in drawn


def test_text_from_outside_is_only_ever_text(browser: Browser) -> None:
    browser.says = status(
        resource(
            f"connector/{HOSTILE}",
            message=HOSTILE,
            decision="Stall",
            reason=HOSTILE,
            diff=[HOSTILE],
            conditions=[condition("Ready", "False", HOSTILE, HOSTILE)],
            evidence=[
                {"failure": HOSTILE, "count": 1, "last": 1.7e9, "message": HOSTILE},
                {"failure": "unknown", "count": 1, "last": 1.7e9, "classes": [HOSTILE]},
            ],
        ),
        resource(f"topic/{HOSTILE}"),
        stage=HOSTILE,
        warnings=[HOSTILE],
        faults=[{"system": HOSTILE, "reason": HOSTILE, "message": HOSTILE}],
        secrets={HOSTILE: {"path": HOSTILE, "fallback": True, "versions": [HOSTILE]}},
        refusedRevision={"message": HOSTILE, "since": 1.7e9},
        history=[{"at": 1.7e9, "action": HOSTILE, "resource": HOSTILE, "who": HOSTILE}],
        containers=[{"name": HOSTILE, "trouble": HOSTILE}],
    )
    drawn = browser.draw()
    assert "<title>taken" not in drawn
    assert "<img" not in drawn
    assert drawn.count("<script") == 1  # its own
    assert HOSTILE in words(drawn)


def test_the_last_actions_stand_newest_first_with_who_why_and_outcome(browser: Browser) -> None:
    done = {"at": 1.7e9, "resource": "connector/a", "who": "controller (wms@task)"}
    browser.says = status(
        resource("connector/a"),
        history=[
            {**done, "action": "Stop", "reason": "StopLogins", "why": "w", "outcome": "done"},
            {**done, "action": "suspend", "reason": "the DBA asked", "who": "jane", "why": None},
        ],
    )
    drawn = words(browser.draw())
    first, second = drawn.index("suspend connector/a jane the DBA asked"), drawn.index("Stop ")
    assert first < second
    assert "connector/a controller (wms@task) StopLogins: w done" in drawn


def test_a_lag_is_drawn_with_its_hour_and_a_container_in_trouble_is_told(browser: Browser) -> None:
    lag = {"seconds": 5.0, "trend": [120.0, 60.0], "message": "from heartbeats"}
    browser.says = status(
        resource("connector/a", lag=lag),
        containers=[
            {"name": "connect", "trouble": "started again 2 time(s)"},
            {"name": "controller", "trouble": ""},
        ],
    )
    drawn = browser.draw()
    assert 'aria-label="lag of a: 2 min before, 5 s now, at most 2 min"' in drawn
    assert "container connect: started again 2 time(s)" in words(drawn)
    assert "controller: " not in words(drawn)


def test_a_refused_stage_is_told(browser: Browser) -> None:
    browser.says = {"refused": "WMS_STAGE is empty: set it"}
    drawn = words(browser.draw())
    assert "Refused: nothing is done" in drawn
    assert "WMS_STAGE is empty: set it" in drawn
