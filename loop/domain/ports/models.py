"""Model versions, and what brings them forth and into service: cycles, promotions, rollouts."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Protocol

from loop.domain.cycle import Cycle
from loop.domain.model import ModelVersion, Promotion
from loop.domain.policy.slice_rules import SliceRule
from loop.domain.policy.triggers import TriggerRules
from loop.domain.rollouts.canary import CanaryStanding
from loop.domain.rollouts.rollout import Rollout, RolloutState, ShadowAnswer


class Models(Protocol):
    def add(self, model: ModelVersion) -> None: ...
    def get(self, project_id: str, model_id: str) -> ModelVersion: ...
    def by_digest(self, project_id: str, digest: str) -> ModelVersion | None: ...
    def all(self, project_id: str) -> list[ModelVersion]:
        """Newest first."""
        ...

    def save(self, model: ModelVersion) -> None:
        """Write what is found out about a model; not its risk, its drift reference, its serving
        options and its version in MLflow, which may change meanwhile."""
        ...

    def recorded(self, project_id: str, model_id: str, mlflow_version: str) -> None:
        """Write which version MLflow has it as."""
        ...

    def judge(self, project_id: str, model_id: str, risk_key: str) -> None:
        """Write what was learned of its failures."""
        ...

    def refer(self, project_id: str, model_id: str, drift_key: str) -> None:
        """Write what drift is measured against."""
        ...

    def configure(self, project_id: str, model_id: str, serving: Mapping[str, object]) -> None:
        """Write the serving options."""
        ...


class Promotions(Protocol):
    def add(self, promotion: Promotion) -> None: ...
    def get(self, promotion_id: str) -> Promotion: ...
    def queued(self) -> list[Promotion]:
        """Of all projects, oldest first."""
        ...

    def of_project(self, project_id: str) -> list[Promotion]:
        """Newest first."""
        ...

    def finished_since(self, moment: datetime) -> list[Promotion]:
        """Of all projects, active or failed, oldest first."""
        ...

    def save(self, promotion: Promotion) -> None: ...


class Rollouts(Protocol):
    def add(self, rollout: Rollout) -> None:
        """Raises Conflict where the project has an unfinished one of this kind."""
        ...

    def get(self, project_id: str, rollout_id: str) -> Rollout: ...
    def unfinished(self) -> list[Rollout]:
        """Queued and active ones of all projects, oldest first."""
        ...

    def of_project(self, project_id: str) -> list[Rollout]:
        """Newest first."""
        ...

    def save(self, rollout: Rollout, *, expected: RolloutState) -> bool:
        """Compare and swap: write state, error and the times where the state is `expected`; False where not."""
        ...

    def stands(self, rollout_id: str, standing: CanaryStanding) -> None:
        """Keep what the last look at a canary found."""
        ...

    def add_shadow_answer(self, answer: ShadowAnswer) -> None: ...
    def shadow_answers(self, rollout_id: str, *, after: str, limit: int) -> list[ShadowAnswer]:
        """By prediction id ascending, beginning behind `after` ("" for the first)."""
        ...


class Cycles(Protocol):
    def add(self, cycle: Cycle) -> None:
        """Raises CycleRunning where the project has an unfinished one."""
        ...

    def get(self, project_id: str, cycle_id: str) -> Cycle: ...
    def unfinished(self) -> list[Cycle]:
        """Of all projects, oldest first."""
        ...

    def ended(self, cycle_ids: Collection[str]) -> list[Cycle]:
        """Those of these that have ended, of all projects."""
        ...

    def page(self, project_id: str, *, after: str | None, limit: int) -> list[Cycle]: ...
    def froze(self, project_id: str, snapshot_digest: str) -> list[Cycle]:
        """Those of the project with this snapshot, newest first."""
        ...

    def count_judged(self, project_id: str, evaluation_set: str) -> int:
        """How many cycles have come to a verdict of the gate on just this set of images (`evaluation["set"]`)."""
        ...

    def triggers(self, project_id: str) -> TriggerRules:
        """What asks for a cycle by itself; nothing where nobody has set it."""
        ...

    def save_triggers(self, project_id: str, rules: TriggerRules) -> None: ...
    def slices(self, project_id: str) -> tuple[SliceRule, ...]:
        """Which views are slices of its evaluation, by name; none where nobody has set any."""
        ...

    def save_slices(self, project_id: str, rules: Sequence[SliceRule]) -> None:
        """In place of those that there are."""
        ...

    def save(self, cycle: Cycle) -> None:
        """Not its run in MLflow, which is told of meanwhile."""
        ...

    def recorded(self, project_id: str, cycle_id: str, mlflow_run_id: str) -> None:
        """Write which run MLflow has of it, also where it has ended."""
        ...
