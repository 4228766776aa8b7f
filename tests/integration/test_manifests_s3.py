"""Manifests in S3, by the real client against the AWS mock server."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from controller.adapters.manifests_s3 import (
    Enforced,
    ManifestBucket,
    ManifestS3,
    Pointer,
    client_factory,
)
from controller.core.faults import Conflict, Denied, Fault, Rejected, Unavailable
from controller.core.stage import Stage
from controller.manifest import ManifestErrors, load
from controller.manifests_in_force import Manifests
from controller.ports import Folder
from controller.pushes import Publisher
from devstack.port import free_port
from tests.fakes.clock import FakeClock
from tests.tables import aws_client, make_bucket

POLL = 5.0


def manifest(retention: str) -> dict[str, str]:
    return {
        "base/topics.yaml": "\n".join(
            [
                "apiVersion: wms.cdc/v1",
                "kind: Topic",
                "metadata: {name: wms.APP.ORDERS}",
                "spec:",
                "  class: data",
                "  partitions: 1",
                f'  config: {{"retention.ms": "{retention}"}}',
                "",
            ]
        ),
        "stages/main/policy.yaml": "# nothing of its own\n",
    }


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def name(aws_url: str) -> str:
    return make_bucket(aws_url)


@pytest.fixture
def bucket(aws_url: str, name: str) -> ManifestBucket:
    return open_bucket(aws_url, name)


def open_bucket(url: str, name: str, stage: str = "main") -> ManifestBucket:
    make = client_factory(region="us-east-1", endpoint_url=url)
    return ManifestBucket(f"s3://{name}/manifests/", stage, make)


def publisher(
    bucket: ManifestBucket,
    who: str = "arn:aws:iam::1:user/ann",
    enforced: Enforced | None = None,
) -> Publisher:
    def read(folder: Folder) -> Any:
        return load(folder.files, stage=Stage("main"), overlay="main", commit=folder.commit)

    at = "2026-11-24T20:00:00+00:00"
    return Publisher(bucket, "main", read, who, at, lambda: enforced or Enforced())


class Source:
    """One process's view: the source, the rule above it, and what the store remembers."""

    def __init__(self, bucket: ManifestBucket, clock: FakeClock, enforced: Enforced) -> None:
        self.enforced = enforced
        self.clock = clock
        self.source = ManifestS3(bucket, clock=clock, enforced=lambda: self.enforced, poll=POLL)
        self.manifests = Manifests(self.source, self._load, ManifestErrors)

    @staticmethod
    def _load(folder: Folder) -> Any:
        return load(folder.files, stage=Stage("main"), overlay="main", commit=folder.commit)

    def look(self) -> str | None:
        """Look once more, later; answer the retention in force."""
        self.clock.advance(POLL)
        revision = self.manifests.refresh(self.clock.now())
        if self.manifests.refusal is None and self.manifests.in_force is not None:
            folder = self.manifests.in_force
            self.enforced = Enforced(folder.sequence, folder.address, folder.commit)
        return None if revision is None else revision.topics[0].config["retention.ms"]


def open_source(
    bucket: ManifestBucket, clock: FakeClock, enforced: Enforced | None = None
) -> Source:
    return Source(bucket, clock, enforced or Enforced())


def test_what_is_pushed_is_in_force_within_one_poll(
    bucket: ManifestBucket, clock: FakeClock
) -> None:
    publisher(bucket).push(Folder(manifest("1000"), "a" * 40), "first")
    source = open_source(bucket, clock)
    assert source.look() == "1000"
    assert source.manifests.revision is not None
    assert source.manifests.revision.commit == "a" * 40
    assert not source.source.changed()
    publisher(bucket).push(Folder(manifest("2000"), "b" * 40), "second")
    assert source.look() == "2000"


def test_an_empty_bucket_is_no_revision_and_says_what_to_do(
    bucket: ManifestBucket, clock: FakeClock
) -> None:
    source = open_source(bucket, clock)
    assert source.look() is None
    assert "wmsctl manifests push" in (source.manifests.refusal or "")
    publisher(bucket).push(Folder(manifest("1000")), "")
    assert source.look() == "1000"


def test_a_push_that_changes_nothing_makes_no_sequence(bucket: ManifestBucket) -> None:
    first = publisher(bucket).push(Folder(manifest("1000")), "")
    again = publisher(bucket).push(Folder(manifest("1000")), "")
    assert (first.switched, again.switched) == (True, False)
    assert again.pointer == first.pointer


def test_a_push_tells_what_it_changes_and_who_made_it(bucket: ManifestBucket) -> None:
    publisher(bucket).push(Folder(manifest("1000")), "")
    done = publisher(bucket, "arn:aws:iam::1:user/bob").push(Folder(manifest("2000")), "longer")
    assert done.changes is not None
    [change] = done.changes
    assert "retention.ms: 1000 -> 2000" in "\n".join(change.lines())
    assert (done.pointer.who, done.pointer.reason) == ("arn:aws:iam::1:user/bob", "longer")
    assert [p.sequence for p in bucket.pushes(9)] == [2, 1]


def test_a_bad_folder_changes_nothing_in_the_bucket(
    bucket: ManifestBucket, aws_url: str, name: str
) -> None:
    with pytest.raises(ManifestErrors):
        publisher(bucket).push(Folder({"base/a.yaml": "kind: Nothing\n"}), "")
    assert "Contents" not in aws_client("s3", aws_url).list_objects_v2(Bucket=name)


def test_rolling_back_is_a_new_sequence_with_the_old_content(
    bucket: ManifestBucket, clock: FakeClock
) -> None:
    for retention in ("1000", "2000", "3000"):
        publisher(bucket).push(Folder(manifest(retention)), "")
    source = open_source(bucket, clock)
    assert source.look() == "3000"
    done = publisher(bucket).roll_back(None, "")
    assert (done.pointer.sequence, done.pointer.reason) == (4, "back to sequence 2")
    assert source.look() == "2000"
    publisher(bucket).roll_back(1, "further")
    assert source.look() == "1000"
    with pytest.raises(Rejected):
        publisher(bucket).roll_back(17, "")


def test_who_wrote_and_who_pushed_come_with_the_revision_and_a_rollback_is_of_who_did_it(
    bucket: ManifestBucket, clock: FakeClock
) -> None:
    ann, bob = "Ann <ann@localhost>", "arn:aws:iam::1:user/bob"
    publisher(bucket).push(Folder(manifest("1000"), "a" * 40, author=ann), "")
    publisher(bucket).push(Folder(manifest("2000"), "b" * 40, author=ann), "")
    source = open_source(bucket, clock)
    source.look()
    taken = source.manifests.in_force
    assert taken is not None
    assert (taken.author, taken.pushed_by) == (ann, "arn:aws:iam::1:user/ann")
    publisher(bucket, bob).roll_back(None, "")
    source.look()
    taken = source.manifests.in_force
    assert taken is not None
    assert (taken.commit, taken.author, taken.pushed_by) == ("a" * 40, None, bob)


def test_of_two_who_push_at_once_one_is_told_to_look_again(
    bucket: ManifestBucket, aws_url: str, name: str
) -> None:
    publisher(bucket).push(Folder(manifest("1000")), "")
    found = bucket.pointer()
    assert found is not None
    publisher(open_bucket(aws_url, name)).push(Folder(manifest("2000")), "")
    late = Pointer(2, bucket.put_revision(manifest("3000")), "main")
    with pytest.raises(Conflict):
        bucket.switch(late, found[1])
    with pytest.raises(Conflict):
        bucket.switch(late, None)
    now = bucket.pointer()
    assert now is not None
    assert dict(bucket.files(now[0].revision)) == manifest("2000")


def test_an_older_sequence_is_refused_and_the_newer_stays(
    bucket: ManifestBucket, clock: FakeClock, aws_url: str, name: str
) -> None:
    publisher(bucket).push(Folder(manifest("1000")), "")
    client = aws_client("s3", aws_url)
    old = client.get_object(Bucket=name, Key="manifests/pointer.json")["Body"].read()
    publisher(bucket).push(Folder(manifest("2000")), "")
    source = open_source(bucket, clock)
    assert source.look() == "2000"
    client.put_object(Bucket=name, Key="manifests/pointer.json", Body=old)
    assert source.look() == "2000"
    assert "ManifestsOlder" in (source.manifests.refusal or "")
    replaced = open_source(bucket, clock, source.enforced)
    assert replaced.look() == "2000", "another task remembers by the store"
    assert "ManifestsOlder" in (replaced.manifests.refusal or "")


def test_one_push_fills_a_bucket_again_that_was_emptied(
    bucket: ManifestBucket, clock: FakeClock, aws_url: str
) -> None:
    for retention in ("1000", "2000", "3000"):
        publisher(bucket).push(Folder(manifest(retention)), "")
    source = open_source(bucket, clock)
    assert source.look() == "3000"
    made_again = open_bucket(aws_url, make_bucket(aws_url))
    done = publisher(made_again, enforced=source.enforced).push(Folder(manifest("4000")), "")
    assert done.pointer.sequence == 4
    assert open_source(made_again, clock, source.enforced).look() == "4000"


def test_a_push_that_the_controller_refuses_is_put_into_force_by_the_next(
    bucket: ManifestBucket, clock: FakeClock
) -> None:
    publisher(bucket).push(Folder(manifest("1000")), "")
    enforced = Enforced(7, "f" * 64)
    assert open_source(bucket, clock, enforced).look() is None
    done = publisher(bucket, enforced=enforced).push(Folder(manifest("1000")), "")
    assert (done.switched, done.pointer.sequence) == (True, 8)
    assert open_source(bucket, clock, enforced).look() == "1000"


def test_a_lost_pointer_starts_no_second_count(
    bucket: ManifestBucket, aws_url: str, name: str
) -> None:
    for retention in ("1000", "2000"):
        publisher(bucket).push(Folder(manifest(retention)), "")
    lose_pointer(aws_client("s3", aws_url), name, {})
    done = publisher(bucket).push(Folder(manifest("2000")), "")
    assert done.pointer.sequence == 3
    assert [p.sequence for p in bucket.pushes(9)] == [3, 2, 1]


def test_manifests_of_another_stage_are_refused(
    bucket: ManifestBucket, clock: FakeClock, aws_url: str, name: str
) -> None:
    publisher(bucket).push(Folder(manifest("1000")), "")
    source = open_source(open_bucket(aws_url, name, "production"), clock)
    assert source.look() is None
    assert "WrongStage" in (source.manifests.refusal or "")


def spoil_object(client: Any, name: str, pointer: dict[str, Any]) -> None:
    key = f"manifests/revisions/{pointer['revision']}.json"
    client.put_object(Bucket=name, Key=key, Body=b'{"format": 1, "files": {}}')


def lose_object(client: Any, name: str, pointer: dict[str, Any]) -> None:
    client.delete_object(Bucket=name, Key=f"manifests/revisions/{pointer['revision']}.json")


def spoil_pointer(client: Any, name: str, _pointer: dict[str, Any]) -> None:
    client.put_object(Bucket=name, Key="manifests/pointer.json", Body=b"{")


def lose_pointer(client: Any, name: str, _pointer: dict[str, Any]) -> None:
    client.delete_object(Bucket=name, Key="manifests/pointer.json")


@pytest.mark.parametrize("harm", [spoil_object, lose_object, spoil_pointer, lose_pointer])
def test_whatever_befalls_the_newest_the_last_good_stays_also_in_a_new_task(
    bucket: ManifestBucket,
    clock: FakeClock,
    aws_url: str,
    name: str,
    harm: Callable[[Any, str, dict[str, Any]], None],
) -> None:
    publisher(bucket).push(Folder(manifest("1000")), "")
    source = open_source(bucket, clock)
    source.look()
    publisher(bucket).push(Folder(manifest("2000")), "")
    client = aws_client("s3", aws_url)
    pointer = json.load(client.get_object(Bucket=name, Key="manifests/pointer.json")["Body"])
    harm(client, name, pointer)
    assert source.look() == "1000"
    assert source.manifests.refusal
    assert open_source(bucket, clock, source.enforced).look() == "1000"


def test_a_revision_with_errors_leaves_the_last_good_one_in_a_new_task_too(
    bucket: ManifestBucket, clock: FakeClock
) -> None:
    publisher(bucket).push(Folder(manifest("1000")), "")
    source = open_source(bucket, clock)
    source.look()
    bad = bucket.put_revision({"base/a.yaml": "kind: Nothing\n"})
    found = bucket.pointer()
    assert found is not None
    bucket.switch(Pointer(2, bad, "main"), found[1])
    assert source.look() == "1000"
    assert open_source(bucket, clock, source.enforced).look() == "1000"


def test_an_outage_is_news_once_and_its_end_too(
    aws_url: str, name: str, bucket: ManifestBucket, clock: FakeClock
) -> None:
    publisher(bucket).push(Folder(manifest("1000")), "")
    place = {"url": aws_url}

    def make() -> Any:
        return client_factory(region="us-east-1", endpoint_url=place["url"])()

    class Moving:
        """A client whose endpoint may be moved to where nobody listens."""

        def __getattr__(self, call: str) -> Any:
            return getattr(make(), call)

    source = open_source(ManifestBucket(f"s3://{name}/manifests/", "main", Moving), clock)
    assert source.look() == "1000"
    place["url"] = f"http://127.0.0.1:{free_port()}"
    clock.advance(POLL)
    assert source.source.changed()
    assert source.look() == "1000"
    assert source.manifests.refusal
    clock.advance(POLL)
    assert not source.source.changed()
    place["url"] = aws_url
    assert source.look() == "1000"
    assert source.manifests.refusal is None


def test_who_may_not_read_is_told_so(clock: FakeClock, aws_url: str) -> None:
    source = open_source(open_bucket(aws_url, "no-such-bucket-here"), clock)
    with pytest.raises(Denied, match="ManifestsMissing"):
        source.source.read()


@pytest.mark.parametrize("address", ["", "bucket", "s3://", "s3://B/x", "s3://ok//", "http://x/y"])
def test_an_address_that_is_none_is_refused(address: str) -> None:
    with pytest.raises(Fault):
        ManifestBucket(address, "main", object)


def test_nothing_is_asked_between_two_polls(aws_url: str, name: str, clock: FakeClock) -> None:
    bucket = open_bucket(aws_url, name)
    publisher(bucket).push(Folder(manifest("1000")), "")
    source = open_source(bucket, clock)
    source.look()
    publisher(bucket).push(Folder(manifest("2000")), "")
    assert not source.source.changed()
    clock.advance(POLL)
    assert source.source.changed()


def test_news_stay_news_until_they_are_read(aws_url: str, name: str, clock: FakeClock) -> None:
    bucket = open_bucket(aws_url, name)
    publisher(bucket).push(Folder(manifest("1000")), "")
    source = open_source(bucket, clock)
    source.look()
    publisher(bucket).push(Folder(manifest("2000")), "")
    clock.advance(POLL)
    assert source.source.changed(), "the loop asks, which wakes it"
    assert source.source.changed(), "and then the cycle asks"
    revision = source.manifests.refresh(clock.now())
    assert revision is not None
    assert revision.topics[0].config["retention.ms"] == "2000"
    assert not source.source.changed()


def test_a_store_that_cannot_be_read_lets_no_revision_in(
    bucket: ManifestBucket, clock: FakeClock
) -> None:
    publisher(bucket).push(Folder(manifest("1000")), "")

    def away() -> Enforced:
        raise Unavailable("Away", "made to fail")

    source = ManifestS3(bucket, clock=clock, enforced=away)
    with pytest.raises(Unavailable):
        source.read()
