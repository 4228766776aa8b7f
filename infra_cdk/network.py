"""Who may talk to whom: out to the database, the brokers and AWS, in from nobody but workers."""

from __future__ import annotations

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
