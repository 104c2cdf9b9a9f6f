"""Step 4: whether the candidate may take the champion's place, by what the evaluation found of both."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from loop.cycle.books import Books
from loop.cycle.judging import HeldOut, held_out, left_out_of
from loop.cycle.latency import seconds_of
from loop.cycle.slicing import Slicing
from loop.domain.cycle import Cycle, CycleState, Step
from loop.domain.errors import CycleFailed
from loop.domain.policy.slice_rules import SliceKind
from training.coco_findings import CocoFindings
from training.evaluate import Evaluation, or_none
from training.gate_clauses import Beside, Circumstances, GateMode, GateSettings
from training.promotion import GateDecision, decide


@dataclass(frozen=True, slots=True, kw_only=True)
class GateStep:
    """settings: but for the mode, which is the cycle's. seed: of what is drawn to compare them."""

    books: Books
    slicing: Slicing
    settings: GateSettings
    seed: int

    def take(self, cycle: Cycle) -> Cycle:
        """A candidate that may not ends the cycle as refused. Raises CycleFailed where nothing was evaluated."""
        champion, candidate = self._evaluation(cycle, "champion"), self._evaluation(cycle, "candidate")
        if candidate is None:
            raise CycleFailed("the candidate was not evaluated.", hint="Start the cycle again.")
        decision = self._decided(cycle, champion, candidate)
        found = {part: self._coco(cycle, part) for part in ("champion", "candidate")}
        after = _figures(candidate, found["candidate"])
        notes = self.books.record().decided(cycle, after, decision.to_json(), found["candidate"])
        evaluation = {**cycle.evaluation, "before": _figures(champion, found["champion"]), "after": after}
        cycle = replace(cycle, evaluation=evaluation, decision=decision.to_json(), progress=0.0)
        if decision.promoted:
            return self.books.save(replace(cycle, step=Step.PROMOTE), notes)
        return self.books.finished(cycle, CycleState.REFUSED, notes=notes)

    def _decided(self, cycle: Cycle, champion: Evaluation | None, candidate: Evaluation) -> GateDecision:
        snapshot = self.books.snapshot(cycle)
        held = held_out(snapshot, self.slicing.of(cycle, snapshot, self.books.blobs.get), left_out_of(cycle))
        return decide(
            champion,
            candidate,
            labels=snapshot.labels,
            settings=replace(self.settings, mode=GateMode(str(cycle.recipe["mode"]))),
            groups=np.array(held.judged.blocks),
            rng=np.random.default_rng(self.seed),
            known=self._circumstances(cycle, held),
        )

    def _circumstances(self, cycle: Cycle, held: HeldOut) -> Circumstances:
        """Which slices the images make, which of them failed before, and how often they have decided."""
        with self.books.store.read() as tx:
            judged_before = tx.cycles.count_judged(cycle.project_id, str(cycle.evaluation.get("set", "")))
        total = len(held.judged) + len(held.beside)
        gated = [one for one in held.slices.slices if one.kind.gated]
        past = [one.among(total) for one in held.slices.slices if one.kind is SliceKind.FAILURES]
        latency = cycle.evaluation.get("latency")
        latency = latency if isinstance(latency, Mapping) else {}
        return Circumstances(
            beside=self._beside(cycle, held),
            slices={one.title: one.among(total) for one in gated},
            margins={one.title: one.margin for one in gated if one.margin is not None},
            said={one.title: one.note for one in gated if one.kind.named},
            mended=past[0] if past else None,
            seconds=seconds_of(latency),
            unmeasured=str(latency.get("unmeasured", "")),
            uses=judged_before + 1,
        )

    def _beside(self, cycle: Cycle, held: HeldOut) -> Beside | None:
        champion, candidate = (self._evaluation(cycle, f"{part}_beside") for part in ("champion", "candidate"))
        if candidate is None or not len(held.beside):
            return None
        before = candidate.without_detections() if champion is None else champion
        return Beside(before, candidate, np.array(held.beside.blocks))

    def _evaluation(self, cycle: Cycle, name: str) -> Evaluation | None:
        key = cycle.evaluation.get(name)
        return Evaluation.read(self.books.blobs.get(str(key))) if key else None

    def _coco(self, cycle: Cycle, part: str) -> CocoFindings | None:
        """None where an earlier version evaluated, or there was no champion."""
        key = cycle.evaluation.get(f"{part}_coco")
        return CocoFindings.read(self.books.blobs.get(str(key))) if key else None


def _figures(evaluation: Evaluation | None, coco: CocoFindings | None) -> dict[str, float | None]:
    """COCO's beside those that the gate decides on. None where there is no box to judge by, and of a champion where
    there was none: a 0 would be taken for a model's."""
    if evaluation is None:
        return {"map50": None, "map50_95": None}
    own = {"map50": or_none(evaluation.map50), "map50_95": or_none(evaluation.map50_95)}
    return own if coco is None else {**coco.whole.to_json(), **own}
