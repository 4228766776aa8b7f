"""Accidents that cost days: what becomes of the world, what a person is told, what a word does.

One table on the real stack. On `main` nothing happens, somebody is told, and what is accepted then
happens. A branch is a throw-away: what costs only data is done at once there.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pytest

from devstack.environment import wait_until
from devstack.scene import CONNECTOR, Scene
from devstack.stack import Stack
from tests.e2e.scenes import (
    BASE,
    CONNECTOR_KEY,
    a_scene,
    begin,
    delete_topic,
    edit,
    keys_in_topic,
    next_cycles,
    set_connector_key,
    state_of,
)

pytestmark = [pytest.mark.stack, pytest.mark.timeout(180)]
BRANCH: Final = "e2e-accidents"
CONNECTORS: Final = "stages/local/connector.yaml"
TOPICS: Final = "stages/local/topics.yaml"
RENAMED: Final = f"{CONNECTOR}-2"
GROWN: Final = "wms.MMDL.PLAN_WVR_RVSN_TBL"
HISTORY: Final = "wms.schema-changes"
MARK: Final = "x-wms.managed-by"
_ACTION: Final = re.compile(r"To accept exactly this: action ([0-9a-f]{10})")
Undo = Callable[[], object]


@pytest.fixture(scope="module")
def stack() -> Iterator[Stack]:
    """A stack of these tests' own: what they do to topics would be news to others."""
    with Stack((), ready=False) as running:
        yield running


@pytest.fixture(scope="module")
def scenes(stack: Stack) -> Iterator[Callable[[str], Scene]]:
    """One scene for each stage, begun when it is first asked for."""
    begun: dict[str, Scene] = {}
    with ExitStack() as ends:

        def scene_of(stage: str) -> Scene:
            if stage not in begun:
                begun[stage] = ends.enter_context(a_scene(stack, stage))
            mend(begun[stage])
            return begun[stage]

        yield scene_of


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


def _raise_retention(scene: Scene) -> None:
    scene.set_topic_config(BASE, "retention.ms", "2000000000")


def _add_partitions(scene: Scene) -> None:
    _declare(scene, {"partitions": 5}, GROWN)  # for good: nobody can take them away


def _partitions(scene: Scene) -> int:
    name = scene.topic(GROWN)
    client = scene.stack.admin()
    return len(client.list_topics(name, timeout=10).topics[name].partitions)


def _delete_captured(scene: Scene) -> None:
    delete_topic(scene.stack, scene.topic(BASE))


def _delete_history(scene: Scene) -> None:
    name = scene.topic(HISTORY)
    if name not in scene.stack.topics():
        documents = (scene.manifests / TOPICS).read_text("utf-8").split("---\n")
        kept = [text for text in documents if f"name: {HISTORY}\n" not in text]
        (scene.manifests / TOPICS).write_text("---\n".join(kept), encoding="utf-8")
        scene.wait(lambda: name in scene.stack.topics(), "the history is there")
        mend(scene)
    delete_topic(scene.stack, name)


def _stop(scene: Scene) -> None:
    scene.worker.request("PUT", f"/connectors/{CONNECTOR}/stop")


def _forget_offsets(scene: Scene) -> None:
    scene.worker.request("PUT", f"/connectors/{CONNECTOR}/stop")
    assert wait_until(lambda: state_of(scene.worker) == "STOPPED", 20)
    scene.stop()  # as when both are new on a cluster
    scene.worker.request("DELETE", f"/connectors/{CONNECTOR}/offsets")
    scene.worker.request("DELETE", f"/connectors/{CONNECTOR}")
    scene.start()


def _read_twice(scene: Scene) -> bool:
    keys = keys_in_topic(scene, "MMDL", "r")  # whose topic no accident deletes
    return len(keys) > len(set(keys))


def _rename(scene: Scene) -> Undo:
    return _declared_connector(scene, lambda d: d["metadata"].update(name=RENAMED))


def _two_run(scene: Scene) -> bool:
    return RENAMED in scene.worker.request("GET", "/connectors")


def _drop_table(scene: Scene) -> Undo:
    return _declared_connector(scene, lambda d: d["spec"]["tables"].pop())


def _tables(scene: Scene) -> int:
    return len(scene.config().get("table.include.list", "").split(","))


def _move_database(scene: Scene) -> Undo:
    path = f"wms/{scene.stage}/dbInfo"
    scene.stack.aws.rotate_secret(path, {"host": "localhost"})
    return lambda: scene.stack.aws.rotate_secret(path, {"host": "127.0.0.1"})


def _tolerate(scene: Scene) -> Undo:
    return set_connector_key(scene, "errors.tolerance", "all")


def _mark(scene: Scene) -> Undo:
    ours = scene.config()
    scene.worker.request(
        "PUT",
        f"/connectors/{CONNECTOR}/config",
        ours | {MARK: "wms-connector-val", "poll.interval.ms": "60000"},
    )
    return lambda: scene.worker.request("PUT", f"/connectors/{CONNECTOR}/config", ours)


def _declare_other_cluster(scene: Scene) -> Undo:
    scene.set_topic_config(BASE, "retention.ms", "60000")  # would be repaired at once
    return edit(
        scene,
        "stages/local/policy.yaml",
        lambda documents: documents[0]["spec"].update(kafkaClusterId="AnotherClusterEntirely"),
    )


def _retention(scene: Scene) -> str | None:
    return scene.topic_config(BASE, "retention.ms")


def _lose_memory(scene: Scene) -> None:
    scene.stop()
    Path(scene.env["WMS_STATE_FILE"]).unlink()
    _stop(scene)
    assert wait_until(lambda: state_of(scene.worker) == "STOPPED", 20)
    scene.start()


ACCIDENTS: Final = (
    Accident(
        "a commit lowers retention while consumers are behind",
        _lower_retention,
        f"topic/{BASE}",
        "AcceptanceRequired",
        ("retention.ms", "further behind than the new retention lose records"),
        lambda scene: _retention(scene) == "3600000",
        "data-loss",
    ),
    Accident(
        "somebody raised retention, and it would be set back",
        _raise_retention,
        f"topic/{BASE}",
        "MoreProtective",
        ("keeps more", "it is left", "lose records"),
        lambda scene: _retention(scene) == "1209600000",
        "data-loss",
    ),
    Accident(
        "a captured topic is deleted, and would be made again empty",
        _delete_captured,
        f"topic/{BASE}",
        "TopicLost",
        ("was there and is gone", f"all tables of {CONNECTOR} stand still behind RUNNING"),
        lambda scene: scene.topic(BASE) in scene.stack.topics(),
        "data-loss",
    ),
    Accident(
        "the schema history is deleted",
        _delete_history,
        f"topic/{HISTORY}",
        "TopicLost",
        ("was there and is gone", "find out who deleted it"),
        lambda scene: scene.topic(HISTORY) in scene.stack.topics(),
        "data-loss",
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
        "the secret leads to another database host",
        _move_database,
        CONNECTOR_KEY,
        "AcceptanceRequired",
        ("database.hostname: another database is read", "offsets of this one mean nothing"),
        lambda scene: scene.config().get("database.hostname") == "localhost",
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
        lambda scene: scene.config().get("poll.interval.ms") != "60000",
        on_branches_too=True,
    ),
    Accident(
        "the brokers are those of another cluster",
        _declare_other_cluster,
        f"topic/{BASE}",
        "WrongCluster",
        ("the broker string leads to cluster", "AnotherClusterEntirely"),
        lambda scene: _retention(scene) != "60000",
        on_branches_too=True,
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
        _read_twice,
        "snapshot",
    ),
    Accident(
        "a commit raises partitions",
        _add_partitions,
        f"topic/{GROWN}",
        "AcceptanceRequired",
        ("partitions", "their order is lost"),
        lambda scene: _partitions(scene) == 5,
        "ordering",
    ),
)


# --- the table, as main and as a branch -----------------------------------------------------


@pytest.mark.parametrize("accident", ACCIDENTS, ids=lambda one: one.what.replace(" ", "-"))
def test_on_main_nothing_happens_until_a_person_who_was_told_says_so(
    scenes: Callable[[str], Scene], accident: Accident
) -> None:
    main = scenes("main")
    undo = accident.cause(main)
    try:
        message = _wait_told(main, accident)
        next_cycles(main, 2)
        assert not accident.harmed(main), message
        if accident.risk is not None:
            _say_yes(main, accident)
            main.wait(lambda: accident.harmed(main), f"{accident.what}: accepted", 60)
        else:
            assert _ACTION.search(message) is None, "nobody may accept it"
    finally:
        if undo is not None:
            undo()
    mend(main)
    main.stack.postgres.insert_waiver("WMS", f"after it: {accident.what}"[:60])
    wait_no_row_lost_since(main, accident)


@pytest.mark.parametrize("accident", ACCIDENTS, ids=lambda one: one.what.replace(" ", "-"))
def test_on_a_branch_what_costs_only_its_own_data_is_done_at_once(
    scenes: Callable[[str], Scene], accident: Accident
) -> None:
    branch = scenes(BRANCH)
    undo = accident.cause(branch)
    try:
        if accident.on_branches_too:
            message = _wait_told(branch, accident)
            next_cycles(branch, 2)
            assert not accident.harmed(branch), message
        else:
            branch.wait(lambda: accident.harmed(branch), f"{accident.what}: done", 60)
    finally:
        if undo is not None:
            undo()
    mend(branch)


def _named(scene: Scene, resource: str) -> str:
    kind, _, name = resource.partition("/")
    return f"topic/{scene.topic(name)}" if kind == "topic" else resource


def _wait_told(scene: Scene, accident: Accident) -> str:
    name = _named(scene, accident.resource)
    scene.wait(
        lambda: scene.resource(name).get("reason") == accident.reason,
        f"{name} is {accident.reason}",
        60,
    )
    message = str(scene.resource(name)["message"])
    for words in accident.told:
        assert words in message
    return message


def _say_yes(scene: Scene, accident: Accident) -> None:
    if accident.risk == "release":
        done = scene.wmsctl("release", accident.resource)
        assert done.returncode == 0, done.stderr
        return
    assert _accept(scene, _named(scene, accident.resource), str(accident.risk))


def _accept(scene: Scene, name: str, risk: str) -> bool:
    """Say yes to what the status prints the id of, as a person copies it."""
    found = _ACTION.search(str(scene.resource(name).get("message", "")))
    if found is None:
        return False
    words = ("accept", name, risk, "--action", found[1], "--for", "10m", "--reason", "a test")
    done = scene.wmsctl(*words)
    assert done.returncode == 0, done.stderr
    return True


def mend(scene: Scene) -> None:
    """Return when all is as declared, accepting what is still held on the way back."""
    if scene.controller is None:
        begin(scene)
        return
    seen: set[str] = set()
    for _ in range(4):
        at = int(scene.status().get("cycle", 0))
        wait_until(lambda at=at: _is_well(scene, at) or bool(_held(scene, seen)), 60)  # type: ignore[misc]
        held = _held(scene, seen)
        if not held:
            break
        for name in held:
            found = scene.resource(name)
            seen.add(str(found.get("message", "")))
            tables = found.get("reason") == "TablesChanged"
            _accept(scene, name, "snapshot" if tables else "data-loss")
    scene.wait_running(60)
    scene.wait_converged(60)


def _is_well(scene: Scene, at: int) -> bool:
    status = scene.status()
    return bool(status.get("converged")) and status["cycle"] > at + 1 and scene.running()


def _held(scene: Scene, seen: set[str]) -> list[str]:
    return [
        str(one["resource"])
        for one in scene.status().get("resources", [])
        if _ACTION.search(str(one["message"])) and str(one["message"]) not in seen
    ]


def wait_no_row_lost_since(scene: Scene, accident: Accident) -> None:
    """Every later row arrives; what a deleted topic held is gone for good."""
    newest = max(
        int(row[0])
        for row in scene.stack.postgres.query('SELECT max("WVR_ID") FROM "WMS"."PLAN_BASE_WVR_TBL"')
    )
    scene.wait(lambda: newest in keys_in_topic(scene, "WMS"), f"rows flow: {accident.what}", 90)
