"""The four dashboards: controller, connectors, Oracle LogMiner, Connect worker."""

from __future__ import annotations

from typing import Final

from controller.core import lag_metric, metric
from controller.core.metric_family import Metric
from dashboards.catalog import TARGET, debezium, source_task, worker
from dashboards.panel import STAGE, Board, panel

ORACLE: Final = f'plugin="oracle",{STAGE}'
STREAMING: Final = f'context="streaming",{ORACLE}'
SNAPSHOT: Final = f'context="snapshot",{ORACLE}'


def of(family: Metric, matchers: str = "") -> str:
    """Select a family of ours in the chosen stages."""
    return f"{family.name}{{{', '.join(filter(None, (matchers, STAGE)))}}}"


def rate(family: Metric, matchers: str = "") -> str:
    return f"rate({of(family, matchers)}[$__rate_interval])"


def reason_of(matchers: str, status: str) -> str:
    """Select the reasons of those conditions that have this status."""
    having = of(metric.CONDITION, f'{matchers}, status="{status}"')
    reasons = of(metric.CONDITION_REASON, matchers)
    return f"{reasons} and ignoring (reason, status) ({having} == 1)"


def streaming(attribute: str) -> str:
    return f"{debezium(attribute)}{{{STREAMING}}}"


def snapshot(attribute: str) -> str:
    return f"{debezium(attribute)}{{{SNAPSHOT}}}"


def total(expression: str, *labels: str) -> str:
    return f"sum by (stage{''.join(f', {label}' for label in labels)}) ({expression})"


CONTROLLER: Final = Board(
    "wms-controller",
    "WMS controller",
    "Is the controller alive, what does it do, and what keeps it from acting?",
    (
        (
            "Alive",
            (
                panel(
                    "Pulse age",
                    "Seconds since the loop last turned. Beyond three intervals nobody looks after "
                    "the connector.",
                    (f"time() - {of(metric.PULSE)}", "{{stage}}"),
                    unit="s",
                    figure=True,
                    width=6,
                ),
                panel(
                    "Entitled to act",
                    "Controllers that may act; those beside them stand by. At 0 nobody does.",
                    (total(of(metric.ACTIVE)), "{{stage}}"),
                    figure=True,
                    width=4,
                ),
                panel(
                    "Last good cycle",
                    "Seconds since a cycle ended without any fault.",
                    (f"time() - {of(metric.LAST_SUCCESS)}", "{{stage}}"),
                    unit="s",
                    figure=True,
                    width=5,
                ),
                panel(
                    "Waiting or stalled",
                    "Steps that are held now, whatever holds them.",
                    (total(of(metric.HELD)), "{{stage}}"),
                    figure=True,
                    width=5,
                ),
                panel(
                    "Newest manifests refused",
                    "1 while the newest manifests are bad; those before stay in force.",
                    (of(metric.REVISION_STALE), "{{stage}}"),
                    figure=True,
                    width=4,
                ),
                panel(
                    "Cycles",
                    "Cycles a second by result; crashed is a bug of ours.",
                    (total(rate(metric.CYCLES), "result"), "{{stage}} {{result}}"),
                    unit="cps",
                ),
                panel(
                    "Duration of a cycle",
                    "Half and 95 of a hundred cycles are shorter than this.",
                    *(
                        (
                            (
                                f"histogram_quantile({quantile}, sum by (stage, le) (rate("
                                f"{metric.CYCLE_SECONDS.name}_bucket{{{STAGE}}}[$__rate_interval])))"
                            ),
                            f"{{{{stage}}}} {quantile}",
                        )
                        for quantile in (0.5, 0.95)
                    ),
                    unit="s",
                ),
            ),
        ),
        (
            "What it does",
            (
                panel(
                    "Actions",
                    "Actions in five minutes by kind; a quiet stage shows none.",
                    (
                        total(f"increase({of(metric.ACTIONS)}[5m])", "action", "result") + " > 0",
                        "{{action}} {{result}}",
                    ),
                ),
                panel(
                    "Drift",
                    "Differences that somebody made, in an hour by resource.",
                    (
                        f"increase({of(metric.DRIFT)}[1h]) > 0",
                        "{{kind}}/{{name}}",
                    ),
                ),
                panel(
                    "Held, by reason",
                    "What keeps steps from being taken: a person, a rule, a fault.",
                    (f"{of(metric.HELD)} > 0", "{{stage}} {{reason}}"),
                ),
                panel(
                    "Not acting, by reason",
                    "For how long something has been left alone, the oldest case.",
                    (f"{of(metric.NOT_ACTING)} > 0", "{{stage}} {{reason}}"),
                    unit="s",
                ),
                panel(
                    "Faults",
                    "Faults of other systems in five minutes.",
                    (
                        total(f"increase({of(metric.FAULTS)}[5m])", "system", "reason") + " > 0",
                        "{{system}} {{reason}}",
                    ),
                ),
                panel(
                    "Requests",
                    "What a cycle asks of other systems.",
                    (total(rate(metric.REQUESTS), "system"), "{{stage}} {{system}}"),
                    unit="reqps",
                ),
                panel(
                    "Orphans",
                    "What is ours and no manifest declares any more.",
                    (of(metric.ORPHANS), "{{stage}}"),
                ),
            ),
        ),
    ),
)
CONNECTORS: Final = Board(
    "wms-connectors",
    "WMS connectors: health and lag",
    "Is each connector as declared, running, getting somewhere, and how far behind is the data?",
    (
        (
            "Health",
            (
                panel(
                    "Conditions that do not hold",
                    "Synced: as declared. Ready: running. Healthy: getting somewhere. A line is a "
                    "condition that does not hold and its reason; `wmsctl status` says more.",
                    (
                        reason_of('kind="connector", condition!="Stalled"', "False"),
                        "{{name}} not {{condition}}: {{reason}}",
                    ),
                    (
                        reason_of('condition="Stalled"', "True"),
                        "{{kind}}/{{name}} waits for a person: {{reason}}",
                    ),
                ),
                panel(
                    "Not acting",
                    "How long nothing has been done, by reason: frozen, suspended, contended, ...",
                    (f"{of(metric.NOT_ACTING)} > 0", "{{reason}}"),
                    unit="s",
                ),
                panel(
                    "Restarts",
                    "In an hour, by failure and by what came of them.",
                    (
                        f"increase({of(metric.RESTARTS)}[1h]) > 0",
                        "{{reason}} {{result}}",
                    ),
                ),
                panel(
                    "Restarts left",
                    "Of this Connect cluster's budget, which grows again within five minutes.",
                    (of(metric.RESTARTS_LEFT), "{{stage}}"),
                ),
            ),
        ),
        (
            "Lag",
            (
                panel(
                    "Lag",
                    "How far Kafka is behind the database. It grows while a pipeline is dead and "
                    "stays small while the source is quiet.",
                    (of(lag_metric.LAG), "{{name}}"),
                    unit="s",
                ),
                panel(
                    "Age of the heartbeat",
                    "Small while the connector lives, whatever the tables do.",
                    (of(lag_metric.HEARTBEAT_AGE), "{{name}}"),
                    unit="s",
                ),
                panel(
                    "Lag by topic",
                    "Where one captured table is behind and the others are not.",
                    (of(lag_metric.TOPIC_LAG), "{{topic}}"),
                    unit="s",
                ),
                panel(
                    "Age of the newest record",
                    "Of each captured topic. A quiet table's grows, and nothing is wrong.",
                    (of(lag_metric.TOPIC_AGE), "{{topic}}"),
                    unit="s",
                ),
                panel(
                    "What is seen of the lag",
                    "1 for each source of the number that could be read.",
                    (of(lag_metric.LAG_SEEN), "{{name}} {{sign}}"),
                ),
                panel(
                    "Containers",
                    "Restarts of the containers of this task, and those killed for memory.",
                    (of(lag_metric.CONTAINER_RESTARTS), "{{container}} restarts"),
                    (of(lag_metric.OUT_OF_MEMORY), "{{container}} out of memory"),
                ),
            ),
        ),
    ),
)
LOGMINER: Final = Board(
    "wms-oracle-logminer",
    "WMS Oracle LogMiner",
    "How far LogMiner has read, what holds it back, and when redo would be lost.",
    (
        (
            "Position",
            (
                panel(
                    "SCN not yet passed on",
                    "Distance from the database's newest SCN to the committed offset. Flat and "
                    "high is slow; rising without end is stuck.",
                    (f"{streaming('CurrentScn')} - {streaming('OffsetScn')}", "{{server}} offset"),
                    (f"{streaming('CurrentScn')} - {streaming('OldestScn')}", "{{server}} oldest"),
                ),
                panel(
                    "SCN",
                    "The database's newest, the committed, the offset, the oldest transaction's.",
                    *(
                        (streaming(name), f"{{{{server}}}} {name}")
                        for name in ("CurrentScn", "CommittedScn", "OffsetScn", "OldestScn")
                    ),
                ),
                panel(
                    "Age of the oldest transaction",
                    "The offset cannot pass it. Beyond the archive logs' retention the position is "
                    "lost at the next restart.",
                    (streaming("OldestScnAgeInMilliseconds"), "{{server}}"),
                    unit="ms",
                ),
                panel(
                    "Redo left",
                    "How long a connector that stands still keeps its position, by the newest look "
                    "at the database; two days are good.",
                    (of(lag_metric.REDO_LEFT), "{{name}}"),
                    unit="s",
                ),
                panel(
                    "Offset frozen",
                    "How often in a row LogMiner came no further; beyond 0 it stands still.",
                    (streaming("ScnFreezeCount"), "{{server}}"),
                ),
                panel(
                    "Behind the source",
                    "Of the newest event; it keeps its value while nothing happens.",
                    (streaming("MilliSecondsBehindSource"), "{{server}} behind"),
                    (streaming("MilliSecondsSinceLastEvent"), "{{server}} since the last event"),
                    unit="ms",
                ),
                panel(
                    "Lost for good",
                    "Transactions given up and events that could not be read: captured by nobody.",
                    (streaming("AbandonedTransactionCount"), "{{server}} abandoned"),
                    (streaming("NumberOfErroneousEvents"), "{{server}} erroneous"),
                ),
            ),
        ),
        (
            "Work",
            (
                panel(
                    "Fetch and batch",
                    "Time of the newest query of LogMiner and of the batch that it gave.",
                    (streaming("LastDurationOfFetchQueryInMilliseconds"), "{{server}} fetch"),
                    (streaming("LastBatchProcessingTimeInMilliseconds"), "{{server}} batch"),
                    unit="ms",
                ),
                panel(
                    "Log switches",
                    "In an hour. Many small logs make mining slow.",
                    (f"increase({streaming('LogSwitchCount')}[1h])", "{{server}}"),
                ),
                panel(
                    "Changes",
                    "Captured from the log, and passed on as events, a second.",
                    (f"rate({streaming('TotalCapturedDmlCount')}[$__rate_interval])", "captured"),
                    (f"rate({streaming('TotalNumberOfEventsSeen')}[$__rate_interval])", "seen"),
                    unit="ops",
                ),
                panel(
                    "Open transactions",
                    "Those that LogMiner keeps, and their events in memory.",
                    (streaming("NumberOfActiveTransactions"), "{{server}} transactions"),
                    (streaming("NumberOfEventsInBuffer"), "{{server}} events"),
                ),
                panel(
                    "Queue towards Kafka",
                    "Used share. Near 1 Kafka is what is slow.",
                    (
                        (
                            f"1 - {streaming('QueueRemainingCapacity')} / "
                            f"{streaming('QueueTotalCapacity')}"
                        ),
                        "{{server}}",
                    ),
                    unit="percentunit",
                ),
                panel(
                    "Errors and warnings",
                    "Counted by LogMiner's own reader.",
                    (streaming("ErrorCount"), "{{server}} errors"),
                    (streaming("WarningCount"), "{{server}} warnings"),
                ),
            ),
        ),
        (
            "Snapshot",
            (
                panel(
                    "Tables left",
                    "Of those that the snapshot reads; no line while there is none.",
                    (snapshot("RemainingTableCount"), "{{server}} left"),
                    (snapshot("TotalTableCount"), "{{server}} in all"),
                ),
                panel(
                    "Rows read",
                    "Sum over the tables, while a snapshot runs.",
                    (f"sum by (server) ({snapshot('RowsScanned')})", "{{server}}"),
                    (snapshot("SnapshotRunning"), "{{server}} running"),
                ),
            ),
        ),
    ),
)
WORKER: Final = Board(
    "wms-connect-worker",
    "WMS Connect worker",
    "What the worker beside the controller does.",
    (
        (
            "Worker",
            (
                panel(
                    "Targets",
                    "1 while Prometheus can scrape the controller and the worker's JMX agent.",
                    (f"{TARGET}{{{STAGE}}}", "{{job}} {{instance}}"),
                ),
                panel(
                    "Connectors and tasks",
                    "On this worker. No task while a connector is declared running is a failure.",
                    (f"{worker('connector-count')}{{{STAGE}}}", "connectors"),
                    (f"{worker('task-count')}{{{STAGE}}}", "tasks"),
                ),
                panel(
                    "Failed starts",
                    "In an hour.",
                    (
                        f"increase({worker('connector-startup-failure-total')}{{{STAGE}}}[1h])",
                        "connectors",
                    ),
                    (f"increase({worker('task-startup-failure-total')}{{{STAGE}}}[1h])", "tasks"),
                ),
                panel(
                    "Records",
                    "Polled from the source and written to Kafka, a second.",
                    *(
                        (
                            (
                                f"rate({source_task(f'source-record-{what}-total')}{{{STAGE}}}"
                                "[$__rate_interval])"
                            ),
                            f"{{{{connector}}}} {what}",
                        )
                        for what in ("poll", "write")
                    ),
                    unit="ops",
                ),
                panel(
                    "Records under way",
                    "Polled and not yet acknowledged. Standing above zero without writes: Kafka "
                    "does not take them.",
                    (
                        f"{source_task('source-record-active-count')}{{{STAGE}}}",
                        "{{connector}}",
                    ),
                ),
                panel(
                    "Time of a poll",
                    "Average of the source's batches.",
                    (f"{source_task('poll-batch-avg-time-ms')}{{{STAGE}}}", "{{connector}}"),
                    unit="ms",
                ),
            ),
        ),
    ),
)

BOARDS: Final = (CONTROLLER, CONNECTORS, LOGMINER, WORKER)
