"""What the leader leaves in its status is what `plan` and `explain` would say on the spot."""

from __future__ import annotations

import json
from typing import Any

from controller.console_plan import plan_lines
from controller.core.examination import tell_state
from controller.core.model import ObservedConnector, connector_key, topic_key
from controller.core.plan_report import plan_data
from controller.cycle_report import CycleReport
from controller.description import describe
from controller.leader_view import LeaderView, examination_by, plan_told, troubles
from tests.make import NAME, topic
from tests.sim.world import DATA, Controller, SimWorld

KEY = connector_key(NAME)
REFUSED = (
    "org.apache.kafka.connect.errors.ConnectException: the row of MAGNOLIA STREET\n"
    "Caused by: java.sql.SQLException: ORA-01017: invalid username/password; logon denied\n"
)


def view(report: CycleReport) -> LeaderView:
    """Send the status through the store as text, and read it on another machine."""
    document = json.loads(json.dumps(describe(report, None, None)))
    return LeaderView(document, "table t", 3.0)


def newest(controller: Controller) -> CycleReport:
    report = controller.reconciler.report
    assert report is not None
    return report


def kept_for(world: SimWorld, retention: str) -> None:
    config = {"retention.ms": retention}
    kept = topic(DATA, replication_factor=3, config=config, generation=retention)
    world.commit(topics=(kept, *world.declared_topics()[1:]))


def test_the_leaders_plan_is_the_plan_at_every_moment_of_a_start() -> None:
    world = SimWorld()
    controller = Controller(world)
    symbols = set()
    for _ in range(12):
        controller.run(1)
        report = newest(controller)
        told = plan_told(view(report))
        ours = json.loads(json.dumps(plan_data(report.plan, report.world)))
        assert told.pop("leader")
        assert told == ours
        assert list(plan_lines(told)) == list(plan_lines(ours))
        symbols |= {line[2:4] for line in plan_lines(ours)}
    assert symbols >= {"+ ", ". "}
    assert list(plan_lines(ours))[-1].startswith("No changes.")


def test_what_is_held_is_told_with_its_risk_its_consequence_and_its_id() -> None:
    world = SimWorld()
    kept_for(world, "604800000")
    controller = Controller(world)
    controller.settle()
    kept_for(world, "1000")
    controller.run(2)
    report = newest(controller)
    told: Any = plan_told(view(report))
    [step] = [one for one in told["steps"] if one["resource"] == str(topic_key(DATA))]
    assert (step["decision"], step["reason"]) == ("Stall", "AcceptanceRequired")
    assert step["risk"] == "data-loss"
    assert step["act"]["action"] in step["message"]
    lines = list(plan_lines(told))
    assert any(step["act"]["action"] in line for line in lines)
    assert f"      -> {step['consequence']}" in lines
    assert lines[-1] == "Plan: 0 to create, 1 to change, 0 to delete. 1 of them held back."


def test_a_diagnosis_is_told_and_no_text_of_the_worker() -> None:
    world = SimWorld()
    controller = Controller(world)
    controller.settle()
    world.connect.world.fail_task(NAME, REFUSED)
    controller.run(1)
    report = newest(controller)
    found = examination_by(view(report), KEY)
    seen = report.world.connectors.get(KEY)
    assert isinstance(seen, ObservedConnector)
    assert found.state == tell_state(seen)
    assert found.explanation.failure == "LoginRefused"
    assert found.explanation.diagnosis.codes == ("ORA-01017",)
    assert "MAGNOLIA" not in json.dumps(view(report).document)


def test_a_connector_that_is_well_suffers_from_nothing() -> None:
    world = SimWorld()
    controller = Controller(world)
    controller.settle()
    found = examination_by(view(newest(controller)), KEY)
    assert found.symptom is None
    assert "nothing that could be seen" in list(found.lines())[-1]


def test_a_leader_that_sees_everything_has_no_trouble_and_an_old_one_has() -> None:
    world = SimWorld()
    controller = Controller(world)
    controller.settle()
    good = view(newest(controller))
    assert list(troubles(good)) == []
    [old] = troubles(LeaderView(good.document, good.source, 4000.0))
    assert "is the service running?" in old
