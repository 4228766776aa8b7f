from __future__ import annotations

from pathlib import Path

from controller.telemetry.reference import reference

PAGE = Path(__file__).parents[2] / "docs" / "metrics.md"


def test_the_reference_of_metrics_is_fresh() -> None:
    assert PAGE.read_text(encoding="utf-8") == reference(), "run: make metrics"
