"""All strategies by name, but one.

`like-this` (`selection.strategies.alike.resembling`) keeps the same contract and passes the same tests. What is to be
resembled is of the wish and not of the pool, so that it is made for each selection, and `selection.choosing.choose`
gets it as `also`.
"""

import difflib
from collections.abc import Mapping
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from loop.domain.errors import Invalid
from loop.domain.selection import Part
from selection.pool import Pick, Pool
from selection.strategies import (
    anomalous,
    coreset,
    detections,
    herding,
    hybrid,
    plug_and_play,
    typical,
    uncertain,
    uniform,
)
from selection.strategies.alike import LIKE_THIS


class Strategy(Protocol):
    def __call__(self, pool: Pool, free: NDArray[np.intp], budget: int, rng: np.random.Generator, /) -> list[Pick]:
        """min(budget, len(free)) different rows of `free`, the best first.

        free: (f,) ascending rows that may be chosen; the others were chosen before, and count as labelled where a
        strategy looks at what is. The same pool, rows, budget and state of `rng` give the same picks.
        """
        ...


STRATEGIES: Mapping[str, Strategy] = {
    "random": uniform.pick,
    "entropy": uncertain.by_signal("entropy"),
    "mean-entropy": uncertain.by_signal("mean-entropy"),
    "max-entropy": uncertain.by_signal("max-entropy"),
    "sum-entropy": detections.by_detections("entropy", "sum"),
    "mean-class-entropy": uncertain.by_signal("mean-class-entropy"),
    "max-class-entropy": uncertain.by_signal("max-class-entropy"),
    "least-confidence": uncertain.by_signal("least-confidence"),
    "mean-least-confidence": detections.by_detections("least-confidence", "mean"),
    "sum-least-confidence": detections.by_detections("least-confidence", "sum"),
    "margin": uncertain.by_signal("margin"),
    "mean-margin": detections.by_detections("margin", "mean"),
    "sum-margin": detections.by_detections("margin", "sum"),
    "rarity": uncertain.by_signal("rarity"),
    "consistency": uncertain.by_signal("consistency"),
    "core-set": coreset.pick,
    "typiclust": typical.pick,
    "herding": herding.pick_typical,
    "uncertainty-herding": herding.pick_uncertain,
    "balanced-herding": herding.pick_balanced,
    "entropy-enms": detections.by_detections("entropy", "sum", distinct=True),
    "mean-entropy-enms": detections.by_detections("entropy", "mean", distinct=True),
    "mean-least-confidence-enms": detections.by_detections("least-confidence", "mean", distinct=True),
    "sum-least-confidence-enms": detections.by_detections("least-confidence", "sum", distinct=True),
    "mean-margin-enms": detections.by_detections("margin", "mean", distinct=True),
    "sum-margin-enms": detections.by_detections("margin", "sum", distinct=True),
    "ppal": plug_and_play.pick,
    "hybrid": hybrid.pick,
    "anomaly": anomalous.pick,
}


# Before there is a model an image has a descriptor alone; these look at nothing else.
WITHOUT_MODEL = ("herding", "typiclust", "core-set", "random")

# Of each, what it takes, in a line for who chooses among them.
IN_WORDS: Mapping[str, str] = {
    "random": "any: to measure by",
    "entropy": "the most unsure detections of an image, their entropies over all labels summed",
    "mean-entropy": "the most unsure detections, by the mean of the entropies of their best scores",
    "max-entropy": "the most unsure detections, by the one whose best score has the largest entropy",
    "sum-entropy": "the most unsure detections, the entropies of their best scores summed",
    "mean-class-entropy": "the most unsure detections, by the mean of their entropies over all labels",
    "max-class-entropy": "the most unsure detections, by the one with the largest entropy over all labels",
    "least-confidence": "the least sure single detection",
    "mean-least-confidence": "the least sure detections, by their mean",
    "sum-least-confidence": "the least sure detections, summed",
    "margin": "the detection that is nearest to having another label",
    "mean-margin": "detections that are near to having other labels, by their mean",
    "sum-margin": "detections that are near to having other labels, summed",
    "rarity": "the most detections of labels that were given least often so far",
    "consistency": "where the model says something else of the mirror image; needs predictions with a second pass",
    "core-set": "what is farthest from all that is labelled or chosen: leaves no region out",
    "typiclust": "the most typical image of each region without a label: for the first labels",
    "herding": "what covers most of the pool: for the first labels",
    "uncertainty-herding": "what covers most of the risky part of the pool",
    "balanced-herding": "the same, images with rare labels or much of weak classes weighing more: at any size",
    "entropy-enms": "sum-entropy, detections that look alike counted once; needs embeddings of detections",
    "mean-entropy-enms": "mean entropy, detections that look alike counted once; needs embeddings of detections",
    "mean-least-confidence-enms": "mean-least-confidence, those alike counted once; needs embeddings of detections",
    "sum-least-confidence-enms": "sum-least-confidence, those alike counted once; needs embeddings of detections",
    "mean-margin-enms": "mean-margin, those alike counted once; needs embeddings of detections",
    "sum-margin-enms": "sum-margin, those alike counted once; needs embeddings of detections",
    "ppal": "difficult for weak classes, then different in its detections; needs embeddings of detections",
    "hybrid": "risk × distance to what is labelled or chosen × need of its classes: near-duplicates, rare classes",
    "anomaly": "what is least like the training images, near-duplicates thinned: new conditions and objects",
}


# What a strategy looks at of a pool beside embeddings, risk and what is labelled; a pool need not bring the rest.
_NOTHING: frozenset[Part] = frozenset()
_LOOKS_AT: Mapping[str, frozenset[Part]] = {
    "random": _NOTHING,
    "core-set": _NOTHING,
    "typiclust": _NOTHING,
    "herding": _NOTHING,
    "uncertainty-herding": _NOTHING,
    LIKE_THIS: _NOTHING,  # where boxes are to be resembled detections and objects, too
    "balanced-herding": frozenset({Part.SIGNALS, Part.DETECTIONS}),
    "hybrid": frozenset({Part.DETECTIONS}),
    "anomaly": frozenset({Part.SIGNALS}),
    "ppal": frozenset({Part.SIGNALS, Part.DETECTIONS, Part.OBJECTS}),
}
_BY_UNCERTAINTY = frozenset({Part.SIGNALS, Part.DETECTIONS})  # whether there are any, and what was nearly detected


def looks_at(name: str) -> frozenset[Part]:
    """What of predictions the strategy of that name looks at."""
    compared = {Part.OBJECTS} if name.endswith("-enms") else _NOTHING
    return _LOOKS_AT.get(name, _BY_UNCERTAINTY | compared)


# The signals that these look at; all others look at what they rank by, and at what was nearly detected.
_SIGNALS_OF = {"balanced-herding": frozenset({"largest_rarity"}), "anomaly": frozenset({"anomaly_p"})}
_NEARLY_DETECTED = frozenset({"near_threshold_mass"})


def signals_of(name: str) -> frozenset[str]:
    """The signals that the strategy of that name looks at, as they are named in `selection.scores.Signals`: none where
    it does not look at Part.SIGNALS."""
    if Part.SIGNALS not in looks_at(name):
        return frozenset()
    return _SIGNALS_OF.get(name, uncertain.ranks_by(name) | _NEARLY_DETECTED)


def strategy(name: str) -> Strategy:
    """Raises Invalid for a name that is not known, with the nearest one that is."""
    if name in STRATEGIES:
        return STRATEGIES[name]
    near = difflib.get_close_matches(name, [*STRATEGIES, LIKE_THIS], n=1)
    hint = f"Did you mean {near[0]}? " if near else ""
    raise Invalid(f"the strategy {name!r} is not known.", hint=f"{hint}There are: {', '.join(STRATEGIES)}.")
