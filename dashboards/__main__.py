"""Write the dashboards and the alert rules into their files."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Final

from dashboards.alert import alertmanager_yaml, rules_yaml, tests_yaml
from dashboards.alerts import ALERTS
from dashboards.boards import BOARDS
from dashboards.panel import to_json

FOLDER: Final = Path(__file__).parent


def files() -> Mapping[Path, str]:
    """Make every file's text."""
    return {
        **{FOLDER / "grafana" / f"{board.uid}.json": to_json(board) for board in BOARDS},
        FOLDER / "prometheus" / "rules.yml": rules_yaml(ALERTS),
        FOLDER / "prometheus" / "alertmanager.yml": alertmanager_yaml(ALERTS),
        FOLDER / "prometheus" / "rules_test.yml": tests_yaml(ALERTS),
    }


def main() -> None:
    for path, text in files().items():
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
