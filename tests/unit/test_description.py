from __future__ import annotations

from controller.core.model import ABSENT, Json, ObservedConnector, Snapshot
from controller.description import describe_secrets
from tests import make

OLD, NEW = make.version("v1"), make.version("v2", fields={"password": "wrong"})
SECRETS = {"dbInfo": make.secret(NEW, OLD), "brokerString": make.broker_secret()}


def told(**changes: object) -> dict[str, Json]:
    found = describe_secrets(make.world(secrets=SECRETS, **changes))["dbInfo"]
    assert isinstance(found, dict)
    return found


def test_a_new_version_that_no_connector_names_is_not_in_use() -> None:
    observed = make.observed_connector(make.rendered("v1"))
    seen = told(connectors=Snapshot({observed.key: observed}))
    assert (seen["version"], seen["versions"]) == ("v2", ["v1"])


def test_without_a_connector_no_version_is_in_use_and_without_a_look_nobody_knows() -> None:
    absent: Snapshot[ObservedConnector] = Snapshot({make.observed_connector().key: ABSENT})
    assert told(connectors=absent)["versions"] == []
    assert told(connectors=Snapshot(fault=make.AWAY))["versions"] is None


def test_the_brokers_secret_is_used_by_ourselves() -> None:
    found = describe_secrets(make.world(secrets=SECRETS))["brokerString"]
    assert isinstance(found, dict)
    assert found["versions"] == [found["version"]]
