"""Who may talk to whom: out to the database, the brokers and AWS, in from nobody but workers.

The rules that let a stage in at the brokers and the database are the stack's own: they are there
before the first task, go with the stack, and a group that another one's rule still names cannot be
deleted (repost.aws/knowledge-center/troubleshoot-delete-vpc-sg).
"""

from __future__ import annotations

import aws_cdk as cdk
from aws_cdk import aws_ec2 as ec2
from constructs import Construct

from infra_cdk.container import CONNECT_PORT, METRICS_PORT
from infra_cdk.environment_config import KAFKA_PORTS, FullEnvironmentConfig
from infra_cdk.nag import acknowledge


class Network(Construct):
    """The account's VPC and the groups of this stage; a VPC is never made here."""

    def __init__(self, scope: Construct, config: FullEnvironmentConfig) -> None:
        super().__init__(scope, "Network")
        self.vpc = ec2.Vpc.from_vpc_attributes(
            self,
            "Vpc",
            vpc_id=config.vpc.vpc_id,
            # Only tokens of the account know the zones; subnets are always named one by one.
            availability_zones=[f"{config.region}{letter}" for letter in "abc"],
        )
        subnets = [
            ec2.Subnet.from_subnet_id(self, f"Subnet{number}", subnet_id)
            for number, subnet_id in enumerate(config.vpc.task_subnets)
        ]
        for subnet in subnets:
            acknowledge(
                subnet, {"@aws-cdk/aws-ec2:noSubnetRouteTableId": "No route is added to it."}
            )
        self.subnets = ec2.SubnetSelection(subnets=subnets)
        self.task_group = self._make_task_group(config)
        self.teardown_group = self._make_teardown_group(config) if config.stage.ephemeral else None
        if config.deployment.ingress == "stack":
            self._let_in(config)

    def _make_task_group(self, config: FullEnvironmentConfig) -> ec2.SecurityGroup:
        group = self._make_group("Task", f"Worker and controller of {config.stage.service}")
        for address in config.deployment.oracle:
            group.add_egress_rule(
                ec2.Peer.ipv4(address.cidr), ec2.Port.tcp(address.port), "Oracle listener"
            )
        self._allow_kafka_and_aws(group, config)
        if config.sizes.workers > 1:
            group.add_ingress_rule(group, ec2.Port.tcp(CONNECT_PORT), "Workers of this stage")
            group.add_egress_rule(group, ec2.Port.tcp(CONNECT_PORT), "Workers of this stage")
        scraper = config.deployment.scrape_security_group
        if scraper is not None:
            group.add_ingress_rule(
                ec2.Peer.security_group_id(scraper), ec2.Port.tcp(METRICS_PORT), "Prometheus"
            )
        return group

    def _make_teardown_group(self, config: FullEnvironmentConfig) -> ec2.SecurityGroup:
        group = self._make_group("Teardown", f"Teardown of {config.stage.service}")
        self._allow_kafka_and_aws(group, config)
        return group

    def _let_in(self, config: FullEnvironmentConfig) -> None:
        deployment = config.deployment
        port = KAFKA_PORTS[deployment.kafka_security]
        self._add_ingress("TaskToBrokers", deployment.msk_security_group, self.task_group, port)
        if self.teardown_group is not None:
            self._add_ingress(
                "TeardownToBrokers", deployment.msk_security_group, self.teardown_group, port
            )
        databases = dict.fromkeys((a.security_group, a.port) for a in deployment.oracle)
        for number, (group, listener) in enumerate(databases):
            if group is not None:
                self._add_ingress(f"TaskToOracle{number}", group, self.task_group, listener)

    def _add_ingress(self, name: str, group: str, source: ec2.SecurityGroup, port: int) -> None:
        ec2.CfnSecurityGroupIngress(
            self,
            name,
            group_id=group,
            source_security_group_id=source.security_group_id,
            ip_protocol="tcp",
            from_port=port,
            to_port=port,
            description=cdk.Stack.of(self).stack_name,
        )

    def _make_group(self, purpose: str, description: str) -> ec2.SecurityGroup:
        return ec2.SecurityGroup(
            self, f"{purpose}Group", vpc=self.vpc, allow_all_outbound=False, description=description
        )

    def _allow_kafka_and_aws(self, group: ec2.SecurityGroup, config: FullEnvironmentConfig) -> None:
        deployment = config.deployment
        group.add_egress_rule(
            ec2.Peer.security_group_id(deployment.msk_security_group),
            ec2.Port.tcp(KAFKA_PORTS[deployment.kafka_security]),
            "Brokers",
        )
        for endpoint in deployment.endpoint_security_groups:
            group.add_egress_rule(
                ec2.Peer.security_group_id(endpoint), ec2.Port.tcp(443), "VPC endpoints"
            )
        for prefix_list in deployment.gateway_prefix_lists:
            group.add_egress_rule(
                ec2.Peer.prefix_list(prefix_list), ec2.Port.tcp(443), "S3 and DynamoDB"
            )
