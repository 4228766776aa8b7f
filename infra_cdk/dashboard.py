"""One page per stage on CloudWatch, drawn from what the controller publishes."""

from __future__ import annotations

import aws_cdk as cdk
from aws_cdk import aws_cloudwatch as cloudwatch
from constructs import Construct

from controller.core import cloudwatch as published
from controller.core.aws_names import AwsNames
from infra_cdk.alarms import Alarms, stage_metric, utilization
from infra_cdk.environment_config import FullEnvironmentConfig

_STATES = (published.NOT_SYNCED, published.NOT_READY, published.NOT_HEALTHY)
_AGES = (
    published.OBSERVATION_AGE,
    published.NOT_ACTING,
    published.HELD,
    published.REVISION_STALE,
)
_SIGNS = (published.PULSE, published.ACTIVE, published.CONNECT_UP)
_COUNTS = (published.ACTIONS, published.FAULTS, published.RESTARTS)


def add_dashboard(scope: Construct, config: FullEnvironmentConfig, alarms: Alarms) -> None:
    dashboard = cloudwatch.Dashboard(
        scope,
        "Dashboard",
        dashboard_name=AwsNames(config.stage).dashboard,
        default_interval=cdk.Duration.hours(3),
    )
    dashboard.add_widgets(
        cloudwatch.AlarmStatusWidget(title="Alarms", alarms=[*alarms.speaking], width=24, height=3)
    )
    dashboard.add_widgets(
        _graph(config, "Lag in seconds, by connector", (published.LAG,)),
        _graph(config, "Age of the newest heartbeat, by connector", (published.HEARTBEAT_AGE,)),
        _graph(config, "Not synced, ready, healthy", _STATES),
    )
    dashboard.add_widgets(
        _graph(config, "How old what we know is, in seconds", _AGES),
        _graph(config, "Actions, faults, restarts", _COUNTS, "Sum"),
        _graph(config, "Signs of life", _SIGNS, "Sum"),
    )
    dashboard.add_widgets(
        cloudwatch.GraphWidget(
            title="Memory and CPU of the task, in percent",
            left=[utilization(config, "Memory"), utilization(config, "Cpu")],
            width=24,
        )
    )


def _graph(
    config: FullEnvironmentConfig,
    title: str,
    metrics: tuple[published.Published, ...],
    statistic: str = "Maximum",
) -> cloudwatch.GraphWidget:
    return cloudwatch.GraphWidget(
        title=title,
        left=[_line(config, metric, statistic) for metric in metrics],
        width=8,
        statistic=statistic,
    )


def _line(
    config: FullEnvironmentConfig, metric: published.Published, statistic: str
) -> cloudwatch.IMetric:
    if not metric.per_connector:
        return stage_metric(config, metric, statistic)
    # A search finds the connectors by itself: their names are the manifests' business.
    schema = f"{{{published.NAMESPACE},{published.STAGE},{published.CONNECTOR}}}"
    found = f'{schema} MetricName="{metric.name}" {published.STAGE}="{config.stage.name}"'
    return cloudwatch.MathExpression(
        expression=f"SEARCH('{found}', '{statistic}', 60)", label="", using_metrics={}
    )
