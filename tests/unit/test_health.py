from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from controller.core.condition import Status
from controller.core.evidence import EvidenceBook, WorkerLine, gather
from controller.core.faults import Unavailable
from controller.core.health import (
    FROZEN_LIMIT,
    MOVED_LATELY,
    START_LIMIT,
    UNASSIGNED_LIMIT,
    judge_health,
)
from controller.core.lag import Lag, Sign, TopicLag
from controller.core.lag_report import LagReport, ObservedContainer
from controller.core.model import (
    ABSENT,
    Json,
    ObservedConnector,
    ObservedTask,
    ObservedTopic,
    Offsets,
    RunState,
    Snapshot,
    Unknown,
)
from controller.core.plan import plan
from controller.core.preflight import Said, Subject, looked, preflight_record
from controller.core.progress import Progress
from controller.core.silence import SILENT_LIMIT
from controller.core.world import World
from tests import make

REFUSED = "ORA-01017: invalid username/password; logon denied"
OFFSETS: Offsets = ({"partition": {"server": "wms"}, "offset": {"scn": "100"}},)
SEEN = Progress(OFFSETS, make.NOW, make.NOW - 5, make.NOW - 5)
START = "\tat io.debezium.connector.common.BaseSourceTask.start(BaseSourceTask.java:285)"


def evidence(*texts: str, ago: float = 5.0) -> EvidenceBook:
    lines = [
        WorkerLine(make.NOW - ago, "WARN", "io.x.Y", text, START, f"[{make.NAME}|task-0] ")
        for text in texts
    ]
    return gather(EvidenceBook(), lines, {make.NAME}, make.NOW)


def judge(
    observed: Any = None, run_state: RunState = RunState.RUNNING, **changes: Any
) -> tuple[Status, str, str]:
    """Judge a connector of which all was seen and is well, but for what is given."""
    world = make.world(**{"progress": {make.NAME: SEEN}, **changes})
    manifest = make.connector_manifest(run_state=run_state, needs=frozenset({make.topic().key}))
    return judge_health(manifest, observed or make.observed_connector(), world)


def short(verdict: tuple[Status, str, str]) -> tuple[str, str]:
    return str(verdict[0]), verdict[1]


def failed(trace: str | None, *, connector: str = "RUNNING") -> ObservedConnector:
    seen = make.observed_connector(state=connector)
    return replace(seen, tasks=(ObservedTask(0, "FAILED", "w", trace),))


def test_a_worker_that_ran_out_of_memory_is_told_while_connect_does_not_answer() -> None:
    away = Unknown(Unavailable("WorkerUnreachable", "no connection"))
    for container, told in (
        (ObservedContainer("connect", "STOPPED", exit_code=3), ("False", "OutOfMemory")),
        (ObservedContainer("connect", "STOPPED", exit_code=1), ("Unknown", "WorkerUnreachable")),
        (ObservedContainer("controller", "STOPPED", None, 1, 137), ("Unknown", away.fault.reason)),
    ):
        assert short(judge(away, lag=LagReport(containers=(container,)))) == told


def test_one_that_runs_and_moves_is_healthy_and_says_when_it_moved() -> None:
    status, reason, message = judge()
    assert (status, reason) == (Status.TRUE, "Running")
    assert "offsets moved at" in message
    assert "not seen" not in message


@pytest.mark.parametrize(
    ("observed", "run_state", "expected"),
    [
        (Unknown(make.AWAY), RunState.RUNNING, ("Unknown", "Unreachable")),
        (ABSENT, RunState.RUNNING, ("False", "Absent")),
        (make.observed_connector(state="STOPPED"), RunState.STOPPED, ("True", "Stopped")),
        (make.observed_connector(state="PAUSED"), RunState.PAUSED, ("True", "Paused")),
        (make.observed_connector(state="STOPPED"), RunState.RUNNING, ("False", "Stopped")),
        (make.observed_connector(state="PAUSED"), RunState.RUNNING, ("False", "Paused")),
        (failed(REFUSED), RunState.RUNNING, ("False", "LoginRefused")),
        (failed("nobody knows this"), RunState.RUNNING, ("False", "TaskFailed")),
        (failed(None), RunState.RUNNING, ("False", "TaskFailed")),
    ],
)
def test_what_connect_says_is_judged_first(
    observed: Any, run_state: RunState, expected: tuple[str, str]
) -> None:
    assert short(judge(observed, run_state)) == expected


@pytest.mark.parametrize(
    ("state", "tasks", "limit", "reason"),
    [
        ("RUNNING", (), START_LIMIT, "NoTasks"),
        ("RUNNING", ("UNASSIGNED",), UNASSIGNED_LIMIT, "TaskUnassigned"),
        ("RUNNING", ("RESTARTING",), START_LIMIT, "TaskRestarting"),
        ("RUNNING", ("RUNNING", "UNASSIGNED"), UNASSIGNED_LIMIT, "TaskUnassigned"),
        ("UNASSIGNED", ("RUNNING",), UNASSIGNED_LIMIT, "ConnectorUnassigned"),
        ("RESTARTING", (), START_LIMIT, "ConnectorRestarting"),
        ("PENDING", (), START_LIMIT, "ConnectorPending"),
    ],
)
def test_what_has_no_task_gets_its_time_and_then_is_a_failure(
    state: str, tasks: tuple[str, ...], limit: float, reason: str
) -> None:
    seen = replace(
        make.observed_connector(state=state),
        tasks=tuple(ObservedTask(i, s, "w") for i, s in enumerate(tasks)),
    )
    early = {make.NAME: make.NOW - limit + 1}
    late = {make.NAME: make.NOW - limit}
    assert short(judge(seen, states_since=early)) == ("Unknown", "Starting")
    assert short(judge(seen, states_since=late)) == ("False", reason)
    assert short(judge(seen)) == ("Unknown", "Starting"), "seen for the first time"


def test_no_task_is_explained_by_the_log_at_once() -> None:
    seen = replace(make.observed_connector(), tasks=())
    verdict = judge(seen, evidence=evidence(REFUSED), states_since={make.NAME: make.NOW - 6})
    assert short(verdict) == ("False", "LoginRefused")


def test_what_was_said_of_a_task_that_is_gone_explains_no_missing_task() -> None:
    seen = replace(make.observed_connector(), tasks=())
    old = evidence(REFUSED, ago=30.0)
    assert short(judge(seen, evidence=old)) == ("Unknown", "Starting")
    long_gone = {make.NAME: make.NOW - START_LIMIT}
    assert short(judge(seen, evidence=old, states_since=long_gone)) == ("False", "LoginRefused")
    silent = evidence(REFUSED, ago=121.0)
    longer_gone = {make.NAME: make.NOW - 3600}
    assert short(judge(seen, evidence=silent, states_since=longer_gone)) == ("False", "NoTasks")


def test_the_log_tells_what_is_behind_running_since_when_how_often_and_what_to_do() -> None:
    status, reason, message = judge(evidence=evidence(REFUSED))
    assert (status, reason) == (Status.FALSE, "LoginRefused")
    assert message.startswith("RUNNING, but LoginRefused since ")
    assert "seen once" in message
    assert "ORA-01017" in message
    assert "(for " in message


def test_words_that_tell_no_cause_are_told_with_the_codes_that_are_not_known() -> None:
    said = "Failed to start connector, will re-attempt during polling."
    again = WorkerLine(make.NOW - 5, "WARN", "io.x.Y", said, "", f"[{make.NAME}|task-0] ")
    odd = replace(again, level="ERROR", message="java.sql.SQLException: ORA-99123: 'Jane Doe'")
    alone = gather(EvidenceBook(), [odd], {make.NAME}, make.NOW)
    assert short(judge(evidence=alone)) == ("True", "Running")
    status, reason, message = judge(evidence=gather(alone, [again], {make.NAME}, make.NOW))
    assert (status, reason) == (Status.FALSE, "TryingAgain")
    assert "Beside it the worker's log has ORA-99123." in message
    assert "Jane" not in message


def test_noise_in_the_log_changes_nothing() -> None:
    assert short(judge(evidence=evidence("Graceful stop of task oracle-0 failed."))) == (
        "True",
        "Running",
    )


def test_what_the_worker_said_of_an_ended_task_is_neither_held_against_the_next_nor_forgotten() -> (
    None
):
    tries: dict[str, Json] = {"failure": "LoginRefused", "count": 1, "times": [make.NOW - 1]}
    stored = make.memory(**{f"restart/{make.NAME}": tries})
    assert short(judge(evidence=evidence(REFUSED), stored=stored)) == ("Unknown", "Starting")
    newer = evidence(REFUSED, ago=0.5)
    assert short(judge(evidence=newer, stored=stored)) == ("False", "LoginRefused")


@pytest.mark.parametrize(
    ("began", "told"), [(True, ("False", "LoginRefused")), (False, ("Unknown", "Starting"))]
)
def test_what_is_said_just_after_a_resume_is_the_new_tasks_own(
    began: bool, told: tuple[str, str]
) -> None:
    bounced: dict[str, Json] = {"at": make.NOW - 3, "began": began}
    pace: dict[str, Json] = {"bounces": [make.NOW - 3]}
    stored = make.memory(
        **{f"stamp/bounced:{make.NAME}": bounced, f"pace/connector/{make.NAME}": pace}
    )
    assert short(judge(evidence=evidence(REFUSED, ago=2.0), stored=stored)) == told
    assert short(judge(evidence=evidence(REFUSED, ago=4.0), stored=stored))[1] == "Starting"


def test_one_that_we_stopped_for_its_login_says_so() -> None:
    stamp: dict[str, Json] = {"by": "login", "failure": "LoginRefused", "at": make.NOW - 9}
    stored = make.memory(**{f"stamp/stopped:{make.NAME}": stamp})
    seen = make.observed_connector(state="STOPPED")
    status, reason, message = judge(seen, stored=stored)
    assert (status, reason) == (Status.FALSE, "LoginRefused")
    assert "stopped by the controller" in message


def test_one_that_is_about_to_be_resumed_by_us_is_starting() -> None:
    stored = make.memory(**{f"stamp/stopped:{make.NAME}": {"by": "create"}})
    seen = make.observed_connector(state="STOPPED")
    assert short(judge(seen, stored=stored)) == ("Unknown", "Starting")


def test_a_missing_topic_stands_all_tables_still_behind_running() -> None:
    status, reason, message = judge(topics=Snapshot({make.topic().key: ABSENT}))
    assert (status, reason) == (Status.FALSE, "TopicMissing")
    assert make.topic().name in message


def test_without_kafka_nothing_is_claimed() -> None:
    assert short(judge(topics=Snapshot(fault=make.AWAY))) == ("Unknown", "KafkaUnreachable")


@pytest.mark.parametrize(
    ("config", "still", "offsets", "expected"),
    [
        ({"heartbeat.interval.ms": "2000"}, FROZEN_LIMIT, OFFSETS, "OffsetsFrozen"),
        ({"heartbeat.interval.ms": "2000"}, FROZEN_LIMIT - 1, OFFSETS, "Running"),
        ({"heartbeat.interval.ms": "0"}, FROZEN_LIMIT, OFFSETS, "Running"),
        ({"heartbeat.interval.ms": "x"}, FROZEN_LIMIT, OFFSETS, "Running"),
        ({}, FROZEN_LIMIT, OFFSETS, "Running"),
        ({"heartbeat.interval.ms": "2000"}, FROZEN_LIMIT, (), "Running"),
        (
            {"heartbeat.interval.ms": "2000"},
            FROZEN_LIMIT,
            ({"partition": {}, "offset": {"scn": "1", "snapshot": "INITIAL"}},),
            "Running",
        ),
    ],
    ids=["frozen", "not yet", "no beats", "nonsense", "unset", "no offsets", "snapshot"],
)
def test_offsets_that_heartbeats_would_move_must_move(
    config: dict[str, str], still: float, offsets: Offsets, expected: str
) -> None:
    seen = make.observed_connector({**make.rendered(), **config})
    progress = {make.NAME: Progress(offsets, make.NOW, make.NOW - still)}
    assert judge(seen, progress=progress)[1] == expected


def test_offsets_of_postgresql_may_rest_where_nobody_writes_unless_a_query_does() -> None:
    config = {**make.rendered(), "heartbeat.interval.ms": "2000"}
    progress = {make.NAME: Progress(OFFSETS, make.NOW, make.NOW - FROZEN_LIMIT)}
    world = make.world(progress=progress)
    manifest = make.connector_manifest(connector_class="io.debezium.connector.postgresql.X")
    rests = make.observed_connector(config)
    assert judge_health(manifest, rests, world)[1] == "Running"
    writes = make.observed_connector({**config, "heartbeat.action.query": "UPDATE beat SET at = 1"})
    assert judge_health(manifest, writes, world)[1] == "OffsetsFrozen"


BEATS: Mapping[str, str] = {**make.rendered(), "heartbeat.interval.ms": "2000"}
LONG = SILENT_LIMIT + 1.0


def silent_world(**changes: Any) -> dict[str, Any]:
    """Tell of one that runs for long, whose newest heartbeat is too old."""
    lag = Lag(LONG, "", LONG, {"t": TopicLag(LONG, LONG)}, frozenset(Sign))
    return {
        "lag": LagReport({make.NAME: replace(lag, **changes)}),
        "progress": {make.NAME: Progress((), make.NOW, make.NOW)},
        "states_since": {make.NAME: make.NOW - LONG},
    }


@pytest.mark.parametrize("class_name", [make.ORACLE, "io.debezium.connector.postgresql.X"])
def test_one_whose_heartbeats_fell_silent_is_ill_whatever_its_class(class_name: str) -> None:
    world = make.world(**silent_world())
    manifest = make.connector_manifest(connector_class=class_name)
    status, reason, message = judge_health(manifest, make.observed_connector(BEATS), world)
    assert (status, reason) == (Status.FALSE, "HeartbeatSilent")
    assert "neither a heartbeat nor a row" in message


def test_one_that_never_wrote_anything_is_ill_once_it_ran_for_long() -> None:
    never = silent_world(heartbeat_age=None, topics={"t": TopicLag(None, None)})
    assert judge(make.observed_connector(BEATS), **never)[1] == "HeartbeatSilent"
    just = {**never, "states_since": {make.NAME: make.NOW - SILENT_LIMIT + 1}}
    assert judge(make.observed_connector(BEATS), **just)[1] == "Running"


@pytest.mark.parametrize(
    "changes",
    [
        silent_world(heartbeat_age=SILENT_LIMIT - 1),
        silent_world(topics={"t": TopicLag(1.0, 1.0)}),
        silent_world(seen=frozenset()),
        {**silent_world(), "states_since": {}},
        {**silent_world(), "lag": LagReport()},
        {**silent_world(), "progress": {make.NAME: SEEN}},
        {
            **silent_world(),
            "progress": {
                make.NAME: Progress(
                    ({"partition": {}, "offset": {"scn": "1", "snapshot": "INITIAL"}},),
                    make.NOW,
                    make.NOW,
                )
            },
        },
    ],
    ids=["beats", "rows", "unseen", "started", "nobody looked", "offsets moved", "snapshot"],
)
def test_any_other_sign_of_life_or_none_that_could_be_seen_is_no_silence(
    changes: dict[str, Any],
) -> None:
    assert judge(make.observed_connector(BEATS), **changes)[1] == "Running"


def test_silence_is_told_against_the_interval_of_the_heartbeats() -> None:
    slow = make.observed_connector({**BEATS, "heartbeat.interval.ms": "400000"})
    none = make.observed_connector({**BEATS, "heartbeat.interval.ms": "0"})
    assert judge(slow, **silent_world())[1] == "Running"
    assert judge(none, **silent_world())[1] == "Running"


@pytest.mark.parametrize(
    ("answers", "expected"),
    [
        ({"logMode": "NOARCHIVELOG"}, ("False", "RedoNotArchived")),
        ({"oldestScn": 2_000}, ("False", "RedoEnding")),
        ({"oldestRedoHours": 6.0}, ("True", "RedoEnding")),
        ({"oldestTransactionHours": 9.0}, ("True", "OldTransaction")),
        ({"oldestTransactionHours": 9.0, "logMode": "NOARCHIVELOG"}, ("False", "RedoNotArchived")),
        ({}, ("True", "Running")),
    ],
)
def test_what_the_database_was_found_to_lack_is_a_reason_with_the_sql(
    answers: dict[str, Any], expected: tuple[str, str]
) -> None:
    good: dict[str, Any] = {"oldestScn": 900, "oldestRedoHours": 90.0, "positionHours": 4.0}
    found = looked(
        "v", make.NOW, Said({**good, **answers}, {}), Subject("oracle", offset_scn=1_000)
    )
    verdict = judge(stored=make.memory(**{preflight_record(make.NAME): found}))
    assert short(verdict) == expected
    assert ("for the database administrator" in verdict[2]) == bool(answers)


def test_a_failure_is_told_before_what_the_database_lacks() -> None:
    found = looked("v", make.NOW, Said({"logMode": "NOARCHIVELOG"}, {}), Subject("oracle"))
    stored = make.memory(**{preflight_record(make.NAME): found})
    assert short(judge(failed(REFUSED), stored=stored)) == ("False", "LoginRefused")


@pytest.mark.parametrize(
    ("moved", "expected"),
    [(None, "NotSeen"), (1.0, "Running"), (MOVED_LATELY + 1, "NotSeen")],
)
def test_running_alone_is_no_proof_and_what_was_not_seen_is_said(
    moved: float | None, expected: str
) -> None:
    at = None if moved is None else make.NOW - moved
    progress = {make.NAME: Progress(OFFSETS, make.NOW, make.NOW, at)}
    status, reason, message = judge(unseen_log="there is no file", progress=progress)
    assert reason == expected
    assert (status is Status.TRUE) == (expected == "Running")
    assert "not seen: the worker's log (there is no file)" in message


def test_offsets_that_cannot_be_read_are_named() -> None:
    status, _, message = judge(progress={make.NAME: Unknown(make.AWAY)})
    assert status is Status.TRUE
    assert "its offsets (nobody answers)" in message


def test_a_row_or_secret_in_a_trace_never_reaches_the_sentence() -> None:
    canary = "Jane-Doe-4711"
    trace = f"ConnectException: password={canary} Struct{{name={canary}}} '{canary}' {REFUSED}"
    for verdict in (judge(failed(trace)), judge(evidence=evidence(trace)), judge(failed(canary))):
        assert canary not in " ".join(verdict[1:])


def test_the_reason_is_a_stable_word() -> None:
    verdicts = [judge(), judge(failed(REFUSED)), judge(evidence=evidence(REFUSED)), judge(ABSENT)]
    assert all(reason.isalnum() and reason[0].isupper() for _, reason, _ in verdicts)


def test_the_condition_of_a_plan_is_this_verdict() -> None:
    world: World = make.world(evidence=evidence(REFUSED), progress={make.NAME: SEEN})
    conditions = plan(world).conditions[make.connector_manifest().key]
    (healthy,) = [one for one in conditions if one.type == "Healthy"]
    assert (str(healthy.status), healthy.reason) == ("False", "LoginRefused")


def test_a_refused_login_is_told_before_a_missing_topic_and_the_broker_names_that_topic() -> None:
    gone: Snapshot[ObservedTopic] = Snapshot({make.topic().key: ABSENT})
    assert judge(topics=gone, evidence=evidence(REFUSED))[1] == "LoginRefused"
    text = "Error while fetching metadata: {wms.APP.ORDERS=UNKNOWN_TOPIC_OR_PARTITION}"
    status, reason, message = judge(topics=gone, evidence=evidence(text))
    assert (status, reason) == (Status.FALSE, "TopicMissing")
    assert make.topic().name in message
