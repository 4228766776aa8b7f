from __future__ import annotations

from controller.core.debezium_bean import Bean, delayed, read_beans, sign_of_life

PAGE = """\
# HELP debezium_currentscn CurrentScn
# TYPE debezium_currentscn untyped
debezium_currentscn{context="streaming",plugin="oracle",server="wms"} 1.2345678901E13
debezium_offsetscn{context="streaming",plugin="oracle",server="wms"} 1.2345678000E13
debezium_millisecondsbehindsource{context="streaming",plugin="oracle",server="wms"} 1500.0
debezium_millisecondssincelastevent{context="streaming",plugin="oracle",server="wms"} 4000.0
debezium_snapshotrunning{context="snapshot",plugin="oracle",server="wms"} 1.0
debezium_connected{context="streaming",plugin="oracle",server="feat-x.wms"} 0.0
debezium_lagfromsource{context="streaming",plugin="oracle",server="wms"} NaN
debezium_broken{context="streaming"
debezium_other{context="nowhere",server="wms"} 1.0
jvm_threads_current 40.0
"""


def test_each_server_has_its_own_numbers() -> None:
    beans = read_beans(PAGE.splitlines(), 100.0)
    assert set(beans) == {"wms", "feat-x.wms"}
    assert beans["wms"].get("streaming", "currentscn") == 12_345_678_901_000
    assert beans["wms"].get("snapshot", "snapshotrunning") == 1
    assert beans["wms"].get("streaming", "lagfromsource") is None
    assert beans["feat-x.wms"].streaming == {"connected": 0.0}


def test_the_newest_event_was_so_old_when_it_was_read() -> None:
    found = delayed(read_beans(PAGE.splitlines(), 100.0)["wms"])
    assert found is not None
    assert (found.moment, found.delay) == (96.0, 1.5)


def test_before_any_event_nothing_is_known() -> None:
    bean = Bean({"millisecondsbehindsource": -1.0, "millisecondssincelastevent": -1.0})
    assert delayed(bean) is None
    assert sign_of_life(None, bean) is None


def test_a_position_that_moves_is_a_sign_of_life_and_one_that_stands_is_none() -> None:
    before, same = Bean({"offsetscn": 5.0}, moment=40.0), Bean({"offsetscn": 5.0}, moment=100.0)
    assert sign_of_life(before, same) is None
    assert sign_of_life(before, Bean({"offsetscn": 6.0}, moment=100.0)) == 100.0


def test_a_database_that_moves_on_alone_is_no_sign_of_the_connector() -> None:
    before = Bean({"currentscn": 5.0, "offsetscn": 5.0}, moment=40.0)
    assert sign_of_life(before, Bean({"currentscn": 9.0, "offsetscn": 5.0}, moment=100.0)) is None
