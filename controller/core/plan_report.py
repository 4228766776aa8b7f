"""A plan as data: for `plan -o json`, and for those who see it in the leader's status only."""

from __future__ import annotations

from controller.core.accept import ACCEPTABLE, action_id
from controller.core.action import is_own
from controller.core.decision import Act, Converged
from controller.core.diff import Change, redact_value
from controller.core.history import changes_of
from controller.core.model import Json
from controller.core.plan import Plan
from controller.core.step import Step
from controller.core.world import World


def step_data(step: Step) -> dict[str, Json]:
    """Tell the decision, and what would be done by it, held back or not."""
    decision = step.decision
    found: dict[str, Json] = {
        "resource": str(step.key),
        "decision": type(decision).__name__,
        "reason": decision.reason,
        "message": decision.message,
    }
    if isinstance(decision, Act):
        return found | _act_data(decision, None)
    if isinstance(decision, Converged) or decision.held is None:
        return found
    held = decision.held
    wanted = action_id(step.key, held) if held.risk in ACCEPTABLE else None
    return found | _act_data(held, wanted)


def _act_data(act: Act, wanted: str | None) -> dict[str, Json]:
    return {
        "act": {"reason": act.reason, "message": act.message, "action": wanted},
        "difference": str(act.difference),
        "risk": str(act.risk),
        "consequence": act.consequence,
        "actions": [type(action).__name__ for action in act.actions],
        "ownSide": all(is_own(action) for action in act.actions),
        "changes": [_change_data(change) for change in changes_of(act)],
    }


def _change_data(change: Change) -> Json:
    return {
        "field": change.field,
        "before": None if change.before is None else redact_value(change.field, change.before),
        "after": None if change.after is None else redact_value(change.field, change.after),
    }


def plan_counts(plan: Plan) -> dict[str, Json]:
    """Count what would change Kafka or Connect; own-side steps are not counted."""
    changes = list(plan.changes())
    return {
        "create": sum(act.reason == "Create" for _, act in changes),
        "change": sum(act.reason != "Create" for _, act in changes),
        "held": sum(not isinstance(step.decision, Act) for step, _ in changes),
    }


def plan_data(plan: Plan, world: World) -> dict[str, Json]:
    """Tell a plan as data: every step, the changes with their risk, the counts."""
    revision = world.revision
    return {
        "stage": world.stage.name,
        "revision": None if revision is None else revision.id,
        "commit": None if revision is None else revision.commit,
        "steps": [step_data(step) for step in plan.steps],
        "orphans": [str(key) for key in plan.orphans],
        **plan_counts(plan),
    }
