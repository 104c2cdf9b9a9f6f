"""What a cycle learned, why its candidate was promoted or not, and what to label next."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from shlex import quote

import numpy as np

from loop.cycle.figures import CycleFigures, figures_of
from loop.cycle.judging import detections_told, judged_by, left_out_of
from loop.cycle.label_check import LabelCheck, label_check_of
from loop.cycle.learned import Learned, learned_of
from loop.domain.cycle import Cycle, CycleState
from loop.domain.errors import AskanceError, Conflict
from loop.domain.item import Split
from loop.domain.model import ModelVersion
from loop.domain.ports import Blobs, Store
from loop.domain.prediction import Detection
from loop.domain.rollouts.rollout import Rollout
from loop.domain.truth import Shape
from training.calibration import calibration_of
from training.evaluate import Evaluation, or_none
from training.snapshot import Entry, Snapshot

_EXAMPLES = 6  # images of each kind
_FEW_BOXES = 50  # to train on: a class with fewer is likely to gain by more
_NAMED = 3


@dataclass(frozen=True, slots=True)
class ClassRow:
    """Of one label: boxes to train on and to judge by, and AP50-95 before and after; None where it cannot be said."""

    label: str
    train_boxes: int
    judged_boxes: int
    before: float | None
    after: float | None


@dataclass(frozen=True, slots=True)
class ErrorRow:
    """Of one kind of error: how many, and how much higher AP50 would be without them."""

    kind: str
    before: int | None
    after: int
    gain: float


@dataclass(frozen=True, slots=True)
class Example:
    """An image that was judged by. truth: its shapes; before, after: what the two models found."""

    digest: str
    truth: Sequence[Shape]
    before: Sequence[Detection]
    after: Sequence[Detection]


@dataclass(frozen=True, slots=True, kw_only=True)
class CycleReport:
    """reviewed: images of the training set that people answered, the others were imported. reliability: (mean score,
    share right, detections) by bins, of each model. mended, broken: images that only the one, or only the other, of the
    two models gets wrong. advice: what to label next, a sentence each.
    learned: against the champion's snapshot. label_check: None where the cycle asked nobody to look at labels again.
    left_out: images that are not trained on, by why. figures: None of cycles of before they were kept. canary: what
    its candidate was before it served, if it was one."""

    cycle: Cycle
    candidate: ModelVersion | None
    train_images: int
    reviewed: int
    judged_images: int
    evaluation_split: str
    classes: Sequence[ClassRow]
    errors: Sequence[ErrorRow]
    curves: Sequence[Mapping[str, float]]
    reliability: Mapping[str, Sequence[tuple[float, float, int]]]
    mended: Sequence[Example]
    broken: Sequence[Example]
    mended_count: int
    broken_count: int
    advice: Sequence[str]
    learned: Learned
    label_check: LabelCheck | None = None
    left_out: Mapping[str, int] = field(default_factory=dict)
    figures: CycleFigures | None = None
    canary: Rollout | None = None

    @property
    def fewer_a_step(self) -> tuple[int, int] | None:
        """Images of a training step that were asked for, and those that there was memory for; None where it sufficed,
        or is not known."""
        asked = self.cycle.recipe.get("batch")
        used = None if self.candidate is None else self.candidate.notes.get("batch")
        return (asked, used) if isinstance(asked, int) and isinstance(used, int) and used < asked else None


@dataclass(frozen=True, slots=True)
class CycleReports:
    store: Store
    blobs: Blobs

    def of(self, project_id: str, cycle_id: str) -> CycleReport:
        """Raises NotFound; Conflict for a cycle that has not been evaluated."""
        with self.store.read() as tx:
            cycle = tx.cycles.get(project_id, cycle_id)
            candidate = tx.models.get(project_id, cycle.candidate_id) if cycle.candidate_id else None
            champion = tx.models.get(project_id, cycle.champion_id) if cycle.champion_id else None
            canary = next((one for one in tx.rollouts.of_project(project_id) if one.cycle_id == cycle_id), None)
        if not cycle.evaluation.get("candidate") or cycle.snapshot_digest is None:
            raise Conflict(
                f"{cycle_id} has not been evaluated: there is nothing to report.",
                hint=cycle.error or "Wait until it has (askance cycle list).",
                cycle=cycle_id,
            )
        snapshot = Snapshot.read(cycle.snapshot_digest, self.blobs.get)
        learned = learned_of(self.store, self.blobs, project_id, champion, snapshot)
        return self._report(cycle, candidate, snapshot, canary, learned)

    def figures(self, project_id: str, cycle_id: str) -> CycleFigures:
        """Raises NotFound; Conflict for a cycle that has not been evaluated, or by a version that kept no figures."""
        with self.store.read() as tx:
            cycle = tx.cycles.get(project_id, cycle_id)
        found = figures_of(cycle, self.blobs.get)
        if found is None:
            raise Conflict(
                f"{cycle_id} has no figures: it has not been evaluated, or by an earlier version.",
                hint=cycle.error or "Wait until it has (askance cycle list).",
                cycle=cycle_id,
            )
        return found

    def _report(
        self,
        cycle: Cycle,
        candidate: ModelVersion | None,
        snapshot: Snapshot,
        canary: Rollout | None,
        learned: Learned,
    ) -> CycleReport:
        after = self._evaluation(cycle, "candidate")
        before = self._evaluation(cycle, "champion")
        told = {name: self._told(cycle, name) for name in ("champion", "candidate")}
        entries = judged_by(snapshot, left_out_of(cycle))
        train = snapshot.of_split(Split.TRAIN)
        classes = _classes(snapshot, before, after)
        errors = _errors(told)
        failed = None if before is None or after is None else (before.failed, after.failed)
        mended = [] if failed is None else np.flatnonzero(failed[0] & ~failed[1]).tolist()
        broken = [] if failed is None else np.flatnonzero(~failed[0] & failed[1]).tolist()
        both = {"champion": before, "candidate": after}
        return CycleReport(
            cycle=cycle,
            candidate=candidate,
            train_images=len(train),
            reviewed=int(train.corrected.sum()),
            judged_images=len(entries),
            evaluation_split=str(snapshot.evaluation_split),
            classes=classes,
            errors=errors,
            curves=_curves(candidate),
            reliability={name: calibration_of(one).reliability for name, one in both.items() if one is not None},
            mended=_examples(mended, entries, told),
            broken=_examples(broken, entries, told),
            mended_count=len(mended),
            broken_count=len(broken),
            advice=advised(cycle, classes, errors, judged=len(entries)),
            learned=learned,
            label_check=label_check_of(cycle, self.blobs.get),
            left_out=snapshot.left_out,
            figures=figures_of(cycle, self.blobs.get),
            canary=canary,
        )

    def _evaluation(self, cycle: Cycle, name: str) -> Evaluation | None:
        key = cycle.evaluation.get(name)
        return Evaluation.read(self.blobs.get(str(key))) if key else None

    def _told(self, cycle: Cycle, name: str) -> bytes | None:
        """None for cycles of before this was kept, too."""
        key = cycle.evaluation.get(f"{name}_told")
        if not key:
            return None
        try:
            return self.blobs.get(str(key))
        except AskanceError:
            return None


def advised(cycle: Cycle, classes: Sequence[ClassRow], errors: Sequence[ErrorRow], *, judged: int) -> list[str]:
    """What to label next, the most useful first."""
    known = [row for row in classes if row.after is not None]
    usual = float(np.mean([row.after for row in known])) if known else 0.0
    weak = [row for row in known if row.train_boxes < _FEW_BOXES and (row.after or 0.0) <= usual]
    weak.sort(key=lambda row: (row.after or 0.0, row.label))
    told = [
        f"Label more {row.label}: {row.train_boxes} boxes to train on give an AP of {row.after:.2f}. "
        f"askance select --filter {quote(f'label={row.label}')} finds images where the model sees it."
        for row in weak[:_NAMED]
    ]
    unseen = [row.label for row in classes if not row.judged_boxes]
    if unseen:
        told.append(
            f"Nothing is known of {', '.join(unseen[:_NAMED])}: no box of it is among the {judged} images that models "
            "are judged by."
        )
    worst = max(errors, key=lambda row: row.gain, default=None)
    if worst is not None and worst.gain > 0.0 and (advice := _OF_ERRORS.get(worst.kind)):
        told.append(f"{advice} (without such errors AP50 would be {worst.gain:.3f} higher).")
    if cycle.state is CycleState.REFUSED:
        failed = [str(clause["name"]) for clause in _clauses(cycle) if not clause["passed"]]
        told.append(f"The candidate did not pass: {', '.join(failed)}. The champion stays.")
        if "evidence" in failed:
            told.append("Import a golden set (askance import --split golden) or review more images to judge by.")
    return told


_OF_ERRORS = {
    "missed": "Objects that are missed cost most: choose what it is unsure of (askance select --strategy entropy)",
    "background": "Detections of nothing cost most: label images without objects, too",
    "classification": "Confused labels cost most: look at the guidelines, and at askance label-errors",
    "localisation": "Badly placed boxes cost most: look at how tightly people draw, and at askance label-errors",
    "both": "Badly placed and misnamed boxes cost most: look at the guidelines",
    "duplicate": "Objects found twice cost most: train longer, or at a larger image size",
}


def _clauses(cycle: Cycle) -> list[Mapping[str, object]]:
    clauses = cycle.decision.get("clauses", [])
    return list(clauses) if isinstance(clauses, list) else []


def _classes(snapshot: Snapshot, before: Evaluation | None, after: Evaluation | None) -> list[ClassRow]:
    counts = snapshot.counts()
    train, judged = counts[Split.TRAIN].boxes, counts[snapshot.evaluation_split].boxes
    rows = []
    for number, label in enumerate(snapshot.labels):
        figures = [None if one is None else or_none(float(one.class_ap[number])) for one in (before, after)]
        rows.append(ClassRow(label, train[label], judged[label], *figures))
    return rows


def _errors(told: Mapping[str, bytes | None]) -> list[ErrorRow]:
    after = told["candidate"]
    if after is None:
        return []
    champion = told["champion"]
    costs = json.loads(after)["errors"]
    before = json.loads(champion)["errors"] if champion else {}
    rows = [
        ErrorRow(kind, before[kind]["count"] if kind in before else None, cost["count"], cost["gain"])
        for kind, cost in costs.items()
    ]
    return sorted(rows, key=lambda row: (-row.gain, row.kind))


def _curves(candidate: ModelVersion | None) -> list[Mapping[str, float]]:
    curves = candidate.notes.get("curves", []) if candidate else []
    return list(curves) if isinstance(curves, list) else []


def _examples(images: Sequence[int], entries: Sequence[Entry], told: Mapping[str, bytes | None]) -> list[Example]:
    champion, candidate = told["champion"], told["candidate"]
    if champion is None or candidate is None:
        return []
    before, after = detections_told(champion), detections_told(candidate)
    return [
        Example(entries[number].digest, entries[number].shapes, before[number], after[number])
        for number in images[:_EXAMPLES]
    ]
