"""Who we are to AWS: the account, and the ARN that is written down beside what people ask for."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from controller.core.aws_faults import aws_fault


@dataclass(frozen=True, slots=True)
class Caller:
    account: str
    arn: str


def ask_caller(
    *,
    region: str | None = None,
    endpoint_url: str | None = None,
    scrub: Callable[[str], str] = str,
) -> Caller:
    """Ask STS once; no right is needed for it."""
    import boto3
    from botocore.config import Config
    from botocore.exceptions import BotoCoreError, ClientError

    config = Config(
        connect_timeout=2.0, read_timeout=5.0, retries={"total_max_attempts": 2, "mode": "standard"}
    )
    try:
        session: Any = boto3.session.Session(region_name=region)
        client = session.client("sts", endpoint_url=endpoint_url, config=config)
        answer = client.get_caller_identity()
        return Caller(str(answer["Account"]), str(answer["Arn"]))
    except ClientError as error:
        told = error.response.get("Error", {})
        code = told.get("Code", "")
        said = scrub(f"cannot ask who we are: {code}: {told.get('Message', '')}")
        raise aws_fault("Caller", code, said) from error
    except (BotoCoreError, ValueError) as error:
        said = scrub(f"cannot ask who we are: {error}")
        raise aws_fault("Caller", type(error).__name__, said) from error
