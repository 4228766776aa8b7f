from __future__ import annotations

import pytest

from controller.core.metric import METRICS
from controller.telemetry.metrics import render
from devstack.bench import offline
from devstack.bench.figures import BEGIN, END, Ledger, NotMeasured, Row, insert, ratio, table, told


def test_the_ratio_is_that_of_the_medians_and_not_of_pairs() -> None:
    assert ratio([1.0, 2.0, 30.0], [4.0, 1.0, 0.1]) == 2.0


def test_an_even_number_of_samples_has_its_median_between_the_two_in_the_middle() -> None:
    assert told([4.0, 1.0, 2.0, 3.0]) == "2.50 (1.00-4.00) s"


def test_one_sample_has_no_range() -> None:
    assert told([1.0], "MB", 0) == "1 MB"


def test_samples_that_are_all_the_same_have_no_range() -> None:
    assert told([2, 2, 2], "", 0) == "2"


@pytest.mark.parametrize(("ours", "theirs"), [([], [1.0]), ([1.0], []), ([1.0], [0.0, 0.0])])
def test_nothing_is_compared_with_nothing(ours: list[float], theirs: list[float]) -> None:
    with pytest.raises(NotMeasured):
        ratio(ours, theirs)


@pytest.mark.parametrize(
    ("ours", "met"), [([1.9], True), ([2.0], True), ([2.004], True), ([2.01], False)]
)
def test_a_ratio_is_held_against_its_target_as_it_is_shown(ours: list[float], met: bool) -> None:
    row = Ledger().compare("x", ours, [1.0], 2.0)
    assert row.met is met
    assert row.cells[3:] == (f"{ours[0]:.2f}", "<= 2 x", "met" if met else "**missed**")


def test_a_count_is_exact_only_if_every_sample_is() -> None:
    ledger = Ledger()
    assert ledger.exactly("requests", [2, 2, 2], 2).met is True
    assert ledger.exactly("requests", [2, 2, 3], 2).met is False


def test_a_limit_is_for_the_median() -> None:
    ledger = Ledger()
    assert ledger.limit("repair", [1.0, 1.5, 9.0], 2.0).met is True
    assert ledger.limit("repair", [2.5, 2.5, 0.1], 2.0).met is False


def test_a_note_has_no_target_and_no_verdict() -> None:
    assert Ledger().note("memory", [70.2], "MB", 0).cells == ("memory", "70 MB", "", "", "", "")


def test_what_is_written_down_holds_every_row_and_every_sample() -> None:
    ledger = Ledger()
    ledger.compare("plan", [2.0, 4.0], [1.0, 2.0], 2.0)
    ledger.note("memory", [70.0], "MB")
    written = ledger.document({"cores": 2})
    assert written["machine"] == {"cores": 2}
    assert [row["what"] for row in written["rows"]] == ["plan", "memory"]
    assert written["samples"] == {
        "plan, ours": [2.0, 4.0],
        "plan, script": [1.0, 2.0],
        "memory": [70.0],
    }


def test_the_table_is_markdown_whose_columns_line_up() -> None:
    rows = [Row("a long name", "1 s"), Row("b", "10 s", "5 s", "2.00", "<= 2 x", True)]
    lines = table(rows).splitlines()
    assert len(lines) == 4
    assert set(lines[1]) == {"|", "-"}
    bars = [[i for i, sign in enumerate(line) if sign == "|"] for line in lines]
    assert all(found == bars[0] for found in bars)
    assert [cell.strip() for cell in lines[3].split("|")[1:-1]] == [
        "b",
        "10 s",
        "5 s",
        "2.00",
        "<= 2 x",
        "met",
    ]


def test_the_newest_table_takes_the_place_of_the_one_before() -> None:
    page = f"head\n\n{BEGIN}\n\nold\n\n{END}\n\ntail\n"
    once = insert(page, "new")
    assert once == f"head\n\n{BEGIN}\n\nnew\n\n{END}\n\ntail\n"
    assert insert(once, "new") == once


@pytest.mark.parametrize("page", ["", BEGIN, END, f"{END} {BEGIN}"])
def test_a_page_without_its_markers_is_not_written_to(page: str) -> None:
    with pytest.raises(NotMeasured):
        insert(page, "new")


def test_the_scrape_that_is_measured_has_a_series_of_every_family_by_connector(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(offline, "CONNECTORS", 1)
    text = render(offline._recorder().registry).decode()
    families = [family.name for family in METRICS if "name" in family.labels]
    assert [name for name in families if f"\n{name}{{" not in text] == []
