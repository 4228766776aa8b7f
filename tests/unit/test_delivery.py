from __future__ import annotations

from typing import Any

import pytest

from controller.core.action import (
    Action,
    Forget,
    Remember,
    RemoveSecretFiles,
    WriteReady,
    WriteSecretFiles,
)
from controller.core.decision import Act, Converged, Decision, Stall, Wait
from controller.core.delivery import (
    decide_ready,
    decide_secret,
    named_versions,
    secret_names,
    unused_record,
)
from controller.core.model import ABSENT, ObservedDisk, Unknown
from tests import make

OLD, NEW, OLDEST = make.version("v1"), make.version("v2"), make.version("v0")
FILES = {"user": OLD.fields["user"], "password": OLD.fields["password"]}
AWAY = Unknown(make.AWAY)


def secrets(current: Any = None, **more: Any) -> dict[str, Any]:
    return {"dbInfo": current or make.secret(), "brokerString": make.broker_secret(), **more}


def actions(decision: Decision) -> tuple[Action, ...]:
    assert isinstance(decision, Act)
    return decision.actions


def files(**changes: Any) -> Decision:
    return decide_secret("dbInfo", make.world(**changes))


# --- files ----------------------------------------------------------------------------------


def test_files_that_are_there_are_left_alone() -> None:
    assert files() == Converged()


def test_files_that_no_task_waits_for_are_written_and_nothing_is_restarted() -> None:
    missing = files(disk=make.disk(), connectors=make.snapshot())
    assert actions(missing) == (WriteSecretFiles(OLD.key, FILES),)


def test_public_fields_are_never_written() -> None:
    (write,) = actions(files(disk=make.disk(), connectors=make.snapshot()))
    assert isinstance(write, WriteSecretFiles)
    assert set(write.fields) == {"user", "password"}


def test_tasks_that_missed_their_files_are_restarted_once_they_are_there() -> None:
    stamp, write = actions(files(disk=make.disk()))
    assert isinstance(stamp, Remember)
    assert stamp.key == f"stamp/restart:{make.NAME}"
    assert isinstance(write, WriteSecretFiles)


@pytest.mark.parametrize("state", ["STOPPED", "PAUSED"])
def test_a_connector_that_does_not_run_missed_nothing(state: str) -> None:
    seen = make.snapshot(make.observed_connector(state=state))
    assert actions(files(disk=make.disk(), connectors=seen)) == (WriteSecretFiles(OLD.key, FILES),)


def test_current_previous_and_what_configs_name_are_all_written() -> None:
    secret = make.secret(NEW, OLD, named=[OLDEST])
    seen = make.snapshot(make.observed_connector(make.rendered("v0")))
    written = [
        action.version
        for action in actions(files(secrets=secrets(secret), disk=make.disk(), connectors=seen))
        if isinstance(action, WriteSecretFiles)
    ]
    assert written == [OLDEST.key, OLD.key, NEW.key]


def test_a_version_of_a_foreign_path_is_never_asked_for() -> None:
    foreign = {"a": f"${{directory:{make.ROOT}/wms/production/dbInfo/v9:password}}"}
    assert named_versions(
        make.world(connectors=make.snapshot(make.observed_connector(foreign)))
    ) == {
        OLD.key  # still remembered
    }


def test_a_version_that_cannot_be_used_is_not_written() -> None:
    broken = make.secret(make.version("v2", problem="is no JSON"), OLD)
    assert files(secrets=secrets(broken)) == Converged()


@pytest.mark.parametrize("secret", [ABSENT, AWAY])
def test_without_a_readable_secret_no_file_is_touched(secret: Any) -> None:
    decision = files(secrets={**secrets(), "dbInfo": secret}, disk=make.disk(OLD.key, NEW.key))
    assert isinstance(decision, Stall if secret is ABSENT else Wait)


def test_a_volume_that_cannot_be_read_is_left_alone() -> None:
    assert files(disk=AWAY) == Wait("Unreachable", "nobody answers")


# --- removing -------------------------------------------------------------------------------

UNUSED = {unused_record(OLDEST.key): {"since": make.NOW - 600}}


def test_an_unused_version_is_marked_first_and_removed_after_ten_minutes() -> None:
    disk = make.disk(OLD.key, OLDEST.key)
    assert actions(files(disk=disk)) == (Remember(unused_record(OLDEST.key), {"since": make.NOW}),)
    stored = make.memory(**UNUSED)
    assert files(disk=disk, stored=stored, now=make.NOW - 1) == Converged()
    assert actions(files(disk=disk, stored=stored)) == (
        RemoveSecretFiles(OLDEST.key),
        Forget(unused_record(OLDEST.key)),
    )


def test_a_version_that_is_used_again_is_unmarked() -> None:
    seen = make.snapshot(make.observed_connector(make.rendered("v0")))
    decision = files(
        disk=make.disk(OLD.key, OLDEST.key), stored=make.memory(**UNUSED), connectors=seen
    )
    assert actions(decision) == (Forget(unused_record(OLDEST.key)),)


@pytest.mark.parametrize(
    "changes",
    [
        {"connectors": make.snapshot(fault=make.AWAY)},
        {"secrets": secrets(make.secret(OLD, AWAY))},
        {"secrets": secrets(make.secret(OLD, OLDEST))},
    ],
    ids=["connectors unknown", "previous unknown", "previous"],
)
def test_nothing_is_removed_in_doubt_nor_what_may_be_rolled_back_to(changes: Any) -> None:
    disk = make.disk(OLD.key, OLDEST.key)
    decision = files(disk=disk, stored=make.memory(**UNUSED), **changes)
    taken = decision.actions if isinstance(decision, Act) else ()
    assert RemoveSecretFiles(OLDEST.key) not in taken


def test_what_lies_under_other_paths_is_not_removed() -> None:
    other = make.version("v0", path="wms/other/dbInfo").key
    stored = make.memory(**{unused_record(other): {"since": 0.0}})
    assert files(disk=make.disk(OLD.key, other), stored=stored) == Converged()


# --- ready ----------------------------------------------------------------------------------


def ready(**changes: Any) -> Decision:
    return decide_ready(make.world(**{"disk": make.disk(OLD.key, ready=None), **changes}))


def test_the_worker_may_start_once_its_files_are_there() -> None:
    assert actions(ready()) == (WriteReady(make.BROKERS),)
    assert ready(disk=make.disk(OLD.key)) == Converged()


def test_a_wrong_cluster_is_told_though_nothing_differs() -> None:
    decision = ready(disk=make.disk(OLD.key), cluster_id="cluster-2")
    assert (type(decision), decision.reason) == (Stall, "WrongCluster")
    decision = ready(disk=make.disk(OLD.key), connect_cluster="cluster-2")
    assert (type(decision), decision.reason) == (Stall, "WrongCluster")
    assert "replace the worker" in decision.message


def test_a_new_broker_string_is_written_over_the_old_one() -> None:
    assert actions(ready(disk=make.disk(OLD.key, ready="127.0.0.1:1"))) == (
        WriteReady(make.BROKERS),
    )


def test_a_secret_that_is_proved_not_to_exist_is_not_waited_for() -> None:
    assert actions(ready(secrets={**secrets(), "dbInfo": ABSENT})) == (WriteReady(make.BROKERS),)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"disk": ObservedDisk()}, "FilesMissing"),
        ({"disk": AWAY}, "Unreachable"),
        ({"secrets": {**secrets(), "dbInfo": AWAY}}, "Unreachable"),
        ({"secrets": {**secrets(), "brokerString": AWAY}}, "Unreachable"),
        ({"secrets": secrets(make.secret(OLD, AWAY))}, "Unreachable"),
        ({"secrets": secrets(make.secret(NEW, named=())), "disk": make.disk(OLD.key, ready=None)},
         "FilesMissing"),
        ({"cluster_id": AWAY}, "Unreachable"),
    ],
)  # fmt: skip
def test_the_worker_waits_while_a_file_may_still_come(changes: Any, reason: str) -> None:
    decision = ready(**changes)
    assert isinstance(decision, Wait)
    assert decision.reason == reason


def test_the_worker_waits_for_a_version_in_a_config_that_could_not_be_read() -> None:
    secret = make.secret(NEW)
    unread = type(secret)(secret.name, secret.path, secret.fallback, NEW, ABSENT, {OLD.key: AWAY})
    decision = ready(secrets=secrets(unread), disk=make.disk(NEW.key, ready=None))
    assert decision == Wait("Unreachable", "nobody answers")


@pytest.mark.parametrize("changes", [{"cluster_id": "another"}])
def test_no_worker_starts_on_another_cluster(changes: Any) -> None:
    decision = ready(**changes)
    assert isinstance(decision, Stall)
    assert decision.reason == "WrongCluster"


def test_without_a_broker_string_there_is_no_start() -> None:
    decision = ready(secrets={**secrets(), "brokerString": ABSENT})
    assert isinstance(decision, Stall)
    assert decision.reason == "SecretMissing"


def test_without_manifests_the_remembered_versions_tell_what_to_deliver() -> None:
    assert secret_names(make.world(revision=None)) == {"dbInfo", "brokerString"}
    decision = decide_secret(
        "dbInfo", make.world(revision=None, disk=make.disk(), connectors=make.snapshot())
    )
    assert actions(decision) == (WriteSecretFiles(OLD.key, FILES),)


# --- what a store and a task cannot wait for ------------------------------------------------


def test_files_are_written_although_the_store_cannot_be_read() -> None:
    found = files(disk=make.disk(), stored=AWAY)
    assert actions(found) == (WriteSecretFiles(OLD.key, FILES),)


def test_a_field_that_no_task_reads_yet_restarts_nobody() -> None:
    partly = ObservedDisk({OLD.key: frozenset({"user", "password"})}, make.BROKERS)
    token = make.version("v1", fields={"token": "t0ken-value"})
    manifest = make.connector_manifest({"a.token": "${secret:dbInfo:token}"})
    found = files(
        disk=partly,
        secrets=secrets(make.secret(token)),
        revision=make.revision((make.topic(),), (manifest,)),
    )
    (write,) = actions(found)
    assert isinstance(write, WriteSecretFiles)
    assert set(write.fields) == {"user", "password", "token"}
