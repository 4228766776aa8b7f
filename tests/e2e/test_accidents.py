"""Accidents that cost days: what becomes of the world, what a person is told, what a word does.

One table on the real stack. On `main` nothing happens, somebody is told, and what is accepted then
happens. A branch is a throw-away: what costs only data is done at once there. Both are played at
the same time, since most of it is waiting.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Container, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pytest

from devstack.broker import Broker
from devstack.environment import wait_until
from devstack.scene import CONNECTOR, Scene, offered_action
from devstack.stack import Stack
from tests.e2e.scenes import (
    BASE,
    CONNECTOR_KEY,
    Relay,
    delete_topic,
    edit,
    keys_in_topic,
    next_cycles,
    put_config,
    set_connector_key,
    set_up,
    settle,
    wait_position,
)

pytestmark = [pytest.mark.stack, pytest.mark.timeout(300)]
LONG: Final = 90.0
BRANCH: Final = "e2e-accidents"
NEIGHBOURS: Final = {"main": "val", BRANCH: "production"}
ELSEWHERE: Final = "another-cluster"
CONNECTORS: Final = "stages/local/connector.yaml"
TOPICS: Final = "stages/local/topics.yaml"
POLICY: Final = "stages/local/policy.yaml"
RENAMED: Final = f"{CONNECTOR}-2"
GROWN: Final = "wms.MMDL.PLAN_WVR_RVSN_TBL"
QUIET: Final = "wms.MMDL.PLAN_BASE_WVR_TBL"
SPARE: Final = "wms.WMS.PLAN_WVR_RVSN_TBL"
HISTORY: Final = "wms.schema-changes"
COPIES: Final = "min.insync.replicas"
LIMITS: Final = ("retention.ms", COPIES)
MARK: Final = "x-wms.managed-by"
POLL: Final = "poll.interval.ms"
_AGAIN: Final = ("TablesChanged", "SnapshotWouldStart")  # held as snapshot
Undo = Callable[[], object]


@pytest.fixture(scope="module")
def stack() -> Iterator[Stack]:
    """A stack of these tests' own: what they do to topics would be news to others."""
    with Stack((), ready=False) as running:
        yield running


@pytest.fixture(scope="module")
def stages(stack: Stack) -> Iterator[tuple[Scene, Scene]]:
    """`main` and a branch, both at work, beside another cluster; all of it ends with the stack."""
    main, branch = set_up(stack, "main"), set_up(stack, BRANCH)
    for scene in (main, branch):
        scene.start()
    stack.add_cluster(ELSEWHERE)
    for scene in (main, branch):
        scene.wait_running(LONG)
        scene.wait_converged(LONG)
        wait_position(scene)  # what its first snapshot reads is not read again
    with Relay(stack.postgres.port) as relay:
        _other_port.append(relay.port)
        yield main, branch


@dataclass(frozen=True)
class Accident:
    """What somebody does, and the harm that would follow if it were simply carried out."""

    what: str
    cause: Callable[[Scene], Undo | None]
    resource: str
    reason: str
    told: tuple[str, ...]
    harmed: Callable[[Scene], bool]
    risk: str | None = None  # None: no acceptance can do it
    on_branches_too: bool = False  # held there as well
    day: str = ""  # those of one day happen together


# --- what people do -------------------------------------------------------------------------


def _declare(scene: Scene, spec: dict[str, Any], name: str = BASE) -> Undo:
    document = {
        "apiVersion": "wms.cdc/v1",
        "kind": "Topic",
        "metadata": {"name": name},
        "spec": spec,
    }

    def change(documents: list[Any]) -> None:
        kept = [d for d in documents if d["metadata"]["name"] != name]
        documents[:] = [*kept, document]

    return edit(scene, TOPICS, change)


def _declared_connector(scene: Scene, change: Callable[[dict[str, Any]], None]) -> Undo:
    def find(documents: list[Any]) -> None:
        change(next(d for d in documents if d["metadata"]["name"] == CONNECTOR))

    return edit(scene, CONNECTORS, find)


def _lower_retention(scene: Scene) -> Undo:
    return _declare(scene, {"config": {"retention.ms": 3_600_000}})


def _keep_more(scene: Scene) -> None:
    scene.set_topic_config(QUIET, "retention.ms", "2000000000")
    scene.set_topic_config(QUIET, COPIES, "2")


def _keeps_less_again(scene: Scene) -> bool:
    retention, copies = (_setting(scene, key, QUIET) for key in LIMITS)
    return retention == "1209600000" or copies == "1"


def _compact(scene: Scene) -> None:
    scene.set_topic_config(SPARE, "cleanup.policy", "compact")


def _add_partitions(scene: Scene) -> None:
    _declare(scene, {"partitions": 5}, GROWN)  # for good: nobody can take them away


def _keep_fewer_copies(scene: Scene) -> Undo:
    """A commit names a setting that was nobody's, and asks for less than is there."""
    unnamed = {"replicationFactor": 1, "minInsyncReplicas": None}
    with ExitStack() as undo:
        undo.callback(_set_policy(scene, defaults=unnamed))
        scene.set_topic_config(GROWN, COPIES, "2")
        next_cycles(scene, 2)  # they see that it is not declared, and leave it
        spec = {"partitions": _partitions(scene), "config": {COPIES: 1}}
        undo.callback(_declare(scene, spec, GROWN))
        return undo.pop_all().close


def _partitions(scene: Scene) -> int:
    name = scene.topic(GROWN)
    client = scene.stack.admin()
    return len(client.list_topics(name, timeout=10).topics[name].partitions)


def _delete_captured(scene: Scene) -> None:
    delete_topic(scene.stack, scene.topic(BASE))


def _heartbeat(scene: Scene) -> str:
    return f"__debezium-heartbeat.{scene.topic('wms')}"


def _delete_heartbeat(scene: Scene) -> None:
    delete_topic(scene.stack, _heartbeat(scene))


def _delete_history(scene: Scene) -> None:
    name = scene.topic(HISTORY)
    if name not in scene.stack.topics():
        documents = (scene.manifests / TOPICS).read_text("utf-8").split("---\n")
        kept = [text for text in documents if f"name: {HISTORY}\n" not in text]
        (scene.manifests / TOPICS).write_text("---\n".join(kept), encoding="utf-8")
        scene.wait(lambda: name in scene.stack.topics(), "the history is there")
        settle(scene)
    delete_topic(scene.stack, name)


def _stop(scene: Scene) -> None:
    scene.worker.request("PUT", f"/connectors/{CONNECTOR}/stop")


def _lose_offsets(scene: Scene) -> None:
    """They go while it stands STOPPED and no controller looks."""
    _rows_read[scene.stage] = _count_read(scene)
    scene.kill()
    _stop(scene)
    assert wait_until(lambda: scene.state() == "STOPPED", 20)
    scene.worker.request("DELETE", f"/connectors/{CONNECTOR}/offsets")


def _forget_offsets(scene: Scene) -> None:
    _lose_offsets(scene)  # as when connector and offsets are new on a cluster
    scene.worker.request("DELETE", f"/connectors/{CONNECTOR}")
    scene.start()


_rows_read: Final[dict[str, int]] = {}  # stage -> by snapshots, before the newest accident


def _count_read(scene: Scene) -> int:
    return len(keys_in_topic(scene, "MMDL", "r"))  # a topic that no accident deletes


def _read_again(scene: Scene) -> bool:
    return _count_read(scene) > _rows_read[scene.stage]


def _share_cluster(scene: Scene) -> Undo:
    other = f"mgmt.connect.wms-connector-{NEIGHBOURS[scene.stage]}.offsets"
    named = not scene.namespace
    with ExitStack() as undo:
        scene.stack.create_topics(other)
        undo.callback(delete_topic, scene.stack, other)
        if named:  # one with offsets goes on, and it is shown
            _wait_told(scene, CONNECTOR_KEY, "ClusterShared", ())
            assert scene.running()
        _lose_offsets(scene)
        if named:
            _release(scene, CONNECTOR_KEY)
        scene.start()
        return undo.pop_all().close


def _commit_during_snapshot(scene: Scene) -> None:
    resume = _declared_connector(scene, lambda d: d["spec"].update(suspend=True))
    next_cycles(scene, 1)
    _stop(scene)
    assert wait_until(lambda: scene.state() == "STOPPED", 20)
    scene.worker.request("DELETE", f"/connectors/{CONNECTOR}/offsets")
    put_config(scene, snapshot_delay_ms="600000")
    next_cycles(scene, 1)  # they see that no snapshot has ended
    scene.worker.request("PUT", f"/connectors/{CONNECTOR}/resume")
    scene.wait_running(LONG)
    resume()
    set_connector_key(scene, POLL, "400")  # for good: reverted, it would be held once more


def _rename(scene: Scene) -> Undo:
    return _declared_connector(scene, lambda d: d["metadata"].update(name=RENAMED))


def _two_run(scene: Scene) -> bool:
    return RENAMED in scene.worker.request("GET", "/connectors")


def _drop_table(scene: Scene) -> Undo:
    return _declared_connector(scene, lambda d: d["spec"]["tables"].pop())


def _tables(scene: Scene) -> int:
    return len(scene.config().get("table.include.list", "").split(","))


_other_port: Final[list[int]] = []  # where the same database answers as well


def _move_database(scene: Scene) -> Undo:
    return _lead_to_database(scene, host="localhost", port=str(_other_port[-1]))


def _lead_to_database(scene: Scene, **where: str) -> Undo:
    path, info = f"wms/{scene.stage}/dbInfo", scene.stack.postgres.db_info()
    aws, before = scene.stack.aws, {name: info[name] for name in where}
    aws.rotate_secret(path, where)
    return lambda: _wait_read(scene, "dbInfo", aws.rotate_secret(path, before))


def _make_anew_elsewhere(scene: Scene) -> Undo:
    """It is deleted and created again, with the offsets that it had."""
    scene.kill()
    undo = _lead_to_database(scene, host="localhost")
    scene.worker.request("DELETE", f"/connectors/{CONNECTOR}")
    scene.start()
    return undo


def _reads_from_localhost(scene: Scene) -> bool:
    return scene.config().get("database.hostname") == "localhost" and scene.running()


def _change_database(scene: Scene) -> Undo:
    return set_connector_key(scene, "database.dbname", "postgres")


def _tolerate(scene: Scene) -> Undo:
    return set_connector_key(scene, "errors.tolerance", "all")


def _snapshot_when_needed(scene: Scene) -> Undo:
    return set_connector_key(scene, "snapshot.mode", "when_needed")


def _mark(scene: Scene) -> Undo:
    ours = scene.config()
    _put(scene, ours | {MARK: "wms-connector-val", POLL: "60000"})
    return lambda: _put(scene, ours)


def _put(scene: Scene, config: dict[str, str]) -> None:
    scene.worker.request("PUT", f"/connectors/{CONNECTOR}/config", config)


def _take_mark_off(scene: Scene) -> None:
    config = scene.config() | {POLL: "60000"}
    _forget(scene)
    _put(scene, {key: value for key, value in config.items() if key != MARK})
    scene.start()


def _polls_as_declared(scene: Scene) -> bool:
    config = scene.config()
    return bool(config) and config.get(POLL) != "60000"


def _declare_other_cluster(scene: Scene) -> Undo:
    with ExitStack() as undo:
        undo.callback(_declare_cluster(scene, "AnotherClusterEntirely"))
        next_cycles(scene, 1)  # a cycle that began before it would still repair
        scene.set_topic_config(BASE, "retention.ms", "60000")
        return undo.pop_all().close


def _declare_cluster(scene: Scene, cluster: str) -> Undo:
    return _set_policy(scene, kafkaClusterId=cluster)


def _elsewhere(scene: Scene) -> Broker:
    return scene.stack.clusters[ELSEWHERE]


def _lead_elsewhere(scene: Scene) -> Undo:
    """What the secret leads to has none of the topics: they would be created there."""
    aws, path = scene.stack.aws, f"wms/{scene.stage}/brokerString"
    aws.put_secret(path, _elsewhere(scene).bootstrap)
    bootstrap = scene.stack.broker.bootstrap
    return lambda: _wait_read(scene, "brokerString", aws.put_secret(path, bootstrap))


def _wait_read(scene: Scene, secret: str, version: str) -> None:
    """Return when the controller has it: secrets are read more rarely than cycles are run."""

    def is_read() -> bool:
        found = scene.status().get("secrets", {}).get(secret, {})
        return bool(found.get("version") == version)

    _until(scene, is_read, f"{secret} is read anew")


def _move_without_worker(scene: Scene) -> Undo:
    """The new cluster is declared as well, and the worker still uses the old one."""
    with ExitStack() as undo:
        undo.callback(_declare_cluster(scene, _elsewhere(scene).cluster_id))
        undo.callback(_lead_elsewhere(scene))
        _wait_told(scene, f"topic/{BASE}", "WrongCluster", ("Connect uses cluster",))
        put_config(scene, poll_interval_ms="60000")  # would be repaired at once
        return undo.pop_all().close


def _wrote_elsewhere(scene: Scene) -> bool:
    return bool(scene.stack.topics(_elsewhere(scene)) - {"__consumer_offsets"})


def _retention(scene: Scene) -> str | None:
    return _setting(scene, "retention.ms")


def _setting(scene: Scene, key: str, topic: str = BASE) -> str | None:
    return scene.topic_config(topic, key)


def _forget(scene: Scene) -> None:
    scene.kill()
    Path(scene.env["WMS_STATE_FILE"]).unlink()


def _lose_memory(scene: Scene) -> None:
    _forget(scene)
    _stop(scene)
    assert wait_until(lambda: scene.state() == "STOPPED", 20)
    scene.start()


SETTINGS: Final = "settings of topics would be changed"
LOSSES: Final = "topics are deleted or keep fewer copies"
ACCIDENTS: Final = (  # of those of one day, what lasts or needs peace comes first
    Accident(
        "a commit raises partitions",
        _add_partitions,
        f"topic/{GROWN}",
        "AcceptanceRequired",
        ("partitions", "their order is lost"),
        lambda scene: _partitions(scene) == 5,
        "ordering",
        day=SETTINGS,
    ),
    Accident(
        "a commit lowers retention while consumers are behind",
        _lower_retention,
        f"topic/{BASE}",
        "AcceptanceRequired",
        ("retention.ms", "further behind than the new retention lose records"),
        lambda scene: _retention(scene) == "3600000",
        "data-loss",
        day=SETTINGS,
    ),
    Accident(
        "somebody made a topic keep more, and it would be set back",
        _keep_more,
        f"topic/{QUIET}",
        "MoreProtective",
        ("retention.ms", "min.insync.replicas", "keeps more", "it is left", "lose records"),
        _keeps_less_again,
        "data-loss",
        day=SETTINGS,
    ),
    Accident(
        "somebody changed cleanup.policy, and it would be set back",
        _compact,
        f"topic/{SPARE}",
        "AcceptanceRequired",
        ("cleanup.policy", "was changed by hand, and is left", "may delete records"),
        lambda scene: _setting(scene, "cleanup.policy", SPARE) == "delete",
        "data-loss",
        day=SETTINGS,
    ),
    Accident(
        "the schema history is deleted",
        _delete_history,
        f"topic/{HISTORY}",
        "TopicLost",
        ("was there and is gone", "find out who deleted it"),
        lambda scene: scene.topic(HISTORY) in scene.stack.topics(),
        "data-loss",
        day=LOSSES,
    ),
    Accident(
        "a commit has records acknowledged with fewer copies",
        _keep_fewer_copies,
        f"topic/{GROWN}",
        "AcceptanceRequired",
        (COPIES, "may be acknowledged with fewer copies and be lost with one"),
        lambda scene: _setting(scene, COPIES, GROWN) == "1",
        "data-loss",
        day=LOSSES,
    ),
    Accident(
        "a captured topic is deleted, and would be made again empty",
        _delete_captured,
        f"topic/{BASE}",
        "TopicLost",
        ("was there and is gone", f"all tables of {CONNECTOR} stand still behind RUNNING"),
        lambda scene: scene.topic(BASE) in scene.stack.topics(),
        "data-loss",
        day=LOSSES,
    ),
    Accident(
        "the heartbeat topic is deleted",
        _delete_heartbeat,
        "topic/__debezium-heartbeat.wms",
        "TopicLost",
        ("was there and is gone", f"all tables of {CONNECTOR} stand still behind RUNNING"),
        lambda scene: _heartbeat(scene) in scene.stack.topics(),
        "data-loss",
        day=LOSSES,
    ),
    Accident(
        "a commit captures other tables",
        _drop_table,
        CONNECTOR_KEY,
        "TablesChanged",
        ("leaves out WMS.PLAN_WVR_RVSN_TBL", "missed for good"),
        lambda scene: _tables(scene) == 3,
        "snapshot",
    ),
    Accident(
        "the secret leads to another database host and port",
        _move_database,
        CONNECTOR_KEY,
        "AcceptanceRequired",
        (
            "database.hostname, database.port: another database is read",
            "offsets of this one mean nothing",
        ),
        lambda scene: scene.config().get("database.port") == str(_other_port[-1]),
        "data-loss",
    ),
    Accident(
        "the connector is created again for another database host",
        _make_anew_elsewhere,
        CONNECTOR_KEY,
        "AcceptanceRequired",
        ("database.hostname: the offsets", "another source", "offsets of this one mean nothing"),
        _reads_from_localhost,
        "data-loss",
    ),
    Accident(
        "a commit tolerates all errors",
        _tolerate,
        CONNECTOR_KEY,
        "AcceptanceRequired",
        ("errors.tolerance", "changes are lost silently"),
        lambda scene: scene.config().get("errors.tolerance") == "all",
        "data-loss",
    ),
    Accident(
        "a commit lets the snapshot begin again by itself",
        _snapshot_when_needed,
        CONNECTOR_KEY,
        "AcceptanceRequired",
        ("snapshot.mode", "it may read all tables again by itself"),
        lambda scene: scene.config().get("snapshot.mode") == "when_needed",
        "snapshot",
    ),
    Accident(
        "a commit comes while the snapshot runs",
        _commit_during_snapshot,
        CONNECTOR_KEY,
        "AcceptanceRequired",
        ("the snapshot that runs now is given up", "or wait for its end"),
        lambda scene: scene.config().get(POLL) == "400",
        "snapshot",
    ),
    Accident(
        "a commit names another database of the same server",
        _change_database,
        CONNECTOR_KEY,
        "ImmutableField",
        ("database.dbname", "-> postgres", "cannot change on an existing connector"),
        lambda scene: scene.config().get("database.dbname") == "postgres",
        on_branches_too=True,
    ),
    Accident(
        "somebody stopped the connector, and it would be resumed",
        _stop,
        CONNECTOR_KEY,
        "StoppedByHand",
        ("it stays so until somebody resumes it", "wmsctl release"),
        lambda scene: scene.running(),
        "release",
    ),
    Accident(
        "a connector is renamed, and both would run",
        _rename,
        f"connector/{RENAMED}",
        "PrefixInUse",
        (CONNECTOR, "two connectors would write into one history"),
        _two_run,
        on_branches_too=True,
    ),
    Accident(
        "the connector of another stage differs",
        _mark,
        CONNECTOR_KEY,
        "OtherMark",
        ("wms-connector-val", "is not written to"),
        _polls_as_declared,
        on_branches_too=True,
    ),
    Accident(
        "a connector without mark is there and nobody remembers it",
        _take_mark_off,
        CONNECTOR_KEY,
        "Unadopted",
        ("without our mark", "before it is taken over"),
        _polls_as_declared,
        "snapshot",
    ),
    Accident(
        "the brokers are not those that are declared",
        _declare_other_cluster,
        f"topic/{BASE}",
        "WrongCluster",
        ("the broker string leads to cluster", "AnotherClusterEntirely"),
        lambda scene: _retention(scene) != "60000",
        on_branches_too=True,
    ),
    Accident(
        "the secret leads to brokers of another cluster than at first",
        _lead_elsewhere,
        f"topic/{BASE}",
        "WrongCluster",
        ("the broker string leads to cluster", "was seen first", "correct the secret"),
        _wrote_elsewhere,
        on_branches_too=True,
    ),
    Accident(
        "the stage moves to a cluster that its worker does not use",
        _move_without_worker,
        CONNECTOR_KEY,
        "WrongCluster",
        ("Connect uses cluster", "and the broker string leads to", "replace the worker"),
        lambda scene: _wrote_elsewhere(scene) or _polls_as_declared(scene),
        on_branches_too=True,
    ),
    Accident(
        "another named stage is on the cluster where it begins from nothing",
        _share_cluster,
        CONNECTOR_KEY,
        "ClusterShared",
        ("another named stage is on this Kafka cluster", "-val.offsets", "sharedCluster: true"),
        _read_again,
    ),
    Accident(
        "the memory is lost while a person's stop is in force",
        _lose_memory,
        CONNECTOR_KEY,
        "StoppedByHand",
        ("it stays so until somebody resumes it",),
        lambda scene: scene.running(),
        "release",
    ),
    Accident(
        "the connector is created again where its offsets were forgotten",
        _forget_offsets,
        CONNECTOR_KEY,
        "SnapshotWouldStart",
        ("has no offsets", "hold records", "consumers get every row a second time"),
        _read_again,
        "snapshot",
    ),
)


# --- the table, as main and as a branch -----------------------------------------------------


def _together() -> list[tuple[Accident, ...]]:
    """What touches neither the same topic nor the connector may as well happen at once."""
    by_day: dict[str, list[Accident]] = {}
    for accident in ACCIDENTS:
        by_day.setdefault(accident.day or accident.what, []).append(accident)
    return [tuple(day) for day in by_day.values()]


@pytest.mark.parametrize(
    "accidents", _together(), ids=lambda day: (day[0].day or day[0].what).replace(" ", "-")
)
def test_main_waits_for_a_person_who_was_told_and_a_branch_risks_only_its_own_data(
    stages: tuple[Scene, Scene], accidents: tuple[Accident, ...]
) -> None:
    main, branch = stages
    with ThreadPoolExecutor(1) as pool:
        other = pool.submit(play_on_branch, branch, accidents)
        play_on_main(main, accidents)
    other.result()


def test_what_keeps_the_offsets_is_restored_at_once_and_needs_nobody(
    stages: tuple[Scene, Scene],
) -> None:
    main, _ = stages
    offsets = "mgmt.connect.wms-connector-main.offsets"
    main.set_topic_config(offsets, "cleanup.policy", "delete")  # the broker destroys them now
    _until(main, lambda: _setting(main, "cleanup.policy", offsets) == "compact", "they are kept")


def test_what_the_policy_says_to_recreate_is_made_again_at_once_but_never_a_history(
    stages: tuple[Scene, Scene],
) -> None:
    main, _ = stages
    _at_peace(main)
    undo = _set_policy(main, lostTopics="recreate")
    delete_topic(main.stack, SPARE)
    _until(main, lambda: SPARE in main.stack.topics(), "it is made again")
    _delete_history(main)
    told = ("was there and is gone", "find out who deleted it")
    _wait_told(main, f"topic/{HISTORY}", "TopicLost", told)
    next_cycles(main, 1)
    assert HISTORY not in main.stack.topics()
    assert _accept(main, f"topic/{HISTORY}", "data-loss")
    _until(main, lambda: HISTORY in main.stack.topics(), "it is accepted")
    undo()
    main.wait_converged(LONG)


@pytest.mark.parametrize("which", [0, 1], ids=["main", BRANCH])
def test_sql_is_run_only_once_the_policy_lists_it(stages: tuple[Scene, Scene], which: int) -> None:
    scene, query = stages[which], "heartbeat.action.query"
    _at_peace(scene)
    with ExitStack() as undone:
        undone.callback(set_connector_key(scene, query, "SELECT 4711"))
        _until(scene, lambda: bool(_refused(scene)), "the revision is refused")
        assert all(words in _refused(scene) for words in ("connector.yaml:", query, "allowedSql"))
        next_cycles(scene, 1)
        assert query not in scene.config()
        undone.callback(_set_policy(scene, allowedSql=["SELECT 4711"]))
        _until(scene, lambda: scene.config().get(query) == "SELECT 4711", "it is listed")
        scene.wait_running(LONG)
    mend(scene)
    assert query not in scene.config()


def _refused(scene: Scene) -> str:
    return str((scene.status().get("refusedRevision") or {}).get("message", ""))


def _set_policy(scene: Scene, **spec: Any) -> Undo:
    return edit(scene, POLICY, lambda documents: documents[0]["spec"].update(spec))


def test_all_tables_stand_still_behind_running_until_a_lost_topic_is_accepted(
    stages: tuple[Scene, Scene],
) -> None:
    main, _ = stages
    _at_peace(main)
    postgres = main.stack.postgres
    delete_topic(main.stack, SPARE)
    told = ("was there and is gone", f"all tables of {CONNECTOR} stand still behind RUNNING")
    _wait_told(main, f"topic/{SPARE}", "TopicLost", told)
    waiting = set[int]()
    for _ in range(2):  # the first makes the producer look, the second it waits with
        waiting.add(postgres.insert_revision("WMS"))
        _until(main, main.misses_topic, "the worker's log tells of it")
    behind = postgres.insert_waiver("MMDL", "of another table")
    next_cycles(main, 3)
    assert main.running()
    assert behind not in keys_in_topic(main, "MMDL")
    assert SPARE not in main.stack.topics()
    assert _accept(main, f"topic/{SPARE}", "data-loss")
    _until(main, lambda: behind in keys_in_topic(main, "MMDL"), "the row behind them arrives")
    _until(main, lambda: waiting <= _revisions(main), "the rows of the lost topic arrive")
    main.wait_converged(LONG)


def _revisions(scene: Scene) -> set[int]:
    return {int(row.key["RVSN_ID"]) for row in scene.rows(SPARE, 0)}


def play_on_main(main: Scene, accidents: tuple[Accident, ...]) -> None:
    """Nothing happens until a person who was told says so; then just that happens."""
    with _caused(main, accidents):
        _wait_held(main, accidents)
        for accident in accidents:
            _say_yes(main, accident)
        for accident in accidents:
            if accident.risk is not None:
                _until(main, lambda one=accident: one.harmed(main), f"{accident.what}: accepted")  # type: ignore[misc]
    newest = main.stack.postgres.insert_waiver("WMS", f"after it: {accidents[0].what}"[:60])
    accepted = mend(main)
    harmless = all(accident.risk is None for accident in accidents)
    assert not harmless or {*accepted.values()} <= {"SnapshotWouldStart"}, accepted
    # What a deleted topic held is gone for good; every later row arrives.
    _until(main, lambda: newest in keys_in_topic(main, "WMS"), f"rows flow: {accidents[0].what}")


def play_on_branch(branch: Scene, accidents: tuple[Accident, ...]) -> None:
    """What costs only its own data is done at once."""
    with _caused(branch, accidents):
        _wait_held(branch, [one for one in accidents if one.on_branches_too])
        for accident in accidents:
            if not accident.on_branches_too:
                _until(branch, lambda one=accident: one.harmed(branch), f"{accident.what}: done")  # type: ignore[misc]
    mend(branch)


@contextmanager
def _caused(scene: Scene, accidents: Iterable[Accident]) -> Iterator[None]:
    """What somebody did, from a stage at peace; it is undone in the end."""
    _at_peace(scene)
    with ExitStack() as undone:
        for accident in accidents:
            undo = accident.cause(scene)
            if undo is not None:
                undone.callback(undo)
        yield


def _at_peace(scene: Scene) -> None:
    if not (scene.running() and scene.status().get("converged")):
        mend(scene)  # a test before this one failed


def _wait_held(scene: Scene, accidents: Collection[Accident]) -> None:
    """Return when each is told, and another cycle left the world as it was."""
    told = [(one, _wait_told(scene, one.resource, one.reason, one.told)) for one in accidents]
    at = int(scene.status().get("cycle", 0))
    if told:
        _until(scene, lambda: int(scene.status().get("cycle", 0)) > at, "one more cycle")
    for accident, message in told:
        assert not accident.harmed(scene), message
        may_be_accepted = offered_action(message) is not None
        assert may_be_accepted is (accident.risk in ("ordering", "snapshot", "data-loss")), message


def _until(scene: Scene, claim: Callable[[], bool], what: str) -> None:
    scene.wait(claim, what, LONG)


def _named(scene: Scene, resource: str) -> str:
    kind, _, name = resource.partition("/")
    return f"topic/{scene.topic(name)}" if kind == "topic" else resource


def _wait_told(scene: Scene, resource: str, reason: str, told: tuple[str, ...]) -> str:
    name = _named(scene, resource)
    found: dict[str, Any] = {}

    def is_told() -> bool:
        found.update(scene.resource(name))
        said = str(found.get("message", ""))
        return found.get("reason") == reason and all(words in said for words in told)

    assert wait_until(is_told, LONG), f"{name} is not {reason} with {told}: {found}"
    return str(found["message"])


def _say_yes(scene: Scene, accident: Accident) -> None:
    if accident.risk == "release":
        _release(scene, accident.resource)
    elif accident.risk is not None:
        assert _accept(scene, _named(scene, accident.resource), accident.risk)


def _release(scene: Scene, resource: str) -> None:
    done = scene.wmsctl("release", resource)
    assert done.returncode == 0, done.stderr


def _accept(scene: Scene, name: str, risk: str) -> bool:
    """Say yes to what the status prints the id of, as a person copies it."""
    action = offered_action(str(scene.resource(name).get("message", "")))
    if action is None:
        return False
    words = ("accept", name, risk, "--action", action, "--for", "10m", "--reason", "a test")
    done = scene.wmsctl(*words)
    assert done.returncode == 0, done.stderr
    return True


def mend(scene: Scene) -> dict[str, str]:
    """Return when all is as declared, and what was accepted for that: by its words its reason."""
    seen: dict[str, str] = {}
    for _ in range(4):
        at = int(scene.status().get("cycle", 0))
        wait_until(lambda at=at: _is_well(scene, at) or bool(_held(scene, seen)), LONG)  # type: ignore[misc]
        held = _held(scene, seen)
        if not held:
            break
        for name in held:
            found = scene.resource(name)
            reason = str(found.get("reason"))
            seen[str(found.get("message", ""))] = reason
            _accept(scene, name, "snapshot" if reason in _AGAIN else "data-loss")
    scene.wait_running(LONG)
    scene.wait_converged(LONG)
    return seen


def _is_well(scene: Scene, at: int) -> bool:
    status = scene.status()
    return bool(status.get("converged")) and status["cycle"] > at + 1 and scene.running()


def _held(scene: Scene, seen: Container[str]) -> list[str]:
    return [
        str(one["resource"])
        for one in scene.status().get("resources", [])
        if offered_action(str(one["message"])) and str(one["message"]) not in seen
    ]
