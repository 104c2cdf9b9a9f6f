"""Projects, the people and programs that may use them, and the models that serve them."""

from collections.abc import Callable
from dataclasses import dataclass, replace

from loop.domain.access import Role, Token
from loop.domain.errors import Conflict, Invalid, Unauthenticated
from loop.domain.identity import digest_of, new_id
from loop.domain.model import ModelHead, ModelVersion, Promotion, PromotionKind, PromotionState
from loop.domain.ports import Blobs, Clock, Entropy, Event, Store, Transaction
from loop.domain.project import Project, Recipe, checked_slug, labels_named
from loop.domain.routing import Policy

# Reads what a file of weights says of itself; raises BadWeights.
HeadReader = Callable[[bytes], ModelHead]


@dataclass(frozen=True, slots=True)
class Administration:
    store: Store
    blobs: Blobs
    default_policy: Policy
    read_head: HeadReader
    clock: Clock
    entropy: Entropy

    # --- projects ---------------------------------------------------------------------------------

    def create_project(self, project_id: str, labels: tuple[str, ...], guidelines: str = "") -> Project:
        """A new project without a model. Raises Conflict where the id is taken."""
        project = Project(
            id=checked_slug(project_id),
            recipe=Recipe(version=1, labels=labels_named(labels), guidelines=guidelines),
            policy=self.default_policy,
            champion_id=None,
            created_at=self.clock(),
        )
        with self.store.begin() as tx:
            tx.projects.add(project)
        return project

    def change_policy(self, project_id: str, actor: str, **changes: float | int) -> Policy:
        """The policy with `changes` under the next version; decisions made before keep theirs."""
        with self.store.begin() as tx:
            old = tx.projects.get(project_id).policy
            policy = replace(old, version=old.version + 1, **changes)  # type: ignore[arg-type]
            tx.projects.save_policy(project_id, policy)
            body = {"version": policy.version, **changes}
            tx.events.add(Event("policy.changed", project_id, actor, body, self.clock()))
        return policy

    # --- tokens -----------------------------------------------------------------------------------

    def create_token(self, name: str, role: Role, project_id: str | None) -> tuple[Token, str]:
        """A token and its secret, which is shown once and kept only as a digest."""
        secret = "ask_" + self.entropy(24).hex()
        now = self.clock()
        token = Token(
            id=new_id("tok", now, self.entropy(10)),
            name=name,
            role=role,
            secret_digest=digest_of(secret.encode()),
            project_id=project_id,
            created_at=now,
        )
        with self.store.begin() as tx:
            if project_id is not None:
                tx.projects.get(project_id)
            tx.tokens.add(token)
        return token, secret

    def authenticate(self, secret: str) -> Token:
        """Whose secret this is. Raises Unauthenticated."""
        with self.store.read() as tx:
            token = tx.tokens.by_secret(digest_of(secret.encode()))
        if token is None or token.revoked_at is not None:
            raise Unauthenticated(
                "the token is unknown or was revoked.",
                hint="Send Authorization: Bearer TOKEN; an operator makes tokens with `askance token create`.",
            )
        return token

    # --- models -----------------------------------------------------------------------------------

    def register_model(self, project_id: str, weights: bytes, actor: str) -> tuple[ModelVersion, Promotion | None]:
        """Keep weights as a model version; a project's first model is asked to serve at once.

        The same weights again give the same version back. Raises BadWeights, and Invalid for a label that
        the project does not have.
        """
        head = self.read_head(weights)
        digest = self.blobs.put(weights)
        with self.store.begin() as tx:
            project = tx.projects.get(project_id)
            _require_known_labels(project, head)
            model = tx.models.by_digest(project_id, digest)
            if model is None:
                model = self._version_of(project_id, digest, head)
                tx.models.add(model)
                tx.events.add(Event("model.registered", project_id, actor, {"model_id": model.id}, self.clock()))
            first = project.champion_id is None and not _queued(tx, project_id)
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

    def _ask(self, project_id: str, model_id: str, kind: PromotionKind, actor: str, reason: str) -> Promotion:
        with self.store.begin() as tx:
            project = tx.projects.get(project_id)
            return self._queue(tx, project, tx.models.get(project_id, model_id), kind, actor, reason)

    def _queue(
        self, tx: Transaction, project: Project, model: ModelVersion, kind: PromotionKind, actor: str, reason: str
    ) -> Promotion:
        if model.id == project.champion_id:
            raise Conflict(f"{model.id} is the champion already.", hint="Nothing to do.", model=model.id)
        if waiting := _queued(tx, project.id):
            raise Conflict(
                f"a promotion of {waiting[0].model_id} is under way.",
                hint="Wait until it is done, then ask again.",
                promotion=waiting[0].id,
            )
        promotion = Promotion(
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
        tx.promotions.add(promotion)
        return promotion

    def _version_of(self, project_id: str, digest: str, head: ModelHead) -> ModelVersion:
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
        )


def previous_champion(history: list[Promotion], champion_id: str | None) -> str:
    """Whom the present champion replaced when it was promoted; `history` is newest first. Rollbacks do not count, so
    that rolling back twice goes back twice. Raises Conflict where nobody was replaced."""
    for promotion in history:
        came = promotion.state is PromotionState.ACTIVE and promotion.kind is not PromotionKind.ROLLBACK
        if came and promotion.model_id == champion_id and promotion.previous_id is not None:
            return promotion.previous_id
    raise Conflict("there is no earlier champion to go back to.", hint="Promote a version by name instead.")


def _queued(tx: Transaction, project_id: str) -> list[Promotion]:
    return [p for p in tx.promotions.queued() if p.project_id == project_id]


def _require_known_labels(project: Project, head: ModelHead) -> None:
    unknown = [label for label in head.labels if label not in project.recipe.label_names]
    if unknown:
        raise Invalid(
            f"the model predicts {', '.join(repr(x) for x in unknown[:5])}, which {project.id} has no label for.",
            hint=f"Labels of the project: {', '.join(project.recipe.label_names)}. "
            "Register the model in a project of its own, or rename its labels.",
            labels=unknown,
        )
