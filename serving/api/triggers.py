"""Cycles that nobody has to ask for."""

from fastapi import APIRouter

from loop.cycle.triggers import TriggerStatus
from loop.domain.policy.triggers import rules_to_json, rules_version
from serving.api.auth import Operator, Wired
from serving.api.schemas.triggers import ConditionOut, SituationOut, TriggerRulesOut, TriggersIn, TriggersOut

router = APIRouter(prefix="/v1/projects/{project_id}/triggers", tags=["models and cycles"])


@router.get("")
def triggers(project_id: str, token: Operator, wired: Wired) -> TriggersOut:
    """What asks for a cycle by itself, what is known now, and what a look would do."""
    return _out(wired.triggers.status(project_id))


@router.patch("")
def change_triggers(project_id: str, body: TriggersIn, token: Operator, wired: Wired) -> TriggersOut:
    """From the next look on, which comes within seconds. `when` names just the triggers that are set.

    Of two who change them at once both count, unless they send the `version` that they have looked at: then the second
    gets a 409.
    """
    wired.triggers.change(token, project_id, body.model_dump(exclude_unset=True, exclude={"version"}), body.version)
    return _out(wired.triggers.status(project_id))


def _out(status: TriggerStatus) -> TriggersOut:
    return TriggersOut(
        rules=TriggerRulesOut.model_validate(rules_to_json(status.rules)),
        version=rules_version(status.rules),
        situation=SituationOut.model_validate(status.situation),
        conditions=[ConditionOut.model_validate(state) for state in status.verdict.states],
        reasons=list(status.verdict.reasons),
        waiting=status.verdict.waiting,
        next_times=list(status.next_times),
    )
