"""Step 3: candidate and champion on the same held-out images, and how long each takes."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from loop.cycle.books import Books
from loop.cycle.judging import HeldOut, Judgement, held_out, judged
from loop.cycle.latency import latency_told
from loop.cycle.references import References
from loop.cycle.slicing import Slicing
from loop.cycle.work import EVALUATION_FLOOR, Subject, Timing, Workshop
from loop.domain.cycle import Cycle, Step
from loop.domain.identity import digest_of
from loop.domain.model import ModelVersion
from loop.domain.prediction import Inference
from loop.models.loaded import newest_images
from selection.seen import seen_in_evaluation
from training.snapshot import Entries


@dataclass(frozen=True, slots=True, kw_only=True)
class EvaluateStep:
    """Images, of each: drift_reference, that drift is measured against; latency_images, that models are timed on, 0:
    they are not; runtime_images, that runtimes are chosen by."""

    books: Books
    workshop: Workshop
    references: References
    slicing: Slicing
    drift_reference: int
    latency_images: int
    runtime_images: int

    def take(self, cycle: Cycle) -> Cycle:
        """Both models on the same images, and the references of the candidate's anomaly test."""
        snapshot, recipe = self.books.snapshot(cycle), self.books.project(cycle).recipe
        slices = self.slicing.of(cycle, snapshot, self.books.blobs.get)
        held = held_out(snapshot, slices, self.books.dropped(cycle))
        report = self.books.reporter(cycle)
        candidate, champion = self.books.candidate(cycle), self.books.model(cycle, cycle.champion_id)
        wanted, timing = self.references.wanted(candidate, snapshot), self._timing(cycle, held)
        # All in one process: each takes seconds to start.
        subjects = [Subject(candidate, [*wanted, *held.digests])]
        if champion is not None:
            subjects.append(Subject(champion, held.digests))
        examined = self.workshop.examine(subjects, timing, lambda share, _figures: report(share, {}))
        said = examined.inferences[0]
        if wanted:
            self.references.keep(candidate, said[: len(wanted)])
        said = said[len(wanted) :]
        self._keep_drift_reference(candidate, held.judged, said[: len(held.judged)])
        evaluation: dict[str, object] = {
            **cycle.evaluation,
            "images": len(held.judged),
            "beside": len(held.beside),
            "set": digest_of("".join(held.judged.digests).encode()),
            "split": str(snapshot.evaluation_split),
            "without": list(held.without),
        }
        evaluation |= self._kept("candidate", judged(candidate, said, held, snapshot.labels, recipe))
        if champion is not None:
            said = examined.inferences[1]
            evaluation |= self._kept("champion", judged(champion, said, held, snapshot.labels, recipe))
        parts = ("candidate", "champion")[: len(subjects)]
        evaluation["latency"] = latency_told(parts, timing, examined)
        return self.books.save(replace(cycle, step=Step.GATE, evaluation=evaluation, progress=0.0))

    def _timing(self, cycle: Cycle, held: HeldOut) -> Timing | None:
        images = self.latency_images
        if not images:
            return None
        choose_by = newest_images(self.books.store, self.books.blobs, cycle.project_id, self.runtime_images)
        return Timing(list(held.judged.digests[:images]), choose_by)

    def _keep_drift_reference(self, model: ModelVersion, entries: Entries, inferences: Sequence[Inference]) -> None:
        """What it said of the first images it is judged on (by digest: any). They are held out, as a model looks with
        other eyes at what it has learned from. Of too few nothing is kept, and its first predictions will serve."""
        kept = slice(self.drift_reference)
        seen = seen_in_evaluation(inferences[kept], entries[kept].blocks, floor=EVALUATION_FLOOR)
        if not seen.enough:
            return
        key = self.books.blobs.put(seen.to_bytes())
        with self.books.store.begin() as tx:
            tx.models.refer(model.project_id, model.id, key)

    def _kept(self, part: str, judgement: Judgement) -> dict[str, object]:
        """By the names under which a cycle keeps what it found of one model."""
        kept = {
            part: judgement.evaluation.to_bytes(),
            f"{part}_beside": judgement.beside.to_bytes(),
            f"{part}_coco": judgement.coco.to_bytes(),
            f"{part}_told": judgement.told,
        }
        return {name: self.books.blobs.put(content) for name, content in kept.items()}
