"""Which unlabelled items people label next: the pool from the store, the choice by `selection`, tasks in one
transaction."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from loop.domain.errors import Invalid, NoChampion, NotFound
from loop.domain.identity import new_id
from loop.domain.model import ModelVersion
from loop.domain.ports import Blobs, Candidate, Clock, Entropy, Event, Store, Transaction
from loop.domain.project import Project
from loop.domain.review import Outcome, Task
from loop.domain.routing import Stage
from loop.domain.selection import Conditions, PickedItem, Selection
from selection.choosing import Chosen, choose, mixed
from selection.pool import Objects, Pick, Pool
from selection.strategies.alike import pick_like
from selection.strategies.table import Strategy

LIKE_THIS = "like-this"
_PAGE = 2000
_LOOKERS = 16  # threads that ask whether images are kept

# Embeddings (m, d) that a model version was trained on; (0, d) where none are kept.
References = Callable[[ModelVersion], NDArray[np.float32]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What somebody asks for. parts: of the budget by strategy; empty: of the default, or `like-this` where items are
    named. seed: None for a fresh one. like_items: digests of items to resemble, to which the newest `failures` that
    people corrected are added."""

    budget: int
    parts: Mapping[str, float] = field(default_factory=dict)
    random_share: float | None = None
    seed: int | None = None
    conditions: Conditions = field(default_factory=Conditions)
    like_items: tuple[str, ...] = ()
    failures: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Selected:
    """notes: what the caller should know of it, a sentence each."""

    selection: Selection
    picks: tuple[PickedItem, ...]
    notes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Selector:
    store: Store
    blobs: Blobs
    references: References
    default_parts: Mapping[str, float]
    random_share: float
    clock: Clock
    entropy: Entropy

    def select(self, project_id: str, wish: Wish, *, actor: str, dry_run: bool = False) -> Selected:
        """Choose, and make a task for each pick; none where it is a dry run.

        Raises Invalid for what cannot be chosen by or from, NoChampion, NotFound.
        """
        with self.store.read() as tx:
            project = tx.projects.get(project_id)
            model = _champion(tx, project)
            named, failures = _to_resemble(tx, project_id, wish)
        gathered = self._gathered(model, wish.conditions)
        kept = self._with_images(gathered)
        pool = _pool_of(gathered, kept, model, self.references(model))
        names = _with_place(gathered, named, failures)
        also = _like_this(gathered, names) if names else {}
        parts = wish.parts or ({LIKE_THIS: 1.0} if also else self.default_parts)
        if also and LIKE_THIS not in parts:
            raise Invalid(f"{', '.join(parts)} does not look at what items are like.", hint=f"Add {LIKE_THIS}=1.")
        share = self.random_share if wish.random_share is None else wish.random_share
        mix = mixed(parts, share, also=also)
        _require_choice(gathered, pool, wish)
        seed = int.from_bytes(self.entropy(4), "big") if wish.seed is None else wish.seed
        chosen = choose(pool, mix, wish.budget, seed=seed, also=also)
        now = self.clock()
        selection = Selection(
            id=new_id("sel", now, self.entropy(10)),
            project_id=project_id,
            model_id=model.id,
            mix=mix,
            budget=wish.budget,
            seed=seed,
            conditions=wish.conditions.wanted,
            like_items=tuple(names),
            pool=len(pool),
            picked=len(chosen),
            actor=actor,
            created_at=now,
        )
        notes = _notes(gathered, pool, wish)
        picks = tuple(_picked(selection.id, rank, one, gathered, kept) for rank, one in enumerate(chosen, start=1))
        if dry_run:
            return Selected(selection=selection, picks=picks, notes=notes)
        facts = [_facts(pool, one.pick.row) for one in chosen]
        return self._committed(project, selection, picks, facts, notes)

    def _gathered(self, model: ModelVersion, conditions: Conditions) -> "_Gathered":
        """Page by page into arrays: a million candidates as objects would fill memory."""
        gathered = _Gathered(model.head.labels, model.head.embedding_dim)
        after = 0
        while True:
            with self.store.read() as tx:
                page = tx.predictions.candidates(model.project_id, model.id, after=after, limit=_PAGE)
            gathered.add(page, conditions)
            if len(page) < _PAGE:
                return gathered.finished()
            after = page[-1].sequence

    def _with_images(self, gathered: "_Gathered") -> NDArray[np.intp]:
        """Rows that may be chosen: unsettled, and their image was kept."""
        rows = gathered.rows(settled=False)
        with ThreadPoolExecutor(_LOOKERS) as lookers:
            kept = list(lookers.map(lambda row: self.blobs.has(gathered.digests[row]), rows))
        return np.array([row for row, has in zip(rows, kept, strict=True) if has], dtype=np.intp)

    def _committed(
        self,
        project: Project,
        selection: Selection,
        picks: Sequence[PickedItem],
        facts: Sequence[tuple[float, str]],
        notes: tuple[str, ...],
    ) -> Selected:
        with self.store.begin() as tx:
            tx.projects.hold(project.id)  # of two selections one writes first, and the other sees it
            # Since the pool was read, an item may have got its task, or its truth.
            late = tx.items.settled(project.id, [pick.item_digest for pick in picks])
            if late:
                notes += (f"{len(late)} of the chosen items got a task or their truth meanwhile, and no second task.",)
            tasks: list[Task] = []
            given: list[PickedItem] = []
            for pick, (risk, reason) in zip(picks, facts, strict=True):
                if pick.item_digest not in late:
                    task = self._task(project, selection, pick, risk, reason)
                    tasks.append(task)
                    given.append(replace(pick, rank=len(given) + 1, task_id=task.id))
            selection = replace(selection, picked=len(given))
            tx.tasks.add_all(tasks)
            tx.selections.add(selection, given)
            body = {"selection_id": selection.id, "mix": dict(selection.mix), "picked": selection.picked}
            tx.events.add(Event("selection.made", project.id, selection.actor, body, selection.created_at))
        return Selected(selection=selection, picks=tuple(given), notes=notes)

    def _task(self, project: Project, selection: Selection, pick: PickedItem, risk: float, reason: str) -> Task:
        return Task(
            id=new_id("task", selection.created_at, self.entropy(10)),
            project_id=project.id,
            item_digest=pick.item_digest,
            prediction_id=pick.prediction_id,
            stage=Stage.ANNOTATE,
            priority=risk,
            policy_version=project.policy.version,
            recipe_version=project.recipe.version,
            created_at=selection.created_at,
            reason=reason,
        )


class _Gathered:
    """Candidates as arrays, row by row; `finished` makes them so."""

    def __init__(self, labels: tuple[str, ...], dim: int) -> None:
        self._class_of = {label: number for number, label in enumerate(labels)}
        self._pages: list[NDArray[np.float32]] = []
        self._objects: list[tuple[int, int, float]] = []
        self.row_of: dict[str, int] = {}
        self.superseded: set[int] = set()  # rows of items that were predicted again while the pages were read
        self.digests: list[str] = []
        self.prediction_ids: list[str] = []
        self.settled: list[bool] = []
        self.risk: list[float] = []
        self.seen = 0
        self.open = 0  # unsettled, whatever the filter says
        self.sources: set[str] = set()
        self.embeddings = np.empty((0, dim), dtype=np.float32)
        self.signals: dict[str, NDArray[np.float64]] = {}
        self._measured: list[Mapping[str, NDArray[np.float64]]] = []

    def add(self, page: Sequence[Candidate], conditions: Conditions) -> None:
        """What is settled counts as labelled, whatever the filter says."""
        self.seen += len(page)
        self.open += sum(not one.settled for one in page)
        self.sources.update(one.item.source for one in page if not one.settled and len(self.sources) < 100)
        wanted = [one for one in page if one.settled or conditions.met_by(one.item, _labels(one))]
        if not wanted:
            return
        for one in wanted:
            row = len(self.digests)
            if one.item.digest in self.row_of:
                self.superseded.add(self.row_of[one.item.digest])
            self.row_of[one.item.digest] = row
            self.digests.append(one.item.digest)
            self.prediction_ids.append(one.prediction_id)
            self.settled.append(one.settled)
            self.risk.append(one.risk)
            known = (d for d in one.detections if d.label in self._class_of)
            self._objects += [(row, self._class_of[d.label], d.score) for d in known]
        self._pages.append(np.stack([one.embedding for one in wanted]))
        names = set.intersection(*(set(one.signals) for one in wanted))
        self._measured.append({name: np.array([one.signals[name] for one in wanted]) for name in names})

    def rows(self, *, settled: bool) -> list[int]:
        return [row for row, is_so in enumerate(self.settled) if is_so == settled and row not in self.superseded]

    def finished(self) -> "_Gathered":
        if self._pages:
            self.embeddings = np.concatenate(self._pages)
            # Older predictions may lack a signal that came later, or that is measured where a setting asks for it.
            names = set.intersection(*(set(page) for page in self._measured))
            self.signals = {name: np.concatenate([page[name] for page in self._measured]) for name in sorted(names)}
        self._pages, self._measured = [], []
        return self

    def objects(self, rows: NDArray[np.intp]) -> Objects:
        """Of those rows, numbered by their place in `rows`."""
        place = {int(row): at for at, row in enumerate(rows)}
        kept = [(place[row], number, score) for row, number, score in self._objects if row in place]
        return Objects(
            rows=np.array([row for row, _, _ in kept], dtype=np.int64),
            classes=np.array([number for _, number, _ in kept], dtype=np.int64),
            scores=np.array([score for _, _, score in kept], dtype=np.float64),
        )


def _facts(pool: Pool, row: int) -> tuple[float, str]:
    """Risk, and why a person looks, in words that are the same for every strategy: they must not tell what was drawn at
    random, since who knows it may look at it with other eyes."""
    risk, p = float(pool.risk[row]), float(pool.signals["anomaly_p"][row])
    unlike = f"; {p:.1%} of its training images are as unlike the others as this one" if p < 1.0 else ""
    return risk, f"Selected: the model's risk of being wrong is {risk:.2f}{unlike}"


def _labels(candidate: Candidate) -> frozenset[str]:
    return frozenset(detection.label for detection in candidate.detections)


def _champion(tx: Transaction, project: Project) -> ModelVersion:
    if project.champion_id is None:
        raise NoChampion(
            f"{project.id} has no model, so nothing is known of its images.",
            hint="Add one (askance models add), and predict the images with it (askance annotate).",
        )
    return tx.models.get(project.id, project.champion_id)


def _to_resemble(tx: Transaction, project_id: str, wish: Wish) -> tuple[list[str], list[str]]:
    """Digests of the items that others are to be like: those that were named, and failures. Raises NotFound for one
    that is not of the project."""
    named = [tx.items.get(project_id, digest).digest for digest in wish.like_items]
    failures = list(_newest_failures(tx, project_id, wish.failures))
    if wish.failures and not failures:
        raise Invalid("nobody has corrected a prediction yet.", hint="Name items by --like, or review some first.")
    return named, failures


def _newest_failures(tx: Transaction, project_id: str, count: int) -> Iterator[str]:
    after, found = None, 0
    while found < count:
        page = tx.submissions.page(project_id, after=after, limit=_PAGE)
        for submission in page:
            if submission.outcome is Outcome.SUBMITTED and any(submission.corrections.values()) and found < count:
                found += 1
                yield submission.item_digest
        if len(page) < _PAGE:
            return
        after = page[-1].id


def _with_place(gathered: _Gathered, named: Sequence[str], failures: Sequence[str]) -> list[str]:
    """Those that the present champion has predicted, so that they have a place in its space.

    Raises NotFound for a named one without, and Invalid where no failure has one: those of the champion before have
    none until their images are predicted again.
    """
    for digest in named:
        if digest not in gathered.row_of:
            raise NotFound(
                f"the present champion has made no prediction of item {digest[:12]}, or the filter leaves it out.",
                hint="Send its image as a prediction first.",
                item=digest,
            )
    known = [digest for digest in failures if digest in gathered.row_of]
    if failures and not known:
        raise Invalid(
            f"the present champion has predicted none of the {len(failures)} newest corrected items.",
            hint="Ask for more failures, or predict those images again.",
        )
    return list(dict.fromkeys([*named, *known]))


def _like_this(gathered: _Gathered, names: Sequence[str]) -> dict[str, Strategy]:
    queries = gathered.embeddings[[gathered.row_of[name] for name in names]]
    words = [f"item {name[:12]}" for name in names]

    def pick(pool: Pool, free: NDArray[np.intp], budget: int, rng: np.random.Generator, /) -> list[Pick]:
        return pick_like(pool, free, budget, queries, words)

    return {LIKE_THIS: pick}


def _pool_of(gathered: _Gathered, rows: NDArray[np.intp], model: ModelVersion, references: NDArray[np.float32]) -> Pool:
    settled = gathered.embeddings[gathered.rows(settled=True)]
    return Pool(
        keys=[gathered.digests[row] for row in rows],
        embeddings=gathered.embeddings[rows],
        risk=np.array(gathered.risk, dtype=np.float64)[rows],
        signals={name: values[rows] for name, values in gathered.signals.items()},
        objects=gathered.objects(rows),
        labels=model.head.labels,
        labelled=np.concatenate([references, settled]),
    )


def _require_choice(gathered: _Gathered, pool: Pool, wish: Wish) -> None:
    if len(pool):
        return
    if not gathered.seen:
        raise Invalid(
            "the present champion has predicted no image, so there is nothing to choose from.",
            hint="Predict the unlabelled images first: askance annotate FOLDER --no-review.",
        )
    if not gathered.open:
        raise Invalid(
            f"all {gathered.seen} items that the champion has predicted have a task or their truth already.",
            hint="Predict more images: askance annotate FOLDER --no-review.",
        )
    if wish.conditions.wanted and all(gathered.settled):
        raise Invalid(
            f"the filter matches none of the {gathered.open} items that could be chosen.",
            hint=f"Their sources are: {', '.join(sorted(map(repr, gathered.sources))[:10])}.",
        )
    raise Invalid(
        "the images of all items that could be chosen were not kept.",
        hint="Set the policy's retain to all or sampled, so that images of accepted predictions are kept.",
    )


def _notes(gathered: _Gathered, pool: Pool, wish: Wish) -> tuple[str, ...]:
    notes = []
    without = len(gathered.rows(settled=False)) - len(pool)
    if without:
        notes.append(f"{without} items could not be chosen, since their images were not kept (the policy's retain).")
    if wish.budget > len(pool):
        notes.append(f"The pool has {len(pool)} items, fewer than the budget of {wish.budget}: all were chosen.")
    return tuple(notes)


def _picked(selection_id: str, rank: int, chosen: Chosen, gathered: _Gathered, rows: NDArray[np.intp]) -> PickedItem:
    row = int(rows[chosen.pick.row])
    return PickedItem(
        selection_id=selection_id,
        rank=rank,
        item_digest=gathered.digests[row],
        prediction_id=gathered.prediction_ids[row],
        task_id=None,
        strategy=chosen.strategy,
        score=chosen.pick.score,
        reason=chosen.pick.reason,
        inclusion_probability=chosen.inclusion_probability,
    )
