"""The main job, shown from beginning to end on real parts; ends by itself."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, Final

from devstack.environment import StackError, wait_until
from devstack.scene import CONNECTOR, DATA_TOPICS, Scene, offered_action
from devstack.stack import Stack

BASE: Final = "wms.WMS.PLAN_BASE_WVR_TBL"
LOST: Final = "wms.MMDL.PLAN_WVR_RVSN_TBL"
STILL: Final = 2.0  # several times what a row takes
BRANCH: Final = "feat-demo"
_BAD_MANIFEST: Final = """\
apiVersion: wms.cdc/v1
kind: Topic
metadata:
  name: wms.WMS.PLAN_BASE_WVR_TBL
spec:
  partitions: several
"""


def demo() -> int:
    """Run all acts; a failed one ends it with exit code 1 and the controller's last lines."""
    began = time.monotonic()
    with Stack(("main",), ready=False) as stack:
        main = Scene(stack, "main", stack.worker("main"))
        _say(f"broker, worker, database and AWS mock started (logs in {stack.logs})", began)
        main.start()
        play = Play(main)
        for act in ACTS:
            act(play)
        main.stop()
    print(f"\nAll of it held, in {time.monotonic() - began:.0f} s.")
    return 0


def _say(text: str, since: float | None = None) -> None:
    took = "" if since is None else f"  [{time.monotonic() - since:.2f} s]"
    print(f"  {text}{took}", flush=True)


def _head(text: str) -> None:
    print(f"\n{text}", flush=True)


class Play:
    """What the acts share: the scene, and how many rows each topic must hold by now."""

    def __init__(self, scene: Scene) -> None:
        self.scene = scene
        self.expected = dict.fromkeys(DATA_TOPICS, 10)

    def insert(self, title: str) -> float:
        """How long a new row takes from the table to the topic."""
        start = time.monotonic()
        self.scene.stack.postgres.insert_waiver("WMS", title)
        self.expected[BASE] += 1
        self.expect_rows(BASE)
        return time.monotonic() - start

    def expect_rows(self, topic: str) -> None:
        rows = self.scene.rows(topic, self.expected[topic])
        if len(rows) != self.expected[topic]:
            raise StackError(f"{topic} holds {len(rows)} rows, and {self.expected[topic]} are due")


def topics_are_created(play: Play) -> None:
    _head("A stage with nothing in it")
    took = play.scene.wait(
        lambda: set(DATA_TOPICS) <= play.scene.stack.topics(), "the data topics are there"
    )
    _say(f"the topics were created before the worker was let in  [{took:.2f} s after the start]")


def connector_runs(play: Play) -> None:
    took = play.scene.wait_running()
    _say(
        f"connector {CONNECTOR} was created STOPPED, resumed, and is RUNNING  [{took:.2f} s later]"
    )


def snapshot_arrives(play: Play) -> None:
    start = time.monotonic()
    for topic in DATA_TOPICS:
        play.expect_rows(topic)
    _say("40 snapshot rows of 4 tables are in Kafka", start)
    took = play.insert("a waiver of today")
    _say(f"a new row in the table is in its topic  [{took:.2f} s]")
    play.scene.wait_converged()


def config_is_repaired(play: Play) -> None:
    _head("People with good intentions")
    scene = play.scene
    config = scene.config()
    start = time.monotonic()
    changed = config | {"poll.interval.ms": "60000"}
    scene.worker.request("PUT", f"/connectors/{CONNECTOR}/config", changed)
    scene.wait(lambda: scene.config() == config, "the config is repaired")
    _say("somebody changed the connector's config by REST: repaired", start)


def connector_comes_back(play: Play) -> None:
    scene = play.scene
    scene.wait_running()
    scene.wait(scene.has_position, "its position is committed")
    start = time.monotonic()
    scene.worker.request("DELETE", f"/connectors/{CONNECTOR}")
    scene.wait(lambda: not scene.running(), "the connector is gone")
    scene.wait_running()
    _say("somebody deleted the connector: created again and RUNNING", start)
    play.insert("written after the deletion")
    snapshots = sum(row.operation == "r" for row in scene.rows(BASE, play.expected[BASE]))
    if snapshots != 10:
        raise StackError(f"{snapshots} snapshot rows: it read the table again")
    _say("  it resumed from its offsets: 10 snapshot rows as before, and the new row arrived")


def connector_is_resumed(play: Play) -> None:
    scene = play.scene
    start = time.monotonic()
    scene.worker.request("PUT", f"/connectors/{CONNECTOR}/pause")
    scene.wait(lambda: not scene.running(), "the connector pauses")
    scene.wait_running()
    _say("somebody paused the connector: resumed", start)


def retention_is_repaired(play: Play) -> None:
    scene = play.scene
    before = scene.topic_config(BASE, "retention.ms")
    start = time.monotonic()
    scene.set_topic_config(BASE, "retention.ms", "60000")
    scene.wait(lambda: scene.topic_config(BASE, "retention.ms") == before, "retention is repaired")
    _say(f"somebody lowered a topic's retention to a minute: {before} ms again", start)


def retention_is_left(play: Play) -> None:
    scene = play.scene
    before = scene.topic_config(BASE, "retention.ms")
    start = time.monotonic()
    scene.set_topic_config(BASE, "retention.ms", "2592000000")
    name = f"topic/{BASE}"
    scene.wait(
        lambda: scene.resource(name).get("reason") == "MoreProtective", "it is shown and left"
    )
    _say("somebody raised it to 30 days: left alone, since setting it back deletes records", start)
    print(f"      {scene.resource(name)['message']}")
    if scene.topic_config(BASE, "retention.ms") != "2592000000":
        raise StackError("retention was set back")
    scene.set_topic_config(BASE, "retention.ms", str(before))
    scene.wait_converged()


def stage_is_frozen(play: Play) -> None:
    scene = play.scene
    _wmsctl(scene, "freeze", "--for", "10m", "--reason", "the database moves tonight")
    before = scene.topic_config(BASE, "retention.ms")
    scene.set_topic_config(BASE, "retention.ms", "60000")
    name = f"topic/{BASE}"
    start = time.monotonic()
    scene.wait(lambda: scene.resource(name).get("reason") == "Frozen", "the freeze is in force")
    _say("somebody froze the stage: what differs is shown, and nothing is written", start)
    print(f"      {scene.resource(name)['message']}")
    start = time.monotonic()
    _wmsctl(scene, "unfreeze")
    scene.wait(lambda: scene.topic_config(BASE, "retention.ms") == before, "it is repaired")
    _say("  unfrozen: shown for one interval more, then repaired", start)
    scene.wait_converged()


def captured_topic_is_lost(play: Play) -> None:
    scene = play.scene
    client = scene.stack.admin()
    client.delete_topics([LOST])[LOST].result(20)
    start = time.monotonic()
    _write_to_lost(play)
    name = f"topic/{LOST}"
    scene.wait(lambda: scene.resource(name).get("reason") == "TopicLost", "it is held")
    _say(f"somebody deleted the captured topic {LOST}: held, and explained", start)
    message = str(scene.resource(name)["message"])
    print(f"      {message}")
    if LOST in scene.stack.topics():
        raise StackError(f"{LOST} was made again, empty, and nobody asked for it")
    word = offered_action(message)
    if word is None:
        raise StackError(f"nobody is told how to accept it: {message}")
    _stand_still(play)
    why = ("--for", "1h", "--reason", "its consumers read it to the end")
    _wmsctl(scene, "accept", name, "data-loss", "--action", word, *why)
    start = time.monotonic()
    scene.wait(lambda: LOST in scene.stack.topics(), "what was accepted is done")
    _say("  accepted by a person: made again", start)
    for topic, rows in ((BASE, play.expected[BASE]), (LOST, 2)):
        if len(scene.rows(topic, rows)) != rows:
            raise StackError(f"the rows that waited are not in {topic}")
    _say("  every row that waited is in its topic", start)
    took = play.insert("written after the topic was lost")
    _say(f"  and rows of all tables flow again  [{took:.2f} s]")
    scene.wait_converged()


def _write_to_lost(play: Play) -> None:
    """Write what has no topic: the first makes the producer look, the second it waits with."""
    scene = play.scene
    for comment in ("its topic is lost", "and it waits"):
        scene.stack.postgres.insert_revision("MMDL", comment=comment)
        play.expected[LOST] += 1
        scene.wait(scene.misses_topic, "the worker's log tells of the missing topic")


def _stand_still(play: Play) -> None:
    scene = play.scene
    before = play.expected[BASE]
    scene.stack.postgres.insert_waiver("WMS", "written while another table's topic is lost")
    play.expected[BASE] += 1
    arrived = wait_until(lambda: len(scene.rows(BASE, before)) > before, STILL)
    if arrived or not scene.running():
        raise StackError(f"not all tables stand still behind {scene.state()}")
    _say(f"  Connect says RUNNING, and a new row of another table is in no topic {STILL:g} s later")
    print(f"      {scene.condition(f'connector/{CONNECTOR}', 'Healthy')['message']}")


def _wmsctl(scene: Scene, *arguments: str) -> None:
    done = scene.wmsctl(*arguments)
    if done.returncode != 0:
        raise StackError(f"wmsctl {arguments[0]} failed:\n{done.stdout}{done.stderr}")


def password_is_rotated(play: Play) -> None:
    _head("Credentials")
    scene, stack = play.scene, play.scene.stack
    start = time.monotonic()
    stack.postgres.rotate_password("rotated-password-1")
    version = stack.aws.rotate_secret("wms/main/dbInfo", {"password": "rotated-password-1"})
    scene.wait(
        lambda: version in scene.config().get("database.password", ""), "the new version is used"
    )
    scene.wait_running()
    _say("the password was rotated in database and secret: the task runs with the new one", start)
    play.insert("the first with the new password")  # so it streams, and an end is a mere retry
    stack.postgres.end_sessions()
    took = play.insert("written with the new password")
    _say(f"  all old sessions were ended, and a new row arrived  [{took:.2f} s]")


def wrong_password_is_refused(play: Play) -> None:
    scene, stack = play.scene, play.scene.stack
    before = scene.config()
    start = time.monotonic()
    stack.aws.rotate_secret("wms/main/dbInfo", {"password": "a-wrong-password"})
    name = f"connector/{CONNECTOR}"
    scene.wait(
        lambda: scene.condition(name, "SecretsResolved").get("reason") == "LoginRefused",
        "the wrong password is refused",
    )
    if scene.config() != before:
        raise StackError("the worker was told of the wrong password")
    _say("a wrong password in the secret: tried once and refused before the worker saw it", start)
    print(f"      {scene.condition(name, 'SecretsResolved')['message']}")
    took = play.insert("written meanwhile")
    _say(f"  rows flow on with the old one  [{took:.2f} s]")
    stack.aws.rotate_secret("wms/main/dbInfo", {"password": stack.postgres.password})
    scene.wait(
        lambda: scene.condition(name, "SecretsResolved").get("status") == "True",
        "the corrected secret is used",
    )
    _say("  the secret was corrected: used at once")
    scene.wait_converged()


def failed_task_is_healed(play: Play) -> None:
    _head("Failures")
    scene = play.scene
    start = time.monotonic()
    if not scene.fail_as_it_starts():
        raise StackError("the task never failed")
    scene.wait(lambda: bool(_restarts(scene).get("count")), "the failed task is restarted", 60)
    scene.wait_running()
    _say("the task's session ended as it started, which left it FAILED: restarted", start)
    print(f"      {_restarts(scene)['failure']}: {_restarts(scene)['message']}")
    play.insert("written after the failure")


def _restarts(scene: Scene) -> dict[str, Any]:
    found = scene.resource(f"connector/{CONNECTOR}").get("restarts")
    return found if isinstance(found, dict) else {}


def lost_password_is_held(play: Play) -> None:
    scene, stack = play.scene, play.scene.stack
    name = f"connector/{CONNECTOR}"
    scene.wait_converged()
    start = time.monotonic()
    stack.postgres.rotate_password("changed-by-the-dba")
    stack.postgres.end_sessions()
    scene.wait(lambda: scene.state() == "STOPPED", "the refused connector is stopped", 60)
    _say("the password was changed in the database alone. Connect says RUNNING; stopped:", start)
    scene.wait(
        lambda: scene.resource(name).get("decision") == "Stall", "it is held for a person", 60
    )
    print(f"      what is true: {scene.resource(name)['message']}")
    stack.aws.rotate_secret("wms/main/dbInfo", {"password": "changed-by-the-dba"})
    scene.wait_running(60)
    _say("  a person put the new password into the secret: it runs again", start)
    play.insert("written after the password was found")
    scene.wait_converged()


def bad_manifest_is_refused(play: Play) -> None:
    _head("A bad commit")
    scene = play.scene
    good = scene.status()["revision"]["id"]
    bad = scene.manifests / "stages" / "local" / "mistake.yaml"
    start = time.monotonic()
    bad.write_text(_BAD_MANIFEST, encoding="utf-8")
    scene.wait(lambda: bool(scene.status().get("refusedRevision")), "the bad revision is refused")
    _say("refused, with file, line and field:", start)
    print(f"      {scene.status()['refusedRevision']['message']}")
    if scene.status()["revision"]["id"] != good:
        raise StackError("the good revision is not in force any more")
    scene.set_topic_config(BASE, "retention.ms", "60000")
    scene.wait(lambda: scene.topic_config(BASE, "retention.ms") != "60000", "drift is repaired")
    _say(f"  revision {good} stays in force: drift is still repaired")
    bad.unlink()
    scene.wait(lambda: not scene.status().get("refusedRevision"), "the folder is good again")


def branch_comes_and_goes(play: Play) -> None:
    _head(f"A branch: stage {BRANCH} beside main, on the same cluster and database")
    stack = play.scene.stack
    before = stack.topics()
    start = time.monotonic()
    stack.aws.put_secret("wms/default/dbInfo", stack.postgres.db_info())
    branch = Scene(stack, BRANCH, stack.add_worker(BRANCH, ready=False, wait=False))
    branch.start()
    branch.wait_running()
    for topic in DATA_TOPICS:
        branch.rows(topic, play.expected[topic])
    own = sorted(stack.topics() - before)
    _say(f"it runs with {len(own)} topics of its own, all rows in them", start)
    start = time.monotonic()
    branch.stop()
    branch.worker.stop()
    done = branch.wmsctl("teardown", "--confirm", BRANCH)
    if done.returncode != 0:
        raise StackError(f"teardown failed:\n{done.stdout}{done.stderr}")
    if stack.topics() != before:
        raise StackError(f"not exactly its own topics are gone: {stack.topics() ^ before}")
    _say(f"torn down: exactly its own {len(own)} topics are gone, no other", start)
    stack.postgres.drop_slot("wms_feat_demo")
    took = play.insert("written after the branch was gone")
    _say(f"  main went on all the while  [{took:.2f} s for a new row]")


ACTS: Final[tuple[Callable[[Play], None], ...]] = (
    topics_are_created,
    connector_runs,
    snapshot_arrives,
    config_is_repaired,
    connector_comes_back,
    connector_is_resumed,
    retention_is_repaired,
    retention_is_left,
    stage_is_frozen,
    captured_topic_is_lost,
    password_is_rotated,
    wrong_password_is_refused,
    failed_task_is_healed,
    lost_password_is_held,
    bad_manifest_is_refused,
    branch_comes_and_goes,
)
