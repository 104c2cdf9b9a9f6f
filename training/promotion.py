"""May the candidate replace the champion? Decided on the same images, with the uncertainty of so few of them.

The paired bootstrap (Efron & Tibshirani 1993) draws images, or whole groups of them where they are not
independent, and scores both models on each draw. Its percentile bounds are a little too narrow for few images
and are widened as Hesterberg (The American Statistician, 2015) does. Images that are asked again and again give an
advantage to whoever asks often: the bounds are then those of the best of so many candidates (Bonferroni).
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field

import numpy as np
import scipy  # loads its parts when they are first used: what serves imports this module and needs none of them
from numpy.typing import NDArray

from loop.domain.errors import BadDataset
from training.evaluate import Evaluation, mean_over_classes, or_none
from training.gate_clauses import (
    WORN,
    Circumstances,
    Clause,
    GateMode,
    GateSettings,
    calibration_clauses,
    class_clauses,
    latency_clauses,
    mended_clauses,
    slice_clauses,
)


@dataclass(frozen=True, slots=True)
class Change:
    """Candidate minus champion, with the two-sided interval and the one-sided lower bound, for information
    and for the decision. None where it cannot be said: of a first model there is `candidate` alone."""

    champion: float | None
    candidate: float | None
    delta: float | None
    interval: tuple[float, float] | None
    lower_bound: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class GateDecision:
    """`promoted` exactly when every clause passed. `images` were judged, in `units` independent groups."""

    promoted: bool
    settings: GateSettings
    first_model: bool
    images: int
    units: int
    map50_95: Change
    map50: Change
    clauses: tuple[Clause, ...] = field(default=())

    @property
    def delta(self) -> float | None:
        """Of mAP50-95."""
        return self.map50_95.delta

    @property
    def interval(self) -> tuple[float, float] | None:
        """Two-sided, of the change in mAP50-95."""
        return self.map50_95.interval

    @property
    def lower_bound(self) -> float | None:
        """One-sided, of the change in mAP50-95: what the mode's clause decides on."""
        return self.map50_95.lower_bound

    def to_json(self) -> dict[str, object]:
        """All of it in JSON types."""
        body = asdict(self)
        body["settings"]["mode"] = str(self.settings.mode)
        body["clauses"] = [dict(clause, numbers=dict(clause["numbers"])) for clause in body["clauses"]]
        for change in (body["map50_95"], body["map50"]):
            change["interval"] = None if change["interval"] is None else list(change["interval"])
        return body

    def explain(self) -> list[str]:
        """Lines for a person: the verdict, the changes, and each clause with its figures."""
        verdict = "Promoted" if self.promoted else "Not promoted"
        asked = "the first model, by a floor" if self.first_model else f"{self.settings.mode}, against the champion"
        lines = [f"{verdict} ({asked}, {self.images} images)."]
        for name, change in (("mAP50-95", self.map50_95), ("mAP50", self.map50)):
            if change.delta is not None and change.interval is not None:
                low, high = change.interval
                lines.append(
                    f"{name} {change.champion:.3f} → {change.candidate:.3f}: {change.delta:+.3f}, "
                    f"{self.settings.confidence:.0%} interval [{low:+.3f}, {high:+.3f}]"
                )
            elif self.first_model and change.candidate is not None:
                lines.append(f"{name} {change.candidate:.3f}")
        lines += [
            f"{'passed' if clause.passed else 'FAILED'}  {clause.name}: {clause.detail}" for clause in self.clauses
        ]
        return lines


def decide(
    champion: Evaluation | None,
    candidate: Evaluation,
    *,
    labels: Sequence[str],
    settings: GateSettings,
    rng: np.random.Generator,
    groups: NDArray[np.generic] | None = None,
    known: Circumstances | None = None,
) -> GateDecision:
    """Whether `candidate` may serve instead of `champion` (None: as the first model, by a floor).

    Both were evaluated on the same images in the same order; `groups` (n,) names what belongs together
    (clip, source): images of a group are drawn together, "" stands alone. labels: (C,) names of the classes.

    Clauses: there is evidence (enough independent images, at least one box); the one-sided lower bound of the
    change in mAP50-95 is above 0 (`superior`) or above −margin (`non_inferior`); no class with at least
    `min_class_boxes` boxes, and no slice, is shown to be worse by more than its margin (one-sided bootstrap p-values,
    Holm 1979 over the classes, and over the slices); what failed in production and was mended stays so; scores are not
    shown to be worse calibrated; an image does not take too long. Too little evidence refuses; it never raises.

    A first model has nothing to be compared with. Its clauses: there is evidence (`first_units`), and the one-sided
    lower bound of its mAP50 is above `first_floor`. No change is told.

    Raises BadDataset where the two evaluations are not of the same images.
    """
    compared = champion if champion is not None else candidate.without_detections()
    _require_same_images(compared, candidate, labels, groups)
    unit_of = _units(candidate.n_images, groups)
    units = int(unit_of.max(initial=-1)) + 1
    known = known or Circumstances()
    least = settings.min_units if champion is not None else settings.first_units
    evidence = _evidence(candidate, units, least, known.uses)
    level = (1.0 - settings.confidence) / known.uses
    clauses: tuple[Clause, ...] = (evidence,)
    overall = _unproven(compared.map50_95, candidate.map50_95)
    at50 = _unproven(compared.map50, candidate.map50)
    if evidence.passed:
        counts = _draws(unit_of, settings.resamples, rng)
        changes = candidate.resampled(counts) - compared.resampled(counts)
        tail = _widened(level, units), _widened((1.0 - settings.confidence) / 2, units)
        overall = _change(compared.class_ap, candidate.class_ap, changes.mean(axis=2), tail)
        at50 = _change(compared.class_ap50, candidate.class_ap50, changes[:, :, 0], tail)
        if champion is None:
            # From finding nothing: the candidate's own bound.
            clauses += (_first_clause(at50, settings, level), *latency_clauses(known, settings))
        else:
            clauses += (
                _overall_clause(overall, settings, level),
                *class_clauses(champion, candidate, changes.mean(axis=2), labels, settings),
                *_held_out_clauses(champion, candidate, known, (unit_of, counts), settings, rng),
                *calibration_clauses(champion, candidate, counts, settings),
                *latency_clauses(known, settings),
            )
    return GateDecision(
        promoted=all(clause.passed for clause in clauses),
        settings=settings,
        first_model=champion is None,
        images=candidate.n_images,
        units=units,
        map50_95=overall if champion is not None else _first(overall),
        map50=at50 if champion is not None else _first(at50),
        clauses=clauses,
    )


def _held_out_clauses(
    champion: Evaluation,
    candidate: Evaluation,
    known: Circumstances,
    drawn: tuple[NDArray[np.intp], NDArray[np.int32]],
    settings: GateSettings,
    rng: np.random.Generator,
) -> list[Clause]:
    """What all held-out images are asked for. drawn: units and draws of the judged ones, which do where there are no
    more."""
    unit_of, counts = drawn
    if known.beside is not None:
        beside = known.beside
        champion, candidate = champion.followed_by(beside.champion), candidate.followed_by(beside.candidate)
        unit_of = np.concatenate([unit_of, _units(len(beside.groups), beside.groups) + unit_of.max(initial=-1) + 1])
        counts = _draws(unit_of, settings.resamples, rng)
    return [
        *slice_clauses(champion, candidate, known, unit_of, counts, settings),
        *mended_clauses(champion, candidate, known.mended, settings),
    ]


def _require_same_images(
    champion: Evaluation, candidate: Evaluation, labels: Sequence[str], groups: NDArray[np.generic] | None
) -> None:
    if champion.boxes.shape != candidate.boxes.shape or not np.array_equal(champion.boxes, candidate.boxes):
        raise BadDataset(
            f"champion and candidate were not evaluated on the same images "
            f"({champion.n_images} and {candidate.n_images} images with {champion.class_boxes.sum()} and "
            f"{candidate.class_boxes.sum()} boxes).",
            hint="Evaluate both on the evaluation images of one snapshot, in its order.",
        )
    if len(labels) != candidate.n_classes or (groups is not None and groups.shape != (candidate.n_images,)):
        raise ValueError(
            f"{len(labels)} labels for {candidate.n_classes} classes, or groups of another length than the images"
        )


def _units(n_images: int, groups: NDArray[np.generic] | None) -> NDArray[np.intp]:
    """(n,) number of the unit of each image, from 0: its group, or itself where it has none."""
    if groups is None:
        return np.arange(n_images)
    names = [f"image {index}" if group == "" else f"group {group}" for index, group in enumerate(groups.tolist())]
    return np.asarray(np.unique(np.array(names, dtype=np.str_), return_inverse=True)[1], dtype=np.intp)


def _evidence(candidate: Evaluation, units: int, min_units: int, uses: int) -> Clause:
    boxes = int(candidate.class_boxes.sum())
    enough = units >= min_units and boxes > 0
    detail = f"{candidate.n_images} images in {units} independent groups with {boxes} boxes"
    if units < min_units:
        detail += f"; fewer than {min_units} say too little of a model: review or import more of them"
    elif not boxes:
        detail += "; without a single box no model can be told from another: add images that show objects"
    if uses > 1:
        detail += f"; they have decided {uses - 1} times before: the bound is that of the best of {uses} candidates"
    if uses >= WORN:
        detail += ": it is time for fresh ones"
    numbers = {"images": float(candidate.n_images), "units": float(units), "boxes": float(boxes), "uses": float(uses)}
    return Clause("evidence", enough, detail, {**numbers, "min_units": float(min_units)})


def _draws(unit_of: NDArray[np.intp], resamples: int, rng: np.random.Generator) -> NDArray[np.int32]:
    """(R, n) how often each image is drawn when units are drawn with replacement, as many as there are."""
    total = int(unit_of.max()) + 1
    drawn = rng.multinomial(total, np.full(total, 1.0 / total), size=resamples)
    return np.asarray(drawn[:, unit_of], dtype=np.int32)


def _widened(tail: float, units: int) -> float:
    """The tail whose percentile makes up for the bootstrap's too small spread with few units: expanded
    percentile interval, Hesterberg 2015, Φ(√(n / (n − 1)) · t(tail; n − 1))."""
    quantile = scipy.stats.t.ppf(tail, units - 1) * np.sqrt(units / (units - 1))
    return float(scipy.stats.norm.cdf(quantile))


def _change(
    champion: NDArray[np.float64],
    candidate: NDArray[np.float64],
    resampled: NDArray[np.float64],
    tails: tuple[float, float],
) -> Change:
    """From class APs (C,) of both, and their resampled differences (R, C); tails: one-sided, two-sided."""
    deltas = mean_over_classes(resampled)
    deltas = deltas[~np.isnan(deltas)]  # draws without any box say nothing
    before, after = float(mean_over_classes(champion)), float(mean_over_classes(candidate))
    one, two = tails
    bound, low, high = np.quantile(deltas, [one, two, 1 - two], method="inverted_cdf")
    return Change(before, after, after - before, (float(low), float(high)), float(bound))


def _unproven(champion: float, candidate: float) -> Change:
    return Change(or_none(champion), or_none(candidate), or_none(candidate - champion), None, None)


def _first(change: Change) -> Change:
    """What is left to tell where nobody was champion: finding nothing is no model's figure."""
    return Change(None, change.candidate, None, None, None)


def _first_clause(change: Change, settings: GateSettings, level: float) -> Clause:
    """change: of mAP50, from finding nothing."""
    bound = change.lower_bound
    passed = bound is not None and bound > settings.first_floor
    detail = (
        f"there is no champion to compare with: mAP50 {change.candidate:.3f}, one-sided {1.0 - level:.4g} lower bound "
        f"{bound:.3f}, must be above {settings.first_floor:g}"
    )
    numbers = {"map50": change.candidate, "lower_bound": bound, "required": settings.first_floor}
    return Clause("first model", passed, detail, numbers)


def _overall_clause(change: Change, settings: GateSettings, level: float) -> Clause:
    required = 0.0 if settings.mode is GateMode.SUPERIOR else -settings.margin
    bound = change.lower_bound
    passed = bound is not None and bound > required
    name = "better" if settings.mode is GateMode.SUPERIOR else "not worse"
    detail = (
        f"mAP50-95 {change.champion:.3f} → {change.candidate:.3f} ({change.delta:+.3f}), "
        f"one-sided {1.0 - level:.4g} lower bound {bound:+.4f}, must be above {required:+.4f}"
    )
    numbers = {"delta": change.delta, "lower_bound": bound, "required": required}
    return Clause(name, passed, detail, numbers)
