"""State tables and buckets on the AWS mock server, as the stacks make them."""

from __future__ import annotations

import uuid
from typing import Any

REGION = "us-east-1"


def aws_client(service: str, url: str) -> Any:
    import boto3

    session: Any = boto3.session.Session(
        aws_access_key_id="test", aws_secret_access_key="test", region_name=REGION
    )
    return session.client(service, endpoint_url=url)


def make_table(url: str, name: str = "") -> str:
    """Make a state table; without a name, one of its own."""
    name = name or f"state-{uuid.uuid4().hex[:12]}"
    aws_client("dynamodb", url).create_table(
        TableName=name,
        KeySchema=[
            {"AttributeName": "pk", "KeyType": "HASH"},
            {"AttributeName": "sk", "KeyType": "RANGE"},
        ],
        AttributeDefinitions=[
            {"AttributeName": "pk", "AttributeType": "S"},
            {"AttributeName": "sk", "AttributeType": "S"},
        ],
        BillingMode="PAY_PER_REQUEST",
    )
    return name


def make_bucket(url: str) -> str:
    name = f"manifests-{uuid.uuid4().hex[:12]}"
    aws_client("s3", url).create_bucket(Bucket=name)
    return name
