"""Model versions: registered, configured, and asked to serve."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from loop.domain.errors import Conflict, Invalid
from loop.domain.identity import new_id
from loop.domain.model import ModelHead, ModelVersion, Promotion, PromotionKind, PromotionState
from loop.domain.ports import Blobs, Clock, Entropy, Event, Store, Transaction
from loop.domain.project import Project, Recipe

# Reads what a file of weights says of itself; raises BadWeights.
HeadReader = Callable[[bytes], ModelHead]

# The serving options of a model after a change, from those it has; raises Invalid.
OptionsChange = Callable[[Mapping[str, object]], Mapping[str, object]]


@dataclass(frozen=True, slots=True)
class Models:
    """Who is asked to serve is not yet champion: `loop.cycle.succession` deploys it, and moves the pointer."""

    store: Store
    blobs: Blobs
    read_head: HeadReader
    clock: Clock
    entropy: Entropy

    def register(
        self, project_id: str, weights: bytes, actor: str, *, base: bool = False
    ) -> tuple[ModelVersion, Promotion | None]:
        """Keep weights as a model version; a project's first model is asked to serve at once. base: only for training
        to start from, as long as the project has no champion; its labels may be any.

        The same weights again give the same version back. Raises BadWeights, and Invalid for a label that
        the project does not have.
        """
        head = self.read_head(weights)
        digest = self.blobs.put(weights)
        with self.store.begin() as tx:
            project = tx.projects.get(project_id)
            if not base:
                require_known_labels(project, head)
            model = tx.models.by_digest(project_id, digest)
            if model is None:
                model = self._version_of(project_id, digest, head, base=base)
                tx.models.add(model)
                tx.events.add(Event("model.registered", project_id, actor, {"model_id": model.id}, self.clock()))
            first = not base and project.champion_id is None and not _queued(tx, project_id)
            if not first:
                return model, None
            return model, self._queue(tx, project, model, PromotionKind.FIRST, actor, "the project's first model")

    def override(self, project_id: str, model_id: str, actor: str, reason: str) -> Promotion:
        """A named person makes a version champion without the gate; the reason is kept."""
        return self._ask(project_id, model_id, PromotionKind.OVERRIDE, actor, reason)

    def rollback(self, project_id: str, actor: str, reason: str) -> Promotion:
        """Back to the champion before the present one. Raises Conflict where there was none."""
        with self.store.begin() as tx:
            project = tx.projects.get(project_id)
            previous = previous_champion(tx.promotions.of_project(project_id), project.champion_id)
            model = tx.models.get(project_id, previous)
            return self._queue(tx, project, model, PromotionKind.ROLLBACK, actor, reason)

    def promote_candidate(
        self, project_id: str, model_id: str, cycle_id: str, *, judged_against: str | None
    ) -> Promotion:
        """The gate was passed. Asked again for the same cycle (after a restart), gives the same promotion.

        Raises Conflict where the champion is not the one that the candidate was judged against.
        """
        with self.store.begin() as tx:
            earlier = [p for p in tx.promotions.of_project(project_id) if p.actor == cycle_id]
            if earlier:
                return earlier[0]
            project = tx.projects.get(project_id)
            if project.champion_id != judged_against:
                raise Conflict(
                    "the champion changed while the candidate was trained against the one before.",
                    hint="Run a cycle against the present champion.",
                    champion=project.champion_id,
                )
            model = tx.models.get(project_id, model_id)
            return self._queue(tx, project, model, PromotionKind.GATE, cycle_id, "passed the promotion gate")

    def configure(
        self, project_id: str, model_id: str, actor: str, change: OptionsChange
    ) -> tuple[ModelVersion, Promotion | None]:
        """Give a model other serving options. For the champion they are asked for, as a promotion of the kind
        RECONFIGURE, and become its own once it serves with them; another model simply keeps them until it serves.

        Raises Conflict while the model is on its way to serve or serves beside the champion.
        """
        with self.store.begin() as tx:
            model = tx.models.get(project_id, model_id)
            serving = dict(change(model.serving))
            if serving == model.serving:
                return model, None
            project = tx.projects.get(project_id)
            if model.id == project.champion_id:
                asked = self._promotion(project, model, PromotionKind.RECONFIGURE, actor, "other serving options")
                return model, self._enqueue(tx, replace(asked, serving=serving))
            tx.models.configure(project_id, model_id, serving)
            _require_at_rest(tx, project_id, model_id)
            body = {"model_id": model_id, "serving": serving}
            tx.events.add(Event("model.configured", project_id, actor, body, self.clock()))
            return replace(model, serving=serving), None

    def _ask(self, project_id: str, model_id: str, kind: PromotionKind, actor: str, reason: str) -> Promotion:
        with self.store.begin() as tx:
            project = tx.projects.get(project_id)
            return self._queue(tx, project, tx.models.get(project_id, model_id), kind, actor, reason)

    def _queue(
        self, tx: Transaction, project: Project, model: ModelVersion, kind: PromotionKind, actor: str, reason: str
    ) -> Promotion:
        if model.id == project.champion_id:
            raise Conflict(f"{model.id} is the champion already.", hint="Nothing to do.", model=model.id)
        return self._enqueue(tx, self._promotion(project, model, kind, actor, reason))

    def _enqueue(self, tx: Transaction, promotion: Promotion) -> Promotion:
        # Added first: from then on nobody else's can be, until this transaction ends.
        tx.promotions.add(promotion)
        if waiting := [other for other in _queued(tx, promotion.project_id) if other.id != promotion.id]:
            raise Conflict(
                f"a promotion of {waiting[0].model_id} is under way.",
                hint="Wait until it is done, then ask again.",
                promotion=waiting[0].id,
            )
        return promotion

    def _promotion(
        self, project: Project, model: ModelVersion, kind: PromotionKind, actor: str, reason: str
    ) -> Promotion:
        return Promotion(
            id=new_id("promo", self.clock(), self.entropy(10)),
            project_id=project.id,
            model_id=model.id,
            previous_id=project.champion_id,
            kind=kind,
            actor=actor,
            reason=reason,
            state=PromotionState.QUEUED,
            error="",
            created_at=self.clock(),
        )

    def _version_of(self, project_id: str, digest: str, head: ModelHead, *, base: bool) -> ModelVersion:
        now = self.clock()
        return ModelVersion(
            id=new_id("model", now, self.entropy(10)),
            project_id=project_id,
            digest=digest,
            head=head,
            origin="registered",
            cycle_id=None,
            reference_key=None,
            created_at=now,
            notes={"base": True} if base else {},
        )


def previous_champion(history: list[Promotion], champion_id: str | None) -> str:
    """Whom the present champion replaced when it was promoted; `history` is newest first. Rollbacks do not count, so
    that rolling back twice goes back twice. Raises Conflict where nobody was replaced."""
    staying = (PromotionKind.ROLLBACK, PromotionKind.RECONFIGURE)
    for promotion in history:
        came = promotion.state is PromotionState.ACTIVE and promotion.kind not in staying
        if came and promotion.model_id == champion_id and promotion.previous_id is not None:
            return promotion.previous_id
    raise Conflict("there is no earlier champion to go back to.", hint="Promote a version by name instead.")


def _require_at_rest(tx: Transaction, project_id: str, model_id: str) -> None:
    """Raises Conflict for a model that serves, or is on its way to. What has just become so fails by itself when it
    is settled, since its options are not those it was deployed with."""
    beside = [r for r in tx.rollouts.unfinished() if (r.project_id, r.model_id) == (project_id, model_id)]
    if beside:
        raise Conflict(
            f"{model_id} runs as a {beside[0].kind}.",
            hint=f"End it first: askance models end {beside[0].kind}.",
            rollout=beside[0].id,
        )
    if any(promotion.model_id == model_id for promotion in _queued(tx, project_id)):
        raise Conflict(f"a promotion of {model_id} is under way.", hint="Wait until it is done, then ask again.")
    if tx.projects.get(project_id).champion_id == model_id:
        raise Conflict(f"{model_id} became the champion at this moment.", hint="Ask again.", model=model_id)


def _queued(tx: Transaction, project_id: str) -> list[Promotion]:
    return [p for p in tx.promotions.queued() if p.project_id == project_id]


def require_known_labels(project: Project, head: ModelHead, recipes: Sequence[Recipe] = ()) -> None:
    """Raises Invalid for a model that predicts what the project has no label for. recipes: other versions that count:
    a model that was registered once may serve again, whatever was removed since."""
    allowed = (project.recipe, *recipes)
    unknown = [label for label in head.labels if all(one.detected_as(label) is None for one in allowed)]
    if unknown:
        raise Invalid(
            f"the model predicts {', '.join(repr(x) for x in unknown[:5])}, which {project.id} has no label for.",
            hint=f"Labels of the project that a detector can predict: {', '.join(project.recipe.detected)}. "
            "Register the model in a project of its own, or rename its labels.",
            labels=unknown,
        )
