"""PutMetricData against the mock of AWS, which takes more than CloudWatch does."""

from __future__ import annotations

from datetime import UTC, datetime

import boto3
from prometheus_client import CollectorRegistry

from controller.core.cloudwatch import NAMESPACE, PUBLISHED
from controller.core.lag import Lag
from controller.core.lag_report import LagReport
from controller.telemetry.cloudwatch import Teller, put_sender
from controller.telemetry.metrics import PrometheusRecorder

AT = 1_700_000_000.0


def test_what_is_put_is_there_with_its_dimensions(aws_url: str) -> None:
    client = boto3.client("cloudwatch", region_name="us-east-1", endpoint_url=aws_url)
    recorder = PrometheusRecorder(CollectorRegistry())
    for condition in ("Synced", "Ready", "Healthy"):
        recorder.condition_set("connector", "c", condition, "True", "Any")
    lags = {"c": Lag(42.0, "", heartbeat_age=7.0)}
    recorder.lag_set(LagReport(lags, redo_left={"c": 9e4}), {"c"})
    recorder.restarts_set(3, {"c": (0, 0.0)})
    recorder.cycle_ended("ok", 0.1, AT)
    put_sender("main", client.put_metric_data)(Teller(recorder.registry, lambda: AT).tell(), AT)
    there = client.list_metrics(Namespace=NAMESPACE)["Metrics"]
    named = {(one["MetricName"], tuple(d["Name"] for d in one["Dimensions"])) for one in there}
    assert named == {(one.name, ("Stage",)) for one in PUBLISHED} | {
        (one.name, ("Stage", "Connector")) for one in PUBLISHED if one.per_connector
    }
    points = client.get_metric_statistics(
        Namespace=NAMESPACE,
        MetricName="Lag",
        Dimensions=[{"Name": "Stage", "Value": "main"}],
        StartTime=datetime.fromtimestamp(AT - 60, UTC),
        EndTime=datetime.fromtimestamp(AT + 60, UTC),
        Period=60,
        Statistics=["Maximum"],
    )["Datapoints"]
    assert [one["Maximum"] for one in points] == [42.0]
