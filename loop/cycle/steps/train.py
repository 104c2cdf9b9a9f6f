"""Step 2: weights, fine-tuned on the snapshot, and the candidate that they are."""

from dataclasses import dataclass, replace

from loop.cycle.books import Books
from loop.cycle.work import TrainedWeights, TrainingJob, Workshop
from loop.domain.cycle import Cycle, Step
from loop.domain.errors import BadDataset
from loop.domain.identity import new_id
from loop.domain.model import ModelVersion
from loop.domain.outgoing.notes import aliases_note
from loop.domain.ports import Entropy
from loop.domain.recipes.recipe import Recipe
from training.snapshot import Entry, Snapshot


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainStep:
    """replay_limit: as of `training.snapshot.Entries.most`."""

    books: Books
    workshop: Workshop
    entropy: Entropy
    replay_limit: int

    def take(self, cycle: Cycle) -> Cycle:
        project, snapshot = self.books.project(cycle), self.books.snapshot(cycle)
        start = self.books.start(cycle)
        job = TrainingJob(
            cycle_id=cycle.id,
            start_key=start.digest if start else None,
            labels=snapshot.labels,
            recipe=cycle.recipe,
            train=self._entries(cycle, snapshot),
            renamed=_renamed(start, snapshot.labels, project.recipe) if start else {},
        )
        return self._register(cycle, self.workshop.train(job, self.books.reporter(cycle)))

    def _entries(self, cycle: Cycle, snapshot: Snapshot) -> tuple[Entry, ...]:
        """All that people corrected, and as much replay of imported truth as the limit leaves room for; none whose
        image was dropped since the snapshot was made."""
        left = snapshot.training_entries.without(self.books.dropped(cycle))
        if not left:
            raise BadDataset("all images to train on were dropped since.", hint="Start another cycle.")
        return tuple(left.most(self.replay_limit))

    def _register(self, cycle: Cycle, trained: TrainedWeights) -> Cycle:
        """The candidate, and that it is the cycle's, in one commit: a training that is done again may end in other
        weights, and those of a cycle are one version."""
        digest = self.books.blobs.put(trained.content)
        with self.books.store.read() as tx:
            known = tx.models.by_digest(cycle.project_id, digest)
        model = known or self._version_of(cycle, trained, digest)
        record = self.books.record()
        cycle = replace(cycle, step=Step.EVALUATE, candidate_id=model.id, progress=0.0, error="", updated_at=record.at)
        with self.books.store.begin() as tx:
            if known is None:
                tx.models.add(model)
            tx.cycles.save(cycle)
            for note in record.candidate(cycle, model, trained) if known is None else ():
                tx.notes.add(note)
            tx.notes.add(aliases_note(cycle.project_id, record.at))
        return cycle

    def _version_of(self, cycle: Cycle, trained: TrainedWeights, digest: str) -> ModelVersion:
        return ModelVersion(
            id=new_id("model", self.books.clock(), self.entropy(10)),
            project_id=cycle.project_id,
            digest=digest,
            head=trained.head,
            origin="cycle",
            cycle_id=cycle.id,
            reference_key=None,
            created_at=self.books.clock(),
            notes={
                "metrics": dict(trained.metrics),
                "snapshot": cycle.snapshot_digest,
                "curves": [dict(epoch) for epoch in trained.curves],
                "batch": trained.batch or cycle.recipe.get("batch"),
                "device": trained.device,
            },
        )


def _renamed(start: ModelVersion, labels: tuple[str, ...], recipe: Recipe) -> dict[str, str]:
    """From names that the model has learned to those among `labels` that stand for the same now."""
    named = {label: recipe.detected_as(label) for label in start.head.labels if label not in labels}
    return {label: name for label, name in named.items() if name in labels}
