"""The reference of all metrics, made from their definitions: `make metrics` writes it."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Final

from controller.core.cloudwatch import CONNECTOR, NAMESPACE, PUBLISHED, STAGE
from controller.core.metric import METRICS
from controller.core.metric_family import Metric

_HEAD: Final = """\
# Metrics

Written by `make metrics` from `controller/core/metric.py`, `lag_metric.py` and `cloudwatch.py`.
What the lag means, and from what it is worked out, is in
[operating.md](operating.md#how-far-behind).

## Prometheus

`/metrics` of the sidecar. A label value that is known beforehand is there from the start, at zero;
a number that cannot be seen has no series.

| name | kind | labels | meaning |
|---|---|---|---|
"""


def reference() -> str:
    """Print the page."""
    return "".join((_HEAD, *map(_row, METRICS), *_published()))


def _row(family: Metric) -> str:
    labels = ", ".join(f"`{label}`" for label in family.labels)
    return f"| `{family.name}` | {family.kind} | {labels} | {_cell(family.help)} |\n"


def _published() -> Iterator[str]:
    yield f"""
## CloudWatch

Namespace `{NAMESPACE}`, sent at the end of each cycle as `WMS_CLOUDWATCH` says (`emf`, `put` or
`off`), from the same values. Each has the dimension `{STAGE}`, where the worst connector counts;
those that say so also have [`{STAGE}`, `{CONNECTOR}`].

| name | unit | by connector | meaning |
|---|---|---|---|
"""
    for one in PUBLISHED:
        by = "yes" if one.per_connector else ""
        yield f"| `{one.name}` | {one.unit} | {by} | {_cell(one.help)} |\n"


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")


if __name__ == "__main__":
    sys.stdout.write(reference())
