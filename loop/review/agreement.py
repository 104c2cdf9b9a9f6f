"""How far people agree in a project, over the last works that several of them answered."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from loop.domain.item import Item
from loop.domain.ports import Store, Transaction
from loop.domain.project import Project
from loop.domain.quality.agreement import BatchAgreement, batch_agreement
from loop.domain.quality.answers import Answer, Cluster, clusters_of
from loop.domain.quality.likeness import reach_of
from loop.domain.quality.sameness import is_plain_box, is_still, read_answer
from loop.domain.quality.settling import Pair, WorkAgreement, answer_of
from loop.domain.review.tasks import Outcome
from loop.domain.truth import Geometry

# Alpha compares each shape with each: a few thousand boxes take a second, as do a few hundred outlines that touch.
_ALPHA_WORKS = 50
_ALPHA_SHAPES = 3000
_ALPHA_OUTLINES = 200
_OUTLINES = (Geometry.POLYGON, Geometry.POLYLINE)


@dataclass(frozen=True, slots=True)
class PairReport:
    """Two people, by token id, over the works that both answered. f1, iou: means over works."""

    reviewers: tuple[str, str]
    works: int
    f1: float
    iou: float | None


@dataclass(frozen=True, slots=True)
class AgreementReport:
    """works: so many were looked at. f1, iou: means over works, None without any. adjudicated: the share that another
    person decided. alpha: Krippendorff's, over the newest of them; alpha_works: how many."""

    works: int
    f1: float | None
    iou: float | None
    adjudicated: float | None
    alpha: BatchAgreement
    alpha_works: int
    pairs: tuple[PairReport, ...]


@dataclass(frozen=True, slots=True)
class Agreement:
    store: Store

    def of(self, project_id: str, works: int) -> AgreementReport:
        """Over the last `works` that several people answered."""
        with self.store.read() as tx:
            project = tx.projects.get(project_id)
            last = tx.agreements.last(project_id, limit=works)
            sample = _clusters(tx, project, last[:_ALPHA_WORKS])
        return AgreementReport(
            works=len(last),
            f1=_mean(one.f1 for one in last),
            iou=_mean(one.iou for one in last if one.iou is not None),
            adjudicated=_mean(float(one.adjudicated) for one in last),
            alpha=batch_agreement(sample),
            alpha_works=len(sample),
            pairs=_pairs(last),
        )


def _clusters(tx: Transaction, project: Project, works: Sequence[WorkAgreement]) -> list[tuple[Cluster, ...]]:
    """Of the newest works, as many as alpha can be told of in a second."""
    found: list[tuple[Cluster, ...]] = []
    shapes, outlines = 0, 0
    items = tx.items.of(project.id, [work.item_digest for work in works])
    for work in works:
        clusters = clusters_of(_answers(tx, project, work, items), iou=project.policy.quality.consensus.iou)
        shapes += sum(cluster.looked for cluster in clusters)
        outlines += sum(shape.type in _OUTLINES for cluster in clusters for shape in cluster.shapes)
        if (shapes > _ALPHA_SHAPES or outlines > _ALPHA_OUTLINES) and found:
            break
        found.append(clusters)
    return found


def _answers(tx: Transaction, project: Project, work: WorkAgreement, items: Mapping[str, Item]) -> list[Answer]:
    """With all that was drawn in an image; of clips, which are compared frame by frame nowhere, and of images that were
    dropped the regions, by their boxes."""
    said = {
        one.reviewer: project.recipe.translated(one.shapes)
        for one in tx.submissions.of_work(work.work_id)
        if one.round == work.round and one.outcome is Outcome.SUBMITTED and one.reviewer in work.reviewers
    }
    drawn = [shape for shapes in said.values() for shape in shapes]
    item = items.get(work.item_digest)
    if item is None or all(is_plain_box(shape) for shape in drawn) or not all(is_still(shape) for shape in drawn):
        return [answer_of(who, shapes) for who, shapes in said.items()]
    reach = reach_of(item.width, item.height)
    return [read_answer(who, shapes, reach) for who, shapes in said.items()]


def _pairs(works: Iterable[WorkAgreement]) -> tuple[PairReport, ...]:
    by_pair: dict[tuple[str, str], list[Pair]] = defaultdict(list)
    for work in works:
        for pair in work.pairs:
            by_pair[pair.reviewers].append(pair)
    return tuple(
        PairReport(
            reviewers=reviewers,
            works=len(pairs),
            f1=float(np.mean([pair.f1 for pair in pairs])),
            iou=_mean(pair.iou for pair in pairs if pair.iou is not None),
        )
        for reviewers, pairs in sorted(by_pair.items())
    )


def _mean(values: Iterable[float]) -> float | None:
    known = list(values)
    return float(np.mean(known)) if known else None
