"""`wmsctl` on an engineer's machine: through the stage's table and bucket, with AWS's own names."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from threading import Event, Thread
from typing import Any

import pytest

from controller import cli
from controller.adapters.clock import SystemClock
from controller.adapters.state_dynamodb import StateTable
from controller.core.model import Json
from controller.core.offsets import Place, exported
from controller.core.restore import asked_id
from controller.journal import Journal
from controller.status_document import StatusDocument
from devstack.port import free_port
from tests.tables import aws_client, make_bucket, stage_store
from tests.unit.test_verify import REVISION, good

TABLE = "wms-connector-feat-x-state"
ARN = "arn:aws:sts::123456789012:"
REPOSITORY = Path(__file__).parents[2]
GUARD = json.loads((REPOSITORY / "docs" / "branch-boundary.json").read_text())["Statement"]


@pytest.fixture
def store(aws_url: str, monkeypatch: pytest.MonkeyPatch) -> StateTable:
    """The table of stage feat-x as its stack makes it, and a machine that has nothing else."""
    return stage_store(aws_url, "feat-x", monkeypatch)


def published(store: StateTable, **changes: Any) -> None:
    document = {**good(), "stage": "feat-x", "at": time.time(), **changes}
    assert StatusDocument(store, SystemClock()).offer(document) is None


def test_the_status_comes_from_the_table(
    store: StateTable, capsys: pytest.CaptureFixture[str]
) -> None:
    published(store)
    assert cli.main(["status"]) == 0
    told = capsys.readouterr().out
    assert f"from table {TABLE}" in told
    assert "connector/wms-oracle-cdc" in told


def test_without_any_status_it_says_what_to_look_for(
    store: StateTable, capsys: pytest.CaptureFixture[str]
) -> None:
    assert store.published("status") is None
    assert cli.main(["status"]) == 1
    assert "is its service running?" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "record"),
    [
        (
            ["suspend", "connector/x", "--for", "1h", "--reason", "night"],
            "intent/suspend:connector/x",
        ),
        (["freeze", "--for", "1h", "--reason", "night"], "intent/freeze"),
        (["release", "connector/x"], None),
        (
            [
                "accept",
                "connector/x",
                "snapshot",
                "--action",
                "0123456789",
                "--for",
                "2h",
                "--reason",
                "night",
            ],
            None,
        ),
        (["probe", "x"], None),
    ],
)
def test_a_persons_word_is_kept_under_the_name_that_aws_gives_them(
    store: StateTable, arguments: list[str], record: str | None
) -> None:
    assert cli.main(arguments) == 0
    [(key, found)] = store.load().items()
    assert record in (None, key)
    assert str(found.value["who"]).startswith(ARN)
    assert found.expires is not None


def test_the_history_is_read_from_the_table(
    store: StateTable, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["freeze", "--for", "1h", "--reason", "the brokers are patched"]) == 0
    assert store.read("history", 5)
    capsys.readouterr()
    assert cli.main(["history", "-o", "json"]) == 0
    told = capsys.readouterr().out
    assert "the brokers are patched" in told
    assert ARN in told


def test_what_was_asked_can_be_taken_back(store: StateTable) -> None:
    assert cli.main(["freeze", "--for", "1h", "--reason", "night"]) == 0
    assert cli.main(["unfreeze"]) == 0
    assert store.load() == {}
    assert cli.main(["unfreeze"]) == 1


ALLOW_ALL = {"Effect": "Allow", "Action": "*", "Resource": "*"}
PURPOSES = ("execution", "task", "teardown", "teardown-start")
TRUST = {"Version": "2012-10-17", "Statement": []}


@pytest.fixture
def roles(aws_url: str) -> Iterator[Callable[..., None]]:
    """Makes the stage's roles in IAM, under a boundary of these statements."""
    iam = aws_client("iam", aws_url)
    names = [f"wms-connector-feat-x-{purpose}" for purpose in PURPOSES]
    policies = list[str]()

    def make(*statements: Any) -> None:
        document = json.dumps({"Version": "2012-10-17", "Statement": statements})
        policy = iam.create_policy(PolicyName="guard", PolicyDocument=document)["Policy"]["Arn"]
        policies.append(policy)
        trust = json.dumps(TRUST)
        for name in names:
            iam.create_role(
                RoleName=name, AssumeRolePolicyDocument=trust, PermissionsBoundary=policy
            )

    yield make
    for name in {role["RoleName"] for role in iam.list_roles()["Roles"]} & set(names):
        iam.delete_role(RoleName=name)
    for policy in policies:
        iam.delete_policy(PolicyArn=policy)


def test_a_deploy_is_verified_through_the_table(
    store: StateTable, roles: Callable[..., None], capsys: pytest.CaptureFixture[str]
) -> None:
    published(store)
    roles(ALLOW_ALL, *GUARD)
    arguments = ["verify", "--timeout", "3", "--revision"]
    assert cli.main([*arguments, REVISION, "-o", "json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["ok"] is True
    assert told["checks"][-1] == {
        "check": "boundary",
        "ok": True,
        "message": "every role of the stage has a boundary that keeps what named stages own",
    }
    assert cli.main([*arguments, "another"]) == 1
    assert "not verified" in capsys.readouterr().out


def test_a_boundary_that_leaves_named_stages_open_is_not_verified(
    store: StateTable, roles: Callable[..., None], capsys: pytest.CaptureFixture[str]
) -> None:
    published(store)
    roles(ALLOW_ALL, *GUARD[1:4], *GUARD[5:])
    assert cli.main(["verify", "--timeout", "3"]) == 1
    told = capsys.readouterr().out
    assert "FAIL  boundary: wms-connector-feat-x-execution has a boundary (arn:aws:iam:" in told
    assert "allows kafka-cluster:DeleteTopic on wms, dynamodb:PutItem on wms-connector-main" in told


def test_roles_that_iam_does_not_show_are_not_verified(
    store: StateTable, capsys: pytest.CaptureFixture[str]
) -> None:
    published(store)
    assert cli.main(["verify", "--timeout", "3", "-o", "json"]) == 1
    told = json.loads(capsys.readouterr().out)
    [wrong] = [check for check in told["checks"] if not check["ok"]]
    assert wrong["check"] == "boundary"
    assert "wms-connector-feat-x-task could not be seen" in wrong["message"]


def test_a_status_is_written_when_it_says_something_new_and_seldom_else(store: StateTable) -> None:
    class Clock(SystemClock):
        at = 0.0

        def monotonic(self) -> float:
            return self.at

    clock = Clock()
    document = StatusDocument(store, clock)

    def offer(moment: float, **changes: Any) -> object:
        clock.at = moment
        assert document.offer({**good(), **changes}) is None
        found = store.published("status")
        return None if found is None else found["at"]

    assert offer(0, at=1) == 1
    assert offer(10, at=2) == 1, "nothing new"
    assert offer(12, at=3, converged=False) == 3
    assert offer(13, at=4, converged=True) == 3, "too soon"
    assert offer(15, at=5, converged=True) == 5
    assert offer(50, at=6, converged=True) == 6, "it grew old"


def test_manifests_are_pushed_listed_and_rolled_back(
    store: StateTable,
    aws_url: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert store.load() == {}
    bucket = "wms-feat-x-manifests-123456789012"
    aws_client("s3", aws_url).create_bucket(Bucket=bucket)
    folder = tmp_path / "manifests"
    for source in (REPOSITORY / "manifests").rglob("*.yaml"):
        target = folder / source.relative_to(REPOSITORY / "manifests")
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(source.read_bytes())
    push = ["manifests", "push", "-m", str(folder), "-o", "json", "--commit", "a" * 40]
    assert cli.main(push) == 0
    first = json.loads(capsys.readouterr().out)
    assert (first["sequence"], first["switched"]) == (1, True)
    assert first["who"].startswith(ARN)
    (folder / "base" / "zz.yaml").write_text("kind: Nothing\n")
    assert cli.main(push) == 1, "what is wrong is never pushed"
    (folder / "base" / "zz.yaml").write_text("# a remark\n")
    assert cli.main([*push, "--reason", "a remark"]) == 0
    capsys.readouterr()
    assert cli.main(["manifests", "rollback"]) == 0
    assert "sequence 3" in capsys.readouterr().out
    assert cli.main(["manifests", "list", "-o", "json"]) == 0
    rows = json.loads(capsys.readouterr().out)
    assert [(row["sequence"], row["inForce"]) for row in rows] == [
        (3, True),
        (2, False),
        (1, False),
    ]
    assert rows[0]["object"] == first["object"]
    assert store.read("history", 9) == (), "no table was named"


def test_a_push_into_a_bucket_that_was_emptied_goes_on_counting_where_the_table_is(
    aws_url: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    store = stage_store(aws_url, "feat-emptied", monkeypatch)
    store.put("manifests/enforced", {"sequence": 41, "revision": "f" * 64})
    aws_client("s3", aws_url).create_bucket(Bucket="wms-feat-emptied-manifests-123456789012")
    write_topic(tmp_path, "7")
    assert cli.main(["manifests", "push", "-m", str(tmp_path)]) == 0
    assert "in force as sequence 42" in capsys.readouterr().out


@pytest.fixture
def own_bucket(aws_url: str) -> str:
    return f"s3://{make_bucket(aws_url)}/manifests/"


def push_and_roll_back(bucket: str, folder: Path) -> None:
    place = ["--bucket", bucket]
    author = ["--commit", "a" * 40, "--author", "Ann <ann@localhost>"]
    for text, reason in (("7", "first"), ("8", "longer")):
        write_topic(folder, text)
        push = ["manifests", "push", "-m", str(folder), *place, *author, "--reason", reason]
        assert cli.main(push) == 0
    assert cli.main(["manifests", "rollback", *place]) == 0


def write_topic(folder: Path, retention: str) -> None:
    text = [
        "apiVersion: wms.cdc/v1",
        "kind: Topic",
        "metadata: {name: wms.APP.ORDERS}",
        f'spec: {{class: data, partitions: 1, config: {{"retention.ms": "{retention}"}}}}',
        "",
    ]
    for name, lines in (("base", text), ("stages/ephemeral", ["# nothing of its own"])):
        (folder / name).mkdir(parents=True, exist_ok=True)
        (folder / name / "topics.yaml").write_text("\n".join(lines))


def test_a_push_is_recorded_in_the_table_that_the_settings_name(
    store: StateTable, own_bucket: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WMS_STATE_TABLE", TABLE)
    push_and_roll_back(own_bucket, tmp_path)
    told = store.read("history", 9)
    assert [one["event"] for one in told] == ["push", "push", "rollback"]
    assert [one["author"] for one in told] == ["Ann <ann@localhost>"] * 2 + [None]
    assert all(str(one["who"]).startswith(ARN) for one in told)
    assert told[1]["reason"] == "sequence 2: longer"
    assert "retention.ms: 7 -> 8" in str(told[1]["changes"])


def test_a_push_whose_record_is_lost_is_in_force_and_says_so(
    own_bucket: str,
    store: StateTable,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("WMS_STATE_TABLE", "a-table-that-is-not-there")
    push_and_roll_back(own_bucket, tmp_path)
    told = capsys.readouterr()
    assert "in force as sequence 3" in told.out
    assert "sequence 3 is in force, but could not be recorded in a-table" in told.err
    assert store.read("history", 9) == ()


NAME = "wms-oracle-cdc"


def offsets_of(*scns: int) -> list[Json]:
    place = Place("feat-x", "cluster-1", NAME)
    return [
        exported(
            place,
            ({"partition": {"server": "feat-x.wms"}, "offset": {"scn": str(scn)}},),
            f"2026-11-24T20:00:{number:02}+00:00",
        )
        for number, scn in enumerate(scns)
    ]


def test_offsets_are_listed_and_exported_from_the_table_alone(
    store: StateTable,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("WMS_CONNECT_URL", f"http://127.0.0.1:{free_port()}")
    kept = offsets_of(7, 8, 9)
    store.publish("offsets", {NAME: kept})
    assert cli.main(["offsets", "kept", NAME]) == 0
    listed = capsys.readouterr().out.splitlines()
    assert [line.split("\t")[0] for line in listed] == ["3", "2", "1"]
    file = tmp_path / "second"
    assert cli.main(["offsets", "export", NAME, str(file), "--kept", "2"]) == 0
    assert json.loads(file.read_text()) == kept[1]
    capsys.readouterr()
    assert cli.main(["offsets", "export", NAME]) == 0
    told = capsys.readouterr()
    assert json.loads(told.out) == kept[2]
    assert "the newest offsets that the leader kept, of 2026-11-24T20:00:02+00:00" in told.err


def test_the_offsets_of_every_connector_are_kept_before_a_step(
    store: StateTable, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["offsets", "export-all", str(tmp_path / "never")]) == 0
    assert "has never run" in capsys.readouterr().out
    store.put("birth/stage", {"stage": "feat-x", "cluster_id": "cluster-1"})
    assert cli.main(["offsets", "export-all", str(tmp_path / "lost")]) == 1
    kept = offsets_of(7, 8)
    store.publish("offsets", {NAME: kept})
    folder = tmp_path / "kept"
    assert cli.main(["offsets", "export-all", str(folder)]) == 0
    assert json.loads((folder / f"{NAME}.json").read_text()) == kept[-1]
    assert cli.main(["offsets", "export-all", str(folder)]) == 1, "nothing is written over"


class Leader(Thread):
    """Answers one asking as the real one does, and carries it out once it is accepted."""

    RECORD = f"intent/restore:{NAME}"

    def __init__(self, store: StateTable) -> None:
        super().__init__(daemon=True)
        self._store = store
        self.over = Event()

    def run(self) -> None:
        while not self.over.wait(0.2):
            records = self._store.load()
            if self.RECORD in records:
                self._answer(records[self.RECORD].value)
            if f"intent/accept:restore/{NAME}:0123456789" in records:
                self._carry_out()

    def _answer(self, asked: Any) -> None:
        step = {
            "resource": f"restore/{NAME}",
            "generation": asked_id(asked),
            "decision": "Stall",
            "reason": "AcceptanceRequired",
            "message": "older",
            "act": {"action": "0123456789"},
            "risk": "snapshot",
            "consequence": "it is read again",
            "changes": [{"field": "server", "before": "9", "after": "8"}],
        }
        published(self._store, resources=[step])

    def _carry_out(self) -> None:
        journal = Journal(self._store, SystemClock(), "leader")
        begun = journal.tell({"event": "begun", "accepted": "0123456789"})
        self._store.delete(self.RECORD)
        journal.end(begun, ("RestoreOffsets",), None, 1)
        self.over.set()


@pytest.fixture
def far(store: StateTable, monkeypatch: pytest.MonkeyPatch) -> StateTable:
    """A machine from which Connect is out of reach, and a stage that was born on cluster-1."""
    monkeypatch.setenv("WMS_CONNECT_URL", f"http://127.0.0.1:{free_port()}")
    monkeypatch.setenv("WMS_STATE_TABLE", TABLE)
    store.put("birth/stage", {"stage": "feat-x", "cluster_id": "cluster-1"})
    return store


def test_offsets_are_restored_through_the_table_by_the_leader_under_ones_own_name(
    far: StateTable, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "offsets"
    file.write_text(json.dumps(offsets_of(8)[0]))
    restore = ["offsets", "restore", NAME, str(file), "--reason", "the step went wrong"]
    leader = Leader(far)
    leader.start()
    try:
        assert cli.main(restore) == 2
        assert "risk snapshot; to accept exactly this: --accept 0123456789" in (
            capsys.readouterr().out
        )
        assert cli.main([*restore, "--accept", "9876543210"]) == 1
        assert cli.main([*restore, "--accept", "0123456789"]) == 0
        assert "restored by the leader" in capsys.readouterr().out
    finally:
        leader.over.set()
        leader.join(10)
    told = [one for one in far.read("history", 9) if one["event"] in ("restore", "accept")]
    assert [one["event"] for one in told] == ["restore", "accept"]
    assert all(str(one["who"]).startswith(ARN) for one in told)


def test_offsets_of_another_cluster_are_not_even_asked_for(
    far: StateTable, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "offsets"
    document = offsets_of(8)[0]
    assert isinstance(document, dict)
    file.write_text(json.dumps({**document, "clusterId": "cluster-2"}))
    assert cli.main(["offsets", "restore", NAME, str(file)]) == 1
    assert "its clusterId is 'cluster-2', and here it is 'cluster-1'" in capsys.readouterr().err
    assert set(far.load()) == {"birth/stage"}
    assert cli.main(["offsets", "cancel", NAME]) == 1
