"""One run of snapshot → train → evaluate → gate → promote, resumable at each arrow."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum


class CycleState(StrEnum):
    QUEUED = "queued"
    RUNNING = "running"
    PROMOTED = "promoted"
    REFUSED = "refused"  # the gate said no; the champion stays
    FAILED = "failed"

    @property
    def finished(self) -> bool:
        return self not in (CycleState.QUEUED, CycleState.RUNNING)


class Step(StrEnum):
    SNAPSHOT = "snapshot"
    TRAIN = "train"
    EVALUATE = "evaluate"
    GATE = "gate"
    PROMOTE = "promote"
    DONE = "done"


@dataclass(frozen=True, slots=True, kw_only=True)
class Cycle:
    """`step` is the one to do next; what finished steps produced is named here, so that a restart goes on."""

    id: str
    project_id: str
    state: CycleState
    step: Step
    actor: str
    reason: str
    recipe: Mapping[str, object]  # frozen training settings
    created_at: datetime
    updated_at: datetime
    champion_id: str | None = None
    snapshot_digest: str | None = None
    candidate_id: str | None = None
    promotion_id: str | None = None
    progress: float = 0.0  # of the present step, in [0, 1]
    evaluation: Mapping[str, object] = field(default_factory=dict)
    decision: Mapping[str, object] = field(default_factory=dict)
    mlflow_run_id: str | None = None
    error: str = ""  # why it failed; while it is unfinished, what it waits for
    finished_at: datetime | None = None
