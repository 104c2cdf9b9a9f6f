"""How rare each label is among what people have labelled, as routing measures predictions by it."""

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from loop.domain.errors import AskanceError
from loop.domain.model import ModelVersion
from loop.domain.ports import Store
from selection.scores import rarity_weights

log = logging.getLogger("askance.rarity")

_STALE_SECONDS = 60.0
_TIMES_ITS_COST = 100.0  # counting again takes a hundredth of the time at most, however much is labelled


@dataclass(slots=True)
class _Counted:
    """counts: by every name that a label of the recipe has or had. weights: that came of them, by a model's labels."""

    counts: dict[str, int]
    stale_at: float
    counting: bool = False
    weights: dict[tuple[str, ...], NDArray[np.float64]] = field(default_factory=dict)

    def of(self, labels: tuple[str, ...]) -> NDArray[np.float64]:
        if labels not in self.weights:
            weights = rarity_weights(np.array([self.counts.get(label, 0) for label in labels]))
            self.weights[labels] = np.where([label in self.counts for label in labels], weights, 0.0)
        return self.weights[labels]


class Rarities:
    """By project, counted at the first prediction and again beside later ones: a minute old, or older where counting
    takes long. Safe for several threads."""

    def __init__(self, store: Store, now: Callable[[], float] = time.monotonic) -> None:
        """now: seconds of a clock that only goes forward."""
        self._store = store
        self._now = now
        self._known: dict[str, _Counted] = {}
        self._lock = threading.Lock()

    def of(self, model: ModelVersion) -> NDArray[np.float64]:
        """(C,) in [0, 1] by the model's labels, see `selection.scores.rarity_weights`; 0 for those that the recipe has
        no label for any more, which nobody looks for."""
        return self._of_project(model.project_id).of(model.head.labels)

    def _of_project(self, project_id: str) -> _Counted:
        with self._lock:
            known = self._known.get(project_id)
            if known is None:
                known = self._known[project_id] = self._counted(project_id)
            elif self._now() > known.stale_at and not known.counting:
                known.counting = True
                threading.Thread(target=self._again, args=(project_id, known), name="rarity", daemon=True).start()
            return known

    def _again(self, project_id: str, before: _Counted) -> None:
        try:
            self._known[project_id] = self._counted(project_id)
        except AskanceError as error:
            # What was counted before is nearly right; a prediction must not fail for it.
            log.warning("the labels of %s cannot be counted: %s", project_id, error)
            before.stale_at, before.counting = self._now() + _STALE_SECONDS, False

    def _counted(self, project_id: str) -> _Counted:
        begun = self._now()
        with self._store.read() as tx:
            counts = tx.truths.label_counts(project_id)
            labels = tx.projects.get(project_id).recipe.labels
        named = {name: counts.get(one.name, 0) for one in labels for name in (one.name, *one.formerly)}
        ended = self._now()
        return _Counted(named, ended + max(_STALE_SECONDS, _TIMES_ITS_COST * (ended - begun)))
