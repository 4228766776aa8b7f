"""When people are told: alarms on exactly what the controller publishes, and on the tasks."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import aws_cdk as cdk
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_cloudwatch_actions as actions
from aws_cdk import aws_events as events
from aws_cdk import aws_events_targets as targets
from aws_cdk import aws_sns as sns
from constructs import Construct

from controller.core import cloudwatch as published
from controller.core.aws_names import AwsNames
from infra_cdk.environment_config import EnvironmentConfig, FullEnvironmentConfig
from infra_cdk.nag import acknowledge

_MISSING: Final = cloudwatch.TreatMissingData
_BELOW: Final = cloudwatch.ComparisonOperator.LESS_THAN_THRESHOLD
_SILENT: Final = {
    "NIST.800.53.R5-CloudWatchAlarmAction": (
        "It speaks through the composite alarms: one cause is one message."
    )
}
# The alarms of one incident speak through one composite, so that it is one message and one
# all-clear; another incident meanwhile is another message. What may cost data speaks for itself.
CONTROLLER, CONNECTOR, ITSELF, NOTICE = "PageController", "PageConnector", "", "Notice"
_SAYS: Final = {
    CONTROLLER: "Somebody must look now: nobody looks after the connector, or what we know is old.",
    CONNECTOR: "Somebody must look now: a connector does not do its work.",
    NOTICE: "Somebody should look within a day.",
}
_CATCHING_UP: Final = cdk.Duration.minutes(15)  # of a connector whose worker was away
_CONTROLLER_MIB: Final = 74  # what it takes beside the worker (docs/performance.md)
_FROM: Final = cloudwatch.ComparisonOperator.GREATER_THAN_OR_EQUAL_TO_THRESHOLD


@dataclass(frozen=True, slots=True)
class AlarmRule:
    """One alarm as data; `of` of the newest `within` minutes must breach."""

    name: str
    metric: published.Published
    threshold: Callable[[EnvironmentConfig], float]
    says: str
    statistic: str = "Maximum"
    of: int = 3
    within: int = 5
    below: bool = False
    missing: cloudwatch.TreatMissingData = _MISSING.IGNORE  # a missing pulse has its own alarm
    incident: str = CONNECTOR

    @property
    def pages(self) -> bool:
        return self.incident != NOTICE


def _always(value: float) -> Callable[[EnvironmentConfig], float]:
    return lambda _sizes: value


RULES: Final = (
    AlarmRule(
        "PulseMissing",
        published.PULSE,
        _always(1),
        "The controller has shown no sign of life for five minutes: nobody looks after the "
        "connector, and every other alarm is blind. Look at the task and at the controller's log.",
        statistic="SampleCount",
        of=5,
        below=True,
        missing=_MISSING.BREACHING,
        incident=CONTROLLER,
    ),
    AlarmRule(
        "NoActiveController",
        published.ACTIVE,
        _always(1),
        "For five minutes no controller has been entitled to act, and nobody froze the stage: none "
        "holds the lease, or there is no state store or no good revision. `wmsctl status` says "
        "which.",
        of=5,
        below=True,
        incident=CONTROLLER,
    ),
    AlarmRule(
        "ConnectDown",
        published.CONNECT_UP,
        _always(1),
        "Connect does not answer the controller beside it.",
        statistic="Minimum",
        of=5,
        below=True,
        incident=CONTROLLER,
    ),
    AlarmRule(
        "NotReady",
        published.NOT_READY,
        _always(1),
        "A connector that is declared running has not run for a quarter of an hour. "
        "`wmsctl status` says why.",
        of=15,
        within=15,
    ),
    AlarmRule(
        "NotHealthyNow",
        published.NOT_HEALTHY_NOW,
        _always(1),
        "A login is refused or a position is lost: no waiting heals it. `wmsctl explain` says what "
        "to do.",
        of=1,
        within=1,
        incident=ITSELF,
    ),
    AlarmRule(
        "NotHealthy",
        published.NOT_HEALTHY,
        _always(1),
        "A connector has got nowhere for a quarter of an hour, whatever Connect says of it. "
        "`wmsctl explain` says why.",
        of=15,
        within=15,
    ),
    AlarmRule(
        "Lag",
        published.LAG,
        lambda sizes: sizes.lag_seconds,
        "Kafka is further behind the database than this stage allows.",
        of=5,
    ),
    AlarmRule(
        "HeartbeatSilent",
        published.HEARTBEAT_AGE,
        lambda sizes: sizes.heartbeat_seconds,
        "Debezium has written no heartbeat for a long time: it captures nothing.",
        of=5,
    ),
    AlarmRule(
        "RedoEnding",
        published.REDO_LEFT,
        _always(14_400),
        "The database soon deletes the redo that a connector must read from. `wmsctl status` says "
        "when; ask the DBA to keep it until the connector got on.",
        statistic="Minimum",
        below=True,
        incident=ITSELF,
    ),
    AlarmRule(
        "RestartsSpent",
        published.RESTARTS_SPENT,
        _always(1),
        "The controller restarts a connector no more: restarting did not help. `wmsctl explain` "
        "says what fails.",
        of=1,
        within=1,
    ),
    AlarmRule(
        "ObservationStale",
        published.OBSERVATION_AGE,
        _always(600),
        "Nothing has been observed completely for ten minutes: what is shown is old.",
        incident=CONTROLLER,
    ),
    AlarmRule(
        "RevisionStale",
        published.REVISION_STALE,
        _always(900),
        "The newest manifests are refused; the ones before stay in force. "
        "`wmsctl validate` says what is wrong with them.",
        incident=NOTICE,
    ),
    AlarmRule(
        "Held",
        published.HELD,
        _always(900),
        "Something has waited for a person for a quarter of an hour. `wmsctl status` says what "
        "and why.",
        incident=NOTICE,
    ),
    AlarmRule(
        "NotActing",
        published.NOT_ACTING,
        _always(3600),
        "Something has been left alone for an hour: frozen, suspended, contended, or without a "
        "state store or a history. `wmsctl status` says which, since when and why.",
        incident=NOTICE,
    ),
    AlarmRule(
        "NotSynced",
        published.NOT_SYNCED,
        _always(1),
        "A connector has not been as declared for a quarter of an hour.",
        of=15,
        within=15,
        incident=NOTICE,
    ),
)


class Alarms(Construct):
    """Alarms, and those that speak: each of what may cost data, a composite of each other incident.

    The alarms below a composite say at what to look.
    """

    def __init__(
        self, scope: Construct, config: FullEnvironmentConfig, topic: sns.ITopic, cluster_arn: str
    ) -> None:
        super().__init__(scope, "Alarms")
        self._config = config
        self._names = AwsNames(config.stage)
        alarms = {rule: self._add_rule(rule) for rule in RULES}
        told = {says: [a for r, a in alarms.items() if r.incident == says] for says in _SAYS}
        told[NOTICE] += [self._add_utilization(name) for name in ("Memory", "Cpu")]
        away = next(alarm for rule, alarm in alarms.items() if rule.metric is published.CONNECT_UP)
        composites = [
            self._add_composite(says, of, away if says == CONNECTOR else None)
            for says, of in told.items()
        ]
        alone = [alarm for rule, alarm in alarms.items() if rule.incident == ITSELF]
        self.speaking: tuple[cloudwatch.AlarmBase, ...] = (*alone, *composites)
        for alarm in self.speaking:
            alarm.add_alarm_action(actions.SnsAction(topic))
            alarm.add_ok_action(actions.SnsAction(topic))
        self._add_events(topic, cluster_arn)

    def _add_rule(self, rule: AlarmRule) -> cloudwatch.Alarm:
        alarm = cloudwatch.Alarm(
            self,
            rule.name,
            alarm_name=self._names.alarm(rule.name),
            alarm_description=rule.says,
            metric=stage_metric(self._config, rule.metric, rule.statistic),
            threshold=rule.threshold(self._config.sizes),
            comparison_operator=_BELOW if rule.below else _FROM,
            datapoints_to_alarm=rule.of,
            evaluation_periods=rule.within,
            treat_missing_data=rule.missing,
        )
        if rule.incident != ITSELF:
            acknowledge(alarm, _SILENT)
        return alarm

    def _add_utilization(self, what: str) -> cloudwatch.Alarm:
        name = f"{what}High"
        percent = utilization_limit(self._config.sizes, what)
        alarm = cloudwatch.Alarm(
            self,
            name,
            alarm_name=self._names.alarm(name),
            alarm_description=(
                f"The task has used {percent} % of its {what.lower()} for ten minutes."
            ),
            metric=utilization(self._config, what),
            threshold=percent,
            comparison_operator=_FROM,
            datapoints_to_alarm=10,
            evaluation_periods=10,
            treat_missing_data=_MISSING.IGNORE,
        )
        acknowledge(alarm, _SILENT)
        return alarm

    def _add_composite(
        self, name: str, alarms: list[cloudwatch.Alarm], cause: cloudwatch.Alarm | None
    ) -> cloudwatch.CompositeAlarm:
        """While `cause` rings, what follows from it sends nothing, and a while afterwards."""
        return cloudwatch.CompositeAlarm(
            self,
            name,
            composite_alarm_name=self._names.alarm(name),
            alarm_description=f"{_SAYS[name]} The alarms below it say at what.",
            actions_suppressor=cause,
            actions_suppressor_extension_period=_CATCHING_UP if cause else None,
            alarm_rule=cloudwatch.AlarmRule.any_of(
                *(
                    cloudwatch.AlarmRule.from_alarm(alarm, cloudwatch.AlarmState.ALARM)
                    for alarm in alarms
                )
            ),
        )

    def _add_events(self, topic: sns.ITopic, cluster_arn: str) -> None:
        """Tell of tasks that stopped though nobody asked, and of deployments that failed."""
        events.Rule(
            self,
            "TaskStopped",
            rule_name=self._names.alarm("TaskStopped"),
            event_pattern=events.EventPattern(
                source=["aws.ecs"],
                detail_type=["ECS Task State Change"],
                detail={
                    "clusterArn": [cluster_arn],
                    "lastStatus": ["STOPPED"],
                    "stopCode": [{"anything-but": ["UserInitiated", "ServiceSchedulerInitiated"]}],
                    # A teardown ends by itself; what became of it is its stack's to say.
                    "group": [f"service:{self._config.stage.service}"],
                },
            ),
            targets=[
                targets.SnsTopic(
                    topic,
                    message=events.RuleTargetInput.from_text(
                        f"A task of {self._config.stage.service} stopped "
                        f"({events.EventField.from_path('$.detail.stopCode')}): "
                        f"{events.EventField.from_path('$.detail.stoppedReason')}"
                    ),
                )
            ],
        )
        events.Rule(
            self,
            "DeploymentFailed",
            rule_name=self._names.alarm("DeploymentFailed"),
            event_pattern=events.EventPattern(
                source=["aws.ecs"],
                detail_type=["ECS Deployment State Change"],
                resources=[
                    cdk.Stack.of(self).format_arn(
                        service="ecs",
                        resource="service",
                        resource_name=f"{self._names.cluster}/{self._config.stage.service}",
                    )
                ],
                detail={"eventName": ["SERVICE_DEPLOYMENT_FAILED"]},
            ),
            targets=[
                targets.SnsTopic(
                    topic,
                    message=events.RuleTargetInput.from_text(
                        f"A deployment of {self._config.stage.service} failed: "
                        f"{events.EventField.from_path('$.detail.reason')}"
                    ),
                )
            ],
        )


def stage_metric(
    config: FullEnvironmentConfig, metric: published.Published, statistic: str
) -> cloudwatch.Metric:
    return cloudwatch.Metric(
        namespace=published.NAMESPACE,
        metric_name=metric.name,
        dimensions_map={published.STAGE: config.stage.name},
        statistic=statistic,
        period=cdk.Duration.minutes(1),
    )


def utilization_limit(sizes: EnvironmentConfig, what: str) -> int:
    """Tell from which percentage of the task on somebody is told.

    Of memory it is where the worker reaches nine tenths of its own limit, at which it is killed:
    that limit is below the task's.
    """
    if what == "Cpu":
        return 80
    worker = 0.9 * sizes.connect_container_memory
    return int(100 * (worker + _CONTROLLER_MIB) / sizes.task_memory)


def utilization(config: FullEnvironmentConfig, what: str) -> cloudwatch.Metric:
    return cloudwatch.Metric(
        namespace="AWS/ECS",
        metric_name={"Memory": "MemoryUtilization", "Cpu": "CPUUtilization"}[what],
        dimensions_map={
            "ClusterName": AwsNames(config.stage).cluster,
            "ServiceName": config.stage.service,
        },
        statistic="Maximum",
        period=cdk.Duration.minutes(1),
    )
