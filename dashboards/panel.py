"""What a dashboard is made of, as data, and its JSON by Grafana's own builders."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import count
from string import ascii_uppercase
from typing import Any, Final

from grafana_foundation_sdk.builders import common, dashboard, prometheus, stat, timeseries
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models.common import LegendDisplayMode, LegendPlacement
from grafana_foundation_sdk.models.dashboard import DataSourceRef

SOURCE: Final = DataSourceRef(type_val="prometheus", uid="${datasource}")
STAGE: Final = (
    'stage=~"$stage"'  # a label that the scrape adds to its target; all match where none does
)
COLUMNS: Final = 24


@dataclass(frozen=True, slots=True)
class Query:
    """One PromQL expression; `legend` names its lines by their labels."""

    expression: str
    legend: str


@dataclass(frozen=True, slots=True)
class Panel:
    """One picture and the sentence that says how to read it."""

    title: str
    says: str
    queries: tuple[Query, ...]
    unit: str = "short"
    figure: bool = False  # one number instead of lines
    width: int = 12


@dataclass(frozen=True, slots=True)
class Board:
    """One dashboard: rows of panels."""

    uid: str
    title: str
    says: str
    rows: tuple[tuple[str, tuple[Panel, ...]], ...]

    @property
    def panels(self) -> tuple[Panel, ...]:
        return tuple(panel for _, panels in self.rows for panel in panels)


def panel(
    title: str,
    says: str,
    *queries: tuple[str, str],
    unit: str = "short",
    figure: bool = False,
    width: int = 12,
) -> Panel:
    return Panel(title, says, tuple(Query(*query) for query in queries), unit, figure, width)


def to_json(board: Board) -> str:
    """Render a board; the same board always gives the same text."""
    made = (
        dashboard.Dashboard(board.title)
        .uid(board.uid)
        .description(board.says)
        .tags(["wms-connector"])
        .editable()
        .refresh("30s")
        .time("now-6h", "now")
        .timezone("browser")
        .with_variable(
            dashboard.DatasourceVariable("datasource").label("Source").type("prometheus")
        )
        .with_variable(
            dashboard.QueryVariable("stage")
            .label("Stage")
            .datasource(SOURCE)
            .query("label_values(wms_pulse_timestamp_seconds, stage)")
            .multi(True)
            .include_all(True)
            .all_value(".*")
        )
    )
    numbers = count(1)
    for title, panels in board.rows:
        made = made.with_row(dashboard.Row(title).id(next(numbers)))
        for one in panels:
            made = made.with_panel(_build(one).id(next(numbers)))
    return JSONEncoder(sort_keys=True, indent=2).encode(made.build()) + "\n"


def _build(one: Panel) -> Any:
    built: Any = _figure(one) if one.figure else _lines(one)
    built = built.title(one.title).description(one.says).unit(one.unit).datasource(SOURCE)
    built = built.span(one.width).height(4 if one.figure else 8)
    for letter, query in zip(ascii_uppercase, one.queries, strict=False):
        built = built.with_target(
            prometheus.Dataquery()
            .ref_id(letter)
            .expr(query.expression)
            .legend_format(query.legend)
            .datasource(SOURCE)
        )
    return built


def _figure(_one: Panel) -> Any:
    return stat.Panel().reduce_options(common.ReduceDataOptions().calcs(["lastNotNull"]))


def _lines(_one: Panel) -> Any:
    legend = (
        common.VizLegendOptions()
        .display_mode(LegendDisplayMode.LIST)
        .placement(LegendPlacement.BOTTOM)
    )
    return timeseries.Panel().line_width(1.5).fill_opacity(5).legend(legend.show_legend(True))
