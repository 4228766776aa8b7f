"""How every adapter of AWS makes its client: late, bounded in time, with two attempts a call."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from typing import Any


def make_later(
    service: str,
    *,
    region: str | None,
    endpoint_url: str | None,
    connect_timeout: float,
    read_timeout: float,
    options: Mapping[str, Any] | None = None,
) -> Callable[[], Any]:
    """Imports the SDK, which takes a third of a second, only when a client is made."""

    def make() -> Any:
        import boto3
        import botocore.session
        from botocore.config import Config

        config = Config(
            connect_timeout=connect_timeout,
            read_timeout=read_timeout,
            retries={"total_max_attempts": 2, "mode": "standard"},
            user_agent_extra="wms-connector-controller",
            **(options or {}),
        )
        core = botocore.session.get_session()
        core.register_component("data_loader", _data_loader())
        session: Any = boto3.session.Session(botocore_session=core, region_name=region)
        return session.client(service, endpoint_url=endpoint_url, config=config)

    return make


@functools.cache
def _data_loader() -> Any:
    """Keeps what AWS's services look like: each session would read it from its files again."""
    import botocore.session

    return botocore.session.get_session().get_component("data_loader")
