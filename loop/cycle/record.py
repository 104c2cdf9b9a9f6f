"""What a cycle leaves in MLflow, as notes for its outbox (loop/domain/outgoing/notes.py)."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime

from loop.cycle.work import TrainedWeights
from loop.domain.cycle import Cycle
from loop.domain.model import ModelVersion
from loop.domain.outgoing.notes import (
    Note,
    aliases_note,
    artifact_note,
    end_note,
    metrics_note,
    run_note,
    version_note,
)
from loop.domain.policy.slice_rules import SliceKind
from training.coco_findings import CocoFindings, SliceFigures
from training.provenance import Provenance

# The step at which a training is done, so that curves of any number of epochs can be laid over each other.
_WHOLE = 1000


@dataclass(frozen=True, slots=True)
class Record:
    """put: keeps the bytes of a file until MLflow has it, and gives their key. at: when it happened."""

    put: Callable[[bytes], str]
    at: datetime

    def begun(
        self, cycle: Cycle, champion: ModelVersion | None, start: ModelVersion | None, made_with: Provenance
    ) -> list[Note]:
        """cycle: with its snapshot."""
        params = {
            **cycle.recipe,
            "snapshot": cycle.snapshot_digest,
            "champion": champion.digest if champion else "",
            "start": start.digest if start else "",
        }
        tags = {"askance.project": cycle.project_id, "askance.actor": cycle.actor}
        if made_with.commit is not None:
            tags["mlflow.source.git.commit"] = made_with.commit
        environment = self.put(json.dumps(made_with.environment, indent=1).encode())
        return [
            run_note(cycle, params, tags, self.at),
            artifact_note(cycle, "environment.json", environment, self.at),
            artifact_note(cycle, "snapshot.json", str(cycle.snapshot_digest), self.at),
        ]

    def trained_on(self, cycle: Cycle, share: float, figures: Mapping[str, float]) -> list[Note]:
        """share: of the training that is done, in [0, 1]."""
        return [metrics_note(cycle, figures, round(share * _WHOLE), self.at)] if figures else []

    def candidate(self, cycle: Cycle, model: ModelVersion, trained: TrainedWeights) -> list[Note]:
        """With those epochs that nobody was told of, because a process died between an epoch and its being told."""
        epochs = cycle.recipe.get("epochs")
        curves = trained.curves if isinstance(epochs, int) else ()
        missed = [note for one in curves for note in self.trained_on(cycle, one["epoch"] / int(str(epochs)), one)]
        return [*missed, version_note(cycle, model, self.at)]

    def decided(
        self,
        cycle: Cycle,
        figures: Mapping[str, float | None],
        decision: Mapping[str, object],
        coco: CocoFindings | None,
    ) -> list[Note]:
        """figures: of the candidate."""
        told = {f"golden/{name}": value for name, value in figures.items()}
        files = {"decision.json": json.dumps(decision, indent=1).encode()}
        if coco is not None:
            told |= {f"class/{label}/ap": one.ap for label, one in coco.classes.items()}
            told |= {f"{_lasting(one)}/ap": one.figures.ap for one in coco.slices}
            files["coco.json"] = coco.to_bytes()
        known = {name: value for name, value in told.items() if value is not None}
        return [
            metrics_note(cycle, known, 0, self.at, key="verdict"),
            *(artifact_note(cycle, name, self.put(content), self.at) for name, content in files.items()),
        ]

    def ended(self, cycle: Cycle) -> list[Note]:
        """What failed before it had a snapshot has no run; and nobody is a candidate any more."""
        aliases = [aliases_note(cycle.project_id, self.at)] if cycle.candidate_id is not None else []
        return [*aliases, *([end_note(cycle, self.at)] if cycle.snapshot_digest is not None else [])]


def _lasting(one: SliceFigures) -> str:
    """A name that is the same from cycle to cycle, so that runs can be compared: quarters of time move."""
    name = one.name.partition(":")[0] if one.kind is SliceKind.TIME else one.name
    return f"{one.kind}/{name}"
