"""What a metric is."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class MetricKind(StrEnum):
    COUNTER = "counter"
    GAUGE = "gauge"
    HISTOGRAM = "histogram"


@dataclass(frozen=True, slots=True)
class Metric:
    """One family; `values` are the label values known from the start, emitted at zero."""

    name: str
    kind: MetricKind
    help: str
    labels: tuple[str, ...] = ()
    values: tuple[tuple[str, ...], ...] = ()
    unit: str = ""
    buckets: tuple[float, ...] = ()  # upper bounds of a histogram, in its unit
