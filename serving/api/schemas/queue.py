"""The rules of the queue, and the people who work on it."""

from typing import Annotated

from pydantic import ConfigDict, Field

from loop.domain.access import Role
from loop.domain.stage import Stage
from serving.api.schemas.wire import In, Out, Unit

Seconds = float
Name = Annotated[str, Field(max_length=63)]


class SkillRuleIO(In):
    """Tasks that meet all that is given need the skill."""

    model_config = ConfigDict(extra="forbid", from_attributes=True)

    skill: Name
    stage: Stage | None = None
    source: str | None = None
    label: str | None = Field(default=None, description="that the model proposes")


class QueueRulesOut(Out):
    """See docs/queue.md."""

    risk_weight: float = Field(description="points of a risk of 1")
    age_weight: float = Field(description="points gained by waiting for horizon_seconds")
    deadline_weight: float = Field(description="points gained while the due time comes nearer by horizon_seconds")
    overdue_weight: float = Field(description="points gained when the due time passes")
    stage_boosts: dict[Stage, float]
    source_boosts: dict[str, float]
    horizon_seconds: Seconds
    due_seconds: dict[Stage, Seconds]
    escalate_after_seconds: Seconds | None = Field(description="after the due time")
    escalation_group: str
    stage_groups: dict[Stage, list[str]] = Field(description="of which one may do tasks of the stage")
    skills: list[SkillRuleIO]
    people: dict[Stage, int] = Field(description="how many answer an item")
    people_share: Unit
    skips_before_expert: int
    expert_group: str
    max_leases: int | None
    max_tasks_a_day: int | None
    blind_share: Unit = Field(description="of tasks hide what the model predicts, by lot")
    fair_sources: bool
    source_shares: dict[str, float]


class QueueRulesIn(In):
    """What is left out keeps its present value; a map or list that is given replaces the present one."""

    risk_weight: float = 0.0
    age_weight: float = 0.0
    deadline_weight: float = 0.0
    overdue_weight: float = 0.0
    stage_boosts: dict[Stage, float] = Field(default_factory=dict)
    source_boosts: dict[str, float] = Field(default_factory=dict, max_length=1000)
    horizon_seconds: Seconds = 0.0
    due_seconds: dict[Stage, Seconds] = Field(default_factory=dict)
    escalate_after_seconds: Seconds | None = None
    escalation_group: Name = ""
    stage_groups: dict[Stage, Annotated[list[Name], Field(max_length=100)]] = Field(default_factory=dict)
    skills: list[SkillRuleIO] = Field(default_factory=list, max_length=1000)
    people: dict[Stage, int] = Field(default_factory=dict)
    people_share: float = 0.0
    skips_before_expert: int = 0
    expert_group: Name = ""
    max_leases: int | None = None
    max_tasks_a_day: int | None = None
    blind_share: float = 0.0
    fair_sources: bool = False
    source_shares: dict[str, float] = Field(default_factory=dict, max_length=1000)


class PersonIn(In):
    """What is left out keeps its present value."""

    groups: Annotated[list[Name], Field(max_length=100)] | None = None
    skills: Annotated[list[Name], Field(max_length=100)] | None = None
    max_leases: Annotated[int, Field(ge=1, le=1000)] | None = Field(
        default=None, description="held at once; null: as the project says"
    )
    max_tasks_a_day: Annotated[int, Field(ge=1, le=100_000)] | None = Field(
        default=None, description="a UTC day; null: as the project says"
    )


class PersonOut(Out):
    token_id: str
    name: str
    role: Role
    project_id: str | None
    groups: list[str]
    skills: list[str]
    max_leases: int | None
    max_tasks_a_day: int | None
    answered: int = Field(description="works; one that was opened anew counts once")
