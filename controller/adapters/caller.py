"""Who we are to AWS: the account, and the ARN that is written down beside what people ask for."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from controller.aws_client import make_later
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
    from botocore.exceptions import BotoCoreError, ClientError

    make = make_later(
        "sts", region=region, endpoint_url=endpoint_url, connect_timeout=2.0, read_timeout=5.0
    )
    try:
        answer = make().get_caller_identity()
        return Caller(str(answer["Account"]), str(answer["Arn"]))
    except ClientError as error:
        told = error.response.get("Error", {})
        code = told.get("Code", "")
        said = scrub(f"cannot ask who we are: {code}: {told.get('Message', '')}")
        raise aws_fault("Caller", code, said) from error
    except (BotoCoreError, ValueError) as error:
        said = scrub(f"cannot ask who we are: {error}")
        raise aws_fault("Caller", type(error).__name__, said) from error
