"""How long candidate and champion take for an image on the runtime that would serve them: measured in the cycle, in one
run, for the gate's clause."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass

from loop import loaded
from loop.cycle_work import Progress, Workshop
from loop.domain.errors import AskanceError, Conflict
from loop.domain.model import ModelVersion
from loop.domain.ports import Blobs, Store

log = logging.getLogger("askance.cycle")


@dataclass(frozen=True, slots=True)
class Stopwatch:
    """images: that are timed; 0: nothing is. choosing: real images that serving chooses runtimes by."""

    store: Store
    blobs: Blobs
    workshop: Workshop
    images: int
    choosing: int

    def of(
        self, models: Mapping[str, ModelVersion], image_keys: Sequence[str], progress: Progress
    ) -> dict[str, object]:
        """For `Cycle.evaluation`: `images`, and of each model, by its part, `runtime`, `median` and `p90` in seconds.
        Where it cannot be measured `unmeasured` says why: a cycle does not fail for it. Empty where nobody wants it."""
        if not self.images:
            return {}
        keys = list(image_keys[: self.images])
        (project_id,) = {model.project_id for model in models.values()}
        choose_by = loaded.newest_images(self.store, self.blobs, project_id, self.choosing)
        try:
            measured = self.workshop.latency(list(models.values()), keys, choose_by, progress)
        except Conflict:  # somebody cancelled the cycle
            raise
        except AskanceError as error:
            log.warning("latency was not measured: %s", error)
            return {"unmeasured": error.detail}
        parts = {part: asdict(one) for part, one in zip(models, measured, strict=True)}
        return {"images": len(keys), **parts}


def seconds_of(latency: Mapping[str, object]) -> tuple[float, float] | None:
    """Medians of champion and candidate, from what `Stopwatch.of` gave; None where not both were measured."""
    before, after = latency.get("champion"), latency.get("candidate")
    if not isinstance(before, Mapping) or not isinstance(after, Mapping):
        return None
    return float(before["median"]), float(after["median"])
