from __future__ import annotations

from controller.core.lag import (
    Delayed,
    Followed,
    Lag,
    Newest,
    Sign,
    SourceTime,
    follow,
    measure,
)

NOW = 1_700_000_000.0


def written(moment: float, delay: float | None = None) -> Followed:
    return Followed(1, moment, moment, delay)


def lag(moment: float, heartbeat: float | None, **topics: Followed) -> Lag:
    return measure(
        moment=moment,
        heartbeat=None if heartbeat is None else written(heartbeat),
        topics=topics,
    )


def test_a_quiet_source_with_heartbeats_is_as_far_behind_as_the_newest_of_them() -> None:
    assert lag(1000.0, 990.0, t=written(10.0)).seconds == 10.0


def test_a_dead_pipeline_falls_behind_with_the_time() -> None:
    assert lag(5000.0, 990.0, t=written(995.0)).seconds == 4005.0


def test_rows_that_flow_are_as_late_as_they_were_committed() -> None:
    assert lag(1000.0, 990.0, t=written(1000.0, delay=3600.0)).seconds == 3600.0


def test_a_delay_wears_off_while_heartbeats_follow_without_a_row() -> None:
    rows = written(1000.0, delay=60.0)
    seconds = [lag(moment, moment, t=rows).seconds for moment in (1000.0, 1030.0, 1060.0, 5000.0)]
    assert seconds == [60.0, 30.0, 0.0, 0.0]


def test_a_delay_does_not_wear_off_when_nothing_follows() -> None:
    assert lag(1100.0, 1000.0, t=written(1000.0, delay=60.0)).seconds == 160.0


def test_the_connector_is_as_late_as_its_latest_topic() -> None:
    found = lag(1000.0, 1000.0, a=written(1000.0, delay=5.0), b=written(1000.0, delay=50.0))
    assert found.seconds == 50.0
    assert {name: one.seconds for name, one in found.topics.items()} == {"a": 5.0, "b": 50.0}


def test_without_a_heartbeat_there_is_no_number_and_it_says_why() -> None:
    found = lag(1000.0, None, t=written(999.0))
    assert found.seconds is None
    assert "heartbeat" in found.message
    assert found.topics["t"].age == 1.0


def test_jmx_stands_in_for_a_heartbeat_and_for_the_row() -> None:
    found = measure(
        moment=1000.0, heartbeat=None, topics={}, sign=995.0, delayed=Delayed(995.0, 20.0)
    )
    assert found.seconds == 25.0
    assert found.seen == {Sign.JMX}


def test_what_jmx_kept_from_long_ago_does_not_count() -> None:
    found = measure(
        moment=9000.0,
        heartbeat=written(9000.0),
        topics={},
        sign=1000.0,
        delayed=Delayed(1000.0, 3600.0),
    )
    assert found.seconds == 0.0


def test_the_first_look_believes_the_timestamp() -> None:
    found = follow(None, Newest(5, NOW - 100), now=NOW, moment=1000.0)
    assert found.written == 900.0


def test_a_timestamp_of_the_future_is_now() -> None:
    found = follow(None, Newest(5, NOW + 86_400), now=NOW, moment=1000.0)
    assert found.written == 1000.0
    later = follow(found, Newest(5, NOW + 86_400), now=NOW + 600, moment=1600.0)
    assert later.written == 1000.0, "a wrong clock does not hide that nothing comes"


def test_a_record_between_two_looks_is_not_older_than_the_first_whatever_it_says() -> None:
    before = Followed(5, 1000.0, 900.0)
    found = follow(before, Newest(6, NOW - 7200), now=NOW, moment=1060.0)
    assert found.written == 1000.0


def test_our_clock_may_jump_while_nothing_is_written() -> None:
    before = Followed(5, 1000.0, 900.0)
    for now in (NOW - 1e6, NOW + 1e6):
        assert follow(before, Newest(5, NOW), now=now, moment=1060.0).written == 900.0


def test_records_that_expired_were_written_all_the_same() -> None:
    before = Followed(5, 1000.0, 900.0)
    assert follow(before, Newest(5), now=NOW, moment=1060.0).written == 900.0
    assert follow(before, Newest(8), now=NOW, moment=1060.0).written == 1000.0
    assert follow(None, Newest(8), now=NOW, moment=1060.0).written is None


def test_a_topic_that_was_created_again_begins_anew() -> None:
    before = Followed(50, 1000.0, 900.0, delay=3.0)
    assert follow(before, Newest(0), now=NOW, moment=1060.0) == Followed(0, 1060.0, None)


def test_a_row_from_a_source_whose_clock_is_ahead_is_not_late() -> None:
    assert SourceTime(committed=110.0, written=100.0).delay == 0.0
