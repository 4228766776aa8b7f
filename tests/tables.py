"""State tables and buckets on the AWS mock server, as the stacks make them."""

from __future__ import annotations

import functools
import uuid
from typing import Any

import pytest

from controller.adapters.clock import SystemClock
from controller.adapters.state_dynamodb import StateTable, client_factory
from devstack.port import free_port

REGION = "us-east-1"


@functools.cache
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


def stage_store(url: str, stage: str, monkeypatch: pytest.MonkeyPatch) -> StateTable:
    """Make a stage's table as its stack does, on a machine that reaches nothing else of it."""
    table, client = f"wms-connector-{stage}-state", aws_client("dynamodb", url)
    if table in client.list_tables()["TableNames"]:
        client.delete_table(TableName=table)
    make_table(url, table)
    monkeypatch.setenv("WMS_STAGE", stage)
    monkeypatch.setenv("WMS_AWS_ENDPOINT_URL", url)
    monkeypatch.setenv("WMS_HTTP_PORT", str(free_port()))
    make = client_factory(region=REGION, endpoint_url=url)
    return StateTable(table, make, clock=SystemClock())


def make_bucket(url: str) -> str:
    name = f"manifests-{uuid.uuid4().hex[:12]}"
    aws_client("s3", url).create_bucket(Bucket=name)
    return name
