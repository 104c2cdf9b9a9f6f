"""Which unlabelled items people label next: the pool from the store, the choice by `selection`, tasks in one
transaction."""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from loop.domain.errors import Invalid, NotFound
from loop.domain.events import task_created
from loop.domain.identity import new_id
from loop.domain.items.queries import EVERYTHING, Query
from loop.domain.items.query_text import printed
from loop.domain.model import ModelVersion
from loop.domain.ports import Blobs, Clock, Entropy, Event, Store, Transaction
from loop.domain.prediction import OBJECT_DIM, Prediction
from loop.domain.project import Project
from loop.domain.review.tasks import Outcome, Task
from loop.domain.routing import asks_several
from loop.domain.selection import Conditions, Part, PickedItem, Selection
from loop.domain.stage import Stage
from loop.review.lots import add_members, in_lots
from loop.review.proposals import seats_of
from loop.selecting.candidates import Gathered, one_of_each, pool_of
from loop.selecting.cold_start import Beginning, ColdStart
from loop.selecting.narrowing import meeting
from loop.selecting.objects import embedding_of
from selection.choosing import Chosen, choose, mixed
from selection.colours import SPACE
from selection.duplicates import Clusters
from selection.embeddings import units
from selection.pool import Pool
from selection.strategies.alike import LIKE_THIS, resembling
from selection.strategies.table import WITHOUT_MODEL, Strategy, looks_at, signals_of, strategy
from training.evaluate import Evaluation

_PAGE = 2000
_LOOKERS = 16  # threads that ask whether images are kept
_LOOKED_AT = 200  # images, by one of them at a time

# Embeddings (m, d) that a model version was trained on; (0, d) where none are kept.
References = Callable[[ModelVersion], NDArray[np.float32]]
# Which of the items that a model version has seen are near-duplicates.
DuplicatesOf = Callable[[ModelVersion], Clusters]
# Digests of so many of a project's most ambiguous items.
AmbiguousOf = Callable[[str, int], Sequence[str]]


def _none_ambiguous(project_id: str, count: int) -> Sequence[str]:
    return ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What somebody asks for. parts: of the budget by strategy; empty: of the default, or `like-this` where items are
    named. seed: None for a fresh one. query: of items that may be chosen, beside the conditions. like_items: digests of
    items to resemble, to which the newest `failures` that people corrected, and the `ambiguous` most ambiguous ones,
    are added. like_boxes: detections to resemble, each an item's digest and its number there. no_duplicates: of
    near-duplicates one at most is chosen from, and none of what has a task or its truth."""

    budget: int
    parts: Mapping[str, float] = field(default_factory=dict)
    random_share: float | None = None
    seed: int | None = None
    conditions: Conditions = field(default_factory=Conditions)
    query: Query = EVERYTHING
    like_items: tuple[str, ...] = ()
    like_boxes: tuple[tuple[str, int], ...] = ()
    failures: int = 0
    ambiguous: int = 0
    no_duplicates: bool = False

    @property
    def narrowed(self) -> bool:
        return bool(self.conditions.wanted) or self.query != EVERYTHING

    def in_words(self) -> dict[str, str]:
        """What it is narrowed to, as a selection keeps it."""
        asked = {} if self.query == EVERYTHING else {"query": printed(self.query)}
        return {**self.conditions.wanted, **asked}


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
    duplicates: DuplicatesOf
    default_parts: Mapping[str, float]
    random_share: float
    clock: Clock
    entropy: Entropy
    cold_start: ColdStart
    cold_parts: Mapping[str, float]
    ambiguous: AmbiguousOf = _none_ambiguous

    def select(self, project_id: str, wish: Wish, *, actor: str, dry_run: bool = False) -> Selected:
        """Choose, and make a task for each pick; none where it is a dry run. Before there is a model, from all images
        of the project by their colours (loop/selecting/cold_start.py).

        Raises Invalid for what cannot be chosen by or from, NotFound.
        """
        _require_named(wish.parts or {})
        with self.store.read() as tx:
            project = tx.projects.get(project_id)
        if project.champion_id is None:
            return self._first(project, wish, actor=actor, dry_run=dry_run)
        with self.store.read() as tx:
            model = tx.models.get(project.id, project.champion_id)
            named, failures = _to_resemble(tx, project_id, wish)
        failures += self._ambiguous(project_id, wish.ambiguous)
        alike = bool(named or failures or wish.like_boxes)
        parts = wish.parts or ({LIKE_THIS: 1.0} if alike else self.default_parts)
        if alike != (LIKE_THIS in parts):
            raise _unlike(parts, alike=alike)
        gathered = self._gathered(model, wish, parts)
        seed = self._seed(wish)
        shown = self._with_images(gathered)
        kept = one_of_each(gathered, shown, self.duplicates(model), seed) if wish.no_duplicates else shown
        pool = pool_of(gathered, kept, model, self.references(model), self._class_quality(model))
        names = _with_place(gathered, named, failures)
        objects = self._objects_to_resemble(gathered, project_id, wish.like_boxes)
        also = _like_this(gathered, names, wish.like_boxes, objects) if alike else {}
        share = self.random_share if wish.random_share is None else wish.random_share
        mix = mixed(parts, share, also=also)
        _require_choice(gathered, len(shown), pool, wish)
        chosen = choose(pool, mix, wish.budget, seed=seed, also=also)
        like = (*names, *(f"{digest}:{number}" for digest, number in wish.like_boxes))
        selection = self._selection(
            project_id, model.id, wish, mix, seed, like, pool=len(pool), picked=len(chosen), actor=actor
        )
        notes = _notes(gathered, len(shown), pool, wish)
        picks = tuple(_picked(selection.id, rank, one, gathered, kept) for rank, one in enumerate(chosen, start=1))
        if dry_run:
            return Selected(selection=selection, picks=picks, notes=notes)
        return self._committed(project, selection, picks, self._facts(project_id, picks), notes)

    def _first(self, project: Project, wish: Wish, *, actor: str, dry_run: bool) -> Selected:
        """Before there is a model."""
        parts = wish.parts or self.cold_parts
        _require_cold(wish, parts)
        seed = self._seed(wish)
        among = meeting(self.store, project.id, wish.query, self.clock())
        found = self.cold_start.beginning(project.id, project.recipe.label_names, wish.conditions, seed, among)
        mix = mixed(parts, self.random_share if wish.random_share is None else wish.random_share)
        chosen = choose(found.pool, mix, wish.budget, seed=seed)
        selection = self._selection(
            project.id, None, wish, mix, seed, (), pool=len(found.pool), picked=len(chosen), actor=actor
        )
        picks = tuple(_first_picked(selection.id, rank, one, found) for rank, one in enumerate(chosen, start=1))
        notes = _first_notes(found, wish)
        if dry_run:
            return Selected(selection=selection, picks=picks, notes=notes)
        facts = [(float(found.pool.risk[one.pick.row]), _WITHOUT_MODEL) for one in chosen]
        return self._committed(project, selection, picks, facts, notes)

    def _seed(self, wish: Wish) -> int:
        return int.from_bytes(self.entropy(4), "big") if wish.seed is None else wish.seed

    def _gathered(self, model: ModelVersion, wish: Wish, strategies: Collection[str]) -> Gathered:
        """Page by page into arrays, and of each candidate what these strategies look at: a million of them as objects
        would fill memory."""
        among = meeting(self.store, model.project_id, wish.query, self.clock())
        parts = _looked_at(strategies, wish)
        signals = frozenset[str]().union(*map(signals_of, strategies))
        gathered = Gathered(model.head.labels, model.head.embedding_dim, parts, signals)
        after = 0
        while True:
            with self.store.read() as tx:
                page = tx.predictions.candidates(model.project_id, model.id, after=after, limit=_PAGE, parts=parts)
            gathered.add(page, wish.conditions, among)
            if len(page) < _PAGE:
                return gathered.finished()
            after = page[-1].sequence

    def _ambiguous(self, project_id: str, count: int) -> list[str]:
        """Raises Invalid where nothing is known to be so."""
        found = list(self.ambiguous(project_id, count)) if count else []
        if count and not found:
            raise Invalid(
                "no item is known to be ambiguous.", hint="See askance ambiguous; let several people answer some items."
            )
        return found

    def _facts(self, project_id: str, picks: Sequence[PickedItem]) -> list[tuple[float, str]]:
        with self.store.read() as tx:
            return [_told(tx.predictions.get(project_id, str(pick.prediction_id))) for pick in picks]

    def _class_quality(self, model: ModelVersion) -> NDArray[np.float64]:
        """(C,) how well the model does on each class, by the evaluation that it was promoted on; empty without one."""
        if model.cycle_id is None:
            return np.empty(0)
        with self.store.read() as tx:
            key = tx.cycles.get(model.project_id, model.cycle_id).evaluation.get("candidate")
        return np.empty(0) if key is None else Evaluation.read(self.blobs.get(str(key))).class_quality

    def _objects_to_resemble(
        self, gathered: Gathered, project_id: str, boxes: Sequence[tuple[str, int]]
    ) -> NDArray[np.float32]:
        """(len(boxes), OBJECT_DIM). Raises NotFound for one that is not there, or has no embedding."""
        with self.store.read() as tx:
            predictions = [
                tx.predictions.get(project_id, gathered.prediction_ids[_place(gathered, digest)]) for digest, _ in boxes
            ]
            found = [embedding_of(tx, one, number) for one, (_, number) in zip(predictions, boxes, strict=True)]
        return units(np.array(found).reshape(-1, OBJECT_DIM))

    def _with_images(self, gathered: Gathered) -> NDArray[np.intp]:
        """Rows that may be chosen: unsettled, and their image was kept."""
        rows = gathered.rows(settled=False)

        def kept(start: int) -> list[int]:
            some = rows[start : start + _LOOKED_AT]
            return [row for row in some if self.blobs.has(gathered.digests[row])]

        with ThreadPoolExecutor(_LOOKERS) as lookers:
            found = lookers.map(kept, range(0, len(rows), _LOOKED_AT))
            return np.array([row for some in found for row in some], dtype=np.intp)

    def _selection(
        self,
        project_id: str,
        model_id: str | None,
        wish: Wish,
        mix: Mapping[str, float],
        seed: int,
        like: tuple[str, ...],
        *,
        pool: int,
        picked: int,
        actor: str,
    ) -> Selection:
        now = self.clock()
        return Selection(
            id=new_id("sel", now, self.entropy(10)),
            project_id=project_id,
            model_id=model_id,
            space=SPACE if model_id is None else "",
            mix=mix,
            budget=wish.budget,
            seed=seed,
            conditions=wish.in_words(),
            like_items=like,
            pool=pool,
            picked=picked,
            actor=actor,
            created_at=now,
        )

    def _committed(
        self,
        project: Project,
        selection: Selection,
        picks: Sequence[PickedItem],
        facts: Sequence[tuple[float, str]],
        notes: tuple[str, ...],
    ) -> Selected:
        secret = self.store.secret()
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
                    tasks += seats_of(tx, task, project, several=asks_several(secret, task.id, project.policy))
                    given.append(replace(pick, rank=len(given) + 1, task_id=task.id))
            selection = replace(selection, picked=len(given))
            tasks = in_lots(tx, project, tasks, selection.created_at, self.entropy)
            tx.tasks.add_all(tasks)
            add_members(tx, tasks)
            tx.selections.add(selection, given)
            body = {"selection_id": selection.id, "mix": dict(selection.mix), "picked": selection.picked}
            tx.events.add(Event("selection.made", project.id, selection.actor, body, selection.created_at))
            tx.events.announce(task_created(task, selection.actor, selection.id) for task in tasks)
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


def _looked_at(strategies: Collection[str], wish: Wish) -> frozenset[Part]:
    """What of predictions these and the filter look at."""
    found = frozenset[Part]().union(*map(looks_at, strategies))
    if wish.like_boxes:
        found |= {Part.DETECTIONS, Part.OBJECTS}
    return found | {Part.DETECTIONS} if "label" in wish.conditions.wanted else found


def _told(prediction: Prediction) -> tuple[float, str]:
    """Risk, and why a person looks, in words that are the same for every strategy: they must not tell what was drawn at
    random, since who knows it may look at it with other eyes."""
    risk, p = prediction.decision.risk, prediction.signals.get("anomaly_p", 1.0)
    unlike = f"; {p:.1%} of its training images are as unlike the others as this one" if p < 1.0 else ""
    return risk, f"Selected: the model's risk of being wrong is {risk:.2f}{unlike}"


# What reviewers read of it, whatever chose it.
_WITHOUT_MODEL = "Selected: there is no model yet; draw everything that is there"


def _require_named(parts: Mapping[str, float]) -> None:
    """Raises Invalid for a strategy that there is none of, with the nearest."""
    for name in parts:
        if name != LIKE_THIS:
            strategy(name)


def _unlike(parts: Mapping[str, float], *, alike: bool) -> Invalid:
    """alike: whether the wish says what is to be resembled, which one of the parts must look at, and only then."""
    if alike:
        return Invalid(f"{', '.join(parts)} does not look at what items are like.", hint=f"Add {LIKE_THIS}=1.")
    return Invalid(
        f"{LIKE_THIS} needs something to resemble.",
        hint="Name items (like, --like), boxes (like_boxes, --like-box) or failures (failures, --failures).",
    )


def _require_cold(wish: Wish, parts: Mapping[str, float]) -> None:
    """Raises Invalid for what only a model can answer."""
    if wish.like_items or wish.like_boxes or wish.failures or wish.ambiguous or wish.no_duplicates:
        raise Invalid(
            "without a model nothing is known of what images are like.",
            hint="Leave --like, --like-box, --failures, --ambiguous and --no-duplicates out until there is one.",
        )
    foreign = [name for name in parts if name not in WITHOUT_MODEL]
    if foreign:
        raise Invalid(
            f"{', '.join(foreign)} cannot choose before there is a model.",
            hint=f"Until then there are: {', '.join(WITHOUT_MODEL)}. Or add a model (askance models add), and predict "
            "the images with it (askance annotate).",
        )


def _first_picked(selection_id: str, rank: int, chosen: Chosen, found: Beginning) -> PickedItem:
    probability = chosen.inclusion_probability
    return PickedItem(
        selection_id=selection_id,
        rank=rank,
        item_digest=found.pool.keys[chosen.pick.row],
        prediction_id=None,
        task_id=None,
        strategy=chosen.strategy,
        score=chosen.pick.score,
        reason=chosen.pick.reason,
        inclusion_probability=None if probability is None else probability * found.share,
    )


def _first_notes(found: Beginning, wish: Wish) -> tuple[str, ...]:
    notes = ["There is no model yet: these were chosen by their colours, and people begin with an empty image."]
    if found.unread:
        notes.append(f"{found.unread} images could not be chosen, since they are not kept or cannot be read.")
    if found.share < 1.0:
        notes.append(f"It chose from {found.share:.0%} of the images, drawn at random.")
    if wish.budget > len(found.pool):
        notes.append(f"There are {len(found.pool)} images, fewer than the budget of {wish.budget}: all were chosen.")
    return tuple(notes)


def _to_resemble(tx: Transaction, project_id: str, wish: Wish) -> tuple[list[str], list[str]]:
    """Digests of the items that others are to be like: those that were named, and failures. Raises NotFound for one
    that is not of the project."""
    for digest, _ in wish.like_boxes:
        tx.items.get(project_id, digest)
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


def _with_place(gathered: Gathered, named: Sequence[str], failures: Sequence[str]) -> list[str]:
    """Those that the present champion has predicted, so that they have a place in its space.

    Raises NotFound for a named one without, and Invalid where no failure has one: those of the champion before have
    none until their images are predicted again.
    """
    for digest in named:
        _place(gathered, digest)
    known = [digest for digest in failures if digest in gathered.row_of]
    if failures and not known:
        raise Invalid(
            f"the present champion has predicted none of the {len(failures)} corrected or ambiguous items to resemble.",
            hint="Ask for more of them, or predict those images again.",
        )
    return list(dict.fromkeys([*named, *known]))


def _place(gathered: Gathered, digest: str) -> int:
    """Its row; raises NotFound."""
    if digest not in gathered.row_of:
        raise NotFound(
            f"the present champion has made no prediction of item {digest[:12]}, or the filter leaves it out.",
            hint="Send its image as a prediction first.",
            item=digest,
        )
    return gathered.row_of[digest]


def _like_this(
    gathered: Gathered, names: Sequence[str], boxes: Sequence[tuple[str, int]], objects: NDArray[np.float32]
) -> dict[str, Strategy]:
    """objects: (len(boxes), OBJECT_DIM), their embeddings."""
    queries = gathered.embeddings[[gathered.row_of[name] for name in names]]
    words = [f"item {name[:12]}" for name in names] + [f"box {number} of item {name[:12]}" for name, number in boxes]
    return {LIKE_THIS: resembling(queries, words, objects=objects)}


def _require_choice(gathered: Gathered, shown: int, pool: Pool, wish: Wish) -> None:
    """shown: as of `_notes`."""
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
    if wish.narrowed and all(gathered.settled):
        raise Invalid(
            f"the filter matches none of the {gathered.open} items that could be chosen.",
            hint=f"Their sources are: {', '.join(sorted(map(repr, gathered.sources))[:10])}.",
        )
    if wish.no_duplicates and shown:
        raise Invalid(
            "all items that could be chosen are near-duplicates of some that have a task or their truth.",
            hint="Leave --no-duplicates out, or predict other images.",
        )
    raise Invalid(
        "the images of all items that could be chosen were not kept.",
        hint="Set the policy's retain to all or sampled, so that images of accepted predictions are kept.",
    )


def _notes(gathered: Gathered, shown: int, pool: Pool, wish: Wish) -> tuple[str, ...]:
    """shown: how many could be shown to somebody, near-duplicates among them."""
    notes = []
    without = len(gathered.rows(settled=False)) - shown
    if without:
        notes.append(f"{without} items could not be chosen, since their images were not kept (the policy's retain).")
    if shown > len(pool):
        notes.append(
            f"{shown - len(pool)} near-duplicates were left out of the pool; a draw at random speaks for the rest."
        )
    if wish.like_boxes and pool.objects.without:
        notes.append(f"{pool.objects.without} items have no embeddings of their detections, and are like no box.")
    if wish.budget > len(pool):
        notes.append(f"The pool has {len(pool)} items, fewer than the budget of {wish.budget}: all were chosen.")
    return tuple(notes)


def _picked(selection_id: str, rank: int, chosen: Chosen, gathered: Gathered, rows: NDArray[np.intp]) -> PickedItem:
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
