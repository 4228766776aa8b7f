"""What the demo shows, held to it: stage `main`, the real process, real parts."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from devstack.scene import CONNECTOR, DATA_TOPICS, Scene
from devstack.stack import Stack
from tests.e2e.scenes import (
    BASE,
    CONNECTOR_KEY,
    OF_A_STOPPING_TASK,
    a_proxy,
    a_scene,
    assert_one_snapshot,
    begin,
    delete_topic,
    edit,
    keys_in_table,
    keys_in_topic,
    log_of,
    next_cycles,
    own_settings,
    page,
    put_config,
    put_file,
    read_raw,
    refused_logins,
    set_connector_key,
    settle,
    wait_no_row_lost,
    wait_position,
)

pytestmark = [pytest.mark.stack, pytest.mark.timeout(120)]
BRANCH = "e2e-branch"


@pytest.fixture(scope="module")
def played(stack: Stack) -> Iterator[Scene]:
    with a_scene(stack, "main") as scene:
        begin(scene)
        wait_position(scene)  # whichever test is first, it cuts no snapshot short
        yield scene


@pytest.fixture
def main(played: Scene) -> Scene:
    begin(played)
    return played


def test_every_declared_topic_is_there_with_its_settings(main: Scene) -> None:
    rendered = {name: main.topic_config(name, "retention.ms") for name in DATA_TOPICS}
    assert rendered == dict.fromkeys(DATA_TOPICS, "1209600000")
    admin = main.stack.admin()
    topics = admin.list_topics(timeout=10).topics
    assert {len(topics[name].partitions) for name in DATA_TOPICS} == {3}
    for kind in ("config", "offsets", "status"):
        internal = f"mgmt.connect.wms-connector-main.{kind}"
        assert main.topic_config(internal, "cleanup.policy") == "compact"


def test_rows_of_before_and_of_now_are_in_their_topics_and_were_read_once(main: Scene) -> None:
    main.stack.postgres.insert_waiver("WMS", "a waiver of today")
    wait_no_row_lost(main)
    assert_one_snapshot(main)
    for topic in DATA_TOPICS:
        assert len(main.rows(topic, 10)) >= 10


def test_a_config_changed_by_rest_is_repaired_with_one_write(main: Scene) -> None:
    config, log = main.config(), log_of(main)
    put_config(main, poll_interval_ms="60000")
    main.wait(lambda: main.config() == config, "the config is repaired")
    settle(main)
    assert log.actions("connector/") == ["PutConfig"]


def test_a_deleted_connector_comes_back_and_goes_on_from_its_offsets(main: Scene) -> None:
    wait_position(main)
    log = log_of(main)
    main.worker.request("DELETE", f"/connectors/{CONNECTOR}")
    main.wait(lambda: "Resume" in log.actions(), "it is created again and resumed")
    settle(main)
    assert log.actions("connector/") == ["CreateConnector", "Resume"]
    main.stack.postgres.insert_waiver("WMS", "written after the deletion")
    wait_no_row_lost(main)
    assert_one_snapshot(main)


def test_a_paused_connector_is_resumed(main: Scene) -> None:
    log = log_of(main)
    main.worker.request("PUT", f"/connectors/{CONNECTOR}/pause")
    main.wait(lambda: "Resume" in log.actions(), "it is resumed")
    settle(main)
    assert log.actions("connector/") == ["Resume"]


def test_a_connector_stopped_by_hand_stays_so_until_a_hand_resumes_it(main: Scene) -> None:
    main.worker.request("PUT", f"/connectors/{CONNECTOR}/stop")
    main.wait(
        lambda: main.resource(CONNECTOR_KEY).get("reason") == "StoppedByHand", "it is reported"
    )
    next_cycles(main, 3)
    assert main.state() == "STOPPED"
    main.worker.request("PUT", f"/connectors/{CONNECTOR}/resume")
    settle(main)


def test_lowered_retention_is_repaired_and_raised_retention_is_reported(main: Scene) -> None:
    before = main.topic_config(BASE, "retention.ms")
    assert before is not None
    main.set_topic_config(BASE, "retention.ms", "60000")
    main.wait(lambda: main.topic_config(BASE, "retention.ms") == before, "it is repaired")
    main.set_topic_config(BASE, "retention.ms", "2000000000")
    main.wait(
        lambda: main.resource(f"topic/{BASE}").get("reason") == "MoreProtective", "it is reported"
    )
    next_cycles(main)
    assert main.topic_config(BASE, "retention.ms") == "2000000000"
    main.set_topic_config(BASE, "retention.ms", before)
    settle(main)


def test_what_is_as_declared_is_left_in_peace(main: Scene) -> None:
    main.stop()
    with a_proxy(main) as proxy:
        begin(main)
        proxy.requests.clear()
        log = log_of(main)
        written = read_raw(main.stack.broker.bootstrap, "mgmt.connect.wms-connector-main.config")
        next_cycles(main, 4)
        assert proxy.writes == []
        assert log.actions() == []
        now = read_raw(main.stack.broker.bootstrap, "mgmt.connect.wms-connector-main.config")
        assert now == written
        assert len(proxy.requests) <= 6, "one request a cycle"
        main.stop()


def test_a_rotated_password_is_taken_over_and_rows_flow_on(main: Scene) -> None:
    stack = main.stack
    stack.postgres.insert_waiver("WMS", "the last with the old password")
    wait_no_row_lost(main)  # no login of a start is under way
    failed = refused_logins(stack)
    stack.postgres.rotate_password("rotated-password-of-main")
    version = stack.aws.rotate_secret("wms/main/dbInfo", {"password": "rotated-password-of-main"})
    main.wait(
        lambda: version in main.config().get("database.password", ""), "the new version is named"
    )
    settle(main)
    stack.postgres.insert_waiver("WMS", "the first with the new password")
    wait_no_row_lost(main)
    stack.postgres.end_sessions()
    stack.postgres.insert_waiver("WMS", "after all old sessions were ended")
    wait_no_row_lost(main)
    assert refused_logins(stack) <= failed + OF_A_STOPPING_TASK


def test_a_wrong_password_is_tried_once_and_never_reaches_the_worker(main: Scene) -> None:
    stack, config, failed = main.stack, main.config(), refused_logins(main.stack)
    stack.aws.rotate_secret("wms/main/dbInfo", {"password": "a-wrong-password"})
    main.wait(lambda: _secrets_reason(main) == "LoginRefused", "it is refused")
    next_cycles(main)
    stack.postgres.insert_waiver("WMS", "written with the old password")
    wait_no_row_lost(main)
    assert main.config() == config
    assert refused_logins(stack) == failed + 1
    stack.aws.rotate_secret("wms/main/dbInfo", {"password": stack.postgres.password})
    main.wait(
        lambda: main.condition(CONNECTOR_KEY, "SecretsResolved").get("status") == "True",
        "the corrected secret is used",
    )
    settle(main)
    assert refused_logins(stack) == failed + 1


def test_a_refused_login_is_tried_again_when_a_person_says_probe(main: Scene) -> None:
    stack = main.stack
    version = stack.aws.rotate_secret("wms/main/dbInfo", {"password": "right-a-little-later"})
    main.wait(lambda: _secrets_reason(main) == "LoginRefused", "it is refused")
    stack.postgres.rotate_password("right-a-little-later")
    next_cycles(main, 3)
    assert version not in main.config()["database.password"], "nobody asked for another try"
    done = main.wmsctl("probe", CONNECTOR)
    assert done.returncode == 0, done.stderr
    main.wait(lambda: version in main.config().get("database.password", ""), "it is used")
    settle(main)  # the task itself may have tried its old password meanwhile


def _secrets_reason(scene: Scene) -> str:
    return str(scene.condition(CONNECTOR_KEY, "SecretsResolved").get("reason"))


def test_a_bad_revision_is_refused_by_line_and_the_good_one_stays_in_force(main: Scene) -> None:
    good = main.status()["revision"]["id"]
    bad = main.manifests / "stages" / "local" / "mistake.yaml"
    put_file(
        bad,
        "apiVersion: wms.cdc/v1\nkind: Topic\nmetadata:\n  name: wms.WMS.PLAN_BASE_WVR_TBL\n"
        "spec:\n  partitions: several\n",
    )
    try:
        main.wait(lambda: bool(main.status().get("refusedRevision")), "it is refused")
        message = main.status()["refusedRevision"]["message"]
        assert "stages/local/mistake.yaml:6:15: spec.partitions" in message
        assert main.status()["revision"]["id"] == good
        main.set_topic_config(BASE, "retention.ms", "60000")
        main.wait(lambda: main.topic_config(BASE, "retention.ms") != "60000", "drift is repaired")
    finally:
        bad.unlink()
    main.wait(lambda: not main.status().get("refusedRevision"), "the folder is good again")


def test_a_new_topic_of_a_commit_is_there_within_moments_and_its_removal_deletes_nothing(
    main: Scene,
) -> None:
    before = main.stack.topics()
    revert = edit(main, "stages/local/topics.yaml", _declare_schema_changes)
    try:
        took = main.wait(lambda: "wms" in main.stack.topics(), "the new topic is there")
        assert main.stack.topics() - before == {"wms"}
        assert took < 6, "a change of the folder is noticed within about a second"
    finally:
        revert()
    main.wait(lambda: "topic/wms" in main.status().get("orphans", []), "it is an orphan")
    next_cycles(main)
    assert "wms" in main.stack.topics()
    delete_topic(main.stack, "wms")
    main.wait(lambda: "topic/wms" not in main.status().get("orphans", []), "it is gone")


def _declare_schema_changes(documents: list[Any]) -> None:
    documents[:] = [d for d in documents if d["metadata"]["name"] != "wms"]


def test_a_connector_that_no_manifest_declares_is_reported_and_left_running(main: Scene) -> None:
    config = main.config()
    revert = edit(main, "stages/local/connector.yaml", lambda documents: documents.pop(1) and None)
    try:
        main.wait(lambda: CONNECTOR_KEY in main.status().get("orphans", []), "it is an orphan")
        main.stack.postgres.insert_waiver("WMS", "written while nobody declares the connector")
        next_cycles(main)
        wait_no_row_lost(main)
        assert main.config() == config
    finally:
        revert()
    settle(main)
    assert main.config() == config


def test_a_changed_key_of_a_commit_is_applied(main: Scene) -> None:
    revert = set_connector_key(main, "max.batch.size", "1024")
    main.wait(lambda: main.config().get("max.batch.size") == "1024", "the key is there")
    settle(main)
    revert()
    main.wait(lambda: bool(main.config()) and "max.batch.size" not in main.config(), "it is gone")
    settle(main)


def test_a_lost_topic_is_not_made_again_on_a_named_stage_though_memory_is_lost_too(
    main: Scene,
) -> None:
    heartbeat = "__debezium-heartbeat.wms"
    settings = own_settings(main.stack, heartbeat)
    main.stop()
    (main.stack.folder / "state-main.json").unlink()
    delete_topic(main.stack, heartbeat)
    main.start()
    main.wait(
        lambda: main.resource(f"topic/{heartbeat}").get("reason") == "TopicLost", "it is reported"
    )
    next_cycles(main)
    assert heartbeat not in main.stack.topics()
    main.stack.create_topics(heartbeat, config=settings)
    settle(main)
    wait_no_row_lost(main)
    assert_one_snapshot(main)


def test_a_state_file_deleted_while_running_changes_nothing_and_is_made_again(main: Scene) -> None:
    log, state = log_of(main), main.stack.folder / "state-main.json"
    state.unlink()
    next_cycles(main, 3)
    assert log.actions() == []
    assert state.exists()
    config = main.config()
    put_config(main, poll_interval_ms="60000")
    main.wait(lambda: main.config() == config, "drift is still repaired")
    settle(main)


def test_a_branch_comes_up_beside_main_and_its_teardown_takes_exactly_its_own(
    main: Scene,
) -> None:
    stack = main.stack
    before = stack.topics()
    with a_scene(stack, BRANCH) as branch:
        branch.start()
        branch.wait_running(60)
        wait_no_row_lost(branch)
        own = stack.topics() - before
        refused = branch.wmsctl("teardown", "--confirm", "main")
        assert refused.returncode == 1
        assert stack.topics() == before | own
        dry = branch.wmsctl("teardown", "--dry-run")
        assert all(name in dry.stdout for name in own), dry.stdout + dry.stderr
        assert stack.topics() == before | own
        branch.stop()
        branch.worker.stop()
        done = branch.wmsctl("teardown", "--confirm", BRANCH)
        assert done.returncode == 0, done.stdout + done.stderr
        assert stack.topics() == before
        assert len(own) == 8
    assert main.wmsctl("teardown", "--confirm", "main").returncode == 1, "a named stage has none"
    stack.postgres.insert_waiver("WMS", "written after the branch was gone")
    wait_no_row_lost(main)


def test_no_secret_is_told_to_anybody(main: Scene) -> None:
    stack = main.stack
    passwords = [stack.postgres.password, "rotated-password-of-today", "never-a-good-password"]
    stack.postgres.rotate_password(passwords[1])
    version = stack.aws.rotate_secret("wms/main/dbInfo", {"password": passwords[1]})
    main.wait(lambda: version in main.config().get("database.password", ""), "it is used")
    settle(main)
    stack.aws.rotate_secret("wms/main/dbInfo", {"password": passwords[2]})
    main.wait(lambda: _secrets_reason(main) == "LoginRefused", "it is refused")
    plan = main.wmsctl("plan", "-o", "json")
    told = {
        **{path.name: path.read_bytes() for path in stack.logs.iterdir() if path.is_file()},
        "status": page(main, "/status")[1].encode(),
        "metrics": page(main, "/metrics", "WMS_METRICS_PORT")[1].encode(),
        "plan": (plan.stdout + plan.stderr).encode(),
        "state": (stack.folder / "state-main.json").read_bytes(),
        "evidence": main.worker.evidence.read_bytes(),
        "config topic": b"".join(
            read_raw(stack.broker.bootstrap, "mgmt.connect.wms-connector-main.config")
        ),
    }
    assert b"wms_" in told["metrics"]
    assert b"${directory:" in told["config topic"]
    found = [(name, p) for name, text in told.items() for p in passwords if p.encode() in text]
    assert found == []
    stack.aws.rotate_secret("wms/main/dbInfo", {"password": stack.postgres.password})
    settle(main)


def test_two_controllers_started_by_mistake_do_no_harm(main: Scene) -> None:
    with_own_ports = main.env | {"WMS_HTTP_PORT": "0", "WMS_METRICS_PORT": "0"}
    second = main.stack.start_controller(with_own_ports, name="controller-second")
    try:
        log, config = log_of(main), main.config()
        put_config(main, poll_interval_ms="60000")
        main.wait(lambda: main.config() == config, "it is repaired")
        settle(main)
        assert log.actions("connector/").count("PutConfig") <= 2
    finally:
        main.stack.stop_child(second)
    wait_no_row_lost(main)


def test_the_pages_tell_that_all_is_well(main: Scene) -> None:
    assert page(main, "/healthz")[0] == 200
    assert page(main, "/readyz")[0] == 200
    assert set(keys_in_topic(main, "WMS")) <= keys_in_table(main.stack, "WMS")
