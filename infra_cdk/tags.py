"""The tags that say whose a resource is, and what it runs."""

from __future__ import annotations

from typing import Final

STAGE_TAG: Final = "wms:stage"
REPOSITORY_TAG: Final = "wms:repository"
BRANCH_TAG: Final = "wms:branch"
DEBEZIUM_TAG: Final = "wms:debezium"
